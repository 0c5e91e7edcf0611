"""What the rows of a table say: the file, the label, the part and the group of each picture."""

import contextlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path, PurePath

from saccade.data.catalog import Candidate, Skipped
from saccade.data.columns import OWN_SPLIT, Columns
from saccade.data.labels import as_number, find_separator, pieces_of
from saccade.data.part_folders import PART_SPELLINGS
from saccade.data.tables import Table
from saccade.runtime.errors import DataError, listed
from saccade.runtime.store import decode_name, encode_name, quoted


def own_keys(file_names: Sequence[str]) -> list[str]:
    """Return the pictures' own names where all differ, else their row numbers."""
    if all(file_names) and len(set(file_names)) == len(file_names):
        return list(file_names)
    width = len(str(len(file_names)))
    return [f"row-{row:0{width}}" for row in range(1, len(file_names) + 1)]


def file_keys(table: Table, column: str, base: Path) -> list[str | None]:
    """Return the path of each row's file, None where it is not there.

    Args:
        table: as read.
        column: of the paths.
        base: the folder in which they are looked up.

    Raises:
        DataError: half of them or more are not there: the paths are wrong, or the folder (E310).
    """
    real = base.resolve()
    found = [_file_key(cell, base, real) for cell in table.cells[column]]
    absent = [row for row, key in enumerate(found) if key is None]
    if 2 * len(absent) >= table.num_rows:
        shown = listed(encode_name(table.cells[column][row]) or "''" for row in absent)
        raise DataError(
            f"{len(absent)} of {table.num_rows} rows name a file that is not there: {shown}.",
            code="310",
            where=f"{table.where(absent)} (looked up in {encode_name(str(base))}/)",
            fix="correct the paths, or remove these rows",
        )
    return found


def missing_files(
    table: Table, column: str, keys: Sequence[str | None], *, above: PurePath
) -> list[Skipped]:
    """Return the rows whose file is not there, as left out: what cannot be used is listed.

    Args:
        table: as read.
        column: of the paths.
        keys: the path of each row's file; None where it is not there.
        above: the table's folder, as the listing's paths begin with it.
    """
    real = Path(table.place).parent.resolve()
    found = []
    for row, key in enumerate(keys):
        if key is None:
            name = table.cells[column][row].strip()
            what = "names it, and there is no such file" if name else "names no file"
            path = above / (_below(name, real) if name else "(no name)")
            sentence = f"{table.line(row)} {what}"
            found.append(Skipped(path=path.as_posix(), reason="missing", sentence=sentence))
    return found


def _file_key(cell: str, base: Path, real: Path) -> str | None:
    """Return the path of a file (see `_below`), None where it is not there.

    Tried as written, without the space around it, with Windows' backslashes turned, and as
    saccade writes names that a table cannot hold.
    """
    for text in _spellings(cell):
        try:
            if not text or not (base / text).is_file():
                continue
        except (OSError, ValueError):  # too long for a name, or with a zero byte
            continue
        return _below(text, real).as_posix()
    return None


def _below(text: str, real: Path) -> PurePath:
    """Return a path relative to the table's real folder where it lies below it, else as it is."""
    path = PurePath(text)
    return path.relative_to(real) if path.is_relative_to(real) else path


def _spellings(cell: str) -> Iterable[str]:
    found = [cell, cell.strip(), cell.replace("\\", "/")]
    with contextlib.suppress(ValueError):  # a backslash that begins no escape of ours
        found.append(decode_name(cell))
    return dict.fromkeys(found)


def candidates_of(table: Table, columns: Columns, keys: Sequence[str | None]) -> list[Candidate]:
    """Return a candidate for each row that has a key, with its label, part and group, "" for none.

    Args:
        table: as read.
        columns: which of them are used.
        keys: one a row: what its picture is called; None leaves the row out.

    Raises:
        DataError: parts have unknown names (E314), or a column of marks holds something else than
            0 and 1 (E317).
    """
    nothing = [""] * table.num_rows
    labels = _labels(table, columns.labels)
    parts = _parts(table, columns.split) if columns.split else nothing
    groups = list(map(_reading(table), table.cells[columns.group])) if columns.group else nothing
    return [
        Candidate(path=key, label=label, part=part, group=group)
        for key, label, part, group in zip(keys, labels, parts, groups, strict=True)
        if key is not None
    ]


def labels_without_file(table: Table, columns: Columns, keys: Sequence[str | None]) -> list[str]:
    """Return the labels of the rows whose file is not there."""
    labels = _labels(table, columns.labels)
    return [label for label, key in zip(labels, keys, strict=True) if key is None]


