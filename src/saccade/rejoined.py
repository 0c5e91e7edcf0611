"""The split, once more: of which pictures only a network sees that they belong together.

Parts are drawn before a network is asked anything. What it finds alike beyond them is laid side by
side as any candidates are (`insight.neighbours`): copies, and with `--group auto` pictures of one
scene too. They come into the earliest of their parts before anything is learned from them. No
answer plays a part in which pictures move, so the test part's stay under seal.
"""

from dataclasses import replace

import numpy as np

from saccade.data import grouping
from saccade.data.duplicates import COPIES, joined_groups, with_pairs
from saccade.data.linking import components
from saccade.data.rejoining import rejoin
from saccade.data.sealed import Sealed
from saccade.data.split import DRAWN, NEAR_APART
from saccade.insight.neighbours import SAME_SCENE, Neighbours, neighbours
from saccade.lesson import Lesson
from saccade.reporting.wording import plural

SCENE = "scene:"  # begins the name of a group that nobody named: of one scene, no copies

MOST_ROUNDS = 5  # what has moved can be the like of another; two were never needed


def rejoined(lesson: Lesson, features_ND: np.ndarray, *, name: str) -> Lesson:
    """Return the lesson with drawn pictures in one part with those that a network sees as alike.

    The same lesson where nothing was drawn, nothing found, or where near copies could not be kept
    together for want of pictures.

    Args:
        lesson: the data and its split, sealed or not.
        features_ND: what a frozen network says of every picture.
        name: which network.
    """
    drawn = any(why.startswith(DRAWN) for why in lesson.split.why)
    if not drawn or NEAR_APART in lesson.split.notes:
        return lesson
    for _ in range(MOST_ROUNDS):
        found = neighbours(
            lesson.catalog, lesson.split, lesson.looks, lesson.twins, features_ND=features_ND
        )
        after = _joined(lesson, found, name)
        if after.split.parts == lesson.split.parts:
            break
        lesson = after
    return lesson


def _joined(lesson: Lesson, found: Neighbours, name: str) -> Lesson:
    """Return the lesson after one look at what is alike."""
    catalog, split = lesson.catalog, lesson.split
    twins = with_pairs(lesson.twins, found.copies)
    scenes = [(row, other) for row, (other, _) in found.scenes.items()]
    if lesson.recipe.group != grouping.AUTO:
        scenes = []
    linked = [(int(first), row) for row, first in enumerate(twins.cluster_N)]
    cluster_N = components(len(catalog), np.asarray([*linked, *scenes], np.int64))
    by_class = lesson.task.kind in {"binary", "multiclass"}
    labels = catalog.labels if by_class else ("",) * len(catalog)
    groups = list(joined_groups(catalog, cluster_N))
    for row in {row for pair in scenes for row in pair}:
        groups[row] = groups[row].replace(COPIES, SCENE)
    after = rejoin(split, groups, labels)
    moved = [row for row, part in enumerate(split.parts) if after.parts[row] != part]
    if not moved:
        return lesson
    of_scenes = len({row for pair in scenes for row in pair}.intersection(moved))
    note = f"Features of {name} find " + _words(len(moved) - of_scenes, of_scenes)
    targets = lesson.targets
    if isinstance(targets, Sealed):
        targets = targets.narrowed(after.rows("test"))
    return replace(
        lesson, split=replace(after, notes=(*after.notes, note)), twins=twins, targets=targets
    )


def _words(copies: int, scenes: int) -> str:
    """Say what was found and done.

    >>> print(_words(1, 2))
    1 copy and 2 pictures of one scene (agreeing to 0.78 and more) in an earlier part: moved there.
    """
    kinds = [plural(copies, "copy", "copies")] if copies else []
    if scenes:
        kinds.append(
            f"{plural(scenes, 'picture')} of one scene (agreeing to {SAME_SCENE:g} and more)"
        )
    return f"{' and '.join(kinds)} in an earlier part: moved there."
