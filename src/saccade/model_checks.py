"""The checks of a run's model: its files, what it was made from, and its golden pictures."""

import hashlib
from collections.abc import Callable

import numpy as np
import torch

from saccade.data.decode import decode
from saccade.evaluation.calibration import temperature
from saccade.evaluation.held import FITS
from saccade.evaluation.model_trust import scores_of
from saccade.evaluation.predictions import Predictions
from saccade.models.bundle import Bundle, GoldenPicture, check_same, load
from saccade.models.engine import relative_error
from saccade.papers import Failed, NotChecked, Papers
from saccade.run import versions
from saccade.runtime import machine
from saccade.runtime.errors import listed
from saccade.runtime.store import encode_name

GOLDEN_TOLERANCE = 5e-3
"""Relative difference of logits up to which a golden picture is answered as it was. Another
processor, another torch or other threads add up in another order: 1e-7 to 1e-5 was met; where
another library resizes, by the same filter, 8e-4. Another filter came to 3e-2, the same in the
other order of passes to 2e-2, a crop one pixel aside to 5e-2 (mobilenetv2_100, 224 px)."""

TOLERANCE = 1e-3
"""The same for numbers that were written down twice."""

CLOSEST = 2.0**-53
"""A probability closer to 1 than this is written as 1, for its logit is above 36.7."""


class ModelChecks:
    """The model of a run, loaded once for all checks of it."""

    def __init__(self, papers: Papers) -> None:
        self.papers = papers
        self._bundle: Bundle | None = None

    @property
    def checks(self) -> list[tuple[str, Callable[[], str]]]:
        """The checks by name, in the order in which they rest on each other."""
        return [
            ("model files", self.files),
            ("model's origin", self.origin),
            ("golden pictures", self.golden),
            ("golden and table", self.golden_in_table),
            ("calibration", self.calibration),
        ]

    @property
    def bundle(self) -> Bundle:
        """The model; raises NotChecked where it could not be loaded."""
        if self._bundle is None:
            raise NotChecked("the model cannot be loaded")
        return self._bundle

    def files(self) -> str:
        """Every file of the model is as it was saved, and they make a model."""
        self._bundle = load(self.papers.run.model_folder)
        return f"all {len(self._bundle.config['saccade']['files'])} have the hashes of config.json"

    def origin(self) -> str:
        """The model was made by this run, from these data, and was tested."""
        check_same(self.bundle, task=self.papers.task)
        made_from = self.bundle.config["saccade"]["provenance"]
        facts = self.papers.facts
        if made_from.get("data_fingerprint") != facts.get("split", {}).get("fingerprint"):
            raise Failed("the model was made from other pictures or parts than run.json names")
        if not made_from.get("tested", False):
            raise Failed("the model was saved before the test, and is not the one that was tested")
        weights = facts.get("model", {}).get("weights", {})
        if made_from.get("weights") != weights:
            raise Failed("model and run.json name other pretrained weights")
        return "the model was made by this run, from its pictures and parts, and was tested"

    def golden(self) -> str:
        """The golden pictures are answered as they were when the model was saved."""
        pictures = self._pictures()
        found_NK = _logits(self.bundle, pictures)
        saved_NK = np.array([own.logits for own in pictures], np.float32)
        error = relative_error(found_NK, saved_NK)
        if not error <= GOLDEN_TOLERANCE:
            apart = np.abs(found_NK - saved_NK).max(axis=1)
            worst = [encode_name(pictures[row].name) for row in np.argsort(-apart)]
            raise Failed(
                f"{len(pictures)} golden pictures are answered otherwise than when the model was "
                f"saved, by {error:.1e} of the largest logit; most of all {listed(worst, limit=2)}"
                f"{self._elsewhere()}"
            )
        how = "to the last bit" if error == 0 else f"within {error:.0e} of the largest logit"
        return f"{len(pictures)} are answered as they were, {how}{self._elsewhere()}"

    def golden_in_table(self) -> str:
        """What was saved of the golden pictures is what the table says of the same contents."""
        pictures, table = self._pictures(), self.papers.table
        rows = {content: row for row, content in enumerate(table.hashes)}
        missing, apart = [], 0.0
        for own in pictures:
            row = rows.get(hashlib.sha256(own.content).hexdigest())
            if row is None:
                missing.append(encode_name(own.name))
                continue
            logits_1K = np.array([own.logits])
            scores_K = scores_of(logits_1K, task=self.papers.task, trust=self.bundle.trust)[0]
            scale = max(1.0, float(np.abs(table.scores[row]).max()))
            apart = max(apart, float(np.abs(scores_K - table.scores[row]).max()) / scale)
        if missing:
            raise Failed(f"golden pictures that are not in predictions.csv: {listed(missing)}")
        if apart > TOLERANCE:
            raise Failed(
                f"scores of golden pictures and those in predictions.csv differ by {apart:.1e}"
            )
        return f"the scores of {len(pictures)} are those in predictions.csv, within {apart:.0e}"

    def calibration(self) -> str:
        """What the model knows of its own answers was fitted on the validation part alone."""
        trust, table = self.bundle.trust, self.papers.table
        if trust is None:
            raise NotChecked("the model was saved without a calibration")
        rows = table.rows(FITS)
        if trust.part != FITS or trust.n != len(rows):
            raise Failed(
                f"it was fitted on {trust.n} pictures of the part {trust.part}, and "
                f"predictions.csv has {len(rows)} of {FITS}"
            )
        if trust.calibration.kind != "temperature" or rows.truth is None:
            return f"fitted on {trust.n} validation pictures: {trust.calibration.why}"
        again = temperature(_calibrated_logits(rows), rows.truth, task=self.papers.task)
        rounded = _num_rounded(rows)
        if not again - 1 <= TOLERANCE or (again - 1 < -TOLERANCE and not rounded):
            raise Failed(
                f"the scores of the {trust.n} validation pictures are not calibrated: fitted again "
                f"on them, a temperature is {again:.4f} and not 1"
            )
        if rounded:
            return (
                f"fitted on {trust.n} validation pictures; {rounded} of their scores were rounded "
                "to 0 or 1, so that a temperature fitted again on them can only be said not to be "
                "larger"
            )
        return f"fitted on {trust.n} validation pictures, and fitted again on them it is the same"

    def _pictures(self) -> tuple[GoldenPicture, ...]:
        if not self.bundle.golden:
            raise NotChecked("the model has no golden pictures")
        return self.bundle.golden

    def _elsewhere(self) -> str:
        """Return what differs between here and where the model was made, for a person."""
        here, there = versions(), self.papers.facts.get("versions", {})
        other = [
            f"{name} {here.get(name, 'none')}, then {there.get(name, 'none noted')}"
            for name in dict.fromkeys([*here, *there])
            if here.get(name) != there.get(name)
        ]
        processor = self.papers.facts.get("machine", {}).get("processor")
        if processor != machine.describe()["processor"]:
            other.append(f"another processor, then {processor}")
        return f" (here: {listed(other)})" if other else ""


