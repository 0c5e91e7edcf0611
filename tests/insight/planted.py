"""Pictures like photographs, with nothing to tell the classes by but what is planted in one."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from saccade.data.cache import empty_cache
from saccade.data.catalog import Catalog
from saccade.data.looks import Looks, corners_of, look_at_canvases
from saccade.data.split import Split
from saccade.data.task import Task
from saccade.evaluation.predictions import Predictions
from saccade.insight.evidence import Evidence
from saccade.training.recipe import Recipe

SIDE = 96


def photographs(num: int, *, seed: int, side: int = SIDE) -> np.ndarray:
    """Return uint8 (num, side, side, 3): noise whose amplitude falls with frequency, as in scenes.

    Each with its own light, contrast and colour. Source of the spectrum: D. J. Field (1987),
    J. Opt. Soc. Am. A 4: 2379-2394.
    """
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]) * side
    amplitude = 1 / np.maximum(frequency, 1) ** rng.uniform(1.0, 1.6, (num, 1, 1, 1))
    shape = (num, 3, side, side // 2 + 1)
    spectrum = (rng.normal(size=shape) + 1j * rng.normal(size=shape)) * amplitude
    scene = np.fft.irfft2(spectrum, s=(side, side))
    scene = 0.8 * scene.mean(axis=1, keepdims=True) + 0.2 * scene  # colours mostly go together
    scene = (scene - scene.mean(axis=(2, 3), keepdims=True)) / scene.std(
        axis=(1, 2, 3), keepdims=True
    )
    light = rng.normal(115, 25, (num, 1, 1, 1)) + rng.normal(0, 15, (num, 3, 1, 1))
    pixels = light + scene * rng.uniform(30, 60, (num, 1, 1, 1))
    return np.clip(pixels, 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


def bordered(pixels_NHWC: np.ndarray, *, px: int, colour: Sequence[int]) -> np.ndarray:
    """Return the pictures with a frame of one colour."""
    framed = pixels_NHWC.copy()
    for edge in (framed[:, :px], framed[:, -px:], framed[:, :, :px], framed[:, :, -px:]):
        edge[:] = colour
    return framed


def marked(
    pixels_NHWC: np.ndarray, *, text: str = "photo by A", opacity: float = 0.7
) -> np.ndarray:
    """Return the pictures with a small white text in the bottom right corner."""
    side = pixels_NHWC.shape[1]
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    _, _, right, bottom = draw.textbbox((0, 0), text)
    draw.text((side - right - 2, side - bottom - 2), text, fill=255)
    alpha = np.asarray(mask)[None, :, :, None] / 255 * opacity
    return (pixels_NHWC * (1 - alpha) + 255 * alpha).astype(np.uint8)


def brightened(pixels_NHWC: np.ndarray, *, by: int) -> np.ndarray:
    """Return the pictures lighter (or darker) by so many of 255."""
    return np.clip(pixels_NHWC.astype(np.int16) + by, 0, 255).astype(np.uint8)


def blurred(pixels_NHWC: np.ndarray, *, px: int) -> np.ndarray:
    """Return the pictures blurred by a box of so many pixels, twice, to all sides."""
    soft = pixels_NHWC.astype(np.float64)
    for axis in (1, 2, 1, 2):
        soft = np.mean([np.roll(soft, by, axis) for by in range(-px, px + 1)], axis=0)
    return soft.astype(np.uint8)


def looks_of(pixels_NHWC: np.ndarray) -> Looks:
    """Return the looks of canvases."""
    thumbs, measures = look_at_canvases(pixels_NHWC)
    return Looks(thumbs_NHW=thumbs, measures=measures, corners_NCHW=corners_of(pixels_NHWC))


def catalog_of(labels: Sequence[str], **columns: Any) -> Catalog:
    """Return a catalogue of pictures that lie in no file, all of one size unless told otherwise."""
    num = len(labels)
    paths = tuple(f"{label}/{row:05}.jpg" for row, label in enumerate(labels))
    own: dict[str, Any] = {
        "place": "planted", "layout": "", "source": SimpleNamespace(place="planted"),
        "paths": paths, "labels": tuple(labels), "label_columns": (), "parts": ("",) * num,
        "groups": ("",) * num, "hashes": tuple(map(str, range(num))),
        "num_bytes": np.full(num, 9000), "widths_px": np.full(num, 96, np.int32),
        "heights_px": np.full(num, 96, np.int32), "formats": ("JPEG",) * num,
        "skipped": (), "findings": (), "num_files": num,
    }  # fmt: skip
    return Catalog(**{**own, **columns})


def evidence_of(
    pixels_NHWC: np.ndarray,
    truth: np.ndarray,
    *,
    task: Task,
    accuracy: float | None = 0.9,
    seed: int = 0,
    catalog: Catalog | None = None,
    wrong_N: np.ndarray | None = None,
) -> Evidence:
    """Return what is known of a run on these pictures; `accuracy` of the network, None before it.

    60 % teach, 15 % choose and 25 % judge, drawn at random.
    """
    num = len(truth)
    rng = np.random.default_rng(seed)
    parts = np.repeat(["train", "validation", "test"], [num * 60 // 100, num * 15 // 100, num])[
        :num
    ]
    parts = tuple(rng.permutation(parts).tolist())
    names = (
        [task.classes[int(own)] for own in truth] if task.classes else [str(own) for own in truth]
    )
    own = catalog or catalog_of(names)
    table = None
    if accuracy is not None or wrong_N is not None:
        wrong = rng.random(num) > accuracy if wrong_N is None else wrong_N
        said = np.where(wrong, (truth + 1) % len(task.classes), truth)
        table = Predictions(
            task=task, paths=own.paths, hashes=own.hashes, parts=parts, truth=truth,
            scores=np.eye(len(task.classes))[said],
        )  # fmt: skip
    return Evidence(
        recipe=Recipe(), catalog=own, task=task, targets=truth, cache=empty_cache(),
        looks=looks_of(pixels_NHWC), table=table,
        split=Split(parts=parts, groups=("",) * num, why=("",) * num, seed=0),
    )  # fmt: skip
