"""The pixel cache as a whole: RELIABILITY B1 to B5 and A10, each with its guard switched off."""

import contextlib
import errno
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saccade.data import cache, cache_folder, leases, pixel_store, shards
from saccade.data import decode as door
from saccade.data.cache import PixelCache
from saccade.data.catalog import Catalog
from saccade.data.pixel_store import PixelStore
from saccade.data.preprocess import Preprocess
from saccade.data.scan import scan
from saccade.data.unpacking import fill
from saccade.runtime.errors import DataError, ResourceError
from saccade.runtime.progress import Progress

Photos = Callable[[Mapping[str, int]], Path]
PREPROCESS = Preprocess(size_px=16)
SMALL = 10 * PREPROCESS.canvas_bytes  # ten pictures a shard


class Told(Progress):
    """Progress that remembers what was said."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)


@contextlib.contextmanager
def opened(
    root: Path, folder: Path, preprocess: Preprocess = PREPROCESS, **options: Any
) -> Iterator[tuple[Catalog, PixelCache]]:
    threads = options.pop("threads", 2)
    options = {"shard_bytes": SMALL, **options}
    with PixelStore(preprocess, folder=str(folder), **options) as pixels:
        catalog = scan(root, pixels=pixels, threads=threads)
        yield catalog, pixels.finish(catalog)


def build(root: Path, folder: Path, **options: Any) -> tuple[Catalog, np.ndarray]:
    """Scan a folder into a cache, and return the catalogue and all its canvases."""
    with opened(root, folder, **options) as (catalog, built):
        return catalog, built.canvases(range(len(catalog)))


def wanted(catalog: Catalog, preprocess: Preprocess = PREPROCESS) -> np.ndarray:
    return np.stack(
        [
            preprocess.to_canvas(door.decode(catalog.read(row)).pixels_HWC)
            for row in range(len(catalog))
        ]
    )


def shard_paths(folder: Path) -> list[Path]:
    return sorted(folder.rglob(f"*{shards.SUFFIX}"))


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in shard_paths(folder)
    }


def leftovers(folder: Path) -> list[str]:
    """What a cache holds beside shards and the lock that every process uses."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.name for path in files if path.suffix != ".shard" and path.name != "lock")


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The contents that were decoded, in no order."""
    met: list[bytes] = []
    decode = door.decode

    def counting(content: bytes) -> door.Decoded:
        met.append(content)
        return decode(content)

    monkeypatch.setattr(door, "decode", counting)
    return met


# What it gives


@pytest.mark.parametrize("mapped_bytes", [cache.MAPPED_BYTES, 1])
def test_rows_come_in_any_order_as_the_preprocessing_makes_them(
    photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mapped_bytes: int
) -> None:
    monkeypatch.setattr(cache, "MAPPED_BYTES", mapped_bytes)  # 1: a single shard at a time
    root = photos({"a": 20, "b": 15})
    for _ in ("built", "read again"):
        with opened(root, tmp_path / "cache") as (catalog, built):
            rows = np.random.default_rng(0).integers(0, 35, 80)
            np.testing.assert_array_equal(built.canvases(rows), wanted(catalog)[rows])
            np.testing.assert_array_equal(built.as_seen(7), wanted(catalog)[7])
            assert (len(built), built.preprocess) == (35, PREPROCESS)


def test_a_second_scan_decodes_nothing_and_finds_the_same(
    photos: Photos, tmp_path: Path, decoded: list[bytes]
) -> None:
    cases = Path(__file__).parents[1] / "cases" / "pictures"
    root = photos({"a": 12, "b": 12})
    for name in ("exif-6.jpg", "cmyk.jpg", "gray-16.png", "cut-50.jpg", "bad-checksum.png"):
        shutil.copy(cases / name, root / "a" / name)
    first, canvases = build(root, tmp_path / "cache")
    decoded.clear()
    second, again = build(root, tmp_path / "cache")
    assert decoded == []
    np.testing.assert_array_equal(again, canvases)
    assert {own.kind for own in first.findings} >= {"exif-turned", "cmyk", "sixteen-bit"}
    for column in ("paths", "hashes", "formats", "findings", "skipped", "num_files"):
        assert getattr(second, column) == getattr(first, column)
    for column in ("num_bytes", "widths_px", "heights_px"):
        assert getattr(second, column).tolist() == getattr(first, column).tolist()


def test_a_catalogue_that_was_scanned_before_is_decoded_once(
    photos: Photos, tmp_path: Path, decoded: list[bytes]
) -> None:
    root = photos({"a": 12, "b": 13})
    catalog = scan(root)
    for count in (25, 0):
        decoded.clear()
        with PixelStore(PREPROCESS, folder=str(tmp_path / "cache")) as pixels:
            fill(pixels, catalog)
            built = pixels.finish(catalog)
            assert len(decoded) == count
            np.testing.assert_array_equal(built.canvases(range(25)), wanted(catalog))


def test_the_same_content_is_kept_once_and_a_new_name_costs_nothing(
    photos: Photos, tmp_path: Path, decoded: list[bytes]
) -> None:
    root = photos({"a": 30, "b": 30})
    for number in range(30):
        shutil.copy(root / "a" / f"{number}.png", root / "b" / f"copy-{number}.png")
    catalog, canvases = build(root, tmp_path / "cache")
    key = PREPROCESS.canvas_key
    kept = [shards.read_shard(path, preprocess=key) for path in shard_paths(tmp_path)]
    assert sum(shard.num_pictures for shard in kept) == 60
    np.testing.assert_array_equal(canvases, wanted(catalog))
    (root / "a").rename(root / "c")
    decoded.clear()
    renamed, _ = build(root, tmp_path / "cache")
    assert decoded == []
    assert "c/0.png" in renamed.paths


def test_pictures_that_were_left_out_take_no_room(photos: Photos, tmp_path: Path) -> None:
    root = photos({"a": 1})
    for number in range(100):
        (root / "a" / f"{number}.jpg").write_bytes(b"<html>%d" % number)
    build(root, tmp_path / "cache")
    (shard,) = shard_paths(tmp_path)
    assert shard.stat().st_size < PREPROCESS.canvas_bytes + 20_000


def test_a_store_that_is_not_shared_leaves_nothing_behind(photos: Photos, tmp_path: Path) -> None:
    root = photos({"a": 12, "b": 12})
    with opened(root, tmp_path / "cache", shared=False) as (catalog, built):
        np.testing.assert_array_equal(built.canvases(range(24)), wanted(catalog))
        assert len(shard_paths(tmp_path)) == 3
    assert shard_paths(tmp_path) == []
    assert leftovers(tmp_path / "cache") == []
    assert [own.name for own in (tmp_path / "cache" / "pixels-1").iterdir() if own.is_dir()] == [
        "live"
    ]


def test_where_the_folder_cannot_be_written_a_temporary_one_is_used_and_told(
    photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(pixel_store.tempfile, "tempdir", None)
    (tmp_path / "cache").write_text("a file, not a folder")
    told = Told()
    with opened(photos({"a": 4}), tmp_path / "cache", progress=told) as (catalog, built):
        np.testing.assert_array_equal(built.canvases(range(4)), wanted(catalog))
    assert told.sentences == [
        f"Cache: {tmp_path}/cache cannot be written (Not a directory); the decoded pictures are "
        "kept in a temporary folder until the end."
    ]
    assert list(tmp_path.glob("saccade-*")) == []


# B1: killed at any instant

BUILD = """
import os, signal, sys
from pathlib import Path
from saccade.data import decode, shards
from saccade.data.pixel_store import PixelStore
from saccade.data.preprocess import Preprocess
from saccade.data.scan import scan
from saccade.runtime.progress import Progress

