"""Plain JPEGs the short way, and libjpeg's word on damage; the only place that knows simplejpeg.

Pillow feeds libjpeg piece by piece and drops its warnings. simplejpeg hands it the whole file, in
less time and with the same pixels (0 of 255 apart on 1,397 photographs), and repeats the first
warning. It turns nothing, converts no inks and reads no profile, so only files whose header
`read_plain` understands to the end go this way; Pillow decodes all others, and decides wherever
the two disagree.

Decoding at half, a quarter or an eighth of the size (DCT scaling) is not used: after the resize to
the canvas it was up to 16 of 255 from the full decode. Source: measured, docs/log.md.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from saccade.data.headers import Unreadable

VERSION = f"simplejpeg {simplejpeg.__version__}"

# Horizontal and vertical sampling of luma, while both colour parts have one sample a block.
SAMPLINGS = {(1, 1): "444", (2, 1): "422", (2, 2): "420", (1, 2): "440", (4, 1): "411"}

# The warnings of libjpeg (jerror.h) after which pixels are missing or garbled. Not among them:
# "extraneous bytes before marker" (some cameras pad), a missing end marker (Pillow counts the
# rows), and remarks about versions of JFIF.
_DAMAGE = ("premature end of data segment", "bad Huffman code", "bad arithmetic code", "of RST")
_PADDING = "extraneous bytes"

_EXIF = b"Exif\0\0"
_ICC = b"ICC_PROFILE\0"
_XMP_ORIENTATION = b"tiff:Orientation"
_ORIENTATION_TAG = 0x0112
_SCAN = 0xDA  # the pixels follow
_SHORT = 3  # EXIF's 16-bit whole number


class Declined(Exception):
    """This file is for Pillow to decide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """What the header of a plain JPEG says."""

    width_px: int  # as stored, before EXIF turning
    height_px: int
    sampling: str  # one of SAMPLINGS' values, or "Gray"
    orientation: int = 1  # EXIF's, 1 to 8
    profile: bytes = b""  # ICC, or nothing


def read_plain(content: bytes) -> Plain | None:
    """Return the header of a plain JPEG, or None where Pillow should look at the file.

    Plain is 8 bits, gray or YCbCr in a usual sampling, at most one profile segment, and EXIF
    that says how to turn the picture without any doubt.
    """
    try:
        return _read_plain(content)
    except (Declined, struct.error, IndexError):
        return None


def decode(content: bytes) -> NDArray[np.uint8]:
    """Return the stored pixels of a plain JPEG, uint8 RGB (H, W, 3), neither turned nor converted.

    Raises:
        Unreadable: libjpeg says that its pixel data are damaged.
        Declined: something else is odd about it.
    """
    try:
        pixels_HWC: NDArray[np.uint8] = simplejpeg.decode_jpeg(content, "RGB")
    except ValueError as error:
        _refuse_damage(str(error))
        raise Declined(str(error)) from error
    return pixels_HWC


def look_for_damage(content: bytes) -> bool:
    """Return whether bytes of a JPEG belong to no pixel: padding, or what damage left behind.

    For JPEGs that Pillow decodes, which keeps libjpeg's warnings to itself. The pixels are
    unpacked at an eighth of the size: all the reading, little of the arithmetic.

    Raises:
        Unreadable: libjpeg says that its pixel data are damaged.
    """
    try:
        simplejpeg.decode_jpeg(content, "GRAY", min_height=1, min_width=1)
    except ValueError as error:
        _refuse_damage(str(error))
        return _PADDING in str(error)
    return False


def sample(sampling: str) -> bytes:
    """Return a small colourful JPEG in a sampling, to compare decoders with."""
    rows, columns = np.mgrid[:45, :51]
    waves = [np.sin(rows / 5 + columns / (7 + 3 * part)) for part in range(3)]
    pixels_HWC = np.stack([127.5 + 127.5 * wave for wave in waves], axis=-1).astype(np.uint8)
    if sampling == "Gray":
        gray = np.ascontiguousarray(pixels_HWC[:, :, :1])
        return bytes(simplejpeg.encode_jpeg(gray, 90, "GRAY", "Gray"))
    return bytes(simplejpeg.encode_jpeg(pixels_HWC, 90, "RGB", sampling))


