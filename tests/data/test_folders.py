"""Folders of every kind: layouts, links, devices, odd names (RELIABILITY A8, A9, A11)."""

import contextlib
import errno
import os
import socket
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from saccade.data import folders
from saccade.data.audit import look
from saccade.data.catalog import Listing
from saccade.data.folders import FolderSource, list_folder
from saccade.data.part_folders import PART_SPELLINGS
from saccade.data.scan import scan
from saccade.data.task import choose_task
from saccade.data.walk import walk
from saccade.runtime.errors import DataError
from saccade.runtime.store import decode_name, encode_name

Photos = Callable[[Mapping[str, int]], Path]


def listing(root: Path, *, follow_links: bool = False) -> Listing:
    return list_folder(root, walk(root, follow_links=follow_links))


def parts_and_labels(root: Path) -> Counter[tuple[str, str]]:
    return Counter((own.part, own.label) for own in listing(root).candidates)


def reasons(root: Path, *, follow_links: bool = False) -> dict[str, tuple[str, str]]:
    found = walk(root, follow_links=follow_links)
    return {own.path: (own.reason, own.sentence) for own in found.skipped}


# Layouts


def test_the_class_is_the_first_folder_and_folders_within_belong_to_it(photos: Photos) -> None:
    root = photos({"cat": 1, "cat/indoors/night": 2, "dog": 1})
    assert parts_and_labels(root) == {("", "cat"): 3, ("", "dog"): 1}


@pytest.mark.parametrize("spelling", sorted(PART_SPELLINGS))
@pytest.mark.parametrize("change", [str.lower, str.upper, str.title])
def test_every_spelling_of_a_part_is_known(
    photos: Photos, spelling: str, change: Callable[[str], str]
) -> None:
    other = "test" if PART_SPELLINGS[spelling] == "train" else "train"
    root = photos({f"{change(spelling)}/cat": 1, f"{other}/cat": 1})
    assert parts_and_labels(root) == {(PART_SPELLINGS[spelling], "cat"): 1, (other, "cat"): 1}


def test_the_part_spellings_are_those_of_the_product_and_of_the_hugging_face_hub() -> None:
    # Source: datasets' data_files.SPLIT_KEYWORDS takes eval and evaluation for test.
    assert {name for name, part in PART_SPELLINGS.items() if part == "train"} == {
        "train", "training",
    }  # fmt: skip
    assert {name for name, part in PART_SPELLINGS.items() if part == "validation"} == {
        "val", "valid", "validation", "dev",
    }  # fmt: skip
    assert {name for name, part in PART_SPELLINGS.items() if part == "test"} == {
        "test", "testing", "eval", "evaluation",
    }  # fmt: skip


def test_classes_may_be_called_like_parts(photos: Photos) -> None:
    root = photos({"train": 2, "car": 2, "bus": 2})
    assert parts_and_labels(root) == {("", "train"): 2, ("", "car"): 2, ("", "bus"): 2}


def test_a_class_called_train_with_folders_in_it_is_a_class_among_others(photos: Photos) -> None:
    root = photos({"train/steam": 2, "car/red": 2})
    assert parts_and_labels(root) == {("", "train"): 2, ("", "car"): 2}


def test_a_flat_test_part_beside_classes_for_training_has_no_labels(photos: Photos) -> None:
    root = photos({"Train/cat": 2, "Train/dog": 1, "test": 2, "val": 0})
    found = listing(root)
    assert parts_and_labels(root) == {("train", "cat"): 2, ("train", "dog"): 1}
    assert found.layout == "2 class folders under Train/"
    assert [(own.path, own.reason, own.sentence) for own in found.skipped] == [
        (f"test/{n}.png", "outside", "lies beside the class folders, so it has no label")
        for n in range(2)
    ]


@pytest.mark.parametrize("below", ["", "train/"])
def test_classes_that_are_all_called_like_parts_are_refused(photos: Photos, below: str) -> None:
    root = photos({f"{below}train": 2, f"{below}Test": 2})
    with pytest.raises(DataError) as caught:
        listing(root)
    assert str(caught.value) == (
        "All 2 classes are called like parts of a split, not like what pictures show: Test, "
        "train.\n"
        f"  where: {root}\n"
        "  fix:   put class folders into the parts: train/cat/1.jpg, train/dog/1.jpg; rename the "
        "folders if they are classes"
    )


