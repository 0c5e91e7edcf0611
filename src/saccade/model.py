"""A finished model: pictures in, answers by name out."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from saccade.data.cache import PixelCache
from saccade.data.cache_folder import cache_folder
from saccade.data.catalog import Catalog
from saccade.data.pixel_store import PixelStore
from saccade.data.scan import scan
from saccade.data.task import Task, targets
from saccade.evaluation.predictions import Predictions
from saccade.models.bundle import Bundle
from saccade.models.bundle import load as load_bundle
from saccade.models.inference import open_engine, predict_logits
from saccade.models.manifest import WEIGHTS
from saccade.runtime import device, machine
from saccade.runtime.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The answer for one picture; where it could not be read, `error` says why."""

    path: str
    label: str  # the class; several labels joined by "|"; regression: the number as text
    score: float  # probability of the label (the least of several); regression: the value
    scores: Mapping[str, float]  # every class's probability; regression: empty
    error: str = ""


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
        taught: Mapping[str, str] | None = None,
    ) -> None:
        self.bundle = bundle
        self.taught = taught or {}  # content hash -> part, of what taught or chose the model
        self.task: Task = bundle.task
        self._device = device_name

    @property
    def tested(self) -> bool:
        """Whether its run came to the test; False for the model of a run that was stopped."""
        provenance = self.bundle.config.get("saccade", {}).get("provenance", {})
        return bool(provenance.get("tested", True))

    @property
    def classes(self) -> tuple[str, ...]:
        """The names it can answer with; empty for regression."""
        return self.task.classes

    def predict(
        self, pictures: str | Path | Sequence[str | Path], *, progress: Progress | None = None
    ) -> list[Prediction]:
        """Return an answer for every picture, ordered by path.

        Args:
            pictures: files, or one file, or a folder that is searched.
            progress: is told how far it is.

        Raises:
            DataError: there is nothing readable among them (E301-E349).
        """
        table, catalog = self.predict_table(pictures, labelled=False, progress=progress)
        answers = _answers(table)
        answers += [
            Prediction(path=own.path, label="", score=float("nan"), scores={}, error=own.sentence)
            for own in catalog.skipped
        ]
        return sorted(answers, key=lambda answer: answer.path)

    def predict_table(
        self,
        data: str | Path | Sequence[str | Path],
        *,
        labelled: bool,
        progress: Progress | None = None,
        columns: Mapping[str, str] | None = None,
    ) -> tuple[Predictions, Catalog]:
        """Return the prediction table of some data, and the catalogue with what was skipped.

        Pictures that taught or chose the model, known by their content where it was loaded from
        its run, are in the part that they had then; all others are in "test", unless the data
        give parts of their own.

        Args:
            data: as in `scan`.
            labelled: whether labels are wanted; they must then be among the model's classes.
            progress: is told how far it is.
            columns: `scan`'s column arguments by name, for tables.

        Raises:
            DataError: the data cannot be used, or hold classes that the model does not know.
        """
        progress = progress or Progress()
        # Pictures to be predicted are rarely met again; labelled ones are tested more than once.
        with PixelStore(self.bundle.preprocess, shared=labelled, progress=progress) as pixels:
            catalog = scan(
                data,
                labelled=labelled,
                progress=progress,
                pixels=pixels,
                **(columns or {}),  # type: ignore[arg-type]
            )
            truth = targets(catalog, self.task) if labelled else None
            cache = pixels.finish(catalog)
            logits_NK = self.logits(cache, range(len(catalog)), progress=progress)
        table = Predictions(
            task=self.task,
            paths=catalog.paths,
            hashes=catalog.hashes,
            parts=tuple(
                self.taught.get(content, part or "test")
                for content, part in zip(catalog.hashes, catalog.parts, strict=True)
            ),
            truth=truth,
            scores=self.task.scores(logits_NK),
        )
        return table, catalog

    def logits(
        self, cache: PixelCache, rows: Sequence[int], *, progress: Progress | None = None
    ) -> np.ndarray:
        """Return logits_NK, float32, of pictures in a cache, by an engine that suits their number.

        It is the same engine, and so to the last bit the same answer, whenever as many are asked.
        """
        progress = progress or Progress()
        network = self.bundle.network
        files = self.bundle.config["saccade"]["files"]
        progress.start("predict", len(rows), "pictures")
        engine = open_engine(
            network,
            preprocess=cache.preprocess,
            device=self._device,
            num_pictures=len(rows),
            exact=True,
            key=f"{files[WEIGHTS]}-{network.architecture}",
            cache_dir=cache_folder(),
        )
        for note in engine.notes:
            progress.say(note)
        return predict_logits(
            network, cache, rows, device=self._device, progress=progress, engine=engine
        )


def load(folder: str | Path, *, device_name: str = "cpu") -> Model:
    """Return the model in a model folder, or in a run folder.

    Raises:
        ArtefactError: the folder is not a sound model (E505-E549).
    """
    path = Path(folder)
    machine.keep_pages()
    inner = path / "model"
    return Model(
        load_bundle(inner if (inner / "config.json").is_file() else path),
        device_name=device.choose_device(device_name),
        taught=_taught(path) or _taught(path.parent),
    )


def _taught(run_folder: Path) -> dict[str, str]:
    """Return the part of every picture that taught or chose, by content; empty if unknown."""
    path = run_folder / "predictions.csv"
    if not path.is_file() or not (run_folder / "run.json").is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {row["hash"]: row["part"] for row in csv.DictReader(file) if row["part"] != "test"}


def _answers(table: Predictions) -> list[Prediction]:
    names = table.task.classes
    answers = []
    for row, (path, label) in enumerate(zip(table.paths, table.prediction, strict=True)):
        scores = dict(zip(names, map(float, table.scores[row]), strict=False))
        answers.append(Prediction(path=path, label=label, score=_score(table, row), scores=scores))
    return answers


def _score(table: Predictions, row: int) -> float:
    if table.task.kind == "regression":
        return float(table.scores[row, 0])
    if table.task.kind == "multilabel":
        chosen = table.scores[row][np.asarray(table.predicted[row], dtype=bool)]
        return float(chosen.min()) if chosen.size else float(1 - table.scores[row].max())
    return float(table.scores[row].max())
