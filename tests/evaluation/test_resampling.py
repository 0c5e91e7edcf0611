import time
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from scipy.sparse import csr_array

from saccade.evaluation import resampling
from saccade.evaluation.intervals import grouping, wilson
from saccade.evaluation.metrics import averaged
from saccade.evaluation.predictions import Predictions
from saccade.evaluation.resampling import (
    SPARE,
    _doubt,
    _ends,
    log_ratio_interval,
    mean_interval,
    resampled_counts,
)
from saccade.evaluation.scores import evaluate

Make = Callable[..., Predictions]


def test_resampled_counts_have_the_mean_and_spread_of_the_multinomial() -> None:
    # two classes, cells [[40, 10], [5, 45]]; without pseudo-counts hit_0 is Binomial(100, 0.4)
    units = np.array(
        [[1, 0, 1, 0, 1, 0, 1], [0, 0, 1, 0, 0, 1, 1], [0, 0, 0, 1, 1, 0, 1], [0, 1, 0, 1, 0, 1, 1]]
    )
    times = np.array([40, 10, 5, 45])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resampling, "PSEUDO_COUNT", 0.0)
        drawn = resampled_counts(
            csr_array(units),
            times,
            present=np.ones(2, bool),
            exclusive=True,
            rng=np.random.default_rng(0),
        )
    assert (drawn.total == 100).all()
    assert (drawn.true.sum(axis=1) == 100).all()
    assert drawn.hit[:, 0].mean() == pytest.approx(40, abs=0.4)
    assert drawn.hit[:, 0].std() == pytest.approx(np.sqrt(24), rel=0.06)
    accuracy = averaged(drawn)["recall_micro"]
    assert accuracy.std() == pytest.approx(np.sqrt(0.85 * 0.15 / 100), rel=0.06)


def _perfect_part() -> np.ndarray:
    units = csr_array(np.array([[1, 0, 1, 0, 1, 0, 1], [0, 1, 0, 1, 0, 1, 1]]))
    drawn = resampled_counts(
        units, np.array([10, 10]), present=np.ones(2, bool), exclusive=True, rng=_rng()
    )
    return averaged(drawn)["f1_macro"]


def test_resamples_of_a_part_without_mistakes_still_differ() -> None:
    assert np.std(_perfect_part()) > 0.01


def test_resamples_of_a_part_without_mistakes_negative_control(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resampling, "PSEUDO_COUNT", 0.0)
    assert np.std(_perfect_part()) == 0.0


def test_a_part_without_mistakes_is_not_certain(make_table: Make) -> None:
    found = evaluate(make_table("binary", [0, 1] * 10, np.eye(2)[[0, 1] * 10]))["test"]
    for name in ("accuracy", "f1_macro", "balanced_accuracy", "precision_macro", "roc_auc"):
        assert (found[name].value, found[name].high) == (1.0, 1.0)
        assert 0.7 < found[name].low < 0.93, name


def test_the_studentised_interval_of_normal_numbers_is_close_to_students() -> None:
    values = 10 + np.random.default_rng(0).normal(size=400)
    found = mean_interval(values, grouping=grouping(None, num_rows=400), seed=0)
    low, high = stats.t.interval(0.95, 399, values.mean(), stats.sem(values))
    assert found.low == pytest.approx(low, abs=0.02)
    assert found.high == pytest.approx(high, abs=0.02)
    assert found.method == "bootstrap-t"


def test_large_parts_use_students_quantiles() -> None:
    values = np.random.default_rng(0).uniform(size=6000)  # with lighter tails than a normal's
    found = mean_interval(values, grouping=grouping(None, num_rows=6000), seed=0)
    low, high = stats.t.interval(0.95, 5999, values.mean(), stats.sem(values))
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert found.method == "t"


def test_heavy_tails_widen_students_interval_by_what_the_variance_is_in_doubt() -> None:
    values = np.random.default_rng(0).exponential(size=6000)
    found = mean_interval(values, grouping=grouping(None, num_rows=6000), seed=0)
    low, high = stats.t.interval(0.95, 5999, values.mean(), stats.sem(values))
    kurtosis = stats.kurtosis(values, fisher=False)
    doubt = stats.t.ppf(0.975, 2 * 6000 / (kurtosis - 1)) / stats.t.ppf(0.975, 5999)
    assert (found.high - found.low) / (high - low) == pytest.approx(doubt)
    assert 1.0005 < doubt < 1.01


def test_one_outlier_leaves_the_variance_with_hardly_any_degrees_of_freedom() -> None:
    influence = np.zeros(30)
    influence[0] = 1.0  # the kurtosis is n, so 2 n / (n - 1) degrees
    assert _doubt(influence) == pytest.approx(stats.t.ppf(0.975, 60 / 29) / stats.t.ppf(0.975, 29))
    assert _doubt(np.tile([1.0, -1.0], 15)) == 1.0
    assert _doubt(np.random.default_rng(0).uniform(-1, 1, 300)) == 1.0


