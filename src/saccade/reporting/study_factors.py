"""The factors of fine-tuning, each with the line that this run measured of it."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from saccade.reporting import glossary
from saccade.reporting.estimates import p_words, score_words, told, told_change
from saccade.reporting.learning import probe_score
from saccade.reporting.pictures import Album
from saccade.reporting.study_learning_curve import clear_from
from saccade.reporting.wording import count, decimals, joined_words, large, plural, short
from saccade.runtime.store import encode_name, quoted

Found = Mapping[str, Any]

TITLES = {
    "similarity": "Task similarity",
    "amount": "Amount of data",
    "complexity": "Model complexity",
    "overfitting": "Overfitting",
    "tuning": "Hyper-parameters",
    "domain": "Domain-specific features",
}
SCRATCH = {"cnn": "a small CNN from scratch", "mlp": "a fully connected network from scratch"}


def view(study: Found, album: Album) -> dict[str, Any]:
    """Return what `study_factors.html` is given."""
    del album
    return {"lines": lines(study)}


def lines(study: Found) -> list[dict[str, Any]]:
    """Return each factor with what was measured of it, or why nothing was."""
    words: dict[str, Callable[[Found], str]] = {
        "similarity": _similarity,
        "amount": _amount,
        "complexity": _complexity,
        "overfitting": _overfitting,
        "tuning": _tuning,
        "domain": _domain,
    }
    measured, left_out = study["measured"], study["left_out"]
    return [
        {
            "title": title,
            "measured": name in measured,
            "text": words[name](measured[name])
            if name in measured
            else f"Not measured: {left_out.get(name, 'not recorded')}.",
        }
        for name, title in TITLES.items()
    ]


def _similarity(own: Found) -> str:
    metric = own["metric"]
    scores = (
        f"a head on the frozen features has {told(own['frozen_score'], metric)} where "
        f"{SCRATCH[own['scratch']]} has {told(own['scratch_score'], metric)} "
        f"({score_words(metric)}, n = {count(own['n'])} test pictures)"
    )
    apart = own["comparison"]
    if apart is None:
        return f"Without learning anything new, {scores}."
    compared = f"{told_change(apart['difference'], metric)}, {_corrected(apart)}"
    if apart["better"]:
        return f"What the network knew before carries over: {scores}; {compared}."
    if apart["worse"]:
        return f"What the network knew before does not suit these pictures: {scores}; {compared}."
    return f"That what the network knew before carries over is not shown: {scores}; {compared}."


def _amount(own: Found) -> str:
    what = "less error" if own["score_name"] == "mae" else "of " + score_words(own["score_name"])
    gain = f"{told_change(own['gain'], own['score_name'])} {what}"
    more, n = f"{own['more']:,} more", f"(n = {count(own['gain']['n'])} judged)"
    outlook = f"promises {gain} for {more} {n}"
    if own["gain"]["low"] <= 0:
        outlook = f"does not show that {more} would help: {gain} {n}"
    elif own["gain"]["low"] < clear_from(own):
        least = short(clear_from(own))
        outlook = f"promises {gain} for {more} {n}; that it is more than {least} is not shown"
    return (
        f"At {plural(own['num_train'], 'training picture')} the learning curve stands at "
        f"{told(own['now'], own['score_name'])} and {outlook}."
    )


def _complexity(own: Found) -> str:
    speed = own["images_per_second"]
    text = (
        f"{encode_name(own['name'])} has {large(own['num_parameters'])} parameters "
        f"({large(own['num_bytes'])}B in fp32)"
    )
    text += f" and answers {short(speed)} pictures a second on this machine" if speed else ""
    raced = own["raced"]
    if len(raced) < 2:
        return f"{text}. No other network was tried beside it."
    each = joined_words([_racer(one) for one in raced])
    n = max(int(one["n"] or 0) for one in raced)
    name = glossary.score_words(str(raced[0]["score_name"] or ""))
    return f"{text}. In the race, by {name} on {plural(n, 'training picture')} out of fold: {each}."


def _racer(one: Found) -> str:
    shown = told(probe_score(one).as_dict(), str(one["score_name"] or ""))
    chosen = "chosen, " if one["chosen"] else ""
    size = f"{large(one['num_parameters'])} parameters" if one["num_parameters"] else "size unknown"
    speed = one["images_per_second"]
    quick = f", {short(speed)} pictures a second" if speed else ""
    return f"{encode_name(one['name'])} {shown} ({chosen}{size}{quick})"


def _overfitting(own: Found) -> str:
    gap, metric = own["gap"], own["score_name"]
    part = own.get("part", "validation")  # what a run of an earlier version speaks of
    judged, name = own["judged" if "part" in own else part], score_words(metric)
    n = f"n = {count(own['train']['n'])} and {count(judged['n'])}"
    text = (
        f"{name[0].upper()}{name[1:]} is {told(own['train'], metric)} on the training part and "
        f"{told(judged, metric)} on the {part} part ({n}), a gap of {told_change(gap, metric)}"
    )
    sign = -1 if metric == "mae" else 1
    known = gap["low"] is not None and gap["high"] is not None
    ends = sorted(sign * gap[end] for end in ("low", "high")) if known else [0.0, 0.0]
    if ends[1] < 0:
        text += f": the {part} part is the easier one, so the two differ in more than chance."
    else:
        text += "." if ends[0] > 0 else "; that it is more than chance is not shown."
    stages = [one for one in own["stages"] if one["train_loss"] is not None]
    if stages:
        text += f" Loss, training → validation: {joined_words([_stage(s) for s in stages])}."
    return text


def _stage(one: Found) -> str:
    name = encode_name(one["name"]) or "last epoch"
    losses = " → ".join(_loss(one[name]) for name in ("train_loss", "validation_loss"))
    return f"{name} {losses}{'' if one['kept'] else ' (undone)'}"


def _loss(value: float | None) -> str:
    return decimals(math.nan if value is None else value, share=False)


def _tuning(own: Found) -> str:
    tried = []
    if own["penalties"]:
        losses = own["penalty_losses"]
        between = f", cross-validated loss {_loss(losses[0])} to {_loss(losses[1])}"
        tried.append(
            f"{plural(own['penalties'], 'penalty', 'penalties')} of the head "
            f"({own['penalty']:.3g} was taken{between if losses else ''})"
        )
    if own["rungs"]:
        tried.append(f"{plural(own['rungs'], 'rung')} of the ladder ({own['rungs_kept']} kept)")
    if own["networks"]:
        tried.append(plural(own["networks"], "network"))
    if own["epochs"]:
        rates = own["rates"]
        ends = f", rates from {max(rates):.2g} down to {min(rates):.2g}" if rates else ""
        if rates and max(rates) == min(rates):
            ends = f", rate {max(rates):.2g}"
        tried.append(f"{plural(own['epochs'], 'epoch')} of {own['opt']}{ends}")
    by = []
    if own["penalties"] or own["networks"]:
        by.append(f"{plural(own['num_train'], 'training picture')} by cross-validation")
    if own["num_validation"]:
        by.append(plural(own["num_validation"], "validation picture"))
    chosen = f"; chosen on {joined_words(by)}, never by the test part" if by else ""
    return f"Tried: {joined_words(tried)}{chosen}."


def _domain(own: Found) -> str:
    kept = [one for one in own["rungs"] if one["taken"]]
    undone = [one for one in own["rungs"] if not one["taken"]]
    text = []
    if kept:
        text.append(f"The ladder kept {joined_words([_rung(one) for one in kept])}.")
    if undone:
        text.append(f"It undid {joined_words([_rung(one) for one in undone])}.")
    if own["rungs"] and not kept:
        text.append("The features stayed as they came.")
    if any(one["gain"] is not None for one in own["rungs"]):
        text.append("A gain is how much smaller the loss became, each bound of it 90 % sure.")
    apart = own["comparison"]
    if apart is not None:
        change = told_change(apart["difference"], own["metric"])
        shown = "" if apart["better"] or apart["worse"] else ", which is not shown to be a change"
        text.append(
            f"On the test part the network that ships has {change} "
            f"{score_words(own['metric'])} beside its frozen features "
            f"({_corrected(apart)}, n = {count(apart['difference']['n'])}){shown}."
        )
    return " ".join(text)


def _corrected(apart: Found) -> str:
    """Return the p of a comparison of the baseline ladder, which makes several."""
    return f"{p_words(apart['p_corrected'])} corrected"


def _rung(one: Found) -> str:
    n = f"n = {count(one['num_validation'])} validation pictures"
    gain = ""
    if one["gain"] is not None:
        bounds = {"value": one["gain"], "low": one["gain_low"], "high": one["gain_high"], "n": 0}
        gain = f"gain {told_change(bounds)}, one-sided {p_words(one['p'])}, "
    return f"{quoted(str(one['name']))} ({gain}{n})"
