"""Which pictures teach, which choose, and which judge."""

import functools
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from saccade.data.catalog import Catalog
from saccade.data.duplicates import Twins, find_twins, joined_groups
from saccade.data.stratify import strata, stratify
from saccade.data.task import Task, absent_classes, choose_task
from saccade.data.task import targets as targets_of
from saccade.runtime.errors import MAX_LISTED, DataError, UsageError, command, listed
from saccade.runtime.seeds import generator
from saccade.runtime.store import encode_name

PARTS = ("train", "validation", "test")
DRAWN = "drawn"  # begins why a picture is in a part that the user did not give
NEAR_APART = (
    "Pictures that show the same in other bytes were not kept together, for then a class would "
    "have too few that differ for a split."
)


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
        twins=twins,
    )
    if catalog.given is not None:
        return _as_given(catalog.given, catalog, task, targets, draw=draw)
    return draw(catalog, task, targets)


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
    _check_fractions(val_fraction, test_fraction)
    parts, why, notes = _given(catalog, keep_val=keep_val)
    _check_groups(catalog, parts)
    twins = twins or find_twins(catalog, None)
    groups = joined_groups(catalog, twins.cluster_N)
    fractions = _fractions(parts, val_fraction=val_fraction, test_fraction=test_fraction)
    if len(fractions) > 1:
        pool = [row for row, part in enumerate(parts) if part in {"", "train"}]
        groups, said = _together(catalog, task, targets, pool, twins, needed=len(fractions))
        notes += said
        units = _units(pool, groups)
        dealt = stratify(
            units,
            strata(task, targets),
            fractions=fractions,
            rng=generator(seed, "split"),
            everywhere=task.kind != "regression",
        )
        _deal(catalog, units, dealt, parts=parts, why=why)
        drawn = Counter(parts[row] for row in pool)
        _check_drawn(catalog, fractions, drawn)
        notes.append(_drawn_note(fractions, drawn, from_train="train" in catalog.parts))
    elif "" in parts:  # nothing was asked to be drawn
        parts, why = ["train"] * len(parts), [DRAWN] * len(parts)
    _check_training(catalog, task, targets, parts)
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
    """Return the groups that what is drawn does not tear, and what is to be said of them."""
    enough = functools.partial(_check_enough, catalog, task, targets, needed=needed)
    groups = joined_groups(catalog, twins.cluster_N)
    try:
        enough(units=_units(pool, groups))
    except DataError:
        groups = joined_groups(catalog, twins.exact_cluster_N)
        enough(units=_units(pool, groups))
        return groups, [NEAR_APART]
    return groups, []


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
    draw: Callable[[Catalog, Task, NDArray[np.generic]], Split],
) -> Split:
    """Return the split of the catalogue before its labels were corrected.

    Drawn by the new labels it would be another one, and a picture that judged a run could teach
    the next.
    """
    kind: str = "multiclass" if task.kind == "binary" else task.kind  # the strata are the same
    kind = "auto" if given.label_columns else kind
    task_given = choose_task(given, requested=kind)
    split = draw(given, task_given, targets_of(given, task_given))
    place = {path: row for row, path in enumerate(given.paths)}
    rows = [place[path] for path in catalog.paths]
    parts = tuple(split.parts[row] for row in rows)
    _check_training(catalog, task, targets, parts)
    note = "Labels were corrected; every picture is in the part that it was in before."
    return Split(
        parts=parts,
        groups=tuple(split.groups[row] for row in rows),
        why=tuple(split.why[row] for row in rows),
        seed=split.seed,
        notes=(*split.notes, note),
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


def _units(pool: Sequence[int], groups: Sequence[str]) -> list[list[int]]:
    """Return the rows that stay together, one list a group, single rows alone."""
    units: dict[str | int, list[int]] = {}
    for row in pool:
        units.setdefault(groups[row] or row, []).append(row)
    return list(units.values())


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


def _check_fractions(val_fraction: float, test_fraction: float) -> None:
    for name, value in (("val_fraction", val_fraction), ("test_fraction", test_fraction)):
        if not 0 <= value <= 0.5 or val_fraction + test_fraction >= 1:
            raise UsageError(
                f"{name} is {value:g}; it must lie between 0 and 0.5, and leave something to "
                "learn from.",
                code="261",
                where=f"--{name.replace('_', '-')}",
                fix="0.15 is usual",
            )


def _check_groups(catalog: Catalog, parts: Sequence[str]) -> None:
    parts_of: defaultdict[str, set[str]] = defaultdict(set)
    for group, part in zip(catalog.groups, parts, strict=True):
        if group:
            parts_of[group].add(part)
    torn = sorted(group for group, own in parts_of.items() if len(own) > 1)
    if torn:
        raise DataError(
            f"{len(torn)} of {len(parts_of)} groups lie in more than one of the given parts: "
            f"{listed(map(encode_name, torn))}.",
            code="358",
            where=encode_name(catalog.place),
            fix="mend the column of parts, or remove it: parts drawn here keep groups together",
        )


def _check_drawn(
    catalog: Catalog, fractions: Mapping[str, float], drawn: Mapping[str, int]
) -> None:
    """Check that every part that was asked for has a picture; large groups can fill the others."""
    empty = [part for part in fractions if not drawn[part]]
    if empty:
        raise DataError(
            f"No picture was left for {listed(empty)}: groups stay together, and they are few or "
            "large.",
            code="351",
            where=encode_name(catalog.place),
            fix="name smaller groups, add pictures, or give the parts yourself",
        )


def _check_enough(
    catalog: Catalog,
    task: Task,
    targets: NDArray[np.generic],
    *,
    units: Sequence[Sequence[int]],
    needed: int,
) -> None:
    """Check that each class has a picture for each part, copies and groups counting as one."""
    if len(units) < needed:
        raise DataError(
            f"There are {len(units)} pictures (copies and groups count as one), and a split into "
            f"{needed} parts needs {needed} at least.",
            code="351",
            where=encode_name(catalog.place),
            fix="add pictures",
        )
    if task.kind not in {"binary", "multiclass"}:
        return
    absent = absent_classes(catalog, task, (*catalog.lost_labels, *catalog.undrawn_labels))
    counts = Counter(dict.fromkeys((*task.classes, *absent), 0))
    for rows in units:
        counts.update({task.classes[int(targets[row])] for row in rows})
    small = {name: count for name, count in sorted(counts.items()) if count < needed}
    if small:
        raise _too_small(catalog, small, num_classes=len(counts), needed=needed)


def _too_small(
    catalog: Catalog, small: dict[str, int], *, num_classes: int, needed: int
) -> DataError:
    named = listed(f"'{encode_name(name)}' ({count})" for name, count in small.items())
    passed = [own for own in catalog.skipped if own.reason not in {"hidden", "outside"}]
    bad = f", {len(passed)} not usable: {listed(encode_name(own.path) for own in passed)}"
    with_copies = set(catalog.hashes) - {""}
    alike = len(with_copies) < len(catalog) or any(catalog.groups)
    counted = " (copies and groups count as one)" if alike else ""
    leave_out = ""
    if len(small) <= min(MAX_LISTED, num_classes - 2):
        flag = command("--exclude", ",".join(map(encode_name, small)))
        leave_out = f", or leave them out with {flag}"
    kind = "training images" if "train" in catalog.parts else "images"
    return DataError(
        f"{len(small)} of {num_classes} classes have fewer than {needed} readable {kind}{counted}: "
        f"{named}; a split needs at least {needed} each.",
        code="351",
        where=f"{encode_name(catalog.place)} ({catalog.num_files} files seen"
        f"{bad if passed else ''})",
        fix=f"add images to these classes{leave_out}",
    )


def _check_training(
    catalog: Catalog, task: Task, targets: NDArray[np.generic], parts: Sequence[str]
) -> None:
    if task.kind not in {"binary", "multiclass"}:
        return
    taught = {int(target) for target, part in zip(targets, parts, strict=True) if part == "train"}
    absent = [name for number, name in enumerate(task.classes) if number not in taught]
    if absent:
        raise DataError(
            f"{len(absent)} of {len(task.classes)} classes have no training picture: "
            f"{listed(map(encode_name, absent))}.",
            code="356",
            where=f"{encode_name(catalog.place)} ({catalog.layout})",
            fix="add training pictures of these classes, or leave them out with --exclude "
            f"{','.join(map(encode_name, absent[:5]))}",
        )
