"""Pillow's antialiased filters in a fifth of the time; the only place that knows cykooz-resizer.

Resizing took more than half of the time in which a picture is decoded. The filters are Pillow's
(bilinear, bicubic with a = -0.5, lanczos with three lobes), the rows first and then the columns,
rounded to eight bits between. From Pillow's two passes the pixels are 2 of 255 apart at most, in
a third of a percent of them 1. In whole numbers, so that every processor gives the same.
Source: measured, docs/log.md.

Pillow before 13 makes its passes in that order too; since then it begins with the columns of some
pictures (higher than about twice their width), which is up to 26 of 255 apart in noise.
"""

import importlib.metadata
import math
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

try:
    import cykooz_resizer as cykooz
except ImportError:  # no wheel for Linux on ARM
    cykooz = None

VERSION = f", cykooz-resizer {importlib.metadata.version('cykooz-resizer')}" if cykooz else ""

# Filter -> its name there, and how far it reaches, in pixels of the smaller picture.
_FILTERS = {"bilinear": ("bilinear", 1), "bicubic": ("catmull_rom", 2), "lanczos": ("lanczos3", 3)}


class _Own(threading.local):
    """A resizer for each thread; each keeps its own memory."""

    def __init__(self) -> None:
        self.resizer: Any = cykooz.Resizer() if cykooz else None


_OWN = _Own()


def can(interpolation: str) -> bool:
    """Say whether `resample` knows this filter here; Pillow resizes all others."""
    return cykooz is not None and interpolation in _FILTERS


def resample(
    pixels_HWC: NDArray[np.uint8],
    *,
    size_hw: tuple[int, int],
    interpolation: str,
    box: tuple[float, float, float, float],
) -> NDArray[np.uint8]:
    """Return a piece of a picture at another size, uint8 RGB (height, width, 3).

    Args:
        pixels_HWC: uint8 RGB.
        size_hw: height and width wanted, in pixels.
        interpolation: one that `can` says yes to.
        box: left, top, right and bottom of the piece, in pixels. What lies beside it is looked
            at, as far as the filter reaches, as Pillow does.
    """
    name, _ = _FILTERS[interpolation]
    algorithm = cykooz.ResizeAlg.convolution(cykooz.FilterType[name])
    (height, width), (left, top, right, bottom) = size_hw, box
    rows = needed(top, bottom, height, interpolation, pixels_HWC.shape[0])
    columns = needed(left, right, width, interpolation, pixels_HWC.shape[1])
    piece = pixels_HWC[rows, columns]
    image = cykooz.ImageData(*piece.shape[1::-1], cykooz.PixelType.U8x3, piece.tobytes())
    image = _pass(image, algorithm, width, left - columns.start, right - columns.start, "across")
    image = _pass(image, algorithm, height, top - rows.start, bottom - rows.start, "down")
    return np.frombuffer(image.get_buffer(), np.uint8).reshape(height, width, 3)


def needed(first: float, last: float, num: int, interpolation: str, side: int) -> slice:
    """Return the pixels of one side that `num` pixels made of first…last look at, and a few."""
    _, reach = _FILTERS.get(interpolation, ("nearest", 1))
    far = reach * max((last - first) / num, 1.0) + 1
    return slice(max(math.floor(first - far), 0), min(math.ceil(last + far), side))


def _pass(image: Any, algorithm: Any, num: int, first: float, last: float, way: str) -> Any:  # noqa: ANN401 - without types
    """Return `num` pixels made of first…last, along one side of the image."""
    width, height = image.width, image.height
    side = width if way == "across" else height
    length = min(last, side) - first
    while first + length > side:  # by rounding; it would be refused
        length = math.nextafter(length, 0)
    if (first, length, num) == (0, side, side):
        return image
    size: tuple[int, int]
    piece: tuple[float, ...]
    if way == "across":
        size, piece = (num, height), (first, 0, length, height)
    else:
        size, piece = (width, num), (0, first, width, length)
    out = cykooz.ImageData(*size, cykooz.PixelType.U8x3)
    options = cykooz.ResizeOptions(
        resize_alg=algorithm, use_alpha=False, crop_box=cykooz.CropBox(*piece)
    )
    _OWN.resizer.resize(image, out, options)
    return out
