"""Copies across the parts are counted and shown, with the score with and without them."""

import dataclasses
import functools
import json
from typing import Any

import numpy as np
import pytest
from tests.insight.planted import evidence_of, photographs

from saccade.data.duplicates import find_twins
from saccade.data.task import Task
from saccade.evaluation.intervals import wilson
from saccade.evaluation.predictions import Predictions
from saccade.insight import leaks
from saccade.insight.evidence import Evidence

TASK = Task(kind="multiclass", classes=("birch", "elm"))
TRUTH = np.arange(200) % 2


@functools.cache
def pictures() -> np.ndarray:
    return photographs(200, seed=0, side=64)


def with_copies(num: int, **changes: Any) -> tuple[Evidence, list[tuple[int, int]]]:
    """Return evidence in which `num` test pictures are mirrored training pictures, and which."""
    plain = evidence_of(pictures(), TRUTH, task=TASK)
    pairs = list(zip(plain.rows("test")[:num].tolist(), plain.rows("train").tolist(), strict=False))
    pixels = pictures().copy()
    for row, source in pairs:
        pixels[row] = pixels[source][:, ::-1]
    own = evidence_of(pixels, TRUTH, task=TASK)
    twins = find_twins(own.catalog, own.looks)
    return dataclasses.replace(own, twins=twins, **changes), pairs


def answered(evidence: Evidence, right_N: np.ndarray) -> Evidence:
    """Return evidence of a model that is right where it is told to be."""
    answers = np.where(right_N, TRUTH, 1 - TRUTH)
    table = Predictions(
        task=TASK,
        paths=evidence.catalog.paths,
        hashes=evidence.catalog.hashes,
        parts=evidence.split.parts,
        truth=TRUTH,
        scores=np.eye(2)[answers],
    )
    return dataclasses.replace(evidence, table=table)


def test_copies_in_the_test_part_are_counted_and_the_score_is_given_without_them() -> None:
    evidence, pairs = with_copies(12)
    test = evidence.rows("test")
    copies = {row for row, _ in pairs}
    clean = [row for row in test.tolist() if row not in copies]
    right_N = np.ones(200, np.bool_)
    right_N[clean[:15]] = False  # the model knows its copies, and 15 others are wrong
    found = leaks.study(answered(evidence, right_N), {})
    assert json.loads(json.dumps(found)) == found
    assert found["leaks"]["test"] == {"n": len(test), "num": 12, "kinds": {"mirrored": 12}}
    assert found["leaks"]["validation"]["num"] == 0
    asked, own = wilson(len(test) - 15, len(test)), wilson(len(clean) - 15, len(clean))
    assert found["asked"]["value"] == pytest.approx(asked.value)
    assert (found["asked"]["low"], found["asked"]["high"]) == pytest.approx((asked.low, asked.high))
    assert found["clean"]["value"] == pytest.approx(own.value)
    assert found["clean"]["n"] == len(clean)
    assert len(found["pairs"]) == 12
    place = {path: row for row, path in enumerate(evidence.catalog.paths)}
    shown = {tuple(place[path] for path in pair["paths"]) for pair in found["pairs"]}
    assert shown == set(pairs)
    assert sum(found["histogram"]["by_looks"]) >= 12


def test_without_copies_nothing_is_claimed() -> None:
    evidence, _ = with_copies(0)
    found = leaks.study(dataclasses.replace(evidence, table=None), {})
    assert found["leaks"]["test"]["num"] == 0
    assert found["pairs"] == []
    assert (found["score_name"], found["clean"]) == ("", None)  # before learning


def test_features_find_copies_that_the_looks_alone_missed() -> None:
    evidence, pairs = with_copies(8)
    features = np.random.default_rng(0).normal(size=(200, 40)).astype(np.float32)
    for row, source in pairs:
        features[row] = features[source] + 0.1
    blind = find_twins(evidence.catalog, None)
    seen = dataclasses.replace(evidence, twins=blind, features_ND=features, features_name="net")
    assert leaks.study(dataclasses.replace(seen, features_ND=None), {})["leaks"]["test"]["num"] == 0
    found = leaks.study(seen, {})
    assert found["leaks"]["test"] == {
        "n": len(evidence.rows("test")),
        "num": 8,
        "kinds": {"mirrored": 8},
    }
    assert sum(found["histogram"]["by_features"]) > 0
    (severe,) = found["findings"]
    assert (severe["kind"], severe["severity"], len(severe["paths"])) == ("leak", "severe", 16)
    assert severe["sentence"].startswith(f"8 of {found['leaks']['test']['n']} test pictures show ")
    assert "(8 mirrored; found by features)" in severe["sentence"]
    assert leaks.study(evidence, {})["findings"] == []  # the looks found them, and told so


