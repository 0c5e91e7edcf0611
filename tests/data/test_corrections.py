"""Labels put right by a table: what is understood, what is refused, and what it does to a split."""

import csv
import dataclasses
from pathlib import Path

import pytest
from tests.data.test_split import catalog, split_of

from saccade.data.audit import look as audited
from saccade.data.catalog import Catalog, Skipped
from saccade.data.correction_table import label_text
from saccade.data.corrections import correct, corrected_rows, given_targets, part_findings
from saccade.data.split import make_split
from saccade.data.task import choose_task, targets
from saccade.runtime.errors import DataError
from saccade.runtime.store import decode_name, encode_name

LABELS = ["rose", "rose", "tulip", "tulip", "daisy", "daisy"]


def table(
    folder: Path,
    *lines: tuple[str, ...],
    header: tuple[str, ...] = ("file", "label"),
    name: str = "fixes.csv",
) -> Path:
    path = folder / name
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *lines])
    return path


def refused(own: Catalog, path: Path) -> str:
    with pytest.raises(DataError) as caught:
        correct(own, path)
    return f"{caught.value.code} {caught.value}".replace(str(path), "fixes.csv")


def test_labels_are_put_right_and_the_old_ones_are_kept(tmp_path: Path) -> None:
    own = catalog(LABELS)
    found = correct(own, table(tmp_path, ("1.jpg", "tulip"), ("4.jpg", "rose")))
    assert found.labels == ("rose", "tulip", "tulip", "tulip", "rose", "daisy")
    assert found.given_labels == tuple(LABELS)
    assert found.given is own
    assert corrected_rows(found) == [1, 4]
    (finding,) = found.findings
    assert finding.sentence == "fixes.csv: 2 labels corrected (daisy → rose: 1, rose → tulip: 1)."
    assert finding.paths == ("1.jpg", "4.jpg")
    assert found.fingerprint != own.fingerprint


@pytest.mark.parametrize("cell", ["yes", "x", "1", "1.0", "TRUE"])
def test_a_line_can_confirm_a_label(tmp_path: Path, cell: str) -> None:
    own = catalog(LABELS)
    lines = [("1.jpg", "", cell), ("2.jpg", "tulip", cell), ("3.jpg", "rose", cell)]
    lines += [("0.jpg", "rose", "n"), ("4.jpg", "", "No"), ("5.jpg", "daisy", "0.0")]
    found = correct(own, table(tmp_path, *lines, header=("file", "label", "confirmed")))
    assert found.settled == {"1.jpg", "2.jpg", "3.jpg"}
    assert found.findings[0].sentence == (
        "fixes.csv: 1 label corrected (tulip → rose: 1), 2 labels confirmed, "
        "2 labels as in the data."
    )


@pytest.mark.parametrize("cell", ["wrong", "?", "maybe", "2"])
def test_what_is_neither_yes_nor_no_confirms_nothing(tmp_path: Path, cell: str) -> None:
    lines, header = [("2.jpg", "", cell)], ("file", "label", "confirmed")
    told = refused(catalog(LABELS), table(tmp_path, *lines, header=header))
    assert told.startswith(f"SACCADE-E374 The column 'confirmed' holds '{cell}', which is neither")


def test_a_folder_is_no_table_of_corrections(tmp_path: Path) -> None:
    assert "is a folder" in refused(catalog(LABELS), tmp_path)


def test_a_label_that_is_confirmed_and_changed_is_a_contradiction(tmp_path: Path) -> None:
    lines, header = [("2.jpg", "", "yes"), ("2.jpg", "rose", "")], ("file", "label", "confirmed")
    assert "372" in refused(catalog(LABELS), table(tmp_path, *lines, header=header))
    lines[1] = ("2.jpg", "tulip", "")
    assert correct(catalog(LABELS), table(tmp_path, *lines, header=header)).settled == {"2.jpg"}


