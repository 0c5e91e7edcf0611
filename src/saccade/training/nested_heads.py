"""Heads solved on growing subsets of the same pictures: what a learning curve is measured with."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from saccade.data.task import Task
from saccade.training.convex import Rotated, rotate, solve
from saccade.training.head import blas_for, row_weights, wanted_outputs

MOST_AXES = 512
"""Principal axes of the features that subsets are learned from. The others hold 2 % of the variance
and are all but silenced by the penalty: flowers and ants and bees kept their accuracy within 0.003
at every size, in less than half of the time (docs/learning_curve.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Features of N pictures, turned to their principal axes once for many heads.

    The axes know no labels, so a study that judges folds of the same pictures may take the axes of
    all of them.
    """

    rotated: Rotated
    wanted_NK: np.ndarray
    weights_N: np.ndarray
    task: Task

    def at(self, rows: np.ndarray) -> np.ndarray:
        """Return the coordinates of some of these pictures, (V, R)."""
        found: np.ndarray = self.rotated.coordinates_NR[rows]
        return found

    def placed(self, features_VD: np.ndarray) -> np.ndarray:
        """Return the coordinates of other pictures, (V, R)."""
        standard = (features_VD.astype(np.float64) - self.rotated.mean_D) / self.rotated.scale
        found: np.ndarray = standard @ self.rotated.axes_DR
        return found


def prepare(
    features_ND: np.ndarray,
    targets: np.ndarray,
    *,
    task: Task,
    class_weights: np.ndarray | None = None,
    most_axes: int = MOST_AXES,
) -> Ground:
    """Return the ground for heads on these pictures.

    Args:
        features_ND: as in `head.fit_head`, as are the next three.
        targets: of the same pictures.
        task: the kind of answer.
        class_weights: one a class, or None.
        most_axes: principal axes that are kept, those with the most variance.
    """
    wanted_NK = wanted_outputs(targets, task)
    with blas_for(features_ND.size):
        rotated = _leading(rotate(features_ND), most_axes)
    return Ground(
        rotated=rotated,
        wanted_NK=wanted_NK,
        weights_N=row_weights(targets, class_weights),
        task=task,
    )


def _leading(rotated: Rotated, most_axes: int) -> Rotated:
    """Return the same in its axes with the most variance, in float32."""
    kept = np.argsort(rotated.variances_R)[-most_axes:]
    return replace(
        rotated,
        coordinates_NR=np.ascontiguousarray(rotated.coordinates_NR[:, kept], np.float32),
        axes_DR=rotated.axes_DR[:, kept],
        variances_R=rotated.variances_R[kept],
    )


def growing_heads(
    ground: Ground,
    order: np.ndarray,
    sizes: Sequence[int],
    judged_VR: np.ndarray,
    *,
    penalties: Sequence[float],
) -> list[np.ndarray]:
    """Return logits_VK of the judged pictures by a head for each size, on the first of `order`.

    A head starts from the one before, whose pictures are all among its own: a start from a head
    that saw more would leak what it learned there into a solution that is only rough.

    Args:
        ground: from `prepare`.
        order: rows of the ground to learn from; none of the judged pictures.
        sizes: how many of them, ascending, the last at most their number.
        judged_VR: coordinates of the pictures that are judged, from `Ground.at` or `placed`.
        penalties: one for each size.
    """
    found: list[np.ndarray] = []
    solution = None
    for size, penalty in zip(sizes, penalties, strict=True):
        own = order[:size]
        inside = replace(ground.rotated, coordinates_NR=ground.rotated.coordinates_NR[own])
        weights_N = ground.weights_N[own] / ground.weights_N[own].mean()
        solution = solve(
            inside,
            ground.wanted_NK[own],
            weights_N,
            ground.task,
            penalty,
            solution,
            rough=True,
        )
        found.append(judged_VR @ solution[0] + solution[1])
    return found
