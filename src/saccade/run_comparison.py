"""Runs side by side on the same test pictures: which is better, by how much, and beyond chance?"""

import dataclasses
import math
import os
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from saccade.evaluation.difference import Difference, corrected, p_text
from saccade.evaluation.digits import is_share, signed, with_interval
from saccade.evaluation.intervals import Estimate
from saccade.evaluation.paired import compare_tables
from saccade.evaluation.predictions import Predictions
from saccade.evaluation.scores import evaluate
from saccade.evaluation.usual import usual_metric
from saccade.rivals import Rival, joined_groups, read_rivals
from saccade.runtime.errors import DataError, UsageError, listed, nearest
from saccade.runtime.store import decode_name, encode_name, quoted

Place = str | os.PathLike[str]
BASELINES = ("majority_", "mean_baseline_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One run or table: its metric, and how it differs from the first one."""

    name: str
    model: str  # the architecture; "" for a table
    estimate: Estimate
    difference: Difference | None  # None for the first, to which the others are compared


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Runs on the same test pictures, in the order in which they were named."""

    metric: str
    n: int  # pictures
    standings: tuple[Standing, ...]
    labels: str = ""  # the one by whose labels all were judged; "" = by their own, which agree

    @property
    def sentences(self) -> tuple[str, ...]:
        """What it means, in plain words: one sentence for each but the first."""
        found = (own.difference for own in self.standings)
        return tuple(f"{one.sentence} {one.reach}".rstrip() for one in found if one is not None)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {
            "metric": self.metric,
            "n": self.n,
            "compared_to": self.standings[0].name,
            "labels": self.labels or None,
            "runs": [_row(own) for own in self.standings],
            "sentences": list(self.sentences),
        }

    def as_text(self) -> str:
        """Return a table and the sentences, for a terminal."""
        named = encode_name(self.metric)
        head = ["run", "model", named, "n", "difference", "95 % interval", "p", "corrected"]
        rows = [head, *(_cells(own, share=is_share(self.metric)) for own in self.standings)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        judge = [f"All are judged by the labels of {self.labels}."] if self.labels else []
        return "\n".join([*lines, "", *judge, *self.sentences])


def compare(
    *runs: Place | Sequence[Place],
    metric: str = "",
    group: str = "",
    task: str = "",
    labels: Place = "",
    seed: int = 0,
) -> Comparison:
    """Return how runs differ from the first of them, on the test pictures that all of them share.

    The first is what the others are compared to, and not the best: the best is chosen by the
    very numbers that are then compared, which makes it look better than it is. p is corrected for
    the number of comparisons by Holm's rule.

    Args:
        runs: runs, their folders, or prediction tables (CSV), two or more, or a list of them.
        metric: a name in metrics.json; "" = accuracy, accuracy_subset or mae by task.
        group: a pattern on the path that names what belongs together; "" = as in the runs.
        task: binary, multiclass, multilabel or regression, where there are tables alone; "" = as
            their cells say.
        labels: the one of them by whose labels all are judged, as where it has put some right;
            "" = their labels must be the same.
        seed: of the bootstrap.

    Raises:
        UsageError: fewer than two runs (E250), no such metric (E251), labels of none of them
            (E252), a task that nobody knows or needs (E260), or no pattern (E262).
        DataError: the test parts (E380), tasks or classes (E381) differ, or there is no test
            part (E382).
        ArtefactError: a folder is no sound run, or a table no sound table (E554 to E569).
    """
    named = _named(runs)
    if len(named) < 2:
        raise UsageError(
            f"A comparison needs two runs or more; {'one' if named else 'none'} was named.",
            code="250",
            where="the command line",
            fix="saccade compare runs/a runs/b",
        )
    read = read_rivals(named, group=group, task=task)
    if labels:
        read = _judged_by(str(Path(labels)), read)
    rivals = _aligned(read)
    metric = metric or usual_metric(rivals[0].table.task.kind)
    # In the order of its own table, in which a run's metrics were resampled.
    estimates = [_estimate(rival, metric) for rival in read]
    return Comparison(
        metric=metric,
        n=len(rivals[0].table),
        labels=encode_name(str(Path(labels))) if labels else "",
        standings=tuple(
            Standing(name=rival.name, model=rival.model, estimate=estimate, difference=difference)
            for rival, estimate, difference in zip(
                rivals, estimates, (None, *_differences(rivals, metric, seed=seed)), strict=True
            )
        ),
    )


def _named(runs: Sequence[Place | Sequence[Place]]) -> list[str]:
    found: list[str] = []
    for own in runs:
        each = [own] if isinstance(own, str | os.PathLike) else own
        found += [os.fspath(one) for one in each]
    return found


def _estimate(rival: Rival, metric: str) -> Estimate:
    groups = rival.groups if any(rival.groups) else None
    found = evaluate(rival.table, seed=rival.seed, groups=groups)["test"]
    known = [name for name in found if not name.startswith(BASELINES)]
    if metric not in known:
        near = nearest(metric, known) or known
        raise UsageError(
            f"There is no metric {quoted(metric)} of a {rival.table.task.kind} task.",
            code="251",
            where="--metric",
            fix=f"choose one of metrics.json, such as {listed(map(encode_name, near))}",
        )
    return found[metric]


def _differences(rivals: Sequence[Rival], metric: str, *, seed: int) -> tuple[Difference, ...]:
    """Return how all but the first differ from it, p corrected for their number."""
    groups = joined_groups([rival.groups for rival in rivals])
    first, *others = rivals
    return corrected(
        [_difference(first, other, metric=metric, groups=groups, seed=seed) for other in others]
    )


def _difference(
    first: Rival, second: Rival, *, metric: str, groups: list[str] | None, seed: int
) -> Difference:
    one, other, names = first.table, second.table, (first.name, second.name)
    if metric == "top_5_accuracy" and not (one.scored and other.scored):
        nan, why = math.nan, "a table holds answers and no scores"
        return Difference(
            metric=metric, names=names, value=nan, low=nan, high=nan, n=len(one), p=nan, mid_p=nan,
            method=why,
        )  # fmt: skip
    return compare_tables(one, other, metric=metric, groups=groups, names=names, seed=seed)


def _judged_by(place: str, rivals: Sequence[Rival]) -> list[Rival]:
    """Return the rivals with the labels of one of them, which has the same pictures."""
    giver = next((own for own in rivals if own.name == encode_name(place)), None)
    if giver is None:
        raise UsageError(
            f"{quoted(place)} is none of those that are compared.",
            code="252",
            where="--labels",
            fix=f"name one of them, as it is named there: {listed(map(_typed, rivals))}",
        )
    keys = _keys(rivals)
    own = keys[rivals.index(giver)]
    for rival, others in zip(rivals, keys, strict=True):
        _check_pictures(giver, rival, own, others)
    truth = giver.table.truth
    assert truth is not None  # noqa: S101 - `read_rivals` has refused tables without
    place_of = {key: place for place, key in enumerate(own)}
    twice = [key for place, key in enumerate(own) if np.any(truth[place] != truth[place_of[key]])]
    if twice:
        raise DataError(
            f"Copies of one picture have different labels in {giver.name}, so these can judge no "
            "other run.",
            code="380",
            where=_names(giver.table, own, Counter(twice)),
            fix="put the labels of the copies right (--corrections), and train again",
        )
    found = []
    for rival, others in zip(rivals, keys, strict=True):
        table = dataclasses.replace(rival.table, truth=truth[[place_of[key] for key in others]])
        found.append(dataclasses.replace(rival, table=table))
    return found


def _typed(rival: Rival) -> str:
    """Return the name of a rival as it is typed in a shell."""
    return shlex.quote(decode_name(rival.name))


def _keys(rivals: Sequence[Rival]) -> list[Sequence[str]]:
    """Return what the pictures of each are known by: contents, or where some have none, paths."""
    by_content = all(all(rival.table.hashes) for rival in rivals)
    return [rival.table.hashes if by_content else rival.table.paths for rival in rivals]


def _aligned(rivals: Sequence[Rival]) -> list[Rival]:
    """Return the rivals with the rows of their test parts in one order.

    Raises:
        DataError: they were not tested on the same pictures, with the same labels (E380).
    """
    keys = _keys(rivals)
    for rival, own in zip(rivals[1:], keys[1:], strict=True):
        _check_pictures(rivals[0], rival, keys[0], own)
        _check_labels(rivals[0], rival, keys[0], own)
    found = []
    for rival, own in zip(rivals, keys, strict=True):
        # The label too: copies of one picture may have labels that contradict each other.
        ranks = list(zip(own, rival.table.truths, rival.table.paths, strict=True))
        found.append(rival.take(sorted(range(len(own)), key=ranks.__getitem__)))
    return found


def _check_pictures(first: Rival, other: Rival, keys: Sequence[str], others: Sequence[str]) -> None:
    one, two = Counter(keys), Counter(others)
    if one != two:
        missing, added = one - two, two - one
        num, more = missing.total(), added.total()
        raise DataError(
            f"Runs are compared on the same test pictures; {num} of the {len(keys)} of "
            f"{first.name} are not among those of {other.name}, and {more} of its {len(others)} "
            "are not among the former.",
            code="380",
            where="; ".join(
                f"only in {rival.name}: {_names(rival.table, own, lacking)}"
                for rival, own, lacking in ((first, keys, missing), (other, others, added))
                if lacking
            ),
            fix="train both on the same data with the same --seed and parts (with --group auto a "
            "network has a say in these), or ask both models about one folder: saccade eval RUN "
            "FOLDER --output a.csv",
        )


def _check_labels(first: Rival, other: Rival, keys: Sequence[str], others: Sequence[str]) -> None:
    known = Counter(zip(keys, first.table.truths, strict=True))
    labelled = list(zip(others, other.table.truths, strict=True))
    differing = Counter(labelled) - known
    if differing:
        named = [
            path for path, own in zip(other.table.paths, labelled, strict=True) if own in differing
        ]
        raise DataError(
            f"{differing.total()} of {len(keys)} test pictures have another label in {other.name} "
            f"than in {first.name}.",
            code="380",
            where=listed(map(encode_name, named)),
            fix="say whose labels judge both, best those that were put right last: "
            f"--labels {_typed(first)} or --labels {_typed(other)}",
        )


def _names(table: Predictions, keys: Sequence[str], lacking: Counter[str]) -> str:
    named = [path for path, key in zip(table.paths, keys, strict=True) if key in lacking]
    return listed(map(encode_name, named))


def _row(own: Standing) -> dict[str, Any]:
    one, estimate = own.difference, own.estimate
    return {
        "run": own.name,
        "model": own.model,
        "value": _known(estimate.value),
        "low": _known(estimate.low),
        "high": _known(estimate.high),
        "n": estimate.n,
        "method": estimate.method,
        "difference": None if one is None else _numbers(one),
    }


def _numbers(one: Difference) -> dict[str, Any]:
    return {
        "value": _known(one.value),
        "low": _known(one.low),
        "high": _known(one.high),
        "n": one.n,
        "method": one.method,
        "p": _known(one.p),
        "mid_p": _known(one.mid_p),
        "p_corrected": _known(one.final_p),
        "num_compared": one.num_compared,
        "beyond_chance": one.beyond_chance,
        "detectable": _known(one.detectable),
        "sentence": one.sentence,
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _cells(own: Standing, *, share: bool) -> list[str]:
    estimate, one = own.estimate, own.difference
    value = "not defined"
    if not math.isnan(estimate.value):
        value = with_interval(estimate.value, estimate.low, estimate.high, share=share)
    cells = [own.name, own.model, value, str(estimate.n)]
    if one is None:
        return [*cells, *[""] * 4]
    if math.isnan(one.value):
        return [*cells, "not defined", "", "", ""]
    if math.isnan(one.low):
        return [*cells, signed(one.value, share=share), "none", "", ""]
    low, high = (signed(end, share=share) for end in (one.low, one.high))
    after = p_text(one.final_p).removeprefix("p = ").removeprefix("p ")
    before = p_text(one.p).removeprefix("p = ").removeprefix("p ")
    return [*cells, signed(one.value, share=share), f"[{low}, {high}]", before, after]
