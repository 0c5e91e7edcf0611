"""Could a difference be chance? McNemar's test, Tango's interval, Student's t, and Holm's rule."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import bdtr, stdtr

from saccade.evaluation.intervals import Estimate, Grouping, Z, quantile

SURE = 0.05
"""A corrected p below this is called beyond chance."""
SURELY = 1e-3
"""One-sided p below which an augmentation is shown to spoil: with seven families a false alarm in
one of 140 runs. A default should be left out only where it surely does harm."""

ROUNDING = 1e-9
"""A spread of differences that is so small a share of their mean comes from rounding alone."""
ALL_EQUAL = "no interval: all differences are equal"
"""Said of such a mean: its variance would be 0, as with two pictures that agree by chance."""

_HALVINGS = 60  # of [-1, 1]: to the last digit


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the exact two-sided p of McNemar's test.

    Pictures that both name rightly, or both wrongly, say nothing about which is better; of the
    others each is as likely to be won by either where neither is better. p is the chance that a
    fair coin falls as unevenly.

    Args:
        only_first: pictures that only the first names rightly.
        only_second: pictures that only the second names rightly.

    Source: Q. McNemar (1947), Psychometrika 12: 153-157; exact by the binomial distribution.

    >>> round(mcnemar(6, 16), 6)
    0.052479
    """
    return min(1.0, 2 * _at_most(only_first, only_second))


def mcnemar_mid_p(only_first: int, only_second: int) -> float:
    """Return the mid-p of McNemar's test: what was met counts half, and what is less likely whole.

    The exact p is more careful than it says, for a few pictures can only fall in a few ways: at
    the 5 % level it rejects 0 to 4.4 % of the time where neither is better (30 to 500 pictures).
    Mid-p comes closer, 0 to 5.0 %, and it agrees with Tango's interval.

    Source: M. W. Fagerland, S. Lydersen, P. Laake (2013), BMC Med. Res. Methodol. 13: 91.

    >>> round(mcnemar_mid_p(6, 16), 6)
    0.03469
    """
    fewer, total = min(only_first, only_second), only_first + only_second
    below = float(bdtr(fewer - 1, total, 0.5)) if fewer else 0.0
    return min(1.0, _at_most(only_first, only_second) + below)


def _at_most(only_first: int, only_second: int) -> float:
    return float(bdtr(min(only_first, only_second), only_first + only_second, 0.5))


def tango(
    only_first: np.ndarray | int, only_second: np.ndarray | int, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the 95 % score interval of (only_second - only_first) / n, low and high.

    It holds the differences that McNemar's test, without a continuity correction, would not
    reject. It was chosen by its coverage (docs/compare.md): the plain interval, difference ±
    z·se, has no width where neither has a picture of its own. Arrays are met one by one.

    Source: T. Tango (1998), Stat. Med. 17: 891-908.

    >>> [round(float(end), 4) for end in tango(16, 6, 161)]  # Cavo et al. (2012)
    [-0.124, -0.0054]
    """
    more, fewer = np.asarray(only_second, np.float64), np.asarray(only_first, np.float64)
    middle = (more - fewer) / n

    def end(level: float, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        for _ in range(_HALVINGS):
            half = (low + high) / 2
            above = _tango_z(half, more, fewer, n) > level  # falls as the difference grows
            low, high = np.where(above, half, low), np.where(above, high, half)
        return low

    ones = np.ones_like(middle)
    return end(Z, -ones, middle), end(-Z, middle, ones)


def _tango_z(difference: np.ndarray, more: np.ndarray, fewer: np.ndarray, n: int) -> np.ndarray:
    """Return the score statistic against a difference; its variance is the likeliest under it."""
    b = (2 * n - more + fewer) * difference - more - fewer
    c = -fewer * difference * (1 - difference)
    fewer_share = (np.sqrt(np.maximum(b**2 - 8 * n * c, 0)) - b) / (4 * n)
    variance = n * (2 * fewer_share + difference * (1 - difference))
    above = more - fewer - n * difference
    z: np.ndarray = np.where(above == 0, 0.0, np.copysign(np.inf, above))
    np.divide(above, np.sqrt(np.maximum(variance, 0)), out=z, where=variance > 1e-12)
    return z


def difference_of_shares(first_N: np.ndarray, second_N: np.ndarray, grouping: Grouping) -> Estimate:
    """Return the share of the second that is right minus that of the first, same pictures, 95 %.

    Of single pictures Tango's interval; where they come in groups Student's t on the variance
    between these, with `Grouping.half_apart`.

    Args:
        first_N: 1 where the first is right and 0 where it is wrong; N is 1 or more.
        second_N: of the second, in the same order.
        grouping: which pictures belong together; two groups at least.

    Source: W. G. Cochran (1977), Sampling Techniques, ch. 9, for groups.
    """
    apart_N = np.asarray(second_N, np.float64) - first_N
    n, value = len(apart_N), float(apart_N.mean())
    if not grouping.named:
        low, high = map(float, tango(int((apart_N < 0).sum()), int((apart_N > 0).sum()), n))
        return Estimate(value=value, low=low, high=high, n=n, method="tango")
    variance = grouping.variance((apart_N - value) / n) + grouping.half_apart
    reach = quantile(grouping.count - 1) * math.sqrt(variance)
    low, high = max(value - reach, -1.0), min(value + reach, 1.0)
    return Estimate(value=value, low=low, high=high, n=n, method=f"t{grouping.suffix}")


def two_sided(value: float, error: float, *, freedom: float) -> float:
    """Return the p of a value this far from 0 by Student's t; 1 without a difference or an error.

    An error of 0 is one that is not known: two values that happen to be equal have it too.
    """
    if value == 0 or math.isnan(error) or error == 0:
        return 1.0
    large = 1e9  # as good as infinite
    return min(1.0, 2 * float(stdtr(min(freedom, large), -abs(value) / error)))


def holm(p: Sequence[float]) -> list[float]:
    """Return p corrected for being one of several comparisons, in the order given.

    The chance that any one of them is called beyond chance wrongly is then at most `SURE`,
    however they depend on each other. Chosen over Bonferroni's rule, which asks for more and
    gives nothing for it.

    Source: S. Holm (1979), Scand. J. Statist. 6: 65-70.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected, least = [0.0] * len(p), 0.0
    for rank, place in enumerate(sorted(range(len(p)), key=lambda place: p[place])):
        least = max(least, min(1.0, (len(p) - rank) * p[place]))
        corrected[place] = least
    return corrected
