"""Curves, bars and maps as inline SVG; colours and sizes of type come from the style sheet."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from saccade.reporting.axes import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    ROW,
    TOP,
    WIDTH,
    Axis,
    Plot,
    rows_of,
)
from saccade.reporting.svg import Svg, drawing, element, line, words
from saccade.reporting.wording import cut, short

MAX_DOTS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line of a chart; points whose y is not finite break it."""

    name: str  # empty where the legend need not name it
    x: Sequence[float]
    y: Sequence[float]
    kind: str = "a"  # "a" in the accent colour, "b" soft and dashed; "a pale", "b pale"
    band: tuple[Sequence[float], Sequence[float]] | None = None  # lower and upper ends around it


def line_chart(
    series: Sequence[Series],
    x: Axis,
    y: Axis,
    *,
    title: str,
    mark: str = "",
    stretches: Sequence[tuple[float, str]] = (),
) -> Svg:
    """Return lines over two axes.

    Args:
        series: the lines, in the order of the legend.
        x: the horizontal axis.
        y: the vertical axis.
        title: read out in place of the picture.
        mark: "12:best" draws a thin vertical line at x = 12 with that word.
        stretches: (where it begins, name) of pieces of the horizontal axis, a thin line between.
    """
    starts = Plot(x=x, y=y).across
    rows = rows_of([starts(at) for at, _ in stretches], [name for _, name in stretches])
    extra = ROW * max(rows, default=0)
    plot = Plot(x=x, y=y, height=HEIGHT + extra, top=TOP + extra)
    parts = [*plot.frame(), *_legend(series)]
    for (at, name), row in zip(stretches, rows, strict=True):
        px, top = plot.across(at), plot.top - 5 - ROW * row
        if at != stretches[0][0]:
            parts.append(line(px, top - 8, px, plot.bottom, kind="mark"))
        parts.append(words(px + 4, top, name))
    if mark:
        at_mark, _, text = mark.partition(":")
        px = plot.across(float(at_mark))
        anchor = "end" if px > WIDTH * 0.75 else "start" if px < WIDTH * 0.25 else "middle"
        parts.append(line(px, plot.top, px, plot.bottom, kind="mark"))
        parts.append(words(px, plot.top - 5, text, anchor=anchor))
    for one in series:
        if one.band is not None:
            parts.append(band(one.x, *one.band, plot))
        parts.extend(_line(one, plot))
    return drawing(WIDTH, plot.height, *parts, label=title)


def band(x: Sequence[float], low: Sequence[float], high: Sequence[float], plot: Plot) -> Svg:
    """Return the area between the ends of intervals, cut off where the vertical axis ends."""
    upper, lower = (
        [
            f"{plot.across(at):.1f} {plot.up(min(max(end, plot.y.low), plot.y.high)):.1f}"
            for at, end in zip(x, ends, strict=True)
        ]
        for ends in (high, low)
    )
    return element("path", {"d": f"M{'L'.join([*upper, *reversed(lower)])}z", "class": "band"})


def one_in(num: int) -> int:
    """Return of how many pictures one is drawn as a dot."""
    return max(1, math.ceil(num / MAX_DOTS))


def scatter(
    x_N: np.ndarray, y_N: np.ndarray, *, x: Axis, y: Axis, title: str, line_at: str = "equal"
) -> Svg:
    """Return one dot a picture and the line on which they would lie without error.

    The line is where both axes are equal, or with `line_at` "zero" where y is 0.

    Of more than 2,000 pictures every k-th is drawn, so that the page stays light.
    """
    plot = Plot(x=x, y=y, height=360.0)
    parts = plot.frame()
    low, high = max(x.low, y.low), min(x.high, y.high)
    if line_at == "zero":
        parts.append(line(LEFT, plot.up(0), plot.right, plot.up(0), kind="mark"))
    elif high > low:
        parts.append(
            line(plot.across(low), plot.up(low), plot.across(high), plot.up(high), kind="mark")
        )
    every = one_in(len(x_N))
    for at, seen in zip(x_N[::every], y_N[::every], strict=True):
        place = {"cx": plot.across(float(at)), "cy": plot.up(float(seen)), "r": 3, "class": "dot"}
        parts.append(element("circle", place))
    return drawing(WIDTH, plot.height, *parts, label=title)


