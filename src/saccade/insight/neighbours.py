"""The pictures that a network finds most like each judged one: copies, and others of one scene."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from saccade.data.catalog import Catalog
from saccade.data.duplicates import MIN_SIDE_PX, Twins
from saccade.data.looks import Looks
from saccade.data.near_duplicates import NearPairs, find_among, no_pairs
from saccade.data.split import Split
from saccade.runtime.machine import pieces_of, rows_of

NUM_NEAREST = 3  # of each judged picture, that are compared with it
MOST_COMPARED = 5_000  # pairs, the nearest first
BLOCK, KNOWN_BLOCK = 1024, 4096  # pictures that are held to each other at a time

MOST_EXACT = 20_000
"""Known pictures up to which each judged one is held to all of them. Of more, in the leading axes
first, and in all only to the `SHORTLIST` that are nearest there."""
AXES, SHORTLIST = 128, 16
FEW_BLOCK = 128  # pictures whose shortlists are looked at together: 10 MB of 1,280 features
SAMPLE = 4_096  # pictures that the axes are found by

SAME_SCENE = 0.78
"""Cosine of features, less their mean, from which two pictures seem to be of one scene.

Source: measured with mobilenetv2_100 on 1,000 flowers: the five pairs above were taken by one
photographer each, of one scene; the next two show different flowers. Of 397 ants and bees none is
above 0.65."""

MOST_SCENES = 0.1
"""Of the judged pictures: with more, all pictures look alike, or the parts were torn out of scenes.
Which of the two, features cannot tell, so nothing is put together by them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Neighbours:
    """What lies near the judged pictures in the space of features, in an earlier part."""

    copies: NearPairs  # that the thumbnails bear out, and that were not known
    similarity_P: np.ndarray  # of all thumbnails that were compared
    num_judged: int
    alike: Mapping[int, tuple[int, float]] = field(default_factory=dict)
    """Judged row -> a known row as alike as those of one scene, no copy, and the cosine."""

    @property
    def scenes(self) -> Mapping[int, tuple[int, float]]:
        """`alike`, where it is of one scene that they speak; empty where they are too many."""
        return self.alike if len(self.alike) <= MOST_SCENES * self.num_judged else {}


def neighbours(
    catalog: Catalog,
    split: Split,
    looks: Looks,
    twins: Twins,
    *,
    features_ND: np.ndarray | None,
) -> Neighbours:
    """Return what the features find near the test and validation pictures in earlier parts.

    Nothing where there are no features.

    Args:
        catalog: N pictures.
        split: their parts.
        looks: their thumbnails.
        twins: the copies that are known already.
        features_ND: what a frozen network says of them; None = nothing.
    """
    judged = _rows(split, "test", "validation")
    nothing = np.zeros(0, np.float32)
    if features_ND is None or not len(judged):
        return Neighbours(copies=no_pairs(), similarity_P=nothing, num_judged=len(judged))
    pairs_P2, cosine_P = _nearest(split, features_ND)
    cluster = twins.cluster_N[pairs_P2]
    new = cluster[:, 0] != cluster[:, 1]
    pairs_P2, cosine_P = pairs_P2[new], cosine_P[new]
    short_px = np.minimum(catalog.widths_px, catalog.heights_px)
    large = (short_px[pairs_P2] >= MIN_SIDE_PX).all(axis=1)
    order = np.argsort(-cosine_P[large], kind="stable")[:MOST_COMPARED]
    copies, similarity_P = find_among(
        looks.thumbs_NHW, pairs_P2[large][order], threshold=twins.near.threshold
    )
    copied = {frozenset(pair) for pair in copies.pairs_P2.tolist()}
    alike: dict[int, tuple[int, float]] = {}
    for pair, cosine in zip(pairs_P2.tolist(), cosine_P.tolist(), strict=True):
        row, other = pair
        if cosine >= SAME_SCENE and frozenset(pair) not in copied:
            alike[row] = max(alike.get(row, (other, cosine)), (other, cosine), key=lambda p: p[1])
    return Neighbours(copies=copies, similarity_P=similarity_P, num_judged=len(judged), alike=alike)


def _rows(split: Split, *parts: str) -> np.ndarray:
    """Return the rows of some parts, ascending, int64."""
    return np.asarray(sorted(row for part in parts for row in split.rows(part)), np.int64)


