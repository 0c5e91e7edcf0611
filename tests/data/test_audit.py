"""What is found in the data before anything is learned from it."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from saccade.data.audit import class_counts, look
from saccade.data.catalog import Catalog, Finding
from saccade.data.duplicate_findings import duplicate_findings
from saccade.data.duplicates import exact_duplicates, find_twins
from saccade.data.sampling import Limit
from saccade.data.scan import scan
from saccade.data.split import Split
from saccade.data.task import choose_task

Photos = Callable[[Mapping[str, int]], Path]


def findings(catalog: Catalog, split: Split | None = None) -> dict[str, Finding]:
    return {own.kind: own for own in look(catalog, choose_task(catalog), split)}


def test_sound_data_of_some_size_have_no_findings(photos: Photos) -> None:
    assert set(findings(scan(photos({"a": 25, "b": 25})))) == set()


def test_the_severe_findings_come_first(photos: Photos, make_picture: Callable[..., bytes]) -> None:
    root = photos({"a": 25, "b": 25, "c": 1})
    (root / "c" / "0.png").write_bytes(b"")
    (root / "a" / "wrong.jpg").write_bytes(make_picture(7777))
    catalog = scan(root)
    severities = [own.severity for own in look(catalog, choose_task(catalog))]
    assert severities == sorted(severities, key=("severe", "warning", "note").index)
    found = findings(catalog)
    assert found["lost-class"].sentence == "Classes of which not one picture can be used: c."
    assert found["unusable"].sentence == "1 of 52 files cannot be used (1 empty): c/0.png."
    assert found["wrong-suffix"].paths == ("a/wrong.jpg",)


@pytest.mark.parametrize(
    ("header", "cells", "lost"),
    [
        ("weight", [f"{n}.25" for n in range(30)], None),
        ("tags", ["a|b", *["a", "b"] * 14, "a|c"], None),
        ("tags", ["c|a", *["a|b", "b"] * 14, "b"], "c"),
        ("a,b,c", ["1,1,0", *["1,0,1", "0,1,0"] * 14, "0,0,1"], None),
        ("a,b,c", ["1,0,1", *["1,0,0", "0,1,0"] * 14, "1,1,0"], "c"),
        ("label", ["", *["a", "b"] * 14, "b"], None),
    ],
)
def test_only_a_label_of_which_no_picture_can_be_used_is_lost(
    photos: Photos, header: str, cells: list[str], lost: str | None
) -> None:
    root = photos({".": 30})
    (root / "0.png").write_bytes(b"")
    rows = "".join(f"{n}.png,{cell}\n" for n, cell in enumerate(cells))
    (root / "labels.csv").write_text(f"file,{header}\n{rows}")
    found = findings(scan(root / "labels.csv"))
    if lost is None:
        assert "lost-class" not in found
    else:
        assert found["lost-class"].sentence == (
            f"Labels of which not one picture can be used: {lost}."
        )


def test_a_class_that_was_not_drawn_is_not_lost_but_a_warning(photos: Photos) -> None:
    root = photos({"a": 25, "b": 25, "rare": 1})
    catalog = scan(root, limit=Limit(num=20, seed=0))
    assert catalog.classes() == ["a", "b"]
    found = findings(catalog)
    assert "lost-class" not in found
    assert (found["undrawn-class"].severity, found["undrawn-class"].sentence) == (
        "warning",
        "Classes of which not one picture was drawn: rare.",
    )


def test_numbers_of_a_quantity_that_were_not_drawn_are_no_classes(photos: Photos) -> None:
    root = photos({".": 60})
    rows = "".join(f"{n}.png,{n}.25\n" for n in range(60))
    (root / "labels.csv").write_text(f"file,weight\n{rows}")
    found = findings(scan(root / "labels.csv", limit=Limit(num=30)))
    assert not {"lost-class", "undrawn-class"} & set(found)


def test_copies_and_copies_with_two_labels_are_found(photos: Photos) -> None:
    root = photos({"a": 25, "b": 25})
    content = (root / "a" / "0.png").read_bytes()
    (root / "a" / "copy.png").write_bytes(content)
    assert set(findings(scan(root))) == {"duplicate"}
    (root / "b" / "copy.png").write_bytes(content)
    found = findings(scan(root))
    assert found["duplicate"].sentence == (
        "2 pictures are exact copies of others, byte for byte: a/0.png = a/copy.png = b/copy.png."
    )
    assert found["conflict"].severity == "severe"
    assert found["conflict"].sentence == (
        "1 picture has two labels, in copies of equal bytes: "
        "a/0.png (a) and a/copy.png (a) and b/copy.png (b)."
    )


def test_without_content_hashes_copies_are_not_found_negative_control(
    photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = photos({"a": 2, "b": 2})
    (root / "b" / "copy.png").write_bytes((root / "a" / "0.png").read_bytes())
    catalog = scan(root)
    assert len([*duplicate_findings(catalog, find_twins(catalog, None))]) == 2
    monkeypatch.setattr("saccade.data.duplicates.exact_duplicates", lambda hashes: [])
    assert not [*duplicate_findings(catalog, find_twins(catalog, None))]
    assert exact_duplicates(catalog.hashes) == [(0, 4)]


def test_names_that_a_person_would_take_for_one_are_found(
    photos: Photos, make_picture: Callable[..., bytes]
) -> None:
    root = photos({"train/Cat": 25, "train/dog": 25, "val/cat": 25, "val/dog": 25})
    (root / "val" / "dog" / "X.png").write_bytes(make_picture(1001))
    (root / "val" / "dog" / "x.png").write_bytes(make_picture(1002))
    found = findings(scan(root))
    assert found["class-name-twin"].sentence == (
        "1 set of class names that differ only in capitals, accents' encoding, space or the way a "
        "number is written: 'Cat' and 'cat'."
    )
    assert found["file-name-twin"].paths == ("val/dog/X.png", "val/dog/x.png")


def test_one_class_number_written_in_two_ways_is_found(photos: Photos) -> None:
    root = photos({"pool": 80})
    lines = [f"pool/{n}.png,{n % 2 + 1}{'.0' * (n < 40)}" for n in range(80)]
    path = root / "labels.csv"
    path.write_text("\n".join(["file,label", *lines]))
    found = findings(scan(path))
    assert "'1' and '1.0', '2' and '2.0'" in found["class-name-twin"].sentence


def test_a_placeholder_and_a_lonely_format_are_pointed_at(photos: Photos) -> None:
    cases = Path(__file__).parents[1] / "cases" / "pictures"
    root = photos({"a": 60, "b": 60})
    (root / "a" / "imageNotFound.gif").write_bytes((cases / "palette.gif").read_bytes())
    found = findings(scan(root))
    assert found["placeholder"].paths == ("a/imageNotFound.gif",)
    assert found["rare-format"].sentence == "Only 1 picture of 121 is GIF: a/imageNotFound.gif."


def test_sizes_that_do_not_fit_are_found(
    photos: Photos, make_picture: Callable[..., bytes]
) -> None:
    root = photos({"a": 25, "b": 25})
    for number in range(51):
        (root / "a" / f"w{number}.png").write_bytes(make_picture(number, width=200, height=40))
    found = findings(scan(root))
    assert found["long"].sentence.startswith("51 pictures are more than 4 times as long as wide")
    assert found["tiny"].sentence.startswith("50 pictures are less than 32 pixels high or wide")


def test_small_classes_and_imbalance_are_found(photos: Photos) -> None:
    found = findings(scan(photos({"a": 60, "b": 12})))
    assert found["few-pictures"].sentence == ("1 of 2 classes has fewer than 20 pictures: b (12).")
    assert found["imbalance"].sentence == (
        "The classes are of very different size: a has 60 pictures, b 12; always answering a "
        "would be right in 83%."
    )


def test_a_class_that_is_not_tested_is_found(photos: Photos) -> None:
    catalog = scan(photos({"a": 25, "b": 25}))
    parts = ("train",) * 20 + ("test",) * 5 + ("train",) * 25
    split = Split(parts=parts, groups=("",) * 50, why=("drawn",) * 50, seed=0)
    found = findings(catalog, split)
    assert found["class-absent-from-test"].sentence == (
        "1 of 2 classes has no test picture, and so is not tested: b."
    )
    assert found["few-test-pictures"].sentence == (
        "1 of 2 classes has fewer than 10 test pictures, so that its numbers are very uncertain: a."
    )
    task = choose_task(catalog)
    assert class_counts(catalog, task) == {"a": 25, "b": 25}
    assert class_counts(catalog, task, split.rows("test")) == {"a": 5, "b": 0}
