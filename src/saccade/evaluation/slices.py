"""Where the answers are worse than elsewhere beyond chance: slices of the pictures, all tested."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, ndtr

from saccade.evaluation.intervals import Estimate, Grouping, apart, grouped_ratio, grouping
from saccade.evaluation.resampling import mean_interval
from saccade.evaluation.significance import holm

ALPHA = 0.05  # the chance that a run claims any slice where there is none
FEWEST = 10  # pictures inside a slice and outside; the interval of 9 of 10 is 0.58 to 1.00
PAIR_SHARE = 0.2
"""Of ALPHA, for pairs of slices: there are many more of them, with fewer pictures in each."""
FLIPS = 19_999  # of the signs of groups: the smallest p is then 0.00005
_FLIP_CHUNK = 4_000_000  # numbers held at a time


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

    Scores are shares of right answers where the losses are 0 and 1, else mean losses.
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

    weak: tuple[WeakSlice, ...]  # by rising corrected p
    num_slices: int  # large enough to be tested
    num_pairs: int
    n: int


def weak_slices(
    losses_N: np.ndarray,
    slices: Sequence[Slice],
    *,
    rng: np.random.Generator,
    groups: Sequence[str] | None = None,
) -> WeakSpots:
    """Return the slices whose losses are larger than those of all other pictures beyond chance.

    Losses of 0 and 1 (right, wrong) are compared by the exact hypergeometric (Fisher's) test, one
    side; other losses by the rank sum. With groups both give way to a test in which the unit is
    the group: the signs of the groups' contributions are flipped at random; only a group itself
    is compared as if its pictures were drawn from it one by one. p values are corrected over all
    slices by Holm's rule, which holds whatever the slices share, so that in at most ALPHA of all
    runs any slice is claimed where none is worse. Before that, slices are left out that could not
    be found even if every mistake lay in them: the sizes alone decide.

    Of pairs (dark *and* small) it is asked whether they are worse than the rest of *each* of the
    two, so that a pair is not claimed for what one of them does alone. Pairs have a fifth of
    ALPHA for themselves; only with losses of 0 and 1, and without groups.

    Args:
        losses_N: one a picture; larger is worse.
        slices: which to test; those with fewer than FEWEST inside or outside are passed over.
        rng: for the signs and the intervals of means.
        groups: a name a picture; pictures of one name are not independent. "" = alone.

    Source: S. Holm (1979), Scand. J. Statist. 6: 65-70; R. E. Tarone (1990), Biometrics 46:
    515-522; signs: P. Kline, A. Santos (2012), J. Econometric Methods 1: 23-41; the intersection
    of two tests: R. L. Berger (1982), Technometrics 24: 295-300.
    """
    losses = np.asarray(losses_N, np.float64)
    n = len(losses)
    kept = grouping(groups, num_rows=n)
    tested = [one for one in slices if FEWEST <= int(one.members_N.sum()) <= n - FEWEST]
    members_SN = np.array([one.members_N for one in tested], np.bool_).reshape(len(tested), n)
    binary = bool(np.isin(losses, (0.0, 1.0)).all())
    in_pairs = binary and not kept.named
    p_S, least_S = _tests(losses, tested, members_SN, kept, rng, binary=binary)
    share = 1 - PAIR_SHARE if in_pairs else 1.0
    claims = _claims(p_S, least_S, alpha=share * ALPHA)
    found: list[_Claim] = [((s,), float(p_S[s]), corrected) for s, corrected in claims]
    num_pairs = 0
    if in_pairs:
        abouts = [one.about for one in tested]
        claimed, num_pairs = _claimed_pairs(losses, members_SN, abouts)
        found += claimed
    weak = [
        _described(losses, tested, own, p, corrected, kept, rng, binary=binary)
        for own, p, corrected in found
    ]
    weak.sort(key=lambda one: (one.p_corrected, one.p))
    return WeakSpots(weak=tuple(weak), num_slices=len(tested), num_pairs=num_pairs, n=n)


def _tests(
    losses: np.ndarray,
    tested: Sequence[Slice],
    members_SN: np.ndarray,
    kept: Grouping,
    rng: np.random.Generator,
    *,
    binary: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Return p of every slice alone, and the least that it could have been."""
    p_S, least_S = _fisher(losses, members_SN) if binary else _ranks(losses, members_SN)
    if not kept.named:
        return p_S, least_S
    is_group = np.array([one.is_group for one in tested], np.bool_)
    return np.where(is_group, p_S, _signs(losses, members_SN, kept, rng)), np.zeros(len(p_S))


_Claim = tuple[tuple[int, ...], float, float]  # which of those tested, p, p corrected


def _claimed_pairs(
    losses: np.ndarray, members_SN: np.ndarray, abouts: Sequence[str]
) -> tuple[list[_Claim], int]:
    """Return the pairs that are worse than either of the two alone, and how many were tested."""
    pairs, p_P, least_P = _pairs(losses, members_SN, abouts)
    claims = _claims(p_P, least_P, alpha=PAIR_SHARE * ALPHA)
    return [(pairs[k], float(p_P[k]), corrected) for k, corrected in claims], len(pairs)


def fisher_tail(
    hits: np.ndarray, drawn: np.ndarray, marked: np.ndarray, total: np.ndarray
) -> np.ndarray:
    """Return the chance of `hits` or more marked among `drawn` of `total`, `marked` in all.

    Fisher's exact test, one side; all arguments int (M,).

    Source: R. A. Fisher (1935), J. R. Stat. Soc. 98: 39-54.
    """
    most = int(np.minimum(drawn, marked).max(initial=0))
    x_MX = hits[:, None] + np.arange(most + 1)
    possible = (x_MX <= np.minimum(drawn, marked)[:, None]) & (
        x_MX >= (drawn + marked - total)[:, None]
    )
    x_MX = np.where(possible, x_MX, np.maximum(drawn + marked - total, 0)[:, None])
    logs = (
        _log_choose(marked[:, None], x_MX)
        + _log_choose((total - marked)[:, None], drawn[:, None] - x_MX)
        - _log_choose(total, drawn)[:, None]
    )
    tail: np.ndarray = np.minimum(np.where(possible, np.exp(logs), 0).sum(axis=1), 1.0)
    below = hits <= np.maximum(drawn + marked - total, 0)
    return np.where(below, 1.0, tail)


def _log_choose(n: np.ndarray, k: np.ndarray) -> np.ndarray:
    logs: np.ndarray = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return logs


def _fisher(losses: np.ndarray, members_SN: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return p of each slice, and the least p that its size allows."""
    drawn = members_SN.sum(axis=1)
    hits = np.rint(members_SN @ losses).astype(np.int64)
    marked = np.full(len(drawn), round(float(losses.sum())))
    total = np.full(len(drawn), len(losses))
    least = fisher_tail(np.minimum(drawn, marked), drawn, marked, total)
    return fisher_tail(hits, drawn, marked, total), least


def _pairs(
    losses: np.ndarray, members_SN: np.ndarray, abouts: Sequence[str]
) -> tuple[list[tuple[int, int]], np.ndarray, np.ndarray]:
    """Return pairs of slices, p of each, and the least p that its sizes allow."""
    as_float = members_SN.astype(np.float64)
    sizes_SS = np.rint(as_float @ as_float.T).astype(np.int64)
    wrong_SS = np.rint((as_float * losses) @ as_float.T).astype(np.int64)
    codes = np.unique(np.array(abouts, dtype=str), return_inverse=True)[1]
    a, b = np.triu_indices(len(abouts), 1)
    apart_from = np.minimum(sizes_SS[a, a], sizes_SS[b, b]) - sizes_SS[a, b]
    able = (codes[a] != codes[b]) & (sizes_SS[a, b] >= FEWEST) & (apart_from >= FEWEST)
    a, b = a[able], b[able]
    p, least = np.zeros(len(a)), np.zeros(len(a))
    drawn, hits = sizes_SS[a, b], wrong_SS[a, b]
    for parent in (a, b):
        marked, total = wrong_SS[parent, parent], sizes_SS[parent, parent]
        p = np.maximum(p, fisher_tail(hits, drawn, marked, total))
        least = np.maximum(least, fisher_tail(np.minimum(drawn, marked), drawn, marked, total))
    return list(zip(a.tolist(), b.tolist(), strict=True)), p, least


def _ranks(losses: np.ndarray, members_SN: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return p of the rank sum of each slice, one side (are its losses larger?), and zeros.

    Normal, with the variance that ties leave and half a rank for continuity.

    Source: H. B. Mann, D. R. Whitney (1947), Ann. Math. Stat. 18: 50-60.
    """
    n = len(losses)
    _, inverse, counts = np.unique(losses, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    drawn = members_SN.sum(axis=1)
    u = members_SN @ ranks - drawn * (drawn + 1) / 2
    ties = float((counts.astype(np.float64) ** 3 - counts).sum()) / max(n * (n - 1), 1)
    variance = drawn * (n - drawn) / 12 * (n + 1 - ties)
    above = u - drawn * (n - drawn) / 2 - 0.5
    z = np.divide(above, np.sqrt(variance), out=np.full(len(drawn), -np.inf), where=variance > 0)
    return ndtr(-z), np.zeros(len(z))


def _signs(
    losses: np.ndarray, members_SN: np.ndarray, kept: Grouping, rng: np.random.Generator
) -> np.ndarray:
    """Return p of each slice, one side, by flipping the signs of the groups' contributions."""
    inside_NS = (members_SN - members_SN.mean(axis=1, keepdims=True)).T
    apart_GS = kept.sums(inside_NS * (losses - losses.mean())[:, None])
    seen = apart_GS.sum(axis=0)
    above = np.zeros(len(seen))
    size = max(1, _FLIP_CHUNK // max(kept.count, 1))
    for start in range(0, FLIPS, size):
        num = min(size, FLIPS - start)
        signs = rng.integers(0, 2, (num, kept.count), dtype=np.int8) * 2.0 - 1.0
        above += (signs @ apart_GS >= seen * (1 - 1e-12)).sum(axis=0)
    p: np.ndarray = np.where(seen > 0, (above + 1) / (FLIPS + 1), 1.0)
    return p


def _claims(p_M: np.ndarray, least_M: np.ndarray, *, alpha: float) -> list[tuple[int, float]]:
    """Return those that hold against all others, with p corrected and set against ALPHA."""
    order = np.sort(least_M)
    counts = np.arange(1, len(order) + 1)
    # the fewest k such that no more than k could have a p of alpha / k
    enough = [k for k in counts if np.searchsorted(order, alpha / k, side="right") <= k]
    able = np.flatnonzero(least_M <= alpha / enough[0]) if enough else np.zeros(0, np.int64)
    corrected = np.asarray(holm(p_M[able].tolist())) * (ALPHA / alpha)
    return [(int(k), float(p)) for k, p in zip(able, corrected, strict=True) if p < ALPHA]


def _described(
    losses: np.ndarray,
    slices: Sequence[Slice],
    places: tuple[int, ...],
    p: float,
    p_corrected: float,
    kept: Grouping,
    rng: np.random.Generator,
    *,
    binary: bool,
) -> WeakSlice:
    inside_N = np.logical_and.reduce([slices[place].members_N for place in places])
    ends = []
    for own in (inside_N, ~inside_N):
        if binary:
            ends.append(grouped_ratio((1 - losses) * own, own.astype(np.float64), kept))
        else:
            rows = np.flatnonzero(own)
            names = [str(group) for group in kept.index[rows]] if kept.named else None
            part = grouping(names, num_rows=len(rows))
            ends.append(mean_interval(losses[rows], grouping=part, rng=rng))
    inside, outside = ends
    difference = apart(outside, inside) if binary else apart(inside, outside)
    return WeakSlice(
        places=places,
        inside=inside,
        outside=outside,
        difference=difference,
        p=p,
        p_corrected=p_corrected,
    )
