"""Splits that are stratified, seeded and cannot leak."""

from collections import Counter
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saccade.data import split as splitting
from saccade.data.audit import look
from saccade.data.catalog import Catalog, Skipped
from saccade.data.folders import FolderSource
from saccade.data.split import PARTS, Split, make_split
from saccade.data.stratify import strata, stratify
from saccade.data.task import Task, choose_task, targets
from saccade.runtime.errors import DataError, UsageError
from saccade.runtime.seeds import generator


def catalog(
    labels: list[str],
    *,
    parts: list[str] | None = None,
    groups: list[str] | None = None,
    hashes: list[str] | None = None,
    **more: object,
) -> Catalog:
    count = len(labels)
    fields: dict[str, object] = {
        "place": "photos",
        "layout": "class folders",
        "source": FolderSource(place="photos"),
        "paths": tuple(f"{n}.jpg" for n in range(count)),
        "labels": tuple(labels),
        "label_columns": (),
        "parts": tuple(parts or [""] * count),
        "groups": tuple(groups or [""] * count),
        "hashes": tuple(hashes or [str(n) for n in range(count)]),
        "num_bytes": np.ones(count, np.int64),
        "widths_px": np.full(count, 100, np.int32),
        "heights_px": np.full(count, 100, np.int32),
        "formats": ("JPEG",) * count,
        "skipped": (),
        "findings": (),
        "num_files": count,
    }
    return Catalog(**{**fields, **more})  # type: ignore[arg-type]


def split_of(own: Catalog, *, seed: int = 0, requested: str = "auto", **named: object) -> Split:
    task = choose_task(own, requested=requested)
    return make_split(own, task, targets(own, task), seed=seed, **named)  # type: ignore[arg-type]


def counts(own: Catalog, split: Split) -> Mapping[tuple[str, str], int]:
    return Counter(zip(own.labels, split.parts, strict=True))


def error(own: Catalog, **named: object) -> DataError:
    with pytest.raises(DataError) as caught:
        split_of(own, **named)
    return caught.value


HUNDRED = ["a"] * 60 + ["b"] * 30 + ["c"] * 10


def test_each_class_is_drawn_by_the_fractions() -> None:
    own = catalog(HUNDRED)
    split = split_of(own)
    assert counts(own, split) == {
        ("a", "train"): 42, ("a", "validation"): 9, ("a", "test"): 9,
        ("b", "train"): 22, ("b", "validation"): 4, ("b", "test"): 4,
        ("c", "train"): 6, ("c", "validation"): 2, ("c", "test"): 2,
    }  # fmt: skip
    assert set(split.why) == {"drawn"}
    assert split.notes == (
        "Drawn from all (100 pictures): 70 for train (70% asked for), 15 for validation "
        "(15% asked for), 15 for test (15% asked for).",
    )


def test_three_pictures_of_a_class_are_one_in_each_part() -> None:
    own = catalog(["a", "b"] * 3)
    assert set(counts(own, split_of(own)).values()) == {1}


def test_the_same_seed_gives_the_same_split_and_another_another() -> None:
    own = catalog(HUNDRED)
    assert split_of(own, seed=1) == split_of(own, seed=1)
    assert split_of(own, seed=1).parts != split_of(own, seed=2).parts


def test_the_fractions_can_be_set_and_a_part_left_out() -> None:
    own = catalog(["a"] * 50 + ["b"] * 50)
    half = split_of(own, val_fraction=0.1, test_fraction=0.5)
    assert Counter(half.parts) == {"train": 40, "validation": 10, "test": 50}
    none = split_of(own, val_fraction=0)
    assert Counter(none.parts) == {"train": 84, "test": 16}


@pytest.mark.parametrize("fraction", [-0.1, 0.6, float("nan")])
def test_a_fraction_out_of_range_is_an_error(fraction: float) -> None:
    with pytest.raises(UsageError) as caught:
        split_of(catalog(HUNDRED), test_fraction=fraction)
    assert caught.value.where == "--test-fraction"


# Parts that were given


def test_all_three_parts_given_are_left_as_they_are() -> None:
    parts = ["train", "validation", "test"] * 4
    split = split_of(catalog(["a", "a", "a", "b", "b", "b"] * 2, parts=parts))
    assert list(split.parts) == parts
    assert set(split.why) == {"given"}
    assert split.notes == ()


