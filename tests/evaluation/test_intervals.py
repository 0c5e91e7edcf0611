import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from saccade.evaluation.intervals import (
    TAIL,
    grouped_ratio,
    grouping,
    mapped,
    proportion,
    undefined,
    wilson,
)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys_wilson_moved_out_to_its_exact_ends(pair: tuple[int, int]) -> None:
    correct, n = pair
    usual = stats.binomtest(correct, n).proportion_ci(method="wilson")
    exact = stats.binomtest(correct, n).proportion_ci(1 - 2 * TAIL, method="exact")
    found = wilson(correct, n)
    assert found.low == pytest.approx(min(usual.low, exact.low), abs=1e-9)
    assert found.high == pytest.approx(max(usual.high, exact.high), abs=1e-9)
    assert found.low <= found.value <= found.high
    assert found.low == pytest.approx(usual.low, abs=0.015 if correct > 2 and n >= 30 else 0.5)


def chances_of_counts(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return shares (S,) and the chance of each count of n at each, (S, n + 1)."""
    shares = np.concatenate([np.linspace(0.001, 0.5, 500), np.geomspace(1e-4, 0.02, 200)])
    shares = np.unique(np.concatenate([shares, 1 - shares]))
    return shares, stats.binom.pmf(np.arange(n + 1), n, shares[:, None])


def exact_coverage(n: int, ends: Sequence[tuple[float, float]]) -> np.ndarray:
    """Return how often intervals, one a count, hold each share: added up, not drawn."""
    shares, chances = chances_of_counts(n)
    low, high = np.array(ends).T
    inside = (low <= shares[:, None]) & (shares[:, None] <= high)
    return np.asarray((chances * inside).sum(axis=1))


@pytest.mark.parametrize("n", [24, 30, 40, 60, 100, 200, 500])
def test_every_share_lies_in_its_interval_in_93_of_100_parts(n: int) -> None:
    found = exact_coverage(n, [(own.low, own.high) for own in (wilson(k, n) for k in range(n + 1))])
    assert found.min() > 0.9295
    shares = chances_of_counts(n)[0]
    usual = found[(shares > 0.05) & (shares < 0.95)].mean()
    assert 0.945 < usual < (0.96 if n < 100 else 0.955)


@pytest.mark.parametrize("n", [24, 30, 100])
def test_wilsons_own_ends_lose_a_share_near_1_in_one_part_of_eight_negative_control(n: int) -> None:
    usual = [stats.binomtest(k, n).proportion_ci(method="wilson") for k in range(n + 1)]
    assert exact_coverage(n, [(own.low, own.high) for own in usual]).min() < 0.875


def test_wilson_agrees_with_newcombes_table() -> None:
    # R. G. Newcombe (1998), Stat. Med. 17: 857-872, table I, method 3
    table = {(81, 263): (0.2553, 0.3662), (15, 148): (0.0624, 0.1605), (0, 20): (0.0, 0.1611)}
    for (correct, n), (low, high) in {**table, (1, 29): (0.0061, 0.1718)}.items():
        found = wilson(correct, n)
        assert low - 0.006 < found.low <= low + 5e-5  # moved out, if at all
        assert round(found.high, 4) == high
    assert wilson(81, 263).low == pytest.approx(0.2553, abs=5e-5)
    assert wilson(1, 29).low == pytest.approx(1 - 0.96 ** (1 / 29))


def test_no_pictures_give_no_number() -> None:
    found = wilson(0, 0)
    assert math.isnan(found.value)
    assert found.method == "undefined: no pictures"
    assert str(undefined("never predicted", n=3)) == (
        "nan [nan, nan] (n=3, undefined: never predicted)"
    )


def test_fewer_degrees_of_freedom_widen_an_interval() -> None:
    plain = proportion(0.8, effective=50, n=50, method="m")
    wide = proportion(0.8, effective=50, n=50, method="m", freedom=3)
    assert wide.low < plain.low < plain.high < wide.high
    assert wilson(40, 50).low == plain.low


def test_an_interval_carried_over_keeps_its_order() -> None:
    jaccard = wilson(8, 10)
    f1 = mapped(jaccard, numerator=(0, 2), denominator=(1, 1))
    assert f1.value == pytest.approx(2 * 0.8 / 1.8)
    assert f1.low == pytest.approx(2 * jaccard.low / (1 + jaccard.low))
    assert f1.low < f1.value < f1.high


class TestGroups:
    def test_empty_names_stand_alone(self) -> None:
        kept = grouping(["a", "", "b", "a", ""], num_rows=5)
        assert kept.index.tolist() == [0, 1, 2, 0, 3]
        assert kept.count == 4
        assert kept.named

    def test_groups_of_one_are_no_groups(self) -> None:
        rows = np.array([1.0, 0.0, 1.0, 1.0])
        kept = grouping(["a", "b", "c", ""], num_rows=4)
        assert grouped_ratio(rows, np.ones(4), kept) == wilson(3, 4)

    def test_a_wrong_number_of_groups_is_refused(self) -> None:
        with pytest.raises(ValueError, match="1 groups for 2 rows"):
            grouping(["a"], num_rows=2)

    def test_ten_copies_of_each_picture_tell_no_more_than_one(self) -> None:
        rng = np.random.default_rng(0)
        hits = (rng.random(40) < 0.8).astype(float)
        copies, names = np.repeat(hits, 10), [str(i // 10) for i in range(400)]
        grouped = grouped_ratio(copies, np.ones(400), grouping(names, num_rows=400))
        naive, honest = wilson(round(copies.sum()), 400), wilson(round(hits.sum()), 40)
        assert grouped.method == "wilson-jackknife of 40 groups"
        assert grouped.n == 400
        assert grouped.high - grouped.low > 2.5 * (naive.high - naive.low)
        assert grouped.high - grouped.low == pytest.approx(honest.high - honest.low, rel=0.08)

    def test_groups_that_all_agree_count_as_so_many_trials(self) -> None:
        found = grouped_ratio(
            np.ones(100), np.ones(100), grouping([str(i % 5) for i in range(100)], num_rows=100)
        )
        assert found.high == 1.0
        assert found.low < wilson(5, 5).low  # five groups, and Student's t with 4 degrees

    def test_intervals_of_clustered_samples_cover_the_truth(self) -> None:
        # 40 groups of 5 rows; each group's own accuracy is Beta(4, 1), so the true mean is 0.8
        rng = np.random.default_rng(1)
        names = [str(i // 5) for i in range(200)]
        covered = {"grouped": 0, "naive": 0}
        for _ in range(400):
            hits = (rng.random(200) < np.repeat(rng.beta(4, 1, size=40), 5)).astype(float)
            for key, own in (("grouped", names), ("naive", None)):
                one = grouped_ratio(hits, np.ones(200), grouping(own, num_rows=200))
                covered[key] += one.low <= 0.8 <= one.high
        assert covered["grouped"] >= 0.93 * 400
        assert covered["naive"] < 0.91 * 400  # the control: without groups it is too narrow
