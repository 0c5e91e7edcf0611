"""Locks that the system takes back from a process that died."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from saccade.data import leases

HOLD = """
import sys
from pathlib import Path
from saccade.data import leases
root = Path(sys.argv[1])
with leases.guarded(root):
    lease = leases.Lease(root)
    lease.tell(["folder/*"])
print(lease.name, flush=True)
sys.stdin.read()
"""


def test_a_lease_says_what_it_uses_until_it_is_released(tmp_path: Path) -> None:
    lease = leases.Lease(tmp_path)
    lease.tell(["folder/a", "folder/b"])
    assert leases.living(tmp_path) == {lease.name: ["folder/a", "folder/b"]}
    lease.tell(["folder/c"])
    assert leases.living(tmp_path) == {lease.name: ["folder/c"]}
    lease.release()
    assert leases.living(tmp_path) == {}
    assert list((tmp_path / "live").iterdir()) == []


@pytest.mark.parametrize("end", ["kill", "terminate"])
def test_the_lease_of_a_dead_process_is_removed(tmp_path: Path, end: str) -> None:
    words = [sys.executable, "-c", HOLD, str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        assert leases.living(tmp_path) == {name: ["folder/*"]}
        getattr(process, end)()
    assert (tmp_path / "live" / name).exists()
    assert leases.living(tmp_path) == {}
    assert not (tmp_path / "live" / name).exists()


def test_one_who_waits_too_long_goes_on_without_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "PATIENCE_SECONDS", 0.1)
    waited: list[bool] = []
    path = tmp_path / "building"
    with (
        leases.alone(path, on_wait=lambda: pytest.fail("nobody is inside")),
        leases.alone(path, on_wait=lambda: waited.append(True)),
    ):
        assert waited == [True]
    assert not path.exists()


def test_a_deadline_is_not_waited_beyond(tmp_path: Path) -> None:
    path, begun = tmp_path / "building", time.monotonic()
    with (
        leases.alone(path, on_wait=lambda: None),
        leases.alone(path, on_wait=lambda: None, deadline=begun + 0.1),
    ):
        assert 0.1 <= time.monotonic() - begun < 30
