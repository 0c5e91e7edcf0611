"""What is to be learned, chosen from the labels alone."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from saccade.data.catalog import Catalog
from saccade.data.folders import FolderSource
from saccade.data.scan import scan
from saccade.data.task import Task, choose_task, standardise, targets
from saccade.runtime.errors import DataError, UsageError

Photos = Callable[[Mapping[str, int]], Path]
FEW = "holds numbers of few values"
SPACED = "holds several labels a cell, between them a space"


def catalog(labels: list[str], *, column: str = "label", columns: tuple[str, ...] = ()) -> Catalog:
    count = len(labels)
    return Catalog(
        place="photos",
        layout=f"{len(set(labels))} class folders",
        source=FolderSource(place="photos"),
        paths=tuple(f"{n}.jpg" for n in range(count)),
        labels=tuple(labels),
        label_columns=columns,
        parts=("",) * count,
        groups=("",) * count,
        hashes=tuple(map(str, range(count))),
        num_bytes=np.ones(count, np.int64),
        widths_px=np.full(count, 100, np.int32),
        heights_px=np.full(count, 100, np.int32),
        formats=("JPEG",) * count,
        skipped=(),
        findings=(),
        num_files=count,
        label_name="" if columns else column,
    )


def message(labels: list[str], requested: str = "auto", **named: str) -> str:
    with pytest.raises(DataError) as caught:
        choose_task(catalog(labels, **named), requested=requested)
    return str(caught.value)


HUNDRED = [str(n % 100) for n in range(1000)]


@pytest.mark.parametrize(
    ("labels", "column", "kind", "why"),
    [
        (["dog", "cat", "dog"], "", "binary", "2 classes: the folders' names are the classes"),
        (["b", "c", "a"], "", "multiclass", "3 classes: the folders' names are the classes"),
        (["1", "2", "30"], "", "multiclass", "3 classes: the folders' names are the classes"),
        (["a|b", "b", "c"], "", "multiclass", "3 classes: the folders' names are the classes"),
        (["b", "c", "a"], "kind", "multiclass", "3 classes: column 'kind' holds one label a cell"),
        (["0", "1", "1"], "label", "binary", f"2 classes: column 'label' {FEW}"),
        (["0", "9", "10"], "age", "multiclass", f"3 classes: column 'age' {FEW}"),
        (HUNDRED, "fine_label", "multiclass",
         f"100 classes: column 'fine_label' {FEW}"),
        (HUNDRED, "age", "regression", "column 'age' holds numbers of many values"
         " (numbers from 0 to 99)"),
        (["0.5", "-1", "1e3"], "label", "regression", "column 'label' holds numbers of many values"
         " (numbers from -1 to 1000)"),
        (["cat|dog", "dog"], "tags", "multilabel",
         "2 labels, 1.5 a picture: column 'tags' holds several labels a cell, between them '|'"),
        (["a, b", "b, a", "", "b"], "tags", "multilabel",
         "2 labels, 1.2 a picture; 1 without any: column 'tags' holds several labels a cell,"
         " between them a comma"),
        (["haze primary", "clear primary", "primary", "haze", "clear"], "tags", "multilabel",
         f"3 labels, 1.4 a picture: column 'tags' {SPACED}"),
        (["Paris, France", "Rome, Italy", "Bonn"], "label", "multiclass",
         "3 classes: column 'label' holds one label a cell"),
    ],
)  # fmt: skip
def test_auto_takes_what_the_labels_are_and_says_why(
    labels: list[str], column: str, kind: str, why: str
) -> None:
    task = choose_task(catalog(labels, column=column))
    assert task.kind == kind
    assert task.why == f"{kind}{': ' if kind == 'regression' else ', '}{why}"


def test_classes_are_sorted_by_name_and_numbers_in_a_table_by_value() -> None:
    labels = ["10", "9", "2", "2"]
    assert choose_task(catalog(labels, column="")).classes == ("10", "2", "9")
    assert choose_task(catalog(labels)).classes == ("2", "9", "10")


@pytest.mark.parametrize(
    ("labels", "requested", "kind", "classes"),
    [
        (["0", "1", "1"], "regression", "regression", ()),
        (["0", "1", "1"], "multiclass", "multiclass", ("0", "1")),
        (["a|b", "b", "c"], "multiclass", "multiclass", ("a|b", "b", "c")),
        (["a b", "b a"], "multilabel", "multilabel", ("a b", "b a")),
        (["0.5", "1.5", "0.5"], "binary", "binary", ("0.5", "1.5")),
    ],
)
def test_what_is_asked_for_is_taken(
    labels: list[str], requested: str, kind: str, classes: tuple[str, ...]
) -> None:
    task = choose_task(catalog(labels), requested=requested)
    assert (task.kind, task.classes) == (kind, classes)
    assert "as asked for" in task.why


def test_folders_may_hold_numbers_for_a_regression() -> None:
    numbered = catalog(["1", "2", "40"], column="")
    task = choose_task(numbered, requested="regression")
    assert targets(numbered, task).tolist() == [1.0, 2.0, 40.0]


def test_columns_of_which_exactly_one_is_1_are_classes() -> None:
    own = catalog(["1|0|0", "0|0|1", "0|1|0", "0|0|1"], columns=("c", "a", "b"))
    task = choose_task(own)
    assert (task.kind, task.classes) == ("multiclass", ("a", "b", "c"))
    assert (
        task.why == "multiclass: 3 columns hold 0 or 1 (a, b, c), and one of them is 1 in each row"
    )
    assert targets(own, task).tolist() == [2, 1, 0, 1]
    assert choose_task(own, requested="multilabel").kind == "multilabel"


def test_columns_with_several_1_are_labels() -> None:
    own = catalog(["1|0", "0|0", "1|1"], columns=("b", "a"))
    task = choose_task(own)
    assert (task.kind, task.classes, task.separator) == ("multilabel", ("a", "b"), "")
    assert targets(own, task).tolist() == [[0, 1], [0, 0], [1, 1]]


def test_targets_have_the_documented_types() -> None:
    binary = catalog(["no", "yes", "yes"])
    marks = catalog(["a;b", "b"])
    numbers = catalog(["1.5", "2", "3"])
    for own, kind, dtype, shape in (
        (binary, "binary", np.int64, (3,)),
        (marks, "multilabel", np.uint8, (2, 2)),
        (numbers, "regression", np.float64, (3,)),
    ):
        task = choose_task(own)
        values = targets(own, task)
        assert (task.kind, values.dtype, values.shape) == (kind, dtype, shape)
    assert targets(binary, choose_task(binary)).tolist() == [0, 1, 1]


def test_a_class_missing_from_another_catalogue_does_not_shift_the_numbers() -> None:
    task = choose_task(catalog(["a", "b", "c"]))
    assert targets(catalog(["c", "a"]), task).tolist() == [2, 0]


def test_a_label_unknown_to_the_task_is_an_error() -> None:
    task = choose_task(catalog(["cat", "dog", "emu"]))
    with pytest.raises(DataError) as caught:
        targets(catalog(["cat", "dogs"]), task)
    assert str(caught.value) == (
        "Labels that are not among the model's 3 classes (cat, dog, emu): dogs.\n"
        "  where: photos\n"
        "  fix:   rename them (nearest: dog), or leave them out with --exclude dogs"
    )


def test_one_class_is_an_error() -> None:
    assert message(["cat", "cat"], column="") == (
        "There is only one class, 'cat': nothing to tell apart.\n"
        "  where: photos (1 class folders, 2 pictures)\n"
        "  fix:   add a second class, or give the folder that holds the class folders"
    )


def test_one_class_with_pictures_beside_it_says_that_these_have_none(photos: Photos) -> None:
    root = photos({".": 30, "sub folder": 2})
    (root / "notes.txt").write_text("no picture")
    with pytest.raises(DataError) as caught:
        choose_task(scan(root))
    assert str(caught.value) == (
        "There is only one class, 'sub folder': nothing to tell apart; pictures beside it "
        "without a class: 30.\n"
        f"  where: {root} (1 class folder, 2 pictures)\n"
        "  fix:   put every picture into the folder of its class: photos/cat/1.jpg, "
        "photos/dog/2.jpg"
    )


def test_one_class_whose_folder_holds_the_classes_points_there(photos: Photos) -> None:
    root = photos({"flowers/rose": 2, "flowers/tulip": 2})
    with pytest.raises(DataError) as caught:
        choose_task(scan(root))
    assert caught.value.fix == (
        f"perhaps give the folder below, {root}/flowers, which holds rose, tulip"
    )


def test_one_class_beside_another_behind_a_link_says_how_to_read_it(photos: Photos) -> None:
    root = photos({"cat": 2, "../elsewhere": 2})
    (root / "dog").symlink_to(root / "../elsewhere")
    with pytest.raises(DataError) as caught:
        choose_task(scan(root))
    assert caught.value.code == "SACCADE-E350"
    assert caught.value.fix == "read what links out of the folder lead to with --follow-links: dog"


def test_a_binary_task_needs_two_classes() -> None:
    assert message(["a", "b", "c"], "binary") == (
        "A binary task needs two classes, and there are 3.\n"
        "  where: photos\n"
        "  fix:   leave out --task binary, or leave classes out with --exclude"
    )


def test_text_cannot_be_a_regression() -> None:
    assert message(["1", "two", "3"], "regression") == (
        "1 of 3 labels are not numbers: 'two' (1.jpg).\n"
        "  where: photos, column 'label'\n"
        "  fix:   write numbers with a decimal point, or choose --task multiclass"
    )


def test_decimal_commas_are_questioned() -> None:
    assert message(["12,5", "37,1", "9,25", "13", "n/a", *["8,0"] * 9], column="weight") == (
        "12 of 14 labels look like numbers with a decimal comma: '12,5' (0.jpg), '37,1' (1.jpg), "
        "'9,25' (2.jpg), '8,0' (5.jpg), '8,0' (6.jpg) and 7 more.\n"
        "  where: photos, column 'weight'\n"
        "  fix:   write numbers with a decimal point, or choose --task multilabel if a comma "
        "stands between labels"
    )


@pytest.mark.parametrize("whole", [0, 5, 40])
@pytest.mark.parametrize("values", [7, 1000])
def test_decimal_commas_are_no_sets_of_labels_unless_asked_for(whole: int, values: int) -> None:
    labels = [f"{37 * n % values},{n % 10}" for n in range(100)]
    labels[:whole] = [text.split(",")[0] for text in labels[:whole]]
    assert "decimal comma" in message(labels)
    assert choose_task(catalog(labels), requested="multilabel").kind == "multilabel"
    assert choose_task(catalog(labels), requested="multiclass").kind == "multiclass"


def test_numbers_of_labels_with_commas_between_are_labels() -> None:
    cells = ["3,17", "3", "17,4,3", "4", "4,17", "17"] * 5
    assert choose_task(catalog(cells, column="tags")).classes == ("17", "3", "4")


def test_labels_of_several_columns_cannot_be_a_class_or_a_number() -> None:
    own = catalog(["1|1", "0|1"], columns=("a", "b"))
    for requested in ("regression", "binary", "multiclass"):
        with pytest.raises(DataError) as caught:
            choose_task(own, requested=requested)
        assert caught.value.code == "SACCADE-E354"


def test_labels_learned_from_columns_are_found_in_the_cells_of_one_column() -> None:
    learned = choose_task(catalog(["1|1", "0|1"], columns=("a", "b")))
    assert (learned.kind, learned.separator) == ("multilabel", "")
    assert targets(catalog(["b", "a;b", ""]), learned).tolist() == [[0, 1], [1, 1], [0, 0]]
    assert targets(catalog(["b", "a"], column=""), learned).tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize("cell", ["0|0|0", "0|1|1"])
def test_a_row_of_marks_that_is_not_one_class_is_an_error(cell: str) -> None:
    learned = Task(kind="multiclass", classes=("a", "b", "c"))
    own = catalog(["0|1|0", cell, "1|0|0"], columns=("a", "b", "c"))
    with pytest.raises(DataError) as caught:
        targets(own, learned)
    assert caught.value.code == "SACCADE-E354"
    assert str(caught.value) == (
        "A multiclass model needs exactly one label a picture; 1 of 3 have none or several: "
        "1.jpg.\n"
        "  where: photos, columns a, b, c\n"
        "  fix:   mark one column of each row with 1, or leave these rows out"
    )


def test_a_class_whose_name_is_not_text_is_refused_and_named() -> None:
    name = os.fsdecode(b"caf\xe9")
    told = message([name, "tea"], column="")
    assert told == (
        "Names of classes must be UTF-8 text, for they are written into the run and the model; "
        "met 'caf\\xe9'.\n"
        "  where: photos (0.jpg)\n"
        "  fix:   rename this folder, in UTF-8"
    )
    assert "photos, column 'label'" in message([name, "tea"])
    assert "caf\\xe9" in message([f"{name};tea", "tea"], column="tags")


def test_no_labels_at_all_is_an_error() -> None:
    assert "Not one picture has a label." in message(["", ""], "multilabel")
    assert "2 of 2 pictures have an empty label" in message(["", ""])


def test_an_unknown_task_is_an_error_of_usage() -> None:
    with pytest.raises(UsageError) as caught:
        choose_task(catalog(["a", "b"]), requested="detection")
    assert str(caught.value) == (
        "There is no task 'detection'.\n"
        "  where: --task\n"
        "  fix:   choose auto, binary, multiclass, multilabel, regression"
    )


def test_standardising_uses_the_mean_and_spread_given() -> None:
    # Second source: the mean and the population's standard deviation of 1, 3 are 2 and 1.
    task = standardise(Task(kind="regression", classes=()), np.array([1.0, 3.0]))
    assert (task.target_mean, task.target_std) == (2.0, 1.0)
    assert task.scores(np.array([[0.5]])).tolist() == [[2.5]]
    with pytest.raises(DataError):
        standardise(task, np.array([4.0, 4.0]))
    binary = Task(kind="binary", classes=("a", "b"))
    assert standardise(binary, np.array([0.0])) is binary


def test_many_unknown_labels_are_named_in_part_and_not_advised_away() -> None:
    task = Task(kind="multiclass", classes=("cat", "dog"))
    with pytest.raises(DataError) as caught:
        targets(catalog([f"id-{n}" for n in range(5_000)]), task)
    said = str(caught.value)
    assert len(said) < 1_000
    assert "--exclude" not in said
    assert "name the right column of labels" in said
