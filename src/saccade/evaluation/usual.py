"""Is a model better than always giving one and the same answer? Asked picture by picture."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from saccade.data.task import Task
from saccade.evaluation.difference import Difference
from saccade.evaluation.paired import compare_tables
from saccade.evaluation.predictions import Predictions


def usual_metric(kind: str) -> str:
    """Return what a model and the most frequent answer are compared by.

    >>> usual_metric("binary"), usual_metric("multilabel"), usual_metric("regression")
    ('accuracy', 'accuracy_subset', 'mae')
    """
    return {"multilabel": "accuracy_subset", "regression": "mae"}.get(kind, "accuracy")


def usual_scores(taught: np.ndarray, task: Task) -> np.ndarray:
    """Return one row of scores for the most frequent answer, (K,); of numbers the mean, (1,).

    Of answers that are equally frequent it is the first.

    Args:
        taught: the truth of one picture or more, in the form of `Predictions.truth`.
        task: the kind of answer.

    >>> usual_scores(np.array([1, 1, 0]), Task(kind="binary", classes=("ant", "bee"))).tolist()
    [0.0, 1.0]
    """
    if task.kind == "regression":
        return np.full(1, float(taught.mean()))
    answers, how_often = np.unique(taught, axis=0, return_counts=True)
    usual = answers[how_often.argmax()]
    if task.kind == "multilabel":
        return np.asarray(usual, np.float64)
    return np.asarray(np.arange(len(task.classes)) == usual, np.float64)


def taught_truth(
    predictions: Predictions, given: np.ndarray | None = None, *, whole: bool = True
) -> np.ndarray | None:
    """Return the truth that taught the model: as given, else of the table's training part.

    None where neither is known. With `whole` False the table's training part is not all of it,
    and says nothing about what is most frequent.
    """
    if given is not None or not whole or "train" not in predictions.parts:
        return given
    return predictions.rows("train").truth


def beside_usual(
    predictions: Predictions,
    *,
    groups: Sequence[str] | None = None,
    training_truth: np.ndarray | None = None,
    whole: bool = True,
) -> dict[str, Difference]:
    """Return for each part how much better the model is than the most frequent answer.

    Pair by pair, for both answer the same pictures: that the interval of an accuracy ends above
    the other accuracy is no test, as that one is uncertain too. A model that guesses between two
    classes was so called better in 9 of 100 runs instead of 2 or 3.

    Args:
        predictions: the table, as in `evaluate`.
        groups: as in `evaluate`.
        training_truth: as in `evaluate`.
        whole: as in `evaluate`.
    """
    truth = predictions.truth
    if truth is None:
        return {}
    taught = taught_truth(predictions, training_truth, whole=whole)
    found = {}
    for part in dict.fromkeys(predictions.parts):
        rows = [row for row, own in enumerate(predictions.parts) if own == part]
        ours = predictions.take(rows)
        scores_K = usual_scores(truth[rows] if taught is None else taught, predictions.task)
        found[part] = compare_tables(
            replace(ours, scores=np.tile(scores_K, (len(rows), 1))),
            ours,
            metric=usual_metric(predictions.task.kind),
            groups=None if groups is None else [groups[row] for row in rows],
            names=("always the same answer", "the model"),
        )
    return found


def is_better(apart: Difference | None) -> bool:
    """Return whether the second is shown to be better than the first; not where it is unknown."""
    return apart is not None and apart.beyond_chance and apart.second_is_better
