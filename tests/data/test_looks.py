"""Thumbnails and measures of pictures."""

import numpy as np
import pytest

from saccade.data import looks as looking
from saccade.data.cache import PixelCache, empty_cache
from saccade.data.looks import MEASURES, THUMB_PX, Looks, look_at, look_at_canvases
from saccade.data.preprocess import Preprocess


class Canvases(PixelCache):
    """A cache of canvases in memory."""

    def __init__(self, canvases_NHWC: np.ndarray) -> None:
        own = Preprocess(size_px=canvases_NHWC.shape[1], fit="squash")
        nowhere = np.zeros(len(canvases_NHWC), np.int32)
        super().__init__([], nowhere, nowhere, preprocess=own)
        self._canvases = canvases_NHWC

    def canvases(self, rows: object) -> np.ndarray:
        return self._canvases[np.asarray(rows)]


def flat(*colour: int, side: int = 64) -> np.ndarray:
    return np.full((side, side, 3), colour, np.uint8)


def look(*canvases: np.ndarray) -> Looks:
    return look_at(Canvases(np.stack(canvases)))


def test_the_thumbnail_is_the_mean_of_each_cell_in_gray() -> None:
    rng = np.random.default_rng(0)
    canvas = rng.integers(0, 256, (96, 96, 3), dtype=np.uint8)  # three pixels a cell
    cells = canvas.reshape(32, 3, 32, 3, 3).astype(np.float64).mean(axis=(1, 3))
    wanted = cells @ [0.299, 0.587, 0.114]
    assert np.abs(look(canvas).thumbs_NHW[0] - wanted).max() <= 0.501


@pytest.mark.parametrize("side", [8, 31, 100, 235])
def test_any_canvas_is_averaged_by_area_whatever_its_side(side: int) -> None:
    # Each pixel drawn 32 times as large: then every cell holds whole pixels.
    rng = np.random.default_rng(side)
    gray = rng.integers(0, 256, (side, side), dtype=np.uint8)
    large = np.kron(gray, np.ones((THUMB_PX, THUMB_PX)))
    wanted = large.reshape(THUMB_PX, side, THUMB_PX, side).mean(axis=(1, 3))
    found = look(np.repeat(gray[:, :, None], 3, axis=2)).thumbs_NHW[0]
    assert np.abs(found - wanted).max() <= 0.502


@pytest.mark.parametrize("side", [16, 100, 235])
def test_corners_are_twice_as_fine_and_each_in_its_place(side: int) -> None:
    # Each pixel drawn 64 times as large: then every cell holds whole pixels.
    gray = np.random.default_rng(side).integers(0, 256, (side, side), dtype=np.uint8)
    large = np.kron(gray, np.ones((64, 64), np.uint8))
    wanted = large.reshape(64, side, 64, side).mean(axis=(1, 3))
    found = look(np.repeat(gray[:, :, None], 3, axis=2)).corners_NCHW
    assert found is not None
    corners = (wanted[:16, :16], wanted[:16, -16:], wanted[-16:, :16], wanted[-16:, -16:])
    assert np.abs(found[0] - np.stack(corners)).max() <= 0.51


def test_a_mirrored_picture_has_the_mirrored_thumbnail() -> None:
    canvas = np.random.default_rng(0).integers(0, 256, (235, 235, 3), dtype=np.uint8)
    straight, mirrored = look(canvas, canvas[:, ::-1]).thumbs_NHW.astype(int)
    assert np.abs(straight[:, ::-1] - mirrored).max() <= 1


def test_flat_colours_have_the_measures_that_their_numbers_say() -> None:
    found = look(flat(255, 0, 0), flat(51, 51, 51), flat(0, 0, 0)).measures
    assert set(found) == set(MEASURES)
    for prefix in ("", "border_"):
        assert found[f"{prefix}brightness"] == pytest.approx([0.299, 0.2, 0], abs=1e-6)
        assert found[f"{prefix}contrast"] == pytest.approx([0, 0, 0], abs=1e-6)
        assert found[f"{prefix}red"] == pytest.approx([1, 0.2, 0], abs=1e-6)
        assert found[f"{prefix}green"] == pytest.approx([0, 0.2, 0], abs=1e-6)
        assert found[f"{prefix}blue"] == pytest.approx([0, 0.2, 0], abs=1e-6)
    assert found["saturation"] == pytest.approx([1, 0, 0], abs=1e-6)
    assert found["sharpness"] == pytest.approx([0, 0, 0])


def test_half_black_and_half_white_has_the_contrast_one() -> None:
    canvas = flat(0, 0, 0)
    canvas[:32] = 255
    assert look(canvas).measures["contrast"] == pytest.approx([1], abs=1e-6)


def test_a_coloured_rim_is_seen_in_the_border_and_hardly_in_the_whole() -> None:
    canvas = flat(100, 100, 100, side=64)
    framed = canvas.copy()
    framed[:2] = framed[-2:] = framed[:, :2] = framed[:, -2:] = (255, 0, 0)
    found = look(canvas, framed).measures
    assert found["border_red"] == pytest.approx([100 / 255, 1], abs=1e-6)
    assert found["border_green"] == pytest.approx([100 / 255, 0], abs=1e-6)
    assert abs(found["brightness"][1] - found["brightness"][0]) < 0.02


def test_sharpness_is_the_spread_of_the_laplacian_and_falls_with_blur() -> None:
    rng = np.random.default_rng(0)
    gray = rng.integers(0, 256, (64, 64)).astype(np.uint8)
    values = gray.astype(np.float64) / 255
    inner = values[1:-1, 1:-1]
    laplacian = (
        values[:-2, 1:-1] + values[2:, 1:-1] + values[1:-1, :-2] + values[1:-1, 2:] - 4 * inner
    )
    blurred = gray.astype(np.float64)
    for axis in (0, 1):
        blurred = (blurred + np.roll(blurred, 1, axis)) / 2
    own, softer = look(
        np.repeat(gray[:, :, None], 3, axis=2),
        np.repeat(blurred.astype(np.uint8)[:, :, None], 3, axis=2),
    ).measures["sharpness"]
    assert own == pytest.approx(laplacian.std(), rel=1e-4)
    assert softer < own / 2


@pytest.mark.parametrize("threads", [1, 3])
def test_looking_in_chunks_on_threads_is_looking_at_once(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    canvases = np.random.default_rng(0).integers(0, 256, (23, 20, 20, 3), dtype=np.uint8)
    thumbs, measures = look_at_canvases(canvases)
    monkeypatch.setattr(looking, "CHUNK_BYTES", 5 * 20 * 20 * 3)
    found = look_at(Canvases(canvases), threads=threads)
    assert np.array_equal(found.thumbs_NHW, thumbs)
    for name in MEASURES:
        assert found.measures[name] == pytest.approx(measures[name])


def test_an_empty_cache_has_empty_looks() -> None:
    found = look_at(empty_cache())
    assert len(found) == 0
    assert set(found.measures) == set(MEASURES)


def test_tiny_canvases_have_looks_too() -> None:
    assert look(flat(9, 9, 9, side=1)).thumbs_NHW.tolist() == [[[9] * 32] * 32]
