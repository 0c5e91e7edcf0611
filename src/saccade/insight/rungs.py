"""The rungs of the baseline ladder: each learned what it could, and answers the test pictures."""

import time
from dataclasses import dataclass, replace

import numpy as np

from saccade.data.properties import properties_of
from saccade.data.small_copies import SmallCopies, small_copies
from saccade.evaluation.predictions import Predictions
from saccade.evaluation.usual import usual_scores
from saccade.insight.changed import drawn
from saccade.insight.evidence import Evidence, NotPossible
from saccade.insight.pool import head_event, known_penalty
from saccade.insight.small_networks import small_preprocess, train_small
from saccade.insight.trivial import MOST_FITTED, design, property_answers
from saccade.training.nested_heads import growing_heads, prepare
from saccade.training.objective import class_weights_of

NAMES = ("majority", "properties", "mlp", "cnn", "frozen", "final")
"""From the simplest to the network that ships."""
NUM_TIMED = 16  # pictures that tell how quick the network is


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """A way to answer, and what it says of the test pictures. What is not known is None."""

    name: str  # one of NAMES
    table: Predictions  # of the test pictures
    seconds: float | None = None  # that learning took
    num_parameters: int | None = None
    num_learned: int | None = None  # of them
    images_per_second: float | None = None
    epochs: int | None = None
    num_taught: int | None = None  # training pictures, where they are not all


def majority_rung(evidence: Evidence, test: np.ndarray) -> Rung:
    """Return the one answer that is most frequent in the training part; of numbers, their mean."""
    usual_K = usual_scores(evidence.targets[evidence.rows("train")], evidence.task)
    scores_TK = np.tile(usual_K, (len(test), 1))
    return _rung("majority", evidence, test, scores_TK, seconds=0.0, num_parameters=0)


def properties_rung(evidence: Evidence, test: np.ndarray) -> Rung:
    """Return a head on trivial properties: brightness, size, file kind, border, source."""
    begun = time.perf_counter()
    rows, every = drawn(evidence, MOST_FITTED, "train"), evidence.rows("train")
    known_rows = evidence.rows("train", "validation").tolist()
    properties = properties_of(evidence.catalog, evidence.looks, known_rows=known_rows)
    features_ND = design(properties.values_NP, rows)
    if not features_ND.shape[1]:
        raise NotPossible("all pictures have the same trivial properties")
    scores_TK = property_answers(
        features_ND, evidence.targets, rows, test, task=evidence.task, seed=evidence.recipe.seed
    )
    num = (features_ND.shape[1] + 1) * evidence.task.num_outputs
    seconds = time.perf_counter() - begun
    rung = _rung("properties", evidence, test, scores_TK, seconds=seconds, num_parameters=num)
    return replace(rung, num_taught=len(rows) if len(rows) < len(every) else None)


def frozen_rung(evidence: Evidence, test: np.ndarray) -> Rung:
    """Return the frozen network with a head that was solved on its features.

    Where no stage learned beside the head this is the network that ships, and its own answers
    are taken.
    """
    task, num = evidence.task, evidence.model.get("num_parameters")
    learned = (evidence.features.shape[1] + 1) * task.num_outputs
    seconds = _seconds_of_head(evidence)
    if not _stages_learned(evidence):
        table = evidence.finished.take(test.tolist())
        return Rung(
            name="frozen", table=table, seconds=seconds, num_parameters=num, num_learned=learned,
            images_per_second=_speed(evidence, test),
        )  # fmt: skip
    logits_TK = _solved(evidence, test)
    return replace(
        _rung("frozen", evidence, test, task.scores(logits_TK), seconds=seconds),
        num_parameters=num,
        num_learned=learned,
    )


