"""`--group auto`: what only a network finds alike does not judge a model that learned from it."""

import csv
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.planted import jpeg, texture

import saccade
from saccade import lesson as lessons
from saccade import road, verification
from saccade.data.duplicates import find_twins
from saccade.data.pixel_store import PixelStore
from saccade.data.preprocess import Preprocess
from saccade.data.sealed import SealBroken
from saccade.insight.studies import STUDIES
from saccade.lesson import Lesson, look
from saccade.models import network, tensors
from saccade.rejoined import rejoined
from saccade.runtime.progress import Progress
from saccade.training.recipe import Recipe

PX = 48
NUM, COPIED = 140, 12  # pictures of their own, and copies of the first of them


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of two classes; of twenty there is a copy in other bytes."""
    root = tmp_path_factory.mktemp("rejoined") / "photos"
    for label in "ab":
        (root / label).mkdir(parents=True)
    for number in range(NUM):
        pixels, folder = texture(number), root / "ab"[number % 2]
        (folder / f"{number:03}.jpg").write_bytes(jpeg(pixels))
        if number < COPIED:
            (folder / f"copy-{number:03}.jpg").write_bytes(jpeg(pixels, quality=60))
    return root


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing but equal bytes be found before features are there."""
    monkeypatch.setattr(lessons, "find_twins", lambda own, _looks, **_: find_twins(own, None))


@pytest.fixture
def looked(photos: Path, blind: None) -> Iterator[Any]:
    with PixelStore(Preprocess(size_px=PX, crop_fraction=0.875)) as pixels:

        def make(group: str = "auto") -> Lesson:
            recipe = Recipe(data=str(photos), group=group, seed=3)
            return look(recipe, photos, pixels, progress=Progress()).sealed()

        yield make


def like(own: Lesson, *, times: float = 1.0) -> np.ndarray:
    """Return features at random, but for those of copies: so many times their source's."""
    features = np.random.default_rng(0).normal(size=(len(own.catalog), 60)).astype(np.float32)
    place = {path: row for row, path in enumerate(own.catalog.paths)}
    for path, row in place.items():
        if "copy-" in path:
            features[row] = times * features[place[path.replace("copy-", "")]] + 0.1
    return features


def pairs(own: Lesson) -> list[tuple[str, str]]:
    """Return the parts of each copy and its source."""
    part = dict(zip(own.catalog.paths, own.split.parts, strict=True))
    return [(own, part[path.replace("copy-", "")]) for path, own in part.items() if "copy-" in path]


def test_copies_that_features_find_come_into_one_part_and_leave_the_seal(looked: Any) -> None:
    before = looked()
    torn = sum(one != other for one, other in pairs(before))
    assert torn > 2  # else this test shows nothing
    after = rejoined(before, like(before), name="net")
    assert [one for one, other in pairs(after) if one != other] == []
    moved = [row for row, part in enumerate(before.split.parts) if after.split.parts[row] != part]
    assert len(moved) == torn
    assert {after.split.why[row] for row in moved} == {"drawn with its like"}
    order = ("train", "validation", "test")
    assert all(
        order.index(after.split.parts[row]) < order.index(before.split.parts[row]) for row in moved
    )
    assert after.split.notes[-1] == (
        f"--group auto: features of net find {torn} copies across drawn parts. With all that "
        f"belongs to them {torn} pictures moved into the earlier part."
    )
    after.targets[after.split.rows("train")]  # those that moved can be learned from
    with pytest.raises(SealBroken):
        after.targets[after.split.rows("test")]


def test_without_group_auto_parts_follow_from_the_seed_alone(looked: Any) -> None:
    """Whatever a network finds: else two of them could not be compared on one test part."""
    before = looked("")
    assert rejoined(before, like(before), name="net") is before


def test_copies_that_features_think_far_apart_stay_negative_control(looked: Any) -> None:
    before = looked()
    assert rejoined(before, like(before, times=-1.0), name="net") is before


