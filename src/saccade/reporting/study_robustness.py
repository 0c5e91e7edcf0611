"""How answers stand up to disturbed pictures, as the page says and draws it."""

import base64
import math
from collections.abc import Mapping
from typing import Any

from saccade.data.decode import decode
from saccade.evaluation.difference import lower_is_better
from saccade.evaluation.intervals import Estimate
from saccade.evaluation.significance import SURE
from saccade.reporting.estimates import estimate_of, score_words, told, told_change
from saccade.reporting.facts import Picture
from saccade.reporting.glossary import is_share
from saccade.reporting.learned import LearningFacts
from saccade.reporting.pictures import Album
from saccade.reporting.svg import Svg, drawing, element, line, words
from saccade.reporting.wording import decimals, joined_words, percent, plural, short
from saccade.runtime.store import encode_name

Study = Mapping[str, Any]

NAMES = {
    "shift": "Shift",
    "rotation": "Rotation",
    "scale": "Scale",
    "brightness": "Brightness",
    "contrast": "Contrast",
    "noise": "Noise",
    "blur": "Blur",
    "jpeg": "JPEG",
    "hflip": "Mirrored left to right",
    "vflip": "Upside down",
}
WIDTH, HEIGHT = 190.0, 140.0
LEFT, RIGHT, TOP, BOTTOM = 32.0, 6.0, 10.0, 24.0


def view(study: Study, album: Album) -> dict[str, Any]:
    """Return what `study_robustness.html` is given."""
    shown = study["shown"]
    share = is_share(study["score_name"])
    top = 1.0 if share else _top(study)
    return {
        "sentences": sentences(study),
        "score": score_words(study["score_name"]),
        "charts": [
            {"title": NAMES[own["name"]], "svg": curve(own, study, top=top)}
            for own in study["disturbances"]
        ],
        "rows": [row for own in study["disturbances"] for row in _rows(own, study)],
        "is_share": share,
        "compared": _compared(study),
        "num_views": study["num_views"],
        "num_taught": study.get("num_taught", 0),  # not told by earlier runs
        "path": encode_name(shown["path"]),
        "pictures": [
            {"picture": _picture(shown["plain"], "as it is", album), "what": "as it is"},
            *(
                {"picture": _picture(own["jpeg"], own["name"], album), "what": _what(own, study)}
                for own in shown["pictures"]
            ),
        ],
        "note": _note(study),
        "has_views": study.get("has_views", True),  # not known of earlier runs
    }


def sentences(study: Study) -> tuple[str, ...]:
    """Return in plain words what disturbs the network, and what moving the picture does."""
    return tuple(text for text in (_harm(study), _moved(study)) if text)


def _harm(study: Study) -> str:
    """Return what makes the score worse beyond chance, the worst first, and what does not.

    Each disturbance is asked at its strongest, with p corrected for all of them: the worst of
    several strengths would be harmful by chance too often.
    """
    n, num, part = study["n"], study["num_part"], study["part"]
    which = plural(n, f"{part} picture") if n == num else f"{n:,} of {num:,} {part} pictures"
    text = (
        f"{which} were disturbed in {plural(len(study['disturbances']), 'way')} and shown to the "
        f"network once more; as they are, their {score_words(study['score_name'])} is "
        f"{told(study['plain']['final'], study['score_name'])}. Each way is judged at one "
        "strength, set beforehand; the table has the others, without a verdict."
    )
    worse = 1 if lower_is_better(study["score_name"]) else -1
    harms, perhaps, unharmed, unknown, hidden = [], [], [], [], 0.0
    for own in study["disturbances"]:
        point = _asked(own, worse=worse)
        change = estimate_of(point["final"]["change"])
        shown = told_change(point["final"]["change"], study["score_name"])
        said = f"{_named(own, point['strength'])} ({shown})"
        if not math.isfinite(change.low):
            unknown.append(said)
        elif _is_harm(point["final"], worse=worse):
            harms.append((-worse * change.value, said))
        elif change.low > 0 if worse > 0 else change.high < 0:
            perhaps.append((-worse * change.value, said))
        else:
            unharmed.append(_named(own, point["strength"]))
            hidden = max(hidden, change.high if worse > 0 else -change.low)
    if harms:
        listed = joined_words([words for _, words in sorted(harms)])
        text += f" What makes it worse beyond chance (n = {n:,}), the worst first: {listed}."
    asked = plural(len(study["disturbances"]), "disturbance")
    if perhaps:
        listed = joined_words([words for _, words in sorted(perhaps)])
        text += f" Perhaps worse (n = {n:,}), but not beyond chance once all are counted: {listed}."
    if unharmed:
        text += f" Not shown to do harm, with p corrected for {asked}: {joined_words(unharmed)}"
        most = decimals(hidden, share=is_share(study["score_name"]))
        text += f"; with {n:,} pictures a change of as much as {most} could go unseen."
    if unknown:
        text += f" Whether it is chance cannot be told of {joined_words(unknown)}."
    return text


