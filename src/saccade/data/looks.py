"""What each picture looks like in a few numbers and a thumbnail, for everything that compares."""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from saccade.data.ahead import in_order
from saccade.runtime.machine import one_blas_thread
from saccade.runtime.progress import Progress

if TYPE_CHECKING:
    from saccade.data.cache import PixelCache  # brings Pillow, which judging a table needs not

THUMB_PX = 32
CORNER_PX = 16
CORNER_CELLS = 4 * CORNER_PX  # of which a side is made up; a corner is a quarter of it
CHUNK_BYTES = 4_000_000  # of canvases in a work item, so that memory stays flat
LUMA = (0.299, 0.587, 0.114)
"""What red, green and blue give to gray. Source: ITU-R BT.601."""

MEASURES = (
    "brightness", "contrast", "sharpness", "saturation", "red", "green", "blue",
    "border_brightness", "border_contrast", "border_red", "border_green", "border_blue",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """A thumbnail and some measures of every picture, in the order of the catalogue.

    Of the whole canvas, rim included. All measures but sharpness are taken on the thumbnail (in
    colour), so that they speak of what fills a picture, not of its texture or its noise:

    * brightness, red, green, blue: means, 0 (black) to 1;
    * contrast: standard deviation of the gray values, 0 (flat) to 1 (half black, half white);
    * saturation: mean of (largest - smallest) / largest of the three colours, 0 (gray) to 1;
    * border_…: the same of the outermost ring of the thumbnail, a 32nd of the side wide;
    * sharpness: standard deviation of the Laplacian of the canvas in gray, as a share of the gray
      range: near 0 where blurred. It depends on the size of the canvas, and noise raises it: good
      for ranking the pictures of one cache, not for comparing two.

    Source of the sharpness: J. L. Pech-Pacheco et al. (2000), Diatom autofocusing in brightfield
    microscopy, ICPR 3: 314-317 (the variance of the Laplacian; here its root).
    """

    thumbs_NHW: NDArray[np.uint8]  # gray, area-averaged, (N, THUMB_PX, THUMB_PX)
    measures: Mapping[str, NDArray[np.float64]]  # each (N,), by the names in MEASURES
    corners_NCHW: NDArray[np.uint8] | None = None
    """The corners twice as fine, gray, (N, 4, CORNER_PX, CORNER_PX): top left, top right, bottom
    left, bottom right, a quarter of the side each. For marks that stand there, such as writing."""

    def __len__(self) -> int:
        return len(self.thumbs_NHW)

    def only(self, rows: Sequence[int]) -> "Looks":
        """Return the looks of some of these pictures."""
        kept = np.asarray(rows, np.int64)
        return Looks(
            thumbs_NHW=self.thumbs_NHW[kept],
            measures={name: values[kept] for name, values in self.measures.items()},
            corners_NCHW=None if self.corners_NCHW is None else self.corners_NCHW[kept],
        )


def look_at(cache: "PixelCache", *, progress: Progress | None = None, threads: int = 0) -> Looks:
    """Return the looks of every picture of a cache; its canvases are read once, some at a time.

    Args:
        cache: of the catalogue's pictures; an empty one gives empty looks.
        progress: is told how far it is.
        threads: 0 = one a core.

    Raises:
        DataError, ResourceError: as `PixelCache.canvases`.
    """
    progress = progress or Progress()
    num = len(cache)
    size = max(1, CHUNK_BYTES // cache.preprocess.canvas_bytes)
    chunks = [range(start, min(start + size, num)) for start in range(0, num, size)]
    thumbs_NHW = np.empty((num, THUMB_PX, THUMB_PX), np.uint8)
    corners_NCHW = np.empty((num, 4, CORNER_PX, CORNER_PX), np.uint8)
    measures = {name: np.empty(num) for name in MEASURES}

    def work(
        rows: Sequence[int],
    ) -> tuple[NDArray[np.uint8], dict[str, NDArray[np.float64]], NDArray[np.uint8]]:
        canvases = cache.canvases(rows)
        return *look_at_canvases(canvases), corners_of(canvases)

    progress.start("Comparing the looks of the pictures", num, "pictures")
    with one_blas_thread():  # the threads here are enough
        found = in_order(work, chunks, threads=threads)
        for rows, (own_BHW, values, corners_BCHW) in zip(chunks, found, strict=True):
            thumbs_NHW[rows.start : rows.stop] = own_BHW
            corners_NCHW[rows.start : rows.stop] = corners_BCHW
            for name, value in values.items():
                measures[name][rows.start : rows.stop] = value
            progress.advance(len(rows))
    return Looks(thumbs_NHW=thumbs_NHW, measures=measures, corners_NCHW=corners_NCHW)


def look_at_canvases(
    canvases_BHWC: NDArray[np.uint8],
) -> tuple[NDArray[np.uint8], dict[str, NDArray[np.float64]]]:
    """Return thumbnails, uint8 (B, THUMB_PX, THUMB_PX), and measures, each (B,), of canvases."""
    small_BHWC = np.stack([_averaged(canvas) for canvas in canvases_BHWC]) / 255.0
    gray_BHW = small_BHWC @ np.asarray(LUMA)
    rim = np.ones((THUMB_PX, THUMB_PX), np.bool_)
    rim[1:-1, 1:-1] = False
    red, green, blue = np.moveaxis(small_BHWC, 3, 0)
    most = np.maximum(np.maximum(red, green), blue)
    least = np.minimum(np.minimum(red, green), blue)
    values = {
        **_tones(gray_BHW.reshape(len(gray_BHW), -1), small_BHWC, prefix=""),
        **_tones(gray_BHW[:, rim], small_BHWC[:, rim], prefix="border_"),
        "saturation": ((most - least) / np.maximum(most, 1 / 255)).mean(axis=(1, 2)),
        "sharpness": np.array([_sharpness(canvas) for canvas in canvases_BHWC]),
    }
    thumbs_BHW = np.floor(gray_BHW * 255 + 0.5).astype(np.uint8)
    return thumbs_BHW, values


def corners_of(canvases_BHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the four corners of canvases in gray, uint8 (B, 4, CORNER_PX, CORNER_PX)."""
    side = canvases_BHWC.shape[1]
    weights = area_weights(side, CORNER_CELLS)[:CORNER_PX]
    reach = int(np.flatnonzero(weights.any(axis=0))[-1]) + 1  # pixels that a corner touches
    near, far = weights[:, :reach], weights[::-1, :reach][:, ::-1]
    found = np.empty((len(canvases_BHWC), 4, CORNER_PX, CORNER_PX), np.uint8)
    for number, canvas in enumerate(canvases_BHWC):
        for place in range(4):
            bottom, right = divmod(place, 2)
            rows = slice(side - reach, None) if bottom else slice(reach)
            columns = slice(side - reach, None) if right else slice(reach)
            gray = canvas[rows, columns] @ np.asarray(LUMA, np.float32)
            averaged = (far if bottom else near) @ gray @ (far if right else near).T
            found[number, place] = np.floor(averaged + 0.5)
    return found


def _tones(
    gray_BN: NDArray[np.float64], colours: NDArray[np.float64], *, prefix: str
) -> dict[str, NDArray[np.float64]]:
    """Return brightness, contrast and the mean of each colour; `colours` is (B, …, 3)."""
    found = {
        f"{prefix}brightness": gray_BN.mean(axis=1),
        f"{prefix}contrast": 2 * gray_BN.std(axis=1),  # half black, half white: 0.5
    }
    means_BC = colours.mean(axis=tuple(range(1, colours.ndim - 1)))
    for channel, name in enumerate(("red", "green", "blue")):
        found[f"{prefix}{name}"] = means_BC[:, channel]
    return found


def _averaged(canvas_HWC: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return a canvas at THUMB_PX by area averaging, (THUMB_PX, THUMB_PX, 3), 0…255."""
    side = len(canvas_HWC)
    weights = area_weights(side, THUMB_PX)
    flat = canvas_HWC.reshape(side, -1)
    whole, rest = divmod(side, THUMB_PX)
    if rest or whole > 257:  # of which 16 bits hold the sum
        rows = weights @ flat.astype(np.float32)
    else:  # cells of whole pixels, ten times as fast
        sums = np.add.reduce(flat.reshape(THUMB_PX, whole, -1), axis=1, dtype=np.uint16)
        rows = sums.astype(np.float32) / np.float32(whole)
    return (weights @ rows.reshape(THUMB_PX, side, 3)).astype(np.float64)


@functools.cache
def area_weights(side: int, cells: int) -> NDArray[np.float32]:
    """Return which share of each of `side` pixels lies in each cell, (cells, side), rows 1."""
    edges = np.linspace(0, side, cells + 1)
    pixels = np.arange(side)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return (overlap.clip(0) * cells / side).astype(np.float32)


def _sharpness(canvas_HWC: NDArray[np.uint8]) -> float:
    """Return the standard deviation of the Laplacian of (red + green + blue) / 3, of 1."""
    side = len(canvas_HWC)
    if side < 3:
        return 0.0
    wide = canvas_HWC.reshape(side, -1).astype(np.int16)
    sums = wide[:, :-2] + wide[:, 1:-1]  # of neighbours in memory: quicker than strided channels
    sums += wide[:, 2:]
    gray = np.ascontiguousarray(sums[:, ::3])
    laplacian = -4 * gray[1:-1, 1:-1]
    for neighbour in (gray[:-2, 1:-1], gray[2:, 1:-1], gray[1:-1, :-2], gray[1:-1, 2:]):
        laplacian += neighbour
    values = laplacian.astype(np.float32).ravel()
    variance = float(values @ values) / len(values) - float(values.mean()) ** 2
    return math.sqrt(max(variance, 0.0)) / (3 * 255)
