"""Which pictures stand for the data: a few of each class, or along the scale of the target."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from saccade.data.labels import marked, pieces_of
from saccade.data.task import Task
from saccade.reporting.facts import Gallery, ResultFacts
from saccade.reporting.folder import SplitRow
from saccade.reporting.pictures import Album, spread
from saccade.reporting.wording import plural, short

MAX_CLASSES = 60
MAX_PICTURES = 240
MAX_EACH = 8


def galleries(
    rows: Sequence[SplitRow],
    *,
    task: Task,
    album: Album,
    results: ResultFacts,
    columns: Sequence[str] = (),
) -> tuple[Gallery, ...]:
    """Return the example pictures, all from the training part (or from all where it is empty).

    `columns` are those whose marks the labels are, in the table's order; () = the labels are
    names. Where no label names a class, as in old runs that wrote down no columns, there are
    no examples.

    With more than 60 classes those with the lowest recall in the judged part are shown, for
    they are the ones to look at; without results, the first by name.
    """
    known = [row for row in rows if row.part == "train"] or list(rows)
    if not known:
        return ()
    if task.kind == "regression":
        return (_along_the_scale(known, album),)
    each = max(1, min(MAX_EACH, MAX_PICTURES // max(min(len(task.classes), MAX_CLASSES), 1)))
    made = []
    for name in _chosen(task, results):
        own = [row for row in known if name in labels_of(row.label, task, columns)]
        kept = spread(own, each)
        note = f"{len(kept)} of {plural(len(own), 'picture')} in {known[0].part}"
        pictures = tuple(album.picture(row.path) for row in kept)
        made.append(Gallery(caption=name, note=note, pictures=pictures))
    return tuple(made) if any(own.pictures for own in made) else ()


def labels_of(label: str, task: Task, columns: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the classes that a cell of split.csv names.

    >>> task = Task(kind="multilabel", classes=("cat", "dog", "fox"))
    >>> labels_of("1|0|0", task, columns=("dog", "cat", "fox"))
    ('dog',)
    """
    if columns:
        return marked(label, columns)
    if task.kind == "multilabel" and task.separator:
        return pieces_of(label, task.separator)
    return (label,)


def _chosen(task: Task, results: ResultFacts) -> list[str]:
    names = list(task.classes)
    if len(names) <= MAX_CLASSES:
        return names
    return sorted(results.weakest(names)[:MAX_CLASSES])


def _along_the_scale(rows: Sequence[SplitRow], album: Album) -> Gallery:
    ordered = sorted((row for row in rows if _is_number(row.label)), key=lambda r: float(r.label))
    kept = spread(ordered, MAX_EACH * 2)
    low, high = (short(float(ordered[k].label)) for k in (0, -1)) if ordered else ("–", "–")
    return Gallery(
        caption=f"From {low} to {high}",
        note=f"{len(kept)} of {plural(len(ordered), 'picture')} in {rows[0].part}, by rising truth",
        pictures=tuple(album.picture(row.path) for row in kept),
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def preview_galleries(
    rows: Sequence[tuple[str, Sequence[NDArray[np.uint8]]]], album: Album
) -> tuple[Gallery, ...]:
    """Return the rows of an augmentation preview, (caption, uint8 HWC pictures) each."""
    return tuple(
        Gallery(
            caption=caption,
            note="",
            pictures=tuple(album.shown(pixels, name=caption) for pixels in pictures),
        )
        for caption, pictures in rows
    )
