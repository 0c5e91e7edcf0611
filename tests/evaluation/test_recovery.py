"""How much of a gain a simpler answer recovers."""

import numpy as np
import pytest
from scipy import stats

from saccade.evaluation.intervals import grouping
from saccade.evaluation.recovery import mean_gain, p_of_gain, recovered
from saccade.evaluation.tally import Tally, difference

EDGES = (0.3, 0.6, 0.9)


def test_the_gain_is_scipys_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random(50), rng.random(50) * 0.8
    alone = grouping(None, num_rows=50)
    found = mean_gain(first, second, alone)
    test = stats.ttest_rel(first, second, alternative="greater")
    both = stats.ttest_rel(first, second).confidence_interval(0.95)
    assert found.value == pytest.approx((first - second).mean())
    assert (found.low, found.high) == pytest.approx(tuple(both))
    assert p_of_gain(first, second, alone) == pytest.approx(test.pvalue)


def test_pictures_of_a_group_count_as_one() -> None:
    rng = np.random.default_rng(1)
    gains = rng.normal(0.1, 0.3, 20)
    group = np.repeat(np.arange(20), 10)
    kept = grouping([str(own) for own in group], num_rows=200)
    found = mean_gain(gains[group], np.zeros(200), kept)
    wanted = stats.ttest_1samp(gains, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(wanted))


def test_too_few_pictures_show_nothing() -> None:
    kept = grouping(None, num_rows=7)
    found = mean_gain(np.ones(7), np.zeros(7), kept)
    assert (found.value, p_of_gain(np.ones(7), np.zeros(7), kept)) == (1, 1)
    assert recovered(np.ones(7), np.zeros(7), np.zeros(7), kept).method.startswith("undefined")


def counted(hits_N: np.ndarray) -> Tally:
    return Tally(name="accuracy", hits_N=hits_N, trials_N=np.ones(len(hits_N)))


def test_answers_that_are_right_on_the_same_pictures_are_not_surely_alike() -> None:
    """As in the comparison of two accuracies."""
    wrong, kept = (np.arange(20) < 7) * 1.0, grouping(None, num_rows=20)
    found = mean_gain(wrong, wrong, kept)
    other = difference(counted(1 - wrong), counted(1 - wrong), kept)
    assert (found.low, found.high) == pytest.approx((other.low, other.high))
    assert found.low < 0 < found.high
    assert p_of_gain(wrong, wrong, kept) == 1


def test_all_right_beside_all_wrong_is_not_quite_certain() -> None:
    kept = grouping(None, num_rows=20)
    found = mean_gain(np.ones(20), np.zeros(20), kept)
    other = difference(counted(np.ones(20)), counted(np.zeros(20)), kept)
    assert (found.low, found.high) == pytest.approx((other.low, other.high))
    assert p_of_gain(np.ones(20), np.zeros(20), kept) == pytest.approx(0.5**20)
    share = recovered(np.ones(20), np.zeros(20), np.zeros(20), kept)
    reach = stats.t.ppf(0.975, 19) / 22  # half a picture
    assert (share.low, share.high) == pytest.approx((1 - reach, 1 + reach))


def test_where_all_differ_alike_nothing_is_claimed() -> None:
    kept, none = grouping(None, num_rows=20), np.zeros(20)
    assert np.isnan(mean_gain(np.full(20, 2.5), none, kept).low)
    assert p_of_gain(np.full(20, 2.5), none, kept) == 1


def test_p_of_right_and_wrong_answers_is_that_of_the_sign_test() -> None:
    first, second = np.zeros(100), np.zeros(100)
    first[:9], second[9:11] = 1, 1
    test = stats.binomtest(9, 11, alternative="greater")
    assert p_of_gain(first, second, grouping(None, num_rows=100)) == pytest.approx(test.pvalue)


def test_of_groups_that_never_differ_half_a_group_could() -> None:
    """Each group of ten is right or wrong as a whole; the second is better on one group of 50."""
    group = np.repeat(np.arange(20), 10)
    kept = grouping([str(own) for own in group], num_rows=200)
    rng, held = np.random.default_rng(0), 0
    for _ in range(300):
        better = (rng.random(20) < 0.02)[group]
        found = mean_gain(np.ones(200), 1.0 - better, kept)
        held += found.low <= 0.02 <= found.high
    assert held / 300 > 0.92


def test_the_share_is_the_ratio_of_the_gains() -> None:
    plain = np.array([1.0] * 80 + [0.0] * 20)
    simple = np.array([1.0] * 50 + [0.0] * 50)
    full = np.array([1.0] * 20 + [0.0] * 80)
    found = recovered(plain, simple, full, grouping(None, num_rows=100))
    assert found.value == pytest.approx(0.5)  # 0.3 of 0.6
    assert found.low < 0.5 < found.high


def test_where_the_full_answer_gains_nothing_there_is_no_share() -> None:
    rng = np.random.default_rng(2)
    plain = (rng.random(100) < 0.5) * 1.0
    found = recovered(plain, plain, plain[::-1].copy(), grouping(None, num_rows=100))
    assert found.method == "undefined: the full answer is not shown to gain anything"


def test_the_interval_of_the_share_holds_in_nineteen_of_twenty_samples() -> None:
    # P(U + N > e) of a uniform U and a normal N of spread 0.1: E[clip(1 - e + N, 0, 1)]
    part = [stats.norm.expect(lambda n, e=e: min(max(1 - e + n, 0), 1), scale=0.1) for e in EDGES]
    true_share = (part[0] - part[1]) / (part[0] - part[2])
    assert true_share == pytest.approx(0.507, abs=0.001)
    kept, held = grouping(None, num_rows=150), 0
    for run in range(400):
        rng = np.random.default_rng(run)
        hard = rng.random(150)  # what makes a picture hard is common to all three
        plain, simple, full = ((hard + rng.normal(0, 0.1, 150) > edge) * 1.0 for edge in EDGES)
        found = recovered(plain, simple, full, kept)
        held += found.low <= true_share <= found.high
    assert 0.92 <= held / 400 <= 0.98
