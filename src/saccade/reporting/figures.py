"""What a figure is, and those of a regression: answers against truths, and residuals."""

import math
from dataclasses import dataclass

from saccade.evaluation.intervals import Estimate
from saccade.reporting.axes import Axis, around
from saccade.reporting.charts import histogram, one_in, scatter
from saccade.reporting.estimates import told_change
from saccade.reporting.facts import Facts
from saccade.reporting.svg import Svg


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A drawing with its title and the sentence below it."""

    title: str
    caption: str
    svg: Svg


def regression_figures(facts: Facts) -> tuple[Figure, ...]:
    """Return prediction against truth, the residuals, and how often each residual occurs."""
    truth, seen = facts.results.truth, facts.results.prediction
    if truth is None or seen is None or not len(truth):
        return ()
    low, high = around([*truth.tolist(), *seen.tolist()])
    n = f"n = {len(truth):,} {facts.results.part} pictures"
    every = one_in(len(truth))
    dots = "One dot a picture" if every == 1 else f"A dot for one picture in {every}"
    both = scatter(
        truth,
        seen,
        x=Axis(title="truth", low=low, high=high),
        y=Axis(title="prediction", low=low, high=high),
        title=f"Prediction against truth, {n}",
    )
    residual = seen - truth
    bottom, top = around([*residual.tolist(), 0.0])
    left, right = around(truth.tolist())
    along = scatter(
        truth,
        residual,
        x=Axis(title="truth", low=left, high=right),
        y=Axis(title="prediction − truth", low=bottom, high=top),
        title=f"Residuals along the truth, {n}",
        line_at="zero",
    )
    spread = histogram(residual, x_title="prediction − truth", title=f"Residuals, {n}")
    return (
        Figure(
            title="Prediction against truth",
            svg=both,
            caption=f"{dots}; on the line the answer is exact. {n}.",
        ),
        Figure(
            title="Residuals along the truth",
            svg=along,
            caption="A slope means that small and large values are drawn to the middle.",
        ),
        Figure(
            title="How often each residual occurs",
            svg=spread,
            caption=f"{_to_one_side(facts.results.bias)}{n}.",
        ),
    )


def _to_one_side(bias: Estimate | None) -> str:
    """Return the mean residual and what it shows; nothing where it has no interval."""
    if bias is None or not math.isfinite(bias.low):
        return ""
    aside = bias.low > 0 or bias.high < 0
    shown = ", so the answers" if aside else "; it is not shown that the answers"
    return f"Mean residual {told_change(bias.as_dict(), 'mae')}{shown} are off to one side. "
