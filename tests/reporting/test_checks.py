import copy
import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from saccade.data.task import Task
from saccade.evaluation import usual
from saccade.evaluation.difference import Difference
from saccade.evaluation.paired import compare_tables
from saccade.evaluation.predictions import Predictions
from saccade.evaluation.scores import evaluate
from saccade.printing import end_told
from saccade.reporting import study_suspects
from saccade.reporting.checks import checks
from saccade.reporting.collect import collect
from saccade.reporting.facts import Check, DataFacts, ResultFacts, SplitFacts
from saccade.reporting.folder import SplitRow, read_split
from saccade.reporting.looked import facts_of_look
from saccade.reporting.page import render
from saccade.run import Run

RunOf = Callable[..., Path]


def checks_of(run: Path) -> tuple[Check, ...]:
    return collect(run, picture=lambda path: None).checks


def doubts(run: Path) -> list[str]:
    """Return the doubts beside those that severe findings raise."""
    return [check.sentence for check in checks_of(run) if not check.holds and not check.is_severe]


def edit_run(run: Path, section: str, **fields: object) -> None:
    content = json.loads((run / "run.json").read_text())
    content[section].update(fields)
    (run / "run.json").write_text(json.dumps(content))


def rewrite(table: Path, change: Callable[[list[list[str]]], None]) -> None:
    with table.open(newline="") as file:
        rows = list(csv.reader(file))
    change(rows)
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def test_a_sound_run_raises_no_doubt(run_of: RunOf) -> None:
    run = run_of(num_pictures=1200, error_rate=0.1)
    assert doubts(run) == []
    sentences = [check.sentence for check in checks_of(run) if not check.is_severe]
    assert sentences[0] == (
        "Every file is accounted for: 1,208 files found, 1,200 used, 8 left out with a reason."
    )
    assert "No picture lies in two parts (compared by content hash)." in sentences
    assert any(" pictures (the fewest: " in own for own in sentences)
    assert not any("  " in own for own in sentences)


def test_every_severe_finding_is_a_doubt_and_stands_before_all_else(run_of: RunOf) -> None:
    run = run_of(num_pictures=1200, error_rate=0.1)
    severe = {"kind": "shortcut", "severity": "severe", "paths": [], "action": "look"}
    findings = [
        {**severe, "severity": "warning", "sentence": "1 class folder holds no file."},
        {**severe, "sentence": "The border alone names 0.741 of 27 pictures. It nearly wins."},
        {**severe, "sentence": "2 pictures have two labels: a. B/c = d.", "paths": ["a. B/c", "d"]},
        {**severe, "sentence": "Blue (most of all: dark) tells 'Canis: x'. So.", "paths": ["d"]},
    ]
    edit_run(run, "data", findings=findings)
    first, second, bracketed, third, *_ = checks_of(run)
    assert bracketed.sentence == "Severe: Blue (most of all: dark) tells 'Canis: x'."
    assert first == Check(
        holds=False,
        sentence="Severe: The border alone names 0.741 of 27 pictures.",
        anchor="finding-1",
        is_severe=True,
    )
    assert second == Check(
        holds=False,
        sentence="Severe: 2 pictures have two labels.",
        anchor="finding-2",
        is_severe=True,
    )
    assert third.sentence.startswith("Every file is accounted for")


@pytest.mark.parametrize("num_files", [1207, 1300])
def test_counts_that_do_not_add_up_are_told(run_of: RunOf, num_files: int) -> None:
    run = run_of(num_pictures=1200, error_rate=0.1)
    edit_run(run, "data", num_files=num_files)
    assert doubts(run) == [
        f"The counts do not add up: 1,200 used and 8 left out are not the {num_files:,} found."
    ]


def test_parts_that_do_not_add_up_are_told(run_of: RunOf) -> None:
    run = run_of(num_pictures=1200, error_rate=0.1)
    rewrite(run / "split.csv", lambda rows: rows.pop())
    assert doubts(run) == [
        "The counts do not add up: The parts hold 1,199 pictures together, not 1,200."
    ]


def share(run: Path, *parts: str) -> None:
    """Give the first pictures of these parts the same content."""

    def plant(rows: list[list[str]]) -> None:
        first, *others = (next(row for row in rows[1:] if row[2] == part) for part in parts)
        for own in others:
            own[1] = first[1]

    rewrite(run / "predictions.csv", plant)


