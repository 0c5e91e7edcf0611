import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from saccade.reporting.collect import collect
from saccade.reporting.page import render
from saccade.runtime.errors import ArtefactError

RunOf = Callable[..., Path]
GRAY = np.full((64, 64, 3), 90, np.uint8)


def gray(path: str) -> np.ndarray:
    return GRAY


def change(run: Path, **fields: object) -> None:
    content = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**content, **fields}))


def test_the_facts_are_those_of_the_files(run_of: RunOf) -> None:
    run = run_of()
    facts = collect(run, picture=gray)
    written = json.loads((run / "run.json").read_text())
    assert facts.name == "flowers"
    assert facts.state == "finished"
    assert facts.summary == written["summary"]
    assert facts.task.classes == ("daisy", "rose", "tulip")
    assert (facts.data.num_files, facts.data.num_used, len(facts.data.skipped)) == (248, 240, 8)
    assert facts.split.counts == written["split"]["counts"]
    assert sum(facts.split.sizes.values()) == 240
    assert facts.seed == 0
    assert facts.model.input_px == 224
    assert facts.gaps == ()


def test_the_test_part_is_judged_and_every_number_agrees_with_metrics_json(run_of: RunOf) -> None:
    run = run_of()
    results = collect(run, picture=gray).results
    metrics = json.loads((run / "metrics.json").read_text())["test"]
    assert results.part == "test"
    assert results.confusion is not None
    right = results.confusion.trace() / results.confusion.sum()
    assert right == pytest.approx(metrics["accuracy"]["value"])
    assert results.num_wrong == results.confusion.sum() - results.confusion.trace()
    assert results.judged["accuracy"].n == metrics["accuracy"]["n"] == results.confusion.sum()


def test_without_a_test_part_validation_is_judged(run_of: RunOf) -> None:
    facts = collect(run_of(parts=("train", "validation")), picture=gray)
    assert facts.results.part == "validation"
    assert "There is no test part" in " ".join(c.sentence for c in facts.checks if not c.holds)


def test_training_pictures_never_judge(run_of: RunOf) -> None:
    facts = collect(run_of(parts=("train",)), picture=gray)
    assert facts.results.part == ""
    assert facts.results.mistakes == ()


def test_an_unfinished_run_has_facts_too(run_of: RunOf) -> None:
    facts = collect(run_of(state="running", num_epochs=3), picture=gray)
    assert (facts.state, facts.has_model, facts.results.part) == ("running", False, "")
    assert len(facts.learning.epochs) == 3
    assert len(facts.examples) == 3


def test_a_run_that_wrote_nothing_but_its_first_line_has_facts_too(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"format_version": 1, "state": "running"}')
    facts = collect(tmp_path, picture=gray)
    assert facts.state == "running"
    assert facts.checks == ()
    assert facts.advice == ()


@pytest.mark.parametrize("section", ["data", "split", "model", "seconds", "versions", "machine"])
def test_a_section_that_is_missing_leaves_a_gap_and_no_error(run_of: RunOf, section: str) -> None:
    run = run_of()
    change(run, **{section: None})
    assert collect(run, picture=gray).state == "finished"


def test_pictures_that_are_gone_are_counted_and_told(run_of: RunOf) -> None:
    facts = collect(run_of(), picture=lambda path: None)
    shown = {p.name for g in facts.examples for p in g.pictures}
    shown |= {m.picture.name for m in facts.results.mistakes}
    shown |= {p.name for pair in facts.results.pairs for p in pair.pictures}
    assert facts.gaps == (
        f"{len(shown)} pictures are no longer where the run found them and could not be shown.",
    )
    assert all(p.jpeg == b"" for g in facts.examples for p in g.pictures)


def test_the_pictures_of_a_class_are_of_that_class_and_of_the_training_part(run_of: RunOf) -> None:
    run = run_of()
    lines = (run / "split.csv").read_text().splitlines()[1:]
    known = {line.split(",")[0]: line.split(",")[1:3] for line in lines}
    examples = collect(run, picture=gray).examples
    assert {gallery.caption for gallery in examples} == {"daisy", "rose", "tulip"}
    for gallery in examples:
        assert gallery.pictures
        for picture in gallery.pictures:
            assert known[picture.name] == [gallery.caption, "train"]


