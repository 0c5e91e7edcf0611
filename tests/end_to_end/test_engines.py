"""A finished model asked about many pictures: by OpenVINO, exactly, and without a connection."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.conftest import shape_picture
from tests.models.test_converted import TRIPWIRE

import saccade
from saccade.models import converted, inference

NUM = inference.WORTH_CONVERTING + 10


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a run, and with enough pictures to make converting worth it."""
    root = tmp_path_factory.mktemp("engines")
    for folder, count in (("pictures", 24), ("new", NUM)):
        for number in range(count):
            label = number % 2
            path = root / folder / f"class{label}" / f"{number:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(shape_picture(label, number + len(folder), side=16)).save(path)
    recipe = saccade.Recipe(model="cnn", img_size=16, widths=(8, 16), epochs=1)
    saccade.train(root / "pictures", recipe, output=root / "run")
    return root


def scores(place: Path) -> np.ndarray:
    answers = saccade.load(place / "run").predict(place / "new")
    assert len(answers) == NUM
    return np.array([list(answer.scores.values()) for answer in answers])


def test_many_pictures_get_the_answers_of_torch_and_the_same_ones_each_time(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    right = converted.Converted.__call__
    monkeypatch.setattr(
        converted.Converted,
        "__call__",
        lambda self, pixels: asked.append(len(pixels)) or right(self, pixels),
    )
    first = scores(place)
    assert sum(asked) >= NUM
    kept = list((Path(os.environ["SACCADE_CACHE"]) / "engines").iterdir())
    assert len(kept) == 1
    monkeypatch.setattr(converted, "convert", lambda *_: pytest.fail("converted again"))
    assert np.array_equal(scores(place), first)
    monkeypatch.setattr(converted, "installed", lambda: False)
    np.testing.assert_allclose(scores(place), first, atol=1e-5)


def test_bf16_answers_are_not_handed_out(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "has_bf16", lambda: False)
    exact = scores(place)
    monkeypatch.setattr(inference, "has_bf16", lambda: True)
    assert np.array_equal(scores(place), exact)


@pytest.mark.slow
def test_predicting_connects_to_nothing(place: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(TRIPWIRE)
    home, wire = tmp_path / "home", tmp_path / "wire"
    home.mkdir()
    variables = {"PYTHONPATH": str(tmp_path), "HOME": str(home), "WIRE": str(wire)}
    done = subprocess.run(
        [sys.executable, "-m", "saccade", "predict", place / "run", place / "new"],
        env={name: v for name, v in os.environ.items() if name != "CI"} | variables,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == NUM + 1
    assert not wire.exists()
    assert list(home.iterdir()) == []
