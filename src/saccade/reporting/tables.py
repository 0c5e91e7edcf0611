"""The rows of the page's tables: every number with its interval and its count."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from saccade.data.split import PARTS
from saccade.evaluation.intervals import Estimate
from saccade.reporting.facts import Facts
from saccade.reporting.glossary import (
    AVERAGES,
    BASELINES,
    FAMILIES,
    LEADING,
    MEANINGS,
    RANKED,
    family_title,
    in_grid,
    in_plain_words,
    is_baseline,
    is_share,
    title,
)
from saccade.reporting.wording import interval, percent, value

MAX_CLASS_ROWS = 1000
NUM_EXAMPLES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRow:
    """One metric of the judged part, and of the other parts beside it."""

    name: str
    title: str
    meaning: str
    estimate: Estimate
    others: tuple[Estimate | None, ...]  # in the order of `other_parts`
    share: bool
    baseline: bool
    reference: float  # what the baseline reaches, NaN where there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRow:
    """One class: how many pictures, and how well it is recognised."""

    name: str
    counts: tuple[int, ...]  # in the order of `count_parts`
    judged: int  # pictures in the judged part
    estimates: tuple[Estimate | None, ...]  # in the order of `class_families`


@dataclass(frozen=True, slots=True, kw_only=True)
class AverageRow:
    """Precision, recall, F1 or specificity, averaged in several ways."""

    title: str
    meaning: str
    estimates: tuple[Estimate | None, ...]  # in the order of `average_names`


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedRow:
    """One reason for which files were left out, with the first few of them."""

    reason: str
    count: int
    examples: tuple[tuple[str, str], ...]  # (path, sentence)


def other_parts(facts: Facts) -> tuple[str, ...]:
    """Return the parts with metrics beside the judged one."""
    own = facts.results
    return tuple(p for p in PARTS if own.metrics.get(p) and p != own.part)


def metric_rows(facts: Facts) -> tuple[MetricRow, ...]:
    """Return the metrics that speak of all classes together, except the averages' grid."""
    known = list(MEANINGS)
    names = [n for n in facts.results.judged if "[" not in n and not in_grid(n)]
    names.sort(key=lambda n: known.index(n) if n in known else len(known))
    return tuple(_metric_row(facts, name) for name in names)


def leading(facts: Facts) -> tuple[MetricRow, ...]:
    """Return the few metrics that stand large at the top, the baseline among them."""
    wanted = [n for n in LEADING[facts.task.kind] if n in facts.results.judged]
    return tuple(_metric_row(facts, name) for name in wanted)


def leading_words(facts: Facts) -> tuple[tuple[str, str], ...]:
    """Return (term, meaning) of the words that stand large at the top."""
    return in_plain_words([row.name for row in leading(facts)])


def average_names(facts: Facts) -> tuple[str, ...]:
    """Return the kinds of average that the judged part has."""
    judged = facts.results.judged
    return tuple(a for a in AVERAGES if any(f"{family}_{a}" in judged for family in FAMILIES))


def average_rows(facts: Facts) -> tuple[AverageRow, ...]:
    """Return a row each for recall, precision, F1 and specificity, where they are averaged."""
    judged, names = facts.results.judged, average_names(facts)
    rows = (
        AverageRow(
            title=family_title(family),
            meaning=meaning,
            estimates=tuple(judged.get(f"{family}_{average}") for average in names),
        )
        for family, meaning in FAMILIES.items()
    )
    return tuple(row for row in rows if any(row.estimates))


def class_families(facts: Facts) -> tuple[tuple[str, str], ...]:
    """Return (name, title) of the metrics that the judged part has class by class."""
    judged = facts.results.judged
    present = {name.partition("[")[0] for name in judged if "[" in name}
    known = [name for name in (*FAMILIES, *RANKED) if name in present]
    return tuple((name, family_title(name)) for name in [*known, *sorted(present - {*known})])


