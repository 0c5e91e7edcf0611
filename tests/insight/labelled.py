"""Evidence about small folders whose pictures are known better than their labels say."""

import csv
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from saccade.data.task import Task
from saccade.evaluation.predictions import Predictions
from saccade.insight.evidence import Evidence
from saccade.lesson import Lesson, look
from saccade.runtime.progress import Progress
from saccade.training.recipe import Recipe

CLASSES = ("daisy", "rose", "tulip")


def write_pictures(folder: Path, labels: Sequence[str], *, same: Mapping[int, int] = {}) -> Path:
    """Write root/<label>/<number>.png, each of its own pixels; `same` makes copies of others."""
    for number, label in enumerate(labels):
        (folder / label).mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(same.get(number, number))
        pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / label / f"{number:03}.png")
    return folder


def taught(folder: Path, **choices: Any) -> Lesson:
    recipe = Recipe(data=str(folder), **choices)
    return look(recipe, str(folder), None, progress=Progress())


def numbers(lesson: Lesson) -> np.ndarray:
    """The number in each picture's name, whatever folder it lies in."""
    return np.array([int(Path(path).stem) for path in lesson.catalog.paths])


def features_of(truth_N: np.ndarray, *, width: int = 12, seed: int = 0) -> np.ndarray:
    """Features that tell what a picture shows, or the number that it should have."""
    rng = np.random.default_rng(seed)
    if np.issubdtype(truth_N.dtype, np.floating):
        shown_ND = np.outer(truth_N, rng.normal(0, 1, width))
        return (shown_ND + rng.normal(0, 0.3, shown_ND.shape)).astype(np.float32)
    marks_NK = truth_N if truth_N.ndim == 2 else np.eye(truth_N.max() + 1)[truth_N]
    shown_ND = marks_NK @ rng.normal(0, 3, (marks_NK.shape[1], width))
    return (shown_ND + rng.normal(0, 1, shown_ND.shape)).astype(np.float32)


def evidence_of(lesson: Lesson, features_ND: np.ndarray | None) -> Evidence:
    nothing: Any = None
    return Evidence(
        recipe=lesson.recipe,
        catalog=lesson.catalog,
        task=lesson.task,
        split=lesson.split,
        targets=lesson.truth,
        cache=lesson.cache,
        looks=nothing,
        twins=lesson.twins,
        features_ND=features_ND,
        features_name="made_up",
    )


def answered(evidence: Evidence, scores: np.ndarray) -> Evidence:
    """Return the evidence at the end of a run whose network said this."""
    table = Predictions(
        task=evidence.task,
        paths=evidence.catalog.paths,
        hashes=evidence.catalog.hashes,
        parts=evidence.split.parts,
        truth=np.asarray(evidence.targets),
        scores=scores,
    )
    return dataclasses.replace(evidence, table=table)


def sure_of(truth_N: np.ndarray, task: Task, *, sure: float = 0.9) -> np.ndarray:
    """Scores of a network that knows what every picture shows."""
    rest = (1 - sure) / (len(task.classes) - 1)
    return np.where(np.eye(len(task.classes))[truth_N] == 1, sure, rest)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path
