"""Groups as the user names them and as they are proposed, and splits that keep them."""

import io
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.data.test_split import catalog
from tests.planted import texture

from saccade.data import decode, proposals
from saccade.data.catalog import Catalog
from saccade.data.grouping import by_pattern, check_asked, check_column, column_of
from saccade.data.looks import Looks, look_at_canvases
from saccade.data.proposals import propose
from saccade.data.scan import scan
from saccade.data.split import PARTS, make_split
from saccade.data.task import choose_task, targets
from saccade.runtime.errors import DataError, UsageError

Photos = Callable[[Mapping[str, int]], Path]


def looks_of(seeds: list[int], *, noise: float = 0.0) -> Looks:
    """Return looks of scenes by their number; pictures of one scene differ by some noise."""
    rng = np.random.default_rng(0)
    scenes = {seed: texture(seed, width=32, height=32) for seed in set(seeds)}
    canvases = np.stack([scenes[seed] for seed in seeds])
    canvases = np.clip(canvases + rng.normal(0, noise, canvases.shape), 0, 255).astype(np.uint8)
    thumbs_NHW, measures = look_at_canvases(canvases)
    return Looks(thumbs_NHW=thumbs_NHW, measures=measures)


def named(paths: list[str], **more: object) -> Catalog:
    labels = [path.split("/")[0] for path in paths]
    return catalog(labels, paths=tuple(paths), **more)


def proposed(own: Catalog, looks: Looks) -> tuple[tuple[str, ...], str]:
    groups, finding = propose(own, looks, by_class=True, threads=1)
    return groups, finding.sentence


