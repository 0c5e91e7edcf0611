"""The cells of a prediction table as text, before anything is made of them."""

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from saccade.evaluation.predictions import SCORE_PREFIX
from saccade.runtime.errors import ArtefactError, listed
from saccade.runtime.store import decode_name

OURS = ("file", "hash", "part")  # a table with all of these was written by us
_LABEL_IN_SET = re.compile(r"(?:[^\\|]|\\.)*", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class RawTable:
    """The cells of a file as text, with what its header says."""

    path: Path
    columns: dict[str, list[str]]  # file, hash, part, truth, prediction: those that are there
    classes: tuple[str, ...]  # from the score columns, in the order of the file
    scores: list[list[str]]  # one list a class
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


def read_cells(path: Path) -> RawTable:
    """Return the cells of a CSV file.

    Raises:
        ArtefactError: E563 no such file or no text, E564 columns, E565 no header or broken
            rows, E567 a damaged name.
    """
    return _table(path, *_cells(path))


def _cells(path: Path) -> tuple[list[str], list[list[str]], list[int]]:
    """Return the header, the rows and the lines they end on."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
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
            where=f"{path}, byte {error.start}",
            fix="save it as CSV in UTF-8",
        ) from error
    first = text.partition("\n")[0]
    delimiter = next((mark for mark in ",;\t" if mark in first), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows, lines = [], []
    try:
        for row in reader:
            if row:
                rows.append(row)
                lines.append(reader.line_num)
    except csv.Error as error:
        raise ArtefactError(
            f"The prediction table is not well-formed CSV: {error}.",
            code="565",
            where=f"{path}, line {reader.line_num}",
            fix="write it with a CSV library or a spreadsheet",
        ) from error
    if not rows:
        raise ArtefactError(
            "The prediction table is empty.",
            code="565",
            where=str(path),
            fix="write a header with the columns truth and prediction, and one row a picture",
        )
    return rows[0], rows[1:], lines[1:]


def _table(path: Path, header: list[str], rows: list[list[str]], lines: list[int]) -> RawTable:
    ours = set(OURS) <= {column.strip() for column in header}
    if ours:
        header = [c if c.startswith(SCORE_PREFIX) else c.strip() for c in header]
        header = [_decoded_score(column, path) for column in header]
    else:  # the space after a comma is no part of a name
        header = [_without_space(column) for column in header]
        rows = [[cell.strip() for cell in row] for row in rows]
    doubled = sorted({column for column in header if header.count(column) > 1})
    if doubled:
        raise ArtefactError(
            f"Every column needs a name of its own; met twice: {listed(map(repr, doubled))}.",
            code="564",
            where=str(path),
            fix="rename or remove one of each",
        )
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(header):
            raise ArtefactError(
                f"A row has {len(row)} cells; the header has {len(header)}.",
                code="565",
                where=f"{path}, line {line}",
                fix="put quotes around cells that contain the separator",
            )
    columns = {name: [row[i] for row in rows] for i, name in enumerate(header)}
    scores = [name for name in header if name.startswith(SCORE_PREFIX)]
    classes = [name.removeprefix(SCORE_PREFIX) for name in scores]
    known = ("file", "hash", "part", "truth", "prediction")
    if "prediction" not in columns and not scores:
        raise ArtefactError(
            "A prediction table needs a column 'prediction' or columns 'score:<class>'; met "
            f"{listed(map(repr, header))}.",
            code="564",
            where=str(path),
            fix="name the column of answers prediction, and that of true labels truth",
        )
    return RawTable(
        path=path,
        columns={name: columns[name] for name in known if name in columns},
        classes=tuple(classes),
        scores=[columns[name] for name in scores],
        lines=lines,
        ours=ours,
    )


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
