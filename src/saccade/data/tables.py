"""CSV, JSON lines and Parquet files as columns of text; the only place where pyarrow is used."""

import csv
import io
import json
import re
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path, PurePath
from typing import Any

from saccade.data.folders import FolderSource, gone
from saccade.data.headers import Unreadable
from saccade.data.labels import LIST_SEPARATOR
from saccade.runtime.errors import DataError, listed
from saccade.runtime.store import encode_name

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
DELIMITERS = (",", ";", "\t", "|")
NO_TEXT = re.compile(
    r"struct<|map<|(large_|fixed_size_)?list<\w+: "
    r"(struct|map|list|large_list|fixed|half|float|double)"
)
"""Types of Parquet columns that hold no labels: nested ones, and vectors, which are large."""
CACHED_BYTES = 512_000_000  # of unpacked Parquet row groups that are kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table, one text a cell, before anybody knows what its columns mean."""

    place: str
    names: tuple[str, ...]
    num_rows: int
    cells: Mapping[str, Sequence[str]]  # the columns of text
    pictures: Mapping[str, Sequence[str]] = field(default_factory=dict)
    # the columns that hold picture files themselves, with the names of these files, or ""
    lines: Sequence[int] = ()  # of each row in a text file
    pieces: tuple["Table", ...] = ()  # what it was joined from, whose rows follow each other

    def where(self, rows: Iterable[int]) -> str:
        """Return the table's place and the lines of some rows, for messages."""
        if self.pieces:
            return self._where_in_pieces(rows)
        numbers = [self.lines[row] if self.lines else row + 1 for row in rows]
        unit = "line" if self.lines else "row"
        many = "s" if len(numbers) > 1 else ""
        return f"{encode_name(self.place)}, {unit}{many} {listed(numbers)}"

    def _where_in_pieces(self, rows: Iterable[int]) -> str:
        ends = list(accumulate(piece.num_rows for piece in self.pieces))
        each: list[list[int]] = [[] for _ in self.pieces]
        for row in rows:
            place = bisect_right(ends, row)
            each[place].append(row - ends[place] + self.pieces[place].num_rows)
        found = zip(self.pieces, each, strict=True)
        return "; ".join(piece.where(own) for piece, own in found if own)

    def line(self, row: int) -> str:
        """Return where a row stands: its line in a text file, else its number."""
        return f"line {self.lines[row]}" if self.lines else f"row {row + 1}"


def is_table(path: Path) -> bool:
    """Say whether a file's name is that of a table."""
    return path.suffix.lower() in SUFFIXES


