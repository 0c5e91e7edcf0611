"""A finished model: pictures in, answers by name out."""

import functools
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from saccade.answers import Limits, Prediction, Wanted, answers_of, limits_of
from saccade.data.cache import PixelCache
from saccade.data.cache_folder import cache_folder
from saccade.data.catalog import Catalog, Listing
from saccade.data.corrections import correct, read_corrections
from saccade.data.folders import place_of
from saccade.data.in_memory import KINDS, Picture, list_pictures
from saccade.data.pixel_store import PixelStore
from saccade.data.scan import scan
from saccade.data.task import Task, targets
from saccade.evaluation.model_trust import ModelTrust, scores_of
from saccade.evaluation.prediction_files import read_taught, read_truth
from saccade.evaluation.predictions import Predictions
from saccade.models.bundle import Bundle
from saccade.models.bundle import load as load_bundle
from saccade.models.engine import Engine
from saccade.models.inference import FeaturesAndLogits, answers, open_engine, predict_logits
from saccade.models.manifest import WEIGHTS
from saccade.reporting.folder import check_there, read_recipe
from saccade.runtime import machine
from saccade.runtime.device import choose_device
from saccade.runtime.errors import UsageError
from saccade.runtime.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """What a model says of labelled pictures, and what it seems to have seen of them before."""

    table: Predictions
    catalog: Catalog  # with what was skipped
    seem_copies: np.ndarray | None  # bool (N,): as `Unknown.seem_copies`; None = it cannot tell


