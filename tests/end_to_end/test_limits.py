"""Answers that know their limits, as a user asks for them: predict and its flags."""

import contextlib
import csv
import dataclasses
import io
import json
import re
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from tests.conftest import shape_picture
from typer.testing import CliRunner

import saccade
from saccade.answers import Limits, Prediction, answers_of
from saccade.cli import app
from saccade.data.pixel_store import PixelStore
from saccade.data.scan import scan
from saccade.data.split import make_split
from saccade.data.task import Task, choose_task, standardise, targets
from saccade.evaluation.model_trust import fit_trust
from saccade.evaluation.predictions import Predictions
from saccade.model import Model
from saccade.models import bundle, network
from saccade.models.inference import extract_features, predict_logits
from saccade.printing import write_answers, write_csv, write_json_lines
from saccade.runtime.errors import UsageError
from saccade.training.head import fit_head
from saccade.training.learn import set_head
from saccade.training.recipe import Recipe

Make = Callable[..., Path]


def write_model(
    place: Path, table: Path, *, with_trust: bool = True, task: str = "auto", width: int = 16
) -> Path:
    """Write a model with a head solved on the features of random filters; and what it knows."""
    recipe = Recipe(model="cnn", widths=(width,), img_size=16, val_fraction=0.4, test_fraction=0.0)
    preprocess = network.preprocess_for("cnn", img_size=16, fit="crop")
    with PixelStore(preprocess) as pixels:
        catalog = scan(str(table), pixels=pixels)
        kind = choose_task(catalog, requested=task)
        truth = targets(catalog, kind)
        split = make_split(catalog, kind, truth, seed=0, val_fraction=0.4, test_fraction=0.0)
        kind = standardise(kind, truth[split.rows("train")].astype(np.float64))
        cache, rows = pixels.finish(catalog), range(len(catalog))
        net, _ = network.build("cnn", task=kind, recipe=recipe, img_size=16)
        net.eval()
        features = extract_features(net, cache, rows)
        taught = split.rows("train")
        set_head(net, fit_head(features[taught], truth[taught], task=kind, seed=0))
        trust = fit_trust(
            split=split,
            task=kind,
            logits_NK=predict_logits(net, cache, rows),
            targets=truth,
            features_ND=features,
            seed=0,
        )
    bundle.save(
        place, net, task=kind, preprocess=preprocess, provenance={},
        trust=trust if with_trust else None,
    )  # fmt: skip
    return place


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with pictures/, noise/, and three models."""
    root = tmp_path_factory.mktemp("limits")
    rng = np.random.default_rng(0)
    lines = ["file_name,label"]
    for label in range(3):
        (root / "pictures" / f"class{label}").mkdir(parents=True)
        for number in range(80):
            name = f"class{label}/{number:03}.png"
            Image.fromarray(shape_picture(label, number, side=16)).save(root / "pictures" / name)
            lines.append(f"{name},{label + rng.normal(0, 0.1):.4f}")
    (root / "values.csv").write_text("\n".join(lines).replace("class", "pictures/class"))
    (root / "noise").mkdir()
    for number in range(20):
        noise = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(noise).save(root / "noise" / f"{number}.png")
    write_model(root / "model", root / "pictures")
    write_model(root / "wide", root / "pictures", width=96)
    write_model(root / "old", root / "pictures", with_trust=False)
    write_model(root / "values", root / "values.csv", task="regression")
    return root


def cli(*words: object, cwd: Path) -> SimpleNamespace:
    with contextlib.chdir(cwd):
        done = CliRunner().invoke(app, list(map(str, words)))
    return SimpleNamespace(returncode=done.exit_code, stdout=done.stdout, stderr=done.stderr)


def rows_of(done: SimpleNamespace) -> list[dict[str, str]]:
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(io.StringIO(done.stdout)))


def test_pictures_of_something_else_are_unknown_without_being_asked(made: Path) -> None:
    right = rows_of(cli("predict", "model", "pictures", cwd=made))
    done = cli("predict", "model", "noise", cwd=made)
    other = rows_of(done)
    assert list(other[0]) == ["file", "label", "score", "unknown", "score:class0", "score:class1",
                              "score:class2", "error"]  # fmt: skip
    assert [row["unknown"] for row in other] == ["yes"] * 20
    assert sum(row["unknown"] == "yes" for row in right) <= 0.05 * 240
    assert {row["unknown"] for row in right} == {"yes", "no"}
    assert "1 in 20" not in cli("predict", "model", "pictures", cwd=made).stderr
    assert done.stderr.splitlines()[-1] == (
        "unknown: 20 of 20 pictures are unlike those that the model learned from; its answer for "
        "them means little. Of pictures like those about 1 in 20 would be: here are others among "
        "them, and some of the rest may be such too"
    )


def test_eval_names_copies_in_other_bytes_of_what_taught_the_model(made: Path) -> None:
    for number in range(20):  # of the first class; the last pictures are new
        place = made / "again" / f"class{number % 2}"
        place.mkdir(parents=True, exist_ok=True)
        if number < 12:
            with Image.open(made / "pictures" / "class0" / f"{number:03}.png") as picture:
                picture.save(place / f"{number:03}.jpg", quality=95)
        else:
            shape = Image.fromarray(shape_picture(1, 500 + number, side=16))
            shape.save(place / f"{number:03}.png")
    done = cli("eval", "wide", "again", cwd=made)
    told = done.stderr
    (found,) = re.findall(r"warning: (\d+) of 20 pictures seem to show what a picture that", told)
    assert 4 <= int(found) <= 12  # 60 % of the twelve taught it
    seem = saccade.load(made / "wide").predict_table(made / "again", labelled=True)
    named = {path for path, one in zip(seem.catalog.paths, seem.seem_copies, strict=True) if one}
    assert len(named) == int(found)
    assert all(path.endswith(".jpg") for path in named)  # the others are new
    assert "or are these very pictures (" in told  # there is no run to tell which taught it
    assert "seem to show" not in cli("eval", "model", "again", cwd=made).stderr  # too few axes
    assert f" Without the {found} that seem to show what a picture that taught " in done.stdout
    assert f"(n = {20 - int(found)})." in done.stdout.splitlines()[0]
    rest = json.loads(cli("eval", "wide", "again", "--json", cwd=made).stdout)
    held = saccade.evaluate(made / "wide", made / "again")
    assert held.as_json() == rest
    assert any("seem to show what a picture that" in note for note in held.notes)
    assert rest["test"]["accuracy"]["n"] == 20
    accuracy = rest["test_without_copies"]["accuracy"]
    assert accuracy["n"] == 20 - int(found)
    _, _, said = done.stdout.splitlines()[0].partition("Without")
    assert f"accuracy {accuracy['value']:.3f}" in said
    assert "seem to show" not in cli("eval", "old", "again", cwd=made).stderr  # it cannot tell


def test_unknown_can_be_switched_off(made: Path) -> None:
    done = cli("predict", "model", "noise", "--no-unknown", cwd=made)
    assert "unknown" not in rows_of(done)[0]
    assert "unknown" not in done.stderr


def test_a_coverage_adds_sets_that_hold_the_truth_as_often(made: Path) -> None:
    done = cli("predict", "model", "pictures", "--coverage", "0.9", cwd=made)
    rows = rows_of(done)
    assert list(rows[0])[3:5] == ["unknown", "labels"]
    holds = [row["file"].split("/")[-2] in row["labels"].split("|") for row in rows]
    assert np.mean(holds) >= 0.87
    assert np.mean([len(row["labels"].split("|")) for row in rows]) < 2.5  # all three say nothing
    assert all(row["labels"].split("|")[0] == row["label"] for row in rows)
    assert (
        "of 100 sets about 90 or more hold the truth, for pictures like the 96 of the validation"
        in done.stderr
    )
    assert "labels: " in done.stderr


def test_a_min_accuracy_marks_the_unsure(made: Path) -> None:
    done = cli("predict", "model", "pictures", "--min-accuracy", "0.9", cwd=made)
    rows = rows_of(done)
    model = saccade.load(made / "model")
    assert model.trust is not None
    threshold = model.trust.promise(0.9).threshold
    assert "yes" in {row["unknown"] for row in rows}  # of which nothing is promised
    assert [row["unsure"] for row in rows] == [
        "no"
        if np.float32(float(row["score"])) >= np.float32(threshold) and row["unknown"] == "no"
        else "yes"
        for row in rows
    ]
    sure = [row for row in rows if row["unsure"] == "no"]
    right = [row["label"] == row["file"].split("/")[-2] for row in sure]
    assert np.mean(right) >= 0.9
    assert f"answers less sure than {threshold:.3f} are unsure; of 96 held-out" in done.stderr


def test_the_cost_of_a_mistake_sets_the_threshold_too(made: Path) -> None:
    """Source: C. K. Chow (1970): answer where score > 1 - 1 / cost."""
    words = ["predict", "model", "noise", "pictures", "--mistake-cost", "4"]
    rows = rows_of(cli(*words, cwd=made))
    assert all(
        (row["unsure"] == "yes") == (float(row["score"]) < 0.75 or row["unknown"] == "yes")
        for row in rows
    )
    assert {row["unsure"] for row in rows} == {"yes", "no"}


def test_json_lines_carry_the_same(made: Path) -> None:
    words = ["predict", "model", "noise", "--coverage", "0.9", "--mistake-cost", "4"]
    done = cli(*words, "--format", "jsonl", cwd=made)
    first = json.loads(done.stdout.splitlines()[0])
    assert list(first) == ["file", "label", "score", "unknown", "unsure", "labels", "scores",
                           "error"]  # fmt: skip
    assert first["unknown"] is True
    assert first["labels"][0] == first["label"]


def test_values_get_a_stretch_and_no_accuracy(made: Path) -> None:
    rows = rows_of(cli("predict", "values", "pictures", "--coverage", "0.8", cwd=made))
    assert list(rows[0]) == ["file", "label", "score", "unknown", "low", "high", "error"]
    truth = dict(line.split(",") for line in (made / "values.csv").read_text().splitlines()[1:])
    holds = [
        float(row["low"]) <= float(truth["pictures/" + row["file"]]) <= float(row["high"])
        for row in rows
    ]
    assert np.mean(holds) >= 0.77
    wide = np.mean([float(row["high"]) - float(row["low"]) for row in rows])
    assert wide < np.ptp(list(map(float, truth.values())))  # all that there is says nothing
    done = cli("predict", "values", "pictures", "--min-accuracy", "0.9", cwd=made)
    assert done.returncode == 2
    assert "Values are not right or wrong, so that none of them is withheld." in done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--coverage", "1.2"], "error SACCADE-E270: --coverage is 1.2, but must lie between 0 and "
         "1.\n  where: --coverage\n  fix:   give a number between 0 and 1\n"),
        (["--min-accuracy", "0"], "--min-accuracy is 0, but must lie between 0 and 1."),
        (["--mistake-cost", "1"], "--mistake-cost is 1, but must lie above 1."),
        (["--mistake-cost", "3", "--min-accuracy", "0.9"], "Two thresholds for one answer"),
        (["--coverage", "0.99"], "error SACCADE-E272: A coverage of 0.99 cannot be promised with "
         "n = 96 held-out pictures; 99 are needed.\n"
         "  where: the 96 pictures of the validation part that the model was fitted on\n"
         "  fix:   ask for less, or train with more pictures (--val-fraction)\n"),
        (["--min-accuracy", "0.99"], "An accuracy of 0.99 cannot be promised with n = 96 held-out "
         "pictures; 299 answers are needed, all of them right; 0."),
    ],
)  # fmt: skip
def test_what_cannot_be_had_is_refused_with_the_reason(
    words: list[str], told: str, made: Path
) -> None:
    done = cli("predict", "model", "noise", *words, cwd=made)
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stdout == ""


def test_a_model_without_trust_answers_as_before_and_promises_nothing(made: Path) -> None:
    rows = rows_of(cli("predict", "old", "noise", cwd=made))
    assert "unknown" not in rows[0]
    done = cli("predict", "old", "noise", "--coverage", "0.9", cwd=made)
    assert done.returncode == 2
    assert "error SACCADE-E271: This model knows nothing of its own answers" in done.stderr


def test_scores_are_calibrated_in_predict_and_in_the_table(made: Path) -> None:
    model, plain = saccade.load(made / "model"), saccade.load(made / "old")
    table = model.predict_table(made / "noise", labelled=False).table
    raw = plain.predict_table(made / "noise", labelled=False).table
    shown = model.predict(made / "noise")
    as_they_are = model.predict(made / "noise", calibrated=False)
    np.testing.assert_allclose([list(a.scores.values()) for a in shown], table.scores, atol=1e-6)
    np.testing.assert_allclose(
        [list(a.scores.values()) for a in as_they_are], raw.scores, atol=1e-6
    )
    assert np.abs(table.scores - raw.scores).max() > 1e-3
    assert table.prediction == raw.prediction


def test_one_pass_gives_the_logits_that_the_network_gives_alone(made: Path) -> None:
    model = saccade.load(made / "model")
    with PixelStore(model.bundle.preprocess) as pixels:
        cache = pixels.finish(scan(str(made / "noise"), labelled=False, pixels=pixels))
    rows = range(20)
    logits, features = model.logits_and_features(cache, rows)
    np.testing.assert_allclose(logits, model.logits(cache, rows), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        features, extract_features(model.bundle.network, cache, rows), rtol=1e-5, atol=1e-5
    )


def test_python_gives_names_and_flags(made: Path) -> None:
    answer = saccade.load(made / "model").predict(made / "noise", coverage=0.9)[0]
    assert answer.unknown is True
    assert answer.unsure is None  # nothing was asked
    assert set(answer.labels) <= {"class0", "class1", "class2"}
    with pytest.raises(UsageError):
        saccade.load(made / "model").predict(made / "noise", coverage=0.999)


def test_a_picture_that_cannot_be_read_has_no_marks(made: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    Image.fromarray(shape_picture(0, 0, side=16)).save(tmp_path / "new" / "a.png")
    (tmp_path / "new" / "broken.png").write_bytes(b"nothing")
    words = ["--coverage", "0.9", "--mistake-cost", "4"]
    rows = rows_of(cli("predict", made / "model", tmp_path / "new", *words, cwd=tmp_path))
    broken = rows[1]
    assert (broken["unknown"], broken["unsure"], broken["labels"]) == ("", "", "")


def as_csv(answers: list[Prediction], classes: Sequence[str], marks: Sequence[str] = ()) -> str:
    text = io.StringIO()
    write_csv(text, answers, classes, marks)
    return text.getvalue()


def test_answers_take_less_memory_than_the_scores_they_are_made_of(tmp_path: Path) -> None:
    task = Task(kind="multiclass", classes=tuple(f"c{place}" for place in range(200)))
    scores_NK = np.random.default_rng(0).dirichlet(np.ones(200), size=200)
    names = tuple(f"{row}.png" for row in range(200))
    table = Predictions(
        task=task, paths=names, hashes=names, parts=("test",) * 200, truth=None, scores=scores_NK
    )
    tracemalloc.start()
    found = answers_of(table, Limits(), judged_NK=scores_NK)
    for kind in ("csv", "jsonl"):
        write_answers(found, task.classes, kind=kind, output=tmp_path / f"a.{kind}")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < scores_NK.nbytes
    assert found[7].scores == dict(zip(task.classes, scores_NK[7].tolist(), strict=True))
    (line,) = (tmp_path / "a.csv").read_text().splitlines()[8:9]
    assert line.split(",")[3:-1] == [f"{score:.6g}" for score in scores_NK[7].tolist()]
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    assert json.loads(lines[7])["scores"] == dict(found[7].scores)


def test_several_labels_are_a_list_in_json() -> None:
    task = Task(kind="multilabel", classes=("a|b", "c"))
    scores_NK = np.array([[0.9, 0.8], [0.1, 0.2]])
    table = Predictions(
        task=task, paths=("0", "1"), hashes=("", ""), parts=("", ""), truth=None, scores=scores_NK
    )
    broken = Prediction(path="2", label="", score=float("nan"), scores={}, error="no picture")
    text = io.StringIO()
    found = [*answers_of(table, Limits(), judged_NK=scores_NK), broken]
    write_json_lines(text, found)
    rows = [json.loads(line) for line in text.getvalue().splitlines()]
    assert [row["label"] for row in rows] == ["a|b|c", "", ""]
    assert [row["several"] for row in rows] == [["a|b", "c"], [], None]
    text = io.StringIO()
    write_json_lines(text, [replace(found[0], several=None)])
    assert "several" not in text.getvalue()


def test_an_answer_is_json_as_it_stands() -> None:
    task = Task(kind="binary", classes=("ant", "bee"))
    scores_NK = np.array([[0.25, 0.75]])
    table = Predictions(
        task=task, paths=("0",), hashes=("",), parts=("",), truth=None, scores=scores_NK
    )
    (answer,) = answers_of(table, Limits(), judged_NK=scores_NK)
    broken = Prediction(path="2", label="", score=float("nan"), scores={}, error="no picture")
    said, unsaid = (
        json.loads(json.dumps(own.as_dict(), allow_nan=False)) for own in (answer, broken)
    )
    assert (said["label"], said["score"], said["scores"]) == (
        "bee",
        0.75,
        {"ant": 0.25, "bee": 0.75},
    )
    assert (unsaid["score"], unsaid["low"], unsaid["error"]) == (None, None, "no picture")
    assert set(said) == {field.name for field in dataclasses.fields(Prediction)}


def test_hostile_names_in_sets_can_be_told_apart() -> None:
    answer = Prediction(
        path="=a.png", label="a|b", score=0.5, scores={"a|b": 0.5, "c": 0.5}, labels=("a|b", "c")
    )
    text = as_csv([answer], ["a|b", "c"], ["labels"])
    assert text.splitlines()[1] == "'=a.png,a|b,0.5,a\\|b|c,0.5,0.5,"


def test_hostile_names_of_several_labels_can_be_told_apart() -> None:
    task = Task(kind="multilabel", classes=("=sum", "a|b", "c"))
    scores_NK = np.array([[0.9, 0.8, 0.7], [0.1, 0.2, 0.3]])
    table = Predictions(
        task=task, paths=("0", "1"), hashes=("", ""), parts=("", ""), truth=None, scores=scores_NK
    )
    text = as_csv(answers_of(table, Limits(), judged_NK=scores_NK), task.classes)
    assert [line.split(",")[1] for line in text.splitlines()] == ["label", r"'=sum|a\|b|c", ""]


def test_values_below_zero_are_written_as_numbers() -> None:
    task = Task(kind="regression", classes=())
    table = Predictions(
        task=task, paths=("-1",), hashes=("",), parts=("",), truth=None, scores=np.array([[-1.5]])
    )
    found = answers_of(table, Limits(reach=1.0), judged_NK=table.scores)
    assert as_csv(found, (), ["low", "high"]).splitlines()[1] == "'-1,-1.5,-1.5,-2.5,-0.5,"


def test_without_its_threshold_noise_is_named_negative_control(made: Path) -> None:
    """The network alone is quite sure of what is on noise."""
    model = saccade.load(made / "model")
    assert model.trust is not None
    assert model.trust.unknown is not None
    far = replace(model.trust.unknown, threshold=1e9)
    blind = Model(replace(model.bundle, trust=replace(model.trust, unknown=far)))
    found = blind.predict(made / "noise")
    assert not any(answer.unknown for answer in found)
    assert isinstance(model.task, Task)
