"""Bombs, and what reaches which parser (RELIABILITY A3); the odd pictures are in tests/cases."""

import io
import struct
import subprocess
import sys
import textwrap
import threading
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saccade.data import decode as door
from saccade.data import headers
from saccade.data.decode import Unreadable, decode, resize
from saccade.data.encode import encode_jpeg, encode_png


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of(width: int, height: int, *extra: bytes, body: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    end = chunk(b"IDAT", body) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + end


def png_bomb(width: int = 30_000, height: int = 30_000) -> bytes:
    pack = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    body = b"".join(pack.compress(row) for _ in range(height)) + pack.flush()
    return png_of(width, height, body=body)


def gif_bomb() -> bytes:
    screen = b"GIF89a" + struct.pack("<HHBBB", 10, 10, 0x80, 0, 0) + bytes(6)
    frame = b"," + struct.pack("<HHHHB", 0, 0, 60_000, 60_000, 0)
    return screen + frame + b"\x02\x02\x4c\x01\x00;"


def bmp_lie(width: int = 30_000, height: int = 30_000) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header + bytes(100)


def webp_bomb() -> bytes:
    side = (16_383).to_bytes(3, "little")
    body = b"VP8X" + struct.pack("<I", 10) + bytes(4) + side + side
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def tiff_bomb() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "TIFF")
    content = bytearray(buffer.getvalue())
    (first,) = struct.unpack("<I", content[4:8])
    (count,) = struct.unpack("<H", content[first : first + 2])
    for entry in range(first + 2, first + 2 + 12 * count, 12):
        (tag,) = struct.unpack("<H", content[entry : entry + 2])
        if tag in {256, 257}:
            content[entry + 2 : entry + 12] = struct.pack("<HII", 4, 1, 30_000)
    return bytes(content)


def text_bomb() -> bytes:
    text = b"Comment\0\0" + zlib.compress(bytes(50_000_000), 9)
    return png_of(8, 8, chunk(b"zTXt", text), body=zlib.compress(bytes(16)))


