"""Which of two is better on the same pictures, by how much, and whether it could be chance."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from saccade.data.task import Task
from saccade.evaluation.difference import Difference, lower_is_better
from saccade.evaluation.influence import Linear, linear_of
from saccade.evaluation.intervals import Grouping, grouping, quantile
from saccade.evaluation.paired_counts import Pairs, class_pairs, label_pairs, paired_error, values
from saccade.evaluation.predictions import Predictions
from saccade.evaluation.shares import Share, share_of
from saccade.evaluation.significance import (
    ALL_EQUAL,
    ROUNDING,
    difference_of_shares,
    mcnemar,
    mcnemar_mid_p,
    two_sided,
)
from saccade.runtime.seeds import generator


def compare_answers(
    truth: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    *,
    groups: Sequence[str] | None = None,
    names: tuple[str, str] = ("the first", "the second"),
) -> Difference:
    """Return how much better the second answers are than the first, on the same pictures.

    By accuracy where the answers are classes; for sets of labels by the share with every label
    right; for numbers by the mean absolute error. `compare_tables` compares by any metric.

    Args:
        truth: int (N,), 0 or 1 (N, K), or float (N,), as `Task`'s targets.
        first: answers in the same form.
        second: answers in the same form, a row for the same picture.
        groups: a name a row, as in `evaluate`; "" = alone.
        names: what the two are called.

    >>> truth = np.array([0, 1] * 50)
    >>> print(compare_answers(truth, np.zeros(100, int), truth).sentence)
    On the same 100 pictures the second names 50 more rightly than the first: +0.500 [+0.404, \
+0.596], p < 0.0001 (McNemar exact): beyond chance.
    """
    task, metric = _plain_task(truth, first, second)
    one, other = (_table(task, truth, answers) for answers in (first, second))
    return compare_tables(one, other, metric=metric, groups=groups, names=names)


def compare_tables(
    first: Predictions,
    second: Predictions,
    *,
    metric: str,
    groups: Sequence[str] | None = None,
    names: tuple[str, str] = ("the first", "the second"),
    seed: int = 0,
) -> Difference:
    """Return the difference of a metric between two tables with the same rows in the same order.

    Shares of pictures (accuracy, recall and specificity of a class): McNemar's exact test and
    Tango's interval; with groups, Student's t between groups. Means over pictures (log loss,
    mae), rankings (ROC AUC, average precision), rmse and r2: Student's t of what each picture
    adds to the difference; none where all add the same. Averages over classes, precision and F1:
    the paired bootstrap.

    Args:
        first: one part, with truth.
        second: the same pictures.
        metric: a name of `evaluate`, but for the baselines.
        groups: a name a row, as in `evaluate`; "" = alone.
        names: what the two are called.
        seed: of the bootstrap.

    Raises:
        ValueError: the rows are not the same, or there is no such metric.
    """
    if first.truth is None or second.truth is None or len(first) != len(second):
        raise ValueError("two tables are compared on the same pictures, with their truth")
    if not np.array_equal(first.truth, second.truth):
        raise ValueError("the truth of the two tables differs")
    kept = grouping(groups, num_rows=len(first))
    one, other = share_of(first, metric), share_of(second, metric)
    if one is not None and other is not None:
        found = _of_shares(one, other, kept)
    elif (linear := linear_of(first, metric, kept)) is not None:
        found = _of_linear(linear, linear_of(second, metric, kept), kept)
    else:
        found = _of_counts(first, second, metric, kept, seed)
    bounded = not lower_is_better(metric) and metric != "r2"
    if bounded or metric == "hamming_loss":
        found = dataclasses.replace(found, low=max(found.low, -1.0), high=min(found.high, 1.0))
    same = np.array_equal(first.scores, second.scores)
    return dataclasses.replace(found, metric=metric, names=names, same_answers=same)


def _of_shares(first: Share, second: Share, kept: Grouping) -> Difference:
    among = first.among
    n = int(among.sum())
    if not n:
        return _undefined("there is no picture to judge it by", n=0)
    only_first = int((first.hits & ~second.hits & among).sum())
    only_second = int((second.hits & ~first.hits & among).sum())
    more = only_second - only_first
    own = kept.among(among) if kept.named else kept
    if own.named and own.count < 2:
        return dataclasses.replace(_too_few(own, n=n), value=more / n, more=more)
    found = difference_of_shares(first.hits[among] * 1.0, second.hits[among] * 1.0, own)
    if own.named:
        freedom = own.count - 1.0
        error = (found.high - found.value) / quantile(freedom)
        p = mid_p = two_sided(found.value, error, freedom=freedom)
    else:
        p, mid_p = mcnemar(only_first, only_second), mcnemar_mid_p(only_first, only_second)
    return Difference(
        metric="",
        names=("", ""),
        value=found.value,
        low=found.low,
        high=found.high,
        n=n,
        p=p,
        mid_p=mid_p,
        method=found.method if own.named else "McNemar exact",
        more=more,
    )


def _of_linear(first: Linear, second: Linear | None, kept: Grouping) -> Difference:
    n = len(kept.index)
    if second is None or math.isnan(first.value) or math.isnan(second.value):
        return _undefined(first.why or (second.why if second else ""), n=n)
    value = second.value - first.value
    variance = kept.variance(second.influence - first.influence)
    found = _by_t(value, variance, kept, n=n, method=first.method)
    if math.isnan(found.low):
        return found
    if first.alone is None or second.alone is None:
        return found if math.sqrt(variance) > ROUNDING * abs(value) else _all_equal(found)
    return _widened(found, first, second, kept)


def _all_equal(found: Difference) -> Difference:
    """Return a difference that every picture has alike, without an interval and without p.

    Where there is none on any picture p is 1, as of all that speaks for no difference.
    """
    nan, p = math.nan, 1.0 if found.value == 0 else math.nan
    return dataclasses.replace(found, low=nan, high=nan, p=p, mid_p=p, method=ALL_EQUAL)


def _widened(found: Difference, first: Linear, second: Linear, kept: Grouping) -> Difference:
    """Return the difference of two rankings with the wider of two intervals.

    What the rows add says too little where rankings are nearly perfect, for then few rows add
    anything. The intervals that both have by themselves take this into account; they are put
    together by the method of variance estimates recovery (MOVER), with the correlation of what
    the rows add. It alone is too narrow with many classes on many pictures (docs/compare.md).

    Source: G. Y. Zou, A. Donner (2008), Stat. Med. 27: 1693-1702; R. G. Newcombe (1998), Stat.
    Med. 17: 2635-2650, for two that are correlated.
    """
    one, other = first.alone, second.alone
    if one is None or other is None:
        return found
    each = kept.variance(first.influence) * kept.variance(second.influence)
    both = float(kept.sums(first.influence) @ kept.sums(second.influence))
    scale = kept.count / max(kept.count - 1, 1)  # as in `Grouping.variance`
    r = min(max(scale * both / math.sqrt(each), -1.0), 1.0) if each > 0 else 0.0

    def reach(own: float, others: float) -> float:
        return math.sqrt(max(own**2 + others**2 - 2 * r * own * others, 0.0))

    below = reach(other.value - other.low, one.high - one.value)
    above = reach(other.high - other.value, one.value - one.low)
    low, high = min(found.low, found.value - below), max(found.high, found.value + above)
    to_zero = found.value - low if found.value > 0 else high - found.value
    freedom = kept.count - 1.0
    p = two_sided(found.value, to_zero / quantile(freedom), freedom=freedom)
    return dataclasses.replace(found, low=low, high=high, p=p, mid_p=p)


def _of_counts(
    first: Predictions, second: Predictions, metric: str, kept: Grouping, seed: int
) -> Difference:
    pairs = _pairs(first, second, kept)
    name, _, label = metric.partition("[")
    name = {"balanced_accuracy": "recall_macro"}.get(name, name)
    place = first.task.classes.index(label[:-1]) if label else -1
    try:
        one, other = values(pairs, name, place=place)
    except KeyError:
        raise ValueError(f"there is no metric {metric}") from None
    if math.isnan(one) or math.isnan(other):
        return _undefined("it is not defined for both", n=len(first))
    error = paired_error(pairs, name, place=place, rng=generator(seed, "difference", metric))
    return _by_t(other - one, error**2, kept, n=len(first), method="paired bootstrap")


def _pairs(first: Predictions, second: Predictions, kept: Grouping) -> Pairs:
    answers, truth = (first.predicted, second.predicted), first.truth
    if truth is None:  # `compare_tables` has seen to it
        raise ValueError("there is no truth")
    if first.task.kind == "multilabel":
        return label_pairs(truth, answers, grouping=kept)
    return class_pairs(truth, answers, num_classes=len(first.task.classes), grouping=kept)


def _by_t(value: float, variance: float, kept: Grouping, *, n: int, method: str) -> Difference:
    """Return a difference with an interval by Student's t, symmetric around the value."""
    nan = math.nan
    if kept.count < 2 or math.isnan(variance):
        return dataclasses.replace(_too_few(kept, n=n), value=value)
    freedom = kept.count - 1.0
    error = math.sqrt(variance)
    reach = quantile(freedom) * error
    p = two_sided(value, error, freedom=freedom)
    return Difference(
        metric="",
        names=("", ""),
        value=value,
        low=value - reach,
        high=value + reach,
        n=n,
        p=p,
        mid_p=p,
        method=method + kept.suffix,
        p_corrected=nan,
    )


