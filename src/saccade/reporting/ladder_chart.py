"""The freezing ladder as one picture: the validation score against the seconds of the run."""

import math
from dataclasses import dataclass

from saccade.evaluation.difference import lower_is_better
from saccade.evaluation.intervals import Estimate
from saccade.reporting.axes import (
    LEFT,
    LETTER,
    RIGHT,
    ROW,
    TOP,
    WIDTH,
    Axis,
    Plot,
    around,
    rows_of,
)
from saccade.reporting.glossary import is_share, score_words
from saccade.reporting.ladder import ladder_title
from saccade.reporting.learned import LearningFacts
from saccade.reporting.svg import Svg, drawing, element, line, words
from saccade.reporting.wording import cut, decimals, duration, interval

HEIGHT = 270.0
LONGEST = 16  # letters of a name


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone:
    """A point of the picture: the head or a rung, when it ended."""

    name: str
    at_seconds: float
    score: Estimate
    kept: bool

    @property
    def ends(self) -> list[float]:
        """Its value and the bounds of its interval, as far as they are known."""
        own = (self.score.value, self.score.low, self.score.high)
        return [number for number in own if math.isfinite(number)]


def ladder_chart(learning: LearningFacts, *, total_seconds: float) -> Svg:
    """Return the picture; empty where no rung, or nothing of it, can be drawn."""
    marks = _milestones(learning)
    if not learning.rungs or not marks:
        return Svg("")
    name = score_words(learning.score_name)
    low, high = around([end for mark in marks for end in mark.ends])
    if not lower_is_better(learning.score_name):
        low, high = max(low, 0.0), min(high, 1.0)
    lower = " (lower is better)" if lower_is_better(learning.score_name) else ""
    x = Axis(title="seconds since the run began", low=0, high=_end(marks, total_seconds))
    y = Axis(title=f"validation {name}{lower}", low=low, high=high)
    starts = [Plot(x=x, y=y).across(mark.at_seconds) for mark in marks]
    rows = rows_of(starts, [mark.name for mark in marks])
    extra = ROW * max(rows)
    plot = Plot(x=x, y=y, height=HEIGHT + extra, top=TOP + 8 + extra)
    parts = [*plot.frame(), *_legend(), *_steps(marks, plot)]
    for mark, row in zip(marks, rows, strict=True):
        parts.append(_drawn(mark, plot, row=row, name=learning.score_name))
    return drawing(WIDTH, plot.height, *parts, label=ladder_title(learning))


def _milestones(learning: LearningFacts) -> list[Milestone]:
    """Return what can be drawn, in the order of time."""
    head = learning.head
    found = [
        Milestone(
            name=cut(rung.name, LONGEST),
            at_seconds=rung.at_seconds,
            score=rung.score,
            kept=rung.taken,
        )
        for rung in learning.rungs
    ]
    if head is not None:
        first = Milestone(name="head", at_seconds=head.at_seconds, score=head.score, kept=True)
        found.insert(0, first)
    return [one for one in found if math.isfinite(one.score.value + one.at_seconds)]


def _end(marks: list[Milestone], total_seconds: float) -> float:
    """Return where the axis ends: with the run, and so that every name has room."""
    width = WIDTH - RIGHT - LEFT
    needed = [
        mark.at_seconds * width / max(width - LETTER * len(mark.name), width / 2) for mark in marks
    ]
    return max([1.0, *needed, *([total_seconds] if math.isfinite(total_seconds) else [])])


def _steps(marks: list[Milestone], plot: Plot) -> list[Svg]:
    """Return the line of the network that would be used at each moment, up to the axis' end."""
    kept = [mark for mark in marks if mark.kept]
    if not kept:
        return []
    path = f"M{plot.across(kept[0].at_seconds):.1f} {plot.up(kept[0].score.value):.1f}"
    for mark in kept[1:]:
        path += f"H{plot.across(mark.at_seconds):.1f}V{plot.up(mark.score.value):.1f}"
    return [element("path", {"d": f"{path}H{plot.right:.1f}", "class": "line a step"})]


def _drawn(mark: Milestone, plot: Plot, *, row: int, name: str) -> Svg:
    at, y = plot.across(mark.at_seconds), plot.up(mark.score.value)
    top = plot.top - 10 - ROW * row
    bounds = (mark.score.low, mark.score.high)
    known = all(map(math.isfinite, bounds))
    low, high = (plot.up(bound) for bound in bounds) if known else (y, y)
    share = is_share(name)
    told = f" ({interval(mark.score, share=share)}, n = {mark.score.n:,})" if known else ""
    state = "kept" if mark.kept else "undone"
    parts = [
        element(
            "title",
            {},
            f"{mark.name}: {score_words(name)} {decimals(mark.score.value, share=share)}{told} "
            f"after {duration(mark.at_seconds)}, {state}",
        ),
        line(at, top + 4, at, high - 5, kind="mark"),
        words(at, top, mark.name, kind=f"tick {state}"),
    ]
    if known:
        parts.append(line(at, low, at, high, kind=f"range {state}"))
    kind = "point" if mark.kept else "hollow"
    parts.append(element("circle", {"cx": at, "cy": y, "r": 5, "class": kind}))
    return element("g", {}, *parts)


def _legend() -> list[Svg]:
    at = WIDTH - RIGHT - 116
    return [
        element("circle", {"cx": at, "cy": 10, "r": 4, "class": "point"}),
        words(at + 9, 14, "kept"),
        element("circle", {"cx": at + 56, "cy": 10, "r": 4, "class": "hollow"}),
        words(at + 65, 14, "undone"),
    ]
