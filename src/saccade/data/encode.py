"""RGB pixels to the bytes of a file."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin, PngImagePlugin

REGISTERED = (JpegImagePlugin, PngImagePlugin)  # so that Pillow never loads all the others


def encode_jpeg(pixels_HWC: NDArray[np.uint8], quality: int = 85) -> bytes:
    """Return the picture as a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels_HWC).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def encode_png(pixels_HWC: NDArray[np.uint8], *, quickly: bool = False) -> bytes:
    """Return the picture, (H, W) or (H, W, C), as a PNG file, without loss."""
    buffer = io.BytesIO()
    Image.fromarray(pixels_HWC).save(buffer, "PNG", compress_level=1 if quickly else 6)
    return buffer.getvalue()