def class_rows(facts: Facts) -> tuple[ClassRow, ...]:
    """Return a row per class by name; of more than 1,000 those with the lowest recall."""
    names = list(facts.task.classes)
    judged, parts = facts.results.judged, count_parts(facts)
    families = class_families(facts)
    if len(names) > MAX_CLASS_ROWS:
        names = sorted(facts.results.weakest(names)[:MAX_CLASS_ROWS])
    return tuple(
        ClassRow(
            name=name,
            counts=tuple(facts.split.counts.get(p, {}).get(name, 0) for p in parts),
            judged=facts.split.counts.get(facts.results.part, {}).get(name, 0),
            estimates=tuple(judged.get(f"{family}[{name}]") for family, _ in families),
        )
        for name in names
    )


def count_parts(facts: Facts) -> tuple[str, ...]:
    """Return the parts that hold pictures."""
    return tuple(p for p in PARTS if facts.split.sizes.get(p))


def most_pictures(rows: Sequence[ClassRow]) -> int:
    """Return how many pictures the largest class has, at least 1."""
    return max([1, *(sum(row.counts) for row in rows)])


def skipped_rows(facts: Facts) -> tuple[SkippedRow, ...]:
    """Return a row per reason, most frequent first."""
    by_reason: dict[str, list[tuple[str, str]]] = {}
    for one in facts.data.skipped:
        by_reason.setdefault(one.reason, []).append((one.path, one.sentence))
    ordered = sorted(by_reason.items(), key=lambda item: (-len(item[1]), item[0]))
    return tuple(
        SkippedRow(reason=reason, count=len(items), examples=tuple(items[:NUM_EXAMPLES]))
        for reason, items in ordered
    )


def fingerprints(facts: Facts) -> tuple[tuple[str, str], ...]:
    """Return the hashes by which data, split and weights can be known again."""
    known = (
        ("data fingerprint", facts.data.fingerprint),
        ("split fingerprint", facts.split.fingerprint),
        ("SHA-256 of the weights it began with", facts.model.weights_sha256),
    )
    return tuple((name, text) for name, text in known if text)


def large_value(row: MetricRow) -> str:
    """Return the value of a leading metric: shares as percentages."""
    return percent(row.estimate.value) if row.share else value(row.estimate, share=False)


def large_interval(row: MetricRow) -> str:
    """Return the interval of a leading metric in the same form."""
    own = row.estimate
    if not (math.isfinite(own.low) and math.isfinite(own.high)):
        return "not known"
    if not row.share:
        return interval(own, share=False)
    return f"{percent(own.low)} to {percent(own.high)}".replace(" %", "\u00a0%")


def confusion_view(
    confusion_KK: np.ndarray, names: Sequence[str], *, limit: int
) -> tuple[list[str], np.ndarray]:
    """Return the rows and columns of the classes with most mistakes, the rest as one.

    With at most `limit` classes all are kept, in their order.

    >>> confusion_view(np.diag([5, 4, 3]) + np.eye(3, k=1, dtype=int), ["a", "b", "c"], limit=2)[1]
    array([[4, 1],
           [1, 8]])
    """
    if len(names) <= limit:
        return list(names), confusion_KK
    right = confusion_KK.diagonal()
    errors = confusion_KK.sum(axis=0) + confusion_KK.sum(axis=1) - 2 * right
    kept = np.sort(np.argsort(-errors, kind="stable")[: limit - 1])
    rest = np.setdiff1d(np.arange(len(names)), kept)
    member = np.zeros((len(names), limit), np.int64)
    member[kept, np.arange(limit - 1)] = 1
    member[rest, limit - 1] = 1
    shown = [*(names[k] for k in kept), f"{len(rest)} other classes"]
    return shown, member.T @ confusion_KK @ member


def _metric_row(facts: Facts, name: str) -> MetricRow:
    results = facts.results
    words, meaning = title(name)
    reference = results.judged.get(BASELINES.get(name, ""))
    return MetricRow(
        name=name,
        title=words,
        meaning=meaning,
        estimate=results.judged[name],
        others=tuple(results.metrics.get(part, {}).get(name) for part in other_parts(facts)),
        share=is_share(name),
        baseline=is_baseline(name),
        reference=reference.value if reference else math.nan,
    )


def total_seconds(facts: Facts) -> float:
    """Return how long the run took: its own total, else the sum of its steps."""
    known = dict(facts.seconds)
    return known.get("total", sum(known.values()))
