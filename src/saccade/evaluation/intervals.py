"""How sure one can be of a number.

Why each kind of number has the interval it has, and how often these intervals cover the truth,
is measured in `docs/intervals.md`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import betaincinv, ndtri, stdtrit

from saccade.evaluation.digits import with_interval

LEVEL = 0.95
Z = float(ndtri(0.5 + LEVEL / 2))
TAIL = 0.035
"""What an end may leave out on its side, counted exactly. With it every share of 5 to 500 pictures
is covered with at least 93.0 % (0.04: 92.2 %; Wilson's alone: 84 %), and with 95.4 % on average of
100 pictures. Summed up from the binomial distribution beside every end (docs/intervals.md).
"""
INTERVALS_VERSION = 4
"""Raise it when any interval of the same table changes, or how the summary writes it: a run notes
it, and `verify` then knows that another version computed its intervals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number, its 95 % interval, how many pictures it rests on, and how it was found.

    `value` is NaN where the number is not defined (a class without pictures); then `low` and
    `high` are NaN too and `method` says why. Where only an interval cannot be given (the error
    of a single picture), `low` and `high` alone are NaN. What follows a semicolon in `method`
    is a remark on the number.
    """

    value: float
    low: float
    high: float
    n: int
    method: str  # "wilson", "wilson-bootstrap", "undefined: no picture of this class", …

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them; what is not a number becomes None."""
        return {
            "value": _finite(self.value),
            "low": _finite(self.low),
            "high": _finite(self.high),
            "n": int(self.n),
            "method": self.method,
        }

    def __str__(self) -> str:
        return self.told()

    def __float__(self) -> float:
        return float(self.value)

    def __format__(self, spec: str) -> str:
        return format(self.value, spec) if spec else str(self)

    def told(self, *, share: bool = True) -> str:
        """Return it as people read it; without `share` it is an error in the target's unit."""
        ends = with_interval(self.value, self.low, self.high, share=share)
        return f"{ends} (n={self.n}, {self.method})"


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def undefined(why: str, *, n: int) -> Estimate:
    """Return the estimate of a number that does not exist, with the reason."""
    nan = math.nan
    return Estimate(value=nan, low=nan, high=nan, n=n, method=f"undefined: {why}")


def wilson(correct: int, n: int) -> Estimate:
    """Return a proportion with its 95 % Wilson score interval, mended near 0 and 1.

    Chosen over value ± 1.96·sqrt(value·(1-value)/n), which has zero width at 0 and 1 and covers
    far below 95 % for the small test sets that we often meet. How it is mended, says `proportion`.

    Source: E. B. Wilson (1927), JASA 22(158): 209-212.

    >>> str(wilson(97, 100))  # up to 0.990 by Wilson alone
    '0.970 [0.915, 0.993] (n=100, wilson)'
    """
    if n == 0:
        return undefined("no pictures", n=0)
    return proportion(correct / n, effective=n, n=n, method="wilson", counted=True)


def proportion(
    value: float,
    *,
    effective: float,
    n: int,
    method: str,
    freedom: float = math.inf,
    counted: bool = False,
) -> Estimate:
    """Return a number between 0 and 1 with the Wilson interval of its effective sample size.

    The effective size is that of the simple proportion which would vary as much as this number
    does: value·(1 - value) / variance. The interval stays inside [0, 1], is never empty of
    width, and needs no symmetric error.

    Of a count Wilson's interval ends too soon where a handful of pictures are wrong, or right: of
    29 right answers in 30 its upper end is 0.994, and a true share of 0.995 gives such a count in
    one part of eight. So each end lies at least where a count as far away as this one has a chance
    of `TAIL`: the end that C. J. Clopper and E. S. Pearson have for that level. What can take any
    value between two counts has no such gaps, and needs no mending.

    Args:
        value: 0 to 1.
        effective: the effective sample size, above 0.
        n: how many pictures the number rests on.
        method: how `effective` was found.
        freedom: degrees of freedom of the variance behind `effective`; few widen the interval
            by Student's t.
        counted: whether the number is a count of pictures, or of as good as that.

    Source: E. L. Korn, B. I. Graubard (1998), Survey Methodology 24(2): 193-201, with Wilson's
    interval as recommended by N. Dean, M. Pagano (2015), J. Surv. Stat. Methodol. 3: 484-503.
    Mending its ends near 0 and 1 by one-sided exact ones is L. D. Brown, T. T. Cai, A. DasGupta
    (2001), Stat. Science 16: 101-133 (there by the Poisson distribution at 0.05, and for the last
    counts alone); the exact ends: Biometrika (1934) 26: 404-413.
    """
    size = float(effective) * (Z / quantile(freedom)) ** 2
    centre = (value + Z**2 / (2 * size)) / (1 + Z**2 / size)
    spread = math.sqrt(max(value * (1 - value), 0) / size + Z**2 / (4 * size**2))
    half = Z / (1 + Z**2 / size) * spread
    low, high = centre - half, centre + half
    right, wrong = value * size, (1 - value) * size
    if counted and right > 0:
        low = min(low, float(betaincinv(right, wrong + 1, TAIL)))
    if counted and wrong > 0:
        high = max(high, float(betaincinv(right + 1, wrong, 1 - TAIL)))
    low = 0.0 if value <= 0 else max(0.0, min(value, low))
    high = 1.0 if value >= 1 else min(1.0, max(value, high))
    return Estimate(value=value, low=low, high=high, n=n, method=method)


def quantile(freedom: float, level: float = LEVEL) -> float:
    """Return how far Student's t reaches on both sides; the normal's where the freedom is infinite.

    Args:
        freedom: degrees of freedom; fewer than 1 count as 1.
        level: the share within reach, 0 to 1; by default the point is that of 97.5 %.
    """
    middle = 0.5 + level / 2
    return float(ndtri(middle) if math.isinf(freedom) else stdtrit(max(freedom, 1.0), middle))


def mapped(
    estimate: Estimate,
    *,
    numerator: tuple[float, float],
    denominator: tuple[float, float],
    method: str = "",
) -> Estimate:
    """Return (a + b·x) / (c + d·x) of an estimate x, for a form that grows with x."""

    def image(x: float) -> float:
        return (numerator[0] + numerator[1] * x) / (denominator[0] + denominator[1] * x)

    return Estimate(
        value=image(estimate.value),
        low=image(estimate.low),
        high=image(estimate.high),
        n=estimate.n,
        method=method or estimate.method,
    )


def apart(first: Estimate, second: Estimate) -> Estimate:
    """Return first - second of different pictures, with the 95 % interval of both together.

    The distances to the bounds are squared and added, so the ends are as lopsided as those of the
    two; for Wilson's intervals this is Newcombe's, for those of `wilson` a little wider. Pictures
    of one group on both sides make it wider than need be, never narrower.

    Source: R. G. Newcombe (1998), Stat. Med. 17: 873-890, method 10; G. Y. Zou, A. Donner
    (2008), Stat. Med. 27: 1693-1702.
    """
    value = first.value - second.value
    below = math.hypot(first.value - first.low, second.high - second.value)
    above = math.hypot(first.high - first.value, second.value - second.low)
    return Estimate(
        value=value,
        low=value - below,
        high=value + above,
        n=first.n + second.n,
        method="newcombe" if "wilson" in first.method else "square-and-add",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """Which rows belong together and are not independent of each other.

    `index` gives each row its group, 0 to `count` - 1; without groups each row is its own.
    """

    index: np.ndarray
    count: int
    named: bool  # False: every row is a group of its own

    @property
    def freedom(self) -> float:
        """Degrees of freedom of a variance between groups; infinite without groups."""
        return max(self.count - 1, 1) if self.named else math.inf

    @property
    def suffix(self) -> str:
        """What the method of an interval adds to say that groups were kept together."""
        return f" of {self.count} groups" if self.named else ""

    @property
    def half_apart(self) -> float:
        """Variance that half a picture (group) adds, on which one of two answers is right alone.

        It belongs to a difference of shares by Student's t: without it, answers that are right on
        the same pictures would seem to be surely alike on all others. As much as is left of the
        variance there where half a picture is added to each cell of the table of both answers.

        Source: A. Agresti, Y. Min (2005), Stat. Med. 24: 729-740.
        """
        return 1 / (self.count + 2) ** 2

    @property
    def sizes(self) -> np.ndarray:
        """How many rows the group of each row has, itself included, (N,)."""
        return np.asarray(np.bincount(self.index, minlength=self.count)[self.index])

    def among(self, kept: np.ndarray) -> "Grouping":
        """Return the grouping of some rows, by place or bool (N,): of the groups they are in."""
        known, index = np.unique(self.index[kept], return_inverse=True)
        return Grouping(index=index, count=len(known), named=len(known) < len(index))

    def sums(self, rows: np.ndarray) -> np.ndarray:
        """Return the sums over the rows of each group, along the first axis."""
        if not self.named:
            return rows
        out = np.zeros((self.count, *rows.shape[1:]), dtype=np.float64)
        np.add.at(out, self.index, rows)
        return out

    def variance(self, influence: np.ndarray) -> float:
        """Return the variance of a number from what each row adds to it.

        Source: the infinitesimal jackknife, B. Efron (1982), The Jackknife, the Bootstrap and
        Other Resampling Plans, ch. 6; sums by group as in W. G. Cochran (1977), ch. 9.
        """
        if self.count < 2:
            return 0.0
        return float((self.sums(influence) ** 2).sum() * self.count / (self.count - 1))


def grouping(groups: Sequence[str] | None, *, num_rows: int) -> Grouping:
    """Return the grouping by name; an empty name is a row alone.

    >>> grouping(["a", "", "a", ""], num_rows=4).index.tolist()
    [0, 1, 0, 2]
    """
    if groups is None:
        return Grouping(index=np.arange(num_rows), count=num_rows, named=False)
    if len(groups) != num_rows:
        raise ValueError(f"{len(groups)} groups for {num_rows} rows")
    places: dict[str | int, int] = {}
    keys = (name or row for row, name in enumerate(groups))
    index = np.array([places.setdefault(key, len(places)) for key in keys], dtype=np.int64)
    return Grouping(index=index, count=len(places), named=len(places) < num_rows)


def grouped_ratio(hits: np.ndarray, trials: np.ndarray, grouping: Grouping) -> Estimate:
    """Return Σ hits / Σ trials with its 95 % interval, groups kept together.

    Where every trial is of another group they are independent and this is `wilson`. Else it is
    Wilson's at the `effective_size`, with Student's t for the groups. Groups without a trial tell
    nothing and are not counted.

    Args:
        hits: (N,), 0 to `trials`.
        trials: (N,), 0 or 1 for proportions; NaN never.
        grouping: which rows belong together.
    """
    some = trials > 0
    kept = grouping.among(some) if grouping.named else grouping
    total = float(trials.sum())
    if total == 0:
        return undefined("no pictures", n=0)
    if not kept.named:
        return wilson(round(float(hits.sum())), round(total))
    return proportion(
        float(hits.sum()) / total,
        effective=effective_size(hits[some], trials[some], kept),
        n=round(total),
        method=f"wilson-jackknife{kept.suffix}",
        freedom=kept.freedom,
        counted=True,
    )


def effective_size(hits: np.ndarray, trials: np.ndarray, grouping: Grouping) -> float:
    """Return as how many independent trials those of groups count, for the share that are hits.

    At most as many as there are. At least as many as if all trials of a group were alike: the
    square of their number over the sum of the squares of what each group has; with groups of one
    size, the number of groups. What lies between is told by the variance between groups. But that
    hangs on the groups which are not like the rest. A single mistake of 400 pictures
    shows nothing of how alike mistakes of one group are. So the variance that there would be if
    all of a group were alike is mixed in with the weight of one such group: of the groups with a
    miss, or of those with a hit, whichever are fewer. With the weight of one group shares are
    covered with 93 % or more, with none 73 to 96 % (docs/intervals.md).

    Args:
        hits: (N,), 0 to `trials`.
        trials: (N,), above 0.
        grouping: which rows belong together.

    Source: L. Kish (1965), Survey Sampling, ch. 8, for groups that are alike within and of
    unequal size; the mixture and its weight were chosen by simulation.

    >>> patients = grouping(["a", "a", "b", "b", "c", "c"], num_rows=6)
    >>> round(effective_size(np.array([1, 1, 1, 1, 0, 0]), np.ones(6), patients), 3)
    2.4
    """
    total = float(trials.sum())
    value, each, found = float(hits.sum()) / total, grouping.sums(trials), grouping.sums(hits)
    alike = total**2 / float((each**2).sum())
    if grouping.count < 2 or not 0 < value < 1:
        return alike
    unlike = min(int((found < each).sum()), int((found > 0).sum()))
    known, one = unlike / (unlike + 1), value * (1 - value)
    measured = grouping.variance((hits - value * trials) / total)
    return min(total, one / (known * measured + (1 - known) * one / alike))


def mean_share(values: np.ndarray, grouping: Grouping) -> Estimate:
    """Return the mean of numbers between 0 and 1 with its 95 % interval, NaN left out.

    Wilson's at the effective size that the infinitesimal jackknife's variance has.

    Args:
        values: (N,), one a row.
        grouping: which rows belong together.
    """
    known = ~np.isnan(values)
    n = int(known.sum())
    if not n:
        return undefined("no row gives a value", n=0)
    value, own = float(values[known].mean()), grouping.among(known)
    shrunk = (own.count * value + 0.5) / (own.count + 1)
    # half a pseudo-row, or pseudo-group, at 0 and at 1 keeps some variance where all agree
    pseudo = (shrunk**2 + (1 - shrunk) ** 2) / 2 / own.count**2
    variance = own.variance((values[known] - value) / n) + pseudo
    remark = f"; mean of {n} of {len(values)} rows" if n < len(values) else ""
    return proportion(
        value,
        effective=shrunk * (1 - shrunk) / variance,
        n=n,
        method=f"wilson-jackknife{own.suffix}{remark}",
        freedom=own.freedom,
    )
