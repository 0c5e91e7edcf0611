"""Part of row C5: the ladder in a budget. Rungs are fitted to it, left out by name, or undone."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from tests.training.climbs import CLIMB, TAKEN, Climbed, Lessons, different

from saccade.models.network import Network
from saccade.runtime.budget import Budget
from saccade.training import ladder, plan
from saccade.training.inputs import Inputs
from saccade.training.plan import Costs, PlannedRung
from saccade.training.recipe import Recipe
from saccade.training.schedule import steps_of


@dataclass(frozen=True, kw_only=True)
class Scripted(Budget):
    """A budget of which as much is left as the test says."""

    clock: Callable[[], float]

    @property
    def left(self) -> float:
        return self.clock()


def scripted(clock: Callable[[], float]) -> Scripted:
    return Scripted(seconds=1000.0, begun=time.monotonic(), clock=clock)


def test_where_there_is_time_for_everything_a_budget_changes_nothing(
    lessons: Lessons, climbed: Climbed
) -> None:
    plans: list[tuple[str, ...]] = []
    found = lessons.climb(budget=scripted(lambda: 1000.0), on_plan=plans.append)
    assert [rung["taken"] for rung in found.rungs] == TAKEN
    assert plans == [("1:2:4", "2:2:4", "3:2:4")]
    assert different(found.weights, climbed.weights) == []


def test_a_rung_has_as_many_epochs_and_views_as_fit_and_the_plan_repeats_it(
    lessons: Lessons, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps are said to take as long as lets two of six epochs fit, on the plain view alone."""
    wanted = CLIMB.replace(epochs=6)
    num = len(lessons.material.train_rows)
    steps = -(-num // wanted.batch_size)
    monkeypatch.setattr(ladder, "seconds_a_step", lambda *_, **__: 10.0 / steps)
    plans: list[tuple[str, ...]] = []
    found = lessons.climb(wanted, budget=scripted(lambda: 45.0), on_plan=plans.append)
    (plan,) = plans
    assert {text.split(":")[1] for text in plan} == {"2"}
    assert {rung["epochs"] for rung in found.rungs} == {2}
    again = lessons.climb(wanted.replace(rungs=plan))
    assert different(found.weights, again.weights) == []


def test_a_rung_that_does_not_fit_is_left_out_by_name_and_the_head_stays(
    lessons: Lessons, head_only: Climbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder, "seconds_a_step", lambda *_, **__: 50.0)
    plans: list[tuple[str, ...]] = []
    found = lessons.climb(budget=scripted(lambda: 100.0), on_plan=plans.append)
    assert found.rungs == []
    assert found.told[-1] == (
        "The rung (last stage) would not fit into the budget; it is left out."
    )
    assert (found.learned.num_stages, found.learned.interrupted) == (0, False)
    assert different(found.weights, head_only.weights) == []
    assert plans == [("none",)]  # else a recipe that is run again would plan by the clock
    monkeypatch.undo()
    again = lessons.climb(CLIMB.replace(rungs=plans[0]), on_plan=plans.append)
    assert again.rungs == []
    assert different(again.weights, head_only.weights) == []
    assert plans[1] == ("none",)


def test_where_the_last_stage_alone_is_tried_for_want_of_time_that_is_said(
    lessons: Lessons, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it reads as if fine-tuning did not help here."""
    monkeypatch.setattr(plan, "LONG", 3)  # two stages come first

    def seconds(network: Network, *_: object, **__: object) -> float:
        return 50.0 if network.num_trainable_stages > 1 else 0.01

    monkeypatch.setattr(ladder, "seconds_a_step", seconds)
    found = lessons.climb(CLIMB.replace(epochs=1), budget=scripted(lambda: 100.0))
    assert [rung["stages"] for rung in found.rungs] == [1]
    said = (
        "The rung (last 2 stages) would not fit into the budget; the last stage alone is tried "
        "instead, and what more would bring is not known."
    )
    assert {"event": "note", "sentence": said} in found.timeless


@pytest.mark.parametrize(("rung", "noise", "told"), [("1:1:1", 0.5, 1), ("1:1:2", 0.5, 0)])
def test_augmentation_that_no_rung_learns_from_is_told(
    lessons: Lessons, rung: str, noise: float, told: int
) -> None:
    found = lessons.climb(CLIMB.replace(rungs=(rung,), noise=noise))
    said = [own["sentence"] for own in found.timeless if own["event"] == "note"]
    assert sum("the augmentation has no effect on it" in own for own in said) == told


def test_a_rung_whose_time_runs_out_is_undone_and_not_planned(
    lessons: Lessons, head_only: Climbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [100.0]
    real = ladder.rung_recipe

    def begun(recipe: Recipe, planned: ladder.PlannedRung) -> Recipe:
        left[0] = 0.0  # by the time that its first step is over
        return real(recipe, planned)

    monkeypatch.setattr(ladder, "rung_recipe", begun)
    plans: list[tuple[str, ...]] = []
    found = lessons.climb(budget=scripted(lambda: left[0]), on_plan=plans.append)
    (rung,) = found.rungs
    assert (rung["taken"], rung["why"]) == (False, "its time was up")
    assert plans == [("none",)]
    assert different(found.weights, head_only.weights) == []


@pytest.mark.usefixtures("narrow_crops")
@pytest.mark.parametrize(
    ("zoom", "views", "side"), [(0.15, 1, 6), (0.15, 2, 8), (0.0, 1, 8)], ids=str
)
def test_a_step_is_timed_as_it_will_run(
    lessons: Lessons, monkeypatch: pytest.MonkeyPatch, zoom: float, views: int, side: int
) -> None:
    sides = []

    def timed(_net: Network, inputs: Inputs, rows: np.ndarray, *, bf16: bool, **_: float) -> float:
        sides.append((inputs.batch(rows, epoch=0, step=0).shape[-1], bf16))
        return 1e-3

    monkeypatch.setattr(ladder, "seconds_a_step", timed)
    for precision in ("fp32", "bf16"):
        recipe = CLIMB.replace(epochs=2, zoom=zoom, precision=precision)
        monkeypatch.setattr(ladder, "next_rung", only_once(planned(views=views)))
        lessons.climb(recipe, budget=scripted(lambda: 1000.0))
    assert sides == [(side, False), (side, True)]


@pytest.mark.usefixtures("narrow_crops")
def test_what_is_judged_and_the_last_epoch_are_reckoned_whole_where_a_step_is_on_crops(
    lessons: Lessons, monkeypatch: pytest.MonkeyPatch
) -> None:
    reckoned = {}
    fitted_to = ladder.fitted_to

    def noted(wanted: PlannedRung, costs: Costs, seconds: float) -> PlannedRung | None:
        reckoned[zoom] = costs
        return fitted_to(wanted, costs, seconds)

    monkeypatch.setattr(ladder, "seconds_a_step", lambda *_, **__: 0.1)
    monkeypatch.setattr(ladder, "fitted_to", noted)
    for zoom in (0.0, 0.15):
        monkeypatch.setattr(ladder, "next_rung", only_once(planned(views=1)))
        lessons.climb(CLIMB.replace(epochs=2, zoom=zoom), budget=scripted(lambda: 1000.0))
    share, steps = (6 / 8) ** 2, steps_of(len(lessons.material.train_rows), CLIMB.batch_size)
    whole, cropped = reckoned[0.0], reckoned[0.15]
    judging = (whole.opening - 0.3) / 2
    last = 1.3 * steps * 0.1 * (1 / share - 1)
    assert cropped.opening == pytest.approx(0.3 + 2 * judging / share + last)
    assert cropped.epoch == pytest.approx(1.3 * (steps * 0.1 + judging / share))


def planned(*, views: int) -> PlannedRung:
    return PlannedRung(num_last=2, epochs=2, views=views)


def only_once(rung: PlannedRung) -> Callable[..., PlannedRung | None]:
    """Return what plans that rung first, and none after it."""
    return lambda _recipe, _num, standing, **_: None if standing.number else rung
