"""What the probe of trivial properties found, in words and as findings."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from saccade.data.properties import CORNERS, FAMILIES
from saccade.data.task import Task
from saccade.evaluation.digits import decimals
from saccade.runtime.errors import listed

HALF = 0.5  # of what the model gains over always answering the same
CHANCE = 0.5  # the area of a clue that knows nothing
SAID_IN_ORDER = ("light", "sharpness", "border", "file", "bytes", "source")
MOST_NAMED = 6  # classes with a finding of their own; the others share one


def verdict(found: Mapping[str, Any]) -> str:
    """Return "nearly wins", "says something" or "says nothing".

    The trivial properties *nearly win* where they are shown to beat the one answer, and either
    are shown to recover more than half of what the model gains over it (the interval's lower end
    is above), or the model is not shown to be better than they are. Half, because then most of
    what the score says can be had without looking at what is shown. An interval that merely
    reaches into the model's would not do as a rule: with few pictures every interval does, and
    a paired comparison knows more than two intervals.
    """
    if not _above_zero(found["gain"]):
        return "says nothing"
    if found["ahead"] is None:
        return "says something"
    near = _recovers_half(found) or not _above_zero(found["ahead"])
    return "nearly wins" if near else "says something"


def _recovers_half(found: Mapping[str, Any]) -> bool:
    """Return whether the properties are shown to reach most of what the model gains, or all of it.

    Where they are not, and the model is merely not told apart from them, the pictures may be few.
    """
    low, ahead = found["share"]["low"], found["ahead"]["high"]
    return (low is not None and low > HALF) or (ahead is not None and ahead < 0)


def _above_zero(gain: Mapping[str, Any]) -> bool:
    return gain["low"] is not None and gain["low"] > 0


def sentence(found: Mapping[str, Any], task: Task) -> str:
    """Return what the trivial properties can do, in words."""
    what = f"{_asked(found['families'])} alone"
    n, part = found["n"], found["part"]
    usual = {"regression": "always the mean", "multilabel": "always the usual labels"}.get(
        task.kind, "majority"
    )
    share = task.kind != "regression"
    beside = f"{usual} {_short(found['majority'], share=share)}"
    if found["model"] is not None:
        beside += f"; {found['model_name']} {_short(found['model'], share=share)}"
    number, pictures = _full(found["trivial"], share=share), f"the {n} {part} pictures"
    did = {
        "regression": f"are off by {number} on average on {pictures}",
        "multilabel": f"get {number} of the labels right on {pictures}",
    }.get(task.kind, f"name {number} of {pictures} rightly")
    text = f"{what} {did} ({beside})."
    return f"{text}{_beside_the_model(found, usual)}"


def _beside_the_model(found: Mapping[str, Any], usual: str) -> str:
    """Return how near the properties come to the model: past it, up to it, or a share of the way.

    A share of a gain is clipped at none and all of it.
    """
    if found["verdict"] == "says nothing":
        return " It is not shown that they say anything about the answer."
    share, ahead, model = found["share"], found["ahead"], found["model_name"]
    if ahead is None:
        return ""
    if ahead["high"] is not None and ahead["high"] < 0:
        return f" They do better than {model}."
    text = ""
    if share["value"] is not None:
        text = f" They reach {_percent(share)} of what {model} gains over {usual}."
    return text if _above_zero(ahead) else f"{text} They are not told apart from {model}."


def _asked(families: Sequence[Mapping[str, Any]]) -> str:
    """Return the families of properties that the probe is given, corners not, in words."""
    present = {own["name"] for own in families}
    names = [FAMILIES[name] for name in SAID_IN_ORDER if FAMILIES[name] in present]
    *most, last = " and ".join(names).split(" and ")  # "size and file kind" are two things
    text = f"{', '.join(most)} and {last}" if most else last
    return text[:1].upper() + text[1:]


def _short(one: Mapping[str, Any], *, share: bool = True) -> str:
    return "–" if one["value"] is None else decimals(one["value"], share=share)


def _full(one: Mapping[str, Any], *, share: bool = True) -> str:
    if one["low"] is None:
        return _short(one, share=share)
    value, low, high = (decimals(one[key], share=share) for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def _percent(share: Mapping[str, Any]) -> str:
    """Return a share of a gain in whole per cent, from none to all of it.

    >>> _percent({"value": 1.05, "low": 0.853, "high": 1.247})
    '100 % [85 %, 100 %]'
    """
    ends = (
        [share["value"]] if share["low"] is None else [share[k] for k in ("value", "low", "high")]
    )
    value, *interval = [f"{100 * min(max(end, 0.0), 1.0):.0f} %" for end in ends]
    return f"{value} [{', '.join(interval)}]" if interval else value


def findings(
    found: Mapping[str, Any], *, task: Task, source_is_label: bool
) -> list[dict[str, Any]]:
    """Return what should stand among the findings of the data, as `Finding` has it.

    Args:
        found: what the study found so far.
        task: whether there are classes to speak of.
        source_is_label: as in `Properties`.
    """
    made = [_of_all(found, task)] if found["verdict"] == "nearly wins" else []
    by_class: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for one in found["clues"]:
        if one["severity"]:
            by_class[one["class"]].append(one)
    accused = list(by_class.values())
    made += [_of_class(own, found["seen_share"]) for own in accused[:MOST_NAMED]]
    if accused[MOST_NAMED:]:
        made.append(_of_more([_worst(own) for own in accused[MOST_NAMED:]]))
    if source_is_label:
        made.append(
            _finding(
                "source-is-class",
                "note",
                "Each source (a folder, or the beginning of the file names) holds pictures of one "
                "class alone. It is left out of the probe, for it may be the class in other words.",
                action="if these are places, cameras or collections, nothing here can tell whether "
                "the network learned them instead of the classes: collect all classes from each",
            )
        )
    return made


def _of_all(found: Mapping[str, Any], task: Task) -> dict[str, Any]:
    """Return the finding that the trivial properties together nearly win."""
    action = (
        "look at what the pictures of a class share beside what they show; where that is no part "
        "of it, collect all classes in the same way, or cut it away"
    )
    if task.kind == "regression":
        action = (
            "look at what pictures with like numbers share beside what they show; where that is no "
            "part of the answer, collect pictures of all numbers in the same way, or cut it away"
        )
    text = f"{found['sentence']}{_where_most_is(found)}"
    severity = "severe" if _recovers_half(found) else "warning"
    return _finding("shortcut", severity, text, action=action)


def _where_most_is(found: Mapping[str, Any]) -> str:
    """Return which family has most of what the properties gain, where that is shown.

    It is said only of a family that is shown to have more than half of it; corners are no part of
    it. Families whose intervals reach its own may have as much. The class that it tells best must
    be told better than by chance.
    """
    best, *others = [own for own in found["families"] if not _is_corner(own["name"])]
    low = best["share"]["low"]
    if low is None or low <= HALF:
        return ""
    share = _percent(best["share"])
    rivals = [own for own in others if own["share"]["high"] is not None]
    rivals = [own for own in rivals if own["share"]["high"] >= low]
    if rivals:
        named = ", or from ".join(own["name"] for own in rivals)
        return (
            f" The {best['name']} alone gains {share} of what they gain, and cannot be told apart "
            f"from {named}."
        )
    text = f" Most of what they gain, {share}, is in the {best['name']}"
    clue = next((one for one in found["clues"] if one["family"] == best["name"]), None)
    if clue is not None and clue["low_corrected"] > CHANCE:
        text += f", which tells '{clue['class']}' best, by the {_named(clue)}"
    return f"{text}."


def _of_class(own: Sequence[Mapping[str, Any]], seen_share: float) -> dict[str, Any]:
    """Return the finding of one class, from all that nearly tells it."""
    worst = _worst(own)
    name, pairs = worst["class"], worst["auc"]
    others = [f"the {_named(one)}" for one in own if one is not worst]
    as_well = f" (and so do {' and '.join(others)})" if others else ""
    return _finding(
        "shortcut-property",
        worst["severity"],
        f"The {_named(worst)} alone nearly tells '{name}' from the others{as_well}: of a picture "
        f"of '{name}' and another one it knows which is which in {_full(pairs)} of all pairs "
        f"(n = {pairs['n']}).{_beyond_the_crop(worst, seen_share)}",
        paths=[one["path"] for one in worst["pictures"]],
        action=f"look at the pictures of '{name}': if that is no part of what '{name}' is, "
        "a network learns it instead of the class",
    )


def _of_more(each: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the finding of the classes that have no finding of their own, each by its worst."""
    who = "One more class is" if len(each) == 1 else f"{len(each)} more classes are"
    named = listed(f"'{one['class']}' by the {one['property']}" for one in each)
    return _finding(
        "shortcut-property",
        _worst(each)["severity"],
        f"{who} nearly told from the others by one property alone: {named}.",
        paths=[one["pictures"][0]["path"] for one in each],
        action="look at the pictures of each: what is no part of a class, a network learns instead "
        "of it",
    )


