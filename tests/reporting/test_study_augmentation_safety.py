"""What the page says of augmentations: whole sentences for each fate, and hostile names."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.reporting.conftest import Plan, make_run, noise_picture

from saccade.insight.thumbnails import thumbnail
from saccade.reporting.collect import collect
from saccade.reporting.learned import LearningFacts
from saccade.reporting.page import render
from saccade.reporting.pictures import Album
from saccade.reporting.study_augmentation_safety import NAMES, sentences, view

WEAK = (
    "Weak is the frozen network with a head of plain pictures where pictures differ by rotation "
    "(11.0 % of 54): right answers that become wrong. That is a reason to learn from such views."
)
ALBUM = Album(lambda _path: None)
JPEG = thumbnail(np.full((16, 16, 3), 90, np.uint8))


def estimate(value: float, half: float, n: int) -> dict[str, Any]:
    return {"value": value, "low": value - half, "high": value + half, "n": n, "method": "t"}


def family(
    name: str, strength: dict[str, float], *, lost: float = -0.01, turned: float = 0.02,
    **facts: Any,
) -> dict[str, Any]:  # fmt: skip
    return {
        "name": name,
        "strength": strength,
        "used": True,
        "left_out": False,
        "verdict": {
            "lost": estimate(lost, 0.02, 500),
            "p": 0.6,
            "right": 400,
            "turned": 20,
            "move": ["a", "b", 9],
            "unsafe": False,
        },
        "network": {
            "score": estimate(0.9, 0.05, 60),
            "change": estimate(-turned, 0.02, 60),
            "turned": estimate(turned, 0.02, 54),
        },
        "example": None,
        **facts,
    }


FOUND: dict[str, Any] = {
    "n": 500,
    "skill": 0.49,
    "why": "",
    "who": "frozen",
    "part": "validation",
    "num_asked": 60,
    "families": [
        family("rotate", {"rotate": 15.0}, turned=0.11),
        family("shift", {"shift": 0.08}, lost=-0.1),
        family("light", {"brightness": 0.15, "contrast": 0.2}),
        family("hflip", {"hflip": 0.5}),
    ],
}

MIRROR = {
    "used": False,
    "left_out": True,
    "verdict": {
        "lost": estimate(1.62, 0.17, 500),
        "p": 1e-9,
        "right": 333,
        "turned": 279,
        "move": ["right", "left", 144],
        "unsafe": True,
    },
    "example": {
        "path": "right/1.png", "look_alike": "left/2.png", "view": JPEG,
        "classes": ["right", "left"],
    },
}  # fmt: skip


def with_mirror(**changes: Any) -> dict[str, Any]:
    found = copy.deepcopy(FOUND)
    found["families"][-1] |= {**copy.deepcopy(MIRROR), **changes}
    return found


def test_where_all_is_safe_it_says_so_and_where_the_network_is_weak() -> None:
    assert sentences(FOUND) == (
        "None of 4 augmentations is seen to spoil what is to be learned here: what small pictures "
        "tell about the answer is not lost where their views are learned from as well (n = 500).",
        "Weak is the frozen network with a head of plain pictures where pictures differ by "
        "rotation (11.0 % of 54): right answers that become wrong. That is a reason to learn from "
        "such views.",
    )


def test_what_was_left_out_is_said_with_its_numbers_and_what_became_of_what() -> None:
    assert sentences(with_mirror())[0] == (
        "The horizontal flip was left out: of what small pictures tell about the answer, more "
        "than all is lost [145 %, 179 %] where its views are learned from as well (n = 500, p < "
        "0.001). Of 333 pictures that a probe named rightly it named 279 wrongly when changed so, "
        "most often 'right' as 'left' (144)."
    )


@pytest.mark.parametrize(
    ("changes", "said", "verdict"),
    [
        ({}, "was left out", "left out: it spoils what is to be learned"),
        (
            {"used": True, "left_out": False},
            "should be left out; the recipe asks for it all the same",
            "spoils what is to be learned, and the recipe asks for it",
        ),
        (
            {"used": False, "left_out": False},
            "is off, and should stay so",
            "spoils what is to be learned; off",
        ),
    ],
)
def test_each_fate_has_its_words(changes: dict[str, Any], said: str, verdict: str) -> None:
    found = with_mirror(**changes)
    assert sentences(found)[0].startswith(f"The horizontal flip {said}: ")
    assert view(found, ALBUM)["rows"][-1]["verdict"] == verdict


def test_safe_rows_say_what_else_is_known() -> None:
    rows = view(FOUND, ALBUM)["rows"]
    assert [row["verdict"] for row in rows] == [
        "no harm seen; the network is weak here",
        "no harm seen, and it helps even small pictures",
        "no harm seen",
        "no harm seen",
    ]
    assert [row["strength"] for row in rows] == [
        "±15°",
        "±8 % of the side",
        "brightness ±15 % and contrast ±20 %",
        "every picture",
    ]


def test_harm_that_is_likely_and_not_shown_is_called_neither_safe_nor_spoiling() -> None:
    """A flip that lost 0.16 [0.02, 0.30], p = 0.012, was called safe."""
    found = copy.deepcopy(FOUND)
    found["families"][-1]["verdict"] |= {"lost": estimate(0.16, 0.14, 500), "p": 0.012}
    assert view(found, ALBUM)["rows"][-1]["verdict"] == "perhaps harmful (p = 0.012)"
    said = (
        f"Perhaps harmful, but not surely so: {NAMES[found['families'][-1]['name']]} (p = 0.012)."
    )
    assert said in sentences(found)
    assert not any("Perhaps" in own for own in sentences(FOUND))
    assert sentences(found)[0].startswith("None of 3 augmentations is seen to spoil")
    found["families"][-1]["verdict"] |= {"lost": estimate(0.006, 0.002, 500), "p": 0.0001}
    assert view(found, ALBUM)["rows"][-1]["verdict"] == "harmful, but hardly"
    assert not any("Perhaps" in own for own in sentences(found))


def test_what_crops_stand_for_is_told_apart_from_what_the_network_never_saw(
    page: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    never, as_crops = "not learned from: it saw crops", "learned from, as crops"
    assert never not in page(FOUND)
    monkeypatch.setattr(LearningFacts, "learned_from_crops", True)
    monkeypatch.setattr(LearningFacts, "learned_from_views", False)
    html = page(FOUND)
    names = [own["name"] for own in FOUND["families"] if own["used"]]
    assert html.count(as_crops) == sum(own in {"zoom", "shift", "hflip"} for own in names) > 0
    assert html.count(never) == len(names) - html.count(as_crops) > 0


def test_where_nothing_could_be_told_it_says_that() -> None:
    why = "small pictures alone tell nothing of the answer"
    blind = [{**own, "verdict": None} for own in copy.deepcopy(FOUND["families"])]
    found = {**FOUND, "why": why, "families": blind}
    assert sentences(found) == (
        f"Whether an augmentation spoils what is to be learned could not be told: {why} (n = 500). "
        "All stay as the recipe says.",
        WEAK,
    )
    assert {row["verdict"] for row in view(found, ALBUM)["rows"]} == {f"cannot be told: {why}"}


@pytest.fixture
def page(tmp_path: Path) -> Callable[[dict[str, Any]], str]:
    def of(found: dict[str, Any]) -> str:
        run = make_run(tmp_path / "run", Plan())
        trust = {"format_version": 1, "studies": {"augmentation_safety": found}, "left_out": {}}
        (run / "trust.json").write_text(json.dumps(trust))
        return render(collect(run, picture=noise_picture))

    return of


def test_the_page_shows_the_picture_its_view_and_the_look_alike(page: Callable[..., str]) -> None:
    html = page(with_mirror())
    at = html.index("Which augmentations are safe here?")
    assert html.index('id="help"') < at < html.index('id="made"')
    own = html[at : html.index("</table>", at)]
    assert own.count("data:image/jpeg") == 3
    assert own.count("<tr") == 5


def test_classes_and_files_with_hostile_names_are_only_text(page: Callable[..., str]) -> None:
    name = "<script>alert(1)</script>\u202e"
    found = with_mirror()
    found["families"][-1]["verdict"]["move"] = [name, name, 3]
    found["families"][-1]["example"] |= {"classes": [name, name], "path": name, "look_alike": name}
    html = page(found)
    assert "<script" not in html
    assert "\u202e" not in html


def test_what_too_few_groups_cannot_tell_is_not_called_safe() -> None:
    found = copy.deepcopy(FOUND)
    for own in found["families"]:
        if own["verdict"]:
            own["verdict"]["lost"] |= {"low": None, "high": None}
    assert sentences(found) == (
        "Whether an augmentation spoils what is to be learned could not be told: too few groups of "
        "pictures (n = 500). All stay as the recipe says.",
        WEAK,
    )
    rows = view(found, ALBUM)["rows"]
    assert "cannot be told: too few groups of pictures" in {row["verdict"] for row in rows}
