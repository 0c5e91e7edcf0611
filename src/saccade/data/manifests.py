"""What a table, or a folder with a metadata table, holds: candidates with labels and parts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from saccade.data.catalog import Candidate, Finding, Listing, Skipped, Source
from saccade.data.columns import Columns, check_column, find_columns, holds_parts, may_name_groups
from saccade.data.folders import FolderSource
from saccade.data.part_folders import PART_SPELLINGS
from saccade.data.rows import (
    candidates_of,
    file_keys,
    labels_without_file,
    missing_files,
    once_each,
    own_keys,
    unused_labels,
)
from saccade.data.tables import ParquetSource, Table, read_table
from saccade.data.walk import Walk
from saccade.runtime.errors import DataError, command, listed
from saccade.runtime.store import encode_name, quoted

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
        names_inside = own_keys(table.pictures[columns.image])
        row_of = {key: row for row, key in enumerate(names_inside)}
        source: Source = ParquetSource(path, columns.image, row_of)
        keys: list[str | None] = [*names_inside]
    else:
        keys = file_keys(table, columns.image, path.parent)
        source = FolderSource(place=str(path.parent))
    rows = candidates_of(table, columns, keys)
    candidates, skipped = once_each(rows, columns)
    missing = missing_files(table, columns.image, keys, above=PurePath())
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
        unused_labels=unused_labels(rows, candidates, labels_without_file(table, columns, keys)),
        findings=tuple(_hints(table, columns)),
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
    read: list[_Named] = []
    for name in tables:
        own = _named_in(root, name, names)
        if own is None:
            return None
        if read and read[0].columns.labels != own.columns.labels:
            raise _other_labels(root, tables, read[0].columns, own.columns)
        read.append(own)
    if not read:
        return None
    candidates, linked = _without_links(_with_parts(root, read), found)
    columns = next((own.columns for own in read if own.columns.split), read[0].columns)
    used, repeated = once_each(candidates, columns)
    named = {own.path for own in candidates}
    passed_over = [own for own in found.skipped if own.path not in named]
    return Listing(
        place=str(root),
        layout=f"a folder with {listed(tables)}: {columns.sentence()}",
        source=FolderSource(place=str(root)),
        candidates=tuple(sorted(used, key=lambda candidate: candidate.path)),
        skipped=(
            *passed_over,
            *linked,
            *(row for own in read for row in own.missing),
            *_beside(found, candidates, tables),
            *repeated,
        ),
        findings=tuple(finding for own in read for finding in own.findings),
        unused_labels=unused_labels(
            candidates, used, [label for own in read for label in own.absent_labels]
        ),
        label_name=columns.labels[0] if len(columns.labels) == 1 else "",
        label_columns=columns.labels if len(columns.labels) > 1 else (),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    """What one metadata table names, paths from the root."""

    name: str
    columns: Columns
    candidates: list[Candidate]
    missing: list[Skipped]
    absent_labels: list[str]
    findings: tuple[Finding, ...]


def _named_in(root: Path, name: str, names: ColumnNames) -> _Named | None:
    """Return what a metadata table names; None where it has no `file_name`, nor what was named."""
    table = read_table(root / name)
    if not names.image and FILE_COLUMN not in table.names:
        return None
    columns = _columns(table, names=replace(names, image=names.image or FILE_COLUMN))
    check_column(table, columns.image, among=table.cells)
    above = PurePath(name).parent
    keys = file_keys(table, columns.image, (root / name).parent)
    return _Named(
        name=name,
        columns=columns,
        candidates=candidates_of(
            table, columns, [key and (above / key).as_posix() for key in keys]
        ),
        missing=missing_files(table, columns.image, keys, above=above),
        absent_labels=labels_without_file(table, columns, keys),
        findings=tuple(_hints(table, columns)),
    )


def _with_parts(root: Path, read: Sequence[_Named]) -> list[Candidate]:
    """Return all rows, with the parts of a column, else of folders; of all tables or of none."""
    by_column = [row for own in read if own.columns.split for row in own.candidates]
    without = [own for own in read if not own.columns.split]
    by_folder = _parts_from_folders(root, [row for own in without for row in own.candidates])
    if by_column and not all(row.part for row in by_folder):
        raise _some_parts(root, [own.name for own in without])
    return by_column + by_folder


def _without_links(
    candidates: list[Candidate], found: Walk
) -> tuple[list[Candidate], list[Skipped]]:
    """Return the rows but for those behind a link out of the folder that was passed over.

    And what else is passed over for it: a link to a file is among `found.skipped` already.
    """
    if not found.outside:
        return candidates, []
    kept, skipped = [], []
    for own in candidates:
        above = {parent.as_posix() for parent in PurePath(own.path).parents}
        if not found.outside.keys().isdisjoint(above):
            sentence = "behind a link out of the folder (--follow-links reads it)"
            skipped.append(Skipped(path=own.path, reason="link", sentence=sentence))
        elif own.path not in found.outside:
            kept.append(own)
    return kept, skipped


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


def _parts_from_folders(root: Path, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the rows with the parts that their folders name, where folders name parts.

    Raises:
        DataError: folders name train and another part, and rows lie elsewhere (E357).
    """
    tops = [own.path.split("/", 1)[0].casefold() if "/" in own.path else "" for own in candidates]
    others = [
        own.path for own, top in zip(candidates, tops, strict=True) if top not in PART_SPELLINGS
    ]
    parts = {PART_SPELLINGS[top] for top in tops if top in PART_SPELLINGS}
    if others and "train" in parts and len(parts) > 1:
        raise DataError(
            f"{len(others)} of {len(candidates)} pictures lie outside the folders of parts, in "
            f"which the others are: {listed(map(encode_name, others))}.",
            code="357",
            where=encode_name(str(root)),
            fix="put them into train/, val/ or test/, or give the tables a column of parts",
        )
    if others:
        return list(candidates)
    return [
        Candidate(path=own.path, label=own.label, part=PART_SPELLINGS[top], group=own.group)
        for own, top in zip(candidates, tops, strict=True)
    ]


def _hints(table: Table, columns: Columns) -> Iterable[Finding]:
    """Point at columns of parts, and of patients, videos or bursts, where none was named."""
    free = [name for name in table.cells if name not in columns.labels]
    parts = [name for name in free if holds_parts(table.cells[name])]
    groups = [name for name in free if may_name_groups(table, name)]
    if parts and not columns.split:
        said = (
            "holds nothing but parts (train, test, …), and is not used: its name does not say that "
            "the pictures were dealt out by it."
        )
        yield _hint("split-column", parts[0], said)
    if groups and not columns.group:
        said = (
            "may say which pictures belong together (one patient, one video); such pictures can "
            "now be on both sides of the split."
        )
        yield _hint("group-column", groups[0], said)


def _hint(kind: str, name: str, said: str) -> Finding:
    return Finding(
        kind=kind,
        severity="warning",
        paths=(),
        sentence=f"Column {quoted(name)} {said}",
        action=command(f"--{kind}", encode_name(name)),
    )
