"""Groups that nobody named, proposed by folders, names, running numbers and the camera's clock.

A wrong group costs little: pictures that could have been apart stay in one part. A missing one
flatters the score. Still nothing is taken for a group that the pictures themselves do not bear
out, or that would leave a class without enough to split; what was taken and what was not is said.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from saccade.data import decode
from saccade.data.ahead import in_order
from saccade.data.catalog import Catalog, Finding
from saccade.data.grouping import summary
from saccade.data.linking import components, members
from saccade.data.looks import Looks
from saccade.data.near_duplicates import coarse_patterns
from saccade.runtime.errors import DataError, listed
from saccade.runtime.seeds import generator
from saccade.runtime.store import encode_name, quoted

FOLDERS = "folders below the class"
BEGINNINGS = "what file names begin with"
NUMBERS = "running numbers"
CLOCK = "the camera's clock"

LARGEST_SHARE = 0.2  # of all pictures, in one group; one of 15 % fills a test part alone
FEWEST_UNITS = 5  # groups and single pictures of each class: a split and its chance need some
SECONDS_APART = 5.0  # on one camera's clock: then a picture is taken to be of the same scene

NUM_COMPARED = 2_000  # pairs of pictures within groups, and as many across
CERTAIN = 3.0  # standard errors by which pairs within must be more alike than pairs across
ALIKE_BY = 0.05  # and by so much of a correlation
QUANTILE = 0.99
"""Neighbours by number are linked where they are more alike than this share of other pairs."""

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Groups by one sign, or why there are none by it."""

    sign: str  # "folders below the class", …
    groups: tuple[str, ...]  # a text a picture, "" = alone
    why_not: str = ""  # a sentence, where they are not used


def grouped(catalog: Catalog, looks: Looks, *, by_class: bool, threads: int = 0) -> Catalog:
    """Return the catalogue with the groups that are proposed, and a finding that says so."""
    groups, finding = propose(catalog, looks, by_class=by_class, threads=threads)
    return replace(catalog, groups=groups, findings=(*catalog.findings, finding))


def propose(
    catalog: Catalog, looks: Looks, *, by_class: bool, threads: int = 0
) -> tuple[tuple[str, ...], Finding]:
    """Return a group for each picture, "" where it stands alone, and what is to be said of them.

    Args:
        catalog: the pictures; those that lie in different given parts are not put together.
        looks: of the same pictures: within groups they must be more alike than across.
        by_class: whether labels are classes, each of which must stay splittable.
        threads: 0 = one a core.
    """
    alike = _Alike(catalog, looks)
    taken: list[Proposal] = []
    passed: list[Proposal] = []
    for proposal in _judged_all(catalog, alike, by_class=by_class, threads=threads):
        why_not = proposal.why_not
        if not why_not and taken:
            why_not = _too_coarse(catalog, _joined([*taken, proposal]), by_class=by_class)
        if why_not:
            passed.append(replace(proposal, why_not=why_not))
        else:
            taken.append(proposal)
    groups = _within_parts(catalog, _joined(taken)) if taken else ("",) * len(catalog)
    return groups, _said(taken, passed, groups)


def _judged_all(
    catalog: Catalog, alike: "_Alike", *, by_class: bool, threads: int
) -> Iterator[Proposal]:
    """Yield a proposal for each sign that there is at all."""
    for sign, names in (
        (FOLDERS, [_below_class(*own) for own in zip(catalog.paths, catalog.labels, strict=True)]),
        (BEGINNINGS, [_beginning(path) for path in catalog.paths]),
        (NUMBERS, alike.runs()),
        (CLOCK, _bursts(catalog, threads=threads)),
    ):
        if max(Counter(own for own in names if own).values(), default=0) < 2:
            continue
        why_not = ""
        finer = (_by_class(names, catalog.labels),) if by_class else ()  # numbers are no classes
        for own in (tuple(names), *finer):
            why_not = _too_coarse(catalog, own, by_class=by_class)
            if not why_not and not any(_without_single(own)):
                why_not = "no two pictures of one class share one"
            if not why_not and sign in {FOLDERS, BEGINNINGS} and not alike.within(own):
                why_not = "the pictures within are not seen to be more alike than others"
            if not why_not:
                yield Proposal(sign=sign, groups=_without_single(own))
                break
        else:
            yield Proposal(sign=sign, groups=(), why_not=why_not)


def _by_class(names: Sequence[str], labels: Sequence[str]) -> tuple[str, ...]:
    """Return the groups with those of different classes apart."""
    pairs = zip(names, labels, strict=True)
    return tuple(f"{label}/{name}" if name else "" for name, label in pairs)


