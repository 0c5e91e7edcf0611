"""Shortcuts and weak spots on the page."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from saccade.reporting import study_shortcuts, study_slices
from saccade.reporting.collect import collect
from saccade.reporting.facts import StudyFacts
from saccade.reporting.page import render
from saccade.reporting.pictures import Album

RunOf = Callable[..., Path]
HOSTILE = "<script>alert(1)</script>"


def number(value: float, low: float | None = 0.1, high: float | None = 0.9) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "n": 200, "method": "wilson"}


NO_INTERVAL = number(0.0, None, None)


def clue(name: str, severity: str = "", single: str = "plainness of a side") -> dict[str, Any]:
    return {
        "property": "border", "family": "border", "class": name, "auc": number(0.987, 0.97, 0.995),
        "low_corrected": 0.91, "others": 0.5, "single": single, "single_area": 0.95,
        "severity": severity, "pictures": [{"path": f"{name}/1.jpg"}],
    }  # fmt: skip


SHORTCUTS = {
    "sentence": "Brightness alone names 0.41 of the 200 test pictures rightly.",
    "score": "accuracy", "part": "test", "n": 200, "num_tried": 120, "verdict": "nearly wins",
    "majority": number(0.2), "trivial": number(0.41), "gain": number(0.21), "model": number(0.93),
    "model_name": "the model", "ahead": number(0.5), "share": number(0.29),
    "families": [
        {"name": "border", "score": number(0.4), "gain": number(0.2), "p_corrected": 0.00001},
        {"name": "top left corner", "score": number(0.2), "gain": NO_INTERVAL, "p_corrected": 0.9},
        {"name": "sharpness", "score": number(0.2), "gain": NO_INTERVAL, "p_corrected": 1.0},
    ],
    "clues": [clue(HOSTILE, "severe"), clue("elm", single="border")],
    "findings": [
        {"kind": "shortcut", "sentence": "The sentence again."},
        {"kind": "shortcut-property", "sentence": f"The border tells '{HOSTILE}'."},
    ],
}  # fmt: skip

SLICES = {
    "sentence": "Of 30 slices 1 is worse.", "part": "test", "n": 200, "score": "accuracy",
    "num_slices": 30, "num_pairs": 12, "num_weak": 3, "alpha": 0.05, "fewest": 10,
    "slices": [
        {
            "name": f"source {HOSTILE}", "about": ["source"], "n": 40, "num_wrong": 12,
            "inside": number(0.7), "outside": number(0.95), "difference": number(0.25),
            "p": 0.00002, "p_corrected": 0.0006,
            "mostly": {"class": HOSTILE, "count": 30},
            "pictures": [{"path": "a/1.jpg", "truth": HOSTILE, "prediction": "elm"}],
        }
    ],
}  # fmt: skip


def album() -> Album:
    return Album(lambda path: np.zeros((8, 8, 3), np.uint8))


def page(run: Path, name: str, section: str, view: dict[str, Any]) -> str:
    facts = collect(run, picture=lambda path: np.zeros((8, 8, 3), np.uint8))
    html = render(
        dataclasses.replace(facts, studies=(StudyFacts(name=name, section=section, view=view),))
    )
    assert HOSTILE not in html
    return html


def cells(html: str, label: str) -> list[list[str]]:
    table = html[html.index(f'aria-label="{label}"') :]
    table = table[: table.index("</table>")]
    rows = re.findall(r"<tr>(<th scope=\"row\".*?)</tr>", table, re.DOTALL)
    return [
        [re.sub("<[^>]*>", " ", cell).split() for cell in re.split("</t[hd]>", row)] for row in rows
    ]


def test_trivial_properties_stand_between_the_majority_and_the_model(run_of: RunOf) -> None:
    view = study_shortcuts.view(SHORTCUTS, album())
    html = page(run_of(), "shortcuts", "believe", view)
    rows = cells(html, "What trivial properties can do")
    assert [" ".join(row[0]) for row in rows] == [
        "always the same answer",
        "border alone",
        "sharpness alone",
        "all but the corners together",
        "the model",
    ]
    assert rows[1][1][0] == "0.400"
    assert rows[1][3] == ["&lt;", "0.001"]
    assert rows[2][2] == ["0.000", "no", "interval"]


def test_the_class_and_what_tells_it_are_named_with_pictures(run_of: RunOf) -> None:
    view = study_shortcuts.view(SHORTCUTS, album())
    html = page(run_of(), "shortcuts", "believe", view)
    rows = cells(html, "Which class is told by what")
    assert " ".join(rows[0][1]) == "border best alone: plainness of a side, 0.950"
    assert rows[1][1] == ["border"]
    assert " ".join(rows[0][2]) == "0.987 0.970 to 0.995 n = 200"
    assert " ".join(rows[0][4]) == "nearly tells it"
    assert len(view["galleries"]) == 1
    assert view["galleries"][0]["pictures"][0].jpeg


def test_a_regression_has_no_classes_to_be_told(run_of: RunOf) -> None:
    view = study_shortcuts.view({**SHORTCUTS, "clues": [], "num_tried": 0, "model": None}, album())
    html = page(run_of(), "shortcuts", "believe", view)
    assert "Which class is told by what" not in html
    assert len(cells(html, "What trivial properties can do")) == 4


def test_what_is_not_shown_of_many_clues_is_counted(run_of: RunOf) -> None:
    many = [clue(f"elm {number}", "severe") for number in range(9)]
    view = study_shortcuts.view({**SHORTCUTS, "clues": many}, album())
    html = page(run_of(), "shortcuts", "believe", view)
    assert len(cells(html, "Which class is told by what")) == 6
    assert "And 3 more; trust.json holds all." in html
    few = study_shortcuts.view({**SHORTCUTS, "clues": [*many[:2], clue("oak")]}, album())
    assert "more; trust.json" not in page(run_of(), "shortcuts", "believe", few)


def test_what_could_not_be_asked_of_single_classes_is_said_with_the_reason(run_of: RunOf) -> None:
    unasked = {"clues": [], "num_tried": 0, "not_asked": "all pictures are of one group"}
    view = study_shortcuts.view({**SHORTCUTS, **unasked}, album())
    html = page(run_of(), "shortcuts", "believe", view)
    assert "Which class is told by what was not asked: all pictures are of one group." in html
    earlier = study_shortcuts.view(SHORTCUTS, album())  # of a run that did not know the reason
    assert "was not asked" not in page(run_of(), "shortcuts", "believe", earlier)


def test_weak_slices_have_their_numbers_and_pictures(run_of: RunOf) -> None:
    view = study_slices.view(SLICES, album())
    html = page(run_of(), "slices", "wrong", view)
    (row,) = cells(html, "Slices that are worse than the rest")
    assert " ".join(row[0]).endswith(
        "30 of its 40 pictures are &lt;script&gt;alert(1)&lt;/script&gt;"
    )
    assert [" ".join(cell) for cell in row[1:6]] == [
        "40", "0.700 0.100 to 0.900", "0.950 0.100 to 0.900 n = 200", "0.250 0.100 to 0.900",
        "&lt; 0.001",
    ]  # fmt: skip
    assert "12 of 40 pictures wrong" in html
    assert "And 2 more slices" in html


def test_where_nothing_is_weak_there_is_a_sentence_and_no_table(run_of: RunOf) -> None:
    view = study_slices.view({**SLICES, "slices": [], "num_weak": 0}, album())
    html = page(run_of(), "slices", "wrong", view)
    assert "Of 30 slices 1 is worse." in html
    assert "Slices that are worse than the rest" not in html