def test_what_was_confirmed_of_a_picture_is_confirmed_of_its_copies_so_labelled(
    tmp_path: Path,
) -> None:
    own = catalog(LABELS)
    hashes = ("same", "same", "same", *own.hashes[3:])  # rose, rose, tulip
    own = dataclasses.replace(own, hashes=hashes)
    header = ("file", "label", "content", "confirmed")
    found = correct(own, table(tmp_path, ("0.jpg", "", "", "yes"), header=header))
    assert found.settled == {"0.jpg", "1.jpg"}
    of_content = table(tmp_path, ("", "", "same", "yes"), header=header)
    assert "372" in refused(own, of_content)  # two labels, of which not both are right


def test_a_picture_that_is_not_there_can_not_be_confirmed(tmp_path: Path) -> None:
    lines, header = [("7.jpg", "", "yes")], ("file", "label", "confirmed")
    assert "370" in refused(catalog(LABELS), table(tmp_path, *lines, header=header))


def test_an_empty_label_changes_nothing_and_neither_does_the_same_one(tmp_path: Path) -> None:
    own = catalog(LABELS)
    found = correct(own, table(tmp_path, ("1.jpg", ""), ("2.jpg", "tulip"), ("no such.jpg", " ")))
    assert found.labels == own.labels
    assert found.findings[0].sentence == "fixes.csv: 0 labels corrected, 1 label as in the data."
    assert found.fingerprint == own.fingerprint


def test_a_question_mark_changes_nothing_but_where_it_is_a_class(tmp_path: Path) -> None:
    path = table(tmp_path, ("0.jpg", "?"), ("1.jpg", " ? "))
    found = correct(catalog(LABELS), path)
    assert found.labels == tuple(LABELS)
    assert not found.settled
    assert correct(catalog([*LABELS, "?", "?"]), path).labels[:2] == ("?", "?")
    sure = table(tmp_path, ("0.jpg", "?", "yes"), header=("file", "label", "confirmed"))
    assert refused(catalog(LABELS), sure).startswith("SACCADE-E371")


def test_a_dash_leaves_a_picture_out_and_the_counts_still_add_up(tmp_path: Path) -> None:
    found = correct(catalog(LABELS), table(tmp_path, ("1.jpg", "-"), ("0.jpg", "daisy")))
    assert found.paths == ("0.jpg", "2.jpg", "3.jpg", "4.jpg", "5.jpg")
    assert found.labels[0] == "daisy"
    assert found.skipped == (
        Skipped(path="1.jpg", reason="corrections", sentence="left out by fixes.csv"),
    )
    assert len(found) + len(found.skipped) == found.num_files
    assert len(found.hashes) == len(found.formats) == len(found.num_bytes) == 5
    assert found.findings[0].sentence == (
        "fixes.csv: 1 label corrected (rose → daisy: 1), 1 picture left out."
    )
    assert "unusable" not in {own.kind for own in audited(found, choose_task(found))}


def test_a_class_called_dash_is_written_as_our_tables_write_it(tmp_path: Path) -> None:
    own = catalog(["-", "-", "rose", "rose"])
    assert encode_name("-") == "'-"
    found = correct(own, table(tmp_path, ("2.jpg", "'-"), ("3.jpg", "-")))
    assert found.labels == ("-", "-", "-")


@pytest.mark.parametrize(
    "name", ["=cmd()|'/c calc'!A1.jpg", "a\nb.jpg", "'quoted.jpg", "back\\slash.jpg", "b\udcff.jpg"]
)
def test_a_name_is_found_as_our_tables_write_it_and_as_a_person_types_it(
    tmp_path: Path, name: str
) -> None:
    own = catalog(LABELS, paths=(name, *(f"{n}.jpg" for n in range(1, 6))))
    written = encode_name(name)
    assert decode_name(written) == name
    assert correct(own, table(tmp_path, (written, "daisy"))).labels[0] == "daisy"
    if name.isprintable():
        assert correct(own, table(tmp_path, (name, "daisy"))).labels[0] == "daisy"


def test_a_picture_can_be_known_by_its_content_and_then_all_its_copies_are(tmp_path: Path) -> None:
    own = catalog(LABELS, hashes=["aa", "bb", "cc", "aa", "dd", "ee"])
    lines = ("review/01.jpg", "daisy", "aa"), ("review/02.jpg", "", "bb")
    found = correct(own, table(tmp_path, *lines, header=("file", "label", "content")))
    assert corrected_rows(found) == [0, 3]


