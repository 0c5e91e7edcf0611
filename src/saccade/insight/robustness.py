"""How the network answers when pictures are disturbed: the same pictures, plain and disturbed."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

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
from saccade.insight.plain_head import plain_head
from saccade.insight.thumbnails import thumbnail

SECONDS = 5.0
"""That the networks may take to answer. How many pictures are disturbed follows from it and from
how quick they are, for a report may depend on the clock; the number stands beside each result."""
PATIENCE = 1.3
"""Times that, after which the milder strengths are left out: the machine has become slower."""
COMPARED = ("shift", "rotation", "scale", "noise")
"""Kinds that augmentation teaches; at their strongest the frozen network is asked as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A disturbance at one strength, and who is asked about it."""

    disturbance: Disturbance
    strength: float
    compared: bool = False  # the frozen network too

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
        """Whether the frozen network is asked too, where there is one."""
        return self.is_strongest and self.disturbance.name in COMPARED


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked, about how many pictures, and what there is no time for."""

    conditions: tuple[Condition, ...]
    num: int
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Asked:
    """A network: what it said of the pictures as they are, and how to ask it about others."""

    logits: np.ndarray
    ask: Ask


def study(evidence: Evidence, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return how the score and the answers change with each disturbance.

    A stratified sample of the test pictures is disturbed, and the network as it ships is asked;
    what it said of the same pictures undisturbed is known. Where stages were fine-tuned, some
    disturbances are also shown to the frozen network with a head that was solved on the plain
    training pictures: what lies between the two is fine-tuning, with the augmentation in it.

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
    plan = planned(rate, num=num, compares=_is_fine_tuned(evidence))
    pictures = Changeable(evidence, drawn(evidence, part, plan.num))
    asked = {"final": _Asked(logits=evidence.logits_NK[pictures.rows], ask=final)}
    if any(one.compared for one in plan.conditions):
        asked["frozen"] = _frozen(evidence, pictures.rows)
    disturb = Disturber(evidence.cache.preprocess, seed=evidence.recipe.seed)
    deadline = min(time.monotonic() + PATIENCE * SECONDS, evidence.deadline)
    points = list(_points(plan, pictures, disturb, asked, deadline=deadline))
    late = [one.name for one in plan.conditions[len(points) :]]
    return {
        "part": part,
        "n": len(pictures.rows),
        "num_part": num,
        "score_name": pictures.tally(asked["final"].logits).name,
        "convolutional": evidence.model.get("name") != "mlp",
        "size_px": evidence.cache.preprocess.size_px,
        "images_per_second": round(rate, 1),
        "plain": {who: pictures.score(own.logits) for who, own in asked.items()},
        **_gain(pictures, {who: own.logits for who, own in asked.items()}),
        "disturbances": _curves(points),
        "left_out": [*plan.left_out, *late],
        "shown": _shown(evidence, int(pictures.rows[0]), disturb),
    }


def planned(rate: float, *, num: int, compares: bool) -> Plan:
    """Return what can be asked in `SECONDS` by networks that answer `rate` pictures a second.

    What costs most for what it says goes first: the comparison, then all but the strongest of each
    disturbance, then the last disturbances.

    Args:
        rate: pictures a second.
        num: pictures that there are.
        compares: whether there is a frozen network to compare with.

    Raises:
        NotPossible: there is no time for a single one.

    >>> planned(1000.0, num=150, compares=True).num, planned(200.0, num=150, compares=False).num
    (150, 50)
    >>> planned(25.0, num=150, compares=False).left_out[:2]
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
        left_out = ("the comparison with the frozen network",)
    yield tuple(every), left_out
    left_out = (*left_out, "the milder strengths")
    for kept in range(len(strongest), 0, -1):
        yield strongest[:kept], (*left_out, *(one.disturbance.name for one in strongest[kept:]))


def _is_fine_tuned(evidence: Evidence) -> bool:
    """Say whether the network as it ships is another than a frozen one that can be asked."""
    learned = int(evidence.model.get("num_stages_learned") or 0)
    return bool(learned and evidence.frozen_engine and evidence.features_ND is not None)


def _frozen(evidence: Evidence, rows: np.ndarray) -> _Asked:
    if evidence.frozen_engine is None:
        raise NotPossible("there is no frozen network that could be asked")
    head, features_of = plain_head(evidence), in_batches(evidence.frozen_engine)
    return _Asked(
        logits=head(evidence.features[rows]),
        ask=lambda canvases_BHWC: head(features_of(canvases_BHWC)),
    )


def _points(
    plan: Plan,
    pictures: Changeable,
    disturb: Disturber,
    asked: Mapping[str, _Asked],
    *,
    deadline: float,
) -> Iterator[tuple[Disturbance, dict[str, Any]]]:
    """Yield what was found under each condition, until the deadline."""
    for one in plan.conditions:
        if time.monotonic() > deadline:
            return
        kind = one.disturbance
        canvases = disturb(pictures.canvases, pictures.rows, name=kind.name, strength=one.strength)
        said = {
            who: own.ask(canvases) for who, own in asked.items() if who == "final" or one.compared
        }
        found = {who: pictures.compared(asked[who].logits, said[who]) for who in said}
        yield kind, {"strength": one.strength, **found, **_gain(pictures, said)}


def _gain(pictures: Changeable, said: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return how much better the network as it ships is than the frozen one, where both said."""
    if "frozen" not in said:
        return {}
    return {"gain": pictures.gained(said["frozen"], said["final"])}


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
