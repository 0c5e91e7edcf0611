"""MAE, RMSE and R², and what always answering the mean would score."""

import math

import numpy as np

from saccade.evaluation.intervals import Estimate, Grouping, undefined
from saccade.evaluation.resampling import log_ratio_interval, mean_interval


def regression_estimates(
    truth: np.ndarray,
    predicted: np.ndarray,
    *,
    training_truth: np.ndarray | None,
    grouping: Grouping,
    seed: int,
) -> dict[str, Estimate]:
    """Return mae, rmse, r2 and the mean's mae and rmse; truth and predicted (N,), N ≥ 1."""
    source = truth if training_truth is None else training_truth
    mean = float(source.mean())
    where = "" if training_truth is not None else " of this part itself"
    remark = f"; always answering the mean{where} ({mean:.6g})"
    error, usual = predicted - truth, mean - truth

    def pair(residual: np.ndarray, suffix: str = "") -> tuple[Estimate, Estimate]:
        absolute = mean_interval(np.abs(residual), grouping=grouping, seed=seed)
        squared = mean_interval(residual**2, grouping=grouping, seed=seed)
        return _renamed(absolute, suffix), _renamed(_root(squared), suffix)

    mae, rmse = pair(error)
    mean_mae, mean_rmse = pair(usual, remark)
    return {
        "mae": mae,
        "rmse": rmse,
        "r2": _r2(truth, error, grouping, seed),
        "mean_baseline_mae": mean_mae,
        "mean_baseline_rmse": mean_rmse,
    }


def _r2(truth: np.ndarray, error: np.ndarray, grouping: Grouping, seed: int) -> Estimate:
    """Return 1 - (sum of squared errors) / (sum of squares around the mean of this part)."""
    n = len(truth)
    if n < 2:
        return undefined("one picture has no variance", n=n)
    if np.ptp(truth) == 0:
        return undefined("all true values are equal", n=n)
    return log_ratio_interval(error, truth, grouping=grouping, seed=seed)


def _root(squared: Estimate) -> Estimate:
    return Estimate(
        value=math.sqrt(squared.value),
        low=math.sqrt(squared.low),
        high=math.sqrt(squared.high),
        n=squared.n,
        method=squared.method,
    )


def _renamed(estimate: Estimate, suffix: str) -> Estimate:
    return Estimate(
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        n=estimate.n,
        method=estimate.method + suffix,
    )
