"""RGB pixels, and images of Pillow, to the bytes of a file."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin, PngImagePlugin

REGISTERED = (JpegImagePlugin, PngImagePlugin)  # so that Pillow never loads all the others
PillowImage = Image.Image
_AS_PNG = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})  # modes that PNG can hold


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


def encode_image(image: PillowImage) -> bytes:
    """Return an image of Pillow as a PNG file that is decoded to the same, EXIF turning included.

    Raises:
        ValueError: it is of mode F, whose range is not known.
    """
    if image.mode == "F":
        raise ValueError("of Pillow's mode F, whose range is not known")
    held = image if image.mode in _AS_PNG else image.convert("RGB")
    buffer = io.BytesIO()
    held.save(buffer, "PNG", exif=image.getexif(), compress_level=1)
    return buffer.getvalue()
