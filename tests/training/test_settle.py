"""What spoils the learning is left out before it, by a run that can be repeated and resumed."""

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.training.climbs import Told
from tests.training.pointers import SIDES, material, pointers

import saccade
from saccade.flags import recipe_from
from saccade.runtime.budget import Budget
from saccade.training import settle as settling
from saccade.training.history import History
from saccade.training.probe import draw_sample
from saccade.training.recipe import Recipe
from saccade.training.recipe_file import AUGMENTATIONS, read_recipe, write_recipe
from saccade.training.settle import settle
from saccade.training.surroundings import Surroundings

LESS = Recipe(rotate=0.0, zoom=0.0, shift=0.0, noise=0.0)  # flips and light are left


@pytest.fixture(scope="module")
def arrows() -> Any:
    return material(*pointers(150), SIDES)


def around(history: History | None = None, **facts: Any) -> tuple[Surroundings, list[Recipe]]:
    told: list[Recipe] = []
    own = history if history is not None else History()
    surroundings = Surroundings(
        device="cpu", history=own, progress=Told(), on_recipe=told.append, **facts
    )
    return surroundings, told


def never(*_: Any, **__: Any) -> Any:
    raise AssertionError("nothing should be looked for")


def test_a_mirror_is_left_out_where_it_changes_the_meaning(arrows: Any) -> None:
    surroundings, told = around()
    found = settle(LESS, arrows, surroundings)
    assert found == LESS.replace(hflip=0.0, keep_augment=AUGMENTATIONS)
    assert told == [found]
    (event,) = surroundings.history.events
    assert (event["event"], event["left_out"]) == ("augmentation", ["hflip"])
    assert [own["name"] for own in event["families"]] == event["asked"] == ["hflip", "light"]
    assert event["n"] == len(arrows.train_rows) == 120
    progress: Any = surroundings.progress
    (sentence,) = progress.sentences
    assert sentence.startswith("the horizontal flip is left out: of what small pictures tell")
    assert sentence.endswith("(n = 120). --hflip 0.5 keeps it.")


def test_what_was_set_stays_and_is_not_asked_about(arrows: Any) -> None:
    surroundings, told = around()
    recipe = LESS.replace(keep_augment=("hflip",))
    found = settle(recipe, arrows, surroundings)
    assert found.hflip == LESS.hflip
    assert surroundings.history.events[0]["asked"] == ["light"]
    assert told == [found]


def test_pictures_that_belong_together_lie_in_one_fold_of_the_probe(
    arrows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = [f"burst {row // 3}" for row in range(len(arrows.targets))]
    drawn: list[Any] = []

    def draw(*given: Any, **more: Any) -> Any:
        drawn.append(draw_sample(*given, **more))
        return drawn[-1]

    monkeypatch.setattr(settling, "draw_sample", draw)
    settle(LESS, dataclasses.replace(arrows, groups=groups), around()[0])
    (sample,) = drawn
    folds_of: dict[str, set[int]] = {}
    for row, fold in zip(sample.rows, sample.folds_N.tolist(), strict=True):
        folds_of.setdefault(groups[row], set()).add(fold)
    assert {len(folds) for folds in folds_of.values()} == {1}
    assert len(folds_of) < len(sample.rows)


def test_a_recipe_in_which_all_is_settled_is_taken_as_it_is(
    arrows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "judge_augmentation", never)
    recipe = LESS.replace(keep_augment=AUGMENTATIONS)
    surroundings, told = around()
    assert settle(recipe, arrows, surroundings) is recipe
    assert settle(recipe.replace(augment=False), arrows, surroundings).augment is False
    assert (told, surroundings.history.events) == ([], [])


def test_a_run_that_goes_on_leaves_out_what_it_left_out_before(
    arrows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = around()
    wanted = settle(LESS, arrows, first)
    monkeypatch.setattr(settling, "judge_augmentation", never)
    second, told = around(first.history)
    assert settle(LESS, arrows, second) == wanted
    assert told == [wanted]
    assert len(first.history.events) == 1


def test_of_few_pictures_nothing_is_said_and_nothing_left_out(arrows: Any) -> None:
    few = material(*pointers(70), SIDES)
    surroundings, _ = around()
    assert settle(LESS, few, surroundings).hflip == LESS.hflip
    (event,) = surroundings.history.events
    assert event["why"] == "56 training pictures are too few to tell"


def test_without_time_nothing_is_left_out_and_a_second_run_does_the_same(arrows: Any) -> None:
    spent = Budget(seconds=3.0, begun=time.monotonic())
    surroundings, told = around(budget=spent)
    assert settle(LESS, arrows, surroundings).hflip == LESS.hflip
    (event,) = surroundings.history.events
    assert event["why"] == "the budget left no time to look"
    assert told[0].keep_augment == AUGMENTATIONS


def test_a_flag_is_a_choice_and_a_default_is_none() -> None:
    flags = {"hflip": 0.5, "lr": 0.1, "augment": True}
    assert recipe_from(None, "photos", flags).keep_augment == ("hflip",)
    assert recipe_from(None, "photos", {"keep_augment": "rotate", **flags}).keep_augment == (
        "rotate",
        "hflip",
    )
    assert recipe_from(None, "photos", {"lr": 0.1}).keep_augment == ()


def test_a_line_that_a_person_wrote_is_a_choice_and_one_of_a_run_is_not(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text("hflip = 0.5\nlr = 0.1\n")
    assert read_recipe(path).keep_augment == ("hflip",)
    write_recipe(path, Recipe())  # of a run that was stopped before it looked
    assert read_recipe(path).keep_augment == ()
    assert read_recipe(path, zoom=0.1).keep_augment == ("zoom",)
    write_recipe(path, Recipe(hflip=0.0, keep_augment=AUGMENTATIONS))  # and after
    assert read_recipe(path).keep_augment == AUGMENTATIONS


def write(root: Path) -> Path:
    pictures, right = pointers(150)
    for number, (pixels, label) in enumerate(zip(pictures, right, strict=True)):
        folder = root / SIDES.classes[int(label)]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{number:03}.png")
    return root


@pytest.mark.slow
def test_a_run_says_what_it_left_out_and_its_recipe_gives_the_same_weights(tmp_path: Path) -> None:
    data = write(tmp_path / "arrows")
    recipe = LESS.replace(model="cnn", img_size=32, widths=(4, 8), epochs=2, brightness=0.0)
    first = saccade.train(data, recipe, output=tmp_path / "first")
    settled = read_recipe(first.folder / "recipe.toml")
    assert (settled.hflip, settled.keep_augment) == (0.0, AUGMENTATIONS)
    again = saccade.train(data, settled, output=tmp_path / "again")
    mirrored = recipe.replace(keep_augment=("hflip",))
    spoilt = saccade.train(data, mirrored, output=tmp_path / "spoilt")
    weights = [
        (run.model_folder / "model.safetensors").read_bytes() for run in (first, again, spoilt)
    ]
    assert weights[0] == weights[1] != weights[2]
    assert np.isfinite(first.metrics["test"]["accuracy"].value)
