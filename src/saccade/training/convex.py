"""A convex problem and its solver: linear outputs on given features, with an L2 penalty.

In the basis of the features' principal axes, where the solver takes even steps.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from saccade.data.task import Task

MOST_DOUBLE = 4_000_000
"""Pictures × features up to which float64 is used: 3,000 pictures of 1,280 features."""
MOST_EXACT = 2_000_000
"""Pictures × axes up to which a penalty is chosen with all axes and in the precision given."""
ENOUGH = 0.98  # of the variance, for choosing a penalty by more than that
_NOTHING = {np.float64: 1e-10, np.float32: 1e-6}  # share of the largest variance that is rounding
_PIECE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
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

    def of(self, rows: np.ndarray | slice) -> "Rotated":
        """Return the same for some of the rows, in the same basis."""
        return dataclasses.replace(self, coordinates_NR=self.coordinates_NR[rows])

    def lighter(self) -> "Rotated":
        """Return the same, or where it is large the leading axes alone, in float32.

        Good enough to choose a penalty by, and small enough for a processor's cache.
        """
        if self.coordinates_NR.size <= MOST_EXACT:
            return self
        share_R = np.cumsum(np.sort(self.variances_R)[::-1])
        num = int(np.searchsorted(share_R, ENOUGH * share_R[-1])) + 1
        kept = np.sort(np.argsort(-self.variances_R, kind="stable")[:num])
        return dataclasses.replace(
            self,
            coordinates_NR=np.ascontiguousarray(self.coordinates_NR[:, kept], np.float32),
            axes_DR=self.axes_DR[:, kept],
            variances_R=self.variances_R[kept],
        )

    def in_own_axes(self, solution: "Solution", of: "Rotated") -> "Solution":
        """Return a solution that was found in some of the axes, 0 in the others."""
        coefficients_DK = of.axes_DR @ solution[0]
        return self.axes_DR.T @ coefficients_DK, solution[1]


def rotate(features_ND: np.ndarray, *, overwrite: bool = False) -> Rotated:
    """Return features (N, D) in the basis of their principal axes.

    In float64, or beyond `MOST_DOUBLE` numbers in float32. They take one copy of the features, or
    with `overwrite` the place of those that are of that type already.
    """
    kind = np.float64 if features_ND.size <= MOST_DOUBLE else np.float32
    mean = features_ND.mean(axis=0, dtype=np.float64)
    standard: np.ndarray = features_ND.astype(kind, copy=not overwrite)
    standard -= mean.astype(kind)
    scale = float(np.sqrt(np.einsum("nd,nd->", standard, standard) / max(standard.size, 1))) or 1.0
    standard /= kind(scale)
    num, width = standard.shape
    if num <= width:
        values, left = np.linalg.eigh(standard @ standard.T)
        keep = values > 1e-10 * max(float(values[-1]), 1e-300)
        lengths = np.sqrt(values[keep])
        axes = standard.T @ (left[:, keep] / lengths)
        coordinates = np.ascontiguousarray(left[:, keep] * lengths)
    else:
        values, axes = np.linalg.eigh((standard.T @ standard).astype(np.float64))
        keep = values > _NOTHING[kind] * max(float(values[-1]), 1e-300)
        axes = axes[:, keep]
        coordinates = _placed(standard, axes)
    return Rotated(
        coordinates_NR=coordinates,
        axes_DR=axes,
        mean_D=mean,
        scale=scale,
        variances_R=values[keep] / num,
    )


def _placed(standard_ND: np.ndarray, axes_DR: np.ndarray) -> np.ndarray:
    """Return `standard_ND @ axes_DR`; of many, a piece at a time in the place of the first."""
    if standard_ND.dtype == np.float64:
        return np.ascontiguousarray(standard_ND @ axes_DR)
    own: np.ndarray = axes_DR.astype(standard_ND.dtype)
    width = own.shape[1]
    for start in range(0, len(standard_ND), _PIECE):
        piece = standard_ND[start : start + _PIECE]
        piece[:, :width] = piece @ own
    return standard_ND[:, :width]


Solution = tuple[np.ndarray, np.ndarray]  # coefficients_RK, bias_K


def no_start(rotated: Rotated, wanted_NK: np.ndarray) -> Solution:
    """Return the solution that knows nothing: all zero."""
    outputs = wanted_NK.shape[1]
    return np.zeros((rotated.coordinates_NR.shape[1], outputs)), np.zeros(outputs)


def row_losses(
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


def solve(
    rotated: Rotated,
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
        logits_NK = x_NR @ coefficients.astype(x_NR.dtype, copy=False) + table[-1]
        losses, slope_NK = row_losses(logits_NK, wanted_NK, task)
        slope_NK *= weights
        value = float(losses @ weights[:, 0]) + 0.5 * penalty * float((coefficients**2).sum())
        gradient = np.empty_like(table)
        uphill_RK = x_NR.T @ slope_NK.astype(x_NR.dtype, copy=False)
        gradient[:-1] = (uphill_RK + penalty * coefficients) / scale_R
        gradient[-1] = slope_NK.sum(axis=0)
        return value, gradient.ravel()

    coefficients, bias = start if start is not None else no_start(rotated, wanted_NK)
    flat = np.concatenate([coefficients * scale_R, bias[None]]).ravel()
    if rough:
        options = {"maxiter": 100, "ftol": 1e-5, "gtol": 1e-7}
    else:  # in float32 the last digits are rounding
        ftol = 1e-12 if x_NR.dtype == np.float64 else 1e-8
        options = {"maxiter": 1000, "ftol": ftol, "gtol": 1e-7}
    found = minimize(objective, flat, jac=True, method="L-BFGS-B", options=options)
    table = found.x.reshape(width + 1, outputs)
    return table[:-1] / scale_R, table[-1]
