"""Metrics with what each row adds to them: means over rows, rankings, rmse and r2."""

import math
from dataclasses import dataclass

import numpy as np

from saccade.evaluation import ranking
from saccade.evaluation.intervals import Estimate, Grouping
from saccade.evaluation.metrics import log_losses, samplewise
from saccade.evaluation.predictions import Predictions

_RANKINGS = {"roc_auc": ranking.roc_auc, "average_precision": ranking.average_precision}


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """A value and what each row adds to it, (N,): the variance is the sum of the squares."""

    value: float
    influence: np.ndarray
    method: str  # what a comparison by it is called
    alone: Estimate | None = None  # a ranking: with the interval that it has by itself
    why: str = ""  # the value is NaN: why


def linear_of(rows: Predictions, metric: str, kept: Grouping) -> Linear | None:
    """Return a metric with what each row adds to it; None where it is of another kind.

    Args:
        rows: one part.
        metric: a name of `evaluate`.
        kept: which rows belong together.
    """
    truth, kind = rows.truth, rows.task.kind
    if truth is None:
        return None
    if kind == "regression":
        return _regression(truth, rows.predicted, metric)
    if metric.startswith(tuple(_RANKINGS)):
        return _ranking(rows, truth, metric, kept)
    if metric in {"log_loss", "log_loss_macro"}:
        return _mean(log_losses(truth, rows.scores)) if rows.scored else _without_scores(len(rows))
    if kind == "multilabel":
        of_rows = samplewise(truth, rows.predicted)
        name = metric.removesuffix("_samples")
        return _mean(of_rows[name]) if name in of_rows else None
    return None


def _mean(values: np.ndarray) -> Linear:
    """Return the mean of what is known; rows that give no value (NaN) add nothing."""
    known = ~np.isnan(values)
    num = int(known.sum())
    if not num:
        return _undefined(len(values), "no row gives a value")
    value = float(values[known].mean())
    influence = np.where(known, np.nan_to_num(values) - value, 0.0) / num
    return Linear(value=value, influence=influence, method="paired t")


def _regression(truth: np.ndarray, said: np.ndarray, metric: str) -> Linear | None:
    error, n = said - truth, len(truth)
    if metric == "mae":
        return _mean(np.abs(error))
    if metric == "rmse":
        squared = _mean(error**2)
        root = math.sqrt(squared.value)
        slope = 1 / (2 * root) if root > 0 else 0.0
        return Linear(value=root, influence=squared.influence * slope, method="paired jackknife")
    if metric != "r2":
        return None
    around = (truth - truth.mean()) ** 2
    total = float(around.sum())
    if total == 0:
        return _undefined(n, "all true values are equal")
    ratio = float((error**2).sum()) / total
    influence = (ratio * around - error**2) / total
    return Linear(value=1 - ratio, influence=influence, method="paired jackknife")


def _ranking(rows: Predictions, truth: np.ndarray, metric: str, kept: Grouping) -> Linear:
    name = next(own for own in _RANKINGS if metric.startswith(own))
    if not rows.scored:
        return _without_scores(len(rows))
    k = len(rows.task.classes)
    members = truth == 1 if truth.ndim == 2 else truth[:, None] == np.arange(k)
    if "[" in metric:
        places = [rows.task.classes.index(metric.partition("[")[2][:-1])]
    elif metric == "roc_auc":  # of two classes that exclude each other: one and the same number
        places = [k - 1]
    else:
        places = list(range(k))
    each = [_RANKINGS[name](members[:, place], rows.scores[:, place]) for place in places]
    known = [own for own in each if own is not None]
    if not known:
        return _undefined(len(rows), "no class has pictures on both sides")
    return Linear(
        value=float(np.mean([own.value for own in known])),
        influence=np.mean([own.influence for own in known], axis=0),
        method="paired DeLong" if name == "roc_auc" else "paired jackknife",
        alone=ranking.mean_estimate(known, grouping=kept, method="", why=""),
    )


def _undefined(n: int, why: str) -> Linear:
    return Linear(value=math.nan, influence=np.zeros(n), method="", why=why)


def _without_scores(n: int) -> Linear:
    return _undefined(n, "a table holds answers and no scores")
