"""Suspect labels on the page: what is said, what is shown, and what a hostile name can do."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saccade.reporting import study_suspects
from saccade.reporting.collect import collect
from saccade.reporting.page import render
from saccade.reporting.pictures import Album
from saccade.runtime.store import encode_name

RunOf = Callable[..., Path]


def suspect(rank: int, *, label: str = "rose", likelier: str = "tulip") -> dict[str, Any]:
    return {
        "path": encode_name(f"{label}/{rank}.jpg"),
        "label": encode_name(label),
        "likelier": encode_name(likelier),
        "score": 0.04,
        "rank": rank,
        "why": f"probe: {encode_name(likelier)} 0.93, {encode_name(label)} 0.01",
        "sure": True,
    }


def estimate(value: float, low: float, high: float, n: int) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "n": n, "method": "made up"}


def findings(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "multiclass",
        "features": "mobilenetv2_100",
        "n": 800,
        "num_pictures": 800,
        "num_listed": 95,
        "num_sure": 9,
        "share": estimate(0.015, 0.006, 0.027, 800),
        "num_conflicts": 0,
        "pairs": [
            {
                "label": "rose",
                "likelier": "tulip",
                "num": 6,
                "share": estimate(0.05, 0.023, 0.105, 120),
                "noise": 0.061,
            }
        ],
        "suspects": [suspect(rank) for rank in range(1, 31)],
        "corrections": None,
        "num_review": 0,
    } | changes


def page(run: Path, found: dict[str, Any]) -> str:
    trust = {"format_version": 1, "studies": {"suspects": found}, "left_out": {}, "seconds": {}}
    (run / "trust.json").write_text(json.dumps(trust))
    html = render(collect(run, picture=lambda path: np.zeros((8, 8, 3), np.uint8)))
    return html[html.index("Labels that may be wrong") :]


def test_the_result_is_a_sentence_with_its_n_and_how_far_it_is_to_be_believed(
    run_of: RunOf,
) -> None:
    html = page(run_of(), findings())
    assert (
        "Of the labels of the training and validation parts, about 12 of 800 (1.5 %, somewhere "
        "from 0.6 % to 2.7 %) are probably wrong. A probe contradicts 95 of the 800, 9 surely."
    ) in html
    assert "look before you correct" in html


def test_of_sets_of_labels_it_is_said_for_which_the_probe_is_too_weak(run_of: RunOf) -> None:
    own = {"kind": "multilabel", "share": None, "pairs": [], "n": 124, "num_listed": 5}
    weak = [
        {"label": "dark", "has": False, "num": 40, "n": 62},
        {"label": "old", "has": True, "num": 3, "n": 5},
    ]
    html = page(run_of(), findings(**own, num_sure=2, weak=weak))
    assert (
        "5 of 124 pictures have or lack a label against what a probe says, 2 of them surely; how "
        "many are wrong is not estimated for sets of labels. It is too weak to accuse a picture of "
        "dark (it contradicts 40 of the 62 that lack it) or old (it contradicts 3 of the 5 that "
        "have it)."
    ) in html
    html = page(run_of("again"), findings(**own, num_sure=0))  # as an earlier run wrote it
    assert "have or lack a label against what a probe says, none of them surely; how many" in html


def test_suspects_are_shown_with_label_likelier_label_and_score_twelve_of_them_at_once(
    run_of: RunOf,
) -> None:
    html = page(run_of(), findings())
    gallery = html[html.index('<ul class="mistakes after">') : html.index("</ul>")]
    assert gallery.count("<li>") == gallery.count("<img ") == 12
    assert '<span class="dim">labelled</span> rose<br><span class="dim">likelier</span> tulip' in (
        gallery
    )
    assert "surely contradicted, score 0.040; probe: tulip 0.93, rose 0.01" in gallery
    folded = html[html.index("The next 18 suspects") :]
    assert folded[: folded.index("</ul>")].count("<img ") == 18
    assert "The 30 suspects, the most doubtful first" in html
    assert "--corrections suspects.csv" in html
    assert "write <code>yes</code> into the column <code>confirmed</code>" in html


def test_it_is_said_how_many_are_not_accused_again(run_of: RunOf) -> None:
    html = page(run_of(), findings(num_settled=7))
    assert (
        "are probably wrong. 7 of them were put right or confirmed by a table of corrections, and "
        "are not accused. A probe contradicts 95 of the 793 others, 9 surely."
    ) in html
    html = page(run_of("all"), findings(num_settled=7, num_listed=0, num_sure=0))
    assert "are not accused. The probe contradicts none of the others." in html
    html = page(run_of("one"), findings(num_settled=1))
    assert "1 of them was put right or confirmed by a table of corrections, and is not" in html
    assert "not accused." not in page(run_of("none"), findings(num_settled=0))


def test_pairs_have_their_n_and_interval(run_of: RunOf) -> None:
    html = page(run_of(), findings())
    row = html[html.index('<tr><th scope="row">rose</th>') :].split("</tr>")[0]
    assert "<td>tulip</td>" in row
    assert '<span class="num">5.0 %</span><span class="ci">2.3 % to 10.5 %</span>' in row
    assert '<td class="r">120</td>' in row
    assert '<td class="r">6.1 %</td>' in row


def test_where_nothing_is_suspect_there_is_no_gallery(run_of: RunOf) -> None:
    found = findings(
        suspects=[], pairs=[], num_listed=0, num_sure=0, share=estimate(0.0, 0.0, 0.005, 800)
    )
    html = page(run_of(), found)
    assert "The probe contradicts none of them." in html
    assert "labelled</span>" not in html
    assert "Which label stands for which" not in html


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("regression", "95 of 800 are far from what a probe expects."),
        (
            "multilabel",
            "95 of 800 pictures have or lack a label against what a probe says, 9 of them surely",
        ),
    ],
)
def test_other_tasks_claim_no_share(run_of: RunOf, kind: str, sentence: str) -> None:
    html = page(run_of(), findings(kind=kind, share=None, pairs=[]))
    assert sentence in html
    assert "are probably wrong." not in html


def test_a_sample_is_called_one(run_of: RunOf) -> None:
    html = page(run_of(), findings(num_pictures=90_000))
    assert "Of the labels of the training and validation parts (an even sample), about 12" in html


def test_the_review_is_explained_where_there_is_one_and_not_otherwise(run_of: RunOf) -> None:
    with_one = page(run_of(), findings(num_review=24))
    assert "24 test pictures without label or answer" in with_one
    assert "--corrections review.csv" in with_one
    without = page(run_of(), findings())
    assert "No test picture is accused here" in without
    assert "review.csv" not in without


def test_whoever_reads_from_above_meets_the_review_before_the_mistakes(run_of: RunOf) -> None:
    run = run_of()
    page(run, findings(num_review=24))
    html = render(collect(run, picture=lambda path: np.zeros((8, 8, 3), np.uint8)))
    assert html.index("labelled again, blind") < html.index("<h3>The worst mistakes")


def test_what_corrections_brought_is_told_with_both_test_scores(run_of: RunOf) -> None:
    corrections = {
        "num": {"train": 9, "validation": 2, "test": 1},
        "num_left_out": 3,
        "test_paths": ["rose/7.jpg"],
        "effect": {
            "score_name": "accuracy",
            "difference": estimate(0.03, 0.01, 0.05, 120),
            "p": 0.01,
            "sentence": "On the same 120 pictures corrected labels names 4 more rightly.",
            "num_train": 680,
        },
        "test": {
            "as_given": estimate(0.9, 0.85, 0.93, 200),
            "corrected": estimate(0.905, 0.855, 0.94, 200),
        },
    }
    html = page(run_of(), findings(corrections=corrections))
    assert "9 in train, 2 in validation and 1 in test; 3 pictures were left out." in html
    assert "taught by the 680 training labels" in html
    assert "On the same 120 pictures corrected labels names 4 more rightly." in html
    assert "Test labels were changed (rose/7.jpg)" in html
    assert (
        "the accuracy of this network is 0.900 (0.850 to 0.930); as they are, 0.905 (0.855 to "
        "0.940) (n = 200)" in (html)
    )


def test_a_hostile_name_stays_text(run_of: RunOf) -> None:
    name = '<img src=x onerror="alert(1)">'
    html = page(run_of(), findings(suspects=[suspect(1, label=name, likelier=name)]))
    assert "<img src=x" not in html
    assert "&lt;img src=x onerror=&#34;alert(1)&#34;&gt;" in html


def test_of_many_changed_test_labels_the_rest_is_counted_whole() -> None:
    """The study names the first twelve; of nineteen "7 more" once were twelve in all."""
    corrections = {
        "num": {"train": 0, "validation": 0, "test": 19},
        "num_left_out": 0,
        "test_paths": [f"rose/{number}.jpg" for number in range(12)],
        "effect": None,
        "test": None,
    }
    study = {**findings(), "corrections": corrections}
    said = " ".join(study_suspects.view(study, Album(lambda _path: None))["corrections"])
    assert "rose/4.jpg and 14 more)" in said
