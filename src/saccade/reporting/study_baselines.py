"""The baseline ladder, as the page shows it: a table with bars, and what each step brought."""

from collections.abc import Mapping, Sequence
from typing import Any

from saccade.reporting.estimates import (
    estimate_of,
    p_figure,
    p_words,
    score_words,
    told,
    told_change,
)
from saccade.reporting.glossary import is_share
from saccade.reporting.pictures import Album
from saccade.reporting.wording import count, decimals, joined_words, large, plural

Study = Mapping[str, Any]
Comparison = Mapping[str, Any]

TITLES = {
    "majority": "majority",
    "properties": "trivial properties",
    "mlp": "fully connected",
    "cnn": "small CNN",
    "frozen": "frozen features",
    "final": "this network",
}
WHAT = {
    "majority": "always the most frequent answer of the training part",
    "properties": "a head on size, brightness, sharpness, border and the like",
    "mlp": "from scratch, on {small}",
    "cnn": "convolutions from scratch, on the same {small}",
    "frozen": "the pretrained network as it came, with a solved head",
    "final": "the network that ships",
}
NOUNS = {
    "majority": "the most frequent answer",
    "properties": "trivial properties",
    "mlp": "a fully connected network",
    "cnn": "a small CNN",
    "frozen": "a head on frozen features",
    "final": "the network that ships",
}
ALWAYS_THE_MEAN = "always the mean of the training part"


def view(study: Study, album: Album) -> dict[str, Any]:
    """Return what `study_baselines.html` is given."""
    del album
    return {
        "sentences": sentences(study),
        "metric": score_words(study["metric"]),
        "is_share": is_share(study["metric"]),
        "rows": [_row(own, study) for own in study["rungs"]],
        "left_out": [f"{TITLES[name]}: {reason}" for name, reason in study["left_out"].items()],
        "note": _note(study),
    }


def sentences(study: Study) -> tuple[str, ...]:
    """Return whether the network beats the simplest answer, and what the steps brought."""
    found = [_verdict(study)]
    for first, second, what in (
        ("mlp", "cnn", "Convolution"),
        ("cnn", "frozen", "Pretraining"),
        ("frozen", "final", "Fine-tuning"),
    ):
        own = comparison(study, first, second)
        if own is not None:
            found.append(_brought(own, what, study))
    found.insert(1, simpler_is_better(study, said=("majority", "frozen")))
    return tuple(text for text in (*found, _simple(study)) if text)


def comparison(study: Study, first: str, second: str) -> Comparison | None:
    """Return how two rungs compare; None where they were not compared."""
    for own in study["comparisons"]:
        if (own["first"], own["second"]) == (first, second):
            found: Comparison = own
            return found
    return None


def _verdict(study: Study) -> str:
    """Return whether the last rung is shown to be better than the first."""
    rungs = study["rungs"]
    if len(rungs) < 2:
        return ""
    first, last = rungs[0]["name"], rungs[-1]["name"]
    own = comparison(study, first, last)
    if own is None:
        return ""
    numbers = f"{_told(study, last)} against {_told(study, first)}, {_difference(own, study)}"
    verb = "is better than" if own["better"] else "is not shown to be better than"
    if own["worse"]:
        verb = "is worse than"
    noun = _noun(last, study)
    return f"{noun[0].upper()}{noun[1:]} {verb} {_noun(first, study)}: {numbers}."


def simpler_is_better(study: Study, *, said: Sequence[str] = ("majority",)) -> str:
    """Return that a simpler answer is shown to be better than the last rung; "" where none is.

    Nothing is said again of rungs whose comparison with the last one is `said` elsewhere.
    """
    last = study["rungs"][-1]["name"]
    found = [own for own in study["comparisons"] if own["second"] == last and own["worse"]]
    found = [own for own in found if own["first"] not in said]
    if not found:
        return ""
    best = max(found, key=lambda own: abs(own["difference"]["value"]))
    noun, verb = NOUNS[best["first"]], "do" if best["first"] == "properties" else "does"
    return (
        f"{noun[0].upper()}{noun[1:]} {verb} better than {NOUNS[last]}: "
        f"{_told(study, best['first'])} against {_told(study, last)}, "
        f"{_difference(best, study)}."
    )


def _noun(name: str, study: Study) -> str:
    if name == "majority" and study["kind"] == "regression":
        return "the mean of the training part"
    return NOUNS[name]


