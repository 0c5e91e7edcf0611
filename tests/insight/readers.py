"""Networks that look at one thing only, so that what a disturbance does to them is known."""

from collections.abc import Callable
from typing import Any

import numpy as np
from tests.insight.clouds import evidence_of
from tests.training.pointers import PREPROCESS, SIDE, Canvases

from saccade.data.task import Task
from saccade.insight.evidence import Ask, Evidence

LIGHT = Task(kind="binary", classes=("dark", "light"))
DARK, BRIGHT, BETWEEN = 80, 160, 110


def gray(num: int = 140) -> tuple[np.ndarray, np.ndarray]:
    """Return plain gray canvases, alternately dark and light, and 1 for the light ones."""
    light = np.arange(num) // 7 % 2
    level = np.where(light == 1, BRIGHT, DARK).astype(np.uint8)
    return np.tile(level[:, None, None, None], (1, SIDE, SIDE, 3)), light


def seen(canvases: np.ndarray) -> np.ndarray:
    return PREPROCESS.centre(canvases).astype(np.float64)


def reads_light(canvases: np.ndarray) -> np.ndarray:
    """Return a logit above 0 where the picture is lighter than between dark and light."""
    return (seen(canvases).mean(axis=(1, 2, 3)) - BETWEEN)[:, None].astype(np.float32)


def reads_side(canvases: np.ndarray) -> np.ndarray:
    """Return a logit above 0 where the right half is the lighter one."""
    pixels = seen(canvases).mean(axis=3)
    half = pixels.shape[2] // 2
    return (pixels[:, :, half:].mean(axis=(1, 2)) - pixels[:, :, :half].mean(axis=(1, 2)))[:, None]


def reads_nothing(canvases: np.ndarray) -> np.ndarray:
    return np.ones((len(canvases), 1), np.float32)


class Catalog:
    def __init__(self, num: int) -> None:
        self.paths = tuple(f"pictures/{number:03}.png" for number in range(num))


def evidence(
    canvases: np.ndarray,
    targets: np.ndarray,
    network: Callable[[np.ndarray], np.ndarray] = reads_light,
    *,
    task: Task = LIGHT,
    frozen: Ask | None = None,
    **facts: Any,
) -> Evidence:
    """Return evidence of a network that ships, and perhaps of a frozen one, on some canvases."""
    logits = np.asarray(network(canvases), np.float32)
    return evidence_of(
        frozen(canvases) if frozen else None,
        targets,
        task,
        cache=Canvases(canvases),
        catalog=Catalog(len(targets)),
        logits_NK=logits,
        final_engine=network,
        frozen_engine=frozen,
        **facts,
    )
