"""The factors of fine-tuning, each with what this run measured of it.

Task similarity, amount of data, model complexity, overfitting, hyper-parameters and
domain-specific features: nothing is measured here but the gap between the parts; the rest was
found by the race, the ladder and the other studies, and is brought together.
"""

from collections.abc import Callable, Mapping
from typing import Any

from saccade.evaluation.intervals import Estimate, apart
from saccade.evaluation.tally import tally
from saccade.insight.evidence import Evidence, NotPossible

Findings = Mapping[str, Any]
_RACED = (
    "name", "score", "low", "high", "n", "score_name", "images_per_second", "num_parameters",
    "chosen",
)  # fmt: skip
_CLIMBED = ("name", "gain", "gain_low", "gain_high", "p", "taken", "num_validation")
FACTORS = ("similarity", "amount", "complexity", "overfitting", "tuning", "domain")


def study(evidence: Evidence, known: Findings) -> dict[str, Any]:
    """Return what was measured of each factor, and for the others why nothing was.

    Args:
        evidence: after learning.
        known: what the other studies found, by name.

    Raises:
        NotPossible: nothing was trained yet.
    """
    if evidence.table is None:
        raise NotPossible("nothing was trained yet")
    measures: dict[str, Callable[[Evidence, Findings], dict[str, Any]]] = {
        "similarity": _similarity,
        "amount": _amount,
        "complexity": _complexity,
        "overfitting": _overfitting,
        "tuning": _tuning,
        "domain": _domain,
    }
    found: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    for name in FACTORS:
        try:
            found[name] = measures[name](evidence, known)
        except NotPossible as reason:
            left_out[name] = str(reason)
    return {"measured": found, "left_out": left_out}


def _similarity(evidence: Evidence, known: Findings) -> dict[str, Any]:
    """Return what frozen features are worth beside the small CNN, else the other from scratch."""
    if evidence.features_ND is None:
        raise NotPossible("the network was trained from scratch, so nothing was transferred")
    ladder = _of(known, "baselines", "the baseline ladder was left out")
    rungs = {own["name"]: own for own in ladder["rungs"]}
    scratch = next((name for name in ("cnn", "mlp") if name in rungs), None)
    if scratch is None or "frozen" not in rungs:
        raise NotPossible("no network was trained from scratch to compare with")
    return {
        "metric": ladder["metric"],
        "n": ladder["n"],
        "scratch": scratch,
        "scratch_score": rungs[scratch]["score"],
        "frozen_score": rungs["frozen"]["score"],
        "comparison": _comparison(ladder, scratch, "frozen"),
    }


def _amount(evidence: Evidence, known: Findings) -> dict[str, Any]:
    """Return the slope of the learning curve where the run stands."""
    del evidence
    curve = _of(known, "learning_curve", "the learning curve was left out")
    told = [own for own in curve["gains"] if own["gain"] is not None]
    if not told:
        raise NotPossible("the learning curve reaches no further than the pictures there are")
    best = next((own for own in told if own["more"] == 200), told[-1])
    return {
        "score_name": curve["score_name"],
        "num_train": curve["num_train"],  # a gain is told where these are not too many
        "now": curve["now"],
        "more": best["more"],
        "gain": best["gain"],
    }


def _complexity(evidence: Evidence, known: Findings) -> dict[str, Any]:
    """Return size and speed against score: of this network, and of those it was raced with."""
    num = evidence.model.get("num_parameters")
    if num is None:
        raise NotPossible("the size of the network was not recorded")
    rungs = known.get("baselines", {}).get("rungs", [])
    speeds = [own["images_per_second"] for own in rungs if own["name"] in {"frozen", "final"}]
    races = _events(evidence, "race")
    raced = [
        {key: one.get(key) for key in _RACED}
        for one in (races[-1]["candidates"] if races else ())
        if one.get("score") is not None
    ]
    return {
        "name": str(evidence.model.get("name", "")),
        "num_parameters": int(num),
        "num_bytes": 4 * int(num),
        "images_per_second": next((own for own in reversed(speeds) if own), None),
        "raced": raced,
        "num_sample": races[-1].get("num_sample") if races else None,
    }