def _brought(own: Comparison, what: str, study: Study) -> str:
    """Return what a step brought, or that this is not shown."""
    first, second = own["first"], own["second"]
    scores = (
        f"{NOUNS[second]} has {_told(study, second)} and {NOUNS[first]} {_told(study, first)} "
        f"on the same {plural(study['n'], 'test picture')}, {_difference(own, study)}"
    )
    if own["better"]:
        return f"{what} brought {_amount(own, study)}: {scores}."
    if own["worse"]:
        return f"{what} did harm on this data: {scores}."
    return f"That {what.lower()} brought anything on this data is not shown: {scores}."


def _simple(study: Study) -> str:
    """Return a warning where trivial properties go most of the way."""
    names = [own["name"] for own in study["rungs"]]
    if "properties" not in names or study["metric"] == "mae" or len(names) < 3:
        return ""
    floor, trivial, top = (_value(study, name) for name in ("majority", "properties", names[-1]))
    own = comparison(study, "majority", "properties")
    if own is None or not own["better"] or top <= floor:
        return ""
    share = (trivial - floor) / (top - floor)
    if share < 0.5:
        return ""
    return (
        f"Trivial properties alone go {share:.0%} of the way from {_noun(names[0], study)} to "
        f"{NOUNS[names[-1]]}: what the network says may rest on them."
    )


def _value(study: Study, name: str) -> float:
    return next(float(own["score"]["value"]) for own in study["rungs"] if own["name"] == name)


def _told(study: Study, name: str) -> str:
    return next(
        told(own["score"], study["metric"]) for own in study["rungs"] if own["name"] == name
    )


def _amount(own: Comparison, study: Study) -> str:
    size = decimals(abs(own["difference"]["value"]), share=is_share(study["metric"]))
    name = score_words(study["metric"])
    return f"{size} less {name}" if study["metric"] == "mae" else f"{size} of {name}"


def _difference(own: Comparison, study: Study) -> str:
    text = (
        f"apart by {told_change(own['difference'], study['metric'])}, {p_words(own['p_corrected'])}"
    )
    if own["num_compared"] > 1:
        text += f" corrected for {own['num_compared']} comparisons"
    return f"{text}, n = {count(study['n'])}"


def _row(own: Mapping[str, Any], study: Study) -> dict[str, Any]:
    before = next(
        (c for c in study["comparisons"][: len(study["rungs"]) - 1] if c["second"] == own["name"]),
        None,
    )
    px = study.get("small_px")  # not known of earlier runs
    what = WHAT[own["name"]].format(small=f"pictures of {px} px" if px else "small pictures")
    if own["name"] == "majority" and study["kind"] == "regression":
        what = ALWAYS_THE_MEAN
    if own["epochs"]:
        what += f", {plural(own['epochs'], 'epoch')}"
    if own.get("num_taught"):
        what += f" of {plural(own['num_taught'], 'training picture')}"
    return {
        "title": "mean" if what.startswith(ALWAYS_THE_MEAN) else TITLES[own["name"]],
        "what": what,
        "score": estimate_of(own["score"]),
        "difference": estimate_of(before["difference"]) if before else None,
        "p": p_figure(before["p_corrected"] if before else None),
        "seconds": own["seconds"],
        "num_parameters": own["num_parameters"],
        "num_learned": own["num_learned"],
        "size": _size(own["num_bytes"]),
        "images_per_second": own["images_per_second"],
    }


def _size(num_bytes: int | None) -> str:
    """Return a size in words.

    >>> _size(8921108), _size(940), _size(None)
    ('8.92 MB', '940 B', '–')
    """
    if not num_bytes:
        return "–"
    text = large(num_bytes)
    return f"{text}B" if text[-1].isalpha() else f"{text} B"


def _note(study: Study) -> str:
    compared = max((own["num_compared"] for own in study["comparisons"]), default=0)
    by = f", corrected by Holm's rule for {compared} comparisons" if compared > 1 else ""
    small = joined_words(
        [
            f"the {TITLES[own['name']] if own['name'] == 'cnn' else 'fully connected network'}"
            for own in study["rungs"]
            if own["name"] in {"mlp", "cnn"}
        ]
    )
    text = (
        f"All answer the same {plural(study['n'], 'test picture')}; each is compared with the one "
        f"above it, picture by picture{by}. Time is that of learning, decoding left out"
    )
    pretrained = any(own["name"] == "frozen" for own in study["rungs"])
    if pretrained:
        text += "; that of frozen features holds the network's pass over all pictures"
    text += "."
    if small:
        verb = "were" if " and " in small else "was"
        steps = "convolution and pretraining" if pretrained else "convolution"
        text += (
            f" {small[0].upper()}{small[1:]} {verb} trained for seconds and could get better with "
            f"minutes; what {steps} brought is meant for networks like these."
        )
    return text