@pytest.fixture(autouse=True)
def no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the catalogues that lie in no file from being read for their time."""
    monkeypatch.setattr(proposals, "_bursts", lambda own, threads: [""] * len(own))


# As the user names them


def test_a_pattern_names_the_group_in_each_path() -> None:
    own = named([f"{'ab'[n % 2]}/patient_{n // 3:02}-{n}.jpg" for n in range(30)])
    grouped = by_pattern(own, r"patient_(\d+)")
    assert grouped.groups[:4] == ("00", "00", "00", "01")
    assert grouped.findings[-1].sentence == (
        r"The pattern 'patient_(\d+)' gives 10 groups of 3 pictures (30 of 30 pictures): "
        "00 (3), 01 (3), 02 (3), 03 (3), 04 (3) and 5 more."
    )


def test_several_parentheses_name_the_group_together() -> None:
    own = named(["a/day1/cam2/7.jpg", "a/day1/cam3/8.jpg"])
    assert by_pattern(own, r"(day\d)/(cam\d)").groups == ("day1/cam2", "day1/cam3")


def test_paths_without_the_pattern_are_named() -> None:
    own = named(["a/patient_1.jpg", "a/other.jpg", "b/patient_2.jpg"])
    with pytest.raises(DataError) as caught:
        by_pattern(own, r"patient_(\d+)")
    assert caught.value.code == "SACCADE-E361"
    assert str(caught.value) == (
        "The pattern for groups finds nothing in 1 of 3 paths: a/other.jpg.\n"
        "  where: --group 'patient_(\\d+)'\n"
        "  fix:   change the pattern so that it finds the group in every path, or rename these"
    )


@pytest.mark.parametrize(
    ("asked", "column", "message"),
    [
        ("patient", "patient", "Groups were asked for twice."),
        ("patient_(", "", "The pattern for groups is not a regular expression"),
        (r"patient_\d+", "", "does not say which part of the path names the group"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_read(
    asked: str, column: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        check_asked(asked, column=column)
    assert caught.value.code == "SACCADE-E262"


def test_a_column_that_is_not_there_is_refused() -> None:
    assert column_of("patient", column="") == column_of("", column="patient") == "patient"
    assert column_of("auto", column="") == column_of(r"p_(\d)", column="") == ""
    with pytest.raises(UsageError, match="No picture has a group: the column 'patient' is empty"):
        check_column(named(["a/1.jpg"]), "patient")


def test_a_stratified_split_keeps_groups_and_the_share_of_each_class() -> None:
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 7, 120)
    groups = [f"g{number}" for number, size in enumerate(sizes) for _ in range(size)]
    labels = ["ab"[number % 3 == 0] for number, size in enumerate(sizes) for _ in range(size)]
    own = catalog(labels, groups=groups)
    task = choose_task(own)
    split = make_split(own, task, targets(own, task), seed=0)
    parts_of: dict[str, set[str]] = {}
    for group, part in zip(groups, split.parts, strict=True):
        parts_of.setdefault(group, set()).add(part)
    assert {len(parts) for parts in parts_of.values()} == {1}
    total = Counter(labels)
    for part, share in zip(PARTS, (0.7, 0.15, 0.15), strict=True):
        held = Counter(labels[row] for row in split.rows(part))
        for label in "ab":
            assert held[label] / total[label] == pytest.approx(share, abs=0.03)


# As they are proposed


def test_folders_below_the_class_are_groups_where_their_pictures_are_alike() -> None:
    paths = [f"{'ab'[n % 2]}/day{n // 2 % 8}/{n:03}.jpg" for n in range(96)]
    scenes = [n // 2 % 8 for n in range(96)]
    groups, sentence = proposed(named(paths), looks_of(scenes, noise=15))
    assert groups[0] == groups[1] == groups[16] == "day0"
    assert len(set(groups)) == 8
    assert sentence.startswith("--group auto: 8 groups of 12 pictures (96 of 96 pictures): day0")
    assert "put together by folders below the class" in sentence


def test_folders_of_one_name_in_two_classes_are_two_groups_where_only_each_is_alike() -> None:
    paths = [f"{'ab'[n % 2]}/day{n // 2 % 8}/{n:03}.jpg" for n in range(96)]
    scenes = [n // 2 % 8 + 8 * (n % 2) for n in range(96)]
    groups, _ = proposed(named(paths), looks_of(scenes, noise=15))
    assert groups[:2] == ("a/day0", "b/day0")
    assert len(set(groups)) == 16


def test_folders_whose_pictures_are_not_alike_are_none() -> None:
    paths = [f"{'ab'[n % 2]}/day{n // 2 % 8}/x{n % 7}y.jpg" for n in range(96)]
    groups, sentence = proposed(named(paths), looks_of(list(range(96))))
    assert set(groups) == {""}
    assert (
        "By folders below the class nothing was grouped: the pictures within are not seen to be "
        "more alike than others." in sentence
    )


def test_what_names_begin_with_is_a_group_and_one_beginning_for_all_is_none() -> None:
    people = [f"{'ab'[n % 2]}/person{chr(65 + n // 8)}_{n % 8}.jpg" for n in range(96)]
    scenes = [n // 8 for n in range(96)]
    groups, _ = proposed(named(people), looks_of(scenes, noise=15))
    assert groups[:9] == ("personA",) * 8 + ("personB",)
    camera = [f"{'ab'[n % 2]}/IMG_{n * 7:04}.jpg" for n in range(96)]
    groups, sentence = proposed(named(camera), looks_of(list(range(96))))
    assert set(groups) == {""}
    assert "one of them ('a/IMG') would hold 48 of 96 pictures" in sentence


def test_running_numbers_are_a_group_only_where_neighbours_look_alike() -> None:
    paths = [f"{'ab'[n // 60]}/IMG_{n:04}.jpg" for n in range(120)]
    groups, sentence = proposed(named(paths), looks_of([n // 4 for n in range(120)], noise=15))
    assert groups[0] == groups[3] != groups[4]
    assert groups[0] == "a/IMG_0000.jpg to IMG_0003.jpg"
    assert "put together by running numbers" in sentence
    groups, _ = proposed(named(paths), looks_of(list(range(120))))
    assert set(groups) == {""}


def test_a_group_that_would_hold_a_fifth_or_leave_a_class_unsplit_is_not_used() -> None:
    paths = [f"{'ab'[n % 2]}/day{n // 2 % 4}/{n:03}.jpg" for n in range(96)]
    groups, sentence = proposed(named(paths), looks_of([n // 2 % 4 for n in range(96)], noise=15))
    assert set(groups) == {""}
    assert "class a would have only 4 of them" in sentence


def test_groups_that_given_parts_tear_apart_are_left_out() -> None:
    paths = [f"{'ab'[n % 2]}/day{n // 2 % 8}/{n:03}.jpg" for n in range(96)]
    parts = ["test" if n // 2 % 8 == 7 or n == 0 else "train" for n in range(96)]
    scenes = [n // 2 % 8 for n in range(96)]
    groups, _ = proposed(named(paths, parts=parts), looks_of(scenes, noise=15))
    assert set(groups) == {"", "day1", "day2", "day3", "day4", "day5", "day6", "day7"}


def test_without_any_sign_that_is_said() -> None:
    paths = [f"{'ab'[n % 2]}/{'xyzuvw'[n % 6] * (n + 1)}.jpg" for n in range(60)]
    groups, sentence = proposed(named(paths), looks_of(list(range(60))))
    assert set(groups) == {""}
    assert sentence == (
        "--group auto: no groups. There is no sign of any: no folders below the classes, no "
        "numbered names, no times from a camera."
    )


# The camera's clock


def taken(moment: str, *, camera: str = "Pinhole 1") -> bytes:
    exif = Image.Exif()
    exif[0x0110] = camera
    exif.get_ifd(0x8769)[0x9003] = moment
    pixels = np.random.default_rng(abs(hash(moment)) % 2**32).integers(0, 256, (20, 20, 3))
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def test_the_camera_and_its_clock_are_read() -> None:
    assert decode.taken_at(taken("2001:09:09 01:46:41")) == ("Pinhole 1", 1_000_000_001.0)
    assert decode.taken_at(taken("no time at all")) is None
    assert decode.taken_at(b"no picture") is None


def test_pictures_of_one_camera_a_few_seconds_apart_are_a_group(
    photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    root = photos({"a": 12, "b": 12})
    for number in range(12):
        # Bursts of three pictures, two seconds apart, a minute between the bursts.
        moment = f"2020:05:01 10:{number // 3:02}:{number % 3 * 2:02}"
        (root / "a" / f"burst-{'xyz'[number % 3]}{number}q.jpg").write_bytes(taken(moment))
    (root / "b" / "other.jpg").write_bytes(taken("2020:05:01 10:00:01", camera="Pinhole 2"))
    own = scan(root)
    groups, _ = propose(own, looks_of(list(range(len(own)))), by_class=True)
    of = dict(zip(own.paths, groups, strict=True))
    assert of["a/burst-x0q.jpg"] == of["a/burst-z2q.jpg"] == "Pinhole 1 2020-05-01 10:00:00"
    assert of["a/burst-x3q.jpg"] != of["a/burst-z2q.jpg"]
    assert of["b/other.jpg"] == ""


def test_of_numbers_no_group_is_made_finer_by_its_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every label is another one: cut by them each group would be a single picture."""
    paths = [f"video_{row:03}.jpg" for row in range(40)]
    own = catalog([str(row / 7) for row in range(40)], paths=tuple(paths))
    monkeypatch.setattr(proposals, "_bursts", lambda own, threads: ["one clock"] * 40)
    groups, finding = propose(own, looks_of([1] * 40, noise=4.0), by_class=False, threads=1)
    assert set(groups) == {""}
    assert "They are put together by" not in finding.sentence
    assert "By the camera's clock nothing was grouped: one of them" in finding.sentence