def test_the_tails_of_few_pictures_are_shorter_than_of_many() -> None:
    ratios = np.linspace(-1, 1, 20001)
    assert _ends(ratios, 30, 1.0)[1] == pytest.approx(1 - 2 * (0.025 - SPARE / 30), abs=1e-3)
    assert _ends(ratios, 10**6, 1.0)[1] == pytest.approx(0.95, abs=1e-3)
    assert _ends(ratios, 4, 1.0)[1] == pytest.approx(0.99, abs=1e-3)
    assert _ends(100 * ratios, 30, 1.5)[1] == pytest.approx(2 * stats.t.ppf(0.975, 29))


def test_skewed_losses_get_a_longer_upper_arm() -> None:
    values = np.random.default_rng(5).lognormal(size=40)
    found = mean_interval(values, grouping=grouping(None, num_rows=40), seed=0)
    assert found.high - found.value > 1.1 * (found.value - found.low)


def test_heavy_tails_cannot_throw_the_ends_out_of_all_proportion() -> None:
    truth = np.random.default_rng(0).normal(size=30)
    error = np.full(30, 1e-6)
    error[0] = 1e3
    kept = grouping(None, num_rows=30)
    found = log_ratio_interval(error, truth, grouping=kept, seed=0)
    assert np.isfinite([found.low, found.high]).all()
    assert found.low <= found.value <= found.high


@pytest.mark.parametrize(("n", "method"), [(1, "no interval: one picture")])
def test_one_error_has_no_interval(n: int, method: str) -> None:
    found = mean_interval(np.ones(n), grouping=grouping(None, num_rows=n), seed=0)
    assert found.value == 1.0
    assert np.isnan([found.low, found.high]).all()
    assert found.method == method


def test_one_group_has_no_interval() -> None:
    kept = grouping(["a", "a", "a"], num_rows=3)
    found = mean_interval(np.arange(3.0), grouping=kept, seed=0)
    assert found.method == "no interval: one group"


def test_of_equal_errors_nothing_is_known_but_that_they_are_equal() -> None:
    found = mean_interval(np.full(9, 2.0), grouping=grouping(None, num_rows=9), seed=0)
    assert found.value == 2.0
    assert np.isnan([found.low, found.high]).all()
    assert found.method == "no interval: all are equal"


@pytest.mark.parametrize("n", [2, 30])
def test_perfect_answers_have_no_interval_of_r2(n: int) -> None:
    """No error at all says nothing of how large the next one is; mae beside it has none either."""
    own = grouping(None, num_rows=n)
    found = log_ratio_interval(np.zeros(n), np.arange(float(n)), grouping=own, seed=0)
    assert found.value == 1
    assert np.isnan([found.low, found.high]).all()
    assert found.method == "no interval: no error at all"


def test_two_equal_errors_have_no_interval_of_r2() -> None:
    """Their share of the whole is that of their distances from the mean, so nothing varies."""
    own = grouping(None, num_rows=2)
    found = log_ratio_interval(np.array([0.1, -0.1]), np.array([1.0, 3.0]), grouping=own, seed=0)
    assert found.value == pytest.approx(0.99)
    assert np.isnan([found.low, found.high]).all()
    assert found.method == "no interval: all are equal"


@pytest.mark.parametrize(("n", "hits"), [(100, 1), (30, 1), (30, 29), (50, 2), (3, 2)])
def test_few_errors_of_one_size_are_as_uncertain_as_a_share_is(n: int, hits: int) -> None:
    """Resamples without any have no spread; left out, the interval once ended at the value."""
    values = (np.arange(n) < hits).astype(np.float64)
    found = mean_interval(values, grouping=grouping(None, num_rows=n), seed=0)
    known = wilson(hits, n)
    assert found.low < hits / n < found.high
    assert found.high > known.high - 0.35 * (known.high - known.value)
    assert found.low < known.low + 0.35 * (known.value - known.low)


@pytest.mark.slow
def test_rare_errors_of_one_size_are_covered() -> None:
    """As mistakes of integer answers, and shares of few labels, are."""
    held = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        values = (rng.random(50) < 0.05) / 3
        if not values.any():
            continue  # then nothing is said
        found = mean_interval(values, grouping=grouping(None, num_rows=50), seed=seed)
        held += found.low <= 0.05 / 3 <= found.high
    assert held > 0.85 * 400


def test_copies_kept_as_groups_are_as_uncertain_as_the_originals() -> None:
    values = np.random.default_rng(2).exponential(size=50)
    names = [str(i // 4) for i in range(200)]
    once = mean_interval(values, grouping=grouping(None, num_rows=50), seed=0)
    copies = mean_interval(np.repeat(values, 4), grouping=grouping(names, num_rows=200), seed=0)
    assert copies.high - copies.low == pytest.approx(once.high - once.low, rel=0.05)
    assert copies.method == "bootstrap-t of 50 groups"


@pytest.mark.parametrize(("n", "k", "seconds"), [(300, 5, 0.3), (10_000, 10, 3.0)])
def test_every_metric_of_a_table_takes_little_time(
    make_table: Make, n: int, k: int, seconds: float
) -> None:
    rng = np.random.default_rng(0)
    truth, scores = rng.integers(k, size=n), rng.dirichlet(np.ones(k), size=n)
    table = make_table("multiclass", truth, scores)
    evaluate(table)  # the first call loads what scipy loads late
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        evaluate(table)
        taken.append(time.perf_counter() - start)
    assert min(taken) < seconds


def _rng() -> np.random.Generator:
    return np.random.default_rng(7)
