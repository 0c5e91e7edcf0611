"""Whether the test pictures are new to the model: copies across the parts, and what they are worth.

Copies are those that the look at the data found (`data.duplicates`), and more: with features, each
judged picture is also compared with those that the network finds most like it, by the same
alignment of thumbnails. Pictures that are no copies but seem to be of one scene are named apart,
as what groups could hold.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from saccade.data.catalog import Finding
from saccade.data.duplicate_findings import leak_findings
from saccade.data.duplicates import (
    KINDS,
    Leak,
    Pair,
    Twins,
    clean_test_rows,
    find_twins,
    leaks,
    with_pairs,
)
from saccade.evaluation.digits import decimals, is_share
from saccade.evaluation.intervals import grouping
from saccade.evaluation.scores import SCORE_NAMES
from saccade.evaluation.tally import tally
from saccade.insight.evidence import Evidence
from saccade.insight.neighbours import SAME_SCENE, Neighbours, neighbours
from saccade.runtime.store import encode_name

MOST_SHOWN = 12
BINS = np.linspace(0, 1, 21)  # of the similarity, in the histogram


def study(evidence: Evidence, _known: Mapping[str, Any]) -> dict[str, Any]:
    """Return which judged pictures are copies of known ones, and the score with and without them.

    Before learning there is no score; with drawn parts there should be no copies across them but
    those that features find. Labels play no part, so that every task is judged alike.
    """
    twins = evidence.twins or find_twins(evidence.catalog, evidence.looks)
    nearby = neighbours(
        evidence.catalog, evidence.split, evidence.looks, twins, features_ND=evidence.features_ND
    )
    together = with_pairs(twins, nearby.copies)
    by_looks, found = (leaks(own, evidence.split.parts) for own in (twins, together))
    known = {own.judged for own in by_looks}  # stand among the findings of the data already
    new = [own for own in found if own.judged not in known]
    unseen = [
        *leak_findings(evidence.catalog, new, evidence.split, by="features"),
        *_scene_findings(evidence, nearby),
    ]
    clean = clean_test_rows(together, evidence.split.parts)
    threshold = twins.near.threshold
    return {
        "n": len(evidence.catalog),
        "why_not": twins.why_not,
        "threshold": threshold if np.isfinite(threshold) else None,
        "num_small": twins.num_small,
        "num_plain": twins.near.num_plain,
        "num_candidates": twins.near.num_candidates,
        "num_too_large": sum(map(len, twins.too_large)),
        "num_believed": len(together.near.pairs_P2),
        "histogram": {
            "edges": [round(float(edge), 2) for edge in BINS],
            "by_looks": _counts(twins.near.compared_C),
            "by_features": _counts(nearby.similarity_P),
        },
        "parts_given": any(evidence.catalog.parts),
        "leaks": {part: _part(evidence, found, part) for part in ("test", "validation")},
        "pairs": _shown(evidence, found),
        "kept_together": _kept(evidence, twins),
        "features": evidence.features_name if evidence.features_ND is not None else "",
        "scenes": _scenes(evidence, nearby),
        "groups": _groups(evidence),
        **_scores(evidence, clean),
        "findings": [dataclasses.asdict(own) for own in unseen],
    }


def by_looks(evidence: Evidence) -> dict[str, Any]:
    """Return what `summary` needs, of the copies that the look at the data found: takes no time."""
    twins = evidence.twins or find_twins(evidence.catalog, evidence.looks)
    found = leaks(twins, evidence.split.parts)
    parts = {"test": _part(evidence, found, "test")}
    return {"leaks": parts, **_scores(evidence, clean_test_rows(twins, evidence.split.parts))}


def _counts(similarity: np.ndarray) -> list[int]:
    """Return how many pairs lie in each of BINS; what is below 0 lies in the first."""
    return [int(number) for number in np.histogram(np.clip(similarity, 0, 1), BINS)[0]]


def _part(evidence: Evidence, found: Iterable[Leak], part: str) -> dict[str, Any]:
    """Return how many pictures of a part are copies of known ones, by kind, and their number."""
    kinds = [own.kind for own in found if evidence.split.parts[own.judged] == part]
    return {
        "n": len(evidence.split.rows(part)),
        "num": len(kinds),
        "kinds": {kind: kinds.count(kind) for kind in KINDS if kind in kinds},
    }


def _shown(evidence: Evidence, found: Sequence[Leak]) -> list[dict[str, Any]]:
    """Return the pairs across the parts that are shown, some of each kind."""
    chosen: list[Leak] = []
    of_kind = [[own for own in found if own.kind == kind] for kind in KINDS]
    for turn in range(MOST_SHOWN):
        chosen += [own[turn] for own in of_kind if turn < len(own)]
    order = {id(own): place for place, own in enumerate(found)}
    return [
        _described(evidence, own.judged, own.known, own.kind, own.similarity)
        for own in sorted(chosen[:MOST_SHOWN], key=lambda own: order[id(own)])
    ]


def _kept(evidence: Evidence, twins: Twins) -> dict[str, Any]:
    """Return the copies that lie in one part, and the least alike of them."""
    parts = evidence.split.parts
    inside = [pair for pair in twins.pairs() if parts[pair.first] == parts[pair.second]]
    clusters = [rows for rows in twins.clusters if len({parts[row] for row in rows}) == 1]
    by_doubt: list[Pair] = sorted(inside, key=lambda pair: pair.similarity)
    return {
        "num_clusters": len(clusters),
        "num_pictures": sum(map(len, clusters)),
        "pairs": [
            _described(evidence, pair.first, pair.second, pair.kind, pair.similarity)
            for pair in by_doubt[: MOST_SHOWN // 2]
        ],
    }


def _described(
    evidence: Evidence, first: int, second: int, kind: str, similarity: float
) -> dict[str, Any]:
    own = evidence.catalog
    return {
        "paths": [own.paths[first], own.paths[second]],
        "parts": [evidence.split.parts[first], evidence.split.parts[second]],
        "labels": [own.told(own.labels[row]) or "no label" for row in (first, second)],
        "kind": kind,
        "similarity": round(float(similarity), 4),
    }


def _scenes(evidence: Evidence, nearby: Neighbours) -> dict[str, Any]:
    """Return which judged pictures seem to show a scene that the model knows, and are no copies.

    `num` is 0 where they are so many (`num_alike`) that they may all look alike.
    """
    shown = sorted(nearby.alike.items(), key=lambda own: (-own[1][1], own[0]))
    return {
        "n": nearby.num_judged,
        "num": len(nearby.scenes),
        "num_alike": len(shown),
        "threshold": SAME_SCENE,
        "pairs": [
            _described(evidence, row, other, "scene", cosine)
            for row, (other, cosine) in shown[: MOST_SHOWN // 2]
        ],
    }


def _scene_findings(evidence: Evidence, nearby: Neighbours) -> Iterator[Finding]:
    """Yield that the parts may share scenes, where too many pictures look so to be looked at."""
    if len(nearby.scenes) == len(nearby.alike):
        return
    verb = "has" if len(nearby.alike) == 1 else "have"
    yield Finding(
        kind="scenes",
        severity="warning",
        paths=(),
        sentence=f"{len(nearby.alike)} of {nearby.num_judged} test and validation pictures {verb} "
        "a neighbour in an earlier part as alike as pictures of one scene (features of "
        f"{encode_name(evidence.features_name)} agree to {SAME_SCENE:g} and more): either all "
        "these pictures look alike, or the parts share scenes, which flatters the score.",
        action="look at the pairs in the report; if they show the same scenes, name what belongs "
        "together with --group",
    )


def _groups(evidence: Evidence) -> dict[str, int]:
    """Return how many groups there are that were named or proposed, and the pictures in them."""
    named = [group for group in evidence.catalog.groups if group]
    return {"num": len(set(named)), "num_pictures": len(named)}


def _scores(evidence: Evidence, clean: Sequence[int]) -> dict[str, Any]:
    """Return the main score of all test pictures, and of those that are new to the model."""
    table = evidence.table
    test = evidence.split.rows("test")
    if table is None or table.truth is None or not test:
        return {"score_name": "", "asked": None, "clean": None}
    scored = tally(table.truth, table.predicted, evidence.task)
    groups = evidence.split.groups
    found = {}
    for name, rows in (("asked", test), ("clean", list(clean))):
        kept = grouping([groups[row] for row in rows] if any(groups) else None, num_rows=len(rows))
        own = scored.take(np.asarray(rows, np.int64))
        found[name] = own.estimate(kept, seed=evidence.recipe.seed).as_dict()
    return {"score_name": scored.name, **found}


def summary(found: Mapping[str, Any] | None) -> str:
    """Return what belongs beside the score of a run whose test pictures are not all new; else "".

    >>> half = {"value": 0.5, "low": 0.3, "high": 0.7, "n": 20, "method": "wilson"}
    >>> part = {"test": {"n": 40, "num": 20, "kinds": {"exact": 20}}}
    >>> print(summary({"leaks": part, "score_name": "accuracy", "clean": half}))
    20 test pictures are copies of known ones; on the other 20: accuracy 0.500 [0.300, 0.700].
    """
    if found is None or not found["score_name"] or not found["leaks"]["test"]["num"]:
        return ""
    num, clean = found["leaks"]["test"]["num"], found["clean"]
    text = "1 test picture is a copy of a known one"
    if num > 1:
        text = f"{num} test pictures are copies of known ones"
    if not clean["n"]:
        return f"{text}: not one is new."
    if clean["value"] is None or not np.isfinite(clean["value"]):
        return f"{text}; the other {clean['n']} are too few to say anything."
    share = is_share(found["score_name"])
    keys = ("value", "low", "high") if clean["low"] is not None else ("value",)
    value, *ends = (decimals(clean[key], share=share) for key in keys)
    name = SCORE_NAMES.get(found["score_name"], found["score_name"])
    score = f"{name} {value}" + (f" [{', '.join(ends)}]" if ends else "")
    return f"{text}; on the other {clean['n']}: {score}."
