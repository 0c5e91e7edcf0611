"""How alike two thumbnails are once one is laid on the other as well as it fits.

A copy that was resized, re-encoded or cropped a little shows the same details in nearly the same
places. So one thumbnail is shifted and stretched until it fits the other, and what is compared is
not the bright and dark areas, in which many pictures agree, but the details between them.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from saccade.data.looks import THUMB_PX

Floats = np.ndarray  # float32

DETAIL_PX = (0.7, 1.5)
"""What lies between a blur of the first and one of the second (standard deviations, in pixels of
the thumbnail) is detail. Source: measured; of 16 pairs of numbers these left the widest gap between
cropped copies and look-alikes (docs/duplicates.md)."""

LEVELS = ((2, 1.0, 5), (1, 0.7, 3))
"""Pixels a cell, blur and steps of each stage of fitting, the coarse first."""

MOST_STRETCH, MOST_SHIFT = 0.15, 0.11
"""How far a copy may be stretched, and shifted as a share of the side: enough for a crop of 5 %
anywhere from a picture twice as wide as high, which a centre crop then moves by up to 5 %."""

GOOD_START = 0.5
"""Pairs of a lower correlation after the coarse stage are not fitted further."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How pairs of thumbnails fit; P pairs."""

    similarity_P: Floats  # correlation of the details where both have pixels, -1 to 1
    stretch_P2: Floats  # across and down; 1 = the same size
    shift_P2: Floats  # right and down, as shares of the side; 0 = the same place


def joined(fits: Sequence[Fit]) -> Fit:
    """Return the fits of several stacks as one."""
    none = np.zeros((0, 2), np.float32)
    return Fit(
        similarity_P=np.concatenate([none[:, 0], *(own.similarity_P for own in fits)]),
        stretch_P2=np.concatenate([none, *(own.stretch_P2 for own in fits)]),
        shift_P2=np.concatenate([none, *(own.shift_P2 for own in fits)]),
    )


def fit(moved_PHW: NDArray[np.uint8], fixed_PHW: NDArray[np.uint8]) -> Fit:
    """Return how well each thumbnail of the first stack can be laid on that of the second.

    By Gauss-Newton steps on stretch and shift across and down, in the inverse form that needs the
    derivatives once: the second thumbnail's. Brightness and contrast make no difference.

    Source: S. Baker, I. Matthews (2004), Lucas-Kanade 20 years on, IJCV 56(3): 221-255.

    Args:
        moved_PHW: gray thumbnails, (P, THUMB_PX, THUMB_PX).
        fixed_PHW: the same number of others.
    """
    moved, fixed = moved_PHW.astype(np.float32), fixed_PHW.astype(np.float32)
    place_P4 = np.tile(np.array([1, 0, 1, 0], np.float32), (len(moved), 1))
    alive = np.arange(len(moved))
    for cell_px, blur_px, steps in LEVELS:
        if not len(alive):
            break
        own, other = (_coarser(stack[alive], cell_px, blur_px) for stack in (moved, fixed))
        place_P4[alive] = _fitted(own, other, place_P4[alive], steps=steps)
        if cell_px > 1:
            alive = alive[_correlation(own, other, place_P4[alive]) >= GOOD_START]
    low, high = DETAIL_PX
    own, other = (_blurred(stack, low) - _blurred(stack, high) for stack in (moved, fixed))
    return Fit(
        similarity_P=_correlation(own, other, place_P4),
        stretch_P2=place_P4[:, 0::2],
        shift_P2=place_P4[:, 1::2] / 2,
    )


def detail_contrast(thumbs_NHW: NDArray[np.uint8]) -> Floats:
    """Return the standard deviation of the details of each thumbnail, in gray levels of 255."""
    low, high = DETAIL_PX
    found = np.empty(len(thumbs_NHW), np.float32)
    for start in range(0, len(found), 1024):
        stack = thumbs_NHW[start : start + 1024].astype(np.float32)
        details = _blurred(stack, low) - _blurred(stack, high)
        found[start : start + 1024] = details.reshape(len(stack), -1).std(axis=1)
    return found


