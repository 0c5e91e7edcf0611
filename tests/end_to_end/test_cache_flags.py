"""The pixel cache as a user meets it: two flags that never change what is learned."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from saccade.cli import app
from saccade.data import decode

QUICK = [
    "--model", "cnn", "--img-size", "16", "--widths", "8,16", "--epochs", "1", "--hflip", "0",
    "--no-trust",
]  # fmt: skip


def predictions(folder: Path, name: str, *flags: str) -> bytes:
    with contextlib.chdir(folder.parent):
        words = ["train", str(folder), *QUICK, "--output", name, *flags]
        done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.stderr
    return (folder.parent / name / "predictions.csv").read_bytes()


def test_a_cold_and_a_warm_cache_teach_the_same(
    image_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = image_folder(3, 14)
    own = folder.parent / "own"
    cold = predictions(folder, "cold", "--cache", str(own))
    assert list(own.rglob("*.shard"))
    monkeypatch.setattr(decode, "decode", None)  # nothing is decoded from here on
    assert predictions(folder, "warm", "--cache", str(own), "--cache-gb", "0") == cold
    assert not list(own.rglob("*.shard"))
