"""Weak spots of a run: named where they are planted, and not where answers are wrong at random."""

import dataclasses
import functools
import re
from typing import Any

import numpy as np
import pytest
from tests.insight.planted import blurred, catalog_of, evidence_of, photographs

from saccade.data.split import Split
from saccade.data.task import Task
from saccade.evaluation import slices as slicing
from saccade.evaluation.predictions import Predictions
from saccade.evaluation.slices import ALPHA, Slice, WeakSpots
from saccade.insight import shortcuts
from saccade.insight.evidence import Evidence, NotPossible
from saccade.insight.slices import quarters, sentence, slices_of, study
from saccade.runtime.store import json_text

TASK = Task(kind="multiclass", classes=("birch", "elm", "oak"))
TRUTH = np.arange(600) % 3
SOFT = np.arange(600) % 5 == 0
ENDS = ("value", "low", "high")


@functools.cache
def base() -> Evidence:
    pixels = photographs(600, seed=3, side=32)
    pixels[SOFT] = blurred(pixels[SOFT], px=2)
    return evidence_of(pixels, TRUTH, task=TASK, accuracy=1)


def answered(wrong: np.ndarray, **changes: Any) -> Evidence:
    """The run, with these pictures answered wrongly and all pictures in the test part."""
    said = np.where(wrong, (TRUTH + 1) % 3, TRUTH)
    own = base()
    parts = ("test",) * 600
    table = dataclasses.replace(own.table, scores=np.eye(3)[said], parts=parts)
    split = Split(parts=parts, groups=("",) * 600, why=parts, seed=0)
    return dataclasses.replace(own, table=table, split=split, **changes)


def random_wrong(seed: int, share: float = 0.1) -> np.ndarray:
    return np.random.default_rng([seed, 600]).random(600) < share


def test_a_network_that_fails_on_blurred_pictures_is_found_out() -> None:
    wrong = np.where(SOFT, random_wrong(0, 0.5), random_wrong(1, 0.05))
    found = study(answered(wrong), {})
    first = found["slices"][0]
    assert first["about"] == ["sharpness"]
    assert first["name"].startswith("most blurred: sharpness below 0.1")
    inside, outside = first["inside"], first["outside"]
    assert inside["high"] < outside["low"]
    assert first["n"] == inside["n"] == 150
    assert first["difference"]["low"] > 0
    assert first["p_corrected"] < 0.001
    assert len(first["pictures"]) == 6
    for own in first["pictures"]:
        assert own["truth"] != own["prediction"]
        assert SOFT[int(own["path"].split("/")[1].removesuffix(".jpg"))]
    assert found["sentence"].startswith(f"Of {found['num_slices']} slices of the 600 test pictures")


def test_a_class_a_source_a_group_and_a_file_kind_are_found() -> None:
    oak = answered(np.where(TRUTH == 2, random_wrong(0, 0.4), random_wrong(1, 0.05)))
    assert study(oak, {})["slices"][0]["name"] == "class oak"
    quarter = np.arange(600) % 4 == 1
    wrong = np.where(quarter, random_wrong(2, 0.4), random_wrong(3, 0.05))
    names = [TASK.classes[own] for own in TRUTH]
    paths = tuple(
        f"{name}/{'north' if own else 'south'}/{row}.jpg"
        for row, (name, own) in enumerate(zip(names, quarter, strict=True))
    )
    found = study(answered(wrong, catalog=catalog_of(names, paths=paths)), {})
    assert found["slices"][0]["name"] == "source north/"
    kinds = tuple("PNG" if own else "JPEG" for own in quarter)
    found = study(answered(wrong, catalog=catalog_of(names, formats=kinds)), {})
    assert found["slices"][0]["name"] == "file kind PNG"
    groups = tuple(f"tree {row // 15}" for row in range(600))
    evidence = answered(np.where(np.arange(600) < 15, True, random_wrong(4, 0.05)))
    split = dataclasses.replace(evidence.split, groups=groups)
    found = study(dataclasses.replace(evidence, split=split), {})
    assert [own["name"] for own in found["slices"]] == ["group tree 0"]


def test_a_slice_that_is_mostly_one_class_says_so() -> None:
    north = np.where(TRUTH == 2, np.arange(600) % 4 > 0, np.arange(600) % 12 == 0)
    wrong = np.where(north, random_wrong(2, 0.5), random_wrong(3, 0.03))
    names = [TASK.classes[own] for own in TRUTH]
    paths = tuple(
        f"{n}/{'north' if o else 'south'}/{r}.jpg"
        for r, (n, o) in enumerate(zip(names, north, strict=True))
    )
    found = study(answered(wrong, catalog=catalog_of(names, paths=paths)), {})
    source = next(own for own in found["slices"] if own["name"] == "source north/")
    assert source["mostly"]["class"] == "oak"
    assert source["mostly"]["count"] == int((north & (TRUTH == 2)).sum())


