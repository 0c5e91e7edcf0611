"""Curves, bars and maps as inline SVG; colours and sizes of type come from the style sheet."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from saccade.reporting.svg import Svg, drawing, element, line, words
from saccade.reporting.wording import short

WIDTH, HEIGHT = 400.0, 250.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 14.0, 40.0, 40.0
MAX_DOTS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line of a chart; points whose y is not finite break it."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    kind: str = "a"  # "a" in the accent colour, "b" in the colour of the text, dashed


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """What an axis shows and how a value becomes a place on it."""

    title: str
    low: float
    high: float
    log: bool = False
    whole: bool = False  # ticks at whole numbers only

    def share(self, value: float) -> float:
        """Return where `value` lies, 0 at the low end and 1 at the high end."""
        low, high, at = (
            (math.log10(v) for v in (self.low, self.high, value))
            if self.log
            else (self.low, self.high, value)
        )
        return (at - low) / (high - low) if high > low else 0.5

    def ticks(self) -> list[float]:
        """Return round values within the axis."""
        if self.log:
            return _powers(self.low, self.high)
        if not self.whole:
            return round_values(self.low, self.high)
        if self.high - self.low <= 10:
            return [float(t) for t in range(math.ceil(self.low), math.floor(self.high) + 1)]
        ticks = [t for t in round_values(self.low, self.high) if t == int(t)]
        return [self.low, *ticks] if self.low < ticks[0] else ticks


def round_values(low: float, high: float, *, about: int = 6) -> list[float]:
    """Return round values from `low` to `high`, in steps of 1, 2 or 5 times a power of ten.

    >>> round_values(0, 0.93)
    [0.0, 0.2, 0.4, 0.6, 0.8]
    """
    if not high > low:
        return [low]
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * f for f in (1, 2, 5, 10) if power * f >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def line_chart(series: Sequence[Series], x: Axis, y: Axis, *, title: str, mark: str = "") -> Svg:
    """Return lines over two axes.

    Args:
        series: the lines, in the order of the legend.
        x: the horizontal axis.
        y: the vertical axis.
        title: read out in place of the picture.
        mark: "12:best" draws a thin vertical line at x = 12 with that word.
    """
    place_x, place_y = _places(x, y, WIDTH, HEIGHT)
    parts = [*_frame(x, y, WIDTH, HEIGHT), *_legend(series)]
    if mark:
        at, _, text = mark.partition(":")
        px = place_x(float(at))
        anchor = "end" if px > WIDTH * 0.75 else "start" if px < WIDTH * 0.25 else "middle"
        parts.append(line(px, TOP, px, HEIGHT - BOTTOM, kind="mark"))
        parts.append(words(px, TOP - 5, text, anchor=anchor))
    for one in series:
        parts.extend(_line(one, place_x, place_y))
    return drawing(WIDTH, HEIGHT, *parts, label=title)


def scatter(
    x_N: np.ndarray, y_N: np.ndarray, *, x: Axis, y: Axis, title: str, line_at: str = "equal"
) -> Svg:
    """Return one dot a picture and the line on which they would lie without error.

    The line is where both axes are equal, or with `line_at` "zero" where y is 0.

    Of more than 2,000 pictures every k-th is drawn, so that the page stays light.
    """
    height = 360.0
    place_x, place_y = _places(x, y, WIDTH, height)
    parts = list(_frame(x, y, WIDTH, height))
    low, high = max(x.low, y.low), min(x.high, y.high)
    if line_at == "zero":
        parts.append(line(LEFT, place_y(0), WIDTH - RIGHT, place_y(0), kind="mark"))
    elif high > low:
        parts.append(line(place_x(low), place_y(low), place_x(high), place_y(high), kind="mark"))
    every = max(1, math.ceil(len(x_N) / MAX_DOTS))
    for at, seen in zip(x_N[::every], y_N[::every], strict=True):
        place = {"cx": place_x(float(at)), "cy": place_y(float(seen)), "r": 3, "class": "dot"}
        parts.append(element("circle", place))
    return drawing(WIDTH, height, *parts, label=title)


def histogram(values_N: np.ndarray, *, x_title: str, title: str, bins: int = 20) -> Svg:
    """Return how often values fall into each of `bins` equal steps."""
    counts, edges = np.histogram(values_N, bins=bins)
    x = Axis(title=x_title, low=float(edges[0]), high=float(edges[-1]))
    y = Axis(title="pictures", low=0, high=float(max(counts.max(), 1)), whole=True)
    place_x, place_y = _places(x, y, WIDTH, HEIGHT)
    parts = list(_frame(x, y, WIDTH, HEIGHT))
    for k, number in enumerate(counts):
        if number:
            left, right = place_x(float(edges[k])), place_x(float(edges[k + 1]))
            top, bottom = place_y(float(number)), place_y(0)
            box = {"x": left + 0.5, "y": top, "width": max(right - left - 1, 1)}
            parts.append(element("rect", {**box, "height": bottom - top, "class": "bar"}))
    if x.low < 0 < x.high:
        parts.append(line(place_x(0), TOP, place_x(0), HEIGHT - BOTTOM, kind="mark"))
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
        parts.append(words(left - 8, y + 4, _cut(name, 20), anchor="end"))
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


def around(values: Sequence[float], *, margin: float = 0.05) -> tuple[float, float]:
    """Return a range that holds all finite values with a little air; (0, 1) where there is none."""
    finite = [v for v in values if math.isfinite(v)]
    if not finite:
        return 0.0, 1.0
    low, high = min(finite), max(finite)
    air = (high - low) * margin or abs(high) * margin or 1.0
    return low - air, high + air


def _powers(low: float, high: float) -> list[float]:
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    every = max(1, math.ceil((last - first + 1) / 6))
    powers = [10.0**k for k in range(first, last + 1, every)]
    return powers if len(powers) >= 2 else [low, high]


def _places(
    x: Axis, y: Axis, width: float, height: float
) -> tuple[Callable[[float], float], Callable[[float], float]]:
    def across(value: float) -> float:
        return LEFT + (width - LEFT - RIGHT) * x.share(value)

    def up(value: float) -> float:
        return height - BOTTOM - (height - TOP - BOTTOM) * y.share(value)

    return across, up


def _frame(x: Axis, y: Axis, width: float, height: float) -> list[Svg]:
    place_x, place_y = _places(x, y, width, height)
    parts = []
    for tick in y.ticks():
        parts.append(line(LEFT, place_y(tick), width - RIGHT, place_y(tick), kind="grid"))
        parts.append(words(LEFT - 6, place_y(tick) + 4, short(tick), anchor="end"))
    for tick in x.ticks():
        parts.append(
            line(place_x(tick), height - BOTTOM, place_x(tick), height - BOTTOM + 4, kind="base")
        )
        parts.append(words(place_x(tick), height - BOTTOM + 17, short(tick), anchor="middle"))
    parts.append(line(LEFT, height - BOTTOM, width - RIGHT, height - BOTTOM, kind="base"))
    middle = (LEFT + width - RIGHT) / 2
    parts.append(words(middle, height - 5, x.title, kind="axis", anchor="middle"))
    parts.append(words(4, 14, y.title, kind="axis"))
    return parts


def _legend(series: Sequence[Series]) -> list[Svg]:
    if len(series) < 2:
        return []
    parts: list[Svg] = []
    at = WIDTH - RIGHT
    for one in reversed(series):
        at -= 7.0 * len(one.name)
        parts.append(words(at, 14, one.name))
        parts.append(line(at - 22, 10, at - 5, 10, kind=f"line {one.kind}"))
        at -= 34
    return parts


def _line(
    series: Series, place_x: Callable[[float], float], place_y: Callable[[float], float]
) -> list[Svg]:
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in zip(series.x, series.y, strict=True):
        if math.isfinite(x) and math.isfinite(y):
            runs[-1].append((place_x(x), place_y(y)))
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


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
