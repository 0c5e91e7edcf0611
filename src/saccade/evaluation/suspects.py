"""Labels that are probably wrong: confident learning on out-of-fold probabilities.

A picture is suspect where a network that never saw it is as sure of another class as it usually is
of that class's own pictures. What the network cannot tell apart it cannot accuse either, so the
suspects are for a person to look at; nothing is changed by them.

Source: C. Northcutt, L. Jiang, I. Chuang (2021), Confident Learning: Estimating Uncertainty in
Dataset Labels, JAIR 70: 1373-1411.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from saccade.evaluation.intervals import Estimate, Grouping, grouped_ratio, undefined

SLACK = 1e-6  # a probability that equals a threshold but for rounding reaches it
HARD = 0.03
"""Share of pictures that may be surely contradicted though their labels are right, because they are
hard. Of labels that nobody had touched 0 to 3.1 % were, the most in the smallest set
(docs/suspects.md)."""
TOO_WEAK = 1 / 3
"""Share of the pictures (with several labels, of those of a label) from which a probe that
contradicts more is too weak to accuse any: so many labels are hardly ever wrong."""
UNSURE = 0.1
"""Share of a label's pictures from which a probe that contradicts more accuses none surely, for it
may be the probe that errs. Of 127 pictures with every label right, 4 to 35 were surely accused as
noise hid one of two labels more and more; with this bound none was."""
FAR = 3.5
"""Robust z from which a value is called far off. Source: B. Iglewicz, D. Hoaglin (1993), How to
Detect and Handle Outliers."""
MAD_TO_STD, MEAN_TO_STD = 1.4826, 1.2533  # from absolute deviations of normal errors


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Suspicion:
    """What confident learning says of N labels of K classes."""

    thresholds_K: np.ndarray  # from which a class is believed; infinite where it has no picture
    likelier_N: np.ndarray  # int64: the class that is believed; -1 where none is
    is_suspect_N: np.ndarray  # bool: another class than the given one is believed, and likeliest
    quality_N: np.ndarray  # 0 to 1, low where the label is probably wrong
    joint_KK: np.ndarray  # probability of (given, true), adds up to 1; rows as often as given

    @property
    def contradicted(self) -> float:
        """Share of the pictures for which another class is likelier than the given one."""
        return float((self.quality_N < 0.5).mean()) if len(self.quality_N) else 0.0

    @property
    def noise_KK(self) -> np.ndarray:
        """Probability of each given label (row) for pictures of each true class (column)."""
        sums_K = self.joint_KK.sum(axis=0)
        shares_KK: np.ndarray = np.divide(
            self.joint_KK, sums_K, out=np.zeros_like(self.joint_KK), where=sums_K > 0
        )
        return shares_KK


def suspect_labels(
    labels_N: np.ndarray, probabilities_NK: np.ndarray, *, right_N: np.ndarray | None = None
) -> Suspicion:
    """Return which labels are probably wrong, and how often which class is taken for which.

    Args:
        labels_N: int64, as given.
        probabilities_NK: of a network that was fitted without the picture, rows add up to 1.
        right_N: bool, labels that are known to be right; None = none is.
    """
    thresholds_K = class_thresholds(labels_N, probabilities_NK)
    likelier_N = believed(probabilities_NK, thresholds_K)
    if right_N is not None:
        likelier_N = np.where(right_N, labels_N, likelier_N)
    return Suspicion(
        thresholds_K=thresholds_K,
        likelier_N=likelier_N,
        is_suspect_N=_suspect(labels_N, probabilities_NK, likelier_N),
        quality_N=normalised_margin(labels_N, probabilities_NK),
        joint_KK=_joint(labels_N, likelier_N, num_classes=probabilities_NK.shape[1]),
    )


def class_thresholds(labels_N: np.ndarray, probabilities_NK: np.ndarray) -> np.ndarray:
    """Return how sure the network usually is of each class's own pictures, (K,).

    Averages, so that a class that it is never sure of needs less to be believed.

    >>> class_thresholds(np.array([0, 0]), np.array([[0.9, 0.1], [0.7, 0.3]])).tolist()
    [0.8, inf]
    """
    num_classes = probabilities_NK.shape[1]
    counts_K = np.bincount(labels_N, minlength=num_classes)
    own_N = probabilities_NK[np.arange(len(labels_N)), labels_N]
    sums_K = np.bincount(labels_N, weights=own_N, minlength=num_classes)
    means_K: np.ndarray = np.divide(
        sums_K, counts_K, out=np.full(num_classes, np.inf), where=counts_K > 0
    )
    return means_K


def believed(probabilities_NK: np.ndarray, thresholds_K: np.ndarray) -> np.ndarray:
    """Return the likeliest class among those that reach their threshold, (N,); -1 for none."""
    reached_NK = probabilities_NK >= thresholds_K - SLACK
    found_N = np.where(reached_NK, probabilities_NK, -1.0).argmax(axis=1)
    return np.where(reached_NK.any(axis=1), found_N, -1)


def most_contradicted(labels_N: np.ndarray, quality_N: np.ndarray) -> tuple[int, int, int]:
    """Return the label of which the largest share is contradicted, how many, and of how many.

    Args:
        labels_N: int64, 0 or more, as given; one picture or more.
        quality_N: 0 to 1, as in `Suspicion`; below 0.5 another label is likelier.

    >>> most_contradicted(np.array([0, 0, 1, 1]), np.array([0.9, 0.8, 0.7, 0.2]))
    (1, 1, 2)
    """
    given_K = np.bincount(labels_N)
    against_K = np.bincount(labels_N, weights=quality_N < 0.5)
    worst = int((against_K / given_K.clip(min=1)).argmax())
    return worst, int(against_K[worst]), int(given_K[worst])


def self_confidence(labels_N: np.ndarray, probabilities_NK: np.ndarray) -> np.ndarray:
    """Return the probability of each given label, (N,)."""
    found: np.ndarray = probabilities_NK[np.arange(len(labels_N)), labels_N]
    return found


def normalised_margin(labels_N: np.ndarray, probabilities_NK: np.ndarray) -> np.ndarray:
    """Return the label's lead over the likeliest other class, carried from -1…1 to 0…1, (N,).

    >>> normalised_margin(np.array([0, 1]), np.array([[0.9, 0.1], [1.0, 0.0]])).round(2).tolist()
    [0.9, 0.0]
    """
    own_N = self_confidence(labels_N, probabilities_NK)
    others_NK = probabilities_NK.copy()
    others_NK[np.arange(len(labels_N)), labels_N] = -np.inf
    found: np.ndarray = (own_N - others_NK.max(axis=1) + 1) / 2
    return found


def best_other(labels_N: np.ndarray, probabilities_NK: np.ndarray) -> np.ndarray:
    """Return the likeliest class but for the given one, int64 (N,)."""
    others_NK = probabilities_NK.copy()
    others_NK[np.arange(len(labels_N)), labels_N] = -np.inf
    found: np.ndarray = others_NK.argmax(axis=1)
    return found


def _suspect(
    labels_N: np.ndarray, probabilities_NK: np.ndarray, likelier_N: np.ndarray
) -> np.ndarray:
    """Return whether another class is believed, (N,); never where the given one is likeliest."""
    differs_N = (likelier_N >= 0) & (likelier_N != labels_N)
    suspect: np.ndarray = differs_N & (probabilities_NK.argmax(axis=1) != labels_N)
    return suspect


def _joint(labels_N: np.ndarray, likelier_N: np.ndarray, *, num_classes: int) -> np.ndarray:
    """Return the calibrated joint distribution of given and true classes.

    Every class gets one picture at least that is right, and each row the share that the class has
    among the given labels, for those of which nothing is believed are as the others of their row.
    """
    sure_N = likelier_N >= 0
    cells_N = labels_N[sure_N] * num_classes + likelier_N[sure_N]
    counts_KK = np.bincount(cells_N, minlength=num_classes**2).astype(np.float64)
    counts_KK = counts_KK.reshape(num_classes, num_classes)
    np.fill_diagonal(counts_KK, counts_KK.diagonal().clip(min=1))
    given_K = np.bincount(labels_N, minlength=num_classes)
    counts_KK *= (given_K / counts_KK.sum(axis=1))[:, None]
    joint: np.ndarray = counts_KK / max(counts_KK.sum(), 1)
    return joint


def error_share(suspicion: Suspicion, grouping: Grouping) -> Estimate:
    """Return which share of the labels is wrong, roughly, with an interval that says how roughly.

    Two answers frame it. If every label of which the network is not sure is right, only the
    suspects are wrong; if among those there are as many wrong ones as among the others, it is the
    calibrated joint's share off the diagonal, the paper's estimate. The value is the middle of the
    two. The interval goes from the low end of the one's, less the `HARD` pictures that are accused
    wrongly, to the high end of the other's. It held what was planted (docs/suspects.md). Where the
    probe contradicts more than a few (`UNSURE`) it begins at 0: then nothing tells wrong labels
    from pictures that are hard for it.
    """
    n = len(suspicion.is_suspect_N)
    if not n:
        return undefined("no pictures", n=0)
    hard = HARD if suspicion.contradicted <= UNSURE else 1.0
    sure = grouped_ratio(suspicion.is_suspect_N.astype(np.float64), np.ones(n), grouping)
    calibrated = max(0.0, 1 - float(suspicion.joint_KK.trace()))
    value = (sure.value + calibrated) / 2
    return Estimate(
        value=value,
        low=max(0.0, min(sure.low - hard, value)),
        high=min(1.0, max(sure.high + calibrated - sure.value, value)),
        n=n,
        method=f"confident learning, from all unsure labels right to as many wrong; {sure.method}",
    )


def less(share: Estimate, num: int, *, now: Estimate) -> Estimate:
    """Return a share of the labels without so many that were found since.

    Args:
        share: of the labels before.
        num: how many were found.
        now: of the labels now, by themselves; value and high end are no less.

    >>> share = Estimate(value=0.05, low=0.01, high=0.09, n=100, method="made up")
    >>> now = Estimate(value=0.01, low=0.0, high=0.02, n=100, method="made up")
    >>> left = less(share, 6, now=now)
    >>> left.low, left.value, round(left.high, 2)
    (0.0, 0.01, 0.03)
    """
    found = num / share.n
    return dataclasses.replace(
        share,
        value=max(share.value - found, now.value),
        low=max(share.low - found, 0.0),
        high=max(share.high - found, now.high),
    )


def robust_z(errors_N: np.ndarray) -> np.ndarray:
    """Return how far each error is from the usual one, in robust standard deviations, (N,).

    (error - median) / (1.4826 · median absolute deviation), so that the wild ones do not hide
    themselves by widening the spread. Where more than half of the errors are equal, the spread
    is the mean absolute deviation's.

    >>> robust_z(np.array([-1.0, 0.0, 1.0, 0.5, 100.0])).round(1).tolist()
    [-2.0, -0.7, 0.7, 0.0, 134.2]
    """
    centred_N = errors_N - np.median(errors_N)
    spread = MAD_TO_STD * float(np.median(np.abs(centred_N)))
    spread = spread or MEAN_TO_STD * float(np.abs(centred_N).mean())
    return centred_N / spread if spread else np.zeros_like(centred_N)
