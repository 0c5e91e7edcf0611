"""Accuracy against seconds, one panel a set, as one SVG file that needs nothing else."""

import math
from collections.abc import Sequence
from html import escape
from itertools import zip_longest
from statistics import fmean, median

from comparison import Measured, Run
from methods import METHODS

from saccade.evaluation.intervals import Estimate

WIDTH, HEIGHT = 1040, 380  # of one panel, px
LEFT, RIGHT, TOP, BOTTOM = 64, 660, 44, 330  # edges of the plot within its panel
COLOURS = {  # Okabe and Ito (2008), told apart also by the colour-blind; ours are the blue ones
    "saccade_head": "#56b4e9",
    "saccade_20s": "#3f88c5",
    "saccade_auto": "#0072b2",
    "saccade_60s": "#00416a",
    "tutorial_frozen": "#e69f00",
    "tutorial_all": "#d55e00",
    "fastai": "#cc79a7",
    "expert": "#009e73",
}
Point = tuple[float, float]


def draw(runs: Sequence[Run]) -> str:
    """Return the SVG text: a panel for every set whose accuracy was measured."""
    sets = [Measured(name, runs) for name in dict.fromkeys(run["set"] for run in runs)]
    sets = [own for own in sets if own.methods and not own.timing_only]
    panels = [
        f'<g transform="translate(0 {number * HEIGHT})">{_panel(own)}</g>'
        for number, own in enumerate(sets)
    ]
    height = HEIGHT * len(panels) + 30
    note = (
        "Large: finished model on the val folder, with its 95 % interval. Small: after an epoch. "
        "Hollow, dashed: a rung, on saccade's own validation part."
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="13" '
        f'fill="#222222"><rect width="100%" height="100%" fill="#ffffff"/>{"".join(panels)}'
        f'<text x="{LEFT}" y="{height - 14}" fill="#555555">{escape(note)}</text></svg>\n'
    )


class Axes:
    """Where seconds (logarithmic) and accuracies lie in a panel."""

    def __init__(self, seconds: Sequence[float], scores: Sequence[float]) -> None:
        self.first, self.last = min(seconds) * 0.8, max(seconds) * 1.25
        self.step = 0.05 if max(scores) - min(scores) < 0.4 else 0.1
        self.low = max(0.0, math.floor(min(scores) / self.step) * self.step)
        self.high = min(1.0, math.ceil(max(scores) / self.step) * self.step)
        self.high = max(self.high, self.low + self.step)

    def x(self, seconds: float) -> float:
        """Return the place of a moment, px."""
        share = math.log(seconds / self.first) / math.log(self.last / self.first)
        return LEFT + share * (RIGHT - LEFT)

    def y(self, score: float) -> float:
        """Return the place of an accuracy, px."""
        return BOTTOM - (score - self.low) / (self.high - self.low) * (BOTTOM - TOP)

    def moments(self) -> list[float]:
        """Return round numbers of seconds, at least four where the axis is short."""
        marks = [m * 10**e for e in range(-1, 5) for m in (1, 2, 3, 5)]
        return [own for own in marks if self.first <= own <= self.last]

    def grid(self) -> str:
        """Return the lines with their numbers."""
        parts = []
        for moment in self.moments():
            x = f"{self.x(moment):.1f}"
            parts.append(f'<path d="M{x} {TOP}V{BOTTOM}" stroke="#e4e4e4"/>')
            parts.append(f'<text x="{x}" y="{BOTTOM + 18}" text-anchor="middle">{moment:g}</text>')
        for number in range(round((self.high - self.low) / self.step) + 1):
            score = self.low + number * self.step
            y = self.y(score)
            parts.append(f'<path d="M{LEFT} {y:.1f}H{RIGHT}" stroke="#e4e4e4"/>')
            parts.append(
                f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{score:.2f}</text>'
            )
        middle = (LEFT + RIGHT) / 2
        parts.append(
            f'<text x="{middle}" y="{BOTTOM + 36}" text-anchor="middle">'
            "seconds since the process was started</text>"
        )
        return "".join(parts)


def _panel(own: Measured) -> str:
    methods = [key for key in own.methods if key in COLOURS]
    methods.sort(key=own.seconds)
    if not methods:
        return ""
    lines = {key: _points(own, key) for key in methods}
    ends = {key: (own.seconds(key), own.accuracy(key)) for key in methods}
    everything = [*(p for line in lines.values() for p in line)]
    axes = Axes(
        [s for s, _ in everything] + [s for s, _ in ends.values()],
        [score for _, score in everything] + [v for _, e in ends.values() for v in (e.low, e.high)],
    )
    parts = [
        f'<text x="{LEFT}" y="{TOP - 16}" font-size="15" font-weight="bold">'
        f"{escape(own.name)}: accuracy on {own.num_val} pictures</text>",
        axes.grid(),
    ]
    for number, key in enumerate(methods):
        seconds, estimate = ends[key]
        parts.append(_line(axes, lines[key], (seconds, estimate.value), key))
        parts.append(_bar(axes, seconds, estimate, COLOURS[key]))
        words = f"{METHODS[key].title}: {estimate.value:.3f} after {seconds:.0f} s"
        y = TOP + 8 + 24 * number
        parts.append(f'<circle cx="{RIGHT + 26}" cy="{y}" r="6" fill="{COLOURS[key]}"/>')
        parts.append(f'<text x="{RIGHT + 40}" y="{y + 4}">{escape(words)}</text>')
    return "".join(parts)


def _points(own: Measured, key: str) -> list[Point]:
    """Return median seconds and mean accuracy of each epoch or rung over the runs that had it."""
    found = []
    for at_once in zip_longest(*(run["curve"] for run in own.runs[key])):
        there = [point for point in at_once if point]
        found.append((median(p["seconds"] for p in there), fmean(p["score"] for p in there)))
    return found


def _line(axes: Axes, points: Sequence[Point], end: Point, key: str) -> str:
    colour, ours = COLOURS[key], METHODS[key].ours
    path = "".join(
        f"{'L' if number else 'M'}{axes.x(seconds):.1f} {axes.y(score):.1f}"
        for number, (seconds, score) in enumerate([*points] if ours else [*points, end])
    )
    dots = "".join(
        f'<circle cx="{axes.x(seconds):.1f}" cy="{axes.y(score):.1f}" r="3.5" '
        f'fill="{"#ffffff" if ours else colour}" stroke="{colour}"/>'
        for seconds, score in points
    )
    dashes = ' stroke-dasharray="4 4"' if ours else ""
    stroke = f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>'
    return (stroke if path else "") + dots


def _bar(axes: Axes, seconds: float, found: Estimate, colour: str) -> str:
    x, top, foot = axes.x(seconds), axes.y(found.high), axes.y(found.low)
    return (
        f'<path d="M{x:.1f} {top:.1f}V{foot:.1f}" stroke="{colour}" stroke-width="2"/>'
        f'<circle cx="{x:.1f}" cy="{axes.y(found.value):.1f}" r="7" fill="{colour}"/>'
    )