def _overfitting(evidence: Evidence, known: Findings) -> dict[str, Any]:
    """Return the gap between the training part and the one that judges, and losses by rung."""
    del known
    part = next((own for own in ("test", "validation") if evidence.split.rows(own)), None)
    if part is None:
        raise NotPossible("there is no part that did not teach")
    (name, train), (_, judged) = (_score(evidence, own) for own in ("train", part))
    return {
        "score_name": name,
        "part": part,
        "train": train.as_dict(),
        "judged": judged.as_dict(),
        "gap": apart(train, judged).as_dict(),
        "stages": _losses(evidence),
    }


def _score(evidence: Evidence, part: str) -> tuple[str, Estimate]:
    """Return the score of the network that ships on one part, and what it is called."""
    rows = evidence.rows(part)
    answers = evidence.finished.take(rows.tolist()).predicted
    own = tally(evidence.targets[rows], answers, evidence.task)
    return own.name, own.estimate(evidence.grouping_of(rows), seed=evidence.recipe.seed)


def _losses(evidence: Evidence) -> list[dict[str, Any]]:
    """Return training and validation loss at the end of each rung, or of the last epoch."""
    ends = {event.get("rung"): event for event in _events(evidence, "epoch")}
    rungs = dict(enumerate(_events(evidence, "rung")))
    return [
        {
            "name": rungs[place]["name"] if place in rungs else "",
            "kept": bool(rungs[place]["taken"]) if place in rungs else True,
            "train_loss": event.get("train_loss"),
            "validation_loss": event.get("validation_loss"),
            "num_validation": event.get("num_validation"),
        }
        for place, event in ends.items()
    ]


def _num_that_chose(
    evidence: Evidence, heads: list[Mapping[str, Any]], races: list[Mapping[str, Any]]
) -> int:
    """Return how many training pictures chose the penalty, or else the network."""
    num = len(evidence.rows("train"))
    if heads and heads[-1].get("candidates"):
        return round(num * float(heads[-1].get("share", 1.0)))
    return int(races[-1].get("num_sample", num)) if races else num


def _tuning(evidence: Evidence, known: Findings) -> dict[str, Any]:
    """Return which hyper-parameters were tried, and what was kept."""
    del known
    heads, rungs = _events(evidence, "head"), _events(evidence, "rung")
    tried = heads[-1].get("candidates", []) if heads else []
    losses = [own["loss"] for own in tried if own.get("loss") is not None]
    races = _events(evidence, "race")
    epochs = _events(evidence, "epoch")
    if not (tried or rungs or races or epochs):
        raise NotPossible("nothing was tried that could be chosen from")
    return {
        "penalties": len(tried),
        "penalty": heads[-1].get("penalty") if heads else None,
        "penalty_losses": [min(losses), max(losses)] if losses else None,
        "rungs": len(rungs),
        "rungs_kept": sum(bool(own["taken"]) for own in rungs),
        "networks": len([one for one in races[-1]["candidates"] if one.get("score") is not None])
        if races
        else 0,
        "epochs": len(epochs),
        "rates": sorted({float(own["lr"]) for own in epochs if own.get("lr")}),
        "opt": evidence.recipe.opt,
        "num_train": _num_that_chose(evidence, heads, races),
        "num_validation": len(evidence.rows("validation")),
    }


def _domain(evidence: Evidence, known: Findings) -> dict[str, Any]:
    """Return what letting stages learn brought: on the ladder, and on the test part."""
    if evidence.features_ND is None:
        raise NotPossible("from scratch all features are those of this data")
    rungs = _events(evidence, "rung")
    ladder = known.get("baselines")
    comparison = _comparison(ladder, "frozen", "final") if ladder else None
    if not rungs and comparison is None:
        raise NotPossible("no stage beside the head was let learn")
    return {
        "rungs": [{key: own.get(key) for key in _CLIMBED} for own in rungs],
        "metric": ladder["metric"] if ladder else None,
        "comparison": comparison,
    }


def _of(known: Findings, name: str, why_not: str) -> Findings:
    if name not in known:
        raise NotPossible(why_not)
    found: Findings = known[name]
    return found


def _comparison(ladder: Findings, first: str, second: str) -> Findings | None:
    for own in ladder["comparisons"]:
        if (own["first"], own["second"]) == (first, second):
            found: Findings = own
            return found
    return None


def _events(evidence: Evidence, kind: str) -> list[Mapping[str, Any]]:
    return [event for event in evidence.history if event.get("event") == kind]
