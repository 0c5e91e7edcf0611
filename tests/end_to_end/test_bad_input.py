"""What goes wrong gets one clear message, the right exit code, and leaves nothing half-written."""

import contextlib
import errno
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.conftest import shape_picture
from typer.testing import CliRunner

from saccade import workflow
from saccade.cli import app
from saccade.models import backbones, tensors
from saccade.run import Run

QUICK = ["--model", "cnn", "--img-size", "16", "--widths", "8", "--epochs", "1", "--quiet"]
ImageFolder = Callable[..., Path]


def refused(*words: object, cwd: Path) -> tuple[int, str]:
    """Return exit code and message; there must be no traceback and no output."""
    with contextlib.chdir(cwd):
        done = CliRunner().invoke(app, list(map(str, words)))
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert len(re.findall(r"^error SACCADE-E\d{3}: ", done.stderr, re.MULTILINE)) == 1
    assert "\n  fix:   " in done.stderr
    return done.exit_code, done.stderr


def write_table(folder: Path, header: str, rows: list[str], *, pictures: int = 6) -> Path:
    for number in range(pictures):
        Image.fromarray(shape_picture(number % 2, number, side=16)).save(folder / f"{number}.png")
    path = folder / "table.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_no_such_folder(tmp_path: Path) -> None:
    code, told = refused("train", "nowhere", *QUICK, cwd=tmp_path)
    assert (code, list(tmp_path.iterdir())) == (3, [])
    assert told.startswith("error SACCADE-E301: There is no folder or file 'nowhere'.\n  where: ")


def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, told = refused("train", "empty", *QUICK, cwd=tmp_path)
    assert code == 3
    assert "E302: The folder holds no files." in told
    assert [entry.name for entry in tmp_path.iterdir()] == ["empty"]


