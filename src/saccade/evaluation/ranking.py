"""ROC AUC and average precision under weights: one sort, then sums."""

import numpy as np

from saccade.evaluation.metrics import ratio


def roc_auc(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the chance that a positive row scores above a negative one, ties counted half.

    Args:
        positive: bool (N,).
        scores: (N,), higher means more likely positive.
        weights: (R, N), how often each row counts in each of R resamples.

    Returns:
        (R,), NaN where all the weight is on one side.
    """
    order, last = _sorted(scores)
    w = weights[:, order]
    pos = np.where(positive[order], w, 0).cumsum(axis=1)
    neg = (w.cumsum(axis=1) - pos)[:, last]
    pos = pos[:, last]
    pos_step, neg_step = np.diff(pos, prepend=0), np.diff(neg, prepend=0)
    wins = (neg_step * (pos - pos_step / 2)).sum(axis=1)
    # rows are sorted from the highest score: positives seen before a negative won against it
    return ratio(wins, pos[:, -1] * neg[:, -1])


def average_precision(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the sum over thresholds of (gain in recall) · precision, as scikit-learn's.

    Arguments and result as in `roc_auc`; NaN where no weight is on a positive row.
    """
    order, last = _sorted(scores)
    w = weights[:, order]
    pos = np.where(positive[order], w, 0).cumsum(axis=1)[:, last]
    every = w.cumsum(axis=1)[:, last]
    gain = np.diff(pos, prepend=0)
    return ratio((gain * np.nan_to_num(ratio(pos, every))).sum(axis=1), pos[:, -1])


def _sorted(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the order from the highest score down, and where each run of equals ends."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last = np.append(np.flatnonzero(np.diff(ordered)), ordered.size - 1)
    return order, last
