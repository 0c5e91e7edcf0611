"""Changed pictures, small enough to be kept in trust.json: a page written later needs no torch."""

import base64

import numpy as np

from saccade.data.decode import resize
from saccade.data.encode import encode_jpeg

SIDE_PX = 112
QUALITY = 80


def thumbnail(pixels_HWC: np.ndarray) -> str:
    """Return a square picture, uint8, as a JPEG of at most 112 px in base64."""
    pixels = np.ascontiguousarray(pixels_HWC)
    if len(pixels) > SIDE_PX:
        pixels = resize(pixels, size_hw=(SIDE_PX, SIDE_PX), interpolation="bilinear")
    return base64.b64encode(encode_jpeg(pixels, quality=QUALITY)).decode()