def test_where_answers_are_wrong_at_random_nothing_is_claimed() -> None:
    found = study(answered(random_wrong(5)), {})
    assert found["slices"] == []
    assert "none is worse than the other pictures beyond chance" in found["sentence"]
    claims = sum(bool(study(answered(random_wrong(seed)), {})["slices"]) for seed in range(60))
    assert claims / 60 <= ALPHA


def test_without_the_correction_random_answers_have_weak_spots_negative_control(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slicing, "holm", lambda p_M: p_M)
    claims = sum(bool(study(answered(random_wrong(seed)), {})["slices"]) for seed in range(20))
    assert claims > 10


@pytest.mark.slow
def test_in_five_hundred_random_runs_one_of_twenty_at_most_has_a_weak_spot() -> None:
    claims = sum(bool(study(answered(random_wrong(seed)), {})["slices"]) for seed in range(500))
    assert claims / 500 <= ALPHA


def test_no_more_slices_than_so_many_are_shown_and_all_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half of twelve cameras are always wrong; twice as many as are shown here."""
    monkeypatch.setattr("saccade.insight.slices.MOST_SHOWN", 3)
    names = [f"camera {row % 12}" for row in range(600)]
    paths = tuple(
        f"{TASK.classes[t]}/{n}/{r}.jpg" for r, (t, n) in enumerate(zip(TRUTH, names, strict=True))
    )
    evidence = answered(
        np.arange(600) % 12 < 6, catalog=catalog_of([TASK.classes[t] for t in TRUTH], paths=paths)
    )
    found = study(evidence, {})
    assert len(found["slices"]) == 3
    assert found["num_weak"] == 6


def test_quarters_are_quarters_and_equal_values_stay_together() -> None:
    found = list(quarters("brightness", np.arange(100) / 100))
    assert [int(own.members_N.sum()) for own in found] == [25] * 4
    assert [own.name for own in found] == [
        "darkest: brightness below 0.25",
        "brightness from 0.25 to 0.5",
        "brightness from 0.5 to 0.75",
        "brightest: brightness from 0.75",
    ]
    two = list(quarters("size", np.repeat([250_000.0, 1_000_000.0], [80, 20])))
    assert [int(own.members_N.sum()) for own in two] == [80, 20]
    assert [own.name for own in two] == [
        "smallest: size below 1 megapixels",
        "largest: size from 1 megapixels",
    ]
    assert list(quarters("size", np.ones(50))) == []


def test_every_set_of_pictures_is_tested_once() -> None:
    evidence = answered(random_wrong(0))
    names = [TASK.classes[own] for own in TRUTH]
    kinds = tuple("PNG" if own == 2 else "JPEG" for own in TRUTH)  # the same pictures as oak
    evidence = dataclasses.replace(evidence, catalog=catalog_of(names, formats=kinds))
    found = [own.name for own in slices_of(evidence, evidence.table, np.arange(600))]
    assert "class oak" in found
    assert "file kind PNG" not in found


def test_numbers_and_several_labels_have_weak_spots_too() -> None:
    value = np.linspace(0, 10, 600)
    error = np.random.default_rng(0).normal(size=600) * np.where(value > 7.5, 3, 1)
    task = Task(kind="regression", classes=())
    own = answered(random_wrong(0))

    def of(task: Task, truth: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
        table = Predictions(
            task=task, paths=own.catalog.paths, hashes=own.catalog.hashes,
            parts=("test",) * 600, truth=truth, scores=scores,
        )  # fmt: skip
        return study(dataclasses.replace(own, task=task, targets=truth, table=table), {})

    found = of(task, value, (value + error)[:, None])
    assert found["score"] == "mean error"
    assert found["slices"][0]["name"] == "highest: truth from 7.51"
    assert found["slices"][0]["inside"]["value"] == pytest.approx(np.abs(error[450:]).mean())

    labels = np.stack([TRUTH == 0, np.arange(600) % 2 == 0], axis=1).astype(np.uint8)
    wrong = (TRUTH == 0) & random_wrong(0, 0.4)
    said = labels.copy()
    said[wrong, 1] ^= 1
    found = of(Task(kind="multilabel", classes=("tall", "even")), labels, said * 0.8 + 0.1)
    assert found["score"] == "share of wrong labels"
    assert found["slices"][0]["name"] == "label tall"


def test_one_label_of_a_multilabel_task_has_shares_of_wrong_labels() -> None:
    own = answered(random_wrong(0))
    task, truth = Task(kind="multilabel", classes=("oak",)), (TRUTH == 2).astype(np.uint8)[:, None]
    scores = np.where(np.arange(600)[:, None] % 15 == 2, 1 - truth, truth) * 0.8 + 0.1  # 40 oaks
    table = Predictions(
        task=task, paths=own.catalog.paths, hashes=own.catalog.hashes,
        parts=("test",) * 600, truth=truth, scores=scores,
    )  # fmt: skip
    found = study(dataclasses.replace(own, task=task, targets=truth, table=table), {})
    first = found["slices"][0]
    assert (first["name"], first["num_wrong"]) == ("label oak", 40)
    assert first["inside"]["value"] == pytest.approx(40 / 200)
    assert first["outside"]["value"] == 0
    assert found["sentence"].endswith(  # Wilson's intervals, by hand
        "label oak, share of wrong labels 0.200 [0.150, 0.261] on 200 pictures against 0.000 "
        "[0.000, 0.010] on the 400 others."
    )


def test_the_surest_weak_spot_is_told_with_intervals_and_n_on_both_sides() -> None:
    found = study(answered(np.where(TRUTH == 2, random_wrong(0, 0.4), random_wrong(1, 0.05))), {})
    told = re.search(
        r"class oak, accuracy (\S+) \[(\S+), (\S+)\] on 200 pictures against (\S+) "
        r"\[(\S+), (\S+)\] on the 400 others\.$",
        found["sentence"],
    )
    assert told
    first = found["slices"][0]
    expected = [first[side][end] for side in ("inside", "outside") for end in ENDS]
    assert [float(own) for own in told.groups()] == pytest.approx(expected, abs=5e-4)


def test_the_sentence_lists_what_was_tested() -> None:
    found = study(answered(random_wrong(5)), {})
    assert found["sentence"] == (
        f"Of {found['num_slices']} slices of the 600 test pictures and {found['num_pairs']} pairs "
        "of them (by class, brightness, contrast, colourfulness and sharpness) none is worse than "
        "the other pictures beyond chance (p below 0.05, corrected for all of them). Slices of few "
        "pictures can hide a weakness."
    )
    tested = WeakSpots(weak=(), num_weak=0, num_slices=1, num_pairs=1, n=30)
    truth = [Slice(name="truth below 3", about="truth", members_N=np.arange(30) < 15)]
    assert sentence(tested, truth, [], part="test", task="regression").startswith(
        "Of 1 slice of the 30 test pictures and 1 pair of them (by truth) none is worse"
    )
    tested = dataclasses.replace(tested, num_slices=0)
    assert sentence(tested, [], [], part="test", task="binary") == (
        "Nothing could be compared: no class, source or quarter by size or light has 10 of the 30 "
        "test pictures inside and 10 outside."
    )


def test_few_pictures_are_not_compared() -> None:
    evidence = answered(random_wrong(0))
    parts = ("test",) * 19 + ("train",) * 581
    split = dataclasses.replace(evidence.split, parts=parts)
    with pytest.raises(NotPossible, match="19 test pictures are too few to compare"):
        study(dataclasses.replace(evidence, split=split), {})
    with pytest.raises(NotPossible, match="nothing has been predicted yet"):
        study(dataclasses.replace(evidence, table=None), {})


def test_what_is_found_can_be_written_whatever_names_there_are() -> None:
    names = [("b\udcff", "=elm()", "oak")[own] for own in TRUTH]
    task = Task(kind="multiclass", classes=("b\udcff", "=elm()", "oak"))
    own = answered(np.where(TRUTH == 0, random_wrong(0, 0.5), random_wrong(1, 0.05)))
    catalog = catalog_of(names, paths=tuple(f"{n}/\udcfe{r}.jpg" for r, n in enumerate(names)))
    table = dataclasses.replace(own.table, task=task, paths=catalog.paths)
    found = study(dataclasses.replace(own, task=task, catalog=catalog, table=table), {})
    assert found["slices"][0]["name"] == "class b\\xff"
    json_text(found).encode()
    named = dataclasses.replace(base(), task=task, catalog=catalog)
    json_text(shortcuts.study(named, {})).encode()
