"""Convex problems minimised side by side, against scipy's solver one by one."""

import numpy as np
import pytest
from scipy.optimize import minimize

from saccade.data.task import Task
from saccade.training import convex
from saccade.training.head import fit_head
from saccade.training.side_by_side import Objective, minimise


def logistic(num_problems: int, penalty: float = 0.01) -> tuple[Objective, int]:
    """Return problems of logistic regression, each on rows of its own, and their width."""
    rng = np.random.default_rng(0)
    x_BNP = rng.standard_normal((num_problems, 60, 8)) * np.linspace(0.1, 1, 8)
    signs_BN = np.where(x_BNP[..., 0] * 9 + rng.standard_normal((num_problems, 60)) > 0, 1, -1)

    def objective(points_BP: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        margins_BN = signs_BN * np.einsum("bnp,bp->bn", x_BNP, points_BP)
        losses_B = np.logaddexp(0, -margins_BN).mean(axis=1)
        slope_BN = -signs_BN / (1 + np.exp(margins_BN)) / margins_BN.shape[1]
        gradients_BP = np.einsum("bnp,bn->bp", x_BNP, slope_BN) + penalty * points_BP
        return losses_B + 0.5 * penalty * (points_BP**2).sum(axis=1), gradients_BP

    return objective, 8


def test_each_problem_ends_where_it_would_alone() -> None:
    objective, width = logistic(4)
    found_BP = minimise(objective, np.zeros((4, width)), tolerance=1e-14, most_steps=500)

    def one(flat: np.ndarray, number: int) -> tuple[float, np.ndarray]:
        values_B, gradients_BP = objective(np.tile(flat, (4, 1)))
        return float(values_B[number]), gradients_BP[number]

    for number, own in enumerate(found_BP):
        alone = minimize(one, np.zeros(width), args=(number,), jac=True, tol=1e-14)
        np.testing.assert_allclose(own, alone.x, atol=1e-5)


def test_steps_that_are_far_too_long_are_shortened() -> None:
    """The scale of the variables asks for steps a thousand times too long."""
    curvatures_BP = np.array([[1e3, 1.0], [1.0, 1.0]])

    def objective(points_BP: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gradients_BP = curvatures_BP * (points_BP - 1)
        return 0.5 * (gradients_BP * (points_BP - 1)).sum(axis=1), gradients_BP

    found_BP = minimise(objective, np.zeros((2, 2)), tolerance=1e-14, most_steps=50)
    np.testing.assert_allclose(found_BP, 1, atol=1e-6)


def test_values_that_are_not_finite_are_stepped_back_from_and_harm_no_other_problem() -> None:
    def objective(points_BP: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with np.errstate(invalid="ignore", divide="ignore"):  # the first is minus a logarithm
            walls_B = 5 * points_BP[:, 0] - np.log(points_BP[:, 0])
            walls_BP = 5 - 1 / points_BP
        plain_B, plain_BP = 0.5 * ((points_BP - 3) ** 2).sum(axis=1), points_BP - 3
        first_B = np.arange(2) == 0
        values_B = np.where(first_B, walls_B, plain_B)
        return values_B, np.where(first_B[:, None], walls_BP, plain_BP)

    found_BP = minimise(objective, np.full((2, 1), 1.0), tolerance=1e-14, most_steps=100)
    np.testing.assert_allclose(found_BP[:, 0], [0.2, 3.0], atol=1e-5)


def test_a_problem_that_is_solved_already_stays_to_the_last_bit() -> None:
    objective, width = logistic(2)
    best_BP = minimise(objective, np.zeros((2, width)), tolerance=1e-15, most_steps=500)
    start_BP = np.stack([best_BP[0], np.zeros(width)])
    found_BP = minimise(
        objective, start_BP, tolerance=1e-12, gradient_tolerance=1e-5, most_steps=500
    )
    np.testing.assert_array_equal(found_BP[0], best_BP[0])
    np.testing.assert_allclose(found_BP[1], best_BP[1], atol=1e-3)


@pytest.mark.parametrize("kind", ["multiclass", "binary", "multilabel", "regression"])
def test_a_head_has_the_same_bits_on_one_core_and_on_three(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    features = rng.standard_normal((400, 30)).astype(np.float32)
    answers = {
        "multiclass": (rng.integers(0, 3, 400), ("a", "b", "c")),
        "binary": (rng.integers(0, 2, 400), ("a", "b")),
        "multilabel": (rng.integers(0, 2, (400, 2)).astype(np.uint8), ("a", "b")),
        "regression": (rng.standard_normal(400), ()),
    }
    targets, classes = answers[kind]
    task = Task(kind=kind, classes=classes)
    monkeypatch.setattr(convex, "_WORTH_A_THREAD", 2_000)
    heads = []
    for cores in (1, 3):
        monkeypatch.setattr(convex, "num_cores", lambda cores=cores: cores)
        heads.append(fit_head(features, targets, task=task, seed=0))
    np.testing.assert_array_equal(heads[0].weight_KD, heads[1].weight_KD)
    assert heads[0].candidates == heads[1].candidates