def test_train_and_val_only_makes_val_the_test_part_and_says_so() -> None:
    parts = ["train"] * 40 + ["validation"] * 10
    split = split_of(catalog(["a", "b"] * 25, parts=parts))
    assert split.parts[40:] == ("test",) * 10
    assert Counter(split.parts[:40]) == {"train": 34, "validation": 6}
    assert set(split.why[40:]) == {"given as val"}
    assert Counter(split.why[:40]) == {"given": 34, "drawn": 6}
    assert split.notes == (
        "Only train and val were given: val is the test part here, and validation is taken out of "
        "train (--keep-val leaves val as validation).",
        "Drawn from the given training part (40 pictures): 34 for train (85% asked for), "
        "6 for validation (15% asked for).",
    )


def test_keep_val_leaves_val_and_takes_the_test_part_out_of_train() -> None:
    parts = ["train"] * 40 + ["validation"] * 10
    split = split_of(catalog(["a", "b"] * 25, parts=parts), keep_val=True)
    assert split.parts[40:] == ("validation",) * 10
    assert Counter(split.parts[:40]) == {"train": 34, "test": 6}


def test_train_and_test_only_takes_validation_out_of_train() -> None:
    split = split_of(catalog(["a", "b"] * 25, parts=["train"] * 40 + ["test"] * 10))
    assert split.parts[40:] == ("test",) * 10
    assert Counter(split.parts[:40]) == {"train": 34, "validation": 6}


def test_train_alone_gives_the_other_two() -> None:
    split = split_of(catalog(["a", "b"] * 50, parts=["train"] * 100))
    assert Counter(split.parts) == {"train": 68, "validation": 16, "test": 16}


def test_without_a_training_part_there_is_nothing_to_learn_from() -> None:
    own = catalog(["a", "b"] * 3, parts=["test"] * 3 + ["validation"] * 3)
    assert str(error(own)) == (
        "There is no training part, only test, validation.\n"
        "  where: photos (class folders)\n"
        "  fix:   add a train folder, or give the folder of classes below"
    )


def test_pictures_without_a_part_among_others_with_one_are_an_error() -> None:
    own = catalog(["a", "b"] * 3, parts=["train"] * 4 + [""] * 2)
    assert str(error(own)) == (
        "2 of 6 pictures have no part, while others have one: 4.jpg, 5.jpg.\n"
        "  where: photos\n"
        "  fix:   write train, val or test for each of them, or for none"
    )


# Copies and groups


