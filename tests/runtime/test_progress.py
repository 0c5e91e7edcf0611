"""Progress: plain lines in a pipe, nothing when quiet."""

import io

import pytest

from saccade.runtime import progress as module
from saccade.runtime.progress import PlainProgress, Progress, choose_progress, remaining


def test_a_pipe_gets_plain_lines_with_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.0, 2.0, 6.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    own = PlainProgress(stream)
    own.start("train", 100, "pictures")
    own.advance(10, note="loss 1.0")  # after 2 s: too early for a line
    own.advance(10, note="loss 0.9")
    own.say("done")
    assert stream.getvalue().splitlines() == [
        "train (100 pictures)",
        "  train: 20/100 pictures, 24 s left; loss 0.9",
        "done",
    ]


def test_quiet_means_nothing() -> None:
    assert type(choose_progress(quiet=True)) is Progress


@pytest.mark.parametrize(
    ("done", "total", "seconds", "text"),
    [
        (0, 10, 5.0, ""),
        (5, 10, 0.5, ""),
        (5, 10, 5.0, ", 5 s left"),
        (1, 100, 6.0, ", 10 min left"),
    ],
)
def test_the_time_left_is_said_once_it_can_be_known(
    done: int, total: int, seconds: float, text: str
) -> None:
    assert remaining(done, total, seconds) == text
