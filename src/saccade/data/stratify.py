"""Dealing pictures out to parts so that every part is like the whole."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from saccade.data.task import Task

QUANTILES = 10  # a numeric target is cut into tenths, fewer where there are few pictures
MIN_IN_QUANTILE = 7  # of which one is 14 %, close to the usual 15 % for a part


def strata(task: Task, targets: NDArray[np.generic]) -> list[tuple[int, ...]]:
    """Return for each picture the numbers of the strata it belongs to.

    Classes are one stratum each; labels one each, with one more for pictures without any; a
    numeric target is cut into tenths of equal size.
    """
    if task.kind == "multilabel":
        none = (targets.shape[1],)
        return [tuple(np.flatnonzero(row).tolist()) or none for row in targets]
    if task.kind == "regression":
        bins = max(1, min(QUANTILES, len(targets) // MIN_IN_QUANTILE))
        ranks = np.empty(len(targets), dtype=np.int64)
        ranks[np.argsort(targets, kind="stable")] = np.arange(len(targets))
        return [(int(rank * bins // len(targets)),) for rank in ranks]
    return [(int(number),) for number in targets.tolist()]


def units_of(rows: Iterable[int], groups: Sequence[str]) -> list[list[int]]:
    """Return the rows that stay together, a list a group; a row whose group is "" is alone.

    >>> units_of([0, 2, 3, 5], ["a", "b", "", "a", "b", ""])
    [[0, 3], [2], [5]]
    """
    units: dict[str | int, list[int]] = {}
    for row in rows:
        units.setdefault(groups[row] or row, []).append(row)
    return list(units.values())


def stratify(
    units: Sequence[Sequence[int]],
    strata_of: Sequence[tuple[int, ...]],
    *,
    fractions: Mapping[str, float],
    rng: np.random.Generator,
    everywhere: bool = True,
) -> list[str]:
    """Return a part for every unit of rows that must stay together.

    The rarest stratum is dealt out first, its largest units first, each to the part that still
    lacks most of it. A stratum of as many units as there are parts, or more, is in every part; the
    units of rarer ones go where most pictures are lacking, whatever they show, for else all of
    them would go to the largest part. For single pictures with one label this is ordinary
    stratification; for several labels it is iterative stratification.

    Source: K. Sechidis, G. Tsoumakas, I. Vlahavas (2011), On the stratification of multi-label
    data, ECML PKDD.

    Args:
        units: rows that stay together.
        strata_of: strata of every row.
        fractions: share of each part, adding up to 1; the first part takes what is left over.
        rng: decides which unit goes where.
        everywhere: whether a stratum should be in every part at all: classes and labels should,
            tenths of a number, which a few large groups may make up, need not.
    """
    weights = [Counter(own for row in rows for own in strata_of[row]) for rows in units]
    units_of: defaultdict[int, list[int]] = defaultdict(list)
    for number in rng.permutation(len(units)).tolist():
        for stratum in weights[number]:
            units_of[stratum].append(number)
    sizes = [len(rows) for rows in units]
    lacks = {
        stratum: _wanted(
            sum(weights[own][stratum] for own in members), len(members), fractions, everywhere
        )
        for stratum, members in units_of.items()
    }
    rare = {own for own, members in units_of.items() if len(members) < len(fractions)}
    turn = dict(zip(sorted(rare), rng.permutation(len(rare)).tolist(), strict=True))
    total_lack = {part: share * sum(sizes) for part, share in fractions.items()}
    held: defaultdict[int, Counter[str]] = defaultdict(Counter)
    part_of: dict[int, str] = {}
    for stratum in sorted(units_of, key=lambda own: (len(units_of[own]), turn.get(own, own))):
        waiting = [number for number in units_of[stratum] if number not in part_of]
        waiting.sort(key=lambda number: -weights[number][stratum])
        for left, number in zip(range(len(waiting), 0, -1), waiting, strict=True):
            bare = [part for part in fractions if not held[stratum][part]]
            needed = everywhere and bare and left <= len(bare) and stratum not in rare
            choice = bare if needed else list(fractions)
            lack = dict.fromkeys(fractions, 0.0) if stratum in rare else lacks[stratum]
            part = max(choice, key=lambda own: (lack[own], total_lack[own]))
            part_of[number] = part
            total_lack[part] -= sizes[number]
            for own, count in weights[number].items():
                lacks[own][part] -= count
                held[own][part] += 1
    return [part_of[number] for number in range(len(units))]


def _wanted(
    num_rows: int, num_units: int, fractions: Mapping[str, float], everywhere: bool
) -> dict[str, float]:
    """Return how many rows of a stratum each part should get: whole numbers, one at least."""
    first, *others = fractions
    if not everywhere or num_units < len(fractions):
        return {part: share * num_rows for part, share in fractions.items()}
    wanted: dict[str, float] = {part: max(1, round(fractions[part] * num_rows)) for part in others}
    return {first: num_rows - sum(wanted.values()), **wanted}
