"""A convex problem and its solver: linear outputs on given features, with an L2 penalty.

In the basis of the features' principal axes, where the solver takes even steps.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from saccade.data.task import Task
from saccade.runtime.machine import num_cores, one_blas_thread
from saccade.training.side_by_side import minimise

MOST_DOUBLE = 4_000_000
"""Pictures × features up to which float64 is used: 3,000 pictures of 1,280 features."""
MOST_EXACT = 2_000_000
"""Pictures × axes up to which a penalty is chosen with all axes."""
ENOUGH = 0.95  # of the variance, for choosing a penalty by more than that (docs/log.md)
_NOTHING = {np.float64: 1e-10, np.float32: 1e-6}  # share of the largest variance that is rounding
_PIECE = 4096
_WORTH_A_THREAD = 8_000_000
"""Pictures × axes × outputs that are worth a thread of their own: about half a millisecond."""
_MOST_PIECES = 8  # that rows are divided into


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
        """Return the same in float32, and where it is large the leading axes alone.

        Good enough to choose a penalty by, and small enough for a processor's cache.
        """
        if self.coordinates_NR.size <= MOST_EXACT:
            return dataclasses.replace(self, coordinates_NR=self.coordinates_NR.astype(np.float32))
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
    logits_BKN: np.ndarray, wanted_KN: np.ndarray, task: Task
) -> tuple[np.ndarray, np.ndarray]:
    """Return the loss of each row (B, N), and its gradient with respect to the logits (B, K, N).

    The gradient takes the place of the logits.
    """
    if task.kind == "regression":
        error_BKN = np.subtract(logits_BKN, wanted_KN, out=logits_BKN)
        return 0.5 * (error_BKN**2).sum(axis=1), error_BKN
    if task.kind == "multiclass":
        logits_BKN -= logits_BKN.max(axis=1, keepdims=True)
        right_BN = np.einsum("bkn,kn->bn", logits_BKN, wanted_KN)
        shares_BKN = np.exp(logits_BKN, out=logits_BKN)
        total_BN = shares_BKN.sum(axis=1)
        shares_BKN /= total_BN[:, None]
        shares_BKN -= wanted_KN
        return np.log(total_BN) - right_BN, shares_BKN
    losses_BN = (np.logaddexp(0, logits_BKN) - logits_BKN * wanted_KN).sum(axis=1)
    slope_BKN: np.ndarray = expit(logits_BKN, out=logits_BKN)
    slope_BKN -= wanted_KN
    return losses_BN, slope_BKN


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
    """Return the coefficients at the optimum of weighted mean loss + penalty / 2 · |w|²."""
    shares_BN = (weights_N / max(len(weights_N), 1))[None]
    starts = None if start is None else [start]
    return solve_each(rotated, wanted_NK, shares_BN, task, penalty, starts, rough=rough)[0]


def solve_each(
    rotated: Rotated,
    wanted_NK: np.ndarray,
    shares_BN: np.ndarray,
    task: Task,
    penalty: float,
    starts: Sequence[Solution] | None,
    *,
    rough: bool = False,
) -> list[Solution]:
    """Return the optima of B problems that differ in how much each row weighs, and no more.

    L-BFGS on variables scaled by the square root of a bound on each axis's curvature.
    Source: the bound ¼ (½ for softmax) · variance: D. Böhning (1992), Multinomial logistic
    regression algorithm.

    Args:
        rotated: N rows.
        wanted_NK: what each output should say.
        shares_BN: weight of each row in the sum of the losses; 0 = it has no say.
        task: the kind of answer.
        penalty: of all.
        starts: a solution near each one's own; None = nothing is known.
        rough: to a loss that is right to 1e-5, in the type of the coordinates.
    """
    x_NR = rotated.coordinates_NR
    kind = x_NR.dtype if rough else np.dtype(np.float64)
    width, outputs, problems = x_NR.shape[1], wanted_NK.shape[1], len(shares_BN)
    bound = {"regression": 1.0, "multiclass": 0.5}.get(task.kind, 0.25)
    scale_R = np.sqrt(bound * rotated.variances_R + penalty).astype(kind)
    losses = _Losses(x_NR, np.ascontiguousarray(wanted_NK.T, kind), shares_BN.astype(kind), task)

    def objective(flat_BP: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        table_BKR = flat_BP.reshape(problems, outputs, width + 1)
        weight_BKR = table_BKR[..., :-1] / scale_R
        value_B, uphill_BKR, bias_BK = summed(weight_BKR, table_BKR[..., -1])
        value_B = value_B + 0.5 * penalty * np.einsum("bkr,bkr->b", weight_BKR, weight_BKR)
        gradient_BKR = np.empty_like(table_BKR)
        gradient_BKR[..., :-1] = (uphill_BKR + kind.type(penalty) * weight_BKR) / scale_R
        gradient_BKR[..., -1] = bias_BK
        return value_B, gradient_BKR.reshape(problems, -1)

    start_BKR = np.zeros((problems, outputs, width + 1), kind)
    for own_KR, (coefficients_RK, bias_K) in zip(start_BKR, starts or (), strict=bool(starts)):
        own_KR[:, :-1] = coefficients_RK.T * scale_R
        own_KR[:, -1] = bias_K
    exact = 1e-12 if x_NR.dtype == np.float64 else 1e-7  # in float32 the rest is rounding
    with losses.at_hand() as summed:
        found = minimise(
            objective,
            start_BKR.reshape(problems, -1),
            tolerance=1e-5 if rough else exact,
            gradient_tolerance=1e-7,
            most_steps=100 if rough else 1000,
        )
    found_BKR = found.reshape(problems, outputs, width + 1)
    weights_BKR = found_BKR[..., :-1] / scale_R
    return [(own.T, bias) for own, bias in zip(weights_BKR, found_BKR[..., -1], strict=True)]


Sums = tuple[np.ndarray, np.ndarray, np.ndarray]  # losses B, gradients BKR, and of biases BK


@dataclass(frozen=True, slots=True)
class _Losses:
    """The weighted losses of all rows, and where they rise; some rows by each core.

    How the rows are divided does not follow the machine, so the sums have the same bits on any
    number of cores. BLAS has threads of its own, but they spin while they wait for each other: one
    other busy process made them ten times as slow (docs/log.md).
    """

    x_NR: np.ndarray
    wanted_KN: np.ndarray
    shares_BN: np.ndarray
    task: Task

    @contextmanager
    def at_hand(self) -> Iterator[Callable[[np.ndarray, np.ndarray], Sums]]:
        """Give a function of weights_BKR and bias_BK that sums over all rows."""
        work = self.x_NR.size * len(self.wanted_KN) * len(self.shares_BN)
        num = min(_MOST_PIECES, max(1, work // _WORTH_A_THREAD))
        bounds = np.linspace(0, len(self.x_NR), num + 1).astype(int).tolist()
        pieces = [slice(*pair) for pair in itertools.pairwise(bounds)]
        with (
            one_blas_thread(),
            ThreadPoolExecutor(min(num, num_cores())) as pool,
        ):

            def summed(weight_BKR: np.ndarray, bias_BK: np.ndarray) -> Sums:
                def own(rows: slice) -> Sums:
                    return self.of(rows, weight_BKR, bias_BK)

                first, *others = map(own, pieces) if num == 1 else pool.map(own, pieces)
                for other in others:
                    for total, part in zip(first, other, strict=True):
                        total += part
                return first

            yield summed

    def of(self, rows: slice, weight_BKR: np.ndarray, bias_BK: np.ndarray) -> Sums:
        """Return the sums over some rows."""
        x_MR = self.x_NR[rows]
        problems, outputs, width = weight_BKR.shape
        weights = weight_BKR.reshape(problems * outputs, width).astype(x_MR.dtype, copy=False)
        logits = weights @ x_MR.T
        logits_BKM = logits.reshape(problems, outputs, -1).astype(bias_BK.dtype, copy=False)
        logits_BKM += bias_BK[..., None]
        losses_BM, slope_BKM = row_losses(logits_BKM, self.wanted_KN[:, rows], self.task)
        shares_BM = self.shares_BN[:, rows]
        slope_BKM *= shares_BM[:, None]
        uphill = slope_BKM.reshape(problems * outputs, -1).astype(x_MR.dtype, copy=False) @ x_MR
        losses_B = np.einsum("bm,bm->b", losses_BM, shares_BM, dtype=np.float64)
        return losses_B, uphill.reshape(weight_BKR.shape), slope_BKM.sum(axis=2)
