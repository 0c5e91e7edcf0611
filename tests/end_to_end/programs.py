"""saccade as a program of its own, with something changed beforehand, or within this process."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

from tests.conftest import write_shapes
from typer.testing import CliRunner

from saccade.cli import app
from saccade.data.task import Task
from saccade.models import network, tensors
from saccade.training.recipe import Recipe

PX = 32
SMALL = ["--model", "test_resnet", "--weights", "test_resnet.safetensors", "--img-size", PX]

# A change with which rungs help: of what was learned in one that is undone nothing is left.
RANDOM_HEAD = """
from saccade.training import learn
learn.set_head = lambda network, head: None
"""

# Named as its own file is, it ends as that does, without waiting for torch (`saccade.endings`).
PROGRAM = """
import sys, time
sys.modules["__main__"].__file__, sys.argv[0] = "saccade", "saccade"
{changes}
from saccade.cli import main
main()
"""


def program(
    words: Sequence[object], *, cwd: Path, changes: str = "", told: Path | None = None
) -> subprocess.Popen[bytes]:
    """Begin a process of its own.

    Args:
        words: of the command line, without the program's name.
        cwd: the folder that it begins in.
        changes: Python that is run before the program is.
        told: a file for its standard error; None = nowhere.
    """
    with Path(told or "/dev/null").open("wb") as errors:
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(changes=changes), *map(str, words)],
            cwd=cwd,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )


def cli(*words: object, cwd: Path) -> SimpleNamespace:
    """Run the command line in this process, in another folder; importing torch anew takes long."""
    with contextlib.chdir(cwd):
        done = CliRunner().invoke(app, list(map(str, words)))
    return SimpleNamespace(returncode=done.exit_code, stdout=done.stdout, stderr=done.stderr)


def write_small_task(root: Path, *, per_class: int) -> Path:
    """Write root/pictures of three classes, and weights of the network of `SMALL`; return root."""
    write_shapes(root / "pictures", 3, per_class, side=PX)
    task = Task(kind="multiclass", classes=("a", "b", "c"))
    net, _ = network.build("test_resnet", task=task, recipe=Recipe(seed=3), img_size=PX)
    tensors.write(root / "test_resnet.safetensors", net.body.state_dict())
    return root


def wait_for(what: Callable[[], object], *, seconds: float = 60, pause: float = 0.02) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(pause)
