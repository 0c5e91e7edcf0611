"""What `saccade eval` measures: the answers in a table, or a model's to labelled pictures."""

import functools
import math
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from saccade.data import grouping
from saccade.data.corrections import correction_tables
from saccade.data.folders import place_of
from saccade.data.tables import read_table
from saccade.evaluation.difference import Difference
from saccade.evaluation.intervals import Estimate
from saccade.evaluation.prediction_files import kind_named, read_csv
from saccade.evaluation.predictions import Predictions
from saccade.evaluation.scores import Metrics, as_json, headline, score_told
from saccade.evaluation.scores import evaluate as scored
from saccade.evaluation.usual import beside_usual, usual_metric
from saccade.run import groups_beside
from saccade.runtime.errors import DataError, UsageError
from saccade.runtime.progress import Progress
from saccade.runtime.store import encode_name, quoted

if TYPE_CHECKING:
    from saccade.model import Labelled

WITHOUT_COPIES = "test_without_copies"
"""In JSON the test part less what seems to show the same as a picture that taught the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A table of predictions and what was found out about it."""

    table: Predictions
    metrics: Metrics
    apart: Mapping[str, Difference]  # of each part, from the most frequent answer
    of_run: bool  # whether the parts are those of the model's run
    num_copies: int = 0  # of the test pictures: seem to show what a picture that taught it shows
    without_copies: Mapping[str, Estimate] = field(default_factory=dict)  # metrics of the others
    notes: tuple[str, ...] = ()  # what was left out, or was known to the model

    @property
    def sentence(self) -> str:
        """The result in plain words."""
        said = headline(self.metrics, self.table.task, self.apart, of_run=self.of_run)
        return f"{said} {self._beside()}" if self.num_copies else said

    def as_json(self) -> dict[str, dict[str, Any]]:
        """Return the metrics of each part, and of the test part `WITHOUT_COPIES` if it has any."""
        rest = {WITHOUT_COPIES: dict(self.without_copies)} if self.without_copies else {}
        return as_json({**self.metrics, **rest})

    def _beside(self) -> str:
        if not self.without_copies:
            return "All of them seem to show what a picture that taught the model shows."
        name = usual_metric(self.table.task.kind)
        score = self.without_copies[name]
        ends = (score.low, score.high) if math.isfinite(score.low) else ()
        return (
            f"Without the {self.num_copies:,} that seem to show what a picture that taught the "
            f"model shows: {score_told(name, score.value, *ends)} (n = {score.n:,})."
        )


def evaluate(
    source: str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    *,
    scanned_by: Mapping[str, Any] | None = None,
    group: str = "",
    corrections: str = "",
    task: str = "",
    progress: Progress | None = None,
    tell: Callable[[str], None] | None = None,
) -> Examined:
    """Return a table of predictions, every metric of it, and how far it is from one answer.

    Args:
        source: a table of predictions (CSV); with `data` a run folder or a model folder.
        data: labelled pictures that the model is asked about.
        scanned_by: of the data: `exclude`, classes to leave out, and for a table `image_column`,
            `label_column` and `split_column`.
        group: a column or a pattern that names what belongs together; "" = as in the run whose
            table it is, or by the column that named the groups of the model's run, where the data
            have it; else every picture for itself.
        corrections: tables of labels that a person has put right, `a,b`; "" = none.
        task: the kind of answer of a table; "" = as its cells say.
        progress: is told how far it is.
        tell: is told what was left out, or was known to the model, which `notes` then hold.

    Raises:
        UsageError: a group that is none (E262), a task that nobody knows or needs (E260), or a
            model without pictures, or a table with what is for pictures (E235).
        DataError: the data cannot be used, or hold classes that the model does not know.
        ArtefactError: the table or the model is not sound, or there are no labels (E557).
    """
    grouping.check_named(group, has_columns=True)
    kind = kind_named(task)
    if data is not None:
        _refuse_task(task)
        known: dict[str, Any] = {
            "group": group,
            "corrections": corrections,
            "progress": progress or Progress(),
        }
        return _of_model(source, data, scanned_by or {}, **known, tell=tell)
    for_pictures = {**(scanned_by or {}), "corrections": corrections}
    source = os.fspath(place_of(source))
    _check_table(source, {name: value for name, value in for_pictures.items() if value})
    table = read_csv(source, kind=kind)
    named = _groups_named(source, group, table.paths) if group else None
    groups = named or groups_beside(Path(source), table.paths)
    return _examined(table, groups, whole=_holds_all_that_taught(source, table))


def _refuse_task(task: str) -> None:
    if kind_named(task) is not None:
        raise UsageError(
            "A model has its own task; --task is for a table of predictions.",
            code="260",
            where=f"--task {task}",
            fix="leave it out",
        )


def _holds_all_that_taught(source: str, table: Predictions) -> bool:
    """Return whether the training part of a table may be taken for all that taught the model.

    That of a run's own table is; so is another's that is no smaller than what is judged. A few
    pictures, as `eval --output` marks those that taught a model, say nothing of what is frequent.
    """
    sizes = Counter(table.parts)
    others = [size for part, size in sizes.items() if part != "train"]
    in_run = (Path(source).parent / "run.json").is_file()
    return in_run or sizes["train"] >= max(others, default=0)


