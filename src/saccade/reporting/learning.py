"""How the weights were found, from the events of the history."""

from collections.abc import Mapping, Sequence
from typing import Any

from saccade.reporting.facts import Epoch, GradientNorms, HeadSearch, LearningFacts
from saccade.reporting.sections import number, section


def learning_of(events: Sequence[Mapping[str, Any]]) -> LearningFacts:
    """Return what the events of history.jsonl say about how the weights were found."""
    epochs, gradients, notes = [], [], []
    head, score_name = None, ""
    for event in events:
        kind = event.get("event")
        if kind == "epoch":
            epochs.append(_epoch(event))
            score_name = str(event.get("score_name") or score_name)
        elif kind == "head":
            head = _head(event)
            score_name = str(event.get("score_name") or score_name)
        elif kind == "layer_gradients":
            norms = tuple((str(k), number(v)) for k, v in section(event, "norms").items())
            gradients.append(GradientNorms(epoch=int(event.get("epoch", 0)), norms=norms))
        elif kind == "note":
            notes.append(str(event.get("sentence", "")))
    return LearningFacts(
        score_name=score_name,
        epochs=tuple(epochs),
        head=head,
        gradients=tuple(gradients),
        notes=tuple(notes),
    )


def _epoch(event: Mapping[str, Any]) -> Epoch:
    return Epoch(
        number=int(event.get("epoch", 0)),
        train_loss=number(event.get("train_loss")),
        validation_loss=number(event.get("validation_loss")),
        validation_score=number(event.get("validation_score")),
        learning_rate=number(event.get("lr")),
        seconds=number(event.get("seconds")),
        best=bool(event.get("best")),
    )


def _head(event: Mapping[str, Any]) -> HeadSearch:
    found = [one for one in event.get("candidates", ()) if isinstance(one, Mapping)]
    measured = "loss" if any("loss" in one for one in found) else "score"
    candidates = sorted((number(one.get("penalty")), number(one.get(measured))) for one in found)
    return HeadSearch(
        penalty=number(event.get("penalty")),
        candidates=tuple(candidates),
        measured=measured,
        validation_score=number(event.get("validation_score")),
        seconds=number(event.get("seconds")),
    )
