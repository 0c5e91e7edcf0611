import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from saccade.evaluation.intervals import (
    TAIL,
    Estimate,
    apart,
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


def wilsons_own(correct: int, n: int) -> Estimate:
    """Return Wilson's interval as he has it, from scipy."""
    found = stats.binomtest(correct, n).proportion_ci(method="wilson")
    return Estimate(value=correct / n, low=found.low, high=found.high, n=n, method="wilson")


def exact_coverage(ends: Sequence[Estimate], shares: np.ndarray) -> np.ndarray:
    """Return how often intervals, one a count, hold each share: added up, not drawn."""
    n = len(ends) - 1
    chances = stats.binom.pmf(np.arange(n + 1), n, shares[:, None])
    low, high = np.array([(own.low, own.high) for own in ends]).T
    inside = (low <= shares[:, None]) & (shares[:, None] <= high)
    return np.asarray((chances * inside).sum(axis=1))


def least_coverage(ends: Sequence[Estimate]) -> float:
    """Return the least that any share has: at one side of an end, for it changes only there."""
    at = np.array([end for own in ends for end in (own.low, own.high) if 1e-6 < end < 1 - 1e-6])
    return float(exact_coverage(ends, np.concatenate([at - 1e-9, at + 1e-9])).min())


@pytest.mark.parametrize("n", [*range(5, 61), 100, 300])
def test_every_share_lies_in_its_interval_in_93_of_100_parts(n: int) -> None:
    assert least_coverage([wilson(k, n) for k in range(n + 1)]) > 0.93


@pytest.mark.parametrize(("n", "most"), [(30, 0.964), (100, 0.956), (300, 0.952)])
def test_on_average_they_are_little_wider_than_they_need_be(n: int, most: float) -> None:
    ends = [wilson(k, n) for k in range(n + 1)]
    assert 0.95 < exact_coverage(ends, np.linspace(0.02, 0.98, 300)).mean() < most


@pytest.mark.parametrize("n", [24, 30, 100])
def test_wilsons_own_ends_lose_a_share_near_1_in_one_part_of_eight_negative_control(n: int) -> None:
    assert least_coverage([wilsons_own(k, n) for k in range(n + 1)]) < 0.875


@pytest.mark.parametrize("right", [27, 29])
def test_a_pair_that_belongs_together_never_makes_an_interval_narrower(right: int) -> None:
    hits = np.array([1.0] * right + [0.0] * (30 - right))
    pair = grouping(["a", "a", *map(str, range(28))], num_rows=30)
    kept, plain = grouped_ratio(hits, np.ones(30), pair), wilson(right, 30)
    assert kept.low <= plain.low
    assert kept.high >= plain.high


def test_the_interval_of_a_difference_is_newcombes() -> None:
    # R. G. Newcombe (1998), Stat. Med. 17: 873-890, table II, method 10, (a): 56/70 - 48/80
    found = apart(wilsons_own(56, 70), wilsons_own(48, 80))
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)


def test_wilson_agrees_with_newcombes_table() -> None:
    # R. G. Newcombe (1998), Stat. Med. 17: 857-872, table I, method 3
    table = {(81, 263): (0.2553, 0.3662), (15, 148): (0.0624, 0.1605), (0, 20): (0.0, 0.1611)}
    for (correct, n), (low, high) in {**table, (1, 29): (0.0061, 0.1718)}.items():
        found = wilson(correct, n)
        assert low - 0.006 < found.low <= low + 5e-5  # moved out, if at all
        assert round(found.high, 4) == high
    assert wilson(81, 263).low == pytest.approx(0.2553, abs=5e-5)
    assert wilson(1, 29).low == pytest.approx(1 - (1 - TAIL) ** (1 / 29))


