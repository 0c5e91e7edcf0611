"""Reading a prediction table: our own to the last digit, or anybody's with two columns."""

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import get_args

import numpy as np

from saccade.data.labels import as_number
from saccade.data.task import Kind, Task
from saccade.evaluation.predictions import (
    LABEL_SEPARATOR,
    SCORE_PREFIX,
    THRESHOLD,
    Predictions,
)
from saccade.evaluation.raw_table import RawTable, read_cells
from saccade.runtime.errors import ArtefactError, UsageError, listed, nearest
from saccade.runtime.store import encode_name, quoted

_MOST_NUMERIC_CLASSES = 20  # more different whole numbers than this are a quantity, not classes
_WHOLE = re.compile(r"\s*([+-]?\d+)(?:\.0*)?\s*")
_SUM_TOLERANCE = 0.01  # probabilities written with two decimals may miss 1 by this much


def read_csv(
    path: str | Path, *, task: Task | None = None, kind: Kind | None = None
) -> Predictions:
    """Return the predictions that a CSV file holds.

    A table of ours (columns file, hash, part, …) comes back as it was written, to the last
    digit. Of anybody else's only the columns `truth` and `prediction` are needed: pictures are
    then named by their line, the part is "test", and without `score:<class>` columns the
    result has `scored=False`, so that metrics that need scores are left out.

    Args:
        path: the file; separated by commas, semicolons or tabs, UTF-8.
        task: the task of the run that wrote it; None: taken from the cells, which leaves a
            doubt in odd cases (a two-class multi-class task reads as binary).
        kind: the kind of answer, where `task` is None and the cells should not decide.

    Raises:
        ArtefactError: E563 no such file or no text, E564 columns, E565 no rows or broken
            rows, E566 a label that is no class, E554 a number, E555 an answer that
            contradicts its scores, E556 labels missing in some rows only, E567 a name.
    """
    table = read_cells(Path(path))
    if not len(table) and task is None:
        raise table.wrong(
            "The prediction table has a header and no rows.",
            code="565",
            fix="write one row a picture",
        )
    return _predictions(table, task or _task(table, kind))


def kind_named(task: str) -> Kind | None:
    """Return the kind of answer that a user names for a table; None where "" names none.

    Raises:
        UsageError: there is no such task (E260).
    """
    found: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
    if task and task not in found:
        raise UsageError(
            f"There is no task '{task}'.",
            code="260",
            where="--task",
            fix=f"choose {', '.join(found)}",
        )
    return found.get(task)


def read_truth(path: str | Path, *, task: Task, part: str = "train") -> np.ndarray | None:
    """Return the truth of one part of a table, as `read_csv` does, without reading its scores.

    Args:
        path: the file.
        task: the task of the run that wrote it.
        part: train, validation or test.

    Returns:
        As `Task`'s targets, (N,) or (N, K); None where no label is known.

    Raises:
        ArtefactError: as `read_csv`, but for what concerns answers and scores.
    """
    table = read_cells(Path(path), scores=False)
    truth = _truth(table, task)
    rows = [row for row, own in enumerate(_parts(table)) if own == part]
    return None if truth is None else truth[rows]


def read_taught(path: str | Path) -> dict[str, str]:
    """Return the part of every picture of a run's table that taught or chose, by content hash.

    Raises:
        ArtefactError: as `read_csv`, but for what concerns answers and scores.
    """
    table = read_cells(Path(path), scores=False)
    if "hash" not in table.columns:
        raise table.wrong(
            "The table of a run needs a column 'hash', which tells what taught its model.",
            code="564",
            fix="restore the table from a copy",
        )
    parts = zip(table.columns["hash"], _parts(table), strict=True)
    return {content: part for content, part in parts if part != "test"}


def _task(table: RawTable, kind: Kind | None) -> Task:
    """Return the task that the cells speak of."""
    answers = [*table.columns.get("truth", []), *table.columns.get("prediction", [])]
    if kind is None:
        kind = _kind(table, answers)
    if kind == "regression":
        return Task(kind="regression", classes=(), why="the answers are numbers")
    classes = table.classes
    if not classes:
        split = table.labels if kind == "multilabel" else (lambda cell: [table.name(cell)])
        names = {name for cell in answers if cell for name in split(cell)}
        if not table.ours and all(map(_whole, names)):
            names = set(map(_without_fraction, names))
        classes = tuple(sorted(names))
    if kind == "multilabel":
        return Task(kind=kind, classes=classes, separator=LABEL_SEPARATOR, why="several labels")
    kind = "binary" if len(classes) == 2 else "multiclass"
    return Task(kind=kind, classes=classes, why=f"{len(classes)} different labels")


