"""Crops of kept activations: which part, when whole, when mirrored, and for whom."""

import dataclasses

import numpy as np
import pytest
import torch
from tests.training.climbs import CLIMB, Lessons

from saccade.training.crops import Crops, may_crop
from saccade.training.recipe import Recipe

CROPS = Crops(side=5, mirrored=0.0, epochs=4, seed=3)


def numbered_maps(num: int, side: int) -> torch.Tensor:
    """Return maps (num, 2, side, side) of which every number tells picture, channel and place."""
    return torch.arange(num * 2 * side * side, dtype=torch.float32).reshape(num, 2, side, side)


def corners(parts: torch.Tensor, side: int) -> list[tuple[int, int]]:
    """Return where parts of numbered maps began: row and column."""
    return [divmod(int(own[0].min()) % (side * side), side) for own in parts]


def test_a_crop_is_a_part_of_its_own_map_with_all_channels() -> None:
    maps = numbered_maps(6, 7)
    parts = CROPS.of(maps, np.arange(6), epoch=1)
    assert parts.shape == (6, 2, 5, 5)
    assert parts.is_contiguous(memory_format=torch.channels_last)
    for whole, part, (y, x) in zip(maps, parts, corners(parts, 7), strict=True):
        assert torch.equal(part, whole[:, y : y + 5, x : x + 5])


def test_the_last_epoch_sees_whole_maps_and_a_try_sees_crops() -> None:
    maps = numbered_maps(6, 7)
    assert torch.equal(CROPS.of(maps, np.arange(6), epoch=4), maps)
    assert [CROPS.of(maps, np.arange(6), epoch=epoch).shape[-1] for epoch in (0, 3)] == [5, 5]


def test_where_a_crop_lies_depends_on_seed_epoch_and_picture_alone() -> None:
    maps, rows = numbered_maps(40, 14), np.arange(100, 140)
    crops = dataclasses.replace(CROPS, side=10, mirrored=0.5)
    first = crops.of(maps, rows, epoch=2)
    some = np.array([7, 30, 2])
    assert torch.equal(crops.of(maps[some], rows[some], epoch=2), first[some])
    for seed, epoch in ((3, 1), (4, 2)):
        other = dataclasses.replace(crops, seed=seed).of(maps, rows, epoch=epoch)
        same = [a == b for a, b in zip(corners(first, 14), corners(other, 14), strict=True)]
        assert sum(same) < 10  # one of 25 places each


def test_each_place_that_a_crop_has_room_for_is_as_likely() -> None:
    """Over 9 places, 900 pictures: the chi-squared of the counts, with 8 degrees of freedom."""
    crops = dataclasses.replace(CROPS, side=3)
    found = corners(crops.of(numbered_maps(900, 5), np.arange(900), epoch=1), 5)
    counts = [found.count((y, x)) for y in range(3) for x in range(3)]
    assert sum(counts) == 900
    assert sum((count - 100) ** 2 / 100 for count in counts) < 26.1  # p = 0.001


def test_a_mirrored_crop_is_the_same_part_from_right_to_left() -> None:
    maps, rows = numbered_maps(50, 7), np.arange(50)
    plain = CROPS.of(maps, rows, epoch=1)
    every = dataclasses.replace(CROPS, mirrored=1.0).of(maps, rows, epoch=1)
    assert torch.equal(every, plain.flip(3))
    half = dataclasses.replace(CROPS, mirrored=0.5)
    for epoch, as_is in ((1, plain), (4, maps)):  # whole maps are mirrored too
        seen = half.of(maps, rows, epoch=epoch)
        turned = [torch.equal(a, b.flip(2)) for a, b in zip(seen, as_is, strict=True)]
        kept = [torch.equal(a, b) for a, b in zip(seen, as_is, strict=True)]
        assert sum(turned) + sum(kept) == 50
        assert 10 < sum(turned) < 40


@pytest.mark.parametrize(
    "choices",
    [
        {},
        {"hflip": 0.0},  # not mirrored, but cropped
        {"noise": 0.0, "rotate": 0.0},
        {"statistics": "frozen"},
    ],
    ids=str,
)
def test_crops_stand_for_the_usual_augmentation_and_for_less_of_it(
    lessons: Lessons, choices
) -> None:
    assert may_crop(Recipe(**choices), lessons.material.task)


@pytest.mark.parametrize(
    "choices",
    [
        {"shift": 0.0},  # augmentation safety writes a 0 where it was found to spoil the learning
        {"zoom": 0.0},
        {"augment": False},
        {"statistics": "moving"},
        {"rotate": 90.0},  # crops do not turn
        {"vflip": 0.5},
        {"brightness": 0.5},
        {"hflip": 0.9},
    ],
    ids=str,
)
def test_who_wants_something_else_is_given_views(lessons: Lessons, choices) -> None:
    assert not may_crop(Recipe(**choices), lessons.material.task)


@pytest.mark.parametrize("kind", ["multilabel", "regression"])
def test_what_may_rest_on_a_part_not_shown_is_learned_from_whole_maps(
    lessons: Lessons, kind: str
) -> None:
    task = dataclasses.replace(lessons.material.task, kind=kind)
    assert not may_crop(CLIMB.replace(zoom=0.15), task)
