"""Estimates and p-values as trust.json holds them, read back and put into words."""

import math
from collections.abc import Mapping
from typing import Any

from saccade.evaluation.digits import change_with_interval, is_share, with_interval
from saccade.evaluation.intervals import Estimate

SCORE_WORDS = {
    "f1_micro": "F1 (micro)",
    "f1_macro": "F1 (macro)",
    "mae": "mean absolute error",
    "f1": "F1",
}


def estimate_of(found: Mapping[str, Any]) -> Estimate:
    """Return an estimate that was written as JSON; what is missing is NaN."""
    value, low, high = (_number(found.get(key)) for key in ("value", "low", "high"))
    return Estimate(
        value=value, low=low, high=high, n=int(found["n"]), method=str(found.get("method", ""))
    )


def told(found: Mapping[str, Any], name: str = "") -> str:
    """Return a value with its interval, for a sentence.

    Args:
        found: as JSON has it.
        name: of the metric, that says whether it is a share; "" = it is one.

    >>> told({"value": 0.866, "low": 0.8, "high": 0.912, "n": 150})
    '0.866 [0.800, 0.912]'
    """
    own = estimate_of(found)
    return with_interval(own.value, own.low, own.high, share=is_share(name))


def told_change(found: Mapping[str, Any], name: str = "") -> str:
    """Return a difference with its interval, each with its sign; arguments as those of `told`.

    >>> told_change({"value": 0.012, "low": -0.004, "high": 0.03, "n": 800})
    '+0.012 [−0.004, +0.030]'
    """
    own = estimate_of(found)
    return change_with_interval(own.value, own.low, own.high, share=is_share(name))


def p_figure(p: float | None) -> str:
    """Return a p for a table.

    >>> p_figure(0.0312), p_figure(0.00001), p_figure(0.9996), p_figure(None)
    ('0.031', '< 0.001', '1', '–')
    """
    if p is None or not math.isfinite(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.995 else "1"


def p_words(p: float | None) -> str:
    """Return a p for a sentence.

    >>> p_words(0.0312), p_words(0.00001), p_words(None)
    ('p = 0.031', 'p < 0.001', 'p unknown')
    """
    figure = p_figure(p)
    if figure == "–":
        return "p unknown"
    return f"p {figure}" if figure.startswith("<") else f"p = {figure}"


def score_words(name: str) -> str:
    """Return what a score is called in a sentence.

    >>> score_words("accuracy"), score_words("mae")
    ('accuracy', 'mean absolute error')
    """
    return SCORE_WORDS.get(name, name)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
