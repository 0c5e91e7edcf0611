"""Whether scores hold what they say, as the page says and draws it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from saccade.evaluation.intervals import Estimate
from saccade.evaluation.significance import SURE
from saccade.reporting.axes import Axis, Plot
from saccade.reporting.estimates import estimate_of, p_words, told
from saccade.reporting.pictures import Album
from saccade.reporting.svg import Svg, drawing, element, line
from saccade.reporting.wording import decimals, interval, plural, short

Study = Mapping[str, Any]


def view(study: Study, album: Album) -> dict[str, Any]:
    """Return what `study_calibration.html` is given."""
    del album
    is_changed = study["kind"] != "none"
    states = [("before", "before calibration")] if is_changed else []
    states.append(("after", "calibrated" if is_changed else "as the network gives them"))
    return {
        "sentences": sentences(study),
        "charts": [(name, diagram(study[state], name=name)) for state, name in states],
        "rows": [_row(study[state], name) for state, name in states],
        "n": study["n"],
        "note": _note(study),
    }


def sentences(study: Study) -> tuple[str, ...]:
    """Return in plain words how far scores are from what they say."""
    after = study["after"]["error"]
    if study["kind"] == "none":
        return (
            f"Scores are off by {told(after)} on average (n = {study['n']:,}); they are as the "
            f"network gives them: {study['why']}.",
            _verdict(study),
        )
    before = study["before"]["error"]
    return (
        f"Scores are off by {told(after)} on average, and by {told(before)} before calibration "
        f"(n = {study['n']:,}).",
        _verdict(study),
        _how(study),
        *_doubt(study, before, after),
    )


def _verdict(study: Study) -> str:
    error, whole = study["after"]["error"], study["after"].get("on_the_whole")
    if whole and whole["p"] < SURE:  # not told by earlier runs
        too = "too modest" if whole["right"] > whole["score"] else "too sure"
        what = "labels are given" if study["of_labels"] else "answers are right"
        return (
            f"On the whole they are {too}: {decimals(whole['score'])} on average, and "
            f"{decimals(whole['right'])} of the {what} ({p_words(whole['p'])})."
        )
    if error["low"] > 0:
        return (
            "That is more than chance: of answers with a score of 0.8, other than four of five "
            "may be right."
        )
    return (
        "That is no more than chance would bring: of answers with a score of 0.8, four of five "
        f"are right, as far as {plural(error['n'], 'picture')} can show."
    )


def _doubt(study: Study, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Yield what must be said where the numbers do not show that calibration helped."""
    if _nothing_to_mend(study):
        return
    if after["value"] >= before["value"]:
        yield "On these pictures it brought scores no nearer to what they say."
    elif after["high"] >= before["low"]:
        yield "The two intervals overlap: that it helped on new pictures is not shown."


def _how(study: Study) -> str:
    fitted = f"fitted on {plural(study['num_fitted'], 'picture')} of the {study['fitted_on']} part"
    sure = "too sure" if study["temperature"] > 1 else "too unsure"
    if study["kind"] == "isotonic":
        return (
            f"They are calibrated by a rising curve on top of a temperature, {fitted}, for it was "
            "better than a temperature alone on folds that neither had seen."
        )
    if _nothing_to_mend(study):
        return f"One temperature, {fitted}, is {short(study['temperature'])}: nothing to mend."
    what = "Which labels are given is" if study["of_labels"] else "Which class is named is"
    return (
        f"They are calibrated by one temperature of {short(study['temperature'])}, {fitted}: the "
        f"network was {sure}. {what} the same as before."
    )


def _nothing_to_mend(study: Study) -> bool:
    return bool(study["kind"] == "temperature" and abs(study["temperature"] - 1) < 0.02)


def _row(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {
        "name": name,
        "error": estimate_of(found["error"]),
        "log_loss": estimate_of(found["log_loss"]),
    }


def _note(study: Study) -> str:
    num = len(study["after"]["bins"])
    what = "Every label of every picture counts" if study["of_labels"] else "The answer counts"
    return (
        f"{what}, in {num} bins of equal size by score; the error is the mean distance between "
        "score and share that is right, without what chance alone adds (median-unbiased, with a "
        f"95 % interval). By the {study['fitted_on']} part, which calibrates, the network was "
        f"chosen, too, where there was a choice; the {study['part']} part did neither."
    )


def diagram(found: Mapping[str, Any], *, name: str) -> Svg:
    """Return the bins as points with their intervals, and the line on which they should lie."""
    bins = [(own["score"], estimate_of(own["right"])) for own in found["bins"]]
    low = _lowest(bins)
    plot = Plot(
        x=Axis(title="score", low=low, high=1.0),
        y=Axis(title="share that is right", low=low, high=1.0),
    )
    parts = [
        *plot.frame(),
        line(plot.across(low), plot.up(low), plot.across(1), plot.up(1), kind="mark"),
        *(_point(score, right, plot, low) for score, right in bins),
    ]
    label = f"Share that is right against score, {name}; where they agree, points lie on the line"
    return drawing(plot.width, plot.height, *parts, label=label)


def _lowest(bins: Sequence[tuple[float, Estimate]]) -> float:
    """Return a tenth at or below everything that is drawn.

    >>> _lowest([(0.55, Estimate(value=0.6, low=0.47, high=0.7, n=40, method="wilson"))])
    0.4
    """
    least = min(min(score, right.low, right.value) for score, right in bins)
    return max(0.0, int(least * 10) / 10 if least < 0.9 else 0.8)


def _point(score: float, right: Estimate, plot: Plot, low: float) -> Svg:
    at, y = plot.across(score), plot.up(right.value)
    text = (
        f"score {decimals(score)} on average, right {decimals(right.value)} ({interval(right)}, "
        f"n = {right.n:,})"
    )
    return element(
        "g",
        {},
        element("title", {}, text),
        line(at, plot.up(max(right.low, low)), at, plot.up(right.high), kind="range"),
        element("circle", {"cx": at, "cy": y, "r": 4, "class": "point"}),
    )
