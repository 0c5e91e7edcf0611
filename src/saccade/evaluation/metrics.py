"""Point values of every metric, from counts that may be one table or a stack of them.

A class that a quotient says nothing about (never predicted, absent from the part) gives NaN,
and averages leave it out: scikit-learn's `zero_division=nan`.
"""

from dataclasses import dataclass

import numpy as np

AVERAGES = ("macro", "micro", "weighted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Per class: right answers, how often it is true, how often predicted; arrays (…, K).

    `total` (…,) is the number of rows. Integers or resampled, weighted counts alike.
    """

    hit: np.ndarray
    true: np.ndarray
    predicted: np.ndarray
    total: np.ndarray


def confusion_matrix(truth: np.ndarray, predicted: np.ndarray, *, num_classes: int) -> np.ndarray:
    """Return the counts (K, K), rows truth, columns prediction, int64.

    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), num_classes=2).tolist()
    [[1, 1], [0, 1]]
    """
    cells = np.bincount(truth * num_classes + predicted, minlength=num_classes**2)
    return cells.reshape(num_classes, num_classes)


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Return the quotient, NaN where the denominator is 0."""
    shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
    out = np.full(shape, np.nan)
    return np.divide(numerator, denominator, out=out, where=np.asarray(denominator) != 0)


def per_class(counts: Counts) -> dict[str, np.ndarray]:
    """Return precision, recall, f1 and specificity of each class, arrays (…, K)."""
    negative = counts.total[..., None] - counts.true
    false_alarm = counts.predicted - counts.hit
    return {
        "precision": ratio(counts.hit, counts.predicted),
        "recall": ratio(counts.hit, counts.true),
        "f1": ratio(2 * counts.hit, counts.true + counts.predicted),
        "specificity": ratio(negative - false_alarm, negative),
    }


def averaged(counts: Counts) -> dict[str, np.ndarray]:
    """Return the macro, micro and weighted averages by name, arrays (…,).

    Macro: the mean over classes where the quotient is defined. Weighted: by how often the
    class is true. Micro: the quotient of the sums over classes.
    """
    micro = per_class(
        Counts(
            hit=counts.hit.sum(axis=-1, keepdims=True),
            true=counts.true.sum(axis=-1, keepdims=True),
            predicted=counts.predicted.sum(axis=-1, keepdims=True),
            total=counts.total * counts.hit.shape[-1],
        )
    )
    values = {}
    for name, each in per_class(counts).items():
        values[f"{name}_macro"] = weighted_mean(each, np.ones_like(each))
        values[f"{name}_micro"] = micro[name][..., 0]
        values[f"{name}_weighted"] = weighted_mean(each, counts.true)
    return values


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean over the last axis, leaving out what is NaN."""
    defined = ~np.isnan(values)
    total = np.where(defined, values * weights, 0).sum(axis=-1)
    return ratio(total, (defined * weights).sum(axis=-1))
