"""The pictures that a network finds most like each judged one: copies, and others of one scene."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from saccade.data.duplicates import MIN_SIDE_PX, Twins
from saccade.data.near_duplicates import NearPairs, find_among, no_pairs
from saccade.insight.evidence import Evidence

NUM_NEAREST = 3  # of each judged picture, that are compared with it
MOST_COMPARED = 5_000  # pairs, the nearest first
BLOCK = 512  # judged pictures at a time, so that memory stays flat

SAME_SCENE = 0.78
"""Cosine of features, less their mean, from which two pictures seem to be of one scene.

Source: measured with mobilenetv2_100 on 1,000 flowers: the five pairs above were taken by one
photographer each, of one scene; the next two show different flowers. Of 397 ants and bees none is
above 0.65."""

MOST_SCENES = 0.1
"""Of the judged pictures: with more, all pictures look alike, and scenes cannot be told by it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Neighbours:
    """What lies near the judged pictures in the space of features, in an earlier part."""

    copies: NearPairs  # that the thumbnails bear out, and that were not known
    similarity_P: np.ndarray  # of all thumbnails that were compared
    num_judged: int
    scenes: Mapping[int, tuple[int, float]] = field(default_factory=dict)
    """Judged row -> a known row of what seems to be the same scene, no copy, and the cosine."""
    why_not: str = ""  # a sentence, where nothing can be said of scenes


def neighbours(evidence: Evidence, twins: Twins) -> Neighbours:
    """Return what the features find near the test and validation pictures in earlier parts.

    Nothing where there are no features.

    Args:
        evidence: with features and looks.
        twins: the copies that are known already.
    """
    judged = evidence.rows("test", "validation")
    nothing = np.zeros(0, np.float32)
    if evidence.features_ND is None or not len(judged):
        why_not = "there are no features to compare by"
        return Neighbours(
            copies=no_pairs(), similarity_P=nothing, num_judged=len(judged), why_not=why_not
        )
    pairs_P2, cosine_P = _nearest(evidence, evidence.features_ND, judged)
    cluster = twins.cluster_N[pairs_P2]
    new = cluster[:, 0] != cluster[:, 1]
    pairs_P2, cosine_P = pairs_P2[new], cosine_P[new]
    short_px = np.minimum(evidence.catalog.widths_px, evidence.catalog.heights_px)
    large = (short_px[pairs_P2] >= MIN_SIDE_PX).all(axis=1)
    order = np.argsort(-cosine_P[large], kind="stable")[:MOST_COMPARED]
    copies, similarity_P = find_among(
        evidence.looks.thumbs_NHW, pairs_P2[large][order], threshold=twins.near.threshold
    )
    copied = {frozenset(pair) for pair in copies.pairs_P2.tolist()}
    scenes: dict[int, tuple[int, float]] = {}
    for pair, cosine in zip(pairs_P2.tolist(), cosine_P.tolist(), strict=True):
        row, other = pair
        if cosine >= SAME_SCENE and frozenset(pair) not in copied:
            scenes[row] = max(scenes.get(row, (other, cosine)), (other, cosine), key=lambda p: p[1])
    why_not = ""
    if len(scenes) > MOST_SCENES * len(judged):
        why_not = f"{len(scenes)} of {len(judged)} have such a neighbour: all look alike"
        scenes = {}
    return Neighbours(
        copies=copies,
        similarity_P=similarity_P,
        num_judged=len(judged),
        scenes=scenes,
        why_not=why_not,
    )


def _nearest(
    evidence: Evidence, features_ND: np.ndarray, judged: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs of a judged row and one of those nearest in earlier parts, and their cosines."""
    centred = features_ND - features_ND.mean(axis=0)
    centred /= np.sqrt((centred * centred).sum(axis=1, keepdims=True)) + 1e-9
    pairs, cosines = [np.zeros((0, 2), np.int64)], [np.zeros(0)]
    for part, before in (("test", ("train", "validation")), ("validation", ("train",))):
        known, own = evidence.rows(*before), evidence.rows(part)
        num = min(NUM_NEAREST, len(known))
        for start in range(0, len(own) if num else 0, BLOCK):
            rows = own[start : start + BLOCK]
            alike = centred[rows] @ centred[known].T
            best = np.argpartition(-alike, num - 1, axis=1)[:, :num]
            pairs.append(np.stack([np.repeat(rows, num), known[best].ravel()], axis=1))
            cosines.append(np.take_along_axis(alike, best, axis=1).ravel())
    return np.concatenate(pairs), np.concatenate(cosines)
