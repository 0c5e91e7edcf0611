"""What the model's promises came to on the test part: sets, answers withheld, the unknown."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from saccade.evaluation.conformal import measure_coverage
from saccade.evaluation.held import Held, NotPromised
from saccade.evaluation.model_trust import ModelTrust, best_promise
from saccade.evaluation.selective import area, curve, measure_answers, sorted_answers
from saccade.evaluation.unknown import measure_unknown
from saccade.insight.calibration import JUDGE, judged, trusted
from saccade.insight.evidence import Evidence
from saccade.runtime.machine import rows_of
from saccade.runtime.store import encode_name

COVERAGES = (0.8, 0.9, 0.95, 0.99)
ACCURACIES = (0.9, 0.95, 0.99)
NUM_PICTURES = 12


def study(evidence: Evidence, _known: Mapping[str, Any]) -> dict[str, Any]:
    """Return for each promise what was promised, from how many pictures, and what was measured.

    Raises:
        NotPossible: there is no test part, or no validation part.
    """
    trust, held = trusted(evidence), judged(evidence)
    return {
        "part": JUDGE,
        "n": len(held),
        "fitted_on": trust.part,
        "num_fitted": trust.n,
        "is_value": evidence.task.kind == "regression",
        "of_labels": evidence.task.kind == "multilabel",
        "groups": held.grouping.named,
        "coverages": [_coverage(own, trust, held) for own in COVERAGES],
        "answers": _answers(trust, held),
        "unknown": _unknown(evidence, trust, held),
    }


def _coverage(coverage: float, trust: ModelTrust, held: Held) -> dict[str, Any]:
    try:
        found = measure_coverage(held, trust.calibration, trust.conformal, coverage)
    except NotPromised as no:
        return {"promised": coverage, "why": str(no)}
    return {
        "promised": coverage,
        "measured": found.measured.as_dict(),
        "size": found.size,
        "single": None if math.isnan(found.single) else found.single,
    }


def _answers(trust: ModelTrust, held: Held) -> dict[str, Any] | None:
    """Return accuracy against the share answered; None for values."""
    if trust.selective is None:
        return None
    ordered = sorted_answers(held, trust.calibration)
    return {
        "best": best_promise(trust.selective),
        "promises": [_promise(own, trust, held) for own in ACCURACIES],
        "curve": [list(point) for point in curve(ordered)],
        "area": area(ordered),
        "error": 1 - float(ordered.right_N.mean()),
    }


def _promise(accuracy: float, trust: ModelTrust, held: Held) -> dict[str, Any]:
    try:
        found = trust.promise(accuracy)
    except NotPromised as no:
        return {"accuracy": accuracy, "why": str(no)}
    measured = measure_answers(
        held, trust.calibration, found.threshold, fitted_on=trust.conformal.fitted_on
    )
    return {
        "accuracy": accuracy,
        "threshold": found.threshold,
        "share_fitted": found.share,
        "right_fitted": found.right,
        "answered_fitted": found.answered,
        "num_fitted": found.n,
        "measured": measured.accuracy.as_dict(),
        "share": measured.share.as_dict(),
    }


def _unknown(evidence: Evidence, trust: ModelTrust, held: Held) -> dict[str, Any]:
    """Return the share of the test part that is taken for something else, and those pictures."""
    unknown, features_ND = trust.unknown, evidence.model_features_ND
    if unknown is None or features_ND is None:
        return {"why": trust.why_no_unknown}
    rows = evidence.rows(JUDGE)
    own_ND = rows_of(features_ND, rows)
    distances_N = unknown.reference.distances(own_ND)
    farthest = np.argsort(-distances_N, kind="stable")[:NUM_PICTURES]
    return {
        "rate": unknown.rate,
        "threshold": unknown.threshold,
        "num_fitted": unknown.n,
        "num_reference": len(unknown.reference.near_SR),
        "rejected": measure_unknown(held, own_ND, unknown).as_dict(),
        "pictures": [
            {
                "path": encode_name(evidence.catalog.paths[rows[place]]),
                "times": float(distances_N[place] / unknown.threshold),
            }
            for place in farthest
            if distances_N[place] > unknown.threshold
        ],
    }
