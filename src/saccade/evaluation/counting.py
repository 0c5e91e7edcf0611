"""Accuracy, precision, recall, F1 and specificity, per class and averaged, with intervals."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from saccade.evaluation.intervals import (
    Estimate,
    Grouping,
    grouped_ratio,
    mapped,
    proportion,
    undefined,
)
from saccade.evaluation.metrics import AVERAGES, Counts, averaged, fractions, per_class
from saccade.evaluation.resampling import centre_counts, pictures_a_unit, resampled_counts

_UNDEFINED = {
    "precision": "never predicted",
    "recall": "no picture of this class",
    "f1": "neither true nor predicted",
    "specificity": "every picture is of this class",
}
_FEWEST_FREEDOM = 3.0  # Student's t with fewer degrees says nothing but "unknown"


def exclusive_estimates(
    truth: np.ndarray,
    predicted: np.ndarray,
    *,
    classes: Sequence[str],
    grouping: Grouping,
    rng: np.random.Generator,
) -> dict[str, Estimate]:
    """Return the estimates of a binary or multi-class part by name; truth, predicted int (N,)."""
    k, n = len(classes), len(truth)
    accuracy = grouped_ratio((truth == predicted).astype(np.float64), np.ones(n), grouping)
    counts = _exclusive_counts(truth, predicted, k)
    means = _averages(
        counts,
        _exclusive_units(truth, predicted, k, grouping),
        exclusive=True,
        n=n,
        grouping=grouping,
        rng=rng,
    )
    # one class a row: every micro average is the accuracy or follows from it
    for name in ("precision_micro", "recall_micro", "f1_micro", "recall_weighted"):
        means[name] = accuracy
    means["specificity_micro"] = (
        undefined(_UNDEFINED["specificity"], n=n)
        if k < 2
        else mapped(accuracy, numerator=(k - 2, 1), denominator=(k - 1, 0))
    )
    found = {"accuracy": accuracy, "balanced_accuracy": means["recall_macro"], **means}
    for place, name in enumerate(classes):
        found |= _class_estimates(truth == place, predicted == place, name, grouping)
    return found


def label_estimates(
    truth_NK: np.ndarray,
    predicted_NK: np.ndarray,
    *,
    classes: Sequence[str],
    grouping: Grouping,
    rng: np.random.Generator,
) -> dict[str, Estimate]:
    """Return the estimates of a multi-label part by name; truth, predicted 0/1 (N, K)."""
    truth, said = truth_NK.astype(np.int64), predicted_NK.astype(np.int64)
    n = len(truth)
    rows = np.concatenate([truth & said, truth, said, np.ones((n, 1), np.int64)], axis=1)
    if grouping.named:
        units, times = grouping.sums(rows), np.ones(grouping.count, np.int64)
    else:
        units, times = np.unique(rows, axis=0, return_counts=True)
    counts = Counts(
        hit=(truth & said).sum(axis=0),
        true=truth.sum(axis=0),
        predicted=said.sum(axis=0),
        total=np.array([n]),
    )
    found = _averages(
        counts, (csr_array(units), times), exclusive=False, n=n, grouping=grouping, rng=rng
    )
    right = (truth == said).astype(np.float64)
    for place, name in enumerate(classes):
        found[f"accuracy[{name}]"] = grouped_ratio(right[:, place], np.ones(n), grouping)
        found |= _class_estimates(truth[:, place] == 1, said[:, place] == 1, name, grouping)
    return found


def _exclusive_counts(truth: np.ndarray, predicted: np.ndarray, k: int) -> Counts:
    return Counts(
        hit=np.bincount(truth[truth == predicted], minlength=k),
        true=np.bincount(truth, minlength=k),
        predicted=np.bincount(predicted, minlength=k),
        total=np.array([len(truth)]),
    )


def _exclusive_units(
    truth: np.ndarray, predicted: np.ndarray, k: int, grouping: Grouping
) -> tuple[Any, np.ndarray]:
    """Return the units of the bootstrap and how often each occurs: cells, or groups."""
    if grouping.named:
        owner, rows = grouping.index, np.arange(len(truth))
        count, times = grouping.count, np.ones(grouping.count, np.int64)
    else:
        _, rows, times = np.unique(truth * k + predicted, return_index=True, return_counts=True)
        owner, count = np.arange(len(rows)), len(rows)
    t, p, same = truth[rows], predicted[rows], (truth == predicted)[rows]
    places = np.concatenate([owner[same], owner, owner, owner])
    columns = np.concatenate([t[same], k + t, 2 * k + p, np.full(len(rows), 3 * k)])
    ones = np.ones(len(places))
    return csr_array((ones, (places, columns)), shape=(count, 3 * k + 1)), times


def _averages(
    counts: Counts,
    units: tuple[Any, np.ndarray],
    *,
    exclusive: bool,
    n: int,
    grouping: Grouping,
    rng: np.random.Generator,
) -> dict[str, Estimate]:
    """Return the macro, micro and weighted averages with Wilson-bootstrap intervals.

    The bootstrap gives the mean squared error of the average, bias included; the interval is
    Wilson's at the sample size that has this error. Percentiles of the same resamples cover
    far below 95 % on small parts and near 1 (docs/intervals.md). An average over classes of a few
    pictures, of F1 above all, is too low; by as much as the resamples are, the upper end is moved
    up, although the error holds that too: without it 92 % of such intervals held the truth.
    """
    k = len(counts.true)
    present = (counts.true + counts.predicted) > 0 if exclusive else np.ones(k, bool)
    drawn = resampled_counts(*units, present=present, exclusive=exclusive, rng=rng)
    worth = pictures_a_unit(*units)
    centre = centre_counts(counts, present=present, exclusive=exclusive, worth=worth)
    values, centres, replicates = averaged(counts), averaged(centre), averaged(drawn)
    defined = {name: int((~np.isnan(v)).sum()) for name, v in per_class(counts).items()}
    freedom = _freedom(counts, drawn, units[0] if grouping.named else None)
    found = {}
    for name in [f"{metric}_{average}" for metric in defined for average in AVERAGES]:
        metric = name.partition("_")[0]
        value, middle = float(values[name]), float(centres[name])
        if np.isnan(value):
            found[name] = undefined(_UNDEFINED[metric], n=n)
            continue
        error = float(np.nanmean((replicates[name] - middle) ** 2))
        low_by = middle - float(np.nanmean(replicates[name]))
        partly = not name.endswith("micro") and defined[metric] < k
        remark = f"; mean of {defined[metric]} of {k} classes" if partly else ""
        own = proportion(
            value,
            effective=middle * (1 - middle) / error if error > 0 else n,
            n=n,
            method=f"wilson-bootstrap{grouping.suffix}{remark}",
            freedom=min(freedom[name], grouping.freedom),
            counted=True,  # of few pictures an average takes few values too
        )
        found[name] = replace(own, high=min(1.0, own.high + max(low_by, 0.0)))
    return found


def _freedom(
    counts: Counts,
    drawn: Counts,
    groups: Any,  # noqa: ANN401 - scipy's sparse arrays carry no types
) -> dict[str, float]:
    """Return the degrees of freedom of each average's variance.

    A macro average may hang on one rare class whose own variance is hardly known: from its
    pictures, or from the groups (units of `_exclusive_units`) that have some of them.

    Source: F. E. Satterthwaite (1946), Biometrics Bulletin 2: 110-114.
    """
    found, having = {}, None if groups is None else _groups_with(groups, len(counts.true))
    for metric, (_, under) in fractions(counts).items():
        pictures = np.maximum(under / 2 if metric == "f1" else under, 1)
        if having is not None:
            pictures = np.maximum(having[metric] - 1, 1)
        each = per_class(drawn)[metric]
        known = ~np.isnan(each)
        total = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, each, 0).sum(axis=0) / total
        variance = (np.where(known, each - mean, 0) ** 2).sum(axis=0) / total
        variance = np.where(under > 0, variance, 0)
        for average, weight in (("macro", np.ones_like(variance)), ("weighted", counts.true)):
            own = weight**2 * variance
            below = float((own**2 / pictures).sum())
            freedom = float(own.sum()) ** 2 / below if below > 0 else np.inf
            found[f"{metric}_{average}"] = max(freedom, _FEWEST_FREEDOM)
        found[f"{metric}_micro"] = np.inf
    return found


def _groups_with(
    units: Any,  # noqa: ANN401 - scipy's sparse arrays carry no types
    k: int,
) -> dict[str, np.ndarray]:
    """Return how many groups have a picture that a metric of each class is about, (K,)."""
    true, said = units[:, k : 2 * k], units[:, 2 * k : 3 * k]
    share = true.multiply(1 / units[:, [3 * k]].toarray())
    return {
        "precision": (said > 0).sum(axis=0),
        "recall": (true > 0).sum(axis=0),
        "f1": (true + said > 0).sum(axis=0),
        "specificity": units.shape[0] - (share > 1 - 1e-9).sum(axis=0),
    }


def _class_estimates(
    true: np.ndarray, said: np.ndarray, name: str, grouping: Grouping
) -> dict[str, Estimate]:
    """Return precision, recall, f1 and specificity of one class from its rows, bool (N,).

    F1 is 2·J / (1 + J) of the Jaccard index J = hits / (true or predicted), which is a
    proportion of independent trials once the pictures that it concerns are given; its interval
    is Wilson's, carried over.
    """
    hit = true & said
    found = {}
    for metric, over, under in (
        ("precision", hit, said),
        ("recall", hit, true),
        ("f1", hit, true | said),
        ("specificity", ~true & ~said, ~true),
    ):
        if not under.any():
            found[f"{metric}[{name}]"] = undefined(_UNDEFINED[metric], n=0)
            continue
        estimate = grouped_ratio(over.astype(np.float64), under.astype(np.float64), grouping)
        if metric == "f1":
            estimate = mapped(estimate, numerator=(0, 2), denominator=(1, 1))
        found[f"{metric}[{name}]"] = estimate
    return found
