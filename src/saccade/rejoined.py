"""The split, once more: of which pictures only a network sees that they belong together.

Parts are drawn before a network is asked anything. What it finds alike beyond them is laid side by
side as any candidates are (`insight.neighbours`): copies, and pictures of one scene. With
`--group auto` they come into the earliest of their parts, before the network learns. Without it
they stay, and what leaks is a severe finding. Then the parts follow from the data, the seed and
the near copies that are seen on the canvases. Networks with the same canvas (size, crop, `--fit`)
have the same test part; others have it too where their canvases show the same near copies, and
else may have quite another one.

Which pictures move does not depend on what they are, but that no class may lose its last picture of
a part. The answers of the test part stay under seal.
"""

from dataclasses import replace

import numpy as np

from saccade.data import grouping
from saccade.data.duplicates import COPIES, Twins, joined_groups, with_pairs
from saccade.data.linking import components
from saccade.data.near_duplicates import chosen
from saccade.data.rejoining import rejoin
from saccade.data.sealed import Sealed
from saccade.data.split import DRAWN, NEAR_APART, Split
from saccade.insight.neighbours import SAME_SCENE, Neighbours, neighbours
from saccade.lesson import Lesson
from saccade.reporting.wording import plural

SCENE = "scene:"  # begins the name of a group that nobody named: of one scene, no copies
MOST_ROUNDS = 5  # what has moved can be the like of another; two were never needed
MOST_MOVED = 0.2
"""Of the test and validation pictures. Where more would have to move, what belongs together is the
rule and not the exception, and should be known before parts are drawn."""


def rejoined(lesson: Lesson, features_ND: np.ndarray, *, name: str) -> Lesson:
    """Return the lesson with drawn pictures in one part with those that a network sees as alike.

    The same lesson without `--group auto`, where nothing was drawn or found, or where near copies
    could not be kept together for want of pictures.

    Args:
        lesson: the data and its split, sealed or not.
        features_ND: what a frozen network says of every picture.
        name: which network.
    """
    drawn = any(why.startswith(DRAWN) for why in lesson.split.why)
    auto = lesson.recipe.group == grouping.AUTO
    let_apart = any(note.startswith(NEAR_APART) for note in lesson.split.notes)
    if not auto or not drawn or let_apart:
        return lesson
    begun, num_copies, num_scenes = lesson, 0, 0
    for _ in range(MOST_ROUNDS):
        found = neighbours(
            lesson.catalog, lesson.split, lesson.looks, lesson.twins, features_ND=features_ND
        )
        after = _joined(lesson, found)
        if after.split.parts == lesson.split.parts:
            break
        lesson = after
        num_copies += len(found.copies.pairs_P2)
        num_scenes += len(found.scenes)
    moved = _num_apart(begun.split, lesson.split)
    if not moved:
        return begun
    what = _words(name, num_copies, num_scenes)
    num_judged = sum(part != "train" for part in begun.split.parts)
    if moved > MOST_MOVED * num_judged:
        note = (
            f"{what} Together they would take {moved} of {num_judged} test and validation pictures "
            "away, so they were left; name what belongs together with --group."
        )
        return replace(begun, split=replace(begun.split, notes=(*begun.split.notes, note)))
    note = (
        f"{what} With all that belongs to them {plural(moved, 'picture')} moved into the earlier "
        "part."
    )
    return replace(lesson, split=replace(lesson.split, notes=(*lesson.split.notes, note)))


def _joined(lesson: Lesson, found: Neighbours) -> Lesson:
    """Return the lesson after one look at what is alike."""
    catalog, split = lesson.catalog, lesson.split
    scenes_P2 = np.array(
        [(row, other) for row, (other, _) in found.scenes.items()], np.int64
    ).reshape(-1, 2)
    groups = _grouped(lesson, with_pairs(lesson.twins, found.copies), scenes_P2)
    touched = {int(row) for row in np.concatenate([found.copies.pairs_P2, scenes_P2]).ravel()}
    given = catalog.given_labels  # a correction moves no picture
    labels = given if lesson.task.kind in {"binary", "multiclass"} else ("",) * len(catalog)
    after = rejoin(split, groups, labels, touched=touched)
    kept = [after.groups[row] if own.startswith(SCENE) else "" for row, own in enumerate(groups)]
    together_P = [
        after.groups[row] == after.groups[other] != "" for row, other in found.copies.pairs_P2
    ]
    targets = lesson.targets
    if isinstance(targets, Sealed):
        targets = targets.narrowed(after.rows("test"))
    pairs = zip(kept, catalog.groups, strict=True)
    return replace(
        lesson,
        catalog=replace(catalog, groups=tuple(own or before for own, before in pairs)),
        split=after,
        twins=with_pairs(lesson.twins, chosen(found.copies, np.array(together_P, np.bool_))),
        targets=targets,
    )


def _grouped(lesson: Lesson, twins: Twins, scenes_P2: np.ndarray) -> tuple[str, ...]:
    """Return the groups with those that scenes link; a group with a scene in it is told by name."""
    num = len(lesson.catalog)
    linked = np.stack([np.arange(num), twins.cluster_N], axis=1)
    cluster_N = components(num, np.concatenate([linked, scenes_P2]))
    groups = list(joined_groups(lesson.catalog, cluster_N))
    of_scenes = {groups[row] for row in scenes_P2.ravel()}
    return tuple(own.replace(COPIES, SCENE) if own in of_scenes else own for own in groups)


def _num_apart(one: Split, other: Split) -> int:
    return sum(own != new for own, new in zip(one.parts, other.parts, strict=True))


def _words(name: str, copies: int, scenes: int) -> str:
    """Say what was found.

    >>> print(_words("net", 1, 2))
    --group auto: features of net find 1 copy and 2 of one scene (from 0.78) across drawn parts.
    """
    kinds = [plural(copies, "copy", "copies")] if copies else []
    kinds += [f"{scenes} of one scene (from {SAME_SCENE:g})"] if scenes else []
    return f"--group auto: features of {name} find {' and '.join(kinds)} across drawn parts."
