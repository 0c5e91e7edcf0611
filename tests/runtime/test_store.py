"""Files that are whole or not there, and names that survive."""

import contextlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saccade.runtime import store
from saccade.runtime.errors import ResourceError

names = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("\udcff\udc80\\'=+-@\n\r\t\u202e"),
    max_size=30,
)


@given(names)
def test_a_name_comes_back_from_its_written_form(name: str) -> None:
    assert store.decode_name(store.encode_name(name)) == name


@given(names)
def test_a_written_name_is_one_line_of_valid_text_and_no_formula(name: str) -> None:
    written = store.encode_name(name)
    assert written.encode("utf-8").decode("utf-8") == written
    assert not any(ord(c) < 32 or c == "\u202e" for c in written)
    assert not written.startswith(("=", "+", "-", "@"))


def test_an_error_inside_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    store.write_text(path, "old")
    with contextlib.suppress(ZeroDivisionError), store.writing(path) as temporary:
        temporary.write_text(f"half {1 // 0}")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


def test_a_sync_that_fails_becomes_an_error_and_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.txt"
    store.write_text(path, "old")

    def fail(_handle: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ResourceError, match="the disk reported an error") as caught:
        store.write_text(path, "new")
    assert caught.value.code == "SACCADE-E401"
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


def test_free_space_is_told_only_where_it_is_what_lacks(tmp_path: Path) -> None:
    full = store.disk_error(OSError(28, "No space"), tmp_path / "file.txt")
    closed = store.disk_error(OSError(13, "Permission denied"), tmp_path / "file.txt")
    assert "MB free" in str(full)
    assert "free some space there, or choose another place" in str(full)
    assert str(closed) == (
        "A file could not be written: writing there is not permitted.\n"
        f"  where: {tmp_path}/file.txt\n"
        "  fix:   choose another place with --output"
    )


def test_a_file_can_be_written_below_a_folder_that_is_still_to_be_made(tmp_path: Path) -> None:
    store.check_can_be_written(tmp_path / "new" / "deep" / "file.txt")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "plain").write_text("")
    with pytest.raises(ResourceError, match="a file lies where its folder should be"):
        store.check_can_be_written(tmp_path / "plain" / "file.txt")


def test_without_the_temporary_file_a_failure_spoils_the_old_one_negative_control(
    tmp_path: Path,
) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with contextlib.suppress(ZeroDivisionError), path.open("w") as file:
        file.write(f"half {1 // 0}")
    assert path.read_text() != "old"


def test_a_file_size_limit_becomes_an_error(tmp_path: Path) -> None:
    code = (
        "import pathlib, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from saccade.runtime import store\n"
        "from saccade.runtime.errors import ResourceError\n"
        "try:\n"
        "    store.write_bytes(pathlib.Path(sys.argv[1]), b'x' * 100_000)\n"
        "except ResourceError as error:\n"
        "    print(error.message)\n"
    )

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "large")],
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == (
        "A file could not be written: the file would be larger than this session allows "
        "(ulimit -f).\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_json_has_no_nan() -> None:
    assert store.json_text({"a": [float("nan"), 1.5], "b": float("inf")}, indent=None) == (
        '{"a": [null, 1.5], "b": null}'
    )


def test_files_get_ordinary_permissions(tmp_path: Path) -> None:
    store.write_text(tmp_path / "file", "x")
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~umask


def test_halves_of_files_and_folders_go_and_all_else_stays(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "whole.json").write_text("{}")
    (tmp_path / "model" / ".whole.json.x7.part").write_text("{")
    (tmp_path / ".model.e8.part" / "golden").mkdir(parents=True)
    (tmp_path / "notes.part").write_text("mine")
    (tmp_path / ".model.1a.old").mkdir()  # its successor came
    (tmp_path / ".other.2b.old").mkdir()  # its successor did not
    (tmp_path / ".other.2b.old" / "config.json").write_text("{}")
    store.remove_halves(tmp_path)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert left == {"model", "model/whole.json", "notes.part", "other", "other/config.json"}
