"""A run is checked again; each planted fault is found, and by the check that should find it."""

import contextlib
import csv
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.conftest import write_shapes
from typer.testing import CliRunner

import saccade
from saccade import model_checks, number_checks, road
from saccade.cli import app
from saccade.data import decode, resample
from saccade.data.task import Task
from saccade.evaluation.calibration import Calibration, temperature
from saccade.evaluation.predictions import Predictions
from saccade.models import manifest
from saccade.papers import Failed
from saccade.report import rewrite_report
from saccade.run import file_hashes
from saccade.runtime.errors import ArtefactError, DataError
from saccade.training.recipe import Recipe
from saccade.verification import FAILED, HELD, UNKNOWN, Check, Verdict

QUICK = Recipe(
    model="cnn", img_size=16, widths=(4, 8), hflip=0.0, epochs=2, val_fraction=0.4,
    test_fraction=0.1,
)  # fmt: skip
NAMES = [
    "files", "bytes", "page", "end", "table and split", "labels", "leaks", "fingerprints",
    "metrics", "studies", "seal", "pictures", "model files", "model's origin", "golden pictures",
    "golden and table", "calibration",
]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with pictures/ and run/."""
    root = tmp_path_factory.mktemp("verify")
    write_shapes(root / "pictures", 3, 20, side=16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(road, "STUDIES", ())  # they take a second, and have tests of their own
        saccade.train(root / "pictures", QUICK, output=root / "run")
    return root


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """Return a copy of the run, to be spoilt; the pictures stay where they are."""
    shutil.copytree(made / "run", tmp_path / "run")
    return tmp_path / "run"


def failed(verdict: Verdict) -> list[str]:
    return [check.name for check in verdict.checks if check.outcome == FAILED]


def said(verdict: Verdict, name: str) -> str:
    return next(check.sentence for check in verdict.checks if check.name == name)


def test_a_sound_run_can_be_believed_and_says_so_in_one_line(made: Path) -> None:
    before = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    with contextlib.chdir(made):
        done = CliRunner().invoke(app, ["verify", "run"])
    assert done.exit_code == 0, done.stderr
    *lines, empty, says, last = done.stdout.splitlines()
    assert says.startswith("The run says: Of 6 test pictures ")
    assert last == "This run can be believed: all 17 checks held."
    assert empty == ""
    assert [line.split("  ")[0] for line in lines] == ["held"] * 17
    assert {path: path.read_bytes() for path in made.rglob("*") if path.is_file()} == before


def test_a_sound_run_with_severe_findings_is_said_to_have_some() -> None:
    held = Check(name="files", outcome=HELD, sentence="all are there")
    sound = Verdict(folder=Path("run"), checks=(held,), summary="Of 2 pictures 1.", num_severe=2)
    assert sound.believed
    assert sound.as_text().splitlines()[-3:-1] == [
        "The run says: Of 2 pictures 1.",
        "It has 2 severe findings, with which its report begins: that its numbers are those that "
        "were measured does not make them good.",
    ]
    assert len(replace(sound, num_severe=0).says) == 1
    labelled = replace(sound, num_severe=0, about_labels=("3 of 9 labels look wrong.",))
    assert labelled.says[-1] == "3 of 9 labels look wrong."


@pytest.mark.parametrize(
    ("suspects", "said"),
    [
        ({"kind": "multiclass", "n": 40, "num_pictures": 40, "num_sure": 4}, "4 of 40 labels"),
        ({"kind": "multiclass", "n": 0, "num_pictures": 0, "num_sure": 4}, ""),  # damaged
        ({"kind": "multiclass", "n": "x", "num_sure": 4}, ""),
        ({}, ""),
    ],
)
def test_what_the_run_says_of_its_labels_stands_beside_the_verdict_and_damage_ends_nothing(
    run: Path, suspects: dict, said: str
) -> None:
    def plant(own: dict) -> None:
        own["studies"]["suspects"] = suspects

    if not (run / "trust.json").is_file():
        (run / "trust.json").write_text('{"format_version": 1, "studies": {}}')
    edit_json(run / "trust.json", plant)
    told = saccade.verify(run).says[1:]
    assert [own.startswith(said) for own in told] == ([True] if said else [])


def test_what_held_is_told_with_its_numbers(made: Path) -> None:
    verdict = saccade.verify(made / "run")
    assert [check.name for check in verdict.checks] == NAMES
    num = sum(map(len, json.loads((made / "run" / "metrics.json").read_text()).values()))
    assert said(verdict, "metrics") == (
        f"all {num} metrics and their intervals follow from predictions.csv, to the last digit"
    )
    assert said(verdict, "table and split") == (
        "both name the same 60 pictures in the same parts (30 train, 24 validation, 6 test)"
    )
    assert said(verdict, "pictures") == "all 60 pictures are the same to the byte"
    assert said(verdict, "golden pictures").startswith("6 are answered as they were, ")
    assert said(verdict, "calibration") == (
        "fitted on 24 validation pictures, and fitted again on them it is the same"
    )
    assert said(verdict, "seal").startswith("the answers of 6 test pictures were sealed until ")


def test_a_page_that_is_written_anew_or_gone_is_no_fault(run: Path) -> None:
    saccade.verify(run)
    rewrite_report(run)
    assert failed(saccade.verify(run)) == []
    (run / "report.html").unlink()
    verdict = saccade.verify(run)
    assert verdict.believed
    assert said(verdict, "page") == "report.html is gone; saccade report writes it anew"


def test_a_verdict_is_as_true_as_the_run(run: Path) -> None:
    assert saccade.verify(run)
    flip_a_digit(run)
    assert not saccade.verify(run)


def test_json_holds_every_check(made: Path) -> None:
    done = CliRunner().invoke(app, ["verify", str(made / "run"), "--json"])
    facts = json.loads(done.stdout)
    assert facts == saccade.verify(made / "run").as_json()
    assert (facts["believed"], len(facts["checks"])) == (True, 17)


def edit_json(path: Path, change: Callable[[dict], None]) -> None:
    """Change a JSON file; a model's knows its own hash, which is made anew, as for a deceit."""
    content = json.loads(path.read_text())
    change(content)
    if path.parent.name == "model":
        content["saccade"]["sha256"] = manifest.config_hash(content)
    path.write_text(json.dumps(content))


