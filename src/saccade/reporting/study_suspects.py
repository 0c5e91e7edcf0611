"""Suspect labels in words and pictures."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from saccade.evaluation.suspects import UNSURE
from saccade.reporting.pictures import Album
from saccade.reporting.wording import count, decimals, joined_words, percent, plural
from saccade.runtime.errors import MAX_LISTED
from saccade.runtime.store import decode_name

SUSPECTS = "suspect-labels"  # the anchor of the section
FIRST_SHOWN, MOST_SHOWN = 12, 60
LEAST_SURE, LEAST_SHARE = 3, 0.01
"""Labels that are surely contradicted, from which on the first screen says so. Of labels as they
were published it was up to 3.1 % of small sets (docs/suspects.md), and the sentence says so too."""


def view(study: Mapping[str, Any], album: Album) -> dict[str, Any]:
    """Return what study_suspects.html is given."""
    corrections = study["corrections"]
    suspects = [_suspect(own, album) for own in study["suspects"][:MOST_SHOWN]]
    return {
        "anchor": SUSPECTS,
        "kind": study["kind"],
        "sentence": f"{_finding(study)} {_how(study)}",
        "caution": _caution(study),
        "suspects": suspects[:FIRST_SHOWN],
        "more": suspects[FIRST_SHOWN:],  # folded away
        "num_in_file": len(study["suspects"]),
        "pairs": [_pair(own) for own in study["pairs"]],
        "corrections": [] if corrections is None else list(_corrections(corrections)),
        "num_review": study["num_review"],
    }


def doubted(study: Mapping[str, Any]) -> str:
    """Return that labels are surely contradicted, for the first screen; "" where few are.

    Nothing of numbers, whose large errors may be honest.
    """
    n, sure = study["n"], study["num_sure"]
    if study["kind"] == "regression" or sure < LEAST_SURE or sure < LEAST_SHARE * n:
        return ""
    of = "labels" if study["kind"] != "multilabel" else "pictures, by their labels"
    look, but = "look wrong", "as it does up to 3 of 100 that are right but hard to tell"
    if study.get("contradicted", 0.0) > UNSURE:
        look, but = "are wrong or hard to tell", "among so many others that it cannot say which"
    said = (
        f"{count(sure)} of {count(n)} {of} ({percent(sure / n)}) in the training and validation "
        f"parts{_sample(study)} {look}: a simple model that did not learn from these pictures "
        f"surely contradicts them, {but}. Look at these first."
    )
    judge = study.get("validation", {"num_sure": 0, "n": 0})  # earlier runs did not count them
    if not judge["num_sure"]:
        return said
    are, each = ("are", "each") if judge["num_sure"] > 1 else ("is", "it")
    return (
        f"{said} Of the {count(judge['n'])} in the validation part {count(judge['num_sure'])} "
        f"{are} among them: by that part networks are chosen and what they promise is set, and "
        f"{each} counts as a mistake if its label is wrong."
    )


def _finding(study: Mapping[str, Any]) -> str:
    """Return the result, with its n."""
    n, num, sure = study["n"], study["num_listed"], study["num_sure"]
    if study["kind"] == "regression":
        return (
            f"{_whose(study)}, {count(num)} of {count(n)} are far from what a probe expects."
            f"{_settled(study)}"
        )
    if study["kind"] == "multilabel":
        return (
            f"{_whose(study)}, {count(num)} of {plural(n, 'picture')} have or lack a label against "
            f"what a probe says, {count(sure) if sure else 'none'} of them surely; how many are "
            f"wrong is not estimated for sets of labels.{_too_weak(study.get('weak', ()))}"
            f"{_settled(study)}"
        )
    share, against = study["share"], study.get("contradicted", 0.0)  # not told by earlier runs
    if share is None:
        return (
            f"{_whose(study)}, nothing can be said: a probe contradicts {percent(against)} of "
            f"{count(n)}, so it is too weak to accuse any.{_settled(study)}"
        )
    likely, probably = ("perhaps", "") if against > UNSURE else ("about", "probably ")
    said = (
        f"{_whose(study)}, {likely} {count(share['value'] * n)} of {count(n)} "
        f"({percent(share['value'])}, somewhere from {percent(share['low'])} to "
        f"{percent(share['high'])}) are {probably}wrong.{_settled(study)}"
    )
    settled = study.get("num_settled", 0)
    if not num:
        return f"{said} The probe contradicts none of {'the others' if settled else 'them'}."
    among = f"{count(n - settled)} others" if settled else count(n)
    said = f"{said} A probe contradicts {count(num)} of the {among}, {count(sure)} surely."
    if num > UNSURE * n:
        said += " So many may be hard for it: it cannot tell them from wrong ones."
    return said


def _settled(study: Mapping[str, Any]) -> str:
    """Return how many nobody has to look at again; earlier runs asked for all again."""
    num = study.get("num_settled", 0)
    if not num:
        return ""
    was, are = ("was", "is") if num == 1 else ("were", "are")
    return (
        f" {count(num)} of them {was} put right or confirmed by a table of corrections, and {are} "
        f"not accused.{_less(study)}"
    )


def _less(study: Mapping[str, Any]) -> str:
    """Return how the number of wrong labels was come to where some were put right."""
    known = study["corrections"] or {"num": {}}
    if study["share"] is None or not any(known["num"].get(own) for own in ("train", "validation")):
        return ""
    return " How many are left is estimated of the labels as they were, less those put right."


def _too_weak(weak: Sequence[Mapping[str, Any]]) -> str:
    """Return for which labels the probe is too weak; runs of earlier versions know of none."""
    if not weak:
        return ""
    each = [
        f"{decode_name(own['label'])} (it contradicts {count(own['num'])} of the "
        f"{count(own['n'])} that {'have' if own['has'] else 'lack'} it)"
        for own in weak
    ]
    return f" It is too weak to accuse a picture of {joined_words(each, last='or')}."


def _whose(study: Mapping[str, Any]) -> str:
    what = "numbers" if study["kind"] == "regression" else "labels"
    return f"Of the {what} of the training and validation parts{_sample(study)}"


def _sample(study: Mapping[str, Any]) -> str:
    return "" if study["n"] == study["num_pictures"] else " (an even sample)"


def _how(study: Mapping[str, Any]) -> str:
    return (
        f"The probe is a linear model of what {study['features'] or 'the network'} says of the "
        "pictures as it came, its stages frozen; it is asked about each picture without having "
        "learned from it."
    )


def _caution(study: Mapping[str, Any]) -> str:
    """Return how far the number is to be believed."""
    if study["share"] is None:
        right = "number" if study["kind"] == "regression" else "label"
        return f"A suspect may as well be a hard picture whose {right} is right: look at it."
    if study.get("contradicted", 0.0) > UNSURE:
        return (
            "The interval goes from one extreme to the other: at its low end all that the probe "
            "contradicts are hard pictures with the right label; at its high end, of the labels "
            "about which it is unsure as many are wrong as of the others. Look before you correct."
        )
    return (
        "The interval goes from one extreme to the other. At its low end, 3 of 100 pictures are "
        "surely contradicted though their labels are right, as was met where pictures are hard and "
        "few; at its high end, of the labels about which the probe is unsure as many are wrong as "
        "of the others. A suspect may be a hard picture whose label is right: look before you "
        "correct."
    )


def _suspect(own: Mapping[str, Any], album: Album) -> dict[str, Any]:
    return {
        "picture": album.picture(decode_name(own["path"])),
        "label": decode_name(own["label"]),
        "likelier": decode_name(own["likelier"]),
        "score": decimals(own["score"]),
        "sure": _how_sure(own),
        "why": own["why"],
    }


def _how_sure(own: Mapping[str, Any]) -> str:
    """Return how a label is contradicted; by a copy with another label the probe has no say."""
    if not str(own["why"]).startswith("probe: "):
        return "its copy is called otherwise"
    return "surely contradicted" if own["sure"] else "doubtful"


def _pair(own: Mapping[str, Any]) -> dict[str, Any]:
    share = own["share"]
    return {
        "label": decode_name(own["label"]),
        "likelier": decode_name(own["likelier"]),
        "num": count(own["num"]),
        "n": count(share["n"]),
        "share": percent(share["value"]),
        "interval": f"{percent(share['low'])} to {percent(share['high'])}",
        "noise": percent(own["noise"]),
    }


def _corrections(own: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the corrections of this run were, and what they brought."""
    parts = joined_words([f"{count(n)} in {part}" for part, n in own["num"].items()])
    left_out = own["num_left_out"]
    more = f"; {plural(left_out, 'picture was', 'pictures were')} left out" if left_out else ""
    yield f"Labels corrected here: {parts}{more}."
    effect = own["effect"]
    if effect is not None:
        yield (
            "What the training labels brought, by two heads that are simpler than those of the "
            f"runs: on the same features, one taught by the {count(effect['num_train'])} training "
            "labels as they were and one as they are, judged by the corrected validation labels. "
            f"{effect['sentence']}"
        )
    elif own["num"]["train"]:
        yield "What they brought could not be measured: nothing judges, or a class is gone."
    if own["test_paths"]:
        shown = own["test_paths"][:MAX_LISTED]  # of all, the study names the first only
        rest = own["num"]["test"] - len(shown)
        names = ", ".join(shown) + (f" and {count(rest)} more" if rest > 0 else "")
        yield f"Test labels were changed ({names}), so the test score rests on them."
    test = own["test"]
    if test is not None:
        yield (
            f"With the test labels as they were, the accuracy of this network is "
            f"{_scored(test['as_given'])}; as they are, {_scored(test['corrected'])} "
            f"(n = {count(test['corrected']['n'])}). That compares labels, not networks: how the "
            "network of an earlier run does on these labels says saccade compare, with --labels "
            "this run."
        )


def _scored(estimate: Mapping[str, Any]) -> str:
    low, high = decimals(estimate["low"]), decimals(estimate["high"])
    return f"{decimals(estimate['value'])} ({low} to {high})"
