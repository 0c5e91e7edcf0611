"""Small pictures for the page: chosen, shrunk and encoded within a budget of bytes."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from saccade.data.decode import resize
from saccade.data.encode import encode_jpeg
from saccade.reporting.facts import Picture
from saccade.runtime.store import encode_name

Look = Callable[[str], NDArray[np.uint8] | None]
"From a picture's path to its pixels as the network sees them; None where the file is gone."

T = TypeVar("T")
SIDE_PX = 144
QUALITY = 82
MAX_PAGE_PICTURE_BYTES = 2_400_000
"All pictures of a page together: 3.2 MB as base64, of the 5 MB that a page may have."


class Album:
    """Makes the pictures of one page and counts their bytes.

    A path is looked up once, however often it is shown. When the budget is spent, further
    pictures come back empty, and `num_left_out` says how many.
    """

    def __init__(self, look: Look, *, max_bytes: int = MAX_PAGE_PICTURE_BYTES) -> None:
        self._look = look
        self._left = max_bytes
        self._known: dict[str, Picture] = {}
        self.num_left_out = 0
        self.num_gone = 0

    def picture(self, path: str) -> Picture:
        """Return the picture of a file, at most 144 px wide and high."""
        if path not in self._known:
            pixels = self._look(path)
            if pixels is None:
                self.num_gone += 1
                self._known[path] = Picture(
                    name=encode_name(path), jpeg=b"", width_px=SIDE_PX, height_px=SIDE_PX
                )
            else:
                self._known[path] = self.shown(pixels, name=encode_name(path))
        return self._known[path]

    def shown(self, pixels_HWC: NDArray[np.uint8], *, name: str) -> Picture:
        """Return pixels that lie in no file as a picture called `name`."""
        small = shrink(pixels_HWC, side_px=SIDE_PX)
        jpeg = encode_jpeg(small, quality=QUALITY)
        if len(jpeg) > self._left:
            self.num_left_out += 1
            jpeg = b""
        self._left -= len(jpeg)
        return Picture(name=name, jpeg=jpeg, width_px=small.shape[1], height_px=small.shape[0])


def shrink(pixels_HWC: NDArray[np.uint8], *, side_px: int) -> NDArray[np.uint8]:
    """Return the picture with its longer side at most `side_px`; small ones stay as they are."""
    height, width = pixels_HWC.shape[:2]
    scale = side_px / max(height, width)
    if scale >= 1:
        return pixels_HWC
    size_hw = (max(1, round(height * scale)), max(1, round(width * scale)))
    return resize(pixels_HWC, size_hw=size_hw, interpolation="bilinear")


def spread(rows: Sequence[T], limit: int) -> list[T]:
    """Return at most `limit` of the rows, evenly spread, the same ones every time.

    >>> spread(range(10), 4)
    [0, 2, 5, 7]
    """
    if len(rows) <= limit:
        return list(rows)
    return [rows[k * len(rows) // limit] for k in range(limit)]
