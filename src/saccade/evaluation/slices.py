"""Where the answers are worse than elsewhere beyond chance: slices of the pictures, all tested."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array, triu
from scipy.special import ndtr, ndtri

from saccade.evaluation.excess import design_effect, fisher_tail, rank_excess, ranks_of
from saccade.evaluation.intervals import Estimate, Grouping, apart, grouped_ratio, grouping
from saccade.evaluation.resampling import mean_interval
from saccade.evaluation.significance import holm

ALPHA = 0.05  # the chance that a run claims any slice where there is none
FEWEST = 10  # pictures inside a slice and outside; the interval of 9 of 10 is 0.58 to 1.00
PAIR_SHARE = 0.2
"""Of ALPHA, for pairs of slices: there are many more of them, with fewer pictures in each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Some of the pictures, chosen by a property that has nothing to do with the answers."""

    name: str  # for a person: "the darkest quarter (brightness below 0.21)"
    about: str  # the property; two slices of one property are never combined
    members_N: np.ndarray  # bool
    is_group: bool = False  # it is one of the groups itself


@dataclass(frozen=True, slots=True, kw_only=True)
class WeakSlice:
    """A slice that is claimed to be worse than the other pictures.

    Scores are shares of right answers, or mean losses.
    """

    places: tuple[int, ...]  # among the slices that were given: one, or two that are combined
    inside: Estimate
    outside: Estimate
    difference: Estimate  # outside - inside of shares, inside - outside of losses: above 0 = worse
    p: float
    p_corrected: float  # below ALPHA


@dataclass(frozen=True, slots=True, kw_only=True)
class WeakSpots:
    """What came of testing all slices."""

    weak: tuple[WeakSlice, ...]  # by rising corrected p; the first of them, if so asked
    num_weak: int  # all of them
    num_slices: int  # large enough to be tested
    num_pairs: int
    n: int


def weak_slices(
    losses_N: np.ndarray,
    slices: Sequence[Slice],
    *,
    seed: int,
    shares_right: bool,
    groups: Sequence[str] | None = None,
    most: int | None = None,
) -> WeakSpots:
    """Return the slices whose losses are larger than those of all other pictures beyond chance.

    Losses of 0 and 1 are compared by the exact hypergeometric (Fisher's) test, one side; other
    losses by the rank sum, and a slice whose mean is not larger too is not claimed. Where groups
    are named, pictures count for as many as they are worth by `design_effect`: for one each where
    no group has two of them, and for one a group where those of a group are all alike. Only a
    group itself is compared as if its pictures were drawn from it one by one. p values are
    corrected over all slices by Holm's rule, which holds whatever the slices share, so that in at
    most ALPHA of all runs any slice is claimed where none is worse. Before that, slices are left
    out that could not be found even if every mistake lay in them: the sizes alone decide.

    Of pairs (dark *and* small) it is asked whether they are worse than the rest of *each* of the
    two, so that a pair is not claimed for what one of them does alone, and than all other pictures.
    Pairs have a fifth of ALPHA for themselves; only with losses of 0 and 1, and none with a group.

    Args:
        losses_N: one a picture; larger is worse.
        slices: which to test; those with fewer than FEWEST inside or outside are passed over.
        seed: for the intervals of means.
        shares_right: whether to describe by shares of right answers (the losses are 0 and 1),
            or else by mean losses.
        groups: a name a picture; pictures of one name are not independent. "" = alone.
        most: how many of the surest to describe, for intervals take time; None = all.

    Source: S. Holm (1979), Scand. J. Statist. 6: 65-70; R. E. Tarone (1990), Biometrics 46:
    515-522; the intersection of several tests: R. L. Berger (1982), Technometrics 24: 295-300.
    """
    losses = np.asarray(losses_N, np.float64)
    n = len(losses)
    kept = grouping(groups, num_rows=n)
    tested = [one for one in slices if FEWEST <= int(one.members_N.sum()) <= n - FEWEST]
    if not tested:
        return WeakSpots(weak=(), num_weak=0, num_slices=0, num_pairs=0, n=n)
    members_SN = _sparse([one.members_N for one in tested])
    binary, num_pairs = bool(np.isin(losses, (0.0, 1.0)).all()), 0
    found = _claimed_alone(losses, tested, members_SN, kept, binary=binary)
    if binary:
        claimed, num_pairs = _claimed_pairs(losses, tested, members_SN, kept)
        found += claimed
    found.sort(key=lambda claim: claim[:0:-1])  # by p corrected, then p
    weak = tuple(
        _described(losses, tested, claim, kept, seed, binary=binary, shares_right=shares_right)
        for claim in found[:most]
    )
    return WeakSpots(
        weak=weak, num_weak=len(found), num_slices=len(tested), num_pairs=num_pairs, n=n
    )


_Claim = tuple[tuple[int, ...], float, float]  # which of those tested, p, p corrected
_Sparse = Any  # scipy's sparse arrays carry no types


def _sparse(members: Sequence[np.ndarray]) -> _Sparse:
    """Return the pictures of every slice, (S, N) of 1; dense it takes 0.4 GB for 1,000 classes."""
    rows = [np.flatnonzero(own) for own in members]
    ends = np.cumsum([0, *map(len, rows)])
    indices = np.concatenate(rows)
    return csr_array((np.ones(len(indices)), indices, ends), shape=(len(rows), len(members[0])))


def _claimed_alone(
    losses: np.ndarray,
    tested: Sequence[Slice],
    members_SN: _Sparse,
    kept: Grouping,
    *,
    binary: bool,
) -> list[_Claim]:
    """Return the slices that are worse than all other pictures."""
    p_S, least_S = _fisher(losses, members_SN) if binary else _ranks(losses, members_SN)
    scores = losses if binary else ranks_of(losses)

    def in_groups(s: int) -> float:
        if tested[s].is_group:
            return 0.0
        return _grouped(p_S[s], scores, tested[s].members_N, kept.index, binary=binary)

    alpha = (1 - PAIR_SHARE) * ALPHA if binary else ALPHA
    again = in_groups if kept.named else None
    return [((s,), p, fixed) for s, p, fixed in _claims(p_S, least_S, alpha=alpha, again=again)]


def _claimed_pairs(
    losses: np.ndarray, tested: Sequence[Slice], members_SN: _Sparse, kept: Grouping
) -> tuple[list[_Claim], int]:
    """Return the pairs that are worse than either of the two alone, and how many were tested."""
    a, b, p_P, least_P = _pairs(losses, tested, members_SN)
    pairs = list(zip(a.tolist(), b.tolist(), strict=True))

    def in_groups(k: int) -> float:
        one, other = (tested[place].members_N for place in pairs[k])
        pools = (one, other, np.ones(len(losses), np.bool_))
        return max(
            _grouped(p_P[k], losses[pool], (one & other)[pool], kept.index[pool], binary=True)
            for pool in pools
        )

    again = in_groups if kept.named else None
    claims = _claims(p_P, least_P, alpha=PAIR_SHARE * ALPHA, again=again)
    return [(pairs[k], p, fixed) for k, p, fixed in claims], len(pairs)


def _grouped(
    p: float, scores: np.ndarray, inside: np.ndarray, groups: np.ndarray, *, binary: bool
) -> float:
    """Return the p of one slice, where pictures of one group count for fewer."""
    effect = design_effect(scores, inside, groups)
    if not binary:
        return float(ndtr(ndtri(p) / np.sqrt(effect)))
    counts = np.array([scores[inside].sum(), inside.sum(), scores.sum(), len(scores)])
    return float(fisher_tail(*(counts / effect)[:, None])[0])


def _fisher(losses: np.ndarray, members_SN: _Sparse) -> tuple[np.ndarray, np.ndarray]:
    """Return p of each slice, and the least p that its size allows."""
    drawn = members_SN.sum(axis=1)
    marked, total = np.full(len(drawn), losses.sum()), np.full(len(drawn), len(losses))
    least = fisher_tail(np.minimum(drawn, marked), drawn, marked, total)
    return fisher_tail(members_SN @ losses, drawn, marked, total), least


def _pairs(
    losses: np.ndarray, tested: Sequence[Slice], members_SN: _Sparse
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return both places of each pair of slices, its p, and the least p that its sizes allow."""
    sizes, wrong = members_SN.sum(axis=1), members_SN @ losses
    # the real part counts the pictures that two share, the other the wrong ones among them
    both = triu((members_SN * (1 + 1j * losses)[None]) @ members_SN.T, 1, format="coo")
    (a, b), drawn, hits = both.coords, both.data.real, both.data.imag
    codes = np.unique([one.about for one in tested], return_inverse=True)[1]
    group = np.array([one.is_group for one in tested])
    able = (codes[a] != codes[b]) & ~group[a] & ~group[b]
    able &= (drawn >= FEWEST) & (np.minimum(sizes[a], sizes[b]) - drawn >= FEWEST)
    a, b, drawn, hits = a[able], b[able], drawn[able], hits[able]
    p, least = np.zeros(len(a)), np.zeros(len(a))
    everywhere = np.full(len(a), losses.sum()), np.full(len(a), len(losses))
    for marked, total in ((wrong[a], sizes[a]), (wrong[b], sizes[b]), everywhere):
        p = np.maximum(p, fisher_tail(hits, drawn, marked, total))
        least = np.maximum(least, fisher_tail(np.minimum(drawn, marked), drawn, marked, total))
    return a, b, p, least


def _ranks(losses: np.ndarray, members_SN: _Sparse) -> tuple[np.ndarray, np.ndarray]:
    """Return p of the rank sum of each slice, one side (are its losses larger?), and zeros.

    p is 1 where the mean is not larger: ranks alone can be, with a few large losses outside.
    """
    drawn, ranks = members_SN.sum(axis=1), ranks_of(losses)
    p = ndtr(-rank_excess(ranks, members_SN @ ranks, drawn))
    worse = members_SN @ losses > drawn * losses.mean()
    return np.where(worse, p, 1.0), np.zeros(len(p))


def _claims(
    p_M: np.ndarray,
    least_M: np.ndarray,
    *,
    alpha: float,
    again: Callable[[int], float] | None = None,
) -> list[tuple[int, float, float]]:
    """Return those that hold against all others, with p, and p corrected and set against ALPHA.

    `again` gives p in groups. It is asked of the few that are claimed without: groups only raise
    a p, by which no other is claimed more easily.
    """
    order = np.sort(least_M)
    counts = np.arange(1, len(order) + 1)
    # the fewest k such that no more than k could have a p of alpha / k
    enough = counts[np.searchsorted(order, alpha / counts, side="right") <= counts]
    able = np.flatnonzero(least_M <= alpha / enough[0]) if len(enough) else counts[:0]
    p_A = p_M[able]

    def held() -> tuple[np.ndarray, np.ndarray]:
        corrected = np.asarray(holm(p_A.tolist())) * (ALPHA / alpha)
        return corrected, np.flatnonzero(corrected < ALPHA)

    corrected, claimed = held()
    if again is not None:
        p_A[claimed] = [max(p_A[k], again(int(able[k]))) for k in claimed]
        corrected, claimed = held()
    return [(int(able[k]), float(p_A[k]), float(corrected[k])) for k in claimed]


def _described(
    losses: np.ndarray,
    slices: Sequence[Slice],
    claim: _Claim,
    kept: Grouping,
    seed: int,
    *,
    binary: bool,
    shares_right: bool,
) -> WeakSlice:
    places, p, p_corrected = claim
    inside_N = np.logical_and.reduce([slices[place].members_N for place in places])
    ends = []
    for own in (inside_N, ~inside_N):
        if binary:
            hits = 1 - losses if shares_right else losses
            ends.append(grouped_ratio(hits * own, own.astype(np.float64), kept))
        else:
            ends.append(mean_interval(losses[own], grouping=kept.among(own), seed=seed))
    inside, outside = ends
    return WeakSlice(
        places=places,
        inside=inside,
        outside=outside,
        difference=apart(outside, inside) if shares_right else apart(inside, outside),
        p=p,
        p_corrected=p_corrected,
    )