def edit_rows(path: Path, change: Callable[[list[dict[str, str]]], None]) -> None:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    change(rows)
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def flip_a_digit(run: Path) -> None:
    path = run / "metrics.json"
    text = path.read_text()
    place = text.index('"log_loss"')
    end = text.index(",", text.index('"low"', place))  # the last digit of an interval's end
    digit = text[end - 1]
    path.write_text(text[: end - 1] + str((int(digit) + 1) % 10) + text[end:])


def flip_a_byte(run: Path) -> None:
    path = run / "model" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def swap_golden(run: Path) -> None:
    one, other = sorted((run / "model" / "golden").glob("00*.png"))[:2]
    first = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(first)


def rehash(run: Path) -> None:
    """Make config.json agree with the files again, as somebody who means to deceive would."""

    def change(config: dict) -> None:
        files = config["saccade"]["files"]
        for name in files:
            files[name] = hashlib.sha256((run / "model" / name).read_bytes()).hexdigest()

    edit_json(run / "model" / "config.json", change)


def swap_golden_and_rehash(run: Path) -> None:
    swap_golden(run)
    rehash(run)


def flip_many_bytes_and_rehash(run: Path) -> None:
    path = run / "model" / "model.safetensors"
    content = bytearray(path.read_bytes())
    for place in range(len(content) - 401, len(content), 4):
        content[place - 1] ^= 0x80  # the signs of a hundred weights
    path.write_bytes(content)
    rehash(run)


def rewrite_hashes(run: Path) -> None:
    """Make run.json agree with the files again, as somebody who means to deceive would."""
    edit_json(run / "run.json", lambda own: own.update(files=file_hashes(run)))


