"""One file per oddity, decoded to what stands beside it (see make_cases.py)."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from saccade.data import decode as door
from saccade.data.decode import Unreadable, decode

PICTURES = Path(__file__).parent / "pictures"
EXPECTATIONS = json.loads((PICTURES / "expectations.json").read_text(encoding="utf-8"))
SOUND = sorted(name for name, own in EXPECTATIONS.items() if "format" in own)
BROKEN = sorted(set(EXPECTATIONS) - set(SOUND))


def expected_pixels(name: str) -> np.ndarray:
    return np.asarray(Image.open(PICTURES / f"{name}.expected.png"), dtype=np.int64)


def difference(name: str) -> int:
    decoded = decode((PICTURES / name).read_bytes())
    wanted = expected_pixels(name)
    assert decoded.pixels_HWC.shape == wanted.shape
    return int(np.abs(decoded.pixels_HWC.astype(np.int64) - wanted).max())


@pytest.mark.parametrize("name", SOUND)
def test_an_odd_picture_is_decoded_as_documented(name: str) -> None:
    wanted = EXPECTATIONS[name]
    decoded = decode((PICTURES / name).read_bytes())
    assert decoded.format == wanted["format"]
    assert list(decoded.notes) == wanted["notes"]
    assert decoded.pixels_HWC.dtype == np.uint8
    assert difference(name) <= wanted["tolerance"]


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_with_the_reason(name: str) -> None:
    wanted = EXPECTATIONS[name]
    with pytest.raises(Unreadable) as caught:
        decode((PICTURES / name).read_bytes())
    assert caught.value.reason == wanted["reason"]
    if wanted["sentence"] != "*":
        assert caught.value.sentence == wanted["sentence"]


@pytest.mark.parametrize("name", [f"exif-{n}.jpg" for n in range(2, 9)] + ["exif-6.png"])
def test_without_turning_the_turned_pictures_are_wrong_negative_control(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door.ImageOps, "exif_transpose", lambda image, in_place: None)
    decoded = decode((PICTURES / name).read_bytes())
    wanted = expected_pixels(name)
    same_shape = decoded.pixels_HWC.shape == wanted.shape
    assert not same_shape or np.abs(decoded.pixels_HWC - wanted).max() > 50


@pytest.mark.parametrize("name", ["gray-16.png", "gray-16.tiff"])
def test_without_scaling_sixteen_bits_are_clipped_negative_control(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "_eight_bits", lambda image, notes: image)
    assert difference(name) > 100


@pytest.mark.parametrize("name", ["rgba.png", "la.png", "palette-transparent.png"])
def test_without_a_white_ground_transparency_shows_what_was_hidden_negative_control(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door.Image, "alpha_composite", lambda ground, layered: layered)
    assert difference(name) > 50


def test_without_its_profile_a_printed_picture_has_other_colours_negative_control(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(door, "_from_cmyk", lambda image: image.convert("RGB"))
    assert difference("cmyk-profile.tiff") > 50


def test_without_the_check_of_sums_a_damaged_png_gets_through_negative_control(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Pillow 12 and 13 do not look at the checksums of the pixels; zlib's own sum lies behind them,
    # so the control damages the stored checksum alone.
    content = bytearray((PICTURES / "rgba-solid.png").read_bytes())
    content[content.index(b"IEND") - 5] ^= 0xFF
    with pytest.raises(Unreadable):
        decode(bytes(content))
    monkeypatch.setattr(door, "check_header", lambda content, kind: None)
    assert decode(bytes(content)).format == "PNG"


@pytest.mark.parametrize("percent", [50, 90, 99])
def test_with_truncated_files_allowed_the_cut_ones_get_through_negative_control(
    percent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("PIL.ImageFile.LOAD_TRUNCATED_IMAGES", True)
    content = (PICTURES / f"cut-{percent}.jpg").read_bytes()
    assert decode(content).pixels_HWC.shape == (48, 64, 3)


@pytest.mark.parametrize("name", [f"exif-{n}.jpg" for n in range(1, 9)])
def test_turning_agrees_with_pillow(name: str) -> None:
    # The second source is ImageOps.exif_transpose on a freshly opened picture.
    content = (PICTURES / name).read_bytes()
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    np.testing.assert_array_equal(decode(content).pixels_HWC, np.asarray(upright))
