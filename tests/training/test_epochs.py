"""A budget outside of the ladder: epochs are fitted to it, written down, and guarded."""

import dataclasses
import time
from typing import Any

import pytest
from tests.training.conftest import SMALL, surroundings

from saccade.runtime.budget import NO_BUDGET, Budget
from saccade.training import epochs
from saccade.training.epochs import Epochs, planned_epochs
from saccade.training.inputs import Pictures
from saccade.training.recipe import Recipe


def planned(
    lesson_for: Any, recipe: Recipe, *, budget: Budget, goes_on: bool = False
) -> tuple[Epochs, list[Recipe]]:
    net, material = lesson_for(recipe)
    written: list[Recipe] = []
    around = dataclasses.replace(surroundings(), budget=budget, on_recipe=written.append)
    found = planned_epochs(
        net, material, recipe, around, Pictures(material.cache, recipe, device="cpu"),
        pretrained=False, reserve=10.0, goes_on=goes_on,
    )  # fmt: skip
    return found, written


def minute() -> Budget:
    return Budget(seconds=60.0, begun=time.monotonic())


def test_without_a_budget_nothing_is_planned(lesson_for: Any) -> None:
    recipe = SMALL.replace(epochs=0)
    found, written = planned(lesson_for, recipe, budget=NO_BUDGET)
    assert (found.recipe, found.seconds, written) == (recipe, float("inf"), [])


def test_as_many_epochs_as_fit_are_written_into_the_recipe(
    lesson_for: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 50 s: a picture takes 0.1 s in a step, so an epoch of 34 and 7 to judge about 5 s."""
    monkeypatch.setattr(epochs, "seconds_a_step", lambda _net, _inputs, rows, **_: 0.1 * len(rows))
    found, (written,) = planned(lesson_for, SMALL.replace(epochs=0), budget=minute())
    assert 5 <= found.recipe.epochs <= 12
    assert written == found.recipe
    assert found.seconds == pytest.approx(50 - 0.05 * 48, abs=1)


@pytest.mark.parametrize(("named", "goes_on"), [(7, False), (0, True)])
def test_named_epochs_and_those_of_a_run_that_goes_on_are_not_planned_anew(
    lesson_for: Any, monkeypatch: pytest.MonkeyPatch, named: int, goes_on: bool
) -> None:
    monkeypatch.setattr(epochs, "seconds_a_step", lambda *_, **__: 100.0)
    recipe = SMALL.replace(epochs=named)
    found, written = planned(lesson_for, recipe, budget=minute(), goes_on=goes_on)
    assert written == []
    usual = epochs.epochs_of(recipe, pretrained=False, steps_per_epoch=5)
    assert found.recipe.epochs == (named or usual)  # whatever the clock
    assert found.seconds < 50  # the clock guards them all the same
