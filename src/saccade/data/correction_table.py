"""A table of corrections, line by line: which picture, and which label it should have."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from saccade.data.catalog import Catalog
from saccade.data.labels import as_number, pieces_of
from saccade.data.tables import Table
from saccade.data.task import Task
from saccade.runtime.errors import MAX_LISTED, DataError, listed, nearest
from saccade.runtime.store import decode_name, encode_name, quoted

FILE, LABEL, CONTENT, CONFIRMED = "file", "label", "content", "confirmed"
YES, NO = ("yes", "y", "x", "true"), ("", "n", "no", "false", "-")
"""What the column `confirmed` may hold, or 1 and 0; "wrong" or "?" is no confirmation."""
LEAVE_OUT = "-"
"""In place of a label: this picture belongs to none. A class of that name is written `'-`."""
UNDECIDED = "?"  # in place of a label: nothing changes
NO_LABELS = "|"  # of a picture with an empty set of labels, for an empty cell changes nothing


@dataclass(slots=True, kw_only=True)
class Wanted:
    """What the lines of a table ask for, by row of the catalogue."""

    labels: dict[int, str] = field(default_factory=dict)  # as the catalogue writes them
    left_out: set[int] = field(default_factory=set)
    confirmed: set[int] = field(default_factory=set)  # the label is right, whether as before or not
    blind: set[int] = field(default_factory=set)  # said of a content, whose name was not known
    first_line: dict[int, int] = field(default_factory=dict)
    unknown_files: list[int] = field(default_factory=list)  # lines
    unknown_labels: list[int] = field(default_factory=list)
    contradictions: list[int] = field(default_factory=list)
    num_elsewhere: int = 0  # lines about pictures that are on disk, but not used


def read_wanted(table: Table, catalog: Catalog, task: Task) -> Wanted:
    """Return what the lines of a table ask for; a correction is never dropped in silence.

    Raises:
        DataError: a picture (E370) or a label (E371) is not there, two things are said of one
            picture (E372), or what is confirmed is not told (E374).
    """
    wanted = _read(table, catalog, task)
    _check(wanted, table, catalog, task)
    return wanted


def same_label(one: str, other: str, task: Task) -> bool:
    """Say whether two texts are the same label."""
    return task.meaning(one) == task.meaning(other)


def label_text(marks_K: np.ndarray, catalog: Catalog, task: Task) -> str:
    """Return a set of labels as a cell of the table; one without labels is `NO_LABELS`."""
    names = [name for name, mark in zip(task.classes, marks_K.tolist(), strict=True) if mark]
    if catalog.label_columns:
        return "|".join(str(int(column in names)) for column in catalog.label_columns)
    return task.separator.join(names) or NO_LABELS


def check_columns(table: Table) -> None:
    """Refuse a table whose columns are missing or misspelt (E307)."""
    missing = [name for name in (FILE, LABEL) if name not in table.cells]
    if missing:
        raise DataError(
            f"A table of corrections needs the columns '{FILE}' and '{LABEL}'; "
            f"{listed(missing)} is missing.",
            code="307",
            where=f"{encode_name(table.place)} (columns: {listed(map(encode_name, table.names))})",
            fix="begin with a line file,label and then give one line a picture",
        )
    for optional in (CONTENT, CONFIRMED):
        names = {own.casefold(): own for own in table.names if "_" not in own}
        meant = nearest(optional, list(names), cutoff=0.8)  # beyond "comment" for "content"
        if meant and optional not in table.cells:
            raise DataError(
                f"The column {quoted(names[meant[0]])} is not known, and nearly called "
                f"'{optional}'.",
                code="307",
                where=encode_name(table.place),
                fix=f"call it '{optional}', or something else if it is not meant",
            )


def _read(table: Table, catalog: Catalog, task: Task) -> Wanted:
    places = {path: row for row, path in enumerate(catalog.paths)}
    unused = {own.path for own in catalog.skipped}
    contents: defaultdict[str, list[int]] = defaultdict(list)
    for row, content in enumerate(catalog.hashes):
        contents[content].append(row)
    given = table.cells.get(CONTENT, [""] * table.num_rows)
    confirmed = table.cells.get(CONFIRMED, [""] * table.num_rows)
    any_unseen = any(own.reason == "limit" for own in catalog.skipped)
    wanted = Wanted()
    for line in range(table.num_rows):
        cell, name, content = table.cells[LABEL][line], table.cells[FILE][line], given[line].strip()
        is_right = _is_confirmed(confirmed[line], table, line)
        if not is_right and (not cell.strip() or _is_undecided(cell, task)):
            continue
        by_name = _rows(name, places)
        rows = contents[content] if content else by_name
        if not rows:
            known = any_unseen if content else any(own in unused for own in _readings(name))
            wanted.num_elsewhere += known
            wanted.unknown_files += [] if known else [line]
            continue
        # a person has looked: at this line, or, without knowing a name, at this content
        wanted.confirmed.update(rows if is_right or content else ())
        wanted.blind.update(rows if content and not by_name else ())
        if not cell.strip():
            if len({task.meaning(catalog.labels[row]) for row in rows}) > 1:
                wanted.contradictions.append(line)  # of copies with two labels not both are right
            for row in rows:
                _note(wanted, row, catalog.labels[row], line, task)
            continue
        label = _meant(cell, catalog, task)
        if label is None and cell.strip() != LEAVE_OUT:
            wanted.unknown_labels.append(line)
            continue
        for row in rows:
            _note(wanted, row, label, line, task)
    return wanted


def _is_undecided(cell: str, task: Task) -> bool:
    """Say whether somebody looked and could not tell; a class of that name is a class."""
    return cell.strip() == UNDECIDED and UNDECIDED not in task.classes


def _is_confirmed(cell: str, table: Table, line: int) -> bool:
    """Say whether a label is right; a cell that is neither yes nor no is an error (E374)."""
    said, number = cell.strip().lower(), as_number(cell)
    if said in YES or number == 1:
        return True
    if said in NO or number == 0:
        return False
    raise DataError(
        f"The column '{CONFIRMED}' holds {quoted(cell)}, which is neither yes nor no.",
        code="374",
        where=table.where([line]),
        fix="write yes where the label is right; where it is wrong, write the right one as label",
    )


def _note(wanted: Wanted, row: int, label: str | None, line: int, task: Task) -> None:
    """Note the label of a picture, None = left out, and whether another was said before."""
    if row in wanted.first_line:
        before = wanted.labels.get(row)
        if label is None or before is None:
            differ = label is not before
        else:
            differ = not same_label(label, before, task)
        if differ:
            wanted.contradictions += [wanted.first_line[row], line]
        return
    wanted.first_line[row] = line
    if label is None:
        wanted.left_out.add(row)
    else:
        wanted.labels[row] = label


def _rows(name: str, places: Mapping[str, int]) -> list[int]:
    return next(([places[own]] for own in _readings(name) if own in places), [])


def _readings(cell: str) -> list[str]:
    """Return what a cell can mean: a name as our tables write it, or as a person types it."""
    found = [cell, cell.strip()]
    try:
        return [decode_name(cell), *found]
    except (ValueError, IndexError):  # a backslash that begins no escape of ours
        return found


def _meant(cell: str, catalog: Catalog, task: Task) -> str | None:
    """Return the label as the catalogue would write it; None where there is no such label."""
    if cell.strip() == LEAVE_OUT:
        return None
    found = (_label(own, catalog, task) for own in _readings(cell))
    return next((label for label in found if label is not None), None)


def _label(text: str, catalog: Catalog, task: Task) -> str | None:
    if task.kind == "regression":
        return text.strip() if as_number(text) is not None else None
    if catalog.label_columns:
        return _marks(text, catalog.label_columns, several=task.kind == "multilabel")
    if task.kind != "multilabel":
        return text if text in task.classes else None
    for separator in (task.separator, "|"):
        names = pieces_of(text, separator)
        if set(names) <= set(task.classes):
            return task.separator.join(names)
    return None


def _marks(cell: str, columns: Sequence[str], *, several: bool) -> str | None:
    """Return 0 and 1 for each column, "|" between; the cell holds these or names of columns."""
    names, numbers = pieces_of(cell, "|"), cell.split("|")
    if len(numbers) != len(columns) or not set(numbers) <= {"0", "1"}:
        if not set(names) <= set(columns):
            return None
        numbers = [str(int(column in names)) for column in columns]
    return "|".join(numbers) if several or numbers.count("1") == 1 else None


def _check(wanted: Wanted, table: Table, catalog: Catalog, task: Task) -> None:
    if wanted.unknown_files:
        names = [table.cells[FILE][line] for line in wanted.unknown_files]
        near = nearest(names[0], catalog.paths) if len(catalog) < 20_000 else []
        perhaps = f"perhaps {listed(map(encode_name, near))}; " if near else ""
        raise DataError(
            f"{len(names)} correction{'s' * (len(names) > 1)} of pictures that are not there: "
            f"{listed(map(encode_name, names))}.",
            code="370",
            where=table.where(wanted.unknown_files),
            fix=f"{perhaps}name pictures as split.csv of a run does, or remove these lines",
        )
    if wanted.unknown_labels:
        texts = list(dict.fromkeys(table.cells[LABEL][line] for line in wanted.unknown_labels))
        raise DataError(
            f"Corrected labels that are not there: {listed(map(encode_name, texts))}.",
            code="371",
            where=table.where(wanted.unknown_labels),
            fix=_label_advice(texts, task),
        )
    if wanted.contradictions:
        lines = sorted(set(wanted.contradictions))
        raise DataError(
            "Two lines say different things of one picture.",
            code="372",
            where=table.where(lines),
            fix="keep the right line",
        )


def _label_advice(texts: Sequence[str], task: Task) -> str:
    if task.kind == "regression":
        return f"write numbers with a decimal point, or {LEAVE_OUT} to leave a picture out"
    near = [name for text in texts[:MAX_LISTED] for name in nearest(text, task.classes)]
    shown = listed(map(encode_name, dict.fromkeys(near) or task.classes))
    return (
        f"{'nearest' if near else 'known'}: {shown}; {LEAVE_OUT} leaves a picture out; for a new "
        "class, give its pictures in the data"
    )
