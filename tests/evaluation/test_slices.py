"""Slices that are worse than the rest beyond chance, and none where there is nothing to find."""

import tracemalloc

import numpy as np
import pytest
from scipy import stats

from saccade.evaluation import slices as slicing
from saccade.evaluation.excess import design_effect, fisher_tail, rank_excess, ranks_of
from saccade.evaluation.intervals import wilson
from saccade.evaluation.slices import (
    ALPHA,
    Slice,
    WeakSpots,
    weak_slices,
)


def quarters(values: np.ndarray, about: str) -> list[Slice]:
    place = np.searchsorted(np.quantile(values, [0.25, 0.5, 0.75]), values)
    return [Slice(name=f"{about} {k}", about=about, members_N=place == k) for k in range(4)]


def random_slices(rng: np.random.Generator, n: int, num_properties: int = 8) -> list[Slice]:
    """Quarters of properties, some of which go together, as they do in pictures."""
    common = rng.normal(size=n)
    values = [common * (k % 3) + rng.normal(size=n) for k in range(num_properties)]
    return [one for k, own in enumerate(values) for one in quarters(own, f"p{k}")]


def search(
    losses: np.ndarray,
    slices: list[Slice],
    groups: list[str] | None = None,
    *,
    shares_right: bool = True,
) -> WeakSpots:
    return weak_slices(losses, slices, seed=0, groups=groups, shares_right=shares_right)


def planted(sizes: list[tuple[int, int]], about: str = "kind") -> tuple[np.ndarray, list[Slice]]:
    """Losses and slices of so many pictures, of which so many are wrong."""
    kind = np.repeat(np.arange(len(sizes)), [n for n, _ in sizes])
    losses = np.concatenate([np.arange(n) < wrong for n, wrong in sizes]) * 1.0
    kinds = range(len(sizes))
    return losses, [Slice(name=f"{about} {k}", about=about, members_N=kind == k) for k in kinds]


def two_properties(
    both: tuple[int, int], dark: tuple[int, int], small: tuple[int, int], others: tuple[int, int]
) -> tuple[np.ndarray, list[Slice]]:
    losses, (b, d, s, _) = planted([both, dark, small, others])
    return losses, [
        Slice(name="dark", about="light", members_N=b.members_N | d.members_N),
        Slice(name="small", about="size", members_N=b.members_N | s.members_N),
    ]


def copies(n: int, *pairs: tuple[int, int]) -> list[str]:
    """Names of groups, where so many pictures stand alone but for some pairs of copies."""
    names = [""] * n
    for k, pair in enumerate(pairs):
        for row in pair:
            names[row] = f"copy {k}"
    return names


