"""Small folders of small pictures."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def picture(seed: int, *, width: int = 12, height: int = 10, kind: str = "PNG") -> bytes:
    """A picture of random pixels; another seed gives other bytes."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def make_picture() -> Callable[..., bytes]:
    return picture


@pytest.fixture
def photos(tmp_path: Path) -> Callable[[Mapping[str, int]], Path]:
    """Makes tmp_path/photos with so many pictures in each folder, all of them different."""
    made = [0]

    def make(counts: Mapping[str, int]) -> Path:
        root = tmp_path / "photos"
        root.mkdir(exist_ok=True)
        for folder, count in counts.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                made[0] += 1
                (root / folder / f"{number}.png").write_bytes(picture(made[0]))
        return root

    return make
