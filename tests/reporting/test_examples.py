import numpy as np
import pytest

from saccade.data.task import Kind, Task
from saccade.evaluation.intervals import wilson
from saccade.reporting.examples import MAX_CLASSES, galleries, labels_of
from saccade.reporting.facts import ResultFacts
from saccade.reporting.folder import SplitRow
from saccade.reporting.pictures import Album

GRAY = np.full((8, 8, 3), 90, np.uint8)


def row(path: str, label: str, part: str = "train") -> SplitRow:
    return SplitRow(path=path, label=label, part=part, group="", why="drawn")


def album() -> Album:
    return Album(lambda path: GRAY)


def test_a_class_without_pictures_has_an_empty_row() -> None:
    task = Task(kind="multiclass", classes=("ant", "bee"))
    ant, bee = galleries([row("a", "ant")], task=task, album=album(), results=ResultFacts())
    assert (ant.note, bee.note) == ("1 of 1 picture in train", "0 of 0 pictures in train")
    assert bee.pictures == ()


def test_with_many_classes_the_weakest_are_shown() -> None:
    names = tuple(f"c{k:03d}" for k in range(100))
    recalls = {f"recall[{name}]": wilson(k, 100) for k, name in enumerate(names)}
    results = ResultFacts(part="test", metrics={"test": recalls})
    rows = [row(f"{name}.jpg", name) for name in names]
    task = Task(kind="multiclass", classes=names)
    shown = [g.caption for g in galleries(rows, task=task, album=album(), results=results)]
    assert shown == list(names[:MAX_CLASSES])


def test_a_picture_with_two_labels_stands_for_both() -> None:
    task = Task(kind="multilabel", classes=("cat", "dog"), separator=";")
    cat, dog = galleries([row("a", "cat; dog")], task=task, album=album(), results=ResultFacts())
    assert [p.name for p in cat.pictures] == [p.name for p in dog.pictures] == ["a"]


@pytest.mark.parametrize("kind", ["multilabel", "binary"])
def test_columns_of_zero_and_one_name_their_labels_in_the_tables_order(kind: Kind) -> None:
    task = Task(kind=kind, classes=("cat", "dog"))
    columns = ("dog", "cat")
    assert labels_of("0|1", task, columns) == ("cat",)
    assert labels_of("0|0", task, columns) == ()
    known = {"task": task, "album": album(), "results": ResultFacts()}
    cat, dog = galleries([row("a", "1|0"), row("b", "0|1")], columns=columns, **known)
    assert [p.name for p in cat.pictures] == ["b"]
    assert [p.name for p in dog.pictures] == ["a"]
    assert galleries([row("a", "1|0")], **known) == ()  # as old runs, which name no columns


def test_a_regression_shows_the_range_of_its_target() -> None:
    rows = [row(f"{k}.jpg", str(float(k))) for k in range(100)]
    task = Task(kind="regression", classes=())
    (own,) = galleries(rows, task=task, album=album(), results=ResultFacts())
    assert own.caption == "From 0 to 99"
    assert [p.name for p in own.pictures][:2] == ["0.jpg", "6.jpg"]
