"""Small drawings that stand in tables, and the map of a confusion matrix."""

import math

import numpy as np

from saccade.evaluation.intervals import Estimate
from saccade.reporting.axes import Axis, round_values
from saccade.reporting.svg import Svg, drawing, element, line, words
from saccade.reporting.wording import decimals, short

HEAT_LEVELS = 10


def interval_bar(estimate: Estimate, *, baseline: float = math.nan) -> Svg:
    """Return a small bar from 0 to 1: the interval as a line, the value as a dot.

    A finite `baseline` is a short stroke across the bar.
    """
    width, middle = 120.0, 8.0
    ends = f"{decimals(estimate.low)} to {decimals(estimate.high)}"
    label = f"{decimals(estimate.value)}, 95 % interval {ends}"
    axis = Axis(title="", low=0, high=1)

    def at(number: float) -> float:
        return 4 + (width - 8) * min(max(axis.share(number), 0), 1)

    parts = [line(4, middle, width - 4, middle, kind="grid")]
    if math.isfinite(baseline):
        parts.append(line(at(baseline), 2, at(baseline), 14, kind="base"))
    if math.isfinite(estimate.low) and math.isfinite(estimate.high):
        parts.append(line(at(estimate.low), middle, at(estimate.high), middle, kind="range"))
    if math.isfinite(estimate.value):
        dot = {"cx": at(estimate.value), "cy": middle, "r": 3.5, "class": "point"}
        parts.append(element("circle", dot))
    return drawing(width, 16, *parts, label=label, kind="spark")


def share_bar(part: float, whole: float) -> Svg:
    """Return a small bar for a table, as long as `part` is of `whole`."""
    share = part / whole if whole > 0 else 0.0
    box = {"x": 0, "y": 3, "width": max(120 * share, 1 if part else 0), "height": 10}
    track = element("rect", {"x": 0, "y": 3, "width": 120, "height": 10, "class": "track"})
    bar = element("rect", {**box, "class": "bar"})
    return drawing(
        120, 16, track, bar, label=f"{short(part)} of at most {short(whole)}", kind="spark"
    )


def heat_map(confusion_KK: np.ndarray, *, title: str) -> Svg:
    """Return a confusion matrix too large for numbers: a square per cell that is not empty.

    Rows are the truth, from the top; a darker cell holds a larger share of its row. Errors and
    right answers are of two colours.
    """
    K = len(confusion_KK)
    side, edge = 640.0, 34.0
    cell = (side - edge) / K
    drawn = max(cell, 1.6)  # or single pictures of a thousand classes could not be seen
    levels = heat_levels(confusion_KK)
    parts = [
        element(
            "rect",
            {"x": edge, "y": edge, "width": side - edge, "height": side - edge, "class": "track"},
        )
    ]
    for right in (True, False):
        for level in range(1, HEAT_LEVELS + 1):
            rows, columns = np.nonzero(levels == level)
            own = (rows == columns) == right
            if own.any():
                places = zip(columns[own].tolist(), rows[own].tolist(), strict=True)
                path = "".join(_square(edge + c * cell, edge + r * cell, drawn) for c, r in places)
                kind = f"{'right' if right else 'wrong'} f{level}"
                parts.append(element("path", {"d": path, "class": kind}))
    for k in round_values(1, K, about=8):
        at = edge + (k - 0.5) * cell
        parts.append(words(at, edge - 6, short(k), anchor="middle"))
        parts.append(words(edge - 6, at + 4, short(k), anchor="end"))
    parts.append(words(edge, 12, "prediction (number of the class) →", kind="axis"))
    return drawing(side, side, *parts, label=title)


def heat_levels(confusion_KK: np.ndarray) -> np.ndarray:
    """Return 0 (empty) to 10 (the whole row) for each cell, by its share of the row."""
    counts = confusion_KK.astype(np.float64)
    rows = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, rows, out=np.zeros_like(counts), where=rows > 0)
    levels: np.ndarray = np.ceil(np.sqrt(shares) * HEAT_LEVELS - 1e-9).astype(np.int64)
    return levels


def _square(x: float, y: float, side: float) -> str:
    return f"M{x:.1f} {y:.1f}h{side:.1f}v{side:.1f}h-{side:.1f}z"