def test_a_picture_that_is_not_there_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    assert refused(catalog(LABELS), table(tmp_path, ("1.jpg", "rose"), ("1.jpgg", "rose"))) == (
        "SACCADE-E370 1 correction of pictures that are not there: 1.jpgg.\n"
        "  where: fixes.csv, line 3\n"
        "  fix:   perhaps 1.jpg, 5.jpg, 4.jpg, 3.jpg, 2.jpg; name pictures as split.csv of a run "
        "does, or remove these lines"
    )


def test_a_label_that_is_no_class_is_refused_with_the_nearest_class(tmp_path: Path) -> None:
    assert refused(catalog(LABELS), table(tmp_path, ("1.jpg", "tulpi"))) == (
        "SACCADE-E371 Corrected labels that are not there: tulpi.\n"
        "  where: fixes.csv, line 2\n"
        "  fix:   nearest: tulip; - leaves a picture out; for a new class, give its pictures in "
        "the data"
    )


def test_two_lines_that_say_different_things_are_refused_and_two_alike_are_not(
    tmp_path: Path,
) -> None:
    own = catalog(LABELS)
    alike = ("1.jpg", "daisy"), ("1.jpg", "daisy"), ("1.jpg", "")
    assert correct(own, table(tmp_path, *alike)).labels[1] == "daisy"
    assert refused(own, table(tmp_path, ("1.jpg", "daisy"), ("1.jpg", "-"))) == (
        "SACCADE-E372 Two lines say different things of one picture.\n"
        "  where: fixes.csv, lines 2, 3\n"
        "  fix:   keep the right line"
    )


def test_a_table_without_the_columns_or_no_table_is_refused(tmp_path: Path) -> None:
    path = table(tmp_path, ("1.jpg", "rose"), header=("name", "label"))
    assert refused(catalog(LABELS), path) == (
        "SACCADE-E307 A table of corrections needs the columns 'file' and 'label'; file is "
        "missing.\n"
        "  where: fixes.csv (columns: name, label)\n"
        "  fix:   begin with a line file,label and then give one line a picture"
    )
    with pytest.raises(DataError) as caught:
        correct(catalog(LABELS), tmp_path / "fixs.csv")
    assert caught.value.code == "SACCADE-E301"


@pytest.mark.parametrize("name", ["confirm", "Confirmed", "CONFIRMED", "contents"])
def test_a_column_that_is_nearly_known_is_refused_and_another_is_not(
    tmp_path: Path, name: str
) -> None:
    own, line = catalog(LABELS), ("1.jpg", "rose", "")
    message = refused(own, table(tmp_path, line, header=("file", "label", name)))
    assert message.startswith(f"SACCADE-E307 The column '{name}' is not known, and nearly called")
    for harmless in ("comment", "score", "confirmed_by"):
        assert correct(own, table(tmp_path, line, header=("file", "label", harmless)))


def test_a_picture_that_is_on_disk_but_not_used_is_counted_not_refused(tmp_path: Path) -> None:
    """As with --limit, where most pictures are not looked at."""
    passed = Skipped(path="9.jpg", reason="limit", sentence="not among those drawn")
    own = catalog(LABELS, skipped=(passed,), num_files=7)
    lines = ("9.jpg", "rose", ""), ("review/01.jpg", "rose", "ff")
    found = correct(own, table(tmp_path, *lines, header=("file", "label", "content")))
    assert found.findings[0].sentence == "fixes.csv: 0 labels corrected, 2 lines not used."


def test_corrected_twice_the_first_labels_are_those_as_given(tmp_path: Path) -> None:
    once = correct(catalog(LABELS), table(tmp_path, ("1.jpg", "tulip")))
    twice = correct(once, table(tmp_path, ("1.jpg", "daisy"), ("2.jpg", "-")))
    assert twice.labels[1] == "daisy"
    assert twice.given_labels == ("rose", "rose", "tulip", "daisy", "daisy")


# --- other kinds of labels ------------------------------------------------------------------------


