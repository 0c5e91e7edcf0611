"""Which pictures teach, which choose, and which judge."""

import contextlib
import functools
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from saccade.data.catalog import Catalog
from saccade.data.duplicates import Twins, find_twins, joined_groups
from saccade.data.split_checks import (
    check_drawn,
    check_enough,
    check_fractions,
    check_groups,
    check_training,
    small_classes,
)
from saccade.data.stratify import strata, stratify, units_of
from saccade.data.task import Task, choose_task
from saccade.data.task import targets as targets_of
from saccade.runtime.errors import DataError, listed
from saccade.runtime.seeds import generator
from saccade.runtime.store import encode_name, quoted

PARTS = ("train", "validation", "test")
DRAWN = "drawn"  # begins why a picture is in a part that the user did not give
NEAR_APART = "Pictures that show the same in other bytes were not kept together"
"""Begins the note that says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A part for every row of the catalogue, and why."""

    parts: tuple[str, ...]  # one of PARTS
    groups: tuple[str, ...]  # rows with the same text belong together; "" = alone. Parts that are
    # drawn never tear them; those that the user gave may.
    why: tuple[str, ...]  # "given", "drawn", "with its duplicate", …
    seed: int
    notes: tuple[str, ...] = ()  # sentences for the user

    def rows(self, part: str) -> list[int]:
        """Return the rows of one part, ascending."""
        return [row for row, own in enumerate(self.parts) if own == part]


def make_split(
    catalog: Catalog,
    task: Task,
    targets: NDArray[np.generic],
    *,
    seed: int,
    val_fraction: float = 0.15,
    test_fraction: float = 0.15,
    keep_val: bool = False,
    twins: Twins | None = None,
) -> Split:
    """Return the part of every picture: those given stay, the missing ones are drawn.

    With train and validation given but no test, the given validation part becomes the test part
    (it is what people quote) and validation is drawn from train; `keep_val` leaves it, and draws
    the test part from train. What is drawn is stratified (by class; by label; by tenths of a
    numeric target) and follows from `seed` alone. Copies, near ones too, and user-named groups
    stay together in what is drawn. Nothing moves out of a part that the user gave: copies on two
    sides of given parts are found by `duplicates.leaks`, and said.

    Args:
        catalog: the pictures, with the parts and groups that the user gave.
        task: what is learned.
        targets: as `task.targets` returns them.
        seed: decides what is drawn.
        val_fraction: share for validation where it is drawn, 0-0.5, of what it is drawn from.
        test_fraction: the same for the test part.
        keep_val: leave a given validation part what it is.
        twins: which pictures show the same (of the catalogue as given, where labels were
            corrected); None = those of equal bytes.

    Raises:
        DataError: a class is too small (E351), a part or a class has no training picture (E356),
            some pictures have no part (E357), or named groups straddle given parts (E358).
        UsageError: a fraction is out of range (E261).
    """
    draw = functools.partial(
        _split_of,
        seed=seed,
        val_fraction=val_fraction,
        test_fraction=test_fraction,
        keep_val=keep_val,
    )
    if catalog.given is not None:
        return _as_given(catalog.given, catalog, task, targets, twins=twins, draw=draw)
    return draw(catalog, task, targets, twins=twins)


def _split_of(
    catalog: Catalog,
    task: Task,
    targets: NDArray[np.generic],
    *,
    seed: int,
    val_fraction: float,
    test_fraction: float,
    keep_val: bool,
    twins: Twins | None,
) -> Split:
    """Return the split of a catalogue whose labels are as given; arguments as of `make_split`."""
    check_fractions(val_fraction, test_fraction)
    parts, why, notes = _given(catalog, keep_val=keep_val)
    check_groups(catalog, parts)
    twins = twins or find_twins(catalog, None)
    fractions = _fractions(parts, val_fraction=val_fraction, test_fraction=test_fraction)
    if len(fractions) > 1:
        pool = [row for row, part in enumerate(parts) if part in {"", "train"}]
        groups, said = _together(catalog, task, targets, pool, twins, needed=len(fractions))
        notes += said
        units = units_of(pool, groups)
        dealt = stratify(
            units,
            strata(task, targets),
            fractions=fractions,
            rng=generator(seed, "split"),
            everywhere=task.kind != "regression",
        )
        _deal(catalog, units, dealt, parts=parts, why=why)
        drawn = Counter(parts[row] for row in pool)
        check_drawn(catalog, fractions, drawn)
        notes.append(_drawn_note(fractions, drawn, from_train="train" in catalog.parts))
    else:
        groups = joined_groups(catalog, twins.cluster_N)
    if "" in parts:  # nothing was asked to be drawn
        parts, why = ["train"] * len(parts), [DRAWN] * len(parts)
    check_training(catalog, task, targets, parts)
    return Split(parts=tuple(parts), groups=groups, why=tuple(why), seed=seed, notes=tuple(notes))


def _together(
    catalog: Catalog,
    task: Task,
    targets: NDArray[np.generic],
    pool: Sequence[int],
    twins: Twins,
    *,
    needed: int,
) -> tuple[tuple[str, ...], list[str]]:
    """Return the groups that what is drawn does not tear, and what is to be said of them.

    Where classes would have too few pictures that differ, near copies are let apart: of these
    classes, and of all if that does not do.
    """

    def enough(cluster_N: NDArray[np.int64]) -> tuple[str, ...]:
        groups = joined_groups(catalog, cluster_N)
        check_enough(catalog, task, targets, units=units_of(pool, groups), needed=needed)
        return groups

    with contextlib.suppress(DataError):
        return enough(twins.cluster_N), []
    units, few = units_of(pool, joined_groups(catalog, twins.cluster_N)), "too few that differ"
    small = small_classes(catalog, task, targets, units, needed=needed)
    with contextlib.suppress(DataError):
        named = listed(quoted(name) for name in small)
        note = f"{NEAR_APART} in {named}: they have {few} for a split."
        return enough(_apart_in(small, task, targets, twins)), [note]
    note = f"{NEAR_APART}, for then there would be {few} for a split."
    return enough(twins.exact_cluster_N), [note]


