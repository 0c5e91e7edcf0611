"""Losses and scores, against torch's own functions and closed forms."""

import math

import numpy as np
import pytest
import torch

from saccade.data.task import Task
from saccade.evaluation.intervals import wilson
from saccade.training.objective import (
    Judgement,
    batch_targets,
    class_weights_of,
    interval_of,
    judge,
    loss_of_knowing_nothing,
    picture_losses,
    training_loss,
)

THREE = Task(kind="multiclass", classes=("a", "b", "c"))
TWO = Task(kind="binary", classes=("a", "b"))
LABELS = Task(kind="multilabel", classes=("x", "y"))
NUMBER = Task(kind="regression", classes=(), target_mean=10.0, target_std=2.0)


def test_binary_with_one_neuron_equals_two_class_cross_entropy() -> None:
    """σ(z) is the softmax of (0, z), so both losses must be the same."""
    z = torch.tensor([[0.3], [-1.2], [2.0]])
    truth = np.array([1, 0, 0])
    one = training_loss(z, batch_targets(truth, task=TWO, device="cpu"), task=TWO)
    two = torch.nn.functional.cross_entropy(
        torch.cat([torch.zeros_like(z), z], dim=1), torch.from_numpy(truth)
    )
    assert float(one) == pytest.approx(float(two), abs=1e-6)


@pytest.mark.parametrize("task", [THREE, TWO])
def test_balanced_weights_make_each_class_weigh_the_same(task: Task) -> None:
    truth = np.array([0] * 8 + [1] * 2)
    weights = class_weights_of(truth, task=task, kind="balanced")
    assert weights is not None
    assert 8 * weights[0] == pytest.approx(2 * weights[1])  # and an unseen class weighs nothing
    assert weights[truth].mean() == pytest.approx(1)
    assert class_weights_of(truth, task=task, kind="none") is None


def test_weighted_binary_loss_is_the_weighted_mean() -> None:
    z, truth = torch.tensor([[0.0], [0.0], [1.0]]), np.array([0, 0, 1])
    loss = training_loss(
        z,
        batch_targets(truth, task=TWO, device="cpu"),
        task=TWO,
        class_weights=torch.tensor([0.5, 2.0]),
    )
    by_hand = (0.5 * math.log(2) * 2 + 2 * math.log(1 + math.exp(-1))) / 3
    assert float(loss) == pytest.approx(by_hand, abs=1e-6)


def test_smoothing_of_one_neuron_equals_smoothing_of_two() -> None:
    z, truth = torch.tensor([[0.7], [-0.4]]), np.array([1, 0])
    one = training_loss(z, batch_targets(truth, task=TWO, device="cpu"), task=TWO, smoothing=0.2)
    two = torch.nn.functional.cross_entropy(
        torch.cat([torch.zeros_like(z), z], dim=1), torch.from_numpy(truth), label_smoothing=0.2
    )
    assert float(one) == pytest.approx(float(two), abs=1e-6)


def test_regression_learns_the_standardised_target_and_is_judged_in_its_unit() -> None:
    wanted = batch_targets(np.array([12.0, 8.0]), task=NUMBER, device="cpu")
    assert wanted.tolist() == [[1.0], [-1.0]]
    found = judge(np.array([[1.0], [0.0]], np.float32), np.array([12.0, 8.0]), task=NUMBER)
    assert found.name == "negative_rmse"
    assert found.score == pytest.approx(-math.sqrt((0**2 + 2**2) / 2))


def test_labels_are_judged_by_f1_over_all_of_them() -> None:
    logits = np.array([[2.0, -1.0], [1.0, 1.0]], np.float32)
    found = judge(logits, np.array([[1, 1], [0, 1]], np.uint8), task=LABELS)
    assert (found.name, found.score) == ("f1_micro", pytest.approx(2 * 2 / (3 + 3)))


def test_classes_are_judged_by_accuracy() -> None:
    found = judge(np.eye(3, dtype=np.float32)[[0, 1, 1]], np.array([0, 1, 2]), task=THREE)
    assert (found.name, found.score) == ("accuracy", pytest.approx(2 / 3))


def test_without_pictures_nothing_is_claimed() -> None:
    found = judge(np.zeros((0, 3), np.float32), np.zeros(0, np.int64), task=THREE)
    assert math.isnan(found.score)
    assert math.isnan(found.loss)


@pytest.mark.parametrize(
    ("score", "loss", "better"),
    [(0.91, 0.9, True), (0.89, 0.1, False), (0.9, 0.4, True), (0.9, 0.5, False)],
)
def test_the_score_decides_and_the_loss_breaks_ties(
    score: float, loss: float, better: bool
) -> None:
    before = Judgement(loss=0.5, score=0.9, name="accuracy")
    assert (
        Judgement(loss=loss, score=score, name="accuracy").beats(before, tolerance=1e-4) is better
    )


