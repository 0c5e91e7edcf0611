"""Signals, as they arrive in Python."""

import signal


def arrive(number: int) -> None:
    """Call what Python calls when a signal has come, without one.

    pytest's faulthandler gives signals a stack of their own, which is too small for the registers
    of some processors once OpenVINO has asked for all of them: any real signal then ends the
    process, whoever tests what at that time.
    """
    handler = signal.getsignal(number)
    if callable(handler):
        handler(number, None)