def test_numbers_are_corrected_by_numbers(tmp_path: Path) -> None:
    own = catalog(["1.5", "2.5", "-3.5"], label_name="height")
    found = correct(own, table(tmp_path, ("0.jpg", "1.50"), ("1.jpg", "'-2")))
    assert found.labels == ("1.5", "-2", "-3.5")
    assert refused(own, table(tmp_path, ("0.jpg", "tall"))) == (
        "SACCADE-E371 Corrected labels that are not there: tall.\n"
        "  where: fixes.csv, line 2\n"
        "  fix:   write numbers with a decimal point, or - to leave a picture out"
    )


def test_sets_of_labels_are_corrected_by_their_names(tmp_path: Path) -> None:
    own = catalog(["cat;dog", "cat", "dog", "cat;fox"], label_name="labels")
    lines = ("0.jpg", "dog; cat"), ("1.jpg", "dog|fox"), ("2.jpg", "|"), ("3.jpg", "fox")
    found = correct(own, table(tmp_path, *lines))
    assert found.labels == ("cat;dog", "dog;fox", "", "fox")  # the same set is the same label
    assert corrected_rows(found) == [1, 2, 3]
    assert "SACCADE-E371" in refused(own, table(tmp_path, ("0.jpg", "cat;wolf")))


def test_columns_of_marks_are_corrected_by_marks_or_names(tmp_path: Path) -> None:
    own = catalog(["1|0|1", "0|1|0", "0|0|0"], label_columns=("cat", "dog", "fox"))
    found = correct(own, table(tmp_path, ("0.jpg", "0|0|0"), ("1.jpg", "dog|fox")))
    assert found.labels == ("0|0|0", "0|1|1", "0|0|0")
    assert "cat|fox → no label: 1" in found.findings[-1].sentence
    assert "dog → dog|fox: 1" in found.findings[-1].sentence
    assert "SACCADE-E371" in refused(own, table(tmp_path, ("0.jpg", "1|0")))


@pytest.mark.parametrize(
    ("labels", "more"),
    [
        (["cat;dog", "cat", "", "dog"], {"label_name": "labels"}),
        (["1|1", "1|0", "0|0", "0|1"], {"label_columns": ("cat", "dog")}),
    ],
)
def test_a_set_of_labels_is_written_so_that_it_is_read_as_itself(
    tmp_path: Path, labels: list[str], more: dict[str, object]
) -> None:
    own = catalog(labels, **more)  # type: ignore[arg-type]
    task = choose_task(own)
    marks_NK = targets(own, task)
    for row, marks_K in enumerate(marks_NK[::-1]):
        text = label_text(marks_K, own, task)
        found = correct(own, table(tmp_path, (f"{row}.jpg", text)))
        assert targets(found, task)[row].tolist() == marks_K.tolist()


# --- the split ------------------------------------------------------------------------------------


def many() -> Catalog:
    return catalog([name for name in ("daisy", "rose", "tulip") for _ in range(30)])


def fixes(folder: Path) -> Path:
    changed = [(f"{n}.jpg", "tulip") for n in range(0, 20, 2)]
    return table(folder, *changed, ("31.jpg", "-"), ("62.jpg", "-"))


def test_a_picture_stays_in_its_part_whatever_is_corrected(tmp_path: Path) -> None:
    own = many()
    before = split_of(own)
    found = correct(own, fixes(tmp_path))
    after = split_of(found)
    parts = dict(zip(own.paths, before.parts, strict=True))
    assert after.parts == tuple(parts[path] for path in found.paths)
    assert after.notes[-1] == (
        "Every picture is in the part that it was in before its label was corrected."
    )


def test_drawn_by_the_new_labels_the_parts_would_be_others(tmp_path: Path) -> None:
    """The negative control of the test above."""
    own = many()
    parts = dict(zip(own.paths, split_of(own).parts, strict=True))
    forgetful = dataclasses.replace(correct(own, fixes(tmp_path)), given=None)
    assert split_of(forgetful).parts != tuple(parts[path] for path in forgetful.paths)