def test_a_judged_picture_in_another_part_too_is_found_by_its_content(run_of: RunOf) -> None:
    """It was said beside it that all test pictures neither taught nor chose anything."""
    run = run_of(num_pictures=1200, error_rate=0.1)
    share(run, "train", "validation", "test")
    n = json.loads((run / "metrics.json").read_text())["test"]["accuracy"]["n"]
    *said, width = doubts(run)
    assert width.startswith("The accuracy is known to within ")
    assert width.endswith(f"(95 % interval, n = {n}, 1 known one among them).")
    assert said == [
        f"1 of {n} test pictures has the same content as one of train or validation, so it is not "
        "new to the network.",
        f"{n} test pictures judged the network; {n - 1} of them neither taught it nor chose "
        "anything.",
    ]
    sentences = [check.sentence for check in checks_of(run)]
    assert not any("No picture lies in two parts" in sentence for sentence in sentences)


def test_a_picture_that_taught_and_chose_does_not_make_the_test_part_less_new(
    run_of: RunOf,
) -> None:
    run = run_of(num_pictures=1200, error_rate=0.1)
    share(run, "train", "validation")
    n = json.loads((run / "metrics.json").read_text())["test"]["accuracy"]["n"]
    assert doubts(run) == [
        "1 picture lies in train and validation with the same content, so what was kept was chosen "
        "by pictures that are not all new; no test picture is among them."
    ]
    assert f"{n} test pictures judged the network; they neither taught it nor chose anything." in [
        check.sentence for check in checks_of(run)
    ]


def test_without_a_test_part_it_is_validation_that_is_not_new(run_of: RunOf) -> None:
    run = run_of(num_pictures=1200, error_rate=0.1, parts=("train", "validation"))
    share(run, "train", "validation")
    first, second = (sentence for sentence in doubts(run) if "alidation pictures" in sentence)
    assert first.endswith(
        "validation pictures has the same content as one of train, so it is not new to the network."
    )
    assert second.startswith("There is no test part")


def test_a_group_in_two_parts_is_found(run_of: RunOf) -> None:
    run = run_of(num_pictures=1200, error_rate=0.1)

    def plant(rows: list[list[str]]) -> None:
        for part in ("train", "test"):
            next(row for row in rows[1:] if row[2] == part)[3] = "patient 7"

    rewrite(run / "split.csv", plant)
    assert doubts(run) == ["1 group lies in more than one part."]


def test_copies_in_two_parts_are_called_so(run_of: RunOf) -> None:
    run = run_of(num_pictures=1200, error_rate=0.1)

    def plant(rows: list[list[str]]) -> None:
        for part in ("train", "test"):
            next(row for row in rows[1:] if row[2] == part)[3] = "same:0123456789ab"

    rewrite(run / "split.csv", plant)
    assert doubts(run) == ["1 set of copies lies in more than one part."]


def test_a_class_without_test_pictures_is_named(run_of: RunOf) -> None:
    run = run_of(num_pictures=1200, error_rate=0.1, absent_from_test="rose")
    assert doubts(run) == ["No test picture shows rose, so nothing is known about it."]


def test_few_test_pictures_are_named_and_the_wide_interval_too(run_of: RunOf) -> None:
    run = run_of(num_pictures=90)
    told = " ".join(doubts(run))
    assert "daisy, rose and tulip have fewer than 30 test pictures" in told
    assert "which is wide" in told


def test_no_better_than_the_majority_class_is_a_doubt(run_of: RunOf) -> None:
    run = run_of(num_pictures=1200, error_rate=0.99)
    assert any(s.startswith("It is not shown to be better than always naming") for s in doubts(run))


def table_of(
    kind: str, truth: np.ndarray, scores: np.ndarray, parts: list[str], classes: tuple[str, ...]
) -> Predictions:
    nothing = ("",) * len(truth)
    return Predictions(
        task=Task(kind=kind, classes=classes),  # type: ignore[arg-type]
        paths=tuple(map(str, range(len(truth)))),
        hashes=nothing,
        parts=tuple(parts),
        truth=truth,
        scores=scores,
    )


def coin(num_both: int, num_ours: int) -> Predictions:
    """Return 50 ants and 50 bees, of which so many ants and so many bees are named rightly."""
    truth = np.array([0] * 50 + [1] * 50)
    said = np.array([0] * num_both + [1] * (50 - num_both) + [1] * num_ours + [0] * (50 - num_ours))
    taught = np.array([0, 0, 1])  # ants are the more frequent
    return table_of(
        "binary",
        np.concatenate([truth, taught]),
        np.eye(2)[np.concatenate([said, taught])],
        ["test"] * 100 + ["train"] * 3,
        ("ant", "bee"),
    )


def of_baseline(table: Predictions, groups: list[str] | None = None) -> Check:
    rows = [
        SplitRow(path=path, label="", part=part, group=group, why="")
        for path, part, group in zip(
            table.paths, table.parts, groups or [""] * len(table), strict=True
        )
    ]
    results = ResultFacts(part="test", metrics=evaluate(table, groups=groups))
    found = checks(
        table.task,
        data=DataFacts(),
        split=SplitFacts(),
        results=results,
        rows=rows,
        predictions=table,
    )
    return next(check for check in found if "than always" in check.sentence)


