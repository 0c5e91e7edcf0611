"""Shortcuts, as the page shows them: what trivial properties can do, and which class they tell."""

from collections.abc import Mapping
from typing import Any

from saccade.reporting.estimates import estimate_of, p_figure
from saccade.reporting.glossary import is_share
from saccade.reporting.pictures import Album
from saccade.reporting.wording import decimals
from saccade.runtime.store import decode_name

MOST_GALLERIES = 2
FEWEST_CLUES, MOST_CLUES = 3, 6
SHOWN = 0.05  # p of a corner that is worth its row
CLAIMS = {"severe": "nearly tells it", "warning": "nearly tells it, and may be part of it", "": ""}


def view(study: Mapping[str, Any], album: Album) -> dict[str, Any]:
    """Return what `study_shortcuts.html` is given."""
    striking = [one for one in study["clues"] if one["severity"]]
    num_shown = min(max(FEWEST_CLUES, len(striking)), MOST_CLUES)
    return {
        "sentence": study["sentence"],
        "score": study["score"],
        "is_share": is_share(study["score"]),
        "part": study["part"],
        "n": study["n"],
        "rows": _rows(study),
        "clues": [_clue(one) for one in study["clues"][:num_shown]],
        "num_more": len(striking[num_shown:]),
        "num_asked": study.get("num_asked", 0),  # not told by earlier runs
        "num_tried": study["num_tried"],
        "not_asked": study.get("not_asked", ""),  # not known of earlier runs
        "galleries": [
            {
                "caption": f"{one['class']}, by the {one['property']}",
                "pictures": [album.picture(decode_name(own["path"])) for own in one["pictures"]],
            }
            for one in striking[:MOST_GALLERIES]
        ],
    }


def _rows(study: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the majority, each family alone (corners that say something), all, and the model."""
    rows = [_row("always the same answer", study["majority"])]
    rows += [
        _row(f"{own['name']} alone", own["score"], gain=own["gain"], p=own["p_corrected"])
        for own in study["families"]
        if own["p_corrected"] < SHOWN or not own["name"].endswith("corner")
    ]
    rows.append(_row("all but the corners together", study["trivial"], gain=study["gain"]))
    if study["model"] is not None:
        rows.append(_row(study["model_name"], study["model"]))
    return rows


def _row(
    name: str,
    score: Mapping[str, Any],
    *,
    gain: Mapping[str, Any] | None = None,
    p: float | None = None,
) -> dict[str, Any]:
    return {
        "name": name,
        "score": estimate_of(score),
        "gain": estimate_of(gain) if gain is not None else None,
        "p": p_figure(p) if p is not None else "",
    }


def _clue(one: Mapping[str, Any]) -> dict[str, Any]:
    single = one["single"]
    several = bool(single) and single != one["property"]
    return {
        "class": one["class"],
        "property": one["property"],
        "single": f"best alone: {single}, {decimals(one['single_area'])}" if several else "",
        "auc": estimate_of(one["auc"]),
        "low": decimals(one["low_corrected"]),
        "claim": CLAIMS[one["severity"]],
    }
