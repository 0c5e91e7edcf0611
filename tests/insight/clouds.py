"""Evidence made up from clouds of features, or from scikit-learn's digits."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from saccade.data.split import Split
from saccade.data.task import Task
from saccade.insight.evidence import Evidence
from saccade.training.recipe import Recipe

DIGITS = Task(kind="multiclass", classes=tuple("0123456789"))
FEW_DIGITS = Task(kind="multiclass", classes=tuple("0123"))


def evidence_of(
    features_ND: np.ndarray | None,
    targets: np.ndarray,
    task: Task,
    *,
    groups: Sequence[str] = (),
    parts: Sequence[str] = (),
    **facts: Any,
) -> Evidence:
    """Return evidence without pictures; every seventh is a test picture, every sixth validates."""
    num = len(targets)
    usual = [("test", "validation")[n % 7] if n % 7 < 2 else "train" for n in range(num)]
    nothing: Any = None
    return Evidence(
        **{
            "recipe": Recipe(),
            "catalog": nothing,
            "task": task,
            "split": Split(
                parts=tuple(parts or usual),
                groups=tuple(groups or [""] * num),
                why=("drawn",) * num,
                seed=0,
            ),
            "targets": targets,
            "cache": nothing,
            "looks": nothing,
            "features_ND": features_ND,
            "features_name": "pixels",
            "history": [{"event": "head", "penalty": 0.01}],
            **facts,
        }
    )


def digits(num: int = 350, *, num_classes: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels and classes of some digits, in an order of their own."""
    pixels, classes = load_digits(n_class=num_classes, return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(classes))[:num]
    return pixels[order].astype(np.float32), classes[order]


def clouds(
    num: int, *, num_classes: int = 2, apart: float = 2.0, width: int = 8, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return features around a point for each class, and the classes; 0 apart = nothing to tell."""
    rng = np.random.default_rng(seed)
    targets = np.arange(num) % num_classes
    centres = apart * rng.normal(size=(num_classes, width)) / np.sqrt(width)
    features = centres[targets] + rng.normal(size=(num, width))
    return features.astype(np.float32), targets
