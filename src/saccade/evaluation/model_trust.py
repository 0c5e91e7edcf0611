"""What a model knows of its own answers, fitted on pictures that did not teach it."""

import math
from dataclasses import dataclass

import numpy as np

from saccade.data.sealed import Answers
from saccade.data.split import Split
from saccade.data.task import Task
from saccade.evaluation.calibration import Calibration, fit_calibration
from saccade.evaluation.conformal import Conformal, fit_conformal
from saccade.evaluation.held import FITS, Held, NotPromised, hold
from saccade.evaluation.selective import Promise, Selective, fit_selective, promise
from saccade.evaluation.unknown import Unknown, drawn_reference, fit_reference, fit_unknown
from saccade.runtime.machine import one_blas_thread, pieces_of, rows_of

ACCURACIES = (0.995, *(percent / 100 for percent in range(99, 49, -1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTrust:
    """Travels with the model: how its scores are calibrated, and when not to believe it."""

    part: str  # whose pictures it was fitted on
    calibration: Calibration
    conformal: Conformal
    selective: Selective | None  # None for values, which are not right or wrong
    unknown: Unknown | None  # None where the features were not at hand, or pictures too few
    why_no_unknown: str = ""  # one sentence, where there is none

    @property
    def n(self) -> int:
        """Pictures it was fitted on."""
        return self.conformal.n

    def promise(self, accuracy: float) -> Promise:
        """Return the threshold above which an accuracy is promised.

        Raises:
            NotPromised: with the best that can be.
        """
        if self.selective is None:
            raise NotPromised("values are not right or wrong; ask for a coverage instead")
        try:
            return promise(self.selective, accuracy)
        except NotPromised as no:
            best = best_promise(self.selective, below=accuracy)
            most = f"{best:g} can be promised" if best else "no accuracy can be promised"
            raise NotPromised(f"{no}; {most}") from no


def scores_of(logits_NK: np.ndarray, *, task: Task, trust: ModelTrust | None) -> np.ndarray:
    """Return what logits mean, as `Task.scores` does, calibrated where it is known how."""
    if trust is None:
        return task.scores(logits_NK)
    return trust.calibration.scores(logits_NK, task=task)


def best_promise(selective: Selective, *, below: float = math.inf) -> float:
    """Return the highest accuracy that can be promised, to a percent; 0 where not even half can."""
    for accuracy in ACCURACIES:
        if accuracy < below and can_promise(selective, accuracy):
            return accuracy
    return 0.0


def can_promise(selective: Selective, accuracy: float) -> bool:
    """Say whether there is a threshold above which an accuracy is promised."""
    try:
        promise(selective, accuracy)
    except NotPromised:
        return False
    return True


def fit_trust(
    *,
    split: Split,
    task: Task,
    logits_NK: np.ndarray,
    targets: Answers,
    features_ND: np.ndarray | None = None,
    seed: int,
) -> ModelTrust | None:
    """Return what a model is to know of its own answers; None without a validation part.

    Only the validation part fits, and the training part is what features are compared with; the
    answers of the test part are not read, so that they may be under seal.

    Args:
        split: which picture is in which part.
        task: the kind of answer.
        logits_NK: of every picture, by the network as it ships.
        targets: of every picture.
        features_ND: what the classifier is given, of every picture; None = not at hand, and
            nothing is then known to be unknown.
        seed: of the folds that calibration is compared on, and of the reference.
    """
    held = hold(FITS, split=split, task=task, logits_NK=logits_NK, targets=targets)
    if not len(held):
        return None
    calibration = fit_calibration(held, seed=seed)
    unknown, why = None, "the features of the network were not at hand"
    if features_ND is not None:
        unknown, why = _unknown(held, split, features_ND, targets, seed=seed)
    return ModelTrust(
        part=FITS,
        calibration=calibration,
        conformal=fit_conformal(held, calibration),
        selective=None if task.kind == "regression" else fit_selective(held, calibration),
        unknown=unknown,
        why_no_unknown=why,
    )


def _unknown(
    held: Held, split: Split, features_ND: np.ndarray, targets: Answers, *, seed: int
) -> tuple[Unknown | None, str]:
    rows = drawn_reference(split.rows("train"), targets, task=held.task, seed=seed)
    if not all(np.isfinite(piece).all() for piece in pieces_of(features_ND)):
        return None, "some features of the network are no finite numbers"
    # Small matrices: threads that wait for a busy core cost far more than they save (docs/log.md).
    with one_blas_thread():
        reference = fit_reference(rows_of(features_ND, rows), rows=rows)
        try:
            return fit_unknown(reference, held, rows_of(features_ND, held.rows)), ""
        except NotPromised as no:
            return None, str(no)
