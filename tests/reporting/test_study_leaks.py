"""What the page says of copies across parts: in whole sentences, with the pairs side by side."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from tests.reporting.conftest import Plan, make_run, noise_picture

from saccade.reporting import study_leaks
from saccade.reporting.collect import collect
from saccade.reporting.page import render
from saccade.reporting.pictures import Album
from saccade.reporting.study_leaks import histogram, sentences


def estimate(value: float, low: float, high: float, n: int) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "n": n, "method": "wilson"}


def pair(kind: str, similarity: float, *parts: str) -> dict[str, Any]:
    return {
        "paths": ["a/<b>1.jpg", "a/2.jpg"],
        "parts": list(parts),
        "labels": ["daisy", "tulip"],
        "kind": kind,
        "similarity": similarity,
    }


COUNTS = [80, 4, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 0, 1, 2, 30]
FOUND: dict[str, Any] = {
    "n": 1000,
    "why_not": "",
    "threshold": 0.85,
    "num_small": 0,
    "num_plain": 3,
    "num_candidates": 134,
    "num_too_large": 0,
    "num_believed": 31,
    "histogram": {
        "edges": [n / 20 for n in range(21)],
        "by_looks": COUNTS,
        "by_features": [0] * 20,
    },
    "parts_given": True,
    "leaks": {
        "test": {"n": 200, "num": 33, "kinds": {"exact": 20, "mirrored": 13}},
        "validation": {"n": 120, "num": 1, "kinds": {"cropped": 1}},
    },
    "pairs": [pair("exact", 1.0, "test", "train"), pair("mirrored", 0.97, "test", "train")],
    "kept_together": {"num_clusters": 2, "num_pictures": 5, "pairs": []},
    "features": "mobilenetv2_100",
    "scenes": {"n": 320, "num": 1, "num_alike": 1, "threshold": 0.78, "why_not": "", "pairs": []},
    "groups": {"num": 12, "num_pictures": 240},
    "score_name": "accuracy",
    "asked": estimate(0.95, 0.91, 0.973, 200),
    "clean": estimate(0.91, 0.857, 0.945, 167),
}
NONE = FOUND | {
    "leaks": {
        "test": {"n": 200, "num": 0, "kinds": {}},
        "validation": {"n": 120, "num": 0, "kinds": {}},
    },
    "pairs": [],
    "kept_together": {"num_clusters": 0, "num_pictures": 0, "pairs": []},
    "scenes": FOUND["scenes"] | {"num": 0, "num_alike": 0},
    "groups": {"num": 0, "num_pictures": 0},
}


def test_leaks_and_what_they_do_to_the_score_are_said_in_words() -> None:
    assert sentences(FOUND) == (
        "33 of 200 test pictures show the same as a picture of train or validation: 20 the same "
        "bytes and 13 mirrored.",
        "1 of 120 validation pictures shows the same as a picture of train: 1 cropped or resized.",
        "As asked, accuracy is 0.950 [0.910, 0.973] (n = 200); on the 167 pictures that are new "
        "to the model it is 0.910 [0.857, 0.945]. Believe the second.",
        "5 pictures in 2 sets of copies lie within one part, where they flatter nothing.",
        "1 of 320 test or validation pictures seems to show a scene that an earlier part shows "
        "too (features of mobilenetv2_100 agree to 0.78 and more). They are no copies and were "
        "left where they are; what belongs together can be named with --group, and --group auto "
        "puts such pictures into one part where parts are drawn.",
        "240 pictures in 12 groups that --group gave were kept together too, where parts were "
        "drawn.",
    )


def test_without_leaks_it_says_what_was_compared() -> None:
    assert sentences(NONE) == (
        "None of 200 test pictures was found to show the same as a picture of train or validation "
        "(bytes and looks were compared).",
    )
    why = "only their bytes were compared, for there are more than 250,000 of them"
    assert sentences(NONE | {"why_not": why})[0].endswith(f"({why}).")


def gray() -> Album:
    return Album(lambda path: np.zeros((8, 8, 3), np.uint8))


def test_where_no_looks_could_be_compared_none_are_claimed_and_no_chart_is_named() -> None:
    """As of the digits, which are 8 pixels wide."""
    counts = NONE["histogram"] | {"by_looks": [0] * 20}
    small = NONE | {"num_small": 990, "num_plain": 10, "histogram": counts}
    assert sentences(small)[0].endswith("(only their bytes were compared).")
    note = study_leaks.view(small, gray())["note"]
    assert note == (
        "By bytes alone were compared: 990 pictures of less than 32 pixels and 10 pictures without "
        "detail."
    )
    some = small | {"num_small": 900}
    assert sentences(some)[0].endswith("(bytes and looks were compared).")
    told = study_leaks.view(some, gray())["note"]
    assert told.startswith("Copies are pairs whose details agree to 0.85 and more")
    assert "chart" not in told  # no pair was near enough to be compared, so there is none


def test_where_every_test_picture_is_known_its_score_says_nothing() -> None:
    found = FOUND | {"leaks": FOUND["leaks"] | {"test": {"n": 4, "num": 4, "kinds": {"exact": 4}}}}
    assert "its score says nothing about new ones." in " ".join(sentences(found))


def test_many_of_one_scene_are_a_doubt_and_no_silence() -> None:
    """More than a tenth, and "None of 200 test pictures was found" was all that was said."""
    many = NONE | {"scenes": FOUND["scenes"] | {"num": 0, "num_alike": 320}}
    assert sentences(many)[1:] == (
        "320 of 320 test or validation pictures have a neighbour in an earlier part that is as "
        "alike as pictures of one scene are (features of mobilenetv2_100 agree to 0.78 and more). "
        "Either all these pictures look alike, or the parts share scenes, and then the score "
        "flatters. Look at the pairs; what belongs together can be named with --group.",
    )
    one = NONE | {"scenes": FOUND["scenes"] | {"num": 0, "num_alike": 1, "n": 2}}
    assert sentences(one)[1].startswith("1 of 2 test or validation pictures has a neighbour")


def test_the_chart_shows_what_was_compared_and_the_threshold() -> None:
    """The last bin begins at 0.95: by bins, none lies above a threshold of 0.98."""
    for threshold in (0.85, 0.98):
        drawn = str(histogram(FOUND | {"threshold": threshold}))
        assert (
            f'aria-label="How alike 135 pairs are: 31 from {threshold} on are taken for copies"'
            in drawn
        )
    drawn = str(histogram(FOUND))
    assert "copies from 0.85" in drawn
    assert histogram(FOUND | {"histogram": FOUND["histogram"] | {"by_looks": [0] * 20}}) is None
    alike = str(histogram(FOUND | {"threshold": None}))
    assert "no threshold separates copies" in alike
    assert "copies from" not in alike


def page(tmp_path: Path, study: dict[str, Any]) -> str:
    run = make_run(tmp_path / "run", Plan())
    trust = {"format_version": 1, "studies": {"leaks": study}, "left_out": {}}
    (run / "trust.json").write_text(json.dumps(trust))
    return render(collect(run, picture=noise_picture))


def test_the_page_shows_the_pairs_side_by_side_under_whether_to_believe(tmp_path: Path) -> None:
    html = page(tmp_path, FOUND)
    at = html.index("Are the test pictures new to the model?")
    assert html.index('id="believe"') < at < html.index('id="good"')
    assert "Copies on two sides, 2 of them side by side:" in html
    assert html.count("a copy across parts: a/") == 4
    assert "a/<b>1.jpg" not in html
    assert "a/&lt;b&gt;1.jpg" in html
    assert "those new to the model" in html


def test_the_page_of_a_run_without_leaks_is_short(tmp_path: Path) -> None:
    html = page(tmp_path, NONE)
    assert "None of 200 test pictures" in html
    assert "Copies on two sides" not in html
    assert "those new to the model" not in html
