"""Metrics that are a share of pictures: which pictures count, and which of them are right."""

from dataclasses import dataclass

import numpy as np

from saccade.evaluation.metrics import in_top
from saccade.evaluation.predictions import Predictions

_ACCURACY = frozenset(
    {"accuracy", "precision_micro", "recall_micro", "f1_micro", "recall_weighted"}
)
"""With one class a picture these are all one and the same number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Which rows a share is of, and which of them are right; bool (N,) each."""

    hits: np.ndarray
    among: np.ndarray


def share_of(rows: Predictions, metric: str) -> Share | None:
    """Return a metric as a share of pictures; None where it is none, or needs scores and has none.

    Whether a picture counts depends on its truth alone, so that the shares of two models are of
    the same pictures.
    """
    truth, said, kind = rows.truth, rows.predicted, rows.task.kind
    if truth is None or kind == "regression":
        return None
    name, _, label = metric.partition("[")
    every = np.ones(len(rows), bool)
    if label:
        return _of_class(truth, said, name, rows.task.classes.index(label[:-1]))
    if kind == "multilabel":
        right = (truth == said).all(axis=1)
        return Share(hits=right, among=every) if name == "accuracy_subset" else None
    if name in _ACCURACY:
        return Share(hits=truth == said, among=every)
    if name == "top_5_accuracy" and rows.scored:
        return Share(hits=in_top(truth, rows.scores, k=5), among=every)
    return None


def _of_class(truth: np.ndarray, said: np.ndarray, name: str, place: int) -> Share | None:
    several = truth.ndim == 2
    true = truth[:, place] == 1 if several else truth == place
    called = said[:, place] == 1 if several else said == place
    if name == "recall":
        return Share(hits=called, among=true)
    if name == "specificity":
        return Share(hits=~called, among=~true)
    if name == "accuracy" and several:
        return Share(hits=called == true, among=np.ones(len(true), bool))
    return None