def of_part(rows: list[dict[str, str]], part: str) -> dict[str, str]:
    return next(row for row in rows if row["part"] == part)


def change_a_score(rows: list[dict[str, str]]) -> None:
    row = of_part(rows, "test")
    one, other = sorted((name for name in row if name.startswith("score:")), key=row.__getitem__)[
        :2
    ]
    row[one], row[other] = str(float(row[one]) + 1e-6), str(float(row[other]) - 1e-6)


def sharpen(rows: list[dict[str, str]]) -> None:
    row = of_part(rows, "test")
    scores = {name: float(row[name]) for name in row if name.startswith("score:")}
    best = max(scores, key=scores.__getitem__)
    for name, score in scores.items():
        row[name] = str(score / 2 + 0.5 * (name == best))


def change_a_truth(rows: list[dict[str, str]]) -> None:
    row = of_part(rows, "test")
    row["truth"] = "class0" if row["truth"] != "class0" else "class1"


def change_a_validation_truth(rows: list[dict[str, str]]) -> None:
    row = of_part(rows, "validation")
    row["truth"] = "class0" if row["truth"] != "class0" else "class1"


def other_temperature(run: Path) -> None:
    def change(config: dict) -> None:
        config["saccade"]["trust"]["calibration"]["temperature"] *= 1.5

    edit_json(run / "model" / "config.json", change)


def calibrated_on_the_test_part(run: Path) -> None:
    edit_json(
        run / "model" / "config.json",
        lambda config: config["saccade"]["trust"].update(part="test"),
    )


def change_an_answer(rows: list[dict[str, str]]) -> None:
    row = of_part(rows, "test")
    row["prediction"] = "class0" if row["prediction"] != "class0" else "class1"


def move(rows: list[dict[str, str]]) -> None:
    of_part(rows, "train")["part"] = "test"


def copy_a_content(rows: list[dict[str, str]]) -> None:
    of_part(rows, "test")["hash"] = of_part(rows, "train")["hash"]


def rename(rows: list[dict[str, str]]) -> None:
    rows[0]["file"] = "nowhere.png"


def drop(rows: list[dict[str, str]]) -> None:
    rows.remove(of_part(rows, "test"))


def table(change: Callable[[list[dict[str, str]]], None]) -> Callable[[Path], None]:
    return lambda run: edit_rows(run / "predictions.csv", change)


def split(change: Callable[[list[dict[str, str]]], None]) -> Callable[[Path], None]:
    return lambda run: edit_rows(run / "split.csv", change)


def facts(change: Callable[[dict], None]) -> Callable[[Path], None]:
    return lambda run: edit_json(run / "run.json", change)


def group_two_parts(rows: list[dict[str, str]]) -> None:
    of_part(rows, "train")["group"] = of_part(rows, "test")["group"] = "patient 7"


def untested(run: Path) -> None:
    edit_json(
        run / "model" / "config.json",
        lambda config: config["saccade"]["provenance"].update(tested=False),
    )


def of_another_run(run: Path) -> None:
    edit_json(
        run / "model" / "config.json",
        lambda config: config["saccade"]["provenance"].update(data_fingerprint="0" * 64),
    )


def a_study(run: Path) -> None:
    one = {"value": 0.97, "low": 0.9, "high": 0.96, "n": 6, "method": "wilson"}
    edit_json(run / "trust.json", lambda own: own["studies"].update(naive={"score": one}))


def a_study_of_nobody(run: Path) -> None:
    one = {"value": 0.97, "low": 0.9, "high": 0.99, "n": None, "method": "wilson"}
    edit_json(run / "trust.json", lambda own: own["studies"].update(naive={"score": one}))


def half_a_study(run: Path) -> None:
    path = run / "trust.json"
    path.write_text(path.read_text()[:-5])


def prettier_page(run: Path) -> None:
    path = run / "report.html"
    page = path.read_text(encoding="utf-8")
    path.write_text(page.replace("accuracy", "accuracy 0.99", 1), encoding="utf-8")


