"""Scores as ratios of sums over pictures, against closed forms, scikit-learn and papers."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error

from saccade.data.task import Task
from saccade.evaluation.intervals import Estimate, Z, grouping, wilson
from saccade.evaluation.predictions import Predictions
from saccade.evaluation.scores import evaluate
from saccade.evaluation.significance import tango
from saccade.evaluation.tally import (
    Tally,
    answers_of,
    blank_answers,
    difference,
    mean_of,
    tally,
)

THREE = Task(kind="multiclass", classes=("a", "b", "c"))
TWO = Task(kind="binary", classes=("a", "b"))
LABELS = Task(kind="multilabel", classes=("x", "y", "z"))
NUMBERS = Task(kind="regression", classes=(), target_mean=10.0, target_std=2.0)


def alone(num: int):
    return grouping(None, num_rows=num)


def test_the_values_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth, said = rng.integers(3, size=(2, 90))
    assert tally(truth, said, THREE).value == pytest.approx(accuracy_score(truth, said))
    marks, given = rng.integers(2, size=(2, 90, 3)).astype(np.uint8)
    expected = f1_score(marks, given, average="micro")
    assert tally(marks, given, LABELS).value == pytest.approx(expected)
    one, other = rng.normal(size=(2, 90))
    assert tally(one, other, NUMBERS).value == pytest.approx(mean_absolute_error(one, other))


def test_logits_become_the_answers_of_the_task() -> None:
    assert answers_of(np.array([[0.0, 2.0, 1.0]]), THREE).tolist() == [1]
    assert answers_of(np.array([[-0.1], [0.1]]), TWO).tolist() == [0, 1]
    assert answers_of(np.array([[-1.0, 3.0, 0.5]]), LABELS).tolist() == [[0, 1, 1]]
    assert answers_of(np.array([[1.5]]), NUMBERS).tolist() == [13.0]


@pytest.mark.parametrize("task", [THREE, TWO, LABELS, NUMBERS])
def test_blank_answers_have_the_form_of_answers(task: Task) -> None:
    blank, real = blank_answers(task, 4), answers_of(np.zeros((4, task.num_outputs)), task)
    assert (blank.shape, blank.dtype) == (real.shape, real.dtype)


def test_right_and_wrong_answers_have_wilson_s_interval() -> None:
    truth = np.zeros(50, np.int64)
    said = (np.arange(50) < 8).astype(np.int64)
    assert tally(truth, said, TWO).estimate(alone(50), seed=0) == wilson(42, 50)


def test_the_mean_of_two_networks_is_thought_no_surer_than_one_network_on_as_many_pictures() -> (
    None
):
    truth = np.zeros(200, np.int64)
    one = (np.arange(200) % 10 == 0).astype(np.int64)
    other = (np.arange(200) % 10 == 1).astype(np.int64)
    found = mean_of([tally(truth, said, TWO) for said in (one, other)]).estimate(alone(200), seed=0)
    plain = wilson(180, 200)
    assert (found.value, found.low, found.high) == (plain.value, plain.low, plain.high)


def test_groups_widen_the_interval() -> None:
    truth = np.zeros(120, np.int64)
    said = np.repeat((np.arange(12) < 3).astype(np.int64), 10)
    own = tally(truth, said, TWO)
    names = [f"video {row // 10}" for row in range(120)]
    free, kept = (
        own.estimate(alone(120), seed=0),
        own.estimate(grouping(names, num_rows=120), seed=0),
    )
    assert kept.high - kept.low > 1.5 * (free.high - free.low)


@pytest.mark.parametrize(("task", "most"), [(TWO, 0.8), (LABELS, 2 * 0.8 / (1 + 0.8))])
def test_one_mistake_in_one_group_shows_little_of_the_others(task: Task, most: float) -> None:
    """Ten groups of 40; of the mean of two networks, and of sets of labels (F1 of a Jaccard)."""
    names = [f"video {row // 40}" for row in range(400)]
    truth = np.ones((400, 3), np.uint8) if task is LABELS else np.ones(400, np.int64)
    said, kept = truth.copy(), grouping(names, num_rows=400)
    said[0] = 0
    own = mean_of([tally(truth, truth, task), tally(truth, said, task)])
    assert own.estimate(kept, seed=0).low < most  # once 0.991
    right = tally(truth, truth, task)
    assert mean_of([right, right]).estimate(kept, seed=0).low < most


@pytest.mark.parametrize("groups", [None, [str(row // 3) for row in range(90)]])
@pytest.mark.parametrize("task", [THREE, LABELS, NUMBERS], ids=lambda task: task.kind)
def test_the_interval_is_that_of_the_same_score_among_all_metrics(
    task: Task, groups: list[str] | None
) -> None:
    rng, nothing = np.random.default_rng(3), ("",) * 90
    truth = {
        "multiclass": rng.integers(3, size=90),
        "multilabel": rng.integers(2, size=(90, 3)).astype(np.uint8),
        "regression": rng.normal(size=90),
    }[task.kind]
    rows = Predictions(
        task=task,
        paths=nothing,
        hashes=nothing,
        parts=("test",) * 90,
        truth=truth,
        scores=rng.random((90, max(len(task.classes), 1))),
    )
    own = tally(truth, rows.predicted, task)
    found = evaluate(rows, seed=5, groups=groups)["test"][own.name]
    assert own.estimate(grouping(groups, num_rows=90), seed=5) == found


def test_few_pictures_with_rare_labels_are_covered() -> None:
    """Labels of 5 % that hardly stand out; the true F1 is that of normal distributions."""
    prior, signal, rng = 0.05, 1.5, np.random.default_rng(0)
    threshold = signal / 2 - np.log(prior / (1 - prior)) / signal
    recall, false = stats.norm.sf(threshold - signal), stats.norm.sf(threshold)
    true = 2 * prior * recall / (prior * (1 + recall) + (1 - prior) * false)
    held = []
    for _ in range(300):
        marks = (rng.random((30, 10)) < prior).astype(np.uint8)
        said = (rng.normal(size=(30, 10)) + signal * marks > threshold).astype(np.uint8)
        found = tally(marks, said, LABELS).estimate(alone(30), seed=0)
        held.append(found.low <= true <= found.high)
    assert np.mean(held) > 0.93  # once 77 %


def test_the_difference_of_errors_is_the_paired_t_test() -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(size=80)
    one, other = truth + rng.normal(size=80), truth + rng.normal(size=80) * 0.6
    found = difference(tally(truth, one, NUMBERS), tally(truth, other, NUMBERS), alone(80))
    oracle = stats.ttest_rel(np.abs(one - truth), np.abs(other - truth)).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((oracle.low, oracle.high), rel=1e-6)


def test_two_that_never_differ_are_not_surely_equal_everywhere() -> None:
    right = tally(np.zeros(20, np.int64), np.zeros(20, np.int64), TWO)
    found = difference(right, right, alone(20))
    assert found.value == 0
    assert found.high == pytest.approx(Z**2 / (20 + Z**2))  # Wilson's end of none in 20


def wrong_at(num: int, of: int) -> Tally:
    """Return answers of which the first few are wrong."""
    return tally(np.zeros(of, np.int64), (np.arange(of) < num).astype(np.int64), TWO)


@pytest.mark.parametrize(("lost", "won", "n"), [(0, 0, 30), (2, 0, 30), (5, 3, 100)])
def test_the_difference_of_right_answers_is_tangos(lost: int, won: int, n: int) -> None:
    first, second = wrong_at(lost, n), wrong_at(won, n).take(np.arange(n)[::-1])
    low, high = map(float, tango(won, lost, n))  # that of second - first
    found = difference(second, first, alone(n))
    assert (found.value, found.low, found.high) == pytest.approx(((lost - won) / n, low, high))
    assert found.method == "tango"


@pytest.mark.parametrize(("n", "drop"), [(30, 0.05), (40, 0.0375), (100, 0.015)])
def test_a_small_drop_is_covered(n: int, drop: float) -> None:
    """Added up from the binomial distribution: every answer that differs is one that is lost."""
    held = 0.0
    for lost in range(12):
        found = difference(wrong_at(lost, n), wrong_at(0, n), alone(n))
        held += stats.binom.pmf(lost, n, drop) * (found.low <= -drop <= found.high)
    assert held > 0.95  # once 79 %


def test_with_groups_as_much_as_half_a_group_may_differ_elsewhere() -> None:
    """One patient in ten loses half of his answers; a third of such samples have none."""
    rng, held = np.random.default_rng(0), 0
    kept, truth = grouping([str(row // 20) for row in range(200)], num_rows=200), np.zeros(200, int)
    for _ in range(200):
        lost = rng.random(200) < np.repeat(np.where(rng.random(10) < 0.1, 0.5, 0), 20)
        found = difference(tally(truth, lost.astype(int), TWO), tally(truth, truth, TWO), kept)
        held += found.low <= -0.05 <= found.high
    assert held >= 0.95 * 200  # once 65 %


def test_errors_that_all_change_alike_have_no_interval() -> None:
    first, second = (tally(np.arange(3.0), np.arange(3.0) + off, NUMBERS) for off in (4, 2))
    for one, other, value in ((first, second, 2.0), (first, first, 0.0)):
        found = difference(one, other, alone(3))
        assert found.value == value
        assert np.isnan([found.low, found.high]).all()
        assert found.method == "no interval: all differences are equal"


def test_without_pictures_there_is_no_score() -> None:
    nothing = tally(np.zeros(0, np.int64), np.zeros(0, np.int64), TWO)
    found = nothing.estimate(alone(0), seed=0)
    assert isinstance(found, Estimate)
    assert found.method == "undefined: no pictures"


def test_a_difference_of_shares_lies_between_minus_one_and_one() -> None:
    """Of two groups Student's t reaches far beyond."""
    own = grouping(["a"] * 100 + ["b"] * 100, num_rows=200)
    before = tally(np.ones(200, int), np.ones(200, int), TWO)
    after = tally(np.ones(200, int), np.repeat([0, 1], [5, 195]), TWO)
    found = difference(after, before, own)
    assert (found.value, found.low, found.high) == (-0.025, -1.0, 1.0)


@pytest.mark.parametrize("task", [TWO, Task(kind="multilabel", classes=("a", "b"))])
def test_losses_of_pictures_add_up_to_the_score(task: Task) -> None:
    rng = np.random.default_rng(0)
    shape = (60, 2) if task.kind == "multilabel" else 60
    own = tally(rng.integers(0, 2, shape), rng.integers(0, 2, shape), task)
    assert own.losses_N.mean() == pytest.approx(1 - own.value)
