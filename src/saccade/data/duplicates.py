"""Pictures that show the same: they must not be on both sides of a split."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from saccade.data.catalog import Catalog
from saccade.data.linking import components, members
from saccade.data.looks import Looks
from saccade.data.near_duplicates import (
    MAX_PICTURES,
    NearPairs,
    chosen,
    find_near_pairs,
    no_pairs,
)

COPIES = "same:"  # begins the name of a group that nobody named: of pictures that show the same
KINDS = ("exact", "re-encoded", "cropped", "mirrored")

MIN_SIDE_PX = 32
"""Pictures with a shorter side hold less than a thumbnail; they are compared by their bytes alone:
two handwritten digits of 8 pixels can be equal, and were written by two people."""

LARGEST_CLUSTER = 10
LARGEST_SHARE = 0.1
"""A cluster of more pictures than both the number and the share of all is no set of copies: it is
one scene, or a kind of picture (X-rays, product shots) of which all look alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two pictures that show the same."""

    first: int  # row of the catalogue
    second: int
    kind: str  # one of KINDS: what was done to one of them
    similarity: float  # 0 to 1; 1 for equal bytes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Twins:
    """Which pictures of a catalogue show the same, and how that was found out."""

    exact: tuple[tuple[int, ...], ...]  # rows of equal bytes, two or more each
    near: NearPairs  # between the first ones of them and all others
    cluster_N: NDArray[np.int64]  # the smallest row that any chain of pairs links to
    too_large: tuple[tuple[int, ...], ...] = ()  # clusters of near pairs that were not believed
    num_small: int = 0  # pictures that were too small to be compared
    why_not: str = ""  # a sentence, where only bytes were compared

    @property
    def clusters(self) -> list[NDArray[np.int64]]:
        """Rows that show the same, two or more each, ascending."""
        return members(self.cluster_N)

    @property
    def exact_cluster_N(self) -> NDArray[np.int64]:
        """As `cluster_N`, of equal bytes alone."""
        return components(len(self.cluster_N), _chained(self.exact))

    def only(self, rows: Sequence[int]) -> "Twins":
        """Return the same of some of the pictures; what a missing one linked stays linked."""
        kept = np.asarray(rows, np.int64)
        new = np.full(len(self.cluster_N), -1)
        new[kept] = np.arange(len(kept))
        exact = [tuple(int(new[row]) for row in own if new[row] >= 0) for own in self.exact]
        large = [tuple(int(new[row]) for row in own if new[row] >= 0) for own in self.too_large]
        there = np.asarray((new[self.near.pairs_P2] >= 0).all(axis=1), np.bool_)
        near = chosen(self.near, there)
        _, first, place = np.unique(self.cluster_N[kept], return_index=True, return_inverse=True)
        return replace(
            self,
            exact=tuple(own for own in exact if len(own) > 1),
            near=replace(near, pairs_P2=new[near.pairs_P2]),
            cluster_N=first[place],
            too_large=tuple(own for own in large if own),
        )

    def pairs(self) -> Iterator[Pair]:
        """Yield what was seen: equal bytes, then the near pairs, the most alike first."""
        for first, second in _chained(self.exact).tolist():
            yield Pair(first=first, second=second, kind="exact", similarity=1.0)
        near = self.near
        kinds = np.where(near.mirrored_P, 3, np.where(near.moved_P, 2, 1))
        for place in np.argsort(-near.similarity_P, kind="stable").tolist():
            first, second = near.pairs_P2[place].tolist()
            yield Pair(
                first=first,
                second=second,
                kind=KINDS[int(kinds[place])],
                similarity=float(near.similarity_P[place]),
            )


def exact_duplicates(hashes: Sequence[str]) -> list[tuple[int, ...]]:
    """Return the groups of rows whose bytes are equal, each of two or more, in order.

    >>> exact_duplicates(["a", "b", "a", "c"])
    [(0, 2)]
    """
    rows_of: defaultdict[str, list[int]] = defaultdict(list)
    for row, own in enumerate(hashes):
        rows_of[own].append(row)
    return [tuple(rows) for rows in rows_of.values() if len(rows) > 1]


def find_twins(catalog: Catalog, looks: Looks | None, *, threads: int = 0) -> Twins:
    """Return which pictures show the same: by their bytes, and by their looks where there are any.

    Args:
        catalog: N pictures.
        looks: of the same pictures; None or empty = their bytes alone are compared.
        threads: 0 = one a core.
    """
    exact = tuple(exact_duplicates(catalog.hashes))
    num = len(catalog)
    cluster_N = components(num, _chained(exact))
    if looks is None or not len(looks):
        why = "only their bytes were compared, for their pixels were not looked at"
        return Twins(exact=exact, near=no_pairs(), cluster_N=cluster_N, why_not=why)
    if num > MAX_PICTURES:
        why = f"only their bytes were compared, for there are more than {MAX_PICTURES:,} of them"
        return Twins(exact=exact, near=no_pairs(), cluster_N=cluster_N, why_not=why)
    large = np.minimum(catalog.widths_px, catalog.heights_px) >= MIN_SIDE_PX
    usable = large & (cluster_N == np.arange(num))
    near = find_near_pairs(looks.thumbs_NHW, usable, threads=threads)
    near, too_large = _without_large(near, num)
    return Twins(
        exact=exact,
        near=near,
        cluster_N=components(num, np.concatenate([_chained(exact), near.pairs_P2])),
        too_large=too_large,
        num_small=int((~large).sum()),
    )


def with_pairs(twins: Twins, more: NearPairs) -> Twins:
    """Return the same with near pairs that were found in another way.

    Those are not believed that touch, or would make, a cluster which is too large.
    """
    num, old = len(twins.cluster_N), twins.near
    more = chosen(more, _believed(twins, more.pairs_P2))
    if not len(more.pairs_P2):
        return twins
    near = replace(
        old,
        pairs_P2=np.concatenate([old.pairs_P2, more.pairs_P2]),
        similarity_P=np.concatenate([old.similarity_P, more.similarity_P]),
        mirrored_P=np.concatenate([old.mirrored_P, more.mirrored_P]),
        moved_P=np.concatenate([old.moved_P, more.moved_P]),
    )
    cluster_N = components(num, np.concatenate([_links(twins), more.pairs_P2]))
    return replace(twins, near=near, cluster_N=cluster_N)


def _links(twins: Twins) -> NDArray[np.int64]:
    """Return pairs that link each row with the first of its cluster."""
    return np.stack([np.arange(len(twins.cluster_N)), twins.cluster_N], axis=1)


def _believed(twins: Twins, pairs_P2: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which further pairs touch no cluster that is too large, and make none."""
    num, exact_N = len(twins.cluster_N), twins.exact_cluster_N
    together_N = components(num, np.concatenate([_links(twins), pairs_P2]))
    passed = [row for rows in twins.too_large for row in rows]
    for rows in members(together_N):
        if len(np.unique(exact_N[rows])) > _most(num):  # equal bytes count once
            passed += rows.tolist()
    return np.asarray(~np.isin(pairs_P2, passed).any(axis=1), np.bool_)


