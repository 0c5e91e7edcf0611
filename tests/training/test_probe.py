"""The sample of a probe, and what a probe says of features."""

import math
from collections import Counter

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from saccade.data.task import Task
from saccade.evaluation.intervals import wilson
from saccade.models.engine import Engine
from saccade.training.probe import NotProbed, Sample, draw_sample, num_wanted, probe
from saccade.training.runner import plan_sample

THREE = Task(kind="multiclass", classes=("a", "b", "c"))
DIGITS = Task(kind="multiclass", classes=tuple("0123456789"))
TARGETS = np.repeat([0, 1, 2], [600, 300, 100])
ALONE = ("",) * len(TARGETS)
TRAIN = list(range(0, 1000, 2)) + list(range(1, 400, 2))


def drawn(num: int, *, seed: int = 0, groups: tuple[str, ...] = ALONE) -> Sample:
    found = draw_sample(TRAIN, TARGETS, groups, task=THREE, num=num, seed=seed)
    assert found is not None
    return found


# --- the sample -----------------------------------------------------------------------------------


def test_only_training_pictures_are_drawn_and_none_twice() -> None:
    sample = drawn(200)
    assert set(sample.rows) <= set(TRAIN)
    assert len(set(sample.rows)) == len(sample.rows) == 200


def test_every_class_has_its_share() -> None:
    whole = Counter(TARGETS[TRAIN].tolist())  # 500, 150, 50
    own = Counter(drawn(140).targets_N.tolist())
    assert {c: own[c] / 140 for c in own} == pytest.approx(
        {c: whole[c] / 700 for c in whole}, abs=0.01
    )


def test_the_targets_are_those_of_the_rows() -> None:
    sample = drawn(100)
    np.testing.assert_array_equal(sample.targets_N, TARGETS[list(sample.rows)])


def test_a_class_of_few_pictures_is_in_the_sample_all_the_same() -> None:
    targets = np.array([0] * 990 + [1] * 5 + [2] * 5)
    sample = draw_sample(range(1000), targets, ("",) * 1000, task=THREE, num=50, seed=0)
    assert sample is not None
    assert set(sample.targets_N.tolist()) == {0, 1, 2}


def test_every_fold_holds_its_share_of_every_class() -> None:
    sample = drawn(200)
    for label in range(3):
        sizes = np.bincount(sample.folds_N[sample.targets_N == label], minlength=5)
        assert sizes.max() - sizes.min() <= 2


def test_the_same_seed_gives_the_same_sample_and_another_seed_another() -> None:
    first, again, other = drawn(100), drawn(100), drawn(100, seed=1)
    assert first.rows == again.rows
    np.testing.assert_array_equal(first.folds_N, again.folds_N)
    assert first.rows != other.rows


def test_where_fewer_are_there_all_are_taken() -> None:
    assert drawn(5000).rows == tuple(sorted(TRAIN))


def test_a_group_is_taken_whole_and_lies_in_one_fold() -> None:
    groups = tuple(f"burst {row // 8}" for row in range(1000))
    sample = drawn(200, groups=groups)
    own = np.array(sample.groups)
    for name in set(sample.groups):
        rows = [row for row in TRAIN if groups[row] == name]
        assert set(rows) <= set(sample.rows)
        assert len(set(sample.folds_N[own == name].tolist())) == 1


def test_too_few_units_make_no_sample() -> None:
    groups = ("one video",) * 500 + ("another",) * 500
    assert draw_sample(TRAIN, TARGETS, groups, task=THREE, num=200, seed=0) is None
    assert draw_sample(TRAIN[:9], TARGETS, ALONE, task=THREE, num=200, seed=0) is None


def test_numeric_targets_are_spread_over_their_whole_range() -> None:
    targets = np.random.default_rng(0).exponential(size=1000)
    task = Task(kind="regression", classes=())
    sample = draw_sample(range(1000), targets, ALONE, task=task, num=100, seed=0)
    assert sample is not None
    tenths = np.quantile(targets, np.linspace(0, 1, 11)[1:-1])
    assert np.bincount(np.searchsorted(tenths, sample.targets_N)).tolist() == [10] * 10


def test_more_classes_need_more_pictures() -> None:
    assert num_wanted(THREE) == 500
    assert num_wanted(Task(kind="multiclass", classes=tuple(map(str, range(300))))) == 1500


# --- the probe ------------------------------------------------------------------------------------


class Rows:
    """A cache whose canvases are numbers, and an engine that takes them as features."""

    def __init__(self, table: np.ndarray) -> None:
        self.table = table

    def __len__(self) -> int:
        return len(self.table)

    def canvases(self, rows) -> np.ndarray:
        return self.table[np.asarray(rows)]


AS_IS = Engine(
    name="none", ask=lambda table: table.astype(np.float32), batch=32,
    notes=(), relative_error=0.0, seconds_to_open=0.0,
)  # fmt: skip


def sample_of(targets: np.ndarray, *, groups: tuple[str, ...] | None = None) -> Sample:
    num = len(targets)
    return Sample(
        rows=tuple(range(num)),
        targets_N=targets,
        groups=groups or ("",) * num,
        folds_N=np.arange(num) % 5,
    )