def read_table(path: Path) -> Table:
    """Return the columns of a CSV, TSV, JSON lines or Parquet file.

    Raises:
        DataError: it is damaged (E312), empty (E315), or Parquet without pyarrow (E311).
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        table = _read_parquet(path)
    elif suffix == ".jsonl":
        table = _read_jsonl(path)
    else:
        table = _read_csv(path, delimiter="\t" if suffix == ".tsv" else "")
    if not table.num_rows:
        raise DataError(
            "The table has no rows.",
            code="315",
            where=encode_name(str(path)),
            fix="give a line of column names, then one line a picture",
        )
    return table


def joined(tables: Sequence[Table]) -> Table:
    """Return the rows of some tables below each other; a column that one lacks is empty there."""
    if len(tables) == 1:
        return tables[0]
    names = tuple(dict.fromkeys(name for table in tables for name in table.names))
    cells: dict[str, list[str]] = {
        name: [cell for own in tables for cell in own.cells.get(name, [""] * own.num_rows)]
        for name in names
        if any(name in own.cells for own in tables)
    }
    return Table(
        place=", ".join(own.place for own in tables),
        names=names,
        num_rows=sum(own.num_rows for own in tables),
        cells=cells,
        pieces=tuple(tables),
    )


def _read_csv(path: Path, *, delimiter: str) -> Table:
    text = _text(path)
    first_line = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter = delimiter or max(DELIMITERS, key=first_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows, lines = [], []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append(row)
                lines.append(reader.line_num)
    except csv.Error as error:
        raise _damaged(path, f"line {reader.line_num}: {error}") from error
    if not rows:
        return Table(place=str(path), names=(), num_rows=0, cells={})
    names = tuple(name.strip() for name in rows.pop(0))
    lines.pop(0)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise _damaged(path, f"several columns are called {listed(map(encode_name, twice))}")
    ragged = [number for number, row in zip(lines, rows, strict=True) if len(row) != len(names)]
    if ragged:
        many = "lines {} do" if len(ragged) > 1 else "line {} does"
        met = f"{many.format(listed(ragged))} not have {len(names)} cells, as the first line has"
        raise _damaged(path, met)
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    cells = dict(zip(names, columns, strict=True))
    return Table(place=str(path), names=names, num_rows=len(rows), cells=cells, lines=lines)


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from error
    encoding = "utf-16" if content[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _damaged(path, f"line {line} is not UTF-8 text") from error


def _read_jsonl(path: Path) -> Table:
    records, lines = [], []
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _damaged(path, f"line {number} is not JSON: {error}") from error
        if not isinstance(record, dict):
            raise _damaged(path, f"line {number} is not a JSON object")
        records.append(record)
        lines.append(number)
    names = tuple(dict.fromkeys(name for record in records for name in record))
    cells = {name: cell_texts([record.get(name) for record in records]) for name in names}
    return Table(place=str(path), names=names, num_rows=len(records), cells=cells, lines=lines)


def cell_texts(values: Sequence[Any]) -> list[str]:
    """Return typed cells as texts: no value is "", yes and no are 1 and 0, lists are joined.

    >>> cell_texts([None, True, 3, ["cat", "dog"]])
    ['', '1', '3', 'cat|dog']
    """
    texts = [item for value in values if isinstance(value, list) for item in value]
    separator = LIST_SEPARATOR if any("|" in str(text) for text in texts) else "|"
    return [_cell_text(value, separator) for value in values]


def _cell_text(value: Any, separator: str) -> str:  # noqa: ANN401 - whatever a cell can hold
    if value is None or value != value:  # a NaN is a cell without value
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, list):
        return separator.join(_cell_text(item, separator) for item in value)
    return value if isinstance(value, str) else str(value)


def _damaged(path: Path, met: str) -> DataError:
    return DataError(
        f"The table cannot be read: {met}.",
        code="312",
        where=encode_name(str(path)),
        fix="mend the file, or save it again as CSV in UTF-8",
    )


def _parquet_file(path: Path) -> Any:  # noqa: ANN401 - pyarrow carries no types
    try:
        import pyarrow  # noqa: PLC0415 - an extra
        import pyarrow.parquet  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise DataError(
            "Reading a Parquet file needs pyarrow, which is not installed.",
            code="311",
            where=encode_name(str(path)),
            fix="pip install 'saccade[parquet]', or save the table as CSV",
        ) from error
    try:
        return pyarrow.parquet.ParquetFile(path, memory_map=True)
    except (pyarrow.ArrowException, OSError) as error:
        raise _damaged(path, str(error).split("\n", 1)[0]) from error


def _read_parquet(path: Path) -> Table:
    file = _parquet_file(path)
    schema = file.schema_arrow
    class_names = _class_names(schema.metadata or {})
    cells: dict[str, Sequence[str]] = {}
    pictures: dict[str, Sequence[str]] = {}
    for own in schema:
        kind = str(own.type)
        if kind in {"binary", "large_binary"}:
            pictures[own.name] = [""] * file.metadata.num_rows
        elif "bytes" in (inner := _fields(own.type)):
            named = "path" in inner
            names = _column(file, own.name, "path") if named else [""] * file.metadata.num_rows
            pictures[own.name] = cell_texts(names)
        elif not NO_TEXT.match(kind):
            cells[own.name] = _named(_column(file, own.name), class_names.get(own.name))
    return Table(
        place=str(path),
        names=tuple(schema.names),
        num_rows=file.metadata.num_rows,
        cells=cells,
        pictures=pictures,
    )


def _fields(kind: Any) -> list[str]:  # noqa: ANN401 - pyarrow carries no types
    """Return the names of a struct's fields; none of any other type."""
    is_struct = str(kind).startswith("struct<")
    return [kind.field(place).name for place in range(kind.num_fields)] if is_struct else []


