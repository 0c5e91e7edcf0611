"""Tables and metadata files: every kind, columns found or named, and every mistake in them."""

import builtins
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from saccade.data.audit import look
from saccade.data.catalog import Catalog
from saccade.data.scan import scan
from saccade.data.tables import read_table
from saccade.data.task import choose_task, targets
from saccade.runtime.errors import DataError

Photos = Callable[[Mapping[str, int]], Path]


def table(root: Path, text: str, name: str = "labels.csv") -> Path:
    path = root / name
    path.write_text(text, encoding="utf-8")
    return path


def labels(catalog: Catalog) -> dict[str, str]:
    return dict(zip(catalog.paths, catalog.labels, strict=True))


def message(path: Path, **columns: Any) -> str:
    with pytest.raises(DataError) as caught:
        scan(path, **columns)
    assert caught.value.exit_code == 3
    return str(caught.value)


# Kinds of tables


def test_a_csv_of_paths_and_labels_is_read(photos: Photos) -> None:
    root = photos({"pool": 3})
    path = table(root, "file,label\npool/2.png,dog\npool/0.png,cat\n./pool/1.png, dog \n")
    catalog = scan(path)
    assert labels(catalog) == {"pool/0.png": "cat", "pool/1.png": "dog", "pool/2.png": "dog"}
    assert catalog.paths == ("pool/0.png", "pool/1.png", "pool/2.png")
    assert catalog.layout == (
        "a table of 3 rows: pictures in column 'file', labels in column 'label'"
    )
    assert (catalog.num_files, catalog.label_name) == (3, "label")
    assert catalog.read(2) == (root / "pool/2.png").read_bytes()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "file;label\n0.png;cat\n1.png;dog\n"),
        ("a.csv", "\ufefffile,label\r\n0.png,cat\r\n\r\n1.png,dog\r\n"),
        ("a.tsv", "file\tlabel\n0.png\tcat\n1.png\tdog\n"),
        ("a.csv", '"file","label"\n"0.png","cat"\n"1.png","dog"'),
        ("a.csv", "label,n,file\ncat,1,0.png\ndog,2,1.png\n"),
        ("a.jsonl", '{"file": "0.png", "label": "cat"}\n\n{"file": "1.png", "label": "dog"}\n'),
    ],
)
def test_every_dialect_gives_the_same(photos: Photos, name: str, text: str) -> None:
    assert labels(scan(table(photos({".": 2}), text, name))) == {"0.png": "cat", "1.png": "dog"}


def test_utf_16_as_spreadsheets_write_it_is_read(photos: Photos) -> None:
    path = photos({".": 1}) / "a.csv"
    path.write_bytes("file\tlabel\n0.png\tkätzchen\n".encode("utf-16"))
    assert labels(scan(path)) == {"0.png": "kätzchen"}


def test_windows_paths_and_absolute_paths_are_found(photos: Photos) -> None:
    root = photos({"pool": 2})
    path = table(root, f"file,label\npool\\0.png,a\n{root.resolve()}/pool/1.png,b\n")
    assert scan(path).paths == ("pool/0.png", "pool/1.png")


def test_windows_paths_that_look_like_escapes_are_found(photos: Photos) -> None:
    root = photos({"img/xray": 1, "data/users": 1})
    path = table(root, "file,label\nimg\\xray\\0.png,a\ndata\\users\\0.png,b\n")
    assert scan(path).paths == ("data/users/0.png", "img/xray/0.png")
    path = table(root, "file,label\nimg\\xray\\1.png,a\n")
    assert message(path).startswith("1 of 1 rows name a file that is not there: ")


@pytest.fixture
def parquet(photos: Photos) -> Callable[[Mapping[str, list[Any]], Mapping[str, Any]], Path]:
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet")

    def write(columns: Mapping[str, list[Any]], features: Mapping[str, Any]) -> Path:
        made = pyarrow.table(dict(columns))
        if features:
            extra = {"huggingface": json.dumps({"info": {"features": features}})}
            made = made.replace_schema_metadata(extra)
        path = photos({}) / "data.parquet"
        pyarrow.parquet.write_table(made, path, row_group_size=3)
        return path

    return write