def _kind(table: RawTable, answers: list[str]) -> Kind:
    if table.classes:
        return "multilabel" if _several_labels(table, answers) else "multiclass"
    if _quantities([cell for cell in answers if cell], ours=table.ours):
        return "regression"
    return "multilabel" if any(len(table.labels(c)) > 1 for c in answers) else "multiclass"


def _several_labels(table: RawTable, answers: list[str]) -> bool:
    """Whether score columns belong to labels that do not exclude each other."""
    known = set(table.classes)
    truth = table.columns.get("truth", [])
    if any(truth) or "truth" not in table.columns or table.ours:
        for cell in answers if table.ours else filter(None, answers):
            if table.name(cell) not in known and set(table.labels(cell)) <= known:
                return True
    scores = _sound_scores(table)
    if (np.abs(scores.sum(axis=1) - 1) <= _SUM_TOLERANCE).all():
        return False
    predictions = table.columns.get("prediction")
    return predictions is not None and all(
        set(table.labels(cell)) == {c for c, s in zip(table.classes, row, strict=True) if s}
        for cell, row in zip(predictions, scores > THRESHOLD, strict=True)
    )


def _quantities(cells: Sequence[str], *, ours: bool) -> bool:
    """Whether the cells are values of a quantity and not names of classes.

    We write 1.0 for a quantity and 1 for a class; others may write either for both.
    """
    if not cells or any(as_number(cell) is None for cell in cells):
        return False
    if ours and any("." in cell for cell in cells):
        return True
    return not all(map(_whole, cells)) or len(set(map(float, cells))) > _MOST_NUMERIC_CLASSES


def _whole(cell: str) -> bool:
    return _WHOLE.fullmatch(cell) is not None


def _without_fraction(cell: str) -> str:
    """Return a whole number as 1 where it is written 1.0, as pandas does beside empty cells."""
    found = _WHOLE.fullmatch(cell)
    return found.group(1) if found else cell


def _predictions(table: RawTable, task: Task) -> Predictions:
    num_rows = len(table)
    columns = table.columns
    scored = bool(table.classes) or task.kind == "regression"
    if scored and task.kind != "regression":
        scores = _scores(table, task)
    else:
        scores = _certain(_answers(table, "prediction", task), task)
    names = columns.get("file") or [f"line {line}" for line in table.lines]
    predictions = Predictions(
        task=task,
        paths=tuple(table.name(name) for name in names),
        hashes=tuple(columns.get("hash", [""] * num_rows)),
        parts=_parts(table),
        truth=_truth(table, task),
        scores=scores,
        scored=scored,
    )
    if table.classes and "prediction" in columns:
        return _agreeing(table, predictions)
    return predictions


def _truth(table: RawTable, task: Task) -> np.ndarray | None:
    columns = table.columns
    unlabelled = not any(columns.get("truth", [])) and len(table) > 0
    if "truth" not in columns:
        return None
    if unlabelled and not (table.ours and task.kind == "multilabel"):
        return None
    return _answers(table, "truth", task)


def _parts(table: RawTable) -> tuple[str, ...]:
    parts = table.columns.get("part", [""] * len(table))
    return tuple(parts if table.ours else [part or "test" for part in parts])


def _answers(table: RawTable, column: str, task: Task) -> np.ndarray:
    """Return a column of labels or numbers in the form of `Task`'s targets."""
    if column not in table.columns:
        raise table.wrong(
            f"A table of {task.kind} predictions needs a column {column!r}.",
            code="564",
            fix="add it, or give the table with its score columns",
        )
    cells = table.columns[column]
    places = {name: index for index, name in enumerate(task.classes)}
    if task.kind == "multilabel":
        members = np.zeros((len(cells), len(task.classes)), np.uint8)
        for row, cell in enumerate(cells):
            members[row, _indices(table, table.labels(cell), row, places, column)] = 1
        return members
    missing = [row for row, cell in enumerate(cells) if not cell]
    if missing:
        raise table.wrong(
            f"{len(missing)} of {len(cells)} rows have no {column}.",
            code="556",
            row=missing[0],
            fix=f"fill in the column {column}, or leave these rows out",
        )
    if task.kind == "regression":
        return np.array([_number(table, cell, row, column) for row, cell in enumerate(cells)])
    rows = ((row, [table.name(cell)]) for row, cell in enumerate(cells))
    found = [_indices(table, names, row, places, column)[0] for row, names in rows]
    return np.array(found, dtype=np.int64)


def _indices(
    table: RawTable, names: Iterable[str], row: int, places: Mapping[str, int], column: str
) -> list[int]:
    found = []
    for own in names:
        name = own if own in places or table.ours else _without_fraction(own)
        if name not in places:
            near = nearest(name, list(places)) or list(places)
            raise table.wrong(
                f"The {column} {quoted(name)} is none of the {len(places)} classes.",
                code="566",
                row=row,
                fix=f"use one of the class names, such as {listed(map(encode_name, near))}",
            )
        found.append(places[name])
    return found