class Model:
    """A model folder, loaded.

    Its preprocessing is the one it was trained with, its answers are names, and it never
    returns a bare index.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        device_name: str = "cpu",
        run_table: Path | None = None,
    ) -> None:
        self.bundle = bundle
        self._run_table = run_table  # the predictions of the run that made it
        self.task: Task = bundle.task
        self._device = device_name

    def __repr__(self) -> str:
        what = f"{len(self.classes)} classes" if self.classes else "regression"
        return f"Model({self.bundle.network.name}, {self.task.kind}, {what})"

    @property
    def tested(self) -> bool:
        """Whether its run came to the test; False for the model of a run that was stopped."""
        provenance = self.bundle.config.get("saccade", {}).get("provenance", {})
        return bool(provenance.get("tested", True))

    @functools.cached_property
    def taught(self) -> Mapping[str, str]:
        """The part of every picture that taught or chose it, by content; empty without its run.

        Raises:
            ArtefactError: the run's table of predictions cannot be read (E563-E567).
        """
        return {} if self._run_table is None else read_taught(self._run_table)

    def training_truth(self) -> np.ndarray | None:
        """Return the true answers of the pictures that taught it; None without its run.

        Raises:
            ArtefactError: the run's table of predictions cannot be read (E554-E567).
        """
        if self._run_table is None:
            return None
        return read_truth(self._run_table, task=self.task)

    def grouped_by(self) -> str:
        """Return what named the groups of its run, a column or a pattern; "" where nothing did."""
        return str(self._recipe.get("group") or self._recipe.get("group_column") or "")

    def corrected_by(self) -> str:
        """Return the table of corrections of its run; "" where there was none, or no run."""
        return str(self._recipe.get("corrections") or "")

    @functools.cached_property
    def _recipe(self) -> Mapping[str, Any]:
        return {} if self._run_table is None else read_recipe(self._run_table.parent)

    @property
    def trust(self) -> ModelTrust | None:
        """What it knows of its own answers; None for models that were saved without."""
        return self.bundle.trust

    @property
    def classes(self) -> tuple[str, ...]:
        """The names it can answer with; empty for regression."""
        return self.task.classes

    def predict(
        self,
        pictures: str | Path | Picture | Iterable[str | Path] | Iterable[Picture],
        *,
        coverage: float | None = None,
        min_accuracy: float | None = None,
        mistake_cost: float | None = None,
        unknown: bool = True,
        calibrated: bool = True,
        image_column: str = "",
        progress: Progress | None = None,
    ) -> list[Prediction]:
        """Return an answer for every picture.

        Files are answered in the order in which they were named, and a table row by row, a
        picture that occurs twice both times; those of a folder by name.

        Args:
            pictures: files and folders, or one of them, or a table; folders are searched. Or
                pictures that the program holds, called 0, 1, … in their order: Pillow's, NumPy's
                (uint8, RGB: `in_memory.list_pictures`), or the bytes of files.
            coverage: 0 to 1, how often `labels` (regression: `low` to `high`) hold the truth.
            min_accuracy: 0 to 1, of the answers that are not `unsure`, with 95 % confidence.
            mistake_cost: of a wrong answer in answers withheld: `unsure` where withholding is
                cheaper. Instead of `min_accuracy`.
            unknown: mark pictures that are unlike those learned from.
            calibrated: False shows scores as the network gives them; what is unsure, unknown or
                in a set is decided by calibrated ones all the same.
            image_column: of a table, what holds the pictures; "" = as it looks.
            progress: is told how far it is, and what the promises rest on.

        Raises:
            DataError: there is nothing readable among them (E301-E349).
            UsageError: what is asked for is out of range, or cannot be promised (E270-E272), or
                something else is given than paths or pictures (E239).
        """
        named = _named(pictures)
        if named == []:
            return []
        progress = progress or Progress()
        wanted = Wanted(
            coverage=coverage,
            min_accuracy=min_accuracy,
            mistake_cost=mistake_cost,
            unknown=unknown,
        )
        limits = limits_of(wanted, self.trust)
        for note in limits.notes:
            progress.say(note)
        with PixelStore(self.bundle.preprocess, shared=False, progress=progress) as pixels:
            catalog = scan(
                named, labelled=False, image_column=image_column, progress=progress, pixels=pixels
            )
            cache = pixels.finish(catalog)
            found = self._answers(catalog, cache, limits, calibrated=calibrated, progress=progress)
        return _in_order(catalog, found)

    def _answers(
        self,
        catalog: Catalog,
        cache: PixelCache,
        limits: Limits,
        *,
        calibrated: bool,
        progress: Progress,
    ) -> list[Prediction]:
        """Return an answer for each picture that can be read."""
        rows, features_ND = range(len(catalog)), None
        if limits.unknown is None:
            logits_NK = self.logits(cache, rows, progress=progress)
        else:
            logits_NK, features_ND = self.logits_and_features(cache, rows, progress=progress)
        judged_NK = self.scores(logits_NK)
        scores_NK = judged_NK if calibrated else self.task.scores(logits_NK)
        table = self._table(catalog, scores_NK, parts=("test",) * len(catalog))
        return answers_of(table, limits, judged_NK=judged_NK, features_ND=features_ND)

    def marks(self, *, unknown: bool, unsure: bool, sets: bool) -> tuple[str, ...]:
        """Return the fields of a `Prediction` that mean something, of those asked for."""
        spread = ("low", "high") if self.task.kind == "regression" else ("labels",)
        can_tell = self.trust is not None and self.trust.unknown is not None
        return (
            *(("unknown",) if unknown and can_tell else ()),
            *(("unsure",) if unsure else ()),
            *(spread if sets else ()),
        )

    def predict_table(
        self,
        data: str | Path | Sequence[str | Path],
        *,
        labelled: bool,
        corrections: str = "",
        progress: Progress | None = None,
        columns: Mapping[str, str] | None = None,
    ) -> Labelled:
        """Return the prediction table of some data, and the catalogue with what was skipped.

        Scores are calibrated, as those of the run's own table are.

        Pictures that taught or chose the model, known by their content where it was loaded from
        its run, are in the part that they had then, and all others in "test", whatever folder
        they lie in. Without its run, pictures are in the parts that the data give, else in "test".

        Args:
            data: as in `scan`.
            labelled: whether labels are wanted; they must then be among the model's classes.
            corrections: tables of labels put right (docs/suspects.md), `a,b`; "" = none.
            progress: is told how far it is.
            columns: `scan`'s column arguments by name, for tables.

        Raises:
            DataError: the data cannot be used, or hold classes that the model does not know.
        """
        progress = progress or Progress()
        if corrections:
            read_corrections(corrections)  # an error now and not after decoding
        # Pictures to be predicted are rarely met again; labelled ones are tested more than once.
        with PixelStore(self.bundle.preprocess, shared=labelled, progress=progress) as pixels:
            scanned = catalog = scan(
                data,
                labelled=labelled,
                progress=progress,
                pixels=pixels,
                **(columns or {}),  # type: ignore[arg-type]
            )
            cache = pixels.finish(scanned)
            if corrections:
                catalog = correct(scanned, corrections, task=self.task)
                kept = set(catalog.paths)
                cache = cache.only([row for row, own in enumerate(scanned.paths) if own in kept])
            truth = targets(catalog, self.task) if labelled else None
            rows, copies = range(len(catalog)), None
            if self.trust is None or self.trust.unknown is None:
                logits_NK = self.logits(cache, rows, progress=progress)
            else:
                logits_NK, features_ND = self.logits_and_features(cache, rows, progress=progress)
                copies = self.trust.unknown.seem_copies(features_ND)
        table = self._table(catalog, self.scores(logits_NK), parts=self._parts(catalog))
        return Labelled(table=replace(table, truth=truth), catalog=catalog, seem_copies=copies)

    def _parts(self, catalog: Catalog) -> tuple[str, ...]:
        """Return the part that each picture had in its run; without that as the data say."""
        given = [""] * len(catalog) if self.taught else catalog.parts
        return tuple(
            self.taught.get(content, part or "test")
            for content, part in zip(catalog.hashes, given, strict=True)
        )

    def _table(
        self, catalog: Catalog, scores_NK: np.ndarray, *, parts: tuple[str, ...]
    ) -> Predictions:
        return Predictions(
            task=self.task,
            paths=catalog.paths,
            hashes=catalog.hashes,
            parts=parts,
            truth=None,
            scores=scores_NK,
        )

    def scores(self, logits_NK: np.ndarray) -> np.ndarray:
        """Return what logits mean, as `Task.scores` does, calibrated where the model can."""
        return scores_of(logits_NK, task=self.task, trust=self.trust)

    def logits(
        self, cache: PixelCache, rows: Sequence[int], *, progress: Progress | None = None
    ) -> np.ndarray:
        """Return logits_NK, float32, of pictures in a cache, by an engine that suits their number.

        It is the same engine, and so to the last bit the same answer, whenever as many are asked.
        """
        network = self.bundle.network
        engine = self._engine(network, cache, len(rows), key="", progress=progress)
        return predict_logits(
            network, cache, rows, device=self._device, progress=progress, engine=engine
        )

    def logits_and_features(
        self, cache: PixelCache, rows: Sequence[int], *, progress: Progress | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return logits_NK and features_ND, what the last layer is given, from one pass."""
        network = self.bundle.network
        ask, num = FeaturesAndLogits(network), len(rows)
        engine = self._engine(ask, cache, num, key="-features", progress=progress)
        found = [both for _, both in answers(engine, cache, rows, progress=progress)]
        both, width = np.concatenate(found), network.num_features
        return both[:, width:], both[:, :width]

    def _engine(
        self,
        ask: nn.Module,
        cache: PixelCache,
        num: int,
        *,
        key: str,
        progress: Progress | None,
    ) -> Engine:
        progress = progress or Progress()
        files = self.bundle.config["saccade"]["files"]
        progress.start("predict", num, "pictures")
        engine = open_engine(
            ask,
            preprocess=cache.preprocess,
            device=self._device,
            num_pictures=num,
            exact=True,
            key=f"{files[WEIGHTS]}-{self.bundle.network.architecture}{key}",
            cache_dir=cache_folder(),
        )
        for note in engine.notes:
            progress.say(note)
        return engine