def test_a_preview_keeps_its_rows(run_of: RunOf) -> None:
    facts = collect(run_of(), picture=gray, preview=[("rotation ±15°", [GRAY, GRAY])])
    (row,) = facts.preview
    assert row.caption == "rotation ±15°"
    assert [(p.width_px, p.jpeg[:2]) for p in row.pictures] == [(64, b"\xff\xd8")] * 2


def test_a_multi_label_run_counts_each_label(run_of: RunOf) -> None:
    facts = collect(run_of(kind="multilabel", classes=("cat", "dog")), picture=gray)
    n = facts.split.sizes["test"]
    assert [c.label for c in facts.results.label_counts] == ["cat", "dog"]
    assert all(c.found + c.missed + c.added + c.absent == n for c in facts.results.label_counts)
    assert facts.results.confusion is None
    assert {g.caption for g in facts.examples} == {"cat", "dog"}


def test_a_regression_run_has_truths_and_predictions_and_the_largest_residuals(
    run_of: RunOf,
) -> None:
    results = collect(run_of(kind="regression"), picture=gray).results
    assert results.truth is not None
    assert results.prediction is not None
    residuals = np.sort(np.abs(results.truth - results.prediction))[::-1]
    worst = [abs(float(m.remark.split()[-1].replace("−", "-"))) for m in results.mistakes]
    assert worst == pytest.approx(residuals[: len(worst)].tolist(), rel=0.01)


def test_the_history_becomes_curves(run_of: RunOf) -> None:
    learning = collect(run_of(num_epochs=12), picture=gray).learning
    assert [e.number for e in learning.epochs] == list(range(1, 13))
    assert learning.score_name == "accuracy"
    assert len(learning.gradients) == 12
    assert [name for name, _ in learning.gradients[0].norms][-1] == "head"


def test_an_epoch_that_recorded_little_can_still_be_shown(run_of: RunOf) -> None:
    run = run_of()
    lines = [json.dumps({"event": "epoch", "epoch": k, "train_loss": None}) for k in (1, 2)]
    (run / "history.jsonl").write_text("\n".join(lines) + "\n")
    facts = collect(run, picture=gray)
    assert [e.number for e in facts.learning.epochs] == [1, 2]
    assert "<section" in render(facts)


def test_a_solved_head_keeps_its_penalties_in_order(run_of: RunOf) -> None:
    head = collect(run_of(), picture=gray).learning.head
    assert head is not None
    assert [p for p, _ in head.candidates] == pytest.approx([10.0**k for k in range(-5, 3)])
    assert (head.penalty, head.measured) == (0.1, "score")


def test_a_penalty_judged_by_its_loss_says_so(run_of: RunOf) -> None:
    run = run_of()
    event = {
        "event": "head",
        "penalty": 1,
        "candidates": [{"penalty": 1, "loss": 0.3}, {"penalty": 0.1, "loss": 0.4}],
    }
    (run / "history.jsonl").write_text(json.dumps(event) + "\n")
    head = collect(run, picture=gray).learning.head
    assert head is not None
    assert (head.measured, head.candidates) == ("loss", ((0.1, 0.4), (1.0, 0.3)))


def test_the_folder_in_the_commands_holds_no_path_of_the_machine(run_of: RunOf) -> None:
    facts = collect(run_of("runs/flowers"), picture=gray)
    assert facts.folder == "runs/flowers"


def test_facts_do_not_change(run_of: RunOf) -> None:
    facts = collect(run_of(), picture=gray)
    with pytest.raises(dataclasses.FrozenInstanceError):
        facts.name = "other"  # type: ignore[misc]


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError) as caught:
        collect(tmp_path, picture=gray)
    assert caught.value.code == "SACCADE-E560"


@pytest.mark.parametrize(
    ("section", "content"),
    [
        ("data", {"skipped": [{"path": "a"}]}),
        ("data", {"num_files": "many"}),
        ("data", {"findings": 3}),
        ("split", {"counts": {"train": 3}}),
        ("model", {"layers": [{}]}),
    ],
)
def test_a_field_of_another_kind_is_an_error_that_names_the_file(
    run_of: RunOf, section: str, content: object
) -> None:
    run = run_of()
    change(run, **{section: content})
    with pytest.raises(ArtefactError) as caught:
        collect(run, picture=gray)
    assert caught.value.code == "SACCADE-E561"
    assert caught.value.where == str(run / "run.json")


def test_without_a_task_in_run_json_the_predictions_tell_it(run_of: RunOf) -> None:
    run = run_of()
    change(run, data=None)
    assert collect(run, picture=gray).task.classes == ("daisy", "rose", "tulip")
