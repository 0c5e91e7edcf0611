"""Where the answers are wrong: which classes are mixed up, and which pictures."""

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
    score: float  # classes: of the answer; labels: of the label; regression: the value said
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
    rows = np.arange(len(predictions))
    if predictions.task.kind == "regression":
        size = np.abs(predictions.scores[:, 0] - truth)
        wrong = size > 0
    elif predictions.task.kind == "multilabel":
        size = np.abs(predictions.scores - truth).max(axis=1)
        wrong = (predictions.predicted != truth).any(axis=1)
    else:
        size = predictions.scores[rows, predictions.predicted]
        wrong = predictions.predicted != truth
    order = np.argsort(-size, kind="stable")
    return _cases(predictions, [row for row in order if wrong[row]][:limit], size)


def most_uncertain(predictions: Predictions, *, limit: int = 12) -> list[Case]:
    """Return the pictures the network was least sure about, right or wrong, least sure first.

    `size` is 1 minus the gap between the two highest scores (multi-label: 1 minus twice the
    distance of the nearest score from 0.5). Empty for regression and without scores.
    """
    if predictions.task.kind == "regression" or not predictions.scored or not len(predictions):
        return []
    if predictions.task.kind == "multilabel":
        size = 1 - 2 * np.abs(predictions.scores - 0.5).min(axis=1)
    elif len(predictions.task.classes) < 2:
        return []
    else:
        top = np.sort(predictions.scores, axis=1)[:, -2:]
        size = 1 - (top[:, 1] - top[:, 0])
    return _cases(predictions, np.argsort(-size, kind="stable")[:limit], size)


def _cases(predictions: Predictions, rows: Iterable[int], size: np.ndarray) -> list[Case]:
    chosen = [int(row) for row in rows]
    table = predictions.take(chosen)
    truth, predicted, scores = table.truth, table.predicted, table.scores
    truths, answers = table.truths, table.prediction
    cases = []
    for place, row in enumerate(chosen):
        if table.task.kind == "regression":
            score = float(scores[place, 0])
            truth_score = float("nan") if truth is None else float(truth[place])
        elif table.task.kind == "multilabel":
            gap = scores[place] - (0.5 if truth is None else truth[place])
            score = truth_score = float(scores[place, np.abs(gap).argmax()])
        else:
            score = float(scores[place, predicted[place]])
            truth_score = float("nan") if truth is None else float(scores[place, truth[place]])
        cases.append(
            Case(
                row=row,
                path=table.paths[place],
                hash=table.hashes[place],
                truth=truths[place],
                prediction=answers[place],
                score=score,
                truth_score=truth_score,
                size=float(size[row]),
            )
        )
    return cases