def _column(file: Any, name: str, inner: str = "") -> list[Any]:  # noqa: ANN401 - pyarrow
    selected = file.read(columns=[f"{name}.{inner}" if inner else name]).column(name)
    values: list[Any] = selected.to_pylist()
    return [value and value[inner] for value in values] if inner else values


def _class_names(metadata: Mapping[bytes, bytes]) -> dict[str, Sequence[str]]:
    """Return the class names that the Hugging Face hub's files carry beside numbered labels."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        inner = {name: own.get("feature", own) for name, own in features.items()}
        return {name: own["names"] for name, own in inner.items() if "names" in own}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _named(values: Sequence[Any], names: Sequence[str] | None) -> list[str]:
    if names is None:
        return cell_texts(values)

    def name(value: Any) -> Any:  # noqa: ANN401 - a number, several, or none
        if isinstance(value, list):
            return [name(item) for item in value]
        known = isinstance(value, int) and 0 <= value < len(names)
        return names[value] if known else None

    return cell_texts([name(value) for value in values])


class ParquetSource:
    """Picture files in a column of a Parquet file, read by row groups.

    Row groups are kept in memory up to half a gigabyte, the latest used first, so that a file
    larger than memory can be read in its own order at full speed.

    Args:
        path: the Parquet file.
        column: of bytes, or of {bytes, path}.
        rows: the row of each picture's key.
    """

    def __init__(self, path: Path, column: str, rows: Mapping[str, int]) -> None:
        self.path = path
        self.column = column
        self.rows = rows
        self._file = _parquet_file(path)
        metadata = self._file.metadata
        counts = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
        self._first_rows = [0, *accumulate(counts)]
        self._kept: OrderedDict[int, Any] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def place(self) -> str:
        """The Parquet file, for messages."""
        return str(self.path)

    def read(self, key: str) -> bytes:
        """Return the bytes of one picture; a cell with a path but no bytes leads to that file.

        Raises:
            DataError: the table has no such row any more (E316), or no picture in it (E320).
        """
        row = self.rows.get(key)
        if row is None:
            raise gone(self.path, f"its row is no longer in the table ({encode_name(key)})")
        group = bisect_right(self._first_rows, row) - 1
        with self._lock:
            column = self._group(group)
        cell = column[row - self._first_rows[group]].as_py()
        if isinstance(cell, dict):
            if cell["bytes"] is None and cell.get("path"):
                return self._file_beside(cell["path"])
            cell = cell["bytes"]
        if cell is None:
            raise Unreadable("empty", "the cell holds no picture")
        content: bytes = cell
        return content

    def _file_beside(self, name: str) -> bytes:
        """Read a file that a cell names; a table from elsewhere may not reach out of its folder."""
        if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
            raise Unreadable("outside", f"its path leads out of the folder: {encode_name(name)}")
        return FolderSource(place=str(self.path.parent)).read(name)

    def _group(self, number: int) -> Any:  # noqa: ANN401 - pyarrow
        if number in self._kept:
            self._kept.move_to_end(number)
            return self._kept[number]
        column = self._file.read_row_group(number, columns=[self.column]).column(0)
        self._kept[number] = column
        while len(self._kept) > 1 and sum(own.nbytes for own in self._kept.values()) > CACHED_BYTES:
            self._kept.popitem(last=False)
        return column
