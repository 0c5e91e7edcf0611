"""The race of backbones, through the whole road, with networks of timm that are made for tests."""

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

import saccade
from saccade import preparing, road
from saccade import race as races
from saccade.data.task import Task
from saccade.models import candidates, network, tensors
from saccade.models.candidates import Candidate
from saccade.models.engine import one_thread
from saccade.runtime.errors import ArtefactError, InterruptedRun, ResourceError, UsageError
from saccade.runtime.progress import Progress
from saccade.training import runner
from saccade.training.recipe import Recipe
from saccade.training.recipe_file import read_recipe
from saccade.workflow import resume

TASK = Task(kind="multiclass", classes=("class0", "class1", "class2"))
PX = 32


def stripes(label: int, number: int) -> np.ndarray:
    """Return a gray picture with faint stripes of label + 1 pixels under strong noise."""
    rng = np.random.default_rng([label, number])
    place = (np.arange(PX) + rng.integers(8)) // (label + 1) % 2
    picture = np.where(place[:, None], 150, 100) + rng.normal(0, 60, (PX, PX))
    return np.repeat(np.clip(picture, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "pictures"
    for label in range(3):
        (root / f"class{label}").mkdir(parents=True)
        for number in range(40):
            picture = Image.fromarray(stripes(label, number))
            picture.save(root / f"class{label}" / f"{number:03}.png")
    return root


def taught(net: network.Network, preprocess: Any) -> None:
    """Teach a network other stripes: plain gradient descent, for torch's optimisers load slowly."""
    rows = [(label, 1000 + number) for label in range(3) for number in range(40)]
    pixels = np.stack([preprocess.to_canvas(stripes(*row)) for row in rows])
    images = torch.from_numpy(preprocess.normalise(preprocess.centre(pixels)))
    labels = torch.tensor([label for label, _ in rows])
    momenta = [torch.zeros_like(p) for p in net.parameters()]
    generator = torch.Generator().manual_seed(0)
    net.train()
    for _ in range(40):
        drawn = torch.randperm(len(rows), generator=generator)[:40]
        loss = torch.nn.functional.cross_entropy(net(images[drawn]), labels[drawn])
        slopes = torch.autograd.grad(loss, list(net.parameters()))
        with torch.no_grad():
            for weight, momentum, slope in zip(net.parameters(), momenta, slopes, strict=True):
                weight -= 0.02 * momentum.mul_(0.9).add_(slope)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with weights of one network that knows stripes and one that knows nothing."""
    folder = tmp_path_factory.mktemp("weights")
    for name, teach in (("test_resnet", True), ("test_efficientnet", False)):
        net, preprocess = network.build(name, task=TASK, recipe=Recipe(seed=3), img_size=PX)
        if teach:
            with one_thread():  # two would wait for each other at every layer
                taught(net, preprocess)
        tensors.write(folder / f"{name}.safetensors", net.body.state_dict())
    return folder


BOTH = "test_efficientnet,test_resnet"  # the ignorant one first


def asked(weights: Path, **choices: Any) -> Recipe:
    """Return the recipe of a race; what comes after learning is tested elsewhere."""
    defaults = {
        "model": BOTH, "img_size": PX, "unfreeze": "0", "augment": False, "trust": False,
    }  # fmt: skip
    return Recipe(weights=str(weights), **{**defaults, **choices})


class Told(Progress):
    """Keeps the sentences."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)


def events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def race_of(folder: Path) -> dict[str, Any]:
    first, *others = events(folder)
    assert first["event"] == "race"
    assert "race" not in {event["event"] for event in others}
    return first


class Raced(NamedTuple):
    """A run with a race, what was told meanwhile, and the pictures that runners were given."""

    folder: Path
    told: list[str]
    asked_about: set[str]


@pytest.fixture(scope="module")
def raced(tmp_path_factory: pytest.TempPathFactory, pictures: Path, weights: Path) -> Raced:
    folder, told, seen = tmp_path_factory.mktemp("raced") / "run", Told(), set()
    original = runner.part_of

    def watched(catalog, rows):
        part = original(catalog, rows)
        seen.update(part.paths)
        return part

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SACCADE_CACHE", str(folder.parent / "cache"))
        patch.setattr(runner, "part_of", watched)
        saccade.train(pictures, asked(weights), output=folder, progress=told)
    return Raced(folder, told.sentences, seen)


def test_the_network_that_suits_the_pictures_is_taken(raced: Raced) -> None:
    event = race_of(raced.folder)
    bad, good = event["candidates"]
    assert (bad["name"], good["name"]) == ("test_efficientnet", "test_resnet")
    assert (bad["chosen"], good["chosen"]) == (False, True)
    assert good["low"] > bad["high"]
    assert good["why"] == "the best, and surely so"
    assert bad["why"].startswith("surely worse than test_resnet: loss of the same pictures +")
    assert (event["num_sample"], event["num_training"], good["n"]) == (84, 84, 84)
    assert (good["num_parameters"], good["score_name"]) == (372_979, "accuracy")
    assert good["seconds"] > 0
    assert good["images_per_second"] > 0
    run = saccade.open_run(raced.folder)
    assert run.facts["model"]["name"] == "test_resnet"
    assert run.facts["model"]["weights"]["source"] == "file test_resnet.safetensors"
    assert run.metrics["test"]["accuracy"].value > 0.9


def test_what_happened_is_told_with_the_counts_of_the_sample(
    raced: Raced,
) -> None:
    told = [sentence for sentence in raced.told if sentence.startswith("race: ")]
    assert told[0] == (
        "race: 2 networks are asked about 84 of 84 training pictures "
        "(28 class0, 28 class1, 28 class2)"
    )
    assert told[1].startswith("race: test_efficientnet: accuracy 0.")
    assert told[2].startswith("race: test_resnet: accuracy 0.9") or "accuracy 1.0" in told[2]
    assert told[3].startswith("race: test_resnet is taken, after ")
    assert len(told) == 4


def test_the_report_shows_the_race(raced: Raced) -> None:
    page = (raced.folder / "report.html").read_text()
    assert "Choice of the backbone" in page
    assert "surely worse than test_resnet" in page


@pytest.mark.slow
def test_the_recipe_trains_the_same_network_again_without_a_race(
    raced: Raced, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = read_recipe(raced.folder / "recipe.toml")
    assert recipe.model == "test_resnet"
    monkeypatch.setattr(preparing, "race", lambda *_, **__: pytest.fail("a race"))
    saccade.train(pictures, recipe, output=tmp_path / "again")
    assert "race" not in {event["event"] for event in events(tmp_path / "again")}
    first, second = (
        (f / "predictions.csv").read_bytes() for f in (raced.folder, tmp_path / "again")
    )
    assert first == second  # the canvases are the winner's, which differ from those of the scan


@pytest.mark.slow
def test_the_same_seed_makes_the_same_choice_by_the_same_scores(
    raced: Raced, pictures: Path, weights: Path, tmp_path: Path
) -> None:
    saccade.train(pictures, asked(weights), output=tmp_path / "again")
    kept = ("name", "score", "low", "high", "n", "chosen", "num_parameters")
    first, second = (
        [{key: one[key] for key in kept} for one in race_of(folder)["candidates"]]
        for folder in (raced.folder, tmp_path / "again")
    )
    assert first == second


def test_only_training_pictures_are_asked_about(raced: Raced) -> None:
    lines = (raced.folder / "split.csv").read_text().splitlines()[1:]
    parts = {line.split(",")[0]: line.split(",")[2] for line in lines}
    assert {parts[path] for path in raced.asked_about} == {"train"}


# --- auto -----------------------------------------------------------------------------------------


@pytest.fixture
def short_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `auto` choose among the networks that are made for tests."""
    names = ("test_efficientnet", "test_resnet", "test_vit")
    monkeypatch.setattr(candidates, "AUTO", tuple(Candidate(name=n, why="a test") for n in names))
    monkeypatch.setattr(candidates, "DEFAULT_MODEL", "test_efficientnet")


def test_auto_races_what_is_at_hand(
    pictures: Path, weights: Path, tmp_path: Path, short_list: None
) -> None:
    saccade.train(pictures, asked(weights, model="auto"), output=tmp_path / "run")
    event = race_of(tmp_path / "run")
    assert event["asked"] == "auto"
    assert [one["name"] for one in event["candidates"]] == ["test_efficientnet", "test_resnet"]
    assert read_recipe(tmp_path / "run" / "recipe.toml").model == "test_resnet"


@pytest.mark.slow
def test_auto_with_one_network_at_hand_is_no_race(
    pictures: Path,
    weights: Path,
    tmp_path: Path,
    short_list: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "one").mkdir()
    shutil.copy(weights / "test_resnet.safetensors", tmp_path / "one")
    monkeypatch.setattr(preparing, "race", lambda *_, **__: pytest.fail("a race"))
    recipe = asked(tmp_path / "one", model="auto")
    saccade.train(pictures, recipe, output=tmp_path / "run")
    assert read_recipe(tmp_path / "run" / "recipe.toml").model == "test_resnet"
    assert "race" not in {event["event"] for event in events(tmp_path / "run")}


@pytest.mark.slow
def test_auto_leaves_out_weights_of_another_network_and_says_so(
    pictures: Path, weights: Path, tmp_path: Path, short_list: None
) -> None:
    shutil.copytree(weights, tmp_path / "weights")
    shutil.copy(weights / "test_resnet.safetensors", tmp_path / "weights" / "test_vit.safetensors")
    told = Told()
    recipe = asked(tmp_path / "weights", model="auto")
    saccade.train(pictures, recipe, output=tmp_path / "run", progress=told)
    wrong = race_of(tmp_path / "run")["candidates"][2]
    assert (wrong["name"], wrong["score"], wrong["chosen"]) == ("test_vit", None, False)
    assert wrong["why"].startswith("These weights are not for test_vit")
    assert any(s.startswith("race: test_vit: These weights") for s in told.sentences)
    assert "test_vit" in (tmp_path / "run" / "report.html").read_text()


# --- names ----------------------------------------------------------------------------------------


def test_weights_of_another_network_stop_a_race_by_name(
    pictures: Path, weights: Path, tmp_path: Path
) -> None:
    shutil.copytree(weights, tmp_path / "weights")
    shutil.copy(weights / "test_resnet.safetensors", tmp_path / "weights" / "test_vit.safetensors")
    recipe = asked(tmp_path / "weights", model="test_resnet,test_vit")
    with pytest.raises(ArtefactError, match="These weights are not for test_vit"):
        saccade.train(pictures, recipe, output=tmp_path / "run")


def test_unknown_names_and_missing_weights_stop_the_run_before_its_folder_is_made(
    pictures: Path, weights: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="There is no network named 'test_resnett'"):
        saccade.train(
            pictures, asked(weights, model="test_resnet,test_resnett"), output=tmp_path / "run"
        )
    with pytest.raises(ResourceError, match="holds no weights for test_vit"):
        saccade.train(
            pictures, asked(weights, model="test_resnet,test_vit"), output=tmp_path / "run"
        )
    assert not (tmp_path / "run").exists()


# --- stopping and going on ------------------------------------------------------------------------


def stop(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_after_the_race_a_stopped_run_goes_on_without_a_second_one(
    raced: Raced,
    pictures: Path,
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(road, "learn", stop)
        with pytest.raises(InterruptedRun, match="saccade resume"):
            saccade.train(pictures, asked(weights), output=folder)
    assert saccade.open_run(folder).state == "interrupted"
    before = race_of(folder)
    monkeypatch.setattr(preparing, "race", lambda *_, **__: pytest.fail("a second race"))
    resume(folder)
    assert race_of(folder) == before
    first, second = ((f / "predictions.csv").read_bytes() for f in (raced.folder, folder))
    assert first == second


@pytest.mark.slow
def test_within_the_race_a_stopped_run_races_again(
    pictures: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(races, "choose", stop)
        with pytest.raises(InterruptedRun, match="saccade resume"):
            saccade.train(pictures, asked(weights), output=folder)
    assert read_recipe(folder / "recipe.toml").model == BOTH
    assert resume(folder).facts["model"]["name"] == "test_resnet"
    race_of(folder)


# --- budgets --------------------------------------------------------------------------------------


def slow(monkeypatch: pytest.MonkeyPatch, seconds_a_picture: dict[str, float]) -> None:
    """Let some networks seem slow."""
    original = runner.Runner.look

    def look(own: runner.Runner, rows) -> None:
        original(own, rows)
        own.seconds_a_picture = seconds_a_picture.get(own.name, own.seconds_a_picture)

    monkeypatch.setattr(runner.Runner, "look", look)


def test_a_network_too_slow_for_the_budget_is_left_out_and_the_reason_told(
    pictures: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow(monkeypatch, {"test_resnet": 60.0})
    saccade.train(pictures, asked(weights, budget="10m"), output=tmp_path / "run")
    quick, large = race_of(tmp_path / "run")["candidates"]
    assert quick["chosen"]
    assert quick["why"] == "the only one that the budget has time for"
    assert (large["chosen"], large["score"]) == (False, None)
    assert large["why"].startswith("all pictures would take it 7200 s, and the budget has ")
    assert read_recipe(tmp_path / "run" / "recipe.toml").model == "test_efficientnet"


@pytest.mark.slow
def test_a_budget_that_has_time_for_both_races_both(
    pictures: Path, weights: Path, tmp_path: Path
) -> None:
    saccade.train(pictures, asked(weights, budget="20m"), output=tmp_path / "run")
    event = race_of(tmp_path / "run")
    assert [one["chosen"] for one in event["candidates"]] == [False, True]
    assert {one["engine"].split()[0] for one in event["candidates"]} == {"torch"}


def test_a_budget_without_time_to_compare_takes_the_quickest(
    pictures: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow(monkeypatch, {"test_efficientnet": 1.0, "test_resnet": 2.0})
    saccade.train(pictures, asked(weights, budget="10m"), output=tmp_path / "run")
    first, second = race_of(tmp_path / "run")["candidates"]
    assert first["why"] == "the quickest; the budget leaves no time to compare"
    assert (first["chosen"], second["why"]) == (True, "not compared")


def test_too_few_pictures_to_compare_take_the_first(
    image_folder, weights: Path, tmp_path: Path
) -> None:
    folder = image_folder(2, 6)
    saccade.train(folder, asked(weights), output=tmp_path / "run")
    event = race_of(tmp_path / "run")
    assert event["num_sample"] == 0
    assert event["candidates"][0]["chosen"]
    assert "too few training pictures" in event["candidates"][0]["why"]
    assert "Choice of the backbone" in (tmp_path / "run" / "report.html").read_text()
