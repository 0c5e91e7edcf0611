"""The rows of the page's tables: every number with its interval and its count."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from saccade.data.split import PARTS
from saccade.evaluation.intervals import Estimate
from saccade.reporting.facts import Facts
from saccade.reporting.wording import percent, value

AVERAGES = {
    "macro": "each class counts the same",
    "weighted": "each class counts by its pictures",
    "micro": "each picture counts the same",
}
FAMILIES = {
    "precision": "of the pictures given a class, the share that belongs to it",
    "recall": "of the pictures of a class, the share that is found (sensitivity)",
    "f1": "harmonic mean of precision and recall",
    "specificity": "of the pictures of other classes, the share not given this one",
}
MEANINGS = {
    "accuracy": ("Accuracy", "share of pictures whose class is right"),
    "balanced_accuracy": ("Balanced accuracy", "mean of the recalls of all classes"),
    "top_5_accuracy": ("Top-5 accuracy", "the right class is among the five highest scores"),
    "roc_auc": ("ROC AUC", "chance that a picture of the second class scores above one of the first"),
    "roc_auc_ovr_macro": ("ROC AUC (one against rest, macro)", "1 = scores separate perfectly, 0.5 = not at all"),
    "roc_auc_macro": ("ROC AUC (macro)", "1 = scores separate perfectly, 0.5 = not at all"),
    "average_precision": ("Average precision", "area under the precision-recall curve"),
    "average_precision_macro": ("Average precision (macro)", "area under the precision-recall curve"),
    "log_loss": ("Log loss", "0 = sure and right; lower is better"),
    "accuracy_subset": ("Subset accuracy", "share of pictures with every label right"),
    "hamming": ("Hamming loss", "share of wrong label decisions; lower is better"),
    "hamming_loss": ("Hamming loss", "share of wrong label decisions; lower is better"),
    "mae": ("Mean absolute error", "in the unit of the target; lower is better"),
    "rmse": ("Root mean squared error", "in the unit of the target; lower is better"),
    "r2": ("R²", "share of the variance explained; 1 = perfect, 0 = no better than the mean"),
    "majority_accuracy": ("Baseline: majority class", "always the most frequent class of the training part"),
}
LEADING = {
    "binary": ("accuracy", "majority_accuracy", "balanced_accuracy", "roc_auc"),
    "multiclass": ("accuracy", "majority_accuracy", "balanced_accuracy", "f1_macro"),
    "multilabel": ("f1_macro", "f1_micro", "accuracy_subset", "average_precision_macro"),
    "regression": ("r2", "mae", "rmse"),
}
BASELINE_MARKS = ("majority", "baseline", "mean_")
UNBOUNDED = ("log_loss", "mae", "rmse", "r2", "hamming", "median")
"Metrics that are no share of 1 with 1 best, so they get no bar from 0 to 1."


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRow:
    """One metric of the judged part, and of the other parts beside it."""

    name: str
    title: str
    meaning: str
    estimate: Estimate
    others: tuple[Estimate | None, ...]  # in the order of `other_parts`
    bounded: bool
    baseline: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRow:
    """One class: how many pictures, and how well it is recognised."""

    name: str
    counts: tuple[int, ...]  # in the order of the parts that exist
    estimates: tuple[Estimate | None, ...]  # precision, recall, f1, specificity


def other_parts(facts: Facts) -> tuple[str, ...]:
    """Return the parts with metrics beside the judged one."""
    own = facts.results
    return tuple(p for p in PARTS if p in own.metrics and p != own.part)


def title(name: str) -> tuple[str, str]:
    """Return a metric's name and meaning in words; an average always names its kind.

    >>> title("precision_macro")[0], title("something_new")
    ('Precision (macro)', ('something_new', ''))
    """
    if name in MEANINGS:
        return MEANINGS[name]
    family, _, average = name.rpartition("_")
    if family in FAMILIES and (average in AVERAGES or average == "samples"):
        return f"{_family(family)} ({average})", AVERAGES.get(average, "mean over pictures")
    for mark in BASELINE_MARKS:
        rest = name.removeprefix(mark).strip("_")
        if name.startswith(mark) and (rest in MEANINGS or rest.rpartition("_")[0] in FAMILIES):
            what = "mean of the training part" if "mean" in mark else "baseline"
            return f"Baseline: {title(rest)[0]}", f"of always answering the {what}"
    return name, ""


def metric_rows(facts: Facts) -> tuple[MetricRow, ...]:
    """Return the metrics that speak of all classes together, except the averages' grid."""
    known = list(MEANINGS)
    names = [n for n in facts.results.judged if "[" not in n and not _in_grid(n)]
    names.sort(key=lambda n: (known.index(n) if n in known else len(known)))
    return tuple(_row(facts, name) for name in names)


def average_rows(facts: Facts) -> tuple[tuple[str, str, tuple[Estimate | None, ...]], ...]:
    """Return (title, meaning, estimates by average) for precision, recall, F1, specificity."""
    judged = facts.results.judged
    rows = []
    for family, meaning in FAMILIES.items():
        estimates = tuple(judged.get(f"{family}_{average}") for average in AVERAGES)
        if any(estimates):
            rows.append((_family(family), meaning, estimates))
    return tuple(rows)


def leading(facts: Facts) -> tuple[MetricRow, ...]:
    """Return the few metrics that stand large at the top, the baseline among them."""
    judged = facts.results.judged
    wanted = [n for n in LEADING[facts.task.kind] if n in judged]
    if facts.task.kind in {"regression", "multilabel"}:
        wanted += [n for n in judged if n.startswith(BASELINE_MARKS) and "[" not in n][:1]
    return tuple(_row(facts, name) for name in wanted[:4])


