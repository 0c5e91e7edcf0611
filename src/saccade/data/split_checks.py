"""What a split must have: a picture of each class for each part, and groups in one part each."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from saccade.data.catalog import Catalog
from saccade.data.task import Task, absent_classes
from saccade.runtime.errors import MAX_LISTED, DataError, UsageError, command, listed
from saccade.runtime.store import encode_name, quoted, readable_name


def check_fractions(val_fraction: float, test_fraction: float) -> None:
    """Raise a UsageError (E261) where a fraction is out of range."""
    for name, value in (("val_fraction", val_fraction), ("test_fraction", test_fraction)):
        if not 0 <= value <= 0.5 or val_fraction + test_fraction >= 1:
            raise UsageError(
                f"{name} is {value:g}; it must lie between 0 and 0.5, and leave something to "
                "learn from.",
                code="261",
                where=f"--{name.replace('_', '-')}",
                fix="0.15 is usual",
            )


def check_groups(catalog: Catalog, parts: Sequence[str]) -> None:
    """Raise a DataError (E358) where a named group lies in several of the given parts."""
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


def check_drawn(catalog: Catalog, fractions: Mapping[str, float], drawn: Mapping[str, int]) -> None:
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


class TooSmall(DataError):
    """Some classes have too few pictures for a split."""

    classes: tuple[str, ...] = ()  # these, where two or more are left without them


def check_enough(
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
    small = small_classes(catalog, task, targets, units, needed=needed)
    if small:
        num_classes = len({*task.classes, *_absent(catalog, task)})
        raise _too_small(catalog, small, num_classes=num_classes, needed=needed)


def small_classes(
    catalog: Catalog,
    task: Task,
    targets: NDArray[np.generic],
    units: Sequence[Sequence[int]],
    *,
    needed: int,
) -> dict[str, int]:
    """Return the classes of which fewer units than `needed` have a picture, and how many have."""
    if task.kind not in {"binary", "multiclass"}:
        return {}
    counts = Counter(dict.fromkeys((*task.classes, *_absent(catalog, task)), 0))
    for rows in units:
        counts.update({task.classes[int(targets[row])] for row in rows})
    return {name: count for name, count in sorted(counts.items()) if count < needed}


def _absent(catalog: Catalog, task: Task) -> Sequence[str]:
    return absent_classes(catalog, task, (*catalog.lost_labels, *catalog.undrawn_labels))


def _too_small(
    catalog: Catalog, small: dict[str, int], *, num_classes: int, needed: int
) -> TooSmall:
    named = listed(f"{quoted(name)} ({count})" for name, count in small.items())
    passed = [own for own in catalog.skipped if own.reason not in {"hidden", "outside"}]
    reasons = Counter(own.reason for own in passed)
    why = ", ".join(f"{num} {reason}" for reason, num in reasons.items())
    bad = f", {len(passed)} not usable ({why}): {listed(encode_name(own.path) for own in passed)}"
    with_copies = set(catalog.hashes) - {""}
    alike = len(with_copies) < len(catalog) or any(catalog.groups)
    counted = " (copies and groups count as one)" if alike else ""
    leave_out = ""
    if len(small) <= min(MAX_LISTED, num_classes - 2):
        flag = command("--exclude", ",".join(map(encode_name, small)))
        leave_out = f", or leave them out with {flag}"
    same = {name.casefold().strip(): name for name in catalog.labels if name not in small}
    meant = [f"'{same[key]}'" for name in small if (key := name.casefold().strip()) in same]
    if meant:
        leave_out += f"; write {listed(map(encode_name, meant))} if that is meant"
    kind = "training images" if "train" in catalog.parts else "images"
    have = "has" if len(small) == 1 else "have"
    error = TooSmall(
        f"{len(small)} of {num_classes} classes {have} fewer than {needed} readable {kind}"
        f"{counted}: {named}; a split needs at least {needed} each.",
        code="351",
        where=f"{encode_name(catalog.place)} ({catalog.num_files} files seen"
        f"{bad if passed else ''})",
        fix=f"add images to these classes{leave_out}",
    )
    if num_classes - len(small) >= 2:
        error.classes = tuple(small)
    return error


def check_training(
    catalog: Catalog, task: Task, targets: NDArray[np.generic], parts: Sequence[str]
) -> None:
    """Raise a DataError (E356) where a class has no training picture."""
    if task.kind not in {"binary", "multiclass"}:
        return
    taught = {int(target) for target, part in zip(targets, parts, strict=True) if part == "train"}
    absent = [name for number, name in enumerate(task.classes) if number not in taught]
    if absent:
        raise DataError(
            f"{len(absent)} of {len(task.classes)} classes have no training picture: "
            f"{listed(map(readable_name, absent))}.",
            code="356",
            where=f"{encode_name(catalog.place)} ({catalog.layout})",
            fix="add training pictures of these classes, or leave them out with "
            + command("--exclude", ",".join(map(encode_name, absent[:MAX_LISTED]))),
        )
