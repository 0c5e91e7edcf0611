"""What a table, or a folder with a metadata table, holds: candidates with labels and parts."""

import contextlib
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from saccade.data.catalog import Candidate, Finding, Listing, Skipped, Source
from saccade.data.columns import Columns, find_columns, may_name_groups
from saccade.data.folders import PART_SPELLINGS, FolderSource, Walk
from saccade.data.labels import as_number, find_separator, pieces_of
from saccade.data.tables import ParquetSource, Table, read_table
from saccade.runtime.errors import DataError, command, listed
from saccade.runtime.store import decode_name, encode_name

METADATA_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
FILE_COLUMN = "file_name"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnNames:
    """The columns that the user named; "" where not."""

    image: str = ""
    label: str = ""
    split: str = ""
    group: str = ""


def list_table(path: Path, *, names: ColumnNames, labelled: bool = True) -> Listing:
    """Return the candidates in one table; paths are looked up beside it.

    A row counts as a file; one whose file is not there is left out, as a broken one is. Of several
    rows for the same picture the first counts when they agree, and none when they give different
    labels, parts or groups.

    Raises:
        DataError: see `read_table` and `find_columns`; half of the files or more are absent
            (E310), parts have unknown names (E314), or a column of marks holds something else than
            0 and 1 (E317).
    """
    table = read_table(path)
    columns = _columns(table, names=names, labelled=labelled)
    if columns.image in table.pictures:
        names_inside = _keys(table.pictures[columns.image])
        row_of = {key: row for row, key in enumerate(names_inside)}
        source: Source = ParquetSource(path, columns.image, row_of)
        keys: list[str | None] = [*names_inside]
    else:
        keys = _file_keys(table, columns.image, path.parent)
        source = FolderSource(place=str(path.parent))
    rows = _candidates(table, columns, keys)
    candidates, skipped = _once_each(rows, columns)
    missing = _missing(table, columns.image, keys, above=PurePath())
    absent = iter(missing)
    order = sorted(range(len(candidates)), key=lambda row: candidates[row].path)
    place_in = {row: new for new, row in enumerate(order)}
    return Listing(
        place=str(path),
        layout=f"a table of {table.num_rows} rows: {columns.sentence()}",
        source=source,
        candidates=tuple(candidates[row] for row in order),
        order=tuple(place_in[row] for row in range(len(candidates))),
        skipped=(*missing, *skipped),
        asked=tuple(key if key is not None else next(absent).path for key in keys),
        unused_labels=_unused_labels(rows, candidates, _absent_labels(table, columns, keys)),
        findings=tuple(_group_hint(table, columns)),
        label_name=listed(columns.labels) if len(columns.labels) == 1 else "",
        label_columns=columns.labels if len(columns.labels) > 1 else (),
    )


def metadata_files(found: Walk) -> list[str]:
    """Return the metadata tables at the top, or in the top folders, of a folder."""
    at_top = [name for name in METADATA_NAMES if name in found.files]
    if at_top:
        return at_top[:1]
    below = [f"{own}/{name}" for own in found.folders if "/" not in own for name in METADATA_NAMES]
    present = set(found.files)
    return [name for name in below if name in present]


def list_metadata(
    root: Path, found: Walk, *, tables: Sequence[str], names: ColumnNames
) -> Listing | None:
    """Return the candidates that metadata tables name, or None where none has a `file_name`.

    Parts come from a table's column, else from the folder a picture lies in where that is
    called train, val or test. Files that no table names are passed over.

    Raises:
        DataError: see `list_table`; the tables have different label columns (E309), or only some
            of them give parts (E357).
    """
    with_parts: list[Candidate] = []
    without: dict[str, list[Candidate]] = {}
    findings: list[Finding] = []
    missing: list[Skipped] = []
    absent_labels: list[str] = []
    met: list[Columns] = []
    for name in tables:
        table = read_table(root / name)
        if not names.image and FILE_COLUMN not in table.names:
            return None
        columns = _columns(table, names=replace(names, image=names.image or FILE_COLUMN))
        if met and met[0].labels != columns.labels:
            raise _other_labels(root, tables, met[0], columns)
        met.append(columns)
        above = PurePath(name).parent
        keys = _file_keys(table, columns.image, (root / name).parent)
        inside = [key and (above / key).as_posix() for key in keys]
        own = _candidates(table, columns, inside)
        missing += _missing(table, columns.image, keys, above=above)
        absent_labels += _absent_labels(table, columns, keys)
        if columns.split:
            with_parts += own
        else:
            without[name] = own
        findings += _group_hint(table, columns)
    if not met:
        return None
    from_folders = _parts_from_folders([own for rows in without.values() for own in rows])
    if with_parts and not all(own.part for own in from_folders):
        raise _some_parts(root, list(without))
    candidates = with_parts + from_folders
    columns = next((own for own in met if own.split), met[0])
    used, repeated = _once_each(candidates, columns)
    return Listing(
        place=str(root),
        layout=f"a folder with {listed(tables)}: {columns.sentence()}",
        source=FolderSource(place=str(root)),
        candidates=tuple(sorted(used, key=lambda candidate: candidate.path)),
        skipped=(*found.skipped, *missing, *_beside(found, candidates, tables), *repeated),
        findings=tuple(findings),
        unused_labels=_unused_labels(candidates, used, absent_labels),
        label_name=columns.labels[0] if len(columns.labels) == 1 else "",
        label_columns=columns.labels if len(columns.labels) > 1 else (),
    )


