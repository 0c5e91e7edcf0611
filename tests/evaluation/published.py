"""Intervals as they were published, from scipy."""

from scipy.stats import binomtest

from saccade.evaluation.intervals import Estimate


def wilsons_own(correct: int, n: int) -> Estimate:
    """Return Wilson's interval, whose ends are not moved out."""
    found = binomtest(correct, n).proportion_ci(method="wilson")
    return Estimate(value=correct / n, low=found.low, high=found.high, n=n, method="wilson")
