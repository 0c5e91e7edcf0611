"""How many more pictures would help, as the page says and draws it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from saccade.evaluation.intervals import apart
from saccade.reporting.axes import Axis, Plot, around
from saccade.reporting.charts import band
from saccade.reporting.estimates import estimate_of, score_words, told, told_change
from saccade.reporting.glossary import is_share
from saccade.reporting.pictures import Album
from saccade.reporting.svg import Svg, drawing, element, line, words
from saccade.reporting.wording import cut, decimals, interval, joined_words, plural, short
from saccade.runtime.store import encode_name

Study = Mapping[str, Any]

CLEAR = 0.001  # a gain whose interval begins below this is not called clear
MOST_ROWS = 30
MOST_NAMED = 5
LONGEST = 40  # letters of a class's name
REFERENCE = 200  # more pictures, by which classes are ranked


def view(study: Study, album: Album) -> dict[str, Any]:
    """Return what `study_learning_curve.html` is given."""
    del album
    mores = [own["more"] for own in study["gains"] if own["gain"] is not None]
    told_all = sentences(study)
    return {
        "sentence": " ".join(told_all[:2]),  # what fits on a terminal
        "sentences": told_all,
        "chart": curve_chart(study),
        "score": score_words(study["score_name"]),
        "mores": mores,
        "least": f"{CLEAR:g}",
        "ranked_by": REFERENCE if REFERENCE in mores else mores[-1] if mores else 0,
        "class_score": study["classes"][0]["score_name"] if study["classes"] else "",
        "noun": noun_of(study),
        "rows": [_row(own, mores) for own in study["classes"][:MOST_ROWS]],
        "note": _note(study),
    }


def noun_of(study: Study) -> str:
    """Return what is told apart: of several labels a picture, each has an F1, not a recall."""
    of_labels = study["classes"] and study["classes"][0]["score_name"] == "f1"
    return "label" if of_labels else "class"


def sentences(study: Study) -> tuple[str, ...]:
    """Return in plain words where the run stands, and what more pictures promise."""
    return tuple(
        text
        for text in (_standing(study), _promise(study), _refused(study), *_class_words(study))
        if text
    )


def _standing(study: Study) -> str:
    size, n = study["num_train"], study["num_judged"]
    head = f"A head on the frozen features{_whose(study)}"
    learned = f"when it has learned from {plural(size, 'picture')}, as here"
    if (measured := study.get("num_told", size)) != size:  # not told by earlier runs
        learned = (
            f"when it has learned from {plural(measured, 'picture')}, the most that was measured; "
            f"of the {size:,} here nothing is said"
        )
    judged = f"judged on {plural(n, 'picture')} that it had not seen"
    now = told(study["now"], study["score_name"])
    if study["score_name"] == "accuracy":
        return f"{head} names {now} of new pictures rightly {learned} ({judged})."
    if study["score_name"] == "mae":
        return f"{head} is off by {now} on average {learned} ({judged})."
    name = score_words(study["score_name"])
    return f"{head} has an {name} of {now} {learned} ({judged})."


def _whose(study: Study) -> str:
    return f" of {encode_name(study['features'])}" if study["features"] else ""


def _promise(study: Study) -> str:
    known = [own for own in study["gains"] if own["gain"] is not None]
    if not known:
        return ""
    what = "a fall of the error" if study["score_name"] == "mae" else "a gain"
    each = joined_words(
        [
            f"{told_change(own['gain'], study['score_name'])} for {own['more']:,} more"
            for own in known
        ]
    )
    nouns = "labels" if noun_of(study) == "label" else "classes"
    text = f"The curve expects {what} of {each} (n = {known[0]['gain']['n']:,})"
    if study["score_name"] != "mae":
        text += f", in the proportions in which {nouns} stand now"
    last, clear = known[-1]["gain"], clear_from(study)
    if last["high"] < clear * 2:
        return f"{text}: it has levelled off, and more of the same pictures would hardly help."
    if last["low"] < clear:
        return f"{text}; that they bring more than {short(clear)} is not shown."
    return f"{text}."


def clear_from(found: Mapping[str, Any]) -> float:
    """Return where the interval of a gain must begin for it to be called clear.

    Of an error, in the target's unit, that is a share of what is wrong by now.

    Args:
        found: with `score_name`, and `now`, the score as it stands.
    """
    return CLEAR * float(found["now"]["value"]) if found["score_name"] == "mae" else CLEAR


def _refused(study: Study) -> str:
    far = [own["more"] for own in study["gains"] if own["gain"] is None]
    if not far:
        return ""
    most = max(far)
    times = (study["num_train"] + most) / study["num_measured"]
    which = joined_words([f"{more:,}" for more in far])
    return (
        f"Of {which} more nothing is said: with {most:,} there would be {times:.1f} times the "
        f"{study['num_measured']:,} pictures that the largest head learned from, and beyond "
        f"{study['times']:.0f} times the curve was never held against what came true."
    )


def _class_words(study: Study) -> list[str]:
    """Return which class would gain most, and of which classes nothing can be said."""
    classes = study["classes"]
    if not classes:
        return []
    found, noun = [], noun_of(study)
    nouns = {"class": "classes", "label": "labels"}[noun]
    clear = [(own, gain) for own in classes if (gain := _clear_gain(own)) is not None]
    if clear:
        best, gain = max(clear, key=lambda pair: float(pair[1]["gain"]["value"]))
        rivals = _rivals(classes, best, gain)
        others = f", of {plural(len(clear), noun, nouns)} whose gain is shown" * (len(clear) > 1)
        if study.get("num_classes", 0) > len(classes):  # not told by earlier runs
            others += f" among the {len(classes)} with the lowest scores"
        most = "" if rivals else f" most{others}"
        text = (
            f"{_named(best)} would gain{most}: {best['score_name']} "
            f"{told_change(gain['gain'])} with {gain['more']:,} more pictures of all {nouns} "
            f"(n = {best['num_judged']:,})."
        )
        if rivals:
            verb = "is" if len(rivals) == 1 else "are"
            text += (
                f" That it would gain most is not shown: {_listed(rivals)} {verb} not told apart "
                "from it."
            )
        found.append(text)
    else:
        found.append(f"Of no {noun} is it shown that it would gain more than {CLEAR:g}.")
    few = [own for own in classes if not own["enough"]]
    if few:
        listed = _listed([f"{_named(own)} (n = {own['num_judged']})" for own in few])
        found.append(f"Too few pictures to tell what more would bring: {listed}.")
    return found


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - MOST_NAMED
    return joined_words([*names[:MOST_NAMED], *([f"{rest} more"] if rest > 0 else [])])


def _rivals(
    classes: Sequence[Mapping[str, Any]], best: Mapping[str, Any], gain: Mapping[str, Any]
) -> list[str]:
    """Return the classes that may gain as much as the one that gains most, the nearest first.

    Those whose difference from it has 0 in its interval. Classes of few pictures are spoken of
    apart.
    """
    first, found = estimate_of(gain["gain"]), []
    for own in classes:
        gains = {one["more"]: one["gain"] for one in own["gains"]}
        if own is best or not own["enough"] or gains.get(gain["more"]) is None:
            continue
        other = estimate_of(gains[gain["more"]])
        if not apart(first, other).low > 0:
            found.append((-other.value, _named(own)))
    return [name for _, name in sorted(found)]


def _clear_gain(own: Mapping[str, Any]) -> Mapping[str, Any] | None:
    known = [gain for gain in own["gains"] if gain["gain"] is not None]
    if not own["enough"] or not known:
        return None
    chosen: Mapping[str, Any] = next(
        (gain for gain in known if gain["more"] == REFERENCE), known[-1]
    )
    return chosen if chosen["gain"]["low"] >= CLEAR else None


def _named(own: Mapping[str, Any]) -> str:
    return f"'{cut(encode_name(own['name']), LONGEST)}'"


def _row(own: Mapping[str, Any], mores: Sequence[int]) -> dict[str, Any]:
    gains = {gain["more"]: gain["gain"] for gain in own["gains"]}
    return {
        "name": encode_name(own["name"]),
        "num_train": own["num_train"],
        "num_judged": own["num_judged"],
        "now": estimate_of(own["now"]),
        "gains": [estimate_of(gains[more]) if gains.get(more) else None for more in mores],
        "is_clear": _clear_gain(own) is not None,
        "enough": own["enough"],
    }


def _note(study: Study) -> str:
    return (
        "Measured with heads on the frozen network, each judged on pictures of the training and "
        "validation parts that it had not learned from; the test part was not touched. A network "
        "whose stages learn too may gain more from more pictures. The band is 95 %, over the "
        "pictures that are judged and those that are learned from; it speaks of pictures like "
        "these."
    )


def curve_chart(study: Study) -> Svg:
    """Return the points that were measured, the curve through them and its band."""
    curve = [(own["size"], estimate_of(own["score"])) for own in study["curve"]]
    points = [(own["size"], estimate_of(own["score"])) for own in study["points"]]
    ends = [end for _, e in (*curve, *points) for end in (e.value, e.low, e.high)]
    low, high = around(ends)
    lower = study["score_name"] == "mae"
    if not lower:
        low, high = max(low, 0.0), min(high, 1.0)
    name = score_words(study["score_name"])
    plot = Plot(
        x=Axis(
            title="pictures learned from",
            low=curve[0][0],
            high=curve[-1][0],
            log=True,
            named=_ticks(curve[0][0], curve[-1][0]),
        ),
        y=Axis(title=f"{name}{' (lower is better)' if lower else ''}", low=low, high=high),
    )
    sizes, scores = zip(*curve, strict=True)
    area = band(sizes, [own.low for own in scores], [own.high for own in scores], plot)
    parts = [*plot.frame(), area, _line(curve, plot), *_now(study, plot)]
    for size, score in points:
        parts.append(_point(size, score, plot, study["score_name"]))
    label = (
        f"{name} of new pictures against the pictures learned from: measured up to "
        f"{points[-1][0]:,}, continued to {curve[-1][0]:,.0f}"
    )
    return drawing(plot.width, plot.height, *parts, label=label)


def _line(curve: Sequence[tuple[float, Any]], plot: Plot) -> Svg:
    at = [f"{plot.across(size):.1f},{plot.up(score.value):.1f}" for size, score in curve]
    return element("polyline", {"points": " ".join(at), "class": "line a"})


def _now(study: Study, plot: Plot) -> list[Svg]:
    if study["num_train"] > study["curve"][-1]["size"]:
        return []
    at = plot.across(study["num_train"])
    text = f"now: {study['num_train']:,}"
    right = at > plot.width * 0.7
    return [
        line(at, plot.top, at, plot.bottom, kind="mark"),
        words(at + (-5 if right else 5), plot.top + 6, text, anchor="end" if right else "start"),
    ]


def _point(size: float, score: Any, plot: Plot, metric: str) -> Svg:  # noqa: ANN401 - Estimate
    name, share = score_words(metric), is_share(metric)
    at, y = plot.across(size), plot.up(score.value)
    value, ends = decimals(score.value, share=share), interval(score, share=share)
    told_text = f"{name} {value} ({ends}, n = {score.n:,})"
    parts = [element("title", {}, f"learned from {size:,.0f}: {told_text}")]
    if math.isfinite(score.low) and math.isfinite(score.high):
        parts.append(line(at, plot.up(score.low), at, plot.up(score.high), kind="range"))
    parts.append(element("circle", {"cx": at, "cy": y, "r": 4, "class": "point"}))
    return element("g", {}, *parts)


def _ticks(low: float, high: float) -> tuple[tuple[float, str], ...]:
    """Return round sizes on a logarithmic axis, five or fewer.

    >>> [text for _, text in _ticks(54, 2720)]
    ['100', '200', '500', '1,000', '2,000']
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [f * 10.0**k for k in powers for f in (1, 2, 5) if low <= f * 10.0**k <= high]
    every = max(1, math.ceil(len(found) / 5))
    return tuple((tick, short(tick)) for tick in found[::every])