def test_no_pictures_give_no_number() -> None:
    found = wilson(0, 0)
    assert math.isnan(found.value)
    assert found.method == "undefined: no pictures"
    assert str(undefined("never predicted", n=3)) == (
        "– (no interval) (n=3, undefined: never predicted)"
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

    def test_one_more_mistake_does_not_make_an_interval_much_narrower(self) -> None:
        """Ten groups of 40: one mistake of 400 shows little of how alike a group's pictures are."""
        names, hits = [str(i // 40) for i in range(400)], np.ones(400)
        kept, lows = grouping(names, num_rows=400), []
        for mistakes in range(3):
            hits[:mistakes] = 0
            lows.append(grouped_ratio(hits, np.ones(400), kept).low)
        assert lows[0] == pytest.approx(0.640, abs=1e-3)
        assert max(lows) < 0.8  # once 0.983 with one mistake

    @pytest.mark.parametrize(
        ("num", "size", "rare", "bad"),
        [(10, 40, 0.1, 0.5), (20, 20, 0.05, 0.5), (40, 10, 0.05, 0.3)],
    )
    def test_rare_bad_groups_are_covered(
        self, num: int, size: int, rare: float, bad: float
    ) -> None:
        rng, held = np.random.default_rng(0), 0
        kept = grouping([str(i // size) for i in range(num * size)], num_rows=num * size)
        for _ in range(300):
            share = np.where(rng.random(num) < rare, bad, 0.997)
            hits = (rng.random(num * size) < np.repeat(share, size)).astype(float)
            found = grouped_ratio(hits, np.ones(num * size), kept)
            held += found.low <= (1 - rare) * 0.997 + rare * bad <= found.high
        assert held >= 0.95 * 300  # once 72 to 89 %

    def test_groups_without_a_trial_tell_nothing(self) -> None:
        """A class in 3 of 40 patients: as if the other 37 had not been there."""
        names = [f"patient {row // 5}" for row in range(200)]
        trials = (np.arange(200) < 15).astype(np.float64)
        hits = trials * (np.arange(200) % 4 > 0)
        found = grouped_ratio(hits, trials, grouping(names, num_rows=200))
        assert found.method == "wilson-jackknife of 3 groups"
        assert found == grouped_ratio(hits[:15], trials[:15], grouping(names[:15], num_rows=15))

    def test_trials_of_different_groups_are_independent(self) -> None:
        """One picture of the class in each patient."""
        trials = np.tile([1.0, 0.0, 0.0], 30)
        hits = trials * (np.arange(90) >= 9)
        kept = grouping([str(row // 3) for row in range(90)], num_rows=90)
        assert grouped_ratio(hits, trials, kept) == wilson(27, 30)

    @pytest.mark.parametrize("num", [2, 3, 5])
    def test_shares_of_few_groups_are_covered(self, num: int) -> None:
        """Of 40 groups of 20 only some have the class; each group's own share is Beta(2.8, 1.2)."""
        rng, held = np.random.default_rng(0), 0
        kept = grouping([str(row // 20) for row in range(800)], num_rows=800)
        trials = (np.arange(800) < 20 * num).astype(float)
        for _ in range(300):
            own = (rng.random(800) < np.repeat(rng.beta(2.8, 1.2, size=40), 20)) * trials
            found = grouped_ratio(own, trials, kept)
            held += found.low <= 0.7 <= found.high
        assert held >= 0.93 * 300  # once 77, 82 and 88 %

    def test_a_group_that_has_most_rows_decides_nearly_alone(self) -> None:
        """All right, 91 of 100 by one group: no more than a single trial or two are known."""
        names = ["one"] * 91 + list("abcdefghi")
        found = grouped_ratio(np.ones(100), np.ones(100), grouping(names, num_rows=100))
        assert found.low < wilson(2, 2).low


def test_an_estimate_can_be_taken_for_its_number() -> None:
    own = wilson(97, 100)
    assert float(own) == 0.97
    assert f"{own:.1f}" == "1.0"
    assert f"{own}" == str(own)
