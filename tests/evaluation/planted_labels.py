"""Labels with planted errors, and what a probe says of them out of fold."""

import numpy as np

from saccade.data.task import Task
from saccade.training.head import NUM_FOLDS, out_of_fold

NUM_CLASSES = 6


def plant(
    labels_N: np.ndarray, share: float, kind: str, *, num_classes: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels with a share of them wrong, and bool (N,) that says which.

    symmetric: any other class; pairwise: the next class.
    """
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(labels_N), round(share * len(labels_N)), replace=False)
    steps = rng.integers(1, num_classes, len(rows)) if kind == "symmetric" else 1
    wrong_N = np.zeros(len(labels_N), bool)
    wrong_N[rows] = True
    given_N = labels_N.copy()
    given_N[rows] = (labels_N[rows] + steps) % num_classes
    return given_N, wrong_N


def cloud(
    num: int = 900, *, num_classes: int = NUM_CLASSES, apart: float = 0.8, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return features of classes that overlap a little, float (N, 16), and their true labels."""
    rng = np.random.default_rng(seed)
    labels_N = rng.integers(num_classes, size=num)
    centres_KD = rng.normal(0, apart, (num_classes, 16))
    return centres_KD[labels_N] + rng.normal(0, 1, (num, 16)), labels_N


def probed(features_ND: np.ndarray, labels_N: np.ndarray, *, num_classes: int) -> np.ndarray:
    """Return probabilities of each picture by a probe that was solved without it."""
    task = Task(kind="multiclass", classes=tuple(map(str, range(num_classes))))
    folds_N = np.arange(len(labels_N)) % NUM_FOLDS
    return task.scores(out_of_fold(features_ND, labels_N, folds_N, task=task, penalties=(0.5,)))