def test_a_class_that_lost_its_training_pictures_is_refused(tmp_path: Path) -> None:
    own = catalog(
        ["rose", "rose", "tulip", "rose", "tulip"],
        parts=["train", "train", "train", "validation", "test"],
    )
    found = correct(own, table(tmp_path, ("2.jpg", "rose")))
    task = choose_task(found)
    with pytest.raises(DataError, match="1 of 2 classes have no training picture: tulip"):
        make_split(found, task, targets(found, task), seed=0)


def test_corrected_test_labels_are_counted_and_named(tmp_path: Path) -> None:
    own = catalog(LABELS, parts=["train", "train", "validation", "validation", "test", "test"])
    found = correct(own, table(tmp_path, ("0.jpg", "daisy"), ("4.jpg", "rose")))
    (finding,) = part_findings(found, found.parts)
    assert finding.severity == "warning"
    assert finding.paths == ("4.jpg",)
    assert finding.sentence == (
        "Of 2 corrected labels, 1 in train, 0 in validation, 1 in test. 1 test label was changed: "
        "4.jpg."
    )
    harmless = correct(own, table(tmp_path, ("0.jpg", "daisy")))
    assert [one.severity for one in part_findings(harmless, harmless.parts)] == ["note"]
    assert part_findings(own, own.parts) == []


def test_who_reviewed_blind_is_not_told_to(tmp_path: Path) -> None:
    """Such a table names pictures by their content alone."""
    own = catalog(LABELS, parts=["train", "train", "validation", "validation", "test", "test"])
    lines = ("", "rose", own.hashes[4])
    header = ("file", "label", "content")
    found = correct(own, table(tmp_path, lines, header=header))
    (finding,) = part_findings(found, found.parts)
    assert finding.severity == "note"
    assert "changed: 4.jpg, by a review whose table names pictures by content" in finding.sentence


def test_the_answers_as_given_are_those_of_the_same_pictures(tmp_path: Path) -> None:
    found = correct(catalog(LABELS), table(tmp_path, ("0.jpg", "-"), ("2.jpg", "daisy")))
    task = choose_task(found)
    given = given_targets(found, task)
    assert given is not None
    assert [task.classes[k] for k in given] == LABELS[1:]
    assert (targets(found, task) == given).tolist() == [True, False, True, True, True]


def test_a_class_that_is_gone_leaves_no_answers_as_given(tmp_path: Path) -> None:
    lines = ("0.jpg", "daisy"), ("1.jpg", "daisy")
    found = correct(catalog(LABELS), table(tmp_path, *lines))
    assert given_targets(found, choose_task(found)) is None


def test_corrections_that_leave_nothing_are_refused(tmp_path: Path) -> None:
    own = catalog(LABELS)
    lines = [(path, "-") for path in own.paths]
    assert refused(own, table(tmp_path, *lines)).startswith(
        "SACCADE-E373 fixes.csv leaves out every one of 6 pictures."
    )


def test_a_misspelt_class_that_is_corrected_away_does_not_keep_the_data_from_a_split(
    tmp_path: Path,
) -> None:
    own = catalog(["rose"] * 20 + ["tulip"] * 20 + ["tulp"])
    with pytest.raises(DataError, match="'tulp'"):
        split_of(own)
    found = correct(own, table(tmp_path, ("40.jpg", "tulip")))
    task = choose_task(found)
    split = make_split(found, task, targets(found, task), seed=0)
    assert set(split.parts) == {"train", "validation", "test"}
    assert split.notes[-1].startswith("Parts are drawn by the corrected labels; by those given: ")


def test_a_label_that_the_table_fills_in_may_be_empty_in_the_data(tmp_path: Path) -> None:
    own = catalog([*LABELS, ""], label_name="label")
    found = correct(own, table(tmp_path, ("6.jpg", "rose")))
    assert found.labels[-1] == "rose"


def test_two_lines_that_mean_the_same_are_no_contradiction(tmp_path: Path) -> None:
    own = catalog(["0.5", "1.5", "2.5", "3.5"] * 10)
    path = table(tmp_path, ("1.jpg", "5"), ("1.jpg", "5.0"))
    assert correct(own, path, requested="regression").labels[1] == "5"
    twice = table(tmp_path, ("1.jpg", "5"), ("1.jpg", "6"))
    with pytest.raises(DataError, match="Two lines say different things"):
        correct(own, twice, requested="regression")


