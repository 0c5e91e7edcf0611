"""Row C5: a budget holds where decoding or asking the network is slow, and there is a model."""

import subprocess
import time
from pathlib import Path

import pytest
from tests.end_to_end.programs import SMALL, program, write_small_task

import saccade

BUDGET = 20.0
LIMIT = BUDGET + max(2.0, 0.05 * BUDGET)
PER_CLASS = 400
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

# Seconds a picture, and a batch of 16: either alone would take 36 s for all that there are.
PAUSES = {"decode": 0.03, "evaluate": 0.48}
SLOWED = """
import saccade.cli  # from here on the budget counts
sys.path.insert(0, {benchmarks!r})
import slowed
del sys.path[0]
slowed.slow_down({part!r}, {pause})
"""
UNGUARDED = """
from saccade import workflow
from saccade.runtime.budget import Budget
workflow.SHARE_TO_LOOK = 1e9
Budget.left = property(lambda self: 1e9)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_task(tmp_path_factory.mktemp("budget"), per_class=PER_CLASS)


def waited(process: subprocess.Popen[bytes]) -> float:
    """Return for how long it could have gone on, and other processes had the cores; Linux only."""
    try:
        return int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


def ends_in_time(place: Path, run: Path, part: str, *, more: str = "") -> bool:
    """Train with a part slowed down; say whether it ends before the limit, else end it.

    What others took of this machine meanwhile is not counted.
    """
    changes = SLOWED.format(benchmarks=str(BENCHMARKS), part=part, pause=PAUSES[part]) + more
    words = ["train", "pictures", *SMALL, "--threads", 1, "--budget", f"{BUDGET:.0f}s"]
    begun, told = time.monotonic(), run.with_suffix(".told")
    process = program([*words, "--output", run], cwd=place, changes=changes, told=told)
    while process.poll() is None:
        if time.monotonic() - begun > LIMIT + waited(process):
            process.kill()
            process.wait()
            return False
        time.sleep(0.05)
    assert process.returncode == 0, told.read_text()
    return True


@pytest.mark.slow
@pytest.mark.parametrize("part", PAUSES)
def test_a_run_of_which_a_part_is_slow_ends_in_time_with_a_model(
    place: Path, tmp_path: Path, part: str
) -> None:
    assert ends_in_time(place, tmp_path / "run", part), (tmp_path / "run.told").read_text()
    run = saccade.open_run(tmp_path / "run")
    assert run.state == "finished"
    assert 0 < run.facts["data"]["num_used"] < 3 * PER_CLASS  # there was no time for all
    (answer,) = saccade.load(run.folder).predict(place / "pictures" / "class0" / "000.png")
    assert answer.label in {"class0", "class1", "class2"}


@pytest.mark.slow
@pytest.mark.parametrize("part", PAUSES)
def test_where_nothing_asks_how_much_time_is_left_it_ends_too_late_negative_control(
    place: Path, tmp_path: Path, part: str
) -> None:
    assert not ends_in_time(place, tmp_path / "run", part, more=UNGUARDED)