def _calibrated_logits(rows: Predictions) -> np.ndarray:
    """Return what `Task.scores` would turn into the scores of a table, but for a constant.

    Where a score was rounded to 0 or 1, it is the logit closest to 0 that is rounded so. A
    temperature fitted on such logits is the same or smaller: larger ones add to the loss alone.
    """
    tiny = np.finfo(np.float64).tiny
    logs_NK: np.ndarray = np.log(np.maximum(rows.scores, tiny))
    if rows.task.kind == "multiclass":
        return logs_NK
    no_NK, yes_NK = rows.scores[:, :1], logs_NK[:, 1:]
    if rows.task.kind == "multilabel":
        no_NK, yes_NK = 1 - rows.scores, logs_NK
    logits_NK: np.ndarray = yes_NK - np.log(np.maximum(no_NK, CLOSEST))
    return logits_NK


def _num_rounded(rows: Predictions) -> int:
    """Return how many scores do not tell their logit: of two classes, or labels, also those of 1.

    Of several classes the others tell it.
    """
    lost = rows.scores == 0
    if rows.task.kind == "multilabel":
        lost |= rows.scores == 1
    return int(lost.sum())


def _logits(bundle: Bundle, pictures: tuple[GoldenPicture, ...]) -> np.ndarray:
    """Return what the network says of golden pictures now, logits_NK."""
    preprocess = bundle.preprocess
    canvases = np.stack([preprocess.to_canvas(decode(own.content).pixels_HWC) for own in pictures])
    images_BCHW = torch.from_numpy(preprocess.normalise(preprocess.centre(canvases)))
    with torch.inference_mode():
        logits: np.ndarray = bundle.network(images_BCHW).numpy()
    return logits