BOMBS: dict[str, Callable[[], bytes]] = {
    "png": png_bomb,
    "gif": gif_bomb,
    "bmp": bmp_lie,
    "webp": webp_bomb,
    "tiff": tiff_bomb,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_from_its_header(name: str) -> None:
    with pytest.raises(Unreadable) as caught:
        decode(BOMBS[name]())
    assert caught.value.reason == "too-large"
    assert caught.value.sentence.endswith("megapixels")


def test_a_picture_of_more_than_a_million_pixels_a_side_is_refused() -> None:
    with pytest.raises(Unreadable) as caught:
        decode(encode_png(np.zeros((1, 1_000_001, 3), np.uint8)))
    assert caught.value.reason == "too-large"
    assert caught.value.sentence == "1000001 × 1 pixels: a side is longer than 1000000"
    assert decode(encode_png(np.zeros((1_000_000, 1, 3), np.uint8))).pixels_HWC.shape[1] == 1


@pytest.mark.parametrize("name", BOMBS)
def test_without_the_pixel_cap_a_bomb_reaches_the_decoder_negative_control(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headers, "MAX_PIXELS", 10**12)
    monkeypatch.setattr(door.Image, "MAX_IMAGE_PIXELS", None)
    reached = []

    def load(image: Image.Image) -> None:
        reached.append(image.size)
        raise OSError("the decoder was reached")

    for plugin in ("PngImagePlugin.PngImageFile", "GifImagePlugin.GifImageFile"):
        monkeypatch.setattr(f"PIL.{plugin}.load", load)
    for plugin in ("BmpImagePlugin.BmpImageFile", "TiffImagePlugin.TiffImageFile"):
        monkeypatch.setattr(f"PIL.{plugin}.load", load)
    with pytest.raises(Unreadable) as caught:
        decode(BOMBS[name]())
    assert caught.value.reason == "unreadable"
    # WebP's own decoder refuses the missing frame; the lying BMP is seen to be too short.
    assert reached or name in {"webp", "bmp"}


def test_a_header_that_promises_more_than_the_file_holds_is_refused_before_taking_memory() -> None:
    with pytest.raises(Unreadable) as caught:
        decode(bmp_lie(8_000, 7_900))
    assert caught.value.sentence == "it ends too early, after 154 bytes"


def test_a_text_of_fifty_megabytes_in_a_png_is_not_unpacked() -> None:
    with pytest.raises(Unreadable) as caught:
        decode(text_bomb())
    assert (caught.value.reason, caught.value.sentence) == (
        "unreadable",
        "its PNG data are damaged",
    )


def test_with_pillows_text_limit_off_the_text_is_unpacked_negative_control(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("PIL.PngImagePlugin.MAX_TEXT_CHUNK", 10**9)
    monkeypatch.setattr("PIL.PngImagePlugin.MAX_TEXT_MEMORY", 10**9)
    assert decode(text_bomb()).pixels_HWC.shape == (8, 8, 3)


@pytest.mark.parametrize("content", [b"%!PS-Adobe-3.0 EPSF-3.0\n", b"SIMPLE  =" + bytes(2880)])
def test_postscript_and_fits_never_reach_pillow(
    content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[object] = []
    monkeypatch.setattr(door.Image, "open", lambda *given, **named: opened.append(given))
    with pytest.raises(Unreadable):
        decode(content)
    assert opened == []


def test_decoding_registers_no_parser_but_the_six() -> None:
    # A fresh process: this one may have loaded others through other tests.
    code = """
        from pathlib import Path
        from saccade.data.decode import Unreadable, decode
        for path in sorted(Path("PICTURES").iterdir()):
            try:
                decode(path.read_bytes())
            except Unreadable:
                pass
        import sys
        print(*sorted(name for name in sys.modules if name.endswith("ImagePlugin")))
    """
    pictures = Path(__file__).parents[1] / "cases" / "pictures"
    script = textwrap.dedent(code).replace("PICTURES", str(pictures))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = {name.removeprefix("PIL.") for name in done.stdout.split()}
    assert not loaded & {"EpsImagePlugin", "FitsImagePlugin", "PsdImagePlugin", "FpxImagePlugin"}
    assert {"JpegImagePlugin", "PngImagePlugin", "WebPImagePlugin"} <= loaded


def peak_kilobytes(lines: str) -> int:
    """Run lines in a process of its own and return its peak of memory.

    VmHWM, not ru_maxrss, which a new process takes over from the one that started it.
    """
    script = textwrap.dedent(f"""
        import importlib.util
        from pathlib import Path
        spec = importlib.util.spec_from_file_location("bombs", {str(Path(__file__))!r})
        bombs = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(bombs)
        {lines}
        status = Path("/proc/self/status").read_text()
        print(status.split("VmHWM:")[1].split()[0])
    """)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


LINUX = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")


def refuse_all() -> None:
    for make in (*BOMBS.values(), bmp_lie):
        with pytest.raises(Unreadable):
            decode(make())


def decode_without_the_cap() -> None:
    headers.MAX_PIXELS = 10**12
    door.Image.MAX_IMAGE_PIXELS = None
    decode(png_bomb(10_000, 9_000))


@LINUX
def test_refusing_bombs_takes_little_memory() -> None:
    assert peak_kilobytes("bombs.refuse_all()") < 300_000  # the row's limit


@LINUX
def test_without_the_cap_a_tenth_of_a_bomb_takes_more_than_that_negative_control() -> None:
    assert peak_kilobytes("bombs.decode_without_the_cap()") > 300_000


def test_a_bomb_warning_is_an_error_whatever_the_filters_say(
    monkeypatch: pytest.MonkeyPatch, make_picture: Callable[..., bytes]
) -> None:
    monkeypatch.setattr(door.Image, "MAX_IMAGE_PIXELS", 100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(Unreadable) as caught:
            decode(make_picture(0))  # 120 pixels: a warning, for it is less than twice the limit
    assert caught.value.reason == "too-large"


def test_the_warning_filters_are_as_before_when_many_threads_have_decoded(
    make_picture: Callable[..., bytes],
) -> None:
    before = list(warnings.filters)
    content = make_picture(0)
    threads = [
        threading.Thread(target=lambda: [decode(content) for _ in range(50)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before


def test_a_fault_of_ours_is_not_taken_for_a_damaged_file(
    monkeypatch: pytest.MonkeyPatch, make_picture: Callable[..., bytes]
) -> None:
    class OurFaultError(Exception):
        pass

    def fail(image: object, notes: object) -> None:
        raise OurFaultError

    monkeypatch.setattr(door, "_as_rgb", fail)
    with pytest.raises(OurFaultError):
        decode(make_picture(0))


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_file_is_refused_or_decoded_and_nothing_else_happens(
    seed: int, make_picture: Callable[..., bytes]
) -> None:
    rng = np.random.default_rng(seed)
    met: set[str] = set()
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"):
        sound = make_picture(seed, kind=kind)
        for _ in range(20):
            content = bytearray(sound)
            for place in rng.integers(0, len(content), rng.integers(1, 6)):
                content[place] = rng.integers(0, 256)
            try:
                assert decode(bytes(content)).pixels_HWC.ndim == 3
            except Unreadable as error:
                met.add(error.reason)
    assert "unreadable" in met
    assert met <= {"unreadable", "not-an-image", "too-large", "unsupported"}


def test_the_whole_message_of_an_unreadable_picture() -> None:
    with pytest.raises(Unreadable) as caught:
        decode(b"")
    assert str(caught.value) == (
        "A picture cannot be used: the file is empty (0 bytes).\n"
        "  fix:   mend the file, or take it out of the data"
    )
    assert (caught.value.code, caught.value.exit_code) == ("SACCADE-E320", 3)


def test_resizing_is_pillows(make_picture: Callable[..., bytes]) -> None:
    pixels = decode(make_picture(1)).pixels_HWC
    wanted = np.asarray(Image.fromarray(pixels).resize((7, 5), Image.Resampling.BICUBIC))
    seen = resize(pixels, size_hw=(5, 7), interpolation="bicubic")
    assert np.abs(seen.astype(int) - wanted).max() <= 3  # test_resample.py says more
    assert resize(pixels, size_hw=(10, 12), interpolation="bicubic") is pixels


def test_what_is_encoded_decodes_again(make_picture: Callable[..., bytes]) -> None:
    pixels = decode(make_picture(2)).pixels_HWC
    np.testing.assert_array_equal(decode(encode_png(pixels)).pixels_HWC, pixels)
    assert decode(encode_jpeg(pixels, 90)).format == "JPEG"