def break_off(run: Path) -> None:
    """Cut split.csv within the first cell of its last line."""
    path = run / "split.csv"
    text = path.read_text(encoding="utf-8").rstrip("\n")
    path.write_text(text[: text.rindex("\n") + 4], encoding="utf-8")


FAULTS: dict[str, tuple[Callable[[Path], None], set[str], str]] = {
    "a digit of metrics.json": (flip_a_digit, {"metrics"}, "log_loss: low"),
    "a summary": (facts(lambda own: own.update(summary="97 %")), {"metrics"}, "the summary in"),
    "a score of no consequence": (table(change_a_score), set(), ""),
    "a score": (table(sharpen), {"metrics", "golden and table"}, "numbers do not follow from"),
    "a truth": (table(change_a_truth), {"labels", "metrics"}, "the truth in predictions.csv"),
    "a truth of validation": (
        table(change_a_validation_truth), {"labels", "metrics", "calibration"}, "and not 1"),
    "a temperature": (other_temperature, {"golden and table"}, "scores of golden pictures and"),
    "a calibration on the test part": (calibrated_on_the_test_part, {"model files"}, "trust"),
    "an answer": (table(change_an_answer), {"files"}, "The prediction must be the class"),
    "a part in the table": (
        table(move), {"table and split", "fingerprints", "metrics", "seal"}, "name another part"),
    "a picture of another name": (
        split(rename), {"table and split", "labels", "fingerprints"}, "split.csv has no label"),
    "a part in the split": (split(move), {"table and split"}, "name another part"),
    "a content in two parts": (
        table(copy_a_content),
        {"leaks", "fingerprints", "pictures", "golden and table"}, "one content lies in two parts"),
    "a group in two parts": (
        split(group_two_parts), {"leaks"}, "one group lies in two parts: "),
    "a row less": (
        table(drop),
        {"table and split", "fingerprints", "metrics", "seal", "golden and table"}, "has 59 rows"),
    "a byte of the weights": (flip_a_byte, {"model files"}, "was changed after"),
    "many weights, with a new hash": (
        flip_many_bytes_and_rehash, {"golden pictures"}, "are answered otherwise"),
    "a golden picture": (swap_golden, {"model files"}, "was changed after"),
    "a golden picture, with a new hash": (
        swap_golden_and_rehash,
        {"golden pictures", "golden and table"}, "are answered otherwise"),
    "an untested model": (untested, {"model's origin"}, "saved before the test"),
    "another run's model": (of_another_run, {"model's origin"}, "made from other pictures"),
    "a state": (facts(lambda own: own.update(state="interrupted")), {"end"}, "never came to its"),
    "a seal": (facts(lambda own: own["split"]["sealed"].update(num=5)), {"seal"}, "5 answers were"),
    "a seal without its second": (
        facts(lambda own: own["split"]["sealed"].pop("until_seconds")), {"seal"}, "until_seconds"),
    "a study": (a_study, {"studies"}, "outside their interval in trust.json: naive.score"),
    "a study of nobody": (a_study_of_nobody, {"studies"}, "a field is missing or of another kind"),
    "half a study": (half_a_study, {"studies"}, "trust.json is damaged"),
    "a number on the page": (prettier_page, {"page"}, "report.html was changed since"),
    "a line that breaks off": (
        break_off, {"files"}, "a line lacks what the others have"),
    "a card": (
        lambda run: (run / "model" / "README.md").write_text("It is always right.\n"),
        set(), ""),
    "no metrics": (lambda run: (run / "metrics.json").unlink(), {"files"}, "it is not there"),
    "no model": (lambda run: shutil.rmtree(run / "model"), {"model files"}, "not a model folder"),
}  # fmt: skip


