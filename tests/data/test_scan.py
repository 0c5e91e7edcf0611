"""The scan as a whole: RELIABILITY A1 and A11, and what stops it."""

import hashlib
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saccade.data import decode as door
from saccade.data.decode import Decoded
from saccade.data.pixel_store import PixelStore
from saccade.data.preprocess import Preprocess
from saccade.data.scan import scan
from saccade.data.task import choose_task
from saccade.runtime.errors import DataError
from saccade.runtime.progress import Progress

Photos = Callable[[Mapping[str, int]], Path]
CASES = Path(__file__).parents[1] / "cases" / "pictures"
SHARED = Path(__file__).parents[3] / "shared" / "data"


def files_on_disk(root: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(root))


def broken_files() -> dict[str, bytes]:
    """The broken cases, and more of the same: 30 files in all."""
    names = (
        "cut-",
        "cut.",
        "nothing",
        "one-byte",
        "page.",
        "drawing",
        "stars",
        "phone",
        "bad-",
        "no-",
    )
    files = {
        path.name: path.read_bytes()
        for path in sorted(CASES.iterdir())
        if path.name.startswith(names) and "expected" not in path.name
    }
    sound = (CASES / "rgb.jpg").read_bytes()
    middle = (sound.index(b"\xff\xda") + len(sound)) // 2  # amid the pixels
    files["garbled.jpg"] = sound[:middle] + b"\xff\0" * 20 + sound[middle + 40 :]
    for number in range(30 - len(files)):
        files[f"shorter-{number}.jpg"] = sound[: 20 + 9 * number]
    return files


def test_thirty_broken_files_are_each_listed_with_a_reason_and_none_is_used(photos: Photos) -> None:
    root = photos({"cat": 4, "dog": 4})
    broken = broken_files()
    assert len(broken) == 30
    for name, content in broken.items():
        (root / "cat" / name).write_bytes(content)
    catalog = scan(root)
    assert {Path(own.path).name for own in catalog.skipped} == set(broken)
    assert all(own.reason and own.sentence for own in catalog.skipped)
    assert len(catalog) == 8
    assert not {Path(path).name for path in catalog.paths} & set(broken)
    assert len(catalog) + len(catalog.skipped) == catalog.num_files == files_on_disk(root)
    assert Counter(catalog.labels) == {"cat": 4, "dog": 4}