def final_rung(evidence: Evidence, test: np.ndarray) -> Rung:
    """Return the network that ships.

    Raises:
        NotPossible: it is the frozen one.
    """
    if evidence.features_ND is not None and not _stages_learned(evidence):
        raise NotPossible("the network that ships is the frozen one with its solved head")
    return Rung(
        name="final",
        table=evidence.finished.take(test.tolist()),
        seconds=evidence.seconds.get("learn"),
        num_parameters=evidence.model.get("num_parameters"),
        num_learned=evidence.model.get("num_trainable"),
        images_per_second=_speed(evidence, test),
    )


class SmallRungs:
    """Networks from scratch on the same small copies of the pictures, made when first needed."""

    def __init__(self) -> None:
        self._copies: SmallCopies | None = None

    def mlp(self, evidence: Evidence, test: np.ndarray) -> Rung:
        """Return the fully connected network."""
        return self._learned("mlp", evidence, test)

    def cnn(self, evidence: Evidence, test: np.ndarray) -> Rung:
        """Return the small convolutional network."""
        return self._learned("cnn", evidence, test)

    def _learned(self, kind: str, evidence: Evidence, test: np.ndarray) -> Rung:
        if self._copies is None:
            self._copies = small_copies(
                evidence.cache, preprocess=small_preprocess(), threads=evidence.recipe.threads
            )
        small = train_small(kind, evidence, self._copies, ask=test)
        scores_TK = evidence.task.scores(small.logits_TK)
        return replace(
            _rung(kind, evidence, test, scores_TK, seconds=small.seconds),
            num_parameters=small.num_parameters,
            num_learned=small.num_parameters,
            images_per_second=small.images_per_second,
            epochs=small.epochs,
            num_taught=small.num_taught,
        )


def _rung(
    name: str,
    evidence: Evidence,
    test: np.ndarray,
    scores_TK: np.ndarray,
    *,
    seconds: float | None,
    num_parameters: int | None = None,
) -> Rung:
    if not np.isfinite(scores_TK).all():
        raise NotPossible("its answers are not finite numbers")
    table = replace(evidence.finished.take(test.tolist()), scores=scores_TK)
    return Rung(
        name=name,
        table=table,
        seconds=seconds,
        num_parameters=num_parameters,
        num_learned=num_parameters,
    )


def _solved(evidence: Evidence, test: np.ndarray) -> np.ndarray:
    """Return logits_TK of a head on the training part, with the penalty of the run's own."""
    task, rows = evidence.task, evidence.rows("train")
    taught = evidence.targets[rows]
    ground = prepare(
        evidence.features_of(rows),
        taught,
        task=task,
        class_weights=class_weights_of(taught, task=task, kind=evidence.recipe.class_weights),
        most_axes=evidence.features.shape[1],
    )
    (logits_TK,) = growing_heads(
        ground,
        np.arange(len(rows)),
        [len(rows)],
        ground.placed(evidence.features_of(test)),
        penalties=[known_penalty(evidence).at(len(rows))],
    )
    return logits_TK


def _stages_learned(evidence: Evidence) -> int:
    return int(evidence.model.get("num_stages_learned", 0))


def _seconds_of_head(evidence: Evidence) -> float | None:
    """Return what learning took without the rungs that came after the head."""
    whole = evidence.seconds.get("learn")
    if whole is None or head_event(evidence) is None:
        return whole
    after = (event for event in evidence.history if event.get("event") in {"rung", "epoch"})
    rungs = [float(own["seconds"]) for own in after if "rung" not in own]
    return max(whole - sum(rungs), 0.0)


def _speed(evidence: Evidence, test: np.ndarray) -> float | None:
    """Return the pictures that the network answers in a second, decoding left out."""
    if evidence.final_engine is None:
        return None
    canvases = evidence.cache.canvases(test[:NUM_TIMED])
    evidence.final_engine(canvases[:2])  # the first answer is slower, for it is the first
    begun = time.perf_counter()
    evidence.final_engine(canvases)
    return len(canvases) / max(time.perf_counter() - begun, 1e-9)