def class_rows(facts: Facts) -> tuple[ClassRow, ...]:
    """Return a row per class, in the order of the task."""
    judged = facts.results.judged
    parts = count_parts(facts)
    return tuple(
        ClassRow(
            name=name,
            counts=tuple(facts.split.counts.get(p, {}).get(name, 0) for p in parts),
            estimates=tuple(judged.get(f"{family}[{name}]") for family in FAMILIES),
        )
        for name in facts.task.classes
    )


def count_parts(facts: Facts) -> tuple[str, ...]:
    """Return the parts that hold pictures."""
    return tuple(p for p in PARTS if p in facts.split.counts or p in facts.split.sizes)


def skipped_rows(facts: Facts, *, limit: int = 5) -> tuple[tuple[str, int, tuple[tuple[str, str], ...]], ...]:
    """Return (reason, count, the first few as (path, sentence)), most frequent first."""
    by_reason: dict[str, list[tuple[str, str]]] = {}
    for one in facts.data.skipped:
        by_reason.setdefault(one.reason, []).append((one.path, one.sentence))
    ordered = sorted(by_reason.items(), key=lambda item: (-len(item[1]), item[0]))
    return tuple((reason, len(items), tuple(items[:limit])) for reason, items in ordered)


def sums_that_fail(facts: Facts) -> tuple[str, ...]:
    """Return a sentence for every count of the page that does not add up; best none."""
    data, sizes = facts.data, facts.split.sizes
    wrong = []
    if data.num_files and data.num_used + len(data.skipped) != data.num_files:
        wrong.append(
            f"{data.num_used:,} used and {len(data.skipped):,} left out do not add up to "
            f"{data.num_files:,} found."
        )
    if sizes and data.num_used and sum(sizes.values()) != data.num_used:
        wrong.append(
            f"The parts hold {sum(sizes.values()):,} pictures together, not {data.num_used:,}."
        )
    return tuple(wrong)


def large_value(row: MetricRow) -> str:
    """Return the value of a leading metric: shares as percentages."""
    return percent(row.estimate.value) if row.bounded else value(row.estimate)


def large_interval(row: MetricRow) -> str:
    """Return the interval of a leading metric in the same form."""
    own = row.estimate
    if not (math.isfinite(own.low) and math.isfinite(own.high)):
        return "no interval"
    if row.bounded:
        return f"{percent(own.low)} to {percent(own.high)}"
    return f"{value_text(own.low)} to {value_text(own.high)}"


def value_text(number: float) -> str:
    """Return one number as `wording.value` writes it."""
    return value(Estimate(value=number, low=number, high=number, n=0, method=""))


def confusion_view(
    confusion: Sequence[Sequence[int]], names: Sequence[str], *, limit: int
) -> tuple[list[str], list[list[int]]]:
    """Return the rows and columns of the classes with most mistakes, the rest as one.

    With at most `limit` classes all are kept in their order.
    """
    K = len(names)
    if K <= limit:
        return list(names), [list(map(int, row)) for row in confusion]
    column = [sum(int(confusion[r][c]) for r in range(K)) for c in range(K)]
    errors = [sum(map(int, confusion[k])) + column[k] - 2 * int(confusion[k][k]) for k in range(K)]
    kept = sorted(sorted(range(K), key=lambda k: (-errors[k], k))[: limit - 1])
    rest = [k for k in range(K) if k not in set(kept)]
    groups = [[k] for k in kept] + [rest]
    matrix = [[sum(int(confusion[r][c]) for r in a for c in b) for b in groups] for a in groups]
    return [*(names[k] for k in kept), f"{len(rest)} other classes"], matrix


def _row(facts: Facts, name: str) -> MetricRow:
    results = facts.results
    words, meaning = title(name)
    others = tuple(_of(results.metrics, part, name) for part in other_parts(facts))
    return MetricRow(
        name=name,
        title=words,
        meaning=meaning,
        estimate=results.judged[name],
        others=others,
        bounded=not any(mark in name for mark in UNBOUNDED),
        baseline=name.startswith(BASELINE_MARKS),
    )


def _of(
    metrics: Mapping[str, Mapping[str, Estimate]], part: str, name: str
) -> Estimate | None:
    return metrics.get(part, {}).get(name)


def _in_grid(name: str) -> bool:
    family, _, average = name.rpartition("_")
    return family in FAMILIES and average in AVERAGES


def _family(name: str) -> str:
    return "F1" if name == "f1" else name.capitalize()


def most_pictures(rows: Sequence[ClassRow]) -> int:
    """Return how many pictures the largest class has, at least 1."""
    return max([1, *(sum(row.counts) for row in rows)])


def judged_count(facts: Facts, row: ClassRow) -> int:
    """Return how many pictures of a class the judged part holds."""
    parts = count_parts(facts)
    part = facts.results.part
    return row.counts[parts.index(part)] if part in parts else 0


def has_class_metrics(facts: Facts) -> bool:
    """Return whether any class has a metric of its own."""
    return any("[" in name for name in facts.results.judged)


def first_n(rows: Sequence[tuple[str, str, Sequence[Estimate | None]]]) -> int:
    """Return on how many pictures a grid of averages rests."""
    return next((e.n for _, _, estimates in rows for e in estimates if e), 0)


def fingerprints(facts: Facts) -> tuple[tuple[str, str], ...]:
    """Return the hashes by which data, split and weights can be known again."""
    known = (
        ("data fingerprint", facts.data.fingerprint),
        ("split fingerprint", facts.split.fingerprint),
        ("weights SHA-256", facts.model.weights_sha256),
    )
    return tuple((name, text) for name, text in known if text)