def _too_few(kept: Grouping, *, n: int) -> Difference:
    return _undefined(f"no interval: one {'group' if kept.named else 'picture'}", n=n)


def _undefined(why: str, *, n: int) -> Difference:
    nan = math.nan
    return Difference(
        metric="", names=("", ""), value=nan, low=nan, high=nan, n=n, p=nan, mid_p=nan, method=why
    )


def _plain_task(*answers: np.ndarray) -> tuple[Task, str]:
    truth = answers[0]
    if truth.ndim == 2:
        classes = tuple(map(str, range(truth.shape[1])))
        return Task(kind="multilabel", classes=classes), "accuracy_subset"
    if np.issubdtype(truth.dtype, np.floating):
        return Task(kind="regression", classes=()), "mae"
    num = max((int(own.max()) for own in answers if len(own)), default=0) + 1
    return Task(kind="multiclass", classes=tuple(map(str, range(max(num, 2))))), "accuracy"


def _table(task: Task, truth: np.ndarray, answers: np.ndarray) -> Predictions:
    n = len(truth)
    if task.kind == "regression":
        scores = answers.astype(np.float64)[:, None]
    elif task.kind == "multilabel":
        scores = answers.astype(np.float64)
    else:
        scores = np.eye(len(task.classes))[answers]
    return Predictions(
        task=task,
        paths=("",) * n,
        hashes=("",) * n,
        parts=("",) * n,
        truth=truth,
        scores=scores,
        scored=False,
    )
