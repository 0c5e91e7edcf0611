"""The baseline ladder, from a folder of stripes to its rungs; and row E2, random labels."""

import dataclasses
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.conftest import shape_picture
from tests.insight.clouds import clouds, evidence_of

from saccade.data.looks import look_at
from saccade.data.pixel_store import PixelStore
from saccade.data.task import Task
from saccade.evaluation.intervals import grouping
from saccade.evaluation.predictions import Predictions
from saccade.evaluation.scores import evaluate
from saccade.evaluation.tally import tally
from saccade.insight import baselines, rungs, small_networks
from saccade.insight.evidence import Evidence, NotPossible
from saccade.lesson import look
from saccade.models.network import preprocess_for
from saccade.runtime.errors import ResourceError
from saccade.runtime.progress import Progress
from saccade.training.head import fit_head
from saccade.training.recipe import Recipe

TWO = Task(kind="binary", classes=("a", "b"))


@pytest.fixture(autouse=True, scope="module")
def quick() -> Iterator[None]:
    """Train the small networks for a moment only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small_networks, "EPOCHS", (2, 2))
        patch.setattr(small_networks, "WIDTHS", {"mlp": (8,), "cnn": (4, 4)})
        yield


def told(evidence: Evidence, logits_NK: np.ndarray) -> Evidence:
    """Return evidence whose final network said this."""
    task, num = evidence.task, len(evidence.targets)
    table = Predictions(
        task=task,
        paths=tuple(f"{row}.png" for row in range(num)),
        hashes=("",) * num,
        parts=evidence.split.parts,
        truth=evidence.targets,
        scores=task.scores(logits_NK),
    )
    return dataclasses.replace(evidence, table=table, logits_NK=logits_NK)


@pytest.fixture(scope="module")
def of_stripes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evidence]:
    """Return a run from scratch on three kinds of stripes, right 9 in 10 times."""
    root = tmp_path_factory.mktemp("baselines") / "stripes"
    for label in range(3):
        (root / f"class{label}").mkdir(parents=True)
        for number in range(50):
            picture = Image.fromarray(shape_picture(label, number, side=16))
            picture.save(root / f"class{label}" / f"{number:03}.png")
    recipe = Recipe(model="cnn", img_size=16, val_fraction=0.2, test_fraction=0.2)
    with PixelStore(preprocess_for("cnn", img_size=16, fit="crop")) as pixels:
        lesson = look(recipe, root, pixels, progress=Progress())
        right = np.eye(3)[lesson.targets]
        right[::10] = np.roll(right[::10], 1, axis=1)
        evidence = Evidence(
            recipe=recipe,
            catalog=lesson.catalog,
            task=lesson.task,
            split=lesson.split,
            targets=lesson.targets,
            cache=lesson.cache,
            looks=look_at(lesson.cache),
            model={"num_parameters": 1000, "num_trainable": 1000, "num_stages_learned": 3},
            seconds={"learn": 4.5},
        )
        yield told(evidence, 5 * right)


@pytest.fixture(scope="module")
def found(of_stripes: Evidence) -> dict[str, Any]:
    return baselines.study(of_stripes, {})


def names(found: dict[str, Any]) -> list[str]:
    return [own["name"] for own in found["rungs"]]


def test_from_scratch_there_is_every_rung_but_the_frozen_one(found: dict[str, Any]) -> None:
    assert json.loads(json.dumps(found)) == found
    assert names(found) == ["majority", "properties", "mlp", "cnn", "final"]
    assert found["left_out"] == {"frozen": "there are no features of a pretrained network"}
    assert [own["score"]["n"] for own in found["rungs"]] == [30] * 5
    for own in found["rungs"]:
        assert own["num_bytes"] == 4 * own["num_parameters"]
        assert own["seconds"] >= 0
    assert found["rungs"][-1]["seconds"] == 4.5


def test_every_rung_is_compared_with_the_one_before_and_the_last_with_the_first(
    found: dict[str, Any],
) -> None:
    pairs = [(own["first"], own["second"]) for own in found["comparisons"]]
    assert pairs == [
        ("majority", "properties"), ("properties", "mlp"), ("mlp", "cnn"), ("cnn", "final"),
        ("majority", "final"), ("properties", "final"), ("mlp", "final"),
    ]  # fmt: skip
    assert {own["num_compared"] for own in found["comparisons"]} == {7}
    last = found["comparisons"][4]
    assert last["better"]
    scores = {own["name"]: own["score"]["value"] for own in found["rungs"]}
    assert last["difference"]["value"] == pytest.approx(scores["final"] - scores["majority"])


def test_the_last_rung_has_the_score_of_the_report_to_the_last_digit(
    of_stripes: Evidence, found: dict[str, Any]
) -> None:
    assert of_stripes.table is not None
    headline = evaluate(of_stripes.table, seed=0)["test"]
    scores = {own["name"]: own["score"] for own in found["rungs"]}
    assert scores["final"] == headline["accuracy"].as_dict()
    assert scores["majority"]["value"] == headline["majority_accuracy"].value


def test_the_same_data_give_the_same_small_networks(of_stripes: Evidence) -> None:
    test = of_stripes.rows("test")
    first, second = (rungs.SmallRungs().cnn(of_stripes, test).table.scores for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_of_many_pictures_small_networks_learn_from_some_of_each_class_and_it_is_said(
    of_stripes: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    test, train = of_stripes.rows("test"), of_stripes.rows("train")
    assert rungs.SmallRungs().mlp(of_stripes, test).num_taught is None
    monkeypatch.setattr(small_networks, "MOST_TAUGHT", len(train) // 2)
    taught: list[int] = []
    real = small_networks.fit

    def note(net: Any, material: Any, **more: Any) -> Any:
        taught.extend(material.train_rows)
        return real(net, material, **more)

    monkeypatch.setattr(small_networks, "fit", note)
    rung = rungs.SmallRungs().mlp(of_stripes, test)
    assert rung.num_taught == len(taught)
    assert len(taught) == pytest.approx(len(train) // 2, abs=2)
    assert set(taught) < set(train.tolist())
    counts = np.bincount(of_stripes.targets[taught], minlength=3)
    assert counts.min() >= 0.8 * len(taught) / 3


def test_small_networks_learn_from_the_training_part_alone(of_stripes: Evidence) -> None:
    """With other answers in the test part they are the same networks."""
    test = of_stripes.rows("test")
    targets = of_stripes.targets.copy()
    targets[test] = (targets[test] + 1) % 3
    spoilt = dataclasses.replace(of_stripes, targets=targets)
    for make in (rungs.SmallRungs().mlp, rungs.properties_rung, rungs.majority_rung):
        one, other = make(of_stripes, test), make(spoilt, test)
        np.testing.assert_array_equal(one.table.scores, other.table.scores)


def test_of_very_many_pictures_properties_learn_from_some_and_say_so(
    of_stripes: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    test, num = of_stripes.rows("test"), len(of_stripes.rows("train"))
    assert rungs.properties_rung(of_stripes, test).num_taught is None
    monkeypatch.setattr(rungs, "MOST_FITTED", num // 2)
    few = rungs.properties_rung(of_stripes, test)
    assert few.num_taught == pytest.approx(num // 2, abs=3)
    assert len(few.table.scores) == len(test)


def test_a_rung_without_time_is_left_out_by_name(of_stripes: Evidence) -> None:
    found = baselines.study(dataclasses.replace(of_stripes, deadline=0.0), {})
    assert names(found) == []
    assert set(found["left_out"].values()) == {"its time was up"}
    assert list(found["left_out"]) == ["majority", "final", "frozen", "properties", "mlp", "cnn"]
    with pytest.raises(NotPossible, match="its time was up"):
        rungs.SmallRungs().cnn(
            dataclasses.replace(of_stripes, deadline=0.0), of_stripes.rows("test")
        )


def test_a_rung_that_fails_is_left_out_with_the_reason_and_the_others_stay(
    of_stripes: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_args: Any, **_facts: Any) -> None:
        raise ResourceError("The memory does not hold it.", code="404")

    monkeypatch.setattr(rungs, "train_small", fails)
    found = baselines.study(of_stripes, {})
    assert names(found) == ["majority", "properties", "final"]
    assert found["left_out"]["cnn"] == "The memory does not hold it."


def test_of_a_frozen_network_the_head_is_that_of_the_run() -> None:
    features, targets = clouds(300, num_classes=2, apart=1.5)
    evidence = evidence_of(
        features, targets, TWO, model={"num_parameters": 100, "num_stages_learned": 2}
    )
    evidence = told(evidence, np.where(targets, 4.0, -4.0)[:, None])
    test, train = evidence.rows("test"), evidence.rows("train")
    head = fit_head(features[train], targets[train], task=TWO, seed=0, penalties=[0.01])
    expected = TWO.scores(features[test] @ head.weight_KD.T + head.bias_K)
    rung = rungs.frozen_rung(evidence, test)
    np.testing.assert_allclose(rung.table.scores, expected, atol=0.02)  # solved roughly
    assert (rung.num_parameters, rung.num_learned) == (100, 9)
    assert rungs.final_rung(evidence, test).name == "final"


def test_where_no_stage_learned_the_frozen_network_is_the_one_that_ships() -> None:
    features, targets = clouds(300)
    evidence = evidence_of(features, targets, TWO, model={"num_stages_learned": 0})
    evidence = told(evidence, np.where(targets, 4.0, -4.0)[:, None])
    test = evidence.rows("test")
    assert rungs.frozen_rung(evidence, test).table.scores.tolist() == (
        evidence.finished.take(test.tolist()).scores.tolist()
    )
    with pytest.raises(NotPossible, match="is the frozen one"):
        rungs.final_rung(evidence, test)


def test_what_learning_took_leaves_out_the_rungs_for_the_frozen_network() -> None:
    features, targets = clouds(60)
    history = [
        {"event": "head", "penalty": 0.1},
        {"event": "epoch", "rung": 0, "seconds": 1.0},
        {"event": "rung", "seconds": 3.0},
        {"event": "rung", "seconds": 2.5},
    ]
    evidence = evidence_of(features, targets, TWO, history=history, seconds={"learn": 10.0})
    assert rungs._seconds_of_head(evidence) == pytest.approx(4.5)


@pytest.mark.parametrize("kind", ["multilabel", "regression"])
def test_labels_and_numbers_have_their_ladder_too(kind: Any, of_stripes: Evidence) -> None:
    rng = np.random.default_rng(0)
    classes = of_stripes.targets
    if kind == "regression":
        task = Task(kind=kind, classes=(), target_mean=1.0, target_std=0.8)
        targets, logits = classes + rng.normal(0, 0.1, len(classes)), (classes - 1.0)[:, None] / 0.8
    else:
        task = Task(kind=kind, classes=("even", "large"))
        targets = np.stack([classes % 2 == 0, classes > 0], axis=1).astype(np.uint8)
        logits = np.where(targets, 3.0, -3.0)
    found = baselines.study(
        told(dataclasses.replace(of_stripes, task=task, targets=targets), logits), {}
    )
    assert found["metric"] == {"multilabel": "f1_macro", "regression": "mae"}[kind]
    assert {"majority", "mlp", "cnn", "final"} <= set(names(found))
    (last,) = [
        own
        for own in found["comparisons"]
        if (own["first"], own["second"]) == ("majority", "final")
    ]
    assert last["better"]
    assert (last["difference"]["value"] < 0) == (kind == "regression")


def test_with_few_test_pictures_nothing_is_compared(of_stripes: Evidence) -> None:
    parts = ["train"] * 140 + ["test"] * 10
    few = dataclasses.replace(
        of_stripes, split=dataclasses.replace(of_stripes.split, parts=tuple(parts))
    )
    with pytest.raises(NotPossible, match="10 test pictures are too few"):
        baselines.study(few, {})
    with pytest.raises(NotPossible, match="nothing has been predicted"):
        baselines.study(dataclasses.replace(of_stripes, table=None), {})


# --- row E2: labels that mean nothing -------------------------------------------------------------


def claims(times: int, *, num: int = 240, apart: float = 0.0) -> SimpleNamespace:
    """Return how often a probe is said to beat the majority, and its interval holds 0.5."""
    better = held = 0
    for seed in range(times):
        features, _ = clouds(num, width=24, apart=0.0, seed=seed)
        rng = np.random.default_rng([seed, 1])
        targets = rng.integers(2, size=num)
        features[:, 0] += apart * (2 * targets - 1)
        evidence = evidence_of(features, targets, TWO, parts=(["train"] * 140 + ["test"] * 100))
        train = evidence.rows("train")
        head = fit_head(features[train], targets[train], task=TWO, seed=0, penalties=[0.1])
        evidence = told(evidence, features @ head.weight_KD.T + head.bias_K)
        test = evidence.rows("test")
        last = rungs.Rung(name="final", table=evidence.finished.take(test.tolist()))
        first = rungs.majority_rung(evidence, test)
        (found,) = baselines.differences([first, last], "accuracy", None, seed=0)
        score = tally(targets[test], last.table.predicted, TWO).estimate(
            grouping(None, num_rows=len(test)), seed=0
        )
        better += found.beyond_chance and found.second_is_better
        held += score.low <= 0.5 <= score.high
    return SimpleNamespace(better=better, held=held)


def test_of_random_labels_nothing_is_claimed_row_e2() -> None:
    found = claims(100)
    assert found.better <= 5
    assert found.held >= 93


def test_of_labels_that_mean_something_it_is_claimed() -> None:
    assert claims(20, apart=0.8).better >= 18


@pytest.mark.slow
def test_of_random_labels_nothing_is_claimed_in_a_thousand_runs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = claims(1000)
    with capsys.disabled():
        print(f"\nbetter claimed {found.better / 1000:.3f}, chance held {found.held / 1000:.3f}")
    assert found.better <= 0.05 * 1000
    assert found.held >= 0.93 * 1000
