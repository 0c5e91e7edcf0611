"""From a folder to a run and its model, through the command line as a user types it."""

import contextlib
import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import write_shapes
from tests.end_to_end.programs import cli

import saccade
from saccade.evaluation.prediction_files import read_csv
from saccade.evaluation.scores import as_json, evaluate
from saccade.insight.trust import FAULT
from saccade.runtime.errors import UsageError

QUICK = ["--model", "cnn", "--img-size", "16", "--widths", "8,16", "--epochs", "2", "--hflip", "0"]
FILES = {
    "run.json", "recipe.toml", "split.csv", "predictions.csv", "metrics.json", "history.jsonl",
    "trust.json", "report.html", "model",
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with pictures/ and runs/pictures, trained by the command line."""
    root = tmp_path_factory.mktemp("road")
    write_shapes(root / "pictures", 3, 14, side=16)
    (root / "pictures" / "class0" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    done = subprocess.run(  # the one that is run as a user's shell would
        [sys.executable, "-m", "saccade", "train", "pictures", *QUICK],
        cwd=root, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == [
        "report: runs/pictures/report.html",
        "model:  runs/pictures/model  (saccade predict runs/pictures PICTURES)",
    ]
    return root


def test_the_run_folder_is_complete_and_nothing_half_written_is_left(trained: Path) -> None:
    run = trained / "runs" / "pictures"
    assert {entry.name for entry in run.iterdir()} == FILES
    assert saccade.open_run(run).state == "finished"


def test_every_number_comes_from_the_prediction_table(trained: Path) -> None:
    run = trained / "runs" / "pictures"
    table = read_csv(run / "predictions.csv")
    assert as_json(evaluate(table, seed=0)) == json.loads((run / "metrics.json").read_text())


def test_the_broken_file_is_listed_and_the_counts_add_up(trained: Path) -> None:
    data = saccade.open_run(trained / "runs" / "pictures").facts["data"]
    assert (data["num_files"], data["num_used"]) == (43, 42)
    assert [own["path"] for own in data["skipped"]] == ["class0/broken.png"]
    with (trained / "runs" / "pictures" / "split.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 42


def test_the_recipe_gives_the_same_table_again_to_the_last_digit(trained: Path) -> None:
    recipe = trained / "runs" / "pictures" / "recipe.toml"
    done = cli("train", "--config", recipe, "--output", "runs/again", cwd=trained)
    assert done.returncode == 0, done.stderr
    first, second = (
        (trained / "runs" / name / "predictions.csv").read_bytes() for name in ("pictures", "again")
    )
    assert first == second


def test_predict_gives_names_and_says_which_files_it_could_not_read(trained: Path) -> None:
    done = cli("predict", "runs/pictures", "pictures/class0", cwd=trained)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert len(rows) == 15
    assert {row["label"] for row in rows} <= {"class0", "class1", "class2", ""}
    (broken,) = (row for row in rows if row["error"])
    assert broken["file"].endswith("broken.png")
    assert "not read: " in done.stderr


def test_predict_agrees_with_the_table_of_the_run(trained: Path) -> None:
    table = saccade.open_run(trained / "runs" / "pictures").predictions
    scores = dict(zip(table.paths, table.scores, strict=True))
    model = saccade.load(trained / "runs" / "pictures" / "model")
    said = dict(zip(table.paths, table.prediction, strict=True))
    answers = [own for own in model.predict(trained / "pictures") if not own.error]
    assert len(answers) == len(table) == 42
    for answer in answers:
        np.testing.assert_allclose(list(answer.scores.values()), scores[answer.path], atol=1e-5)
        assert answer.label == said[answer.path]


def test_predict_writes_json_lines_to_a_new_file_only(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.jsonl"
    words = ["predict", "runs/pictures", "pictures", "--format", "jsonl", "--output", out]
    assert cli(*words, cwd=trained).returncode == 0
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(lines) == 43
    assert set(lines[0]["scores"]) == {"class0", "class1", "class2"}
    again = cli(*words, cwd=trained)
    assert again.returncode == 2
    assert "The output file exists already; nothing is ever overwritten." in again.stderr


def test_eval_counts_pictures_that_taught_the_model_as_such(trained: Path) -> None:
    done = cli("eval", "runs/pictures", "pictures", "--json", cwd=trained)
    assert done.returncode == 0, done.stderr
    metrics = json.loads(done.stdout)
    counted = {part: numbers["accuracy"]["n"] for part, numbers in metrics.items()}
    assert counted == {"train": 30, "validation": 6, "test": 6}
    assert (
        metrics["test"]
        == json.loads((trained / "runs" / "pictures" / "metrics.json").read_text())["test"]
    )
    assert "warning: 36 of 42 pictures taught or chose this model (by content)" in done.stderr


def test_eval_of_new_pictures_is_a_test(trained: Path, image_folder) -> None:
    folder = image_folder(3, 5, side=20)
    done = cli("eval", "runs/pictures", folder, "--json", cwd=trained)
    assert done.returncode == 0, done.stderr
    metrics = json.loads(done.stdout)
    assert list(metrics) == ["test"]
    assert metrics["test"]["accuracy"]["n"] == 15
    assert "warning" not in done.stderr


def judged(*words: object, cwd: Path) -> tuple[dict[str, int], dict, str]:
    """Return the pictures of each part, all metrics, and what was told beside them."""
    done = cli("eval", *words, "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    metrics = json.loads(done.stdout)
    counted = {part: numbers["accuracy"]["n"] for part, numbers in metrics.items()}
    return counted, metrics, done.stderr


def test_eval_knows_what_taught_a_model_from_whatever_folder_it_is_named(
    trained: Path, tmp_path: Path
) -> None:
    run = trained / "runs" / "pictures"
    (tmp_path / "link").symlink_to(run / "model", target_is_directory=True)
    for model, cwd in ((".", run / "model"), (tmp_path / "link", tmp_path)):
        counted, _, told = judged(model, trained / "pictures", cwd=cwd)
        assert counted == {"train": 30, "validation": 6, "test": 6}
        assert "warning: 36 of 42 pictures taught or chose this model" in told


def test_eval_judges_what_did_not_teach_the_model_whatever_folder_it_lies_in(
    trained: Path, image_folder
) -> None:
    folder = image_folder(3, 4, side=20, name="new/train")
    image_folder(3, 2, side=24, name="new/val")
    counted, _, told = judged("runs/pictures", folder.parent, cwd=trained)
    assert (counted, told) == ({"test": 18}, "")


def test_the_most_frequent_class_is_that_of_the_run_not_of_the_few_pictures_met_again(
    trained: Path, image_folder
) -> None:
    run = trained / "runs" / "pictures"
    rows = csv.DictReader((run / "predictions.csv").read_text().splitlines())
    known = next(row for row in rows if (row["part"], row["truth"]) == ("train", "class2"))
    folder = image_folder(3, 5, side=20)
    shutil.copy(trained / "pictures" / known["file"], folder / "class2" / "known.png")
    counted, metrics, told = judged(run, folder, cwd=trained)
    assert (counted, "warning: 1 of 16" in told) == ({"train": 1, "test": 15}, True)
    usual = metrics["test"]["majority_accuracy"]["method"]
    assert usual.endswith("; always answering 'class0'")  # the first of three classes of ten


def test_a_model_without_its_run_keeps_the_parts_of_the_data_and_says_what_it_does_not_know(
    trained: Path, tmp_path: Path, image_folder
) -> None:
    shutil.copytree(trained / "runs" / "pictures" / "model", tmp_path / "alone")
    folder = image_folder(3, 4, side=20, name="new/train")
    image_folder(3, 2, side=24, name="new/val")
    counted, metrics, told = judged("alone", folder.parent, cwd=tmp_path)
    assert counted == {"train": 12, "validation": 6}
    assert "note: the run of this model is not here, so that nobody knows" in told
    assert "warning" not in told
    usual = metrics["validation"]["majority_accuracy"]["method"]
    assert usual.endswith("(the most frequent of this part itself)")
    in_words = cli("eval", "alone", folder.parent, cwd=tmp_path).stdout
    assert "helped to choose the model" not in in_words  # as nobody knows


def test_eval_of_a_table_needs_no_model_and_no_pictures(trained: Path) -> None:
    done = cli("eval", "runs/pictures/predictions.csv", cwd=trained)
    assert done.returncode == 0, done.stderr
    assert "accuracy" in done.stdout
    for flag in ("--label-column", "--image-column", "--split-column", "--exclude"):
        refused = cli("eval", "runs/pictures/predictions.csv", flag, "species", cwd=trained)
        assert (refused.returncode, flag in refused.stderr) == (2, True)


def test_a_table_of_the_run_that_a_spreadsheet_has_saved_is_read(
    trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained / "runs" / "pictures", tmp_path / "run")
    path = tmp_path / "run" / "predictions.csv"
    rows = list(csv.reader(path.read_text().splitlines()))
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter=";").writerows(rows)
    counted, _, _ = judged("run", trained / "pictures", cwd=tmp_path)
    assert counted == {"train": 30, "validation": 6, "test": 6}
    path.write_bytes("datei;hash\nü;1\n".encode("cp1252"))
    refused = cli("eval", "run", trained / "pictures", cwd=tmp_path)
    assert (refused.returncode, "E563" in refused.stderr) == (5, True)
    answered = cli("predict", "run", trained / "pictures" / "class1", "--quiet", cwd=tmp_path)
    assert answered.returncode == 0  # which does not ask what taught it


def test_where_a_table_should_go_is_checked_before_anything_is_asked(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saccade.examination.evaluate", lambda *_, **__: pytest.fail("too late"))
    (tmp_path / "there.csv").write_text("kept")
    words = ("eval", "runs/pictures", "pictures", "--output", tmp_path / "there.csv")
    refused = cli(*words, cwd=trained)
    assert (refused.returncode, "E240" in refused.stderr) == (2, True)


def test_choices_are_arguments_in_python(trained: Path, tmp_path: Path) -> None:
    recipe = saccade.Recipe(model="cnn", img_size=16, widths=(8,), batch_size=8)
    output, seconds = tmp_path / "run", "10m"
    run = saccade.train(
        trained / "pictures", recipe, output=output, budget=seconds, epochs=1, hflip=0, trust=False
    )
    written = (run.folder / "recipe.toml").read_text()
    assert 'budget = "10m"' in written
    assert "widths = [8]" in written
    assert "hflip = 0.0" in written
    for wrong, code in ({"epoch": 1}, "E230"), ({"epochs": "1"}, "E231"), ({"lr": -1.0}, "E232"):
        with pytest.raises(UsageError, match="train"):
            saccade.train(trained / "pictures", recipe, output=tmp_path / code, **wrong)


def test_eval_of_a_table_groups_by_a_column_of_it(tmp_path: Path) -> None:
    rows = [f"{n % 2},{(n % 2) ^ (n // 4 == 3)},p{n // 4}" for n in range(40)]
    (tmp_path / "t.csv").write_text("\n".join(["truth,prediction,patient", *rows]))
    widths = []
    for words in ([], ["--group", "patient"]):
        done = cli("eval", "t.csv", "--json", *words, cwd=tmp_path)
        own = json.loads(done.stdout)["test"]["accuracy"]
        widths.append(own["high"] - own["low"])
    assert widths[1] > widths[0]
    assert own["method"].endswith("of 10 groups")
    refused = cli("eval", "t.csv", "--group", "doctor", cwd=tmp_path)
    assert (refused.returncode, "no column 'doctor' to group by" in refused.stderr) == (2, True)


def test_a_run_can_be_given_wherever_its_folder_can(trained: Path) -> None:
    run = saccade.open_run(trained / "runs" / "pictures")
    with contextlib.chdir(trained):
        assert saccade.verify(run).believed
    assert saccade.load(run).classes == ("class0", "class1", "class2")
    assert len(saccade.compare([run, run]).standings) == 2


def test_a_run_without_a_model_says_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    done = cli("predict", "run", "x.png", cwd=tmp_path)
    assert "This run has no model yet" in done.stderr
    assert "fix:   go on with: saccade resume run" in done.stderr


def test_check_looks_without_training(trained: Path) -> None:
    done = cli("check", "pictures", "--json", cwd=trained)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["num_used"] == 42
    assert facts["split"]["counts"]["train"] == {"class0": 10, "class1": 10, "class2": 10}


def test_a_run_with_its_studies_can_be_believed_and_none_of_them_failed(trained: Path) -> None:
    """A study that raises is left out, so that the run is finished: no other test would see it."""
    trust = json.loads((trained / "runs" / "pictures" / "trust.json").read_text())
    assert {"leaks", "limits", "factors", "robustness"} <= set(trust["studies"])  # 42 pictures
    assert not [why for why in trust["left_out"].values() if FAULT in why]
    done = cli("verify", "runs/pictures", cwd=trained)
    assert done.returncode == 0, done.stdout
    assert "This run can be believed" in done.stdout


def test_eval_keeps_groups_together_where_they_are_named(trained: Path) -> None:
    done = cli("eval", "runs/pictures", "pictures", "--group", r"/0(\d)\d", "--json", cwd=trained)
    assert done.returncode == 0, done.stderr
    groups = "groups" in json.loads(done.stdout)["train"]["accuracy"]["method"]
    done = cli("eval", "runs/pictures", "pictures", "--json", cwd=trained)
    assert (groups, "groups" in done.stdout) == (True, False)
    assert "belongs together" not in done.stderr
    done = cli("eval", "runs/pictures", "pictures", "--group", "patient", cwd=trained)
    assert (done.returncode, "no columns" in done.stderr) == (2, True)


def test_eval_says_where_the_run_had_groups_and_these_pictures_have_none(
    trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained / "runs" / "pictures", tmp_path / "run")
    recipe = tmp_path / "run" / "recipe.toml"
    recipe.write_text(recipe.read_text().replace('group = ""', r'group = "/0(\\d)\\d"'))
    done = cli("eval", "run", trained / "pictures", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (
        r"note: the run kept together what belongs together (--group '/0(\d)\d'), and here every "
        "picture counts for itself, so that intervals may be too narrow; give --group here too"
    ) in done.stderr.splitlines()
    done = cli("eval", "run", trained / "pictures", "--group", r"/0(\d)\d", cwd=tmp_path)
    assert "belongs together" not in done.stderr


def test_eval_keeps_the_groups_of_the_run_where_the_table_has_its_column(
    trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained / "runs" / "pictures", tmp_path / "run")
    recipe = tmp_path / "run" / "recipe.toml"
    recipe.write_text(recipe.read_text().replace('group = ""', 'group = "patient"'))
    paths = sorted(path for path in (trained / "pictures").rglob("0*.png"))
    for column in ("patient", "nobody"):
        lines = [f"{path},{path.parent.name},p{int(path.stem) // 2}" for path in paths]
        table = tmp_path / f"{column}.csv"
        table.write_text("\n".join([f"file,label,{column}", *lines]) + "\n")

    words = ["eval", "run", "patient.csv", "--label-column", "label", "--json"]
    own, named = cli(*words, cwd=tmp_path), cli(*words, "--group", "patient", cwd=tmp_path)
    assert own.returncode == named.returncode == 0, own.stderr
    assert "groups" in json.loads(own.stdout)["train"]["accuracy"]["method"]
    assert own.stdout == named.stdout
    told = "note: as in the run, pictures with the same 'patient' count as belonging together"
    assert (told in own.stderr.splitlines(), told in named.stderr) == (True, False)

    words[2] = "nobody.csv"
    without = cli(*words, cwd=tmp_path)
    assert without.returncode == 0, without.stderr
    assert "groups" not in json.loads(without.stdout)["train"]["accuracy"]["method"]
    assert "(--group 'patient'), and here every picture counts for itself" in without.stderr
    wrong = cli("eval", "run", "nobody.csv", "--label-column", "absent", cwd=tmp_path)
    assert "The table has no column 'absent'" in wrong.stderr


def test_eval_leaves_out_the_classes_that_the_model_does_not_know_when_asked(
    trained: Path, image_folder
) -> None:
    folder = image_folder(4, 5, side=20)
    done = cli("eval", "runs/pictures", folder, cwd=trained)
    assert done.returncode == 3
    assert done.stderr.removeprefix("Looking at every picture (20 pictures)\n") == (
        "error SACCADE-E359: Labels that are not among the model's 3 classes (class0, class1, "
        f"class2): class3.\n  where: {folder}\n"
        "  fix:   rename them (nearest: class2, class1, class0), or leave them out with --exclude "
        "class3\n"
    )
    done = cli("eval", "runs/pictures", folder, "--exclude", "class3", "--json", cwd=trained)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["test"]["accuracy"]["n"] == 15
    assert done.stderr.count("its class was left out by --exclude") == 5


def test_eval_of_a_run_asks_for_pictures_and_does_not_call_it_a_table(trained: Path) -> None:
    done = cli("eval", "runs/pictures", cwd=trained)
    assert done.returncode == 2
    assert done.stderr == (
        "error SACCADE-E235: A model is measured on labelled pictures, and none were named.\n"
        "  where: runs/pictures\n"
        "  fix:   name them: saccade eval runs/pictures PICTURES\n"
    )
    table = "runs/pictures/predictions.csv"
    done = cli("eval", table, "--exclude", "class1", cwd=trained)
    assert done.returncode == 2
    assert "A table of predictions is measured whole" in done.stderr


def test_check_shows_the_augmentation_on_own_pictures(trained: Path, tmp_path: Path) -> None:
    page = tmp_path / "preview.html"
    done = cli("check", "pictures", "--preview", page, cwd=trained)
    assert done.returncode == 0, done.stderr
    html = page.read_text()
    for family in ("rotation", "scaling and cropping", "translation", "flips", "brightness",
                   "Gaussian noise", "all together"):  # fmt: skip
        assert family in html


def test_report_is_written_anew_and_says_where_pictures_are_gone(
    trained: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "runs" / "copy"
    shutil.copytree(trained / "runs" / "pictures", copy)
    (copy / "report.html").unlink()
    done = cli("report", copy, cwd=tmp_path)  # `pictures` is not below this folder
    assert done.returncode == 0, done.stderr
    told = (copy / "report.html").read_text(encoding="utf-8")
    assert "no longer where the run found them and could not be shown" in told


def test_the_json_of_train_is_one_document(image_folder: Callable[..., Path]) -> None:
    folder = image_folder(2, 8)
    done = cli("train", folder, *QUICK, "--json", cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["state"] == "finished"
    assert facts["metrics"]["test"]["accuracy"]["n"] == 2
    assert done.stderr == ""


def test_what_random_stages_say_is_not_called_features_of_a_pretrained_network(
    image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    """The head is solved on them as was asked for; no study may speak of what they know."""
    recipe = saccade.Recipe(model="cnn", img_size=16, widths=(4,), unfreeze="0")
    run = saccade.train(image_folder(3, 60), recipe, output=tmp_path / "run")
    trust = json.loads((run.folder / "trust.json").read_text())
    assert {"suspects", "learning_curve", "naive_split"}.isdisjoint(trust["studies"])
    ladder = trust["studies"]["baselines"]
    assert "frozen" not in [own["name"] for own in ladder["rungs"]]
    assert "frozen" in ladder["left_out"]
