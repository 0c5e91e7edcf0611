"""The paired comparison: scipy's t test is the second source, simulation says how often it errs."""

import numpy as np
import pytest
from scipy import stats

from saccade.evaluation.comparison import SURE, paired_gain


def losses(n: int, *, gain: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return losses of two networks: skewed, and mostly common to both, as losses are."""
    rng = np.random.default_rng([seed, n])
    common = rng.exponential(0.5, n)
    return common + rng.normal(0, 0.1, n), common - gain + rng.normal(0, 0.1, n)


@pytest.mark.parametrize("n", [8, 25, 400])
@pytest.mark.parametrize("gain", [-0.05, 0.0, 0.05])
def test_the_interval_and_p_are_those_of_scipy(n: int, gain: float) -> None:
    first, second = losses(n, gain=gain)
    found = paired_gain(first, second)
    oracle = stats.ttest_rel(first, second, alternative="greater")
    both = stats.ttest_rel(first, second).confidence_interval(1 - 2 * (1 - SURE))
    assert found.n == n
    assert found.value == pytest.approx((first - second).mean())
    assert found.p == pytest.approx(oracle.pvalue)
    assert (found.low, found.high) == pytest.approx((both.low, both.high))
    assert found.helps == (oracle.pvalue < 1 - SURE)


def false_positives(difference_RN: np.ndarray) -> int:
    """Return in how many of R comparisons of N pictures a gain is claimed."""
    return sum(paired_gain(row, np.zeros(len(row))).helps for row in difference_RN)


@pytest.mark.parametrize("n", [8, 20, 100])
@pytest.mark.parametrize("shape", ["normal", "exchanged exponential"])
def test_without_a_gain_at_most_one_comparison_in_ten_claims_one(n: int, shape: str) -> None:
    rng = np.random.default_rng(n)
    num = 1000
    if shape == "normal":
        difference = rng.normal(0, 1, (num, n))
    else:  # two networks as good as each other: swapping them changes nothing
        difference = rng.exponential(1, (num, n)) - rng.exponential(1, (num, n))
    claimed = false_positives(difference)
    assert stats.binomtest(claimed, num, 1 - SURE, alternative="greater").pvalue > 0.001


def bursts(num_runs: int, *, num: int = 12, size: int = 8) -> tuple[np.ndarray, list[str]]:
    """Return differences without a gain whose pictures of one burst are nearly the same."""
    rng = np.random.default_rng(0)
    common = rng.normal(0, 1, (num_runs, num, 1))
    difference = (common + rng.normal(0, 0.2, (num_runs, num, size))).reshape(num_runs, -1)
    return difference, [f"burst {place // size}" for place in range(num * size)]


def test_pictures_of_one_group_are_not_counted_as_independent() -> None:
    difference_RN, groups = bursts(1000)
    nothing = np.zeros(len(groups))
    claimed = sum(paired_gain(row, nothing, groups=groups).helps for row in difference_RN)
    assert stats.binomtest(claimed, 1000, 1 - SURE, alternative="greater").pvalue > 0.001
    assert false_positives(difference_RN) > 250  # negative control: as if each were alone


def test_groups_of_one_picture_are_no_groups_and_equal_groups_count_by_their_means() -> None:
    first, second = losses(40, gain=0.05)
    alone = paired_gain(first, second, groups=[f"{place}" for place in range(40)])
    assert alone == paired_gain(first, second, groups=[""] * 40) == paired_gain(first, second)
    pairs = paired_gain(first, second, groups=[f"{place // 2}" for place in range(40)])
    means = [own.reshape(20, 2).mean(axis=1) for own in (first, second)]
    expected = paired_gain(*means)
    assert (pairs.low, pairs.high, pairs.p) == pytest.approx(
        (expected.low, expected.high, expected.p)
    )
    assert not paired_gain(np.ones(40), np.zeros(40), groups=["a"] * 20 + ["b"] * 20).helps


def test_not_paired_the_same_gain_would_be_missed_negative_control() -> None:
    first, second = losses(40, gain=0.1)
    assert paired_gain(first, second).helps
    assert not paired_gain(first, np.random.default_rng(0).permutation(second)).helps


def test_a_harm_to_few_pictures_can_be_overlooked_when_few_are_looked_at() -> None:
    """A rung that makes 20 pictures in 21 a little better and one much worse gains nothing.

    Where no such picture is among the n, nothing tells: (20/21)^n of the time at least.
    """
    rng = np.random.default_rng(0)
    rates = {}
    for n in (20, 400):
        harmed = rng.random((500, n)) < 1 / 21
        rates[n] = false_positives(np.where(harmed, -1.0, 0.05)) / 500
    assert rates[20] > (20 / 21) ** 20 - 0.05
    assert rates[400] < 0.2


@pytest.mark.parametrize("n", [0, 1, 7])
def test_with_fewer_than_eight_pictures_nothing_is_claimed(n: int) -> None:
    found = paired_gain(np.ones(n), np.zeros(n))
    assert not found.helps
    assert (found.low, found.high, found.p, found.n) == (-np.inf, np.inf, 1.0, n)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("whose", ["first", "second"])
def test_where_a_loss_is_not_finite_nothing_is_claimed(bad: float, whose: str) -> None:
    first, second = losses(20, gain=1.0)
    assert paired_gain(first, second).helps
    (first if whose == "first" else second)[3] = bad
    found = paired_gain(first, second)
    assert (found.helps, found.p) == (False, 1.0)


@pytest.mark.parametrize(
    ("difference", "helps", "p"), [(0.5, True, 0), (0, False, 1), (-0.5, False, 1)]
)
def test_equal_differences_need_no_interval(difference: float, helps: bool, p: float) -> None:
    found = paired_gain(np.full(10, 1.0), np.full(10, 1.0 - difference))
    assert (found.low, found.high, found.p) == (difference, difference, p)
    assert found.helps is helps
