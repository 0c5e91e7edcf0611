"""`--group` from the recipe to the split: a column, a pattern, or what is proposed."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from saccade.cli import app
from saccade.data.pixel_store import PixelStore
from saccade.data.preprocess import Preprocess
from saccade.data.task import Task
from saccade.evaluation.predictions import Predictions
from saccade.evaluation.scores import evaluate
from saccade.lesson import Lesson, look, told
from saccade.runtime.errors import DataError, UsageError
from saccade.runtime.progress import Progress
from saccade.training.recipe import Recipe

ImageFolder = Callable[..., Path]


def lesson(data: Path, **choices: str) -> Lesson:
    return look(Recipe(data=str(data), **choices), data, None, progress=Progress())  # type: ignore[arg-type]


def parts_of_groups(found: Lesson) -> list[set[str]]:
    pairs = list(zip(found.catalog.groups, found.split.parts, strict=True))
    return [{part for own, part in pairs if own == name} for name in {own for own, _ in pairs}]


def test_a_pattern_keeps_what_it_names_in_one_part(image_folder: ImageFolder) -> None:
    root = image_folder(2, 30)
    found = lesson(root, group=r"/0(\d)\d\.png")  # tens: 0, 1 and 2, in both classes
    assert set(found.catalog.groups) == {"0", "1", "2"}
    assert all(len(parts) == 1 for parts in parts_of_groups(found))
    assert "groups" in {own.kind for own in found.catalog.findings}
    without = lesson(root)
    assert len({*without.split.parts[:10]}) > 1  # the negative control: they would be torn


def test_a_column_of_a_table_is_a_group_by_either_flag(image_folder: ImageFolder) -> None:
    root = image_folder(2, 12)
    table = root / "table.csv"
    rows = [
        [f"class{label}/{number:03}.png", f"class{label}", f"p{number // 3}"]
        for label in range(2)
        for number in range(12)
    ]
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([["path", "label", "patient"], *rows])
    one, other = lesson(table, group="patient"), lesson(table, group_column="patient")
    assert one.split == other.split
    assert set(one.catalog.groups) == {"p0", "p1", "p2", "p3"}
    assert all(len(parts) == 1 for parts in parts_of_groups(one))
    with pytest.raises(DataError) as caught:
        lesson(table, group="hospital")
    assert caught.value.code == "SACCADE-E307"


def test_a_folder_has_no_columns(image_folder: ImageFolder) -> None:
    with pytest.raises(UsageError) as caught:
        lesson(image_folder(2, 6), group="patient")
    assert str(caught.value).startswith(
        "No picture has a group: the column 'patient' is empty, or these data come from folders, "
        "which have no columns.\n"
    )


def test_auto_says_what_it_did_and_a_resumed_run_would_find_the_same(
    image_folder: ImageFolder, tmp_path: Path
) -> None:
    root = image_folder(2, 12)
    recipe = Recipe(data=str(root), group="auto")

    def once() -> Lesson:
        with PixelStore(Preprocess(size_px=16), folder=str(tmp_path / "cache")) as pixels:
            return look(recipe, root, pixels, progress=Progress())

    found, again = once(), once()
    assert found.split == again.split
    (finding,) = [own for own in found.catalog.findings if own.kind == "groups"]
    assert finding.sentence.startswith("--group auto: ")
    assert finding.severity == "note"
    assert f"note: {finding.sentence}" in list(told(found, found.catalog.findings))


# --- where answers are judged ------------------------------------------------------------------


def answers(*, seed: int) -> Predictions:
    """Return answers to 20 bursts of six pictures, of which all are right or all are wrong."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(20) % 2, 6)
    said = np.where(np.repeat(rng.random(20) < 0.7, 6), truth, 1 - truth)
    return Predictions(
        task=Task(kind="binary", classes=("a", "b")),
        paths=tuple(f"{'ab'[own]}/burst{row // 6}_{row}.png" for row, own in enumerate(truth)),
        hashes=tuple(f"{row:064x}" for row in range(120)),
        parts=("test",) * 120,
        truth=truth,
        scores=np.eye(2)[said] * 0.8 + 0.1,
    )


@pytest.fixture
def tables(tmp_path: Path) -> tuple[Path, Path]:
    paths = tmp_path / "one.csv", tmp_path / "other.csv"
    for seed, path in enumerate(paths):
        answers(seed=seed).write_csv(path)
    return paths


def told_json(*words: object) -> dict[str, object]:
    done = CliRunner().invoke(app, [*map(str, words), "--json"])
    assert done.exit_code == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_a_table_of_predictions_is_judged_by_groups_that_a_pattern_names(
    tables: tuple[Path, Path],
) -> None:
    alone = told_json("eval", tables[0])["test"]["accuracy"]
    kept = told_json("eval", tables[0], "--group", r"burst(\d+)")["test"]["accuracy"]
    groups = [path.split("_")[0] for path in answers(seed=0).paths]
    wanted = evaluate(answers(seed=0), groups=groups)["test"]["accuracy"]
    assert (kept["low"], kept["high"]) == pytest.approx((wanted.low, wanted.high))
    assert kept["value"] == alone["value"]
    assert kept["high"] - kept["low"] > 1.8 * (alone["high"] - alone["low"])  # 20, not 120


def in_a_run(table: Path, folder: Path) -> Path:
    """Copy a table into what is a run folder as far as `eval` looks."""
    folder.mkdir()
    found = answers(seed=0)
    lines = [f"{path},,test,{path.split('_')[0]},given" for path in found.paths]
    (folder / "split.csv").write_text("\n".join(["file,label,part,group,why", *lines, ""]))
    (folder / "run.json").write_text("{}")
    return Path(shutil.copy(table, folder / "predictions.csv"))


def test_the_table_of_a_run_is_judged_by_the_groups_of_the_run(
    tables: tuple[Path, Path], tmp_path: Path
) -> None:
    table = in_a_run(tables[0], tmp_path / "run")
    named = told_json("eval", tables[0], "--group", r"burst(\d+)")
    assert told_json("eval", table) == named
    other = told_json("eval", table, "--group", r"(a|b)/")
    assert other["test"]["accuracy"]["high"] != named["test"]["accuracy"]["high"]
    compared = [told_json("compare", one, tables[1])["runs"][1] for one in (table, tables[0])]
    wide, narrow = (own["difference"]["high"] - own["difference"]["low"] for own in compared)
    assert wide > 1.5 * narrow


def test_two_tables_are_compared_by_groups_that_a_pattern_names(
    tables: tuple[Path, Path],
) -> None:
    alone = told_json("compare", *tables)["runs"][1]["difference"]
    kept = told_json("compare", *tables, "--group", r"burst(\d+)")["runs"][1]["difference"]
    assert kept["value"] == pytest.approx(alone["value"])
    assert kept["high"] - kept["low"] > 1.5 * (alone["high"] - alone["low"])


@pytest.mark.parametrize("group", ["auto", "patient", "patient_("])
def test_what_names_no_group_is_refused_before_anything_is_read(
    tables: tuple[Path, Path], group: str
) -> None:
    for words in (["eval", tables[0]], ["compare", *tables]):
        done = CliRunner().invoke(app, [*map(str, words), "--group", group])
        assert done.exit_code == 2
        assert "E262" in done.stderr
