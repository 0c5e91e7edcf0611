"""Where a value lies on a drawing: axes, their ticks, and a frame of two of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from saccade.reporting.svg import Svg, line, words
from saccade.reporting.wording import short

WIDTH, HEIGHT = 400.0, 250.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 14.0, 40.0, 40.0
LETTER = 6.4
"""Width of a letter in pixels, on average; the font is the reader's, so it is not known better."""
ROW = 15.0  # from one row of small words to the next


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """What an axis shows and how a value becomes a place on it."""

    title: str
    low: float
    high: float
    log: bool = False
    whole: bool = False  # ticks at whole numbers only
    named: tuple[tuple[float, str], ...] = ()  # ticks with their words, in place of round values

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

    def labels(self) -> list[tuple[float, str]]:
        """Return the ticks with what is written at them."""
        return list(self.named) or [(tick, short(tick)) for tick in self.ticks()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """The area between two axes of a drawing, in pixels."""

    x: Axis
    y: Axis
    width: float = WIDTH
    height: float = HEIGHT
    top: float = TOP

    @property
    def right(self) -> float:
        """Where the horizontal axis ends."""
        return self.width - RIGHT

    @property
    def bottom(self) -> float:
        """Where the horizontal axis lies."""
        return self.height - BOTTOM

    def across(self, value: float) -> float:
        """Return the place of a value of the horizontal axis."""
        return LEFT + (self.right - LEFT) * self.x.share(value)

    def up(self, value: float) -> float:
        """Return the place of a value of the vertical axis."""
        return self.bottom - (self.bottom - self.top) * self.y.share(value)

    def frame(self) -> list[Svg]:
        """Return both axes with their ticks and titles."""
        parts = []
        for tick, text in self.y.labels():
            parts.append(line(LEFT, self.up(tick), self.right, self.up(tick), kind="grid"))
            parts.append(words(LEFT - 6, self.up(tick) + 4, text, anchor="end"))
        for tick, text in self.x.labels():
            at = self.across(tick)
            parts.append(line(at, self.bottom, at, self.bottom + 4, kind="base"))
            parts.append(words(at, self.bottom + 17, text, anchor="middle"))
        parts.append(line(LEFT, self.bottom, self.right, self.bottom, kind="base"))
        middle = (LEFT + self.right) / 2
        parts.append(words(middle, self.height - 5, self.x.title, kind="axis", anchor="middle"))
        parts.append(words(4, 14, self.y.title, kind="axis"))
        return parts


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


def around(values: Sequence[float], *, margin: float = 0.05) -> tuple[float, float]:
    """Return a range that holds all finite values with a little air; (0, 1) where there is none."""
    finite = [v for v in values if math.isfinite(v)]
    if not finite:
        return 0.0, 1.0
    low, high = min(finite), max(finite)
    air = (high - low) * margin or abs(high) * margin or 1.0
    return low - air, high + air


def rows_of(starts: Sequence[float], texts: Sequence[str]) -> list[int]:
    """Return a row for each text so that none covers another, 0 = the lowest.

    The texts begin at `starts`, which rise. One that would run into a later one stands higher, so
    that a line straight down from where it begins meets no other text.

    >>> rows_of([0, 10, 200], ["last stage", "last 2 stages", "all"])
    [1, 0, 0]
    """
    rows = [0] * len(starts)
    for k in reversed(range(len(starts))):
        end = starts[k] + LETTER * len(texts[k]) + 8
        rows[k] = 1 + max(
            (rows[j] for j in range(k + 1, len(starts)) if starts[j] < end), default=-1
        )
    return rows


def _powers(low: float, high: float) -> list[float]:
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    every = max(1, math.ceil((last - first + 1) / 6))
    powers = [10.0**k for k in range(first, last + 1, every)]
    return powers if len(powers) >= 2 else [low, high]
