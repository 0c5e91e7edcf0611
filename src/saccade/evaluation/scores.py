"""Every metric of a prediction table, each with its interval, and what they say in words."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from saccade.data.split import PARTS
from saccade.data.task import Task
from saccade.evaluation.difference import Difference, p_text, readable_score
from saccade.evaluation.digits import decimals, is_share, with_interval
from saccade.evaluation.intervals import Estimate, grouping
from saccade.evaluation.part_scores import part_estimates
from saccade.evaluation.predictions import Predictions
from saccade.evaluation.usual import is_better, taught_truth
from saccade.runtime.errors import ArtefactError

Metrics = dict[str, dict[str, Estimate]]
SCORE_NAMES = {"negative_rmse": "RMSE", "f1_micro": "F1 (micro)"}
"What validation judges by, where its name in the files is not the one to read."
_FEW = 30  # pictures; below, one of them moves a share by more than 0.03


def evaluate(
    predictions: Predictions,
    *,
    seed: int = 0,
    groups: Sequence[str] | None = None,
    training_truth: np.ndarray | None = None,
    whole: bool = True,
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
            no rows of it, or only some. Without either, the part itself says what is most
            frequent, and the baseline's method says so.
        whole: whether the table's rows of the training part are all that taught the model; if
            not, no baseline rests on them.

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
    training_truth = taught_truth(predictions, training_truth, whole=whole)
    metrics: Metrics = {}
    for part in sorted(set(predictions.parts), key=_place):
        rows = [row for row, own in enumerate(predictions.parts) if own == part]
        own_groups = None if names is None else [str(names[row]) for row in rows]
        metrics[part] = part_estimates(
            predictions.take(rows),
            grouping(own_groups, num_rows=len(rows)),
            training_truth,
            seed,
        )
    return metrics


def _place(part: str) -> tuple[int, str]:
    return (PARTS.index(part) if part in PARTS else len(PARTS), part)


def headline(
    metrics: Metrics, task: Task, apart: Mapping[str, Difference], *, of_run: bool = True
) -> str:
    """Return what the main number, its interval and the baseline mean, in plain words.

    The test part is spoken of; without one the validation part, else any other, and the text
    says what that number cannot tell.

    Args:
        metrics: of each part, as `evaluate` returns them.
        task: the kind of answer.
        apart: of each part, how much better than the baseline, as `beside_usual` returns it.
        of_run: whether the parts are those of the model's run; what pictures in other parts
            taught it, nobody knows.

    >>> from saccade.evaluation.intervals import wilson
    >>> from saccade.evaluation.paired import compare_answers
    >>> from dataclasses import replace
    >>> usual = replace(wilson(40, 200), method="wilson; always answering 'daisy'")
    >>> found = {"test": {"accuracy": wilson(184, 200), "majority_accuracy": usual}}
    >>> flowers = Task(kind="multiclass", classes=("daisy", "rose", "tulip"))
    >>> truth = np.repeat([0, 1, 2], [40, 80, 80])
    >>> apart = {"test": compare_answers(truth, truth * 0, np.append(truth[:-16], [0] * 16))}
    >>> print(headline(found, flowers, apart))  # doctest: +NORMALIZE_WHITESPACE
    Of 200 test pictures 184 were named rightly: accuracy 0.920 [0.874, 0.952]; always
    answering 'daisy' would have 0.200.
    """
    part = next((name for name in ("test", "validation", *metrics) if metrics.get(name)), None)
    if part is None:
        return "There are no labelled pictures to judge the model on: how good it is, is unknown."
    estimates = metrics[part]
    if task.kind == "regression":
        said = _regression_words(estimates, part, apart.get(part))
    else:
        several = task.kind == "multilabel"
        said = _share_words(estimates, part, apart.get(part), several=several)
    warning = {
        "validation": " There is no test part. The validation pictures helped to choose the "
        "model, so this number may flatter it.",
        "train": " There is no test part. The model has learned these very pictures, so this "
        "number says nothing about new ones.",
    }
    return said + (warning.get(part, "") if of_run else "")


def _share_words(
    estimates: dict[str, Estimate], part: str, apart: Difference | None, *, several: bool
) -> str:
    name = "accuracy_subset" if several else "accuracy"
    share, usual = estimates[name], estimates[f"majority_{name}"]
    right = round(share.value * share.n)
    what = "had every label right" if several else "named rightly"
    were = "" if several else ("was " if right == 1 else "were ")
    baseline = usual.method.partition("; ")[2] or "always answering the most frequent class"
    text = (
        f"Of {share.n} {part} picture{'s' * (share.n != 1)} {right} {were}{what}: "
        f"{'subset ' * several}accuracy {_interval(share)}; {baseline} would have "
        f"{decimals(usual.value)}."
    )
    if several and math.isfinite(estimates["f1_macro"].value):
        text += f" The mean F1 of the labels is {_interval(estimates['f1_macro'])}."
    text += _not_shown(apart)
    if share.n < _FEW:
        text += (
            f" With {share.n} picture{'s' * (share.n != 1)} one more mistake moves this number "
            f"by {1 / share.n:.3f}; nothing finer than the interval can be said."
        )
    return text


def _not_shown(apart: Difference | None) -> str:
    """Return that the model is worse or may be no better than the baseline; empty where better."""
    if is_better(apart):
        return ""
    known = apart is not None and math.isfinite(apart.p)
    p = f" ({p_text(apart.p)}, on the same pictures)" if apart is not None and known else ""
    if apart is not None and apart.beyond_chance:
        return f" The model does worse than that one answer{p}."
    return f" It is not shown that the model does better than that one answer{p}."


def _regression_words(estimates: dict[str, Estimate], part: str, apart: Difference | None) -> str:
    mae, usual, r2 = estimates["mae"], estimates["mean_baseline_mae"], estimates["r2"]
    baseline = usual.method.partition("; ")[2] or "always answering the mean"
    text = (
        f"On {mae.n} {part} picture{'s' * (mae.n != 1)} the answers are off by "
        f"{decimals(mae.value, share=False)} on average: mean absolute error "
        f"{_interval(mae, share=False)}; {baseline} would be off by "
        f"{decimals(usual.value, share=False)}."
    )
    if r2.value >= 0:
        text += f" Of the variance {r2.value:.0%} is explained: R² {_interval(r2, share=False)}."
    text += _not_shown(apart)
    if mae.n < _FEW:
        text += f" {mae.n} picture{'s' * (mae.n != 1)} {'are' if mae.n != 1 else 'is'} few."
    return text


def _interval(one: Estimate, *, share: bool = True) -> str:
    if math.isnan(one.low):
        return f"{decimals(one.value, share=share)} (no interval from so few pictures)"
    return with_interval(one.value, one.low, one.high, share=share)


def score_told(name: str, score: float, *ends: float) -> str:
    """Return a validation score in words, as `readable_score` has it.

    Args:
        name: as the history has it.
        score: in the unit of the target where it is an error.
        ends: the low and the high end of its interval, where there is one.

    >>> score_told("negative_rmse", -1.662), score_told("accuracy", 0.9, 0.8, 0.95)
    ('RMSE 1.662', 'accuracy 0.900 [0.800, 0.950]')
    """
    shown = [readable_score(score, name), *sorted(readable_score(end, name) for end in ends)]
    value, *told = (decimals(number, share=is_share(name)) for number in shown)
    between = f" [{', '.join(told)}]" if told else ""
    return f"{SCORE_NAMES.get(name, name)} {value}{between}"


def as_json(metrics: Metrics) -> dict[str, Any]:
    """Return the metrics as plain values for `metrics.json`; what is undefined becomes None."""
    return {
        part: {name: one.as_dict() for name, one in estimates.items()}
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


def _value(number: float | None) -> float:
    return math.nan if number is None else float(number)
