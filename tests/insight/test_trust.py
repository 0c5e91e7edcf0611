"""The studies of a run: each answered, left out for want of time, or with a reason."""

import dataclasses
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saccade.insight.evidence import Evidence, NotPossible
from saccade.insight.trust import FAULT, Study, examine, nothing_asked, total_seconds


class Pictures:
    def __len__(self) -> int:
        return 100


def evidence(**changes: Any) -> Evidence:
    nothing: Any = None
    empty = Evidence(
        recipe=nothing,
        catalog=Pictures(),  # type: ignore[arg-type]
        task=nothing,
        split=nothing,
        targets=np.zeros(100),
        cache=nothing,
        looks=nothing,
    )
    return dataclasses.replace(empty, **changes)


def study(name: str, **facts: Any) -> Study:
    def ask(_evidence: Evidence, _so_far: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"n": 100}

    return Study(**{"name": name, "what": f"what {name} says", "ask": ask, **facts})


def refuses(_evidence: Evidence, _so_far: Mapping[str, Any]) -> Mapping[str, Any]:
    raise NotPossible("there are no groups")


def breaks(_evidence: Evidence, _so_far: Mapping[str, Any]) -> Mapping[str, Any]:
    raise KeyError("brightness")


def test_every_study_is_answered_or_left_out_with_a_reason() -> None:
    found = examine(evidence(), [study("a"), study("b", ask=refuses), study("c", ask=breaks)])
    assert found.studies == {"a": {"n": 100}}
    assert found.left_out == {
        "b": "what b says: there are no groups",
        "c": f"what c says: {FAULT} (KeyError: 'brightness')",
    }


def test_what_would_pass_the_deadline_is_left_out_by_name_and_cheaper_ones_are_not() -> None:
    soon = evidence(deadline=time.monotonic() + 5)
    found = examine(soon, [study("long", seconds_a_picture=0.1), study("short", seconds=0.1)])
    assert list(found.studies) == ["short"]
    assert found.left_out == {"long": "what long says: the budget left no time for it"}


def test_what_needs_a_trained_network_is_left_out_before_there_is_one() -> None:
    found = examine(evidence(), [study("slices", after_learning=True)])
    assert found.left_out == {"slices": "what slices says: nothing was trained yet"}


def test_what_rests_on_features_is_not_even_loaded_where_there_are_none() -> None:
    wanted = [study("suspects", ask=breaks, by_features=True)]
    found = examine(evidence(), wanted)
    assert found.left_out == {
        "suspects": "what suspects says: there are no features of a pretrained network"
    }
    known = examine(evidence(features_ND=np.zeros((100, 2))), wanted)
    assert FAULT in known.left_out["suspects"]


def test_a_study_is_told_what_those_before_it_found() -> None:
    def ask(_evidence: Evidence, so_far: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"knows": sorted(so_far)}

    found = examine(evidence(), [study("a"), study("b", ask=ask)])
    assert found.studies["b"] == {"knows": ["a"]}


def test_what_was_found_is_written_as_json(tmp_path: Path) -> None:
    examine(evidence(), [study("a")]).write(tmp_path)
    content = json.loads((tmp_path / "trust.json").read_text())
    assert content["format_version"] == 1
    assert content["studies"] == {"a": {"n": 100}}
    assert set(content["seconds"]) == {"a"}


def test_all_studies_together_take_what_each_takes() -> None:
    studies = [study("a", seconds=1.0), study("b", seconds_a_picture=0.01)]
    assert total_seconds(studies, 300) == pytest.approx(4.0)


def test_where_nothing_is_asked_every_study_is_left_out_by_name() -> None:
    found = nothing_asked([study("a"), study("b")], why="--no-trust")
    assert found.studies == {}
    assert found.left_out == {"a": "what a says: --no-trust", "b": "what b says: --no-trust"}