OF_ITS_OWN = {
    "a summary", "a state", "a seal", "a seal without its second", "a byte of the weights",
    "a golden picture", "a number on the page",
}  # fmt: skip
"""Faults that the hashes of `bytes` do not tell: run.json has none of itself, and config.json has
the model's; the page has a check of its own."""


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_by_the_checks_that_should_find_it(run: Path, fault: str) -> None:
    plant, found_by, words = FAULTS[fault]
    plant(run)
    verdict = saccade.verify(run)
    told = fault not in OF_ITS_OWN
    assert set(failed(verdict)) == found_by | ({"bytes"} if told else set())
    assert words in " ".join(said(verdict, name) for name in failed(verdict))
    assert verdict.sentence == (
        f"This run cannot be believed: {len(failed(verdict))} of 17 checks failed "
        f"({', '.join(failed(verdict))})."
    )
    assert not verdict.believed


def test_the_exit_code_of_a_run_that_cannot_be_believed_is_5(run: Path) -> None:
    flip_a_digit(run)
    done = CliRunner().invoke(app, ["verify", str(run)])
    assert done.exit_code == 5
    assert done.stdout.splitlines()[-1].startswith("This run cannot be believed: 2 of 17 checks ")


def test_without_the_hashes_swapped_golden_pictures_are_found_by_their_answers(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control of the hash, and the second line behind it."""
    swap_golden(run)
    monkeypatch.setattr(manifest, "_check_file", lambda *_: None)
    assert failed(saccade.verify(run)) == ["golden pictures", "golden and table"]


def test_with_a_loose_tolerance_other_weights_would_pass_negative_control(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flip_many_bytes_and_rehash(run)
    rewrite_hashes(run)
    assert failed(saccade.verify(run)) == ["golden pictures"]
    monkeypatch.setattr(model_checks, "GOLDEN_TOLERANCE", 1e6)
    assert failed(saccade.verify(run)) == []


def test_another_library_that_resizes_is_borne_and_another_filter_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shapes(tmp_path / "pictures", 3, 20, side=24)
    monkeypatch.setattr(road, "STUDIES", ())
    run = saccade.train(tmp_path / "pictures", QUICK, output=tmp_path / "run").folder
    with monkeypatch.context() as patch:
        patch.setattr(resample, "can", lambda _: False)
        assert failed(saccade.verify(run)) == []
    own = decode.resize

    def coarse(*args: Any, **named: Any) -> Any:
        return own(*args, **named | {"interpolation": "nearest"})

    monkeypatch.setattr(decode, "resize", coarse)
    assert failed(saccade.verify(run)) == ["golden pictures"]


def test_if_numbers_had_only_to_be_close_a_digit_would_pass_negative_control(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flip_a_digit(run)
    rewrite_hashes(run)
    assert failed(saccade.verify(run)) == ["metrics"]
    monkeypatch.setattr(number_checks, "_same_versions", lambda _: False)
    verdict = saccade.verify(run)
    assert failed(verdict) == []
    assert said(verdict, "metrics").endswith("to 9 digits")


def shift_every_interval(run: Path) -> None:
    """Leave values and n, and move the ends, as another way to compute intervals does."""

    def change(metrics: dict) -> None:
        for own in (own for part in metrics.values() for own in part.values()):
            if isinstance(own["low"], float):
                own["low"] -= 1e-3

    edit_json(run / "metrics.json", change)
    rewrite_hashes(run)


@pytest.mark.parametrize("made_by", [{"methods": None}, {"methods": 0}, {"saccade": "0.0.1"}])
def test_intervals_of_another_version_are_not_held_against_a_run(run: Path, made_by: dict) -> None:
    shift_every_interval(run)
    edit_json(run / "run.json", lambda own: own.update(made_by, summary="as it was then"))
    verdict = saccade.verify(run)
    assert failed(verdict) == []
    assert verdict.sentence.endswith("1 could not be made (metrics).")
    told = said(verdict, "metrics")
    assert told.startswith("the values of all ")
    assert "intervals were computed by another version of saccade, and differ from" in told


def test_intervals_of_this_version_and_values_of_any_are_held_against_it(run: Path) -> None:
    """The negative control: what differs by more than a version is still found."""
    shift_every_interval(run)
    assert failed(saccade.verify(run)) == ["metrics"]

    def worsen(metrics: dict) -> None:
        metrics["test"]["log_loss"]["value"] += 1e-3

    edit_json(run / "metrics.json", worsen)
    rewrite_hashes(run)
    edit_json(run / "run.json", lambda own: own.update(methods=0))
    verdict = saccade.verify(run)
    assert failed(verdict) == ["metrics"]
    assert "test log_loss: value" in said(verdict, "metrics")


def test_a_number_of_pictures_that_is_not_the_tables_is_no_matter_of_versions(run: Path) -> None:
    def fewer(metrics: dict) -> None:
        metrics["test"]["accuracy"]["n"] += 1

    shift_every_interval(run)
    edit_json(run / "metrics.json", fewer)
    rewrite_hashes(run)
    edit_json(run / "run.json", lambda own: own.update(methods=0))
    assert failed(saccade.verify(run)) == ["metrics"]


def test_on_another_machine_the_golden_pictures_say_what_differs(run: Path) -> None:
    def elsewhere(own: dict) -> None:
        own["versions"]["torch"] = "2.0.0"
        own["machine"]["processor"] = "an abacus"

    edit_json(run / "run.json", elsewhere)
    verdict = saccade.verify(run)
    assert verdict.believed
    assert "then 2.0.0, another processor, then an abacus)" in said(verdict, "golden pictures")


def test_without_the_pictures_it_says_so_and_all_else_is_checked(run: Path, made: Path) -> None:
    recipe = run / "recipe.toml"
    recipe.write_text(recipe.read_text().replace(str(made / "pictures"), str(made / "gone")))
    rewrite_hashes(run)
    verdict = saccade.verify(run)
    assert [check.outcome for check in verdict.checks] == [
        UNKNOWN if name == "pictures" else HELD for name in NAMES
    ]
    assert said(verdict, "pictures").startswith("the pictures cannot be found: ")
    assert verdict.sentence == (
        "This run can be believed as far as it could be checked: 16 of 17 checks held, and 1 could "
        "not be made (pictures)."
    )


def test_pictures_that_have_moved_are_read_where_they_are_said_to_lie(
    run: Path, made: Path, tmp_path: Path
) -> None:
    shutil.copytree(made / "pictures", tmp_path / "elsewhere")
    recipe = run / "recipe.toml"
    recipe.write_text(recipe.read_text().replace(str(made / "pictures"), str(made / "gone")))
    rewrite_hashes(run)
    verdict = saccade.verify(run, data=tmp_path / "elsewhere")
    assert said(verdict, "pictures") == "all 60 pictures are the same to the byte"
    (tmp_path / "elsewhere/class0/000.png").write_bytes(b"another")
    assert failed(saccade.verify(run, data=tmp_path / "elsewhere")) == ["pictures"]
    with pytest.raises(DataError, match="nowhere"):
        saccade.verify(run, data=tmp_path / "nowhere")


def moved_pictures(run: Path, made: Path) -> Path:
    """Give a run a copy of its pictures, to be spoilt too."""
    pictures = run.parent / "pictures"
    shutil.copytree(made / "pictures", pictures)
    recipe = run / "recipe.toml"
    recipe.write_text(recipe.read_text().replace(str(made / "pictures"), str(pictures)))
    rewrite_hashes(run)
    return pictures


def test_a_picture_that_changed_is_named_and_one_that_is_gone_is_counted(
    run: Path, made: Path
) -> None:
    pictures = moved_pictures(run, made)
    (pictures / "class1" / "003.png").unlink()
    verdict = saccade.verify(run)
    assert failed(verdict) == []
    assert said(verdict, "pictures") == (
        "1 of 60 pictures cannot be read any more (class1/003.png); the other 59 are the same to "
        "the byte. Where they have moved, say to where: saccade verify RUN --data FOLDER (or "
        "TABLE)."
    )
    shutil.copy(pictures / "class0" / "000.png", pictures / "class1" / "004.png")
    verdict = saccade.verify(run)
    assert failed(verdict) == ["pictures"]
    assert said(verdict, "pictures") == "1 of 60 pictures changed: class1/004.png"


def test_a_run_made_before_answers_were_sealed_is_not_blamed_for_it(run: Path) -> None:
    def age(own: dict) -> None:
        del own["split"]["sealed"], own["files"]

    edit_json(run / "run.json", age)
    verdict = saccade.verify(run)
    assert verdict.believed
    assert [own.name for own in verdict.checks if own.outcome == UNKNOWN] == ["bytes", "seal"]
    assert said(verdict, "seal") == "this run was made before answers of the test part were sealed"


def test_what_is_no_run_is_an_error(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["verify", str(tmp_path)])
    assert done.exit_code == 5
    assert "SACCADE-E560" in done.stderr


TABLES = {
    "regression": ("weight", lambda label, number: f"{label + number / 50}"),
    "multilabel": ("tags", lambda label, number: f"t{label};t{(label + number % 2) % 3}"),
}


@pytest.mark.parametrize("kind", TABLES)
def test_other_tasks_and_groups_are_verified_too(
    made: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(road, "STUDIES", ())
    column, cell = TABLES[kind]
    with (tmp_path / "data.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["file_name", column, "patient"])
        for label in range(3):
            for number in range(12):
                place = made / "pictures" / f"class{label}" / f"{number:03}.png"
                out.writerow([place, cell(label, number), f"p{number}"])
    recipe = QUICK.replace(label_column=column, group_column="patient", epochs=1)
    found = saccade.train(tmp_path / "data.csv", recipe, output=tmp_path / "run")
    assert found.task.kind == kind
    verdict = saccade.verify(tmp_path / "run")
    assert {check.name: check.sentence for check in verdict.checks if check.outcome != HELD} == {}
    assert said(verdict, "leaks").endswith("; 12 groups kept whole")


@pytest.mark.parametrize(
    ("kind", "names"), [("binary", "ba"), ("multiclass", "cab"), ("multilabel", "cab")]
)
def test_labels_from_columns_of_marks_are_verified_and_without_their_names_not_blamed(
    made: Path, tmp_path: Path, kind: str, names: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(road, "STUDIES", ())
    lines = [f"file,{','.join(names)}"]
    for label in range(len(names)):
        for number in range(20):
            marks = [int(place == label) for place in range(len(names))]
            if kind == "multilabel" and number % 2:
                marks[0] = 1
            place = made / "pictures" / f"class{label}" / f"{number:03}.png"
            lines.append(",".join([str(place), *map(str, marks)]))
    (tmp_path / "data.csv").write_text("\n".join(lines) + "\n")
    run = saccade.train(tmp_path / "data.csv", QUICK.replace(epochs=1), output=tmp_path / "run")
    assert (run.task.kind, run.task.classes) == (kind, tuple(sorted(names)))
    verdict = saccade.verify(run.folder)
    assert {own.name: own.sentence for own in verdict.checks if own.outcome != HELD} == {}
    edit_json(run.folder / "run.json", lambda own: own["data"].pop("label_columns"))
    old = saccade.verify(run.folder)
    assert {own.name: own.outcome for own in old.checks if own.outcome != HELD} == {
        "labels": UNKNOWN
    }
    assert said(old, "labels").endswith("from several columns, which run.json does not name")


def calibration_of(kind: str, *, sharpened: float = 1.0, far: float = 60.0) -> str:
    """Return what the check says of an easy problem, whose surest logit is `far` from 0.

    The scores are those of a temperature that is right, or too small by the factor `sharpened`.
    """
    rng = np.random.default_rng(0)
    task = Task(kind=kind, classes=("a", "b") if kind == "binary" else ("a", "b", "c"))
    shape = (400, 3) if kind == "multilabel" else (400,)
    truth = rng.integers(2, size=shape)
    logits = (2 * truth - 1) * rng.gamma(2, 6, size=shape)
    logits[0] *= -0.3
    logits = np.clip(logits.reshape(400, -1), -np.inf, far).astype(np.float32)
    right = temperature(logits, truth, task=task)
    own = Calibration(kind="temperature", temperature=right / sharpened, n=400)
    rows = Predictions(
        task=task, paths=("",) * 400, hashes=("",) * 400, parts=("validation",) * 400,
        truth=truth, scores=own.scores(logits, task=task),
    )  # fmt: skip
    checks = model_checks.ModelChecks(SimpleNamespace(table=rows, task=task))
    checks._bundle = SimpleNamespace(
        trust=SimpleNamespace(part="validation", n=400, calibration=own)
    )
    return checks.calibration()


@pytest.mark.parametrize("kind", ["binary", "multilabel"])
def test_scores_that_were_rounded_to_1_are_not_held_against_a_run(kind: str) -> None:
    assert calibration_of(kind, far=20) == (
        "fitted on 400 validation pictures, and fitted again on them it is the same"
    )
    said = calibration_of(kind)
    assert "scores were rounded to 0 or 1" in said
    with pytest.raises(Failed, match=r"fitted again on them, a temperature is 1\.[1-9]"):
        calibration_of(kind, sharpened=2)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_a_temperature_fitted_again_on_calibrated_scores_is_1(kind: str) -> None:
    rng = np.random.default_rng(0)
    task = Task(kind=kind, classes=("a", "b") if kind == "binary" else ("a", "b", "c"))
    truth = rng.integers(task.num_outputs if kind == "multiclass" else 2, size=80)
    if kind == "multilabel":
        truth = rng.integers(2, size=(80, 3))
    marks = truth[:, None] == np.arange(3) if kind == "multiclass" else truth.reshape(80, -1)
    logits = (6 * (marks - 0.5) + 5 * rng.normal(size=marks.shape)).astype(np.float32)
    found = temperature(logits, truth, task=task)
    assert abs(found - 1) > 0.2
    for fitted, expected in ((found, 1.0), (1.0, found)):  # the second: not calibrated at all
        scores = Calibration(kind="temperature", temperature=fitted).scores(logits, task=task)
        rows = Predictions(
            task=task, paths=("",) * 80, hashes=("",) * 80, parts=("validation",) * 80,
            truth=truth, scores=scores,
        )  # fmt: skip
        again = temperature(model_checks._calibrated_logits(rows), truth, task=task)
        assert again == pytest.approx(expected, abs=1e-6)


def stop(run: Path, *, state: str, kept: tuple[str, ...] = ()) -> None:
    """Make of a finished run one that was stopped before its end."""
    for name in ("metrics.json", "predictions.csv", "trust.json", "report.html"):
        if name not in kept:
            (run / name).unlink()

    def unwrite(own: dict) -> None:
        own["state"] = state
        for key in ("files", "page", "summary"):
            own.pop(key, None)
        del own["split"]["sealed"]

    edit_json(run / "run.json", unwrite)


@pytest.mark.parametrize(
    ("state", "kept", "words"),
    [
        ("interrupted", (), "This run was stopped before its test."),
        ("failed", (), "This run was stopped before its test."),
        ("running", (), "This run did not come to its test: it is at work, or was killed."),
        ("running", ("predictions.csv", "metrics.json"),
         "This run did not come to its end: it is at work, or was killed."),
    ],
)  # fmt: skip
def test_a_run_that_was_stopped_is_called_so_and_not_unbelievable(
    run: Path, state: str, kept: tuple[str, ...], words: str
) -> None:
    stop(run, state=state, kept=kept)
    with contextlib.chdir(run.parent):
        done = CliRunner().invoke(app, ["verify", "run"])
    assert (done.exit_code, done.stdout) == (5, "")
    assert done.stderr == (
        f"error SACCADE-E568: {words}\n  where: run\n  fix:   go on with: saccade resume run\n"
    )


def test_a_run_that_was_stopped_is_not_compared_and_says_why(run: Path, made: Path) -> None:
    stop(run, state="interrupted")
    with pytest.raises(ArtefactError, match="This run was stopped before its test") as told:
        saccade.compare([made / "run", run])
    assert told.value.code == "SACCADE-E568"
    with pytest.raises(ArtefactError, match="This run was stopped before its test"):
        saccade.compare([run, made / "run"])
