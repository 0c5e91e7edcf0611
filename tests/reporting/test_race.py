import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tests.reporting import ladders

from saccade.reporting.collect import collect
from saccade.reporting.learning import learning_of
from saccade.reporting.page import render
from saccade.reporting.race import race_words

RunOf = Callable[..., Path]


def page_of(run: Path) -> str:
    return render(collect(run, picture=lambda path: np.zeros((8, 8, 3), np.uint8)))


def test_without_a_race_there_is_no_table(run_of: RunOf) -> None:
    assert race_words(None) == ""
    assert "Choice of the backbone" not in page_of(run_of())


def test_a_race_without_candidates_is_none() -> None:
    assert learning_of([{"event": "race", "candidates": [], "num_sample": 3}]).race is None


def test_the_winner_is_named_with_its_number_and_the_reason() -> None:
    words = race_words(learning_of([ladders.race()]).race)
    assert "the same 300 training pictures" in words
    assert words.endswith(
        "resnet18 was chosen (the best of those that are as quick), with a probe accuracy of 0.910."
    )


def test_each_candidate_has_a_row_and_what_is_not_known_a_dash(run_of: RunOf) -> None:
    html = page_of(run_of(race=True))
    table = html[html.index("Choice of the backbone") :]
    table = table[: table.index("</table>")]
    rows = re.findall(r'<tr[^>]*><th scope="row">(\w+)</th>(.*?)</tr>', table, re.DOTALL)
    assert [name for name, _ in rows] == ["mobilenetv2_100", "resnet18", "vgg16"]
    assert "left out: surely worse" in rows[0][1]
    assert "2.23 M" in rows[0][1]
    assert rows[2][1].count(">–<") == 3
    assert "+0.050 [+0.010, +0.090], p = 0.020" in rows[0][1]
    assert rows[1][1].count(">–<") == 1  # the best is behind nobody


def test_an_error_is_shown_as_one_with_its_bounds_in_order() -> None:
    one = {"name": "a", "score": -3.4, "low": -3.9, "high": -3.0, "score_name": "negative_rmse"}
    race = learning_of([{"event": "race", "candidates": [one]}]).race
    assert race is not None
    score = race.candidates[0].score
    assert (score.value, score.low, score.high) == (3.4, 3.0, 3.9)


def test_a_network_that_was_not_probed_has_no_number(run_of: RunOf) -> None:
    run = run_of()
    one = {"name": "resnet50", "score": None, "low": None, "high": None, "why": "no time was left"}
    event = {"event": "race", "candidates": [one], "num_sample": 300}
    (run / "history.jsonl").write_text(json.dumps(event) + "\n")
    html = page_of(run)
    assert "not probed" in html
    assert "left out: no time was left" in html


def test_where_none_was_tried_it_is_not_said_that_they_were() -> None:
    why = "the first; there are too few training pictures to compare by"
    one = {"name": "a", "score": None, "n": 0, "score_name": "accuracy", "chosen": True, "why": why}
    other = {**one, "name": "b", "chosen": False, "why": "not compared"}
    words = race_words(learning_of([{"event": "race", "candidates": [one, other]}]).race)
    assert words == (
        "2 backbones stood to choice, and none was tried; a was taken: the first; there are too "
        "few training pictures to compare by."
    )


def test_backbones_that_could_not_enter_are_not_counted_as_tried() -> None:
    left_out = {"name": "z", "score": None, "n": 0, "score_name": "accuracy", "why": "no weights"}
    event = ladders.race()
    event["candidates"] = [*event["candidates"], left_out]
    num = sum(own["score"] is not None for own in event["candidates"])
    assert race_words(learning_of([event]).race).startswith(f"{num} backbones were tried")
