"""RELIABILITY A5, A7 and A1 for JPEGs: the quick decoder gives Pillow's answer, or is not asked."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageOps

from saccade.data import decode as door
from saccade.data import jpeg
from saccade.data.decode import Unreadable, decode

SHARED = Path(__file__).parents[3] / "shared" / "data"
FORMS = ("444", "422", "420", "440", "411", "Gray", "progressive", "restarts", "optimised")


def scene(seed: int, height: int, width: int) -> np.ndarray:
    """Colours that wave, blocks with hard edges, and noise: what decoders can differ in."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    steps = rng.uniform(2, 40, (3, 2))
    waves = [127 + 100 * np.sin(rows / a + columns / b) for a, b in steps]
    picture = np.stack(waves, axis=-1) + rng.normal(0, 12, (height, width, 3))
    picture[height // 4 : height // 2, width // 4 : width // 2] = rng.integers(0, 256, 3)
    return np.clip(picture, 0, 255).astype(np.uint8)


def saved(pixels: np.ndarray, *, mode: str = "", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def encoded(form: str, seed: int) -> bytes:
    rng = np.random.default_rng([seed, 1])
    height, width = (int(side) for side in rng.integers(1, 140, 2))
    quality = int(rng.integers(30, 101))
    pixels = scene(seed, height, width)
    if form == "Gray":
        return saved(pixels[:, :, 0], quality=quality)
    if form == "progressive":
        return saved(pixels, quality=quality, progressive=True)
    if form == "restarts":
        return saved(pixels, quality=quality, restart_marker_blocks=int(rng.integers(1, 9)))
    if form == "optimised":
        return saved(pixels, quality=quality, optimize=True, subsampling=0)
    return bytes(simplejpeg.encode_jpeg(pixels, quality, "RGB", form))


def by_pillow(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"), dtype=np.int16)


def worst(seeds: range) -> tuple[int, float]:
    """The largest difference from Pillow, and the largest mean difference, over many JPEGs."""
    largest, mean = 0, 0.0
    for seed in seeds:
        content = encoded(FORMS[seed % len(FORMS)], seed)
        decoded = decode(content)
        assert decoded.format == "JPEG"
        apart = np.abs(decoded.pixels_HWC - by_pillow(content))
        largest, mean = max(largest, int(apart.max())), max(mean, float(apart.mean()))
    return largest, mean


class Counted:
    """Counts the pictures that the quick decoder was given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **options: bool) -> None:
        self.count = 0
        self.options = options
        self.decode = simplejpeg.decode_jpeg
        monkeypatch.setattr(simplejpeg, "decode_jpeg", self)
        for sampling in (*jpeg.SAMPLINGS.values(), "Gray"):
            assert options or door._agree(sampling)  # tried now, so that it is not counted
        self.count = 0

    def __call__(self, content: bytes, colours: str, **given: Any) -> np.ndarray:
        self.count += colours == "RGB"
        return self.decode(content, colours, **given, **self.options)


def test_five_hundred_jpegs_are_pillows_to_within_three_of_255(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quick = Counted(monkeypatch)
    largest, mean = worst(range(500))
    assert quick.count == 500  # all of them are plain
    assert largest <= 3
    assert mean <= 0.3


@pytest.fixture
def other_pixels(monkeypatch: pytest.MonkeyPatch):
    """A quick decoder that spreads colours in another way: many pixels are far apart."""
    tried = door._agree
    tried.cache_clear()
    Counted(monkeypatch, fastupsample=True)
    yield
    tried.cache_clear()


def test_where_the_decoders_disagree_pillow_is_right_and_it_is_counted(other_pixels: None) -> None:
    largest, mean = worst(range(60))
    assert largest <= 3
    assert mean <= 0.3
    assert decode(encoded("420", 1)).notes == ("decoders-differ",)
    assert decode(encoded("444", 1)).notes == ()  # nothing to spread, so nothing to disagree in


def test_without_trying_the_decoders_first_other_pixels_are_taken_negative_control(
    other_pixels: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "_agree", lambda sampling: True)
    assert worst(range(60))[0] > 3


def test_the_decoders_and_their_versions_are_named_by_format() -> None:
    named = door.decoders()
    assert set(named) == set(door.FORMATS)
    assert f"simplejpeg {simplejpeg.__version__}" in named["JPEG"]
    assert "simplejpeg" not in named["PNG"]
    assert all(f"pillow {Image.__version__}" in own for own in named.values())


# What the header says


def with_segment(content: bytes, marker: int, body: bytes) -> bytes:
    return content[:2] + struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body + content[2:]


def exif(orientation: int, order: str = ">", *, kind: int = 3, count: int = 1) -> bytes:
    magic = {">": b"MM\0*", "<": b"II*\0"}[order]
    return (
        b"Exif\0\0" + magic + struct.pack(f"{order}LH", 8, 2)
        + struct.pack(f"{order}HHLL", 0x010F, 2, 4, 0)
        + struct.pack(f"{order}HHLHH", 0x0112, kind, count, orientation, 0)
        + struct.pack(f"{order}L", 0)
    )  # fmt: skip


PLAIN = saved(scene(3, 40, 60), quality=85)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_is_pixel_for_pixel_pillows_by_both_decoders(
    orientation: int, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = with_segment(PLAIN, 0xE1, exif(orientation, order))
    with Image.open(io.BytesIO(content)) as image:
        wanted = np.asarray(ImageOps.exif_transpose(image))
    plain = jpeg.read_plain(content)
    assert plain is not None
    assert plain.orientation == orientation
    quick = decode(content)
    monkeypatch.setattr(jpeg, "read_plain", lambda content: None)
    slow = decode(content)
    np.testing.assert_array_equal(quick.pixels_HWC, wanted)
    np.testing.assert_array_equal(slow.pixels_HWC, wanted)
    assert quick.notes == slow.notes == (("exif-turned",) if orientation != 1 else ())


ICC = b"ICC_PROFILE\0"
NOT_PLAIN = {
    "orientation 9": with_segment(PLAIN, 0xE1, exif(9)),
    "orientation as a long": with_segment(PLAIN, 0xE1, exif(1, kind=4)),
    "two orientations": with_segment(PLAIN, 0xE1, exif(6, count=2)),
    "two exif segments": with_segment(with_segment(PLAIN, 0xE1, exif(1)), 0xE1, exif(6)),
    "exif of nothing": with_segment(PLAIN, 0xE1, b"Exif\0\0"),
    "exif of another order": with_segment(PLAIN, 0xE1, b"Exif\0\0XX" + exif(1)[8:]),
    "turned by XMP": with_segment(
        PLAIN, 0xE1, b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="6"/>'
    ),
    "two profile segments": with_segment(
        with_segment(PLAIN, 0xE2, ICC + b"\2\2b"), 0xE2, ICC + b"\1\2a"
    ),
    "several pictures": with_segment(PLAIN, 0xE2, b"MPF\0II*\0"),
    "stored as RGB": with_segment(PLAIN, 0xEE, b"Adobe\0\x64\0\0\0\0\0"),
    "an unknown marker": with_segment(PLAIN, 0xC8, b""),
    "four inks": saved(scene(1, 20, 20), mode="CMYK"),
    "cut in the header": PLAIN[:60],
    "odd sampling": PLAIN.replace(b"\x03\x01\x22\x00\x02\x11", b"\x03\x01\x22\x00\x02\x21"),
}


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_what_is_not_plain_is_left_to_pillow(name: str) -> None:
    assert jpeg.read_plain(PLAIN) == jpeg.Plain(width_px=60, height_px=40, sampling="420")
    assert NOT_PLAIN[name] != PLAIN
    assert jpeg.read_plain(NOT_PLAIN[name]) is None


def test_what_the_header_says_of_colours_and_sampling_is_read() -> None:
    for form in ("444", "422", "420", "440", "411", "Gray"):
        plain = jpeg.read_plain(encoded(form, 5))
        assert plain is not None
        assert plain.sampling == form
    wide = jpeg.read_plain(with_segment(PLAIN, 0xE2, ICC + b"\1\1Display P3"))
    assert wide is not None
    assert wide.profile == b"Display P3"
    assert decode(with_segment(PLAIN, 0xE2, ICC + b"\1\1Display P3")).notes == ("colour-profile",)
    assert decode(with_segment(PLAIN, 0xE2, ICC + b"\1\1sRGB")).notes == ()


def outcome(content: bytes) -> tuple[str, tuple[str, ...], bytes]:
    try:
        decoded = decode(content)
    except Unreadable as error:
        return error.reason, (), b""
    return decoded.format, decoded.notes, decoded.pixels_HWC.tobytes()


@pytest.mark.parametrize("seed", range(3))
def test_both_decoders_accept_and_refuse_the_same_damaged_files(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(seed)
    contents = []
    for number in range(120):
        sound = encoded(FORMS[number % len(FORMS)], number)
        if number % 2:
            sound = with_segment(sound, 0xE1, exif(int(rng.integers(1, 9))))
        content = bytearray(sound)
        reach = len(content) if number % 3 else 400  # the header is the smaller part
        for place in rng.integers(2, min(reach, len(content)), rng.integers(1, 4)):
            content[place] = rng.integers(0, 256)
        contents.append(bytes(content))
    quick = [outcome(content) for content in contents]
    monkeypatch.setattr(jpeg, "read_plain", lambda content: None)
    assert [outcome(content) for content in contents] == quick
    assert len({own[0] for own in quick}) > 1


# Damage within the pixels


def damaged(content: bytes) -> bytes:
    """Sixteen ones in a row, which no Huffman table has, over 40 bytes amid the pixels."""
    middle = (content.index(b"\xff\xda") + len(content)) // 2
    return content[:middle] + b"\xff\0" * 20 + content[middle + 40 :]


KINDS = {
    "plain": PLAIN,
    "gray": saved(scene(4, 50, 50)[:, :, 0]),
    "progressive": saved(scene(4, 50, 50), progressive=True),
    "turned": with_segment(PLAIN, 0xE1, exif(6)),
    "several pictures": NOT_PLAIN["several pictures"],
    "four inks": NOT_PLAIN["four inks"],
}


@pytest.mark.parametrize("kind", KINDS)
def test_garbled_pixels_are_refused_whoever_decodes_them(kind: str) -> None:
    assert decode(KINDS[kind]).format == "JPEG"
    with pytest.raises(Unreadable) as caught:
        decode(damaged(KINDS[kind]))
    assert caught.value.reason == "unreadable"
    assert caught.value.sentence.startswith("its JPEG data are damaged (")


@pytest.mark.parametrize("kind", KINDS)
def test_without_libjpegs_warnings_garbled_pixels_get_through_negative_control(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jpeg, "_refuse_damage", lambda said: None)
    assert decode(damaged(KINDS[kind])).format == "JPEG"


@pytest.mark.parametrize("kind", ["plain", "four inks"])
def test_padding_before_the_end_is_no_damage_but_is_told(kind: str) -> None:
    content = KINDS[kind]
    padded = content[:-2] + bytes(30) + content[-2:]
    assert decode(padded).notes[:1] == ("extra-bytes",)
    np.testing.assert_array_equal(decode(padded).pixels_HWC, decode(content).pixels_HWC)


def test_whether_a_missing_end_marker_is_damage_is_for_pillow_to_say() -> None:
    for content in (PLAIN[:-2], PLAIN[:-2] + bytes(9)):  # all rows are there in the second
        with Image.open(io.BytesIO(content)) as image:
            try:
                image.load()
                sound = True
            except OSError:
                sound = False
        assert (outcome(content)[0] == "JPEG") is sound


def refused(folder: Path) -> list[str]:
    found = []
    for path in sorted(folder.rglob("*.jp*g")):
        try:
            decode(path.read_bytes())
        except Unreadable as error:
            found.append(f"{path.name}: {error.sentence}")
    return found


@pytest.mark.skipif(not (SHARED / "antsbees").is_dir(), reason="the shared data are not here")
def test_no_photograph_of_ants_and_bees_is_refused() -> None:
    assert refused(SHARED / "antsbees") == []


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "flowers").is_dir(), reason="the shared data are not here")
def test_no_photograph_of_flowers_is_refused() -> None:
    assert refused(SHARED / "flowers") == []
