"""What every benchmark needs: timed processes, facts about the machine, and a record folder."""

import contextlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RECORDS = HERE / "records"
FLAGS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16")
PACKAGES = (
    "saccade", "torch", "torchvision", "timm", "fastai", "openvino", "simplejpeg", "numpy",
    "pillow", "scipy", "scikit-learn", "safetensors",
)  # fmt: skip
_VERSIONS = """
import json, platform, sys
from importlib import metadata
found = {"python": platform.python_version()}
for name in sys.argv[1:]:
    try:
        found[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """What a finished process cost and said."""

    code: int  # exit code; negative: the signal that ended it
    seconds: float  # from before it was started until it was gone
    cpu_seconds: float  # of it and its own children, user and system
    peak_mb: float  # resident, of the largest single process among it and its children
    out: str
    err: str

    @property
    def costs(self) -> dict[str, float]:
        """The measured numbers, as a record keeps them."""
        return {
            "seconds": round(self.seconds, 3),
            "cpu_seconds": round(self.cpu_seconds, 3),
            "peak_mb": round(self.peak_mb, 1),
        }


def run_child(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    timeout_seconds: float = 7200,
) -> Child:
    """Return a finished process, timed from outside, with the peak memory the kernel saw.

    It gets a session of its own, so that whatever it started ends with it at the time limit or
    when we are interrupted.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        begun = time.monotonic()
        child = subprocess.Popen(
            [str(own) for own in command],
            stdout=out,
            stderr=err,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
        limit = threading.Timer(timeout_seconds, _end, args=[child.pid])
        limit.start()
        try:
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            _end(child.pid)
            raise
        finally:
            limit.cancel()
        seconds = time.monotonic() - begun
        child.returncode = os.waitstatus_to_exitcode(status)
        _end(child.pid)  # helpers that outlived it
        return Child(
            code=child.returncode,
            seconds=seconds,
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            peak_mb=usage.ru_maxrss / 1024,
            out=_text(out),
            err=_text(err),
        )


def _end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _text(file: Any) -> str:  # noqa: ANN401 - a binary temporary file
    file.seek(0)
    return file.read().decode(errors="replace")


def last_json(text: str) -> Any:  # noqa: ANN401 - whatever was printed
    """Return the JSON object that the text is, or that its last such line is; else None."""
    for candidate in [text, *reversed(text.splitlines())]:
        with contextlib.suppress(json.JSONDecodeError):
            if isinstance(found := json.loads(candidate), dict):
                return found
    return None


def scrub(text: str, places: Mapping[str, str | Path | None]) -> str:
    """Return a text without the folders of this machine: each is replaced by its name."""
    known = {str(HERE.parent): "REPOSITORY", sys.prefix: "PYTHON", str(Path.home()): "HOME"}
    known |= {str(place): name for name, place in places.items() if place}
    for place in sorted(known, key=len, reverse=True):
        if len(place) > 1:
            text = text.replace(place, known[place])
    return text


def machine_facts(pythons: Mapping[str, str | Path]) -> dict[str, Any]:
    """Return processor, memory, package versions of the Pythons that take part, and commit."""
    told = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    cpu = dict(line.split("\t: ", 1) for line in reversed(told) if "\t: " in line)
    cpu = {key.strip(): value for key, value in cpu.items()}
    flags = set(cpu.get("flags", "").split())
    return {
        "processor": cpu.get("model name", platform.machine()),
        "cores": len(os.sched_getaffinity(0)),
        "flags": [own for own in FLAGS if own in flags],
        "bf16": bool({"avx512_bf16", "amx_bf16"} & flags),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.system(),
        "versions": {name: versions(own) for name, own in pythons.items()},
        "commit": _git("rev-parse", "HEAD"),
        "source_changed_since_commit": bool(_git("status", "--porcelain", "--", "src")),
    }


def versions(python: str | Path) -> dict[str, str]:
    """Return the versions of the packages that matter, in some Python environment."""
    told = subprocess.run(
        [str(python), "-c", _VERSIONS, *PACKAGES], capture_output=True, text=True, check=True
    )
    return json.loads(told.stdout)


def has_bf16() -> bool:
    """Whether this processor computes in bf16; elsewhere it is emulated, and slow."""
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    return bool({"avx512_bf16", "amx_bf16"} & set(flags))


def _git(*words: str) -> str:
    if shutil.which("git") is None:
        return ""
    told = subprocess.run(["git", "-C", HERE, *words], capture_output=True, text=True, check=False)
    return told.stdout.strip()


def record_folder(what: str, *, name: str = "") -> Path:
    """Return a record's folder: the one named, or a new one of today."""
    if name:
        return RECORDS / Path(name).name
    stem = f"{datetime.now(UTC):%Y-%m-%d}_{what}"
    folder, number = RECORDS / stem, 2
    while folder.exists():
        folder, number = RECORDS / f"{stem}_{number}", number + 1
    return folder


def open_record(folder: Path, *, command: str, facts: Mapping[str, Any]) -> None:
    """Create a record's folder with machine.json; a session that continues one adds to it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "machine.json"
    sessions = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    begun = f"{datetime.now(UTC):%Y-%m-%dT%H:%MZ}"
    sessions.append({"begun": begun, "command": command, **facts})
    path.write_text(json.dumps(sessions, indent=1) + "\n", encoding="utf-8")


def add_run(folder: Path, run: Mapping[str, Any]) -> None:
    """Append one raw run to runs.jsonl."""
    with (folder / "runs.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(run) + "\n")


def read_runs(folder: Path) -> list[dict[str, Any]]:
    """Return the raw runs of a record; none where there is no such file yet."""
    path = folder / "runs.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def write_table(folder: Path, lines: Sequence[str], *, sentence: str) -> None:
    """Write table.md, print it, and keep the record's one line in RECORDS.md."""
    text = "\n".join(lines) + "\n"
    (folder / "table.md").write_text(text, encoding="utf-8")
    print(text)
    index = HERE / "RECORDS.md"
    head = "# Records\n\nOne line a record, newest last; each folder holds its raw runs.\n"
    known = index.read_text(encoding="utf-8") if index.exists() else head + "\n"
    mark = f"- [{folder.name}](records/{folder.name}/table.md): "
    kept = [line for line in known.splitlines() if not line.startswith(mark)]
    index.write_text("\n".join([*kept, mark + sentence]) + "\n", encoding="utf-8")