def test_better_than_the_majority_is_asked_picture_by_picture() -> None:
    """The interval of 62 of 100 lies above 0.5; 31 gained and 19 lost may still be chance."""
    own = of_baseline(coin(31, 31))
    p = binomtest(19, 50).pvalue  # scipy: McNemar's exact test
    assert own == Check(
        holds=False,
        sentence="It is not shown to be better than always naming the most frequent class: "
        "accuracy 0.620 [0.522, 0.709] against 0.500, apart by +0.120 [−0.019, +0.254], "
        f"p = {p:.3f} (n = 100, the same pictures).",
    )
    assert of_baseline(coin(40, 31)).holds


def test_only_the_part_that_is_shown_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def counting(first: Predictions, *own: object, **named: object) -> Difference:
        asked.append(len(first))
        return compare_tables(first, *own, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(usual, "compare_tables", counting)
    of_baseline(coin(31, 31))
    assert asked == [100]  # and not the three of the training part


def test_pictures_of_a_group_are_not_counted_one_by_one_beside_the_majority() -> None:
    groups = [str(row // 25) for row in range(100)] + ["", "", ""]
    assert of_baseline(coin(50, 25)).holds
    assert not of_baseline(coin(50, 25), groups).holds  # two groups lost nothing, one gained all


@pytest.mark.parametrize(
    ("skill", "holds"), [(3.0, True), (0.0, False)], ids=["it knows", "it guesses"]
)
@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("multilabel", "the most frequent labels: subset accuracy"),
        ("regression", "answering the mean: mean absolute error"),
    ],
)
def test_labels_and_numbers_are_compared_with_one_answer_too(
    kind: str, what: str, skill: float, *, holds: bool
) -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(200, 2))
    truth = rng.random((200, 2)) < 0.4
    scores = 1 / (1 + np.exp(-(skill * (2.0 * truth - 1) + noise)))
    parts = ["test", "train"] * 100
    if kind == "regression":
        numbers = rng.normal(size=200)
        said = skill / 3 * numbers + noise[:, 0] / 2
        table = table_of(kind, numbers, said[:, None], parts, ())
    else:
        table = table_of(kind, truth.astype(np.uint8), scores, parts, ("sea", "sky"))
    own = of_baseline(table)
    assert own.holds == holds
    assert what in own.sentence


def with_studies(run: Path, **studies: object) -> Path:
    trust = {"format_version": 1, "studies": studies, "left_out": {}, "seconds": {}}
    (run / "trust.json").write_text(json.dumps(trust))
    return run


def test_what_studies_found_against_the_network_is_a_doubt(run_of: RunOf) -> None:
    from tests.reporting import test_study_baselines, test_study_limits

    baselines = copy.deepcopy(test_study_baselines.FOUND)
    limits = copy.deepcopy(test_study_limits.LIMITS)
    run = run_of(num_pictures=1200, error_rate=0.1)
    assert doubts(with_studies(run, baselines=baselines, limits=limits)) == []
    fine_tuned = baselines["comparisons"][4]
    fine_tuned |= {"better": False, "worse": True}
    limits["coverages"][1]["measured"] |= {"value": 0.7, "low": 0.63, "high": 0.76}
    simpler, promise = doubts(with_studies(run, baselines=baselines, limits=limits))
    assert simpler.startswith("A head on frozen features does better than the network that ships")
    assert promise.startswith("A promise was not kept, beyond chance. With --coverage 0.95")
    assert promise.endswith("0.700 [0.630, 0.760] did.")


