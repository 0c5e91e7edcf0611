"""Folders of small pictures that several rooms test with."""

import functools
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saccade.reporting import page

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test asks a hub unless it brings its own

for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # a shell's background job, or nohup
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ImageFolder = Callable[..., Path]


def shape_picture(label: int, number: int, *, side: int) -> np.ndarray:
    """Return a gray picture whose pattern tells the label: stripes of label + 1 pixels."""
    rng = np.random.default_rng([label, number])
    place = (np.arange(side) + rng.integers(8)) // (label + 1) % 2
    picture = np.where(place[:, None], 200, 40) * np.ones((1, side))
    if label % 2:
        picture = picture.T
    noisy = picture + rng.normal(0, 12, (side, side))
    return np.repeat(np.clip(noisy, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def write_shapes(root: Path, num_classes: int, per_class: int, *, side: int) -> Path:
    """Write root/class<label>/<number>.png of `shape_picture`, and return root."""
    for label in range(num_classes):
        folder = root / f"class{label}"
        folder.mkdir(parents=True)
        for number in range(per_class):
            picture = shape_picture(label, number, side=side)
            Image.fromarray(picture).save(folder / f"{number:03}.png")
    return root


@pytest.fixture
def image_folder(tmp_path: Path) -> ImageFolder:
    """Return a function that writes root/<class>/<number>.png and returns root."""

    def make(
        num_classes: int = 3, per_class: int = 12, *, side: int = 16, name: str = "pictures"
    ) -> Path:
        return write_shapes(tmp_path / name, num_classes, per_class, side=side)

    return make


@pytest.fixture(autouse=True, scope="session")
def templates_compiled_once() -> Iterator[None]:
    """Compile the report's templates once a session: three quarters of a page's time, otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "_environment", functools.cache(page._environment))
        yield


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test's pixels away from the user's cache folder."""
    monkeypatch.setenv("SACCADE_CACHE", str(tmp_path_factory.mktemp("cache")))
