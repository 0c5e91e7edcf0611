"""How the network answers when pictures are disturbed: the same pictures, plain and disturbed."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from saccade.evaluation.significance import holm
from saccade.insight.changed import (
    PROBES,
    Changeable,
    drawn,
    images_per_second,
    in_batches,
    number_of_pictures,
)
from saccade.insight.disturb import DISTURBANCES, Disturbance, Disturber
from saccade.insight.evidence import Ask, Evidence, NotPossible
from saccade.insight.probe_heads import MOST_VIEWED, plain_head, viewed_head
from saccade.insight.thumbnails import thumbnail

SECONDS = 6.0
"""That the networks may take to answer. How many pictures are disturbed follows from it and from
how quick they are, for a report may depend on the clock; the number stands beside each result."""
PATIENCE = 1.3
"""Times that, after which the milder strengths are left out: the machine has become slower."""
COMPARED = ("shift", "rotation", "scale", "noise")
"""Kinds that augmentation teaches; at their strongest it is asked whether it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A disturbance at one strength, and who is asked about it."""

    disturbance: Disturbance
    strength: float
    compared: bool = False  # with augmentation and without

    @property
    def name(self) -> str:
        """What it is called where there was no time for it."""
        return f"{self.disturbance.name} {self.strength:.2g}"

    @property
    def is_strongest(self) -> bool:
        """Whether the disturbance has no strength farther from doing nothing."""
        return self.strength == self.disturbance.strongest

    @property
    def can_be_compared(self) -> bool:
        """Whether augmentation is meant to help against it."""
        return self.is_strongest and self.disturbance.name in COMPARED


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked, about how many pictures, and what there is no time for."""

    conditions: tuple[Condition, ...]
    num: int
    left_out: tuple[str, ...]


Voices = Callable[[np.ndarray], dict[str, np.ndarray]]
"""From frozen features (B, D) to what the head without augmentation and the one with it say."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Asked:
    """Who is asked, and what each said of the pictures as they are: "final", "without", "with"."""

    final: Ask
    features_of: Ask | None
    heads: Voices | None  # None = augmentation is not compared
    plain: Mapping[str, np.ndarray]

    def say(self, canvases_BHWC: np.ndarray, *, compared: bool) -> dict[str, np.ndarray]:
        """Return the logits of each."""
        said = {"final": self.final(canvases_BHWC)}
        if compared and self.heads is not None and self.features_of is not None:
            said |= self.heads(self.features_of(canvases_BHWC))
        return said


def study(evidence: Evidence, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return how the score and the answers change with each disturbance.

    A stratified sample of the test pictures is disturbed, and the network as it ships is asked;
    what it said of the same pictures undisturbed is known. Where the run computed augmented views,
    some disturbances are also shown to the frozen network with two heads: one that learned from
    plain training pictures, and one that learned from their views too. What lies between them is
    augmentation and nothing else.

    Raises:
        NotPossible: there is no network to ask, no picture to disturb, or too little speed.
    """
    del known
    if evidence.final_engine is None or evidence.logits_NK is None:
        raise NotPossible("there is no network that could be asked again")
    part = next((name for name in ("test", "validation") if len(evidence.rows(name))), "")
    if not part:
        raise NotPossible("there is neither a test nor a validation part")
    num, final = len(evidence.rows(part)), in_batches(evidence.final_engine)
    rate = images_per_second(final, evidence.cache.canvases(evidence.rows(part)[:PROBES]))
    plan = planned(rate, num=num, compares=_has_views(evidence))
    pictures = Changeable(evidence, drawn(evidence, plan.num, part))
    compares = any(one.compared for one in plan.conditions)
    asked = _asked(evidence, final, evidence.logits_NK[pictures.rows], pictures.rows, compares)
    disturb = Disturber(evidence.cache.preprocess, seed=evidence.recipe.seed)
    deadline = min(time.monotonic() + PATIENCE * SECONDS, evidence.deadline)
    points = list(_points(plan, pictures, disturb, asked, deadline=deadline))
    _corrected(points)
    late = [one.name for one in plan.conditions[len(points) :]]
    return {
        "part": part,
        "n": len(pictures.rows),
        "num_part": num,
        "score_name": pictures.tally(asked.plain["final"]).name,
        "convolutional": _looks_the_same_everywhere(evidence.model),
        "size_px": evidence.cache.preprocess.size_px,
        "images_per_second": round(rate, 1),
        "plain": {who: pictures.score(said) for who, said in asked.plain.items()},
        "num_views": len(evidence.views) if compares else 0,
        "num_taught": len(drawn(evidence, MOST_VIEWED, "train")) if compares else 0,
        "has_views": _has_views(evidence),
        **_gain(pictures, asked.plain),
        "disturbances": _curves(points),
        "left_out": [*plan.left_out, *late],
        "shown": _shown(evidence, int(pictures.rows[0]), disturb),
    }


def _looks_the_same_everywhere(model: Mapping[str, Any]) -> bool | None:
    """Return whether a network is built of convolutions; None where it is of other things too.

    Convolutions of a transformer only cut the picture up: what has less than half of the FLOPs
    does not say why a network answers as it does.
    """
    if model.get("name") == "mlp":
        return False
    flops = {True: 0, False: 0}
    for layer in model.get("layers", ()):
        flops["Conv" in layer["kind"]] += layer["flops"]
    return True if flops[True] > flops[False] else None