def test_a_parquet_file_of_pictures_is_read_as_the_hub_writes_it(
    parquet: Callable[..., Path], make_picture: Callable[..., bytes]
) -> None:
    contents = [make_picture(seed) for seed in range(8)]
    images = [{"bytes": own, "path": f"{9 - n}.png"} for n, own in enumerate(contents)]
    path = parquet(
        {"image": images, "label": [0, 1] * 4, "split": ["train", "test"] * 4},
        {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}},
    )
    catalog = scan(path)
    assert catalog.paths == tuple(f"{n}.png" for n in range(2, 10))
    assert [catalog.read(row) for row in range(8)] == contents[::-1]
    assert labels(catalog)["9.png"] == "cat"
    assert Counter(catalog.parts) == {"train": 4, "test": 4}
    task = choose_task(catalog)
    assert (task.kind, task.classes) == ("binary", ("cat", "dog"))


@pytest.mark.parametrize("paths", [[None, None, None], ["a.png", "a.png", "b.png"], ["", "b", "c"]])
def test_pictures_without_names_of_their_own_are_called_by_their_rows(
    parquet: Callable[..., Path], make_picture: Callable[..., bytes], paths: list[str | None]
) -> None:
    images = [{"bytes": make_picture(n), "path": own} for n, own in enumerate(paths)]
    path = parquet({"image": images, "label": ["a", "b", "a"]}, {})
    assert scan(path).paths == ("row-1", "row-2", "row-3")


def test_bytes_in_a_struct_without_paths_are_called_by_their_rows(
    parquet: Callable[..., Path], make_picture: Callable[..., bytes]
) -> None:
    images = [{"bytes": make_picture(n)} for n in range(3)]
    path = parquet({"image": images, "label": ["a", "b", "a"]}, {})
    assert labels(scan(path)) == {"row-1": "a", "row-2": "b", "row-3": "a"}


def test_a_row_that_has_left_a_parquet_file_is_gone(
    parquet: Callable[..., Path], make_picture: Callable[..., bytes]
) -> None:
    catalog = scan(parquet({"image": [make_picture(0)], "label": ["a"]}, {}))
    with pytest.raises(DataError) as caught:
        catalog.source.read("row-2")
    assert caught.value.code == "SACCADE-E316"
    assert "its row is no longer in the table (row-2)" in str(caught.value)


def test_a_parquet_file_of_bare_bytes_is_read(
    parquet: Callable[..., Path], make_picture: Callable[..., bytes]
) -> None:
    path = parquet({"jpeg": [make_picture(0), b"broken", None], "y": ["a", "b", "a"]}, {})
    catalog = scan(path)
    assert labels(catalog) == {"row-1": "a"}
    assert {own.path: own.reason for own in catalog.skipped} == {
        "row-2": "not-an-image",
        "row-3": "empty",
    }
    assert catalog.num_files == 3


def test_a_parquet_file_may_hold_paths(parquet: Callable[..., Path], photos: Photos) -> None:
    photos({"pool": 2})
    assert labels(scan(parquet({"path": ["pool/0.png", "pool/1.png"], "label": [7, 8]}, {}))) == {
        "pool/0.png": "7",
        "pool/1.png": "8",
    }
    inside = [{"bytes": None, "path": "pool/0.png"}, {"bytes": None, "path": "pool/1.png"}]
    assert len(scan(parquet({"image": inside, "label": [7, 8]}, {}))) == 2


def test_a_parquet_cell_cannot_reach_files_outside_its_folder(
    parquet: Callable[..., Path], photos: Photos
) -> None:
    root = photos({".": 2})
    (root.parent / "secret.png").write_bytes((root / "0.png").read_bytes())
    names = ["../secret.png", str(root.parent / "secret.png"), "1.png"]
    images = [{"bytes": None, "path": name} for name in names]
    catalog = scan(parquet({"image": images, "label": ["a", "b", "a"]}, {}))
    assert catalog.paths == ("1.png",)
    assert [own.sentence for own in catalog.skipped] == [
        "its path leads out of the folder: ../secret.png",
        f"its path leads out of the folder: {root.parent}/secret.png",
    ]


def test_a_list_in_a_cell_is_several_labels(photos: Photos) -> None:
    root = photos({".": 3})
    lines = [
        {"file_name": "0.png", "tags": ["cat", "dog"]},
        {"file_name": "1.png", "tags": []},
        {"file_name": "2.png", "tags": ["dog"]},
    ]
    catalog = scan(table(root, "\n".join(map(json.dumps, lines)), "metadata.jsonl"))
    task = choose_task(catalog)
    assert (task.kind, task.classes) == ("multilabel", ("cat", "dog"))
    assert targets(catalog, task).tolist() == [[1, 1], [0, 0], [0, 1]]