@pytest.mark.parametrize(
    "names", [("train", "tset"), ("train_set", "test_set"), ("Training", "valImages")]
)
def test_a_part_under_a_misspelt_name_is_refused_and_no_class(
    photos: Photos, names: tuple[str, str]
) -> None:
    root = photos({f"{part}/{own}": 1 for part in names for own in ("cat", "dog")})
    with pytest.raises(DataError) as caught:
        listing(root)
    first, second = sorted(names)
    assert str(caught.value) == (
        f"{first}/, {second}/ hold the same folders (cat, dog), as parts of a split do, and not "
        "what classes do.\n"
        f"  where: {root}\n"
        "  fix:   rename them to train, val and test if they are parts; if they are classes, give "
        "them names that are not so near to those"
    )


@pytest.mark.parametrize("name", ["tests", "test_images"])
def test_a_flat_part_under_a_misspelt_name_is_refused(photos: Photos, name: str) -> None:
    root = photos({"train/ant": 2, "train/bee": 2, name: 2})
    with pytest.raises(DataError, match="as parts may, and not what classes do") as caught:
        listing(root)
    assert caught.value.code == "SACCADE-E318"


def test_a_part_under_a_name_of_its_own_is_a_severe_finding(photos: Photos) -> None:
    root = photos({f"{part}/{own}": 1 for part in ("train", "holdout") for own in ("cat", "dog")})
    found = listing(root)
    assert parts_and_labels(root) == {("", "holdout"): 2, ("", "train"): 2}
    assert [(own.kind, own.severity, own.sentence) for own in found.findings] == [
        (
            "parts-as-classes",
            "severe",
            "holdout/, train/ hold the same folders (cat, dog), as parts of a split do; they were "
            "taken for classes.",
        )
    ]


@pytest.mark.parametrize(
    "names",
    [
        ["east/day", "east/night", "west/day", "west/night"],
        ["nest/day", "nest/night", "pest/day", "pest/night", "tree/day", "tree/night"],
        ["test_positive/a", "test_positive/b", "test_negative/a", "test_negative/b"],
        ["rain/a", "rain/b", "snow/a", "snow/b", "grain/a", "grain/b"],
        ["train/a", "train/b", "tset/b", "tset/c", "tset/d"],
        ["cat/a", "cat/b", "dog/a", "dog/b"],
    ],
)
def test_classes_that_share_few_folders_or_names_of_classes_are_no_parts_negative_control(
    photos: Photos, names: list[str]
) -> None:
    assert listing(photos(dict.fromkeys(names, 1))).findings == ()


def test_a_third_part_under_a_misspelt_name_is_told(photos: Photos) -> None:
    parts = {f"{part}/{own}": 2 for part in ("train", "val", "tset") for own in ("cat", "dog")}
    found = listing(photos(parts | {"docs": 1, ".": 1}))
    assert [(own.kind, own.severity, own.sentence) for own in found.findings] == [
        (
            "outside-part",
            "severe",
            "4 pictures are not used: 4 in tset/, which holds the same folders as the parts, under "
            "a name that no part has.",
        ),
        (
            "outside",
            "warning",
            "2 pictures are not used: 1 in the folder itself, 1 in docs/, for there they have no "
            "label.",
        ),
    ]
    assert {own.split("/")[0] for own in found.findings[0].paths} == {"tset"}


def test_files_that_are_no_pictures_by_their_name_may_lie_anywhere(photos: Photos) -> None:
    root = photos({"cat": 1, "dog": 1})
    for name in ("labels.csv", "README", "logo.svg"):
        (root / name).write_text("file,label\n")
    assert listing(root).findings == ()
    (root / "one.jpeg").write_bytes(b"x")
    assert listing(root).findings[0].paths == ("one.jpeg",)
    assert [own.sentence for own in listing(root).findings] == [
        "1 picture is not used: 1 in the folder itself, for there they have no label."
    ]


def test_a_contest_layout_with_another_folder_beside_it_keeps_its_parts(photos: Photos) -> None:
    root = photos({"train/cat": 2, "train/dog": 1, "test": 2, "docs": 1})
    assert parts_and_labels(root) == {("train", "cat"): 2, ("train", "dog"): 1}
    outside = {own.path for own in listing(root).skipped}
    assert outside == {"test/0.png", "test/1.png", "docs/0.png"}


def test_classes_of_which_two_are_called_like_parts_are_refused(photos: Photos) -> None:
    root = photos({"train": 2, "test": 2, "docs": 2})
    with pytest.raises(DataError, match="2 of 3 classes are called like parts of a split"):
        listing(root)


