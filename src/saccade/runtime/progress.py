"""What a person sees while a run works: live on a terminal, plain lines in a pipe, or nothing."""

import sys
import time
from typing import Self, TextIO


class Progress:
    """Silent progress, and the questions every kind of progress answers.

    A step is begun with `start`, moved with `advance` and ended by the next `start` or `close`.
    All text goes to standard error, so that standard output holds results only.
    """

    def start(self, what: str, total: int = 0, unit: str = "") -> None:
        """Begin a step; `total` 0 means that its length is not known."""

    def advance(self, count: int = 1, note: str = "") -> None:
        """Move on by `count`; `note` is shown beside the bar."""

    def say(self, sentence: str) -> None:
        """Tell one thing that should stay on the screen."""

    def close(self) -> None:
        """End the last step."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class PlainProgress(Progress):
    """A line when a step begins, at most one every five seconds within it, and no colours."""

    seconds_between_lines = 5.0

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self._what, self._unit, self._total, self._done = "", "", 0, 0
        self._begun = self._shown = time.monotonic()

    def start(self, what: str, total: int = 0, unit: str = "") -> None:
        """Begin a step."""
        self._what, self._unit, self._total, self._done = what, unit, total, 0
        self._begun = self._shown = time.monotonic()
        of_one = unit.removesuffix("s") if total == 1 else unit
        print(f"{what} ({total} {of_one})" if total else what, file=self.stream, flush=True)

    def advance(self, count: int = 1, note: str = "") -> None:
        """Move on; a line is printed every few seconds."""
        self._done += count
        now = time.monotonic()
        if now - self._shown < self.seconds_between_lines:
            return
        self._shown = now
        left = remaining(self._done, self._total, now - self._begun)
        text = f"  {self._what}: {self._done}/{self._total} {self._unit}{left}"
        print(f"{text}; {note}" if note else text, file=self.stream, flush=True)

    def say(self, sentence: str) -> None:
        """Print the sentence."""
        print(sentence, file=self.stream, flush=True)


class LiveProgress(Progress):
    """One moving line with a bar, the rate, the time left and the latest note."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - rich costs 50 ms; only a terminal pays
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415
        from rich.progress import Progress as Bar  # noqa: PLC0415

        self._console = Console(stderr=True, highlight=False)
        self._bar = Bar(
            TextColumn("{task.description:<22}"),
            BarColumn(bar_width=16),
            TextColumn("{task.completed:.0f}/{task.total:.0f} {task.fields[unit]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}{task.fields[note]}", markup=False),
            console=self._console,
            transient=True,
        )
        self._step: int | None = None
        self._begun = 0.0

    def start(self, what: str, total: int = 0, unit: str = "") -> None:
        """Begin a step with a bar of its own."""
        self.close()
        self._begun = time.monotonic()
        self._bar.start()
        self._step = int(self._bar.add_task(what, total=total or 1, unit=unit, note="", left=""))

    def advance(self, count: int = 1, note: str = "") -> None:
        """Move the bar."""
        if self._step is None:
            return
        task = self._bar.tasks[-1]
        done = task.completed + count
        seconds = time.monotonic() - self._begun
        left = remaining(int(done), int(task.total or 0), seconds).removeprefix(", ")
        step = task.id
        shown = f"  {note}" if note else task.fields["note"]
        self._bar.update(step, advance=count, left=left, note=shown)

    def say(self, sentence: str) -> None:
        """Print the sentence above the bar."""
        self._console.print(sentence, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Take the bar off the screen."""
        if self._step is not None:
            self._bar.remove_task(self._bar.tasks[-1].id)
            self._bar.stop()
            self._step = None


def remaining(done: int, total: int, seconds: float) -> str:
    """Return the time left at the rate so far, as text, or nothing while it cannot be said.

    >>> remaining(10, 40, 5.0)
    ', 15 s left'
    """
    if not total or done <= 0 or seconds < 1:
        return ""
    left = seconds / done * max(total - done, 0)
    return f", {left:.0f} s left" if left < 90 else f", {left / 60:.0f} min left"


def choose_progress(*, quiet: bool = False) -> Progress:
    """Return live progress on a terminal, plain lines in a pipe, none when `quiet`."""
    if quiet:
        return Progress()
    return LiveProgress() if sys.stderr.isatty() else PlainProgress()
