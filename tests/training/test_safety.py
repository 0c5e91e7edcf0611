"""Augmentations that spoil what is to be learned are found, and no others."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_digits
from sklearn.kernel_ridge import KernelRidge
from tests.training.pointers import PREPROCESS, SIDE, SIDES, Canvases, blobs, pointers, sample_of

from saccade.data.decode import resize
from saccade.data.preprocess import Preprocess
from saccade.data.task import Task
from saccade.training import safety
from saccade.training.augment import Augment, augment_of
from saccade.training.recipe import Recipe
from saccade.training.safety import FAMILIES, Safety, held_out, judge_augmentation

USUAL = augment_of(Recipe(vflip=0.5))
FLIPS = ("hflip", "vflip")
TEN = Task(kind="multiclass", classes=tuple("0123456789"))
SHARED = Path(__file__).parents[3] / "shared" / "data"
WHOLE = Preprocess(size_px=32, fit="squash")


def judged(
    pictures: np.ndarray,
    targets: np.ndarray,
    task: Task = SIDES,
    *,
    names: tuple[str, ...] = FLIPS,
    augment: Augment = USUAL,
    preprocess: Preprocess = PREPROCESS,
    seed: int = 0,
) -> Safety:
    cache: Any = Canvases(pictures, preprocess)
    sample = sample_of(targets, task, seed=seed)
    return judge_augmentation(cache, sample, task=task, augment=augment, names=names, seed=seed)


def letters(names: str, num: int = 240, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray, Task]:
    """Return letters in the font that comes with Pillow, dark on light ground, as a page has them.

    Their sizes and places differ a little.
    """
    rng = np.random.default_rng(seed)
    classes = np.arange(num) % len(names)
    pictures = np.empty((num, SIDE, SIDE, 3))
    for number, own in enumerate(classes):
        page = Image.new("L", (SIDE, SIDE))
        font = ImageFont.load_default(size=int(rng.integers(22, 29)))
        middle = SIDE / 2 + rng.uniform(-2, 2, 2)
        ImageDraw.Draw(page).text(tuple(middle), names[own], fill=255, font=font, anchor="mm")
        ink = np.asarray(page)[:, :, None] / 255
        pictures[number] = rng.integers(150, 256, 3) * (1 - ink) + rng.integers(0, 80, 3) * ink
    pictures += rng.normal(0, 8, pictures.shape)
    task = Task(kind="multiclass", classes=tuple(names))
    return pictures.clip(0, 255).astype(np.uint8), classes, task


def digits(seed: int) -> tuple[np.ndarray, np.ndarray, Task]:
    """Return 500 of scikit-learn's digits on canvases of 32 pixels."""
    given = load_digits()
    rows = np.random.default_rng(seed).permutation(len(given.target))[:500]
    gray = np.round(given.images[rows] * (255 / 16)).astype(np.uint8)
    pictures = np.repeat(gray[..., None], 3, axis=3)
    larger = [resize(one, size_hw=(32, 32), interpolation="bicubic") for one in pictures]
    return np.stack(larger), given.target[rows], TEN


def test_errors_of_left_out_folds_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    seen, wanted, folds = (
        rng.normal(size=(60, 4)),
        rng.normal(size=(60, 3)),
        rng.permutation(60) % 5,
    )
    kernel = np.exp(-0.3 * ((seen[:, None] - seen[None]) ** 2).sum(axis=2))
    found = held_out(kernel, wanted, folds, 0.1)
    for fold in range(5):
        own, held = folds != fold, folds == fold
        ridge = KernelRidge(alpha=0.1, kernel="rbf", gamma=0.3).fit(seen[own], wanted[own])
        np.testing.assert_allclose(found[held], wanted[held] - ridge.predict(seen[held]), atol=1e-9)


def test_mirrored_pointers_are_unsafe_and_all_else_is_not() -> None:
    found = judged(*pointers(), names=tuple(FAMILIES))
    assert found.unsafe == ("hflip",)
    mirrored = found.verdicts[tuple(FAMILIES).index("hflip")]
    assert mirrored.lost.value > 0.5
    assert mirrored.turned > 0.7 * mirrored.right
    assert mirrored.move is not None
    assert set(mirrored.move[:2]) == {"left", "right"}


def test_the_example_is_a_picture_and_its_look_alike_of_the_other_class() -> None:
    pictures, right = pointers()
    example = judged(pictures, right).verdicts[0].example
    assert example is not None
    first, other = example
    assert right[first] != right[other]
    mirrored = PREPROCESS.centre(pictures[first][None])[0, :, ::-1].astype(float)
    mean = np.abs(PREPROCESS.centre(pictures) - mirrored).mean(axis=(1, 2, 3))
    assert (mean[right == right[other]] < mean[other]).mean() < 0.05


def test_where_a_mirror_changes_nothing_it_is_safe() -> None:
    """The negative control: the same pictures, but told apart by what a mirror leaves alone."""
    pictures, _ = pointers()
    colour = (pictures.mean(axis=(1, 2))[:, 0] > pictures.mean(axis=(1, 2))[:, 2]).astype(np.int64)
    found = judged(pictures, colour)
    assert found.knows
    assert found.unsafe == ()


def test_a_small_turn_is_safe_and_half_a_turn_is_not() -> None:
    for degrees, unsafe in ((15.0, ()), (180.0, ("rotate",))):
        found = judged(*pointers(), names=("rotate",), augment=Augment(rotate=degrees))
        assert found.unsafe == unsafe


