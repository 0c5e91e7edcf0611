"""Smooth convex problems of one shape, minimised side by side.

All folds of a cross-validation differ in little but their rows. Solved one by one, each step is a
thin product of matrices and much Python; side by side they share one product that is wide enough
for a processor to be quick at.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

import numpy as np

Objective = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""From points (B, P) to the value of each problem at its own point (B,), and gradients (B, P)."""

_MEMORY: Final = 10  # steps that the curvature is known by
_SUFFICIENT: Final = 1e-4  # of the fall that the slope promises, as in Armijo's rule
_MOST_HALVINGS: Final = 20
_SHRINK: Final = (0.1, 0.5)  # how much of a step that is too long is tried next


def minimise(
    objective: Objective,
    start_BP: np.ndarray,
    *,
    tolerance: float,
    gradient_tolerance: float = 0.0,
    most_steps: int,
) -> np.ndarray:
    """Return the points (B, P) where B convex problems have their least values.

    L-BFGS with backtracking: each problem has its own curvature, its own length of step and its own
    end, so that it comes to what it would come to alone, but for rounding. The variables should be
    scaled so that a step of the negative gradient lowers the value: curvatures of 1 at most.

    Source: J. Nocedal, S. J. Wright (2006), Numerical Optimization, algorithms 7.4, 7.5 and 3.1.

    Args:
        objective: values in float64, gradients in the points' type.
        start_BP: where each begins.
        tolerance: a problem ends where a step lowers its value by less than that share of it, or by
            less than that where the value is below 1.
        gradient_tolerance: or where no part of its gradient is larger than that.
        most_steps: that are made by any problem.
    """
    here_BP = start_BP
    value_B, slope_BP = objective(here_BP)
    done_B = np.abs(slope_BP).max(axis=1, initial=0) <= gradient_tolerance
    known: deque[_Step] = deque(maxlen=_MEMORY)
    for _ in range(most_steps):
        if done_B.all():
            break
        way_BP = -_curved(slope_BP, known)
        fall_B = _dots(slope_BP, way_BP)
        there_BP, new_B, new_BP, reached_B = _searched(
            objective, here_BP, way_BP, value_B, fall_B, done_B
        )
        known.append(_Step.between(there_BP - here_BP, new_BP - slope_BP))
        gain_B = value_B - new_B
        least_B = tolerance * np.maximum(np.maximum(np.abs(value_B), np.abs(new_B)), 1)
        here_BP, value_B, slope_BP = there_BP, new_B, new_BP
        done_B |= ~reached_B | (gain_B <= least_B)
        done_B |= np.abs(slope_BP).max(axis=1, initial=0) <= gradient_tolerance
    return here_BP


class _Step:
    """A step of every problem, and how its gradient changed with it."""

    __slots__ = ("change_BP", "inverse_B", "step_BP")

    def __init__(self, step_BP: np.ndarray, change_BP: np.ndarray, inverse_B: np.ndarray) -> None:
        self.step_BP = step_BP
        self.change_BP = change_BP
        self.inverse_B = inverse_B  # 1 / (step · change); 0 = no step was made

    @classmethod
    def between(cls, step_BP: np.ndarray, change_BP: np.ndarray) -> "_Step":
        """Return the step, of no weight where it found no curvature."""
        product_B = _dots(step_BP, change_BP)
        found_B = product_B > np.finfo(step_BP.dtype).tiny
        return cls(step_BP, change_BP, np.where(found_B, 1 / np.where(found_B, product_B, 1), 0))


def _curved(slope_BP: np.ndarray, known: "deque[_Step]") -> np.ndarray:
    """Return the gradients divided by the curvature that the steps so far have seen."""
    way_BP, shares = slope_BP.copy(), []
    for step in reversed(known):
        share_B = step.inverse_B * _dots(step.step_BP, way_BP)
        way_BP -= _times(share_B, step.change_BP)
        shares.append(share_B)
    if known:
        last = known[-1]
        size_B = last.inverse_B * _dots(last.change_BP, last.change_BP)
        way_BP *= _column(np.where(size_B > 0, 1 / np.where(size_B > 0, size_B, 1), 1), way_BP)
    for step, share_B in zip(known, reversed(shares), strict=True):
        back_B = step.inverse_B * _dots(step.change_BP, way_BP)
        way_BP += _times(share_B - back_B, step.step_BP)
    return way_BP


def _searched(
    objective: Objective,
    here_BP: np.ndarray,
    way_BP: np.ndarray,
    value_B: np.ndarray,
    fall_B: np.ndarray,
    done_B: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return points that are low enough, values, gradients, and which problems have found one.

    A problem that is done, or finds none, stays where it is.
    """
    length_B = np.where(done_B, 0.0, 1.0)
    high_B = ~done_B
    for _ in range(_MOST_HALVINGS):
        there_BP = here_BP + _times(length_B, way_BP)
        new_B, new_BP = objective(there_BP)
        excess_B = new_B - value_B - length_B * fall_B
        high_B = ~(new_B <= value_B + _SUFFICIENT * length_B * fall_B) & ~done_B & (length_B > 0)
        if not high_B.any():
            return there_BP, new_B, new_BP, length_B > 0
        with np.errstate(invalid="ignore", divide="ignore"):
            best_B = -length_B * fall_B / (2 * excess_B)  # of a parabola through what is known
        shrunk_B = np.clip(np.where(np.isfinite(best_B), best_B, 0), *_SHRINK)
        length_B = np.where(high_B, length_B * shrunk_B, length_B)
    length_B = np.where(high_B, 0.0, length_B)
    there_BP = here_BP + _times(length_B, way_BP)
    return there_BP, *objective(there_BP), length_B > 0


def _dots(one_BP: np.ndarray, other_BP: np.ndarray) -> np.ndarray:
    """Return the inner product of each problem, float64."""
    found: np.ndarray = np.einsum("bp,bp->b", one_BP, other_BP).astype(np.float64)
    return found


def _times(share_B: np.ndarray, table_BP: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = _column(share_B, table_BP) * table_BP
    return scaled


def _column(share_B: np.ndarray, like_BP: np.ndarray) -> np.ndarray:
    column: np.ndarray = share_B.astype(like_BP.dtype)[:, None]
    return column
