"""Row C3: a run that is killed twenty times, whenever that is, ends as one that never was."""

import json
import random
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.end_to_end.programs import RANDOM_HEAD, SMALL, program, wait_for, write_small_task

import saccade
from saccade.runtime.errors import ArtefactError
from saccade.training.checkpoint import read_checkpoint

NUM_KILLED = 20
WORDS = [*SMALL, "--rungs", "1:30:2,2:30:2", "--lr", 1e-3, "--no-trust", "--threads", 1]

# A checkpoint after every epoch, so that a kill finds one half written; each epoch is noted as it
# begins, where no run takes it back.
OFTEN = """
import functools
from saccade import road
from saccade.training.fit import _Loop
road.Surroundings = functools.partial(road.Surroundings, checkpoint_seconds={interval})
def noted(self, standing, _own=_Loop.run_epoch, **facts):
    with open({log!r}, "a") as log:
        log.write(f"{{self.rung.counters['ladder_number']}} {{standing.epoch}}\\n")
    return _own(self, standing, **facts)
_Loop.run_epoch = noted
"""
# What the guard is against: a checkpoint that is written where the last one was, bit by bit.
IN_PLACE = """
from saccade.models import tensors
def careless(path, table, _write=tensors.write):
    if path.name != "checkpoint.safetensors":
        return _write(path, table)
    beside = path.with_name("whole")
    _write(beside, table)
    content = beside.read_bytes()
    beside.unlink()
    with path.open("wb") as file:
        file.write(content[: len(content) // 2])
        file.flush()
        time.sleep(0.5)
        file.write(content[len(content) // 2 :])
tensors.write = careless
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_task(tmp_path_factory.mktemp("killed"), per_class=40)


def begun(
    folder: Path, log: Path, *, interval: float = 0, more: str = ""
) -> subprocess.Popen[bytes]:
    """Begin a run, or go on with it where there is one."""
    known = (folder / "run.json").exists()
    words = ["resume", folder] if known else ["train", "pictures", *WORDS, "--output", folder]
    changes = RANDOM_HEAD + OFTEN.format(interval=interval, log=str(log)) + more
    return program(words, cwd=folder.parent, changes=changes)


def epochs_begun(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def written(path: Path) -> int:
    """Return when a file was written, in nanoseconds; 0 where it is not there."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def wait_for_a_checkpoint(path: Path, process: subprocess.Popen[bytes], *, after: int = 0) -> None:
    """Wait until there is one that is younger, or the process has ended."""
    wait_for(lambda: written(path) > after or process.poll() is not None, seconds=120, pause=0.005)


def killed_sometime(
    folder: Path, log: Path, draws: random.Random, *, learning: bool, whole: float
) -> bool:
    """Go on with a run and kill it; False where it was too late."""
    checkpoint = folder / "checkpoint.safetensors"
    before = written(checkpoint)
    process = begun(folder, log)
    if learning:  # within a checkpoint or two
        wait_for_a_checkpoint(checkpoint, process, after=before)
        time.sleep(draws.uniform(0, 0.15))
    else:  # or whenever: while it imports, looks, or is about to end
        time.sleep(draws.uniform(0, whole))
    process.kill()
    return process.wait() == -signal.SIGKILL


def is_finished(folder: Path) -> bool:
    """Say whether nothing is left to do; what a killed run left is whole in any case."""
    for name in ("run.json", "metrics.json"):
        if (folder / name).exists():
            json.loads((folder / name).read_text())
    if (folder / "checkpoint.safetensors").exists():
        read_checkpoint(folder / "checkpoint.safetensors")
    known = (folder / "run.json").exists() and saccade.open_run(folder).state == "finished"
    return known and (folder / "report.html").exists()


def assert_ended_alike(folder: Path, whole: Path) -> None:
    assert is_finished(folder)
    for name in ("predictions.csv", "model/model.safetensors"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()
    assert not list(folder.rglob("*.part"))
    assert saccade.verify(folder).believed


def assert_lost_an_interval_at_most(done: Sequence[int], *, before: int) -> None:
    """Compare epochs that a process began with the last one that a killed one had begun."""
    assert list(done) == list(range(done[0], done[0] + len(done)))
    assert before <= done[0] <= before + 1


@pytest.mark.slow
def test_twenty_kills_lose_an_interval_each_at_most_and_nothing_else(place: Path) -> None:
    since = time.monotonic()
    assert begun(place / "whole", place / "whole.log").wait(300) == 0
    seconds, order = time.monotonic() - since, epochs_begun(place / "whole.log")
    events = saccade.open_run(place / "whole").history
    assert [event["taken"] for event in events if event["event"] == "rung"] == [True, True]
    draws, kills, number, last = random.Random(0), [], 0, 0
    for attempt in range(3 * NUM_KILLED):
        folder, log = place / f"killed-{number}", place / f"{attempt}.log"
        learning = draws.random() < 0.75 or last < 4
        killed = killed_sometime(folder, log, draws, learning=learning, whole=seconds)
        if done := [order.index(epoch) for epoch in epochs_begun(log)]:
            assert_lost_an_interval_at_most(done, before=last)
            last = done[-1]
        kills += [bool(done)] * killed
        if is_finished(folder):
            assert_ended_alike(folder, place / "whole")
            number, last = number + 1, 0
        if len(kills) == NUM_KILLED:
            break
    assert len(kills) == NUM_KILLED
    assert sum(kills) > NUM_KILLED / 2, "the kills did not come while it was learning"
    if not is_finished(folder):
        assert begun(folder, place / "last.log").wait(300) == 0
    assert_ended_alike(folder, place / "whole")


@pytest.mark.slow
def test_without_checkpoints_a_kill_loses_more_than_an_interval_negative_control(
    place: Path,
) -> None:
    logs = [place / "forgetful-0.log", place / "forgetful-1.log"]
    for log in logs:
        process = begun(place / "forgetful", log, interval=1e9)
        wait_for(lambda log=log: len(epochs_begun(log)) > 3, pause=0.005)
        process.kill()
        process.wait()
    order, again = map(epochs_begun, logs)
    with pytest.raises(AssertionError):
        assert_lost_an_interval_at_most([order.index(again[0])], before=len(order) - 1)


@pytest.mark.slow
def test_a_checkpoint_written_in_place_does_not_survive_negative_control(place: Path) -> None:
    folder, log = place / "careless", place / "careless.log"
    process = begun(folder, log, more=IN_PLACE)
    wait_for_a_checkpoint(folder / "checkpoint.safetensors", process)
    time.sleep(0.1)
    process.kill()
    process.wait()
    with pytest.raises(ArtefactError):
        read_checkpoint(folder / "checkpoint.safetensors")
    assert begun(folder, log).wait(120) == 5