class Told(Progress):
    def say(self, sentence):
        print(sentence, flush=True)

PREPROCESS = Preprocess(size_px=16)
count = 0
unhurried = decode.decode

def counting(content):
    global count
    count += 1
    return unhurried(content)

decode.decode = counting

def build(**options):
    with PixelStore(
        PREPROCESS, folder=sys.argv[2], shard_bytes=10 * PREPROCESS.canvas_bytes,
        progress=Told(), **options,
    ) as pixels:
        print("ready", flush=True)
        catalog = scan(sys.argv[1], pixels=pixels)
        pixels.finish(catalog)
        print("built", count, flush=True)
"""


@contextlib.contextmanager
def child(code: str, root: Path, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process of its own that runs BUILD and then some code; it is waited for."""
    words = [sys.executable, "-c", BUILD + code, str(root), str(folder)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        yield process


def exit_code(code: str, root: Path, folder: Path) -> int:
    with child(code, root, folder) as process:
        return process.wait(60)


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def are_whole(folder: Path) -> bool:
    """Say whether every shard is as it was written, read by itself."""
    for path in shard_paths(folder):
        try:
            shard = shards.read_shard(path, preprocess=PREPROCESS.canvas_key)
            shards.map_canvases(shard, check=True)
        except shards.Damaged:
            return False
    return True


def kill_and_build(photos: Photos, tmp_path: Path, num_kills: int) -> tuple[Path, Path, int]:
    """Kill builds at random instants, and build once more.

    Return the folder, that of a build never stopped, and how many shards the killed ones had left.
    """
    root = photos({"a": 150, "b": 150})
    clean, folder = tmp_path / "clean", tmp_path / "cache"
    with child("build()", root, clean) as unhurried:
        assert line(unhurried) == "ready"
        begun = time.monotonic()
        assert line(unhurried) == "built 300"
        seconds = time.monotonic() - begun
    assert len(digests(clean)) == 30
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(num_kills):
        with child("build()", root, folder) as process:
            assert line(process) == "ready"
            time.sleep(rng.uniform(0, 1.1) * seconds)
            process.kill()
        assert are_whole(folder)
        assert set(digests(folder).items()) <= set(digests(clean).items())
        found += len(shard_paths(folder))
        if rng.random() < 0.5:
            shutil.rmtree(folder / "pixels-1" / PREPROCESS.canvas_key)
    build(root, folder)
    return folder, clean, found


def test_after_three_kills_the_cache_is_that_of_a_build_never_stopped(
    photos: Photos, tmp_path: Path
) -> None:
    folder, clean, _ = kill_and_build(photos, tmp_path, 3)  # how many shards there were is luck
    assert digests(folder) == digests(clean)
    assert leftovers(folder) == []


@pytest.mark.slow
def test_after_thirty_kills_the_cache_is_that_of_a_build_never_stopped(
    photos: Photos, tmp_path: Path
) -> None:
    folder, clean, found = kill_and_build(photos, tmp_path, 30)
    assert digests(folder) == digests(clean)
    assert leftovers(folder) == []
    assert found > 30


KILLED_AT_FSYNC = "shards.os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)\nbuild()"
IN_PLACE = """
from saccade.data import shard_writer
written = shard_writer.write_shard
shard_writer.write_shard = lambda folder, *own, **given: written(
    folder, *own, **{**given, "temporary": folder / "0.shard"}
)
"""


@pytest.mark.parametrize("guarded", [True, False])
def test_a_shard_is_written_elsewhere_first_with_negative_control(
    photos: Photos, tmp_path: Path, guarded: bool
) -> None:
    root = photos({"a": 30})
    code = KILLED_AT_FSYNC if guarded else IN_PLACE + KILLED_AT_FSYNC
    assert exit_code(code, root, tmp_path / "cache") == -signal.SIGKILL
    assert are_whole(tmp_path) is guarded
    assert ("part" in "".join(leftovers(tmp_path / "cache"))) is guarded
    build(root, tmp_path / "cache")  # and what was left is mended, or gone
    assert leftovers(tmp_path / "cache") == []
    assert are_whole(tmp_path)


def test_the_shards_do_not_depend_on_threads_or_on_what_was_there(
    photos: Photos, tmp_path: Path
) -> None:
    root = photos({"a": 40, "b": 33})
    (root / "a" / "7.png").write_bytes(b"broken")
    build(root, tmp_path / "one", threads=1)
    build(root, tmp_path / "many", threads=7)
    whole = digests(tmp_path / "one")
    assert len(whole) == 8
    assert digests(tmp_path / "many") == whole
    for lost in ([0], [3], [1, 2, 6], [7], [0, 5, 7]):
        paths = shard_paths(tmp_path / "many")
        for number in lost:
            paths[number].unlink()
        build(root, tmp_path / "many")
        assert digests(tmp_path / "many") == whole


# B2: the disk fails


def refused(root: Path, folder: Path) -> ResourceError:
    with pytest.raises(ResourceError) as caught:
        build(root, folder)
    return caught.value


@pytest.fixture
def half_built(photos: Photos, tmp_path: Path) -> tuple[Path, Path, dict[str, str]]:
    """A folder of 60 pictures, and a cache that knows 20 of them."""
    root = photos({"a": 20})
    build(root, tmp_path / "cache")
    photos({"b": 40})
    return root, tmp_path / "cache", digests(tmp_path / "cache")


@pytest.mark.parametrize(
    ("number", "why"),
    [
        ("ENOSPC", "there is no space left on the disk"),
        ("EIO", "the disk reported an error"),
        ("EFBIG", "the file would be larger than this session allows (ulimit -f)"),
        ("EDQUOT", "the disk quota is used up"),
    ],
)
def test_a_disk_that_fails_is_named_and_the_old_cache_stays(
    half_built: tuple[Path, Path, dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    number: str,
    why: str,
) -> None:
    root, folder, before = half_built

    def fail(handle: int) -> None:
        raise OSError(getattr(errno, number), "from the disk")

    monkeypatch.setattr(shards.os, "fsync", fail)
    error = refused(root, folder)
    assert error.code == "SACCADE-E401"
    assert error.message == f"A file could not be written: {why}."
    assert error.fix == "free some space there, or name another folder with --cache"
    assert digests(folder) == before
    assert leftovers(folder) == []
    monkeypatch.undo()
    assert build(root, folder)[1].shape[0] == 60


def test_without_removing_the_temporary_file_it_stays_negative_control(
    half_built: tuple[Path, Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, folder, _ = half_built
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "")))
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    refused(root, folder)
    assert any(".part" in name for name in leftovers(folder))


def test_the_need_for_room_is_said_before_anything_is_done(
    half_built: tuple[Path, Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, folder, before = half_built
    # Idle shards could make room too: 20 pictures and their indices.
    monkeypatch.setattr(cache_folder, "free_bytes", lambda folder: 7_000)
    decoding = door.decode
    monkeypatch.setattr(door, "decode", lambda content: pytest.fail("it has begun"))
    error = refused(root, folder)
    assert str(error) == (
        "The decoded pictures need 0 MB, and 0 MB are free.\n"
        f"  where: {folder}\n"
        "  fix:   free some space, choose a smaller --img-size, or name a folder on another disk "
        "with --cache"
    )
    assert error.code == "SACCADE-E402"
    assert digests(folder) == before
    # With room for the 40 new ones alone (768 bytes each) it goes on.
    monkeypatch.setattr(door, "decode", decoding)
    monkeypatch.setattr(cache_folder, "free_bytes", lambda folder: 32_000)
    assert build(root, folder)[1].shape[0] == 60


def test_a_scan_with_a_deadline_needs_room_only_for_what_it_can_reach(
    photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixel_store, "MOST_BYTES_A_SECOND", 1_000)
    monkeypatch.setattr(pixel_store, "num_cores", lambda: 2)
    monkeypatch.setattr(cache_folder, "free_bytes", lambda folder: 25_000)
    for seconds, fits in ((9, True), (100, False)):
        with PixelStore(PREPROCESS, folder=str(tmp_path / "cache")) as pixels:
            expected = contextlib.nullcontext() if fits else pytest.raises(ResourceError)
            with expected:
                deadline = time.monotonic() + seconds
                pixels.begin("x", 1_000_000, count_missing=lambda: 0, deadline=deadline)


def test_without_asking_for_room_first_it_begins_and_fails_negative_control(
    half_built: tuple[Path, Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, folder, _ = half_built
    monkeypatch.setattr(cache_folder, "free_bytes", lambda folder: 7_000)
    monkeypatch.setattr(cache_folder, "claim_room", lambda *_, **__: None)
    monkeypatch.setattr(door, "decode", lambda content: pytest.fail("it has begun"))
    with pytest.raises(pytest.fail.Exception, match="it has begun"):
        build(root, folder)


def test_a_real_limit_on_file_sizes_is_named(photos: Photos, tmp_path: Path) -> None:
    root = photos({"a": 30})
    code = (
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, 4_000))\n"
        "try:\n    build()\n"
        "except Exception as error:\n    print(error.code, error.message)\n"
    )
    with child(code, root, tmp_path / "cache") as process:
        assert line(process) == "ready"
        assert line(process) == (
            "SACCADE-E401 A file could not be written: the file would be larger than this session "
            "allows (ulimit -f)."
        )
    assert leftovers(tmp_path / "cache") == []


def can_unshare() -> bool:
    with contextlib.suppress(OSError):
        return subprocess.run(["unshare", "-rm", "true"], check=False).returncode == 0
    return False


@pytest.mark.skipif(not can_unshare(), reason="needs user namespaces")
def test_a_disk_that_fills_up_while_it_is_built_is_named_and_what_was_there_stays(
    photos: Photos, tmp_path: Path
) -> None:
    # A real file system of 60 KB, which somebody else fills once the room was asked for.
    root = photos({"a": 60})
    (tmp_path / "small").mkdir()
    code = """
from saccade.data import cache_folder
build()
held = sorted(path.name for path in Path(sys.argv[2]).rglob("*.shard"))
cache_folder.claim_room = lambda *_, **__: None
PREPROCESS = Preprocess(size_px=32)
try:
    build()
except Exception as error:
    print(error.code, error.message)
print(held == sorted(path.name for path in Path(sys.argv[2]).rglob("*.shard")))
print(list(Path(sys.argv[2]).rglob("*.part")))
"""
    words = [sys.executable, "-c", BUILD + code, str(root), str(tmp_path / "small")]
    mount = f"mount -t tmpfs -o size=84k tmpfs {tmp_path}/small && exec "
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mount + '"$@"', "sh", *words],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "ready",
        "built 60",
        "ready",
        "SACCADE-E401 A file could not be written: there is no space left on the disk.",
        "True",
        "[]",
    ]


# B3: damage


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)


