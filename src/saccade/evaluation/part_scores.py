"""The metrics of one part of a table, by the kind of task."""

from collections.abc import Callable

import numpy as np

from saccade.evaluation import counting, ranking
from saccade.evaluation.intervals import (
    Estimate,
    Grouping,
    grouped_ratio,
    mean_share,
    undefined,
)
from saccade.evaluation.metrics import in_top, log_losses, samplewise
from saccade.evaluation.predictions import LABEL_SEPARATOR, Predictions
from saccade.evaluation.regression import regression_estimates
from saccade.evaluation.resampling import mean_interval
from saccade.evaluation.tally import tally
from saccade.evaluation.usual import usual_scores
from saccade.runtime.seeds import generator
from saccade.runtime.store import encode_name, quoted

_TOP = 5
_NO_SCORES = "the table holds answers and no scores"


def part_estimates(
    rows: Predictions,
    kept: Grouping,
    training_truth: np.ndarray | None,
    seed: int,
) -> dict[str, Estimate]:
    """Return every metric of the rows by name; nothing where no labels or no rows are there.

    Args:
        rows: the rows of one part.
        kept: which rows belong together.
        training_truth: for the baselines; None: taken from the rows themselves.
        seed: of the bootstrap; the same numbers have the same interval wherever they stand.
    """
    truth = rows.truth
    if truth is None or not len(rows):
        return {}
    if rows.task.kind == "regression":
        return regression_estimates(
            truth, rows.predicted, training_truth=training_truth, grouping=kept, seed=seed
        )
    if rows.task.kind == "multilabel":
        return _label_part(rows, truth, kept, training_truth, seed)
    return _class_part(rows, truth, kept, training_truth, seed)


def _class_part(
    rows: Predictions,
    truth: np.ndarray,
    kept: Grouping,
    training_truth: np.ndarray | None,
    seed: int,
) -> dict[str, Estimate]:
    classes = rows.task.classes
    rng = generator(seed, "intervals", rows.parts[0])
    counted = counting.exclusive_estimates(
        truth, rows.predicted, classes=classes, grouping=kept, rng=rng
    )
    source = truth if training_truth is None else training_truth
    majority = int(usual_scores(source, rows.task).argmax())
    baseline = _baseline(truth == majority, kept, quoted(classes[majority]), training_truth)
    accuracy = counted.pop("accuracy")
    ranked = _class_scores(rows, truth, kept, seed)
    return {"accuracy": accuracy, "majority_accuracy": baseline, **counted, **ranked}


def _class_scores(
    rows: Predictions, truth: np.ndarray, kept: Grouping, seed: int
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
    found["log_loss"] = mean_interval(log_losses(truth, rows.scores), grouping=kept, seed=seed)
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
    seed: int,
) -> dict[str, Estimate]:
    classes, n, predicted = rows.task.classes, len(rows), rows.predicted
    exact = (predicted == truth).all(axis=1).astype(np.float64)
    usual = usual_scores(truth if training_truth is None else training_truth, rows.task)
    names = [encode_name(name) for name, own in zip(classes, usual, strict=True) if own]
    answer = f"'{LABEL_SEPARATOR.join(names)}'" if names else "no label"
    found = {
        "accuracy_subset": grouped_ratio(exact, np.ones(n), kept),
        "majority_accuracy_subset": _baseline(
            (truth == usual).all(axis=1), kept, answer, training_truth
        ),
    }
    for name, values in samplewise(truth, predicted).items():
        key = name if name == "hamming_loss" else f"{name}_samples"
        found[key] = mean_share(values, kept)
    rng = generator(seed, "intervals", rows.parts[0])
    found |= counting.label_estimates(truth, predicted, classes=classes, grouping=kept, rng=rng)
    found["f1_micro"] = tally(truth, predicted, rows.task).estimate(kept, seed=seed)
    if not rows.scored:
        missing = ("roc_auc_macro", "average_precision_macro", "log_loss_macro")
        return found | {name: undefined(_NO_SCORES, n=n) for name in missing}
    found |= _ranking(rows, truth == 1, kept, area="roc_auc_macro", area_of_each=True)
    losses = log_losses(truth, rows.scores)
    return found | {"log_loss_macro": mean_interval(losses, grouping=kept, seed=seed)}


def _baseline(
    hits: np.ndarray, kept: Grouping, answer: str, training_truth: np.ndarray | None
) -> Estimate:
    """Return the accuracy of one constant answer, which its method names."""
    estimate = grouped_ratio(hits.astype(np.float64), np.ones(len(hits)), kept)
    place = "" if training_truth is not None else " (the most frequent of this part itself)"
    return Estimate(
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        n=estimate.n,
        method=f"{estimate.method}; always answering {answer}{place}",
    )
