"""The last layer, solved exactly on features that are computed once.

A convex problem deserves a solver, not epochs of gradient descent: the same optimum every time,
in seconds, with its penalty chosen by cross-validation inside the training part.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from saccade.data.stratify import strata
from saccade.data.task import Task
from saccade.runtime.machine import one_blas_thread
from saccade.runtime.seeds import generator
from saccade.training.convex import (
    Rotated,
    Solution,
    no_start,
    rotate,
    row_losses,
    solve,
    solve_each,
)

NUM_FOLDS = 5
PENALTIES = tuple(float(p) for p in np.logspace(-4, 2, 13))
"""L2 penalties tried: λ of mean loss + λ/2 · |w|², for features of unit mean variance."""

UNCHOSEN = 0.1
"""The penalty where there are too few pictures to choose one: in the middle of those that were
chosen on flowers, ants and bees and CIFAR-10. The stiffest says the most frequent class of all."""
NO_MORE_TO_GAIN = 1e-3
"""Held-out loss at which looser penalties are tried no more: they could lower it by no more than
that. Where classes lie apart it falls for ever, and takes ever longer to."""
CLEARLY = 1.02
"""Held-out loss, as a multiple of that of the penalty before, at which no looser one is tried. On
flowers and CIFAR-10 the first rise was by 3 and 6 %, and the loss went on rising by twice that."""
MOST_TO_CHOOSE_BY = 2_500
"""Pictures that the penalty is chosen by; the head is fitted on all of them, with a penalty that is
less by as much as they are more. In the mean of the losses a prior of given width weighs 1 / N, and
what was best for 2,500, 5,000 and 10,000 pictures of CIFAR-10 was 0.1, 0.06, 0.03 (log.md)."""
ALL = slice(None)
_WIDEST = 256  # outputs that are solved for side by side
_HANDS = 20  # how finely the pictures are dealt out to choose by
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
    share: float  # of the pictures (of the groups) that chose; all penalties are made less by it


@dataclass(frozen=True, slots=True, kw_only=True)
class Folds:
    """A fold for each picture, as `probe.group_folds` deals them where some belong together."""

    of_N: np.ndarray  # 0 to `NUM_FOLDS` - 1; -1 = no say in the penalty
    share: float  # of all groups, and pictures alone, that have a say


def fit_head(
    features_ND: np.ndarray,
    targets: np.ndarray,
    *,
    task: Task,
    seed: int,
    class_weights: np.ndarray | None = None,
    penalties: Sequence[float] = PENALTIES,
    folds: Folds | None = None,
    overwrite_features: bool = False,
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
        folds: where pictures belong together; None = each is alone.
        overwrite_features: whether the features may be lost; spares a copy of many.
    """
    wanted_NK = wanted_outputs(targets, task)
    weights_N = row_weights(targets, class_weights)
    with blas_for(features_ND.size * wanted_NK.shape[1]):
        rotated = rotate(features_ND, overwrite=overwrite_features)
        return _fit(rotated, targets, task, seed, wanted_NK, weights_N, penalties, folds)


def out_of_fold(
    features_ND: np.ndarray,
    targets: np.ndarray,
    folds_N: np.ndarray,
    *,
    task: Task,
    class_weights: np.ndarray | None = None,
    penalties: Sequence[float] = PENALTIES,
) -> np.ndarray:
    """Return logits_NK, float64: of each picture, by a head that was fitted without it.

    All folds have one penalty, that with the least held-out loss. A choice among a few numbers
    flatters the result a little; it flatters every network alike.

    Args:
        features_ND: float (N, D).
        targets: as in `Task`; regression targets in the user's unit.
        folds_N: 0 to `NUM_FOLDS` - 1, none of them empty.
        task: the kind of answer.
        class_weights: as in `fit_head`.
        penalties: λ to try, any order.
    """
    wanted_NK = wanted_outputs(targets, task)
    weights_N = row_weights(targets, class_weights)
    with blas_for(features_ND.size * wanted_NK.shape[1]):
        rotated = rotate(features_ND)
        order = sorted(penalties, reverse=True)
        light = rotated.lighter()
        return _cross_validate(light, wanted_NK, weights_N, folds_N, task, order).logits_NK