def unused_labels(
    rows: Sequence[Candidate], used: Sequence[Candidate], absent: Iterable[str]
) -> tuple[str, ...]:
    """Return the labels of rows that are left out, sorted, each once.

    Args:
        rows: those whose file is there.
        used: of these, the ones that no other row contradicts.
        absent: labels of the rows whose file is not there.
    """
    paths = {own.path for own in used}
    contradicted = (own.label for own in rows if own.path not in paths)
    return tuple(sorted({*contradicted, *absent}))


def _labels(table: Table, names: Sequence[str]) -> list[str]:
    """Return each row's label, "" where none is wanted; of several columns, their marks."""
    if not names:
        return [""] * table.num_rows
    if len(names) == 1:
        return list(map(_reading(table), table.cells[names[0]]))
    for name in names:
        wrong = [row for row, cell in enumerate(table.cells[name]) if not _mark(cell)]
        if wrong:
            shown = listed(quoted(table.cells[name][row]) for row in wrong)
            raise DataError(
                f"Column {quoted(name)} must hold 0 or 1 in every row, as one of several "
                f"label columns, and holds {shown}.",
                code="317",
                where=table.where(wrong),
                fix="write 0 or 1, or name a single label column",
            )
    columns = [[_mark(cell) for cell in table.cells[name]] for name in names]
    return ["|".join(marks) for marks in zip(*columns, strict=True)]


def _reading(table: Table) -> Callable[[str], str]:
    """Return how a cell becomes a name; those of a table of our own are escaped."""
    return _decoded if set(table.names) == OWN_SPLIT else str.strip


def _decoded(cell: str) -> str:
    try:
        return decode_name(cell)
    except (ValueError, IndexError):  # a backslash that somebody wrote since
        return cell.strip()


def _mark(cell: str) -> str:
    """Return "0" or "1" in any usual spelling, else ""."""
    text = cell.strip().casefold()
    spellings = {"0": "0", "1": "1", "0.0": "0", "1.0": "1", "false": "0", "true": "1"}
    return spellings.get(text, "")


def _parts(table: Table, name: str) -> list[str]:
    texts = [cell.strip().casefold() for cell in table.cells[name]]
    unknown = [row for row, text in enumerate(texts) if text and text not in PART_SPELLINGS]
    if unknown:
        shown = listed(sorted({quoted(table.cells[name][row]) for row in unknown}))
        raise DataError(
            f"Column {quoted(name)} should hold train, val or test, and holds {shown}.",
            code="314",
            where=table.where(unknown),
            fix="correct these cells, or name another column with --split-column",
        )
    return [PART_SPELLINGS.get(text, "") for text in texts]


def once_each(
    candidates: Sequence[Candidate], columns: Columns
) -> tuple[list[Candidate], list[Skipped]]:
    """Return one row a picture, and the others as left out.

    Where rows disagree on a picture's label, part or group, none of them can be believed.
    """
    rows_of: defaultdict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        rows_of[candidate.path].append(candidate)
    separator = ""
    if len(rows_of) < len(candidates) and len(columns.labels) == 1:
        separator = find_separator([own.label for own in candidates])
    used, skipped = [], []
    for path, rows in rows_of.items():
        sentence = _disagreement(rows, separator) if len(rows) > 1 else ""
        if sentence:
            skipped += [Skipped(path=path, reason="conflict", sentence=sentence)] * len(rows)
            continue
        used.append(rows[0])
        sentence = "an earlier row names it already"
        skipped += [Skipped(path=path, reason="repeated", sentence=sentence)] * (len(rows) - 1)
    return used, skipped


def _disagreement(rows: Sequence[Candidate], separator: str) -> str:
    """Return what the rows of one picture disagree on, "" where they say the same."""
    for what, texts in (
        ("labels", {row.label for row in rows}),
        ("parts", {row.part for row in rows}),
        ("groups", {row.group for row in rows}),
    ):
        meanings = {_meaning(text, separator) for text in texts} if what == "labels" else texts
        if len(meanings) > 1:
            named = listed(quoted(text) for text in sorted(texts))
            return f"{len(rows)} rows give it different {what}: {named}"
    return ""


def _meaning(label: str, separator: str) -> Hashable:
    """Return what a label says, however it is written (see `Task.meaning`)."""
    if separator:
        return frozenset(pieces_of(label, separator))
    number = as_number(label)
    return label if number is None else number
