"""Is one network better than another on the same pictures? A paired answer with an interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special  # not scipy.stats, which takes two seconds to import

from saccade.evaluation.intervals import grouping

SURE = 0.9
"""How sure a gain must be before it counts, one-sided. A ladder asks about few rungs on a small
validation part, and a rung that is wrongly left out costs accuracy just as one that is wrongly
taken does; the final claim is made by the test part, with a 95 % interval."""


FEWEST_UNITS = 8  # groups and single pictures, below which no gain is claimed


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedGain:
    """How much smaller the second network's losses are; positive = it is better."""

    value: float  # mean of first - second
    low: float  # below this with probability 1 - `sure` at most
    high: float
    p: float  # one-sided: of a mean difference this large where there is none
    n: int

    @property
    def helps(self) -> bool:
        """Whether one can be sure that there is a gain."""
        return self.low > 0

    @property
    def two_sided_p(self) -> float:
        """Of a mean difference this far from 0 on either side; 1 where nothing can be said."""
        if not self.value or not math.isfinite(self.low):
            return 1.0
        return min(1.0, 2 * min(self.p, 1 - self.p))


def paired_gain(
    first_N: np.ndarray,
    second_N: np.ndarray,
    *,
    groups: Sequence[str] | None = None,
    sure: float = SURE,
) -> PairedGain:
    """Return the mean of the pairwise differences, first minus second, with its interval.

    A t interval of the differences: paired, because both networks answer the same pictures and
    much of what makes a picture hard is common to both. Pictures of one group are not independent:
    what is summed up then, and counted, are groups. With fewer than eight of them, or where a
    loss is not finite, no gain is claimed. Where a change does much harm to very few pictures,
    and none of those is among the n, a small gain of all others is taken for one: with a twentieth
    of the pictures harmed and n = 20, more than a third of the time.

    Args:
        first_N: a loss for each picture, (N,).
        second_N: the other network's losses of the same pictures, in the same order.
        groups: of each picture; "" = alone. None = each is.
        sure: of either bound; 0.975 makes a 95 % interval of them.

    Source: Student (1908); J. Demšar (2006), Statistical comparisons of classifiers; with groups
    the ratio estimator of W. G. Cochran (1977), Sampling Techniques, ch. 9.

    >>> same = np.ones(20)
    >>> paired_gain(same, same - 0.5).helps, paired_gain(same, same).helps
    (True, False)
    """
    difference = np.asarray(first_N, np.float64) - np.asarray(second_N, np.float64)
    n, kept = len(difference), grouping(groups, num_rows=len(difference))
    if kept.count < FEWEST_UNITS or not np.isfinite(difference).all():
        value = float(np.mean(difference)) if n else 0.0
        return PairedGain(value=value, low=-np.inf, high=np.inf, p=1.0, n=n)
    value = float(difference.mean())
    if kept.named:
        spread = float((kept.sums(difference - value) ** 2).sum())
        error = math.sqrt(spread * kept.count / (kept.count - 1)) / n
    else:
        error = float(difference.std(ddof=1) / np.sqrt(n))
    if error == 0:
        return PairedGain(value=value, low=value, high=value, p=float(value <= 0), n=n)
    reach = float(special.stdtrit(kept.count - 1, sure)) * error
    return PairedGain(
        value=value,
        low=value - reach,
        high=value + reach,
        p=float(special.stdtr(kept.count - 1, -value / error)),
        n=n,
    )
