import io

import numpy as np
from PIL import Image

from saccade.data.decode import decode
from saccade.reporting.pictures import SIDE_PX, Album, shrink, spread

RED = np.zeros((300, 200, 3), np.uint8)
RED[..., 0] = 200


def test_a_picture_is_shrunk_and_keeps_its_shape_and_colour() -> None:
    picture = Album(lambda path: RED).picture("a.jpg")
    pixels = decode(picture.jpeg).pixels_HWC
    assert pixels.shape == (SIDE_PX, 96, 3)
    assert (picture.height_px, picture.width_px) == (SIDE_PX, 96)
    assert np.abs(pixels.astype(int) - [200, 0, 0]).max() <= 3


def test_a_small_picture_is_not_blown_up() -> None:
    assert shrink(RED[:20, :10], side_px=144).shape == (20, 10, 3)


def test_a_line_of_pixels_survives() -> None:
    assert shrink(RED[:300, :1], side_px=144).shape == (144, 1, 3)


def test_a_file_is_read_once_however_often_it_is_shown() -> None:
    asked: list[str] = []
    album = Album(lambda path: asked.append(path) or RED)  # type: ignore[func-returns-value]
    assert album.picture("a.jpg") is album.picture("a.jpg")
    assert asked == ["a.jpg"]


def test_no_metadata_of_the_file_reaches_the_page() -> None:
    """A camera writes where a picture was taken; the album is given what decoding gives."""
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x010F] = "Camera of somebody"
    exif.get_ifd(0x8825)[1] = "N"
    Image.fromarray(RED).save(file, "JPEG", exif=exif)
    assert b"Camera of somebody" in file.getvalue()
    jpeg = Album(lambda path: decode(file.getvalue()).pixels_HWC).picture("a.jpg").jpeg
    assert b"Exif" not in jpeg
    assert b"Camera of somebody" not in jpeg


def test_the_budget_holds_and_what_it_cost_is_counted() -> None:
    rng = np.random.default_rng(0)
    album = Album(lambda path: rng.integers(0, 256, (144, 144, 3), np.uint8), max_bytes=40_000)
    shown = [album.picture(f"{k}.jpg") for k in range(10)]
    assert sum(len(p.jpeg) for p in shown) <= 40_000
    assert album.num_left_out == sum(not p.jpeg for p in shown) > 0


def test_names_are_written_as_in_every_other_table() -> None:
    assert Album(lambda path: None).picture("=a\nb").name == "'=a\\nb"


def test_few_are_all_shown_and_many_are_spread_from_the_first_on() -> None:
    assert spread([1, 2, 3], 8) == [1, 2, 3]
    assert spread(list(range(100)), 5) == [0, 20, 40, 60, 80]
