"""Row E4: a road that would choose by the answers of the test part is stopped; each is a cheat."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import saccade
from saccade import road
from saccade.data.sealed import SealBroken
from saccade.data.split import Split
from saccade.evaluation import model_trust
from saccade.lesson import Lesson, look
from saccade.models.bundle import Bundle, load
from saccade.runtime.progress import Progress
from saccade.training import head, learn
from saccade.training import probe as probes
from saccade.training.recipe import Recipe

SCRATCH = Recipe(model="cnn", img_size=16, widths=(4, 8), epochs=1, hflip=0.0)
HEAD = SCRATCH.replace(unfreeze="0")  # solved on what the untrained stages say
rows_of = Split.rows


def judged_by_the_test_part(patch: pytest.MonkeyPatch) -> None:
    swapped = {"validation": "test", "test": "validation"}
    sealed = Lesson.sealed

    def late(lesson: Lesson) -> Lesson:
        kept = sealed(lesson)  # the right rows are sealed, and then the wrong ones are read
        patch.setattr(Split, "rows", lambda own, part: rows_of(own, swapped.get(part, part)))
        return kept

    patch.setattr(Lesson, "sealed", late)


def taught_by_everything(patch: pytest.MonkeyPatch) -> None:
    material = road.Material

    def greedy(**fields: Any) -> road.Material:
        return material(**{**fields, "train_rows": list(range(len(fields["targets"])))})

    patch.setattr(road, "Material", greedy)


def counted_in_everything(patch: pytest.MonkeyPatch) -> None:
    """Class weights that are taken from all pictures, as a careless line would."""
    honest = learn.learn

    def careless(network: Any, material: Any, **rest: Any) -> Any:
        learn.class_weights_of(material.targets[:], task=material.task, kind="balanced")
        return honest(network, material, **rest)

    patch.setattr(road, "learn", careless)


def calibrated_on_the_test_part(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(model_trust, "FITS", "test")


CHEATS = [
    (judged_by_the_test_part, SCRATCH),
    (judged_by_the_test_part, HEAD),
    (taught_by_everything, HEAD),
    (counted_in_everything, SCRATCH),
    (calibrated_on_the_test_part, SCRATCH),
]


@pytest.fixture
def pictures(image_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(road, "STUDIES", ())  # they come after the test, and take a second
    return image_folder(3, 10)


@pytest.mark.parametrize(("cheat", "recipe"), CHEATS)
def test_a_road_that_reads_a_test_answer_is_stopped(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cheat, recipe: Recipe
) -> None:
    cheat(monkeypatch)
    with pytest.raises(SealBroken):
        saccade.train(pictures, recipe, output=tmp_path / "run")
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["state"] == "failed"
    assert "read before the end of the run" in facts["error"]


def test_without_the_seal_nobody_would_notice_negative_control(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for cheat, _ in CHEATS[1:4]:
        cheat(monkeypatch)
    monkeypatch.setattr("saccade.data.sealed.Sealed._stop", lambda *_: None)
    assert saccade.train(pictures, SCRATCH, output=tmp_path / "run").state == "finished"


def test_a_probe_draws_from_the_training_part_only(pictures: Path) -> None:
    lesson = look(SCRATCH, pictures, None, progress=Progress()).sealed()
    draw = {"task": lesson.task, "num": 20, "seed": 0}
    train, every = lesson.split.rows("train"), list(range(len(lesson.catalog)))
    sample = probes.draw_sample(train, lesson.targets, lesson.split.groups, **draw)
    assert sample is not None
    assert len(sample.rows) >= 2 * head.NUM_FOLDS
    with pytest.raises(SealBroken):
        probes.draw_sample(every, lesson.targets, lesson.split.groups, **draw)


def test_an_honest_road_opens_the_seal_once_and_then_draws_golden_pictures_from_the_test_part(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    early: list[Bundle] = []
    test = road.Road._test

    def watched(self: road.Road, learned: Any) -> None:
        self._keep_so_far(learned.num_stages)  # as is done under a budget, before the test
        early.append(load(self.folder / "model"))
        test(self, learned)

    monkeypatch.setattr(road.Road, "_test", watched)
    run = saccade.train(pictures, HEAD, output=tmp_path / "run")
    table, sealed = run.predictions, run.facts["split"]["sealed"]
    assert sealed["num"] == table.parts.count("test") > 0
    assert 0 < sealed["until_seconds"] <= run.facts["seconds"]["total"]
    part = dict(zip(table.hashes, table.parts, strict=True))
    assert {part[content] for content in hashes(early[0])} == {"train"}
    assert {part[content] for content in hashes(load(run.model_folder))} == {"test"}


def hashes(bundle: Bundle) -> list[str]:
    return [hashlib.sha256(picture.content).hexdigest() for picture in bundle.golden]
