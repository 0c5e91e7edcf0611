"""What is compared: the test parts of runs and of prediction tables, of one and the same task."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from saccade.data import grouping
from saccade.data.task import Kind, Task
from saccade.evaluation.prediction_files import kind_named, read_csv
from saccade.evaluation.predictions import Predictions
from saccade.reporting.folder import read_recipe, read_split
from saccade.run import Run, check_tested, groups_beside, open_run
from saccade.runtime.errors import ArtefactError, DataError, UsageError, listed
from saccade.runtime.store import encode_name, readable_name

ONE_ANSWER = {"binary", "multiclass"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """The test part of one run or table."""

    name: str  # as it was named, for people
    model: str  # the architecture; "" for a table
    table: Predictions
    groups: tuple[str, ...]  # "" = alone, or not known
    seed: int = 0  # of the intervals in its metrics.json

    def take(self, rows: Sequence[int]) -> "Rival":
        """Return the given rows, in the given order."""
        groups = tuple(self.groups[row] for row in rows)
        return dataclasses.replace(self, table=self.table.take(rows), groups=groups)


def read_rivals(places: Sequence[str | Path], *, group: str = "", task: str = "") -> list[Rival]:
    """Return the test parts of run folders and CSV files, with classes in one order.

    Args:
        places: of both.
        group: a pattern on the path that names what belongs together, as `--group` of a run;
            "" = the groups of the runs, and of tables that lie in one.
        task: the kind of answer of tables; "" = as their cells say.

    Raises:
        UsageError: `group` is no pattern (E262), or nobody knows or needs the task (E260).
        DataError: tasks or classes differ (E381), or there is no test part with labels (E382).
        ArtefactError: a folder is no sound run, or a table no sound table (E554 to E569).
    """
    grouping.check_named(group, has_columns=False)
    paths = [Path(place) for place in places]
    runs = [None if path.is_file() else open_run(path) for path in paths]
    known, kind = next((run.task for run in runs if run is not None), None), kind_named(task)
    if known is not None and kind is not None:
        raise UsageError(
            "A run has its own task; --task is for tables of predictions alone.",
            code="260",
            where=f"--task {task}",
            fix="leave it out",
        )
    rivals = [
        _of_table(path, known, kind) if run is None else _of_run(run)
        for path, run in zip(paths, runs, strict=True)
    ]
    if group:
        rivals = [
            dataclasses.replace(own, groups=grouping.named_by(group, own.table.paths))
            for own in rivals
        ]
    common = known or _common_task([rival.table for rival in rivals])
    giver = next((own.name for own in rivals if own.table.task == common), rivals[0].name)
    return [_with_task(rival, common, giver=giver) for rival in rivals]


def _of_run(run: Run) -> Rival:
    check_tested(run)
    facts = run.facts
    parts = {row.path: row.group for row in read_split(run.folder)}
    table = _test_part(run.predictions, str(run.folder))
    return Rival(
        name=encode_name(str(run.folder)),
        model=str(facts.get("model", {}).get("name", "")),
        table=table,
        groups=tuple(parts.get(path, "") for path in table.paths),
        seed=int(read_recipe(run.folder).get("seed", 0)),
    )


def _of_table(path: Path, task: Task | None, kind: Kind | None) -> Rival:
    try:
        table = read_csv(path, task=task, kind=kind)
    except ArtefactError as error:
        if task is None or not error.code.endswith(("564", "566")):
            raise
        raise _other(encode_name(str(path)), error.message) from error
    table = _test_part(table, str(path))
    groups = groups_beside(path, table.paths) or ("",) * len(table)
    return Rival(name=encode_name(str(path)), model="", table=table, groups=groups)


def _test_part(table: Predictions, where: str) -> Predictions:
    rows = table.rows("test")
    if not len(rows) or rows.truth is None:
        what = "no true labels" if len(rows) else f"none in {len(table)} rows"
        raise DataError(
            f"A comparison is made on labelled pictures of the test part; there are {what}.",
            code="382",
            where=encode_name(where),
            fix="ask the model about labelled pictures: saccade eval RUN FOLDER --output a.csv",
        )
    return rows


def _common_task(tables: Sequence[Predictions]) -> Task:
    """Return one task for tables that say nothing of theirs but their cells.

    The first that has scores says what the classes are. Without any, a class that one of them
    never met and never answered is a class all the same.
    """
    first = tables[0].task
    if first.kind not in ONE_ANSWER:
        return first
    scored = [own.task for own in tables if own.scored and own.task.kind in ONE_ANSWER]
    if scored:
        return scored[0]
    names = tuple(sorted({name for table in tables for name in table.task.classes}))
    return dataclasses.replace(
        first, kind="multiclass" if len(names) != 2 else "binary", classes=names
    )


def _with_task(rival: Rival, task: Task, *, giver: str) -> Rival:
    """Return the rival with its answers in the form of a task, which `giver` has.

    Raises:
        DataError: it answers another question (E381).
    """
    own = rival.table.task
    if own.kind != task.kind and not {own.kind, task.kind} <= ONE_ANSWER:
        raise _other(rival.name, f"its task is {own.kind}, and that of {giver} is {task.kind}")
    if own.kind == "regression" or own.classes == task.classes:
        return dataclasses.replace(rival, table=dataclasses.replace(rival.table, task=task))
    missing = sorted(set(task.classes) - set(own.classes))
    unknown = sorted(set(own.classes) - set(task.classes))
    if unknown or (missing and rival.table.scored):
        found = [f"it lacks {listed(map(readable_name, missing))}"] if missing else []
        found += [f"only it has {listed(map(readable_name, unknown))}"] if unknown else []
        raise _other(rival.name, f"its classes are not those of {giver}: {'; '.join(found)}")
    return dataclasses.replace(rival, table=_renumbered(rival.table, task))


def _renumbered(table: Predictions, task: Task) -> Predictions:
    """Return the table with its classes in the order of a task that has all of them."""
    places = np.array([task.classes.index(name) for name in table.task.classes])
    scores = np.zeros((len(table), len(task.classes)))
    scores[:, places] = table.scores
    truth = table.truth
    if truth is not None and truth.ndim == 2:
        wide = np.zeros(scores.shape, truth.dtype)
        wide[:, places] = truth
        truth = wide
    elif truth is not None:
        truth = places[truth]
    return dataclasses.replace(table, task=task, scores=scores, truth=truth)


def _other(name: str, why: str) -> DataError:
    return DataError(
        f"Runs are compared that answer the same question; {name} does not: {why.rstrip('.')}.",
        code="381",
        where=name,
        fix="compare runs of the same task with the same classes",
    )


def joined_groups(groups_of_each: Sequence[Sequence[str]]) -> list[str] | None:
    """Return which rows belong together by anybody's groups; None where nobody has any.

    >>> joined_groups([["a", "a", ""], ["", "x", "x"]])
    ['0', '0', '0']
    >>> joined_groups([["a", "a", ""], ["", "", ""]])
    ['0', '0', '1']
    """
    num = len(groups_of_each[0])
    rows, nodes, last = [], [], num
    for groups in groups_of_each:
        places: dict[str, int] = {}
        for row, name in enumerate(groups):
            if name:
                rows.append(row)
                nodes.append(places.setdefault(name, last + len(places)))
        last += len(places)
    if not rows:
        return None
    links = coo_array((np.ones(len(rows)), (rows, nodes)), shape=(last, last))
    found = connected_components(links, directed=False)[1][:num]
    return [str(name) for name in found]
