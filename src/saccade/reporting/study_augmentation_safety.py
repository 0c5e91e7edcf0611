"""What each augmentation does on this data: safe, left out, or where the network is weak."""

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any

from saccade.data.decode import decode
from saccade.evaluation.significance import SURELY
from saccade.reporting.estimates import estimate_of, p_words
from saccade.reporting.pictures import Album
from saccade.reporting.wording import joined_words, percent, plural
from saccade.runtime.store import encode_name

Study = Mapping[str, Any]
Family = Mapping[str, Any]

NAMES = {
    "rotate": "rotation",
    "zoom": "scaling and cropping",
    "shift": "translation",
    "hflip": "horizontal flip",
    "vflip": "vertical flip",
    "light": "brightness and contrast",
    "noise": "Gaussian noise",
}
FORMS = {
    "rotate": "±{:g}°",
    "zoom": "±{:g} %",
    "shift": "±{:g} % of the side",
    "brightness": "brightness ±{:g} %",
    "contrast": "contrast ±{:g} %",
    "noise": "up to {:g} % of the range",
}
BY_CROPS = {"zoom", "shift", "hflip"}  # what crops of activations stand for (training.crops)
TOO_FEW = "too few groups of pictures"
WEAK = 0.05
"""Share of right answers that views turn from which a network is called weak, if surely so many."""


def view(study: Study, album: Album) -> dict[str, Any]:
    """Return what `study_augmentation_safety.html` is given."""
    families = study["families"]
    return {
        "sentences": sentences(study),
        "rows": [_row(own, study) for own in families],
        "asked": _asked(study),
        "examples": [_example(own, album) for own in families if own["example"]],
        "note": _note(study),
    }


def _asked(study: Study) -> bool:
    """Return whether the network was asked about views; of numbers no answer is right or wrong."""
    return any((own["network"] or {}).get("turned") for own in study["families"])


def sentences(study: Study) -> tuple[str, ...]:
    """Return in plain words what was left out, what does harm, and what is worth learning from."""
    families = study["families"]
    unsafe = [own for own in families if _unsafe(own)]
    found = [_said(own) for own in unsafe]
    doubtful = [own for own in families if _perhaps(own)]
    judged = [own for own in families if own["verdict"] and _is_known(own) and own not in doubtful]
    if not judged and not unsafe and not doubtful:
        found.append(
            "Whether an augmentation spoils what is to be learned could not be told: "
            f"{study['why'] or TOO_FEW} (n = {study['n']:,}). All stay as the recipe says."
        )
    elif judged and not unsafe:
        found.append(
            f"None of {plural(len(judged), 'augmentation')} is seen to spoil what is to be learned "
            f"here: what small pictures tell about the answer is not lost where their views are "
            f"learned from as well (n = {study['n']:,})."
        )
    if doubtful:
        each = [f"{NAMES[own['name']]} ({p_words(own['verdict']['p'])})" for own in doubtful]
        found.append(f"Perhaps harmful, but not surely so: {joined_words(each)}.")
    weak = [own for own in families if not _unsafe(own) and own["used"] and _weak(own)]
    if weak:
        each = [f"{NAMES[own['name']]} ({_turned(own)})" for own in weak]
        found.append(
            f"Weak is {_who(study)} where pictures differ by {joined_words(each)}: right answers "
            "that become wrong. That is a reason to learn from such views."
        )
    return tuple(found)


def _said(own: Family) -> str:
    lost = estimate_of(own["verdict"]["lost"])
    what = f"The {NAMES[own['name']]}"
    fate = (
        "was left out"
        if own["left_out"]
        else "should be left out; the recipe asks for it all the same"
        if own["used"]
        else "is off, and should stay so"
    )
    text = (
        f"{what} {fate}: of what small pictures tell about the answer, "
        f"{'more than all' if lost.value > 1 else _whole(lost.value)} is lost "
        f"[{_whole(lost.low)}, {_whole(lost.high)}] where its views are learned from as well "
        f"(n = {lost.n:,}, {p_words(own['verdict']['p'])})."
    )
    move = own["verdict"]["move"]
    if move and own["verdict"]["right"]:
        first, second = (encode_name(str(name)) for name in move[:2])
        text += (
            f" Of {own['verdict']['right']:,} pictures that a probe named rightly it named "
            f"{own['verdict']['turned']:,} wrongly when changed so, most often '{first}' as "
            f"'{second}' ({move[2]:,})."
        )
    return text


