"""Which labels are probably wrong: the suspects of the training and validation parts, ranked.

Labels that a person has put right or confirmed are accused no more. Test labels are never accused
here. Who corrects the test labels that a model contradicts corrects
its mistakes and leaves its lucky hits, and the score rises without reason; `review` mixes them.
"""

import csv
import dataclasses
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from saccade.data.catalog import Catalog
from saccade.data.correction_table import CONFIRMED, CONTENT, FILE, LABEL, LEAVE_OUT, NO_LABELS
from saccade.data.corrections import REASON, corrected_rows
from saccade.data.duplicates import exact_duplicates
from saccade.data.linking import members
from saccade.data.task import targets
from saccade.evaluation.intervals import Estimate, Grouping, grouped_ratio, grouping
from saccade.evaluation.suspects import Suspicion, error_share, less, suspect_labels
from saccade.insight.accusations import Accused, accuse
from saccade.insight.corrected import effect_of_corrections
from saccade.insight.evidence import Evidence, NotPossible
from saccade.insight.principal import principal
from saccade.insight.review import review_rows, write_review
from saccade.runtime.store import encode_name, writing
from saccade.training.head import out_of_fold
from saccade.training.probe import Sample, draw_sample

PENALTY = 0.5
"""λ of the probe. A stiff one does not learn what is wrong: with 0.5 it finds as many planted
errors as with the λ that cross-validation would choose, or more, and accuses half as many labels
that nobody had touched (docs/suspects.md)."""
MOST_PICTURES = 20_000  # that are judged; of more, a stratified sample
MOST_LISTED = 1_000
MOST_PAIRS = 8
SUSPECTS, YES = "suspects.csv", "yes"
BLIND = "reviewed blind"  # in place of a name that would give the label away
COLUMNS = (FILE, LABEL, CONFIRMED, "likelier", "sure", "score", "rank", "why", CONTENT)


