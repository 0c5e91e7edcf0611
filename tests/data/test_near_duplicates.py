"""Thumbnails that show the same are told from those that only look alike."""

import math

import numpy as np
import pytest
from sklearn.datasets import load_digits
from tests.planted import texture

from saccade.data import near_duplicates
from saccade.data.alignment import fit
from saccade.data.looks import look_at_canvases
from saccade.data.near_duplicates import NearPairs, find_near_pairs, separating


def thumbs(*canvases: np.ndarray) -> np.ndarray:
    return np.concatenate([look_at_canvases(own[None])[0] for own in canvases])


def square(seed: int, side: int = 128) -> np.ndarray:
    return texture(seed, width=side, height=side)


def found(stack_NHW: np.ndarray, *, threads: int = 1) -> NearPairs:
    return find_near_pairs(stack_NHW, np.ones(len(stack_NHW), np.bool_), threads=threads)


def as_set(near: NearPairs) -> set[tuple[int, int]]:
    return {(first, second) for first, second in near.pairs_P2.tolist()}


def test_a_crop_is_laid_where_it_was_cut_out() -> None:
    # 120 of 128 pixels from (6, 2): the crop's middle lies at 66 and 62 of 128, so what it shows
    # is 120/128 as large as the whole, and 2/128 right of and above the middle.
    whole = square(0)
    crop = whole[2:122, 6:126]
    # The whole is laid on the crop: a place x of the crop shows the place stretch * x + shift.
    own = fit(thumbs(whole), thumbs(crop))
    assert own.similarity_P[0] > 0.95
    assert own.stretch_P2[0] == pytest.approx([120 / 128] * 2, abs=0.005)
    assert own.shift_P2[0] == pytest.approx([2 / 128, -2 / 128], abs=0.003)


def test_brightness_and_contrast_make_no_difference() -> None:
    whole = square(1)
    darker = (whole * 0.6 + 10).astype(np.uint8)
    assert fit(thumbs(whole), thumbs(darker)).similarity_P[0] > 0.99


@pytest.mark.parametrize("num", [0, 1, 5])
def test_where_no_pair_is_alike_none_is(num: int) -> None:
    """All are given up at the coarse level; there was once an error then."""
    stack = thumbs(*[square(seed) for seed in range(2 * num)]) if num else np.zeros((0, 32, 32))
    own = fit(stack[:num], stack[num:])
    assert len(own.similarity_P) == num
    assert (own.similarity_P < 0.5).all()


def test_copies_are_found_straight_and_mirrored_and_nothing_else() -> None:
    distinct = [square(seed) for seed in range(60)]
    copies = [distinct[3][:, ::-1], distinct[5][3:, 3:], distinct[7]]
    near = found(thumbs(*distinct, *copies))
    assert as_set(near) == {(3, 60), (5, 61), (7, 62)}
    facts = {
        first: (bool(mirrored), bool(moved))
        for (first, _), mirrored, moved in zip(
            near.pairs_P2.tolist(), near.mirrored_P, near.moved_P, strict=True
        )
    }
    assert facts == {3: (True, False), 5: (False, True), 7: (False, False)}


def test_the_number_of_threads_and_the_size_of_blocks_make_no_difference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    distinct = [square(seed, 64) for seed in range(40)]
    stack = thumbs(*distinct, *[own[2:, 2:] for own in distinct[::3]])
    one = found(stack)
    monkeypatch.setattr(near_duplicates, "BLOCK", 7)
    monkeypatch.setattr(near_duplicates, "PAIRS", 3)
    monkeypatch.setattr(near_duplicates, "ROUND", 5)
    other = found(stack, threads=3)
    assert as_set(one) == as_set(other)
    assert len(as_set(one)) == 14
    assert np.sort(one.similarity_P) == pytest.approx(np.sort(other.similarity_P), abs=1e-5)