def test_with_a_decoder_that_replaces_broken_files_they_would_be_used_negative_control(
    photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = photos({"cat": 4, "dog": 4})
    (root / "cat" / "broken.jpg").write_bytes(b"<html>")
    black = Decoded(pixels_HWC=np.zeros((8, 8, 3), np.uint8), format="JPEG", notes=())
    monkeypatch.setattr(door, "decode", lambda content: black)
    catalog = scan(root)
    assert "cat/broken.jpg" in catalog.paths
    assert catalog.skipped == ()


def test_every_row_says_what_the_file_is(photos: Photos) -> None:
    root = photos({"b": 2, "a": 1})
    catalog = scan(root)
    assert catalog.paths == ("a/0.png", "b/0.png", "b/1.png")
    assert catalog.labels == ("a", "b", "b")
    assert catalog.layout == "2 class folders"
    contents = [(root / path).read_bytes() for path in catalog.paths]
    assert catalog.hashes == tuple(hashlib.sha256(own).hexdigest() for own in contents)
    assert catalog.num_bytes.tolist() == [len(own) for own in contents]
    assert catalog.widths_px.tolist() == [12, 12, 12]
    assert catalog.heights_px.tolist() == [10, 10, 10]
    assert catalog.formats == ("PNG", "PNG", "PNG")
    assert catalog.read(1) == contents[1]


def test_a_catalogue_is_printed_as_one_line(photos: Photos) -> None:
    catalog = scan(photos({"b": 2, "a": 1}))
    assert repr(catalog) == (
        f"Catalog(place={catalog.place!r}, layout={catalog.layout!r}, "
        f"{len(catalog)} pictures, {len(catalog.skipped)} skipped)"
    )


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_the_catalogue_does_not_depend_on_the_number_of_threads(
    photos: Photos, threads: int
) -> None:
    root = photos({"a": 50, "b": 45})
    (root / "b" / "3.png").write_bytes(b"")
    one, many = scan(root, threads=1), scan(root, threads=threads)
    assert one.paths == many.paths
    assert one.hashes == many.hashes
    assert one.skipped == many.skipped


def test_progress_is_told_of_every_picture(photos: Photos) -> None:
    class Counting(Progress):
        total = done = 0

        def start(self, what: str, total: int = 0, unit: str = "") -> None:
            self.total = total

        def advance(self, count: int = 1, note: str = "") -> None:
            self.done += count

    progress = Counting()
    scan(photos({"a": 40, "b": 10}), progress=progress)
    assert (progress.total, progress.done) == (50, 50)


def test_what_decoding_met_is_a_finding(photos: Photos) -> None:
    root = photos({"a": 3, "b": 3})
    for name in ("exif-6.jpg", "cmyk.jpg", "gray-16.png", "animated.gif"):
        (root / "a" / name).write_bytes((CASES / name).read_bytes())
    sound = (CASES / "rgb.jpg").read_bytes()
    (root / "a" / "padded.jpg").write_bytes(sound[:-2] + bytes(30) + sound[-2:])
    found = {finding.kind: finding for finding in scan(root).findings}
    assert set(found) == {"exif-turned", "cmyk", "sixteen-bit", "animated", "extra-bytes"}
    assert (found["extra-bytes"].severity, found["extra-bytes"].sentence) == (
        "warning",
        "1 picture: bytes among the JPEG data that belong to no pixel: padding, or damage; look at "
        "them (a/padded.jpg).",
    )
    assert found["exif-turned"].paths == ("a/exif-6.jpg",)
    assert found["animated"].sentence == (
        "1 picture: several frames or pages, of which only the first is used (a/animated.gif)."
    )


def test_there_is_one_clear_message_when_the_folder_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(DataError) as caught:
        scan(tmp_path / "fotos")
    assert str(caught.value) == (
        f"There is no folder or file '{tmp_path}/fotos'.\n"
        f"  where: {tmp_path} (holds photos)\n"
        "  fix:   perhaps photos; check the spelling of the path"
    )
    assert (caught.value.code, caught.value.exit_code) == ("SACCADE-E301", 3)


@pytest.mark.parametrize("place", ["", " "])
def test_an_empty_text_is_not_the_current_folder(place: str) -> None:
    with pytest.raises(DataError) as caught:
        scan(place)
    assert caught.value.code == "SACCADE-E301"


@pytest.mark.parametrize("what", ["image_column", "label_column", "split_column"])
def test_a_folder_has_no_columns(photos: Photos, what: str) -> None:
    root = photos({"a": 1, "b": 1})
    with pytest.raises(DataError, match=f"--{what.replace('_', '-')} names one") as caught:
        scan(root, **{what: "x"})
    assert caught.value.code == "SACCADE-E307"


def test_a_column_of_parts_under_another_name_is_pointed_at(tmp_path: Path) -> None:
    for number in range(6):
        Image.new("RGB", (8, 8), (number * 40, 0, 0)).save(tmp_path / f"{number}.png")
    lines = [f"{n}.png,{'ab'[n % 2]},{['train', 'val', 'test'][n % 3]}" for n in range(6)]
    for name, told in (("fold", True), ("split", False)):
        table = tmp_path / f"{name}.csv"
        table.write_text("\n".join([f"file,label,{name}", *lines]) + "\n")
        findings = [own.action for own in scan(table).findings if own.kind == "split-column"]
        assert findings == (["--split-column fold"] if told else [])


def test_there_is_one_clear_message_when_the_folder_is_empty(tmp_path: Path) -> None:
    (tmp_path / ".hidden").write_text("")
    with pytest.raises(DataError) as caught:
        scan(tmp_path)
    assert str(caught.value) == (
        "The folder holds no files.\n"
        f"  where: {tmp_path} (1 passed over: hidden)\n"
        "  fix:   put pictures into one folder per class: photos/cat/1.jpg, photos/dog/1.jpg"
    )
    assert caught.value.code == "SACCADE-E302"


def test_there_is_one_clear_message_when_there_are_no_class_folders(photos: Photos) -> None:
    root = photos({".": 2})
    with pytest.raises(DataError) as caught:
        scan(root)
    assert str(caught.value) == (
        "The folder holds files but no class folders, so the pictures have no labels.\n"
        f"  where: {root} (holds 0.png, 1.png)\n"
        "  fix:   put pictures into one folder per class: photos/cat/1.jpg, photos/dog/1.jpg"
    )
    assert caught.value.code == "SACCADE-E303"


def test_a_table_beside_the_pictures_is_pointed_at(photos: Photos) -> None:
    root = photos({".": 2})
    (root / "labels.csv").write_text("file,label\n0.png,a\n1.png,b\n")
    with pytest.raises(DataError) as caught:
        scan(root)
    assert caught.value.fix == f"give the table itself: {root}/labels.csv"


def test_there_is_one_clear_message_when_every_file_is_broken(photos: Photos) -> None:
    root = photos({"a": 2, "b": 1})
    for path in root.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(DataError) as caught:
        scan(root)
    assert str(caught.value) == (
        "None of the 3 files can be used as a picture (3 empty).\n"
        f"  where: {root}; a/0.png: the file is empty (0 bytes)\n"
        "  fix:   give pictures of one of these kinds: JPEG, PNG, WebP, BMP, GIF and TIFF"
    )
    assert caught.value.code == "SACCADE-E304"


def test_excluded_classes_are_left_out_and_counted(photos: Photos) -> None:
    root = photos({"a": 2, "b": 3, "c": 4})
    catalog = scan(root, exclude=["b"])
    assert Counter(catalog.labels) == {"a": 2, "c": 4}
    assert Counter(own.reason for own in catalog.skipped) == {"excluded": 3}
    assert catalog.num_files == 9


def test_an_unknown_class_to_exclude_is_an_error(photos: Photos) -> None:
    root = photos({"cat": 2, "dog": 3})
    with pytest.raises(DataError) as caught:
        scan(root, exclude=["cats"])
    assert str(caught.value) == (
        "Classes to leave out are not there: cats.\n"
        f"  where: {root} (--exclude)\n"
        "  fix:   did you mean cat? there are cat, dog"
    )


def _table_of(root: Path, header: str, cells: Sequence[str]) -> Path:
    rows = "".join(f"{number}.png,{cell}\n" for number, cell in enumerate(cells))
    (root / "labels.csv").write_text(f"file,{header}\n{rows}")
    return root / "labels.csv"


TAGS = ("cat|dog", "cat", "dog|fox", "", "fox|cat")


def test_pictures_that_carry_an_excluded_label_are_left_out(photos: Photos) -> None:
    path = _table_of(photos({".": 5}), "tags", TAGS)
    catalog = scan(path, exclude=["dog"])
    assert dict(zip(catalog.paths, catalog.labels, strict=True)) == {
        "1.png": "cat",
        "3.png": "",
        "4.png": "fox|cat",
    }
    assert [(own.path, own.reason, own.sentence) for own in catalog.skipped] == [
        ("0.png", "excluded", "one of its labels was left out by --exclude"),
        ("2.png", "excluded", "one of its labels was left out by --exclude"),
    ]
    assert choose_task(catalog).classes == ("cat", "fox")
    # read as one class a cell (--task multiclass), the whole cell is the class
    assert len(scan(path, exclude=["cat|dog"])) == 4
    with pytest.raises(DataError) as caught:
        scan(path, exclude=["dogs"])
    assert caught.value.fix == "did you mean dog? there are cat, dog, fox"


def test_an_excluded_column_of_marks_goes_with_the_pictures_that_it_marks(photos: Photos) -> None:
    cells = ["1,1,0", "1,0,0", "0,1,1", "0,0,0", "1,0,1"]
    path = _table_of(photos({".": 5}), "cat,dog,fox", cells)
    catalog = scan(path, exclude=["dog"])
    assert dict(zip(catalog.paths, catalog.labels, strict=True)) == {
        "1.png": "1|0",
        "3.png": "0|0",
        "4.png": "1|1",
    }
    assert catalog.label_columns == choose_task(catalog).classes == ("cat", "fox")
    single = scan(path, exclude=["dog", "fox"])
    assert (single.labels, single.label_name, single.label_columns) == (("1", "0"), "cat", ())
    nothing = scan(path, exclude=["dog", "fox", "cat"])
    with pytest.raises(DataError, match="1 of 1 pictures has an empty label"):
        choose_task(nothing)


def test_classes_in_columns_of_marks_are_left_out_as_a_message_advises(photos: Photos) -> None:
    cells = [*["1,0,0", "0,1,0"] * 5, "0,0,1"]
    path = _table_of(photos({".": 11}), "cat,dog,fox", cells)
    catalog = scan(path, exclude=["fox"])
    assert (len(catalog), choose_task(catalog).kind) == (10, "binary")


def test_labels_of_rows_that_are_left_out_can_be_excluded(photos: Photos) -> None:
    root = photos({".": 4})
    table = _table_of(root, "cat,dog,fox", ["1,0,0", "0,1,0", "1,0,0", "0,1,0", "0,0,1"])
    assert scan(table).lost_labels == ("0|0|1",)
    assert scan(table, exclude=["fox"]).lost_labels == ()
    assert scan(table, exclude=["dog"]).lost_labels == ("0|1",)


def test_a_class_of_which_nothing_can_be_read_is_remembered(photos: Photos) -> None:
    root = photos({"a": 2, "b": 2, "c": 1})
    (root / "c" / "0.png").write_bytes(b"")
    assert scan(root).lost_labels == ("c",)


def test_without_labels_any_folder_and_any_file_will_do(photos: Photos) -> None:
    root = photos({".": 2, "deep/er": 1})
    (root / "note.txt").write_text("hello")
    catalog = scan(root, labelled=False)
    assert catalog.paths == ("0.png", "1.png", "deep/er/0.png")
    assert set(catalog.labels) == {""}
    assert [own.path for own in catalog.skipped] == ["note.txt"]
    single = scan(root / "0.png", labelled=False)
    assert single.paths == (str(root / "0.png"),)
    several = scan([root / "1.png", root / "0.png"], labelled=False)
    assert several.paths == (str(root / "1.png"), str(root / "0.png"))
    assert several.read(1) == (root / "0.png").read_bytes()


def test_a_picture_that_is_named_but_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        scan([tmp_path / "1.jpg"], labelled=False)
    assert caught.value.code == "SACCADE-E301"


def test_a_single_picture_has_no_labels(photos: Photos) -> None:
    root = photos({"a": 1})
    with pytest.raises(DataError) as caught:
        scan(root / "a" / "0.png")
    assert str(caught.value) == (
        "A single file can only be a table, and this one is not called so.\n"
        f"  where: {root}/a/0.png\n"
        "  fix:   give a folder of class folders, or a .csv, .tsv, .jsonl or .parquet file"
    )


def test_a_file_that_vanishes_during_the_scan_is_listed(photos: Photos) -> None:
    root = photos({"a": 3, "b": 3})

    class Removing(Progress):
        def start(self, what: str, total: int = 0, unit: str = "") -> None:
            (root / "a" / "1.png").unlink()  # it is listed by now

    catalog = scan(root, progress=Removing())
    (lost,) = catalog.skipped
    assert lost.path == "a/1.png"
    assert lost.sentence == "A picture can no longer be read: No such file or directory."


def test_a_large_file_that_is_no_picture_is_not_read_to_its_end(
    photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = photos({"a": 2, "b": 2})
    with (root / "a" / "film.jpg").open("wb") as file:
        file.write(b"\0\0\0\x18ftypmp42")
        file.truncate(20_000_000_000)  # a hole: takes no room
    catalog = scan(root)
    assert [(own.path, own.reason) for own in catalog.skipped] == [("a/film.jpg", "unsupported")]


def test_a_thousand_classes_of_one_picture_are_scanned_in_seconds(
    photos: Photos, make_picture: Callable[..., bytes]
) -> None:
    root = photos({})
    content = make_picture(0, width=2, height=2)
    for number in range(1_000):
        (root / f"{number:05d}").mkdir()
        (root / f"{number:05d}" / "0.png").write_bytes(content + number.to_bytes(4, "big"))
    begun = time.monotonic()
    catalog = scan(root)
    assert len(catalog.classes()) == 1_000
    assert time.monotonic() - begun < 20


@pytest.mark.slow  # a measurement: too noisy beside other tests
def test_listing_and_cataloguing_grow_in_step_with_the_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Ten times the rows may take some thirty times as long, not a hundred times (quadratic).
    from saccade.data.catalog import Candidate, Choices, Facts, Listing
    from saccade.data.folders import FolderSource
    from saccade.data.scan import _catalog, _Look, _Seen

    def seconds(count: int) -> float:
        candidates = tuple(Candidate(path=f"{n % 97}/{n}", label=str(n % 97)) for n in range(count))
        listing = Listing(
            place=".", layout="", source=FolderSource(place="."), candidates=candidates
        )
        seen = _Seen(count)
        for n in range(count):
            facts = Facts(width_px=1, height_px=1, format="JPEG")
            seen.add(_Look(position=n, facts=facts, content=bytes(32)), "")
        begun = time.process_time()
        _catalog(listing, seen, Choices())
        return time.process_time() - begun

    seconds(1_000)
    assert seconds(100_000) < 30 * max(seconds(10_000), 0.02)


def test_a_picture_for_which_there_is_no_memory_is_left_out_and_the_others_are_looked_at(
    photos: Photos, make_picture: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def canvas(own: Preprocess, pixels_HWC: np.ndarray) -> np.ndarray:
        if pixels_HWC.shape[1] == 500:
            raise MemoryError
        return np.zeros((own.canvas_px, own.canvas_px, 3), np.uint8)

    monkeypatch.setattr(Preprocess, "to_canvas", canvas)
    root = photos({"cat": 2, "dog": 2})
    (root / "cat" / "long.png").write_bytes(make_picture(9, width=500, height=1))
    with PixelStore(Preprocess(size_px=8)) as pixels:
        catalog = scan(root, pixels=pixels)
    assert len(catalog) == 4
    assert [(own.path, own.reason) for own in catalog.skipped] == [("cat/long.png", "memory")]


def test_looking_needs_neither_torch_nor_pyarrow() -> None:
    script = (
        "import sys, saccade.data.scan, saccade.data.split, saccade.data.audit, "
        "saccade.data.preprocess; print(sorted({'torch', 'timm', 'sklearn', 'pyarrow', 'scipy'} "
        "& set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(not (SHARED / "antsbees").is_dir(), reason="the shared data are not here")
def test_ants_and_bees_work_as_they_lie_there() -> None:
    catalog = scan(SHARED / "antsbees")
    assert Counter(zip(catalog.parts, catalog.labels, strict=True)) == {
        ("train", "ants"): 124,  # 123 photographs and a GIF that says "image could not be found"
        ("train", "bees"): 121,
        ("validation", "ants"): 70,
        ("validation", "bees"): 83,
    }
    assert [own.path for own in catalog.skipped] == ["train/.DS_Store", "val/.DS_Store"]
    assert catalog.num_files == files_on_disk(SHARED / "antsbees")
    assert catalog.formats.count("GIF") == 1


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "flowers").is_dir(), reason="the shared data are not here")
def test_flowers_load_with_their_parts() -> None:
    catalog = scan(SHARED / "flowers")
    assert Counter(catalog.parts) == {"train": 800, "validation": 200}
    assert len(catalog.classes()) == 5
    assert catalog.skipped == ()


@pytest.mark.slow
@pytest.mark.skipif(
    not (SHARED / "cifar10.parquet").exists(), reason="the shared data are not here"
)
def test_cifar_loads_from_parquet() -> None:
    pytest.importorskip("pyarrow")
    begun = time.process_time()
    catalog = scan(SHARED / "cifar10.parquet", threads=2)
    assert len(catalog) == catalog.num_files == 60_000
    assert Counter(catalog.parts) == {"train": 50_000, "test": 10_000}
    assert set(Counter(catalog.labels).values()) == {6_000}
    assert time.process_time() - begun < 60  # seconds of processor; measured 17


def test_a_class_with_a_comma_or_an_escape_in_its_name_can_be_excluded(photos: Photos) -> None:
    root = photos({"tench, Tinca tinca": 2, "-x": 2, "cat": 2, "dog": 2})
    catalog = scan(root, exclude=["tench", "Tinca tinca", "'-x"])
    assert set(catalog.labels) == {"cat", "dog"}
    assert Counter(own.reason for own in catalog.skipped) == {"excluded": 4}


def test_a_limit_may_be_a_number(image_folder: Callable[..., Path]) -> None:
    assert len(scan(image_folder(3, 8), limit=12)) == 12