def _nearest(split: Split, features_ND: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs of a judged row and one of those nearest in earlier parts, and their cosines."""
    total_D = sum(piece.sum(axis=0, dtype=np.float64) for piece in pieces_of(features_ND))
    mean_D = (total_D / len(features_ND)).astype(np.float32)

    def directions(rows: np.ndarray) -> np.ndarray:
        apart_BD: np.ndarray = rows_of(features_ND, rows) - mean_D
        apart_BD /= np.sqrt((apart_BD * apart_BD).sum(axis=1, keepdims=True)) + 1e-9
        return apart_BD

    pairs, cosines = [np.zeros((0, 2), np.int64)], [np.zeros(0)]
    rough = _in_leading_axes(len(features_ND), directions)
    for part, before in (("test", ("train", "validation")), ("validation", ("train",))):
        known, own = _rows(split, *before), _rows(split, part)
        for rows in np.array_split(own, -(-len(own) // BLOCK)) if len(own) and len(known) else ():
            if len(known) <= MOST_EXACT:
                near, alike = _best(rows, known, directions)
            else:
                few, _ = _best(rows, known, rough(), num=SHORTLIST)
                near, alike = _best_of_few(rows, few, directions)
            pairs.append(np.stack([np.repeat(rows, near.shape[1]), near.ravel()], axis=1))
            cosines.append(alike.ravel())
    return np.concatenate(pairs), np.concatenate(cosines)


Look = Callable[[np.ndarray], np.ndarray]
"""From rows to a vector each, whose product is a cosine."""


def _in_leading_axes(num: int, directions: Look) -> Callable[[], Look]:
    """Return a function that gives the N directions in their `AXES` leading axes, made once.

    What is left out is little of each product: they are the axes in which pictures differ most.
    """

    @functools.cache
    def look() -> Look:
        some_SD = directions(np.linspace(0, num - 1, min(num, SAMPLE)).astype(np.int64))
        _, axes_DD = np.linalg.eigh((some_SD.T @ some_SD).astype(np.float64))
        axes_DR = axes_DD[:, -AXES:].astype(np.float32)
        starts = range(0, num, KNOWN_BLOCK)
        table_NR = np.empty((num, axes_DR.shape[1]), np.float32)
        for own in starts:
            piece = np.arange(own, min(own + KNOWN_BLOCK, num))
            table_NR[piece] = directions(piece) @ axes_DR
        return lambda rows: table_NR[rows]

    return look


def _best_of_few(
    rows: np.ndarray, few_BS: np.ndarray, directions: Look
) -> tuple[np.ndarray, np.ndarray]:
    """Return the same as `_best`, where each row has known rows of its own to be held to."""
    cosines_BS = np.empty(few_BS.shape, np.float32)
    for start in range(0, len(rows), FEW_BLOCK):
        piece = slice(start, start + FEW_BLOCK)
        others_BSD = directions(few_BS[piece].ravel()).reshape(*few_BS[piece].shape, -1)
        cosines_BS[piece] = np.einsum("bd,bsd->bs", directions(rows[piece]), others_BSD)
    best = _largest(cosines_BS, NUM_NEAREST)
    near, alike = (np.take_along_axis(table, best, axis=1) for table in (few_BS, cosines_BS))
    return near, alike


def _best(
    rows: np.ndarray, known: np.ndarray, directions: Look, *, num: int = NUM_NEAREST
) -> tuple[np.ndarray, np.ndarray]:
    """Return the known rows nearest to each of `rows` (B, up to `num`), and their cosines."""
    own = directions(rows)
    near, alike = np.zeros((len(rows), 0), np.int64), np.zeros((len(rows), 0), own.dtype)
    for start in range(0, len(known), KNOWN_BLOCK):
        piece = known[start : start + KNOWN_BLOCK]
        new = own @ directions(piece).T
        best = _largest(new, num)
        found = np.concatenate([alike, np.take_along_axis(new, best, axis=1)], axis=1)
        names = np.concatenate([near, piece[best]], axis=1)
        best = _largest(found, num)
        near, alike = (np.take_along_axis(table, best, axis=1) for table in (names, found))
    return near, alike


def _largest(table: np.ndarray, num: int) -> np.ndarray:
    """Return the places of the `num` largest numbers of each row, in no order."""
    num = min(num, table.shape[1])
    return np.argpartition(table, -num, axis=1)[:, -num:]
