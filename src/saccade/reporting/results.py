"""How good and where wrong: the part that is judged, its confusions and its worst mistakes."""

from collections.abc import Mapping

import numpy as np

from saccade.evaluation.intervals import Estimate, grouping
from saccade.evaluation.mistakes import (
    Case,
    confusion_matrix,
    most_confused_pairs,
    worst_mistakes,
)
from saccade.evaluation.predictions import Predictions
from saccade.evaluation.recovery import mean_gain
from saccade.reporting.facts import LabelCount, Mistake, Pair, ResultFacts
from saccade.reporting.pictures import Album
from saccade.reporting.wording import decimals, joined_words, short

MAX_PAIRS = 6
MAX_PAIR_PICTURES = 5
MAX_MISTAKES = 24
MAX_MATRIX_CLASSES = 2_000  # a matrix of 2,000 classes takes 32 MB
JUDGES = ("test", "validation")


def judge(
    predictions: Predictions | None,
    *,
    metrics: Mapping[str, Mapping[str, Estimate]],
    album: Album,
    group_of: Mapping[str, str] | None = None,
) -> ResultFacts:
    """Return what the page says about the test part, or validation where there is no test.

    Without predictions, or without known labels, only the metrics are filled in.

    Args:
        predictions: the table; None where there is none yet.
        metrics: part -> name -> estimate.
        album: where pictures come from.
        group_of: the group of each path that has one; None = nothing belongs together.
    """
    parts = set(predictions.parts) if predictions is not None else set(metrics)
    part = next((name for name in JUDGES if name in parts), "")
    rows = predictions.rows(part) if predictions is not None and part else None
    if rows is None or rows.truth is None or not len(rows):
        return ResultFacts(part=part if part in metrics else "", metrics=metrics)
    is_wrong = (rows.truth != rows.predicted).reshape(len(rows), -1).any(axis=1)
    num_classes = len(rows.task.classes)
    has_classes = rows.task.kind in {"binary", "multiclass"} and num_classes <= MAX_MATRIX_CLASSES
    is_regression = rows.task.kind == "regression"
    return ResultFacts(
        part=part,
        metrics=metrics,
        has_answers=True,
        confusion=confusion_matrix(rows) if has_classes else None,
        pairs=_pairs(rows, album) if has_classes else (),
        mistakes=tuple(
            _mistake(case, rows, album) for case in worst_mistakes(rows, limit=_num_shown(rows))
        ),
        num_wrong=0 if is_regression else int(is_wrong.sum()),
        label_counts=_label_counts(rows) if rows.task.kind == "multilabel" else (),
        truth=np.asarray(rows.truth, np.float64) if is_regression else None,
        prediction=rows.predicted if is_regression else None,
        bias=_bias(rows, group_of or {}) if is_regression else None,
    )


def _num_shown(rows: Predictions) -> int:
    """Return how many mistakes are shown: of numbers, which are all off a little, the worst few."""
    if rows.task.kind != "regression":
        return MAX_MISTAKES
    return min(MAX_MISTAKES, max(1, len(rows) // 4))


def _bias(rows: Predictions, group_of: Mapping[str, str]) -> Estimate:
    """Return by how much answers are above the truth on average, with its 95 % interval."""
    groups = [group_of.get(path, "") for path in rows.paths]
    kept = grouping(groups if any(groups) else None, num_rows=len(rows))
    return mean_gain(rows.predicted, np.asarray(rows.truth), kept)


def _pairs(rows: Predictions, album: Album) -> tuple[Pair, ...]:
    truth, seen = np.asarray(rows.truth), rows.predicted
    place = {name: k for k, name in enumerate(rows.task.classes)}
    pairs = []
    for found in most_confused_pairs(rows, limit=MAX_PAIRS):
        a, b = place[found.truth], place[found.prediction]
        own = np.flatnonzero((truth == a) & (seen == b))
        surest = own[np.argsort(-rows.scores[own, b], kind="stable")][:MAX_PAIR_PICTURES]
        pairs.append(
            Pair(
                truth=found.truth,
                prediction=found.prediction,
                count=found.count,
                num_truth=found.of,
                pictures=tuple(album.picture(rows.paths[row]) for row in surest),
            )
        )
    return tuple(pairs)


def _mistake(case: Case, rows: Predictions, album: Album) -> Mistake:
    picture = album.picture(case.path)
    truth, seen = np.asarray(rows.truth)[case.row], rows.predicted[case.row]
    if rows.task.kind == "regression":
        off = float(seen - truth)
        return Mistake(
            picture=picture,
            truth=short(float(truth)),
            prediction=short(float(seen)),
            remark=f"off by {'+' if off > 0 else '−'}{short(abs(off))}",
        )
    if rows.task.kind == "multilabel":
        worst = int(np.abs(rows.scores[case.row] - truth).argmax())
        fault = "missed" if truth[worst] else "added"
        score = decimals(float(rows.scores[case.row, worst]))
        return Mistake(
            picture=picture,
            truth=_labels(rows.task.classes, truth),
            prediction=_labels(rows.task.classes, seen),
            remark=f"{rows.task.classes[worst]} {fault}, score {score}",
        )
    return Mistake(
        picture=picture,
        truth=case.truth,
        prediction=case.prediction,
        truth_score=decimals(case.truth_score) if rows.scored else "",
        score=decimals(case.score) if rows.scored else "",
    )


def _labels(names: tuple[str, ...], members_K: np.ndarray) -> str:
    return joined_words([names[k] for k in np.flatnonzero(members_K)]) or "none of the labels"


def _label_counts(rows: Predictions) -> tuple[LabelCount, ...]:
    truth, seen = np.asarray(rows.truth).astype(bool), rows.predicted.astype(bool)
    return tuple(
        LabelCount(
            label=name,
            found=int((truth[:, k] & seen[:, k]).sum()),
            missed=int((truth[:, k] & ~seen[:, k]).sum()),
            added=int((~truth[:, k] & seen[:, k]).sum()),
            absent=int((~truth[:, k] & ~seen[:, k]).sum()),
        )
        for k, name in enumerate(rows.task.classes)
    )
