"""What is to be learned: the kind of answer, the classes, and what follows from them."""

import dataclasses
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from saccade.data.catalog import Catalog, where_classes_may_be
from saccade.data.labels import (
    LIST_SEPARATOR,
    SEPARATOR_NAMES,
    as_number,
    find_separator,
    has_decimal_comma,
    have_decimal_commas,
    is_text,
    looks_like_quantity,
    marked,
    pieces_of,
)
from saccade.runtime.errors import MAX_LISTED, DataError, UsageError, command, listed, nearest
from saccade.runtime.store import encode_name, quoted

Kind = Literal["binary", "multiclass", "multilabel", "regression"]
KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The kind of answer; the output activation and the loss follow from it.

    | kind | outputs (K) | activation | loss | targets |
    |---|---|---|---|---|
    | binary | 1 | sigmoid | binary cross-entropy | int64 (N,), 1 = `classes[1]` |
    | multiclass | one a class | softmax | cross-entropy | int64 (N,) |
    | multilabel | one a label | sigmoid | binary cross-entropy | uint8 (N, K) |
    | regression | 1 | linear | squared error on the standardised target | float64 (N,) |
    """

    kind: Kind
    classes: tuple[str, ...]  # sorted by name; empty for regression
    separator: str = ""  # multi-label: what stands between labels in one cell; "" = 0/1 columns
    target_mean: float = 0.0  # regression: of the training part; outputs are standardised
    target_std: float = 1.0
    why: str = ""  # one sentence: what was taken and why

    @property
    def num_outputs(self) -> int:
        """Neurons in the output layer."""
        return 1 if self.kind in {"binary", "regression"} else len(self.classes)

    def meaning(self, label: str) -> Hashable:
        """Return what a label says, however it is written: "a;b" is "b;a", and "5" is "5.0".

        >>> labels = Task(kind="multilabel", classes=("a", "b"), separator=";")
        >>> labels.meaning("a;b") == labels.meaning("b;a")
        True
        """
        if self.kind == "regression":
            return as_number(label)
        if self.kind == "multilabel" and self.separator:
            return frozenset(pieces_of(label, self.separator))
        return label

    def scores(self, logits_NK: np.ndarray) -> np.ndarray:
        """Return what the outputs mean, as float64.

        Binary and multi-class: probabilities (N, number of classes) that add up to 1.
        Multi-label: one probability a label (N, K). Regression: the value itself (N, 1), in
        the user's unit.
        """
        logits: np.ndarray = logits_NK.astype(np.float64)
        if self.kind == "regression":
            return logits * self.target_std + self.target_mean
        if self.kind == "multiclass":
            shifted: np.ndarray = np.exp(logits - logits.max(axis=1, keepdims=True))
            shifted /= shifted.sum(axis=1, keepdims=True)
            return shifted
        probabilities: np.ndarray = 1 / (1 + np.exp(-np.clip(logits, -700, 700)))
        if self.kind == "binary":
            return np.concatenate([1 - probabilities, probabilities], axis=1)
        return probabilities


def choose_task(catalog: Catalog, *, requested: str = "auto") -> Task:
    """Return what is to be learned from the catalogue's labels, and say why.

    Folder names are always classes, unless regression is asked for. In a table, numbers with
    many distinct values make a regression; a separator within the cells, or several columns of
    0 and 1, make several labels a picture; all else makes classes.

    Args:
        catalog: with labels.
        requested: auto, binary, multiclass, multilabel or regression.

    Raises:
        DataError: the labels do not fit (E350-E354), or are not UTF-8 text (E362).
        UsageError: there is no such task (E260).
    """
    if requested not in ("auto", *KINDS):
        raise UsageError(
            f"There is no task '{requested}'.",
            code="260",
            where="--task",
            fix=f"choose auto, {', '.join(KINDS)}",
        )
    _check_text(catalog)
    if catalog.label_columns:
        return _from_columns(catalog, requested)
    kind, separator, why = _kind(catalog, requested)
    if kind == "multilabel":
        return _multilabel(catalog, separator, why)
    if kind == "regression":
        values = _numbers(catalog)
        spread = f"numbers from {values.min():g} to {values.max():g}"
        return Task(kind="regression", classes=(), why=f"regression: {why} ({spread})")
    _check_no_empty(catalog)
    return _classes(catalog, requested, why)


def targets(catalog: Catalog, task: Task) -> NDArray[np.int64 | np.uint8 | np.float64]:
    """Return the answers as numbers, one row a picture (see `Task` for the shapes).

    The catalogue may be another one than the task was chosen from, as in `saccade eval`.

    Raises:
        DataError: a label is not among the task's classes (E359), or not a number (E353), or a
            row is not of exactly one class (E354).
    """
    if task.kind == "regression":
        return _numbers(catalog)
    index = {name: number for number, name in enumerate(task.classes)}
    cells = _names_per_row(catalog, task)
    unknown = sorted({name for names in cells for name in names} - set(index))
    if unknown:
        raise _unknown_labels(catalog, task, unknown)
    if task.kind == "multilabel":
        marks = np.zeros((len(catalog), len(task.classes)), dtype=np.uint8)
        for row, names in enumerate(cells):
            marks[row, [index[name] for name in names]] = 1
        return marks
    return np.array([index[names[0]] for names in cells], dtype=np.int64)


def absent_classes(catalog: Catalog, task: Task, labels: Iterable[str]) -> tuple[str, ...]:
    """Return the classes (or labels) that some texts name and no picture here has, sorted.

    Args:
        catalog: with labels.
        task: of a regression, which has no classes, the answer is empty.
        labels: texts as given, such as the catalogue's `lost_labels`.
    """
    if task.kind == "regression":
        return ()
    names_in = _reading(catalog, task)
    here = {name for label in set(catalog.labels) for name in names_in(label)}
    named = {name for label in labels for name in names_in(label)}
    return tuple(sorted(named - here - {""}))


def standardise(task: Task, values: NDArray[np.float64]) -> Task:
    """Return the regression task with the mean and spread of the training part's targets.

    Other tasks are returned as they are. The spread is the population's standard deviation.

    Raises:
        DataError: all values are equal, so that there is nothing to learn (E355).
    """
    if task.kind != "regression":
        return task
    mean, std = float(np.mean(values)), float(np.std(values))
    if not std > 0:
        raise DataError(
            f"All {len(values)} training targets are {mean:g}, so there is nothing to learn.",
            code="355",
            fix="check the label column (--label-column)",
        )
    return dataclasses.replace(task, target_mean=mean, target_std=std)


def _kind(catalog: Catalog, requested: str) -> tuple[str, str, str]:
    """Return the kind, the separator for several labels in a cell, and the reason."""
    column = f"column {quoted(catalog.label_name)}" if catalog.label_name else ""
    texts = [label for label in catalog.labels if label.strip()]
    if requested != "auto":
        separator = find_separator(texts) if requested == "multilabel" else ""
        return requested, separator, "as asked for"
    if not column:
        return "multiclass", "", "the folders' names are the classes"
    if looks_like_quantity(texts, column=catalog.label_name):
        return "regression", "", f"{column} holds numbers of many values"
    if have_decimal_commas(texts):
        rows = [row for row, label in enumerate(catalog.labels) if has_decimal_comma(label)]
        met = "look like numbers with a decimal comma"
        otherwise = "--task multilabel if a comma stands between labels"
        raise _no_numbers(catalog, rows, met, otherwise=otherwise)
    separator = find_separator(texts)
    if separator:
        named = SEPARATOR_NAMES[separator]
        return (
            "multilabel",
            separator,
            f"{column} holds several labels a cell, between them {named}",
        )
    if texts and all(as_number(text) is not None for text in texts):
        return "multiclass", "", f"{column} holds numbers of few values"
    return "multiclass", "", f"{column} holds one label a cell"


def _classes(catalog: Catalog, requested: str, why: str) -> Task:
    names = _sorted_classes(catalog)
    if len({*names, *catalog.lost_labels, *catalog.undrawn_labels} - {""}) < 2:
        beside = f"; pictures beside it without a class: {catalog.num_beside}"
        raise DataError(
            f"There is only one class, {quoted(names[0])}: nothing to tell apart"
            f"{beside if catalog.num_beside else ''}.",
            code="350",
            where=f"{encode_name(catalog.place)} ({catalog.layout}, {len(catalog)} pictures)",
            fix=where_classes_may_be(catalog),
        )
    if requested == "binary" and len(names) != 2:
        raise DataError(
            f"A binary task needs two classes, and there are {len(names)}.",
            code="354",
            where=encode_name(catalog.place),
            fix="leave out --task binary, or leave classes out with --exclude",
        )
    kind: Kind = "binary" if len(names) == 2 and requested != "multiclass" else "multiclass"
    return Task(kind=kind, classes=names, why=f"{kind}, {len(names)} classes: {why}")


def _sorted_classes(catalog: Catalog) -> tuple[str, ...]:
    """Return the classes by name; whole numbers in a table by value, so that 10 follows 9."""
    names = sorted(set(catalog.labels))
    if catalog.label_name:
        values = [as_number(name) for name in names]
        if all(value is not None and value.is_integer() for value in values):
            return tuple(sorted(names, key=float))
    return tuple(names)


def _multilabel(catalog: Catalog, separator: str, why: str) -> Task:
    separator = separator or LIST_SEPARATOR  # each cell holds one label or none
    cells = [pieces_of(label, separator) for label in catalog.labels]
    names = tuple(sorted({name for cell in cells for name in cell}))
    if not names:
        raise DataError(
            "Not one picture has a label.",
            code="352",
            where=encode_name(catalog.place),
            fix="check the label column (--label-column)",
        )
    empty = sum(not cell for cell in cells)
    none = f"; {empty} without any" if empty else ""
    per_picture = sum(map(len, cells)) / len(cells)
    return Task(
        kind="multilabel",
        classes=names,
        separator=separator,
        why=f"multilabel, {len(names)} labels, {per_picture:.2g} a picture{none}: {why}",
    )


def _from_columns(catalog: Catalog, requested: str) -> Task:
    """Return the task of several 0/1 columns: labels, or classes where exactly one is 1."""
    if requested == "regression":
        raise DataError(
            f"A regression needs one column of numbers, not {len(catalog.label_columns)}.",
            code="354",
            where=encode_name(catalog.place),
            fix="name one column with --label-column",
        )
    names = tuple(sorted(catalog.label_columns))
    one_each = all(label.split("|").count("1") == 1 for label in catalog.labels)
    columns = f"{len(names)} columns hold 0 or 1 ({listed(map(encode_name, names))})"
    if not one_each and requested in {"binary", "multiclass"}:
        raise DataError(
            f"A {requested} task needs exactly one label a picture; some have none or several.",
            code="354",
            where=f"{encode_name(catalog.place)} ({columns})",
            fix="leave out --task: several labels a picture are learned as multilabel",
        )
    if requested == "multilabel" or not one_each:
        return Task(kind="multilabel", classes=names, why=f"multilabel: {columns}")
    kind: Kind = "binary" if len(names) == 2 and requested != "multiclass" else "multiclass"
    return Task(
        kind=kind, classes=names, why=f"{kind}: {columns}, and one of them is 1 in each row"
    )


def _names_per_row(catalog: Catalog, task: Task) -> list[tuple[str, ...]]:
    rows = list(map(_reading(catalog, task), catalog.labels))
    if catalog.label_columns and task.kind != "multilabel":
        _check_one_each(catalog, task, rows)
    return rows


def _reading(catalog: Catalog, task: Task) -> Callable[[str], tuple[str, ...]]:
    """Return the function that says which classes (or labels) one text of the catalogue names."""
    if catalog.label_columns:
        return lambda label: marked(label, catalog.label_columns)
    if task.kind == "multilabel":
        # learned from 0/1 columns, it says nothing of how other tables write their cells
        separator = task.separator or find_separator(catalog.labels) or LIST_SEPARATOR
        return lambda label: pieces_of(label, separator)
    return lambda label: (label,)


def _check_one_each(catalog: Catalog, task: Task, rows: list[tuple[str, ...]]) -> None:
    wrong = [path for path, names in zip(catalog.paths, rows, strict=True) if len(names) != 1]
    if wrong:
        raise DataError(
            f"A {task.kind} model needs exactly one label a picture; {len(wrong)} of {len(rows)} "
            f"have none or several: {listed(map(encode_name, wrong))}.",
            code="354",
            where=f"{encode_name(catalog.place)}, columns "
            f"{listed(map(encode_name, catalog.label_columns))}",
            fix="mark one column of each row with 1, or leave these rows out",
        )


def _check_text(catalog: Catalog) -> None:
    """Refuse names that no file can hold as text: bytes of a folder's name that are not UTF-8."""
    for name, path in zip(catalog.labels, catalog.paths, strict=True):
        if not is_text(name):
            column = f", column {quoted(catalog.label_name)}" if catalog.label_name else ""
            what = "label" if column else "folder"
            raise DataError(
                "Names of classes must be UTF-8 text, for they are written into the run and the "
                f"model; met {quoted(name)}.",
                code="362",
                where=f"{encode_name(catalog.place)}{column} ({encode_name(path)})",
                fix=f"rename this {what}, in UTF-8",
            )