def test_pictures_without_detail_are_no_evidence() -> None:
    black, white = np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 255, np.uint8)
    sky = np.repeat(np.linspace(120, 180, 64).astype(np.uint8)[:, None], 64, axis=1)
    sky = np.repeat(sky[:, :, None], 3, axis=2)
    near = found(thumbs(black, black, white, white, sky, sky))
    assert len(near.pairs_P2) == 0
    assert near.num_plain == 6


def test_without_that_guard_black_pictures_would_be_copies_negative_control(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(near_duplicates, "MIN_DETAIL", 0.0)
    rng = np.random.default_rng(0)
    dim = [np.full((64, 64, 3), 9, np.uint8) for _ in range(4)]
    for own in dim:  # a spot of one gray level, such as dust on the sensor
        own[20:28, 20:28] = 10
        own[:4, :4] = rng.integers(9, 10)
    assert len(found(thumbs(*dim)).pairs_P2) > 0


@pytest.fixture
def digits(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    monkeypatch.setattr(near_duplicates, "FEWEST_ALIGNED", 400)
    monkeypatch.setattr(near_duplicates, "ALIGNED_A_PICTURE", 0)
    monkeypatch.setattr(near_duplicates, "SAMPLE", 400)
    pictures = load_digits().images[:400] * (255 / 16)
    return np.stack([np.kron(own, np.ones((4, 4))) for own in pictures]).astype(np.uint8)


def test_handwritten_digits_are_look_alikes_and_no_copies(digits: np.ndarray) -> None:
    near = found(digits)
    assert math.isinf(near.threshold)
    assert len(near.pairs_P2) == 0


def test_with_a_fixed_threshold_digits_would_be_copies_negative_control(
    digits: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(near_duplicates, "MOST_IN_GRAY_ZONE", 10**9)
    assert len(found(digits).pairs_P2) > 100


def test_a_threshold_rises_where_look_alikes_come_close() -> None:
    copies = np.full(20, 0.99)
    assert separating(np.concatenate([copies, np.full(60, 0.80)])) == 0.95
    assert separating(np.concatenate([copies, np.full(60, 0.70)])) == 0.85
    assert separating(np.zeros(0)) == 0.85


def test_many_frames_of_one_scene_do_not_take_the_turns_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene, other = square(0, 64), square(1, 64)
    rng = np.random.default_rng(0)
    frames = [
        np.clip(scene + rng.normal(0, 1, scene.shape), 0, 255).astype(np.uint8) for _ in range(40)
    ]
    stack = thumbs(*frames, other, other[2:, 2:])  # 780 pairs of frames
    monkeypatch.setattr(near_duplicates, "FEWEST_ALIGNED", 150)
    monkeypatch.setattr(near_duplicates, "ALIGNED_A_PICTURE", 0)
    monkeypatch.setattr(near_duplicates, "ROUND", 50)
    assert (40, 41) in as_set(found(stack))


def test_no_pictures_and_one_picture_have_no_pairs() -> None:
    assert len(found(np.zeros((0, 32, 32), np.uint8)).pairs_P2) == 0
    assert len(found(thumbs(square(0))).pairs_P2) == 0


def test_of_too_many_candidates_the_most_alike_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten pairs are the same to the bit; as many are a copy with a little noise on it."""
    rng = np.random.default_rng(0)
    exact, noisy = [square(seed, 64) for seed in range(10)], [square(10 + s, 64) for s in range(10)]
    disturbed = [
        np.clip(own + rng.normal(0, 12, own.shape), 0, 255).astype(np.uint8) for own in noisy
    ]
    stack = thumbs(*noisy, *disturbed, *exact, *exact)
    every = as_set(found(stack))
    assert {(seed, 10 + seed) for seed in range(10)} <= every  # negative control
    monkeypatch.setattr(near_duplicates, "MOST_CANDIDATES", 10)
    monkeypatch.setattr(near_duplicates, "BLOCK", 7)
    near = found(stack)
    assert near.num_candidates >= 20
    assert as_set(near) == {(20 + seed, 30 + seed) for seed in range(10)}