def test_what_is_wrong_with_the_data_is_said_before_weights_that_cannot_be_had(
    image_folder: ImageFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(backbone: object) -> None:
        raise ConnectionError("the hub cannot be reached")

    monkeypatch.setattr(backbones, "download", download)
    monkeypatch.setattr(backbones, "cached", lambda backbone: None)
    (tmp_path / "empty").mkdir()
    (tmp_path / "photos.csv").write_text("file,lable\na.png,a\nb.png,b\n")
    bad = tmp_path / "fixes.csv"
    bad.write_text("file,lable\nclass0/000.png,class1\n")
    folder = str(image_folder(2, 4))
    for words, code in (
        ([str(tmp_path / "empty")], "E302"),
        ([str(tmp_path / "photos.csv"), "--label-column", "label"], "E307"),
        ([folder, "--corrections", str(bad)], "E307"),
        ([folder], "E411"),
    ):
        done = CliRunner().invoke(app, ["train", *words, "--output", str(tmp_path / "run")])
        assert f"error SACCADE-{code}" in done.stderr, done.stderr
        assert not (tmp_path / "run").exists()


def test_one_class(image_folder: ImageFolder) -> None:
    folder = image_folder(1, 6)
    code, told = refused("train", folder, *QUICK, cwd=folder.parent)
    assert code == 3
    assert "E350: There is only one class, 'class0': nothing to tell apart." in told


def test_a_class_with_one_picture(image_folder: ImageFolder) -> None:
    folder = image_folder(3, 6)
    for path in sorted((folder / "class1").iterdir())[1:]:
        path.unlink()
    code, told = refused("train", folder, *QUICK, cwd=folder.parent)
    assert code == 3
    assert "1 of 3 classes has fewer than 3 readable images: 'class1' (1)" in told
    assert not (folder.parent / "runs").exists()


def test_every_file_broken(image_folder: ImageFolder) -> None:
    folder = image_folder(2, 4)
    for path in folder.rglob("*.png"):
        path.write_bytes(path.read_bytes()[:40])
    code, told = refused("train", folder, *QUICK, cwd=folder.parent)
    assert code == 3
    assert "E304: None of the 8 files can be used as a picture" in told


@pytest.mark.parametrize(
    ("header", "rows", "flags", "message"),
    [
        ("file,label", ["0.png,a", "1.png,b"], ["--label-column", "lable"],
         "E307: The table has no column 'lable'."),
        ("file,label", ["0.png,a", "gone.png,b"], [],
         "E310: 1 of 2 rows name a file that is not there: gone.png"),
        ("file,label", ["0.png,a", "1.png,", "2.png,b"], [],
         "E352: 1 of 3 pictures has an empty label: 1.png."),
        ("file,label", ["0.png,1.5", "1.png,much", "2.png,3"], ["--task", "regression"],
         "E353: 1 of 3 labels are not numbers: 'much' (1.png)"),
    ],
)  # fmt: skip
def test_a_wrong_table(
    tmp_path: Path, header: str, rows: list[str], flags: list[str], message: str
) -> None:
    table = write_table(tmp_path, header, rows)
    code, told = refused("train", table, *QUICK, *flags, cwd=tmp_path)
    assert code == 3
    assert message in told


def test_an_unknown_model_gets_the_nearest_names(image_folder: ImageFolder) -> None:
    folder = image_folder(2, 4)
    code, told = refused("train", folder, "--model", "resnet5", "--quiet", cwd=folder.parent)
    assert code == 2
    assert "E210: There is no network named 'resnet5'" in told
    assert "resnet50" in told


def test_an_unknown_task_and_a_value_out_of_range(image_folder: ImageFolder) -> None:
    folder = image_folder(2, 4)
    assert refused("train", folder, "--task", "clustering", *QUICK, cwd=folder.parent)[0] == 2
    code, told = refused("train", folder, *QUICK, "--drop", "1.5", cwd=folder.parent)
    assert code == 2
    assert "E232: --drop must be 0 to 0.95; it is 1.5." in told


def test_weights_of_another_architecture_are_refused_with_a_diff(
    image_folder: ImageFolder, tmp_path: Path
) -> None:
    import timm
    from safetensors.torch import save_file

    other = tmp_path / "other.safetensors"
    save_file(timm.create_model("test_resnet").state_dict(), other)
    folder = image_folder(2, 4)
    words = ["--model", "test_efficientnet", "--weights", other, "--quiet"]
    code, told = refused("train", folder, *words, cwd=folder.parent)
    assert code == 5
    assert "E505: These weights are not for test_efficientnet: " in told
    assert "conv1" in told
    assert [own.name for own in (folder.parent / "runs").glob("*")] == []  # no folder is in the way


def test_weights_of_another_architecture_are_refused_before_pictures_are_decoded(
    image_folder: ImageFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import timm
    from safetensors.torch import save_file

    def decoded(*_given: object, **_named: object) -> None:
        raise AssertionError("pictures were looked at first")

    other = tmp_path / "other.safetensors"
    save_file(timm.create_model("test_resnet").state_dict(), other)
    folder = image_folder(2, 4)
    monkeypatch.setattr(workflow, "look", decoded)
    words = ["--model", "test_efficientnet", "--weights", other, "--quiet"]
    assert "E505: " in refused("train", folder, *words, cwd=folder.parent)[1]


def test_a_pickle_offered_as_weights_is_not_opened(
    image_folder: ImageFolder, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"cos\nsystem\n(S'touch " + os.fsencode(canary) + b"'\ntR.")
    folder = image_folder(2, 4)
    words = ["--model", "test_resnet", "--weights", weights, "--quiet"]
    code, told = refused("train", folder, *words, cwd=folder.parent)
    assert code == 5
    assert "E501: Weights are read from safetensors files only" in told
    assert not canary.exists()


def test_a_corrupt_model_folder(image_folder: ImageFolder) -> None:
    folder = image_folder(2, 4)
    (folder.parent / "model").mkdir()
    (folder.parent / "model" / "config.json").write_text("{")
    code, told = refused("predict", "model", folder, cwd=folder.parent)
    assert code == 5
    assert "model/config.json" in told


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    assert refused("report", tmp_path, cwd=tmp_path)[0] == 5
    assert refused("resume", tmp_path, cwd=tmp_path)[0] == 5


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["predict", "runs/Mes fleur", "a.png"], "510"),
        (["eval", "runs/Mes fleur", "photos"], "510"),
        (["compare", "runs/Mes fleurs", "runs/Mes fleur"], "560"),
        (["report", "runs/Mes fleur"], "560"),
        (["resume", "runs/Mes fleur"], "560"),
        (["verify", "runs/Mes fleur"], "560"),
    ],
)
def test_a_run_that_is_not_there_is_said_not_to_be_there(
    tmp_path: Path, words: list[str], code: str
) -> None:
    finished_run(tmp_path / "runs" / "Mes fleurs")
    status, told = refused(*words, cwd=tmp_path)
    assert status == 5
    assert told.endswith(
        f"error SACCADE-E{code}: There is no folder or file 'runs/Mes fleur'.\n"
        f"  where: {tmp_path / 'runs'} (holds Mes fleurs)\n"
        "  fix:   perhaps 'runs/Mes fleurs'; check the spelling of the path\n"
    )


def test_a_run_of_quite_another_name_is_still_pointed_to(tmp_path: Path) -> None:
    finished_run(tmp_path / "runs" / "Mes fleurs")
    (tmp_path / "runs" / "notes").mkdir()
    _, told = refused("report", "runs/Nope", cwd=tmp_path)
    assert "fix:   perhaps 'runs/Mes fleurs'; check the spelling" in told