def _apart_in(
    small: Collection[str], task: Task, targets: NDArray[np.generic], twins: Twins
) -> NDArray[np.int64]:
    """Return the clusters of `twins`; of those with pictures of these classes equal bytes alone."""
    numbers = [number for number, name in enumerate(task.classes) if name in small]
    if not numbers:
        return twins.cluster_N
    touched_N = np.isin(twins.cluster_N, twins.cluster_N[np.isin(targets, numbers)])
    return np.where(touched_N, twins.exact_cluster_N, twins.cluster_N)


def _deal(
    catalog: Catalog,
    units: Sequence[Sequence[int]],
    dealt: Sequence[str],
    *,
    parts: list[str],
    why: list[str],
) -> None:
    """Write into `parts` and `why` what was dealt to each unit."""
    for rows, part in zip(units, dealt, strict=True):
        for row in rows:
            was_given = parts[row] == "train" == part
            parts[row] = part
            why[row] = "given" if was_given else _drawn(catalog, row, rows)


def _as_given(
    given: Catalog,
    catalog: Catalog,
    task: Task,
    targets: NDArray[np.generic],
    *,
    twins: Twins | None,
    draw: Callable[..., Split],
) -> Split:
    """Return the split of the catalogue before its labels were corrected.

    Drawn by the new labels it would be another one, and a picture that judged a run could teach
    the next. Labels that no run could have been made of (a class of one picture, misspelt) have
    judged nothing; then it is drawn by the new ones.
    """
    kind: str = "multiclass" if task.kind == "binary" else task.kind  # the strata are the same
    kind = "auto" if given.label_columns else kind
    place = {path: row for row, path in enumerate(given.paths)}
    rows = [place[path] for path in catalog.paths]
    try:
        task_given = choose_task(given, requested=kind)
        split = draw(given, task_given, targets_of(given, task_given), twins=twins)
    except DataError as error:
        split = draw(catalog, task, targets, twins=None if twins is None else twins.only(rows))
        note = f"Parts are drawn by the corrected labels; by those given: {error.message}"
        return replace(split, notes=(*split.notes, note))
    parts = tuple(split.parts[row] for row in rows)
    check_training(catalog, task, targets, parts)
    note = "Every picture is in the part that it was in before its label was corrected."
    changed = any(own != given.labels[row] for own, row in zip(catalog.labels, rows, strict=True))
    return Split(
        parts=parts,
        groups=tuple(split.groups[row] for row in rows),
        why=tuple(split.why[row] for row in rows),
        seed=split.seed,
        notes=(*split.notes, note) if changed else split.notes,
    )


def _given(catalog: Catalog, *, keep_val: bool) -> tuple[list[str], list[str], list[str]]:
    """Return the given parts ("" = to be drawn), the reasons and the sentences about them."""
    parts, given = list(catalog.parts), set(catalog.parts) - {""}
    if not given:
        return parts, [""] * len(parts), []
    without = [catalog.paths[row] for row, part in enumerate(parts) if not part]
    if without:
        raise DataError(
            f"{len(without)} of {len(catalog)} pictures have no part, while others have one: "
            f"{listed(map(encode_name, without))}.",
            code="357",
            where=encode_name(catalog.place),
            fix="write train, val or test for each of them, or for none",
        )
    if "train" not in given:
        raise DataError(
            f"There is no training part, only {listed(sorted(given))}.",
            code="356",
            where=f"{encode_name(catalog.place)} ({catalog.layout})",
            fix="add a train folder, or give the folder of classes below",
        )
    if given == {"train", "validation"} and not keep_val:
        parts = ["test" if part == "validation" else part for part in parts]
        note = (
            "Only train and val were given: val is the test part here, and validation is taken "
            "out of train (--keep-val leaves val as validation)."
        )
        why = ["given as val" if part == "test" else "given" for part in parts]
        return parts, why, [note]
    return parts, ["given"] * len(parts), []


def _fractions(
    parts: Sequence[str], *, val_fraction: float, test_fraction: float
) -> dict[str, float]:
    """Return the parts that are dealt out and their shares; train alone if all were given."""
    given = set(parts)
    wanted = {"validation": val_fraction, "test": test_fraction}
    drawn = {part: share for part, share in wanted.items() if part not in given and share > 0}
    return {"train": 1 - sum(drawn.values()), **drawn}


def _drawn(catalog: Catalog, row: int, rows: Sequence[int]) -> str:
    if len(rows) == 1:
        return DRAWN
    return f"{DRAWN} with its {'group' if catalog.groups[row] else 'copies'}"


def _drawn_note(fractions: dict[str, float], drawn: Mapping[str, int], *, from_train: bool) -> str:
    shares = ", ".join(
        f"{drawn[part]} for {part} ({share:.0%} asked for)" for part, share in fractions.items()
    )
    source = "the given training part" if from_train else "all"
    return f"Drawn from {source} ({sum(drawn.values())} pictures): {shares}."