def _row(own: Family, study: Study) -> dict[str, Any]:
    verdict, network = own["verdict"], own["network"]
    return {
        "name": NAMES[own["name"]],
        "strength": _strength(own["strength"]),
        "used": own["used"],
        "by_crops": own["name"] in BY_CROPS,
        "lost": estimate_of(verdict["lost"]) if verdict else None,
        "turned": estimate_of(network["turned"]) if network and network.get("turned") else None,
        "verdict": _verdict(own, study),
        "unsafe": _unsafe(own),
    }


def _verdict(own: Family, study: Study) -> str:
    if own["verdict"] is None:
        return f"cannot be told: {study['why']}"
    if _unsafe(own):
        if own["left_out"]:
            return "left out: it spoils what is to be learned"
        return "spoils what is to be learned" + (
            ", and the recipe asks for it" if own["used"] else "; off"
        )
    if own["verdict"]["lost"]["low"] is None:
        return f"cannot be told: {TOO_FEW}"
    said = "no harm seen"
    if estimate_of(own["verdict"]["lost"]).high < 0:
        said += ", and it helps even small pictures"
    if _perhaps(own):
        said = f"perhaps harmful ({p_words(own['verdict']['p'])})"
    elif estimate_of(own["verdict"]["lost"]).low > 0:  # surely, and too little to be left out
        said = "harmful, but hardly"
    if _weak(own):
        said += "; the network is weak here"
    return said if own["used"] else f"{said}; off"


def _is_known(own: Family) -> bool:
    return own["verdict"]["lost"]["low"] is not None


def _unsafe(own: Family) -> bool:
    return bool(own["verdict"] and own["verdict"]["unsafe"])


def _perhaps(own: Family) -> bool:
    """Return whether harm is likely, and not shown: the whole interval says so, and p does not."""
    if not own["verdict"] or _unsafe(own) or not _is_known(own):
        return False
    lost = estimate_of(own["verdict"]["lost"])
    return lost.low > 0 and float(own["verdict"]["p"]) >= SURELY


def _weak(own: Family) -> bool:
    if not own["network"] or not own["network"].get("turned"):
        return False
    return estimate_of(own["network"]["turned"]).low > WEAK


def _turned(own: Family) -> str:
    share = estimate_of(own["network"]["turned"])
    return f"{percent(share.value)} of {share.n:,}"


def _strength(strength: Mapping[str, float]) -> str:
    said = [
        FORMS[name].format(value if name == "rotate" else round(100 * value, 2))
        for name, value in strength.items()
        if name in FORMS
    ]
    return joined_words(said) or "every picture"


def _whole(share: float) -> str:
    """Return a share in whole per cent.

    >>> _whole(0.026), _whole(-0.1)
    ('3 %', '−10 %')
    """
    return f"{100 * share:.0f} %".replace("-", "−")


def _who(study: Study) -> str:
    if study["who"] == "frozen":
        return "the frozen network with a head of plain pictures"
    return "the network as it ships"


def _example(own: Family, album: Album) -> dict[str, Any]:
    example = own["example"]
    pixels = decode(base64.b64decode(example["view"])).pixels_HWC
    path = encode_name(example["path"])
    classes: Sequence[str] = [encode_name(str(name)) for name in example["classes"]]
    return {
        "name": NAMES[own["name"]],
        "plain": album.picture(example["path"]),
        "view": album.shown(pixels, name=f"{path}, {NAMES[own['name']]}"),
        "look_alike": album.picture(example["look_alike"]),
        "classes": classes,
    }


def _note(study: Study) -> str:
    px = study.get("side_px")  # not known of earlier runs
    seen = f"{px} × {px} pixels" if px else "small pictures"
    text = (
        f"Lost: a probe, a linear model that sees {seen}, learned once without the views and "
        "once with them, and was judged on pictures it had not learned from, as they are; the "
        "share of what it explains that is lost, below 0 where the views help. Spoils: p < 0.001 "
        "and more than 1 %; perhaps harmful: the interval lies above 0, as that of one in forty "
        "harmless ones would. It speaks of pictures like these, and a view that never occurs can "
        "do harm without changing any label."
    )
    if study["skill"] is not None and math.isfinite(study["skill"]):
        text += f" The probe explains {percent(study['skill'])} of the variance of the answers."
    if _asked(study):
        text += (
            f" Turned: right answers of {_who(study)} about {study['num_asked']:,} "
            f"{study['part']} pictures that are wrong about their views."
        )
    return text
