"""Weak spots, as the page shows them: a table of slices, and pictures of each."""

from collections.abc import Mapping
from typing import Any

from saccade.reporting.estimates import estimate_of, p_figure
from saccade.reporting.facts import Picture
from saccade.reporting.glossary import is_share
from saccade.reporting.pictures import Album
from saccade.reporting.wording import decimals, plural
from saccade.runtime.store import decode_name


def view(study: Mapping[str, Any], album: Album) -> dict[str, Any]:
    """Return what `study_slices.html` is given."""
    return {
        "sentence": study["sentence"],
        "score": study["score"],
        "is_share": is_share(study["score"]),
        "rows": [_row(one, album, score=study["score"]) for one in study["slices"]],
        "num_more": study["num_weak"] - len(study["slices"]),
        "note": _note(study),
    }


def _row(one: Mapping[str, Any], album: Album, *, score: str) -> dict[str, Any]:
    mostly = one["mostly"]
    remark = ""
    if mostly is not None:
        remark = f"{mostly['count']} of its {plural(one['n'], 'picture')} are {mostly['class']}"
    return {
        "name": one["name"],
        "n": one["n"],
        "inside": estimate_of(one["inside"]),
        "outside": estimate_of(one["outside"]),
        "difference": estimate_of(one["difference"]),
        "p": p_figure(one["p_corrected"]),
        "remark": remark,
        "caption": f"{one['num_wrong']} of {plural(one['n'], 'picture')} wrong"
        if score == "accuracy"
        else f"{score} {decimals(one['inside']['value'], share=is_share(score))}, n = {one['n']}",
        "pictures": [_picture(own, album) for own in one["pictures"]],
    }


def _picture(own: Mapping[str, str], album: Album) -> dict[str, Picture | str]:
    return {
        "picture": album.picture(decode_name(own["path"])),
        "what": f"is {own['truth']}, answered {own['prediction']}",
    }


def _note(study: Mapping[str, Any]) -> str:
    return (
        f"Slices of at least {study['fewest']} pictures, each against all others of the part, by "
        "Fisher's exact test (by the rank sum for errors that are numbers; where pictures come in "
        "groups, those of one group count for fewer). p is corrected for all that were tested "
        "(Holm): on answers that have nothing to do with the slices, "
        f"{study['alpha']:.0%} of runs would show any. Pairs are shown only where they are worse "
        "than the rest of either of the two, and than all others."
    )
