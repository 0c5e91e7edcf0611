"""Row C4: a request to stop, by a signal, from the system or a closed terminal."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.end_to_end.programs import cli, program, wait_for
from tests.signals import arrive

import saccade
from saccade import road
from saccade.runtime.errors import InterruptedRun
from saccade.runtime.interrupts import Interrupts
from saccade.training.checkpoint import read_checkpoint
from saccade.training.history import History
from saccade.training.learn import Learned

SMALL = ["--model", "cnn", "--img-size", 16, "--widths", "8,16", "--hflip", 0, "--no-trust"]
LONG = [*SMALL, "--epochs", 40, "--patience", 40, "--batch-size", 8, "--threads", 1]
STEPS_AN_EPOCH = 4  # of 30 training pictures
SECONDS_TO_KEEP = 2.0  # that a checkpoint may take, after the step in which the signal came

# Each step takes at least so long, and writes down when it began and when it was over.
STEPS = """
from saccade.training.step import Updater
def noted(self, *rows, _own=Updater.__call__, **place):
    with open("begun", "a") as log:
        log.write(f"{{time.time()}}\\n")
    value = _own(self, *rows, **place)
    time.sleep({seconds})
    with open("over", "a") as log:
        log.write(f"{{time.time()}}\\n")
    return value
Updater.__call__ = noted
"""
# What the guards are against: a signal that nobody asks about, and a second one like the first.
UNASKED = """
from saccade.runtime.interrupts import Interrupts
Interrupts.asked_to_stop = lambda self: False
"""
PATIENT = """
from saccade.runtime.interrupts import Interrupts
def first_only(self, number, frame, _own=Interrupts._hear):
    if not self.signal_name:
        _own(self, number, frame)
