"""What a naive split would have claimed, as the page says it."""

from collections.abc import Mapping
from typing import Any

from saccade.reporting.estimates import estimate_of, score_words, told, told_change
from saccade.reporting.glossary import is_share
from saccade.reporting.pictures import Album
from saccade.reporting.wording import decimals, plural


def view(study: Mapping[str, Any], album: Album) -> dict[str, Any]:
    """Return what `study_naive_split.html` is given."""
    del album
    return {
        "sentence": sentence(study),
        "score": score_words(study["score_name"]),
        "is_share": is_share(study["score_name"]),
        "n": study["n"],
        "naive": estimate_of(study["naive"]),
        "grouped": estimate_of(study["grouped"]),
        "difference": estimate_of(study["difference"]),
        "note": _note(study),
    }


def sentence(study: Mapping[str, Any]) -> str:
    """Return the line about the two splits, with the difference and what it rests on."""
    apart, name = study["difference"], study["score_name"]
    beyond = apart["low"] is not None and (apart["low"] > 0 or apart["high"] < 0)
    rests = (
        f"on the same {plural(study['n'], 'picture')}, {study['num_tied']:,} of them in "
        f"{study['num_groups']:,} groups"
    )
    if not beyond:
        return (
            f"A naive split would have claimed {told(study['naive'], name)}, this one says "
            f"{told(study['grouped'], name)}: that tearing the groups apart flatters is not shown "
            f"({told_change(apart, name)} {rests})."
        )
    naive, grouped = (
        decimals(study[key]["value"], share=is_share(name)) for key in ("naive", "grouped")
    )
    better = name != "mae"
    flatters = (apart["value"] > 0) == better
    claim = "an error of " if not better else ""
    words = (
        "the rest is pictures recognised by their like"
        if flatters
        else "so the groups do not flatter here"
    )
    return (
        f"A naive split would have claimed {claim}{naive}; this one "
        f"says {grouped}: {told_change(apart, name)} {rests}; {words}."
    )


def _note(study: Mapping[str, Any]) -> str:
    return (
        f"Heads on the frozen features, each picture judged by some that had learned without it, "
        f"in {study['num_deals']} deals of each kind: once dealt out by groups, once one by one. "
        f"They learned from equally many pictures. The test part was not touched."
    )
