"""Labels that a person has put right: read from a table, and put in place of those as given.

The table is CSV, TSV, JSON lines or Parquet with the columns `file` and `label` (docs/suspects.md).
`suspects.csv` and `review.csv` of a run are such tables, ready to be edited.
"""

import os
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from saccade.data.catalog import Catalog, Finding, Skipped
from saccade.data.correction_table import LEAVE_OUT, Wanted, check_columns, read_wanted, same_label
from saccade.data.folders import no_such_place
from saccade.data.tables import Table, joined, read_table
from saccade.data.task import Task, choose_task, targets
from saccade.runtime.errors import DataError, listed
from saccade.runtime.store import encode_name

REASON = "corrections"  # why such a picture is left out
CORRECTED = "corrected"  # the kind of the finding about the parts


def correct(
    catalog: Catalog, tables: str | Path, *, requested: str = "auto", task: Task | None = None
) -> Catalog:
    """Return the catalogue with the labels of tables of corrections in place of its own.

    Its `given` is the catalogue as it was, so that the two can be compared; what was put right or
    confirmed is `settled`, and no longer a suspect. Pictures that the table leaves out are listed
    among those not used; a finding says what was done.

    Args:
        catalog: as it was scanned.
        tables: the table, or several with commas between.
        requested: the task, as in `choose_task`; it decides which labels there can be.
        task: the task itself, where it is known; else that of the catalogue's own labels.

    Raises:
        DataError: there is no such table (E301), it cannot be read (E311, E312, E315) or lacks a
            column (E307); it names a picture (E370) or a label (E371) that is not there, or says
            two things of one picture (E372).
    """
    table = read_corrections(tables)
    if task is None:
        empty = {row for row, label in enumerate(catalog.labels) if not label.strip()}
        labelled = _without(catalog, empty) if len(empty) < len(catalog) else catalog
        task = choose_task(labelled, requested=requested)  # what is empty may be filled in
    wanted = read_wanted(table, catalog, task)
    if len(wanted.left_out) == len(catalog):
        raise DataError(
            f"{_name(table)} leaves out every one of {len(catalog)} pictures.",
            code="373",
            where=encode_name(table.place),
            fix=f"write {LEAVE_OUT} for the pictures that belong to no class, not for all",
        )
    changed = {
        row: label
        for row, label in wanted.labels.items()
        if not same_label(label, catalog.labels[row], task)
    }
    labels = tuple(changed.get(row, label) for row, label in enumerate(catalog.labels))
    looked_at = changed.keys() | wanted.confirmed
    finding = _finding(catalog, changed, table, wanted)
    skipped = [
        Skipped(path=catalog.paths[row], reason=REASON, sentence=f"left out by {_name(table)}")
        for row in wanted.left_out
    ]
    return replace(
        _without(replace(catalog, labels=labels), wanted.left_out),
        skipped=tuple(sorted((*catalog.skipped, *skipped), key=lambda own: own.path)),
        findings=(*catalog.findings, finding),
        given=catalog.given or catalog,
        settled=_settled(replace(catalog, labels=labels), looked_at, task),
        reviewed=catalog.reviewed | {catalog.paths[row] for row in wanted.blind},
    )


def correction_tables(named: str | Path) -> list[Path]:
    """Return the tables that `--corrections` names: one, or several with commas between.

    Raises:
        DataError: one of them is not there (E301).
    """
    tables = [Path(own) for own in table_names(str(named))]
    for path in tables:
        if not path.is_file():
            raise no_such_place(path)
    return tables


def table_names(named: str, *, above: Iterable[Path] = ()) -> list[str]:
    """Return the names in a text with commas between; a comma of a file's own name is none.

    Args:
        named: the text.
        above: folders in which the files may lie, beside the current one.
    """
    folders = ["", *map(str, above)]
    pieces, names = named.split(","), []

    def is_there(name: str) -> bool:
        return any(os.path.isfile(os.path.join(own, name)) for own in folders)  # noqa: PTH113, PTH118 - of any length

    while pieces:
        starts = [",".join(pieces[:end]).strip() for end in range(1, len(pieces) + 1)]
        end = next((end for end, name in enumerate(starts, start=1) if is_there(name)), 1)
        names.append(starts[end - 1])
        pieces = pieces[end:]
    return [name for name in names if name] or [named]


def read_corrections(named: str | Path) -> Table:
    """Return the tables that `--corrections` names as one, their columns checked.

    Raises:
        DataError: one is not there (E301), cannot be read (E311, E312, E315) or lacks a column
            (E307).
    """
    tables = [read_table(path) for path in correction_tables(named)]
    for own in tables:
        check_columns(own)
    return joined(tables)