def _in_order(catalog: Catalog, answered: list[Prediction]) -> list[Prediction]:
    """Return the answers as they were asked for, what could not be read in its place."""
    unread = [
        Prediction(path=own.path, label="", score=float("nan"), scores={}, error=own.sentence)
        for own in catalog.skipped
    ]
    found = [*answered, *unread]
    if not catalog.asked:
        return sorted(found, key=lambda answer: answer.path)
    answer_of = {answer.path: answer for answer in reversed(found)}  # one with an answer wins
    return [answer_of[path] for path in catalog.asked]


def _named(pictures: object) -> Path | list[Path] | Listing:
    """Return the path, the list of paths, or the list of pictures that was given.

    Raises:
        UsageError: something else was given (E239).
        DataError: a path is empty (E301).
    """
    if isinstance(pictures, str | os.PathLike):
        return place_of(pictures)
    is_one = isinstance(pictures, KINDS) and getattr(pictures, "ndim", 2) in {2, 3}
    given = [pictures] if is_one or not isinstance(pictures, Iterable) else list(pictures)
    paths = [place_of(own) for own in given if isinstance(own, str | os.PathLike)]
    if len(paths) == len(given):
        return paths
    held = [own for own in given if isinstance(own, KINDS)]
    if len(held) == len(given):
        return list_pictures(held)
    others = [own for own in given if not isinstance(own, (str, os.PathLike, *KINDS))]
    met = f"of the kind {type(others[0]).__name__}" if others else "a list of both"
    raise UsageError(
        "Pictures are named by their paths, or are given themselves, all of them, as images of "
        f"Pillow, arrays of NumPy or bytes; this is {met}.",
        code="239",
        where="predict",
        fix="give paths, a folder, or pictures of these kinds",
    )


def load(folder: str | Path, *, device: str = "cpu") -> Model:
    """Return the model in a model folder, or in a run folder.

    Raises:
        UsageError, DataError: no path was given (E239, E301).
        ArtefactError: there is no such folder (E510), or it is no sound model (E505-E549).
    """
    path = place_of(folder)
    check_there(path, code="510")
    machine.keep_pages()
    inner, real = path / "model", path.resolve()
    table = _run_table(real) or _run_table(real.parent)
    return Model(
        load_bundle(inner if (inner / "config.json").is_file() else path),
        device_name=choose_device(device),
        run_table=table,
    )


def _run_table(folder: Path) -> Path | None:
    """Return the table of predictions of a run folder; None if there is none, or it is no run."""
    path = folder / "predictions.csv"
    return path if path.is_file() and (folder / "run.json").is_file() else None