def flip_pixels(paths: list[Path]) -> None:
    flip(paths[1], 5 * PREPROCESS.canvas_bytes + 100)


def flip_index(paths: list[Path]) -> None:
    flip(paths[1], 10 * PREPROCESS.canvas_bytes + 40)  # of a first picture: its height


def flip_end(paths: list[Path]) -> None:
    flip(paths[1], -20)


def truncate(paths: list[Path]) -> None:
    paths[1].write_bytes(paths[1].read_bytes()[:-100])


def truncate_all(paths: list[Path]) -> None:
    paths[1].write_bytes(b"")


def cut_beginning(paths: list[Path]) -> None:
    paths[1].write_bytes(paths[1].read_bytes()[768:])


def swap(paths: list[Path]) -> None:
    first, second = paths[1].read_bytes(), paths[2].read_bytes()
    paths[1].write_bytes(second)
    paths[2].write_bytes(first)


DAMAGE = [flip_pixels, flip_index, flip_end, truncate, truncate_all, cut_beginning, swap]


@pytest.mark.parametrize("harm", DAMAGE)
def test_a_damaged_shard_is_named_and_built_anew(
    photos: Photos, tmp_path: Path, harm: Callable[[list[Path]], None]
) -> None:
    root = photos({"a": 20, "b": 15})
    _, right = build(root, tmp_path / "cache")
    whole, paths = digests(tmp_path), shard_paths(tmp_path)
    harm(paths)
    assert digests(tmp_path) != whole
    told = Told()
    _, canvases = build(root, tmp_path / "cache", progress=told)
    np.testing.assert_array_equal(canvases, right)
    assert digests(tmp_path) == whole
    assert len(told.sentences) == (2 if harm is swap else 1)
    assert told.sentences[0].startswith(f"Cache: {paths[1].name} is damaged (")


