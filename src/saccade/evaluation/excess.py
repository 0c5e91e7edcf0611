"""Is more wrong among some pictures than among the others: exact, by ranks, and in groups."""

import math

import numpy as np
from scipy.special import gammaln

_NOTHING = 1e-15  # of a sum: what a term may be and be left out


def fisher_tail(
    hits: np.ndarray, drawn: np.ndarray, marked: np.ndarray, total: np.ndarray
) -> np.ndarray:
    """Return the chance of `hits` or more marked among `drawn` of `total`, `marked` in all.

    Fisher's exact test, one side. All arguments are (M,) and whole numbers, or such numbers
    divided by a `design_effect`; between whole numbers the factorials are gamma functions. Many
    at once and term by term, for scipy's own sums take 0.4 ms each.

    Source: R. A. Fisher (1935), J. R. Stat. Soc. 98: 39-54.
    """
    x, n, k, total = (np.asarray(own, np.float64) for own in (hits, drawn, marked, total))
    many = x * total > n * k
    upper = _sum_from(np.where(many, x, n - x + 1), n, np.where(many, k, total - k), total)
    certain = x <= np.maximum(n + k - total, 0)  # then there cannot be fewer
    tail: np.ndarray = np.where(certain, 1.0, np.where(many, upper, 1 - upper)).clip(0, 1)
    return tail


def _sum_from(x: np.ndarray, n: np.ndarray, k: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Return the chance of x or more marked among n, for x above what is expected."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = _log_choose(k, x) + _log_choose(total - k, n - x) - _log_choose(total, n)
    term = np.where(x <= np.minimum(n, k), np.exp(logs), 0.0)
    out = term.copy()
    left = np.flatnonzero(term > 0)
    x, n, k, total, term = (own[left] for own in (x, n, k, total, term))
    while len(left):
        more = np.maximum(k - x, 0) * np.maximum(n - x, 0)
        term = term * more / ((x + 1) * (total - k - n + x + 1))
        out[left] += term
        going = term > _NOTHING * out[left]
        left, x, n, k, total, term = (own[going] for own in (left, x + 1, n, k, total, term))
    return out


def _log_choose(n: np.ndarray, k: np.ndarray) -> np.ndarray:
    logs: np.ndarray = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return logs


def design_effect(scores_N: np.ndarray, inside_N: np.ndarray, groups_N: np.ndarray) -> float:
    """Return by how much pictures of one group count for fewer than as many single ones, >= 1.

    It is the variance of the sum of scores inside, beside that of single pictures. Pictures of
    one group on one side of the border are taken to be as like each other as all such pictures
    are on average, or as those of their side are, whichever is more; on two sides as they are on
    average, but no more than on one. Likeness on one side is about the mean of all, so that a weak
    slice seems too much alike rather than too little; across, about that of each side. The
    slice's own squares would not do: they are next to nothing where the few groups outside happen
    to be all right. Random answers and power in groups: docs/shortcuts.md.

    Args:
        scores_N: losses, or their ranks.
        inside_N: bool; some, and not all.
        groups_N: int, 0 to the number of groups - 1.

    Source: A. Donner (1989), Biometrics 45: 605-611; to divide counts by it: J. N. K. Rao,
    A. J. Scott (1992), Biometrics 48: 577-585.
    """
    num, share = len(scores_N), float(inside_N.mean())
    apart_N = scores_N - scores_N.mean()
    square = float((apart_N**2).mean())
    if square == 0:
        return 1.0
    sizes_G2, sums_G2 = _by_side(apart_N, inside_N, groups_N)
    num_2 = (sizes_G2 * (sizes_G2 - 1)).sum(axis=0)
    squares_2 = np.array([(apart_N[own] ** 2).sum() for own in (inside_N, ~inside_N)])
    like_2 = ((sums_G2**2).sum(axis=0) - squares_2) / square
    average = _share(like_2.sum(), num_2.sum())
    inside, outside = (max(average, _share(like_2[k], num_2[k])) for k in (0, 1))
    added = inside * (1 - share) ** 2 * num_2[0] + outside * share**2 * num_2[1]
    num_across = sizes_G2.prod(axis=1).sum()
    means_2 = sums_G2.sum(axis=0) / sizes_G2.sum(axis=0)
    like_across = (sums_G2 - sizes_G2 * means_2).prod(axis=1).sum() / square
    across = min(_share(like_across, num_across), average)
    added -= across * 2 * share * (1 - share) * num_across
    return max(1.0, 1 + float(added) / (num * share * (1 - share)))


def _by_side(
    apart_N: np.ndarray, inside_N: np.ndarray, groups_N: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return how many pictures each group has inside and outside, and their sums, (G, 2)."""
    count = int(groups_N.max()) + 1
    cells = groups_N * 2 + ~inside_N
    sizes = np.bincount(cells, minlength=2 * count).reshape(count, 2)
    return sizes, np.bincount(cells, apart_N, minlength=2 * count).reshape(count, 2)


def _share(like: float, num: float) -> float:
    """Return the likeness of pairs of pictures, 0 to 1; 0 where there is no pair."""
    return min(max(like / num, 0.0), 1.0) if num else 0.0


def ranks_of(losses_N: np.ndarray) -> np.ndarray:
    """Return the ranks of losses, 1 to N, with the mean of their ranks for equal ones."""
    _, inverse, counts = np.unique(losses_N, return_inverse=True, return_counts=True)
    ranks: np.ndarray = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return ranks


def rank_excess(ranks_N: np.ndarray, sums_M: np.ndarray, drawn_M: np.ndarray) -> np.ndarray:
    """Return how far sums of ranks lie above what is expected, in standard errors.

    Normal, with the variance that ties leave and half a rank for continuity.

    Args:
        ranks_N: of all pictures.
        sums_M: of the ranks of those inside.
        drawn_M: how many are inside.

    Source: H. B. Mann, D. R. Whitney (1947), Ann. Math. Stat. 18: 50-60.
    """
    n = len(ranks_N)
    # without ties this is n·(n + 1) / 12
    spread = float(((ranks_N - (n + 1) / 2) ** 2).sum()) / max(n - 1, 1)
    variance = drawn_M * (n - drawn_M) / max(n, 1) * spread
    above = sums_M - drawn_M * (n + 1) / 2 - 0.5
    out = np.full(len(drawn_M), -math.inf)
    z: np.ndarray = np.divide(above, np.sqrt(variance), out=out, where=variance > 0)
    return z