def _asked(own: Mapping[str, Any], *, worse: int) -> Mapping[str, Any]:
    """Return the point that a disturbance is judged by; of earlier runs the worst."""
    points: list[Mapping[str, Any]] = own["points"]
    tested = next((point for point in points if "p_corrected" in point["final"]), None)
    return tested or max(points, key=lambda one: worse * one["final"]["change"]["value"])


def _is_harm(final: Mapping[str, Any], *, worse: int) -> bool:
    if "p_corrected" in final:
        return bool(final["p_corrected"] < SURE)
    change = final["change"]
    return bool(change["low"] > 0 if worse > 0 else change["high"] < 0)


WHY_IT_STAYS = {
    True: "A convolution looks for the same thing everywhere, and pooling over places forgets "
    "where it was: that is where such invariance comes from, as far as it goes.",
    False: "A fully connected network looks for something else at every place, so nothing in it "
    "makes its answers stay when the picture moves.",
}
"""By whether the network is built of convolutions; of others nothing is said."""


def _moved(study: Study) -> str:
    """Return what translation invariance comes to, measured."""
    shift = next((own for own in study["disturbances"] if own["name"] == "shift"), None)
    if shift is None or shift["points"][-1]["final"]["changed"] is None:
        return ""
    point = shift["points"][-1]
    other = estimate_of(point["final"]["changed"])
    same = Estimate(
        value=1 - other.value, low=1 - other.high, high=1 - other.low, n=other.n, method=""
    )
    why = WHY_IT_STAYS.get(study["convolutional"], "")
    interval = f"[{percent(same.low)}, {percent(same.high)}]"
    return (
        f"Moved by {_strength(shift, point['strength'], study)}, the network gives the same "
        f"answer to {percent(same.value)} {interval} of the pictures (n = {same.n:,}). {why}"
    ).rstrip()


def _note(study: Study) -> str:
    text = (
        "Each picture is disturbed the same way at every strength; directions are drawn. "
        "Differences are paired, of the same pictures, with 95 % intervals; of "
        f"{sum(len(own['points']) for own in study['disturbances'])} of them about one in twenty "
        "misses the truth by chance."
    )
    if study["left_out"]:
        text += (
            f" At {short(study['images_per_second'])} pictures a second there was no time for "
            f"{joined_words([_lower(name) for name in study['left_out']])}."
        )
    return text


def not_compared(learning: LearningFacts, *, augments: bool) -> str:
    """Return why the study has no heads that learned with augmentation and without.

    Args:
        learning: how the network that was kept came by its weights.
        augments: whether the recipe changes the pictures that steps learn from.
    """
    if augments and learning.learned_from_views:
        why = (
            "the network learned from augmented pictures, and there is none like it that learned "
            "without them"
        )
    elif augments and learning.learned_from_crops:
        why = "no augmented views were made"
    else:
        why = "nothing that was kept learned from augmented pictures"
    return f"What augmentation brings is not measured: {why}."


def _rows(own: Mapping[str, Any], study: Study) -> list[dict[str, Any]]:
    return [
        {
            "name": NAMES[own["name"]],
            "strength": _strength(own, point["strength"], study),
            "score": estimate_of(point["final"]["score"]),
            "change": told_change(point["final"]["change"], study["score_name"]),
            "changed": estimate_of(point["final"]["changed"])
            if point["final"]["changed"]
            else None,
            "n": point["final"]["change"]["n"],
        }
        for point in own["points"]
    ]


def _compared(study: Study) -> list[dict[str, Any]]:
    """Return the head that learned from augmented views beside the one that never saw any."""
    if "gain" not in study:
        return []
    plain, n = study["plain"], study["n"]
    rows = [("as they are", plain["without"], plain["with"], study["gain"])]
    rows += [
        (
            _named(own, point["strength"]),
            point["without"]["score"],
            point["with"]["score"],
            point["gain"],
        )
        for own in study["disturbances"]
        for point in own["points"]
        if "gain" in point
    ]
    return [
        {
            "name": name,
            "without": estimate_of(without),
            "with_views": estimate_of(with_views),
            "gain": told_change(gain, study["score_name"]),
            "n": n,
        }
        for name, without, with_views, gain in rows
    ]


