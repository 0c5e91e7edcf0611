"""Pictures that a program holds: Pillow's, NumPy's, or the bytes of a file.

They take the way of every other picture, as lossless PNG, so that the answer is that to a file
with the same pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from saccade.data.catalog import Candidate, Listing, Skipped
from saccade.data.decode import PillowImage, Unreadable, decode_image
from saccade.data.encode import encode_png
from saccade.runtime.errors import UsageError

Picture: TypeAlias = PillowImage | np.ndarray | bytes
KINDS = (PillowImage, np.ndarray, bytes)
CHANNELS = (3, 4)  # RGB, RGBA


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySource:
    """The bytes of pictures by their names."""

    content_of: Mapping[str, bytes] = field(repr=False)
    place: str = "memory"

    def read(self, key: str) -> bytes:
        """Return the bytes of one picture."""
        return self.content_of[key]


def list_pictures(pictures: Sequence[Picture]) -> Listing:
    """Return pictures that a program holds as what may be scanned, called 0, 1, … in their order.

    What cannot be loaded is among the skipped, as a file would be.

    Args:
        pictures: of Pillow, turned by their EXIF data as a file would be; of NumPy uint8 (H, W),
            (H, W, 3) in RGB or (H, W, 4) in RGBA, 0 to 255; or the bytes of a file.

    Raises:
        UsageError: an array of another kind (E239).
    """
    names = tuple(map(str, range(len(pictures))))
    contents, skipped = {}, []
    for name, picture in zip(names, pictures, strict=True):
        try:
            contents[name] = _content(picture)
        except Unreadable as no:
            skipped.append(Skipped(path=name, reason=no.reason, sentence=no.sentence))
    return Listing(
        place="memory",
        layout="pictures in memory",
        source=MemorySource(content_of=contents),
        candidates=tuple(Candidate(path=name) for name in contents),
        skipped=tuple(skipped),
        asked=names,
    )


def _content(picture: Picture) -> bytes:
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, np.ndarray):
        _check(picture)
        return encode_png(picture, quickly=True)
    return encode_png(decode_image(picture), quickly=True)


def _check(pixels: np.ndarray) -> None:
    gray = pixels.ndim == 2
    coloured = pixels.ndim == 3 and pixels.shape[2] in CHANNELS
    if pixels.dtype != np.uint8 or not (gray or coloured) or not pixels.size:
        raise _refused(f"of the shape {pixels.shape}, {pixels.dtype}")


def _refused(what: str) -> UsageError:
    return UsageError(
        f"An array is a picture where it is uint8, (height, width) or (height, width, 3 or 4), in "
        f"RGB from 0 to 255; this picture is {what}.",
        code="239",
        where="predict",
        fix="convert it, or give the path of its file",
    )