# Metadata in a folder


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
def test_a_metadata_file_labels_the_files_of_its_folder(photos: Photos, name: str) -> None:
    root = photos({"pool": 3, ".": 1})
    rows = [("pool/0.png", "a"), ("pool/1.png", "b")]
    if name.endswith("csv"):
        text = "file_name,label\n" + "".join(f"{file},{label}\n" for file, label in rows)
    else:
        text = "\n".join(json.dumps({"file_name": file, "label": label}) for file, label in rows)
    table(root, text, name)
    catalog = scan(root)
    assert labels(catalog) == dict(rows)
    assert {own.path: own.reason for own in catalog.skipped} == {
        "0.png": "not-in-table",
        "pool/2.png": "not-in-table",
        name: "table",
    }
    assert catalog.num_files == 5


def test_metadata_in_parquet_labels_the_files_of_its_folder(
    parquet: Callable[..., Path], photos: Photos
) -> None:
    photos({"pool": 2})
    path = parquet({"file_name": ["pool/0.png", "pool/1.png"], "label": ["a", "b"]}, {})
    path.rename(path.with_name("metadata.parquet"))
    assert labels(scan(path.parent)) == {"pool/0.png": "a", "pool/1.png": "b"}


def test_metadata_in_each_part_gives_the_parts(photos: Photos) -> None:
    root = photos({"train": 2, "val": 1})
    table(root / "train", "file_name,label\n0.png,a\n1.png,b\n", "metadata.csv")
    table(root / "val", "file_name,label\n0.png,b\n", "metadata.csv")
    catalog = scan(root)
    assert dict(zip(catalog.paths, catalog.parts, strict=True)) == {
        "train/0.png": "train",
        "train/1.png": "train",
        "val/0.png": "validation",
    }


def test_a_column_of_parts_in_one_table_stands_and_the_folder_gives_the_other_parts(
    photos: Photos,
) -> None:
    root = photos({"train": 2, "test": 1})
    table(root / "train", "file_name,label,split\n0.png,a,train\n1.png,b,val\n", "metadata.csv")
    table(root / "test", "file_name,label\n0.png,b\n", "metadata.csv")
    catalog = scan(root)
    assert dict(zip(catalog.paths, catalog.parts, strict=True)) == {
        "test/0.png": "test",
        "train/0.png": "train",
        "train/1.png": "validation",
    }
    assert catalog.layout.endswith("labels in column 'label', parts in column 'split'")


def test_pictures_outside_the_folders_of_parts_are_named_and_not_mixed_in(photos: Photos) -> None:
    root = photos({"train": 2, "test": 1, "extra": 1})
    rows = [("train/0.png", "a"), ("train/1.png", "b"), ("test/0.png", "a"), ("extra/0.png", "b")]
    text = "file_name,label\n" + "".join(f"{name},{label}\n" for name, label in rows)
    table(root, text, "metadata.csv")
    assert "1 of 4 pictures lie outside the folders of parts, in which the others are: " in (
        message(root)
    )
    table(root, text.replace("extra/0.png,b\n", ""), "metadata.csv")
    assert set(scan(root).parts) == {"train", "test"}


def test_rows_behind_a_link_out_of_the_folder_are_passed_over_and_hidden_ones_are_used(
    photos: Photos, tmp_path: Path
) -> None:
    root = photos({"pool": 3})
    other = tmp_path / "elsewhere.png"
    other.write_bytes((root / "pool/0.png").read_bytes())
    (root / "link.png").symlink_to(other)
    (root / ".hidden.png").write_bytes((root / "pool/1.png").read_bytes())
    names = ["pool/0.png", "pool/1.png", "pool/2.png", "link.png", ".hidden.png"]
    text = "file_name,label\n" + "".join(f"{name},{n % 2}\n" for n, name in enumerate(names))
    table(root, text, "metadata.csv")
    found = scan(root)
    assert ".hidden.png" in found.paths
    assert "link.png" not in found.paths
    assert Counter(own.reason for own in found.skipped) == {"link": 1, "table": 1}
    assert found.num_files == len(found) + len(found.skipped) == 6
    assert "link.png" in scan(root, follow_links=True).paths


@pytest.mark.parametrize("role", ["label_column", "group_column", "split_column"])
def test_a_named_column_of_nested_values_is_refused(
    parquet: Callable[..., Path], photos: Photos, role: str
) -> None:
    photos({"pool": 2})
    boxes = [{"x": 1}, {"x": 2}]
    path = parquet({"file": ["pool/0.png", "pool/1.png"], "label": ["a", "b"], "box": boxes}, {})
    assert "The column 'box' holds pictures or nested values, no text." in (
        message(path, **{role: "box"})
    )