def test_several_tables_count_as_one(tmp_path: Path) -> None:
    first = table(tmp_path, ("0.jpg", "daisy"), name="a.csv")
    header = ("file", "confirmed", "label")
    second = table(tmp_path, ("2.jpg", "yes", ""), header=header, name="b.csv")
    found = correct(catalog(LABELS), f"{first},{second}")
    assert found.labels[0] == "daisy"
    assert found.settled == {"0.jpg", "2.jpg"}
    assert found.findings[-1].sentence.startswith("a.csv and b.csv: 1 label corrected")


def test_two_tables_that_contradict_each_other_are_refused_with_both_places(tmp_path: Path) -> None:
    first = table(tmp_path, ("0.jpg", "rose"), ("1.jpg", "daisy"), name="a.csv")
    second = table(tmp_path, ("1.jpg", "-"), name="b.csv")
    with pytest.raises(DataError) as caught:
        correct(catalog(LABELS), f"{first},{second}")
    assert caught.value.code.endswith("E372")
    assert caught.value.where == f"{first}, line 3; {second}, line 2"


def test_of_several_tables_each_must_be_there_and_have_its_columns(tmp_path: Path) -> None:
    first = table(tmp_path, ("0.jpg", "daisy"), name="a.csv")
    both = f"{first},{tmp_path / 'b.csv'}"
    with pytest.raises(DataError, match=r"b\.csv") as caught:
        correct(catalog(LABELS), both)
    assert caught.value.code.endswith("E301")
    table(tmp_path, ("0.jpg", "daisy"), header=("file", "lable"), name="b.csv")
    with pytest.raises(DataError) as missing:
        correct(catalog(LABELS), both)
    assert missing.value.code.endswith("E307")
    assert str(missing.value.where).startswith(str(tmp_path / "b.csv"))


def test_a_table_with_a_comma_in_its_name_is_one_table(tmp_path: Path) -> None:
    odd = table(tmp_path, ("0.jpg", "daisy"), name="a,b.csv")
    assert correct(catalog(LABELS), odd).settled == {"0.jpg"}
    (tmp_path / "x,y").mkdir()
    other = table(tmp_path / "x,y", ("1.jpg", "daisy"), name="c.csv")
    assert correct(catalog(LABELS), f"{odd}, {other},").settled == {"0.jpg", "1.jpg"}
    with pytest.raises(DataError, match="There is no folder or file"):
        correct(catalog(LABELS), ",".join(["some_table.csv"] * 40))


def test_a_table_that_is_named_twice_is_told_once(tmp_path: Path) -> None:
    path = table(tmp_path, ("0.jpg", "daisy"))
    found = correct(catalog(LABELS), f"{path},{path}")
    assert found.findings[-1].sentence.startswith("fixes.csv: 1 label corrected")


def test_what_is_said_of_other_bytes_is_refused_and_with_a_name_beside_it_was_not_blind(
    tmp_path: Path,
) -> None:
    own = catalog(LABELS)
    header = ("file", "label", "content")
    changed = table(tmp_path, ("0.jpg", "daisy", "0" * 64), header=header)
    assert refused(own, changed).startswith("SACCADE-E370")
    known = table(tmp_path, ("0.jpg", "daisy", own.hashes[0]), header=header)
    assert not correct(own, known).reviewed


def test_a_blind_review_does_not_excuse_what_was_changed_by_name(tmp_path: Path) -> None:
    own = catalog(LABELS, parts=["train", "train", "validation", "validation", "test", "test"])
    header = ("file", "label", "content")
    blind = table(tmp_path, ("", "rose", own.hashes[4]), header=header, name="a.csv")
    named = table(tmp_path, ("5.jpg", "rose"), name="b.csv")
    found = correct(own, f"{blind},{named}")
    assert found.reviewed == {"4.jpg"}
    (finding,) = part_findings(found, found.parts)
    assert finding.severity == "warning"
