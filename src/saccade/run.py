"""The folder that holds all of a run: reading it, and writing it step by step."""

import contextlib
import os
import platform
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from saccade.data import leases
from saccade.data.corrections import CORRECTED
from saccade.data.folders import place_of
from saccade.data.task import Task
from saccade.evaluation.intervals import INTERVALS_VERSION, Estimate
from saccade.evaluation.prediction_files import read_csv
from saccade.evaluation.predictions import Predictions
from saccade.reporting.folder import (
    FORMAT_VERSION,
    read_history,
    read_metrics,
    read_run,
    read_split,
    read_trust,
)
from saccade.reporting.sections import summary_of
from saccade.reporting.study_suspects import doubted
from saccade.reporting.wording import beginning
from saccade.runtime import machine
from saccade.runtime.errors import ArtefactError, UsageError
from saccade.runtime.store import disk_error, sha256, write_json

TO_EDIT = ("suspects.csv", "review.csv")  # labels are put right in them (docs/suspects.md)
PACKAGES = (
    "torch", "timm", "numpy", "scipy", "pillow", "simplejpeg", "cykooz-resizer", "safetensors",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run folder. What was measured is read from its files each time it is asked for."""

    folder: Path

    @property
    def facts(self) -> dict[str, Any]:
        """What run.json holds: state, versions, data, split, model, seconds."""
        return read_run(self.folder)

    @property
    def state(self) -> str:
        """`running`, `interrupted`, `failed` or `finished`."""
        return str(self.facts.get("state", "unknown"))

    def __fspath__(self) -> str:
        """Return its folder, so that a run can be given wherever its folder can."""
        return str(self.folder)

    @property
    def summary(self) -> str:
        """The result in a sentence, with what belongs beside it; empty while there is none."""
        return summary_of(self.facts)

    @property
    def num_severe(self) -> int:
        """How many findings are severe, in the data or by the studies."""
        found = self.facts.get("data", {}).get("findings", ())
        return sum(own["severity"] == "severe" for own in found)

    @property
    def corrected_labels(self) -> str:
        """How many labels were put right, in which parts; empty where none was."""
        found = self.facts.get("data", {}).get("findings", ())
        own = next((own for own in found if own["kind"] == CORRECTED), None)
        return beginning(own["sentence"], own["paths"]) if own else ""

    @property
    def doubted_labels(self) -> str:
        """How many labels look wrong; empty where few do, or nobody has asked."""
        suspects = self.trust.get("studies", {}).get("suspects")
        return doubted(suspects) if suspects else ""

    @property
    def metrics(self) -> dict[str, dict[str, Estimate]]:
        """Every number with its interval: `run.metrics["test"]["accuracy"]`; empty before."""
        return read_metrics(self.folder)

    @property
    def task(self) -> Task:
        """The kind of answer, and the classes."""
        fields = self.facts["data"]["task"]
        return Task(**{**fields, "classes": tuple(fields["classes"])})

    @property
    def predictions(self) -> Predictions:
        """The table that every number comes from."""
        return read_csv(self.folder / "predictions.csv", task=self.task)

    @property
    def history(self) -> list[dict[str, Any]]:
        """The events of its learning, as history.jsonl has them: head, epochs, rungs."""
        return read_history(self.folder)[0]

    @property
    def trust(self) -> dict[str, Any]:
        """What its studies found by name, as trust.json has it; empty before they were asked."""
        return read_trust(self.folder)

    @property
    def suspects(self) -> Path:
        """The table of doubtful labels, to be edited."""
        return self.folder / TO_EDIT[0]

    @property
    def report(self) -> Path:
        """The page to read."""
        return self.folder / "report.html"

    @property
    def model_folder(self) -> Path:
        """The model to use, with `saccade.load` or plain timm."""
        return self.folder / "model"


def open_run(folder: str | Path) -> Run:
    """Return the run in a folder.

    Raises:
        UsageError, DataError: no path was given (E239, E301).
        ArtefactError: there is no run (E560), it is damaged (E561) or of a newer saccade (E562).
    """
    run = Run(folder=place_of(folder))
    read_run(run.folder)
    return run


def check_tested(run: Run) -> None:
    """Check that a run came to its test, so that there is something to judge it by.

    Raises:
        ArtefactError: it was stopped or killed before its end, or is still at work (E568).
    """
    facts = run.facts
    if run.state == "finished" or "files" in facts:  # these are written down at the end
        return
    tested = (run.folder / "predictions.csv").is_file()
    before = "end" if tested else "test"
    what = f"This run was stopped before its {before}."
    if run.state == "running":
        what = f"This run did not come to its {before}: it is at work, or was killed."
    raise ArtefactError(
        what,
        code="568",
        where=str(run.folder),
        fix=f"go on with: saccade resume {run.folder}",
    )


def groups_beside(table: Path, paths: Sequence[str]) -> tuple[str, ...] | None:
    """Return the group of each picture of a table that lies in a run, as its split.csv has them.

    Args:
        table: the file.
        paths: the pictures in it.

    Returns:
        A name a picture, "" = alone; None where it lies in no run, or nothing has a group.

    Raises:
        ArtefactError: split.csv is damaged (E561).
    """
    if not (table.parent / "run.json").is_file():
        return None
    group_of = {row.path: row.group for row in read_split(table.parent)}
    groups = tuple(group_of.get(path, "") for path in paths)
    return groups if any(groups) else None


def check_new(output: str | Path | None) -> None:
    """Check that there is nothing yet where a run is to be written.

    Raises:
        UsageError: there is (E240).
    """
    if output is not None and Path(output).exists():
        raise _exists(Path(output))


def half_folder(output: str | Path | None, *, data: str) -> Path:
    """Make and return a hidden folder beside where a run is to be, for what it begins with.

    Raises:
        ResourceError: it cannot be made (E401).
    """
    wanted = _wanted(output, data)
    path = wanted.with_name(f".{wanted.name[:40]}.{secrets.token_hex(4)}.part")
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise disk_error(error, wanted) from error
    return path


def put_in_place(half: Path, output: str | Path | None, *, data: str) -> Path:
    """Give the folder of a new run its name, in one step, and return it.

    So it is whole as soon as it is there, and no other process can have made it. Without `output`:
    runs/<name of the data>, numbered where that is taken.

    Raises:
        UsageError: `output` exists (E240).
        ResourceError: it cannot be moved there (E401).
    """
    wanted = path = _wanted(output, data)
    number = 1
    while not _moved(half, path):
        if output is not None:
            raise _exists(path)
        number += 1
        path = wanted.with_name(f"{wanted.name}-{number}")
    return path


def _wanted(output: str | Path | None, data: str) -> Path:
    if output is not None:
        return Path(output)
    return Path("runs") / (Path(data).resolve().name.removesuffix(Path(data).suffix) or "data")


def _moved(half: Path, path: Path) -> bool:
    if path.exists():
        return False
    try:
        half.rename(path)
    except OSError as error:
        if path.exists():  # another process was quicker
            return False
        raise disk_error(error, path) from error
    return True


def _exists(path: Path) -> UsageError:
    return UsageError(
        "The output folder exists already; a run never overwrites anything.",
        code="240",
        where=str(path),
        fix="choose another --output, or remove that folder first",
    )


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Be the only process that writes this run, until the block or the process ends.

    The system keeps the lock, on the folder itself, so that a kill leaves nothing to clean up.
    Where a file system has no such locks, as some network ones, there is none.

    Raises:
        UsageError: another process is inside (E242).
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        free = True
        with contextlib.suppress(OSError):
            free = leases.try_lock(handle)
        if not free:
            raise UsageError(
                "Another process is at work on this run.",
                code="242",
                where=str(folder),
                fix="wait until it has ended, or stop it",
            )
        yield
    finally:
        os.close(handle)


class Ledger:
    """Writes run.json anew at each step, so that a crash leaves what was known by then.

    Its `folder` is set once there is one: pictures are looked at before.
    """

    folder: Path

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.facts: dict[str, Any] = {
            "format_version": FORMAT_VERSION,
            "state": "running",
            "saccade": metadata.version("saccade"),
            "methods": INTERVALS_VERSION,
            "versions": versions(),
            "machine": machine.describe(),
            "seconds": {},
        }

    @contextlib.contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Note how long a step took."""
        begun = time.perf_counter()
        yield
        self.facts["seconds"][step] = round(time.perf_counter() - begun, 3)

    def write(self, state: str) -> None:
        """Write run.json with this state."""
        self.facts["state"] = state
        self.facts["seconds"]["total"] = round(time.monotonic() - self.begun, 3)
        write_json(self.folder / "run.json", self.facts)


def file_hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of what a run leaves for good, by name; of a model config and card.

    Not of run.json, which holds them, nor of the page, whose hash it holds apart, for that can be
    written anew, nor of the tables that a person is asked to edit. The model's config.json holds
    the hashes of its other files.
    """
    names = [path.name for path in folder.iterdir() if path.suffix in {".csv", ".json", ".toml"}]
    names += ["history.jsonl", "model/README.md", "model/config.json"]
    return {
        name: sha256(folder / name)
        for name in sorted(names)
        if name not in {"run.json", *TO_EDIT} and (folder / name).is_file()
    }


def versions() -> dict[str, str]:
    """Return the versions of the packages that decide what a run computes."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
