"""Estimates and p-values as trust.json holds them, read back and put into words."""

import math
from collections.abc import Mapping
from typing import Any

from saccade.evaluation.digits import decimals, figures, is_share
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
    own, share = estimate_of(found), is_share(name)
    value, low, high = (decimals(one, share=share) for one in (own.value, own.low, own.high))
    if not (math.isfinite(own.low) and math.isfinite(own.high)):
        return f"{value} (no interval)"
    return f"{value} [{low}, {high}]"


def told_change(found: Mapping[str, Any], name: str = "") -> str:
    """Return a difference with its interval, each with its sign; arguments as those of `told`.

    >>> told_change({"value": 0.012, "low": -0.004, "high": 0.03, "n": 800})
    '+0.012 [−0.004, +0.030]'
    """
    own, share = estimate_of(found), is_share(name)
    value, low, high = (signed(one, share=share) for one in (own.value, own.low, own.high))
    if not (math.isfinite(own.low) and math.isfinite(own.high)):
        return f"{value} (no interval)"
    return f"{value} [{low}, {high}]"


def signed(number: float, *, share: bool = True) -> str:
    """Return a number with its sign, as `decimals` has it; nothing is neither more nor less.

    >>> signed(0.0412), signed(-0.2), signed(-0.0001), signed(0.0)
    ('+0.041', '−0.200', '−0.0001', '0.000')
    """
    if not math.isfinite(number):
        return decimals(number)
    text = figures(abs(number), below=0.0005 if share else 0.1)
    if not any(digit in text for digit in "123456789"):
        return text
    return f"{'+' if number > 0 else '−'}{text}"


def p_figure(p: float) -> str:
    """Return a p for a table.

    >>> p_figure(0.0312), p_figure(0.00001), p_figure(math.nan)
    ('0.031', '< 0.001', '–')
    """
    if not math.isfinite(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def p_words(p: float | None) -> str:
    """Return a p for a sentence.

    >>> p_words(0.0312), p_words(0.00001), p_words(None)
    ('p = 0.031', 'p < 0.001', 'p unknown')
    """
    if p is None or not math.isfinite(p):
        return "p unknown"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.995 else "p = 1"


def score_words(name: str) -> str:
    """Return what a score is called in a sentence.

    >>> score_words("accuracy"), score_words("mae")
    ('accuracy', 'mean absolute error')
    """
    return SCORE_WORDS.get(name, name)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
