"""The one table that every number and page comes from."""

from dataclasses import dataclass

import numpy as np

from saccade.data.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """One row a picture, N rows.

    `truth` is as in `Task` (int64 (N,), uint8 (N, K) or float64 (N,)); None where no label is
    known. `scores` is float64 as `Task.scores` returns it.
    """

    task: Task
    paths: tuple[str, ...]
    hashes: tuple[str, ...]
    parts: tuple[str, ...]
    truth: np.ndarray | None
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)
