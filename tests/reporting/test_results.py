import math

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from saccade.data.task import Task
from saccade.evaluation.predictions import Predictions
from saccade.reporting import results
from saccade.reporting.pictures import Album
from saccade.reporting.results import judge

TASK = Task(kind="multiclass", classes=("ant", "bee", "cow"))


def table(truth: list[int], answers: list[int], parts: list[str]) -> Predictions:
    scores = np.full((len(truth), 3), 0.1)
    scores[np.arange(len(truth)), answers] = 0.8
    return Predictions(
        task=TASK,
        paths=tuple(f"{k}.jpg" for k in range(len(truth))),
        hashes=tuple(f"{k}" for k in range(len(truth))),
        parts=tuple(parts),
        truth=np.array(truth),
        scores=scores,
    )


def album() -> Album:
    return Album(lambda path: None)


def test_only_the_test_part_is_looked_at() -> None:
    predictions = table([0, 0, 1], [1, 0, 2], ["train", "test", "test"])
    own = judge(predictions, metrics={}, album=album())
    assert own.confusion is not None
    assert own.confusion.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]
    assert [(m.picture.name, m.truth, m.prediction) for m in own.mistakes] == [
        ("2.jpg", "bee", "cow")
    ]


def test_the_pair_that_is_confused_most_comes_first_with_its_pictures() -> None:
    predictions = table([0, 0, 0, 1, 1], [1, 1, 0, 0, 1], ["test"] * 5)
    first, second = judge(predictions, metrics={}, album=album()).pairs
    assert (first.truth, first.prediction, first.count, first.num_truth) == ("ant", "bee", 2, 3)
    assert [p.name for p in first.pictures] == ["0.jpg", "1.jpg"]
    assert (second.truth, second.prediction, second.count) == ("bee", "ant", 1)


def test_a_mistake_shows_both_scores() -> None:
    (own,) = judge(table([0], [1], ["test"]), metrics={}, album=album()).mistakes
    assert (own.truth_score, own.score) == ("0.100", "0.800")


def test_without_predictions_nothing_is_judged() -> None:
    assert judge(None, metrics={}, album=album()).part == ""


def test_too_many_classes_for_a_matrix_still_show_mistakes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(results, "MAX_MATRIX_CLASSES", 2)
    own = judge(table([0], [1], ["test"]), metrics={}, album=album())
    assert own.confusion is None
    assert own.num_wrong == 1
    assert len(own.mistakes) == 1


def test_labels_that_were_missed_or_added_are_named() -> None:
    predictions = Predictions(
        task=Task(kind="multilabel", classes=("cat", "dog")),
        paths=("a.jpg", "b.jpg"),
        hashes=("1", "2"),
        parts=("test", "test"),
        truth=np.array([[1, 0], [0, 0]], np.uint8),
        scores=np.array([[0.1, 0.2], [0.3, 0.9]]),
    )
    first, second = judge(predictions, metrics={}, album=album()).mistakes
    assert {first.remark, second.remark} == {"cat missed, score 0.100", "dog added, score 0.900"}
    assert {first.truth, second.truth} == {"cat", "none of the labels"}


def numbers(off: list[float]) -> Predictions:
    """Answers that are off by so much, the truth being 0, 1, 2 …"""
    truth = np.arange(len(off), dtype=np.float64)
    return Predictions(
        task=Task(kind="regression", classes=(), target_mean=0.0, target_std=1.0),
        paths=tuple(f"{k}.jpg" for k in range(len(off))),
        hashes=tuple(f"{k}" for k in range(len(off))),
        parts=("test",) * len(off),
        truth=truth,
        scores=(truth + off)[:, None],
    )


@pytest.mark.parametrize(("n", "shown"), [(1, 1), (26, 6), (200, 24)])
def test_of_few_numbers_a_quarter_at_most_is_called_the_farthest_off(n: int, shown: int) -> None:
    """24 of 26 test pictures were shown as those with the largest residuals."""
    predictions = numbers([1.0 + k for k in range(n)])
    assert len(judge(predictions, metrics={}, album=album()).mistakes) == shown


def test_whether_answers_are_off_to_one_side_comes_with_an_interval_by_groups() -> None:
    off = [0.5, 0.1, 0.9, -0.3, 0.6, 0.2, 0.4, 0.7, 0.3, 0.1]
    alone = judge(numbers(off), metrics={}, album=album()).bias
    found = ttest_1samp(off, 0).confidence_interval()  # scipy's
    assert alone is not None
    assert (alone.low, alone.high) == pytest.approx((found.low, found.high))
    one = {f"{k}.jpg": "burst" for k in range(5)}
    together = judge(numbers(off), metrics={}, album=album(), group_of=one).bias
    assert together is not None
    assert math.isnan(together.low)  # six groups are too few to say it
