"""How many more pictures would help, and of which class: a learning curve of the frozen features.

Every picture of the training and validation parts is judged by heads that learned without it, out
of fold, at about six sizes. The test part is not touched, although nothing is chosen here: so
`saccade check` draws it too, with a penalty chosen for it where there is no head yet, and it rests
on several times the pictures that the validation part alone holds.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from saccade.evaluation.difference import lower_is_better
from saccade.evaluation.learning_curve import FARTHEST, LearningCurve, fit_curve
from saccade.evaluation.tally import Tally, mean_of, tally
from saccade.insight.evidence import Evidence
from saccade.insight.pool import draw_pool, known_penalty
from saccade.insight.subsets import Subsets, judge_subsets
from saccade.runtime.seeds import generator

MORE = (50, 200, 1000)
FEWEST_OF_A_CLASS = 20  # judged pictures; below, what a class would gain is not said
MOST_CLASSES = 30  # whose curves are fitted: those with the lowest scores
NUM_DRAWN = 25  # points of the curve as it is drawn


def study(evidence: Evidence, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the curve, the gain that more pictures promise, and which class would gain most.

    Raises:
        NotPossible: there are no frozen features, or too few pictures, or the time is up.
    """
    del known
    seed = evidence.recipe.seed
    subsets = judge_subsets(evidence, draw_pool(evidence), penalty=known_penalty(evidence))
    curve = pooled_curve(subsets, seed=seed)
    now = len(evidence.rows("train"))
    told = _told_of(curve, now)
    law = {key: float(getattr(curve.law, key)[0]) for key in ("ceiling", "drop", "exponent")}
    return {
        "score_name": tally(subsets.truth, subsets.said[0][0], evidence.task).name,
        "features": evidence.features_name,
        "num_judged": curve.num_judged,
        "num_train": now,
        "num_told": told,
        "num_measured": curve.sizes[-1],
        "farthest": int(curve.farthest),
        "times": FARTHEST,
        "law": law | {"unit": curve.law.unit},
        "points": _points(subsets, seed=seed),
        "curve": _drawn(curve),
        "now": curve.at(told).as_dict(),
        "gains": _gains(curve, now),
        "num_classes": len(evidence.task.classes),
        "classes": _classes(subsets, evidence, now),
    }


def _told_of(curve: LearningCurve, now: int) -> int:
    """Return of how many pictures the score is told: those there are, if they are not too far off.

    A law beyond what was measured is no measurement: then it is that of the largest heads.
    """
    return now if now <= curve.farthest else curve.sizes[-1]


def pooled_curve(subsets: Subsets, *, seed: int) -> LearningCurve:
    """Return the curve of all classes together."""
    return _fitted(
        subsets, lambda said: tally(subsets.truth, said, subsets.task), seed=seed, key="all"
    )


def _fitted(
    subsets: Subsets, tallied: Callable[[np.ndarray], Tally], *, seed: int, key: str
) -> LearningCurve:
    ascends = not lower_is_better(tallied(subsets.said[0][0]).name)
    rng = generator(seed, "learning curve", key)
    return fit_curve(subsets.answers(tallied), subsets.grouping, rng=rng, ascends=ascends)


def _points(subsets: Subsets, *, seed: int) -> list[dict[str, Any]]:
    """Return the score at each size that was measured."""
    points = []
    for size, said in zip(subsets.sizes, subsets.said, strict=True):
        own = mean_of([tally(subsets.truth, each, subsets.task) for each in said])
        score = own.estimate(subsets.grouping, seed=seed)
        points.append({"size": size, "num_subsets": len(said), "score": score.as_dict()})
    return points


def _drawn(curve: LearningCurve) -> list[dict[str, Any]]:
    """Return the curve from the smallest size to as far as anything is said."""
    places = np.geomspace(curve.sizes[0], curve.farthest, NUM_DRAWN).tolist()
    return [{"size": size, "score": curve.at(size).as_dict()} for size in places]


def _gains(curve: LearningCurve, now: int) -> list[dict[str, Any]]:
    """Return what more pictures would bring; None where that is too far off to be told."""
    found = [(more, curve.gain(now, more=more)) for more in MORE]
    return [{"more": more, "gain": gain.as_dict() if gain else None} for more, gain in found]


def _classes(subsets: Subsets, evidence: Evidence, now: int) -> list[dict[str, Any]]:
    """Return the curves of the classes with the lowest scores, the lowest first.

    Of a class its recall, of a label its F1; both against all pictures that were learned from, in
    the proportions in which the classes stand today.
    """
    task = evidence.task
    if task.kind == "regression":
        return []
    curves = []
    for k in _weakest(subsets):
        own, name = _of_class(subsets, k), task.classes[k]
        tallied = partial(_class_tally, own, k)
        curve = _fitted(own, tallied, seed=evidence.recipe.seed, key=name)
        curves.append((name, _num_of(own.truth, k), k, curve))
    training = evidence.targets[evidence.rows("train")]
    return [
        {
            "name": name,
            "num_judged": num,
            "num_train": _num_of(training, k),
            "score_name": "recall" if training.ndim == 1 else "f1",
            "now": curve.at(_told_of(curve, now)).as_dict() | {"n": num},
            "gains": _gains(curve, now),
            "enough": num >= FEWEST_OF_A_CLASS,
        }
        for name, num, k, curve in curves
    ]


def _weakest(subsets: Subsets) -> list[int]:
    """Return the classes that were judged with the lowest scores of the largest heads, ascending.

    Those whose curves are worth their time: a class takes 5 ms, a label 70.
    """
    score_of: dict[int, float] = {}
    for k in range(len(subsets.task.classes)):
        own = _of_class(subsets, k)
        if _num_of(own.truth, k):
            score_of[k] = mean_of([_class_tally(own, k, said) for said in own.said[-1]]).value
    return sorted(score_of, key=score_of.__getitem__)[:MOST_CLASSES]


def _num_of(truth: np.ndarray, k: int) -> int:
    """Return of how many pictures a class, or a label, is true."""
    return int((truth == k).sum() if truth.ndim == 1 else truth[:, k].sum())


def _of_class(subsets: Subsets, k: int) -> Subsets:
    """Return what was said of the pictures of a class; of a label: of all pictures."""
    if subsets.truth.ndim == 2:
        return subsets
    return subsets.take(np.flatnonzero(subsets.truth == k))


def _class_tally(own: Subsets, k: int, said: np.ndarray) -> Tally:
    """Return the hits whose ratio to the trials is a class's recall, or a label's F1."""
    if said.ndim == 1:
        hits = (said == k).astype(np.float64)
        return Tally(name="recall", hits_N=hits, trials_N=np.ones(len(hits)))
    true, given = own.truth[:, k].astype(np.float64), said[:, k].astype(np.float64)
    return Tally(name="f1", hits_N=2 * true * given, trials_N=true + given)
