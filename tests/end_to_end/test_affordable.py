"""How many pictures a budget leaves time for: a network is priced by enough of them."""

from collections.abc import Sequence

import pytest

from saccade import preparing


class Clock:
    """Tells a time of its own, in which asking takes as long as is said."""

    def __init__(self, *, at_once: float, each: float) -> None:
        self.now, self.at_once, self.each = 0.0, at_once, each
        self.asked: list[int] = []

    def perf_counter(self) -> float:
        return self.now

    def ask(self, rows: Sequence[int]) -> None:
        self.asked.append(len(rows))
        self.now += self.at_once + self.each * len(rows)


@pytest.mark.parametrize(
    ("at_once", "each", "asked", "found"),
    [
        (0.024, 0.001, [8, 32, 32], 0.00175),  # of eight alone it would be 0.004
        (0.0, 0.1, [8, 8], 0.1),  # a slow network is asked no more than it must
    ],
)
def test_a_quick_network_is_asked_about_more(
    monkeypatch: pytest.MonkeyPatch, at_once: float, each: float, asked: list[int], found: float
) -> None:
    clock = Clock(at_once=at_once, each=each)
    monkeypatch.setattr(preparing, "time", clock)
    assert preparing.seconds_a_picture(clock.ask) == pytest.approx(found)
    assert clock.asked == asked