def _most(num: int) -> float:
    """Return how many of `num` pictures a cluster may have and be one of copies."""
    return max(LARGEST_CLUSTER, LARGEST_SHARE * num)


def _chained(groups: Iterable[Sequence[int]]) -> NDArray[np.int64]:
    """Return pairs that link each group: its first row with each of the others."""
    found = [(rows[0], row) for rows in groups for row in rows[1:]]
    return np.asarray(found, np.int64).reshape(-1, 2)


def _without_large(near: NearPairs, num: int) -> tuple[NearPairs, tuple[tuple[int, ...], ...]]:
    """Return the near pairs outside of clusters that are too large, and these clusters."""
    cluster_N = components(num, near.pairs_P2)
    too_large = [rows for rows in members(cluster_N) if len(rows) > _most(num)]
    if not too_large:
        return near, ()
    kept = ~np.isin(cluster_N[near.pairs_P2[:, 0]], [rows[0] for rows in too_large])
    return chosen(near, kept), tuple(tuple(rows.tolist()) for rows in too_large)


def joined_groups(catalog: Catalog, cluster_N: NDArray[np.int64]) -> tuple[str, ...]:
    """Return a group for every row, such that copies and user-named groups stay together.

    Rows that are linked through any chain of clusters and equal group names share one name; a
    row that is linked to nothing has "".

    Args:
        catalog: with the groups that the user named.
        cluster_N: the smallest row that shows the same, as in `Twins`.
    """
    named: dict[str, int] = {}
    pairs = [
        (named.setdefault(group, row), row) for row, group in enumerate(catalog.groups) if group
    ]
    pairs += [(int(first), row) for row, first in enumerate(cluster_N) if first != row]
    smallest = components(len(catalog), np.asarray(pairs, np.int64).reshape(-1, 2))
    groups = list(catalog.groups)
    for rows in members(smallest):
        name = _group_name(catalog, rows.tolist())
        for row in rows:
            groups[row] = name
    return tuple(groups)


