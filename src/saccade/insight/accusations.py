"""What a probe that did not learn from a picture says against its label, for every kind of task."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from saccade.data.correction_table import label_text
from saccade.evaluation.suspects import (
    FAR,
    TOO_WEAK,
    UNSURE,
    Suspicion,
    best_other,
    most_contradicted,
    robust_z,
    suspect_labels,
)
from saccade.insight.evidence import Evidence
from saccade.runtime.store import encode_name
from saccade.training.probe import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Weak:
    """A label for which the probe is too weak: it contradicts `num` of `n` that have or lack it."""

    label: str
    has: bool  # of those that have it; else of those that lack it
    num: int
    n: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Accused:
    """What the probe says against the labels of N pictures."""

    quality_N: np.ndarray  # 0 to 1, low where the label is probably wrong
    is_listed_N: np.ndarray  # bool: another label is likelier
    is_sure_N: np.ndarray  # bool: and believed
    describe: Callable[[int], tuple[str, str]]  # from a place among the N to label and reason
    suspicion: Suspicion | None = None  # one label a picture, by a probe that is not too weak
    contradicted: float = 0.0  # one label a picture: share of them
    weak: tuple[Weak, ...] = ()  # several labels a picture: those that nothing is said against


def accuse(
    evidence: Evidence, sample: Sample, scores: np.ndarray, *, right_N: np.ndarray
) -> Accused:
    """Return what is said against the labels of a sample.

    Args:
        evidence: of the run.
        sample: N of its pictures.
        scores: what the probe says of them, as `Task.scores` gives them.
        right_N: bool, labels that a person has looked at; against these nothing is said.
    """
    if evidence.task.kind == "regression":
        found = _accuse_numbers(sample, scores[:, 0])
    elif evidence.task.kind == "multilabel":
        found = _accuse_label_sets(evidence, sample, scores)
    else:
        found = _accuse_classes(evidence.task.classes, sample.targets_N, scores, right_N)
    return replace(
        found, is_listed_N=found.is_listed_N & ~right_N, is_sure_N=found.is_sure_N & ~right_N
    )


def _accuse_classes(
    classes: Sequence[str], labels_N: np.ndarray, probabilities_NK: np.ndarray, right_N: np.ndarray
) -> Accused:
    """Judge each label; nothing is said by a probe that contradicts too many (`TOO_WEAK`)."""
    found = suspect_labels(labels_N, probabilities_NK, right_N=right_N)
    believed = found.contradicted <= TOO_WEAK
    likelier_N = np.where(
        found.is_suspect_N, found.likelier_N, best_other(labels_N, probabilities_NK)
    )

    def describe(place: int) -> tuple[str, str]:
        both = int(likelier_N[place]), int(labels_N[place])
        said = [f"{encode_name(classes[k])} {probabilities_NK[place, k]:.2f}" for k in both]
        return classes[both[0]], f"probe: {', '.join(said)}"

    return Accused(
        quality_N=found.quality_N,
        is_listed_N=(found.quality_N < 0.5) & believed,
        is_sure_N=found.is_suspect_N & believed,
        describe=describe,
        suspicion=found if believed else None,
        contradicted=found.contradicted,
    )


def _accuse_label_sets(evidence: Evidence, sample: Sample, probabilities_NK: np.ndarray) -> Accused:
    """Judge each label by itself, present or absent; a picture is as good as its worst label.

    Nothing is said against a label for which the probe is too weak: where it contradicts more of
    those that have it, or that lack it, than are ever wrong (`TOO_WEAK`). Where it contradicts
    more than a few (`UNSURE`), none is accused surely.
    """
    marks_NK, classes = sample.targets_N.astype(np.int64), evidence.task.classes
    each = [
        suspect_labels(marks_N, np.stack([1 - present_N, present_N], axis=1))
        for marks_N, present_N in zip(marks_NK.T, probabilities_NK.T, strict=True)
    ]
    quality_NK = np.stack([own.quality_N for own in each], axis=1)
    sure_NK = np.stack([own.is_suspect_N for own in each], axis=1)
    weak = []
    for k, name in enumerate(classes):
        has, num, n = most_contradicted(marks_NK[:, k], quality_NK[:, k])
        sure_NK[:, k] &= num <= UNSURE * n
        if num > TOO_WEAK * n:
            quality_NK[:, k] = quality_NK[:, k].clip(min=0.5)
            weak.append(Weak(label=encode_name(name), has=bool(has), num=num, n=n))

    def describe(place: int) -> tuple[str, str]:
        wrong = quality_NK[place] < 0.5
        marks_K = np.where(wrong, 1 - marks_NK[place], marks_NK[place])
        said = [
            f"{'has' if marks_NK[place, k] else 'lacks'} {encode_name(classes[k])}, whose "
            f"probability is {probabilities_NK[place, k]:.2f}"
            for k in np.flatnonzero(wrong)
        ]
        return label_text(marks_K, evidence.catalog, evidence.task), f"probe: {'; '.join(said)}"

    return Accused(
        quality_N=quality_NK.min(axis=1),
        is_listed_N=quality_NK.min(axis=1) < 0.5,
        is_sure_N=sure_NK.max(axis=1),
        describe=describe,
        weak=tuple(weak),
    )


def _accuse_numbers(sample: Sample, predicted_N: np.ndarray) -> Accused:
    """Judge numbers by how far off they are, beside the usual error."""
    errors_N = sample.targets_N - predicted_N
    z_N = np.abs(robust_z(errors_N))

    def describe(place: int) -> tuple[str, str]:
        said = f"{predicted_N[place]:.4g}"
        return said, (
            f"probe: {said}, which the label is {abs(errors_N[place]):.3g} "
            f"{'above' if errors_N[place] > 0 else 'below'}, {z_N[place]:.1f} times the usual error"
        )

    far_N: np.ndarray = np.greater(z_N, FAR)
    return Accused(quality_N=1 / (1 + z_N), is_listed_N=far_N, is_sure_N=far_N, describe=describe)
