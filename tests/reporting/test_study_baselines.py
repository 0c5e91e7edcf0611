"""What the page says of the baseline ladder, in whole sentences and rows."""

import copy
import json
from pathlib import Path
from typing import Any

from tests.reporting.conftest import Plan, make_run, noise_picture

from saccade.reporting.collect import collect
from saccade.reporting.page import render
from saccade.reporting.pictures import Album
from saccade.reporting.study_baselines import sentences, simpler_is_better, view

ALBUM = Album(lambda _path: None)


def estimate(value: float, low: float, high: float) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "n": 200, "method": "wilson"}


def rung(name: str, *score: float, seconds: float = 1.0, num: int | None = 1000) -> dict[str, Any]:
    return {
        "name": name,
        "score": estimate(*score),
        "seconds": seconds,
        "num_parameters": num,
        "num_learned": num,
        "num_bytes": None if num is None else 4 * num,
        "images_per_second": None,
        "epochs": 9 if name in {"mlp", "cnn"} else None,
    }


def pair(first: str, second: str, *apart: float, p: float, better: bool = True) -> dict[str, Any]:
    return {
        "first": first,
        "second": second,
        "difference": estimate(*apart),
        "p": p / 2,
        "p_corrected": p,
        "num_compared": 6,
        "better": better,
        "worse": False,
    }


FOUND: dict[str, Any] = {
    "metric": "accuracy",
    "kind": "multiclass",
    "small_px": 20,
    "n": 200,
    "rungs": [
        rung("majority", 0.2, 0.15, 0.261, seconds=0.0, num=0),
        rung("properties", 0.54, 0.471, 0.608, num=235),
        rung("mlp", 0.41, 0.344, 0.479, num=820_613),
        rung("cnn", 0.635, 0.566, 0.699, num=76_885),
        rung("frozen", 0.86, 0.805, 0.901, num=2_230_277),
        rung("final", 0.915, 0.868, 0.946, num=2_230_277),
    ],
    "comparisons": [
        pair("majority", "properties", 0.34, 0.26, 0.42, p=0.0001),
        pair("properties", "mlp", -0.13, -0.21, -0.05, p=0.01, better=False) | {"worse": True},
        pair("mlp", "cnn", 0.225, 0.136, 0.311, p=0.0001),
        pair("cnn", "frozen", 0.225, 0.158, 0.296, p=0.0001),
        pair("frozen", "final", 0.055, 0.01, 0.1, p=0.047),
        pair("majority", "final", 0.715, 0.63, 0.79, p=0.0001),
    ],
    "left_out": {},
}


def changed(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(FOUND), **changes}


def compared_as(first: str, second: str, **facts: Any) -> dict[str, Any]:
    found = changed()
    for own in found["comparisons"]:
        if (own["first"], own["second"]) == (first, second):
            own.update(facts)
    return found


def test_the_sentences_say_what_each_step_brought() -> None:
    assert sentences(FOUND) == (
        "The network that ships is better than the most frequent answer: 0.915 [0.868, 0.946] "
        "against 0.200 [0.150, 0.261], apart by +0.715 [+0.630, +0.790], p < 0.001 corrected for 6 "
        "comparisons, n = 200.",
        "Convolution brought 0.225 of accuracy: a small CNN has 0.635 [0.566, 0.699] and a fully "
        "connected network 0.410 [0.344, 0.479] on the same 200 test pictures, apart by +0.225 "
        "[+0.136, +0.311], p < 0.001 corrected for 6 comparisons, n = 200.",
        "Pretraining brought 0.225 of accuracy: a head on frozen features has 0.860 [0.805, 0.901] "
        "and a small CNN 0.635 [0.566, 0.699] on the same 200 test pictures, apart by +0.225 "
        "[+0.158, +0.296], p < 0.001 corrected for 6 comparisons, n = 200.",
        "Fine-tuning brought 0.055 of accuracy: the network that ships has 0.915 [0.868, 0.946] "
        "and a head on frozen features 0.860 [0.805, 0.901] on the same 200 test pictures, apart "
        "by +0.055 [+0.010, +0.100], p = 0.047 corrected for 6 comparisons, n = 200.",
    )


