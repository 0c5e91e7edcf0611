"""Robustness, of networks that look at one thing: what must change changes, and nothing else."""

import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.insight.clouds import evidence_of
from tests.insight.readers import (
    LIGHT,
    evidence,
    gray,
    reads_light,
    reads_nothing,
    reads_side,
    seen,
)
from tests.training.pointers import blobs

from saccade.data.task import Task
from saccade.insight import robustness
from saccade.insight.changed import drawn
from saccade.insight.disturb import DISTURBANCES
from saccade.insight.evidence import NotPossible
from saccade.insight.robustness import planned, study


def points(found: dict[str, Any]) -> dict[tuple[str, float], dict[str, Any]]:
    return {
        (own["name"], point["strength"]): point
        for own in found["disturbances"]
        for point in own["points"]
    }


def estimates(content: Any) -> Iterator[dict[str, Any]]:
    if isinstance(content, dict):
        if {"value", "low", "high"} <= set(content):
            yield content
        else:
            for own in content.values():
                yield from estimates(own)
    elif isinstance(content, list):
        for own in content:
            yield from estimates(own)


@pytest.fixture(scope="module")
def of_light() -> dict[str, Any]:
    return study(evidence(*gray()), {})


def test_a_network_that_sees_brightness_is_disturbed_by_brightness_alone(
    of_light: dict[str, Any],
) -> None:
    """Half as light, all are dark (80 and 40); half as light again, all are light (120 and 240)."""
    found = points(of_light)
    for key, point in found.items():
        wrong = 0.5 if key[0] == "brightness" else 0.0
        assert point["final"]["changed"]["value"] == wrong, key
        assert point["final"]["score"]["value"] == 1 - wrong
        assert point["final"]["change"]["value"] == -wrong
    assert found["brightness", 0.5]["final"]["change"]["high"] < 0


def test_a_network_that_sees_sides_is_turned_round_by_a_mirror_and_by_nothing_milder() -> None:
    pictures, places = blobs(140)
    pictures, places = pictures[np.abs(places[:, 0]) > 0.5], places[np.abs(places[:, 0]) > 0.5]
    found = points(study(evidence(pictures, (places[:, 0] > 0).astype(int), reads_side), {}))
    assert found["hflip", 1.0]["final"]["score"]["value"] == 0
    assert found["hflip", 1.0]["final"]["changed"]["value"] == 1
    for harmless in (("vflip", 1.0), ("blur", 0.016), ("contrast", 0.4), ("rotation", 10.0)):
        assert found[harmless]["final"]["score"]["value"] == 1, harmless


def test_a_network_that_sees_nothing_is_disturbed_by_nothing() -> None:
    """The negative control: bad answers that stay are bad, and robust."""
    for key, point in points(study(evidence(*gray(), reads_nothing), {})).items():
        assert point["final"]["changed"]["value"] == 0, key
        assert point["final"]["change"]["low"] <= 0 <= point["final"]["change"]["high"]


def test_every_disturbance_and_strength_is_there_and_every_number_has_its_n(
    of_light: dict[str, Any],
) -> None:
    assert json.loads(json.dumps(of_light)) == of_light
    wanted = [(one.name, strength) for one in DISTURBANCES for strength in one.strengths]
    assert list(points(of_light)) == wanted
    every = list(estimates(of_light))
    assert len(every) > 3 * len(wanted)
    assert {own["n"] for own in every} == {of_light["n"]} == {20}
    assert (of_light["part"], of_light["num_part"], of_light["left_out"]) == ("test", 20, [])
    assert len(of_light["shown"]["pictures"]) == len(DISTURBANCES) == 10


def test_a_head_that_learned_from_views_is_held_to_one_that_did_not() -> None:
    """Features of which the stronger lies as soon as there is noise, as it does in the views."""
    pictures, light = gray()

    def features(canvases: np.ndarray) -> np.ndarray:
        sign = np.sign(reads_light(canvases)[:, 0])
        noisy = canvases.reshape(len(canvases), -1).std(axis=1) > 1
        return np.stack([np.where(noisy, -3 * sign, 3 * sign), sign], axis=1).astype(np.float32)

    def view(rows: np.ndarray) -> np.ndarray:
        return features(pictures[rows]) * np.array([-1, 1], np.float32)

    found = study(evidence(pictures, light, frozen=features, views=(view,)), {})
    assert (found["gain"]["value"], found["num_views"]) == (0, 1)
    compared = {key: point for key, point in points(found).items() if "gain" in point}
    assert set(compared) == {("shift", 1 / 8), ("rotation", 30.0), ("scale", 1.4), ("noise", 0.1)}
    noise = compared.pop(("noise", 0.1))
    assert (noise["without"]["score"]["value"], noise["with"]["score"]["value"]) == (0, 1)
    assert noise["gain"]["low"] > 0
    assert all(point["gain"]["value"] == 0 for point in compared.values())


def test_without_views_augmentation_is_not_compared() -> None:
    pictures, light = gray()
    found = study(evidence(pictures, light, frozen=reads_light), {})
    assert "gain" not in found
    assert all("gain" not in point for point in points(found).values())


