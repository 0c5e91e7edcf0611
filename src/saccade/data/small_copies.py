"""Small copies of all pictures, held in memory: enough for networks that learn from scratch."""

from collections.abc import Sequence

import numpy as np

from saccade.data.ahead import in_order
from saccade.data.cache import PixelCache
from saccade.data.looks import area_weights
from saccade.data.preprocess import Preprocess

CHUNK_BYTES = 4_000_000  # of canvases in a work item, so that memory stays flat


class SmallCopies(PixelCache):
    """Canvases in memory, uint8 (N, side, side, 3); what else takes a cache takes it too."""

    def __init__(self, canvases_NHWC: np.ndarray, *, preprocess: Preprocess) -> None:
        nowhere = np.zeros(len(canvases_NHWC), np.int32)
        super().__init__([], nowhere, nowhere, preprocess=preprocess)
        self._held = canvases_NHWC

    def canvases(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the canvases of some rows, uint8 (B, side, side, 3)."""
        found: np.ndarray = self._held[np.asarray(rows, dtype=np.int64)]
        return found


def small_copies(cache: PixelCache, *, preprocess: Preprocess, threads: int = 0) -> SmallCopies:
    """Return every picture at the size of `preprocess`, by averaging over areas.

    The central square that a network is given is what is made small, its rim left out.

    Args:
        cache: the canvases of all pictures.
        preprocess: whose `size_px` is the side of the copies.
        threads: 0 = one a core.

    Raises:
        DataError, ResourceError: as `PixelCache.canvases`.
    """
    num, side = len(cache), preprocess.size_px
    size = max(1, CHUNK_BYTES // cache.preprocess.canvas_bytes)
    chunks = [range(start, min(start + size, num)) for start in range(0, num, size)]
    copies = np.empty((num, side, side, 3), np.uint8)

    def work(rows: Sequence[int]) -> np.ndarray:
        return averaged(cache.preprocess.centre(cache.canvases(rows)), side)

    for rows, small in zip(chunks, in_order(work, chunks, threads=threads), strict=True):
        copies[rows.start : rows.stop] = small
    return SmallCopies(copies, preprocess=preprocess)


def averaged(pixels_BHWC: np.ndarray, side: int) -> np.ndarray:
    """Return pictures at `side` pixels, uint8, each the mean of the area it stands for.

    >>> averaged(np.array([[[[0], [10]], [[20], [30]]]], np.uint8), 1).tolist()
    [[[[15]]]]
    """
    whole, rest = divmod(pixels_BHWC.shape[1], side)
    if rest or not 0 < whole <= 16:  # of which 16 bits hold the sum
        weights = area_weights(pixels_BHWC.shape[1], side)
        found = np.einsum("sh,bhwc->bswc", weights, pixels_BHWC.astype(np.float32), optimize=True)
        found = np.einsum("sw,bhwc->bhsc", weights, found, optimize=True)
        return np.asarray(np.floor(found + 0.5), np.uint8)
    cells = pixels_BHWC.reshape(len(pixels_BHWC), side, whole, side, whole, -1)
    sums = np.add.reduce(np.add.reduce(cells, axis=2, dtype=np.uint16), axis=3, dtype=np.uint16)
    return np.asarray((sums + whole * whole // 2) // (whole * whole), np.uint8)
