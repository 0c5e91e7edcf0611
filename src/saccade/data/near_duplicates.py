"""Pictures that show the same, though their bytes differ: found by their thumbnails.

Two steps. Candidates are pairs whose thumbnails agree in the coarse pattern of bright and dark,
straight or mirrored; all pairs are asked, in blocks, by one matrix product each. Each candidate is
then aligned (`alignment.fit`), and what decides is how well the details agree. Measured recall and
false pairs: docs/duplicates.md.
"""

import functools
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from saccade.data import alignment
from saccade.data.ahead import in_order
from saccade.data.linking import components
from saccade.data.looks import THUMB_PX
from saccade.runtime.machine import one_blas_thread

Floats = np.ndarray  # float32
Rows = NDArray[np.int64]

THRESHOLDS = (0.85, 0.90, 0.95, 0.98)
"""Similarity from which a pair is taken for the same picture; a higher one where look-alikes come
close to the lower. Source: measured (docs/duplicates.md): of 3,000 copies of photographs that were
re-encoded, resized, cropped by 5 % or mirrored 99.6 % are found; of the 12.5 million pairs of 5,000
pictures of CIFAR-10 19 lie above, of which one does not show the same."""

GRAY_ZONE = 0.10
MOST_IN_GRAY_ZONE = 10
"""Copies stand apart from look-alikes: a threshold is too low where more pairs, and more than so
many, lie within GRAY_ZONE below it than above it, as with handwritten digits."""

MIN_DETAIL = 1.5
"""Standard deviation of a thumbnail's details, in gray levels of 255, below which it says nothing:
a black frame, a plain wall, a sky. Source: the least of 1,397 photographs is 1.75; re-encoding and
resizing change details by 0.1 to 0.4 (median), which in plain pictures is all there is."""

COARSE = 8  # frequencies across and down that describe the coarse pattern
MIN_ALIKE = 0.73
"""Correlation of the coarse patterns from which a pair is a candidate. Source: measured: 99.1 % of
1,200 copies cropped by 5 % lie above, and of the pairs of different photographs one in 5,000
(flowers) to one in 80,000 (ants and bees)."""

BLOCK = 1024  # rows and columns of a matrix product
MOST_CANDIDATES = 2_000_000  # kept, the most alike: 40 MB, twice that in between
PAIRS = 64  # aligned at a time: what they take stays in a core's cache
ROUND = 2_048  # pairs after which it is seen what is linked by now
FEWEST_ALIGNED, ALIGNED_A_PICTURE = 5_000, 2
"""At most so many pairs are aligned, the most alike first, so that time grows with the pictures."""

SAMPLE = 1_000  # of the others, to know how close look-alikes come

MOVED = (0.015, 0.01)
"""Stretch and shift (a share of the side) above which a copy was cropped. Source: measured: of
1,200 copies only re-encoded or resized none lies above, of 1,200 cropped by 5 % none below."""

