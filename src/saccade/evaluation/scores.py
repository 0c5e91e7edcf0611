"""Every metric of a prediction table, each with its interval."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from saccade.data.split import PARTS
from saccade.evaluation import counting, ranking
from saccade.evaluation.intervals import (
    Estimate,
    Grouping,
    grouped_ratio,
    grouping,
    proportion,
    undefined,
)
from saccade.evaluation.metrics import in_top, log_losses, samplewise
from saccade.evaluation.predictions import LABEL_SEPARATOR, Predictions
from saccade.evaluation.regression import regression_estimates
from saccade.evaluation.resampling import mean_interval
from saccade.runtime.errors import ArtefactError
from saccade.runtime.seeds import generator
from saccade.runtime.store import encode_name

Metrics = dict[str, dict[str, Estimate]]
_TOP = 5
_NO_SCORES = "the table holds answers and no scores"


def evaluate(
    predictions: Predictions,
    *,
    seed: int = 0,
    groups: Sequence[str] | None = None,
    training_truth: np.ndarray | None = None,
) -> Metrics:
    """Return every metric of every part in the table, by part and name.

    Names are scikit-learn's where it has one; averages and classes are always named
    (`precision_macro`, `recall[ants]`), and what a number rests on is in its `n`. The
    baselines beside them: `majority_accuracy` answers the most frequent class of the training
    part, `majority_accuracy_subset` its most frequent set of labels, `mean_baseline_mae` and
    `mean_baseline_rmse` its mean. The list of names is in docs/metrics.md.

    Args:
        predictions: the table; parts come in the order train, validation, test, others.
        seed: of the bootstrap; the same seed gives the same intervals.
        groups: a name a row; rows with the same name (a patient, a video) are resampled
            together and counted as dependent. Empty names stand alone. None: all independent.
        training_truth: the truth of the training part, for the baselines, where the table has
            no rows of it. Without either, the part itself says what is most frequent, and the
            baseline's method says so.

    Raises:
        ArtefactError: E557, no true labels are known.
        ValueError: `groups` has another length than the table.
    """
    if predictions.truth is None:
        raise ArtefactError(
            "Nothing can be evaluated without true labels; this table has none.",
            code="557",
            where=f"the column truth of {len(predictions)} rows",
            fix="add the true labels, or use predict instead of eval",
        )
    names = grouping(groups, num_rows=len(predictions)).index if groups is not None else None
    if training_truth is None and "train" in predictions.parts:
        training_truth = predictions.rows("train").truth
    metrics: Metrics = {}
    for part in sorted(set(predictions.parts), key=_place):
        rows = [row for row, own in enumerate(predictions.parts) if own == part]
        own_groups = None if names is None else [str(names[row]) for row in rows]
        metrics[part] = _part_estimates(
            predictions.take(rows),
            grouping(own_groups, num_rows=len(rows)),
            training_truth,
            generator(seed, "intervals", part),
        )
    return metrics


def _place(part: str) -> tuple[int, str]:
    return (PARTS.index(part) if part in PARTS else len(PARTS), part)


def _part_estimates(
    rows: Predictions,
    kept: Grouping,
    training_truth: np.ndarray | None,
    rng: np.random.Generator,
) -> dict[str, Estimate]:
    truth = rows.truth
    if truth is None or not len(rows):
        return {}
    if rows.task.kind == "regression":
        return regression_estimates(
            truth, rows.predicted, training_truth=training_truth, grouping=kept, rng=rng
        )
    if rows.task.kind == "multilabel":
        return _label_part(rows, truth, kept, training_truth, rng)
    return _class_part(rows, truth, kept, training_truth, rng)


def _class_part(
    rows: Predictions,
    truth: np.ndarray,
    kept: Grouping,
    training_truth: np.ndarray | None,
    rng: np.random.Generator,
) -> dict[str, Estimate]:
    classes = rows.task.classes
    counted = counting.exclusive_estimates(
        truth, rows.predicted, classes=classes, grouping=kept, rng=rng
    )
    source = truth if training_truth is None else training_truth
    majority = int(np.bincount(source, minlength=len(classes)).argmax())
    baseline = _baseline(
        truth == majority, kept, repr(encode_name(classes[majority])), training_truth
    )
    accuracy = counted.pop("accuracy")
    ranked = _class_scores(rows, truth, kept, rng)
    return {"accuracy": accuracy, "majority_accuracy": baseline, **counted, **ranked}


def _class_scores(
    rows: Predictions, truth: np.ndarray, kept: Grouping, rng: np.random.Generator
) -> dict[str, Estimate]:
    """Return what needs scores and not only answers, for one class a row."""
    classes, n = rows.task.classes, len(rows)
    binary = len(classes) == 2
    area = "roc_auc" if binary else "roc_auc_ovr_macro"
    names = [area, "average_precision_macro", "log_loss"]
    names += ["top_5_accuracy"] if len(classes) > _TOP else []
    if not rows.scored:
        return {name: undefined(_NO_SCORES, n=n) for name in names}
    members = truth[:, None] == np.arange(len(classes))
    found = _ranking(rows, members, kept, area=area, area_of_each=not binary)
    found["log_loss"] = mean_interval(log_losses(truth, rows.scores), grouping=kept, rng=rng)
    if len(classes) > _TOP:
        hits = in_top(truth, rows.scores, k=_TOP).astype(np.float64)
        found["top_5_accuracy"] = grouped_ratio(hits, np.ones(n), kept)
    return found


def _ranking(
    rows: Predictions, members: np.ndarray, kept: Grouping, *, area: str, area_of_each: bool
) -> dict[str, Estimate]:
    """Return ROC AUC and average precision: the mean over classes, and each class."""
    found = {}
    for name, mean_name, of_each, method, score in (
        ("roc_auc", area, area_of_each, "wilson-delong", ranking.roc_auc),
        (
            "average_precision",
            "average_precision_macro",
            True,
            "wilson-jackknife",
            ranking.average_precision,
        ),
    ):
        each = _each_class(score, members, rows.scores)
        # of two classes that exclude each other the ROC AUC is one and the same
        together = each[-1:] if name == "roc_auc" and not of_each else each
        missing = "no class has pictures on both sides"
        found[mean_name] = ranking.mean_estimate(
            together, grouping=kept, method=method, why=missing
        )
        for label, one in zip(rows.task.classes, each, strict=True):
            if of_each:
                found[f"{name}[{label}]"] = ranking.mean_estimate(
                    [one], grouping=kept, method=method, why=_one_sided(name)
                )
    return found


def _each_class(
    score: Callable[[np.ndarray, np.ndarray], ranking.Ranked | None],
    members: np.ndarray,
    scores: np.ndarray,
) -> list[ranking.Ranked | None]:
    return [score(members[:, k], scores[:, k]) for k in range(members.shape[1])]


def _one_sided(name: str) -> str:
    if name == "roc_auc":
        return "every picture or no picture is of this class"
    return "no picture of this class"


def _label_part(
    rows: Predictions,
    truth: np.ndarray,
    kept: Grouping,
    training_truth: np.ndarray | None,
    rng: np.random.Generator,
) -> dict[str, Estimate]:
    classes, n, predicted = rows.task.classes, len(rows), rows.predicted
    exact = (predicted == truth).all(axis=1).astype(np.float64)
    sets, how_often = np.unique(
        truth if training_truth is None else training_truth, axis=0, return_counts=True
    )
    usual = sets[how_often.argmax()]
    answer = repr(encode_name(LABEL_SEPARATOR.join(np.array(classes, object)[usual == 1])))
    found = {
        "accuracy_subset": grouped_ratio(exact, np.ones(n), kept),
        "majority_accuracy_subset": _baseline(
            (truth == usual).all(axis=1), kept, answer, training_truth
        ),
    }
    for name, values in samplewise(truth, predicted).items():
        key = name if name == "hamming_loss" else f"{name}_samples"
        found[key] = _mean_of_rows(values, kept)
    found |= counting.label_estimates(truth, predicted, classes=classes, grouping=kept, rng=rng)
    if not rows.scored:
        names = ("roc_auc_macro", "average_precision_macro", "log_loss_macro")
        return found | {name: undefined(_NO_SCORES, n=n) for name in names}
    found |= _ranking(rows, truth == 1, kept, area="roc_auc_macro", area_of_each=True)
    losses = log_losses(truth, rows.scores)
    return found | {"log_loss_macro": mean_interval(losses, grouping=kept, rng=rng)}


def _baseline(
    hits: np.ndarray, kept: Grouping, answer: str, training_truth: np.ndarray | None
) -> Estimate:
    """Return the accuracy of one constant answer, which its method names."""
    estimate = grouped_ratio(hits.astype(np.float64), np.ones(len(hits)), kept)
    place = "" if training_truth is not None else ", the most frequent of this part itself"
    return Estimate(
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        n=estimate.n,
        method=f"{estimate.method}; always answering {answer}{place}",
    )


def _mean_of_rows(values: np.ndarray, kept: Grouping) -> Estimate:
    """Return the mean of numbers between 0 and 1, one a row, NaN left out."""
    known = ~np.isnan(values)
    n = int(known.sum())
    if not n:
        return undefined("no row gives a value", n=0)
    value = float(values[known].mean())
    shrunk = (values[known].sum() + 0.5) / (n + 1)
    # half a pseudo-row at 0 and at 1 keeps some variance where all rows agree
    apart = np.where(known, np.nan_to_num(values) - value, 0) / n
    pseudo = (shrunk**2 + (1 - shrunk) ** 2) / 2 / n**2
    variance = kept.variance(apart) + float(pseudo)
    remark = f"; mean of {n} of {len(values)} rows" if n < len(values) else ""
    return proportion(
        value,
        effective=float(shrunk * (1 - shrunk)) / variance,
        n=n,
        method=f"wilson-jackknife{kept.suffix}{remark}",
        freedom=kept.freedom,
    )


def as_json(metrics: Metrics) -> dict[str, Any]:
    """Return the metrics as plain values for `metrics.json`; what is undefined becomes None."""
    return {
        part: {
            name: {
                "value": _number(one.value),
                "low": _number(one.low),
                "high": _number(one.high),
                "n": one.n,
                "method": one.method,
            }
            for name, one in estimates.items()
        }
        for part, estimates in metrics.items()
    }


def from_json(content: dict[str, Any]) -> Metrics:
    """Return the metrics that `as_json` was given.

    Raises:
        ArtefactError: E558, the content has another form.
    """
    try:
        return {
            part: {
                name: Estimate(
                    value=_value(one["value"]),
                    low=_value(one["low"]),
                    high=_value(one["high"]),
                    n=int(one["n"]),
                    method=str(one["method"]),
                )
                for name, one in estimates.items()
            }
            for part, estimates in content.items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtefactError(
            "Metrics must be {part: {metric: {value, low, high, n, method}}}; met something "
            f"else ({type(error).__name__}: {error}).",
            code="558",
            where="metrics.json",
            fix="let saccade write it again: saccade eval RUN",
        ) from error


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _value(number: float | None) -> float:
    return math.nan if number is None else float(number)
