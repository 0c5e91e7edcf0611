"""Plans: what fits into the seconds, and that measuring a step leaves no trace."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.training.conftest import SMALL

from saccade.training.inputs import Pictures
from saccade.training.plan import (
    FEWEST_EPOCHS,
    Costs,
    PlannedRung,
    Work,
    depths,
    fitted_to,
    next_depth,
    read_rungs,
    seconds_a_step,
    usual_rung,
)
from saccade.training.recipe import Recipe

SECONDS = st.floats(0.001, 100)
COSTS = st.builds(Costs, view=SECONDS, epoch=SECONDS, opening=SECONDS)
RUNGS = st.builds(
    PlannedRung, num_last=st.integers(1, 20), epochs=st.integers(1, 50), views=st.integers(1, 8)
)


def cost(rung: PlannedRung, costs: Costs) -> float:
    return costs.opening + (rung.views - 1) * costs.view + rung.epochs * costs.epoch


@given(RUNGS, COSTS, st.floats(-10, 2000))
def test_what_is_planned_fits_into_the_seconds(
    wanted: PlannedRung, costs: Costs, seconds: float
) -> None:
    found = fitted_to(wanted, costs, seconds)
    if found is not None:
        assert cost(found, costs) <= seconds * (1 + 1e-9)
        assert found.num_last == wanted.num_last
        assert min(FEWEST_EPOCHS, wanted.epochs) <= found.epochs <= wanted.epochs
        assert 1 <= found.views <= wanted.views


@given(RUNGS, COSTS, st.floats(-10, 2000))
def test_what_is_left_out_would_not_fit_even_at_its_smallest(
    wanted: PlannedRung, costs: Costs, seconds: float
) -> None:
    if fitted_to(wanted, costs, seconds) is None:
        fewest = min(FEWEST_EPOCHS, wanted.epochs)
        smallest = PlannedRung(num_last=wanted.num_last, epochs=fewest, views=1)
        assert cost(smallest, costs) >= seconds * (1 - 1e-9)


@given(RUNGS, COSTS, st.floats(-10, 2000))
def test_one_epoch_more_would_not_fit_or_is_not_wanted(
    wanted: PlannedRung, costs: Costs, seconds: float
) -> None:
    found = fitted_to(wanted, costs, seconds)
    if found is not None and found.epochs < wanted.epochs:
        assert cost(found, costs) + costs.epoch >= seconds * (1 - 1e-9)


@given(RUNGS, COSTS)
def test_with_time_for_all_of_it_all_of_it_is_planned(wanted: PlannedRung, costs: Costs) -> None:
    assert fitted_to(wanted, costs, cost(wanted, costs) * 1.001 + 0.001) == wanted


def test_views_are_thinned_out_before_a_third_of_the_epochs_is() -> None:
    wanted = PlannedRung(num_last=1, epochs=6, views=4)
    costs = Costs(view=1.0, epoch=1.0, opening=0.0)
    found = {seconds: fitted_to(wanted, costs, seconds) for seconds in range(1, 10)}
    assert {seconds: rung and str(rung) for seconds, rung in found.items()} == {
        1: None, 2: "1:2:1", 3: "1:2:2", 4: "1:3:2", 5: "1:4:2", 6: "1:4:3", 7: "1:4:4",
        8: "1:5:4", 9: "1:6:4",
    }  # fmt: skip


def test_work_is_counted_as_torch_counts_flops_of_what_runs(lesson_for) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    from saccade.models.cuts import find_cut, passing_over
    from saccade.training.plan import work_of

    net, _ = lesson_for(SMALL.replace(widths=(8, 16, 16)))
    work = work_of(net.eval(), num_pictures=100, num_train=70, crops={})
    for depth, expected in enumerate(work.behind[:-1]):
        cut = find_cut(net, depth)
        assert cut is not None
        with FlopCounterMode(display=False) as counter, passing_over(cut), torch.no_grad():
            net(torch.zeros(1, *cut.shape))
        assert expected == counter.get_total_flops()
    assert work.before(()) == 100 * work.behind[-1]
    tried = read_rungs(["1:4:3", "2:5:1"])
    epochs = 3 * 70 * (4 * work.behind[1] + 5 * work.behind[2])
    assert work.before(tried) == (100 + 2 * 70) * work.behind[-1] + epochs


def test_a_rung_below_the_first_pass_costs_a_pass_of_its_own() -> None:
    work = Work(behind=(0.0, 1.0, 3.0, 5.0, 8.0, 20.0), num_pictures=100, num_train=70)
    two, four, every = read_rungs(["2:5:2", "4:5:2", "5:5:2"])
    assert work.of_rung(two) == 3 * 3.0 * 70 * 5
    assert work.of_rung(four) == 3 * 8.0 * 70 * 5 + 12.0 * (100 + 70)
    assert work.of_rung(every) == 3 * 20.0 * 70 * 5  # the whole network in every epoch
    assert work.before([two, four]) == 20.0 * 170 + work.of_rung(two) + work.of_rung(four)


def test_a_step_on_crops_is_counted_as_their_share_and_the_last_epoch_as_whole() -> None:
    work = Work(behind=(0.0, 1.0, 3.0, 8.0), num_pictures=100, num_train=70, crops={2: 0.5})
    one, two, viewed = read_rungs(["1:5:1", "2:5:1", "2:5:2"])
    assert work.of_rung(one) == 3 * 1.0 * 70 * 5
    assert work.of_rung(two) == 3 * 3.0 * 70 * (4 * 0.5 + 1)
    assert work.of_rung(viewed) == 3 * 3.0 * 70 * 5  # views are whole


@pytest.mark.parametrize("num_stages", range(40))
def test_depths_double_and_end_with_all(num_stages: int) -> None:
    found = depths(num_stages)
    assert found[-1:] == ((num_stages,) if num_stages else ())
    assert all(second <= 2 * first for first, second in itertools.pairwise(found))
    assert list(found) == sorted(set(found))
    assert len(found) <= math.log2(max(num_stages, 1)) + 2


@given(st.lists(RUNGS, max_size=5))
def test_a_plan_is_read_as_it_was_written(rungs: list[PlannedRung]) -> None:
    assert list(read_rungs([str(rung) for rung in rungs])) == rungs


@pytest.mark.parametrize(
    ("choices", "text"),
    [({}, "2:4:2"), ({"epochs": 3, "views": 5}, "2:3:5"), ({"augment": False}, "2:4:1")],
)
def test_without_a_budget_the_plan_follows_from_the_recipe(choices, text: str) -> None:
    assert str(usual_rung(Recipe(**choices), 2, crops=False)) == text


@pytest.mark.parametrize(
    ("choices", "text"),
    [({}, "2:6:1"), ({"epochs": 3}, "2:3:1"), ({"views": 2}, "2:4:2"), ({"views": 1}, "2:6:1")],
)
def test_on_crops_there_are_more_epochs_and_no_view_but_those_asked_for(choices, text: str) -> None:
    assert str(usual_rung(Recipe(**choices), 2, crops=True)) == text


@pytest.mark.parametrize(
    ("num_stages", "verdicts", "tried"),
    [
        (8, "+++", [2, 4, 8]),
        (5, "+++", [2, 4, 5]),
        (4, "++", [2, 4]),
        (8, "++-", [2, 4, 8]),
        (8, "+-", [2, 4]),
        (8, "-+", [2, 1]),
        (8, "--", [2, 1]),
        (3, "+++", [1, 2, 3]),
        (3, "-++", [1, 2, 3]),
        (3, "--", [1, 2]),
        (3, "+-", [1, 2]),
        (2, "-+", [1, 2]),
        (1, "-", [1]),
        (1, "+", [1]),
        (0, "", []),
    ],
)
def test_which_rung_comes_next_and_where_the_climb_ends(
    num_stages: int, verdicts: str, tried: list[int]
) -> None:
    found: list[int] = []
    taken = 0
    while depth := next_depth(num_stages, tried=found, taken=taken):
        taken = depth if verdicts[len(found)] == "+" else taken
        found.append(depth)
    assert found == tried


def test_where_two_stages_did_harm_the_last_alone_is_not_tried() -> None:
    assert next_depth(8, tried=[2], taken=0, harmed=True) is None
    assert next_depth(8, tried=[2], taken=0, harmed=False) == 1
    assert next_depth(3, tried=[1], taken=0, harmed=True) == 2  # it may have been too little room


def test_where_only_the_last_stage_fitted_nothing_is_left_after_it_failed() -> None:
    assert next_depth(8, tried=[1], taken=0) is None


def test_measuring_a_step_leaves_weights_statistics_and_gradients_as_they_were(lesson_for) -> None:
    net, material = lesson_for(SMALL.replace(drop=0.5))
    net.eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    inputs = Pictures(material.cache, SMALL, device="cpu")
    seconds = seconds_a_step(net, inputs, np.array(material.train_rows[:8]), bf16=False)
    assert 0 < seconds < 5
    assert [n for n, v in net.state_dict().items() if not torch.equal(v, before[n])] == []
    assert all(parameter.grad is None for parameter in net.parameters())
    assert not net.training


def test_a_step_does_move_the_statistics_negative_control(
    lesson_for, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, material = lesson_for(SMALL)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    monkeypatch.setattr(type(net), "load_state_dict", lambda _self, _state: None)
    inputs = Pictures(material.cache, SMALL, device="cpu")
    seconds_a_step(net, inputs, np.array(material.train_rows[:8]), bf16=False)
    changed = {n for n, v in net.state_dict().items() if not torch.equal(v, before[n])}
    assert any("running_mean" in name for name in changed)


def test_where_a_step_takes_too_long_it_is_timed_once(lesson_for) -> None:
    net, material = lesson_for(SMALL)
    calls = []

    class Counted(Pictures):
        def batch(self, rows: np.ndarray, *, epoch: int, step: int) -> torch.Tensor:
            calls.append(step)
            return super().batch(rows, epoch=epoch, step=step)

    inputs, rows = Counted(material.cache, SMALL, device="cpu"), np.array(material.train_rows[:8])
    assert seconds_a_step(net, inputs, rows, bf16=False, seconds=0.0) > 0
    assert calls == [0]
    seconds_a_step(net, inputs, rows, bf16=False)
    assert calls == [0, 0, 1, 2]
