"""An error has three figures wherever it stands, and is never told as a share is."""

import copy
import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.reporting.test_study_robustness import FOUND as ROBUSTNESS
from tests.reporting.test_study_shortcuts import SHORTCUTS, SLICES

from saccade.reporting import study_robustness, study_shortcuts, study_slices
from saccade.reporting.collect import collect
from saccade.reporting.facts import StudyFacts
from saccade.reporting.page import render
from saccade.reporting.pictures import Album

RunOf = Callable[..., Path]
AS_SHARES = ("0.012<", "0.012 ", "> 0.999", "&gt; 0.999", "0.012,")


def of_errors(found: Any) -> Any:
    """Return the same with every estimate an error of 0.0123, up to 0.9997."""
    if isinstance(found, Mapping):
        if {"value", "low", "high", "n"} <= set(found):
            return {**found, "value": 0.0123, "low": 0.0122, "high": 0.9997}
        return {key: of_errors(own) for key, own in found.items()}
    return [of_errors(own) for own in found] if isinstance(found, list) else found


def robustness() -> dict[str, Any]:
    found = of_errors({**copy.deepcopy(ROBUSTNESS), "score_name": "mae", "num_views": 1})
    one = ROBUSTNESS["plain"]["final"]
    found["gain"] = of_errors(one)
    found["plain"] |= {"without": of_errors(one), "with": of_errors(one)}
    for own in found["disturbances"]:
        for point in own["points"]:
            point["final"]["changed"] = None
    return study_robustness.view(found, Album(lambda _path: None))


def shortcuts() -> dict[str, Any]:
    found = {**of_errors(SHORTCUTS), "score": "mean error", "clues": []}
    return study_shortcuts.view(found, Album(lambda _path: None))


def slices() -> dict[str, Any]:
    found = {**of_errors(SLICES), "score": "mean error"}
    return study_slices.view(found, Album(lambda _path: None))


@pytest.mark.parametrize("view", [robustness, shortcuts, slices])
def test_the_errors_of_a_study_have_three_figures(
    view: Callable[[], dict[str, Any]], run_of: RunOf
) -> None:
    study = StudyFacts(name=view.__name__, section="good", view=view())
    facts = collect(run_of(), picture=lambda _path: np.zeros((8, 8, 3), np.uint8))
    with_it, without = (render(dataclasses.replace(facts, studies=own)) for own in ((study,), ()))
    assert with_it.count("0.0123") > 2
    for text in AS_SHARES:
        assert with_it.count(text) == without.count(text), text


def test_so_have_the_errors_of_a_race_and_of_a_ladder(run_of: RunOf) -> None:
    run = run_of(kind="regression", race=True, ladder="+-")
    events = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    for event in events:
        for one in (event, *event.get("candidates", ())):
            known = [key for key in ("score", "validation_score") if key in one]
            one |= {**dict.fromkeys(known, -0.0123), "score_name": "negative_rmse"}
    (run / "history.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    html = render(collect(run, picture=lambda _path: np.zeros((8, 8, 3), np.uint8)))
    assert html.count("0.0123") > 6
    assert not re.findall(r"RMSE (?:of )?0\.012[ ;<.]|num\">0\.012<", html)