def test_a_folder_that_may_not_be_read_says_so(
    photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may read everything, so the system is made to refuse."""
    root, honest = photos({"cat": 1}), os.scandir

    def refuse(path: Any) -> Any:
        if Path(os.fsdecode(path)) == root:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fsdecode(path))
        return honest(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match="cannot be opened: Permission denied"):
        listing(root)


def test_a_path_that_is_too_long_is_an_error_of_the_path(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be opened: File name too long") as caught:
        scan(tmp_path / ("x" * 300))
    assert caught.value.code == "SACCADE-E301"


def test_one_class_may_be_called_like_a_part(photos: Photos) -> None:
    assert parts_and_labels(photos({"train": 2})) == {("", "train"): 2}


def test_train_alone_holds_the_classes(photos: Photos) -> None:
    assert parts_and_labels(photos({"train/a": 1, "train/b": 1})) == {
        ("train", "a"): 1,
        ("train", "b"): 1,
    }


def test_what_lies_beside_parts_and_classes_is_listed(photos: Photos) -> None:
    root = photos({"train/a": 1, "val/a": 1, "extra/a": 1, "train": 1, ".": 1})
    skipped = {own.path: (own.reason, own.sentence) for own in listing(root).skipped}
    assert skipped == {
        "0.png": ("outside", "lies outside the folders train, val"),
        "extra/a/0.png": ("outside", "lies outside the folders train, val"),
        "train/0.png": ("outside", "lies beside the class folders, so it has no label"),
    }


def test_the_layout_is_said_in_a_sentence(photos: Photos) -> None:
    assert listing(photos({"train/a": 1, "train/b": 1, "test/a": 1})).layout == (
        "2 class folders under test/ and train/"
    )


def test_an_empty_class_folder_is_no_class_and_a_finding(photos: Photos) -> None:
    root = photos({"a": 1, "b": 1, "c": 0})
    (finding,) = listing(root).findings
    assert (finding.kind, finding.severity, finding.paths) == ("empty-class", "warning", ("c",))
    assert finding.sentence == "1 class folder holds no file: c."
    assert {own.label for own in listing(root).candidates} == {"a", "b"}


def test_a_class_folder_with_a_deeper_file_is_not_empty(photos: Photos) -> None:
    assert listing(photos({"a": 1, "b/deep/er": 1})).findings == ()


def test_hidden_and_system_files_are_passed_over_and_counted(photos: Photos) -> None:
    root = photos({"a": 1, "b": 1, ".git": 2})
    for name in (".DS_Store", "a/Thumbs.db", "b/desktop.ini"):
        (root / name).write_bytes(b"x")
    assert reasons(root) == {
        ".DS_Store": ("hidden", "a hidden file"),
        ".git": ("hidden", "a hidden folder, which was not entered"),
        "a/Thumbs.db": ("hidden", "an operating system's file"),
        "b/desktop.ini": ("hidden", "an operating system's file"),
    }
    catalog = scan(root)
    assert catalog.num_files == len(catalog) + len(catalog.skipped) == 2 + 4


# Links, pipes, devices and what cannot be opened (A8)


@pytest.fixture
def outside(tmp_path: Path, make_picture: Callable[..., bytes]) -> Path:
    place = tmp_path / "elsewhere"
    place.mkdir()
    (place / "far.png").write_bytes(make_picture(999))
    return place


def test_links_devices_and_pipes_end_quickly_and_are_each_reported(
    photos: Photos, outside: Path
) -> None:
    root = photos({"a": 2, "b": 2})
    (root / "a" / "up").symlink_to("..")
    (root / "a" / "self.png").symlink_to("self.png")
    (root / "a" / "nowhere.png").symlink_to("not-there.png")
    (root / "a" / "far.png").symlink_to(outside / "far.png")
    (root / "a" / "far").symlink_to(outside)
    (root / "a" / "null.png").symlink_to("/dev/zero")
    (root / "a" / "near.png").symlink_to("../b/0.png")
    os.link(root / "b" / "1.png", root / "b" / "hard.png")
    os.mkfifo(root / "b" / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as plug:
        here = Path.cwd()
        os.chdir(root / "b")  # a socket's path has at most 108 bytes
        try:
            plug.bind("socket.jpg")
        finally:
            os.chdir(here)
        begun = time.monotonic()
        catalog = scan(root)
        assert time.monotonic() - begun < 2
    assert {own.path: own.reason for own in catalog.skipped} == {
        "a/far": "link",
        "a/far.png": "link",
        "a/nowhere.png": "broken-link",
        "a/null.png": "link",
        "a/self.png": "broken-link",
        "a/up": "link",
        "b/pipe.jpg": "special-file",
        "b/socket.jpg": "special-file",
    }
    assert "a/near.png" in catalog.paths
    assert "b/hard.png" in catalog.paths
    assert (
        catalog.hashes[catalog.paths.index("b/hard.png")]
        == (catalog.hashes[catalog.paths.index("b/1.png")])
    )


def test_a_pipe_is_never_opened_even_when_it_took_a_files_place(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "0.png")
    begun = time.monotonic()
    with pytest.raises(DataError) as caught:
        FolderSource(place=str(tmp_path)).read("0.png")
    assert time.monotonic() - begun < 2
    assert str(caught.value) == (
        "A picture can no longer be read: it is not a plain file.\n"
        f"  where: {tmp_path}/0.png\n"
        "  fix:   put the file back, or start again so that the folder is scanned anew"
    )


def test_without_the_check_for_plain_files_the_pipe_would_be_read_negative_control(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "0.png")
    monkeypatch.setattr(folders.stat, "S_ISREG", lambda mode: True)
    assert FolderSource(place=str(tmp_path)).read("0.png") == b""


def test_links_out_of_the_folder_are_followed_when_asked(photos: Photos, outside: Path) -> None:
    root = photos({"a": 1, "b": 1})
    (root / "a" / "far.png").symlink_to(outside / "far.png")
    (root / "b" / "far").symlink_to(outside)
    assert "a/far.png" not in scan(root).paths
    catalog = scan(root, follow_links=True)
    assert {"a/far.png", "b/far/far.png"} <= set(catalog.paths)
    assert catalog.skipped == ()


def test_a_class_or_a_part_behind_a_link_that_is_not_followed_is_a_severe_finding(
    photos: Photos, outside: Path
) -> None:
    root = photos({"cat": 1, "dog": 1})
    (root / "bird").symlink_to(outside)
    (finding,) = listing(root).findings
    assert (finding.kind, finding.severity, finding.paths) == ("link-class", "severe", ("bird",))
    assert finding.sentence == (
        "Links out of the folder were passed over that would be classes or parts (--follow-links "
        "reads them): bird."
    )
    assert finding.action == "remove the links if what they lead to does not belong here"
    assert listing(root, follow_links=True).findings == ()


def test_parts_and_their_classes_behind_links_are_found(photos: Photos, outside: Path) -> None:
    root = photos({"train/cat": 1, "train/dog": 1, "val/cat": 1})
    for name in ("Test", "val/dog", "extra", "val/dog.txt"):
        (root / name).symlink_to(outside / "far.png" if "." in name else outside)
    (finding,) = listing(root).findings
    assert (finding.kind, finding.paths) == ("link-class", ("Test", "val/dog"))


def test_pictures_of_a_class_behind_links_that_are_not_followed_are_a_warning(
    photos: Photos, outside: Path
) -> None:
    root = photos({"cat": 1, "dog": 1})
    (root / "cat" / "far").symlink_to(outside)
    (root / "dog" / "far.png").symlink_to(outside / "far.png")
    (root / "beside.png").symlink_to(outside / "far.png")
    (root / "dog" / "near.png").symlink_to("0.png")
    (finding,) = listing(root).findings
    assert (finding.kind, finding.severity) == ("link", "warning")
    assert finding.sentence == (
        "Links out of the folder were passed over within classes (--follow-links reads them): "
        "cat/far, dog/far.png."
    )


def test_a_folder_of_nothing_but_links_says_how_to_read_them(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "photos").mkdir()
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).symlink_to(outside)
    with pytest.raises(DataError) as caught:
        listing(tmp_path / "photos")
    assert caught.value.code == "SACCADE-E302"
    assert caught.value.fix == "--follow-links reads what the links lead to"


def test_a_link_that_leads_nowhere_is_a_file_that_cannot_be_used(photos: Photos) -> None:
    root = photos({"cat": 25, "dog": 25})
    (root / "bird").symlink_to("not-there")
    catalog = scan(root)
    (finding,) = look(catalog, choose_task(catalog))
    assert finding.sentence == "1 of 51 files cannot be used (1 broken-link): bird."


def test_with_the_check_for_the_folder_off_the_link_leads_out_negative_control(
    photos: Photos, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = photos({"a": 1, "b": 1})
    (root / "a" / "far.png").symlink_to(outside / "far.png")
    monkeypatch.setattr(Path, "is_relative_to", lambda path, other: path != other)
    assert "a/far.png" in scan(root).paths


def test_a_folder_of_links_to_folders_that_link_to_each_other_ends(photos: Photos) -> None:
    root = photos({f"class-{number}": 1 for number in range(12)})
    for number in range(12):
        for other in range(12):
            if number != other:
                (root / f"class-{number}" / f"to-{other}").symlink_to(f"../class-{other}")
    begun = time.monotonic()
    found = walk(root)
    assert time.monotonic() - begun < 2
    # Each folder is read once itself, and once at most through a link.
    assert len(found.files) <= 24
    assert len(found.files) + len(found.skipped) >= 12 * 11


@pytest.mark.parametrize("backwards", [False, True])
def test_of_several_links_to_one_folder_the_first_by_name_is_followed(
    photos: Photos, outside: Path, monkeypatch: pytest.MonkeyPatch, backwards: bool
) -> None:
    root = photos({"z": 1})
    for name in "dacb":
        (root / name).symlink_to(outside)
    really = os.scandir

    @contextlib.contextmanager
    def scandir(path: Path) -> Iterator[Iterator["os.DirEntry[str]"]]:
        with really(path) as entries:
            yield iter(sorted(entries, key=lambda own: own.name, reverse=backwards))

    monkeypatch.setattr(folders.os, "scandir", scandir)
    assert walk(root, follow_links=True).files == ["a/far.png", "z/0.png"]


def test_a_folder_that_cannot_be_opened_is_listed(
    photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By hand, for the permissions of a folder do not stop the super-user.
    root = photos({"a": 1, "b": 1, "locked": 3})
    really = os.scandir

    def scandir(path: Path) -> object:
        if Path(path).name == "locked":
            raise PermissionError(errno.EACCES, "Permission denied")
        return really(path)

    monkeypatch.setattr(folders.os, "scandir", scandir)
    assert reasons(root) == {
        "locked": ("unreadable", "the folder cannot be opened: Permission denied")
    }


def test_a_file_that_cannot_be_opened_is_listed(
    photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = photos({"a": 2, "b": 2})
    really = os.open

    def open_(path: Path, flags: int) -> int:
        if Path(path).name == "1.png":
            raise PermissionError(errno.EACCES, "Permission denied")
        return really(path, flags)

    monkeypatch.setattr(folders.os, "open", open_)
    catalog = scan(root)
    assert [own.path for own in catalog.skipped] == ["a/1.png", "b/1.png"]
    assert catalog.skipped[0].sentence == "A picture can no longer be read: Permission denied."


# Names (A9)

ODD_NAMES = (
    "new\nline.png",
    'quo"te.png',
    "<script>alert(1)</script>".replace("/", "") + ".png",
    "\u202egnp.exe.png",
    os.fsdecode(b"not-utf8-\xff\xfe.png"),
    "x" * 251 + ".png",
    "-rf.png",
    "=cmd().png",
    "+1.png",
    "@sum.png",
    unicodedata.normalize("NFC", "é.png"),
    unicodedata.normalize("NFD", "é.png"),
    "Case.png",
    "case.png",
    " space .png",
    "back\\slash.png",
    "'apostrophe.png",
    "tab\t.png",
)


@pytest.mark.parametrize("place", ["file", "class"])
def test_odd_names_come_through_whole(
    tmp_path: Path, make_picture: Callable[..., bytes], place: str
) -> None:
    for number, name in enumerate(ODD_NAMES):
        folder, file = (name, "0.png") if place == "class" else (f"class-{number % 2}", name)
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / file).write_bytes(make_picture(number))
    catalog = scan(tmp_path)
    names = {path.split("/")[0 if place == "class" else 1] for path in catalog.paths}
    assert names == set(ODD_NAMES)
    if place == "class":
        assert set(catalog.labels) == set(ODD_NAMES)
    for row, path in enumerate(catalog.paths):
        assert catalog.read(row) == (tmp_path / path).read_bytes()
        assert decode_name(encode_name(path)) == path
        assert encode_name(path).isprintable()


def test_the_encoding_of_names_neutralises_formulas_negative_control() -> None:
    formulas = [name for name in ODD_NAMES if name[0] in "=+-@"]
    assert len(formulas) == 4
    assert all(encode_name(name)[0] == "'" for name in formulas)


def test_an_unreadable_name_appears_encoded_in_messages(
    tmp_path: Path,
) -> None:
    (tmp_path / "a\nb").mkdir()
    (tmp_path / "a\nb" / "0.png").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        scan(tmp_path)
    assert "a\\nb/0.png" in str(caught.value)
