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

    `total` (…, K) or (…, 1) is the number of rows. Integers or resampled counts alike.
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
    np.divide(numerator, denominator, out=out, where=np.asarray(denominator) != 0)
    return out


def fractions(counts: Counts) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return what is divided by what for precision, recall, f1 and specificity, arrays (…, K)."""
    negative = counts.total - counts.true
    return {
        "precision": (counts.hit, counts.predicted),
        "recall": (counts.hit, counts.true),
        "f1": (2 * counts.hit, counts.true + counts.predicted),
        "specificity": (negative - (counts.predicted - counts.hit), negative),
    }


def per_class(counts: Counts) -> dict[str, np.ndarray]:
    """Return precision, recall, f1 and specificity of each class, arrays (…, K)."""
    return {name: ratio(over, under) for name, (over, under) in fractions(counts).items()}


def averaged(counts: Counts) -> dict[str, np.ndarray]:
    """Return the macro, micro and weighted averages by name, arrays (…,).

    Macro: the mean over classes where the quotient is defined. Weighted: by how often the
    class is true. Micro: the quotient of the sums over classes.
    """
    values = {}
    for name, (over, under) in fractions(counts).items():
        each = ratio(over, under)
        values[f"{name}_macro"] = weighted_mean(each, np.ones_like(each))
        values[f"{name}_micro"] = ratio(over.sum(axis=-1), under.sum(axis=-1))
        values[f"{name}_weighted"] = weighted_mean(each, counts.true)
    return values


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean over the last axis, leaving out what is NaN; NaN where nothing is left."""
    defined = ~np.isnan(values)
    total = np.where(defined, values * weights, 0).sum(axis=-1)
    return ratio(total, (defined * weights).sum(axis=-1))


def samplewise(truth_NK: np.ndarray, predicted_NK: np.ndarray) -> dict[str, np.ndarray]:
    """Return multi-label values of each row (N,): precision, recall, f1, jaccard, hamming loss.

    NaN where a row gives the quotient nothing to divide by: no label predicted (precision),
    none true (recall), neither (f1 and jaccard).
    """
    truth, predicted = truth_NK.astype(bool), predicted_NK.astype(bool)
    hit = (truth & predicted).sum(axis=1)
    true, said = truth.sum(axis=1), predicted.sum(axis=1)
    return {
        "precision": ratio(hit, said),
        "recall": ratio(hit, true),
        "f1": ratio(2 * hit, true + said),
        "jaccard": ratio(hit, true + said - hit),
        "hamming_loss": (truth != predicted).mean(axis=1),
    }


def log_losses(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return -log(score of the truth) of each row (N,), in nats.

    Multi-label (truth (N, K)): the mean over labels. Scores are kept a rounding error away
    from 0 and 1, as scikit-learn does, so that one certain mistake costs 36 and not infinity.
    """
    epsilon = np.finfo(np.float64).eps
    kept = np.clip(scores, epsilon, 1 - epsilon)
    if truth.ndim == 2:
        kept_of_truth = np.where(truth == 1, kept, 1 - kept)
    else:
        kept_of_truth = kept[np.arange(len(truth)), truth][:, None]
    losses: np.ndarray = -np.log(kept_of_truth).mean(axis=1)
    return losses


def in_top(truth: np.ndarray, scores: np.ndarray, *, k: int) -> np.ndarray:
    """Return whether the true class is among the k best scores of each row, bool (N,).

    Of equal scores the class that comes first counts as better, as in the answer itself, so
    that the top-1 of this function is the accuracy. (scikit-learn prefers the last.)
    """
    own = scores[np.arange(len(truth)), truth][:, None]
    earlier = np.arange(scores.shape[1])[None] < truth[:, None]
    better = (scores > own) | ((scores == own) & earlier)
    among: np.ndarray = better.sum(axis=1) < k
    return among