def _below_class(path: str, label: str) -> str:
    """Return the folders between the class's folder and the file.

    >>> _below_class("train/cat/kitchen/day 1/7.jpg", "cat"), _below_class("cat/7.jpg", "cat")
    ('kitchen/day 1', '')
    """
    folders = path.split("/")[:-1]
    return "/".join(folders[folders.index(label) + 1 :]) if label in folders else ""


def _beginning(path: str) -> str:
    """Return what a file's name says before its last number; "" where it has none.

    >>> _beginning("cat/anna_12-0007.jpg"), _beginning("cat/0007.jpg")
    ('anna_12', '')
    """
    found = re.fullmatch(r"(.*?)[-_ .]*\d+\D*", PurePosixPath(path).stem)
    return found[1] if found else ""


def _number(path: str) -> tuple[str, int] | None:
    """Return folder and name without the last number, and that number.

    >>> _number("cat/IMG_0007.jpg")
    ('cat/IMG_', 7)
    """
    own = PurePosixPath(path)
    found = re.fullmatch(r"(.*?)(\d{1,18})", own.stem)
    return (f"{own.parent}/{found[1]}", int(found[2])) if found else None


def _too_coarse(catalog: Catalog, groups: Sequence[str], *, by_class: bool) -> str:
    """Return why groups cannot be used: one is too large, or a class has too few; else ""."""
    counts = Counter(own for own in groups if own)
    name, most = counts.most_common(1)[0]
    num = len(catalog)
    if most > LARGEST_SHARE * num:
        return f"one of them ({quoted(name)}) would hold {most} of {num} pictures"
    units: defaultdict[str, set[str]] = defaultdict(set)
    for row, group in enumerate(groups):
        units[catalog.labels[row] if by_class else ""].add(group or f"\0{row}")
    label, own = min(units.items(), key=lambda item: len(item[1]))
    if len(own) < FEWEST_UNITS:
        what = f"class {encode_name(label)} would have" if by_class else "there would be"
        return f"{what} only {len(own)} of them"
    return ""


def _without_single(groups: Sequence[str]) -> tuple[str, ...]:
    counts = Counter(groups)
    return tuple(own if counts[own] > 1 else "" for own in groups)


def _joined(proposals: Sequence[Proposal]) -> tuple[str, ...]:
    """Return groups of what any chain of proposals puts together, with the first one's name."""
    num = len(proposals[0].groups)
    pairs = []
    for proposal in proposals:
        first: dict[str, int] = {}
        named = ((row, own) for row, own in enumerate(proposal.groups) if own)
        pairs += [(first.setdefault(own, row), row) for row, own in named]
    smallest = components(num, np.asarray(pairs, np.int64).reshape(-1, 2))
    groups = [""] * num
    for rows in members(smallest):
        texts = (own.groups[row] for own in proposals for row in rows.tolist())
        name = next(text for text in texts if text)
        for row in rows:
            groups[row] = name
    return tuple(groups)


def _within_parts(catalog: Catalog, groups: Sequence[str]) -> tuple[str, ...]:
    """Return the groups without those that parts which the user gave tear apart."""
    parts: defaultdict[str, set[str]] = defaultdict(set)
    for group, part in zip(groups, catalog.parts, strict=True):
        parts[group].add(part)
    return tuple("" if len(parts[own]) > 1 else own for own in groups)


def _said(
    taken: Sequence[Proposal], passed: Sequence[Proposal], groups: tuple[str, ...]
) -> Finding:
    sentences = [f"--group auto: {summary(groups)}."]
    if taken:
        sentences.append(f"They are put together by {listed(own.sign for own in taken)}.")
    sentences += [f"By {own.sign} nothing was grouped: {own.why_not}." for own in passed]
    if not taken and not passed:
        sentences.append(
            "There is no sign of any: no folders below the classes, no numbered names,"
            " no times from a camera."
        )
    return Finding(
        kind="groups",
        severity="note",
        paths=(),
        sentence=" ".join(sentences),
        action="look at the column group of split.csv; what you know better, name with --group",
    )


