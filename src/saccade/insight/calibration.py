"""Whether scores mean what they say, on the test part, before and after they are calibrated."""

from collections.abc import Mapping
from typing import Any

from saccade.evaluation.calibration import uncalibrated
from saccade.evaluation.held import Held, NotPromised, hold
from saccade.evaluation.intervals import Estimate
from saccade.evaluation.metrics import log_losses
from saccade.evaluation.model_trust import ModelTrust
from saccade.evaluation.reliability import Reliability, reliability
from saccade.evaluation.resampling import mean_interval
from saccade.insight.evidence import Evidence, NotPossible

JUDGE = "test"


def study(evidence: Evidence, _known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the calibration error and the bins of the test part, with and without calibration.

    Raises:
        NotPossible: the answers are values, or there are too few pictures.
    """
    trust, held = trusted(evidence), judged(evidence)
    calibration, seed = trust.calibration, evidence.recipe.seed
    try:
        before = reliability(held, uncalibrated(""), seed=seed)
        after = reliability(held, calibration, seed=seed)
    except NotPromised as no:
        raise NotPossible(str(no)) from no
    return {
        "part": JUDGE,
        "n": len(held),
        "kind": calibration.kind,
        "temperature": calibration.temperature,
        "why": calibration.why,
        "fitted_on": trust.part,
        "num_fitted": calibration.n,
        "of_labels": evidence.task.kind == "multilabel",
        "before": _as_dict(before, _log_loss(held, uncalibrated("").scores, seed)),
        "after": _as_dict(after, _log_loss(held, calibration.scores, seed)),
    }


def trusted(evidence: Evidence) -> ModelTrust:
    """Return what the model knows of its own answers; raises NotPossible where it is nothing."""
    if evidence.logits_NK is None:
        raise NotPossible("nothing has been predicted yet")
    if evidence.model_trust is None:
        raise NotPossible("there is no validation part to fit anything on")
    return evidence.model_trust


def judged(evidence: Evidence) -> Held:
    """Return the test part and what the network says of it; raises NotPossible without one."""
    if evidence.logits_NK is None or not len(evidence.rows(JUDGE)):
        raise NotPossible("there is no test part to measure it on")
    return hold(
        JUDGE,
        split=evidence.split,
        task=evidence.task,
        logits_NK=evidence.logits_NK,
        targets=evidence.targets,
    )


def _log_loss(held: Held, scores: Any, seed: int) -> Estimate:  # noqa: ANN401 - a method
    losses_N = log_losses(held.targets, scores(held.logits_NK, task=held.task))
    return mean_interval(losses_N, grouping=held.grouping, seed=seed)


def _as_dict(found: Reliability, log_loss: Estimate) -> dict[str, Any]:
    return {
        "error": found.error.as_dict(),
        "on_the_whole": {"score": found.score, "right": found.right, "p": found.p},
        "log_loss": log_loss.as_dict(),
        "bins": [
            {
                "low": own.low,
                "high": own.high,
                "score": own.score,
                "right": own.right.as_dict(),
            }
            for own in found.bins
        ],
    }
