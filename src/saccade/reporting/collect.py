"""From a run folder to the facts of its page."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saccade.data.task import Task
from saccade.evaluation.prediction_files import read_csv
from saccade.evaluation.predictions import Predictions
from saccade.reporting import pictures
from saccade.reporting.advice import advise
from saccade.reporting.checks import checks
from saccade.reporting.examples import galleries, preview_galleries
from saccade.reporting.facts import Facts
from saccade.reporting.folder import (
    SplitRow,
    parsing,
    read_calibration,
    read_history,
    read_metrics,
    read_recipe,
    read_run,
    read_split,
    read_trust,
)
from saccade.reporting.learned import LearningFacts
from saccade.reporting.learning import learning_of
from saccade.reporting.pictures import Album
from saccade.reporting.results import judge
from saccade.reporting.sections import (
    data_of,
    model_of,
    number,
    section,
    split_of,
    summary_of,
    task_of,
    texts,
)
from saccade.reporting.settings import augments, settings
from saccade.reporting.studies import left_out, studies_of
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
    recipe, rows, trust = read_recipe(run_folder), read_split(run_folder), read_trust(run_folder)
    learning, broken = _learning(run_folder)
    with parsing(run_folder / "run.json"):
        known_task = task_of(section(run, "data"))
        data = data_of(section(run, "data"))
        split = split_of(section(run, "split"), rows)
        model = model_of(section(run, "model"))
    predictions, task = _answers(run_folder, known_task)
    album = Album(picture, max_bytes=pictures.MAX_PAGE_PICTURE_BYTES)
    results = judge(
        predictions,
        metrics=read_metrics(run_folder),
        album=album,
        group_of={row.path: row.group for row in rows},
    )
    shown = preview_galleries(preview, album)
    with parsing(run_folder / "trust.json"):
        found = _of_studies(
            trust, album, task,
            data=data, split=split, results=results, learning=learning, rows=rows,
            predictions=predictions,
        )  # fmt: skip
    examples = galleries(rows, task=task, album=album, results=results, columns=data.label_columns)
    return Facts(
        **_of_run(run, run_folder),
        **found,
        task=task,
        data=data,
        split=split,
        model=model,
        learning=learning,
        results=results,
        examples=examples,
        preview=shown,
        recipe=settings(recipe),
        augments=augments(recipe),
        seed=recipe.get("seed", split.seed),
        gaps=_gaps(run, album, broken=broken, predictions=predictions),
        calibration=read_calibration(run_folder),
    )


def _of_studies(
    trust: Mapping[str, Any],
    album: Album,
    task: Task,
    *,
    learning: LearningFacts,
    rows: Sequence[SplitRow],
    predictions: Predictions | None,
    **known: Any,  # noqa: ANN401 - data, split and results, as `checks` and `advise` take them
) -> dict[str, Any]:
    """Return what trust.json says, and what the run's files answer, by fields of `Facts`."""
    studies = trust.get("studies", {})
    return {
        "studies": studies_of(trust, album),
        "left_out": left_out(trust),
        "checks": checks(task, studies=studies, rows=rows, predictions=predictions, **known),
        "advice": advise(task, studies=studies, learning=learning, **known),
    }


def _of_run(run: Mapping[str, Any], run_folder: Path) -> dict[str, Any]:
    """Return what run.json and its folder say of the run as such, by fields of `Facts`."""
    return {
        "name": run_folder.resolve().name,
        "folder": _spoken(run_folder),
        "state": str(run.get("state", "unknown")),
        "error": str(run.get("error") or ""),
        "has_model": (run_folder / "model" / "config.json").is_file(),
        "summary": summary_of(run),
        "version": str(run.get("saccade", "")),
        "versions": texts(run.get("versions")),
        "machine": texts(run.get("machine")),
        "resumed": bool(run.get("resumed")),
        "seconds": tuple((str(k), number(v)) for k, v in section(run, "seconds").items()),
    }


def _learning(run_folder: Path) -> tuple[LearningFacts, str]:
    """Return how the weights were found, and what is wrong with the history, if anything."""
    events, broken = read_history(run_folder)
    with parsing(run_folder / "history.jsonl"):
        return learning_of(events), broken


def _answers(run_folder: Path, task: Task | None) -> tuple[Predictions | None, Task]:
    """Return the prediction table, None where there is none yet, and the task, told by either."""
    table = run_folder / "predictions.csv"
    if not table.is_file():
        return None, task or Task(kind="multiclass", classes=())
    predictions = read_csv(table, task=task)
    return predictions, task or predictions.task


def _spoken(run_folder: Path) -> str:
    """The folder as commands on the page name it: never more than the last two names."""
    resolved = run_folder.resolve()
    return f"runs/{resolved.name}" if resolved.parent.name == "runs" else resolved.name


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