def planned(rate: float, *, num: int, compares: bool) -> Plan:
    """Return what can be asked in `SECONDS` by networks that answer `rate` pictures a second.

    What costs most for what it says goes first: the comparison, then all but the strongest of each
    disturbance, then the last disturbances.

    Args:
        rate: pictures a second.
        num: pictures that there are.
        compares: whether answers with augmentation and without can be compared.

    Raises:
        NotPossible: there is no time for a single one.

    >>> planned(1000.0, num=150, compares=True).num, planned(200.0, num=150, compares=False).num
    (150, 50)
    >>> planned(21.0, num=150, compares=False).left_out[:2]
    ('the milder strengths', 'contrast')
    """
    for conditions, left_out in _candidates(compares):
        passes = sum(1 + one.compared for one in conditions)
        possible = number_of_pictures(rate, passes=passes, num=num, seconds=SECONDS)
        if possible:
            return Plan(conditions=conditions, num=possible, left_out=left_out)
    raise NotPossible(f"the network answers {rate:.2g} pictures a second, which is too few")


def _candidates(compares: bool) -> Iterator[tuple[tuple[Condition, ...], tuple[str, ...]]]:
    """Yield what could be asked, with what would be left out, from all to a single disturbance."""
    every = [
        Condition(disturbance=one, strength=strength)
        for one in DISTURBANCES
        for strength in one.strengths
    ]
    strongest = tuple(one for one in every if one.is_strongest)
    every = [*strongest, *(one for one in every if not one.is_strongest)]
    left_out: tuple[str, ...] = ()
    if compares:
        yield tuple(replace(one, compared=one.can_be_compared) for one in every), left_out
        left_out = ("the comparison with and without augmentation",)
    yield tuple(every), left_out
    left_out = (*left_out, "the milder strengths")
    for kept in range(len(strongest), 0, -1):
        yield strongest[:kept], (*left_out, *(one.disturbance.name for one in strongest[kept:]))


def _has_views(evidence: Evidence) -> bool:
    """Say whether there are augmented views that heads on frozen features could learn from."""
    has_features = evidence.frozen_engine is not None and evidence.features_ND is not None
    return has_features and bool(evidence.views)


def _asked(
    evidence: Evidence, final: Ask, logits_NK: np.ndarray, rows: np.ndarray, compares: bool
) -> _Asked:
    if not compares or evidence.frozen_engine is None:
        return _Asked(final=final, features_of=None, heads=None, plain={"final": logits_NK})
    without, with_views = plain_head(evidence, most=MOST_VIEWED), viewed_head(evidence)

    def heads(features_BD: np.ndarray) -> dict[str, np.ndarray]:
        return {"without": without(features_BD), "with": with_views(features_BD)}

    return _Asked(
        final=final,
        features_of=in_batches(evidence.frozen_engine),
        heads=heads,
        plain={"final": logits_NK, **heads(evidence.features_of(rows))},
    )


def _points(
    plan: Plan,
    pictures: Changeable,
    disturb: Disturber,
    asked: _Asked,
    *,
    deadline: float,
) -> Iterator[tuple[Disturbance, dict[str, Any]]]:
    """Yield what was found under each condition, until the deadline."""
    for one in plan.conditions:
        if time.monotonic() > deadline:
            return
        kind = one.disturbance
        canvases = disturb(pictures.canvases, pictures.rows, name=kind.name, strength=one.strength)
        said = asked.say(canvases, compared=one.compared)
        found = {who: pictures.compared(asked.plain[who], said[who]) for who in said}
        if one.is_strongest:
            found["final"]["p"] = pictures.p_of_harm(asked.plain["final"], said["final"])
        yield kind, {"strength": one.strength, **found, **_gain(pictures, said)}


def _corrected(points: list[tuple[Disturbance, dict[str, Any]]]) -> None:
    """Correct p of the strongest of each disturbance for how many there are, by Holm's rule."""
    strongest = [point["final"] for _, point in points if "p" in point["final"]]
    for final, p in zip(strongest, holm([own["p"] for own in strongest]), strict=True):
        final["p_corrected"] = p


def _gain(pictures: Changeable, said: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return what learning from views brings, where that was asked."""
    if "with" not in said:
        return {}
    return {"gain": pictures.gained(said["without"], said["with"])}


def _curves(points: list[tuple[Disturbance, dict[str, Any]]]) -> list[dict[str, Any]]:
    return [
        {
            "name": kind.name,
            "unit": kind.unit,
            "neutral": kind.neutral,
            "points": sorted(
                (point for own, point in points if own is kind),
                key=lambda point: float(point["strength"]),
            ),
        }
        for kind in DISTURBANCES
        if any(own is kind for own, _ in points)
    ]


def _shown(evidence: Evidence, row: int, disturb: Disturber) -> dict[str, Any]:
    """Return one picture as it is and under each disturbance at its strongest."""
    canvas, preprocess = evidence.cache.canvases([row]), evidence.cache.preprocess
    pictures = []
    for one in DISTURBANCES:
        changed = disturb(canvas, [row], name=one.name, strength=one.strongest)
        jpeg = thumbnail(preprocess.centre(changed)[0])
        pictures.append({"name": one.name, "strength": one.strongest, "jpeg": jpeg})
    plain = thumbnail(preprocess.centre(canvas)[0])
    return {"path": evidence.catalog.paths[row], "plain": plain, "pictures": pictures}