def _group_name(catalog: Catalog, rows: Sequence[int]) -> str:
    given = sorted({catalog.groups[row] for row in rows} - {""})
    return "+".join(given) if given else f"{COPIES}{catalog.hashes[rows[0]][:12]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """A picture that judges, and one that the model may have learned or been chosen by."""

    judged: int  # row of a test or validation picture
    known: int  # row of a picture that shows the same, in an earlier part
    kind: str  # one of KINDS
    similarity: float


def leaks(twins: Twins, parts: Sequence[str]) -> list[Leak]:
    """Return one leak for each test picture whose like is in train or validation, and so on.

    Test pictures first; a validation picture leaks where its like is in train. Named is the most
    alike of those that were compared; where only a chain links it, the first of the chain, with
    the similarity of the weaker end.

    Args:
        twins: of the same pictures.
        parts: "train", "validation" or "test" of each.
    """
    order = {"train": 0, "validation": 1, "test": 2}
    rank = [order[part] for part in parts]
    direct: dict[int, Leak] = {}
    best: dict[int, Pair] = {}  # the pair in which each row is most alike to another
    for pair in twins.pairs():
        for row in (pair.first, pair.second):
            best.setdefault(row, pair)
        known, judged = sorted((pair.first, pair.second), key=lambda row: (rank[row], row))
        if rank[judged] > rank[known]:
            direct.setdefault(judged, _leak(judged, known, pair))
    exact_N = twins.exact_cluster_N
    for rows in twins.clusters:
        known = min(rows.tolist(), key=lambda row: (rank[row], row))
        for row in rows.tolist():
            if rank[row] > rank[known] and row not in direct:
                links = [best[one] for one in (row, known) if one in best]
                if exact_N[row] == exact_N[known]:
                    kind, weakest = "exact", 1.0
                elif links:
                    kind, weakest = links[0].kind, min(own.similarity for own in links)
                else:  # what linked them was left out by a correction
                    kind, weakest = "re-encoded", float(twins.near.threshold)
                direct[row] = Leak(judged=row, known=known, kind=kind, similarity=weakest)
    return sorted(direct.values(), key=lambda own: (-rank[own.judged], -own.similarity, own.judged))


def _leak(judged: int, known: int, pair: Pair) -> Leak:
    return Leak(judged=judged, known=known, kind=pair.kind, similarity=pair.similarity)


def clean_test_rows(twins: Twins, parts: Sequence[str]) -> list[int]:
    """Return the test rows of which nothing like them is in train or validation, ascending."""
    known = {int(own) for own, part in zip(twins.cluster_N, parts, strict=True) if part != "test"}
    return [
        row
        for row, part in enumerate(parts)
        if part == "test" and int(twins.cluster_N[row]) not in known
    ]


def kind_counts(found: Iterable[Leak | Pair]) -> str:
    """Return how many there are of each kind, in words.

    >>> kind_counts([Pair(first=0, second=1, kind="exact", similarity=1.0)] * 2)
    '2 exact'
    """
    counts = Counter(own.kind for own in found)
    return ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if counts[kind])
