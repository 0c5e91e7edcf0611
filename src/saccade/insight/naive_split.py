"""What a split that tears groups apart would have claimed, beside what one that keeps them says."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from saccade.data.stratify import strata
from saccade.evaluation.intervals import grouping
from saccade.evaluation.tally import Tally, answers_of, blank_answers, difference, mean_of, tally
from saccade.insight.evidence import Evidence, NotPossible
from saccade.insight.pool import KnownPenalty, draw_pool, known_penalty
from saccade.training.head import NUM_FOLDS
from saccade.training.nested_heads import Ground, growing_heads, prepare
from saccade.training.objective import class_weights_of
from saccade.training.probe import Sample, draw_sample

NUM_PICTURES = 1_000  # that are judged both ways
DEALS = 2  # ways in which the pictures are dealt out to folds, of each kind
FEWEST_GROUPS = 10
"""Groups of two pictures or more; with fewer, one more or less would decide about the outcome."""


def study(evidence: Evidence, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the probe's score where groups are kept together, and where they are torn apart.

    The same pictures of the training and validation parts are judged twice, each by heads that
    learned without it: once dealt out to folds by groups, as this split does, once one by one, as
    a naive split would. The heads learn from equally many pictures. The test part is not touched.

    Raises:
        NotPossible: no pictures belong together, too few do, or there are no frozen features.
    """
    del known
    task = evidence.task
    if not any(evidence.split.groups):
        raise NotPossible("no pictures belong together, so a naive split would be the same")
    sample = draw_pool(evidence, num=NUM_PICTURES)
    sizes = Counter(filter(None, sample.groups))
    together = {name for name, size in sizes.items() if size > 1}
    num_tied = sum(name in together for name in sample.groups)
    if len(together) < FEWEST_GROUPS:
        raise NotPossible(
            f"{len(together)} group{'s' * (len(together) != 1)} of two pictures or more: too few "
            "to tell what a naive split would do"
        )
    _check_classes(evidence, sample)
    weights = class_weights_of(sample.targets_N, task=task, kind=evidence.recipe.class_weights)
    features_ND = evidence.features_of(sample.rows)
    ground = prepare(features_ND, sample.targets_N, task=task, class_weights=weights)
    penalty = known_penalty(evidence)
    grouped = _judged(evidence, sample, ground, penalty, keep_groups=True)
    naive = _judged(evidence, sample, ground, penalty, keep_groups=False)
    kept = grouping(sample.groups, num_rows=len(sample.rows))
    seed = evidence.recipe.seed
    return {
        "score_name": grouped.name,
        "features": evidence.features_name,
        "n": len(sample.rows),
        "num_groups": len(together),
        "num_tied": num_tied,
        "num_deals": DEALS,
        "naive": naive.estimate(kept, seed=seed).as_dict(),
        "grouped": grouped.estimate(kept, seed=seed).as_dict(),
        "difference": difference(naive, grouped, kept).as_dict(),
    }


def _judged(
    evidence: Evidence, sample: Sample, ground: Ground, penalty: KnownPenalty, *, keep_groups: bool
) -> Tally:
    """Return how right the heads are, each picture judged by some that learned without it."""
    task = evidence.task
    groups = evidence.split.groups if keep_groups else ("",) * len(evidence.split.groups)
    found = []
    for deal in range(DEALS):
        dealt = draw_sample(
            sample.rows,
            evidence.targets,
            groups,
            task=task,
            num=len(sample.rows),
            seed=evidence.recipe.seed + deal,
        )
        if dealt is None:
            raise NotPossible("there are too few groups to deal out")
        said = blank_answers(task, len(sample.rows))
        for fold in range(NUM_FOLDS):
            judged = np.flatnonzero(dealt.folds_N == fold)
            learned = np.flatnonzero(dealt.folds_N != fold)
            (logits_VK,) = growing_heads(
                ground,
                learned,
                [len(learned)],
                ground.at(judged),
                penalties=[penalty.at(len(learned))],
            )
            said[judged] = answers_of(logits_VK, task)
        found.append(tally(sample.targets_N, said, task))
    return mean_of(found)


def _check_classes(evidence: Evidence, sample: Sample) -> None:
    """Raise where a class is one single group, which no split can both learn from and judge."""
    if evidence.task.kind == "regression":
        return
    units_of: dict[int, set[str | int]] = {}
    for place, own in enumerate(strata(evidence.task, sample.targets_N)):
        for stratum in own:
            units_of.setdefault(stratum, set()).add(sample.groups[place] or place)
    alone = [
        evidence.task.classes[stratum]
        for stratum, units in sorted(units_of.items())
        if len(units) < 2 and stratum < len(evidence.task.classes)
    ]
    if alone:
        raise NotPossible(
            f"all pictures of '{alone[0]}' belong together, so no split can both learn and judge it"
        )
