"""What the model promises and what came of it, as the page says and draws it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from saccade.evaluation.conformal import chance_of_so_few
from saccade.evaluation.digits import with_interval
from saccade.evaluation.significance import SURE
from saccade.reporting.axes import Axis
from saccade.reporting.charts import Series, line_chart
from saccade.reporting.estimates import estimate_of, told
from saccade.reporting.pictures import Album
from saccade.reporting.svg import Svg
from saccade.reporting.wording import as_sentence, decimals, percent, plural, short
from saccade.runtime.store import decode_name

Study = Mapping[str, Any]
SPOKEN = 0.95  # of the coverages and accuracies in the tables, the one that a sentence is about
MANY = 10  # answers from which on the band says where the axis of the curve begins

BROKEN = " That is not what was promised, beyond chance: the two parts may differ."


def view(study: Study, album: Album) -> dict[str, Any]:
    """Return what `study_limits.html` is given."""
    unknown, answers = study["unknown"], study["answers"]
    return {
        "is_value": study["is_value"],
        "n": study["n"],
        "sets": _sets(study),
        "coverages": [_coverage(own) for own in study["coverages"]],
        "answers": _answered(study) if answers else "",
        "promises": [_promise(own) for own in answers["promises"]] if answers else [],
        "chart": share_chart(study) if answers else None,
        "chart_note": _chart_note(study) if answers else "",
        "unknown": _unknown(study),
        "pictures": [
            (album.picture(decode_name(own["path"])), f"{own['times']:.2f} times the limit")
            for own in unknown.get("pictures", ())
        ],
        "note": _note(study),
    }


def _sets(study: Study) -> str:
    found = next(own for own in study["coverages"] if own["promised"] == SPOKEN)
    if "why" in found:
        return as_sentence(found["why"])
    if study["is_value"]:
        return (
            f"A stretch of {short(found['size'])} around the answer should hold "
            f"{100 * SPOKEN:g} % of the true values; it held {told(found['measured'])} of "
            f"{plural(study['n'], 'test picture')}."
            f"{_broken(_too_few(found, study))}"
        )
    what = "all true labels" if study["of_labels"] else "the true class"
    size = f"{found['size']:.2f} {'labels' if study['of_labels'] else 'classes'} on average"
    return (
        f"With --coverage {SPOKEN:g} an answer is a set of {size}, and at least "
        f"{100 * SPOKEN:g} % of the sets should hold {what}; of "
        f"{plural(study['n'], 'test picture')} {told(found['measured'])} did."
        f"{_broken(_too_few(found, study))}"
    )


def _coverage(own: Mapping[str, Any]) -> dict[str, Any]:
    if "why" in own:
        return {"promised": f"{own['promised']:g}", "why": own["why"]}
    single = own["single"]
    return {
        "promised": f"{own['promised']:g}",
        "why": "",
        "measured": estimate_of(own["measured"]),
        "size": short(own["size"]),
        "single": "–" if single is None else percent(single),
    }


def _answered(study: Study) -> str:
    answers = study["answers"]
    best = answers["best"]
    measured = [one for one in answers["promises"] if "why" not in one]
    own = max(measured, key=lambda one: one["accuracy"], default=None)
    if not best:
        return (
            f"No accuracy can be promised by withholding answers: the {study['num_fitted']:,} "
            f"pictures of the {study['fitted_on']} part show too little."
        )
    most = (
        f"The highest accuracy that {study['num_fitted']:,} held-out pictures can promise is "
        f"{best:g} (saccade predict --min-accuracy {best:g})"
    )
    if own is None:
        return f"{most}; what that comes to was not measured."
    accuracy, unsure = own["accuracy"], _unsure(own["threshold"], study)
    more = f"{most}. " if accuracy < best else ""
    if own["measured"]["high"] is None:
        return (
            f"{more}With --min-accuracy {accuracy:g} {unsure}: all of the test part, so that "
            "nothing was measured."
        )
    return (
        f"{more}With --min-accuracy {accuracy:g} {unsure}. Of the test part {told(own['share'])} "
        f"is then answered, and of those answers {told(own['measured'])} are right "
        f"(n = {own['measured']['n']:,}).{_broken(own['measured']['high'] < accuracy)}"
    )


def _unsure(threshold: float, study: Study) -> str:
    """Return which answers are unsure; of several labels all must be right together."""
    if study["of_labels"]:
        return (
            f"answers whose labels are all right by a chance below {short(threshold)} are "
            "marked as unsure"
        )
    return f"answers below a score of {short(threshold)} are marked as unsure"


def _promise(own: Mapping[str, Any]) -> dict[str, Any]:
    if "why" in own:
        return {"accuracy": f"{own['accuracy']:g}", "why": own["why"]}
    return {
        "accuracy": f"{own['accuracy']:g}",
        "why": "",
        "threshold": decimals(own["threshold"]),
        "fitted": f"{own['right_fitted']:,} of {own['answered_fitted']:,}",
        "measured": estimate_of(own["measured"]),
        "share": estimate_of(own["share"]),
    }


def share_chart(study: Study) -> Svg:
    """Return accuracy among the answered against the share that is answered, with its band."""
    points = study["answers"]["curve"]
    marked = [own for own in study["answers"]["promises"] if "why" not in own]
    mark = f"{marked[-1]['share']['value']}:{marked[-1]['accuracy']:g} promised" if marked else ""
    shares, rights, *band = zip(*points, strict=True)
    *_, last = points
    ends = with_interval(*last[1:4]) if band else f"{last[1]:.3f}"
    return line_chart(
        [Series(name="", x=shares, y=rights, band=(band[0], band[1]) if band else None)],
        Axis(title="share of the test part that is answered", low=0, high=1),
        Axis(title="share of the answers that is right", low=_axis_from(points), high=1),
        title=(
            "Accuracy among the answered pictures against the share answered, the surest first; "
            f"{ends} where all are answered (n = {study['n']:,})"
        ),
        mark=mark,
    )


def _axis_from(points: Sequence[Sequence[float]]) -> float:
    """Return a tenth at or below the curve, and below its band where that says something."""
    lows = [own[2] for own in points if len(own) > 2 and own[4] >= MANY]
    return max(0.0, min(int(min(*(own[1] for own in points), 1.0, *lows) * 10) / 10, 0.9))


def _chart_note(study: Study) -> str:
    """Return of how many pictures the curve is, and what its band says; none in earlier runs."""
    of = f"n = {plural(study['n'], 'test picture')}, the surest answered first"
    if len(study["answers"]["curve"][0]) < 3:
        return (
            f"{of}; an earlier version of saccade, which made this run, gave the curve no interval."
        )
    return (
        f"{of}. The band is 95 % (Wilson), of answers at least as sure, for each point by itself: "
        "it does not hold for the whole curve at once."
    )


def _unknown(study: Study) -> str:
    found = study["unknown"]
    if "why" in found:
        return f"Pictures of something else are not told apart: {found['why']}."
    return (
        f"{_rejected(found)} So marked is what lies further from "
        f"{plural(found['num_reference'], 'training picture')}, in the space of what the last "
        f"layer is given, than a limit that {plural(found['num_fitted'], 'picture')} of the "
        f"{study['fitted_on']} part set.{_broken(_too_many(found, study))}"
    )


def _rejected(found: Mapping[str, Any]) -> str:
    rejected = found["rejected"]
    num = round(rejected["value"] * rejected["n"])
    return (
        f"Of pictures like these {100 * found['rate']:g} % at most, on average, should be marked "
        f"as unknown (something else); of {plural(rejected['n'], 'test picture')} {num:,} "
        f"{'was' if num == 1 else 'were'} ({told(rejected)})."
    )


def broken(study: Study) -> tuple[str, ...]:
    """Return the sentences about promises that the test part did not keep, beyond chance."""
    said = (_sets(study), _answered(study) if study["answers"] else "")
    kept = tuple(own.removesuffix(BROKEN) for own in said if own.endswith(BROKEN))
    unknown = study["unknown"]
    too_many = "why" not in unknown and _too_many(unknown, study)
    return (*kept, _rejected(unknown)) if too_many else kept


def _too_few(found: Mapping[str, Any], study: Study) -> bool:
    """Return whether sets held the truth of fewer test pictures than a kept promise would.

    The limit is the rank of one of the pictures that set it, so what it holds of new ones varies
    with these too: their number is beta-binomial. With groups the interval alone is asked.
    """
    own = found["measured"]
    if study["groups"]:
        return bool(own["high"] < SPOKEN)
    rank = math.ceil((study["num_fitted"] + 1) * SPOKEN - 1e-9)
    held = round(own["value"] * own["n"])
    return chance_of_so_few(held, own["n"], rank, study["num_fitted"] + 1 - rank) < SURE / 2


def _too_many(found: Mapping[str, Any], study: Study) -> bool:
    """Return whether more test pictures lie beyond the limit than a kept promise would let."""
    own, fitted = found["rejected"], found["num_fitted"]
    if study["groups"]:
        return bool(own["low"] > found["rate"])
    place = math.floor(found["rate"] * (fitted + 1) + 1e-9)
    within = own["n"] - round(own["value"] * own["n"])
    return chance_of_so_few(within, own["n"], fitted + 1 - place, place) < SURE / 2


def _broken(is_so: bool) -> str:
    """Return what to say of a promise that the test part did not keep, beyond chance."""
    return BROKEN * is_so


def _note(study: Study) -> str:
    groups = (
        " Where pictures belong together, what is promised is promised of pictures of new groups."
        if study["groups"]
        else ""
    )
    alone = "stretch of values" if study["is_value"] else "class"
    alone = "label" if study["of_labels"] else alone
    return (
        f"Everything was set by the {study['fitted_on']} part (n = {study['num_fitted']:,}), by "
        "which the network, too, was chosen where there was a choice, and measured on the "
        f"{study['part']} part. Promises are averages over pictures like these: a new camera or "
        f"season can break them, and no {alone} alone is promised anything.{groups}"
    )
