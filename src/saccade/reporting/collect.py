"""From a run folder to the facts of its page."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saccade.data.catalog import Finding, Skipped
from saccade.data.split import PARTS
from saccade.data.task import Task
from saccade.evaluation.prediction_files import read_csv
from saccade.evaluation.predictions import Predictions
from saccade.reporting.advice import advise
from saccade.reporting.checks import checks
from saccade.reporting.examples import galleries, preview_galleries
from saccade.reporting.facts import (
    DataFacts,
    Epoch,
    Facts,
    GradientNorms,
    HeadSearch,
    Layer,
    LearningFacts,
    ModelFacts,
    SplitFacts,
)
from saccade.reporting.folder import (
    SplitRow,
    read_history,
    read_metrics,
    read_recipe,
    read_run,
    read_split,
)
from saccade.reporting.pictures import Album
from saccade.reporting.results import judge
from saccade.reporting.settings import settings
from saccade.reporting.wording import plural


def collect(
    run_folder: Path,
    *,
    picture: Callable[[str], NDArray[np.uint8] | None],
    preview: Sequence[tuple[str, Sequence[NDArray[np.uint8]]]] = (),
) -> Facts:
    """Return everything the page of a run shows, finished or not.

    Args:
        run_folder: the folder that `saccade train` wrote; files that it lacks leave gaps.
        picture: gives a catalogue path's pixels, uint8 HWC, as the network sees them; None
            where the file is gone, and the page says so.
        preview: rows of the augmentation preview, a caption and uint8 HWC pictures each.

    Raises:
        ArtefactError: it is not a run folder (E560), a file of it is damaged (E561) or of a
            newer format (E562).
    """
    run = read_run(run_folder)
    events, broken = read_history(run_folder)
    recipe = read_recipe(run_folder)
    rows = read_split(run_folder)
    metrics = read_metrics(run_folder)
    task = _task(_section(run, "data"))
    table = run_folder / "predictions.csv"
    predictions = read_csv(table, task=task) if table.is_file() else None
    album = Album(picture)
    results = judge(predictions, metrics=metrics, album=album)
    split = _split(_section(run, "split"), rows)
    learning = _learning(events)
    data = _data(_section(run, "data"))
    shown = preview_galleries(preview, album)
    examples = galleries(rows, task=task, album=album, results=results)
    gaps = _gaps(run, album, broken=broken, predictions=predictions)
    return Facts(
        name=run_folder.resolve().name,
        folder=_spoken(run_folder),
        state=str(run.get("state", "unknown")),
        error=str(run.get("error") or ""),
        has_model=(run_folder / "model" / "config.json").is_file(),
        summary=str(run.get("summary") or ""),
        version=str(run.get("saccade", "")),
        task=task,
        data=data,
        split=split,
        model=_model(_section(run, "model")),
        learning=learning,
        results=results,
        examples=examples,
        preview=shown,
        checks=checks(
            task, data=data, split=split, results=results, rows=rows, predictions=predictions
        ),
        advice=advise(task, data=data, split=split, learning=learning, results=results),
        recipe=settings(recipe),
        versions=_texts(run.get("versions")),
        machine=_texts(run.get("machine")),
        seconds=tuple((str(k), _number(v)) for k, v in _section(run, "seconds").items()),
        seed=recipe.get("seed", split.seed),
        gaps=gaps,
    )


def _spoken(run_folder: Path) -> str:
    """The folder as commands on the page name it: never more than the last two names."""
    resolved = run_folder.resolve()
    return f"runs/{resolved.name}" if resolved.parent.name == "runs" else resolved.name


def _section(run: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    section = run.get(key)
    return section if isinstance(section, Mapping) else {}


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _texts(section: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(section, Mapping):
        return ()
    return tuple((str(key), _text(value)) for key, value in section.items())


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _task(data: Mapping[str, Any]) -> Task:
    fields = data.get("task")
    if not isinstance(fields, Mapping):
        return Task(kind="multiclass", classes=tuple(data.get("classes") or ()))
    known = {k: v for k, v in fields.items() if k in Task.__dataclass_fields__}
    return Task(**{**known, "classes": tuple(fields.get("classes") or ())})


def _data(data: Mapping[str, Any]) -> DataFacts:
    skipped = tuple(
        Skipped(path=str(one["path"]), reason=str(one["reason"]), sentence=str(one["sentence"]))
        for one in data.get("skipped", ())
    )
    findings = tuple(
        Finding(
            kind=str(one["kind"]),
            severity=str(one["severity"]),
            paths=tuple(map(str, one.get("paths", ()))),
            sentence=str(one["sentence"]),
            action=str(one.get("action", "")),
        )
        for one in data.get("findings", ())
    )
    order = {"severe": 0, "warning": 1}
    return DataFacts(
        place=str(data.get("place", "")),
        layout=str(data.get("layout", "")),
        num_files=int(data.get("num_files", 0)),
        num_used=int(data.get("num_used", 0)),
        skipped=skipped,
        findings=tuple(sorted(findings, key=lambda f: order.get(f.severity, 2))),
        fingerprint=str(data.get("fingerprint", "")),
    )


def _split(section: Mapping[str, Any], rows: Sequence[SplitRow]) -> SplitFacts:
    sizes = Counter(row.part for row in rows)
    counts = section.get("counts")
    counts = counts if isinstance(counts, Mapping) else {}
    if not sizes:
        sizes = Counter({part: sum(own.values()) for part, own in counts.items()})
    seed = section.get("seed")
    return SplitFacts(
        seed=seed if isinstance(seed, int) else None,
        notes=tuple(map(str, section.get("notes", ()))),
        counts={part: dict(counts[part]) for part in PARTS if part in counts},
        sizes={part: sizes[part] for part in PARTS if sizes[part]},
        fingerprint=str(section.get("fingerprint", "")),
    )


def _model(section: Mapping[str, Any]) -> ModelFacts:
    weights = _section(section, "weights")
    preprocess = _section(section, "preprocess")
    layers = tuple(
        Layer(
            name=str(one["name"]),
            kind=str(one["kind"]),
            shape=_shape(one["shape"]),
            parameters=int(one["parameters"]),
            flops=int(one["flops"]),
        )
        for one in section.get("layers", ())
    )
    return ModelFacts(
        name=str(section.get("name", "")),
        num_parameters=section.get("num_parameters"),
        num_trainable=section.get("num_trainable"),
        weights_source=str(weights.get("source") or ""),
        weights_licence=str(weights.get("licence") or ""),
        weights_sha256=str(weights.get("sha256") or ""),
        preprocess=_texts(preprocess),
        input_px=int(preprocess.get("size_px", 0)),
        layers=layers,
    )


def _shape(shape: object) -> str:
    return " × ".join(map(str, shape)) if isinstance(shape, list | tuple) else str(shape)


def _learning(events: Sequence[Mapping[str, Any]]) -> LearningFacts:
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
            norms = tuple((str(k), _number(v)) for k, v in _section(event, "norms").items())
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
        train_loss=_number(event.get("train_loss")),
        validation_loss=_number(event.get("validation_loss")),
        validation_score=_number(event.get("validation_score")),
        learning_rate=_number(event.get("lr")),
        seconds=_number(event.get("seconds")),
        best=bool(event.get("best")),
    )


def _head(event: Mapping[str, Any]) -> HeadSearch:
    found = [one for one in event.get("candidates", ()) if isinstance(one, Mapping)]
    measured = "loss" if any("loss" in one for one in found) else "score"
    candidates = sorted((_number(one.get("penalty")), _number(one.get(measured))) for one in found)
    return HeadSearch(
        penalty=_number(event.get("penalty")),
        candidates=tuple(candidates),
        measured=measured,
        validation_score=_number(event.get("validation_score")),
        seconds=_number(event.get("seconds")),
    )


def _gaps(
    run: Mapping[str, Any], album: Album, *, broken: str, predictions: Predictions | None
) -> tuple[str, ...]:
    gaps = []
    if album.num_gone:
        gone = plural(album.num_gone, "picture is", "pictures are")
        gaps.append(f"{gone} no longer where the run found them and could not be shown.")
    if album.num_left_out:
        left = plural(album.num_left_out, "picture was", "pictures were")
        gaps.append(f"{left} left out to keep the page small.")
    if broken:
        gaps.append(broken)
    if predictions is None and run.get("state") == "finished":
        gaps.append("predictions.csv is missing, so mistakes and confusions cannot be shown.")
    return tuple(gaps)