def test_damage_after_the_opening_is_met_at_the_first_reading(
    photos: Photos, tmp_path: Path
) -> None:
    root = photos({"a": 20, "b": 15})
    _, right = build(root, tmp_path / "cache")
    whole, paths = digests(tmp_path), shard_paths(tmp_path)
    told = Told()
    with opened(root, tmp_path / "cache", progress=told) as (_, built):
        flip_pixels(paths)
        paths[2].unlink()
        np.testing.assert_array_equal(built.canvases(range(35)), right)
    assert len(told.sentences) == 2
    assert digests(tmp_path) == whole


def test_a_cache_that_was_cleared_while_it_is_read_is_built_anew(
    photos: Photos, tmp_path: Path
) -> None:
    root = photos({"a": 20, "b": 15})
    _, right = build(root, tmp_path / "cache")
    with opened(root, tmp_path / "cache") as (_, built):
        shutil.rmtree(tmp_path / "cache")
        np.testing.assert_array_equal(built.canvases(range(35)), right)
    assert len(shard_paths(tmp_path)) == 4
    assert leftovers(tmp_path / "cache") == []


def test_opening_a_cache_reads_no_canvases(
    photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = photos({"a": 20, "b": 15})
    build(root, tmp_path / "cache")
    mapped: list[str] = []
    real = cache.map_canvases

    def watching(shard: shards.Shard, *, check: bool) -> np.ndarray:
        mapped.append(shard.name)
        return real(shard, check=check)

    monkeypatch.setattr(cache, "map_canvases", watching)
    with opened(root, tmp_path / "cache") as (_, built):
        assert mapped == []
        built.canvases([0])
        assert len(mapped) == 1


def test_without_the_check_of_canvases_a_flipped_bit_is_learned_from_negative_control(
    photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = photos({"a": 20, "b": 15})
    _, right = build(root, tmp_path / "cache")
    flip_pixels(shard_paths(tmp_path))
    real = cache.map_canvases
    monkeypatch.setattr(cache, "map_canvases", lambda shard, check: real(shard, check=False))
    assert not np.array_equal(build(root, tmp_path / "cache")[1], right)


def test_without_the_check_of_names_a_changed_index_goes_unnoticed_negative_control(
    photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = photos({"a": 20, "b": 15})
    first, _ = build(root, tmp_path / "cache")
    flip_index(shard_paths(tmp_path))
    monkeypatch.setattr(shards, "_check_name", lambda path, index: None)
    second, _ = build(root, tmp_path / "cache")
    assert second.heights_px.tolist() != first.heights_px.tolist()


def test_a_shard_with_pictures_of_other_folders_is_built_anew_without_them(
    photos: Photos, tmp_path: Path, decoded: list[bytes]
) -> None:
    root = photos({"a": 12, "b": 12})
    (root / "a" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    build(root, tmp_path / "cache")
    shutil.rmtree(root / "b")
    for path in shard_paths(tmp_path):
        flip(path, 100)
    catalog, canvases = build(root, tmp_path / "cache")
    np.testing.assert_array_equal(canvases, wanted(catalog))
    decoded.clear()
    _, again = build(root, tmp_path / "cache")
    assert decoded == []
    np.testing.assert_array_equal(again, canvases)


# A10: the folder changes meanwhile


def test_a_shard_cannot_be_built_anew_from_a_changed_picture(
    photos: Photos, tmp_path: Path, make_picture: Callable[..., bytes]
) -> None:
    root = photos({"a": 9})
    build(root, tmp_path / "cache")
    with opened(root, tmp_path / "cache") as (_, built):
        flip(shard_paths(tmp_path)[0], 100)
        (root / "a" / "3.png").write_bytes(make_picture(99))
        with pytest.raises(DataError) as caught:
            built.canvases([0])
    assert str(caught.value) == (
        "A picture has changed since the folder was scanned.\n"
        f"  where: {root}/a/3.png\n"
        "  fix:   scan again"
    )
    assert caught.value.code == "SACCADE-E345"


@pytest.mark.parametrize("harm", ["rewritten", "cut", "deleted"])
def test_what_changes_after_the_scan_does_not_reach_the_pixels(
    photos: Photos, tmp_path: Path, make_picture: Callable[..., bytes], harm: str
) -> None:
    root = photos({"a": 9})
    with opened(root, tmp_path / "cache") as (catalog, built):
        right = wanted(catalog)
        path = root / "a" / "3.png"
        if harm == "deleted":
            path.unlink()
        else:
            path.write_bytes(make_picture(99) if harm == "rewritten" else path.read_bytes()[:50])
        np.testing.assert_array_equal(built.canvases(range(9)), right)
    with PixelStore(PREPROCESS, folder=str(tmp_path / "other")) as pixels:
        with pytest.raises(DataError) as caught:  # the old catalogue, decoded elsewhere
            fill(pixels, catalog)
        assert caught.value.code == ("SACCADE-E316" if harm == "deleted" else "SACCADE-E345")


def test_without_comparing_contents_versions_would_mix_negative_control(
    photos: Photos,
    tmp_path: Path,
    make_picture: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = photos({"a": 9})
    catalog = scan(root)
    (root / "a" / "3.png").write_bytes(make_picture(99))
    monkeypatch.setattr(Catalog, "read_again", Catalog.read)
    with PixelStore(PREPROCESS, folder=str(tmp_path / "cache")) as pixels:
        fill(pixels, catalog)
        pixels.finish(catalog)  # pixels of one version under the hash of another


# B4: two at once

HELD = """
import time
quick = decode.decode

def held(content):
    while not Path(sys.argv[2], "go").exists():
        time.sleep(0.005)
    return quick(content)

decode.decode = held
build()
"""
UNLOCKED = """
import contextlib
from saccade.data import leases
leases.alone = lambda *_, **__: contextlib.nullcontext()
build()
"""
WAITING = "Cache: another process is decoding these pictures; waiting for it."


def two_builders(photos: Photos, folder: Path, second_code: str) -> list[str]:
    """Start one, and another while it works; return what the other says, then the first."""
    root = photos({"a": 50, "b": 50})
    with child(HELD, root, folder) as first:
        assert line(first) == "ready"
        while not list(folder.rglob("building-*")):
            time.sleep(0.005)
        with child(second_code, root, folder) as second:
            assert line(second) == "ready"
            said = [line(second)]
            (folder / "go").touch()
            if said == [WAITING]:
                said.append(line(second))
        said.append(line(first))
    (folder / "go").unlink()
    assert are_whole(folder)
    assert leftovers(folder) == []
    build(root, folder.parent / "clean")
    assert digests(folder) == digests(folder.parent / "clean")
    return said


def test_of_two_builders_one_works_and_the_other_waits_and_reads(
    photos: Photos, tmp_path: Path
) -> None:
    said = two_builders(photos, tmp_path / "cache", "build()")
    assert said == [WAITING, "built 0", "built 100"]


def test_without_the_lock_both_decode_and_the_cache_is_still_whole_negative_control(
    photos: Photos, tmp_path: Path
) -> None:
    said = two_builders(photos, tmp_path / "cache", UNLOCKED)
    assert said == ["built 100", "built 100"]


def test_the_lock_of_a_dead_process_is_taken_over(photos: Photos, tmp_path: Path) -> None:
    root = photos({"a": 50, "b": 50})
    with child(HELD, root, tmp_path / "cache") as first:
        assert line(first) == "ready"
        while not list(tmp_path.rglob("building-*")):
            time.sleep(0.005)
        first.kill()
    assert list(tmp_path.rglob("building-*"))
    told = Told()
    build(root, tmp_path / "cache", progress=told)
    assert told.sentences == []
    assert leftovers(tmp_path / "cache") == []


# B5: what invalidates


def test_only_changed_files_are_decoded_again(
    photos: Photos, tmp_path: Path, make_picture: Callable[..., bytes], decoded: list[bytes]
) -> None:
    root = photos({"a": 20, "b": 20})
    build(root, tmp_path / "cache")
    new = make_picture(999)
    (root / "b" / "7.png").write_bytes(new)
    decoded.clear()
    catalog, canvases = build(root, tmp_path / "cache")
    assert decoded == [new]
    np.testing.assert_array_equal(canvases, wanted(catalog))


@pytest.fixture
def mixed(photos: Photos, make_picture: Callable[..., bytes]) -> Path:
    """30 PNGs, 12 JPEGs and a broken one."""
    root = photos({"a": 30})
    for number in range(12):
        (root / "a" / f"{number}.jpg").write_bytes(make_picture(number, kind="JPEG"))
    (root / "a" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return root


def newer(kind: str) -> Callable[[], dict[str, str]]:
    now = door.decoders()
    return lambda: {**now, kind: "a newer one"}


def test_another_decoder_invalidates_its_own_pictures_alone(
    mixed: Path, tmp_path: Path, decoded: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    build(mixed, tmp_path / "cache")
    decoded.clear()
    monkeypatch.setattr(door, "decoders", newer("JPEG"))
    catalog, canvases = build(mixed, tmp_path / "cache")
    sniffed = sorted(content[:4] for content in decoded)
    assert sniffed == [b"\x89PNG"] + [b"\xff\xd8\xff\xe0"] * 12  # and what had been refused
    np.testing.assert_array_equal(canvases, wanted(catalog))
    decoded.clear()
    build(mixed, tmp_path / "cache")
    assert decoded == []


def test_without_looking_at_versions_old_pixels_stay_negative_control(
    mixed: Path, tmp_path: Path, decoded: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    build(mixed, tmp_path / "cache")
    decoded.clear()
    monkeypatch.setattr(door, "decoders", newer("JPEG"))
    everything = lambda shard, decoders: np.ones(len(shard.entries), bool)  # noqa: E731
    monkeypatch.setattr(shards.Shard, "still_valid", everything)
    build(mixed, tmp_path / "cache")
    assert decoded == []


OTHER = {
    "size": Preprocess(size_px=20),
    "crop": Preprocess(size_px=14, crop_fraction=0.875),
    "fit": Preprocess(size_px=16, fit="squash"),
    "interpolation": Preprocess(size_px=16, interpolation="bilinear"),
    "bars": Preprocess(size_px=16, fit="pad"),
    "colour of the bars": Preprocess(size_px=16, fit="pad", mean=(0.5, 0.5, 0.5)),
}


def test_another_preprocessing_has_pictures_of_its_own(
    photos: Photos, tmp_path: Path, decoded: list[bytes]
) -> None:
    root = photos({"a": 12})
    build(root, tmp_path / "cache")
    for name, preprocess in OTHER.items():
        for count in (12, 0):
            decoded.clear()
            catalog, canvases = build(root, tmp_path / "cache", preprocess=preprocess)
            assert len(decoded) == count, name
            np.testing.assert_array_equal(canvases, wanted(catalog, preprocess))
    decoded.clear()
    normalised = Preprocess(size_px=16, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    build(root, tmp_path / "cache", preprocess=normalised)  # the same canvases
    assert decoded == []


def test_a_shard_in_the_folder_of_another_preprocessing_is_not_believed(
    photos: Photos, tmp_path: Path
) -> None:
    root = photos({"a": 9})
    build(root, tmp_path / "cache")
    squash = Preprocess(size_px=16, fit="squash")
    build(root, tmp_path / "cache", preprocess=squash)
    (own,) = (tmp_path / "cache" / "pixels-1" / PREPROCESS.canvas_key).glob("*.shard")
    (other,) = (tmp_path / "cache" / "pixels-1" / squash.canvas_key).glob("*.shard")
    other.unlink()
    own.rename(other.parent / own.name)
    catalog, canvases = build(root, tmp_path / "cache", preprocess=squash)
    np.testing.assert_array_equal(canvases, wanted(catalog, squash))


# The limit


def test_what_was_unused_for_longest_goes_first(
    photos: Photos, tmp_path: Path, decoded: list[bytes]
) -> None:
    old, new = photos({"old/a": 10}) / "old", photos({"new/a": 10}) / "new"
    build(old, tmp_path / "cache")
    build(new, tmp_path / "cache")
    build(old, tmp_path / "cache")  # used again: now the other is older
    size = max(path.stat().st_size for path in shard_paths(tmp_path))
    build(photos({"third/a": 10}) / "third", tmp_path / "cache", limit_gb=2.5 * size / 1e9)
    assert len(shard_paths(tmp_path)) == 2
    decoded.clear()
    build(old, tmp_path / "cache")
    assert decoded == []
    build(new, tmp_path / "cache")
    assert len(decoded) == 10
    build(old, tmp_path / "cache", limit_gb=0)
    assert shard_paths(tmp_path) == []


@pytest.mark.parametrize("guarded", [True, False])
def test_what_a_living_run_uses_stays_with_negative_control(
    photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    if not guarded:
        monkeypatch.setattr(leases, "living", lambda root: {})
    root, other = photos({"one/a": 25}) / "one", photos({"two/a": 25}) / "two"
    with opened(root, tmp_path / "cache") as (_, _built):
        used = digests(tmp_path)
        build(other, tmp_path / "cache", limit_gb=0)
        assert (digests(tmp_path) == used) is guarded
    build(other, tmp_path / "cache", limit_gb=0)
    assert shard_paths(tmp_path) == []


def test_what_a_killed_run_left_half_done_is_removed(photos: Photos, tmp_path: Path) -> None:
    root = photos({"a": 30})
    code = KILLED_AT_FSYNC.replace("build()", "build(shared=False)")
    assert exit_code(code, root, tmp_path / "cache") == -signal.SIGKILL
    assert list((tmp_path / "cache" / "pixels-1").glob("private-*"))
    build(photos({"b": 1}), tmp_path / "cache")
    assert not list((tmp_path / "cache" / "pixels-1").glob("private-*"))
    assert leftovers(tmp_path / "cache") == []


def test_the_folder_is_the_one_named_else_the_variables_else_the_users(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert cache_folder.cache_folder("here") == Path("here")
    assert cache_folder.cache_folder() == Path(os.environ["SACCADE_CACHE"])
    monkeypatch.delenv("SACCADE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder.cache_folder() == tmp_path / "saccade"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder.cache_folder() == Path.home() / ".cache" / "saccade"


@pytest.mark.slow
def test_a_hundred_thousand_pictures_take_little_more_than_a_kilobyte_each(tmp_path: Path) -> None:
    # So a million stay below two gigabytes. A process of its own has a peak of its own.
    code = """
import io, resource
import numpy as np
from PIL import Image
from saccade.data.catalog import Candidate, Listing

buffer = io.BytesIO()
Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(buffer, "BMP")

class Numbers:
    place = "numbers"

    def read(self, key):
        return buffer.getvalue()[:-4] + int(key).to_bytes(4, "little")

num = 100_000
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
candidates = tuple(Candidate(path=str(n), label=str(n % 7)) for n in range(num))
listing = Listing(place="numbers", layout="", source=Numbers(), candidates=candidates)
sys.modules["saccade.data.scan"].list_data = lambda *_, **__: listing
with PixelStore(PREPROCESS, folder=sys.argv[2]) as pixels:
    catalog = scan("numbers", pixels=pixels, threads=2)
    built = pixels.finish(catalog)
    rng = np.random.default_rng(0)
    for _ in range(100):
        assert built.canvases(rng.integers(0, num, 64)).shape == (64, 16, 16, 3)
    shards_bytes = sum(path.stat().st_size for path in Path(sys.argv[2]).rglob("*.shard"))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) * 1024 - shards_bytes, flush=True)
"""
    with child(code, tmp_path, tmp_path / "cache") as process:
        grown = int(line(process))
    assert grown < 1_500 * 100_000 + 128_000_000  # and two shards on their way to the disk