def study(evidence: Evidence, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the suspects, how many labels are wrong roughly, and what corrections brought.

    A probe, solved on the principal axes of the frozen features, is asked about each picture
    that it did not learn from; groups and copies lie in one fold.

    Raises:
        NotPossible: there are no frozen features, or too few pictures or groups.
    """
    del known
    sample = _sample(evidence)
    axes_NR = principal(evidence.features_of(sample.rows), seed=evidence.recipe.seed)
    logits_NK = out_of_fold(
        axes_NR, sample.targets_N, sample.folds_N, task=evidence.task, penalties=(PENALTY,)
    )
    paths, settled = evidence.catalog.paths, evidence.catalog.settled
    settled_N = np.array([paths[row] in settled for row in sample.rows], bool)
    scores = evidence.task.scores(logits_NK)
    accused = accuse(evidence, sample, scores, right_N=settled_N)
    conflicts = _conflicts(evidence, sample, accused, settled_N)
    listed = _listed(evidence, sample, accused, conflicts)
    kept = grouping(sample.groups, num_rows=len(sample.rows))
    review = review_rows(evidence)
    share, contradicted = None, accused.contradicted
    if accused.suspicion is not None:
        share, contradicted = _still_wrong(evidence, sample, accused.suspicion, scores, kept)
    return {
        "kind": evidence.task.kind,
        "features": evidence.features_name,
        "n": len(sample.rows),
        "num_pictures": len(evidence.rows("train", "validation")),
        "num_listed": int(accused.is_listed_N.sum()),
        "num_sure": int(accused.is_sure_N.sum()),
        "validation": _of_validation(evidence, sample, accused),
        "num_settled": int(settled_N.sum()),
        "weak": [asdict(own) for own in accused.weak],
        "contradicted": contradicted,
        "share": None if share is None else share.as_dict(),
        "num_conflicts": len(conflicts),
        "pairs": _pairs(evidence, sample, accused.suspicion, kept),
        "suspects": listed,
        "corrections": effect_of_corrections(evidence, sample, axes_NR),
        "num_review": len(review),
    }


def _labels_before(evidence: Evidence, rows: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the answers of some rows before corrections, and where these were others.

    A label that is no class any more (a misspelt one, all of whose pictures were put right) is
    taken as it is now: a probe that has not met it can neither accuse nor miss it.
    """
    catalog, known = evidence.catalog, set(evidence.task.classes)
    labels = [
        given if catalog.label_columns or given in known else now
        for given, now in zip(catalog.given_labels, catalog.labels, strict=True)
    ]
    before = dataclasses.replace(catalog, labels=tuple(labels), given=None)
    found = targets(before, evidence.task)[list(rows)]
    return found, found != evidence.targets[list(rows)]


def _still_wrong(
    evidence: Evidence, sample: Sample, suspicion: Suspicion, scores_NK: np.ndarray, kept: Grouping
) -> tuple[Estimate, float]:
    """Return which share of the labels is wrong, and which share the probe contradicts.

    Where some were put right it is that of the labels as given, less those. Who puts labels right
    begins with those that are surely wrong, and what is left is what the probe is unsure of;
    judged by itself, it would seem to be right.
    """
    now = error_share(suspicion, kept)
    given_N, changed_N = _labels_before(evidence, sample.rows)
    if not changed_N.any():
        return now, suspicion.contradicted
    paths, settled = evidence.catalog.paths, evidence.catalog.settled
    right_N = np.array([paths[row] in settled for row in sample.rows], bool) & ~changed_N
    before = suspect_labels(given_N, scores_NK, right_N=right_N)
    left = less(error_share(before, kept), int(changed_N.sum()), now=now)
    return left, max(before.contradicted, suspicion.contradicted)


def _of_validation(evidence: Evidence, sample: Sample, accused: Accused) -> dict[str, int]:
    """Return how many labels judge, and how many of these are surely contradicted."""
    judges_N = np.array([evidence.split.parts[row] == "validation" for row in sample.rows], bool)
    return {"n": int(judges_N.sum()), "num_sure": int((judges_N & accused.is_sure_N).sum())}


def write_suspects(folder: Path, evidence: Evidence, findings: Mapping[str, Any]) -> None:
    """Write suspects.csv and, where there is something to review, review.csv with its pictures.

    As it is written suspects.csv changes nothing; with its labels edited or confirmed it is a
    table of corrections. It ends with what was put right or confirmed before, so that it is not
    lost in the next run.

    Args:
        folder: the run's.
        evidence: as `study` was given.
        findings: what `study` returned.

    Raises:
        ResourceError: the disk is full (E401).
    """
    path = folder / SUSPECTS
    with writing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for own in findings["suspects"]:
            names, sure = (own["path"], own["label"], "", own["likelier"]), YES * own["sure"]
            table.writerow([*names, sure, f"{own['score']:.4f}", own["rank"], own["why"], ""])
        settled = _settled_lines(evidence.catalog)
        table.writerows(settled)
    lines = [dict(zip(COLUMNS, own, strict=True)) for own in settled]
    write_review(folder, evidence, settled=lines)


def _settled_lines(catalog: Catalog) -> list[list[str]]:
    """Return a line for each label that a person has put right or confirmed, or left out."""
    given, changed = catalog.given_labels, set(corrected_rows(catalog))
    lines = [
        _settled_line(
            catalog.paths[row],
            _cell(catalog, catalog.labels[row]),
            f"corrected, was {_cell(catalog, given[row])}" if row in changed else "confirmed",
            content=catalog.hashes[row] if catalog.paths[row] in catalog.reviewed else "",
        )
        for row in range(len(catalog))
        if row in changed or catalog.paths[row] in catalog.settled
    ]
    out = [own.path for own in catalog.skipped if own.reason == REASON]
    return lines + [_settled_line(path, LEAVE_OUT, "left out") for path in out]


def _settled_line(path: str, label: str, why: str, *, content: str = "") -> list[str]:
    """Return a line of `COLUMNS`; what was reviewed blind is known by its content alone."""
    confirmed = "" if label == LEAVE_OUT else YES
    return [BLIND if content else encode_name(path), label, confirmed, "", "", "", "", why, content]


def _cell(catalog: Catalog, label: str) -> str:
    """Return a label as a correction would give it: an empty set of labels is a bare "|"."""
    return catalog.told(label) or NO_LABELS


def _sample(evidence: Evidence) -> Sample:
    rows = evidence.rows("train", "validation")
    sample = draw_sample(
        rows.tolist(),
        evidence.targets,
        evidence.split.groups,
        task=evidence.task,
        num=MOST_PICTURES,
        seed=evidence.recipe.seed,
    )
    if sample is None:
        raise NotPossible(
            f"{len(rows)} pictures of the training and validation parts are too few (groups count "
            "as one) to judge each by a probe that did not learn from it"
        )
    return sample


def _conflicts(
    evidence: Evidence, sample: Sample, accused: Accused, settled_N: np.ndarray
) -> dict[int, tuple[str, str]]:
    """Return label and reason for pictures of which a copy, exact or near, has a better label.

    Of the labels of one content that which a person has looked at is taken for the better one,
    else the most frequent; of equally frequent ones that which the probe has least against.
    Keyed by place in the sample; who looked is not contradicted.
    """
    catalog = evidence.catalog
    hashes = [catalog.hashes[row] for row in sample.rows]
    labels = [catalog.labels[row] for row in sample.rows]
    said = [evidence.task.meaning(label) for label in labels]
    found: dict[int, tuple[str, str]] = {}
    for places in _copies(evidence, sample):
        counts = Counter(said[place] for place in places)
        if len(counts) < 2:
            continue
        best = max(
            places, key=lambda own: (settled_N[own], counts[said[own]], accused.quality_N[own])
        )
        twin = encode_name(catalog.paths[sample.rows[best]])
        for place in places:
            if said[place] != said[best] and not settled_N[place]:
                same = (
                    "the same picture as" if hashes[place] == hashes[best] else "shows the same as"
                )
                found[place] = labels[best], f"{same} {twin}, which has that label"
    return found


def _copies(evidence: Evidence, sample: Sample) -> list[tuple[int, ...]]:
    """Return the places in the sample that show the same, two or more each."""
    rows = list(sample.rows)
    if evidence.twins is None:
        return exact_duplicates([evidence.catalog.hashes[row] for row in rows])
    return [tuple(own.tolist()) for own in members(evidence.twins.cluster_N[rows])]


def _listed(
    evidence: Evidence,
    sample: Sample,
    accused: Accused,
    conflicts: Mapping[int, tuple[str, str]],
) -> list[dict[str, Any]]:
    """Return the suspects, their names as tables hold them.

    First those whose copy has another label, then by rising quality.
    """
    order = np.argsort(accused.quality_N, kind="stable").tolist()
    places = [own for own in order if own in conflicts]
    places += [own for own in order if accused.is_listed_N[own] and own not in conflicts]
    catalog, found = evidence.catalog, []
    for rank, place in enumerate(places[:MOST_LISTED], start=1):
        row = sample.rows[place]
        likelier, why = conflicts.get(place) or accused.describe(place)
        found.append(
            {
                "path": encode_name(catalog.paths[row]),
                "label": _cell(catalog, catalog.labels[row]),
                "likelier": _cell(catalog, likelier),
                "score": float(accused.quality_N[place]),
                "rank": rank,
                "why": why,
                "sure": bool(accused.is_sure_N[place]) or place in conflicts,
            }
        )
    return found


def _pairs(
    evidence: Evidence, sample: Sample, suspicion: Suspicion | None, kept: Grouping
) -> list[dict[str, Any]]:
    """Return which class is most often written for which, by the labels that are surely accused."""
    if suspicion is None:
        return []
    classes = evidence.task.classes
    counts: defaultdict[tuple[int, int], int] = defaultdict(int)
    for place in np.flatnonzero(suspicion.is_suspect_N).tolist():
        counts[int(sample.targets_N[place]), int(suspicion.likelier_N[place])] += 1
    first = sorted(counts.items(), key=lambda own: (-own[1], own[0]))[:MOST_PAIRS]
    noise_KK = suspicion.noise_KK

    def share(given: int, true: int) -> Estimate:
        trials_N = sample.targets_N == given
        hits_N = trials_N & suspicion.is_suspect_N & (suspicion.likelier_N == true)
        return grouped_ratio(hits_N.astype(np.float64), trials_N.astype(np.float64), kept)

    return [
        {
            "label": encode_name(classes[given]),
            "likelier": encode_name(classes[true]),
            "num": num,
            "share": share(given, true).as_dict(),
            "noise": float(noise_KK[given, true]),
        }
        for (given, true), num in first
    ]
