"""What the first bytes of a picture file say, read before any decoder sees it."""

import struct
import zlib

from saccade.runtime.errors import DataError

MAX_PIXELS = 64_000_000  # about 450 MB while it is unpacked
MAX_SIDE = 1_000_000  # pixels; Pillow takes 32 bytes and more for each to make it smaller
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
FORMATS_TEXT = "JPEG, PNG, WebP, BMP, GIF and TIFF"

_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
)
_OTHER_MAGIC = (
    (b"%!PS", "PostScript"),
    (b"SIMPLE  =", "FITS"),
    (b"%PDF", "PDF"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"8BPS", "a Photoshop document"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (b"\xff\x0a", "JPEG XL"),
    (b"<!DOCTYPE HTML", "a web page"),
    (b"<HTML", "a web page"),
    (b"<SVG", "an SVG drawing"),
    (b"<?XML", "XML"),
)


class Unreadable(DataError):
    """A file that cannot be used as a picture.

    Args:
        reason: one of "empty", "not-an-image", "unsupported", "too-large", "unreadable", "memory".
        sentence: for a person, without the file's name.
    """

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(
            f"A picture cannot be used: {sentence}.",
            code="320",
            fix="mend the file, or take it out of the data",
        )
        self.reason = reason
        self.sentence = sentence


def sniff(content: bytes) -> str:
    """Return the format that the first bytes tell, one of FORMATS.

    Raises:
        Unreadable: nothing is in it, or it is something else.
    """
    if not content:
        raise Unreadable("empty", "the file is empty (0 bytes)")
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    for magic, kind in _MAGIC:
        if content.startswith(magic):
            return kind
    if content[4:8] == b"ftyp":
        brand = content[8:12].decode("ascii", "replace").strip()
        raise Unreadable("unsupported", f"it is of the HEIC, AVIF or video kind ('{brand}')")
    beginning = content[:64].lstrip(b"\xef\xbb\xbf \t\r\n").upper()
    for magic, name in _OTHER_MAGIC:
        if content.startswith(magic) or beginning.startswith(magic):
            raise Unreadable("not-an-image", f"it is {name}, not one of {FORMATS_TEXT}")
    raise Unreadable("not-an-image", f"its content is not one of {FORMATS_TEXT}")


def check_header(content: bytes, kind: str) -> None:
    """Refuse what Pillow would notice only after taking the memory, or not at all.

    Raises:
        Unreadable: too large, cut short, or a checksum is wrong.
    """
    try:
        if kind == "PNG":
            _check_png(content)
        elif kind == "WEBP":
            check_size(*_webp_size(content))
        elif kind == "BMP":
            _check_bmp(content)
    except (struct.error, IndexError) as error:
        sentence = f"it ends too early, after {size_text(len(content))}"
        raise Unreadable("unreadable", sentence) from error


def _check_png(content: bytes) -> None:
    """Check the size and the checksum of every critical chunk; Pillow skips those of the pixels."""
    if content[12:16] == b"IHDR":
        check_size(*struct.unpack(">II", content[16:24]))
    view, position = memoryview(content), 8
    while position < len(content):
        length, kind = struct.unpack(">I4s", view[position : position + 8])
        end = position + 8 + length
        (checksum,) = struct.unpack(">I", view[end : end + 4])
        if kind[:1].isupper() and zlib.crc32(view[position + 4 : end]) != checksum:
            raise Unreadable("unreadable", f"a checksum in it is wrong (chunk {ascii(kind)[2:-1]})")
        if kind == b"IEND":
            return
        position = end + 4
    raise Unreadable("unreadable", f"it ends too early, after {size_text(len(content))}")


def _webp_size(content: bytes) -> tuple[int, int]:
    """Read the canvas size, for Pillow's decoder takes the memory for it on opening."""
    kind = content[12:16]
    if kind == b"VP8X":
        width = int.from_bytes(content[24:27], "little") + 1
        return width, int.from_bytes(content[27:30], "little") + 1
    if kind == b"VP8L":
        (bits,) = struct.unpack("<I", content[21:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack("<HH", content[26:30])
    return width & 0x3FFF, height & 0x3FFF


def _check_bmp(content: bytes) -> None:
    """Refuse a header that promises more uncompressed pixels than the file has bytes."""
    (header,) = struct.unpack("<I", content[14:18])
    if header < 40:
        return  # OS/2: 16-bit sides, 64 K × 64 K at most, which _check_size sees
    width, height, _, bits, compression = struct.unpack("<iiHHI", content[18:34])
    check_size(abs(width), abs(height))
    row_bytes = (abs(width) * bits + 31) // 32 * 4
    if compression == 0 and row_bytes * abs(height) > len(content):
        raise Unreadable("unreadable", f"it ends too early, after {size_text(len(content))}")


def check_size(width: int, height: int) -> None:
    """Refuse a picture of no pixels, of more than MAX_PIXELS, or of more than MAX_SIDE a side.

    Raises:
        Unreadable: any of them.
    """
    if width < 1 or height < 1:
        raise Unreadable("unreadable", f"its header says {width} × {height} pixels")
    if width * height > MAX_PIXELS:
        raise Unreadable(
            "too-large",
            f"{width} × {height} pixels is more than {MAX_PIXELS // 10**6} megapixels",
        )
    if max(width, height) > MAX_SIDE:
        raise Unreadable(
            "too-large", f"{width} × {height} pixels: a side is longer than {MAX_SIDE}"
        )


def size_text(num_bytes: int) -> str:
    """Return a file's size for a person.

    >>> size_text(812), size_text(38_200)
    ('812 bytes', '38 KB')
    """
    return f"{num_bytes} bytes" if num_bytes < 10_000 else f"{num_bytes / 1000:.0f} KB"