def _unknown_labels(catalog: Catalog, task: Task, unknown: list[str]) -> DataError:
    some = unknown[:MAX_LISTED]
    near = dict.fromkeys(name for own in some for name in nearest(own, task.classes))
    known = f" (nearest: {listed(map(encode_name, near))})" if near else ""
    leave_out = "name the right column of labels"
    if not set(catalog.labels) - set(unknown):
        leave_out = "name the right column of labels; saccade predict needs none"
    elif some == unknown:
        leave_out = f"leave them out with {command('--exclude', ','.join(map(encode_name, some)))}"
    return DataError(
        f"Labels that are not among the model's {len(task.classes)} classes "
        f"({listed(map(encode_name, task.classes), limit=20)}): "
        f"{listed(map(encode_name, unknown))}.",
        code="359",
        where=encode_name(catalog.place),
        fix=f"rename them{known}, or {leave_out}",
    )


def _check_no_empty(catalog: Catalog) -> None:
    empty = [
        path for path, label in zip(catalog.paths, catalog.labels, strict=True) if not label.strip()
    ]
    if empty and catalog.label_name:
        raise DataError(
            f"{len(empty)} of {len(catalog)} pictures {'has' if len(empty) == 1 else 'have'} an "
            "empty label: "
            f"{listed(map(encode_name, empty))}.",
            code="352",
            where=f"{encode_name(catalog.place)}, column {quoted(catalog.label_name)}",
            fix="fill the cells in, or remove these rows",
        )


def _numbers(catalog: Catalog) -> NDArray[np.float64]:
    values = [as_number(label) for label in catalog.labels]
    wrong = [row for row, value in enumerate(values) if value is None]
    if not any(catalog.labels[row].strip() for row in wrong):
        _check_no_empty(catalog)
    if wrong:
        raise _no_numbers(catalog, wrong, "are not numbers", otherwise="--task multiclass")
    return np.array(values, dtype=np.float64)


def _no_numbers(catalog: Catalog, rows: list[int], met: str, *, otherwise: str) -> DataError:
    column = f", column {quoted(catalog.label_name)}" if catalog.label_name else ""
    shown = (f"{quoted(catalog.labels[row])} ({encode_name(catalog.paths[row])})" for row in rows)
    return DataError(
        f"{len(rows)} of {len(catalog)} labels {met}: {listed(shown)}.",
        code="353",
        where=encode_name(catalog.place) + column,
        fix=f"write numbers with a decimal point, or choose {otherwise}",
    )
