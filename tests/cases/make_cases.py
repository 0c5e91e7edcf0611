"""Writes the odd picture files of this folder and, beside them, what they must be decoded to.

Run it by hand when a case is added: `python tests/cases/make_cases.py`. What is expected is
computed here from the definitions (EXIF's table of orientations, the formulas of CMYK and of
transparency), never by decoding the file.
"""

import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).parent / "pictures"
COLOURS = [
    [(200, 30, 40), (30, 160, 60), (40, 60, 200)],
    [(230, 200, 40), (0, 0, 0), (250, 250, 250)],
]
WHITE = 255.0
EXPECTED: dict[str, dict[str, object]] = {}


def blocks() -> np.ndarray:
    """A picture of 24 × 16 pixels that looks different however it is turned."""
    return np.repeat(np.repeat(np.array(COLOURS, dtype=np.uint8), 8, axis=0), 8, axis=1)


S = blocks()


def keep(name, content, pixels=None, *, kind="", notes=(), tolerance=0, reason="", sentence=""):
    (HERE / name).write_bytes(content)
    if pixels is None:
        EXPECTED[name] = {"reason": reason, "sentence": sentence}
        return
    rounded = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    (HERE / f"{name}.expected.png").write_bytes(encode(rounded, "PNG"))
    EXPECTED[name] = {"format": kind, "notes": list(notes), "tolerance": tolerance}


def encode(pixels, kind, **options):
    buffer = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg(pixels, **options):
    return encode(pixels, "JPEG", quality=100, subsampling=0, **options)


def stored(orientation):
    """EXIF 2.32, tag 274: which side of the scene the stored row 0 and column 0 are."""
    height, width = S.shape[:2]
    row, column = np.mgrid[:height, :width]
    if orientation > 4:
        row, column = np.mgrid[:width, :height]
    top, left = row, column
    right, bottom = -1 - column, -1 - row
    scene = {
        1: (top, left),
        2: (top, right),
        3: (bottom, right),
        4: (bottom, left),
        5: (column, row),
        6: (column, -1 - row),
        7: (-1 - column, -1 - row),
        8: (-1 - column, row),
    }[orientation]
    return S[scene]


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, bits, colour, rows, *extra):
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    raw = b"".join(b"\0" + row for row in rows)
    middle = b"".join(extra) + chunk(b"IDAT", zlib.compress(raw))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + middle + chunk(b"IEND", b"")


def on_white(rgb, alpha):
    share = alpha[..., None] / 255
    return rgb * share + WHITE * (1 - share)


def turned():
    for orientation in range(1, 9):
        notes = ["exif-turned"] if orientation > 1 else []
        content = jpeg(stored(orientation), exif=exif(orientation))
        keep(f"exif-{orientation}.jpg", content, S, kind="JPEG", notes=notes, tolerance=2)
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})):
        content = encode(stored(6), kind, exif=exif(6), **options)
        keep(f"exif-6.{kind.lower()}", content, S, kind=kind, notes=["exif-turned"])


def cmyk_ink():
    """Inks of 0…255 in blocks, pure corners only: there any interpolation is exact."""
    inks = [
        [(255, 0, 0, 0), (0, 255, 0, 0), (0, 0, 255, 0)],
        [(0, 0, 0, 255), (0, 0, 0, 0), (255, 255, 0, 0)],
    ]
    return np.repeat(np.repeat(np.array(inks, dtype=np.uint8), 8, axis=0), 8, axis=1)


def naive_rgb(inks):
    """Each ink takes away its complement, black takes away all: (255 - ink)(255 - black) / 255."""
    return (WHITE - inks[..., :3]) * (WHITE - inks[..., 3:]) / 255


# Paper white and ink black are pure: colour engines stretch the range between them to sRGB's.
PAPER = {
    (255, 0, 0, 0): (0, 140, 200),
    (0, 255, 0, 0): (210, 20, 120),
    (0, 0, 255, 0): (250, 230, 90),
    (0, 0, 0, 255): (0, 0, 0),
    (0, 0, 0, 0): (255, 255, 255),
    (255, 255, 0, 0): (40, 40, 110),
}