def test_copies_of_equal_bytes_are_always_in_the_same_part() -> None:
    hashes = [str(n // 3) for n in range(90)]
    for seed in range(20):
        split = split_of(catalog(["a"] * 45 + ["b"] * 45, hashes=hashes), seed=seed)
        for first in range(0, 90, 3):
            assert len(set(split.parts[first : first + 3])) == 1
    assert split.groups[0] == "same:0"
    assert set(split.why) == {"drawn with its copies"}


def test_without_groups_copies_would_straddle_negative_control(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(splitting, "joined_groups", lambda own, _: ("",) * len(own))
    hashes = [str(n // 3) for n in range(90)]
    split = split_of(catalog(["a"] * 45 + ["b"] * 45, hashes=hashes))
    assert any(len(set(split.parts[first : first + 3])) > 1 for first in range(0, 90, 3))


def test_named_groups_stay_together_and_with_the_copies_of_their_members() -> None:
    groups = [f"patient-{n // 5}" for n in range(100)]
    hashes = [str(n) for n in range(100)]
    hashes[3] = hashes[98]  # links the first patient to the last
    own = catalog([f"{n // 5 % 2}" for n in range(100)], groups=groups, hashes=hashes)
    split = split_of(own)
    parts_of_group: dict[str, set[str]] = {}
    for group, part in zip(groups, split.parts, strict=True):
        parts_of_group.setdefault(group, set()).add(part)
    assert all(len(parts) == 1 for parts in parts_of_group.values())
    assert parts_of_group["patient-0"] == parts_of_group["patient-19"]
    assert split.groups[0] == split.groups[99] == "patient-0+patient-19"
    assert set(split.parts) == set(PARTS)
    assert set(split.why) == {"drawn with its group"}


def test_copies_in_different_given_parts_stay_where_they_are_and_are_a_severe_finding() -> None:
    parts = ["train"] * 20 + ["test"] * 10
    hashes = [str(n) for n in range(30)]
    hashes[4] = hashes[25]
    own = catalog(["a", "b"] * 15, parts=parts, hashes=hashes)
    split = split_of(own, val_fraction=0)
    assert list(split.parts) == parts
    assert set(split.why) == {"given"}
    assert split.groups[4] == split.groups[25] == "same:25"
    (leak,) = [own for own in look(own, choose_task(own), split) if own.kind == "leak"]
    assert leak.severity == "severe"
    assert leak.paths == ("25.jpg", "4.jpg")
    assert leak.sentence == (
        "1 of 10 test pictures shows the same as training pictures (1 exact): "
        "25.jpg = 4.jpg (exact)."
    )


def test_the_drawn_validation_part_of_given_parts_keeps_copies_together() -> None:
    parts = ["train"] * 60 + ["test"] * 10
    hashes = [str(n // 3) for n in range(60)] + [f"t{n}" for n in range(10)]
    for seed in range(10):
        split = split_of(catalog(["a"] * 30 + ["b"] * 40, parts=parts, hashes=hashes), seed=seed)
        assert split.parts.count("validation") >= 6
        assert all(len(set(split.parts[first : first + 3])) == 1 for first in range(0, 60, 3))


def test_named_groups_that_straddle_given_parts_are_an_error() -> None:
    parts = ["train"] * 4 + ["test"] * 4
    own = catalog(["a", "b"] * 4, parts=parts, groups=["p", "q", "r", "s", "p", "t", "u", "s"])
    assert str(error(own)) == (
        "2 of 6 groups lie in more than one of the given parts: p, s.\n"
        "  where: photos\n"
        "  fix:   mend the column of parts, or remove it: parts drawn here keep groups together"
    )


# Too few


def test_a_class_with_one_picture_is_one_clear_message() -> None:
    skipped = (
        Skipped(path="cat/a.gif", reason="unreadable", sentence=""),
        Skipped(path="cat/.b", reason="hidden", sentence=""),
    )
    own = catalog(
        ["dog"] * 9 + ["emu"] * 9 + ["lynx"],
        skipped=skipped,
        num_files=21,
        lost_labels=("cat",),
    )
    assert str(error(own)) == (
        "2 of 4 classes have fewer than 3 readable images: 'cat' (0), 'lynx' (1); a split needs at "
        "least 3 each.\n"
        "  where: photos (21 files seen, 1 not usable (1 unreadable): cat/a.gif)\n"
        "  fix:   add images to these classes, or leave them out with --exclude cat,lynx"
    )
    assert error(own).code == "SACCADE-E351"


def test_classes_to_leave_out_are_quoted_as_a_shell_needs_it() -> None:
    own = catalog(["dog"] * 9 + ["emu"] * 9 + ["snow leopard"])
    assert "leave them out with --exclude 'snow leopard'" in str(error(own))


def test_a_class_of_marks_that_cannot_be_read_is_named_by_its_column() -> None:
    own = catalog(
        ["1|0|0", "0|1|0"] * 9, label_columns=("dog", "emu", "cat"), lost_labels=("0|0|1",)
    )
    assert error(own).message == (
        "1 of 3 classes has fewer than 3 readable images: 'cat' (0); a split needs at least 3 each."
    )


def test_without_the_guard_a_class_goes_untested_negative_control(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(splitting, "check_enough", lambda *_args, **_given: None)
    own = catalog(["dog"] * 9 + ["emu"] * 9 + ["lynx"])
    task = choose_task(own)
    found = make_split(own, task, targets(own, task), seed=0, val_fraction=0.15, test_fraction=0.15)
    assert "lynx" not in {own.labels[row] for row in found.rows("test")}


def test_copies_count_as_one_picture_of_their_class() -> None:
    own = catalog(["a"] * 5 + ["b"] * 3, hashes=[*"12345", "6", "6", "7"])
    assert error(own).message == (
        "1 of 2 classes has fewer than 3 readable images (copies and groups count as one): "
        "'b' (2); a split needs at least 3 each."
    )


def test_ten_thousand_classes_of_one_picture_are_one_message_in_a_moment() -> None:
    own = catalog([f"{n:05d}" for n in range(10_000)])
    assert error(own).message == (
        "10000 of 10000 classes have fewer than 3 readable images: '00000' (1), '00001' (1), "
        "'00002' (1), '00003' (1), '00004' (1) and 9995 more; a split needs at least 3 each."
    )
    assert error(own).fix == "add images to these classes"


def test_a_class_without_a_training_picture_is_an_error() -> None:
    parts = ["train", "train", "validation", "test", "test"]
    own = catalog(["a", "b", "a", "b", "new"], parts=parts)
    assert str(error(own)) == (
        "1 of 3 classes have no training picture: new.\n"
        "  where: photos (class folders)\n"
        "  fix:   add training pictures of these classes, or leave them out with --exclude new"
    )


def test_two_pictures_cannot_be_split_in_three() -> None:
    own = catalog(["0.5", "1.5"], label_name="age")
    assert error(own).code == "SACCADE-E351"


# Several labels, and numbers


def test_a_numeric_target_is_spread_alike_over_the_parts() -> None:
    values = generator(0, "values").normal(size=400)
    own = catalog([repr(float(value)) for value in values], label_name="y")
    split = split_of(own)
    assert Counter(split.parts) == {"train": 280, "validation": 60, "test": 60}
    for part in PARTS:
        rows = split.rows(part)
        # Tenths of the whole hold 6 of 60 each.
        tenths = np.searchsorted(np.quantile(values, np.arange(1, 10) / 10), values[rows])
        assert set(Counter(tenths.tolist()).values()) == {len(rows) // 10}


def test_every_label_is_in_every_part_as_its_share() -> None:
    rng = generator(0, "labels")
    marks = rng.random((500, 4)) < [0.5, 0.3, 0.1, 0.02]
    own = catalog(
        ["|".join(name for name, mark in zip("abcd", row, strict=True) if mark) for row in marks],
        label_name="tags",
    )
    split = split_of(own, requested="multilabel")
    for column in range(4):
        total = int(marks[:, column].sum())
        for part, share in (("validation", 0.15), ("test", 0.15)):
            held = int(marks[split.rows(part), column].sum())
            assert held >= 1
            assert abs(held - share * total) <= max(2, 0.1 * share * total)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=12, max_size=40),
    seed=st.integers(0, 5),
)
def test_whatever_the_groups_are_every_class_of_three_of_them_is_in_every_part(
    sizes: list[int], seed: int
) -> None:
    """Groups of one class each, of any size, the classes in turn."""
    lists, labels = [], []
    for group, size in enumerate(sizes):
        lists.append(list(range(len(labels), len(labels) + size)))
        labels += [group % 4] * size
    fractions = {"train": 0.7, "validation": 0.15, "test": 0.15}
    dealt = stratify(
        lists, [(label,) for label in labels], fractions=fractions, rng=generator(seed)
    )
    assert len(dealt) == len(lists)
    assert set(dealt) <= set(PARTS)
    for label in range(4):
        own = {part for unit, part in zip(lists, dealt, strict=True) if labels[unit[0]] == label}
        assert own == set(PARTS)


def test_strata_of_a_number_are_equal_tenths() -> None:
    task = Task(kind="regression", classes=())
    found = Counter(strata(task, np.arange(100.0)[::-1]))
    assert found == {(tenth,): 10 for tenth in range(10)}


@pytest.mark.slow  # a measurement: too noisy beside other tests
def test_dealing_out_grows_in_step_with_the_rows() -> None:
    import time

    def seconds(count: int) -> float:
        units = [[row] for row in range(count)]
        marks = [(row % (count // 10),) for row in range(count)]
        fractions = {"train": 0.7, "validation": 0.15, "test": 0.15}
        taken = []
        for _ in range(3):
            begun = time.process_time()
            stratify(units, marks, fractions=fractions, rng=generator(0))
            taken.append(time.process_time() - begun)
        return min(taken)

    times = [seconds(count) for count in (1_000, 3_000, 9_000, 27_000)]
    assert all(after < 9 * max(before, 0.02) for before, after in pairwise(times))


@pytest.mark.parametrize(("num", "size"), [(10, 20), (10, 40), (20, 20), (30, 20), (60, 20)])
def test_numbers_in_large_groups_are_split_by_the_fractions_too(num: int, size: int) -> None:
    """Each patient has an age: each tenth of the ages is of few patients, or of one."""
    ages = [str(20 + patient) for patient in range(num) for _ in range(size)]
    own = catalog(ages, groups=[f"p{row // size}" for row in range(num * size)])
    split = split_of(own, requested="regression", seed=1)
    found = Counter(split.parts)
    assert found["train"] / len(ages) == pytest.approx(0.7, abs=0.1)
    assert found["validation"] / len(ages) == pytest.approx(0.15, abs=0.06)
    assert found["test"] / len(ages) == pytest.approx(0.15, abs=0.06)
    tested = {int(age) for age, part in zip(ages, split.parts, strict=True) if part != "train"}
    assert max(tested) - min(tested) + 1 > len(tested)  # not the first or the last of them alone


def test_a_part_that_was_left_empty_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splitting, "stratify", lambda units, *_, **__: ["train"] * len(units))
    refused = error(catalog(HUNDRED))
    assert refused.code == "SACCADE-E351"
    assert str(refused).startswith("No picture was left for validation, test: groups stay")


def test_where_nothing_is_to_be_drawn_everything_teaches() -> None:
    split = split_of(catalog(HUNDRED), val_fraction=0, test_fraction=0)
    assert set(split.parts) == {"train"}
    assert set(split.why) == {"drawn"}
