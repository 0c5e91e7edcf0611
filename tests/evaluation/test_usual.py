"""One and the same answer, and whether a model is better: against scipy, and by simulation."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binomtest, ttest_1samp

from saccade.data.task import Task
from saccade.evaluation.predictions import Predictions
from saccade.evaluation.usual import beside_usual, is_better, usual_scores

Make = Callable[..., Predictions]


def two_ways(make_table: Make, said: np.ndarray) -> Predictions:
    """Return 50 pictures of each of two classes with these answers; the first is the usual one."""
    return make_table("binary", np.repeat([0, 1], 50), np.eye(2)[said])


def test_the_usual_answer_is_that_of_the_training_part(make_table: Make) -> None:
    table = make_table(
        "binary",
        [0, 0, 1, 1, 1, 0],
        [[0.9, 0.1]] * 3 + [[0.1, 0.9]] * 3,
        parts=["train", "train", "train", "test", "test", "test"],
    )
    assert beside_usual(table)["test"].more == 1  # 2 of 3 against 1 of 3, the class of the first
    assert beside_usual(table, whole=False)["test"].more == 0  # the test part's own is the second
    taught = np.array([1, 1])
    assert beside_usual(table, training_truth=taught)["test"].more == 0


def test_sets_of_labels_and_the_mean_are_usual_too() -> None:
    labels = Task(kind="multilabel", classes=("a", "b"))
    truth = np.array([[0, 1], [1, 1], [0, 1]], np.uint8)
    assert usual_scores(truth, labels).tolist() == [0.0, 1.0]
    number = Task(kind="regression", classes=())
    assert usual_scores(np.array([1.0, 2.0, 6.0]), number).tolist() == [3.0]


def test_classes_are_compared_by_mcnemars_exact_test(make_table: Make) -> None:
    table = two_ways(make_table, np.repeat([0, 1, 1, 0], [31, 19, 31, 19]))
    own = beside_usual(table)["test"]
    assert own.p == pytest.approx(binomtest(19, 50).pvalue)  # scipy
    assert not is_better(own)
    assert not is_better(None)


def test_numbers_are_compared_by_the_errors_of_the_same_pictures(make_table: Make) -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=50)
    said = 0.3 * truth + 0.3 * rng.normal(size=50)
    own = beside_usual(make_table("regression", truth, said[:, None]))["test"]
    fall = np.abs(said - truth) - np.abs(truth.mean() - truth)
    assert own.value == pytest.approx(fall.mean())
    assert own.p == pytest.approx(ttest_1samp(fall, 0).pvalue, rel=1e-6)  # scipy
    assert is_better(own)


@pytest.mark.slow
def test_a_model_that_guesses_is_rarely_called_better(make_table: Make) -> None:
    """Of 400 runs 8 on average; asked of the accuracy's interval alone it would be 38."""
    rng = np.random.default_rng(0)
    runs = [two_ways(make_table, rng.integers(2, size=100)) for _ in range(400)]
    claims = sum(is_better(beside_usual(run)["test"]) for run in runs)
    assert binomtest(claims, 400, 0.025, alternative="greater").pvalue > 0.01