def test_one_scene_is_one_part_and_takes_its_copies_along(looked: Any) -> None:
    """Two pictures whose features agree are no copies, and may be of one scene."""
    before = looked()
    test = [row for row in before.split.rows("test") if "copy-" not in before.catalog.paths[row]]
    row, copy, other = test[0], test[1], before.split.rows("train")[0]
    cluster_N = before.twins.cluster_N.copy()
    cluster_N[max(row, copy)] = min(row, copy)  # known by their looks, and so drawn together
    before = dataclasses.replace(
        before, twins=dataclasses.replace(before.twins, cluster_N=cluster_N)
    )
    features = like(before, times=-1.0)
    features[row] = features[other] + 0.2
    after = rejoined(before, features, name="net")
    assert {after.split.parts[own] for own in (row, copy, other)} == {"train"}
    assert after.split.notes[-1] == (
        "--group auto: features of net find 1 of one scene (from 0.78) across drawn parts. With "
        "all that belongs to them 2 pictures moved into the earlier part."
    )
    (group,) = {after.split.groups[own] for own in (row, copy, other)}
    assert group.startswith("scene:")


def test_where_a_fifth_of_what_judges_would_have_to_move_nothing_does(
    looked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = looked()
    monkeypatch.setattr("saccade.rejoined.MOST_MOVED", 0.01)
    after = rejoined(before, like(before), name="net")
    assert (after.split.parts, after.twins) == (before.split.parts, before.twins)
    assert "so they were left; name what belongs together with --group" in after.split.notes[-1]


def test_parts_that_the_user_gave_are_left(photos: Path, tmp_path: Path, blind: None) -> None:
    root = tmp_path / "parts"
    for path in photos.rglob("*.jpg"):
        part = "val" if "copy-" in path.name else "train"
        folder = root / part / path.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / path.name.replace("copy-", "0")).write_bytes(path.read_bytes())
    recipe = Recipe(data=str(root), group="auto", val_fraction=0)
    with PixelStore(Preprocess(size_px=PX, crop_fraction=0.875)) as pixels:
        before = look(recipe, root, pixels, progress=Progress())
        features = np.random.default_rng(0).normal(size=(len(before.catalog), 60))
        assert rejoined(before, features.astype(np.float32), name="net") is before


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from saccade.data.task import Task

    task = Task(kind="multiclass", classes=("a", "b"))
    net, _ = network.build("test_resnet", task=task, recipe=Recipe(seed=5), img_size=PX)
    path = tmp_path_factory.mktemp("weights") / "test_resnet.safetensors"
    tensors.write(path, net.body.state_dict())
    return path


def parts_of(folder: Path) -> list[str]:
    with (folder / "split.csv").open(newline="") as file:
        return [row["part"] for row in csv.DictReader(file)]


def test_a_run_moves_them_says_so_and_can_be_resumed_and_believed(
    photos: Path,
    weights: Path,
    blind: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(road, "STUDIES", [own for own in STUDIES if own.name == "leaks"])
    recipe = Recipe(
        model="test_resnet",
        weights=str(weights),
        img_size=PX,
        group="auto",
        rungs=("1:2:1",),
        seed=3,
    )
    whole = saccade.train(photos, recipe, output=tmp_path / "whole")
    facts = whole.facts["split"]
    assert any("moved into the earlier" in note for note in facts["notes"])
    assert facts["fingerprint"] != facts["fingerprint_as_drawn"]
    parts = parts_of(whole.folder)
    counted = {part: sum(own.values()) for part, own in facts["counts"].items()}
    assert counted == {part: parts.count(part) for part in counted}
    assert facts["sealed"]["num"] == parts.count("test")
    leaks = json.loads((whole.folder / "trust.json").read_text())["studies"]["leaks"]["leaks"]
    assert leaks["test"]["num"] == leaks["validation"]["num"] == 0
    assert verification.verify(whole.folder).believed

    class Killed(BaseException):
        pass

    def killed(*_: Any, **__: Any) -> None:
        raise Killed

    without = recipe.replace(trust=False)  # the studies come later, and change no answer
    with monkeypatch.context() as patch:
        patch.setattr(road.Road, "_test", killed)
        with pytest.raises(Killed):
            saccade.train(photos, without, output=tmp_path / "stopped")
    resumed = saccade.resume(tmp_path / "stopped")
    table = "predictions.csv"
    assert (resumed.folder / table).read_bytes() == (whole.folder / table).read_bytes()
    assert parts_of(resumed.folder) == parts