def _beside(found: Walk, candidates: Sequence[Candidate], tables: Sequence[str]) -> list[Skipped]:
    """Return the files that no row names, and the tables themselves."""
    known = {own.path for own in candidates} | set(tables)
    others = [
        Skipped(path=path, reason="not-in-table", sentence="no row of the table names it")
        for path in found.files
        if path not in known
    ]
    return others + [
        Skipped(path=name, reason="table", sentence="the table that holds the labels")
        for name in tables
    ]


def _other_labels(root: Path, tables: Sequence[str], one: Columns, other: Columns) -> DataError:
    return DataError(
        f"The tables have different label columns: {listed(map(encode_name, one.labels))} and "
        f"{listed(map(encode_name, other.labels))}.",
        code="309",
        where=f"{encode_name(str(root))} ({listed(tables)})",
        fix="give them the same columns, or name the label column with --label-column",
    )


def _some_parts(root: Path, without: Sequence[str]) -> DataError:
    return DataError(
        f"Some tables have a column of parts, and {len(without)} "
        f"{'has' if len(without) == 1 else 'have'} none: {listed(map(encode_name, without))}.",
        code="357",
        where=encode_name(str(root)),
        fix="give all of them the same columns of parts, or none",
    )


def _columns(table: Table, *, names: ColumnNames, labelled: bool = True) -> Columns:
    return find_columns(
        table,
        Path(table.place).parent,
        image_column=names.image,
        label_column=names.label,
        split_column=names.split,
        group_column=names.group,
        labelled=labelled,
    )


def _keys(file_names: Sequence[str]) -> list[str]:
    """Return the pictures' own names where all differ, else their row numbers."""
    if all(file_names) and len(set(file_names)) == len(file_names):
        return list(file_names)
    width = len(str(len(file_names)))
    return [f"row-{row:0{width}}" for row in range(1, len(file_names) + 1)]


def _file_keys(table: Table, column: str, base: Path) -> list[str | None]:
    """Return the path of each row's file, None where it is not there.

    Where half of them or more are not, the paths are wrong, or the folder: E310.
    """
    found = [_file_key(cell, base) for cell in table.cells[column]]
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


def _missing(
    table: Table, column: str, keys: Sequence[str | None], *, above: PurePath
) -> list[Skipped]:
    """Return the rows whose file is not there, as left out: what cannot be used is listed.

    Args:
        table: as read.
        column: of the paths.
        keys: the path of each row's file; None where it is not there.
        above: the table's folder, as the listing's paths begin with it.
    """
    base = Path(table.place).parent
    found = []
    for row, key in enumerate(keys):
        if key is None:
            name = table.cells[column][row].strip()
            what = "names it, and there is no such file" if name else "names no file"
            path = above / (_below(name, base) if name else "(no name)")
            sentence = f"{table.line(row)} {what}"
            found.append(Skipped(path=path.as_posix(), reason="missing", sentence=sentence))
    return found


def _file_key(cell: str, base: Path) -> str | None:
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
        return _below(text, base).as_posix()
    return None


def _below(text: str, base: Path) -> PurePath:
    """Return a path relative to the table's folder where it lies below it, else as it is."""
    path = PurePath(text)
    if path.is_absolute() and path.is_relative_to(base.resolve()):
        return path.relative_to(base.resolve())
    return path


def _spellings(cell: str) -> Iterable[str]:
    found = [cell, cell.strip(), cell.replace("\\", "/")]
    with contextlib.suppress(ValueError):  # a backslash that begins no escape of ours
        found.append(decode_name(cell))
    return dict.fromkeys(found)


