"""What a figure is, and those of a regression: answers against truths, and residuals."""

from dataclasses import dataclass

from saccade.reporting.axes import Axis, around
from saccade.reporting.charts import histogram, scatter
from saccade.reporting.facts import Facts
from saccade.reporting.svg import Svg
from saccade.reporting.wording import short


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
    mean = short(float(residual.mean()))
    return (
        Figure(
            title="Prediction against truth",
            svg=both,
            caption=f"One dot a picture; on the line the answer is exact. {n}.",
        ),
        Figure(
            title="Residuals along the truth",
            svg=along,
            caption="A slope means that small and large values are drawn to the middle.",
        ),
        Figure(
            title="How often each residual occurs",
            svg=spread,
            caption=f"Mean residual {mean}; away from 0 the answers are off to one side. {n}.",
        ),
    )