def test_vectors_in_a_parquet_file_are_no_labels_and_are_not_read(
    parquet: Callable[..., Path], photos: Photos
) -> None:
    photos({"pool": 2})
    cells = {"file": ["pool/0.png", "pool/1.png"], "what": ["a", "b"]}
    path = parquet({**cells, "embedding": [[0.1, 0.2], [0.3, 0.4]]}, {})
    found = read_table(path)
    assert "embedding" in found.names
    assert "embedding" not in found.cells
    assert labels(scan(path)) == {"pool/0.png": "a", "pool/1.png": "b"}


@pytest.mark.parametrize("with_parts", ["a", "b"])
def test_tables_of_which_one_has_no_parts_are_named(photos: Photos, with_parts: str) -> None:
    root = photos({"a": 2, "b": 1})
    for name in ("a", "b"):
        split = (",split", ",train") if name == with_parts else ("", "")
        text = f"file_name,label{split[0]}\n0.png,x{split[1]}\n"
        table(root / name, text, "metadata.csv")
    other = "ab".replace(with_parts, "")
    assert message(root) == (
        "Some tables have a column of parts, and 1 has none: "
        f"{other}/metadata.csv.\n"
        f"  where: {root}\n"
        "  fix:   give all of them the same columns of parts, or none"
    )


def test_a_metadata_file_without_file_names_does_not_label_anything(photos: Photos) -> None:
    root = photos({"a": 1, "b": 1})
    table(root, "camera,owner\nx,y\n", "metadata.csv")
    catalog = scan(root)
    assert labels(catalog) == {"a/0.png": "a", "b/0.png": "b"}
    assert [own.reason for own in catalog.skipped] == ["outside"]


# Columns


@pytest.mark.parametrize(
    ("header", "picture", "label"),
    [
        ("image_path,species", "image_path", "species"),
        ("id,img,fine_label,width", "img", "fine_label"),
        ("foto,art", "foto", "art"),
        ("index,foto,art", "foto", "art"),
        ("Path,Label,note", "Path", "Label"),
        ("note,file_name,category", "file_name", "category"),
    ],
)
def test_columns_are_found_by_name_and_content(
    photos: Photos, header: str, picture: str, label: str
) -> None:
    names = header.split(",")

    def row(number: int) -> str:
        cells = {picture: f"{number}.png", label: "ab"[number % 2]}
        return ",".join(cells.get(name, str(number + 5)) for name in names)

    text = f"{header}\n" + "\n".join(map(row, range(4)))
    assert set(labels(scan(table(photos({".": 4}), text))).values()) == {"a", "b"}


def test_several_columns_of_marks_are_one_label_each(photos: Photos) -> None:
    root = photos({".": 3})
    path = table(root, "file,cat,dog,red\n0.png,1,0,1\n1.png,0,0,0\n2.png,0,1,1\n")
    catalog = scan(path)
    assert catalog.label_columns == ("cat", "dog", "red")
    assert catalog.labels == ("1|0|1", "0|0|0", "0|1|1")
    named = scan(path, label_column="red,cat")
    assert named.label_columns == ("red", "cat")
    task = choose_task(named)
    assert (task.kind, task.classes) == ("multilabel", ("cat", "red"))
    assert targets(named, task).tolist() == [[1, 1], [0, 0], [0, 1]]


def test_named_columns_are_taken(photos: Photos) -> None:
    root = photos({".": 4})
    rows = [
        f"{n}.png,{n}.png,{n % 2},x{n % 2},{'train' if n < 2 else 'dev'},p{n}" for n in range(4)
    ]
    path = table(root, "mask,image,label,kind,fold,patient\n" + "\n".join(rows))
    catalog = scan(
        path, image_column="image", label_column="kind", split_column="fold", group_column="patient"
    )
    assert catalog.labels == ("x0", "x1", "x0", "x1")
    assert catalog.parts == ("train", "train", "validation", "validation")
    assert catalog.groups == ("p0", "p1", "p2", "p3")
    assert catalog.findings == ()


def test_a_column_that_may_name_patients_is_pointed_at_and_not_used(photos: Photos) -> None:
    root = photos({".": 2})
    catalog = scan(table(root, "file,label,patient_id\n0.png,a,7\n1.png,b,7\n"))
    assert catalog.groups == ("", "")
    (finding,) = catalog.findings
    assert (finding.kind, finding.severity) == ("group-column", "warning")
    assert finding.action == "--group-column patient_id"


