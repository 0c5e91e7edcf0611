"""A request to stop is heard, whether or not there is anybody left to tell."""

import os
import signal
import sys

import pytest
from tests.signals import arrive

from saccade.runtime.interrupts import Interrupts, raise_on_hangup


class Closed:
    """A terminal that is gone."""

    def write(self, _text: str) -> None:
        raise OSError(5, "Input/output error")

    def flush(self) -> None:
        raise OSError(5, "Input/output error")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_asks_to_stop_and_is_answered(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Interrupts() as interrupts:
        assert not interrupts.asked_to_stop()
        arrive(getattr(signal, name))
        assert interrupts.asked_to_stop()
    assert interrupts.signal_name == name
    assert "Stopping after this step" in capsys.readouterr().err


def test_a_closed_terminal_cannot_be_told_and_is_heard_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The handler runs between two lines of training: an error in it would end the run there."""
    monkeypatch.setattr(sys, "stderr", Closed())
    with Interrupts() as interrupts:
        arrive(signal.SIGHUP)
        assert interrupts.asked_to_stop()


def test_a_second_signal_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    with Interrupts():
        arrive(signal.SIGINT)
        assert ended == []
        arrive(signal.SIGINT)
    assert ended == [6]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_a_signal_that_our_parent_ignores_is_not_heard(number: signal.Signals) -> None:
    """As nohup does with the hang-up, and a shell's script with Ctrl-C in the background."""
    before = {own: signal.getsignal(own) for own in (number, signal.SIGTERM, signal.SIGHUP)}
    signal.signal(number, signal.SIG_IGN)
    try:
        raise_on_hangup()
        with Interrupts() as interrupts:
            arrive(number)
            assert not interrupts.asked_to_stop()
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        for own, handler in before.items():
            signal.signal(own, handler)
