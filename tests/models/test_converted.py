import os
import subprocess
import sys
from pathlib import Path

import pytest

TRIPWIRE = """
import os, sys
def heard(event, args):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.sendto", "os.fork"}:
        with open(os.environ["WIRE"], "a") as wire:
            wire.write(event + "\\n")
        raise PermissionError(event)
sys.addaudithook(heard)
"""
OURS = """
import torch
from saccade.models import converted
for _ in range(2):
    content = converted.convert(torch.nn.Conv2d(3, 2, 3).eval(), torch.zeros(1, 3, 8, 8))
    converted.Converted(content, threads=1, bf16=False)
assert "openvino_telemetry" not in sys.modules
"""
PLAIN = """
import openvino, time
time.sleep(1)  # it is sent by a thread, from a process of its own
"""


def heard(script: str, place: Path) -> list[str]:
    """Return which connections a script tries, and what it leaves in an empty home."""
    home, wire = place / "home", place / "wire"
    home.mkdir()
    unset = {"CI", "TF_BUILD", "JENKINS_URL", "GITHUB_ACTIONS"}
    variables = {name: value for name, value in os.environ.items() if name not in unset}
    done = subprocess.run(
        [sys.executable, "-c", TRIPWIRE + script],
        env={**variables, "HOME": str(home), "WIRE": str(wire)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    attempts = wire.read_text().splitlines() if wire.exists() else []
    return attempts + [path.name for path in home.iterdir()]


@pytest.mark.slow
def test_converting_and_asking_connect_to_nothing_and_leave_nothing_at_home(tmp_path: Path) -> None:
    assert heard(OURS, tmp_path) == []


def test_openvino_by_itself_would_try_to_connect(tmp_path: Path) -> None:
    # The control. The tripwire stops it, so nothing is sent by this test either.
    found = heard(PLAIN, tmp_path)
    assert "intel" in found
    assert "os.fork" in found or "socket.getaddrinfo" in found


@pytest.mark.slow
def test_a_process_that_had_loaded_the_telemetry_keeps_it() -> None:
    script = """
import sys, types
own = sys.modules["openvino_telemetry"] = types.ModuleType("openvino_telemetry")
from saccade.models import converted
converted.load()
assert sys.modules["openvino_telemetry"] is own
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_openvino_is_looked_for_without_loading_it() -> None:
    script = """
import sys
from saccade.models import converted
assert converted.installed() and "openvino" not in sys.modules
sys.modules["openvino"] = None
assert not converted.installed()
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_file_of_another_kind_is_not_whole() -> None:
    from saccade.models import converted

    assert not converted.is_whole(b"")
    assert not converted.is_whole(converted.MAGIC)
    with pytest.raises(ValueError, match="not an engine file of this format"):
        converted.Converted(b"<xml>", threads=1, bf16=False)