def _refuse_damage(said: str) -> None:
    if any(sign in said for sign in _DAMAGE):
        what = said.removeprefix("Corrupt JPEG data: ")
        raise Unreadable("unreadable", f"its JPEG data are damaged ({what})")


def _read_plain(content: bytes) -> Plain:
    segments = list(_segments(content))

    def bodies(marker: int, beginning: bytes = b"") -> list[bytes]:
        return [body for own, body in segments if own == marker and body.startswith(beginning)]

    if any(_is_odd(marker, body) for marker, body in segments):
        raise Declined
    frame = _only([*bodies(0xC0), *bodies(0xC1), *bodies(0xC2)])
    exif = bodies(0xE1, _EXIF)
    profile = bodies(0xE2, _ICC)
    bits, height, width, num_parts = struct.unpack_from(">BHHB", frame)
    if bits != 8 or len(frame) != 6 + 3 * num_parts:
        raise Declined
    parts = [struct.unpack_from(">BBB", frame, 6 + 3 * part) for part in range(num_parts)]
    said_ycbcr = bodies(0xE0, b"JFIF\0") or bodies(0xEE, b"Adobe")
    if not (num_parts == 1 or said_ycbcr or [part[0] for part in parts] == [1, 2, 3]):
        raise Declined  # perhaps RGB, stored as such
    return Plain(
        width_px=width,
        height_px=height,
        sampling=_sampling([(part[1] >> 4, part[1] & 15) for part in parts]),
        orientation=_orientation(_only(exif)[len(_EXIF) :]) if exif else 1,
        profile=_profile(_only(profile)) if profile else b"",
    )


def _segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield marker and body of every segment before the pixels."""
    position, marker = 2, 0
    while marker != _SCAN:
        if content[position] != 0xFF:
            raise Declined
        while content[position] == 0xFF:
            position += 1
        marker = content[position]
        (length,) = struct.unpack_from(">H", content, position + 1)
        body = content[position + 3 : position + 1 + length]
        if len(body) != length - 2:
            raise Declined
        yield marker, body
        position += 1 + length


def _is_odd(marker: int, body: bytes) -> bool:
    """Say whether a segment could make Pillow do something that we would not."""
    if marker == 0xE1:
        return _XMP_ORIENTATION in body
    if marker == 0xE2:
        return body.startswith(b"MPF\0")  # several pictures in one file
    if marker == 0xEE and body.startswith(b"Adobe"):
        return len(body) < 12 or body[11] != 1  # not YCbCr
    usual = marker in {0xC0, 0xC1, 0xC2, 0xC4, _SCAN, 0xDB, 0xDD, 0xFE}
    return not (usual or 0xE0 <= marker <= 0xEF)


def _only(bodies: list[bytes]) -> bytes:
    if len(bodies) != 1:
        raise Declined
    return bodies[0]


def _sampling(factors: list[tuple[int, int]]) -> str:
    if len(factors) == 1 and factors[0] == (1, 1):
        return "Gray"
    if len(factors) != 3 or factors[1:] != [(1, 1), (1, 1)] or factors[0] not in SAMPLINGS:
        raise Declined
    return SAMPLINGS[factors[0]]


def _profile(body: bytes) -> bytes:
    """Return an ICC profile that is whole in one segment."""
    if body[len(_ICC) : len(_ICC) + 2] != b"\1\1":
        raise Declined
    return body[len(_ICC) + 2 :]


def _orientation(exif: bytes) -> int:
    """Return the orientation in the first directory of EXIF data, 1 where there is none."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        raise Declined
    (start,) = struct.unpack_from(f"{order}L", exif, 4)
    (num_entries,) = struct.unpack_from(f"{order}H", exif, start)
    found = []
    for entry in range(num_entries):
        place = start + 2 + 12 * entry
        tag, kind, count = struct.unpack_from(f"{order}HHL", exif, place)
        if tag == _ORIENTATION_TAG:
            (value,) = struct.unpack_from(f"{order}H", exif, place + 8)
            if (kind, count) != (_SHORT, 1) or not 1 <= value <= 8:
                raise Declined
            found.append(value)
    if len(found) > 1:
        raise Declined
    return found[0] if found else 1
