"""Small tables that the tests of this room share."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from saccade.data.task import Kind, Task
from saccade.evaluation.predictions import Predictions


def _make_table(
    kind: Kind,
    truth: Sequence | np.ndarray | None,
    scores: Sequence | np.ndarray,
    *,
    classes: Sequence[str] = (),
    parts: Sequence[str] | None = None,
    scored: bool = True,
) -> Predictions:
    """Return a table named a.png, b.png, …; classes default to c0, c1, …"""
    scores = np.asarray(scores, np.float64)
    n = len(scores)
    if kind != "regression" and not classes:
        classes = [f"c{k}" for k in range(scores.shape[1])]
    types = {"multilabel": np.uint8, "regression": np.float64}
    if truth is not None:
        truth = np.asarray(truth, types.get(kind, np.int64))
    return Predictions(
        task=Task(kind=kind, classes=tuple(classes)),
        paths=tuple(f"{row}.png" for row in range(n)),
        hashes=tuple(f"{row:064x}" for row in range(n)),
        parts=tuple(parts) if parts is not None else ("test",) * n,
        truth=truth,
        scores=scores,
        scored=scored,
    )


@pytest.fixture(scope="session")
def make_table() -> Callable[..., Predictions]:
    return _make_table


@pytest.fixture(scope="session")
def flowers() -> Predictions:
    """Eight pictures of three flowers, two of them named wrongly."""
    scores = [
        [0.8, 0.1, 0.1],
        [0.6, 0.3, 0.1],
        [0.2, 0.7, 0.1],
        [0.1, 0.8, 0.1],
        [0.0, 0.95, 0.05],
        [0.1, 0.2, 0.7],
        [0.3, 0.3, 0.4],
        [0.5, 0.1, 0.4],
    ]
    return _make_table(
        "multiclass", [0, 0, 0, 1, 1, 2, 2, 2], scores, classes=("daisy", "rose", "tulip")
    )
