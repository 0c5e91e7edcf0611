"""Each kind of task from its files to its numbers, through the Python API."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.conftest import shape_picture

import saccade
from saccade.data.sampling import Limit
from saccade.runtime.errors import DataError, UsageError
from saccade.runtime.progress import Progress
from saccade.training.recipe_file import read_recipe

QUICK = saccade.Recipe(model="cnn", img_size=16, widths=(8, 16), epochs=25, hflip=0, lr=5e-3)


def write_pictures(folder: Path, count: int) -> list[str]:
    names = []
    for number in range(count):
        name = f"{number:03}.png"
        Image.fromarray(shape_picture(number % 4, number, side=16)).save(folder / name)
        names.append(name)
    return names


def write_csv(path: Path, header: list[str], rows: list[list[object]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def test_a_table_of_numbers_trains_a_regression_in_the_users_unit(tmp_path: Path) -> None:
    """The number is the brightness of the left half, which a small network can learn."""
    rng = np.random.default_rng(0)
    rows: list[list[object]] = []
    for number in range(80):
        level = int(rng.integers(20, 230))
        picture = np.clip(rng.normal(level, 10, (16, 16, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
        rows.append([f"{number}.png", level * 10 + 0.5])
    table = write_csv(tmp_path / "levels.csv", ["file", "level"], rows)
    recipe = QUICK.replace(brightness=0, contrast=0)
    run = saccade.train(table, recipe, output=tmp_path / "run")
    numbers = run.metrics["test"]
    assert run.facts["data"]["task"]["kind"] == "regression"
    assert numbers["mae"].value < 0.5 * numbers["mean_baseline_mae"].value
    assert 9 <= numbers["mae"].n <= 15  # 15 % of 80, rounded by quantile
    told = dict(zip(run.predictions.paths, run.predictions.scores[:, 0].tolist(), strict=True))
    answers = saccade.load(run.folder).predict([tmp_path / f"{number}.png" for number in range(3)])
    for number, answer in enumerate(answers):
        assert answer.score == pytest.approx(told[f"{number}.png"], rel=1e-4)
        assert float(answer.label) == answer.score


@pytest.mark.parametrize("form", ["cells", pytest.param("columns", marks=pytest.mark.slow)])
def test_several_labels_a_picture_train(tmp_path: Path, form: str) -> None:
    """Labels are the direction and the width of stripes: two questions, one picture."""
    names = write_pictures(tmp_path, 72)
    flat = [number % 2 == 1 for number in range(72)]
    wide = [number % 4 >= 2 for number in range(72)]
    if form == "cells":
        cells = [
            ";".join(["flat"] * f + ["wide"] * w) or "none" for f, w in zip(flat, wide, strict=True)
        ]
        rows: list[list[object]] = [[n, c] for n, c in zip(names, cells, strict=True)]
        table = write_csv(tmp_path / "t.csv", ["file", "labels"], rows)
        recipe = QUICK
    else:
        rows = [[n, int(f), int(w)] for n, f, w in zip(names, flat, wide, strict=True)]
        table = write_csv(tmp_path / "t.csv", ["file", "flat", "wide"], rows)
        recipe = QUICK.replace(label_column="flat,wide", task="multilabel")
    run = saccade.train(table, recipe, output=tmp_path / "run")
    assert run.facts["data"]["task"]["kind"] == "multilabel"
    assert {"flat", "wide"} <= set(run.facts["data"]["classes"])
    assert run.metrics["test"]["f1_micro"].value > 0.7
    answers = saccade.load(run.folder).predict([tmp_path / name for name in names[:4]])
    places = {path: row for row, path in enumerate(run.predictions.paths)}
    for name, answer in zip(names[:4], answers, strict=True):
        row = run.predictions.scores[places[name]]
        assert list(answer.scores.values()) == pytest.approx(row.tolist(), abs=1e-4)
        classes = run.predictions.task.classes
        assert answer.several == tuple(
            c for c, score in zip(classes, row, strict=True) if score > 0.5
        )
    assert (run.folder / "report.html").is_file()


def test_two_classes_have_one_output_and_two_scores(image_folder, tmp_path: Path) -> None:
    run = saccade.train(image_folder(2, 16), QUICK.replace(epochs=6), output=tmp_path / "run")
    model = saccade.load(run.folder)
    assert model.bundle.network.num_outputs == 1
    (answer,) = model.predict(tmp_path / "pictures" / "class1" / "000.png")
    assert set(answer.scores) == {"class0", "class1"}
    assert sum(answer.scores.values()) == pytest.approx(1)
    assert answer.score == max(answer.scores.values())


def test_a_catalogue_that_was_scanned_gives_the_run_of_its_folder(
    image_folder, tmp_path: Path
) -> None:
    folder = image_folder(3, 8)
    recipe = QUICK.replace(epochs=2, trust=False)
    first = saccade.train(saccade.scan(folder), recipe, output=tmp_path / "first")
    second = saccade.train(folder, recipe, output=tmp_path / "second")
    assert (first.folder / "predictions.csv").read_bytes() == (
        second.folder / "predictions.csv"
    ).read_bytes()


def test_the_recipe_of_a_catalogue_says_how_it_was_scanned(tmp_path: Path) -> None:
    """Scanned again without, another column would be the label, and 'c' another class."""
    names = write_pictures(tmp_path, 48)
    rows: list[list[object]] = [
        [name, "xy"[number % 2], "abc"[number // 2 % 3], f"p{number // 2}"]
        for number, name in enumerate(names)
    ]
    table = write_csv(tmp_path / "t.csv", ["file", "label", "dx", "patient"], rows)
    catalog = saccade.scan(
        table,
        label_column="dx",
        group_column="patient",
        exclude=["c"],
        limit=Limit(num=28),
        follow_links=True,
    )
    asked = QUICK.replace(epochs=1, trust=False, label_column="")
    with pytest.raises(UsageError, match="not with this limit, label_column"):
        saccade.train(catalog, asked, label_column="label", limit=7, output=tmp_path / "other")
    run = saccade.train(catalog, asked, output=tmp_path / "run")
    recipe = read_recipe(run.folder / "recipe.toml")
    assert (recipe.label_column, recipe.group_column) == ("dx", "patient")
    assert (recipe.exclude, recipe.limit, recipe.follow_links) == (("c",), 28, True)
    again = saccade.train(table, recipe, output=tmp_path / "again")
    tables = [(own.folder / "predictions.csv").read_bytes() for own in (run, again)]
    assert tables[0] == tables[1]


@pytest.mark.parametrize("group", ["patient", r"(\d)\.png", "auto"])
def test_a_group_of_the_recipe_and_the_column_of_a_catalogue_agree_or_are_told_apart(
    tmp_path: Path, group: str
) -> None:
    names = write_pictures(tmp_path, 48)
    rows: list[list[object]] = [
        [name, "xy"[number % 2], f"p{number // 2}"] for number, name in enumerate(names)
    ]
    table = write_csv(tmp_path / "t.csv", ["file", "label", "patient"], rows)
    catalog = saccade.scan(table, group_column="patient")
    recipe = QUICK.replace(
        epochs=1, trust=False, group=group, image_column="", label_column="label"
    )
    if group != "patient":
        with pytest.raises(UsageError, match="Groups were asked for twice"):
            saccade.train(catalog, recipe, output=tmp_path / "run")
        return
    run = saccade.train(catalog, recipe, output=tmp_path / "run")
    written = read_recipe(run.folder / "recipe.toml")
    assert (written.group, written.group_column) == ("", "patient")


def test_a_sample_that_another_seed_drew_is_said_to_be_no_part_of_the_recipe(
    image_folder, tmp_path: Path
) -> None:
    said: list[str] = []

    class Told(Progress):
        def say(self, sentence: str) -> None:
            said.append(sentence)

    catalog = saccade.scan(image_folder(2, 12), limit=Limit(num=16, seed=5))
    recipe = QUICK.replace(epochs=1, trust=False)
    saccade.train(catalog, recipe, output=tmp_path / "run", progress=Told())
    assert said[0] == (
        "The catalogue's pictures were drawn with seed 5, and the recipe has seed 0: it would draw "
        "others, so this run can be neither resumed nor repeated by its recipe.toml."
    )
    said.clear()
    saccade.train(catalog, recipe.replace(seed=5), output=tmp_path / "other", progress=Told())
    assert not any("drawn with seed" in sentence for sentence in said)


def test_a_picture_that_changed_since_the_scan_stops_the_run(image_folder, tmp_path: Path) -> None:
    folder = image_folder(2, 6)
    catalog = saccade.scan(folder)
    Image.fromarray(shape_picture(3, 99, side=16)).save(folder / "class0" / "001.png")
    changed = r"A picture has changed since the folder was scanned\."
    with pytest.raises(DataError, match=changed) as refused:
        saccade.train(catalog, QUICK, output=tmp_path / "run")
    assert refused.value.code == "SACCADE-E345"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("unfreeze", "learned"),
    [
        ("0", set()),
        ("1", {"layer4"}),
        ("all", {"conv1", "layer1", "layer2", "layer3", "layer4"}),
    ],
)
def test_a_timm_network_solves_its_head_and_learns_as_many_stages_as_asked(
    image_folder, tmp_path: Path, unfreeze: str, learned: set[str]
) -> None:
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    weights = tmp_path / "test_resnet.safetensors"
    before = timm.create_model("test_resnet").state_dict()
    save_file(before, weights)
    recipe = saccade.Recipe(
        model="test_resnet",
        weights=str(weights),
        img_size=64,
        unfreeze=unfreeze,
        epochs=1,
        trust=unfreeze == "1",
    )
    run = saccade.train(image_folder(2, 12), recipe, output=tmp_path / "run")
    facts = run.facts["model"]
    assert facts["num_stages_learned"] == {"0": 0, "1": 1, "all": facts["num_stages"]}[unfreeze]
    plain = timm.create_model(f"local-dir:{run.model_folder}", pretrained=True).state_dict()
    norms = [event for event in run_events(run.folder) if event["event"] == "layer_gradients"]
    took_part = {name.partition(".")[0] for event in norms for name in event["norms"]}
    assert took_part - {"head"} == learned
    moved = {
        name.partition(".")[0]
        for name, value in plain.items()
        if name.endswith("weight") and not torch.equal(value, before[name])
    }
    assert moved - {"fc", "bn1"} <= learned  # the solved head competes, and may win


def run_events(folder: Path) -> list[dict[str, object]]:
    from saccade.training.history import read_history

    return read_history(folder / "history.jsonl")
