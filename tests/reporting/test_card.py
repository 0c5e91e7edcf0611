import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from saccade.data.task import Task
from saccade.evaluation.calibration import Calibration
from saccade.evaluation.scores import from_json
from saccade.reporting.card import card_text
from saccade.reporting.folder import read_history

RunOf = Callable[..., Path]


def ledger(run: Path) -> tuple[dict[str, Any], Task, dict[str, Any]]:
    facts = json.loads((run / "run.json").read_text())
    fields = facts["data"]["task"]
    task = Task(**{**fields, "classes": tuple(fields["classes"])})
    metrics = run / "metrics.json"
    return facts, task, from_json(json.loads(metrics.read_text())) if metrics.is_file() else {}


def front_matter(text: str) -> list[str]:
    first, middle, _ = text.split("---\n", 2)
    assert first == ""
    return middle.splitlines()


def test_the_front_matter_is_what_a_model_hub_reads(run_of: RunOf) -> None:
    facts, task, metrics = ledger(run_of())
    lines = front_matter(card_text(facts, task, metrics))
    assert lines[:8] == [
        "library_name: timm",
        "tags:",
        "- image-classification",
        "- timm",
        "- saccade",
        "pipeline_tag: image-classification",
        "license: bsd-3-clause",
        "metrics:",
    ]
    assert '    - type: "accuracy"' in lines
    assert f"      value: {metrics['test']['accuracy'].value:.6g}" in lines


def test_the_front_matter_is_yaml(run_of: RunOf) -> None:
    yaml = pytest.importorskip("yaml")
    facts, task, metrics = ledger(run_of())
    content = yaml.safe_load("\n".join(front_matter(card_text(facts, task, metrics))))
    (entry,) = content["model-index"]
    (result,) = entry["results"]
    assert result["dataset"] == {"type": "imagefolder", "name": "flowers", "split": "test"}
    values = {m["type"]: m["value"] for m in result["metrics"]}
    assert values["accuracy"] == pytest.approx(metrics["test"]["accuracy"].value, rel=1e-5)


def test_a_licence_the_hub_does_not_know_is_given_by_name(run_of: RunOf) -> None:
    facts, task, metrics = ledger(run_of())
    facts["model"]["weights"]["licence"] = "research only"
    lines = front_matter(card_text(facts, task, metrics))
    assert lines[6:8] == ["license: other", 'license_name: "research only"']


def test_weights_from_scratch_name_no_licence(run_of: RunOf) -> None:
    facts, task, metrics = ledger(run_of())
    facts["model"]["weights"] = {"source": "none: from scratch", "licence": "", "sha256": ""}
    assert not any(
        line.startswith("license") for line in front_matter(card_text(facts, task, metrics))
    )


def test_every_metric_stands_with_its_interval_and_its_n(run_of: RunOf) -> None:
    facts, task, metrics = ledger(run_of())
    own = metrics["test"]["accuracy"]
    row = f"| Accuracy | {own.value:.3f} | {own.low:.3f} to {own.high:.3f} | {own.n} |"
    text = card_text(facts, task, metrics)
    assert row in text.splitlines()
    assert "| Baseline: majority class |" in text
    assert "| daisy | " in text


def test_severe_findings_stand_before_the_numbers_and_only_there(run_of: RunOf) -> None:
    facts, task, metrics = ledger(run_of())
    facts["data"]["findings"].append(
        {"kind": "empty", "severity": "warning", "sentence": "1 class folder holds no file."}
    )
    text = card_text(facts, task, metrics)
    severe = "- ! 2 pictures are the same but have different labels."
    assert "**What speaks against believing it (1 severe finding in the data):**" in text
    assert text.count("2 pictures are the same") == 1
    assert text.index(severe) < text.index("## How good it is")
    assert "- 1 class folder holds no file." in text.splitlines()


def test_a_model_that_was_not_tested_says_so_first(run_of: RunOf) -> None:
    facts, task, _ = ledger(run_of(state="interrupted"))
    text = card_text(facts, task, {})
    assert "**This model was not tested.**" in text
    assert "## How good it is" not in text
    assert "model-index:" not in text


def test_numbers_of_the_validation_part_are_marked_as_flattering(run_of: RunOf) -> None:
    text = card_text(*ledger(run_of(parts=("train", "validation"))))
    assert "**There was no test part.**" in text
    assert "## How good it is (validation part)" in text