def test_the_score_is_that_of_cross_validation_by_scikit_learn() -> None:
    x, y = load_digits(return_X_y=True)
    x, y = x[:300], y[:300]
    found = probe(AS_IS, Rows(x), sample_of(y), task=DIGITS)
    standard = (x - x.mean(0)) / np.sqrt(x.var(0).mean())
    folds = PredefinedSplit(np.arange(300) % 5)
    each = [
        cross_val_predict(
            LogisticRegression(C=1 / (penalty * 240), max_iter=5000),
            standard, y, cv=folds, method="predict_proba",
        )
        for penalty in (0.01, 0.1, 1, 10)
    ]  # fmt: skip
    best = min(each, key=lambda answers: log_loss(y, answers))
    correct = round(found.score.value * 300)
    assert found.score_name == "accuracy"
    assert found.score.value == pytest.approx((best.argmax(1) == y).mean(), abs=0.007)
    assert found.score == wilson(correct, 300)
    assert found.losses_N.shape == (300,)
    assert found.images_per_second > 0


def test_features_that_know_nothing_score_no_better_than_guessing() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 60)
    found = probe(AS_IS, Rows(rng.normal(size=(180, 300))), sample_of(y), task=THREE)
    assert found.score.low < 1 / 3
    assert found.score.value < 0.5


def test_features_that_never_differ_are_no_fault() -> None:
    y = np.repeat([0, 1], [80, 40])
    task = Task(kind="binary", classes=("a", "b"))
    found = probe(AS_IS, Rows(np.ones((120, 7))), sample_of(y), task=task)
    assert found.score.value == pytest.approx(80 / 120)


def test_several_labels_are_judged_by_f1_and_numbers_by_their_error() -> None:
    x, y = load_digits(return_X_y=True)
    labels = np.stack([y % 2 == 0, y > 4], axis=1).astype(np.uint8)[:200]
    task = Task(kind="multilabel", classes=("even", "large"))
    found = probe(AS_IS, Rows(x[:200]), sample_of(labels), task=task)
    assert found.score_name == "f1_micro"
    assert found.score.low < found.score.value < found.score.high
    x, y = load_diabetes(return_X_y=True)
    task = Task(kind="regression", classes=(), target_mean=y.mean(), target_std=y.std())
    found = probe(AS_IS, Rows(x), sample_of(y), task=task)
    assert found.score_name == "negative_rmse"
    # scikit-learn's ridge has a cross-validated error of about 54.5 on these data
    assert found.score.value == pytest.approx(-54.7, abs=1)
    assert found.score.low < found.score.value < found.score.high < 0


def test_groups_make_the_interval_wider() -> None:
    x, y = load_digits(return_X_y=True)
    x, y = x[:200, :20], y[:200]
    alone = probe(AS_IS, Rows(x), sample_of(y), task=DIGITS).score
    groups = tuple(f"g{label}-{row % 2}" for row, label in enumerate(y))
    together = probe(AS_IS, Rows(x), sample_of(y, groups=groups), task=DIGITS).score
    assert together.value == alone.value
    assert together.high - together.low > alone.high - alone.low


def test_a_deadline_ends_a_probe() -> None:
    x, y = load_digits(return_X_y=True)
    with pytest.raises(NotProbed, match="its time was up"):
        probe(AS_IS, Rows(x[:200]), sample_of(y[:200]), task=DIGITS, deadline=0.0)


def test_features_that_are_not_finite_end_a_probe() -> None:
    x, y = load_digits(return_X_y=True)
    x = x[:200].copy()
    x[150, 3] = math.nan
    with pytest.raises(NotProbed, match="not finite"):
        probe(AS_IS, Rows(x), sample_of(y[:200]), task=DIGITS)


# --- the plan under a budget ----------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0.0, 3.0, 6.0, 15.0, 40.0, 1000.0])
def test_a_plan_never_takes_more_than_it_may(seconds: float) -> None:
    costs = [0.004, 0.01, 0.02, 0.05]
    count, num = plan_sample(costs, num=500, fewest=100, seconds=seconds)
    if count > 1:
        assert count + num * sum(costs[:count]) <= seconds + 1e-6
        assert 100 <= num <= 500
    else:
        assert num == 0


def test_more_networks_come_before_more_pictures() -> None:
    assert plan_sample([0.01, 0.03], num=500, fewest=100, seconds=6.5) == (2, 112)


def test_few_pictures_are_enough_where_there_are_no_more() -> None:
    assert plan_sample([0.01, 0.01], num=40, fewest=100, seconds=3.0) == (2, 40)


def test_large_groups_are_thinned_to_what_was_wanted_and_keep_their_fold() -> None:
    """Ten classes of five videos: whole ones would be many times the sample."""
    targets = np.repeat(np.arange(10), 2000)
    groups = tuple(f"video {row // 400}" for row in range(20_000))
    task = Task(kind="multiclass", classes=tuple("0123456789"))
    sample = draw_sample(range(20_000), targets, groups, task=task, num=500, seed=0)
    assert sample is not None
    assert len(sample.rows) <= 600
    assert set(sample.targets_N.tolist()) == set(range(10))
    own = np.array(sample.groups)
    for name in set(sample.groups):
        assert len(set(sample.folds_N[own == name].tolist())) == 1
