"""The paired bootstrap: averages of precision, recall, F1 and specificity of two on one part."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from saccade.evaluation.intervals import Grouping
from saccade.evaluation.metrics import Counts, averaged, per_class
from saccade.evaluation.resampling import (
    PSEUDO_COUNT,
    RESAMPLES,
    centre_counts,
    pictures_a_unit,
    resampled_sums,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """What two answer on the same pictures, counted by class (K)."""

    units: Any  # sparse (U, 5·K + 1): what one unit adds to both hits, truth, both answers, rows
    times: np.ndarray  # (U,), how often the unit occurs
    counts: tuple[Counts, Counts]  # of the first and of the second
    present: np.ndarray  # bool (K,), the classes that occur as truth or answer
    exclusive: bool  # one class a row


def class_pairs(
    truth: np.ndarray,
    answers: tuple[np.ndarray, np.ndarray],
    *,
    num_classes: int,
    grouping: Grouping,
) -> Pairs:
    """Return the pairs of answers that are classes, int (N,)."""
    k, (first, second) = num_classes, answers
    if grouping.named:
        owner, rows = grouping.index, np.arange(len(truth))
        count, times = grouping.count, np.ones(grouping.count, np.int64)
    else:
        cells = (truth * k + first) * k + second
        _, rows, times = np.unique(cells, return_index=True, return_counts=True)
        owner, count = np.arange(len(rows)), len(rows)
    t, a, b = truth[rows], first[rows], second[rows]
    places = np.concatenate([owner[t == a], owner[t == b], owner, owner, owner, owner])
    last = np.full(len(rows), 5 * k)
    columns = np.concatenate([t[t == a], k + t[t == b], 2 * k + t, 3 * k + a, 4 * k + b, last])
    counts = tuple(
        Counts(
            hit=np.bincount(truth[truth == said], minlength=k),
            true=np.bincount(truth, minlength=k),
            predicted=np.bincount(said, minlength=k),
            total=np.array([len(truth)]),
        )
        for said in answers
    )
    return Pairs(
        units=csr_array((np.ones(len(places)), (places, columns)), shape=(count, 5 * k + 1)),
        times=times,
        counts=(counts[0], counts[1]),
        present=(counts[0].true + counts[0].predicted + counts[1].predicted) > 0,
        exclusive=True,
    )


def label_pairs(
    truth_NK: np.ndarray, answers: tuple[np.ndarray, np.ndarray], *, grouping: Grouping
) -> Pairs:
    """Return the pairs of answers that are sets of labels, 0 or 1 (N, K)."""
    true, first, second = (marks.astype(np.int64) for marks in (truth_NK, *answers))
    ones = np.ones((len(true), 1), np.int64)
    rows = np.concatenate([true & first, true & second, true, first, second, ones], axis=1)
    if grouping.named:
        units, times = grouping.sums(rows), np.ones(grouping.count, np.int64)
    else:
        units, times = np.unique(rows, axis=0, return_counts=True)
    total = np.array([len(true)])
    one, other = (
        Counts(
            hit=(true & said).sum(axis=0),
            true=true.sum(axis=0),
            predicted=said.sum(axis=0),
            total=total,
        )
        for said in (first, second)
    )
    return Pairs(
        units=csr_array(units),
        times=times,
        counts=(one, other),
        present=np.ones(true.shape[1], bool),
        exclusive=False,
    )


def values(pairs: Pairs, metric: str, *, place: int = -1) -> tuple[float, float]:
    """Return an average by name (`f1_macro`), or with a place that class's value (`f1`)."""
    first, second = (float(_metric(counts, metric, place)) for counts in pairs.counts)
    return first, second


def paired_error(pairs: Pairs, metric: str, *, place: int = -1, rng: np.random.Generator) -> float:
    """Return the standard error of the difference of a metric, NaN where it cannot be found.

    The same pictures, or the same groups of them, are drawn for both: what makes a picture hard
    for both is left out of the difference. As in the intervals of one model, half a
    pseudo-picture a class goes into the resamples, or half a pseudo-group, so that two that never
    differ here are not thought to be equal everywhere; and the error is around what the resamples
    give on average.

    Args:
        pairs: truth and both answers.
        metric: a name of `metrics.averaged`, or with `place` one of `metrics.per_class`.
        place: the class.
        rng: the source of randomness.

    Source: B. Efron, R. Tibshirani (1993), An Introduction to the Bootstrap, ch. 8.
    """
    k = len(pairs.present)
    sums = resampled_sums(pairs.units, pairs.times, rng=rng)
    pseudo = _pseudo_pairs(pairs.present, exclusive=pairs.exclusive, rng=rng)
    apart, worth = np.zeros(RESAMPLES), pictures_a_unit(pairs.units, pairs.times)
    for side, sign in ((0, -1), (1, 1)):
        drawn = Counts(
            hit=sums[:, side * k : (side + 1) * k] + worth * pseudo[side].hit,
            true=sums[:, 2 * k : 3 * k] + worth * pseudo[side].true,
            predicted=sums[:, (3 + side) * k : (4 + side) * k] + worth * pseudo[side].predicted,
            total=sums[:, 5 * k :] + worth * pseudo[side].total,
        )
        centre = centre_counts(
            pairs.counts[side], present=pairs.present, exclusive=pairs.exclusive, worth=worth
        )
        apart += sign * (_metric(drawn, metric, place) - _metric(centre, metric, place))
    known = apart[~np.isnan(apart)]
    return math.sqrt(float(np.mean(known**2))) if known.size else math.nan


def _metric(counts: Counts, metric: str, place: int) -> np.ndarray:
    return averaged(counts)[metric] if place < 0 else per_class(counts)[metric][..., place]


def _pseudo_pairs(
    present: np.ndarray, *, exclusive: bool, rng: np.random.Generator
) -> tuple[Counts, Counts]:
    """Return pseudo-pictures of two that share their truth, spread evenly over all cells."""
    k, classes = len(present), np.flatnonzero(present)
    if not exclusive:
        cells = rng.poisson(PSEUDO_COUNT / 8, size=(2, 2, 2, RESAMPLES, k))  # true, first, second
        true, total = cells[1].sum(axis=(0, 1)), cells.sum(axis=(0, 1, 2))
        said = (cells[:, 1].sum(axis=(0, 1)), cells[:, :, 1].sum(axis=(0, 1)))
        hit = (cells[1, 1].sum(axis=0), cells[1, :, 1].sum(axis=0))
        first, second = (
            Counts(hit=own, true=true, predicted=every, total=total)
            for own, every in zip(hit, said, strict=True)
        )
        return first, second
    number = rng.poisson(PSEUDO_COUNT * len(classes), size=RESAMPLES)
    owner = np.repeat(np.arange(RESAMPLES), number)
    truth, *answers = classes[rng.integers(len(classes), size=(3, owner.size))]

    def table(events: np.ndarray, places: np.ndarray) -> np.ndarray:
        return np.bincount(events * k + places, minlength=RESAMPLES * k).reshape(-1, k)

    first, second = (
        Counts(
            hit=table(owner[truth == said], truth[truth == said]),
            true=table(owner, truth),
            predicted=table(owner, said),
            total=number[:, None],
        )
        for said in answers
    )
    return first, second
