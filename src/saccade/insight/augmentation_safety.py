"""Each augmentation on this data: does it spoil what is to be learned, and what is it good for?

Two questions that are easily taken for one. Whether learning from the views does harm is asked of
a probe on small pictures (`training.safety`), before anything is learned where there is time. How
many right answers of a network the views turn says where it is weak, which is a reason to learn
from them.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from saccade.evaluation.intervals import grouped_ratio
from saccade.evaluation.tally import answers_of
from saccade.insight.changed import (
    PROBES,
    Changeable,
    drawn,
    images_per_second,
    in_batches,
    number_of_pictures,
)
from saccade.insight.evidence import Ask, Evidence, NotPossible
from saccade.insight.probe_heads import plain_head
from saccade.insight.thumbnails import thumbnail
from saccade.training.augment import Augment, Augmenter, augment_of, in_canvases
from saccade.training.probe import draw_sample
from saccade.training.recipe import Recipe
from saccade.training.safety import (
    FAMILIES,
    FEWEST,
    NUM_SAMPLE,
    SIDE_PX,
    active_families,
    at_full,
    judge_augmentation,
)
from saccade.training.settle import EVENT, facts_of

SECONDS = 1.5
"""That the network may take to answer about the views of all families."""


def study(evidence: Evidence, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return for each augmentation whether it is safe, and what it does to a network's answers.

    What was found before learning is taken from the history. The families that were not asked
    about then are judged now: at the recipe's strength, or where that is 0 at the usual one.

    Raises:
        NotPossible: there are too few training pictures.
    """
    del known
    events = [event for event in evidence.history if event.get("event") == EVENT]
    before = {own["name"]: own for event in events for own in event["families"]}
    left_out = {name for event in events for name in event["left_out"]}
    augment = with_usual(augment_of(evidence.recipe))
    now = _judged_now(evidence, augment, [name for name in FAMILIES if name not in before])
    used = active_families(augment_of(evidence.recipe))
    network = _weaknesses(evidence, augment)
    families = []
    for name, fields in FAMILIES.items():
        verdict = before.get(name) or now["families"].get(name)
        families.append(
            {
                "name": name,
                "strength": {field: getattr(augment, field) for field in fields},
                "used": name in used,
                "left_out": name in left_out,
                "verdict": verdict,
                "network": network["families"].get(name),
                "example": _example(evidence, augment, name, verdict),
            }
        )
    return {
        "n": now["n"],
        "side_px": SIDE_PX,
        "skill": now["skill"],
        "why": now["why"],
        "who": network["who"],
        "part": network["part"],
        "num_asked": network["n"],
        "families": families,
    }


def with_usual(augment: Augment) -> Augment:
    """Return the same with each family that is off at its usual strength.

    >>> with_usual(Augment(rotate=30.0)).rotate, with_usual(Augment()).vflip
    (30.0, 0.5)
    """
    usual = augment_of(Recipe(vflip=0.5))  # the only one that is off by itself
    off = [name for name in FAMILIES if name not in active_families(augment)]
    return replace(
        augment, **{field: getattr(usual, field) for name in off for field in FAMILIES[name]}
    )


def _judged_now(evidence: Evidence, augment: Augment, names: list[str]) -> dict[str, Any]:
    train = evidence.rows("train").tolist()
    sample = draw_sample(
        train,
        evidence.targets,
        evidence.split.groups,
        task=evidence.task,
        num=NUM_SAMPLE,
        seed=evidence.recipe.seed,
    )
    if sample is None or len(sample.rows) < FEWEST:
        raise NotPossible(
            f"{len(train)} training pictures (groups count as one) are too few to tell"
        )
    safety = judge_augmentation(
        evidence.cache,
        sample,
        task=evidence.task,
        augment=augment,
        names=names,
        seed=evidence.recipe.seed,
    )
    facts = facts_of(safety)
    return {**facts, "families": {own["name"]: own for own in facts["families"]}}


def _weaknesses(evidence: Evidence, augment: Augment) -> dict[str, Any]:
    """Return what the views do to answers about validation pictures.

    Asked is the frozen network with a head of plain pictures, which never saw such views of
    them; where there is none, the network as it ships.
    """
    part, who, ask = "validation", *_network(evidence)
    rows, families = evidence.rows(part), {}
    num = 0
    if ask is not None and len(rows):
        rate = images_per_second(ask, evidence.cache.canvases(rows[:PROBES]))
        num = number_of_pictures(rate, passes=len(FAMILIES) + 1, num=len(rows), seconds=SECONDS)
    if ask is not None and num:
        pictures = Changeable(evidence, drawn(evidence, num, part))
        num, plain = len(pictures.rows), ask(pictures.canvases)
        for name in FAMILIES:
            views = _views(evidence, augment, name, pictures.rows, pictures.canvases)
            families[name] = _turned(pictures, plain, ask(views))
    return {"who": who, "part": part, "n": num, "families": families}


def _network(evidence: Evidence) -> tuple[str, Ask | None]:
    frozen, final = evidence.frozen_engine, evidence.final_engine
    if final is not None and evidence.model.get("num_stages_learned") == 0:
        return "frozen", in_batches(final)  # its head was solved on plain pictures too
    if frozen is not None and evidence.features_ND is not None:
        head, features_of = plain_head(evidence), in_batches(frozen)
        return "frozen", lambda canvases_BHWC: head(features_of(canvases_BHWC))
    return "final", in_batches(final) if final is not None else None


def _turned(pictures: Changeable, plain_NK: np.ndarray, shown_NK: np.ndarray) -> dict[str, Any]:
    """Return how the score changes and, of right answers, the share that becomes wrong."""
    found = pictures.compared(plain_NK, shown_NK)
    if pictures.task.kind != "regression":
        truth = pictures.truth.reshape(len(pictures.rows), -1)
        right, still = (
            (answers_of(own, pictures.task).reshape(truth.shape) == truth).all(axis=1)
            for own in (plain_NK, shown_NK)
        )
        turned, trials = (own.astype(np.float64) for own in (right & ~still, right))
        found["turned"] = grouped_ratio(turned, trials, pictures.grouping).as_dict()
    return found


def _views(
    evidence: Evidence, augment: Augment, name: str, rows: np.ndarray, canvases: np.ndarray
) -> np.ndarray:
    """Return canvases with one view of each picture in their centres."""
    own = at_full(augment.only(*FAMILIES[name]))
    preprocess = evidence.cache.preprocess
    augmenter = Augmenter(own, preprocess, seed=evidence.recipe.seed, device="cpu")
    return in_canvases(canvases, augmenter(canvases, rows, epoch=1), preprocess)


def _example(
    evidence: Evidence, augment: Augment, name: str, verdict: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """Return a picture, its view, and the picture of another class that the view looks like."""
    if verdict is None or not verdict["example"]:
        return None
    rows = np.asarray(verdict["example"], np.int64)
    canvases, centre = evidence.cache.canvases(rows), evidence.cache.preprocess.centre
    views = _views(evidence, augment, name, rows[:1], canvases[:1])
    return {
        "path": evidence.catalog.paths[rows[0]],
        "view": thumbnail(centre(views)[0]),
        "look_alike": evidence.catalog.paths[rows[1]],
        "classes": [evidence.task.classes[int(evidence.targets[row])] for row in rows],
    }