def _settled(catalog: Catalog, rows: Collection[int], task: Task) -> frozenset[str]:
    """Return the paths of pictures that a person has looked at, and of copies so labelled."""

    def key(row: int) -> tuple[str, Hashable]:
        return catalog.hashes[row], task.meaning(catalog.labels[row])

    known = {key(row) for row in rows}
    hashes = {content for content, _ in known}
    return catalog.settled | {
        path
        for row, path in enumerate(catalog.paths)
        if catalog.hashes[row] in hashes and key(row) in known
    }


def corrected_rows(catalog: Catalog) -> list[int]:
    """Return the rows whose label is another than the one as given."""
    pairs = zip(catalog.labels, catalog.given_labels, strict=True)
    return [row for row, (label, given) in enumerate(pairs) if label != given]


def given_targets(catalog: Catalog, task: Task) -> np.ndarray | None:
    """Return the answers as they were before the corrections, in the form of the task's targets.

    None where a label as given is no class any more, for its last picture was corrected.
    """
    before = replace(catalog, labels=catalog.given_labels, given=None)
    try:
        return targets(before, task)
    except DataError:
        return None


def part_findings(catalog: Catalog, parts: Sequence[str]) -> list[Finding]:
    """Return in which parts the corrected labels are; those of the test part are named.

    A test score is only as honest as the choice of the labels that were looked at again: where a
    model chose them, what is corrected are its mistakes and never its lucky hits.
    """
    rows = corrected_rows(catalog)
    if not rows:
        return []
    counts = Counter(parts[row] for row in rows)
    shares = ", ".join(f"{counts[own]} in {own}" for own in ("train", "validation", "test"))
    sentence = f"Of {_plural(len(rows), 'corrected label')}, {shares}."
    test = [catalog.paths[row] for row in rows if parts[row] == "test"]
    if not test:
        return [Finding(kind=CORRECTED, severity="note", paths=(), sentence=sentence)]
    labels = f"{_plural(len(test), 'test label')} {'was' if len(test) == 1 else 'were'} changed"
    changed = f"{sentence} {labels}: {listed(map(encode_name, test))}"
    if catalog.reviewed.issuperset(test):
        blind = (
            f"{changed}, by a review whose table names pictures by content, as a blind one does."
        )
        return [Finding(kind=CORRECTED, severity="note", paths=tuple(test), sentence=blind)]
    return [
        Finding(
            kind=CORRECTED,
            severity="warning",
            paths=tuple(test),
            sentence=f"{changed}.",
            action="correct test labels only by a blind review (review.csv of a run), and give the "
            "score with the labels as they were beside it",
        )
    ]


def _without(catalog: Catalog, left_out: set[int]) -> Catalog:
    """Return the catalogue without some rows."""
    if not left_out:
        return catalog
    kept = [row for row in range(len(catalog)) if row not in left_out]
    rows = np.asarray(kept, np.int64)

    def texts(column: Sequence[str]) -> tuple[str, ...]:
        return tuple(column[row] for row in kept)

    return replace(
        catalog,
        paths=texts(catalog.paths),
        labels=texts(catalog.labels),
        parts=texts(catalog.parts),
        groups=texts(catalog.groups),
        hashes=texts(catalog.hashes),
        formats=texts(catalog.formats),
        num_bytes=catalog.num_bytes[rows],
        widths_px=catalog.widths_px[rows],
        heights_px=catalog.heights_px[rows],
    )


def _finding(
    catalog: Catalog,
    changed: Mapping[int, str],
    table: Table,
    wanted: Wanted,
) -> Finding:
    """Return what was done, for a person."""
    moves = Counter((catalog.labels[row], label) for row, label in changed.items())
    shown = listed(
        f"{catalog.told(old) or 'no label'} → {catalog.told(new) or 'no label'}: {count}"
        for (old, new), count in sorted(moves.items(), key=lambda own: (-own[1], own[0]))
    )
    num_confirmed = len(wanted.confirmed - changed.keys() - wanted.left_out)
    num_same = len(wanted.labels.keys() - changed.keys() - wanted.confirmed)
    num_left_out = len(wanted.left_out)
    said = [
        f"{_plural(len(changed), 'label')} corrected" + (f" ({shown})" if shown else ""),
        *([f"{_plural(num_left_out, 'picture')} left out"] if num_left_out else []),
        *([f"{_plural(num_confirmed, 'label')} confirmed"] if num_confirmed else []),
        *([f"{_plural(num_same, 'label')} as in the data"] if num_same else []),
        *([f"{_plural(wanted.num_elsewhere, 'line')} not used"] if wanted.num_elsewhere else []),
    ]
    return Finding(
        kind=REASON,
        severity="note",
        paths=tuple(catalog.paths[row] for row in sorted({*changed, *wanted.left_out})),
        sentence=f"{encode_name(_name(table))}: {', '.join(said)}.",
    )


def _name(table: Table) -> str:
    names = (Path(own.place).name for own in table.pieces or (table,))
    return " and ".join(dict.fromkeys(names))


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