def histogram(values_N: np.ndarray, *, x_title: str, title: str, bins: int = 20) -> Svg:
    """Return how often values fall into each of `bins` equal steps."""
    counts, edges = np.histogram(values_N, bins=bins)
    x = Axis(title=x_title, low=float(edges[0]), high=float(edges[-1]))
    y = Axis(title="pictures", low=0, high=float(max(counts.max(), 1)), whole=True)
    plot = Plot(x=x, y=y)
    parts = plot.frame()
    for k, number in enumerate(counts):
        if number:
            left, right = plot.across(float(edges[k])), plot.across(float(edges[k + 1]))
            top, bottom = plot.up(float(number)), plot.bottom
            box = {"x": left + 0.5, "y": top, "width": max(right - left - 1, 1)}
            parts.append(element("rect", {**box, "height": bottom - top, "class": "bar"}))
    if x.low < 0 < x.high:
        parts.append(line(plot.across(0), plot.top, plot.across(0), plot.bottom, kind="mark"))
    return drawing(WIDTH, HEIGHT, *parts, label=title)


def dumbbells(
    names: Sequence[str],
    first: Sequence[float],
    last: Sequence[float],
    *,
    title: str,
    ends: tuple[str, str],
) -> Svg:
    """Return a row per name with two dots on a logarithmic axis: at the first and last epoch."""
    values = [v for v in (*first, *last) if math.isfinite(v) and v > 0]
    if not values:
        return Svg("")
    left, row, top = 130.0, 22.0, 30.0
    height = top + row * len(names) + BOTTOM
    axis = Axis(title="gradient norm", log=True, low=min(values) / 1.5, high=max(values) * 1.5)

    def at(number: float) -> float:
        return left + (WIDTH - RIGHT - left) * axis.share(number)

    parts = [
        element("circle", {"cx": left + 5, "cy": 12, "r": 4, "class": "hollow"}),
        words(left + 14, 16, ends[0]),
        element("circle", {"cx": left + 95, "cy": 12, "r": 4, "class": "point"}),
        words(left + 104, 16, ends[1]),
    ]
    for tick in axis.ticks():
        parts.append(line(at(tick), top, at(tick), height - BOTTOM, kind="grid"))
        parts.append(words(at(tick), height - BOTTOM + 16, short(tick), anchor="middle"))
    for k, name in enumerate(names):
        y = top + row * (k + 0.5)
        parts.append(words(left - 8, y + 4, cut(name, 20), anchor="end"))
        a, b = first[k], last[k]
        if min(a, b) > 0:
            parts.append(line(at(a), y, at(b), y, kind="thread"))
        parts.extend(
            element("circle", {"cx": at(v), "cy": y, "r": 4, "class": kind})
            for v, kind in ((a, "hollow"), (b, "point"))
            if math.isfinite(v) and v > 0
        )
    parts.append(
        words((left + WIDTH - RIGHT) / 2, height - 6, axis.title, kind="axis", anchor="middle")
    )
    return drawing(WIDTH, height, *parts, label=title)


def _legend(series: Sequence[Series]) -> list[Svg]:
    named = [one for one in series if one.name]
    if len(named) < 2:
        return []
    parts: list[Svg] = []
    at = WIDTH - RIGHT
    for one in reversed(named):
        at -= 7.0 * len(one.name)
        parts.append(words(at, 14, one.name))
        parts.append(line(at - 22, 10, at - 5, 10, kind=f"line {one.kind.split()[0]}"))
        at -= 34
    return parts


def _line(series: Series, plot: Plot) -> list[Svg]:
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in zip(series.x, series.y, strict=True):
        if math.isfinite(x) and math.isfinite(y):
            runs[-1].append((plot.across(x), plot.up(y)))
        elif runs[-1]:
            runs.append([])
    parts = []
    for run in runs:
        if len(run) > 1:
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in run)
            parts.append(element("polyline", {"points": points, "class": f"line {series.kind}"}))
        if run and (len(run) <= 40):
            parts.extend(
                element("circle", {"cx": x, "cy": y, "r": 2.5, "class": f"knot {series.kind}"})
                for x, y in run
            )
    return parts
