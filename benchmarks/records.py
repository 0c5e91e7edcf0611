"""What every benchmark needs: timed processes, facts about the machine, and a record folder."""

import argparse
import contextlib
import json
import os
import platform
import shlex
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
from importlib.metadata import distributions
found = {str(own.name).lower(): own.version for own in distributions()} | {
    "python": platform.python_version()}
print(json.dumps({name: found[name] for name in ("python", *sys.argv[1:]) if name in found}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """What a finished process cost and said."""

    code: int  # exit code; negative: the signal that ended it
    seconds: float  # from before it was started until it was gone
    cpu_seconds: float  # of it and its own children, user and system
    peak_mb: float  # resident, of the largest single process among it and its children
    load_before: float  # processes that wanted a core in the minute before
    out: str
    err: str

    @property
    def costs(self) -> dict[str, float]:
        """The measured numbers, as a record keeps them."""
        return {
            "seconds": round(self.seconds, 3),
            "cpu_seconds": round(self.cpu_seconds, 3),
            "peak_mb": round(self.peak_mb, 1),
            "load_before": round(self.load_before, 2),
        }


def _environment() -> dict[str, str]:
    """Return ours, but for what keeps Python from keeping what it compiled.

    Where that is set every process compiles torch anew, which took 7 of 11 s of imports.
    """
    return {name: own for name, own in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


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
        load, begun = os.getloadavg()[0], time.monotonic()
        child = subprocess.Popen(
            [str(own) for own in command],
            stdout=out,
            stderr=err,
            env={**_environment(), **(env or {})},
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
            load_before=load,
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
    cpu = {key.strip(): own.strip() for key, _, own in (line.partition(":") for line in told)}
    flags = set(cpu.get("flags", "").split())
    return {
        "processor": cpu.get("model name", platform.machine()),
        "cores": len(os.sched_getaffinity(0)),
        "flags": [own for own in FLAGS if own in flags],
        "bf16": has_bf16(),
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
    words = ("git", "-C", str(HERE), *words)
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()


def parser(description: str | None, *, data: str = "") -> argparse.ArgumentParser:
    """Return a parser of what every benchmark is told; `data` says what --data should hold."""
    words = argparse.ArgumentParser(description=description)
    if data:
        words.add_argument("--data", type=Path, required=True, help=data)
    words.add_argument("--weights", type=Path, required=True, help="mobilenetv2_100.safetensors")
    words.add_argument("--work", type=Path, required=True, help="folder for what is written")
    words.add_argument("--records", type=Path, default=RECORDS, help="folder of records")
    words.add_argument("--resume", default="", help="name of a record to continue")
    return words


def parsed(words: argparse.ArgumentParser) -> argparse.Namespace:
    """Return what was told, with absolute paths; ends where data or weights are not there."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that run_child ends its child
    asked = words.parse_args()
    for name in {"data", "weights", "work", "records"} & set(vars(asked)):
        setattr(asked, name, getattr(asked, name).resolve())
    for needed in (asked.weights, getattr(asked, "data", asked.weights)):
        if not needed.exists():
            sys.exit(f"there is no {needed}")
    return asked


def places(asked: argparse.Namespace) -> dict[str, Path | None]:
    """Return what the folders of this machine are called in a record."""
    told = vars(asked)
    return {name.upper(): told.get(name) for name in ("data", "weights", "work", "records")}


def record_folder(what: str, asked: argparse.Namespace) -> Path:
    """Return a record's folder: the one to continue, which must be there, or one of today."""
    if asked.resume:
        if not (known := asked.records / Path(asked.resume).name).is_dir():
            sys.exit(f"there is no record {known.name}")
        return known
    stem = f"{datetime.now(UTC):%Y-%m-%d}_{what}"
    folder, number = asked.records / stem, 2
    while folder.exists():
        folder, number = asked.records / f"{stem}_{number}", number + 1
    return folder


def open_record(
    folder: Path, pythons: Mapping[str, str | Path], known: Mapping[str, Path | None]
) -> None:
    """Create a record's folder with machine.json; a session that continues one adds to it."""
    (path := folder / "machine.json").parent.mkdir(parents=True, exist_ok=True)
    sessions = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    command = scrub(shlex.join(["python", *sys.argv]), known)
    begun = {"begun": f"{datetime.now(UTC):%Y-%m-%dT%H:%MZ}", "command": command}
    sessions.append(begun | machine_facts(pythons))
    path.write_text(json.dumps(sessions, indent=1) + "\n", encoding="utf-8")


def add_run(folder: Path, run: Mapping[str, Any]) -> None:
    """Append one raw run to runs.jsonl."""
    with (folder / "runs.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(run) + "\n")


def read_runs(folder: Path) -> list[dict[str, Any]]:
    """Return the raw runs of a record; none where there is no such file yet."""
    path = folder / "runs.jsonl"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [json.loads(line) for line in text.splitlines()]


def write_table(folder: Path, lines: Sequence[str], *, sentence: str) -> None:
    """Write table.md, print it, and keep the record's line in RECORDS.md where it is kept."""
    (folder / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(*lines, sep="\n")
    if folder.parent != RECORDS:
        return
    index = HERE / "RECORDS.md"
    mark = f"- [{folder.name}](records/{folder.name}/table.md): "
    known = index.read_text(encoding="utf-8").splitlines()
    kept = [line for line in known if not line.startswith(mark)]
    index.write_text("\n".join([*kept, mark + sentence]) + "\n", encoding="utf-8")
