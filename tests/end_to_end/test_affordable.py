"""How many pictures a budget leaves time for: a network is priced by enough of them."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import saccade
from saccade import preparing, road, workflow
from saccade.lesson import look
from saccade.run import Run
from saccade.runtime.errors import UsageError
from saccade.runtime.progress import Progress
from saccade.training.recipe import Recipe
from saccade.training.recipe_file import read_recipe


class Clock:
    """Tells a time of its own, in which asking takes as long as is said."""

    def __init__(self, *, at_once: float, each: float) -> None:
        self.now, self.at_once, self.each = 0.0, at_once, each
        self.asked: list[int] = []

    def perf_counter(self) -> float:
        return self.now

    def ask(self, rows: Sequence[int]) -> None:
        self.asked.append(len(rows))
        self.now += self.at_once + self.each * len(rows)


@pytest.mark.parametrize(
    ("at_once", "each", "asked", "found"),
    [
        (0.024, 0.001, [2, 2, 8, 32, 32, 128], 0.0011875),  # of eight alone it would be 0.004
        (0.0, 0.011, [2, 2, 8, 32, 32], 0.011),  # 128 would take longer than it is worth
        (0.0, 0.2, [2, 2, 8], 0.2),
        (0.0, 0.5, [2, 2], 0.5),  # twice, for the first of a kind is slower
        (0.0, 2.0, [2], 2.0),  # a slow network is asked no more than it must
    ],
)
def test_a_quick_network_is_asked_about_more(
    monkeypatch: pytest.MonkeyPatch, at_once: float, each: float, asked: list[int], found: float
) -> None:
    clock = Clock(at_once=at_once, each=each)
    monkeypatch.setattr(preparing, "time", clock)
    assert preparing.seconds_a_picture(clock.ask, 200) == pytest.approx(found)
    assert clock.asked == asked


def test_no_more_pictures_are_asked_about_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(at_once=0.0, each=0.001)
    monkeypatch.setattr(preparing, "time", clock)
    preparing.seconds_a_picture(clock.ask, preparing.FEWEST)
    assert clock.asked == [2, 2, 8, 32, 32]


@pytest.mark.parametrize("late", [True, False])
def test_a_budget_that_was_exceeded_is_told(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    if late:  # as if it had been over before it began
        monkeypatch.setattr(road, "LATE", -1.0)
        monkeypatch.setattr(road, "LATE_SECONDS", -600.0)
    recipe = Recipe(model="cnn", img_size=16, widths=(4,), epochs=1, trust=False, budget="600s")
    run = saccade.train(image_folder(2, 12), recipe, output=tmp_path / "run")
    said = run.facts.get("late", "")
    assert said.startswith("The budget of 600s was exceeded: it took") is late


def run_again(
    folder: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, *, affordable: int
) -> tuple[Run, str]:
    """Return the run of a recipe where there is time for so many pictures, and what was said."""
    said: list[str] = []
    progress = Progress()
    monkeypatch.setattr(progress, "say", said.append)
    monkeypatch.setattr(preparing, "affordable", lambda *_: affordable)
    output = folder.parent / f"{affordable}"
    return saccade.train(folder, recipe, output=output, progress=progress), "\n".join(said)


def test_the_recipe_of_a_run_with_a_budget_means_the_same_pictures_on_a_slower_machine(
    image_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = image_folder(2, 60)
    recipe = Recipe(model="cnn", img_size=16, widths=(4,), epochs=2, trust=False, budget="600s")
    first, said = run_again(folder, recipe, monkeypatch, affordable=80)
    planned = read_recipe(first.folder / "recipe.toml")
    assert (planned.limit, len(first.predictions.paths)) == (80, 80)
    assert "they are drawn evenly" in said
    monkeypatch.setattr(workflow, "SHARE_TO_LOOK", 0.0)  # neither is there time to look at more
    again, said = run_again(folder, planned, monkeypatch, affordable=50)
    assert "time to ask the network about 50 of 80 pictures. With limit or rungs named" in said
    assert again.predictions.paths == first.predictions.paths
    for name in ("model/model.safetensors", "recipe.toml"):
        assert (again.folder / name).read_bytes() == (first.folder / name).read_bytes()
    other, _ = run_again(folder, recipe, monkeypatch, affordable=51)  # without the plan
    assert 0 < len(other.predictions.paths) < 80


def test_a_recipe_says_how_many_pictures_there_was_time_to_look_at(
    image_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflow, "SHARE_TO_LOOK", 0.0)
    recipe = Recipe(model="cnn", img_size=16, widths=(4,), epochs=1, trust=False, budget="600s")
    run, _ = run_again(image_folder(2, 60), recipe, monkeypatch, affordable=1000)
    assert 0 < len(run.predictions.paths) < 120
    assert read_recipe(run.folder / "recipe.toml").limit == len(run.predictions.paths)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"epochs": -3}, "232"),
        ({"batch_size": 0}, "232"),
        ({"lr": float("nan")}, "232"),
        ({"unfreeze": "many"}, "232"),
        ({"unfreeze": 2.5}, "231"),
        ({"widths": "8,many"}, "231"),
        ({"epochs": True}, "231"),
        ({"model": ["cnn"]}, "231"),
        ({"limit": -1}, "232"),
    ],
)
def test_a_recipe_of_a_program_is_checked_as_one_of_a_file_is(
    image_folder: Callable[..., Path], tmp_path: Path, changes: dict[str, Any], code: str
) -> None:
    with pytest.raises(UsageError) as caught:
        saccade.train(image_folder(2, 12), Recipe(**changes), output=tmp_path / "run")
    assert caught.value.code == f"SACCADE-E{code}"
    assert not (tmp_path / "run").exists()


def test_paths_and_numbers_of_numpy_can_stand_in_a_recipe(
    image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    recipe = Recipe(
        model="cnn", img_size=16, widths=(4,), trust=False,
        epochs=np.int64(1), lr=np.float64(0.01), cache=tmp_path / "cache",
    )  # fmt: skip
    run = saccade.train(image_folder(2, 12), recipe, output=tmp_path / "run")
    again = read_recipe(run.folder / "recipe.toml")
    assert (again.epochs, again.lr, again.cache) == (1, 0.01, str(tmp_path / "cache"))
    assert [event["event"] for event in run.history].count("epoch") == 1
    assert run.trust["studies"] == {}


def test_choices_may_be_of_the_kind_that_python_has_for_them(
    image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    recipe = Recipe(model="cnn", img_size=16, epochs=1, trust=False)
    folder = image_folder(3, 12)
    choices: dict[str, Any] = {
        "widths": "4",
        "exclude": "class2,",
        "budget": 1_000_600.5,
        "unfreeze": 0,
    }
    run = saccade.train(folder, recipe, output=tmp_path / "run", **choices)
    again = read_recipe(run.folder / "recipe.toml")
    assert (again.widths, again.exclude, again.budget) == ((4,), ("class2",), "1000600.5s")
    assert again.unfreeze == "0"


def test_what_only_a_scan_can_do_is_refused_beside_a_catalogue(
    image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    catalog = saccade.scan(image_folder(2, 12), limit=20)
    for choices in ({"limit": 10}, {"exclude": ("class0",)}, {"label_column": "x"}):
        with pytest.raises(UsageError) as caught:
            saccade.train(catalog, output=tmp_path / "run", **choices)
        assert caught.value.code == "SACCADE-E243"
    recipe = Recipe(model="cnn", img_size=16, widths=(4,), epochs=1, trust=False, limit=20)
    assert saccade.train(catalog, recipe, output=tmp_path / "run").state == "finished"


def test_shares_by_which_nothing_is_drawn_are_told_to_have_no_effect(
    image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder, recipe = image_folder(2, 12), Recipe(val_fraction=0.3, test_fraction=0.2)
    drawn = look(recipe, folder, None, progress=Progress()).split.notes
    assert not any("no effect" in own for own in drawn)
    parts = tmp_path / "parts"
    for part in ("train", "val", "test"):
        (parts / part).mkdir(parents=True)
        for name in ("class0", "class1"):
            (parts / part / name).mkdir()
    for number, path in enumerate(sorted(folder.rglob("*.png"))):
        part = ("train", "val", "test")[number % 3]
        path.rename(parts / part / path.parent.name / path.name)
    notes = look(recipe, parts, None, progress=Progress()).split.notes
    assert "--val-fraction has no effect: the validation part is given." in notes
    assert "--test-fraction has no effect: the test part is given." in notes
    assert look(Recipe(), parts, None, progress=Progress()).split.notes == notes[:-2]

    shutil.rmtree(parts / "test")  # val is the test part then, and validation is drawn
    notes = look(Recipe(val_fraction=0.0), parts, None, progress=Progress()).split.notes
    assert not any("no effect" in own for own in notes)
    notes = look(recipe, parts, None, progress=Progress()).split.notes
    assert [own for own in notes if "no effect" in own] == [
        "--test-fraction has no effect: the test part is given."
    ]
