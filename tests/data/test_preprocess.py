"""One preprocessing, equal to timm's on Pillow images up to the rounding of single pixels."""

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
from PIL import Image

from saccade.data import resample
from saccade.data.preprocess import Preprocess

SIZES = [
    (40, 60),
    (60, 40),
    (33, 47),
    (257, 259),
    (256, 256),
    (9, 301),
    (300, 7),
    (17, 17),
    (235, 236),
]
CHOICES = [
    (224, 0.875, "bicubic", "crop"),
    (224, 0.95, "bilinear", "crop"),
    (96, 1.0, "bicubic", "crop"),
    (299, 0.897, "bicubic", "crop"),
    (35, 0.9, "lanczos", "crop"),
    (64, 1.0, "bicubic", "pad"),
    (63, 1.0, "bilinear", "pad"),
    (64, 1.0, "bicubic", "squash"),
    (28, 1.0, "nearest", "squash"),
]


def preprocess_of(choice: tuple[int, float, str, str]) -> Preprocess:
    size_px, fraction, interpolation, fit = choice
    return Preprocess(
        size_px=size_px,
        crop_fraction=fraction,
        interpolation=interpolation,
        fit=fit,  # type: ignore[arg-type]
        mean=(0.5, 0.4, 0.3),
        std=(0.2, 0.25, 0.3),
    )


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * 1000 + width).integers(
        0, 256, (height, width, 3), dtype=np.uint8
    )


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_canvas_and_centre_equal_timms_evaluation_transform(
    choice: tuple[int, float, str, str],
) -> None:
    # The second source is timm's own create_transform on a Pillow image.
    from timm.data import create_transform

    preprocess = preprocess_of(choice)
    modes = {"crop": "center", "pad": "border", "squash": "squash"}
    transform = create_transform(
        input_size=preprocess.size_px,
        interpolation=preprocess.interpolation,
        mean=preprocess.mean,
        std=preprocess.std,
        crop_pct=preprocess.crop_fraction,
        crop_mode=modes[preprocess.fit],
        normalize=False,
    )
    normalised = create_transform(
        input_size=preprocess.size_px,
        interpolation=preprocess.interpolation,
        mean=preprocess.mean,
        std=preprocess.std,
        crop_pct=preprocess.crop_fraction,
        crop_mode=modes[preprocess.fit],
    )
    for height, width in SIZES:
        pixels = noise(height, width)
        canvas = preprocess.to_canvas(pixels)
        assert canvas.shape == (preprocess.canvas_px, preprocess.canvas_px, 3)
        mine = preprocess.centre(canvas[None])
        theirs = transform(Image.fromarray(pixels)).numpy().transpose(1, 2, 0)
        # Single pixels are rounded the other way. Of pictures far higher than wide Pillow makes the
        # passes in the other order (saccade.data.resample); the next test has these.
        apart = np.abs(mine[0].astype(int) - theirs)
        if height > 2 * width:
            continue
        assert apart.max() <= 3
        assert (apart > 0).mean() <= 0.05
        np.testing.assert_allclose(
            preprocess.normalise(mine)[0],
            normalised(Image.fromarray(pixels)).numpy(),
            atol=(apart.max() + 1e-4) / 255 / min(preprocess.std),
        )


def test_a_canvas_cropped_without_regard_to_rounding_is_a_pixel_off_negative_control() -> None:
    preprocess = preprocess_of((35, 0.9, "bicubic", "crop"))
    assert (preprocess.canvas_px, preprocess._crop_offset(40)) == (38, 0)
    naive = round((40 - 38) / 2)
    assert naive != preprocess._crop_offset(40)


def test_the_canvas_is_the_input_unless_cropped() -> None:
    assert Preprocess(size_px=224, crop_fraction=0.875).canvas_px == 256
    assert Preprocess(size_px=224, crop_fraction=0.95).canvas_px == 235  # timm: floor(235.79)
    assert Preprocess(size_px=224, crop_fraction=0.875, fit="pad").canvas_px == 224
    assert Preprocess(size_px=224, crop_fraction=0.875, fit="squash").canvas_px == 224


def test_a_preprocessing_comes_back_from_json() -> None:
    for choice in CHOICES:
        preprocess = preprocess_of(choice)
        assert Preprocess.from_dict(json.loads(json.dumps(preprocess.as_dict()))) == preprocess


def test_padding_keeps_the_whole_picture_between_bars_of_the_mean_colour() -> None:
    preprocess = preprocess_of((8, 1.0, "nearest", "pad"))
    canvas = preprocess.to_canvas(np.zeros((4, 8, 3), np.uint8))
    assert (canvas[:2] == [128, 102, 76]).all()  # 255 times 0.5, 0.4, 0.3, rounded
    assert (canvas[2:6] == 0).all()
    assert (canvas[6:] == [128, 102, 76]).all()


def test_of_a_very_long_picture_only_what_is_seen_is_resized() -> None:
    preprocess = preprocess_of((56, 0.875, "bicubic", "crop"))
    for shape in ((1, 1_000_000, 3), (1_000_000, 1, 3), (1, 60_000_000, 3)):
        pixels = np.full(shape, 90, np.uint8)
        assert (preprocess.to_canvas(pixels) == np.full((64, 64, 3), 90)).all()


@pytest.mark.parametrize("choice", CHOICES[:5], ids=str)
def test_what_is_seen_of_a_picture_is_what_resizing_it_whole_by_pillow_would_give(
    choice: tuple[int, float, str, str],
) -> None:
    """At the edges too, and of pictures far longer than wide, or higher; rows first."""
    preprocess = preprocess_of(choice)
    canvas, kind = preprocess.canvas_px, Image.Resampling[choice[2].upper()]
    for height, width in [*SIZES, (2, 999), (999, 3), (41, 40)]:
        pixels = noise(height, width)
        size_hw = (canvas, canvas * width // height)
        if height > width:
            size_hw = (canvas * height // width, canvas)
        across = Image.fromarray(pixels).resize((size_hw[1], height), kind)
        whole = np.asarray(across.resize(size_hw[::-1], kind)).astype(int)
        top, left = (preprocess._crop_offset(side) for side in size_hw)
        wanted = whole[top : top + canvas, left : left + canvas]
        seen = preprocess.to_canvas(pixels)
        assert np.abs(seen - wanted).max() <= 3
        assert (seen != wanted).mean() <= 0.05


def test_of_a_very_long_picture_pillow_is_not_given_all_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resample, "cykooz", None)
    preprocess = preprocess_of((56, 0.875, "bicubic", "crop"))
    pixels = np.zeros((300_000, 64, 3), np.uint8)
    tracemalloc.start()
    preprocess.to_canvas(pixels)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    heights = []
    honest = Image.Image.resize

    def watched(image: Image.Image, *args: Any, **named: Any) -> Image.Image:
        heights.append(image.height)
        return honest(image, *args, **named)

    monkeypatch.setattr(Image.Image, "resize", watched)
    preprocess.to_canvas(pixels)
    assert max(heights) < 100
    assert peak < 5_000_000