def _worst(own: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the first clue of those that are as severe as any."""
    return min(own, key=lambda one: ("severe", "warning").index(one["severity"]))


def _beyond_the_crop(one: Mapping[str, Any], seen_share: float) -> str:
    """Return a warning that a border or corner may lie outside of what the network is shown."""
    is_outside = one["family"] == FAMILIES["border"] or _is_corner(one["family"])
    if seen_share >= 1 or not is_outside:
        return ""
    return (
        f" It is measured on the whole picture; the middle {seen_share:.0%} of each side is what "
        "the network is shown when it answers."
    )


def _is_corner(name: str) -> bool:
    """Return whether a family, in words, is a corner."""
    return name in {FAMILIES[own] for own in CORNERS}


def _named(one: Mapping[str, Any]) -> str:
    """Return a clue in words, with the property that tells most where it is several together."""
    if one["property"] == one["single"] or not one["single"]:
        return str(one["property"])
    return f"{one['property']} (most of all the {one['single']}: {decimals(one['single_area'])})"


def _finding(
    kind: str, severity: str, text: str, *, action: str, paths: Sequence[str] = ()
) -> dict[str, Any]:
    return {
        "kind": kind,
        "severity": severity,
        "paths": list(paths),
        "sentence": text,
        "action": action,
    }
