"""The factors of fine-tuning: gathered from the history and the other studies."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from tests.insight.clouds import clouds, evidence_of

from saccade.data.task import Task
from saccade.evaluation.intervals import wilson
from saccade.evaluation.predictions import Predictions
from saccade.insight import factors
from saccade.insight.evidence import Evidence, NotPossible

TWO = Task(kind="binary", classes=("a", "b"))
NUMBER = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 43, "method": "wilson"}
HISTORY: list[dict[str, Any]] = [
    {
        "event": "race",
        "num_sample": 200,
        "candidates": [
            {"name": "small", "score": 0.8, "low": 0.7, "high": 0.9, "n": 200, "chosen": True,
             "score_name": "accuracy", "images_per_second": 80.0, "num_parameters": 1000},
            {"name": "large", "score": None, "chosen": False, "why": "its time was up"},
        ],
    },
    {
        "event": "head",
        "penalty": 0.1,
        "candidates": [{"penalty": 1.0, "loss": 0.5}, {"penalty": 0.1, "loss": 0.4}],
    },
    {"event": "epoch", "rung": 0, "epoch": 1, "train_loss": 0.9, "validation_loss": 1.0,
     "lr": 1e-3},
    {"event": "epoch", "rung": 0, "epoch": 2, "train_loss": 0.3, "validation_loss": 0.5,
     "lr": 1e-4},
    {"event": "rung", "name": "last stage", "taken": True, "gain": 0.1, "gain_low": 0.05,
     "gain_high": 0.2, "p": 0.01, "num_validation": 43},
    {"event": "epoch", "rung": 1, "epoch": 1, "train_loss": 0.1, "validation_loss": 0.7,
     "lr": 1e-3},
    {"event": "rung", "name": "all", "taken": False, "gain": -0.1, "gain_low": -0.2,
     "gain_high": 0.05, "p": 0.8, "num_validation": 43},
]  # fmt: skip
KNOWN: dict[str, Any] = {
    "learning_curve": {
        "score_name": "accuracy",
        "num_train": 214,
        "now": NUMBER,
        "gains": [
            {"more": 50, "gain": NUMBER}, {"more": 200, "gain": NUMBER | {"value": 0.55}},
            {"more": 1000, "gain": None},
        ],
    },
    "baselines": {
        "metric": "accuracy",
        "n": 43,
        "rungs": [
            {"name": "mlp", "score": NUMBER, "images_per_second": None},
            {"name": "cnn", "score": NUMBER, "images_per_second": 900.0},
            {"name": "frozen", "score": NUMBER, "images_per_second": None},
            {"name": "final", "score": NUMBER, "images_per_second": 71.0},
        ],
        "comparisons": [
            {"first": "cnn", "second": "frozen", "difference": NUMBER},
            {"first": "frozen", "second": "final", "difference": NUMBER},
        ],
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def run() -> Evidence:
    """Return a run whose network is right on all training pictures and on 4 of 5 others."""
    features, targets = clouds(300)
    evidence = evidence_of(
        features,
        targets,
        TWO,
        history=HISTORY,
        model={"name": "small", "num_parameters": 1000},
    )
    logits = np.where(targets, 3.0, -3.0)
    others = evidence.rows("validation", "test")
    logits[others[::5]] *= -1
    table = Predictions(
        task=TWO,
        paths=tuple(map(str, range(300))),
        hashes=("",) * 300,
        parts=evidence.split.parts,
        truth=targets,
        scores=TWO.scores(logits[:, None]),
    )
    return dataclasses.replace(evidence, table=table)


def measured(run: Evidence, known: dict[str, Any]) -> dict[str, Any]:
    found = factors.study(run, known)
    assert json.loads(json.dumps(found)) == found
    return found


def test_every_factor_is_measured_or_left_out_with_a_reason(run: Evidence) -> None:
    assert set(measured(run, KNOWN)["measured"]) == set(factors.FACTORS)
    found = measured(run, {})
    assert set(found["measured"]) == {"complexity", "overfitting", "tuning", "domain"}
    assert found["left_out"] == {
        "similarity": "the baseline ladder was left out",
        "amount": "the learning curve was left out",
    }


def test_similarity_is_the_frozen_probe_against_the_best_network_from_scratch(
    run: Evidence,
) -> None:
    found = measured(run, KNOWN)["measured"]["similarity"]
    assert found["scratch"] == "cnn"
    assert found["comparison"] == KNOWN["baselines"]["comparisons"][0]
    assert found["n"] == 43


def test_the_amount_of_data_is_the_gain_of_two_hundred_more(run: Evidence) -> None:
    found = measured(run, KNOWN)["measured"]["amount"]
    assert (found["more"], found["gain"]["value"]) == (200, 0.55)
    few = {"learning_curve": KNOWN["learning_curve"] | {"gains": [{"more": 50, "gain": None}]}}
    assert "reaches no further" in measured(run, few)["left_out"]["amount"]


def test_complexity_holds_size_speed_and_those_that_were_probed(run: Evidence) -> None:
    found = measured(run, KNOWN)["measured"]["complexity"]
    assert (found["num_parameters"], found["num_bytes"]) == (1000, 4000)
    assert found["images_per_second"] == 71.0
    assert [one["name"] for one in found["raced"]] == ["small"]


def test_the_gap_is_that_between_the_training_part_and_the_one_that_judged(run: Evidence) -> None:
    """It was that to validation, while the advice beside it spoke of the test part."""
    found = measured(run, KNOWN)["measured"]["overfitting"]
    rows = run.rows("test")
    right = int((run.finished.take(rows.tolist()).predicted == run.targets[rows]).sum())
    assert found["train"] == wilson(214, 214).as_dict()
    assert found["part"] == "test"
    assert found["judged"] == wilson(right, len(rows)).as_dict()
    assert found["gap"]["value"] == pytest.approx(1 - right / len(rows))
    assert 0 < found["gap"]["low"] < found["gap"]["value"] < found["gap"]["high"]


def test_without_a_test_part_the_gap_is_that_to_validation(run: Evidence) -> None:
    parts = tuple("train" if part == "test" else part for part in run.split.parts)
    split = dataclasses.replace(run.split, parts=parts)
    found = measured(dataclasses.replace(run, split=split), KNOWN)["measured"]["overfitting"]
    assert (found["part"], found["judged"]["n"]) == ("validation", len(run.rows("validation")))


def test_the_losses_are_those_at_the_end_of_each_rung(run: Evidence) -> None:
    stages = measured(run, KNOWN)["measured"]["overfitting"]["stages"]
    assert [(one["name"], one["train_loss"], one["validation_loss"]) for one in stages] == [
        ("last stage", 0.3, 0.5), ("all", 0.1, 0.7),
    ]  # fmt: skip
    assert [one["kept"] for one in stages] == [True, False]


def test_what_was_tried_is_counted(run: Evidence) -> None:
    found = measured(run, KNOWN)["measured"]["tuning"]
    assert found["penalties"] == 2
    assert found["penalty_losses"] == [0.4, 0.5]
    assert (found["rungs"], found["rungs_kept"], found["networks"], found["epochs"]) == (2, 1, 1, 3)
    assert found["rates"] == [1e-4, 1e-3]


def test_the_domain_s_own_features_are_the_rungs_and_the_step_from_frozen_to_final(
    run: Evidence,
) -> None:
    found = measured(run, KNOWN)["measured"]["domain"]
    assert [(one["name"], one["taken"]) for one in found["rungs"]] == [
        ("last stage", True), ("all", False),
    ]  # fmt: skip
    assert found["comparison"] == KNOWN["baselines"]["comparisons"][1]


def test_from_scratch_nothing_was_transferred(run: Evidence) -> None:
    scratch = dataclasses.replace(run, features_ND=None, history=[])
    found = measured(scratch, KNOWN)
    assert "nothing was transferred" in found["left_out"]["similarity"]
    assert "from scratch" in found["left_out"]["domain"]
    assert "nothing was tried" in found["left_out"]["tuning"]


def test_before_learning_there_is_nothing_to_say(run: Evidence) -> None:
    with pytest.raises(NotPossible, match="nothing was trained yet"):
        factors.study(dataclasses.replace(run, table=None), KNOWN)