class _Alike:
    """How alike pictures are, by the coarse patterns of their thumbnails."""

    def __init__(self, catalog: Catalog, looks: Looks) -> None:
        self.catalog = catalog
        self.known = len(looks) > 0
        even_NE, odd_NO = coarse_patterns(looks.thumbs_NHW)
        self.patterns_ND = np.concatenate([even_NE, odd_NO], axis=1)

    def of(self, pairs_P2: Rows) -> np.ndarray:
        """Return the correlation of each pair."""
        first, second = self.patterns_ND[pairs_P2[:, 0]], self.patterns_ND[pairs_P2[:, 1]]
        return np.asarray((first * second).sum(axis=1), np.float64)

    def within(self, groups: Sequence[str]) -> bool:
        """Say whether pictures of a group are more alike than those of one class in other groups.

        Beyond chance, and by more than nothing.
        """
        if not self.known:
            return False
        rows_of: defaultdict[str, list[int]] = defaultdict(list)
        for row, group in enumerate(groups):
            rows_of[group].append(row)
        rows_of.pop("", None)
        inside = [own for rows in rows_of.values() for own in pairwise(rows)]
        of_class: defaultdict[str, list[int]] = defaultdict(list)
        for row, label in enumerate(self.catalog.labels):
            of_class[label].append(row)
        across = self._drawn(list(of_class.values()))
        different = [groups[a] != groups[b] or not groups[a] for a, b in across.tolist()]
        return _is_more(self.of(_some(inside)), self.of(across[different]))

    def runs(self) -> list[str]:
        """Return a name for pictures with numbers in a row that look alike; "" for others."""
        names = [""] * len(self.catalog)
        numbered: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        for row, path in enumerate(self.catalog.paths):
            if (own := _number(path)) is not None:
                numbered[own[0]].append((own[1], row))
        series = [sorted(own) for own in numbered.values()]
        follow = [
            (before[1], after[1])
            for own in series
            for before, after in pairwise(own)
            if after[0] == before[0] + 1
        ]
        if not self.known or not follow:
            return names
        across = self._drawn([[row for _, row in own] for own in series], far=True)
        pairs = np.asarray(follow, np.int64)
        alike, usual = self.of(pairs), self.of(across)
        if not _is_more(alike, usual):
            return names
        linked = pairs[alike > max(float(np.quantile(usual, QUANTILE)), 0.0)]
        for rows in members(components(len(names), linked)):
            first, last = (self.catalog.paths[rows[place]] for place in (0, -1))
            for row in rows:
                names[row] = f"{first} to {PurePosixPath(last).name}"
        return names

    def _drawn(self, sets: Sequence[Sequence[int]], *, far: bool = False) -> Rows:
        """Return pairs of different rows of one set, drawn evenly from all rows.

        Args:
            sets: rows, in some order.
            far: only pairs that lie a quarter of their set apart, or more.
        """
        rng = generator(0, "proposals")
        large = [np.asarray(own, np.int64) for own in sets if len(own) > (4 if far else 1)]
        if not large:
            return np.zeros((0, 2), np.int64)
        sizes = np.array([len(own) for own in large])
        which = rng.choice(len(large), NUM_COMPARED, p=sizes / sizes.sum())
        least = np.maximum(sizes[which] // 4 if far else 1, 1)
        first = rng.integers(sizes[which])
        second = (first + rng.integers(least, sizes[which] - least + 1)) % sizes[which]
        rows = np.concatenate(large)
        begin = np.concatenate([[0], np.cumsum(sizes)])[which]
        return np.stack([rows[begin + first], rows[begin + second]], axis=1)


def _some(pairs: Sequence[tuple[int, int]]) -> Rows:
    """Return at most NUM_COMPARED of the pairs, evenly."""
    step = -(-len(pairs) // NUM_COMPARED) or 1
    return np.asarray(pairs[::step], np.int64).reshape(-1, 2)


def _is_more(inside: np.ndarray, across: np.ndarray) -> bool:
    """Say whether one mean is larger than the other, beyond chance and by more than nothing."""
    if min(len(inside), len(across)) < 2:
        return False
    error = math.sqrt(inside.var(ddof=1) / len(inside) + across.var(ddof=1) / len(across))
    return bool(inside.mean() - across.mean() > max(ALIKE_BY, CERTAIN * error))


def _bursts(catalog: Catalog, *, threads: int) -> list[str]:
    """Return a name for pictures that one camera took a few seconds apart; "" for others."""
    rows = range(len(catalog))

    def taken_at(row: int) -> tuple[str, float] | None:
        try:
            return decode.taken_at(catalog.read(row))
        except DataError:  # gone since the scan: then it has no time
            return None

    moments = list(in_order(taken_at, rows, threads=threads))
    known = sorted((own, row) for row, own in enumerate(moments) if own is not None)
    close = [
        (before[1], after[1])
        for before, after in pairwise(known)
        if before[0][0] == after[0][0] and after[0][1] - before[0][1] <= SECONDS_APART
    ]
    names = [""] * len(catalog)
    for rows_together in members(
        components(len(names), np.asarray(close, np.int64).reshape(-1, 2))
    ):
        first = min(moments[row] or ("", 0.0) for row in rows_together)
        moment = datetime.fromtimestamp(first[1], tz=UTC).strftime("%Y-%m-%d %H:%M:%S")
        for row in rows_together:
            names[row] = f"{first[0]} {moment}".strip()
    return names
