"""Every metric of a prediction table, each with its interval."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from saccade.data.split import PARTS
from saccade.evaluation import ranking
from saccade.evaluation.intervals import (
    RESAMPLES,
    Estimate,
    percentile,
    undefined,
    wilson,
)
from saccade.evaluation.metrics import Counts, averaged, confusion_matrix, per_class
from saccade.evaluation.predictions import Predictions
from saccade.runtime.errors import ArtefactError
from saccade.runtime.seeds import generator

Metrics = dict[str, dict[str, Estimate]]


def evaluate(
    predictions: Predictions, *, seed: int = 0, groups: Sequence[str] | None = None
) -> Metrics:
    """Return every metric of every part in the table."""
    if predictions.truth is None:
        raise ArtefactError(
            "Nothing can be evaluated without true labels; this table has none.",
            code="557",
            fix="add a column truth",
        )
    parts = sorted(set(predictions.parts), key=lambda part: (*PARTS, part).index(part))
    return {part: _part(predictions.rows(part), seed) for part in parts}


def _part(predictions: Predictions, seed: int) -> dict[str, Estimate]:
    truth, predicted = predictions.truth, predictions.predicted
    if truth is None:
        return {}
    n = len(predictions)
    values: dict[str, Estimate] = {}
    rng = generator(seed, "bootstrap")
    if predictions.task.kind == "regression":
        weights = rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES) / n
        error = np.abs(predicted - truth)
        values["mae"] = percentile(error.mean(), weights @ error, n=n, method="bootstrap")
        values["rmse"] = percentile(
            math.sqrt((error**2).mean()), np.sqrt(weights @ error**2), n=n, method="bootstrap"
        )
        return values
    if predictions.task.kind == "multilabel":
        return values
    classes = predictions.task.classes
    matrix = confusion_matrix(truth, predicted, num_classes=len(classes))
    values["accuracy"] = wilson(int(matrix.trace()), n)
    draws = rng.multinomial(n, matrix.ravel() / n, size=RESAMPLES).reshape(-1, *matrix.shape)
    point, drawn = averaged(_counts(matrix)), averaged(_counts(draws))
    for name, value in point.items():
        values[name] = percentile(float(value), drawn[name], n=n, method="bootstrap")
    values["balanced_accuracy"] = values["recall_macro"]
    counts = _counts(matrix)
    for k, name in enumerate(classes):
        hit, true, said = int(counts.hit[k]), int(counts.true[k]), int(counts.predicted[k])
        values[f"recall[{name}]"] = wilson(hit, true)
        values[f"precision[{name}]"] = wilson(hit, said)
        values[f"specificity[{name}]"] = wilson(n - true - said + hit, n - true)
        f1 = float(per_class(counts)["f1"][k])
        replicates = per_class(_counts(draws))["f1"][:, k]
        values[f"f1[{name}]"] = (
            undefined("never true nor predicted", n=n)
            if math.isnan(f1)
            else percentile(f1, replicates, n=n, method="bootstrap")
        )
    weights = rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
    for k, name in enumerate(classes):
        positive = truth == k
        one = np.ones((1, n))
        value = float(ranking.roc_auc(positive, predictions.scores[:, k], one)[0])
        if not math.isnan(value):
            replicates = ranking.roc_auc(positive, predictions.scores[:, k], weights)
            values[f"roc_auc[{name}]"] = percentile(value, replicates, n=n, method="bootstrap")
    return values


def _counts(matrix: np.ndarray) -> Counts:
    return Counts(
        hit=np.diagonal(matrix, axis1=-2, axis2=-1),
        true=matrix.sum(axis=-1),
        predicted=matrix.sum(axis=-2),
        total=matrix.sum(axis=(-2, -1)),
    )


def as_json(metrics: Metrics) -> dict[str, Any]:
    """Return the metrics as plain values; what is undefined becomes None."""
    return {
        part: {
            name: {
                "value": _number(e.value),
                "low": _number(e.low),
                "high": _number(e.high),
                "n": e.n,
                "method": e.method,
            }
            for name, e in estimates.items()
        }
        for part, estimates in metrics.items()
    }


def from_json(content: dict[str, Any]) -> Metrics:
    """Return the metrics that `as_json` was given."""
    return {
        part: {
            name: Estimate(
                value=_value(e["value"]),
                low=_value(e["low"]),
                high=_value(e["high"]),
                n=e["n"],
                method=e["method"],
            )
            for name, e in estimates.items()
        }
        for part, estimates in content.items()
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _value(number: float | None) -> float:
    return math.nan if number is None else float(number)