def lab_of(rgb):
    """sRGB to CIE Lab under D50 (IEC 61966-2-1; Bradford-adapted matrix of B. Lindbloom)."""
    value = np.array(rgb) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    to_xyz = [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
    ratio = np.array(to_xyz) @ linear / np.array([0.96422, 1.0, 0.82521])
    cube = np.where(ratio > 0.008856, np.cbrt(ratio), (903.3 * ratio + 16) / 116)
    return 116 * cube[1] - 16, 500 * (cube[0] - cube[1]), 200 * (cube[1] - cube[2])


def profile():
    """A printing profile with PAPER at the corners of the ink space (ICC.1:2010, mft1)."""
    table = bytearray()
    for corner in range(16):
        inks = tuple(255 if corner >> (3 - channel) & 1 else 0 for channel in range(4))
        lightness, a, b = lab_of(PAPER.get(inks, (0, 0, 0)))
        table += bytes([round(lightness * 2.55), round(a + 128), round(b + 128)])
    identity = bytes(range(256))
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    lut = (
        b"mft1"
        + bytes(4)
        + bytes([4, 3, 2, 0])
        + matrix
        + identity * 4
        + bytes(table)
        + identity * 3
    )
    text = b"text" + bytes(4) + b"public domain\0"
    title = b"test inks\0"
    description = (
        b"desc" + bytes(4) + struct.pack(">I", len(title)) + title + bytes(4 + 4 + 2 + 1 + 67)
    )
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    tags, bodies, place = [], b"", 128 + 4 + 12 * 4
    for name, body in ((b"desc", description), (b"cprt", text), (b"wtpt", white), (b"A2B0", lut)):
        body += bytes(-len(body) % 4)
        tags.append(struct.pack(">4sII", name, place + len(bodies), len(body)))
        bodies += body
    size = place + len(bodies)
    header = struct.pack(">I4sI4s4s4s", size, bytes(4), 0x02400000, b"prtr", b"CMYK", b"Lab ")
    header += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(24) + bytes(4)
    header += struct.pack(">3i", 63190, 65536, 54061) + bytes(48)
    return header[:128] + struct.pack(">I", 4) + b"".join(tags) + bodies


def inked():
    inks = cmyk_ink()
    image = Image.fromarray(inks, "CMYK")
    keep("cmyk.jpg", jpeg(image), naive_rgb(inks), kind="JPEG", notes=["cmyk"], tolerance=3)
    keep(
        "cmyk.tiff",
        encode(image, "TIFF"),
        naive_rgb(inks),
        kind="TIFF",
        notes=["cmyk"],
        tolerance=1,
    )
    printed = np.array([[PAPER[tuple(int(i) for i in ink)] for ink in row] for row in inks])
    icc = profile()
    keep(
        "cmyk-profile.tiff",
        encode(image, "TIFF", icc_profile=icc),
        printed,
        kind="TIFF",
        notes=["cmyk"],
        tolerance=4,
    )
    keep(
        "cmyk-profile.jpg",
        jpeg(image, icc_profile=icc),
        printed,
        kind="JPEG",
        notes=["cmyk"],
        tolerance=6,
    )
    keep(
        "cmyk-broken-profile.jpg",
        jpeg(image, icc_profile=b"no profile"),
        naive_rgb(inks),
        kind="JPEG",
        notes=["cmyk"],
        tolerance=3,
    )


def deep():
    ramp = np.linspace(0, 65535, 24 * 16).round().astype(np.uint16).reshape(16, 24)
    gray = np.repeat((ramp / 257)[..., None], 3, axis=2)
    rows = [row.astype(">u2").tobytes() for row in ramp]
    keep(
        "gray-16.png",
        png(24, 16, 16, 0, rows),
        gray,
        kind="PNG",
        notes=["sixteen-bit"],
        tolerance=1,
    )
    keep(
        "gray-16.tiff",
        encode(Image.fromarray(ramp), "TIFF"),
        gray,
        kind="TIFF",
        notes=["sixteen-bit"],
        tolerance=1,
    )
    # TIFF 6.0, tag 262: 0 is WhiteIsZero, so the largest number is black, as in radiographs.
    content = encode(Image.fromarray(65535 - ramp), "TIFF")
    black, white = (struct.pack("<HHII", 262, 3, 1, meaning) for meaning in (1, 0))
    assert content.count(black) == 1
    keep(
        "gray-16-white-is-zero.tiff",
        content.replace(black, white),
        gray,
        kind="TIFF",
        notes=["sixteen-bit"],
        tolerance=1,
    )
    wide = np.repeat(ramp[..., None], 3, axis=2)
    wide[..., 1] //= 2
    rows = [row.astype(">u2").tobytes() for row in wide]
    keep("rgb-16.png", png(24, 16, 16, 2, rows), wide / 257, kind="PNG", tolerance=1)
    float_image = encode(Image.fromarray((ramp / 65535).astype(np.float32)), "TIFF")
    keep(
        "float.tiff",
        float_image,
        reason="unsupported",
        sentence="its pixels are floating-point or 32-bit numbers of unknown range",
    )


def see_through():
    alpha = np.tile(np.linspace(0, 255, 24).round().astype(np.uint8), (16, 1))
    rgba = np.dstack([S, alpha])
    keep(
        "rgba.png",
        encode(rgba, "PNG"),
        on_white(S, alpha),
        kind="PNG",
        notes=["alpha"],
        tolerance=1,
    )
    keep(
        "rgba.webp",
        encode(rgba, "WEBP", lossless=True, exact=True),
        on_white(S, alpha),
        kind="WEBP",
        notes=["alpha"],
        tolerance=1,
    )
    keep(
        "rgba.tiff",
        encode(rgba, "TIFF"),
        on_white(S, alpha),
        kind="TIFF",
        notes=["alpha"],
        tolerance=1,
    )
    gray = S[..., 0]
    layered = np.dstack([gray, alpha])
    keep(
        "la.png",
        encode(Image.fromarray(layered, "LA"), "PNG"),
        on_white(np.dstack([gray] * 3), alpha),
        kind="PNG",
        notes=["alpha"],
        tolerance=1,
    )
    solid = np.dstack([S, np.full_like(alpha, 255)])
    keep("rgba-solid.png", encode(solid, "PNG"), S, kind="PNG")
    palette = Image.fromarray(numbered(), "P")
    palette.putpalette(bytes(np.array(COLOURS, dtype=np.uint8).reshape(-1)))
    clear = np.where((numbered() == 1)[..., None], WHITE, S)
    keep("palette.png", encode(palette, "PNG"), S, kind="PNG")
    keep(
        "palette-transparent.png",
        encode(palette, "PNG", transparency=1),
        clear,
        kind="PNG",
        notes=["alpha"],
    )
    keep("palette.gif", encode(palette, "GIF"), S, kind="GIF")
    keep(
        "palette-transparent.gif",
        encode(palette, "GIF", transparency=1),
        clear,
        kind="GIF",
        notes=["alpha"],
    )
    rows = [row.tobytes() for row in S]
    marked = chunk(b"tRNS", struct.pack(">3H", *COLOURS[0][1]))
    keep("rgb-transparent.png", png(24, 16, 8, 2, rows, marked), clear, kind="PNG", notes=["alpha"])


def numbered():
    return np.repeat(np.repeat(np.arange(6, dtype=np.uint8).reshape(2, 3), 8, axis=0), 8, axis=1)


def plain():
    bits = np.where(np.dstack([numbered() % 2] * 3) == 1, 255, 0)
    black_white = Image.fromarray((numbered() % 2 * 255).astype(np.uint8)).convert("1")
    keep("one-bit.png", encode(black_white, "PNG"), bits, kind="PNG")
    keep("one-bit.tiff", encode(black_white, "TIFF"), bits, kind="TIFF")
    keep("one-bit.bmp", encode(black_white, "BMP"), bits, kind="BMP")
    gray = np.dstack([S[..., 0]] * 3)
    keep("gray.jpg", jpeg(S[..., 0]), gray, kind="JPEG", tolerance=2)
    keep("rgb.jpg", jpeg(S), S, kind="JPEG", tolerance=2)
    keep("progressive.jpg", jpeg(S, progressive=True), S, kind="JPEG", tolerance=2)
    keep("rgb.bmp", encode(S, "BMP"), S, kind="BMP")
    keep("rgb.webp", encode(S, "WEBP", lossless=True), S, kind="WEBP")
    keep("rgb.tiff", encode(S, "TIFF"), S, kind="TIFF")
    keep("lzw.tiff", encode(S, "TIFF", compression="tiff_lzw"), S, kind="TIFF")
    keep(
        "wide-colours.jpg",
        jpeg(S, icc_profile=b"\0" * 128 + b"Display P3"),
        S,
        kind="JPEG",
        notes=["colour-profile"],
        tolerance=2,
    )
    other = [Image.fromarray(255 - S)]
    for name, kind, options in (
        ("animated.gif", "GIF", {}),
        ("animated.webp", "WEBP", {"lossless": True}),
        ("animated.png", "PNG", {}),
        ("pages.tiff", "TIFF", {}),
    ):
        content = encode(S, kind, save_all=True, append_images=other, **options)
        keep(name, content, S, kind=kind, notes=["animated"])


def broken():
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    sound = encode(noise, "JPEG", quality=90)
    for percent in (10, 50, 90, 99):
        cut = sound[: len(sound) * percent // 100]
        size = f"{len(cut)} bytes" if len(cut) < 10_000 else f"{len(cut) / 1000:.0f} KB"
        keep(
            f"cut-{percent}.jpg",
            cut,
            reason="unreadable",
            sentence=f"it ends too early, after {size}",
        )
    for kind in ("PNG", "GIF", "WEBP", "TIFF", "BMP"):
        content = encode(noise, kind)
        keep(f"cut.{kind.lower()}", content[: len(content) // 2], reason="unreadable", sentence="*")
    empty = {"reason": "empty", "sentence": "the file is empty (0 bytes)"}
    other = {"reason": "not-an-image"}
    one_of = "not one of JPEG, PNG, WebP, BMP, GIF and TIFF"
    keep("nothing.jpg", b"", **empty)
    keep("one-byte.jpg", b"\xff", **other, sentence=f"its content is {one_of}")
    keep(
        "page.jpg",
        b"<!doctype html>\n<title>404</title>",
        **other,
        sentence=f"it is a web page, {one_of}",
    )
    keep(
        "drawing.jpg",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        **other,
        sentence=f"it is PostScript, {one_of}",
    )
    keep(
        "stars.jpg",
        b"SIMPLE  =                    T" + b" " * 2850,
        **other,
        sentence=f"it is FITS, {one_of}",
    )
    keep(
        "phone.jpg",
        b"\0\0\0\x18ftypheic" + bytes(64),
        reason="unsupported",
        sentence="it is of the HEIC, AVIF or video kind ('heic')",
    )
    tables = sound.index(b"\xff\xc4") + 5
    keep(
        "bad-huffman.jpg",
        sound[:tables] + b"\xff" * 16 + sound[tables + 16 :],
        reason="unreadable",
        sentence="its JPEG data are damaged",
    )
    frame = sound.index(b"\xff\xc0") + 9
    keep(
        "bad-components.jpg",
        sound[:frame] + b"\x09" + sound[frame + 1 :],
        reason="unreadable",
        sentence="its JPEG header is damaged",
    )
    content = bytearray(encode(S, "PNG"))
    content[content.index(b"IDAT") + 12] ^= 0x10
    keep(
        "bad-checksum.png",
        bytes(content),
        reason="unreadable",
        sentence="a checksum in it is wrong (chunk IDAT)",
    )
    content = bytearray(encode(S, "GIF"))
    content[6:8] = content[content.index(b",") + 5 : content.index(b",") + 7] = bytes(2)
    keep("no-width.gif", bytes(content), reason="unreadable", sentence="*")


def main():
    HERE.mkdir(exist_ok=True)
    for old in HERE.iterdir():
        old.unlink()
    for family in (turned, inked, deep, see_through, plain, broken):
        family()
    text = json.dumps(EXPECTED, indent=1, sort_keys=True, ensure_ascii=False)
    (HERE / "expectations.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