def finished_run(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(
        '{"format_version": 1, "state": "finished", "summary": "Good."}'
    )
    (folder / "report.html").write_text("<html>")


def test_commands_to_copy_hold_for_names_with_spaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path("runs") / "Mes fleurs"
    finished_run(tmp_path / run)
    _, told = refused("resume", run, cwd=tmp_path)
    assert "train again with --config 'runs/Mes fleurs/recipe.toml'\n" in told
    monkeypatch.setattr(workflow, "train", lambda *_, **__: Run(folder=run))
    with contextlib.chdir(tmp_path):
        done = CliRunner().invoke(app, ["train", "Mes fleurs", "--quiet"])
    assert done.stdout.splitlines()[-1] == (
        "model:  runs/Mes fleurs/model  (saccade predict 'runs/Mes fleurs' PICTURES)"
    )


def test_an_output_folder_that_exists_is_left_alone(image_folder: ImageFolder) -> None:
    folder = image_folder(2, 4)
    out = folder.parent / "out"
    out.mkdir()
    (out / "precious").write_text("x")
    code, told = refused("train", folder, *QUICK, "--output", "out", cwd=folder.parent)
    assert code == 2
    assert "E240: The output folder exists already; a run never overwrites anything." in told
    assert [entry.name for entry in out.iterdir()] == ["precious"]


def test_a_second_run_gets_a_number(image_folder: ImageFolder) -> None:
    folder = image_folder(2, 8)
    with contextlib.chdir(folder.parent):
        for _ in range(2):
            done = CliRunner().invoke(app, ["train", str(folder), *QUICK, "--no-trust"])
            assert done.exit_code == 0, done.stderr
    assert {entry.name for entry in (folder.parent / "runs").iterdir()} == {
        "pictures",
        "pictures-2",
    }


def small_disk(tmp_path: Path, variables: str, words: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a mount namespace in which the folder `small` has 1 MB."""
    small = tmp_path / "small"
    small.mkdir()
    script = f"mount -t tmpfs -o size=1m tmpfs {small} && {variables} {words}"
    return subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def can_unshare() -> bool:
    with contextlib.suppress(OSError):
        return subprocess.run(["unshare", "-rm", "true"], check=False).returncode == 0
    return False


def test_no_space_left_for_the_model(
    image_folder: ImageFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, honest = image_folder(2, 8), tensors.write

    def no_space(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def write(*args: Any) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", no_space)
            honest(*args)

    monkeypatch.setattr(tensors, "write", write)
    code, told = refused("train", folder, *QUICK, "--no-trust", cwd=folder.parent)
    assert code == 4
    assert "E401: A file could not be written: there is no space left on the disk." in told


@pytest.mark.slow
@pytest.mark.skipif(not can_unshare(), reason="needs user namespaces")
@pytest.mark.parametrize("full", ["cache", "output"])
def test_no_space_left_on_a_real_disk(image_folder: ImageFolder, tmp_path: Path, full: str) -> None:
    folder = image_folder(2, 12, side=64)
    saccade = f"{sys.executable} -m saccade train {folder} --epochs 1"
    if full == "cache":
        done = small_disk(
            tmp_path, f"SACCADE_CACHE={tmp_path}/small", f"{saccade} --model cnn --img-size 224"
        )
        assert "E402: The decoded pictures need 4 MB, and 1 MB are free." in done.stderr
        assert not (tmp_path / "runs").exists()
    else:
        done = small_disk(tmp_path, "", f"{saccade} --output small/run --model mlp")
        assert "E401: A file could not be written: there is no space left on the disk." in (
            done.stderr
        )
    assert done.returncode == 4
    assert "Traceback" not in done.stderr


def test_help_is_quick_and_loads_no_torch() -> None:
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from saccade.cli import app\n"
        "done = CliRunner().invoke(app, ['--help'])\n"
        "print(done.exit_code, sorted({'torch', 'timm', 'sklearn', 'numpy'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0 []\n"


def test_looking_and_counting_load_no_torch(image_folder: ImageFolder) -> None:
    folder = image_folder(2, 6)
    table = folder.parent / "p.csv"
    table.write_text("file,hash,part,truth,prediction\na.png,,test,x,x\nb.png,,test,y,x\n")
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from saccade.cli import app\n"
        "for words in zip(('eval', 'report', 'check'), sys.argv[1:]):\n"
        "    done = CliRunner().invoke(app, words)\n"
        "    print(words[0], done.exit_code, sorted({'torch', 'timm'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, table, folder.parent / "run", folder],
        capture_output=True, text=True, check=True, cwd=folder.parent,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["eval 0 []", "report 5 []", "check 0 []"]


@pytest.mark.parametrize("verb", ["train", "check"])
def test_a_class_folder_whose_name_is_not_text(image_folder: ImageFolder, verb: str) -> None:
    folder = image_folder(3, 6)
    (folder / "class1").rename(folder / os.fsdecode(b"caf\xe9"))
    words = QUICK if verb == "train" else ["--quiet"]
    code, told = refused(verb, folder, *words, cwd=folder.parent)
    assert (code, (folder.parent / "runs").exists()) == (3, False)
    assert "E362: Names of classes must be UTF-8 text" in told
    assert r"pictures (caf\xe9/000.png)" in told