NO_GROUPS = (
    "age_group", "AgeGroup", "blood_group_id", "lesion", "lesion_type", "lesion_name",
    "patient_sex", "inpatient", "personality", "num_persons", "video_quality", "subject_label",
    "case",
)  # fmt: skip


@pytest.mark.parametrize(
    ("header", "label", "group"),
    [
        ("file_name,patient_id,diagnosis", "diagnosis", "patient_id"),
        ("file_name,lesion_id,dx,age,sex", "dx", "lesion_id"),
        ("file_name,PatientID,breed", "breed", "PatientID"),
        ("file_name,video,class_id", "class_id", "video"),
        ("file_name,key,user_id,fine_category", "fine_category", ""),
        ("file_name,breed_id", "breed_id", ""),
        ("file_name,subject,breed", "breed", "subject"),
        ("file_name,patientid,breed", "breed", "patientid"),
        ("file_name,StudyInstanceUID,breed", "breed", "StudyInstanceUID"),
        ("file_name,anon_patient_id,breed", "breed", "anon_patient_id"),
        ("file_name,slide_id,lesion_type", "lesion_type", "slide_id"),
        ("file_name,Group,breed", "breed", "Group"),
        ("file_name,label,lesion_number", "label", "lesion_number"),
        *((f"file_name,{name}", name, "") for name in NO_GROUPS),
        *((f"file_name,label,{name}", "label", "") for name in NO_GROUPS),
    ],
)
def test_what_names_a_patient_is_no_label_and_is_pointed_at(
    photos: Photos, header: str, label: str, group: str
) -> None:
    names = header.split(",")[1:]
    rows = "".join(f"{n}.png,{','.join(name + str(n) for name in names)}\n" for n in range(3))
    catalog = scan(table(photos({".": 3}), f"{header}\n{rows}"))
    assert catalog.label_name == label
    assert [own.action for own in catalog.findings] == [f"--group-column {group}"] * bool(group)


@pytest.mark.parametrize(
    ("header", "met"),
    [
        ("file,patient_id", "none is left, for patient_id may say which pictures belong together"),
        ("file,user_id,breed", "2 could: user_id, breed"),
        ("file,breed,male,flash", "3 could: breed, male, flash"),
    ],
)
def test_a_label_column_that_is_not_plain_is_asked_for(
    photos: Photos, header: str, met: str
) -> None:
    zeros = [",0" if name in {"male", "flash"} else ",x" for name in header.split(",")[1:]]
    path = table(photos({".": 1}), f"{header}\n0.png{''.join(zeros)}\n")
    assert message(path).startswith(f"The column of labels cannot be told: {met}.\n")


def test_marks_of_what_is_in_a_picture_are_labels_though_one_be_called_person(
    photos: Photos,
) -> None:
    root = photos({".": 2})
    catalog = scan(table(root, "file,person,dog,patient\n0.png,1,0,p1\n1.png,1,1,p1\n"))
    assert catalog.label_columns == ("person", "dog")
    assert [own.action for own in catalog.findings] == ["--group-column patient"]


@pytest.mark.parametrize("column", ["species", "tags", "species_id"])
def test_numbers_of_species_are_classes_as_those_of_labels_are(photos: Photos, column: str) -> None:
    rows = "".join(f"{n}.png,{100 + n % 25}\n" for n in range(60))
    catalog = scan(table(photos({".": 60}), f"file,{column}\n{rows}"))
    assert choose_task(catalog).kind == "multiclass"


def test_parts_are_not_learned_as_classes_unless_their_column_is_named(photos: Photos) -> None:
    path = table(photos({".": 3}), "file,phase\n0.png,train\n1.png,Test\n2.png,\n")
    assert message(path) == (
        "All 2 classes are called like parts of a split, not like what pictures show: Test, "
        "train.\n"
        f"  where: {path}, column 'phase'\n"
        "  fix:   name the column of labels with --label-column, this one too if it holds them; "
        "name a column of parts with --split-column"
    )
    assert scan(path, label_column="phase").classes() == ["", "Test", "train"]


def test_a_column_that_is_named_for_the_labels_gives_no_parts(photos: Photos) -> None:
    path = table(photos({".": 2}), "file,split\n0.png,train\n1.png,test\n")
    catalog = scan(path, label_column="split")
    assert (catalog.labels, catalog.parts) == (("train", "test"), ("", ""))


def test_a_column_called_subset_that_holds_other_things_is_no_column_of_parts(
    photos: Photos,
) -> None:
    root = photos({".": 2})
    path = table(root, "file,label,subset\n0.png,a,summer\n1.png,b,winter\n")
    assert set(scan(path).parts) == {""}