@pytest.mark.parametrize(
    ("fields", "sentence", "last"),
    [
        ({}, "their softmax are the scores", "scores = logits.softmax(dim=1)"),
        (
            {"kind": "binary", "classes": ("ant", "bee")},
            "its sigmoid is the score of the second class",
            "score_of_the_second_class = logits.sigmoid()",
        ),
        (
            {"kind": "multilabel", "classes": ("cat", "dog")},
            "its sigmoid is the label's score",
            "scores = logits.sigmoid()",
        ),
        ({"kind": "regression"}, "The output is standardised", "value = logits * 1.0 + 0.0"),
    ],
)
def test_each_kind_of_answer_is_explained(
    run_of: RunOf, fields: dict[str, Any], sentence: str, last: str
) -> None:
    text = card_text(*ledger(run_of(**fields)))
    assert sentence in text
    assert last in text.splitlines()


def test_the_snippets_are_python(run_of: RunOf) -> None:
    text = card_text(*ledger(run_of()))
    snippets = text.split("```python\n")[1:]
    assert len(snippets) == 2
    for snippet in snippets:
        compile(snippet.split("```")[0], "card", "exec")


def test_a_network_from_scratch_has_no_timm_snippet(run_of: RunOf) -> None:
    facts, task, metrics = ledger(run_of())
    facts["model"]["name"] = "cnn"
    assert "timm.create_model" not in card_text(facts, task, metrics)


def test_no_name_leaves_its_line_or_becomes_markup(run_of: RunOf) -> None:
    bad = 'x"\n---\n# Owned\n|<script>alert(1)</script>](javascript:1)`\u202e'
    facts, task, metrics = ledger(run_of(classes=("a" + bad, "b"), hostile=bad))
    text = card_text(facts, task, metrics)
    assert text.count("\n---\n") == 1  # the end of the front matter
    assert "\n# Owned" not in text
    body = text.split("\n---\n")[1]
    outside_code = "".join(body.split("`")[::2])
    assert "<script>" not in outside_code
    assert "\u202e" not in text


def test_a_card_can_be_written_from_nothing_but_a_task() -> None:
    task = Task(kind="multiclass", classes=("a", "b"))
    assert "**This model was not tested.**" in card_text({}, task, {})


def test_a_thousand_classes_are_not_listed(run_of: RunOf) -> None:
    facts, task, metrics = ledger(run_of())
    many = dataclasses.replace(task, classes=tuple(f"c{k}" for k in range(1000)))
    text = card_text(facts, many, metrics)
    assert "and 940 more (config.json, `label_names`)" in text


def test_the_card_says_which_stages_learned_and_how_that_was_chosen(run_of: RunOf) -> None:
    run = run_of(ladder="+-")
    facts, task, metrics = ledger(run)
    events, _ = read_history(run)
    text = card_text(facts, task, metrics, events=events)
    assert (
        "The head and the last of 9 stages learned: on the freezing ladder the rung last stage "
        "brought a gain, 90 % sure on the validation part, last 2 stages did not."
    ) in text.splitlines()
    assert "The head and the last of 9 stages learned, as asked." not in text


def test_without_its_history_the_card_still_says_which_stages_learned(run_of: RunOf) -> None:
    text = card_text(*ledger(run_of(ladder="+")))
    assert "The head and the last of 9 stages learned." in text.splitlines()


KNOWN = Calibration(kind="temperature", temperature=1.3, n=120)
TELLS = "marks pictures unlike those learned from as `unknown`, where enough were held out to tell"


@pytest.mark.parametrize(
    ("fields", "said", "unsaid"),
    [
        ({}, "`--coverage` gives sets of classes", "stretches"),
        ({"kind": "multilabel", "classes": ("cat", "dog")}, "gives sets of labels", "always answ"),
        ({"kind": "regression"}, "`--coverage` gives stretches of values", "--min-accuracy"),
    ],
)
def test_a_card_says_that_saccade_tells_what_is_unknown_and_what_may_be_withheld(
    run_of: RunOf, fields: dict[str, Any], said: str, unsaid: str
) -> None:
    """It said that a model always answers one of its classes, which may mark it as unknown."""
    text = card_text(*ledger(run_of(**fields)), calibration=KNOWN)
    limits = text[text.index("## What it cannot do") :].partition("## Where it comes from")[0]
    assert TELLS in limits
    assert said in limits
    assert unsaid not in limits
    assert "It always answers" not in limits
    assert ("`--min-accuracy` withholds unsure answers" in limits) == (unsaid != "--min-accuracy")


def test_a_model_that_knows_nothing_of_its_answers_is_not_said_to_mark_any(run_of: RunOf) -> None:
    text = card_text(*ledger(run_of()))
    assert "The network always answers one of its classes" in text
    assert "unknown" not in text


def test_whoever_hands_the_model_on_is_told_that_pictures_travel_with_it(run_of: RunOf) -> None:
    text = card_text(*ledger(run_of()))
    assert "pictures travel with the model, in `golden/`, byte for byte" in text