def _fit(
    rotated: Rotated,
    targets: np.ndarray,
    task: Task,
    seed: int,
    wanted_NK: np.ndarray,
    weights_N: np.ndarray,
    penalties: Sequence[float],
    folds: Folds | None,
) -> Head:
    order = sorted(penalties, reverse=True)  # from stiff to loose: each starts from the last
    start = no_start(rotated, wanted_NK)
    best = min(order, key=lambda own: abs(math.log(own / UNCHOSEN)))
    tried, losses, share = [best], [0.0], 1.0
    few, folds_M, judged_M = _to_choose_by(targets, task, seed, folds)
    if len(order) > 1 and len(folds_M) >= 2 * NUM_FOLDS:
        light = rotated.of(few).lighter()
        found = _cross_validate(
            light, wanted_NK[few], weights_N[few], folds_M, task, order, judged_N=judged_M
        )
        tried, losses = order, found.losses
        share = folds.share if folds else len(folds_M) / len(targets)
        best = order[int(np.argmin(losses))] * share
        start = rotated.in_own_axes(found.solution, light)
    coefficients_RK, bias_K = solve(rotated, wanted_NK, weights_N, task, best, start)
    weight_DK = (rotated.axes_DR @ coefficients_RK) / rotated.scale
    return Head(
        weight_KD=weight_DK.T.astype(np.float32),
        bias_K=(bias_K - rotated.mean_D @ weight_DK).astype(np.float32),
        penalty=best,
        candidates=tuple((one * share, loss) for one, loss in zip(tried, losses, strict=False)),
        share=share,
    )


def blas_for(size: int) -> AbstractContextManager[Any]:
    """Return a context in which NumPy has one thread, or as many as so many numbers are worth."""
    return one_blas_thread() if size < LARGE else nullcontext()


def wanted_outputs(targets: np.ndarray, task: Task) -> np.ndarray:
    """Return what each output should say: one-hot, 0/1 columns, or standardised numbers."""
    if task.kind == "multiclass":
        return np.asarray(np.eye(task.num_outputs)[targets])
    if task.kind == "regression":
        targets = (targets - task.target_mean) / task.target_std
    table: np.ndarray = targets.astype(np.float64).reshape(len(targets), task.num_outputs)
    return table


