"""The one table that every number and page comes from."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from saccade.data.task import Task
from saccade.runtime.errors import ArtefactError
from saccade.runtime.store import encode_name, writing

SCORE_PREFIX = "score:"
LABEL_SEPARATOR = "|"
THRESHOLD = 0.5  # multi-label: a label is predicted where its probability is above this


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """One row a picture, N rows.

    `truth` is as in `Task` (int64 (N,), uint8 (N, K) or float64 (N,)); None where no label is
    known. `scores` is float64 as `Task.scores` returns it.

    Raises:
        ValueError: the columns differ in length, or `scores` has not one column a class.
        ArtefactError: E569, a score is not a finite number.
    """

    task: Task
    paths: tuple[str, ...]
    hashes: tuple[str, ...]
    parts: tuple[str, ...]
    truth: np.ndarray | None
    scores: np.ndarray
    scored: bool = True  # False: only the answers are known; `scores` is 1 at them, else 0

    def __post_init__(self) -> None:
        num_rows = len(self.paths)
        columns = 1 if self.task.kind == "regression" else len(self.task.classes)
        if self.scores.shape != (num_rows, columns):
            raise ValueError(f"scores are {self.scores.shape}, not {(num_rows, columns)}")
        truth_shape = (num_rows, columns) if self.task.kind == "multilabel" else (num_rows,)
        if self.truth is not None and self.truth.shape != truth_shape:
            raise ValueError(f"truth is {self.truth.shape}, not {truth_shape}")
        if not num_rows == len(self.hashes) == len(self.parts):
            raise ValueError("paths, hashes and parts differ in length")
        broken = np.flatnonzero(~np.isfinite(self.scores).all(axis=1))
        if broken.size:
            raise ArtefactError(
                f"Every score must be a finite number; those of {broken.size} of {num_rows} "
                "pictures are not.",
                code="569",
                where=encode_name(self.paths[broken[0]]),
                fix="train again with a lower learning rate: this model's weights are damaged",
            )

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def predicted(self) -> np.ndarray:
        """The answers as numbers, in the form of `truth`.

        Binary and multi-class: the first class with the highest score, int64 (N,).
        Multi-label: the labels above 0.5, uint8 (N, K). Regression: the value, float64 (N,).
        """
        answers: np.ndarray
        if self.task.kind == "regression":
            answers = self.scores[:, 0]
        elif self.task.kind == "multilabel":
            answers = (self.scores > THRESHOLD).astype(np.uint8)
        elif not len(self):
            answers = np.zeros(0, np.int64)
        else:
            answers = self.scores.argmax(axis=1).astype(np.int64)
        return answers

    @property
    def prediction(self) -> tuple[str, ...]:
        """The answers as text: class names, labels joined by `|`, or numbers with all digits."""
        return self.texts(self.predicted)

    @property
    def truths(self) -> tuple[str, ...]:
        """The true labels as text, like `prediction`; empty texts where none is known."""
        return ("",) * len(self) if self.truth is None else self.texts(self.truth)

    def texts(self, answers: np.ndarray) -> tuple[str, ...]:
        """Return answers in the form of `truth` as text, for people."""
        if self.task.kind == "regression":
            return tuple(repr(float(value)) for value in answers)
        if self.task.kind == "multilabel":
            return tuple(
                LABEL_SEPARATOR.join(names) for names in _label_sets(self.task.classes, answers)
            )
        return tuple(self.task.classes[index] for index in answers)

    def rows(self, part: str) -> "Predictions":
        """Return the rows of one part, in the same order."""
        return self.take([row for row, own in enumerate(self.parts) if own == part])

    def take(self, rows: Sequence[int]) -> "Predictions":
        """Return the given rows, in the given order."""
        index = np.asarray(rows, dtype=np.int64)
        return replace(
            self,
            paths=tuple(self.paths[row] for row in rows),
            hashes=tuple(self.hashes[row] for row in rows),
            parts=tuple(self.parts[row] for row in rows),
            truth=None if self.truth is None else self.truth[index],
            scores=self.scores[index],
        )

    def write_csv(self, path: str | Path) -> None:
        r"""Write the table; `read_csv` gives it back to the last digit.

        Columns: file, hash, part, truth, prediction, then `score:<class>` for each class.
        Without known labels there is no truth column; without scores, and for regression, no
        score columns. Names are written by `encode_name`; labels of one picture are joined
        by `|`, and a `|` inside a name is written `\\|`.
        """
        with (
            writing(Path(path)) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as file,
        ):
            csv.writer(file, lineterminator="\n").writerows(self._lines())

    def _lines(self) -> Iterator[list[str]]:
        with_scores = self.scored and self.task.kind != "regression"
        names = [SCORE_PREFIX + encode_name(name) for name in self.task.classes]
        known = self.truth is not None
        truth = ["truth"] if known else []
        yield ["file", "hash", "part", *truth, "prediction", *(names if with_scores else [])]
        truths = self._cells(self.truth) if self.truth is not None else [""] * len(self)
        predictions = self._cells(self.predicted)
        for row, name in enumerate(self.paths):
            yield [
                encode_name(name),
                self.hashes[row],
                self.parts[row],
                *([truths[row]] if known else []),
                predictions[row],
                *(map(repr, self.scores[row].tolist()) if with_scores else []),
            ]

    def _cells(self, answers: np.ndarray) -> list[str]:
        if self.task.kind == "regression":
            return [repr(float(value)) for value in answers]
        encoded = [encode_name(name) for name in self.task.classes]
        if self.task.kind == "multilabel":
            escaped = [name.replace(LABEL_SEPARATOR, "\\" + LABEL_SEPARATOR) for name in encoded]
            return [LABEL_SEPARATOR.join(names) for names in _label_sets(escaped, answers)]
        return [encoded[index] for index in answers]


def _label_sets(names: Sequence[str], members_NK: np.ndarray) -> Iterator[list[str]]:
    for members in members_NK:
        yield [names[int(index)] for index in np.flatnonzero(members)]
