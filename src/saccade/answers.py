"""Answers for people: the class by name, and whether, and how far, it should be believed."""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from saccade.data.task import Task
from saccade.evaluation.conformal import prediction_sets
from saccade.evaluation.held import NotPromised
from saccade.evaluation.model_trust import ModelTrust
from saccade.evaluation.predictions import Predictions
from saccade.evaluation.selective import sureness
from saccade.evaluation.unknown import Unknown
from saccade.runtime.errors import UsageError


class Scores(Mapping[str, float]):
    """A row of a table's scores by name; names and numbers are not copied.

    >>> scores = Scores({"ant": 0, "bee": 1}, np.array([0.25, 0.75]))
    >>> scores["bee"], scores
    (0.75, {'ant': 0.25, 'bee': 0.75})
    """

    __slots__ = ("_places", "_scores_K")

    def __init__(self, places: Mapping[str, int], scores_K: np.ndarray) -> None:
        self._places, self._scores_K = places, scores_K

    def __getitem__(self, name: str) -> float:
        return float(self._scores_K[self._places[name]])

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __repr__(self) -> str:
        return repr(dict(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The answer for one picture; where it could not be read, `error` says why.

    Then there is no label and no mark: `label` is "", `score` is NaN, `scores` and `labels` are
    empty, and `unknown` and `unsure` are None.
    """

    path: str
    label: str  # the class; several labels joined by "|"; regression: the number as text
    score: float  # probability of the label (the least of several); regression: the value
    scores: Mapping[str, float]  # every class's probability; regression: empty
    error: str = ""
    unknown: bool | None = None  # the picture is unlike those that the model learned from; None =
    # not asked, or the model cannot tell
    unsure: bool | None = None  # too unsure for the accuracy, or the cost of a mistake, that was
    # asked for; None = neither was
    labels: tuple[str, ...] = ()  # classes that hold the truth as often as asked for, best first
    low: float = math.nan  # regression: the values that hold the truth as often as asked for
    high: float = math.nan
    several: tuple[str, ...] | None = None  # multi-label: what `label` joins, one by one

    def as_dict(self) -> dict[str, Any]:
        """Return every field as JSON can hold it; what is no number is None."""
        numbers = {name: getattr(self, name) for name in ("score", "low", "high")}
        known = {name: own if math.isfinite(own) else None for name, own in numbers.items()}
        fields = {own.name: getattr(self, own.name) for own in dataclasses.fields(self)}
        return {**fields, **known, "scores": dict(self.scores)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked for beside the best class."""

    coverage: float | None = None  # 0 to 1: how often the labels, or low to high, hold the truth
    min_accuracy: float | None = None  # 0 to 1: of the answers that are not unsure
    mistake_cost: float | None = None  # above 1: of a wrong answer, in answers withheld
    unknown: bool = True  # whether pictures unlike those learned from are marked


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What was asked for as numbers that answers are held against; None where it was not."""

    reach: float | None = None  # see `Conformal.reach`
    threshold: float | None = None  # unsure below
    unknown: Unknown | None = None
    notes: tuple[str, ...] = ()  # sentences for the user: what is promised, by how many pictures


def limits_of(wanted: Wanted, trust: ModelTrust | None) -> Limits:
    """Return the numbers that a model has for what is asked.

    Raises:
        UsageError: something out of range (E270), from a model that knows nothing of its answers
            (E271), or that cannot be promised with the pictures there were (E272).
    """
    _check(wanted)
    asked = [wanted.coverage, wanted.min_accuracy, wanted.mistake_cost]
    if trust is None:
        if any(one is not None for one in asked):
            raise UsageError(
                "This model knows nothing of its own answers: it was saved by an older saccade, or "
                "its run was stopped before the end.",
                code="271",
                where="--coverage, --min-accuracy or --mistake-cost",
                fix="train it again, or resume its run",
            )
        return Limits()
    if trust.selective is None and (wanted.min_accuracy or wanted.mistake_cost):
        raise UsageError(
            "Values are not right or wrong, so that none of them is withheld.",
            code="272",
            where="--min-accuracy or --mistake-cost",
            fix="ask for --coverage instead",
        )
    notes: list[str] = []
    try:
        reach = _reach(wanted, trust, notes)
        threshold = _threshold(wanted, trust, notes)
    except NotPromised as no:
        text = str(no)
        raise UsageError(
            f"{text[0].upper()}{text[1:]}.",
            code="272",
            where=f"the {trust.n} pictures of the {trust.part} part that the model was fitted on",
            fix="ask for less, or train with more pictures (--val-fraction)",
        ) from no
    unknown = trust.unknown if wanted.unknown else None
    return Limits(reach=reach, threshold=threshold, unknown=unknown, notes=tuple(notes))


def _check(wanted: Wanted) -> None:
    for flag, value, low, high in (
        ("--coverage", wanted.coverage, 0.0, 1.0),
        ("--min-accuracy", wanted.min_accuracy, 0.0, 1.0),
        ("--mistake-cost", wanted.mistake_cost, 1.0, math.inf),
    ):
        if value is not None and not isinstance(value, int | float):
            raise UsageError(
                f"{flag} is {value!r}, but must be a number.",
                code="270",
                where=flag,
                fix="give a number, as in coverage=0.95",
            )
        if value is not None and not low < value < high:
            between = f"between {low:g} and {high:g}" if high < math.inf else f"above {low:g}"
            raise UsageError(
                f"{flag} is {value:g}, but must lie {between}.",
                code="270",
                where=flag,
                fix=f"write {value / 100:g}"
                if high == 1 and value >= 10
                else f"give a number {between}",
            )
    if wanted.min_accuracy is not None and wanted.mistake_cost is not None:
        raise UsageError(
            "Two thresholds for one answer: by accuracy and by the cost of a mistake.",
            code="270",
            where="--min-accuracy and --mistake-cost",
            fix="give one of them",
        )


def _reach(wanted: Wanted, trust: ModelTrust, notes: list[str]) -> float | None:
    if wanted.coverage is None:
        return None
    reach = trust.conformal.reach(wanted.coverage)
    what = "sets" if trust.selective else "stretches"
    notes.append(
        f"of 100 {what} about {100 * wanted.coverage:g} or more hold the truth, for pictures like "
        f"the {trust.n} of the {trust.part} part"
    )
    return reach


def _threshold(wanted: Wanted, trust: ModelTrust, notes: list[str]) -> float | None:
    if wanted.min_accuracy is not None:
        found = trust.promise(wanted.min_accuracy)
        notes.append(
            f"answers less sure than {found.threshold:.3f} are unsure; of {found.n} held-out "
            f"pictures {found.answered} were above it and {found.right} of these right, so that "
            f"an accuracy of {wanted.min_accuracy:g} among the answered is promised (95 % sure) "
            f"for pictures like those of the {trust.part} part"
        )
        return found.threshold
    if wanted.mistake_cost is None:
        return None
    threshold = 1 - 1 / wanted.mistake_cost
    notes.append(
        f"answers less sure than {threshold:.3f} are unsure: there a mistake at "
        f"{wanted.mistake_cost:g} costs more than an answer withheld at 1"
    )
    return threshold


def answers_of(
    table: Predictions,
    limits: Limits,
    *,
    judged_NK: np.ndarray,
    features_ND: np.ndarray | None = None,
) -> list[Prediction]:
    """Return an answer for each row of a table.

    Args:
        table: with the scores that are shown.
        limits: from `limits_of`.
        judged_NK: the calibrated scores, by which is decided what is unsure and in a set.
        features_ND: what the classifier was given, where something may be unknown.
    """
    task, num = table.task, len(table)
    unsure: list[bool | None] = [None] * num
    unknown: list[bool | None] = [None] * num
    if limits.threshold is not None:
        unsure = (sureness(judged_NK, task=task) < np.float32(limits.threshold)).tolist()
    if limits.unknown is not None and features_ND is not None:
        unknown = limits.unknown.is_unknown(features_ND).tolist()
    if limits.threshold is not None:  # nothing is promised of what is unlike the known
        unsure = [bool(a) or bool(b) for a, b in zip(unsure, unknown, strict=True)]
    sets_NK = None
    if limits.reach is not None and task.kind != "regression":
        sets_NK = prediction_sets(judged_NK, limits.reach, task=task)
    places, predicted = {name: place for place, name in enumerate(task.classes)}, table.predicted
    found = []
    for row, (path, label) in enumerate(zip(table.paths, table.prediction, strict=True)):
        low, high = _stretch(table, row, limits)
        found.append(
            Prediction(
                path=path,
                label=label,
                score=_score(task, table.scores[row], predicted[row]),
                scores=Scores(places, table.scores[row]),
                unknown=unknown[row],
                unsure=unsure[row],
                labels=() if sets_NK is None else _names(task, sets_NK[row], judged_NK[row]),
                low=low,
                high=high,
                several=_chosen(task, predicted[row]),
            )
        )
    return found


def _names(task: Task, set_K: np.ndarray, scores_K: np.ndarray) -> tuple[str, ...]:
    order = np.argsort(-scores_K, kind="stable")
    return tuple(task.classes[place] for place in order if set_K[place])


def _chosen(task: Task, members_K: np.ndarray) -> tuple[str, ...] | None:
    """Return the labels of a row one by one; None where each row has one answer."""
    if task.kind != "multilabel":
        return None
    return tuple(task.classes[place] for place in np.flatnonzero(members_K))


def _stretch(table: Predictions, row: int, limits: Limits) -> tuple[float, float]:
    if limits.reach is None or table.task.kind != "regression":
        return math.nan, math.nan
    value = float(table.scores[row, 0])
    return value - limits.reach, value + limits.reach


def _score(task: Task, scores_K: np.ndarray, predicted: np.ndarray) -> float:
    if task.kind == "regression":
        return float(scores_K[0])
    if task.kind == "multilabel":
        chosen = scores_K[predicted == 1]
        return float(chosen.min()) if chosen.size else float(1 - scores_K.max())
    return float(scores_K.max())
