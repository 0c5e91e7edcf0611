"""Pictures whose meaning a mirror changes, or does not: made up, without files."""

from typing import Any

import numpy as np

from saccade.data.preprocess import Preprocess
from saccade.data.task import Task
from saccade.training.material import Material
from saccade.training.probe import Sample, draw_sample

SIDE = 40
PREPROCESS = Preprocess(size_px=32, crop_fraction=0.8)  # canvas 40
SIDES = Task(kind="binary", classes=("left", "right"))


class Canvases:
    """As much of a pixel cache as is asked for."""

    def __init__(self, canvases_NHWC: np.ndarray, preprocess: Preprocess = PREPROCESS) -> None:
        self.own, self.preprocess = canvases_NHWC, preprocess

    def canvases(self, rows: Any) -> np.ndarray:
        return self.own[np.asarray(rows, np.int64)]


def pointers(num: int = 160, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return arrowheads of any colour on any ground, uint8 canvases, and 1 for those to the right.

    Their heights and sizes differ; turned upside down they point the same way.
    """
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    pictures = np.empty((num, SIDE, SIDE, 3))
    right = np.arange(num) % 2
    for number in range(num):
        ground = rng.integers(30, 226, 3)
        middle = SIDE / 2 + rng.uniform(-4, 4, 2)
        size = rng.uniform(8, 13)
        along = (columns - middle[1]) * (1 if right[number] else -1)
        inside = (np.abs(rows - middle[0]) < (size - along) / 2) & (along > -size)
        ink = (ground + rng.integers(70, 130, 3)) % 256
        pictures[number] = np.where(inside[:, :, None], ink, ground)
    pictures += rng.normal(0, 8, pictures.shape)
    return pictures.clip(0, 255).astype(np.uint8), right


def blobs(num: int = 160, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return a bright spot anywhere, uint8 canvases, and where it is: x and y, -1 to 1."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(-1, 1, (num, 2))
    rows, columns = np.mgrid[:SIDE, :SIDE]
    middle = SIDE / 2 - 0.5 + 12 * places
    distance = (columns - middle[:, 0, None, None]) ** 2 + (rows - middle[:, 1, None, None]) ** 2
    pictures = 60 + 150 * np.exp(-distance / 40) + rng.normal(0, 8, (num, SIDE, SIDE))
    return np.repeat(pictures.clip(0, 255).astype(np.uint8)[..., None], 3, axis=3), places


def sample_of(targets: np.ndarray, task: Task, *, seed: int = 0) -> Sample:
    """Return all pictures, in folds."""
    num = len(targets)
    sample = draw_sample(range(num), targets, [""] * num, task=task, num=num, seed=seed)
    assert sample is not None
    return sample


def material(pictures: np.ndarray, targets: np.ndarray, task: Task) -> Material:
    """Return all but every fifth picture to learn from, and the others to be judged by."""
    cache: Any = Canvases(pictures)
    num = len(targets)
    return Material(
        cache=cache,
        targets=targets,
        train_rows=[row for row in range(num) if row % 5],
        validation_rows=list(range(0, num, 5)),
        task=task,
    )