def test_what_is_not_shown_is_said_not_to_be() -> None:
    found = compared_as("mlp", "cnn", better=False)
    assert sentences(found)[1].startswith(
        "That convolution brought anything on this data is not shown: a small CNN has 0.635"
    )
    found = compared_as("majority", "final", better=False)
    assert sentences(found)[0].startswith(
        "The network that ships is not shown to be better than the most frequent answer: 0.915"
    )


def test_a_step_that_did_harm_is_said_to_have() -> None:
    found = compared_as("frozen", "final", better=False, worse=True)
    assert sentences(found)[3].startswith("Fine-tuning did harm on this data: the network that")


def test_a_simpler_answer_that_does_better_is_said_to() -> None:
    found = changed()
    found["comparisons"] += [
        pair("properties", "final", -0.1, -0.16, -0.04, p=0.003, better=False) | {"worse": True},
        pair("mlp", "final", -0.2, -0.26, -0.14, p=0.0001, better=False) | {"worse": True},
        pair("cnn", "final", -0.3, -0.4, 0.1, p=0.2, better=False),
    ]
    assert simpler_is_better(FOUND) == ""
    assert simpler_is_better(found) == sentences(found)[1]
    assert sentences(found)[1] == (
        "A fully connected network does better than the network that ships: 0.410 [0.344, 0.479] "
        "against 0.915 [0.868, 0.946], apart by −0.200 [−0.260, −0.140], p < 0.001 corrected for 6 "
        "comparisons, n = 200."
    )


def test_trivial_properties_that_go_most_of_the_way_are_a_warning() -> None:
    found = changed()
    found["rungs"][1]["score"] = estimate(0.7, 0.63, 0.76)
    assert sentences(found)[-1] == (
        "Trivial properties alone go 70% of the way from the most frequent answer to the network "
        "that ships: what the network says may rest on them."
    )


def test_a_ladder_of_errors_speaks_of_less() -> None:
    found = changed(metric="mae", kind="regression")
    for own in found["comparisons"]:
        own["difference"] = estimate(-0.225, -0.3, -0.1)
    assert "Convolution brought 0.225 less mean absolute error: a small CNN has" in " ".join(
        sentences(found)
    )
    rows = view(found, ALBUM)["rows"]
    assert rows[0]["what"] == "always the mean of the training part"
    assert rows[0]["title"] == "mean"
    assert "the most frequent answer" not in " ".join(sentences(found))


def test_the_side_of_the_small_pictures_is_that_which_was_used() -> None:
    said = {row["title"]: row["what"] for row in view(FOUND, ALBUM)["rows"]}
    assert said["fully connected"] == "from scratch, on pictures of 20 px, 9 epochs"
    assert said["small CNN"] == "convolutions from scratch, on the same pictures of 20 px, 9 epochs"
    earlier = {key: own for key, own in FOUND.items() if key != "small_px"}
    said = {row["title"]: row["what"] for row in view(earlier, ALBUM)["rows"]}
    assert said["fully connected"] == "from scratch, on small pictures, 9 epochs"


def test_left_out_rungs_are_named_with_the_reason() -> None:
    found = changed(left_out={"cnn": "its time was up", "frozen": "there are no features"})
    shown = view(found, ALBUM)
    assert shown["left_out"] == [
        "small CNN: its time was up",
        "frozen features: there are no features",
    ]


def test_the_note_says_that_small_networks_had_seconds() -> None:
    assert view(FOUND, ALBUM)["note"] == (
        "All answer the same 200 test pictures; each is compared with the one above it, picture by "
        "picture, corrected by Holm's rule for 6 comparisons. Time is that of learning, decoding "
        "left out; that of frozen features holds the network's pass over all pictures. The fully "
        "connected network and the small CNN were trained for seconds and could get better with "
        "minutes; what convolution and pretraining brought is meant for networks like these."
    )


def test_the_page_shows_the_ladder_under_how_good(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", Plan())
    found = changed(left_out={"cnn": "its time was up"})
    found["rungs"][4]["num_parameters"] = found["rungs"][4]["num_bytes"] = None
    trust = {"format_version": 1, "studies": {"baselines": found}, "left_out": {}}
    (run / "trust.json").write_text(json.dumps(trust))
    html = render(collect(run, picture=noise_picture))
    at = html.index("The baseline ladder")
    assert html.index('id="good"') < at < html.index('id="wrong"')
    table = html[at : html.index("Left out: small CNN")]
    assert table.count('scope="row"') == 6
    assert table.count('class="spark"') == 6
    assert "8.92 MB" in table
