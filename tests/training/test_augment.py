"""Augmentation: what each family does, and that it depends on nothing but seed, epoch, picture."""

import numpy as np
import pytest
import torch

from saccade.data.preprocess import Preprocess
from saccade.training.augment import Augment, Augmenter, augment_of, draw, preview
from saccade.training.recipe import Recipe

PREPROCESS = Preprocess(size_px=32, crop_fraction=0.8)  # canvas 40
FAMILIES = ["rotate", "zoom", "shift", "hflip", "vflip", "brightness", "contrast", "noise"]
STRONG = Augment(
    rotate=90, zoom=0.5, shift=0.4, hflip=1, vflip=1, brightness=0.5, contrast=0.5, noise=0.3
)


def canvas(seed: int = 0) -> np.ndarray:
    """Return a smooth random canvas (40, 40, 3), so that resampling shows no aliasing."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.integers(0, 256, (1, 3, 8, 8)).astype(np.float32))
    fine = torch.nn.functional.interpolate(coarse, size=40, mode="bicubic").clamp(0, 255)
    return fine[0].permute(1, 2, 0).byte().numpy()


def changed(augment: Augment, pictures: np.ndarray, rows: range, *, epoch: int = 1) -> np.ndarray:
    return Augmenter(augment, PREPROCESS, seed=0, device="cpu")(pictures, rows, epoch=epoch).numpy()


def test_nothing_switched_on_gives_what_the_network_sees() -> None:
    pictures = np.stack([canvas(0), canvas(1)])
    np.testing.assert_allclose(
        changed(Augment(), pictures, range(2)), PREPROCESS.centre(pictures), atol=1e-3
    )


def test_a_horizontal_flip_mirrors_columns() -> None:
    pictures = canvas()[None]
    expected = PREPROCESS.centre(pictures)[:, :, ::-1]
    np.testing.assert_allclose(changed(Augment(hflip=1), pictures, range(1)), expected, atol=1e-2)


def test_a_vertical_flip_mirrors_rows() -> None:
    pictures = canvas()[None]
    expected = PREPROCESS.centre(pictures)[:, ::-1]
    np.testing.assert_allclose(changed(Augment(vflip=1), pictures, range(1)), expected, atol=1e-2)


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_changes_pictures_by_itself(family: str) -> None:
    pictures = np.stack([canvas(n) for n in range(4)])
    plain = PREPROCESS.centre(pictures).astype(np.float32)
    assert np.abs(changed(STRONG.only(family), pictures, range(4)) - plain).mean() > 1


@pytest.mark.parametrize(
    ("family", "field", "low", "high"),
    [
        ("rotate", "angle", -np.pi / 2, np.pi / 2),
        ("zoom", "scale", 0.5, 2.0),
        ("shift", "shift_x", -0.4, 0.4),
        ("shift", "shift_y", -0.4, 0.4),
        ("brightness", "brightness", 0.5, 1.5),
        ("contrast", "contrast", 0.5, 1.5),
        ("noise", "noise", 0.0, 0.3 * 255),
    ],
)
def test_draws_fill_their_range_and_do_not_leave_it(
    family: str, field: str, low: float, high: float
) -> None:
    values = getattr(draw(STRONG.only(family), range(2000), seed=0, epoch=1), field)
    assert low <= values.min() < low + 0.02 * (high - low)
    assert high - 0.02 * (high - low) < values.max() <= high


def test_flips_come_as_often_as_asked() -> None:
    what = draw(Augment(hflip=0.3), range(2000), seed=0, epoch=1)
    share = float((what.mirror_x < 0).mean())
    assert share == pytest.approx(0.3, abs=0.04)  # 4 standard errors of a proportion


def test_a_rotation_by_a_quarter_turn_equals_rot90() -> None:
    """np.rot90 is the second source; 90° either way, whichever was drawn."""
    pictures = canvas()[None]
    augmenter = Augmenter(Augment(rotate=90), PREPROCESS, seed=0, device="cpu")
    what = draw(augmenter.augment, [0], seed=0, epoch=1)
    object.__setattr__(what, "angle", np.array([np.pi / 2]))
    images = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
    turned = augmenter._move(images, what).permute(0, 2, 3, 1).numpy()
    plain = PREPROCESS.centre(pictures)[0].astype(np.float32)
    errors = [np.abs(turned[0] - np.rot90(plain, k)).max() for k in (1, -1)]
    assert min(errors) < 0.1 < max(errors)


def test_noise_has_the_spread_that_was_drawn() -> None:
    gray = np.full((64, 40, 40, 3), 128, np.uint8)
    out = changed(Augment(noise=0.1), gray, range(64))
    wanted = draw(Augment(noise=0.1), range(64), seed=0, epoch=1).noise
    np.testing.assert_allclose(out.std(axis=(1, 2, 3)), wanted, rtol=0.1, atol=0.2)


def test_brightness_and_contrast_equal_their_formula() -> None:
    pictures = canvas()[None] // 2 + 60  # far from 0 and 255, so that nothing is clamped
    augment = Augment(brightness=0.2, contrast=0.3)
    what = draw(augment, [7], seed=0, epoch=1)
    plain = PREPROCESS.centre(pictures).astype(np.float64) * what.brightness[0]
    expected = (plain - plain.mean()) * what.contrast[0] + plain.mean()
    got = Augmenter(augment, PREPROCESS, seed=0, device="cpu")(pictures, [7], epoch=1).numpy()
    np.testing.assert_allclose(got, expected, atol=1e-2)


def test_a_picture_is_changed_the_same_way_in_any_batch() -> None:
    pictures = np.stack([canvas(n) for n in range(6)])
    together = changed(STRONG, pictures, range(6))
    alone = changed(STRONG, pictures[4:5], range(4, 5))
    np.testing.assert_allclose(together[4:5], alone, atol=1e-3)


def test_epochs_and_seeds_differ() -> None:
    pictures = canvas()[None]
    first, second = (changed(STRONG, pictures, range(1), epoch=epoch) for epoch in (1, 2))
    assert np.abs(first - second).mean() > 1
    other = Augmenter(STRONG, PREPROCESS, seed=1, device="cpu")(pictures, [0], epoch=1).numpy()
    assert np.abs(first - other).mean() > 1


def test_switching_one_family_off_leaves_the_draws_of_the_others() -> None:
    whole = draw(STRONG, range(5), seed=0, epoch=1)
    part = draw(STRONG.only("rotate", "noise"), range(5), seed=0, epoch=1)
    np.testing.assert_array_equal(whole.angle, part.angle)
    np.testing.assert_array_equal(whole.noise, part.noise)


def test_the_recipe_can_switch_everything_off() -> None:
    assert augment_of(Recipe()).active
    assert not augment_of(Recipe(augment=False)).active


def test_the_preview_shows_every_family_and_says_what_is_off() -> None:
    rows = preview(augment_of(Recipe(noise=0)), canvas(), PREPROCESS, seed=0, views=3)
    assert [(caption, len(pictures)) for caption, pictures in rows] == [
        ("rotation ±15°", 4),
        ("scaling and cropping ×0.85–1.18", 4),
        ("translation ±8%", 4),
        ("flips: horizontal 50%, vertical 0%", 4),
        ("brightness ±15%, contrast ±15%", 4),
        ("Gaussian noise up to 0.0%: off", 1),
        ("all together", 4),
    ]
    assert all(p.shape == (32, 32, 3) and p.dtype == np.uint8 for _, ps in rows for p in ps)
