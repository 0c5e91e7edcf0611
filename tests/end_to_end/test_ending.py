"""How the program ends once torch is loaded: at once, and nothing is lost."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from saccade import cli, endings
from saccade.models import backbones

FULL = "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"
SITE = """
import atexit, os, sys
atexit.register(lambda: print("registered for the end", file=sys.stderr))
own = os._exit
def noted(code):
    os.write(2, b"ended at once\\n")
    own(code)
os._exit = noted
"""


@pytest.fixture
def watched(tmp_path: Path) -> dict[str, str]:
    """Variables that let a Python say how it ends."""
    (tmp_path / "sitecustomize.py").write_text(SITE)
    return {**os.environ, "PYTHONPATH": str(tmp_path)}


def test_what_is_printed_into_a_file_is_complete(tmp_path: Path, watched: dict[str, str]) -> None:
    with (tmp_path / "names").open("wb") as file:
        done = subprocess.run(
            [sys.executable, "-m", "saccade", "models", "resnet*"],
            env=watched, stdout=file, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert done.returncode == 0
    assert done.stderr.splitlines()[-2:] == ["registered for the end", "ended at once"]
    lines = (tmp_path / "names").read_text().splitlines()
    words = {word for line in lines for word in line.split()}
    names = backbones.names("resnet*")
    assert len(names) > 30
    assert set(names) <= words


@pytest.mark.slow
def test_an_error_keeps_its_exit_code_and_its_message(watched: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "saccade", "models", "resnet5O", "--layers"],
        env=watched, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "SACCADE-E210" in done.stderr
    assert done.stderr.splitlines()[-1] == "ended at once"


@pytest.mark.slow
def test_a_full_disk_behind_standard_output_is_an_error(watched: dict[str, str]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "saccade", "models", "vgg16"],
            env=watched, stdout=full, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert done.returncode == 4
    assert "there is no space left on the disk" in done.stderr


@pytest.mark.slow
def test_a_program_that_calls_ours_ends_by_itself(watched: dict[str, str]) -> None:
    code = """
import sys
from saccade.cli import main
sys.argv = ["saccade", "models", "vgg16"]
try:
    main()
except SystemExit as end:
    print("still here", end.code)
"""
    done = subprocess.run([sys.executable, "-c", code], env=watched, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "still here 0"
    assert "ended at once" not in done.stderr


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_names_that_the_encoding_of_a_pipe_lacks_are_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    table = tmp_path / "u.csv"
    table.write_text("truth,prediction\nżółty,żółty\n🦋,żółty\né,é\n", encoding="utf-8")
    pipes = [io.TextIOWrapper(io.BytesIO(), encoding="cp1252") for _ in range(2)]
    monkeypatch.setattr("sys.stdout", pipes[0])
    monkeypatch.setattr("sys.stderr", pipes[1])
    monkeypatch.setattr("sys.argv", ["saccade", "eval", str(table), *words])
    monkeypatch.setattr(cli, "raise_on_hangup", lambda: None)
    with pytest.raises(SystemExit) as end:
        cli.main()
    said, told = (pipe.buffer.getvalue().decode("utf-8") for pipe in pipes if not pipe.flush())
    assert (end.value.code, told) == (0, "")
    assert {f"recall[{name}]" for name in ("żółty", "🦋", "é")} <= (
        set(json.loads(said)["test"]) if words else set(said.split())
    )


def test_memory_that_runs_out_anywhere_is_no_fault_of_ours(
    capsys: pytest.CaptureFixture[str],
) -> None:
    import torch

    for error in (MemoryError(), torch.OutOfMemoryError("CUDA out of memory."), RuntimeError(FULL)):
        with pytest.raises(typer.Exit) as caught, endings.told_plainly(debug=False):
            raise error
        assert caught.value.exit_code == 4
        assert "SACCADE-E403" in capsys.readouterr().err
    with pytest.raises(typer.Exit) as caught, endings.told_plainly(debug=False):
        raise RuntimeError("shapes cannot be multiplied")
    assert caught.value.exit_code == 1


def test_predict_says_how_it_is_asked_for_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for flag, hint in (("--json", "--format jsonl"), ("--xml", "saccade predict --help")):
        monkeypatch.setattr("sys.argv", ["saccade", "predict", "model", "d.png", flag])
        assert endings.run_told(cli.app) == 2
        assert hint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "x", "--nosuch", "1"], "No such option: --nosuch"),
        (["train", "x", "--epochs", "abc"], "--epochs is 'abc', which is not a whole number."),
        (["train", "x", "--lr=fast"], "--lr is 'fast', which is not a number."),
        (["nosuch"], "No such command 'nosuch'."),
        (["trian"], "Did you mean 'train'?\n"),
        (["verify"], "Missing argument 'run'."),
        (["train", "x", "--corrections", "a.csv", "--corrections=b.csv"], "is given 2 times"),
        (["check", "x", "--strict", "--no-strict"], "--strict is given 2 times"),
    ],
)
def test_a_command_line_that_makes_no_sense_has_a_code_and_a_way_on_and_is_json_when_asked(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    for more in ([], ["--json"]):
        monkeypatch.setattr("sys.argv", ["saccade", *words, *more])
        assert endings.run_told(cli.app) == 2
        out, err = capsys.readouterr()
        assert "SACCADE-E200: " in err
        assert said in err
        assert "--help" in err
        assert (json.loads(out)["error"]["code"] if more else out) == (
            "SACCADE-E200" if more else ""
        )
