"""Another process decodes while torch is imported; if it fails, nothing is lost."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from saccade import prefetch
from saccade.data import decode
from saccade.data.pixel_store import PixelStore
from saccade.data.preprocess import Preprocess
from saccade.lesson import scan_for
from saccade.prefetch import decoding_beside
from saccade.runtime.progress import Progress
from saccade.training.recipe import Recipe

PREPROCESS = Preprocess(size_px=32)
FOREVER = float("inf")


class Counting(Progress):
    def __init__(self) -> None:
        self.done = 0

    def advance(self, count: int = 1, note: str = "") -> None:
        self.done += count


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)


def num_decoded_by_a_scan(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> int:
    seen: list[int] = []
    real = decode.decode
    monkeypatch.setattr(decode, "decode", lambda content: seen.append(1) or real(content))
    with PixelStore(PREPROCESS, folder=recipe.cache) as pixels:
        catalog = scan_for(recipe, recipe.data, pixels, progress=Progress(), deadline=FOREVER)
        pixels.finish(catalog)
    assert len(catalog) == 24
    return len(seen)


def beside(recipe: Recipe, progress: Progress) -> None:
    with decoding_beside(recipe, PREPROCESS, deadline=FOREVER, progress=progress):
        pass


@pytest.mark.usefixtures("without_torch")
def test_what_the_other_process_decoded_is_not_decoded_again(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe(data=str(image_folder(3, 8)), cache=str(tmp_path / "cache"))
    counting = Counting()
    beside(recipe, counting)
    assert counting.done == 24
    assert num_decoded_by_a_scan(recipe, monkeypatch) == 0


def test_without_it_everything_is_decoded_negative_control(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe(data=str(image_folder(3, 8)), cache=str(tmp_path / "cache"))
    assert num_decoded_by_a_scan(recipe, monkeypatch) == 24


@pytest.mark.usefixtures("without_torch")
def test_where_it_fails_the_scan_does_the_work(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe(data=str(image_folder(3, 8)), cache=str(tmp_path / "cache"))
    monkeypatch.setattr(prefetch.sys, "executable", "/bin/false")
    beside(recipe, Progress())
    assert num_decoded_by_a_scan(recipe, monkeypatch) == 24


def test_nothing_is_started_where_torch_is_loaded_already(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", sys)
    started: list[object] = []
    monkeypatch.setattr(subprocess, "Popen", lambda *given, **_: started.append(given))
    beside(Recipe(), Progress())
    assert started == []


@pytest.mark.usefixtures("without_torch")
def test_an_error_meanwhile_ends_the_other_process(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that would go on for a minute."""
    sleeper = tmp_path / "sleeper"
    sleeper.write_text("#!/bin/sh\nexec sleep 60\n")
    sleeper.chmod(0o755)
    monkeypatch.setattr(prefetch.sys, "executable", str(sleeper))
    recipe, begun = Recipe(data=str(image_folder(3, 8))), time.monotonic()
    with (
        pytest.raises(ValueError, match="no weights"),
        decoding_beside(recipe, PREPROCESS, deadline=FOREVER, progress=Progress()),
    ):
        raise ValueError("no weights")
    assert time.monotonic() - begun < 30
