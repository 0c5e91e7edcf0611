"""The last layer, solved exactly on features that are computed once.

A convex problem deserves a solver, not epochs of gradient descent: the same optimum every time,
in seconds, with its penalty chosen by cross-validation inside the training part.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from saccade.data.task import Task
from saccade.runtime.seeds import generator

NUM_FOLDS = 5
PENALTIES = tuple(float(p) for p in np.logspace(-4, 2, 13))
"""L2 penalties tried: λ of mean loss + λ/2 · |w|², for features of unit mean variance."""

LARGE = 30_000_000
"""Pictures × features × outputs from which a second thread is worth its keep. Below, a busy second
core costs far more than an idle one saves: 680 × 1280 × 5 took 32 s instead of 1.3 s beside one
other busy process (docs/log.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A solved last layer: logits = features · weightᵀ + bias."""

    weight_KD: np.ndarray  # float32
    bias_K: np.ndarray  # float32
    penalty: float
    candidates: tuple[tuple[float, float], ...]  # (penalty, cross-validated mean loss)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rotated:
    """Features, centred and divided by one common scale, in the basis of their principal axes.

    One scale for all, because what varies little in a pretrained network seldom matters: with
    each feature divided by its own spread, flowers had 0.850 on validation instead of 0.867.

    An L2 penalty does not see a rotation, so the optimum is the same; but the axes are
    independent, each with its own curvature, and that lets the solver take even steps. With fewer
    pictures than features it is also smaller: R = min(N, D) columns.
    """

    coordinates_NR: np.ndarray
    axes_DR: np.ndarray
    mean_D: np.ndarray
    scale: float
    variances_R: np.ndarray


def fit_head(
    features_ND: np.ndarray,
    targets: np.ndarray,
    *,
    task: Task,
    seed: int,
    class_weights: np.ndarray | None = None,
    penalties: Sequence[float] = PENALTIES,
) -> Head:
    """Return the head that generalises best among the penalties, fitted on all rows.

    Multinomial logistic regression (multi-class), one logistic regression an output (binary,
    multi-label) or ridge regression on the standardised target. Features are centred and divided
    by their common scale for the penalty's sake; the result is expressed for raw features.

    Args:
        features_ND: float (N, D).
        targets: as in `Task`; regression targets in the user's unit.
        task: the kind of answer.
        seed: decides the folds.
        class_weights: one weight a class (multi-class, binary), mean 1; None = all 1.
        penalties: λ to try, any order; with one, nothing is cross-validated.
    """
    wanted_NK = _wanted(targets, task)
    weights_N = _row_weights(targets, class_weights)
    threads = 1 if features_ND.size * wanted_NK.shape[1] < LARGE else None
    with threadpool_limits(threads, user_api="blas"):
        return _fit(features_ND, targets, task, seed, wanted_NK, weights_N, penalties)


def _fit(
    features_ND: np.ndarray,
    targets: np.ndarray,
    task: Task,
    seed: int,
    wanted_NK: np.ndarray,
    weights_N: np.ndarray,
    penalties: Sequence[float],
) -> Head:
    rotated = _rotate(features_ND)
    order = sorted(penalties, reverse=True)  # from stiff to loose: each starts from the last
    losses = _cross_validate(rotated, wanted_NK, weights_N, targets, task, order, seed)
    best = order[int(np.argmin(losses))]
    start = None
    for penalty in [p for p in order if p >= best]:
        start = _solve(rotated, wanted_NK, weights_N, task, penalty, start)
    coefficients_RK, bias_K = start if start is not None else _no_start(rotated, wanted_NK)
    weight_DK = (rotated.axes_DR @ coefficients_RK) / rotated.scale
    return Head(
        weight_KD=weight_DK.T.astype(np.float32),
        bias_K=(bias_K - rotated.mean_D @ weight_DK).astype(np.float32),
        penalty=best,
        candidates=tuple(zip(order, losses, strict=False)),
    )


def _wanted(targets: np.ndarray, task: Task) -> np.ndarray:
    """Return what each output should say: one-hot, 0/1 columns, or standardised numbers."""
    if task.kind == "multiclass":
        return np.asarray(np.eye(task.num_outputs)[targets])
    if task.kind == "regression":
        targets = (targets - task.target_mean) / task.target_std
    table: np.ndarray = targets.astype(np.float64).reshape(len(targets), task.num_outputs)
    return table


def _row_weights(targets: np.ndarray, class_weights: np.ndarray | None) -> np.ndarray:
    if class_weights is None or targets.ndim != 1:
        return np.ones(len(targets))
    weights = class_weights[targets]
    return np.asarray(weights / weights.mean())


def _rotate(features_ND: np.ndarray) -> _Rotated:
    features = features_ND.astype(np.float64)
    mean = features.mean(axis=0)
    scale = float(np.sqrt(features.var(axis=0).mean())) or 1.0
    standard = (features - mean) / scale
    num, width = standard.shape
    if num <= width:
        values, left = np.linalg.eigh(standard @ standard.T)
        keep = values > 1e-10 * max(float(values[-1]), 1e-300)
        lengths = np.sqrt(values[keep])
        axes = standard.T @ (left[:, keep] / lengths)
        coordinates = left[:, keep] * lengths
    else:
        values, axes = np.linalg.eigh(standard.T @ standard)
        keep = values > 1e-10 * max(float(values[-1]), 1e-300)
        axes = axes[:, keep]
        coordinates = standard @ axes
    return _Rotated(
        coordinates_NR=np.ascontiguousarray(coordinates),
        axes_DR=axes,
        mean_D=mean,
        scale=scale,
        variances_R=values[keep] / num,
    )


Solution = tuple[np.ndarray, np.ndarray]  # coefficients_RK, bias_K


def _no_start(rotated: _Rotated, wanted_NK: np.ndarray) -> Solution:
    return np.zeros((rotated.coordinates_NR.shape[1], wanted_NK.shape[1])), np.zeros(
        wanted_NK.shape[1]
    )


def _cross_validate(
    rotated: _Rotated,
    wanted_NK: np.ndarray,
    weights_N: np.ndarray,
    targets: np.ndarray,
    task: Task,
    order: Sequence[float],
    seed: int,
) -> list[float]:
    """Return the mean held-out loss of each penalty, until it has risen twice in a row."""
    if len(order) < 2 or len(targets) < 2 * NUM_FOLDS:
        return [0.0]
    folds_N = _folds(targets, seed)
    starts: list[Solution | None] = [None] * NUM_FOLDS
    losses: list[float] = []
    for penalty in order:
        total = 0.0
        for fold in range(NUM_FOLDS):
            own, held = folds_N != fold, folds_N == fold
            inside = replace(rotated, coordinates_NR=rotated.coordinates_NR[own])
            solution = _solve(
                inside, wanted_NK[own], weights_N[own], task, penalty, starts[fold], rough=True
            )
            starts[fold] = solution
            logits = rotated.coordinates_NR[held] @ solution[0] + solution[1]
            total += float(_loss(logits, wanted_NK[held], task)[0] @ weights_N[held])
        losses.append(total / len(targets))
        if len(losses) > 2 and losses[-1] > losses[-2] > losses[-3]:
            break
    return losses


def _folds(targets: np.ndarray, seed: int) -> np.ndarray:
    """Return a fold a row, each class (or quantile, or label set) spread evenly over them."""
    num = len(targets)
    if targets.ndim == 2:
        keys = np.unique(targets, axis=0, return_inverse=True)[1].reshape(-1)
    elif np.issubdtype(targets.dtype, np.floating):
        keys = np.argsort(np.argsort(targets)) * 10 // max(num, 1)
    else:
        keys = targets
    shuffled = generator(seed, "folds").permutation(num)
    by_key = shuffled[np.argsort(keys[shuffled], kind="stable")]
    folds = np.empty(num, dtype=np.int64)
    folds[by_key] = np.arange(num) % NUM_FOLDS
    return folds


def _loss(
    logits_NK: np.ndarray, wanted_NK: np.ndarray, task: Task
) -> tuple[np.ndarray, np.ndarray]:
    """Return the loss of each row (N,) and its gradient with respect to the logits (N, K)."""
    if task.kind == "regression":
        error = logits_NK - wanted_NK
        return 0.5 * (error**2).sum(axis=1), error
    if task.kind == "multiclass":
        shifted = logits_NK - logits_NK.max(axis=1, keepdims=True)
        exponents = np.exp(shifted)
        total = exponents.sum(axis=1, keepdims=True)
        return np.log(total[:, 0]) - (shifted * wanted_NK).sum(
            axis=1
        ), exponents / total - wanted_NK
    losses = np.logaddexp(0, logits_NK) - logits_NK * wanted_NK
    return losses.sum(axis=1), 1 / (1 + np.exp(-np.clip(logits_NK, -700, 700))) - wanted_NK


def _solve(
    rotated: _Rotated,
    wanted_NK: np.ndarray,
    weights_N: np.ndarray,
    task: Task,
    penalty: float,
    start: Solution | None,
    *,
    rough: bool = False,
) -> Solution:
    """Return the coefficients at the optimum of weighted mean loss + penalty / 2 · |w|².

    L-BFGS on variables scaled by the square root of a bound on each axis's curvature.
    Source: the bound ¼ (½ for softmax) · variance: D. Böhning (1992), Multinomial logistic
    regression algorithm.
    """
    x_NR = rotated.coordinates_NR
    num, width = x_NR.shape
    outputs = wanted_NK.shape[1]
    bound = {"regression": 1.0, "multiclass": 0.5}.get(task.kind, 0.25)
    scale_R = np.sqrt(bound * rotated.variances_R + penalty)[:, None]
    weights = (weights_N / num)[:, None]

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        table = flat.reshape(width + 1, outputs)
        coefficients = table[:-1] / scale_R
        losses, slope_NK = _loss(x_NR @ coefficients + table[-1], wanted_NK, task)
        slope_NK *= weights
        value = float(losses @ weights[:, 0]) + 0.5 * penalty * float((coefficients**2).sum())
        gradient = np.empty_like(table)
        gradient[:-1] = (x_NR.T @ slope_NK + penalty * coefficients) / scale_R
        gradient[-1] = slope_NK.sum(axis=0)
        return value, gradient.ravel()

    coefficients, bias = start if start is not None else _no_start(rotated, wanted_NK)
    flat = np.concatenate([coefficients * scale_R, bias[None]]).ravel()
    options = {"maxiter": 100, "ftol": 1e-5, "gtol": 1e-7}
    if not rough:
        options = {"maxiter": 1000, "ftol": 1e-12, "gtol": 1e-7}
    found = minimize(objective, flat, jac=True, method="L-BFGS-B", options=options)
    table = found.x.reshape(width + 1, outputs)
    return table[:-1] / scale_R, table[-1]
