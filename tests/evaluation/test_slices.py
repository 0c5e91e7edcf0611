"""Slices that are worse than the rest beyond chance, and none where there is nothing to find."""

import numpy as np
import pytest
from scipy import stats

from saccade.evaluation import slices as slicing
from saccade.evaluation.intervals import wilson
from saccade.evaluation.slices import (
    ALPHA,
    Slice,
    WeakSpots,
    _ranks,
    fisher_tail,
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


def search(losses: np.ndarray, slices: list[Slice], groups: list[str] | None = None) -> WeakSpots:
    return weak_slices(losses, slices, rng=np.random.default_rng(0), groups=groups)


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
    assert _ranks(losses, members)[0] == pytest.approx(wanted)


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
    assert search(np.zeros(0), []) == WeakSpots(weak=(), num_slices=0, num_pairs=0, n=0)


def test_larger_errors_of_a_number_are_found_too() -> None:
    rng = np.random.default_rng(4)
    slices = random_slices(rng, 200)
    losses = np.abs(rng.normal(size=200)) * np.where(slices[3].members_N, 3, 1)
    found = search(losses, slices)
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


def test_on_random_answers_a_slice_is_claimed_in_one_run_of_twenty_at_most() -> None:
    assert share_of_runs_with_a_claim(120, 200) <= ALPHA


def test_without_the_correction_slices_are_claimed_at_random_negative_control(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slicing, "holm", lambda p_M: p_M)
    assert share_of_runs_with_a_claim(30, 200) > 0.5


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
