"""What `predict` answers for lists, folders and tables, by a small network that learned nothing."""

import contextlib
import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.conftest import shape_picture
from typer.testing import CliRunner

import saccade.model
from saccade.answers import Limits, answers_of
from saccade.cli import app
from saccade.data.task import Task
from saccade.evaluation.predictions import Predictions
from saccade.models import bundle, network
from saccade.runtime.errors import DataError, UsageError
from saccade.training.recipe import Recipe

Answers = Callable[..., list[dict[str, str]]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, two folders of pictures, a broken one and a table."""
    root = tmp_path_factory.mktemp("predict")
    task = Task(kind="multiclass", classes=("ant", "bee"))
    recipe = Recipe(widths=(4,))
    net, preprocess = network.build("cnn", task=task, recipe=recipe, weights=None, img_size=16)
    bundle.save(root / "model", net, task=task, preprocess=preprocess, provenance={})
    for number, name in enumerate(["new photos/a", "new photos/b", "Mes fleurs/deep/c", "d"]):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(shape_picture(number % 2, number, side=16)).save(root / f"{name}.png")
    (root / "broken.png").write_text("no picture")
    rows = ["d.png", "broken.png", "Mes fleurs/deep/c.png", "new photos/a.png", "d.png"]
    (root / "table.csv").write_text("\n".join(["image", *rows]) + "\n")
    (root / "empty").mkdir()
    (root / "link.png").symlink_to("nothing.png")
    return root


@pytest.fixture
def inside(place: Path) -> "contextlib.chdir[Path]":
    return contextlib.chdir(place)


@pytest.fixture
def answers(inside: "contextlib.chdir[Path]") -> Answers:
    """Give a function that runs the command and returns the rows of its CSV."""

    def ask(*words: str) -> list[dict[str, str]]:
        with inside:
            done = CliRunner().invoke(app, ["predict", "model", *words, "--quiet"])
        assert done.exit_code == 0, done.stderr
        return list(csv.DictReader(io.StringIO(done.stdout)))

    return ask


def test_one_of_several_that_is_not_there_is_told_and_the_others_are_answered(
    answers: Answers, inside: "contextlib.chdir[Path]"
) -> None:
    first, second, third, fourth = answers("d.png", "gone.png", "new photos/a.png", "link.png")
    assert (fourth["file"], fourth["error"]) == ("link.png", "there is no such file")
    assert (first["file"], third["file"]) == ("d.png", "new photos/a.png")
    assert second["file"] == "gone.png"
    assert (second["label"], second["error"]) == ("", "there is no such file")
    assert first["error"] == third["error"] == ""
    with inside:
        none = CliRunner().invoke(app, ["predict", "model", "gone.png", "away.png"])
    assert (none.exit_code, "E301" in none.stderr, none.stdout) == (3, True, "")


@pytest.mark.parametrize("pictures", ["", ["d.png", ""]])
def test_an_empty_path_is_not_the_current_folder(
    inside: "contextlib.chdir[Path]", pictures: str | list[str]
) -> None:
    with inside, pytest.raises(DataError) as caught:
        saccade.load("model").predict(pictures)
    assert caught.value.code == "SACCADE-E301"


def test_an_empty_folder_is_no_matter_of_class_folders(inside: "contextlib.chdir[Path]") -> None:
    for words in (["empty"], ["d.png", "empty"]):
        with inside:
            done = CliRunner().invoke(app, ["predict", "model", *words])
        assert done.exit_code == 3
        assert "fix:   name a folder that holds pictures" in done.stderr


def test_where_nothing_can_be_written_is_told_before_anything_is_asked(
    inside: "contextlib.chdir[Path]",
) -> None:
    words = ["predict", "no model", "d.png", "--output", "d.png/answers.csv"]
    with inside:
        done = CliRunner().invoke(app, words)
    assert done.exit_code == 4
    assert "E401: A file could not be written: a file lies where its folder should be" in (
        done.stderr
    )
    assert "MB free" not in done.stderr
    assert "fix:   choose another place with --output" in done.stderr


def test_files_are_answered_in_the_order_in_which_they_were_named(
    inside: "contextlib.chdir[Path]", answers: Answers
) -> None:
    asked = ["new photos/b.png", "d.png", "broken.png", "new photos/a.png", "d.png"]
    with inside:
        found = saccade.load("model").predict(asked)
    assert [answer.path for answer in found] == asked
    assert [bool(answer.error) for answer in found] == [False, False, True, False, False]
    assert found[1] == found[4]
    rows = answers(*asked)
    assert [row["file"] for row in rows] == asked
    with inside:
        each = {path: saccade.load("model").predict([path])[0] for path in asked if "/" in path}
    assert len({tuple(own.scores.values()) for own in each.values()}) == 2
    for answer, row in zip(found, rows, strict=True):
        if answer.path in each:
            assert answer.scores == pytest.approx(each[answer.path].scores)
            assert row["label"] == answer.label == each[answer.path].label


def test_a_table_is_answered_row_by_row(place: Path) -> None:
    found = saccade.load(place / "model").predict(place / "table.csv")
    rows = (place / "table.csv").read_text().splitlines()[1:]
    assert [answer.path for answer in found] == rows
    assert [bool(answer.error) for answer in found] == [False, True, False, False, False]
    for answer in found:
        if not answer.error:
            (alone,) = saccade.load(place / "model").predict([place / answer.path])
            assert answer.scores == pytest.approx(alone.scores)


def test_a_folder_is_answered_by_name(place: Path) -> None:
    found = saccade.load(place / "model").predict(place / "new photos")
    assert [answer.path for answer in found] == ["a.png", "b.png"]


def test_every_folder_of_a_list_is_searched(answers: Answers) -> None:
    found = answers("d.png", "new photos", "Mes fleurs", "new photos/a.png")
    assert [row["file"] for row in found] == [
        "d.png",
        "new photos/a.png",
        "new photos/b.png",
        "Mes fleurs/deep/c.png",
        "new photos/a.png",
    ]
    assert not any(row["error"] for row in found)


def test_a_list_with_an_empty_folder_is_refused(place: Path) -> None:
    with pytest.raises(DataError, match="The folder holds no files"):
        saccade.load(place / "model").predict([place / "d.png", place / "empty"])


def test_nothing_asked_is_nothing_answered(place: Path) -> None:
    assert saccade.load(place / "model").predict([]) == []


def test_pictures_in_memory_are_answered_as_their_files_are(place: Path) -> None:
    model = saccade.load(place / "model")
    paths = [place / "new photos" / "a.png", place / "d.png"]
    known = [own.scores for own in model.predict(paths)]
    images = [Image.open(path) for path in paths]
    pixels = [np.asarray(image.convert("RGB")) for image in images]
    for given in (images, pixels, np.stack(pixels), [path.read_bytes() for path in paths]):
        found = model.predict(given)
        assert [own.path for own in found] == ["0", "1"]
        assert [own.scores for own in found] == known
    for one in (images[0], pixels[0], paths[0].read_bytes()):
        (alone,) = model.predict(one)
        assert alone.scores == pytest.approx(known[0])


def test_a_picture_in_memory_is_turned_as_its_file_would_be(place: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(shape_picture(0, 3, side=16)).save(tmp_path / "turned.png", exif=exif)
    model = saccade.load(place / "model")
    with Image.open(tmp_path / "turned.png") as image:
        (held,) = model.predict(image)
    (turned,) = model.predict(tmp_path / "turned.png")
    (straight,) = model.predict(shape_picture(0, 3, side=16))
    assert held.scores == turned.scores != straight.scores


def test_what_python_would_stumble_over_is_refused_with_a_code(place: Path) -> None:
    model = saccade.load(place / "model")
    asked: list[tuple[str, Callable[[Any], object]]] = [
        ("239", saccade.load),
        ("239", saccade.scan),
        ("239", lambda wrong: saccade.scan([wrong])),
        ("239", saccade.train),
        ("239", saccade.open_run),
        ("239", saccade.evaluate),
        ("239", lambda wrong: saccade.evaluate(place / "model", wrong)),
        ("270", lambda wrong: model.predict(place / "d.png", coverage=str(wrong))),
    ]
    for code, ask in asked:
        with pytest.raises(UsageError) as caught:
            ask(3)
        assert caught.value.code == f"SACCADE-E{code}"


@pytest.mark.parametrize("mode", ["I;16", "I", "CMYK", "RGBA", "P", "LA", "1"])
def test_an_image_of_any_mode_is_answered_as_its_file_would_be(
    place: Path, tmp_path: Path, mode: str
) -> None:
    """A 16-bit one is scaled and never clipped, and transparency lies on white."""
    pixels = shape_picture(0, 5, side=16)
    image = Image.fromarray(pixels).convert("I" if mode == "I;16" else mode)
    if mode.startswith("I"):
        deep = pixels[:, :, 0].astype(np.uint16) * 257
        image = Image.fromarray(deep if mode == "I;16" else deep.astype(np.int32))
    if mode in {"RGBA", "LA"}:
        image.putalpha(Image.fromarray(pixels[:, :, 0].T.copy()))
    image.save(tmp_path / "own.tif")
    model = saccade.load(place / "model")
    (held,), (read,) = model.predict(image), model.predict(tmp_path / "own.tif")
    assert not read.error
    assert held.scores == read.scores


def test_an_image_that_cannot_be_loaded_has_a_row_that_says_so(place: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes((place / "d.png").read_bytes()[:200])
    closed = Image.open(place / "d.png")
    closed.close()
    with Image.open(tmp_path / "cut.png") as cut, Image.open(place / "d.png") as sound:
        found = saccade.load(place / "model").predict([cut, sound, closed])
    assert [bool(own.error) for own in found] == [True, False, True]
    assert [own.path for own in found] == ["0", "1", "2"]


def test_an_array_of_paths_is_a_list_of_them(place: Path) -> None:
    paths = np.array([str(place / "d.png"), str(place / "new photos" / "a.png")])
    model = saccade.load(place / "model")
    assert [own.path for own in model.predict(paths)] == paths.tolist()


def test_what_is_no_picture_is_refused_with_what_is_taken(place: Path) -> None:
    model, pixels_HWC = saccade.load(place / "model"), shape_picture(0, 0, side=16)
    both = [pixels_HWC, place / "d.png"]
    for given, kind in (
        (3, "int"),
        ([None], "None"),
        (both, "a list of both"),
        ([*both, {}], "dict"),
    ):
        with pytest.raises(
            UsageError, match=f"or are given themselves.* this is .*{kind}"
        ) as caught:
            model.predict(given)
        assert caught.value.code == "SACCADE-E239"
    for bad in (pixels_HWC / 255.0, pixels_HWC[:, :, :2], pixels_HWC[None, None], np.zeros(3)):
        with pytest.raises(UsageError, match="An array is a picture where it is uint8") as caught:
            model.predict([bad])
        assert caught.value.code == "SACCADE-E239"
    (broken,) = model.predict([b"no picture", pixels_HWC])[:1]
    assert (broken.label, bool(broken.error)) == ("", True)


def test_what_was_not_asked_or_not_read_is_neither_yes_nor_no(place: Path) -> None:
    """This model cannot tell what is unknown, and no accuracy is asked for."""
    found = saccade.load(place / "model").predict([place / "d.png", place / "broken.png"])
    assert [(answer.unknown, answer.unsure) for answer in found] == [(None, None)] * 2


def test_yes_or_no_is_said_where_it_was_asked_and_a_picture_was_read() -> None:
    task = Task(kind="multiclass", classes=("ant", "bee"))
    scores_NK = np.array([[0.9, 0.1], [0.4, 0.6]])
    table = Predictions(
        task=task, paths=("a", "b"), hashes=("", ""), parts=("test",) * 2, truth=None,
        scores=scores_NK,
    )  # fmt: skip
    found = answers_of(table, Limits(threshold=0.8), judged_NK=scores_NK)
    assert [(answer.unknown, answer.unsure) for answer in found] == [(None, False), (None, True)]


def test_columns_that_only_training_needs_are_not_looked_at(place: Path, answers: Answers) -> None:
    """Parts that nobody knows, and one picture in two of them."""
    rows = ["d.png,train", "new photos/a.png,unlabeled", "d.png,test"]
    (place / "parts.csv").write_text("\n".join(["image,split", *rows]) + "\n")
    found = answers("parts.csv")
    assert [row["file"] for row in found] == ["d.png", "new photos/a.png", "d.png"]
    assert [row["error"] for row in found] == [""] * 3


def test_of_two_columns_of_pictures_one_is_named(place: Path, answers: Answers) -> None:
    (place / "eyes.csv").write_text("left,right\nd.png,new photos/a.png\n")
    found = answers("eyes.csv", "--image-column", "right")
    assert [row["file"] for row in found] == ["new photos/a.png"]


def test_a_format_that_nobody_knows_is_refused_before_anything_is_answered(
    inside: "contextlib.chdir[Path]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saccade.model.Model, "predict", lambda *_, **__: pytest.fail("too late"))
    with inside:
        done = CliRunner().invoke(app, ["predict", "model", "d.png", "--format", "json"])
    assert done.exit_code == 2
    assert "E236" in done.stderr


def test_scores_of_the_csv_have_six_digits_and_those_of_json_lines_all(
    place: Path, answers: Answers
) -> None:
    known = saccade.load(place / "model").predict([place / "d.png"])[0]
    told = answers("d.png")[0]
    for name, score in known.scores.items():
        assert told[f"score:{name}"] == f"{score:.6g}"
    assert told["score"] == f"{known.score:.6g}"
    with contextlib.chdir(place):
        done = CliRunner().invoke(app, ["predict", "model", "d.png", "--format", "jsonl"])
    assert json.loads(done.stdout)["scores"] == known.scores
