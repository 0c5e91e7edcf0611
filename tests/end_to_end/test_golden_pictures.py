"""The pictures that travel with a model: as the network saw them, or not at all."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.conftest import shape_picture

import saccade
from saccade import road
from saccade.data.pixel_store import PixelStore
from saccade.data.preprocess import Preprocess
from saccade.handover import MAX_GOLDEN, golden_pictures
from saccade.lesson import Lesson, look
from saccade.models import network
from saccade.models.inference import predict_logits
from saccade.models.network import Network
from saccade.runtime.progress import Progress
from saccade.training.recipe import Recipe
from saccade.verification import UNKNOWN

Looked = tuple[Lesson, Network, Path]


@pytest.fixture
def looked(image_folder: Callable[..., Path]) -> Looked:
    root = image_folder(3, 14)
    recipe = Recipe(data=str(root), model="mlp", widths=(4,))
    with PixelStore(Preprocess(size_px=16)) as pixels:
        lesson = look(recipe, root, pixels, progress=Progress())
    net, _ = network.build("mlp", task=lesson.task, recipe=recipe, img_size=16)
    return lesson, net, root


def test_a_picture_that_changed_or_went_while_the_network_learned_is_no_golden_one(
    looked: Looked,
) -> None:
    lesson, net, root = looked
    rows = lesson.split.rows("train")
    changed, gone = (root / lesson.catalog.paths[row] for row in rows[:2])
    Image.fromarray(shape_picture(2, 99, side=16)).save(changed)
    gone.unlink()
    golden = golden_pictures(lesson, net, part="train")
    assert len(golden) == MAX_GOLDEN
    logits_of = {
        lesson.catalog.read(row): predict_logits(net, lesson.cache, [row])[0] for row in rows[2:]
    }
    for own in golden:
        np.testing.assert_allclose(own.logits, logits_of[own.content], atol=1e-6)
    by_content = {lesson.catalog.read(row): lesson.catalog.labels[row] for row in rows[2:]}
    assert {by_content[own.content] for own in golden} == {"class0", "class1", "class2"}


def test_none_travel_where_the_recipe_says_so(looked: Looked) -> None:
    lesson, net, _ = looked
    lesson = replace(lesson, recipe=lesson.recipe.replace(golden=False))
    assert golden_pictures(lesson, net, part="train") == []


def test_the_card_says_whether_pictures_travel_and_verify_that_none_did(
    image_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(road, "STUDIES", ())
    root = image_folder(2, 10)
    for golden, said in ((True, "A few of these pictures travel"), (False, "None of these pict")):
        recipe = Recipe(model="mlp", widths=(4,), img_size=16, epochs=1, golden=golden)
        run = saccade.train(root, recipe, output=root.parent / f"run{golden}")
        assert said in (run.model_folder / "README.md").read_text(encoding="utf-8")
        assert (run.model_folder / "golden").exists() is golden
        verdict = saccade.verify(run)
        assert verdict.believed
        unknown = {check.name for check in verdict.checks if check.outcome == UNKNOWN}
        assert ({"golden pictures", "golden and table"} <= unknown) is not golden


def test_a_model_is_kept_where_all_its_pictures_went(looked: Looked) -> None:
    lesson, net, root = looked
    for path in root.rglob("*.png"):
        path.unlink()
    assert golden_pictures(lesson, net, part="train") == []
