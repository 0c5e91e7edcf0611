"""Work that goes on in a thread of its own while the main one does something else."""

import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

from saccade.runtime.progress import Progress

T = TypeVar("T")

SWITCH_SECONDS = 0.0005
"""How long a thread may keep the others waiting for Python. By default 5 ms: decoding threads, who
ask for it ten times a picture, would stand still beside one that imports."""


class Background(Generic[T]):
    """A result that is being computed; an error in it is raised where the result is asked for.

    The thread ends with the program, whatever it is doing: an interrupted import harms nobody.
    While the context is open, threads take turns often.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._result: T | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._switch_seconds = sys.getswitchinterval()

    def __enter__(self) -> Self:
        sys.setswitchinterval(SWITCH_SECONDS)
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        sys.setswitchinterval(self._switch_seconds)

    def _run(self) -> None:
        try:
            self._result = self._work()
        except BaseException as error:  # noqa: BLE001 - raised again in `result`
            self._error = error

    def check(self) -> None:
        """Raise what went wrong, if it already has."""
        if self._error is not None:
            raise self._error

    def result(self) -> T:
        """Wait for the result and return it."""
        self._thread.join()
        self.check()
        return self._result  # type: ignore[return-value]


class Checking(Progress):
    """Progress that is told on, and stops whatever tells it when something beside it fails."""

    def __init__(self, progress: Progress, beside: Background[T]) -> None:
        self._progress, self._beside = progress, beside

    def start(self, what: str, total: int = 0, unit: str = "") -> None:
        """Begin a step."""
        self._beside.check()
        self._progress.start(what, total, unit)

    def advance(self, count: int = 1, note: str = "") -> None:
        """Move on."""
        self._beside.check()
        self._progress.advance(count, note)

    def say(self, sentence: str) -> None:
        """Tell one thing."""
        self._progress.say(sentence)

    def close(self) -> None:
        """End the last step."""
        self._progress.close()