def test_mirrored_letters_are_unsafe_and_all_else_is_not() -> None:
    """Each of them is another one in the mirror and upside down."""
    found = judged(*letters("bdpqnu"), names=tuple(FAMILIES))
    assert found.unsafe == FLIPS
    mirrored = found.verdicts[tuple(FAMILIES).index("hflip")]
    assert mirrored.lost.value > 0.3


def test_letters_that_a_mirror_leaves_as_they_are_may_be_mirrored() -> None:
    """The negative control; upside down M and W are each other."""
    found = judged(*letters("AHMOTW"))
    assert found.knows
    assert found.unsafe == ("vflip",)


@pytest.mark.parametrize(("degrees", "unsafe"), [(15.0, ()), (180.0, ("rotate",))])
def test_digits_may_be_turned_a_little_and_not_upside_down(
    degrees: float, unsafe: tuple[str, ...]
) -> None:
    """15 degrees is what a recipe has by itself; up to 180 can be asked for."""
    asked = augment_of(Recipe(rotate=degrees))
    found = judged(*digits(0), names=("rotate",), augment=asked, preprocess=WHOLE)
    assert found.unsafe == unsafe


def test_of_classes_that_cannot_be_seen_nothing_is_said() -> None:
    pictures, right = pointers()
    shuffled = np.random.default_rng(1).permutation(right)
    found = judged(pictures, shuffled)
    assert (found.knows, found.verdicts, found.unsafe) == (False, (), ())


def test_a_place_is_a_number_that_a_mirror_changes() -> None:
    pictures, places = blobs()
    across = Task(kind="regression", classes=(), target_mean=0.0, target_std=0.6)
    found = judged(pictures, places[:, 0], across)
    assert found.unsafe == ("hflip",)
    assert [one.move for one in found.verdicts] == [None, None]


def test_of_several_labels_one_that_a_mirror_changes_is_enough() -> None:
    pictures, places = blobs()
    labels = (places > 0).astype(np.uint8)
    both = Task(kind="multilabel", classes=("right half", "lower half"))
    assert judged(pictures, labels, both).unsafe == FLIPS
    only = Task(kind="multilabel", classes=("right half",))
    assert judged(pictures, labels[:, :1], only).unsafe == ("hflip",)


def test_views_that_are_the_pictures_themselves_lose_nothing() -> None:
    """Whatever is lost with flips is then not for want of a better penalty."""
    pictures, right = pointers(80)
    cache: Any = Canvases(pictures)
    small = safety._Small(cache, range(80), seed=0)
    sample = sample_of(right, SIDES)
    probe = safety._Probe(small.seen(), safety._wanted(right, SIDES), sample.folds_N, None)
    again = probe.losses_with(small.seen())
    assert again.sum() <= probe.losses_N.sum() * (1 + 1e-9)
    assert again.sum() > 0.8 * probe.losses_N.sum()


def test_the_same_seed_gives_the_same_verdict_to_the_last_bit() -> None:
    first, second = (judged(*pointers(100), names=("rotate", "hflip")) for _ in range(2))
    assert first == second


def test_large_canvases_are_judged_as_small_ones_are() -> None:
    pictures, right = pointers(120)
    large = np.stack(
        [resize(one, size_hw=(160, 160), interpolation="bilinear") for one in pictures]
    )
    found = judged(large, right, preprocess=Preprocess(size_px=128, crop_fraction=0.8))
    assert found.unsafe == ("hflip",)
    assert found.verdicts[0].lost.value == pytest.approx(
        judged(pictures, right).verdicts[0].lost.value, abs=0.3
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_mirrored_digit_is_unsafe_and_a_turned_or_moved_one_is_not(seed: int) -> None:
    found = judged(*digits(seed), names=tuple(FAMILIES), preprocess=WHOLE, seed=seed)
    assert found.unsafe == FLIPS


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flowers", "antsbees", "cifar10.parquet"])
def test_no_augmentation_of_photographs_is_unsafe(name: str) -> None:
    from saccade.data.pixel_store import PixelStore
    from saccade.data.scan import scan
    from saccade.data.task import choose_task, targets

    if not (SHARED / name).exists():
        pytest.skip(f"{name} is not here")
    with PixelStore(Preprocess(size_px=64, crop_fraction=0.875)) as pixels:
        catalog = scan(str(SHARED / name), pixels=pixels)
        task = choose_task(catalog)
        rows = np.sort(np.random.default_rng(0).permutation(len(catalog))[:500])
        canvases = pixels.finish(catalog).canvases(rows)
        found = judged(
            canvases,
            np.asarray(targets(catalog, task)[rows]),
            task,
            names=tuple(FAMILIES),
            preprocess=pixels.preprocess,
        )
    told = {own.name: (round(own.lost.value, 3), float(f"{own.p:.1g}")) for own in found.verdicts}
    print(f"\n{name}, {found.num} pictures: {told}")
    assert found.knows
    assert found.unsafe == ()


def test_frames_of_few_videos_accuse_no_augmentation() -> None:
    """Mirrored pointers are unsafe; of six videos that cannot be known, however long they are."""
    pictures, targets = pointers(240)
    cache: Any = Canvases(pictures, PREPROCESS)
    alone = sample_of(targets, SIDES, seed=0)
    videos = dataclasses.replace(alone, groups=tuple(f"v{row % 6}" for row in alone.rows))
    found = [
        judge_augmentation(cache, own, task=SIDES, augment=USUAL, names=FLIPS, seed=0)
        for own in (alone, videos)
    ]
    assert [one.knows for one in found] == [True, False]