def row_weights(targets: np.ndarray, class_weights: np.ndarray | None) -> np.ndarray:
    """Return the weight of each picture in the loss, mean 1."""
    if class_weights is None or targets.ndim != 1:
        return np.ones(len(targets))
    weights = class_weights[targets]
    return np.asarray(weights / weights.mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class _CrossValidated:
    losses: list[float]  # mean held-out loss of each penalty that was tried
    logits_NK: np.ndarray  # held-out, of the best one
    solution: Solution  # of the best one, the mean over the folds


def _cross_validate(
    rotated: Rotated,
    wanted_NK: np.ndarray,
    weights_N: np.ndarray,
    folds_N: np.ndarray,
    task: Task,
    order: Sequence[float],
    *,
    judged_N: np.ndarray | slice = ALL,
) -> _CrossValidated:
    """Try each penalty, until the held-out loss rises (`_rises`) or is next to nothing.

    The loss is that of the pictures in `judged_N`.
    """
    judged_weights = weights_N[judged_N]
    wanted_KN = wanted_NK.T.astype(np.float64)
    starts: list[Solution] = [no_start(rotated, wanted_NK)] * NUM_FOLDS
    losses: list[float] = []
    logits_NK, best_NK = np.zeros_like(wanted_NK), np.zeros_like(wanted_NK)
    best = starts[0]
    for penalty in order:
        starts = _solve_folds(rotated, wanted_NK, weights_N, folds_N, task, penalty, starts)
        for fold, (coefficients_RK, bias_K) in enumerate(starts):
            held = rotated.coordinates_NR[folds_N == fold]
            logits_NK[folds_N == fold] = held @ coefficients_RK.astype(held.dtype) + bias_K
        all_N = row_losses(logits_NK.T[None].copy(), wanted_KN, task)[0][0]
        losses.append(float(all_N[judged_N] @ judged_weights) / len(judged_weights))
        if losses[-1] == min(losses):
            best_NK = logits_NK.copy()
            best = (
                np.mean([own[0] for own in starts], axis=0),
                np.mean([own[1] for own in starts], axis=0),
            )
        if losses[-1] < NO_MORE_TO_GAIN or _rises(losses):
            break
    return _CrossValidated(losses=losses, logits_NK=best_NK, solution=best)


def _rises(losses: Sequence[float]) -> bool:
    """Return whether looser penalties only overfit: clearly worse than the last, or twice in a row.

    >>> _rises([0.9, 0.88, 0.89]), _rises([0.9, 0.88, 0.91]), _rises([0.88, 0.881, 0.882])
    (False, True, True)
    """
    clearly = len(losses) > 1 and losses[-1] > losses[-2] * CLEARLY
    return clearly or (len(losses) > 2 and losses[-1] > losses[-2] > losses[-3])


def _solve_folds(
    rotated: Rotated,
    wanted_NK: np.ndarray,
    weights_N: np.ndarray,
    folds_N: np.ndarray,
    task: Task,
    penalty: float,
    starts: Sequence[Solution],
) -> list[Solution]:
    """Return a solution for each fold, of all rows but its own.

    So many of them side by side that their logits stay small.
    """
    inside_BN = np.stack([folds_N != fold for fold in range(NUM_FOLDS)])
    shares_BN = weights_N * inside_BN / inside_BN.sum(axis=1, keepdims=True)
    team = max(1, min(NUM_FOLDS, _WIDEST // wanted_NK.shape[1]))
    found: list[Solution] = []
    for first in range(0, NUM_FOLDS, team):
        own = slice(first, first + team)
        found += solve_each(
            rotated, wanted_NK, shares_BN[own], task, penalty, starts[own], rough=True
        )
    return found


def _to_choose_by(
    targets: np.ndarray, task: Task, seed: int, folds: Folds | None
) -> tuple[np.ndarray | slice, np.ndarray, np.ndarray | slice]:
    """Return the rows that choose the penalty, the fold of each, and which of them are judged."""
    if folds is None:
        few = _even_share(targets, seed)
        return few, _folds(targets[few], seed), ALL
    rows = np.flatnonzero(folds.of_N >= 0)
    judged_M = _can_be_judged(targets[rows], folds.of_N[rows], task)
    if not judged_M.any():
        rows, judged_M = rows[:0], judged_M[:0]
    return rows, folds.of_N[rows], judged_M


def _can_be_judged(targets: np.ndarray, folds_N: np.ndarray, task: Task) -> np.ndarray:
    """Say of each row whether the heads that it is held out from have seen its class, or labels.

    A class whose pictures are one group lies in one fold. The surer the head, the worse it answers
    to them, so they would ask for the stiffest penalty, whatever suits the other classes.
    """
    if task.kind == "regression":
        return np.ones(len(targets), np.bool_)
    own_strata = strata(task, targets)
    folds_of: defaultdict[int, set[int]] = defaultdict(set)
    for own, fold in zip(own_strata, folds_N.tolist(), strict=True):
        for stratum in own:
            folds_of[stratum].add(fold)
    return np.array([all(len(folds_of[one]) > 1 for one in own) for own in own_strata], np.bool_)


def _even_share(targets: np.ndarray, seed: int) -> np.ndarray | slice:
    """Return about `MOST_TO_CHOOSE_BY` rows, as many of each class as it has share."""
    if len(targets) <= MOST_TO_CHOOSE_BY:
        return ALL
    hands = _HANDS * -(-len(targets) // MOST_TO_CHOOSE_BY)
    kept = hands * MOST_TO_CHOOSE_BY // len(targets)
    own = _dealt(targets, seed, hands)  # in turn to one kind of answer after another
    return np.flatnonzero(own * kept % hands < kept)  # so hands that lie evenly apart


def _folds(targets: np.ndarray, seed: int) -> np.ndarray:
    """Return a fold a row, each class (or quantile, or label set) spread evenly over them."""
    return _dealt(targets, seed, NUM_FOLDS)


def _dealt(targets: np.ndarray, seed: int, num_hands: int) -> np.ndarray:
    """Return a hand a row, 0 to `num_hands` - 1, each kind of answer spread evenly over them."""
    num = len(targets)
    if targets.ndim == 2:
        keys = np.unique(targets, axis=0, return_inverse=True)[1].reshape(-1)
    elif np.issubdtype(targets.dtype, np.floating):
        keys = np.argsort(np.argsort(targets)) * 10 // max(num, 1)
    else:
        keys = targets
    shuffled = generator(seed, "folds").permutation(num)
    by_key = shuffled[np.argsort(keys[shuffled], kind="stable")]
    hands = np.empty(num, dtype=np.int64)
    hands[by_key] = np.arange(num) % num_hands
    return hands
