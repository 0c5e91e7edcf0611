"""Disturbances: each against its formula or a second source, and nothing but (seed, picture)."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from saccade.data.preprocess import Preprocess
from saccade.insight.disturb import DISTURBANCES, Disturber, blurred

PREPROCESS = Preprocess(size_px=32, crop_fraction=0.8)  # canvas 40
ALL = [(one.name, strength) for one in DISTURBANCES for strength in one.strengths]


def canvases(num: int = 4, *, side: int = 40) -> np.ndarray:
    """Return smooth random canvases, uint8 (num, side, side, 3), so that resampling is benign."""
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.integers(40, 216, (num, 3, 6, 6)).astype(np.float32))
    fine = torch.nn.functional.interpolate(coarse, size=side, mode="bicubic").clamp(0, 255)
    return fine.permute(0, 2, 3, 1).byte().numpy()


def disturbed(pictures: np.ndarray, name: str, strength: float, *, seed: int = 0) -> np.ndarray:
    """Return what the network would see."""
    disturb = Disturber(PREPROCESS, seed=seed)
    rows = range(len(pictures))
    return PREPROCESS.centre(disturb(pictures, rows, name=name, strength=strength))


def test_a_shift_moves_every_pixel_by_whole_pixels_in_one_of_four_directions() -> None:
    """The expectation is slices of the canvas: 1/8 of 32 pixels is 4, and the rim is 4 wide."""
    rng = np.random.default_rng(1)
    pictures = rng.integers(0, 256, (40, 40, 40, 3), dtype=np.uint8)
    found = disturbed(pictures, "shift", 1 / 8)
    met = set()
    for picture, seen in zip(pictures, found, strict=True):
        moved = {
            "left": picture[4:36, 8:40],
            "right": picture[4:36, 0:32],
            "up": picture[8:40, 4:36],
            "down": picture[0:32, 4:36],
        }
        (direction,) = [name for name, own in moved.items() if np.array_equal(own, seen)]
        met.add(direction)
    assert met == {"left", "right", "up", "down"}


def test_a_weaker_shift_goes_the_same_way_and_moves_one_pixel_at_least() -> None:
    pictures = np.random.default_rng(2).integers(0, 256, (12, 40, 40, 3), dtype=np.uint8)
    tiny, far = (disturbed(pictures, "shift", share) for share in (0.001, 3 / 32))
    steps = [(0, 1), (0, -1), (1, 0), (-1, 0)]
    for number, picture in enumerate(pictures):
        (way,) = [
            (down, right)
            for down, right in steps
            if np.array_equal(tiny[number], picture[4 + down :, 4 + right :][:32, :32])
        ]
        down, right = 3 * way[0], 3 * way[1]
        assert np.array_equal(far[number], picture[4 + down :, 4 + right :][:32, :32])


def test_flips_mirror_columns_and_rows() -> None:
    pictures = canvases()
    plain = PREPROCESS.centre(pictures)
    np.testing.assert_array_equal(disturbed(pictures, "hflip", 1), plain[:, :, ::-1])
    np.testing.assert_array_equal(disturbed(pictures, "vflip", 1), plain[:, ::-1])


@pytest.mark.parametrize("factor", [0.5, 1.2])
def test_brightness_is_a_factor(factor: float) -> None:
    expected = np.round(np.clip(PREPROCESS.centre(canvases()) * factor, 0, 255))
    found = disturbed(canvases(), "brightness", factor)
    assert np.abs(found - expected).max() <= 1  # a half may be rounded either way


@pytest.mark.parametrize("factor", [0.4, 1.6])
def test_contrast_is_a_factor_around_each_pictures_own_mean(factor: float) -> None:
    plain = PREPROCESS.centre(canvases()).astype(np.float64)
    mean = plain.mean(axis=(1, 2, 3), keepdims=True)
    expected = np.clip(mean + factor * (plain - mean), 0, 255)
    assert np.abs(disturbed(canvases(), "contrast", factor) - expected).max() <= 0.51


def test_noise_has_its_spread_and_is_different_for_each_picture() -> None:
    gray = np.full((30, 40, 40, 3), 128, np.uint8)
    found = disturbed(gray, "noise", 0.1).astype(np.float64) - 128
    assert found.std() == pytest.approx(25.5, rel=0.03)
    assert found.mean() == pytest.approx(0, abs=1)
    assert abs(np.corrcoef(found[0].ravel(), found[1].ravel())[0, 1]) < 0.1


def test_a_rotation_is_that_of_pillow_one_way_or_the_other() -> None:
    """Pillow turns the canvas about its middle; 30 degrees need no more than the rim here."""
    pictures = canvases(12, side=40)
    found = disturbed(pictures, "rotation", 30.0).astype(np.float64)
    ways = set()
    inner = slice(6, 26)  # away from corners, which Pillow fills and we mirror
    for picture, seen in zip(pictures, found, strict=True):
        errors = {}
        for degrees in (30, -30):
            turned = Image.fromarray(picture).rotate(degrees, Image.Resampling.BILINEAR)
            wanted = PREPROCESS.centre(np.asarray(turned)[None])[0].astype(np.float64)
            errors[degrees] = np.abs(wanted - seen)[inner, inner].mean()
        right, wrong = sorted(errors.values())
        assert right < 0.6 < wrong
        ways.add(min(errors, key=errors.__getitem__))
    assert ways == {30, -30}


@pytest.mark.parametrize("factor", [0.9, 1.4])
def test_a_scale_is_that_of_scipy(factor: float) -> None:
    """A zoom about the middle of the canvas, by spline order 1."""
    picture = canvases(1)[0].astype(np.float64)
    middle = 19.5
    wanted = np.stack(
        [
            ndimage.affine_transform(
                picture[:, :, part],
                np.eye(2) / factor,
                offset=middle - middle / factor,
                order=1,
                mode="reflect",
            )
            for part in range(3)
        ],
        axis=-1,
    )[4:36, 4:36]
    found = disturbed(canvases(1), "scale", factor)[0]
    assert np.abs(found - wanted).max() <= 0.6


@pytest.mark.parametrize("sigma_px", [0.7, 2.0])
def test_a_blur_is_that_of_scipy(sigma_px: float) -> None:
    pictures = canvases(2)
    wanted = ndimage.gaussian_filter(
        pictures.astype(np.float64), (0, sigma_px, sigma_px, 0), mode="mirror", truncate=4
    )
    assert np.abs(blurred(pictures, sigma_px=sigma_px) - wanted).max() <= 1.0


def test_a_blur_of_nothing_changes_nothing() -> None:
    np.testing.assert_array_equal(blurred(canvases(), sigma_px=0.0), canvases())


def test_jpeg_is_that_of_pillow() -> None:
    pictures = canvases(2)
    for quality in (10, 30):
        found = disturbed(pictures, "jpeg", quality)
        for picture, seen in zip(pictures, found, strict=True):
            file = io.BytesIO()
            Image.fromarray(picture).save(file, "JPEG", quality=quality)
            wanted = np.asarray(Image.open(file))[4:36, 4:36].astype(np.int16)
            assert np.abs(seen - wanted).max() <= 3  # another libjpeg; RELIABILITY A7


@pytest.mark.parametrize(("name", "strength"), ALL)
def test_every_disturbance_changes_pictures_and_keeps_their_shape(
    name: str, strength: float
) -> None:
    pictures = np.random.default_rng(3).integers(0, 256, (4, 40, 40, 3), dtype=np.uint8)
    before = pictures.copy()
    changed = Disturber(PREPROCESS, seed=0)(pictures, range(4), name=name, strength=strength)
    assert (changed.shape, changed.dtype) == (pictures.shape, np.uint8)
    np.testing.assert_array_equal(pictures, before)  # what was given stays as it is
    apart = np.abs(PREPROCESS.centre(changed).astype(int) - PREPROCESS.centre(before).astype(int))
    assert apart.mean() > 1


@pytest.mark.parametrize(
    "one",
    [
        one
        for one in DISTURBANCES
        if one.name in {"rotation", "scale", "brightness", "contrast", "noise"}
    ],
)
def test_at_the_neutral_strength_nothing_happens(one) -> None:
    found = disturbed(canvases(), one.name, one.neutral).astype(int)
    assert np.abs(found - PREPROCESS.centre(canvases())).max() <= 1


@pytest.mark.parametrize("name", ["shift", "rotation", "noise"])
def test_what_happens_depends_on_seed_and_picture_and_not_on_the_batch(name: str) -> None:
    strength = {"shift": 1 / 8, "rotation": 30.0, "noise": 0.1}[name]
    pictures = np.repeat(canvases(1), 16, axis=0)
    together = Disturber(PREPROCESS, seed=0)(pictures, range(16), name=name, strength=strength)
    alone = Disturber(PREPROCESS, seed=0)(pictures[:3], [5, 6, 7], name=name, strength=strength)
    np.testing.assert_array_equal(alone, together[5:8])
    other = Disturber(PREPROCESS, seed=1)(pictures, range(16), name=name, strength=strength)
    assert not np.array_equal(other, together)


def test_a_disturbance_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(KeyError):
        disturbed(canvases(), "fog", 1.0)
