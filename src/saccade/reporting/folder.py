"""What lies in a run folder, read and checked; files that are not there yet read as empty."""

import contextlib
import csv
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saccade.data.folders import neighbours
from saccade.evaluation.calibration import Calibration
from saccade.evaluation.intervals import Estimate
from saccade.evaluation.scores import from_json
from saccade.runtime.errors import ArtefactError, command, listed, nearest
from saccade.runtime.store import decode_name, encode_name, quoted
from saccade.training.history import read_events

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRow:
    """A line of split.csv."""

    path: str
    label: str
    part: str
    group: str
    why: str


def read_run(folder: Path) -> dict[str, Any]:
    """Return run.json.

    Raises:
        ArtefactError: it is missing (E560), damaged (E561) or of a newer format (E562).
    """
    check_there(folder, code="560")
    path = folder / "run.json"
    if not path.is_file():
        raise ArtefactError(
            "This is not a run folder: it has no run.json.",
            code="560",
            where=str(folder),
            fix="name a folder that 'saccade train' wrote, such as runs/photos",
        )
    return _of_known_version(_json(path), path)


def check_there(folder: Path, *, code: str) -> None:
    """Check that there is something where a run or a model should be.

    Raises:
        ArtefactError: there is not, with this code; it names the runs beside.
    """
    if folder.exists():
        return
    beside, where = neighbours(folder)
    near = nearest(folder.name, beside)
    runs = [name for name in beside if (folder.parent / name / "run.json").is_file()]
    found = listed(command(encode_name(str(folder.parent / name))) for name in near or runs)
    raise ArtefactError(
        f"There is no folder or file {quoted(str(folder))}.",
        code=code,
        where=where,
        fix=f"{f'perhaps {found}; ' if found else ''}check the spelling of the path",
    )


def _of_known_version(content: dict[str, Any], path: Path) -> dict[str, Any]:
    version = content.get("format_version", 1)
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise ArtefactError(
            f"The run is of format {version}; this saccade reads formats up to {FORMAT_VERSION}.",
            code="562",
            where=str(path),
            fix="use the saccade that wrote it, or a newer one",
        )
    return content


@contextlib.contextmanager
def parsing(path: Path) -> Iterator[None]:
    """Turn a field of an unexpected kind, met inside the block, into E561 for that file."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        why = f"a field is missing or of another kind ({type(error).__name__}: {error})"
        raise _damaged(path, why) from error


def read_metrics(folder: Path) -> dict[str, dict[str, Estimate]]:
    """Return metrics.json as part -> metric -> estimate; empty where it was not written yet.

    Raises:
        ArtefactError: it is damaged (E561) or of another form (E558).
    """
    path = folder / "metrics.json"
    if not path.is_file():
        return {}
    return from_json(_json(path))


def read_trust(folder: Path) -> dict[str, Any]:
    """Return trust.json; empty where it was not written.

    Raises:
        ArtefactError: it is damaged (E561) or of a newer format (E562).
    """
    path = folder / "trust.json"
    if not path.is_file():
        return {}
    return _of_known_version(_json(path), path)


def read_calibration(folder: Path) -> Calibration | None:
    """Return what the run's model makes of its logits, without the points of a curve.

    None where there is no model yet, or one that was saved without.

    Raises:
        ArtefactError: the model's config.json is damaged (E561).
    """
    path = folder / "model" / "config.json"
    if not path.is_file():
        return None
    with parsing(path):
        trust = _json(path).get("saccade", {}).get("trust")
        if trust is None:
            return None
        own = trust["calibration"]
        return Calibration(kind=own["kind"], temperature=float(own["temperature"]), n=int(own["n"]))


def read_history(folder: Path) -> tuple[list[dict[str, Any]], str]:
    """Return the events of history.jsonl and a sentence about what could not be read.

    A last line that breaks off belongs to a run that was killed while writing: it is left out
    and the sentence says so.

    Raises:
        ArtefactError: a line before the last is damaged (E561).
    """
    path = folder / "history.jsonl"
    if not path.is_file():
        return [], ""
    events, broken = read_events(path)
    if len(broken) > 1:
        raise _damaged(path, f"line {broken[0]} is not JSON")
    told = f"The last line of history.jsonl (line {broken[0]}) breaks off." if broken else ""
    return events, told


def read_recipe(folder: Path) -> dict[str, Any]:
    """Return recipe.toml as a flat mapping; empty where it was not written.

    Raises:
        ArtefactError: it is damaged (E561).
    """
    path = folder / "recipe.toml"
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _damaged(path, str(error)) from error


def read_split(folder: Path) -> list[SplitRow]:
    """Return split.csv, names decoded; empty where it was not written.

    Raises:
        ArtefactError: a column is missing or a line is damaged (E561).
    """
    path = folder / "split.csv"
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [_split_row(row) for row in csv.DictReader(file, strict=True)]
    except (KeyError, ValueError, csv.Error) as error:  # ValueError: names, and what is no UTF-8
        raise _damaged(path, f"a line lacks what the others have: {error}") from error


def _split_row(row: Mapping[str, str]) -> SplitRow:
    if None in row.values():  # what `DictReader` gives for cells that are not there
        raise ValueError(f"it breaks off at '{row['file']}'")
    return SplitRow(
        path=decode_name(row["file"]),
        label=decode_name(row["label"]),
        part=row["part"],
        group=decode_name(row.get("group") or ""),
        why=row.get("why") or "",
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(content, dict):
        raise _damaged(path, f"expected an object, met {type(content).__name__}")
    return content


def _damaged(path: Path, why: str) -> ArtefactError:
    return ArtefactError(
        f"A file of the run is damaged: {why}.",
        code="561",
        where=str(path),
        fix="restore it from a copy, or train again with its recipe.toml",
    )
