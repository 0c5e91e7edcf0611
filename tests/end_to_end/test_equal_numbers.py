"""One and the same number, of the same pictures, has the same interval wherever it is said."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.conftest import shape_picture

import saccade
from saccade.printing import metrics_table

QUICK = saccade.Recipe(
    model="cnn", img_size=16, widths=(4, 8), epochs=3, hflip=0.0, test_fraction=0.3
)
MAIN = {"multiclass": "accuracy", "multilabel": "f1_micro", "regression": "mae"}
USUAL = {"accuracy": "majority_accuracy", "mae": "mean_baseline_mae"}

Number = dict[str, Any]


def answer(kind: str, number: int) -> object:
    if kind == "multilabel":
        return ";".join(["flat"] * (number % 2) + ["wide"] * (number % 4 > 1)) or "none"
    level = 3 * (number % 4) + number % 7
    return level * 10.5 if kind == "regression" else f"class{number % 4}"


def table_of(folder: Path, kind: str, *, groups: bool) -> Path:
    """Write 200 striped pictures and their table; with groups three pictures are of a patient."""
    rows: list[list[object]] = []
    for number in range(200):
        Image.fromarray(shape_picture(number % 4, number, side=16)).save(folder / f"{number}.png")
        # as many classes in a patient as there are, so that nothing is told by who it is
        patient = f"p{number // 3}" if groups else f"p{number}"
        rows.append([f"{number}.png", answer(kind, number), patient])
    with (folder / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "answer", "patient"], *rows])
    return folder / "t.csv"


def same_numbers(folder: Path) -> Iterator[tuple[str, Number, Number]]:
    """Yield what it is, the number in metrics.json, and the same one in a study."""
    metrics = json.loads((folder / "metrics.json").read_text())
    studies = json.loads((folder / "trust.json").read_text())["studies"]
    kind = json.loads((folder / "run.json").read_text())["data"]["task"]["kind"]
    test, main = metrics["test"], MAIN[kind]
    yield "leaks", test[main], studies["leaks"]["asked"]
    own = studies["factors"]["measured"]["overfitting"]
    yield "factors, test", test[main], own["judged"]
    yield "factors, train", metrics["train"][main], own["train"]
    if (own := studies["robustness"])["n"] == own["num_part"]:
        yield "robustness", test[main], own["plain"]["final"]
    own = studies["baselines"]
    rungs = {rung["name"]: rung["score"] for rung in own["rungs"]}
    yield "baselines", test[own["metric"]], rungs["final"]
    if own["metric"] in USUAL:
        usual = test[USUAL[own["metric"]]]
        yield "baselines, one answer", usual, rungs["majority"]
        yield "shortcuts, one answer", usual, studies["shortcuts"]["majority"]
        yield "shortcuts", test[main], studies["shortcuts"]["model"]
    else:
        wrong = test["hamming_loss"]
        right = {"value": 1 - wrong["value"], "low": 1 - wrong["high"], "high": 1 - wrong["low"]}
        yield "shortcuts", right, studies["shortcuts"]["model"]
    if kind != "regression":
        loss = test["log_loss_macro" if kind == "multilabel" else "log_loss"]
        yield "calibration", loss, studies["calibration"]["after"]["log_loss"]


@pytest.mark.slow
@pytest.mark.parametrize("groups", [False, True])
@pytest.mark.parametrize("kind", MAIN)
def test_what_studies_say_of_the_test_part_is_what_its_metrics_say(
    tmp_path: Path, kind: str, groups: bool
) -> None:
    table = table_of(tmp_path, kind, groups=groups)
    recipe = QUICK.replace(label_column="answer", group_column="patient", task=kind)
    run = saccade.train(table, recipe, output=tmp_path / "run")
    found = list(same_numbers(run.folder))
    assert len(found) >= 7
    for what, metric, own in found:
        ends = [[one[key] for key in ("value", "low", "high")] for one in (metric, own)]
        assert np.allclose(*np.array(ends, float), rtol=1e-6, atol=1e-9), (what, metric, own)


@pytest.mark.parametrize(("num_taught", "usual"), [(3, "ant"), (30, "bee")])
def test_a_few_pictures_that_taught_a_model_do_not_make_the_baseline_of_its_answers(
    tmp_path: Path, num_taught: int, usual: str
) -> None:
    """As `eval --output` marks them; of a whole training part the most frequent class is taken."""
    rows = [["train", "bee", "bee"]] * num_taught
    rows += [["test", "ant", "ant"]] * 7 + [["test", "bee", "ant"]] * 3
    with (tmp_path / "answers.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["part", "truth", "prediction"], *rows])
    found = saccade.evaluate(tmp_path / "answers.csv")
    assert f"always answering '{usual}'" in found.metrics["test"]["majority_accuracy"].method
    assert f"always answering '{usual}'" in found.sentence
    parts = [line for line in metrics_table(found.metrics).splitlines() if line[0] != " "]
    assert parts == ["test:", "train:"]  # what judges is read first, whatever comes first