# Mistakes, with their whole messages


def test_a_missing_column_offers_the_nearest_name(photos: Photos) -> None:
    path = table(photos({".": 1}), "file,label\n0.png,a\n")
    assert message(path, label_column="lable") == (
        "The table has no column 'lable'.\n"
        f"  where: {path} (columns: file, label)\n"
        "  fix:   perhaps label"
    )


def test_an_absent_file_is_named_with_its_line(photos: Photos) -> None:
    path = table(photos({".": 1}), "file,label\n0.png,a\ngone.png,b\nlost.png,a\n")
    assert message(path) == (
        "2 of 3 rows name a file that is not there: gone.png, lost.png.\n"
        f"  where: {path}, lines 3, 4 (looked up in {path.parent}/)\n"
        "  fix:   correct the paths, or remove these rows"
    )


def test_a_few_absent_files_are_left_out_with_their_reason_as_broken_ones_are(
    photos: Photos,
) -> None:
    root = photos({".": 3})
    rows = "0.png,a\ngone.png,b\n1.png,b\n ,a\n2.png,a\n"
    catalog = scan(table(root, "file,label\n" + rows))
    assert labels(catalog) == {"0.png": "a", "1.png": "b", "2.png": "a"}
    assert [(own.path, own.reason, own.sentence) for own in catalog.skipped] == [
        ("(no name)", "missing", "line 5 names no file"),
        ("gone.png", "missing", "line 3 names it, and there is no such file"),
    ]
    assert catalog.num_files == 5
    broken = next(own for own in look(catalog, choose_task(catalog)) if "missing" in own.sentence)
    assert (broken.severity, "gone.png" in broken.sentence) == ("warning", True)

    catalog = scan(table(root, "file_name,label\n" + rows, name="metadata.csv").parent)
    assert catalog.paths == ("0.png", "1.png", "2.png")
    assert [own.path for own in catalog.skipped if own.reason == "missing"] == [
        "(no name)",
        "gone.png",
    ]


def test_an_absent_file_has_the_path_that_it_would_have_in_the_folder(photos: Photos) -> None:
    root = photos({"train": 3, "val": 2})
    whole = (root / "train").resolve()
    text = f"0.png,a\n./gone.png,b\n1.png,b\n{whole}/lost.png,a\n2.png,b\n"
    table(root / "train", f"file_name,label\n{text}", "metadata.csv")
    table(root / "val", "file_name,label\n0.png,a\n ,a\n1.png,b\n", "metadata.csv")
    missing = [own.path for own in scan(root).skipped if own.reason == "missing"]
    assert missing == ["train/gone.png", "train/lost.png", "val/(no name)"]
    alone = scan(root / "train" / "metadata.csv")
    missing = [own.path for own in alone.skipped if own.reason == "missing"]
    assert missing == ["gone.png", "lost.png"]
    assert alone.asked == ("0.png", "gone.png", "1.png", "lost.png", "2.png")


@pytest.mark.parametrize("name", ["labels.csv", "metadata.csv"])
@pytest.mark.parametrize("rows", ["gone.png,lynx\n", "0.png,lynx\n"])
def test_a_class_of_which_every_row_is_left_out_is_told_as_lost(
    photos: Photos, name: str, rows: str
) -> None:
    root = photos({".": 5})
    used = "0.png,cat\n1.png,cat\n2.png,cat\n3.png,dog\n4.png,dog\n"
    path = table(root, f"file_name,label\n{used}{rows}", name)
    place = path if name == "labels.csv" else root
    catalog = scan(place)
    assert catalog.lost_labels == ("lynx",)
    (lost,) = [own for own in look(catalog, choose_task(catalog)) if own.kind == "lost-class"]
    assert lost.sentence == "Classes of which not one picture can be used: lynx."
    assert scan(place, exclude=["lynx"]).lost_labels == ()


def test_a_class_is_not_lost_by_rows_that_repeat_others_or_lack_a_label(photos: Photos) -> None:
    root = photos({".": 4})
    used = "0.png,5\n1.png,6\n2.png,5\n3.png,6\n"
    catalog = scan(table(root, f"file,label\n{used}0.png,5.0\ngone.png,6\nlost.png,\n"))
    assert catalog.lost_labels == ()