def share_of_runs_with_a_claim(runs: int, n: int, *, grouped: bool = False) -> float:
    claims = 0
    for run in range(runs):
        rng = np.random.default_rng([run, n])
        if grouped:  # ten pictures a group, which are right or wrong together, and look alike
            group = np.repeat(np.arange(n // 10), 10)
            losses = (rng.random(n // 10) < 0.2)[group] * 1.0
            looks = [rng.normal(size=n // 10)[group] for _ in range(4)]
            slices = [one for k, own in enumerate(looks) for one in quarters(own, f"p{k}")]
            found = search(losses, slices, [str(own) for own in group])
        else:
            losses = (rng.random(n) < rng.uniform(0.05, 0.4)) * 1.0
            found = search(losses, random_slices(rng, n))
        claims += bool(found.weak)
    return claims / runs


def test_the_exact_tail_is_scipys_hypergeometric() -> None:
    rng = np.random.default_rng(0)
    total = rng.integers(20, 300, 200)
    drawn, marked = rng.integers(1, total), rng.integers(0, total + 1)
    hits = rng.hypergeometric(marked, total - marked, drawn)
    wanted = stats.hypergeom.sf(hits - 1, total, marked, drawn)
    assert fisher_tail(hits, drawn, marked, total) == pytest.approx(wanted, abs=1e-10)


def test_groups_that_are_all_alike_count_for_one_picture_each() -> None:
    group = np.repeat(np.arange(40), 10)
    inside, losses = group < 12, np.isin(group, [0, 1, 2, 3, 20, 30]) * 1.0
    effect = design_effect(losses, inside, group)
    assert effect == pytest.approx(10)
    counts = np.array([40, 120, 60, 400]) / effect
    wanted = stats.hypergeom.sf(3, 40, 6, 12)  # 4 of 12 groups, 6 of 40 in all
    assert fisher_tail(*counts[:, None]) == pytest.approx(wanted)
    assert design_effect(losses, inside, np.arange(400)) == 1  # single pictures
    assert design_effect(losses, np.arange(400) % 2 == 0, group) == 1  # half of every group


def test_the_rank_sum_is_scipys_mann_whitney() -> None:
    rng = np.random.default_rng(0)
    losses = rng.choice([0.0, 0.2, 0.5, 0.7, 1.3], 100)
    members = rng.random((20, 100)) < 0.3
    wanted = [
        stats.mannwhitneyu(
            losses[own], losses[~own], alternative="greater", method="asymptotic"
        ).pvalue
        for own in members
    ]
    ranks = ranks_of(losses)
    z = rank_excess(ranks, members @ ranks, members.sum(axis=1))
    assert stats.norm.sf(z) == pytest.approx(wanted)


def test_a_weak_slice_is_found_with_its_scores() -> None:
    rng = np.random.default_rng(1)
    slices = random_slices(rng, 300)
    worse = slices[9].members_N
    losses = (rng.random(300) < np.where(worse, 0.4, 0.08)) * 1.0
    found = search(losses, slices)
    assert found.weak[0].places == (9,)
    one = found.weak[0]
    assert one.inside == wilson(int((1 - losses)[worse].sum()), 75)
    assert one.outside == wilson(int((1 - losses)[~worse].sum()), 225)
    assert one.difference.low > 0
    assert one.p < one.p_corrected < ALPHA
    assert found.num_slices == 32


def test_two_properties_that_are_bad_together_alone_are_found_as_a_pair() -> None:
    rng = np.random.default_rng(2)
    dark, small = quarters(rng.normal(size=800), "light"), quarters(rng.normal(size=800), "size")
    both = dark[0].members_N & small[0].members_N
    losses = (rng.random(800) < np.where(both, 0.6, 0.05)) * 1.0
    found = search(losses, [*dark, *small])
    assert (0, 4) in [one.places for one in found.weak]
    assert found.num_pairs == 16


def test_a_pair_is_not_claimed_for_what_one_of_the_two_does_alone() -> None:
    rng = np.random.default_rng(3)
    dark, small = quarters(rng.normal(size=800), "light"), quarters(rng.normal(size=800), "size")
    losses = (rng.random(800) < np.where(dark[0].members_N, 0.5, 0.05)) * 1.0
    found = search(losses, [*dark, *small])
    assert [one.places for one in found.weak] == [(0,)]


def test_only_the_surest_are_described_and_all_are_counted() -> None:
    losses, slices = planted([(50, 45), (50, 30), (50, 40), (850, 20)])
    every = search(losses, slices)
    assert [one.places for one in every.weak] == [(0,), (2,), (1,)]
    first = weak_slices(losses, slices, seed=0, shares_right=True, most=2)
    assert first.weak == every.weak[:2]
    assert first.num_weak == every.num_weak == 3


def test_slices_of_few_pictures_are_not_tested() -> None:
    few = Slice(name="few", about="few", members_N=np.arange(100) < 9)
    most = Slice(name="most", about="most", members_N=np.arange(100) < 91)
    losses = (np.arange(100) < 9) * 1.0
    found = search(losses, [few, most])
    assert (found.num_slices, found.weak) == (0, ())


def test_where_nothing_is_wrong_nothing_is_claimed() -> None:
    slices = random_slices(np.random.default_rng(0), 100)
    assert search(np.zeros(100), slices).weak == ()
    assert search(np.ones(100), slices).weak == ()
    assert search(np.zeros(0), []) == WeakSpots(weak=(), num_weak=0, num_slices=0, num_pairs=0, n=0)


def test_larger_errors_of_a_number_are_found_too() -> None:
    rng = np.random.default_rng(4)
    slices = random_slices(rng, 200)
    losses = np.abs(rng.normal(size=200)) * np.where(slices[3].members_N, 3, 1)
    found = search(losses, slices, shares_right=False)
    assert found.weak[0].places == (3,)
    assert found.weak[0].inside.value == pytest.approx(losses[slices[3].members_N].mean())
    assert found.weak[0].difference.low > 0


def test_a_group_is_found_and_a_property_of_one_group_is_not() -> None:
    rng = np.random.default_rng(5)
    group = np.repeat(np.arange(30), 10)
    losses = (rng.random(300) < 0.1) * 1.0
    losses[:10] = 1  # one patient's pictures are all wrong, and all of them dark
    dark = Slice(name="dark", about="light", members_N=group < 2)
    own = Slice(name="group 0", about="group", members_N=group == 0, is_group=True)
    found = search(losses, [dark, own], [str(one) for one in group])
    assert [one.places for one in found.weak] == [(1,)]
    # negative control: pictures of one patient taken for independent ones
    assert len(search(losses, [dark, own]).weak) == 2


def test_one_pair_of_copies_does_not_hide_a_weak_spot() -> None:
    losses, slices = planted([(12, 7)] + [(15, 1)] * 20 + [(11, 1)] * 8)
    alone = search(losses, slices).weak
    assert [one.places for one in alone] == [(0,)]
    for pair in ((350, 351), (0, 1), (11, 12), (5, 399)):  # outside, inside, and across the border
        found = search(losses, slices, copies(400, pair)).weak
        assert [one.places for one in found] == [(0,)]
        assert found[0].p_corrected < 100 * alone[0].p_corrected


def test_one_pair_of_copies_does_not_hide_a_weak_class_of_a_thousand() -> None:
    losses, slices = planted([(10, 10)] + [(10, 1)] * 999)
    found = search(losses, slices, copies(10_000, (500, 501))).weak
    assert [one.places for one in found] == [(0,)]
    assert found[0].p_corrected < 1e-5


def test_pairs_of_slices_are_tested_where_there_are_groups_too() -> None:
    losses, slices = two_properties((60, 36), (200, 10), (200, 10), (540, 27))
    found = search(losses, slices, copies(1000, (900, 901)))
    assert (0, 1) in [one.places for one in found.weak]
    assert found.num_pairs == 1
    in_tens = [str(row // 10) for row in range(1000)]  # right or wrong together
    losses, slices = two_properties((20, 10), (200, 10), (200, 10), (580, 30))
    assert (0, 1) in [one.places for one in search(losses, slices).weak]  # as if independent
    assert (0, 1) not in [one.places for one in search(losses, slices, in_tens).weak]


def test_a_pair_that_is_better_than_all_other_pictures_is_not_claimed() -> None:
    losses, slices = two_properties((60, 24), (200, 4), (200, 4), (540, 380))
    assert [one.places for one in search(losses, slices).weak] == []
    losses, slices = two_properties((60, 24), (200, 4), (200, 4), (540, 11))
    pair = next(one for one in search(losses, slices).weak if one.places == (0, 1))
    assert pair.outside.value == pytest.approx(1 - 19 / 940)
    assert pair.difference.low > 0


def test_larger_ranks_of_smaller_errors_are_not_claimed() -> None:
    losses = np.repeat([1.0, 0.5, 100.0], [40, 150, 10])
    own = Slice(name="own", about="own", members_N=np.arange(200) < 40)
    ranks_higher = stats.mannwhitneyu(losses[:40], losses[40:], alternative="greater")
    assert ranks_higher.pvalue < 1e-20
    assert search(losses, [own], shares_right=False).weak == ()


def test_mean_losses_of_0_and_1_are_not_shares_of_right_answers() -> None:
    losses, slices = planted([(20, 16), (80, 0)])
    one = search(losses, slices, shares_right=False).weak[0]
    assert (one.inside, one.outside) == (wilson(16, 20), wilson(0, 80))
    assert one.difference.value == pytest.approx(0.8)
    right = search(losses, slices).weak[0]
    assert (right.inside, right.outside) == (wilson(4, 20), wilson(80, 80))
    assert right.difference.value == pytest.approx(0.8)


def test_a_large_slice_is_not_claimed_for_a_few_lucky_groups_outside() -> None:
    group = np.repeat(np.arange(200), 10)
    losses = ((group % 9 == 0) & (group < 180)) * 1.0  # of 20 groups outside none is wrong
    most = Slice(name="most", about="most", members_N=group < 180)
    assert stats.hypergeom.sf(19, 200, 20, 180) > 0.1  # and by chance they are that often
    assert search(losses, [most], [str(own) for own in group]).weak == ()


def test_pairs_of_a_thousand_classes_take_neither_time_nor_memory() -> None:
    rng = np.random.default_rng(0)
    kinds = np.arange(50_000) % 1000
    slices = [Slice(name=str(k), about="class", members_N=kinds == k) for k in range(1000)]
    for k in range(7):
        slices += quarters(rng.normal(size=50_000), f"p{k}")
    tracemalloc.start()
    found = search((rng.random(50_000) < 0.2) * 1.0, slices)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.num_pairs > 20_000
    assert peak < 200e6


def test_on_random_answers_a_slice_is_claimed_in_one_run_of_twenty_at_most() -> None:
    assert share_of_runs_with_a_claim(120, 200) <= ALPHA


def test_without_the_correction_slices_are_claimed_at_random_negative_control(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slicing, "holm", lambda p_M: p_M)
    assert share_of_runs_with_a_claim(30, 200) > 0.5


def share_of_grouped_runs_with_a_claim(likeness: float, within: str, *, runs: int) -> float:
    """Groups of 1 to 30 pictures, cut into slices by group, by visit (3 a group) or by picture."""
    claims = 0
    for run in range(runs):
        rng = np.random.default_rng([run, 7])
        sizes = rng.choice([1, 1, 1, 2, 3, 5, 10, 30], 60)
        group = np.repeat(np.arange(60), sizes)
        n = len(group)
        visit = group * 3 + rng.integers(0, 3, n)
        unit = {"group": group, "visit": visit, "picture": np.arange(n)}[within]
        together = rng.random(n) < likeness
        same = visit if within == "visit" else group
        losses = np.where(together, (rng.random(180) < 0.2)[same], rng.random(n) < 0.2) * 1.0
        looks = [rng.normal(size=max(n, 180))[unit] for _ in range(6)]
        slices = [one for k, own in enumerate(looks) for one in quarters(own, f"p{k}")]
        most = np.quantile(looks[0], 0.15) < looks[0]  # a large slice, and few groups outside
        slices.append(Slice(name="most", about="most", members_N=most))
        claims += bool(search(losses, slices, [str(own) for own in group]).weak)
    return claims / runs


def test_in_groups_of_all_sizes_a_slice_is_claimed_in_one_run_of_twenty_at_most() -> None:
    assert share_of_grouped_runs_with_a_claim(1.0, "group", runs=40) <= ALPHA


def test_without_the_design_effect_groups_are_claimed_at_random_negative_control(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slicing, "design_effect", lambda *_: 1.0)
    assert share_of_grouped_runs_with_a_claim(1.0, "group", runs=10) > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("within", ["group", "visit", "picture"])
@pytest.mark.parametrize("likeness", [0.3, 1.0])
def test_in_groups_claims_are_rare_however_they_lie_in_slices(likeness: float, within: str) -> None:
    assert share_of_grouped_runs_with_a_claim(likeness, within, runs=300) <= ALPHA


@pytest.mark.slow
@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("n", [60, 100, 200, 1000])
def test_on_random_answers_claims_are_rare_at_every_size(n: int, grouped: bool) -> None:
    runs = 300 if grouped or n == 1000 else 1000
    share = share_of_runs_with_a_claim(runs, n, grouped=grouped)
    assert share <= ALPHA


def test_groups_taken_for_independent_pictures_are_claimed_at_random_negative_control() -> None:
    claims = 0
    for run in range(20):
        rng = np.random.default_rng(run)
        group = np.repeat(np.arange(20), 10)
        losses = (rng.random(20) < 0.2)[group] * 1.0
        slices = quarters(rng.normal(size=20)[group], "p")
        claims += bool(search(losses, slices).weak)
    assert claims > 10
