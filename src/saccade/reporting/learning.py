"""How the weights were found, from the events of the history."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from saccade.evaluation.difference import readable_score
from saccade.evaluation.intervals import Estimate, undefined
from saccade.reporting.estimates import p_words, told_change
from saccade.reporting.learned import (
    Candidate,
    Epoch,
    GradientNorms,
    HeadSearch,
    LearningFacts,
    Race,
    Rung,
)
from saccade.reporting.sections import number, section

Event = Mapping[str, Any]


def learning_of(events: Sequence[Event]) -> LearningFacts:
    """Return what the events of history.jsonl say about how the weights were found.

    Args:
        events: in their order.
    """

    def of(kind: str) -> list[Event]:
        return [event for event in events if event.get("event") == kind]

    heads, races = of("head"), of("race")
    named = [event.get("score_name") for event in (*heads, *of("epoch"), *of("rung"))]
    times = _since_start([*heads[-1:], *of("rung")])
    return LearningFacts(
        score_name=next((str(name) for name in named if name), ""),
        epochs=tuple(map(_epoch, of("epoch"))),
        head=_head(heads[-1], times[0]) if heads else None,
        gradients=_gradients(events),
        notes=tuple(str(event.get("sentence", "")) for event in of("note")),
        rungs=tuple(
            _rung(event, at) for event, at in zip(of("rung"), times[len(heads[-1:]) :], strict=True)
        ),
        race=_race(races[-1]) if races else None,
    )


def _epoch(event: Event) -> Epoch:
    name = str(event.get("score_name") or "")
    return Epoch(
        number=int(event.get("epoch", 0)),
        train_loss=number(event.get("train_loss")),
        validation_loss=number(event.get("validation_loss")),
        validation_score=readable_score(number(event.get("validation_score")), name),
        learning_rate=number(event.get("lr")),
        seconds=number(event.get("seconds")),
        best=bool(event.get("best")),
        rung=_place(event),
    )


def _place(event: Event) -> int | None:
    place = event.get("rung")
    return place if isinstance(place, int) else None


def _head(event: Event, at_seconds: float) -> HeadSearch:
    found = [one for one in event.get("candidates", ()) if isinstance(one, Mapping)]
    measured = "loss" if any("loss" in one for one in found) else "score"
    candidates = sorted((number(one.get("penalty")), number(one.get(measured))) for one in found)
    return HeadSearch(
        penalty=number(event.get("penalty")),
        candidates=tuple(candidates),
        measured=measured,
        score=_score(event),
        seconds=number(event.get("seconds")),
        at_seconds=at_seconds,
        engine=str(event.get("engine") or ""),
    )


def _score(event: Event) -> Estimate:
    """Return a validation score, with its interval where the run recorded one."""
    name, num = str(event.get("score_name", "")), event.get("num_validation")
    value, *ends = (
        readable_score(number(event.get(key)), name)
        for key in ("validation_score", "validation_low", "validation_high")
    )
    n = num if isinstance(num, int) else 0
    if not math.isfinite(value):
        return undefined("not recorded", n=n)
    low, high = sorted(ends) if all(map(math.isfinite, ends)) else (math.nan, math.nan)
    method = "as the metrics'" if math.isfinite(low) else "no interval"
    return Estimate(value=value, low=low, high=high, n=n, method=method)


def _rung(event: Event, at_seconds: float) -> Rung:
    low, high = number(event.get("gain_low")), number(event.get("gain_high"))
    return Rung(
        name=str(event.get("name", "")),
        stages=int(event.get("stages", 0)),
        epochs=int(event.get("epochs", 0)),
        views=int(event.get("views", 0)),
        cached=bool(event.get("cached")),
        crop=event.get("crop"),  # None in earlier runs
        score=_score(event),
        gain=number(event.get("gain")),
        low=low if math.isfinite(low) else -math.inf,
        high=high if math.isfinite(high) else math.inf,
        p=number(event.get("p")),
        taken=bool(event.get("taken")),
        why=str(event.get("why") or ""),
        seconds=number(event.get("seconds")),
        at_seconds=at_seconds,
    )


def _since_start(events: Sequence[Event]) -> list[float]:
    """Return when each event came, in seconds that never run backwards.

    The clock of a run that was stopped and resumed begins anew; what follows is then placed
    behind what went before, at the distance of its own seconds.
    """
    times: list[float] = []
    offset = 0.0
    for event in events:
        at = number(event.get("at_seconds")) + offset
        before = times[-1] if times else math.nan
        if at < before:
            own = number(event.get("seconds"))
            offset += before + (own if math.isfinite(own) else 0.0) - at
            at = number(event.get("at_seconds")) + offset
        times.append(at)
    return times


def _gradients(events: Sequence[Event]) -> tuple[GradientNorms, ...]:
    """Return the gradient norms; they are of the rung of the epoch that was noted before them."""
    found, rung = [], None
    for event in events:
        if event.get("event") == "epoch":
            rung = _place(event)
        elif event.get("event") == "layer_gradients":
            norms = tuple((str(k), number(v)) for k, v in section(event, "norms").items())
            epoch = int(event.get("epoch", 0))
            found.append(GradientNorms(epoch=epoch, norms=norms, rung=rung))
    return tuple(found)


def _race(event: Event) -> Race | None:
    found = [one for one in event.get("candidates", ()) if isinstance(one, Mapping)]
    if not found:
        return None
    return Race(
        candidates=tuple(map(_candidate, found)),
        num_sample=int(event.get("num_sample") or 0),
        score_name=str(found[0].get("score_name") or "score"),
    )


def probe_score(one: Event) -> Estimate:
    """Return what a network had in the race, an error as an error, with its interval."""
    value, low, high = (number(one.get(key)) for key in ("score", "low", "high"))
    n = int(one.get("n") or 0)
    if not math.isfinite(value):
        return undefined("not probed", n=n)
    name = str(one.get("score_name") or "")
    value, *ends = (readable_score(own, name) for own in (value, low, high))
    low, high = sorted(ends)
    return Estimate(value=value, low=low, high=high, n=n, method="cross-validated")


def _candidate(one: Event) -> Candidate:
    parameters = one.get("num_parameters")
    return Candidate(
        name=str(one.get("name", "")),
        score=probe_score(one),
        seconds=number(one.get("seconds")),
        images_per_second=number(one.get("images_per_second")),
        num_parameters=parameters if isinstance(parameters, int) else None,
        chosen=bool(one.get("chosen")),
        why=str(one.get("why") or ""),
        behind=_behind(one.get("behind")),
    )


def _behind(found: Any) -> str:  # noqa: ANN401 - as a file holds it
    if not isinstance(found, Mapping):
        return ""
    return f"{told_change(found)}, {p_words(found.get('p'))}"
