"""Bytes to RGB pixels, or a reason why not.

What a picture looks like is defined by Pillow; plain JPEGs come to the same pixels through
`jpeg`, other sizes to nearly the same through `resample`, in less time.

Every picture takes this one way, in scan, cache, prediction and report:

* formats: JPEG, PNG, WebP, BMP, GIF, TIFF, recognised by their first bytes, never by the name;
* at most 64 megapixels, and a million pixels a side, known from the header before anything is
  unpacked;
* turned as EXIF says; the first frame or page of several;
* 16 bits scaled to 8 (65535 becomes 255), never clipped; gray and palette become RGB;
* transparency laid on white;
* CMYK through its embedded profile where there is one, else by Pillow's formula;
* RGB colour profiles are not applied: no pretrained network was trained with them applied.

A JPEG carries no checksum. One whose end is missing, whose structure is broken or whose pixel data
libjpeg calls corrupt is refused; a few bytes changed within its pixel data can still decode to a
garbled picture without any sign.
"""

import contextlib
import functools
import io
import logging
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import PIL.features
from numpy.typing import NDArray
from PIL import (  # the plugins are registered here, so that Pillow never loads all the others
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageCms,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from saccade.data import jpeg, resample
from saccade.data.headers import (
    FORMATS,
    FORMATS_TEXT,
    MAX_PIXELS,
    Unreadable,
    check_header,
    check_size,
    size_text,
    sniff,
)

__all__ = [
    "FORMATS",
    "FORMATS_TEXT",
    "MAX_PIXELS",
    "NOTES",
    "Decoded",
    "PillowImage",
    "Unreadable",
    "decode",
    "decode_image",
    "decoders",
    "pillow_warnings",
    "resize",
    "taken_at",
]

REGISTERED = (
    BmpImagePlugin,
    GifImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
NOTES = (
    "exif-turned", "exif-broken", "cmyk", "sixteen-bit", "alpha", "animated", "colour-profile",
    "extra-bytes", "decoders-differ",
)  # fmt: skip
PillowImage = Image.Image
RULES = 4
"""Raised whenever a change of ours gives a picture other pixels, notes or another verdict."""

MAX_APART = 3  # of 255, between two decoders of one picture (RELIABILITY A7); a mean of
MAX_MEAN_APART = 0.3
ORIENTATION_TAG = 0x0112
EXIF_TAG, TAKEN_TAG, MAKER_TAG, MODEL_TAG = 0x8769, 0x9003, 0x010F, 0x0110
BITS_TAG, MEANING_TAG = 258, 262
WHITE_IS_ZERO = 0  # of tag 262 (TIFF 6.0): the largest number is black, as in radiographs

# What Pillow logs about a damaged file is said once, by us, with the file's name.
logging.getLogger("PIL").addHandler(logging.NullHandler())

_RESAMPLE = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
# What Pillow and its codecs raise on damaged files, found by mutating files; nothing else is
# taken for a damaged file, so that a fault of ours is not mistaken for one of the data.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    AttributeError,
    OverflowError,
    ZeroDivisionError,
    EOFError,
    RuntimeError,
    struct.error,
    zlib.error,
    ImageCms.PyCMSError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """A picture, unpacked.

    `notes` names what was done to it or met in it, each one of NOTES.
    """

    pixels_HWC: NDArray[np.uint8]  # RGB, 0…255
    format: str  # one of FORMATS
    notes: tuple[str, ...]


def decode(content: bytes) -> Decoded:
    """Return the pixels of one picture file, as they should be looked at.

    Raises:
        Unreadable: it is no picture, of another kind, too large, or damaged.
    """
    kind = sniff(content)
    check_header(content, kind)
    try:
        with pillow_warnings():
            return _decode(content, kind)
    except Unreadable:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Unreadable("too-large", f"more than {MAX_PIXELS // 10**6} megapixels") from error
    except MemoryError as error:
        raise Unreadable("memory", "there is not enough memory to unpack it") from error
    except _DAMAGE as error:
        raise Unreadable("unreadable", _damage_sentence(error, content, kind)) from error


def decode_image(image: PillowImage) -> NDArray[np.uint8]:
    """Return the pixels of an image of Pillow as those of its file would be, RGB (H, W, 3).

    Raises:
        Unreadable: it cannot be loaded any more, is too large, or of numbers without a range.
    """
    try:
        with pillow_warnings():
            check_size(*image.size)
            turned = _is_turned(image, [])
            image.load()
            return np.asarray(_as_rgb(ImageOps.exif_transpose(image) if turned else image, []))
    except Unreadable:
        raise
    except _DAMAGE as error:
        raise Unreadable("unreadable", f"Pillow cannot load it ({error})") from error


def taken_at(content: bytes) -> tuple[str, float] | None:
    """Return which camera took a picture and when, in seconds of its clock, as EXIF says.

    None where it does not say, or not in the way that the standard asks for.
    """
    try:
        with (
            pillow_warnings(),
            Image.open(io.BytesIO(content), formats=(sniff(content),)) as image,
        ):
            exif = image.getexif()
            own = exif.get_ifd(EXIF_TAG)
            text = str(own.get(TAKEN_TAG, ""))
            camera = f"{exif.get(MAKER_TAG, '')} {exif.get(MODEL_TAG, '')}".strip()
            moment = datetime.strptime(text, "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC)
    except (Unreadable, Image.DecompressionBombError, Image.DecompressionBombWarning, *_DAMAGE):
        return None
    return camera, moment.timestamp()


def decoders() -> dict[str, str]:
    """Return which programs turn the files of each format into pixels, with their versions."""
    library = PIL.features.version("jpg")
    pillow = f"pillow {PIL.__version__}, libjpeg {library}, rules {RULES}{resample.VERSION}"
    return {kind: f"{jpeg.VERSION}, {pillow}" if kind == "JPEG" else pillow for kind in FORMATS}


def resize(
    pixels_HWC: NDArray[np.uint8],
    *,
    size_hw: tuple[int, int],
    interpolation: str,
    box: tuple[float, float, float, float] | None = None,
) -> NDArray[np.uint8]:
    """Return the picture at another size, with Pillow's antialiased filters.

    The rows first, then the columns, rounded to eight bits between; Pillow's own order follows
    the version and the picture.

    Args:
        pixels_HWC: uint8 RGB.
        size_hw: height and width wanted, in pixels.
        interpolation: nearest, bilinear, bicubic or lanczos.
        box: left, top, right and bottom of the piece that is wanted; None: all of it.
    """
    if box is None and pixels_HWC.shape[:2] == size_hw:
        return pixels_HWC
    box = box or (0, 0, pixels_HWC.shape[1], pixels_HWC.shape[0])
    if resample.can(interpolation):
        return resample.resample(pixels_HWC, size_hw=size_hw, interpolation=interpolation, box=box)
    (height, width), (left, top, right, bottom) = size_hw, box
    rows = resample.needed(top, bottom, height, interpolation, pixels_HWC.shape[0])
    top, bottom = top - rows.start, bottom - rows.start  # of a very long picture no more
    image, kind = Image.fromarray(pixels_HWC[rows]), _RESAMPLE[interpolation]
    across = image.resize((width, image.height), kind, box=(left, 0, right, image.height))
    return np.asarray(across.resize((width, height), kind, box=(0, top, width, bottom)))


def _decode(content: bytes, kind: str) -> Decoded:
    notes: list[str] = []
    if kind == "JPEG" and (quick := _decode_quickly(content, notes)) is not None:
        return quick
    with Image.open(io.BytesIO(content), formats=(kind,)) as image:
        check_size(*image.size)
        if kind == "JPEG" and jpeg.look_for_damage(content):
            notes.append("extra-bytes")
        turned = _is_turned(image, notes)
        if getattr(image, "is_animated", False) and kind != "JPEG":
            notes.append("animated")
        image.load()
        if turned:
            ImageOps.exif_transpose(image, in_place=True)
            notes.append("exif-turned")
        rgb = _as_rgb(image, notes)
    return Decoded(pixels_HWC=np.asarray(rgb), format=kind, notes=tuple(notes))


def _decode_quickly(content: bytes, notes: list[str]) -> Decoded | None:
    """Return a plain JPEG without Pillow's decoder, or None (and perhaps a note) where it must."""
    plain = jpeg.read_plain(content)
    if plain is None:
        return None
    check_size(plain.width_px, plain.height_px)
    if not _agree(plain.sampling):
        notes.append("decoders-differ")
        return None
    try:
        pixels_HWC = jpeg.decode(content)
    except jpeg.Declined:
        return None
    if plain.orientation != 1:
        image = Image.fromarray(pixels_HWC)
        image.getexif()[ORIENTATION_TAG] = plain.orientation
        ImageOps.exif_transpose(image, in_place=True)
        notes.append("exif-turned")
        pixels_HWC = np.asarray(image)
    if not _is_srgb(plain.profile):
        notes.append("colour-profile")
    return Decoded(pixels_HWC=pixels_HWC, format="JPEG", notes=tuple(notes))


@functools.cache
def _agree(sampling: str) -> bool:
    """Say whether the quick decoder gives Pillow's pixels here; the two may bring other libraries.

    A property of the two libraries and of how colours are sampled, so it is tried once for each.
    """
    content = jpeg.sample(sampling)
    with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
        wanted = np.asarray(image.convert("RGB"), dtype=np.int16)
    apart = np.abs(jpeg.decode(content) - wanted)
    return bool(apart.max() <= MAX_APART and apart.mean() <= MAX_MEAN_APART)


def _is_turned(image: Image.Image, notes: list[str]) -> bool:
    """Read before loading: Pillow turns a TIFF while it loads, and forgets that it did."""
    try:
        return image.getexif().get(ORIENTATION_TAG, 1) in range(2, 9)
    except _DAMAGE:
        notes.append("exif-broken")
        return False


def _as_rgb(image: Image.Image, notes: list[str]) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return _eight_bits(image, notes).convert("RGB")
    if image.mode == "CMYK":
        notes.append("cmyk")
        return _from_cmyk(image)
    if not _is_srgb(image.info.get("icc_profile")):
        notes.append("colour-profile")
    if image.has_transparency_data:
        layered = image.convert("RGBA")
        if layered.getchannel("A").getextrema() != (255, 255):
            notes.append("alpha")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layered).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _is_srgb(profile: bytes | None) -> bool:
    """Say whether a profile names itself sRGB (in ASCII or UTF-16), as no profile implies."""
    return not profile or b"sRGB" in profile or "sRGB".encode("utf-16-be") in profile


def _eight_bits(image: Image.Image, notes: list[str]) -> Image.Image:
    """Scale the whole 16-bit range to 8 bits: the same for every picture, and nothing is cut off.

    Stretching each picture by its own darkest and brightest value would make pictures of
    different brightness look alike.
    """
    values = np.asarray(image)
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 65535:
        raise Unreadable(
            "unsupported", "its pixels are floating-point or 32-bit numbers of unknown range"
        )
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(BITS_TAG, (16,))
    top = 2 ** int(bits[0] if isinstance(bits, tuple) else bits) - 1
    top = top if values.max() <= top <= 65535 else 65535
    if tags.get(MEANING_TAG) == WHITE_IS_ZERO:  # Pillow turns these numbers round at 8 bits only
        values = top - values
    notes.append("sixteen-bit")
    scaled = (values.astype(np.uint32) * 255 + top // 2) // top
    return Image.fromarray(scaled.astype(np.uint8))


def _from_cmyk(image: Image.Image) -> Image.Image:
    """Return RGB; Pillow has already turned Adobe's inverted inks the right way round."""
    profile = image.info.get("icc_profile")
    if profile:
        try:
            own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if own.profile.xcolor_space.strip() == "CMYK":
                to = ImageCms.createProfile("sRGB")
                converted = ImageCms.profileToProfile(image, own, to, outputMode="RGB")
                return converted or image.convert("RGB")
        except (ImageCms.PyCMSError, OSError):
            return image.convert("RGB")  # a damaged profile, a sound picture
    return image.convert("RGB")


def _damage_sentence(error: BaseException, content: bytes, kind: str) -> str:
    text = str(error)
    if "truncated" in text.lower() or isinstance(error, EOFError | struct.error):
        return f"it ends too early, after {size_text(len(content))}"
    if isinstance(error, UnidentifiedImageError):
        return f"its {kind} header is damaged"
    return f"its {kind} data are damaged"


class _Guard:
    """Counts the threads inside Pillow, for Python's warning filters belong to all of them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.saved = contextlib.ExitStack()


_GUARD = _Guard()


@contextlib.contextmanager
def pillow_warnings() -> Iterator[None]:
    """Make a bomb warning an error and keep remarks about metadata off the screen."""
    with _GUARD.lock:
        if _GUARD.inside == 0:
            _GUARD.saved.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", module=r"PIL\b")
            warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
        _GUARD.inside += 1
    try:
        yield
    finally:
        with _GUARD.lock:
            _GUARD.inside -= 1
            if _GUARD.inside == 0:
                _GUARD.saved.close()
