"""Where the answers are wrong: which classes are mixed up, and which pictures."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from saccade.evaluation import metrics
from saccade.evaluation.predictions import Predictions


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfusedPair:
    """How often pictures of one class were taken for another."""

    truth: str
    prediction: str
    count: int
    of: int  # pictures of the true class


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One picture worth looking at: its row in the table, what it is, what was said."""

    row: int
    path: str
    hash: str
    truth: str
    prediction: str
    score: float  # classes: of the answer; labels: of the label meant; regression: the value
    truth_score: float  # classes: of the true class; labels: same as score; regression: the truth
    size: float  # what they are sorted by, 0-1 for classes and labels, else the residual's size


def confusion_matrix(predictions: Predictions) -> np.ndarray:
    """Return the counts of a binary or multi-class table (K, K), rows truth, columns answers.

    Raises:
        ValueError: no labels are known, or the task has no single class a picture.
    """
    if predictions.truth is None or predictions.task.kind not in {"binary", "multiclass"}:
        raise ValueError("a confusion matrix needs one known class a picture")
    return metrics.confusion_matrix(
        predictions.truth, predictions.predicted, num_classes=len(predictions.task.classes)
    )


def most_confused_pairs(predictions: Predictions, *, limit: int = 10) -> list[ConfusedPair]:
    """Return (truth, answer) pairs that differ, the most frequent first.

    Equal counts: the pair that takes the larger share of its true class first, then by name.
    """
    matrix = confusion_matrix(predictions)
    classes = predictions.task.classes
    pairs = [
        ConfusedPair(
            truth=classes[i],
            prediction=classes[j],
            count=int(matrix[i, j]),
            of=int(matrix[i].sum()),
        )
        for i, j in zip(*np.nonzero(matrix), strict=True)
        if i != j
    ]
    pairs.sort(key=lambda p: (-p.count, -p.count / p.of, p.truth, p.prediction))
    return pairs[:limit]


def worst_mistakes(predictions: Predictions, *, limit: int = 12) -> list[Case]:
    """Return the wrong answers that were given with the highest score, worst first.

    Multi-label: a picture counts once, for the label it is most wrong about: present with a
    low score or absent with a high one. Regression: the largest residuals. Empty where no
    labels are known. Equal sizes keep the order of the table.
    """
    truth = predictions.truth
    if truth is None or not len(predictions):
        return []
    rows, label = np.arange(len(predictions)), None
    if predictions.task.kind == "regression":
        size = np.abs(predictions.scores[:, 0] - truth)
        wrong = size > 0
    elif predictions.task.kind == "multilabel":
        gap_NK = np.abs(predictions.scores - truth)
        label, size = gap_NK.argmax(axis=1), gap_NK.max(axis=1)
        wrong = (predictions.predicted != truth).any(axis=1)
    else:
        size = predictions.scores[rows, predictions.predicted]
        wrong = predictions.predicted != truth
    order = np.argsort(-size, kind="stable")
    return _cases(predictions, [row for row in order if wrong[row]][:limit], size, label)


def _cases(
    predictions: Predictions, rows: Iterable[int], size: np.ndarray, label: np.ndarray | None
) -> list[Case]:
    """Return the rows as cases; `label` is the label meant in each row of a multi-label table."""
    chosen = [int(row) for row in rows]
    table = predictions.take(chosen)
    truth, scores = table.truth, table.scores
    if table.task.kind == "regression":
        columns = np.zeros(len(chosen), np.int64)
        of_truth = truth
    else:
        columns = table.predicted if label is None else label[chosen]
        own = truth if label is None else columns
        of_truth = None if own is None else scores[np.arange(len(chosen)), own]
    truths, answers = table.truths, table.prediction
    return [
        Case(
            row=row,
            path=table.paths[place],
            hash=table.hashes[place],
            truth=truths[place],
            prediction=answers[place],
            score=float(scores[place, columns[place]]),
            truth_score=math.nan if of_truth is None else float(of_truth[place]),
            size=float(size[row]),
        )
        for place, row in enumerate(chosen)
    ]
