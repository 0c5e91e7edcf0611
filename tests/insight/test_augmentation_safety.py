"""The study of augmentations: what spoils the learning, what turns answers, and which is which."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from tests.insight.readers import evidence, reads_nothing, reads_side
from tests.training.climbs import Told
from tests.training.pointers import SIDES, Canvases, blobs, material, pointers

from saccade.data.task import Task
from saccade.insight import augmentation_safety
from saccade.insight.augmentation_safety import study
from saccade.insight.evidence import NotPossible
from saccade.training.augment import Augment
from saccade.training.history import History
from saccade.training.recipe import Recipe
from saccade.training.safety import FAMILIES
from saccade.training.settle import settle
from saccade.training.surroundings import Surroundings

PARTS = ["train", "train", "train", "validation", "test"]


def parts_of(num: int) -> list[str]:
    return [PARTS[number // 2 % 5] for number in range(num)]  # both sides in every part


def reads_pointers(canvases: np.ndarray) -> np.ndarray:
    """Return a logit above 0 where the ink stands more upright on the left: a base to the left."""
    pixels = canvases[:, 4:36, 4:36].astype(np.float64)
    ink = np.abs(pixels - np.median(pixels, axis=(1, 2), keepdims=True)).sum(axis=3) > 60
    columns = np.arange(32)
    mass = ink.sum(axis=1)
    middle = (mass * columns).sum(axis=1) / np.maximum(mass.sum(axis=1), 1)
    third = (mass * (columns - middle[:, None]) ** 3).sum(axis=1)
    return np.where(third > 0, 1.0, -1.0)[:, None].astype(np.float32)


@pytest.fixture(scope="module")
def arrows() -> tuple[np.ndarray, np.ndarray]:
    return pointers(200)


@pytest.fixture(scope="module")
def found(arrows: tuple[np.ndarray, np.ndarray]) -> dict[str, Any]:
    return study(evidence(*arrows, reads_pointers, task=SIDES, parts=parts_of(200)), {})


def by_name(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {own["name"]: own for own in found["families"]}


def test_each_family_has_a_verdict_and_only_the_mirror_is_unsafe(found: dict[str, Any]) -> None:
    assert json.loads(json.dumps(found)) == found
    families = by_name(found)
    assert list(families) == list(FAMILIES)
    assert [name for name, own in families.items() if own["verdict"]["unsafe"]] == ["hflip"]
    assert [name for name, own in families.items() if not own["used"]] == ["vflip"]
    assert families["light"]["strength"] == {"brightness": 0.15, "contrast": 0.15}
    assert families["hflip"]["verdict"]["lost"]["n"] == found["n"] == 120


def test_the_mirror_turns_nearly_every_right_answer_and_its_look_alike_is_shown(
    found: dict[str, Any],
) -> None:
    mirrored = by_name(found)["hflip"]
    turned = mirrored["network"]["turned"]
    assert turned["value"] > 0.9
    assert turned["n"] <= found["num_asked"] == 40
    assert (found["who"], found["part"]) == ("final", "validation")
    assert set(mirrored["example"]["classes"]) == {"left", "right"}
    assert mirrored["example"]["path"] != mirrored["example"]["look_alike"]


def test_of_pictures_in_groups_the_groups_are_counted(
    arrows: tuple[np.ndarray, np.ndarray],
) -> None:
    facts = evidence(*arrows, reads_pointers, task=SIDES, parts=parts_of(200))
    groups = tuple(f"film {row // 10}" for row in range(200))
    facts = dataclasses.replace(facts, split=dataclasses.replace(facts.split, groups=groups))
    turned = by_name(study(facts, {}))["hflip"]["network"]["turned"]
    assert "groups" in turned["method"]


def test_a_network_that_views_turn_is_weak_and_the_augmentation_safe_all_the_same() -> None:
    """The negative control: the same answers turn, but the classes are told by their light."""
    pictures, _ = pointers(200)
    rng = np.random.default_rng(0)
    light = rng.integers(0, 2, 200)
    pictures = (pictures * np.where(light, 1.0, 0.4)[:, None, None, None]).astype(np.uint8)
    told = evidence(pictures, light, reads_pointers, task=SIDES, parts=parts_of(200))
    mirrored = by_name(study(told, {}))["hflip"]
    assert mirrored["network"]["turned"]["value"] > 0.9
    assert not mirrored["verdict"]["unsafe"]
    assert mirrored["example"] is None


def test_what_was_found_before_learning_is_not_asked_again(
    arrows: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History()
    around = Surroundings(device="cpu", history=history, progress=Told())
    settled = settle(Recipe(), material(*arrows, SIDES), around)
    asked: list[Any] = []
    judge = augmentation_safety.judge_augmentation

    def noting(*given: Any, **facts: Any) -> Any:
        asked.append(facts["names"])
        return judge(*given, **facts)

    monkeypatch.setattr(augmentation_safety, "judge_augmentation", noting)
    facts = evidence(
        *arrows, reads_nothing, task=SIDES, parts=parts_of(200), recipe=settled,
        history=[{"event": "head", "penalty": 0.1}, *history.events],
    )  # fmt: skip
    families = by_name(study(facts, {}))
    assert asked == [["vflip"]]
    mirrored = families["hflip"]
    assert (mirrored["left_out"], mirrored["used"]) == (True, False)
    before = {own["name"]: own for own in history.events[-1]["families"]}
    assert mirrored["verdict"] == before["hflip"]
    assert families["rotate"]["left_out"] is False


def test_the_frozen_network_is_asked_where_there_is_one() -> None:
    pictures, places = blobs(200)
    facts = evidence(
        pictures, (places[:, 0] > 0).astype(int), reads_nothing,
        frozen=lambda canvases: np.asarray(reads_side(canvases), np.float32), task=SIDES,
        parts=parts_of(200), model={"name": "cnn", "num_stages_learned": 1},
    )  # fmt: skip
    found = study(facts, {})
    assert found["who"] == "frozen"
    assert by_name(found)["hflip"]["network"]["turned"]["value"] > 0.9
    assert by_name(found)["vflip"]["network"]["turned"]["value"] < 0.1


def test_a_number_has_an_error_and_no_right_answers() -> None:
    pictures, places = blobs(200)
    across = Task(kind="regression", classes=(), target_mean=0.0, target_std=0.6)
    facts = evidence(pictures, places[:, 0], reads_nothing, task=across, parts=parts_of(200))
    families = by_name(study(facts, {}))
    assert families["hflip"]["verdict"]["unsafe"]
    assert families["hflip"]["example"] is None
    assert "turned" not in families["hflip"]["network"]
    assert families["hflip"]["network"]["score"]["n"] == 40


def test_where_classes_cannot_be_seen_it_says_so(arrows: tuple[np.ndarray, np.ndarray]) -> None:
    pictures, right = arrows
    shuffled = np.random.default_rng(3).permutation(right)
    found = study(evidence(pictures, shuffled, reads_nothing, task=SIDES, parts=parts_of(200)), {})
    assert found["why"] == "small pictures alone tell nothing of the answer"
    assert all(own["verdict"] is None for own in found["families"])


def test_of_few_pictures_nothing_is_said(arrows: tuple[np.ndarray, np.ndarray]) -> None:
    pictures, right = (own[:60] for own in arrows)
    with pytest.raises(NotPossible, match="36 training pictures"):
        study(evidence(pictures, right, reads_nothing, task=SIDES, parts=parts_of(60)), {})


def test_families_that_are_off_are_judged_at_their_usual_strength() -> None:
    found = augmentation_safety.with_usual(Augment(rotate=40.0, contrast=0.3))
    assert (found.rotate, found.zoom, found.vflip) == (40.0, 0.15, 0.5)
    assert (found.brightness, found.contrast) == (0.0, 0.3)


def test_a_view_lies_in_the_centre_of_its_canvas() -> None:
    facts = evidence(*blobs(20), reads_nothing)
    cache: Any = facts.cache
    assert isinstance(cache, Canvases)
    rows = np.arange(4)
    views = augmentation_safety._views(
        facts, Augment(hflip=0.5), "hflip", rows, cache.canvases(rows)
    )
    plain = cache.canvases(rows)
    np.testing.assert_array_equal(views[:, 4:36, 4:36], plain[:, 4:36, 4:36][:, :, ::-1])
    np.testing.assert_array_equal(views[:, :4], plain[:, :4])
