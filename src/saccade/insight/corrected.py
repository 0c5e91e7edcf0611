"""What corrected labels brought: measured on the validation part, told of the test part."""

from collections import Counter
from typing import Any

import numpy as np

from saccade.data.corrections import REASON, corrected_rows, given_targets
from saccade.evaluation.intervals import grouped_ratio
from saccade.evaluation.paired import compare_answers
from saccade.evaluation.tally import answers_of
from saccade.insight.evidence import Evidence
from saccade.runtime.store import encode_name
from saccade.training.head import fit_head
from saccade.training.probe import Sample

PENALTIES = (3.0, 1.0, 0.3, 0.1, 0.03)  # a head on 128 axes has its best among these
MOST_PATHS = 12
NAMES = ("the head of the labels as given", "the head of the corrected labels")


def effect_of_corrections(
    evidence: Evidence, sample: Sample, axes_NR: np.ndarray
) -> dict[str, Any] | None:
    """Return how many labels were corrected in which part, and what it brought; None without.

    Two heads are solved on the training part, one with the labels as given and one with the
    corrected ones, and both are judged on the validation part with corrected labels. Pictures
    that were left out teach neither. Of the test part it is said, after learning, what the score
    would be with the labels as they were.

    Args:
        evidence: of a catalogue that was corrected, or not.
        sample: of the training and validation parts.
        axes_NR: the features of the sample's pictures on their principal axes.
    """
    catalog, parts = evidence.catalog, evidence.split.parts
    rows = corrected_rows(catalog)
    num_left_out = sum(own.reason == REASON for own in catalog.skipped)
    if not rows and not num_left_out:
        return None
    counts = Counter(parts[row] for row in rows)
    test = [encode_name(catalog.paths[row]) for row in rows if parts[row] == "test"]
    given = given_targets(catalog, evidence.task) if rows else None
    return {
        "num": {part: counts[part] for part in ("train", "validation", "test")},
        "num_left_out": num_left_out,
        "test_paths": test[:MOST_PATHS],
        "effect": None if given is None else _effect(evidence, sample, axes_NR, given),
        "test": None if given is None or not test else _test_scores(evidence, given),
    }


def _effect(
    evidence: Evidence, sample: Sample, axes_NR: np.ndarray, given: np.ndarray
) -> dict[str, Any] | None:
    """Return the paired difference; None where no training label changed, or nothing judges."""
    task = evidence.task
    own_parts = np.array([evidence.split.parts[row] for row in sample.rows])
    teach, judge = own_parts == "train", own_parts == "validation"
    given_N = given[list(sample.rows)]
    if not judge.any() or np.array_equal(given_N[teach], sample.targets_N[teach]):
        return None
    truth = sample.targets_N[judge]
    answers = []
    for targets in (given_N, sample.targets_N):
        head = fit_head(
            axes_NR[teach],
            targets[teach],
            task=task,
            seed=evidence.recipe.seed,
            penalties=PENALTIES,
        )
        logits_NK = axes_NR[judge] @ head.weight_KD.T.astype(np.float64) + head.bias_K
        answers.append(answers_of(logits_NK, task))
    groups = [own for own, kept in zip(sample.groups, judge, strict=True) if kept]
    found = compare_answers(truth, *answers, groups=groups, names=NAMES)
    return {
        "score_name": found.metric,
        "difference": {
            "value": found.value,
            "low": found.low,
            "high": found.high,
            "n": found.n,
            "method": found.method,
        },
        "p": found.p,
        "sentence": found.sentence,
        "num_train": int(teach.sum()),
    }


def _test_scores(evidence: Evidence, given: np.ndarray) -> dict[str, Any] | None:
    """Return the test accuracy with the labels as they were and as they are; None before the end.

    Only where each picture has one label: sets and numbers have no such single score.
    """
    table = evidence.table
    if table is None or table.truth is None or given.ndim != 1 or not table.task.classes:
        return None
    rows = evidence.rows("test")
    answers = table.predicted[rows]
    kept = evidence.grouping_of(rows)
    return {
        name: grouped_ratio((answers == own).astype(np.float64), np.ones(len(rows)), kept).as_dict()
        for name, own in (("as_given", given[rows]), ("corrected", table.truth[rows]))
    }
