"""What is planted in one class of real photographs is named (numbers: docs/shortcuts.md)."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.insight.planted import bordered, brightened, marked

from saccade.data.looks import Looks, corners_of, look_at, look_at_canvases
from saccade.data.pixel_store import PixelStore
from saccade.data.preprocess import Preprocess
from saccade.data.scan import scan
from saccade.data.split import make_split
from saccade.data.task import choose_task, targets
from saccade.evaluation.predictions import Predictions
from saccade.insight.evidence import Evidence
from saccade.insight.shortcuts import study
from saccade.training.recipe import Recipe

FLOWERS = Path(__file__).parents[3] / "shared" / "data" / "flowers"
PLANTED = "tulips"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FLOWERS.is_dir(), reason="the shared data are not here"),
]


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """Study flowers with a change in the canvases of one class; a network right on 0.92."""
    preprocess = Preprocess(size_px=224, fit="squash")
    with PixelStore(preprocess, folder=str(tmp_path_factory.mktemp("cache"))) as pixels:
        catalog = scan(FLOWERS, pixels=pixels)
        cache = pixels.finish(catalog)
        looks = look_at(cache)
        task = choose_task(catalog)
        truth = targets(catalog, task)
        rows = np.flatnonzero(truth == task.classes.index(PLANTED))
        canvases = cache.canvases(rows)
    split = make_split(catalog, task, truth, seed=0)
    rng = np.random.default_rng(0)
    said = np.where(rng.random(len(truth)) < 0.92, truth, (truth + 1) % len(task.classes))
    table = Predictions(
        task=task, paths=catalog.paths, hashes=catalog.hashes, parts=split.parts, truth=truth,
        scores=np.eye(len(task.classes))[said],
    )  # fmt: skip
    evidence = Evidence(
        recipe=Recipe(), catalog=catalog, task=task, split=split, targets=truth, cache=cache,
        looks=looks, table=table,
    )  # fmt: skip

    def make(change: Callable[[np.ndarray], np.ndarray]) -> dict[str, Any]:
        pixels = change(canvases)
        thumbs, measures = look_at_canvases(pixels)
        all_thumbs, all_corners = looks.thumbs_NHW.copy(), np.array(looks.corners_NCHW)
        all_thumbs[rows], all_corners[rows] = thumbs, corners_of(pixels)
        all_measures = {name: own.copy() for name, own in looks.measures.items()}
        for name, own in measures.items():
            all_measures[name][rows] = own
        changed = Looks(thumbs_NHW=all_thumbs, measures=all_measures, corners_NCHW=all_corners)
        return study(dataclasses.replace(evidence, looks=changed), {})

    return make


def test_flowers_as_they_are_have_no_severe_finding(plant: Callable[..., dict[str, Any]]) -> None:
    found = plant(lambda pixels: pixels)
    assert found["findings"] == []
    assert found["verdict"] == "says something"


@pytest.mark.parametrize("colour", [(200, 30, 30), (110, 110, 110), (255, 255, 255)])
def test_a_border_of_ten_pixels_is_named(
    plant: Callable[..., dict[str, Any]], colour: tuple[int, int, int]
) -> None:
    # ten of about 330 pixels, on a canvas of 224
    found = plant(lambda pixels: bordered(pixels, px=7, colour=colour))
    finding = next(own for own in found["findings"] if own["kind"] == "shortcut-property")
    assert finding["severity"] == "severe"
    assert "border" in finding["sentence"]
    assert f"alone nearly tells '{PLANTED}'" in finding["sentence"]


@pytest.mark.parametrize("opacity", [0.8, 0.5])
def test_a_small_text_in_a_corner_is_named(
    plant: Callable[..., dict[str, Any]], opacity: float
) -> None:
    found = plant(lambda pixels: marked(pixels, opacity=opacity))
    (finding,) = found["findings"]
    assert finding["severity"] == "severe"
    assert finding["sentence"].startswith(
        f"The bottom right corner alone nearly tells '{PLANTED}' from the others"
    )


def test_another_brightness_is_named_first(plant: Callable[..., dict[str, Any]]) -> None:
    found = plant(lambda pixels: brightened(pixels, by=60))
    best = found["clues"][0]
    assert best["class"] == PLANTED
    assert "brightness" in best["single"]
    assert best["low_corrected"] > 0.8