def _groups_named(source: str, group: str, paths: Sequence[str]) -> Sequence[str]:
    """Return the group of each row of a table of predictions, by a pattern or by a column."""
    if grouping.is_pattern(group):
        return grouping.named_by(group, paths)
    cells = read_table(Path(source)).cells
    if group not in cells:
        raise UsageError(
            f"The table has no column {quoted(group)} to group by.",
            code="262",
            where=f"--group {encode_name(group)} ({encode_name(source)})",
            fix=r"name one of its columns, or a pattern on the path, as in 'patient_(\d+)'",
        )
    return [cell.strip() for cell in cells[group]]


def _check_table(source: str, for_pictures: Mapping[str, Any]) -> None:
    """Check that, without pictures, a table was named, and nothing that needs pictures."""
    if Path(source).is_dir():
        raise UsageError(
            "A model is measured on labelled pictures, and none were named.",
            code="235",
            where=source,
            fix=f"name them: saccade eval {source} PICTURES",
        )
    if for_pictures:
        name, value = next(iter(for_pictures.items()))
        flag = f"--{name.replace('_', '-')}"
        raise UsageError(
            f"A table of predictions is measured whole, by its columns truth and prediction; "
            f"{flag} is for labelled pictures.",
            code="235",
            where=f"{flag} {value if isinstance(value, str) else ','.join(value)}",
            fix="leave it out, or name a model and pictures",
        )


def _of_model(
    source: str | os.PathLike[str],
    data: str | os.PathLike[str],
    columns: Mapping[str, Any],  # arguments of `scan`
    *,
    group: str,
    corrections: str,
    progress: Progress,
    tell: Callable[[str], None] | None,
) -> Examined:
    from saccade.model import load  # noqa: PLC0415 - torch, which a table does not need
    from saccade.printing import eval_told  # noqa: PLC0415

    notes: list[str] = []

    def note(line: str) -> None:
        notes.append(line)
        if tell is not None:
            tell(line)

    asked = load(place_of(source))
    by = asked.grouped_by()  # "" without a run, or without groups
    column = grouping.column_of(group or by, column="")
    known: dict[str, Any] = {"corrections": corrections, "progress": progress}
    ask = functools.partial(asked.predict_table, place_of(data), labelled=True, **known)
    try:
        labelled = ask(columns={**columns, "group_column": column})
    except DataError as error:
        of_corrections = corrections and any(
            encode_name(str(own)) in (error.where or "") for own in correction_tables(corrections)
        )
        if group or not column or of_corrections or not error.code.endswith("307"):
            raise
        labelled = ask(columns=columns)  # it has no such column as the run had
    table, catalog = labelled.table, labelled.catalog
    if corrections:
        note(f"note: {catalog.findings[-1].sentence}")
    elif before := asked.corrected_by():
        note(
            f"note: the run learned from corrected labels ({encode_name(before)}), and here labels "
            "count as they are given; give --corrections here too where the data are the same"
        )
    for line in eval_told(labelled, asked.taught, tested=asked.tested):
        note(line)
    groups = grouping.groups_of(catalog, group)
    if not group and any(catalog.groups):
        groups = catalog.groups
        same = f"pictures with the same {quoted(by)} count as belonging together"
        note(f"note: as in the run, {same}")
    elif groups is None and by:
        note(
            f"note: the run kept together what belongs together (--group '{by}'), and here every "
            "picture counts for itself, so that intervals may be too narrow; give --group here too"
        )
    truth = asked.training_truth()
    found = _examined(table, groups, training_truth=truth, whole=False, of_run=bool(asked.taught))
    found = _beside_copies(found, labelled, groups, training_truth=truth)
    return replace(found, notes=tuple(notes))


def _beside_copies(
    found: Examined,
    labelled: "Labelled",
    groups: Sequence[str] | None,
    *,
    training_truth: np.ndarray | None,
) -> Examined:
    """Add what the pictures alone say that do not seem to have taught the model."""
    table, seem = labelled.table, labelled.seem_copies
    judged = [row for row, part in enumerate(table.parts) if part == "test"]
    kept = [row for row in judged if seem is None or not seem[row]]
    if len(kept) == len(judged):
        return found
    own = None if groups is None else [groups[row] for row in kept]
    new = table.take(kept)
    rest = scored(new, groups=own, training_truth=training_truth, whole=False) if kept else {}
    num_copies = len(judged) - len(kept)
    return replace(found, num_copies=num_copies, without_copies=rest.get("test", {}))


def _examined(
    table: Predictions,
    groups: Sequence[str] | None,
    *,
    training_truth: np.ndarray | None = None,
    whole: bool = True,
    of_run: bool = True,
) -> Examined:
    return Examined(
        table=table,
        metrics=scored(table, groups=groups, training_truth=training_truth, whole=whole),
        apart=beside_usual(table, groups=groups, training_truth=training_truth, whole=whole),
        of_run=of_run,
    )
