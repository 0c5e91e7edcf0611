"""A request to stop, from the keyboard, the system or a closed terminal, heard between steps."""

import contextlib
import os
import signal
import sys
from types import FrameType

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


class Interrupts:
    """While this context is open, the first signal asks to stop and the second one ends at once.

    Signals can only be heard in the main thread; elsewhere the context does nothing.
    """

    def __init__(self) -> None:
        self.signal_name = ""
        self._before: dict[int, object] = {}

    def asked_to_stop(self) -> bool:
        """Whether a signal has come."""
        return bool(self.signal_name)

    def __enter__(self) -> "Interrupts":
        for name in _SIGNALS:
            number = getattr(signal, name, None)
            if number is not None and is_heard(number):
                try:
                    self._before[number] = signal.signal(number, self._hear)
                except ValueError:  # not the main thread
                    return self
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            if handler is not None:  # else it was not set from Python, and cannot be put back
                signal.signal(number, handler)  # type: ignore[arg-type]

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        if self.signal_name:
            os._exit(6)
        self.signal_name = signal.Signals(number).name
        with contextlib.suppress(OSError, ValueError):  # a terminal that was closed cannot be told
            sys.stderr.write("\nStopping after this step; once more to stop at once.\n")
            sys.stderr.flush()


def raise_on_hangup() -> None:
    """Let SIGTERM and SIGHUP end the program the way Ctrl-C does: cleaned up, with exit code 6."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and is_heard(number):
            signal.signal(number, end)


def is_heard(number: int) -> bool:
    """Return whether a signal is to be heard: not where who began us said so, as nohup does."""
    return signal.getsignal(number) is not signal.SIG_IGN