def _fitted(moved: Floats, fixed: Floats, place_P4: Floats, *, steps: int) -> Floats:
    """Return better places: stretch and shift across, stretch and shift down."""
    num, side = len(fixed), fixed.shape[1]
    along = _positions(side)
    across_PHW, down_PHW = np.zeros_like(fixed), np.zeros_like(fixed)
    across_PHW[:, :, 1:-1] = (fixed[:, :, 2:] - fixed[:, :, :-2]) * np.float32(side / 4)
    down_PHW[:, 1:-1] = (fixed[:, 2:] - fixed[:, :-2]) * np.float32(side / 4)
    slopes = np.stack([across_PHW * along, across_PHW, down_PHW * along[:, None], down_PHW], 1)
    slopes = slopes.reshape(num, 4, -1)
    slopes -= slopes.mean(axis=2, keepdims=True)
    squares = slopes @ slopes.transpose(0, 2, 1)
    squares[:, range(4), range(4)] *= 1.001
    squares[:, range(4), range(4)] += 1e-3
    wanted = fixed.reshape(num, -1)
    wanted = wanted - wanted.mean(axis=1, keepdims=True)
    spread = np.sqrt((wanted * wanted).sum(axis=1, keepdims=True))
    for _ in range(steps):
        laid, seen = _laid(moved, place_P4)
        met = laid.reshape(num, -1)
        met = met - met.mean(axis=1, keepdims=True)
        met *= spread / (np.sqrt((met * met).sum(axis=1, keepdims=True)) + np.float32(1e-6))
        met -= wanted
        met *= seen.reshape(num, -1)
        step_P4 = np.linalg.solve(squares, slopes @ met[:, :, None])[:, :, 0]
        place_P4 = _moved_back(place_P4, step_P4)
    return place_P4


def _moved_back(place_P4: Floats, step_P4: Floats) -> Floats:
    """Return the places after the inverse of a step, within the limits."""
    stretch = place_P4[:, 0::2] / (1 + step_P4[:, 0::2].clip(-0.2, 0.2))
    shift = place_P4[:, 1::2] - stretch * step_P4[:, 1::2]
    found = np.empty_like(place_P4)
    found[:, 0::2] = stretch.clip(1 - MOST_STRETCH, 1 + MOST_STRETCH)
    found[:, 1::2] = shift.clip(-2 * MOST_SHIFT, 2 * MOST_SHIFT)
    return found


def _correlation(moved: Floats, fixed: Floats, place_P4: Floats) -> Floats:
    """Return the correlation of each pair, where both have pixels."""
    laid, seen = _laid(moved, place_P4)
    num_P11 = seen.sum(axis=(1, 2), keepdims=True)
    own = (laid - (laid * seen).sum(axis=(1, 2), keepdims=True) / num_P11) * seen
    other = (fixed - (fixed * seen).sum(axis=(1, 2), keepdims=True) / num_P11) * seen
    squares = (own * own).sum(axis=(1, 2)) * (other * other).sum(axis=(1, 2))
    found: Floats = (own * other).sum(axis=(1, 2)) / np.sqrt(squares + np.float32(1e-6))
    return found


def _laid(stack_PHW: Floats, place_P4: Floats) -> tuple[Floats, Floats]:
    """Return thumbnails stretched and shifted, and 1 where they have pixels, else 0.

    Between pixels, linearly. As nothing is turned, rows and columns are laid one after the other.
    """
    across, seen_across = _weights(place_P4[:, 0], place_P4[:, 1], stack_PHW.shape[2])
    down, seen_down = _weights(place_P4[:, 2], place_P4[:, 3], stack_PHW.shape[1])
    return down @ stack_PHW @ across.transpose(0, 2, 1), seen_down[:, :, None] * seen_across[
        :, None
    ]


def _weights(stretch_P: Floats, shift_P: Floats, side: int) -> tuple[Floats, Floats]:
    """Return (P, side, side): what each old pixel gives to each new one; and what has pixels."""
    wanted = stretch_P[:, None] * _positions(side) + shift_P[:, None]
    pixels = (wanted + 1) * np.float32(side / 2) - np.float32(0.5)
    seen = ((pixels > -0.5) & (pixels < side - 0.5)).astype(np.float32)
    pixels = pixels.clip(0, side - 1)
    distance = np.abs(pixels[:, :, None] - np.arange(side, dtype=np.float32))
    return np.asarray(np.maximum(1 - distance, 0)), seen


def _positions(side: int) -> Floats:
    """Return where the pixels of a side are, between -1 and 1."""
    return np.asarray((np.arange(side) + 0.5) * 2 / side - 1, np.float32)


def _coarser(stack_PHW: Floats, cell_px: int, blur_px: float) -> Floats:
    """Return thumbnails blurred, and averaged over cells."""
    num, side = len(stack_PHW), stack_PHW.shape[1] // cell_px
    blurred = _blurred(stack_PHW, blur_px)
    if cell_px == 1:
        return blurred
    return np.asarray(blurred.reshape(num, side, cell_px, side, cell_px).mean(axis=(2, 4)))


def _blurred(stack_PHW: Floats, blur_px: float) -> Floats:
    blur = _blur(blur_px)
    return np.asarray(blur @ stack_PHW @ blur.T)


@functools.cache
def _blur(blur_px: float) -> Floats:
    """Return a matrix that blurs the columns of a thumbnail; its rows add up to 1."""
    place = np.arange(THUMB_PX)
    weights = np.exp(-((place[:, None] - place) ** 2) / (2 * blur_px**2))
    weights[weights < 1e-6] = 0  # numbers near float32's smallest are multiplied 50 times slower
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)
