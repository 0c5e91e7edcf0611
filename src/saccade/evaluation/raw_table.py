"""The cells of a prediction table, before anything is made of them."""

import csv
import itertools
import math
import re
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import numpy as np

from saccade.data.labels import as_number
from saccade.evaluation.predictions import SCORE_PREFIX
from saccade.runtime.errors import ArtefactError, listed
from saccade.runtime.store import decode_name

OURS = ("file", "hash", "part")  # a table with all of these was written by us
TEXTS = (*OURS, "truth", "prediction")  # what is kept as text
_LABEL_IN_SET = re.compile(r"(?:[^\\|]|\\.)*", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class RawTable:
    """The cells of a file, N rows, with what its header says."""

    path: Path
    columns: dict[str, list[str]]  # of `TEXTS` those that are there
    classes: tuple[str, ...]  # K, from the score columns, in the order of the file
    scores: np.ndarray  # float64 (N, K), NaN where a cell is no finite number; (0, K) if not read
    broken: tuple[int, int, str] | None  # the first such cell: row, column of K, text
    lines: list[int]  # the line of the file where a row ends
    ours: bool  # written by us: names are encoded

    def __len__(self) -> int:
        return len(self.lines)

    def name(self, text: str) -> str:
        """Return a name as it was before it was written."""
        return _decoded(text, self.path) if self.ours else text

    def labels(self, text: str) -> list[str]:
        """Return the labels of a multi-label cell."""
        parts = []
        position = 0
        while text and position <= len(text):
            match = _LABEL_IN_SET.match(text, position)
            label = match.group() if match else text[position:]
            parts.append(label)
            position += len(label) + 1
        return [self.name(p if self.ours else p.replace("\\|", "|").strip()) for p in parts]

    def wrong(self, message: str, *, code: str, row: int | None = None, fix: str) -> ArtefactError:
        """Return the error that points at this file, and at the line of a row."""
        line = "" if row is None else f", line {self.lines[row]}"
        return ArtefactError(message, code=code, where=f"{self.path}{line}", fix=fix)


def read_cells(path: Path, *, scores: bool = True) -> RawTable:
    """Return the cells of a CSV file, which is read row by row: its text is never held whole.

    Args:
        path: the file.
        scores: False leaves the scores out.

    Raises:
        ArtefactError: E563 no such file or no text, E564 columns, E565 no header or broken
            rows, E567 a damaged name.
    """
    rows = _rows(path)
    header, _ = next(rows, (None, 0))
    if header is None:
        raise ArtefactError(
            "The prediction table is empty.",
            code="565",
            where=str(path),
            fix="write a header with the columns truth and prediction, and one row a picture",
        )
    header, ours = _names(path, header)
    found = _Found(
        texts={header.index(name): [] for name in TEXTS if name in header},
        places=[place for place, name in enumerate(header) if name.startswith(SCORE_PREFIX)],
    )
    for row, line in rows:
        if len(row) != len(header):
            raise ArtefactError(
                f"A row has {len(row)} cells; the header has {len(header)}.",
                code="565",
                where=f"{path}, line {line}",
                fix="put quotes around cells that contain the separator",
            )
        found.add(row, line, ours=ours, scores=scores)
    num = len(found.places)
    return RawTable(
        path=path,
        columns={header[place]: cells for place, cells in found.texts.items()},
        classes=tuple(header[place].removeprefix(SCORE_PREFIX) for place in found.places),
        scores=np.frombuffer(found.scores).reshape(-1, num) if found.scores else np.zeros((0, num)),
        broken=found.broken,
        lines=found.lines,
        ours=ours,
    )


@dataclass(slots=True, kw_only=True)
class _Found:
    """What was read so far."""

    texts: dict[int, list[str]]  # by place in the row
    places: list[int]  # of the scores
    scores: "array[float]" = field(default_factory=lambda: array("d"))  # row by row
    broken: tuple[int, int, str] | None = None
    lines: list[int] = field(default_factory=list)

    def add(self, row: list[str], line: int, *, ours: bool, scores: bool) -> None:
        for place, cells in self.texts.items():  # the space after a comma is no part of a name
            cells.append(row[place] if ours else row[place].strip())
        if scores and self.places:
            cells = [row[place] for place in self.places]
            numbers = _numbers(cells)
            if self.broken is None and math.nan in numbers:
                place = numbers.index(math.nan)
                self.broken = (len(self.lines), place, cells[place].strip())
            self.scores.extend(numbers)
        self.lines.append(line)


def _numbers(cells: list[str]) -> list[float]:
    """Return the numbers of a row, `math.nan` itself where a cell holds none that is finite."""
    try:
        numbers = list(map(float, cells))
        if math.isfinite(sum(numbers)) and "_" not in "".join(cells):
            return numbers
    except ValueError:
        pass
    return [math.nan if (own := as_number(cell)) is None else own for cell in cells]


def _rows(path: Path) -> Iterator[tuple[list[str], int]]:
    """Yield the rows that are not empty, and the lines they end on; the header is the first."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _parsed(path, file)
    except OSError as error:
        raise ArtefactError(
            f"The prediction table cannot be read: {error.strerror or error}.",
            code="563",
            where=str(path),
            fix="give the path of a CSV file",
        ) from error
    except UnicodeDecodeError as error:
        raise ArtefactError(
            "A prediction table must be text in UTF-8; this file is not.",
            code="563",
            where=f"{path}, byte {_first_wrong_byte(path)}",
            fix="save it as CSV in UTF-8",
        ) from error


def _parsed(path: Path, file: TextIO) -> Iterator[tuple[list[str], int]]:
    first = file.readline()
    delimiter = next((mark for mark in ",;\t" if mark in first), ",")
    reader = csv.reader(itertools.chain([first], file), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if row:
                yield row, reader.line_num
    except csv.Error as error:
        raise ArtefactError(
            f"The prediction table is not well-formed CSV: {error}.",
            code="565",
            where=f"{path}, line {reader.line_num}",
            fix="write it with a CSV library or a spreadsheet",
        ) from error


def _first_wrong_byte(path: Path) -> int:
    try:
        path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return error.start
    return 0


def _names(path: Path, header: Sequence[str]) -> tuple[list[str], bool]:
    """Return the names of the columns, and whether the table was written by us."""
    ours = set(OURS) <= {column.strip() for column in header}
    if ours:
        header = [c if c.startswith(SCORE_PREFIX) else c.strip() for c in header]
        header = [_decoded_score(column, path) for column in header]
    else:
        header = [_without_space(column) for column in header]
    doubled = sorted(name for name, count in Counter(header).items() if count > 1)
    if doubled:
        raise ArtefactError(
            f"Every column needs a name of its own; met twice: {listed(map(repr, doubled))}.",
            code="564",
            where=str(path),
            fix="rename or remove one of each",
        )
    if "prediction" not in header and not any(c.startswith(SCORE_PREFIX) for c in header):
        raise ArtefactError(
            "A prediction table needs a column 'prediction' or columns 'score:<class>'; met "
            f"{listed(map(repr, header))}.",
            code="564",
            where=str(path),
            fix="name the column of answers prediction, and that of true labels truth",
        )
    return header, ours


def _without_space(column: str) -> str:
    column = column.strip()
    if not column.startswith(SCORE_PREFIX):
        return column
    return SCORE_PREFIX + column.removeprefix(SCORE_PREFIX).strip()


def _decoded_score(column: str, path: Path) -> str:
    if not column.startswith(SCORE_PREFIX):
        return column
    return SCORE_PREFIX + _decoded(column.removeprefix(SCORE_PREFIX), path)


def _decoded(text: str, path: Path) -> str:
    try:
        return decode_name(text)
    except ValueError as error:
        raise ArtefactError(
            f"A name is damaged: '{text}' is not written as saccade writes names.",
            code="567",
            where=str(path),
            fix="write the table again; or rename the column hash, then names are taken as "
            "they stand",
        ) from error