def test_an_empty_label_is_named_with_its_picture(photos: Photos) -> None:
    path = table(photos({".": 3}), "file,label\n0.png,a\n1.png,\n2.png,b\n")
    with pytest.raises(DataError) as caught:
        choose_task(scan(path))
    assert str(caught.value) == (
        "1 of 3 pictures has an empty label: 1.png.\n"
        f"  where: {path}, column 'label'\n"
        "  fix:   fill the cells in, or remove these rows"
    )
    assert caught.value.code == "SACCADE-E352"


def test_empty_labels_and_text_where_numbers_belong_are_named_at_once(photos: Photos) -> None:
    rows = "".join(f"{n}.png,{n}.5\n" for n in range(11)) + "11.png,n/a\n12.png,\n"
    path = table(photos({".": 13}), "file,age\n" + rows)
    with pytest.raises(DataError) as caught:
        choose_task(scan(path))
    assert caught.value.code == "SACCADE-E353"
    assert "2 of 13 labels are not numbers: 'n/a' (11.png), '' (12.png)." in str(caught.value)


def test_text_where_numbers_belong_is_named(photos: Photos) -> None:
    rows = "".join(f"{n}.png,{n}.5\n" for n in range(11)) + "11.png,n/a\n"
    path = table(photos({".": 12}), "file,age\n" + rows)
    with pytest.raises(DataError) as caught:
        choose_task(scan(path))
    assert str(caught.value) == (
        "1 of 12 labels are not numbers: 'n/a' (11.png).\n"
        f"  where: {path}, column 'age'\n"
        "  fix:   write numbers with a decimal point, or choose --task multiclass"
    )
    assert caught.value.code == "SACCADE-E353"


def test_an_unknown_part_is_named(photos: Photos) -> None:
    path = table(photos({".": 2}), "file,label,split\n0.png,a,train\n1.png,b,tset\n")
    assert message(path) == (
        "Column 'split' should hold train, val or test, and holds 'tset'.\n"
        f"  where: {path}, line 3\n"
        "  fix:   correct these cells, or name another column with --split-column"
    )


def test_a_mark_that_is_neither_0_nor_1_is_named(photos: Photos) -> None:
    path = table(photos({".": 2}), "file,cat,dog\n0.png,1,0\n1.png,2,1\n")
    assert message(path, label_column="cat,dog") == (
        "Column 'cat' must hold 0 or 1 in every row, as one of several label columns, and holds "
        "'2'.\n"
        f"  where: {path}, line 3\n"
        "  fix:   write 0 or 1, or name a single label column"
    )


def test_a_table_without_pictures_says_what_its_columns_are(photos: Photos) -> None:
    path = table(photos({".": 1}), "a,b\n1,2\n")
    assert message(path) == (
        "The column of pictures cannot be told: none could.\n"
        f"  where: {path} (columns: a, b)\n"
        "  fix:   name the column of paths or picture bytes with --image-column"
    )


def test_a_table_without_a_header_is_recognised(photos: Photos) -> None:
    path = table(photos({".": 3}), "0.png,a\n1.png,b\n2.png,a\n")
    assert message(path) == (
        "The first line should name the columns, and holds a picture, '0.png'.\n"
        f"  where: {path}\n"
        "  fix:   write a first line such as: file,label"
    )


def test_labels_that_cannot_be_told_are_asked_for(photos: Photos) -> None:
    path = table(photos({".": 2}), "file,colour,shape\n0.png,red,x\n1.png,blue,y\n")
    assert message(path) == (
        "The column of labels cannot be told: 2 could: colour, shape.\n"
        f"  where: {path} (columns: file, colour, shape)\n"
        "  fix:   name it with --label-column; several columns of 0 and 1 with commas between"
    )


@pytest.mark.parametrize(
    ("name", "content", "met"),
    [
        ("a.csv", b"file,label\n0.png\n", "line 2 does not have 2 cells, as the first line has"),
        ("a.csv", b"file,file\n0.png,a\n", "several columns are called file"),
        ("a.csv", b"file,label\n0.png,\xff\xff\n", "line 2 is not UTF-8 text"),
        ("a.csv", b'file,label\n"0.png,a\n', "line 2: unexpected end of data"),
        ("a.jsonl", b'{"file": "0.png"}\n[1]\n', "line 2 is not a JSON object"),
    ],
)
def test_a_damaged_table_says_where(photos: Photos, name: str, content: bytes, met: str) -> None:
    path = photos({".": 1}) / name
    path.write_bytes(content)
    assert message(path) == (
        f"The table cannot be read: {met}.\n"
        f"  where: {path}\n"
        "  fix:   mend the file, or save it again as CSV in UTF-8"
    )