def _named(own: Mapping[str, Any], strength: float) -> str:
    said, name = _strength(own, strength, {"size_px": 0}), _lower(own["name"])
    return f"{name} {said}" if said else name


def _lower(name: str) -> str:
    return "JPEG" if name == "jpeg" else NAMES.get(name, name).lower()


def _what(shown: Mapping[str, Any], study: Study) -> str:
    own = next((one for one in study["disturbances"] if one["name"] == shown["name"]), None)
    name = NAMES[shown["name"]]
    said = _strength(own, shown["strength"], {"size_px": 0}) if own else ""
    return f"{name} {said}" if said else name


def _strength(own: Mapping[str, Any], strength: float, study: Mapping[str, Any]) -> str:
    """Return a strength in words; a length in pixels too, where the side is known."""
    unit = own["unit"]
    if unit == "side":
        px = f" ({max(1, round(strength * study['size_px']))} px)" if study["size_px"] else ""
        px = "" if own["name"] != "shift" else px
        return f"{100 * strength:.2g} % of the side{px}"
    if unit == "degrees":
        return f"{strength:g}°"
    if unit == "factor":
        return f"×{strength:g}"
    if unit == "range":
        return f"{100 * strength:g} % of the range"
    return f"quality {strength:g}" if unit == "quality" else ""


def _tick(own: Mapping[str, Any], strength: float) -> str:
    if strength == own["neutral"]:
        return "as is"
    unit = own["unit"]
    if unit in {"side", "range"}:
        return f"{100 * strength:.{int(strength < 0.02)}f} %"
    if unit == "degrees":
        return f"{strength:g}°"
    if unit == "factor":
        return f"×{strength:g}"
    return f"q {strength:g}" if unit == "quality" else "yes"


def curve(own: Mapping[str, Any], study: Study, *, top: float) -> Svg:
    """Return the score at each strength of one disturbance, equally spaced, with intervals."""
    plain = estimate_of(study["plain"]["final"])
    points = [(point["strength"], estimate_of(point["final"]["score"])) for point in own["points"]]
    points = sorted([*points, (own["neutral"], plain)], key=lambda pair: pair[0])
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    step = (right - LEFT) / len(points)

    def across(place: int) -> float:
        return LEFT + step * (place + 0.5)

    def up(value: float) -> float:
        return bottom - (bottom - TOP) * min(max(value / top, 0.0), 1.0)

    parts = []
    for tick in (0.0, top / 2, top):
        parts.append(line(LEFT, up(tick), right, up(tick), kind="base" if not tick else "grid"))
        parts.append(words(LEFT - 5, up(tick) + 4, short(tick), anchor="end"))
    parts.append(line(LEFT, up(plain.value), right, up(plain.value), kind="mark"))
    at = " ".join(f"{across(k):.1f},{up(e.value):.1f}" for k, (_, e) in enumerate(points))
    parts.append(element("polyline", {"points": at, "class": "line a"}))
    for place, (strength, score) in enumerate(points):
        x, said = across(place), _tick(own, strength)
        kind = "hollow" if strength == own["neutral"] else "point"
        label = f"{said}: {told(score.as_dict(), study['score_name'])}, n = {score.n:,}"
        known = math.isfinite(score.low) and math.isfinite(score.high)
        parts.append(
            element(
                "g",
                {},
                element("title", {}, label),
                *([line(x, up(score.low), x, up(score.high), kind="range")] if known else []),
                element("circle", {"cx": x, "cy": up(score.value), "r": 4, "class": kind}),
            )
        )
        parts.append(words(x, HEIGHT - 8, said, anchor="middle"))
    title = f"{score_words(study['score_name'])} against {NAMES[own['name']].lower()}"
    return drawing(WIDTH, HEIGHT, *parts, label=f"{title}; the numbers are in the table below")


def _top(study: Study) -> float:
    """Return where the axis of an error ends."""
    ends = [
        end
        for own in study["disturbances"]
        for point in own["points"]
        for end in (point["final"]["score"]["high"], point["final"]["score"]["value"])
        if end is not None
    ]
    return max(float(end) for end in [*ends, study["plain"]["final"]["value"] or 0.0, 1e-9])


def _picture(jpeg: str, name: str, album: Album) -> Picture:
    return album.shown(decode(base64.b64decode(jpeg)).pixels_HWC, name=name)
