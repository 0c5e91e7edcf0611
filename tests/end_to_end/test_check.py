"""A look at data: what studies say before learning, with a network and without one."""

import csv
import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from tests.conftest import ImageFolder
from typer.testing import CliRunner

import saccade
from saccade import check as looking
from saccade import road
from saccade.check import check, wants_network
from saccade.cli import app
from saccade.data.catalog import Finding
from saccade.data.pixel_store import PixelStore
from saccade.data.task import Task, choose_task, targets
from saccade.insight.evidence import Evidence
from saccade.insight.studies import OF_PARTS, STUDIES
from saccade.insight.trust import Study
from saccade.lesson import look
from saccade.models import network, tensors
from saccade.runtime.errors import DataError
from saccade.runtime.progress import Progress
from saccade.training.recipe import Recipe

PX = 32
BEFORE = {study.name for study in STUDIES if not study.after_learning}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    task = Task(kind="multiclass", classes=("a", "b", "c"))
    net, _ = network.build("test_resnet", task=task, recipe=Recipe(), img_size=PX)
    path = tmp_path_factory.mktemp("weights") / "test_resnet.safetensors"
    tensors.write(path, net.body.state_dict())
    return path


def test_without_a_network_it_says_what_was_not_asked_and_how_to_ask(
    image_folder: ImageFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SACCADE_WEIGHTS", raising=False)
    facts, lines = check(Recipe(data=str(image_folder(3, 50))))
    assert {"shortcuts", "leaks"} <= set(facts["trust"]["studies"])
    assert "suspects" not in facts["trust"]["studies"]
    assert lines[-1] == (
        "not asked: what rests on features: name weights with --weights, or a network with --model"
    )


def test_with_a_network_every_study_is_answered_or_has_its_reason(
    image_folder: ImageFolder, weights: Path
) -> None:
    recipe = Recipe(
        data=str(image_folder(3, 60, side=PX)),
        model="test_resnet",
        weights=str(weights),
        img_size=PX,
    )
    facts, lines = check(recipe)
    trust = facts["trust"]
    assert set(trust["studies"]) | set(trust["left_out"]) == BEFORE
    assert {"suspects", "learning_curve", "shortcuts"} <= set(trust["studies"])
    assert not [reason for reason in trust["left_out"].values() if "fault" in reason]
    assert any("probably wrong" in line for line in lines)


def test_the_page_holds_what_was_found_and_speaks_of_no_model(
    image_folder: ImageFolder, tmp_path: Path
) -> None:
    page = tmp_path / "look.html"
    check(Recipe(data=str(image_folder(3, 50))), page_path=page)
    html = page.read_text()
    assert "A look at data, before learning" in html
    assert "Shortcuts" in html
    assert "This run is not finished" not in html
    assert 'href="#good"' not in html


@pytest.mark.parametrize(
    ("changes", "variable", "wanted"),
    [
        ({}, "", False),
        ({}, "weights", True),
        ({"weights": "w.safetensors"}, "", True),
        ({"model": "resnet18"}, "", True),
        ({"model": "cnn"}, "weights", False),
        ({"weights": "none"}, "weights", False),
    ],
)
def test_a_network_is_asked_only_where_one_or_its_weights_are_named(
    changes: dict[str, str], variable: str, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SACCADE_WEIGHTS", variable)
    assert wants_network(Recipe(**changes)) is wanted


def test_what_a_look_decodes_a_run_with_the_default_network_need_not_decode_again() -> None:
    assert looking._preprocess(Recipe()).canvas_px == 256


def test_split_writes_a_table_from_which_any_tool_learns_the_same_parts(
    image_folder: ImageFolder, tmp_path: Path
) -> None:
    folder = image_folder(3, 20, side=32)
    shutil.copy(folder / "class0" / "000.png", folder / "class0" / "copy.png")
    done = CliRunner().invoke(
        app, ["split", str(folder), "--output", str(tmp_path / "tables.csv"), "--seed", "3"]
    )
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith(f"split: {tmp_path / 'tables.csv'}  (saccade ")
    rows = list(csv.DictReader((tmp_path / "tables.csv").read_text().splitlines()))
    assert len(rows) == 61
    assert all((tmp_path / row["file"]).is_file() for row in rows)
    part = {Path(row["file"]).name: row["part"] for row in rows if row["label"] == "class0"}
    assert part["000.png"] == part["copy.png"]
    again = saccade.scan(tmp_path / "tables.csv")
    said = {row["file"]: row["part"] for row in rows}
    assert dict(zip(again.paths, again.parts, strict=True)) == said
    trained = saccade.scan(folder)
    with PixelStore(looking._preprocess(Recipe())) as pixels:
        split = look(Recipe(seed=3), folder, pixels, progress=Progress()).split
    drawn = dict(zip(trained.paths, split.parts, strict=True))
    assert {str(Path(file).relative_to(folder.name)): part for file, part in said.items()} == drawn
    assert set(again.parts) == {"train", "validation", "test"}
    refused = CliRunner().invoke(
        app, ["split", str(folder), "--output", str(tmp_path / "tables.csv")]
    )
    assert (refused.exit_code, "E240" in refused.stderr) == (2, True)


def test_the_table_of_a_split_is_called_as_what_it_is(
    image_folder: ImageFolder, tmp_path: Path
) -> None:
    words = ["split", str(image_folder(2, 20, side=32)), "--output", str(tmp_path / "s.parquet")]
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, "E244" in done.stderr) == (2, True)
    assert f"fix:   write --output {tmp_path / 's.csv'}" in done.stderr
    assert list(tmp_path.glob("s.*")) == []


def test_a_split_says_how_its_table_is_to_be_read(tmp_path: Path) -> None:
    """A class may be called like several labels, and pictures may lie within a table."""
    for name in ("a | b", "c"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(12):
            pixels = np.random.default_rng([number, len(name)]).integers(0, 256, (32, 32, 3))
            path = tmp_path / "photos" / name / f"{number}.png"
            Image.fromarray(pixels.astype(np.uint8)).save(path)
    words = ["split", str(tmp_path / "photos"), "--output", str(tmp_path / "s.csv")]
    said = CliRunner().invoke(app, words).stdout.splitlines()[-1]
    assert said.endswith(f"(saccade train {tmp_path / 's.csv'} --task binary)")
    catalog = saccade.scan(tmp_path / "s.csv")
    assert choose_task(catalog).kind != "binary"  # the negative control
    assert set(choose_task(catalog, requested="binary").classes) == {"a | b", "c"}

    rows = [(path.read_bytes(), path.parent.name) for path in (tmp_path / "photos").rglob("*.png")]
    table = pa.table({"image": [own[0] for own in rows], "label": [own[1] for own in rows]})
    pq.write_table(table, tmp_path / "p.parquet")
    words = ["split", str(tmp_path / "p.parquet"), "--output", str(tmp_path / "q.csv"), "--task"]
    said = CliRunner().invoke(app, [*words, "binary"]).stdout.splitlines()[-1]
    assert "its rows name pictures within" in said
    assert "saccade train" not in said


def test_a_split_asks_no_study_but_those_of_the_parts(
    image_folder: ImageFolder, tmp_path: Path
) -> None:
    folder = image_folder(2, 60, side=32)
    split = ["split", str(folder), "--json", "--output", str(tmp_path / "t.csv")]
    spoken_of = {}
    for words in (split, ["check", str(folder), "--json"]):
        trust = json.loads(CliRunner().invoke(app, words).stdout)["trust"]
        spoken_of[words[0]] = {*trust["studies"], *trust["left_out"]} - {"features"}
    assert spoken_of["split"] == {"leaks"}
    assert spoken_of["check"] == {"leaks", "shortcuts"}
    assert [study.name for study in OF_PARTS] == ["leaks", "naive_split"]


def test_strict_writes_no_split_of_data_in_which_something_is_severe(
    image_folder: ImageFolder, tmp_path: Path
) -> None:
    folder = image_folder(2, 20, side=32)
    parts = tmp_path / "parts"
    for part in ("train", "test"):
        shutil.copytree(folder, parts / part)  # all of them leak
    words = ["split", str(parts), "--output", str(tmp_path / "t.csv"), "--strict"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 3
    assert not (tmp_path / "t.csv").exists()
    assert CliRunner().invoke(app, words[:-1]).exit_code == 0
    assert (tmp_path / "t.csv").is_file()


def test_strict_writes_no_split_of_data_in_which_brightness_tells_the_class(
    tmp_path: Path,
) -> None:
    """What only a study finds stops it as it stops `check`."""
    rng = np.random.default_rng(0)
    for name, light in (("dark", 60), ("light", 180)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(150):
            pixels = rng.normal(light, 30, (32, 32, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    split = ["split", str(tmp_path / "photos"), "--output", str(tmp_path / "t.csv"), "--strict"]
    for words in (split, ["check", str(tmp_path / "photos"), "--strict"]):
        done = CliRunner().invoke(app, words)
        assert (done.exit_code, "E360" in done.stderr) == (3, True)
    assert not (tmp_path / "t.csv").exists()
    assert CliRunner().invoke(app, split[:-1]).exit_code == 0


def test_the_groups_of_a_split_count_when_its_table_is_read_again(
    image_folder: ImageFolder, tmp_path: Path
) -> None:
    folder = image_folder(2, 30, side=32)
    words = ["split", str(folder), "--output", str(tmp_path / "t.csv"), "--group", r"/(\d\d)"]
    assert CliRunner().invoke(app, words).exit_code == 0
    again = saccade.scan(tmp_path / "t.csv")
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))
    assert len({row["group"] for row in rows}) == 3
    assert set(again.groups) == {row["group"] for row in rows}
    assert not any(finding.kind == "group-column" for finding in again.findings)


def test_a_column_of_groups_without_any_is_not_pointed_at(
    image_folder: ImageFolder, tmp_path: Path
) -> None:
    folder = image_folder(2, 5, side=32)
    assert (
        CliRunner().invoke(app, ["split", str(folder), "--output", str(tmp_path / "t.csv")])
    ).exit_code == 0
    again = saccade.scan(tmp_path / "t.csv")
    assert set(again.groups) == {""}
    assert not any(finding.kind == "group-column" for finding in again.findings)


def test_strict_training_refuses_what_only_features_show_to_be_severe(
    image_folder: ImageFolder, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`check` with a network refused data that `train` learned from, and then called severe."""
    told = Finding(kind="x", severity="severe", paths=(), sentence="It rests on brightness.")
    seen: list[bool] = []

    def study(evidence: Evidence, _known: object) -> dict[str, Any]:
        seen.append(evidence.features_ND is not None)
        return {"findings": [dataclasses.asdict(told)]}

    one = Study(name="x", what="x", ask=study, by_features=True)
    monkeypatch.setattr(road, "BEFORE_LEARNING", (one,))
    recipe = Recipe(model="test_resnet", weights=str(weights), img_size=PX, unfreeze="0")
    folder = image_folder(3, 20, side=PX)
    with pytest.raises(DataError, match=r"1 severe finding\. It rests on brightness"):
        saccade.train(folder, recipe.replace(strict=True), output=tmp_path / "strict")
    assert seen == [True]
    run = saccade.train(folder, recipe.replace(trust=False), output=tmp_path / "lax")
    assert (seen, run.state) == ([True], "finished")


@pytest.mark.parametrize("names", [("-1", "+1", "@home"), ("=SUM(1)", "Rose, rot", "'quoted'")])
def test_classes_that_a_spreadsheet_would_run_keep_their_names_in_the_table_of_a_split(
    image_folder: ImageFolder, tmp_path: Path, names: tuple[str, ...]
) -> None:
    folder = image_folder(3, 12, side=32)
    for number, name in enumerate(names):
        (folder / f"class{number}").rename(folder / name)
    table = tmp_path / "split.csv"
    done = CliRunner().invoke(app, ["split", str(folder), "--output", str(table), "--json"])
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["table"] == str(table)
    assert set(saccade.scan(table).labels) == set(names)


def test_labels_of_several_columns_are_the_same_ones_in_the_table_of_a_split(
    image_folder: ImageFolder, tmp_path: Path
) -> None:
    folder = image_folder(2, 20, side=32)
    paths = sorted(path.relative_to(tmp_path) for path in folder.rglob("*.png"))
    lines = [f"{path},{n % 2},{n // 2 % 2},{n % 3 == 0:d}" for n, path in enumerate(paths)]
    table = tmp_path / "marks.csv"
    table.write_text("\n".join(["file,cat,dog,fox", *lines]))
    words = ["split", str(table), "--output", str(tmp_path / "split.csv")]
    assert CliRunner().invoke(app, words).exit_code == 0
    first, again = (saccade.scan(own) for own in (table, tmp_path / "split.csv"))
    tasks = [choose_task(own) for own in (first, again)]
    assert tasks[0].classes == tasks[1].classes == ("cat", "dog", "fox")
    order = [first.paths.index(path) for path in again.paths]
    np.testing.assert_array_equal(targets(first, tasks[0])[order], targets(again, tasks[1]))


def test_classes_that_are_too_small_do_not_hide_what_is_to_be_said_of_the_others(
    image_folder: ImageFolder,
) -> None:
    """Only the error was said, and nothing of an empty folder or of copies."""
    root = image_folder(3, 30)
    for path in sorted((root / "class2").iterdir())[1:]:
        path.unlink()
    (root / "nothing").mkdir()
    done = CliRunner().invoke(app, ["check", str(root), "--quiet"])
    assert done.exit_code == 3
    assert "class0" in done.stdout
    assert "1 class folder holds no file: nothing" in done.stdout
    assert done.stderr.startswith("error SACCADE-E351: 1 of 3 classes has fewer than 3")
    told = json.loads(CliRunner().invoke(app, ["check", str(root), "--quiet", "--json"]).stdout)
    assert told["refused"]["code"] == "351"
    assert told["task"]["classes"] == ["class0", "class1"]
    for folder in ("class1", "nothing"):  # one class is left: there is nothing to look at
        shutil.rmtree(root / folder)
    done = CliRunner().invoke(app, ["check", str(root), "--quiet"])
    assert (done.exit_code, done.stdout) == (3, "")