@pytest.mark.parametrize("text", ["", "file,label\n", "\n\n"])
def test_a_table_without_rows_is_an_error(photos: Photos, text: str) -> None:
    path = table(photos({".": 1}), text)
    assert message(path) == (
        "The table has no rows.\n"
        f"  where: {path}\n"
        "  fix:   give a line of column names, then one line a picture"
    )


def test_parquet_without_the_extra_says_how_to_get_it(
    photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = photos({".": 1}) / "a.parquet"
    path.write_bytes(b"PAR1")
    really = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.split(".")[0] == "pyarrow":
            raise ImportError(name)
        return really(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    assert message(path) == (
        "Reading a Parquet file needs pyarrow, which is not installed.\n"
        f"  where: {path}\n"
        "  fix:   pip install 'saccade[parquet]', or save the table as CSV"
    )


def test_a_file_that_is_no_parquet_is_an_error(photos: Photos) -> None:
    pytest.importorskip("pyarrow")
    path = photos({".": 1}) / "a.parquet"
    path.write_bytes(b"not parquet at all, and long enough to hold a footer")
    assert message(path).startswith("The table cannot be read: ")


def test_rows_that_contradict_each_other_are_left_out_and_counted(photos: Photos) -> None:
    root = photos({".": 4})
    rows = "0.png,a\n1.png,a\n1.png,b\n2.png,b\n2.png,b\n3.png,a\n"
    catalog = scan(table(root, "file,label\n" + rows))
    assert labels(catalog) == {"0.png": "a", "2.png": "b", "3.png": "a"}
    assert [(own.path, own.reason, own.sentence) for own in catalog.skipped] == [
        ("1.png", "conflict", "2 rows give it different labels: 'a', 'b'"),
        ("1.png", "conflict", "2 rows give it different labels: 'a', 'b'"),
        ("2.png", "repeated", "an earlier row names it already"),
    ]
    assert catalog.num_files == 6


def test_rows_that_say_the_same_in_other_words_are_repeated_and_no_conflict(
    photos: Photos,
) -> None:
    root = photos({".": 3})
    rows = "0.png,a|b\n0.png,b|a\n1.png,b\n1.png,b|\n2.png,a|b\n2.png,a\n"
    catalog = scan(table(root, "file,tags\n" + rows))
    assert labels(catalog) == {"0.png": "a|b", "1.png": "b"}
    assert Counter(own.reason for own in catalog.skipped) == {"repeated": 2, "conflict": 2}
    catalog = scan(table(root, "file,score\n0.png,5\n0.png,5.0\n1.png,6.5\n2.png,7\n2.png,8\n"))
    assert labels(catalog) == {"0.png": "5", "1.png": "6.5"}


@pytest.mark.parametrize(
    ("header", "named", "what"),
    [("split", {}, "parts"), ("patient", {"group_column": "patient"}, "groups")],
)
def test_a_picture_in_two_parts_or_groups_is_left_out_and_said(
    photos: Photos, header: str, named: Mapping[str, str], what: str
) -> None:
    root = photos({".": 3})
    rows = "0.png,a,train\n1.png,b,train\n1.png,b,test\n2.png,b,test\n2.png,b,test\n"
    catalog = scan(table(root, f"file,label,{header}\n{rows}"), **named)
    assert catalog.paths == ("0.png", "2.png")
    assert [(own.path, own.reason) for own in catalog.skipped] == [
        ("1.png", "conflict"),
        ("1.png", "conflict"),
        ("2.png", "repeated"),
    ]
    assert catalog.skipped[0].sentence == f"2 rows give it different {what}: 'test', 'train'"


def test_a_table_of_a_hundred_thousand_rows_is_read_in_seconds(tmp_path: Path) -> None:
    text = "file,label\n" + "".join(f"{n}.png,{n % 7}\n" for n in range(100_000))
    begun = time.process_time()
    assert read_table(table(tmp_path, text)).num_rows == 100_000
    assert time.process_time() - begun < 3


def test_every_row_of_a_table_is_asked_for_in_its_order_there_or_not(photos: Photos) -> None:
    root = photos({"p": 3})
    text = "path\np/1.png\np/gone.png\np/0.png\np/1.png\np/2.png\n"
    found = scan(table(root, text), labelled=False)
    assert found.asked == ("p/1.png", "p/gone.png", "p/0.png", "p/1.png", "p/2.png")
    assert found.paths == ("p/0.png", "p/1.png", "p/2.png")
    assert [own.path for own in found.skipped if own.reason == "missing"] == ["p/gone.png"]
