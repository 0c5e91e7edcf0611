"""How much of a gain a simpler answer recovers, on the same pictures."""

import math

import numpy as np
from scipy.special import bdtrc, stdtr

from saccade.evaluation.intervals import Estimate, Grouping, quantile, undefined
from saccade.evaluation.significance import ALL_EQUAL, ROUNDING, difference_of_shares

FEWEST = 8  # pictures; as in `comparison.paired_gain`


def mean_gain(first_N: np.ndarray, second_N: np.ndarray, grouping: Grouping) -> Estimate:
    """Return the mean of first - second losses of the same pictures, with its 95 % t interval.

    Above 0 the second is better. With groups the variance is that between groups. Losses of 0 and 1
    are compared by `difference_of_shares`. With fewer than eight pictures or groups there is no
    interval, and nothing can be claimed.

    Args:
        first_N: a loss a picture.
        second_N: the other's, in the same order.
        grouping: which pictures belong together.

    Source: Student (1908); W. G. Cochran (1977), Sampling Techniques, ch. 9, for groups.
    """
    apart = np.asarray(first_N, np.float64) - np.asarray(second_N, np.float64)
    n = len(apart)
    if not n:
        return undefined("no pictures", n=0)
    value = float(apart.mean())
    if grouping.count < FEWEST:
        return Estimate(value=value, low=math.nan, high=math.nan, n=n, method="no interval: few")
    if _counted(first_N, second_N):
        return difference_of_shares(np.asarray(second_N), np.asarray(first_N), grouping)
    variance = grouping.variance((apart - value) / n)
    if math.sqrt(variance) <= ROUNDING * abs(value):
        return Estimate(value=value, low=math.nan, high=math.nan, n=n, method=ALL_EQUAL)
    reach = quantile(grouping.count - 1) * math.sqrt(variance)
    method = f"paired t{grouping.suffix}"
    return Estimate(value=value, low=value - reach, high=value + reach, n=n, method=method)


def _counted(*losses: np.ndarray) -> bool:
    """Return whether all losses are 0 or 1."""
    return bool(np.isin(losses, (0.0, 1.0)).all())


def p_of_gain(first_N: np.ndarray, second_N: np.ndarray, grouping: Grouping) -> float:
    """Return the one-sided p of a gain: of one this large where there is none.

    Of single pictures that are right or wrong McNemar's exact test, else that of `mean_gain`'s t.

    Args:
        first_N: a loss a picture, as are those of the next.
        second_N: of the same pictures.
        grouping: which pictures belong together.
    """
    gain = mean_gain(first_N, second_N, grouping)
    if math.isnan(gain.low):
        return 1.0
    if not grouping.named and _counted(first_N, second_N):
        better, worse = int((first_N > second_N).sum()), int((first_N < second_N).sum())
        return float(bdtrc(better - 1, better + worse, 0.5)) if better else 1.0
    reach = max(gain.value - gain.low, gain.high - gain.value)  # one of them may be cut at ±1
    error = reach / quantile(grouping.count - 1)
    return float(stdtr(grouping.count - 1, -gain.value / error))


def recovered(
    plain_N: np.ndarray, simple_N: np.ndarray, full_N: np.ndarray, grouping: Grouping
) -> Estimate:
    """Return which share of the full answer's gain over the plain one the simple one has.

    1 where the simple one is as good as the full one, 0 where it is no better than the plain one.
    The interval is the delta method's for a ratio of two means of the same pictures. Undefined
    where the full answer is not clearly better than the plain one, for then there is no gain to
    share and the ratio has no useful interval.

    Args:
        plain_N: a loss a picture: of always answering the same.
        simple_N: of the simple answers.
        full_N: of the full answers.
        grouping: which pictures belong together.

    Source: W. G. Cochran (1977), Sampling Techniques, ch. 6 (ratio of means).
    """
    n = len(plain_N)
    whole = mean_gain(plain_N, full_N, grouping)
    if not whole.low > 0:
        return undefined("the full answer is not shown to gain anything", n=n)
    part_N = np.asarray(plain_N, np.float64) - simple_N
    whole_N = np.asarray(plain_N, np.float64) - full_N
    value = float(part_N.mean()) / whole.value
    variance = grouping.variance((part_N - value * whole_N) / n)
    if _counted(plain_N, simple_N, full_N):
        variance += grouping.half_apart
    reach = quantile(grouping.count - 1) * math.sqrt(variance) / whole.value
    return Estimate(
        value=value,
        low=value - reach,
        high=value + reach,
        n=n,
        method=f"ratio of means{grouping.suffix}",
    )