Interrupts._hear = first_only
"""


@contextlib.contextmanager
def learning(
    folder: Path, *, step_seconds: float, changes: str = ""
) -> Iterator[subprocess.Popen[bytes]]:
    """Give a process that learns from the pictures in a folder, in its second epoch.

    It ends with the block.
    """
    words = ["train", folder, *LONG, "--output", "stopped"]
    changes = STEPS.format(seconds=step_seconds) + changes
    process = program(words, cwd=folder.parent, changes=changes, told=folder.parent / "told")
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def times(log: Path) -> list[float]:
    return [float(line) for line in log.read_text().split()] if log.exists() else []


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, marks=pytest.mark.slow),
    ],
)
def test_a_signal_ends_the_step_keeps_the_best_model_and_resume_ends_as_if_nothing_had_happened(
    image_folder: Callable[..., Path], number: signal.Signals
) -> None:
    folder = image_folder(3, 14)
    place, run = folder.parent, folder.parent / "stopped"
    whole = cli("train", folder, *LONG, "--output", "whole", cwd=place)
    assert whole.returncode == 0, whole.stderr
    with learning(folder, step_seconds=0.05) as process:
        wait_for(lambda: len(times(place / "over")) > STEPS_AN_EPOCH + 1)
        process.send_signal(number)
        sent = time.time()
        assert process.wait(60) == 6
    told = (place / "told").read_text()
    assert f"Stopped by {number.name}; the best model so far is kept, untested." in told
    assert "go on with: saccade resume stopped" in told
    assert_nothing_came_after(sent, place)
    stopped = saccade.open_run(run)
    assert stopped.state == "interrupted"
    assert saccade.load(run).classes == ("class0", "class1", "class2")
    resumed = cli("resume", "stopped", cwd=place)
    assert resumed.returncode == 0, resumed.stderr
    first, second = ((place / own / "predictions.csv").read_bytes() for own in ("whole", "stopped"))
    assert first == second


def assert_nothing_came_after(sent: float, place: Path) -> None:
    """Assert that the step under way was the last, and that all steps were kept in time."""
    over = times(place / "over")
    assert sum(own > sent for own in over) <= 1
    checkpoint = place / "stopped" / "checkpoint.safetensors"
    assert checkpoint.stat().st_mtime < max(over[-1], sent) + SECONDS_TO_KEEP
    counters = read_checkpoint(checkpoint).counters
    assert (counters["epoch"] - 1) * STEPS_AN_EPOCH + counters["step"] == len(over)


@pytest.mark.slow
def test_a_signal_that_nobody_asks_about_ends_no_step_negative_control(
    image_folder: Callable[..., Path],
) -> None:
    folder = image_folder(3, 14)
    with learning(folder, step_seconds=0.05, changes=UNASKED) as process:
        wait_for(lambda: len(times(folder.parent / "over")) > STEPS_AN_EPOCH + 1)
        process.send_signal(signal.SIGINT)
        sent = time.time()
        assert process.wait(60) == 0
    with pytest.raises(AssertionError):
        assert_nothing_came_after(sent, folder.parent)


@pytest.mark.slow
@pytest.mark.parametrize("guarded", [True, False], ids=["guard", "negative control"])
def test_a_second_signal_ends_a_long_step_at_once(
    image_folder: Callable[..., Path], guarded: bool
) -> None:
    folder = image_folder(3, 14)
    place = folder.parent
    with learning(folder, step_seconds=60, changes="" if guarded else PATIENT) as process:
        wait_for(lambda: times(place / "begun"))
        process.send_signal(signal.SIGINT)
        wait_for(lambda: "once more to stop at once" in (place / "told").read_text())
        process.send_signal(signal.SIGINT)
        if not guarded:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(SECONDS_TO_KEEP)
            return
        assert process.wait(SECONDS_TO_KEEP) == 6
    assert times(place / "over") == []
    resumed = cli("resume", "stopped", cwd=place)
    assert resumed.returncode == 0, resumed.stderr


def test_a_stop_before_anything_was_learned_keeps_no_model(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network's last layer is random then; it was once kept as the best model so far."""
    nothing = Learned(num_stages=0, interrupted=True, knows_something=False)
    monkeypatch.setattr(road, "learn", lambda *_, **__: nothing)
    recipe = saccade.Recipe(model="cnn", img_size=16, widths=(4,))
    with pytest.raises(InterruptedRun, match="nothing was learned yet") as stopped:
        saccade.train(image_folder(3, 14), recipe, output=tmp_path / "run")
    assert "saccade resume" in stopped.value.fix
    assert not (tmp_path / "run" / "model").exists()
    assert saccade.open_run(tmp_path / "run").state == "interrupted"


def test_a_signal_that_comes_when_learning_is_over_is_heard_too(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = road.learn

    def late(*args: object, **kwargs: object) -> Learned:
        learned = honest(*args, **kwargs)
        arrive(signal.SIGINT)
        return learned

    monkeypatch.setattr(road, "learn", late)
    recipe = saccade.Recipe(model="cnn", img_size=16, widths=(4,), epochs=1)
    with pytest.raises(InterruptedRun, match="Stopped by SIGINT; the best model so far is kept"):
        saccade.train(image_folder(3, 14), recipe, output=tmp_path / "run")
    assert (tmp_path / "run" / "model").exists()


@pytest.mark.parametrize("guarded", [True, False], ids=["guard", "negative control"])
def test_a_signal_between_epochs_leaves_a_model_only_where_it_is_heard(
    image_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    folder, epochs = image_folder(3, 14), []
    honest = History.add

    def add(self: History, event: str, **facts: object) -> None:
        honest(self, event, **facts)
        if event == "epoch":
            epochs.append(event)
            arrive(signal.SIGINT)

    monkeypatch.setattr(History, "add", add)
    if not guarded:
        monkeypatch.setattr(Interrupts, "__enter__", lambda self: self)
    words = ["train", folder, *SMALL, "--epochs", 2, "--output", "stopped"]
    done = cli(*words, cwd=folder.parent)
    assert (done.returncode, len(epochs)) == (6, 1)
    assert ("the best model so far is kept" in done.stderr) is guarded
    assert (folder.parent / "stopped" / "model").exists() is guarded