def test_pictures_of_one_scene_are_named_apart_and_do_not_count_as_copies() -> None:
    evidence, _ = with_copies(0)
    features = np.random.default_rng(0).normal(size=(200, 40)).astype(np.float32)
    row, other = int(evidence.rows("test")[3]), int(evidence.rows("train")[5])
    features[row] = features[other] + 0.2
    found = leaks.study(dataclasses.replace(evidence, features_ND=features), {})
    assert found["scenes"]["num"] == 1
    (pair,) = found["scenes"]["pairs"]
    assert pair["paths"] == [evidence.catalog.paths[row], evidence.catalog.paths[other]]
    assert found["leaks"]["test"]["num"] == 0


def test_where_all_features_are_alike_scenes_are_not_told_by_them() -> None:
    evidence, _ = with_copies(0)
    features = np.zeros((200, 4), np.float32)
    features[:, 0] = np.arange(200) % 2
    found = leaks.study(dataclasses.replace(evidence, features_ND=features), {})
    assert found["scenes"]["num"] == 0
    assert (
        found["scenes"]["num_alike"]
        == found["scenes"]["n"]
        == len(evidence.rows("test")) + len(evidence.rows("validation"))
    )


def test_frames_of_one_scene_on_both_sides_are_a_finding_although_they_are_many() -> None:
    """Forty scenes of five frames, drawn frame by frame: nothing but "none was found" was said."""
    evidence, _ = with_copies(0)
    rng = np.random.default_rng(0)
    scenes = np.repeat(rng.normal(size=(40, 60)), 5, axis=0)
    features = (scenes + 0.1 * rng.normal(size=(200, 60))).astype(np.float32)
    seen = dataclasses.replace(evidence, features_ND=features, features_name="net")
    found = leaks.study(seen, {})
    num, n = found["scenes"]["num_alike"], found["scenes"]["n"]
    assert num > 0.9 * n
    (pair, *_) = found["scenes"]["pairs"]
    first, second = (evidence.catalog.paths.index(path) for path in pair["paths"])
    assert first // 5 == second // 5
    (finding,) = found["findings"]
    assert (finding["kind"], finding["severity"]) == ("scenes", "warning")
    assert finding["sentence"] == (
        f"{num} of {n} test and validation pictures have a neighbour in an earlier part as alike "
        "as pictures of one scene (features of net agree to 0.78 and more): either all these "
        "pictures look alike, or the parts share scenes, which flatters the score."
    )
    assert finding["action"].startswith("look at the pairs in the report")


def test_the_pairs_that_are_taken_for_copies_are_counted_not_those_of_a_bin() -> None:
    """Those of a cluster that is too large are as alike, and none is taken for a copy."""
    evidence, _ = with_copies(7)
    assert leaks.study(evidence, {})["num_believed"] == 7
    alike = pictures().copy()
    alike[20:60] = alike[20]
    alike[20:60, 0, 0, 0] = np.arange(40)  # other bytes
    one = evidence_of(alike, TRUTH, task=TASK)
    found = leaks.study(dataclasses.replace(one, twins=find_twins(one.catalog, one.looks)), {})
    assert found["histogram"]["by_looks"][-1] > 0
    assert (found["num_too_large"], found["num_believed"]) == (40, 0)


def test_a_regression_has_its_error_with_and_without_copies() -> None:
    evidence, pairs = with_copies(10)
    task = Task(kind="regression", classes=())
    truth = np.random.default_rng(0).normal(size=200)
    scores = truth.copy()
    new = [row for row in evidence.rows("test").tolist() if row not in {own for own, _ in pairs}]
    scores[new] += 0.5  # off by so much on what is new
    table = Predictions(
        task=task,
        paths=evidence.catalog.paths,
        hashes=evidence.catalog.hashes,
        parts=evidence.split.parts,
        truth=truth,
        scores=scores[:, None],
    )
    found = leaks.study(dataclasses.replace(evidence, task=task, table=table, targets=truth), {})
    assert found["score_name"] == "mae"
    assert found["clean"]["value"] == pytest.approx(0.5)
    assert found["asked"]["value"] == pytest.approx(0.5 * len(new) / (len(new) + 10))


def test_beside_the_summary_stands_the_score_of_what_is_new() -> None:
    evidence, pairs = with_copies(12)
    clean = [row for row in evidence.rows("test").tolist() if row not in {own for own, _ in pairs}]
    right_N = np.ones(200, np.bool_)
    right_N[clean[:15]] = False
    found = leaks.study(answered(evidence, right_N), {})
    own = wilson(len(clean) - 15, len(clean))
    assert leaks.summary(found) == (
        f"12 test pictures are copies of known ones; on the other {len(clean)}: accuracy "
        f"{own.value:.3f} [{own.low:.3f}, {own.high:.3f}]."
    )
    assert leaks.summary(leaks.study(with_copies(0)[0], {})) == ""
    assert leaks.summary(None) == ""


def test_where_the_clean_rest_cannot_be_scored_that_is_said() -> None:
    found = {
        "leaks": {"test": {"n": 24, "num": 20, "kinds": {"exact": 20}}},
        "score_name": "f1",
        "clean": {"value": None, "low": None, "high": None, "n": 4, "method": "undefined"},
    }
    assert leaks.summary(found) == (
        "20 test pictures are copies of known ones; the other 4 are too few to say anything."
    )
