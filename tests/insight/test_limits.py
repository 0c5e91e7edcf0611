"""The studies of calibration and limits: what is measured on the test part, and what cannot be."""

import dataclasses
import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from tests.evaluation.populations import TASKS, draw
from tests.insight.clouds import evidence_of

from saccade.data.task import Kind
from saccade.evaluation.model_trust import fit_trust
from saccade.evaluation.selective import is_right, sureness
from saccade.insight import calibration, limits
from saccade.insight.evidence import Evidence, NotPossible


def evidence(
    kind: Kind = "multiclass", *, n: int = 600, spread: float = 3.0, **facts: Any
) -> Evidence:
    """Return a run whose network was too sure; of seven pictures one tests and one validates."""
    own = draw(n, kind=kind, sharpened=2.0, spread=spread)
    rng = np.random.default_rng(0)
    features = rng.gamma(1, 1, (n, 6)).astype(np.float32)
    features[7::70] += 9  # ten test pictures of something else
    found = evidence_of(
        None,
        own.targets,
        own.task,
        **{
            "logits_NK": own.logits_NK,
            "model_features_ND": features,
            "catalog": SimpleNamespace(paths=tuple(f"\\{row}.png" for row in range(n))),
            **facts,
        },
    )
    trust = fit_trust(
        split=found.split,
        task=own.task,
        logits_NK=own.logits_NK,
        targets=own.targets,
        features_ND=features,
        seed=0,
    )
    return dataclasses.replace(found, model_trust=trust)


@pytest.mark.parametrize("kind", ["multiclass", "binary", "multilabel"])
def test_scores_are_measured_before_and_after_on_the_test_part(kind: Kind) -> None:
    own = evidence(kind, n=2_100)
    found = calibration.study(own, {})
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["part"], found["n"], found["fitted_on"]) == ("test", 300, "validation")
    assert found["num_fitted"] == 300
    assert found["kind"] == "temperature"
    assert found["temperature"] == pytest.approx(2.0, rel=0.3)
    before, after = found["before"], found["after"]
    assert after["error"]["value"] < before["error"]["value"]
    assert after["log_loss"]["value"] < before["log_loss"]["value"]
    assert sum(one["right"]["n"] for one in after["bins"]) == 300 * (
        3 if kind == "multilabel" else 1
    )
    assert found["of_labels"] == (kind == "multilabel")


@pytest.mark.parametrize("kind", TASKS)
def test_promises_are_held_against_the_test_part(kind: Kind) -> None:
    found = limits.study(evidence(kind), {})
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["n"], found["num_fitted"]) == (86, 86)
    assert [own["promised"] for own in found["coverages"]] == [0.8, 0.9, 0.95, 0.99]
    for own in found["coverages"][:3]:
        assert own["measured"]["high"] >= own["promised"] - 0.05
        assert own["measured"]["n"] == 86
    assert found["coverages"][3]["why"] == (
        "a coverage of 0.99 cannot be promised with n = 86 held-out pictures; 99 are needed"
    )
    assert (found["answers"] is None) == (kind == "regression")


def test_answers_above_a_threshold_are_counted_on_the_test_part() -> None:
    """Against a count from the logits."""
    own = evidence(n=2_100, spread=8.0)
    found = limits.study(own, {})["answers"]
    promised = next(one for one in found["promises"] if "why" not in one)
    rows = own.rows("test")
    assert own.model_trust is not None
    assert own.logits_NK is not None
    scores = own.model_trust.calibration.scores(own.logits_NK[rows], task=own.task)
    said = sureness(scores, task=own.task) >= np.float32(promised["threshold"])
    right = is_right(scores, own.targets[rows], task=own.task)
    assert promised["share"]["value"] == pytest.approx(said.mean())
    assert promised["measured"]["value"] == pytest.approx(right[said].mean())
    assert promised["measured"]["n"] == said.sum()
    *shown, num = found["curve"][-1]
    oracle = stats.binomtest(int(right.sum()), len(right)).proportion_ci(0.95, method="wilson")
    assert shown == pytest.approx([1.0, right.mean(), oracle.low, oracle.high], abs=0.002)
    assert num == len(right)
    assert found["error"] == pytest.approx(1 - right.mean())
    assert found["area"] < found["error"]


def test_pictures_of_something_else_are_shown_the_farthest_first() -> None:
    found = limits.study(evidence(), {})["unknown"]
    assert found["rejected"]["value"] >= 9 / 86
    assert found["num_reference"] == 428
    assert len(found["pictures"]) <= 12
    names = {f"\\\\{row}.png" for row in range(7, 600, 70)}
    assert len(names & {own["path"] for own in found["pictures"][:9]}) >= 8
    times = [own["times"] for own in found["pictures"]]
    assert times == sorted(times, reverse=True)
    assert min(times) > 1


def test_without_features_the_reason_is_told() -> None:
    own = evidence()
    assert own.model_trust is not None
    blind = dataclasses.replace(own.model_trust, unknown=None, why_no_unknown="no features")
    found = limits.study(dataclasses.replace(own, model_trust=blind), {})
    assert found["unknown"] == {"why": "no features"}


@pytest.mark.parametrize("study", [calibration.study, limits.study])
def test_what_cannot_be_said_is_told_with_its_reason(study: Any) -> None:
    with pytest.raises(NotPossible, match="nothing has been predicted yet"):
        study(dataclasses.replace(evidence(), logits_NK=None), {})
    with pytest.raises(NotPossible, match="there is no validation part to fit anything on"):
        study(dataclasses.replace(evidence(), model_trust=None), {})
    untested = evidence(parts=["train", "validation"] * 300)
    with pytest.raises(NotPossible, match="there is no test part to measure it on"):
        study(untested, {})


def test_few_test_pictures_and_values_have_no_calibration_error() -> None:
    with pytest.raises(NotPossible, match="14 pictures are too few to see whether scores hold"):
        calibration.study(evidence(n=98), {})
    with pytest.raises(NotPossible, match="values have no scores that could be too sure"):
        calibration.study(evidence("regression"), {})