def test_many_labels_that_are_surely_contradicted_are_a_doubt(run_of: RunOf) -> None:
    from tests.reporting import test_study_suspects

    run = run_of(num_pictures=1200, error_rate=0.1)
    quiet = [
        test_study_suspects.findings(num_sure=7),  # of 800
        test_study_suspects.findings(num_sure=90, kind="regression"),
    ]
    for few in quiet:
        assert doubts(with_studies(run, suspects=few)) == []
        assert not any(own.startswith("labels") for own in end_told(Run(folder=run)))
    many = test_study_suspects.findings(num_sure=9, validation={"n": 120, "num_sure": 1})
    with_studies(run, suspects=many)
    (doubt,) = (own for own in checks_of(run) if not own.holds and not own.is_severe)
    said = (
        "9 of 800 labels (1.1 %) in the training and validation parts look wrong: a simple model "
        "that did not learn from these pictures surely contradicts them, as it does up to 3 of 100 "
        "that are right but hard to tell. Look at these first."
    )
    assert doubt.sentence == (
        f"{said} Of the 120 in the validation part 1 is among them: by that part networks are "
        "chosen and what they promise is set, and it counts as a mistake if its label is wrong."
    )
    assert Run(folder=run).doubted_labels == doubt.sentence
    assert f"labels: {doubt.sentence}" in list(end_told(Run(folder=run)))
    sampled = {**many, "num_pictures": 9000, "validation": {"n": 120, "num_sure": 0}}
    whole = said.replace("labels (1.1 %)", "pictures, by their labels (1.1 %)")
    hard = study_suspects.doubted({**sampled, "num_pictures": 800, "contradicted": 0.3})
    assert hard == (
        "9 of 800 labels (1.1 %) in the training and validation parts are wrong or hard to tell: a "
        "simple model that did not learn from these pictures surely contradicts them, among so "
        "many others that it cannot say which. Look at these first."
    )
    of_sample = whole.replace("parts look", "parts (an even sample) look")
    assert study_suspects.doubted({**sampled, "kind": "multilabel"}) == of_sample
    facts = collect(run, picture=lambda path: None)
    assert facts.advice[0].evidence == (
        "9 of 800 labels (1.1 %) in the training and validation parts look wrong."
    )
    html = render(facts)
    assert f'<a href="#{doubt.anchor}">More</a>' in html
    assert html.count(f'id="{doubt.anchor}"') == 1


def test_a_look_before_learning_says_so_too(run_of: RunOf) -> None:
    from tests.reporting import test_study_suspects

    run = run_of(num_pictures=1200, error_rate=0.1)
    facts = json.loads((run / "run.json").read_text())
    found = test_study_suspects.findings(num_sure=9)
    page = facts_of_look(
        {**facts["data"], "split": facts["split"]},
        read_split(run),
        name="photos",
        summary="All can be used.",
        task=Run(folder=run).task,
        trust={"studies": {"suspects": found}, "left_out": {}},
        picture=lambda path: None,
        version="1",
    )
    assert study_suspects.doubted(found) in [own.sentence for own in page.checks if not own.holds]


@pytest.mark.parametrize(("severity", "holds"), [("note", True), ("warning", False)])
def test_corrected_labels_stand_on_the_first_screen(
    run_of: RunOf, severity: str, holds: bool
) -> None:
    from tests.reporting import test_study_suspects

    run = run_of(num_pictures=1200, error_rate=0.1)
    counts = "Of 3 corrected labels, 1 in train, 0 in validation, 2 in test."
    sentence = f"{counts} 2 test labels were changed: a.jpg, b.jpg."
    finding = {"kind": "corrected", "severity": severity, "paths": ["a.jpg", "b.jpg"], "action": ""}
    edit_run(run, "data", findings=[{**finding, "sentence": sentence}])
    scores = {
        name: test_study_suspects.estimate(value, 0.8, 0.9, 200)
        for name, value in (("as_given", 0.84), ("corrected", 0.86))
    }
    told = {
        "num": {"train": 1, "validation": 0, "test": 2}, "num_left_out": 0, "effect": None,
        "test_paths": ["a.jpg", "b.jpg"], "test": scores,
    }  # fmt: skip
    with_studies(run, suspects=test_study_suspects.findings(num_sure=0, corrections=told))
    (check,) = (own for own in checks_of(run) if "corrected" in own.sentence)
    assert (check.holds, check.anchor) == (holds, "finding-1")
    assert check.sentence == (
        f"{counts} 2 test labels were changed. With the test labels as they were, the accuracy of "
        "this network would be 0.840 instead of 0.860 (n = 200)."
    )
    assert Run(folder=run).corrected_labels == f"{counts} 2 test labels were changed."
    (run / "suspects.csv").write_text("file,label\n")
    assert f"labels: {counts} 2 test labels were changed." in list(end_told(Run(folder=run)))
    assert not any("suspects.csv" in own for own in end_told(Run(folder=run)))  # none in doubt
    with_studies(run, suspects=test_study_suspects.findings(corrections=told))
    assert any(
        own.strip().startswith(str(run / "suspects.csv")) for own in end_told(Run(folder=run))
    )


def test_pictures_that_were_not_looked_at_are_a_doubt(run_of: RunOf) -> None:
    run = run_of(num_pictures=1200, error_rate=0.1)
    content = json.loads((run / "run.json").read_text())
    for own in content["data"]["skipped"][:5]:
        own["reason"] = "limit"
    (run / "run.json").write_text(json.dumps(content))
    assert doubts(run) == [
        "Only 1,203 of 1,208 files were looked at (--limit, --budget): copies, wrong labels and "
        "damage among the other 5 were not searched for."
    ]
