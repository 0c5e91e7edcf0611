"""What a frozen prefix says about each picture, computed once and kept for every epoch."""

import math
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from saccade.data.batches import batches
from saccade.data.cache import PixelCache
from saccade.models.cuts import Cut
from saccade.models.engine import Engine
from saccade.runtime.machine import let_go
from saccade.runtime.progress import Progress
from saccade.runtime.store import disk_error
from saccade.training.augment import Augmenter

IN_MEMORY_BYTES = 400_000_000
"""Activations beyond this lie in a file that the system pages in and out."""
_BYTES_AT_HAND = 64_000_000  # of such a file while it is filled; what is mapped counts as ours

_LARGEST_HALF = 6e4  # float16 ends at 65504


@dataclass(frozen=True, slots=True, kw_only=True)
class Activations:
    """One view of some pictures at one cut."""

    cut: Cut
    values: np.ndarray  # (M, *cut.shape), float32 (exact) or float16; of all rows: in their order
    place_N: np.ndarray  # int64: where a catalogue row lies in `values`; -1 = not held
    error: float  # largest rounding error, relative to the largest value; 0 in float32

    def of(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the activations of some rows, float32 (B, *shape), copied."""
        found: np.ndarray = self.values[self.places(rows)]
        return found.astype(np.float32, copy=False)

    def places(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return where some rows lie in `values`; raises LookupError where one is not held."""
        places: np.ndarray = self.place_N[np.asarray(rows, np.int64)]
        if missing := int((places < 0).sum()):  # -1 would be the last picture
            raise LookupError(f"activations of {missing} pictures are not held")
        return places


def compute(  # noqa: PLR0913 - what, of which pictures, by what, and where to keep it
    engine: Engine,
    cuts: Sequence[Cut],
    pixels: PixelCache,
    rows: Sequence[int],
    *,
    num_rows: int,
    view: int = 0,
    augmenter: Augmenter | None = None,
    folder: Path | None = None,
    progress: Progress,
    asked_to_stop: Callable[[], bool] = bool,
) -> tuple[Activations, ...] | None:
    """Return the activations of `rows` at each cut, all from one pass; None if asked to stop.

    View 0 is the picture as the network sees it when tested, kept in float32, so that answers
    computed from it are those of the network that ships. Any other view is one draw of the
    augmentation, the one that epoch `view` would see without a cache, kept in float16.

    Args:
        engine: of `cuts.Taps(network, cuts)`.
        cuts: in the order of the engine's answer.
        pixels: canvases of the pictures.
        rows: catalogue rows.
        num_rows: rows of the catalogue.
        view: 0, or the number of an augmented view.
        augmenter: needed for views other than 0.
        folder: where large activations are kept while they are needed.
        progress: is advanced by a picture at a time.
        asked_to_stop: asked between batches.
    """
    stores = [_Store(cut, len(rows), exact=view == 0, folder=folder) for cut in cuts]
    done = 0
    in_order = len(rows) == num_rows  # of the catalogue: then its row is also the place
    for piece, canvases in _read_ahead(pixels, rows, engine.batch, view, augmenter):
        answers = engine(canvases)
        places = piece if in_order else slice(done, done + len(piece))
        start = 0
        for store in stores:
            store.put(places, answers[:, start : start + store.width])
            start += store.width
        done += len(piece)
        progress.advance(len(piece))
        if asked_to_stop():
            return None
    place_N = np.full(num_rows, -1, np.int64)
    held = np.asarray(rows, np.int64)
    place_N[held] = held if in_order else np.arange(len(rows))
    return tuple(store.filled(place_N) for store in stores)


class _Store:
    """The activations at one cut while they are filled in."""

    def __init__(self, cut: Cut, num: int, *, exact: bool, folder: Path | None) -> None:
        self._cut, self._exact = cut, exact
        self.width = math.prod(cut.shape)
        self._values = _room(num, cut.shape, np.float32 if exact else np.float16, folder)
        self._largest = self._wrong = 0.0
        self._fresh = 0  # bytes that were written since they were last let go

    def put(self, places: np.ndarray | slice, answers_BX: np.ndarray) -> None:
        """Keep the activations of some pictures, (B, width)."""
        kept = answers_BX if self._exact else _halved(answers_BX)
        if not self._exact:
            self._largest = max(self._largest, _largest(answers_BX))
            self._wrong = max(self._wrong, _largest(answers_BX - kept.astype(np.float32)))
        self._values[places] = kept.reshape(len(kept), *self._cut.shape)
        self._fresh += kept.nbytes
        if self._fresh > _BYTES_AT_HAND:
            self._fresh = 0
            let_go(self._values)

    def filled(self, place_N: np.ndarray) -> Activations:
        """Return them all, now that each picture has its own."""
        let_go(self._values)
        error = float(self._wrong / max(self._largest, 1e-30))
        return Activations(cut=self._cut, values=self._values, place_N=place_N, error=error)


def _halved(values: np.ndarray) -> np.ndarray:
    return values.clip(-_LARGEST_HALF, _LARGEST_HALF).astype(np.float16)


def _largest(values: np.ndarray) -> float:
    return float(np.abs(values).max(initial=0))


def _read_ahead(
    pixels: PixelCache,
    rows: Sequence[int],
    size: int,
    view: int,
    augmenter: Augmenter | None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (rows, canvases) in order; the next canvases are read while the engine works."""

    def read(piece: np.ndarray) -> np.ndarray:
        canvases = pixels.canvases(piece)
        if view and augmenter is not None:
            changed = augmenter(canvases, piece, epoch=view).round().byte().cpu().numpy()
            pixels.preprocess.centre(canvases)[:] = changed
        return canvases

    pieces = list(batches(rows, size))
    with ThreadPoolExecutor(1) as reader:
        following = [reader.submit(read, piece) for piece in pieces[:1]]
        for number, piece in enumerate(pieces):
            canvases = following.pop().result()
            following = [reader.submit(read, one) for one in pieces[number + 1 : number + 2]]
            yield piece, canvases


def _room(num: int, shape: tuple[int, ...], kind: type, folder: Path | None) -> np.ndarray:
    """Return an array to fill: in memory, or in a nameless file that ends with the process."""
    if folder is None or num_bytes(num, shape, kind) <= IN_MEMORY_BYTES:
        return np.empty((num, *shape), kind)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            if hasattr(os, "posix_fallocate"):  # else a disk that fills up would kill the process
                os.posix_fallocate(file.fileno(), 0, num_bytes(num, shape, kind))
            return np.memmap(file, kind, "w+", shape=(num, *shape))
    except OSError as error:
        raise disk_error(error, folder) from error


def num_bytes(num: int, shape: Iterable[int], kind: type = np.float32) -> int:
    """Return the bytes that activations of `num` pictures take."""
    return num * math.prod(shape) * np.dtype(kind).itemsize


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewsOfPictures:
    """Every view of the training pictures at one cut; view 0 also of those that are judged."""

    cut: Cut
    views: tuple[Activations, ...]
    seed: int

    def drawn(self, rows: np.ndarray, *, draws: np.random.Generator) -> torch.Tensor:
        """Return activations for a step, float32 (B, …): for each picture one of its views."""
        if len(self.views) == 1:
            return self.plain(rows)
        chosen = draws.integers(len(self.views), size=len(rows))
        batch = np.empty((len(rows), *self.cut.shape), np.float32)
        for number, view in enumerate(self.views):
            own = chosen == number
            if own.any():
                batch[own] = view.of(rows[own])
        return as_tensor(batch)

    def plain(self, rows: Sequence[int] | np.ndarray) -> torch.Tensor:
        """Return the activations of pictures as they are, float32 (B, …)."""
        return as_tensor(self.views[0].of(rows))


def as_tensor(batch: np.ndarray) -> torch.Tensor:
    """Return activations as a tensor, pictures channels last, sharing memory where it can."""
    tensor = torch.from_numpy(batch)
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
