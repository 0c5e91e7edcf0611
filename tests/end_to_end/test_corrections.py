"""A folder with wrong labels, from the table that puts them right to what a run is told."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import saccade
from saccade import road
from saccade.cli import app
from saccade.data import audit
from saccade.data.decode import decode
from saccade.data.pixel_store import PixelStore
from saccade.data.preprocess import Preprocess
from saccade.lesson import Lesson, data_facts, look, told
from saccade.run import file_hashes
from saccade.runtime.errors import DataError
from saccade.runtime.progress import Progress
from saccade.training.recipe import Recipe

PLANTED = {f"class0/{n:03}.png": "class1" for n in (3, 5, 8)} | {"class2/007.png": "class0"}
JUNK = "class1/004.png"


def fixes(folder: Path, labels: dict[str, str]) -> Path:
    path = folder / "fixes.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("file", "label"), *labels.items()])
    return path


def lesson(folder: Path, corrections: Path | str = "") -> Lesson:
    recipe = Recipe(data=str(folder), corrections=str(corrections))
    return look(recipe, str(folder), None, progress=Progress())


def test_corrected_labels_are_what_a_run_learns_and_its_record_says_so(
    image_folder, tmp_path: Path
) -> None:
    folder = image_folder(3, 12)
    before = lesson(folder)
    after = lesson(folder, fixes(tmp_path, PLANTED | {JUNK: "-"}))
    labels = dict(zip(after.catalog.paths, after.catalog.labels, strict=True))
    answers = dict(zip(after.catalog.paths, after.targets.tolist(), strict=True))
    assert {path: labels[path] for path in PLANTED} == PLANTED
    assert {path: after.task.classes[answers[path]] for path in PLANTED} == PLANTED
    assert len(after.catalog) == len(before.catalog) - 1
    assert len(after.catalog) + len(after.catalog.skipped) == after.catalog.num_files == 36
    assert after.fingerprint != before.fingerprint
    parts = dict(zip(before.catalog.paths, before.split.parts, strict=True))
    assert after.split.parts == tuple(parts[path] for path in after.catalog.paths)
    findings = audit.look(after.catalog, after.task, after.split)
    sentences = [
        own["sentence"] for own in data_facts(after.catalog, after.task, findings)["findings"]
    ]
    assert (
        "fixes.csv: 4 labels corrected (class0 → class1: 3, class2 → class0: 1), "
        "1 picture left out." in sentences
    )
    json.dumps(data_facts(after.catalog, after.task, findings))
    in_test = [path for path in PLANTED if parts[path] == "test"]
    (moved,) = [own for own in findings if own.kind == "corrected"]
    assert moved.sentence.startswith("Of 4 corrected labels, ")
    assert moved.paths == tuple(sorted(in_test))
    said = "\n".join(told(after, findings))
    assert ("Test labels that were changed" in said) == bool(in_test)


def test_without_the_pictures_left_out_every_canvas_is_still_that_of_its_row(
    image_folder, tmp_path: Path
) -> None:
    folder = image_folder(3, 12, side=40)
    recipe = Recipe(data=str(folder), corrections=str(fixes(tmp_path, PLANTED | {JUNK: "-"})))
    with PixelStore(Preprocess(size_px=40, crop_fraction=1.0)) as pixels:
        own = look(recipe, str(folder), pixels, progress=Progress())
        shown = own.cache.canvases(range(len(own.catalog)))
        for row, path in enumerate(own.catalog.paths):
            decoded = decode((folder / path).read_bytes()).pixels_HWC
            np.testing.assert_array_equal(shown[row], own.cache.preprocess.to_canvas(decoded))
    assert len(own.looks) == len(own.catalog) == 35
    assert len(own.twins.cluster_N) == 35


def test_where_the_planted_labels_are_in_the_test_part_they_are_named_aloud(
    image_folder, tmp_path: Path
) -> None:
    folder = image_folder(3, 12)
    before = lesson(folder)
    row = before.split.rows("test")[0]
    path = before.catalog.paths[row]
    other = next(name for name in before.task.classes if name != before.catalog.labels[row])
    after = lesson(folder, fixes(tmp_path, {path: other}))
    findings = audit.look(after.catalog, after.task, after.split)
    assert any(path in sentence and "warning" in sentence for sentence in told(after, findings))


def test_corrections_that_cannot_be_understood_end_with_the_exit_code_of_data(
    image_folder, tmp_path: Path
) -> None:
    folder = image_folder(2, 8)
    path = fixes(tmp_path, {"class0/000.png": "class9"})
    with pytest.raises(DataError) as caught:
        lesson(folder, path)
    assert caught.value.code == "SACCADE-E371"
    found = CliRunner().invoke(app, ["check", str(folder), "--corrections", str(path)])
    assert found.exit_code == 3


def test_eval_judges_by_corrected_labels_and_says_where_the_run_had_some(
    image_folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(road, "STUDIES", ())
    folder = image_folder(2, 10)
    path = fixes(tmp_path, {"class0/000.png": "class1", "class0/001.png": "-"})
    recipe = Recipe(model="mlp", widths=(4,), img_size=16, epochs=1, corrections=str(path))
    run = saccade.train(folder, recipe, output=tmp_path / "run")
    words = ["eval", str(run.folder), str(folder), "--json"]
    plain = CliRunner().invoke(app, words)
    assert "the run learned from corrected labels (" in plain.stderr
    again = CliRunner().invoke(app, [*words, "--corrections", str(path)])
    assert again.exit_code == 0, again.stderr
    assert (
        "note: fixes.csv: 1 label corrected (class0 → class1: 1), 1 picture left out."
        in again.stderr
    )
    own = json.loads((run.folder / "metrics.json").read_text(encoding="utf-8"))
    assert json.loads(again.stdout) == own != json.loads(plain.stdout)
    (folder.parent / "new" / "clas1").mkdir(parents=True)
    shutil.copy(folder / "class1" / "003.png", folder.parent / "new" / "clas1")
    (tmp_path / "more").mkdir()
    mends = fixes(tmp_path / "more", {"clas1/003.png": "class1"})  # a class that only the model has
    words = ["eval", str(run.folder), str(folder.parent / "new"), "--corrections", str(mends)]
    assert CliRunner().invoke(app, words).exit_code == 0
    lost = CliRunner().invoke(app, [*words[:-1], str(tmp_path / "none.csv")])
    assert "Looking at every picture" not in lost.stderr
    assert "E301" in lost.stderr
    table = CliRunner().invoke(
        app, ["eval", str(run.folder / "predictions.csv"), "--corrections", str(path)]
    )
    assert "--corrections is for labelled pictures" in table.stderr


def test_check_shows_what_corrections_would_do(image_folder, tmp_path: Path) -> None:
    folder = image_folder(2, 8)
    path = fixes(tmp_path, {"class0/000.png": "class1"})
    found = CliRunner().invoke(app, ["check", str(folder), "--corrections", str(path), "--json"])
    assert found.exit_code == 0
    assert any(
        own["sentence"] == "fixes.csv: 1 label corrected (class0 → class1: 1)."
        for own in json.loads(found.stdout)["findings"]
    )


def test_the_tables_that_are_there_to_be_edited_are_not_sealed_by_their_hash(
    tmp_path: Path,
) -> None:
    for name in ("suspects.csv", "review.csv", "split.csv"):
        (tmp_path / name).write_text("file,label\n")
    assert list(file_hashes(tmp_path)) == ["split.csv"]


def test_eval_with_corrections_needs_no_groups_where_the_data_have_none(
    image_folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run's table had a column of groups, and the one that is judged has not."""
    monkeypatch.setattr(road, "STUDIES", ())
    folder = image_folder(2, 12)
    rows = [(f"class{k}/{n:03}.png", f"class{k}", n // 2) for k in range(2) for n in range(12)]
    for name, names in (("all.csv", ["file", "label", "patient"]), ("new.csv", ["file", "label"])):
        with (folder / name).open("w", newline="") as file:
            csv.writer(file).writerows([names, *(row[: len(names)] for row in rows)])
    recipe = Recipe(model="mlp", widths=(4,), img_size=16, epochs=1, group="patient")
    run = saccade.train(folder / "all.csv", recipe, output=tmp_path / "run")
    path = fixes(tmp_path, {"class0/000.png": "class1"})
    words = ["eval", str(run.folder), str(folder / "new.csv"), "--corrections"]
    found = CliRunner().invoke(app, [*words, str(path)])
    assert found.exit_code == 0, found.stderr
    assert "note: fixes.csv: 1 label corrected (class0 → class1: 1)." in found.stderr
    bad = tmp_path / "bad.csv"
    bad.write_text("file,lable\nclass0/000.png,class1\n")
    for tables in (str(bad), f"{path},{bad}"):
        refused = CliRunner().invoke(app, [*words, tables])
        assert refused.exit_code == 3
        assert refused.stderr.count("E307") == 1
        assert "bad.csv" in refused.stderr
