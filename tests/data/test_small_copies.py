"""Small copies of pictures, against Pillow's area average."""

import numpy as np
import pytest
from PIL import Image

from saccade.data.preprocess import Preprocess
from saccade.data.small_copies import SmallCopies, averaged, small_copies


class Held:
    """A cache whose canvases are in memory."""

    def __init__(self, canvases: np.ndarray, preprocess: Preprocess) -> None:
        self.held, self.preprocess = canvases, preprocess

    def __len__(self) -> int:
        return len(self.held)

    def canvases(self, rows) -> np.ndarray:
        return self.held[np.asarray(rows)]


@pytest.mark.parametrize("side", [64, 48, 32, 20])  # whole cells, broken cells, too few
def test_a_copy_is_the_area_average(side: int) -> None:
    pictures = np.random.default_rng(0).integers(256, size=(2, side, side, 3)).astype(np.uint8)
    found = averaged(pictures, 32)
    # every pixel made 32 × 32 ones, of which each cell holds whole ones
    fine = pictures.repeat(32, axis=1).repeat(32, axis=2)
    cells = fine.reshape(2, 32, side, 32, side, 3).astype(np.float64).mean(axis=(2, 4))
    assert found.shape == (2, 32, 32, 3)
    assert np.abs(found - cells).max() <= 0.501


def test_whole_cells_are_what_pillow_makes_of_them() -> None:
    picture = np.random.default_rng(1).integers(256, size=(128, 128, 3)).astype(np.uint8)
    oracle = np.asarray(Image.fromarray(picture).resize((32, 32), Image.Resampling.BOX))
    (found,) = averaged(picture[None], 32)
    assert np.abs(found.astype(int) - oracle.astype(int)).max() <= 1  # Pillow rounds twice


def test_copies_are_of_what_the_network_sees_without_the_rim_and_in_order() -> None:
    rng = np.random.default_rng(0)
    canvases = rng.integers(256, size=(50, 73, 73, 3)).astype(np.uint8)
    full = Preprocess(size_px=64, crop_fraction=0.875)
    small = Preprocess(size_px=32, fit="squash")
    found = small_copies(Held(canvases, full), preprocess=small, threads=2)  # type: ignore[arg-type]
    assert isinstance(found, SmallCopies)
    assert len(found) == 50
    expected = averaged(full.centre(canvases), 32)
    np.testing.assert_array_equal(found.canvases(range(50)), expected)
    np.testing.assert_array_equal(found.canvases([7, 3]), expected[[7, 3]])