def _candidates(table: Table, columns: Columns, keys: Sequence[str | None]) -> list[Candidate]:
    nothing = [""] * table.num_rows
    labels = _labels(table, columns.labels)
    parts = _parts(table, columns.split) if columns.split else nothing
    groups = [cell.strip() for cell in table.cells[columns.group]] if columns.group else nothing
    return [
        Candidate(path=key, label=label, part=part, group=group)
        for key, label, part, group in zip(keys, labels, parts, groups, strict=True)
        if key is not None
    ]


def _absent_labels(table: Table, columns: Columns, keys: Sequence[str | None]) -> list[str]:
    """Return the labels of the rows whose file is not there."""
    labels = _labels(table, columns.labels)
    return [label for label, key in zip(labels, keys, strict=True) if key is None]


def _unused_labels(
    rows: Sequence[Candidate], used: Sequence[Candidate], absent: Iterable[str]
) -> tuple[str, ...]:
    """Return the labels of rows that are left out: rows contradict them, or files are absent."""
    paths = {own.path for own in used}
    contradicted = (own.label for own in rows if own.path not in paths)
    return tuple(sorted({*contradicted, *absent}))


def _labels(table: Table, names: Sequence[str]) -> list[str]:
    """Return each row's label, "" where none is wanted; of several columns, their marks."""
    if not names:
        return [""] * table.num_rows
    if len(names) == 1:
        return [cell.strip() for cell in table.cells[names[0]]]
    for name in names:
        wrong = [row for row, cell in enumerate(table.cells[name]) if not _mark(cell)]
        if wrong:
            shown = listed(f"'{encode_name(table.cells[name][row])}'" for row in wrong)
            raise DataError(
                f"Column '{encode_name(name)}' must hold 0 or 1 in every row, as one of several "
                f"label columns, and holds {shown}.",
                code="317",
                where=table.where(wrong),
                fix="write 0 or 1, or name a single label column",
            )
    columns = [[_mark(cell) for cell in table.cells[name]] for name in names]
    return ["|".join(marks) for marks in zip(*columns, strict=True)]


def _mark(cell: str) -> str:
    """Return "0" or "1" in any usual spelling, else ""."""
    text = cell.strip().casefold()
    spellings = {"0": "0", "1": "1", "0.0": "0", "1.0": "1", "false": "0", "true": "1"}
    return spellings.get(text, "")


def _parts(table: Table, name: str) -> list[str]:
    texts = [cell.strip().casefold() for cell in table.cells[name]]
    unknown = [row for row, text in enumerate(texts) if text and text not in PART_SPELLINGS]
    if unknown:
        shown = listed(sorted({f"'{encode_name(table.cells[name][row])}'" for row in unknown}))
        raise DataError(
            f"Column '{encode_name(name)}' should hold train, val or test, and holds {shown}.",
            code="314",
            where=table.where(unknown),
            fix="correct these cells, or name another column with --split-column",
        )
    return [PART_SPELLINGS.get(text, "") for text in texts]


def _parts_from_folders(candidates: Sequence[Candidate]) -> list[Candidate]:
    tops = [own.path.split("/", 1)[0].casefold() if "/" in own.path else "" for own in candidates]
    if not set(tops) <= PART_SPELLINGS.keys():
        return list(candidates)
    return [
        Candidate(path=own.path, label=own.label, part=PART_SPELLINGS[top], group=own.group)
        for own, top in zip(candidates, tops, strict=True)
    ]


def _once_each(
    candidates: Sequence[Candidate], columns: Columns
) -> tuple[list[Candidate], list[Skipped]]:
    """Keep one row a picture; where rows disagree on anything, none can be believed."""
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
            named = listed(f"'{encode_name(text)}'" for text in sorted(texts))
            return f"{len(rows)} rows give it different {what}: {named}"
    return ""


def _meaning(label: str, separator: str) -> Hashable:
    """Return what a label says, however it is written (see `Task.meaning`)."""
    if separator:
        return frozenset(pieces_of(label, separator))
    number = as_number(label)
    return label if number is None else number


def _group_hint(table: Table, columns: Columns) -> Iterable[Finding]:
    """Point at a column that seems to name patients, videos or bursts, where none was named."""
    names = [
        name for name in table.cells if name not in columns.labels and may_name_groups(table, name)
    ]
    if names and not columns.group:
        yield Finding(
            kind="group-column",
            severity="warning",
            paths=(),
            sentence=f"Column '{encode_name(names[0])}' may say which pictures belong together "
            "(one patient, one video); such pictures can now be on both sides of the split.",
            action=command("--group-column", encode_name(names[0])),
        )
