"""Parts, once more: where it turned out after they were drawn that pictures belong together."""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace

from saccade.data.split import DRAWN, PARTS, Split


def rejoin(
    split: Split, groups: Sequence[str], labels: Sequence[str], *, touched: Collection[int]
) -> Split:
    """Return the split with each drawn picture in the earliest part that its group lies in.

    So what was dealt out to judge is judged by no longer where an earlier part shows the same.
    Pictures of parts that the user gave stay where they are, and so does a group without which a
    part would have no picture of a class, which it had. Such a group is none: its rows keep the
    groups that they had.

    Args:
        split: as it was drawn.
        groups: rows with the same text belong together; "" = alone.
        labels: the class of every row; where labels are no classes, the same for all.
        touched: rows of which something new was found; groups without one are left alone.
    """
    parts, why, kept = list(split.parts), list(split.why), list(split.groups)
    left = Counter(zip(labels, parts, strict=True))
    rows_of: defaultdict[str, list[int]] = defaultdict(list)
    for row, group in enumerate(groups):
        rows_of[group].append(row)
    rows_of.pop("", None)
    for rows in rows_of.values():
        if not any(row in touched for row in rows):
            continue
        earliest = min((parts[row] for row in rows), key=PARTS.index)
        moving = [row for row in rows if parts[row] != earliest and why[row].startswith(DRAWN)]
        taken = Counter((labels[row], parts[row]) for row in moving)
        if any(left[own] == num for own, num in taken.items()):
            continue
        for row in moving:
            left[labels[row], parts[row]] -= 1
            left[labels[row], earliest] += 1
            parts[row], why[row] = earliest, f"{DRAWN} with its like"
        if all(parts[row] == earliest for row in rows):
            for row in rows:
                kept[row] = groups[row]
    return replace(split, parts=tuple(parts), groups=tuple(kept), why=tuple(why))