def test_what_is_not_a_number_never_wins() -> None:
    nothing = Judgement(loss=math.nan, score=math.nan, name="accuracy")
    assert not nothing.beats(Judgement(loss=9.0, score=0.1, name="accuracy"), tolerance=0)


# --- what a rung is judged by --------------------------------------------------------------------


def answers(task: Task, *, sure: float, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Return logits_NK that lean towards the truth, by `sure`, and the truth."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, (n, task.num_outputs))
    if task.kind == "multiclass":
        truth = rng.integers(len(task.classes), size=n)
        lean = np.eye(len(task.classes))[truth]
    else:
        truth = rng.integers(2, size=n if task.kind == "binary" else (n, task.num_outputs))
        lean = 2.0 * truth.reshape(n, -1) - 1
    return (noise + sure * lean).astype(np.float32), truth


@pytest.mark.parametrize("task", [THREE, TWO, LABELS])
@pytest.mark.parametrize("sure", [-1.0, 0.0, 1.0, 4.0, 50.0])  # 50: every answer is right
@pytest.mark.parametrize("log_factor", [-2, -0.5, 2])
def test_how_large_logits_are_changes_no_loss(task: Task, sure: float, log_factor: float) -> None:
    logits, truth = answers(task, sure=sure)
    scaled = logits * np.float32(math.exp(log_factor))
    np.testing.assert_allclose(
        picture_losses(scaled, truth, task=task),
        picture_losses(logits, truth, task=task),
        atol=1e-4,
    )


def test_without_the_factor_it_would_negative_control() -> None:
    logits, truth = answers(THREE, sure=1.0)
    plain = [
        torch.nn.functional.cross_entropy(torch.from_numpy(own), torch.from_numpy(truth))
        for own in (logits, logits * 5)
    ]
    assert abs(float(plain[0] - plain[1])) > 0.5


def test_the_losses_are_those_at_the_temperature_that_suits_best() -> None:
    """scipy's Brent search over torch's own loss is the second source."""
    from scipy.optimize import minimize_scalar

    logits, truth = answers(THREE, sure=2.0)

    def loss(log_factor: float) -> float:
        scaled = torch.from_numpy(logits).double() * math.exp(log_factor)
        return float(torch.nn.functional.cross_entropy(scaled, torch.from_numpy(truth)))

    best = minimize_scalar(loss).fun
    assert picture_losses(logits, truth, task=THREE).mean() == pytest.approx(best, abs=1e-6)


def test_a_picture_has_one_loss_however_many_labels_it_has() -> None:
    logits, truth = answers(LABELS, sure=1.0)
    assert picture_losses(logits, truth, task=LABELS).shape == (60,)


def test_a_number_is_judged_by_its_squared_error_in_standard_deviations() -> None:
    found = picture_losses(np.array([[1.0], [0.0]], np.float32), np.array([12.0, 8.0]), task=NUMBER)
    assert found.tolist() == [0, 1]


@pytest.mark.parametrize("task", [THREE, TWO, LABELS])
def test_who_knows_nothing_has_the_loss_of_undecided_logits(task: Task) -> None:
    _, truth = answers(task, sure=0.0)
    undecided = np.zeros((len(truth), task.num_outputs), np.float32)
    assert judge(undecided, truth, task=task).loss == pytest.approx(loss_of_knowing_nothing(task))


def test_who_knows_nothing_of_a_number_says_its_mean() -> None:
    targets = np.array([8.0, 12.0])  # mean 10, standard deviation 2, as in the task
    found = judge(np.zeros((2, 1), np.float32), targets, task=NUMBER)
    assert found.loss == pytest.approx(loss_of_knowing_nothing(NUMBER))


def test_the_interval_of_a_validation_score_counts_groups() -> None:
    task = Task(kind="binary", classes=("a", "b"))
    wanted = np.array([0, 1] * 40)
    logits = (
        np.where(np.arange(80) < 60, 1, -1)[:, None] * np.where(wanted == 1, 3.0, -3.0)[:, None]
    )
    alone = interval_of(logits, wanted, None, task=task)
    right = wilson(60, 80)
    assert (alone["validation_low"], alone["validation_high"]) == (right.low, right.high)
    frames = interval_of(logits, wanted, [f"video {k // 10}" for k in range(80)], task=task)
    assert frames["validation_low"] is not None
    assert frames["validation_low"] < right.low - 0.05


def test_numbers_that_are_not_finite_have_no_interval() -> None:
    task = Task(kind="regression", classes=())
    found = interval_of(np.full((4, 1), np.nan), np.ones(4), None, task=task)
    assert found == {"validation_low": None, "validation_high": None}


def test_the_interval_of_an_error_lies_around_the_score_that_is_recorded_negative() -> None:
    task = Task(kind="regression", classes=())
    rng = np.random.default_rng(0)
    wanted = rng.standard_normal(60)
    logits = (wanted + rng.standard_normal(60))[:, None]
    found = interval_of(logits, wanted, None, task=task)
    assert (
        found["validation_low"] < judge(logits, wanted, task=task).score < found["validation_high"]
    )
