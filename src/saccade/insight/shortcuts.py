"""Shortcuts: do brightness, size, file kind, border or source alone nearly tell the classes?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from saccade.data.properties import CORNERS, FAMILIES, Properties, properties_of
from saccade.data.stratify import strata, stratify, units_of
from saccade.data.task import Task
from saccade.evaluation.intervals import Estimate, Grouping, grouped_ratio, mean_share
from saccade.evaluation.recovery import mean_gain, p_of_gain, recovered
from saccade.evaluation.resampling import mean_interval
from saccade.evaluation.significance import holm
from saccade.insight.changed import drawn
from saccade.insight.evidence import Evidence, NotPossible
from saccade.insight.separation import (
    MOST_CLASSES,
    Separation,
    asked_about,
    clue_of,
    clue_of_family,
    separations,
)
from saccade.insight.shortcut_words import findings, sentence, verdict
from saccade.insight.trivial import (
    MOST_FITTED,
    Family,
    answers,
    design,
    families_of,
    losses_of,
    plain_losses,
    property_answers,
    ridge_answers,
    wanted_of,
)
from saccade.runtime.machine import one_blas_thread
from saccade.runtime.seeds import generator
from saccade.runtime.store import encode_name
from saccade.training.head import PENALTIES

FEWEST = 20  # pictures to fit on, and to judge by
FROZEN_PENALTY = (PENALTIES[6],)  # 0.1: the best of flowers; one, for time is short before learning
MOST_ASKED = 2_500_000
"""Pictures × classes that single properties are asked about; of more, fewer pictures are drawn.
Each costs some 50 bytes: a family of properties keeps what it says of every one."""
NUM_PICTURES = 6
FEWEST_TOLD = 6  # clues, the accused ones first; all of these are told
SCORES = {
    "binary": "accuracy",
    "multiclass": "accuracy",
    "multilabel": "share of labels right",
    "regression": "mean error",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """The pictures that a probe is judged on, and the losses of those it is compared with."""

    part: str
    rows: np.ndarray
    fit_rows: np.ndarray
    kept: Grouping
    plain_N: np.ndarray  # losses of always answering the same
    model_N: np.ndarray | None
    model_name: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """The N pictures and A classes that single properties are asked about."""

    rows: np.ndarray  # of the train and validation part
    classes: np.ndarray  # (A,): their places in the task
    members_NA: np.ndarray  # bool: which picture is of which of them


def study(evidence: Evidence, _known: Mapping[str, Any]) -> dict[str, Any]:
    """Return how far trivial properties alone get, beside the majority and the model.

    Fitted on the train part; judged on the test part once there are predictions, before that on
    the validation part. What tells a single class is looked for in train and validation, each
    half by the other, so that the test part has no say in it.

    Raises:
        NotPossible: there are too few pictures.
    """
    with one_blas_thread():  # many small problems: a second thread only waits
        return _studied(evidence)


def _studied(evidence: Evidence) -> dict[str, Any]:
    known_rows = evidence.rows("train", "validation").tolist()
    properties = properties_of(evidence.catalog, evidence.looks, known_rows=known_rows)
    judged = _judged(evidence)
    features_ND = design(properties.values_NP, judged.fit_rows)
    if not features_ND.shape[1]:
        raise NotPossible("all pictures have the same trivial properties")
    said = property_answers(
        features_ND, evidence.targets, judged.fit_rows, judged.rows,
        task=evidence.task, seed=evidence.recipe.seed,
    )  # fmt: skip
    trivial_N = losses_of(said, evidence.targets[judged.rows], evidence.task)
    families = families_of(properties, evidence.looks, judged.fit_rows)
    found: dict[str, Any] = {
        "part": judged.part,
        "n": len(judged.rows),
        "num_properties": len(properties.columns),
        "seen_share": _seen_share(evidence),
        **_compared(evidence, judged, trivial_N),
        "families": _families(evidence, families, judged, trivial_N),
    }
    asked = _asked(evidence)
    clues: list[Separation] = []
    found["num_asked"], found["num_tried"], found["not_asked"] = len(asked.rows), 0, ""
    try:
        clues, found["num_tried"] = _separations(evidence, asked, properties, families)
    except NotPossible as why:
        found["not_asked"] = str(why)
    clues.sort(key=lambda one: ("severe", "warning", "").index(one.severity))
    num_told = max(FEWEST_TOLD, sum(bool(one.severity) for one in clues))
    found["clues"] = [_clue_as_dict(evidence, asked, one) for one in clues[:num_told]]
    found["verdict"] = verdict(found)
    found["sentence"] = sentence(found, evidence.task)
    found["findings"] = findings(
        found, task=evidence.task, source_is_label=properties.source_is_label
    )
    return found


def _judged(evidence: Evidence) -> Judged:
    after = evidence.table is not None
    order = ("test", "validation") if after else ("validation",)
    part = next((own for own in order if len(evidence.rows(own)) >= FEWEST), "")
    fit_rows = drawn(evidence, MOST_FITTED, "train")
    if not part or len(fit_rows) < FEWEST:
        raise NotPossible(
            f"a probe needs {FEWEST} pictures to be fitted on and {FEWEST} to be judged by"
        )
    rows = evidence.rows(part)
    task, truth = evidence.task, evidence.targets
    model_N, name = None, ""
    if evidence.table is not None:
        model_N = losses_of(evidence.table.scores[rows], truth[rows], task)
        name = "the model"
    elif evidence.features_ND is not None:
        scores = answers(
            evidence.features_ND, truth, fit_rows, rows,
            task=task, seed=evidence.recipe.seed, penalties=FROZEN_PENALTY,
        )  # fmt: skip
        model_N, name = losses_of(scores, truth[rows], task), "a head on frozen features"
    return Judged(
        part=part,
        rows=rows,
        fit_rows=fit_rows,
        kept=evidence.grouping_of(rows),
        plain_N=plain_losses(truth, evidence.rows("train"), rows, task),
        model_N=model_N,
        model_name=name,
    )


def _seen_share(evidence: Evidence) -> float:
    """Return how much of each side of the kept picture the network is shown when it answers."""
    if not len(evidence.cache):
        return 1.0
    preprocess = evidence.cache.preprocess
    return preprocess.size_px / preprocess.canvas_px


def _compared(evidence: Evidence, judged: Judged, trivial_N: np.ndarray) -> dict[str, Any]:
    """Return the scores of the three, and whether each is shown to be better than the one below."""
    task, kept = evidence.task, judged.kept
    gain = mean_gain(judged.plain_N, trivial_N, kept)
    found: dict[str, Any] = {
        "score": SCORES[task.kind],
        "trivial": _score(trivial_N, evidence, kept).as_dict(),
        "majority": _score(judged.plain_N, evidence, kept).as_dict(),
        "gain": gain.as_dict(),
        "model": None,
        "model_name": judged.model_name,
        "ahead": None,
        "share": None,
    }
    if judged.model_N is not None:
        found["model"] = _score(judged.model_N, evidence, kept).as_dict()
        found["ahead"] = mean_gain(trivial_N, judged.model_N, kept).as_dict()
        found["share"] = recovered(judged.plain_N, trivial_N, judged.model_N, kept).as_dict()
    return found


def _score(losses_N: np.ndarray, evidence: Evidence, kept: Grouping) -> Estimate:
    """Return the accuracy, the share of labels that are right, or the mean error."""
    if evidence.task.kind in {"binary", "multiclass"}:
        return grouped_ratio(1 - losses_N, np.ones(len(losses_N)), kept)
    if evidence.task.kind == "multilabel":
        return mean_share(1 - losses_N, kept)
    return mean_interval(losses_N, grouping=kept, seed=evidence.recipe.seed)


def _families(
    evidence: Evidence, families: Sequence[Family], judged: Judged, trivial_N: np.ndarray
) -> list[dict[str, Any]]:
    """Return what each family of properties does alone, the best first, p corrected for all.

    Its share is that of what all properties together gain, the corners not.
    """
    task = evidence.task
    wanted_MK = wanted_of(evidence.targets[judged.fit_rows], task)
    truth = evidence.targets[judged.rows]
    found: list[dict[str, Any]] = []
    p_values: list[float] = []
    for one in families:
        scores = ridge_answers(
            one.table(judged.fit_rows), wanted_MK, one.table(judged.rows), ridge=one.ridge
        )
        losses_N = losses_of(scores, truth, task)
        gain = mean_gain(judged.plain_N, losses_N, judged.kept)
        p_values.append(p_of_gain(judged.plain_N, losses_N, judged.kept))
        score = _score(losses_N, evidence, judged.kept)
        share = recovered(judged.plain_N, losses_N, trivial_N, judged.kept)
        found.append(
            {
                "name": FAMILIES[one.name],
                "score": score.as_dict(),
                "gain": gain.as_dict(),
                "share": share.as_dict(),
            }
        )
    for own, p in zip(found, holm(p_values), strict=True):
        own["p_corrected"] = p
    return sorted(found, key=lambda own: -float(own["gain"]["value"]))


def _asked(evidence: Evidence) -> Asked:
    """Return whom single properties are asked about; of a number there is no class."""
    task = evidence.task
    most = MOST_ASKED // min(task.num_outputs, MOST_CLASSES)
    rows = drawn(evidence, most, "train", "validation")
    targets = evidence.targets[rows]
    if task.kind == "regression":
        none = np.zeros((len(rows), 0), np.bool_)
        return Asked(rows=rows, classes=np.zeros(0, np.int64), members_NA=none)
    own = np.arange(len(task.classes))
    members_NK = targets == 1 if task.kind == "multilabel" else targets[:, None] == own
    classes = asked_about(members_NK)
    if task.kind == "binary":
        classes = classes[1:]  # what tells one of two classes tells the other
    return Asked(rows=rows, classes=classes, members_NA=members_NK[:, classes])


def _separations(
    evidence: Evidence, asked: Asked, properties: Properties, families: Sequence[Family]
) -> tuple[list[Separation], int]:
    """Return what tells a class, from the train and validation part, and how many were tried.

    Raises:
        NotPossible: the pictures cannot be halved.
    """
    rows, task = asked.rows, evidence.task
    if not len(asked.classes):
        return [], 0
    groups = [evidence.split.groups[row] for row in rows]
    half_N = _half(evidence.targets[rows], groups, task=task, seed=evidence.recipe.seed)
    if half_N.all() or not half_N.any():
        raise NotPossible(
            "the pictures of the train and validation part are all of one group, and no half of "
            "them could judge what the other half suggests"
        )
    members_NA = asked.members_NA.astype(np.float64)
    clues = [
        clue_of(own, properties.values_NP[rows, place], members_NA, half_N)
        for place, own in enumerate(properties.columns)
    ]
    clues += [
        clue_of_family(one, members_NA, half_N, rows)
        for one in families
        if one.name in CORNERS or len(properties.places(one.name)) > 1
    ]
    return separations(clues, members_NA, evidence.grouping_of(rows))


def _half(targets: np.ndarray, groups: Sequence[str], *, task: Task, seed: int) -> np.ndarray:
    """Return which pictures are in the first half, bool (N,); groups stay whole."""
    whole = units_of(range(len(groups)), groups)
    rng = generator(seed, "shortcuts", "halves")
    dealt = stratify(whole, strata(task, targets), fractions={"a": 0.5, "b": 0.5}, rng=rng)
    half_N = np.zeros(len(targets), np.bool_)
    for unit, part in zip(whole, dealt, strict=True):
        half_N[unit] = part == "a"
    return half_N


def _clue_as_dict(evidence: Evidence, asked: Asked, one: Separation) -> dict[str, Any]:
    """Return a separation as JSON can hold it, with the pictures that show it most."""
    own = np.flatnonzero(asked.members_NA[:, one.place])
    order = own[np.argsort(-one.clue.scores(one.place)[own], kind="stable")][:NUM_PICTURES]
    return {
        "property": one.clue.words,
        "family": FAMILIES[one.clue.family],
        "class": encode_name(evidence.task.classes[asked.classes[one.place]]),
        "auc": one.auc.as_dict(),
        "low_corrected": one.low_corrected,
        "others": one.others,
        "single": one.single,
        "single_area": one.single_area,
        "severity": one.severity,
        "pictures": [
            {"path": encode_name(evidence.catalog.paths[row])} for row in asked.rows[order].tolist()
        ],
    }