def test_for_numbers_the_error_grows_and_no_answer_is_called_another() -> None:
    pictures, places = blobs(140)
    across = Task(kind="regression", classes=(), target_mean=0.0, target_std=1.0)

    def reads_place(canvases: np.ndarray) -> np.ndarray:
        pixels = seen(canvases).mean(axis=(1, 3)) - 60
        columns = np.arange(pixels.shape[1]) - (pixels.shape[1] - 1) / 2
        return ((pixels * columns).sum(axis=1) / pixels.sum(axis=1) / 12)[:, None]

    found = study(evidence(pictures, places[:, 0], reads_place, task=across), {})
    assert found["score_name"] == "mae"
    mirrored = points(found)["hflip", 1.0]["final"]
    assert mirrored["changed"] is None
    assert mirrored["change"]["low"] > 0
    assert points(found)["vflip", 1.0]["final"]["change"]["value"] == pytest.approx(0, abs=1e-3)


def test_without_a_test_part_the_validation_part_is_disturbed() -> None:
    pictures, light = gray(70)
    parts = ["validation" if number % 3 else "train" for number in range(70)]
    assert study(evidence(pictures, light, parts=parts), {})["part"] == "validation"


def test_without_a_network_or_pictures_to_ask_about_it_says_so() -> None:
    pictures, light = gray(70)
    with pytest.raises(NotPossible, match="neither a test nor a validation part"):
        study(evidence(pictures, light, parts=["train"] * 70), {})
    import dataclasses

    unasked = dataclasses.replace(evidence(pictures, light), final_engine=None)
    with pytest.raises(NotPossible, match="no network that could be asked"):
        study(unasked, {})


@pytest.mark.parametrize(
    ("rate", "num", "conditions", "left_out"),
    [
        (1000.0, 200, 19, ()),  # 23 × 200 answers in 5 s
        (150.0, 30, 19, ()),
        (120.0, 30, 19, ("the comparison with and without augmentation",)),
        (60.0, 30, 10, ("the comparison with and without augmentation", "the milder strengths")),
        (
            12.0, 30, 2,
            (
                "the comparison with and without augmentation", "the milder strengths", "scale",
                "brightness", "contrast", "noise", "blur", "jpeg", "hflip", "vflip",
            ),
        ),
    ],
)  # fmt: skip
def test_a_slow_network_is_asked_less_and_what_is_left_out_is_named(
    rate: float,
    num: int,
    conditions: int,
    left_out: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(robustness, "SECONDS", 5.0)
    plan = planned(rate, num=500, compares=True)
    passes = sum(1 + one.compared for one in plan.conditions)
    assert passes * plan.num <= rate * robustness.SECONDS
    assert (plan.num, len(plan.conditions), plan.left_out) == (num, conditions, left_out)


def test_a_network_too_slow_for_any_is_not_asked() -> None:
    with pytest.raises(NotPossible, match="answers 4 pictures a second"):
        planned(4.0, num=500, compares=False)


def test_the_sample_is_like_the_part_and_as_large_as_there_is_time_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(robustness, "SECONDS", 1.0)
    pictures, light = gray(1400)

    def slow(canvases: np.ndarray) -> np.ndarray:
        time.sleep(len(canvases) / 1500)
        return reads_light(canvases)

    facts = evidence(pictures, light, slow, task=LIGHT)
    found = study(facts, {})
    assert 30 <= found["n"] <= 80  # 19 × n answers at 1,500 a second or less in 1 s
    assert found["num_part"] == 200
    assert abs(found["plain"]["final"]["value"] - 1) < 1e-9


def test_groups_widen_the_intervals() -> None:
    pictures, light = gray()
    groups = [f"lot {number // 14}" for number in range(140)]
    alone, grouped = (
        points(study(evidence(pictures, light, groups=own), {}))["brightness", 0.5]["final"]
        for own in ([""] * 140, groups)
    )
    width = [own["score"]["high"] - own["score"]["low"] for own in (alone, grouped)]
    assert width[1] > width[0]
    assert "groups" in grouped["score"]["method"]


def test_a_sample_has_as_many_pictures_as_were_asked_for_in_the_shares_of_the_part() -> None:
    """With many classes too, of which some have fewer pictures than there is one in so many."""
    many = Task(kind="multiclass", classes=tuple(f"{k:03}" for k in range(100)))
    targets = np.concatenate([np.zeros(1000, int), np.repeat(np.arange(1, 100), 5)])
    facts = evidence_of(None, targets, many, parts=("test",) * len(targets))
    rows = drawn(facts, 100, "test")
    assert len(set(rows.tolist())) == 100
    assert (np.diff(rows) > 0).all()
    assert abs((targets[rows] == 0).mean() - 1000 / 1495) < 0.01
    assert drawn(facts, 100, "test").tolist() == rows.tolist()


def test_the_worst_of_many_strengths_is_not_called_harm_by_chance() -> None:
    """Twenty networks whose answers to disturbed pictures change at random, for better or worse."""
    called = 0
    for seed in range(20):
        draws = np.random.default_rng(seed)

        def random(canvases: np.ndarray, draws: Any = draws) -> np.ndarray:
            right = reads_light(canvases)
            return np.where(draws.random((len(right), 1)) < 0.2, -right, right)

        found = study(evidence(*gray(700), random), {})
        strongest = [
            point["final"]
            for own in found["disturbances"]
            for point in own["points"]
            if "p" in point["final"]
        ]
        assert len(strongest) == len(found["disturbances"])
        assert all(own["p_corrected"] >= own["p"] for own in strongest)
        names = [own["name"] for own in found["disturbances"]]
        called += any(
            own["p_corrected"] < 0.05 and name not in {"brightness", "contrast"}
            for own, name in zip(strongest, names, strict=True)
        )
    assert called <= 3
