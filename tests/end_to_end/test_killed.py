"""Row C3: a run that is killed twenty times, whenever that is, ends as one that never was."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.conftest import write_shapes

import saccade
from saccade.data.task import Task
from saccade.models import network, tensors
from saccade.runtime.errors import ArtefactError
from saccade.training.checkpoint import read_checkpoint
from saccade.training.recipe import Recipe

PX = 32
NUM_KILLED = 20
TASK = Task(kind="multiclass", classes=("a", "b", "c"))

# A checkpoint at every chance, so that a kill finds one half written; and a ladder that is climbed.
OFTEN = """
import functools, sys, time
from saccade import road
road.Surroundings = functools.partial(road.Surroundings, checkpoint_seconds=0)
{more}
from saccade.cli import app
app(sys.argv[1:])
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
    """Return a folder with pictures/ and weights of a small network."""
    root = tmp_path_factory.mktemp("killed")
    write_shapes(root / "pictures", 3, 40, side=PX)
    net, _ = network.build("test_resnet", task=TASK, recipe=Recipe(seed=3), img_size=PX)
    tensors.write(root / "test_resnet.safetensors", net.body.state_dict())
    return root


def started(place: Path, words: Sequence[object], *, more: str = "") -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", OFTEN.format(more=more), *map(str, words)],
        cwd=place,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


def train_words(output: str) -> list[object]:
    rungs = ["--rungs", "1:30:2,2:30:2"]
    words = ["--model", "test_resnet", "--weights", "test_resnet.safetensors", "--img-size", PX]
    return ["train", "pictures", *words, *rungs, "--no-trust", "--output", output]


def written(path: Path) -> int:
    """Return when a file was written, in nanoseconds; 0 where it is not there."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def wait_for_a_checkpoint(path: Path, process: subprocess.Popen[bytes], *, after: int = 0) -> None:
    """Wait until there is one that is younger, or the process has ended."""
    end = time.monotonic() + 120
    while written(path) <= after and process.poll() is None and time.monotonic() < end:
        time.sleep(0.005)


@pytest.mark.slow
def test_twenty_kills_lose_a_step_each_and_nothing_else(place: Path) -> None:
    begun = time.monotonic()
    assert started(place, train_words("whole")).wait(300) == 0
    whole = time.monotonic() - begun
    draws, folder = random.Random(0), place / "killed"
    checkpoint, survived, steps = folder / "checkpoint.safetensors", 0, []
    words = train_words("killed")
    for _ in range(NUM_KILLED):
        before = written(checkpoint)
        process = started(place, words)
        if draws.random() < 0.75 or len(steps) < 4:  # while it learns, within a checkpoint or two
            wait_for_a_checkpoint(checkpoint, process, after=before)
            time.sleep(draws.uniform(0, 0.15))
        else:  # or whenever: while it imports, looks, or is about to end
            time.sleep(draws.uniform(0, whole))
        process.kill()
        survived += process.wait() == 0
        if (folder / "run.json").exists():
            words = ["resume", "killed"]
            state = json.loads((folder / "run.json").read_text())["state"]
            survived += state == "finished" and (folder / "report.html").exists()
        if checkpoint.exists():  # never half of one
            counters = read_checkpoint(checkpoint).counters
            steps.append((counters.get("ladder_number", 0), counters.get("epoch", 0)))
        for name in ("run.json", "metrics.json"):
            if (folder / name).exists():
                json.loads((folder / name).read_text())
        if survived:
            break
    assert steps == sorted(steps)  # a kill never throws it back behind a checkpoint
    assert len(set(steps)) > 3, "the kills did not come while it was learning"
    if not survived:
        assert started(place, words).wait(300) == 0
    run, other = saccade.open_run(folder), saccade.open_run(place / "whole")
    assert run.state == "finished"
    for name in ("predictions.csv", "model/model.safetensors"):
        assert (run.folder / name).read_bytes() == (other.folder / name).read_bytes()
    assert not list(folder.rglob("*.part"))
    assert saccade.verify(folder).believed


@pytest.mark.slow
def test_a_checkpoint_written_in_place_does_not_survive_negative_control(place: Path) -> None:
    process = started(place, train_words("careless"), more=IN_PLACE)
    checkpoint = place / "careless" / "checkpoint.safetensors"
    wait_for_a_checkpoint(checkpoint, process)
    time.sleep(0.1)
    process.kill()
    process.wait()
    with pytest.raises(ArtefactError):
        read_checkpoint(checkpoint)
    assert started(place, ["resume", "careless"]).wait(120) == 5