MAX_PICTURES = 250_000
"""More are not compared pair by pair, which grows as the square of their number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NearPairs:
    """Pairs of rows that show the same, and what was compared to find them."""

    pairs_P2: Rows  # rows, the smaller first
    similarity_P: Floats  # 0 to 1
    mirrored_P: NDArray[np.bool_]
    moved_P: NDArray[np.bool_]  # cropped or shifted, not only re-encoded
    threshold: float  # what a similarity had to reach; above 1 where no threshold separates
    compared_C: Floats  # similarity of every candidate that was aligned
    num_candidates: int  # before they were limited
    num_plain: int  # pictures that show too little to be compared


def no_pairs() -> NearPairs:
    """Return what is found where nothing is compared."""
    return NearPairs(
        pairs_P2=np.zeros((0, 2), np.int64),
        similarity_P=np.zeros(0, np.float32),
        mirrored_P=np.zeros(0, np.bool_),
        moved_P=np.zeros(0, np.bool_),
        threshold=THRESHOLDS[0],
        compared_C=np.zeros(0, np.float32),
        num_candidates=0,
        num_plain=0,
    )


def chosen(near: NearPairs, kept_P: NDArray[np.bool_]) -> NearPairs:
    """Return some of the pairs."""
    return replace(
        near,
        pairs_P2=near.pairs_P2[kept_P],
        similarity_P=near.similarity_P[kept_P],
        mirrored_P=near.mirrored_P[kept_P],
        moved_P=near.moved_P[kept_P],
    )


def find_near_pairs(
    thumbs_NHW: NDArray[np.uint8], usable_N: NDArray[np.bool_], *, threads: int = 0
) -> NearPairs:
    """Return the pairs of pictures that are the same but for encoding, size, rim or side.

    Takes 0.4 s of a core for 5,000 pictures, 4 s for 20,000 and 30 s for 60,000. Follows from the
    thumbnails alone, whatever the number of threads.

    Args:
        thumbs_NHW: of `Looks`.
        usable_N: which may be compared; of exact copies one is enough.
        threads: 0 = one a core.
    """
    enough = alignment.detail_contrast(thumbs_NHW) >= MIN_DETAIL
    rows = np.flatnonzero(usable_N & enough)
    with one_blas_thread():  # the threads here are enough
        found = _candidates(thumbs_NHW[rows], threads=threads)
        place, fit, weight = _aligned_in_turn(thumbs_NHW, rows, found, threads=threads)
    threshold = separating(fit.similarity_P, weight)
    same = fit.similarity_P >= threshold
    return NearPairs(
        pairs_P2=rows[found.pairs_C2[place]][same],
        similarity_P=fit.similarity_P[same],
        mirrored_P=found.mirrored_C[place][same],
        moved_P=is_moved(fit)[same],
        threshold=threshold,
        compared_C=fit.similarity_P,
        num_candidates=found.num,
        num_plain=int((usable_N & ~enough).sum()),
    )


def find_among(
    thumbs_NHW: NDArray[np.uint8], pairs_P2: Rows, *, threshold: float, threads: int = 0
) -> tuple[NearPairs, Floats]:
    """Return those of the pairs that show the same, straight or mirrored; and all similarities.

    For pairs that something else than the thumbnails brought together.

    Args:
        thumbs_NHW: of all pictures.
        pairs_P2: rows, in any order.
        threshold: similarity from which they do.
        threads: 0 = one a core.
    """
    pairs_P2 = np.sort(pairs_P2, axis=1)
    enough = (alignment.detail_contrast(thumbs_NHW)[pairs_P2] >= MIN_DETAIL).all(axis=1)
    pairs_P2 = pairs_P2[enough]
    num = len(pairs_P2)
    both = np.concatenate([pairs_P2, pairs_P2])
    mirrored = np.arange(2 * num) >= num
    with one_blas_thread():
        fit = aligned(thumbs_NHW, both, mirrored, threads=threads)
    place = np.arange(num) + num * (fit.similarity_P[num:] > fit.similarity_P[:num])
    similarity_P = fit.similarity_P[place]
    near = NearPairs(
        pairs_P2=pairs_P2,
        similarity_P=similarity_P,
        mirrored_P=mirrored[place],
        moved_P=is_moved(fit)[place],
        threshold=threshold,
        compared_C=similarity_P,
        num_candidates=num,
        num_plain=0,
    )
    return chosen(near, similarity_P >= threshold), similarity_P


def separating(similarity_P: Floats, weight_P: NDArray[np.float64] | None = None) -> float:
    """Return the lowest of THRESHOLDS that separates copies from look-alikes; inf if none does.

    Args:
        similarity_P: of candidates.
        weight_P: how many candidates each one stands for; None = itself alone.

    >>> copies, photographs = np.full(40, 0.99), np.linspace(0, 0.8, 500)
    >>> separating(np.concatenate([copies, photographs]))
    0.85
    >>> separating(np.linspace(0.6, 0.9, 500))  # such as handwritten digits
    inf
    """
    weight = np.ones(len(similarity_P)) if weight_P is None else weight_P
    for threshold in THRESHOLDS:
        above = weight[similarity_P >= threshold].sum()
        near = weight[similarity_P >= threshold - GRAY_ZONE].sum() - above
        if near <= max(above, MOST_IN_GRAY_ZONE):
            return threshold
    return math.inf


def aligned(
    thumbs_NHW: NDArray[np.uint8],
    pairs_P2: Rows,
    mirrored_P: NDArray[np.bool_],
    *,
    threads: int = 0,
) -> alignment.Fit:
    """Return how well the second picture of each pair can be laid on the first.

    Args:
        thumbs_NHW: of all pictures.
        pairs_P2: rows.
        mirrored_P: which are laid mirrored.
        threads: 0 = one a core.
    """

    def work(start: int) -> alignment.Fit:
        some = slice(start, start + PAIRS)
        moved = thumbs_NHW[pairs_P2[some, 1]]
        mirrored = mirrored_P[some]
        moved[mirrored] = moved[mirrored][:, :, ::-1]
        return alignment.fit(moved, thumbs_NHW[pairs_P2[some, 0]])

    fits = list(in_order(work, range(0, len(pairs_P2), PAIRS), threads=threads))
    return alignment.joined(fits)


def is_moved(fit: alignment.Fit) -> NDArray[np.bool_]:
    """Return which pairs show the same from a little nearer, or beside it."""
    stretched = (np.abs(fit.stretch_P2 - 1) > MOVED[0]).any(axis=1)
    shifted = (np.abs(fit.shift_P2) > MOVED[1]).any(axis=1)
    return np.asarray(stretched | shifted, np.bool_)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidates:
    """Pairs of equal coarse patterns, the most alike first."""

    pairs_C2: Rows
    mirrored_C: NDArray[np.bool_]
    num: int  # before they were limited


def _aligned_in_turn(
    thumbs_NHW: NDArray[np.uint8], rows: Rows, found: _Candidates, *, threads: int
) -> tuple[Rows, alignment.Fit, NDArray[np.float64]]:
    """Return which candidates were aligned, how they fit, and how many each one stands for.

    Pairs that a chain of all but equal ones links by then are passed over, so that a thousand
    frames of one scene do not take the turns of all others. Of those that get no turn some are
    aligned all the same, evenly drawn, to know how close look-alikes come.
    """
    most = max(FEWEST_ALIGNED, ALIGNED_A_PICTURE * len(rows))
    waiting = np.arange(len(found.pairs_C2))
    linked = np.zeros((0, 2), np.int64)
    chosen: list[Rows] = []
    fits: list[alignment.Fit] = []
    while len(waiting) and most > 0:
        own, waiting = waiting[: min(ROUND, most)], waiting[min(ROUND, most) :]
        most -= len(own)
        pairs = found.pairs_C2[own]
        fit = aligned(thumbs_NHW, rows[pairs], found.mirrored_C[own], threads=threads)
        chosen.append(own)
        fits.append(fit)
        linked = np.concatenate([linked, pairs[fit.similarity_P >= THRESHOLDS[-1]]])
        if len(waiting):
            cluster = components(len(rows), linked)[found.pairs_C2[waiting]]
            waiting = waiting[cluster[:, 0] != cluster[:, 1]]
    weights = [np.ones(sum(len(own) for own in chosen))]
    if len(waiting):
        some = waiting[:: -(-len(waiting) // SAMPLE)]
        pairs, mirrored = found.pairs_C2[some], found.mirrored_C[some]
        fits.append(aligned(thumbs_NHW, rows[pairs], mirrored, threads=threads))
        chosen.append(some)
        weights.append(np.full(len(some), len(waiting) / len(some)))
    where = np.concatenate([np.zeros(0, np.int64), *chosen])
    return where, alignment.joined(fits), np.concatenate(weights)


def _candidates(thumbs_NHW: NDArray[np.uint8], *, threads: int) -> _Candidates:
    """Return the pairs whose coarse patterns agree, straight or mirrored.

    Mirroring turns the sign of what is odd across and leaves the rest, so that the products of
    the even and the odd numbers give the correlation both ways: their sum and their difference.
    """
    even_NE, odd_NO = coarse_patterns(thumbs_NHW)
    num = len(thumbs_NHW)
    starts = range(0, num, BLOCK)
    lowest = np.full(1, MIN_ALIKE, np.float32)

    def work(corner: tuple[int, int]) -> tuple[Rows, Floats, int]:
        top, left = corner
        alike = odd_NO[top : top + BLOCK] @ odd_NO[left : left + BLOCK].T
        np.abs(alike, out=alike)
        alike += even_NE[top : top + BLOCK] @ even_NE[left : left + BLOCK].T
        places = np.flatnonzero(alike >= MIN_ALIKE)
        pairs = np.stack(np.divmod(places, alike.shape[1]), axis=1) + corner
        upper = pairs[:, 0] < pairs[:, 1]
        values = alike.ravel()[places[upper]]
        good = values >= lowest[0]
        return pairs[upper][good], values[good], len(values)

    corners = [(top, left) for top in starts for left in starts if left >= top]
    held, num_held, total = [(np.zeros((0, 2), np.int64), np.zeros(0, np.float32))], 0, 0
    for pairs, values, count in in_order(work, corners, threads=threads):
        held.append((pairs, values))
        num_held, total = num_held + len(values), total + count
        if num_held > 2 * MOST_CANDIDATES:
            held, num_held = [_most_alike(held)], MOST_CANDIDATES
            lowest[0] = held[0][1][-1]
    pairs_C2, _ = _most_alike(held)
    mirrored = np.zeros(len(pairs_C2), np.bool_)
    for start in range(0, len(pairs_C2), BLOCK):
        first, second = pairs_C2[start : start + BLOCK].T
        mirrored[start : start + BLOCK] = (odd_NO[first] * odd_NO[second]).sum(axis=1) < 0
    return _Candidates(pairs_C2=pairs_C2, mirrored_C=mirrored, num=total)


def _most_alike(held: list[tuple[Rows, Floats]]) -> tuple[Rows, Floats]:
    pairs, values = (np.concatenate(own) for own in zip(*held, strict=True))
    best = np.argsort(-values, kind="stable")[:MOST_CANDIDATES]
    return pairs[best], values[best]


def coarse_patterns(thumbs_NHW: NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """Return the low frequencies of thumbnails, those even and those odd across, (N, ·) each.

    Of a cosine transform; each is weighed by its frequency, for in pictures the lowest hold most
    and say least. Together they have the length 1.
    """
    waves, weight, even = _cosines()
    found = np.empty((len(thumbs_NHW), int((weight > 0).sum())), np.float32)
    for start in range(0, len(found), BLOCK):
        spectrum = waves @ thumbs_NHW[start : start + BLOCK].astype(np.float32) @ waves.T
        found[start : start + BLOCK] = (spectrum * weight)[:, weight > 0]
    found /= np.sqrt((found * found).sum(axis=1, keepdims=True)) + np.float32(1e-6)
    return np.ascontiguousarray(found[:, even]), np.ascontiguousarray(found[:, ~even])


@functools.cache
def _cosines() -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return the waves, the weight of each frequency (0: left out), and which are even across."""
    number, place = np.arange(COARSE)[:, None], np.arange(THUMB_PX)
    waves = np.cos(np.pi * (place + 0.5) * number / THUMB_PX)
    size = np.hypot(number, number.T)
    weight = np.where(size < COARSE, size, 0)
    across = np.broadcast_to(number.T, weight.shape)
    waves[0] /= math.sqrt(2)
    return waves.astype(np.float32), weight.astype(np.float32), across[weight > 0] % 2 == 0
