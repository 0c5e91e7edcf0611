"""Every picture decoded once: a memory-mapped block of uint8 canvases."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from saccade.data.catalog import Catalog
from saccade.data.decode import decode
from saccade.data.preprocess import Preprocess
from saccade.runtime.errors import DataError, ResourceError
from saccade.runtime.machine import num_cores
from saccade.runtime.progress import Progress
from saccade.runtime.store import disk_error, encode_name, free_bytes


def cache_folder() -> Path:
    """Return where caches live: SACCADE_CACHE, else the user's cache folder."""
    if own := os.environ.get("SACCADE_CACHE"):
        return Path(own)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "saccade"


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelCache:
    """Canvases uint8 (M, canvas, canvas, 3), one a position of the scan's candidate list.

    `positions[row]` is where the picture of a catalogue's row lies; positions of pictures that
    could not be read stay empty and are never asked for.
    """

    canvases_MHWC: np.ndarray
    positions: np.ndarray  # int64 (N,)
    preprocess: Preprocess

    def canvases(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the canvases of some rows, uint8 (B, canvas, canvas, 3), copied to memory."""
        return np.asarray(self.canvases_MHWC[self.positions[np.asarray(rows, dtype=np.int64)]])

    def as_seen(self, row: int) -> np.ndarray:
        """Return one picture as the network sees it, uint8 (size, size, 3)."""
        seen: np.ndarray = self.preprocess.centre(self.canvases([row]))[0]
        return seen


class CacheWriter:
    """Takes pictures from the scan's threads and lays their canvases into one file.

    Use as a context; the file lives in a folder of its own that is removed at the end.
    """

    def __init__(self, preprocess: Preprocess) -> None:
        self.preprocess = preprocess
        self._folder: Path | None = None
        self._canvases: np.ndarray | None = None

    def __enter__(self) -> "CacheWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._canvases = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def allocate(self, num: int) -> None:
        """Make room for `num` pictures.

        Raises:
            ResourceError: the disk has no room for them; the sentence gives needed and free MB.
        """
        side = self.preprocess.canvas_px
        parent = cache_folder()
        needed = num * side * side * 3
        if needed > (free := free_bytes(parent)):
            raise ResourceError(
                f"The decoded pictures need {needed / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB "
                "are free.",
                code="402",
                where=str(parent),
                fix="free some space, choose a smaller --img-size, or name another disk with "
                "the environment variable SACCADE_CACHE",
            )
        try:
            parent.mkdir(parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(prefix="pixels-", dir=parent))
            path = self._folder / "canvases.u8"
            with path.open("wb") as file:
                if needed:  # reserved now, so that a full disk is met here and not as SIGBUS
                    os.posix_fallocate(file.fileno(), 0, needed)
        except OSError as error:
            raise disk_error(error, parent) from error
        shape = (num, side, side, 3)
        self._canvases = np.memmap(path, np.uint8, "r+", shape=shape) if num else np.zeros(shape)

    def visit(self, position: int, pixels_HWC: np.ndarray) -> None:
        """Keep the canvas of one picture; called from several threads, each its own position."""
        if self._canvases is not None:
            self._canvases[position] = self.preprocess.to_canvas(pixels_HWC)

    def finish(self, positions: Sequence[int]) -> PixelCache:
        """Return the cache, rows in the order of `positions`."""
        canvases = self._canvases if self._canvases is not None else np.zeros((0, 1, 1, 3))
        return PixelCache(
            canvases_MHWC=canvases,
            positions=np.asarray(positions, dtype=np.int64),
            preprocess=self.preprocess,
        )


def empty_cache() -> PixelCache:
    """Return a cache of no pictures."""
    return PixelCache(
        canvases_MHWC=np.zeros((0, 1, 1, 3), np.uint8),
        positions=np.zeros(0, np.int64),
        preprocess=Preprocess(size_px=1),
    )


def fill(
    writer: CacheWriter,
    catalog: Catalog,
    *,
    progress: Progress | None = None,
    threads: int = 0,
) -> None:
    """Give a writer the pictures of a catalogue that was scanned before, decoding them again.

    Raises:
        DataError: a picture is gone, or is not the one that was scanned (E345).
    """
    progress = progress or Progress()
    progress.start("decode", len(catalog), "pictures")
    writer.allocate(max(catalog.positions, default=-1) + 1)

    def keep(row: int) -> None:
        content = catalog.read(row)
        if hashlib.sha256(content).hexdigest() != catalog.hashes[row]:
            raise DataError(
                "A picture has changed since the folder was scanned.",
                code="345",
                where=f"{catalog.place}/{encode_name(catalog.paths[row])}",
                fix="scan again",
            )
        writer.visit(catalog.positions[row], decode(content).pixels_HWC)

    with ThreadPoolExecutor(threads or num_cores()) as pool:
        for _ in pool.map(keep, range(len(catalog))):
            progress.advance()