def _scores(table: RawTable, task: Task) -> np.ndarray:
    """Return the scores, one column a class in the order of the task."""
    missing = sorted(set(task.classes) - set(table.classes))
    foreign = sorted(set(table.classes) - set(task.classes))
    if missing or foreign:
        found = [f"missing: {listed(map(encode_name, missing))}"] if missing else []
        found += [f"not expected: {listed(map(encode_name, foreign))}"] if foreign else []
        raise table.wrong(
            f"The score columns must be those of the {len(task.classes)} classes; "
            f"{'; '.join(found)}.",
            code="564",
            fix="use the table that was written with this model",
        )
    scores = _sound_scores(table)
    outside = np.flatnonzero(((scores < 0) | (scores > 1)).any(axis=1))
    sums = np.abs(scores.sum(axis=1) - 1) > _SUM_TOLERANCE
    uneven = np.flatnonzero(sums) if task.kind != "multilabel" else np.zeros(0, np.int64)
    if outside.size or uneven.size:
        rule = "lie between 0 and 1" if outside.size else "add up to 1 in every row"
        row = int((outside if outside.size else uneven)[0])
        raise table.wrong(
            f"The scores of a {task.kind} table must {rule}; met {listed(scores[row].tolist())}.",
            code="554",
            row=row,
            fix="write probabilities, or leave the score columns out to judge the answers alone",
        )
    if table.classes == task.classes:
        return scores
    places = {name: place for place, name in enumerate(table.classes)}
    return scores[:, [places[name] for name in task.classes]]


def _sound_scores(table: RawTable) -> np.ndarray:
    if table.broken is not None:
        row, place, cell = table.broken
        raise _no_number(table, cell, row, SCORE_PREFIX + encode_name(table.classes[place]))
    return table.scores


def _number(table: RawTable, cell: str, row: int, column: str) -> float:
    value = as_number(cell)
    if value is None:
        raise _no_number(table, cell, row, column)
    return value


def _no_number(table: RawTable, cell: str, row: int, column: str) -> ArtefactError:
    return table.wrong(
        f"A finite number was expected in column {column!r}; met {quoted(cell)}.",
        code="554",
        row=row,
        fix="write numbers with a decimal point",
    )


def _certain(answers: np.ndarray, task: Task) -> np.ndarray:
    """Return scores that say nothing but the answers: 1 at them, else 0."""
    if task.kind == "regression":
        return answers[:, None]
    if task.kind == "multilabel":
        return answers.astype(np.float64)
    scores = np.zeros((len(answers), len(task.classes)))
    scores[np.arange(len(answers)), answers] = 1.0
    return scores


def _agreeing(table: RawTable, predictions: Predictions) -> Predictions:
    """Return the predictions with the answers that stand beside the scores.

    Scores that were rounded may be equal where the answer's was the highest, or be 0.5 where a
    label was given: such a score is raised to the next larger number, so that the answer counts.

    Raises:
        ArtefactError: the scores do not give an answer that stands beside them (E555).
    """
    given, scores = _answers(table, "prediction", predictions.task), predictions.scores
    tied_NK = np.zeros(scores.shape, bool)
    if predictions.task.kind == "multilabel":
        tied_NK = (given == 1) & (scores == THRESHOLD)
    else:
        rows = np.flatnonzero(given != predictions.predicted)
        tied_NK[rows, given[rows]] = scores[rows, given[rows]] == scores[rows].max(axis=1)
    if tied_NK.any():
        scores = np.where(tied_NK, np.nextafter(scores, 1.0), scores)
        predictions = dataclasses.replace(predictions, scores=scores)
    _check_agreement(table, predictions, given)
    return predictions


def _check_agreement(table: RawTable, predictions: Predictions, given: np.ndarray) -> None:
    """Refuse answers that the scores beside them do not give."""
    differs = given != predictions.predicted
    rows = np.flatnonzero(differs.any(axis=1) if differs.ndim == 2 else differs)
    if not rows.size:
        return
    cell = table.columns["prediction"][rows[0]]
    several = predictions.task.kind == "multilabel"
    rule = "the labels with scores above 0.5" if several else "the class with the highest score"
    raise table.wrong(
        f"The prediction must be {rule}; in {rows.size} of {len(table)} rows it is another, "
        f"such as {quoted(cell)} where the scores say "
        f"{quoted(predictions.prediction[rows[0]])}.",
        code="555",
        row=int(rows[0]),
        fix="leave out the column prediction, or the score columns to judge the answers alone",
    )
