"""Rows E3 and E5: what was sharpened is found again, by the same number as other programs find."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from tests.evaluation.populations import MULTICLASS, TASKS, draw

from saccade.data.task import Kind
from saccade.evaluation import calibration
from saccade.evaluation.calibration import (
    FEWEST,
    Calibration,
    fit_calibration,
    rising,
    temperature,
    uncalibrated,
)
from saccade.evaluation.held import Held
from saccade.evaluation.metrics import log_losses
from saccade.evaluation.reliability import reliability

CLASSES: tuple[Kind, ...] = ("multiclass", "binary", "multilabel")
NONE = uncalibrated("")


def bent(own: Held) -> Held:
    """Return pictures whose scores are wrong in a way that no temperature mends."""
    size = np.abs(own.logits_NK)
    return replace(own, logits_NK=np.sign(own.logits_NK) * size**3 / 10)


class TestRowE3:
    @pytest.mark.parametrize("sharpened", [0.3, 3.0])
    @pytest.mark.parametrize("kind", CLASSES)
    def test_a_temperature_is_recovered_within_5_percent(
        self, kind: Kind, sharpened: float
    ) -> None:
        found = fit_calibration(draw(6_000, kind=kind, sharpened=sharpened), seed=0)
        assert found.temperature == pytest.approx(sharpened, rel=0.05)

    @pytest.mark.parametrize("sharpened", [0.3, 3.0])
    @pytest.mark.parametrize("kind", CLASSES)
    def test_new_pictures_have_a_smaller_error_than_before(
        self, kind: Kind, sharpened: float
    ) -> None:
        found = fit_calibration(draw(1_000, kind=kind, sharpened=sharpened), seed=0)
        new = draw(2_000, kind=kind, sharpened=sharpened, seed=1, part="test", first_row=10_000)
        before, after = (reliability(new, one, seed=0).error for one in (NONE, found))
        assert after.value <= before.value
        assert after.high < before.low  # and surely so
        assert after.low == 0

    @pytest.mark.parametrize("kind", CLASSES)
    def test_the_answer_is_unchanged(self, kind: Kind) -> None:
        own = draw(500, kind=kind, sharpened=3.0)
        curve = fit_calibration(bent(draw(3_000, kind=kind)), seed=0)
        assert curve.kind == "isotonic"
        for found in (fit_calibration(own, seed=0), curve):
            before, after = (one.scores(own.logits_NK, task=own.task) for one in (NONE, found))
            if kind == "multilabel":
                assert ((after > 0.5) == (before > 0.5)).all()
            else:
                assert (after.argmax(axis=1) == before.argmax(axis=1)).all()
                np.testing.assert_allclose(after.sum(axis=1), 1)

    def test_the_order_of_all_classes_is_unchanged(self) -> None:
        own = bent(draw(400, seed=2))
        curve = fit_calibration(bent(draw(3_000)), seed=0)
        found = curve.scores(own.logits_NK, task=own.task)
        expected = np.argsort(own.logits_NK, axis=1)
        assert (np.argsort(found, axis=1, kind="stable") == expected).all()


class TestRowE5:
    @pytest.mark.parametrize("kind", CLASSES)
    @pytest.mark.parametrize("pseudo", [0.0, 1.0])
    def test_the_temperature_is_scipys_minimum(self, kind: Kind, pseudo: float) -> None:
        """On 204 random cases in all; the objective is written out here a second time."""
        for case in range(34):
            own = draw(40, kind=kind, seed=case, sharpened=float(np.exp(case % 5 - 2)))
            options, truth = own.logits_NK.astype(np.float64), own.targets
            if kind != "multiclass":
                options = np.stack([np.zeros(options.size), options.ravel()], axis=1)
                truth = truth.ravel().astype(int)
            best_false = [np.delete(row, t).max() for row, t in zip(options, truth, strict=True)]
            wanted = options[np.arange(len(truth)), truth] + pseudo / 40 * np.array(best_false)

            def loss(
                log_t: float, options: np.ndarray = options, wanted: np.ndarray = wanted
            ) -> float:
                scaled = options / np.exp(log_t)
                return float(
                    (1 + pseudo / 40) * logsumexp(scaled, axis=1).mean()
                    - (wanted / np.exp(log_t)).mean()
                )

            oracle = minimize_scalar(
                loss, bounds=(-7, 7), method="bounded", options={"xatol": 1e-9}
            )
            found = temperature(own.logits_NK, own.targets, task=own.task, pseudo=pseudo)
            assert loss(np.log(found)) <= oracle.fun + 1e-12
            if abs(oracle.x) < 4:  # where there is a minimum inside
                assert np.log(found) == pytest.approx(oracle.x, abs=1e-6)

    def test_the_scores_are_those_of_scikit_learns_temperature(self) -> None:
        from sklearn.base import BaseEstimator, ClassifierMixin
        from sklearn.calibration import CalibratedClassifierCV
        from sklearn.frozen import FrozenEstimator

        class Logits(ClassifierMixin, BaseEstimator):
            """Says of a picture what is given as its features."""

            classes_ = np.arange(5)
            n_features_in_ = 5

            def __sklearn_is_fitted__(self) -> bool:
                return True

            def fit(self, *_: object) -> "Logits":
                return self

            def decision_function(self, logits_NK: np.ndarray) -> np.ndarray:
                return logits_NK

            def predict(self, logits_NK: np.ndarray) -> np.ndarray:
                return logits_NK.argmax(axis=1)

        own = draw(300, sharpened=2.0)
        oracle = CalibratedClassifierCV(FrozenEstimator(Logits()), method="temperature")
        oracle.fit(own.logits_NK.astype(np.float64), own.targets)
        mine = Calibration(
            kind="temperature",
            temperature=temperature(own.logits_NK, own.targets, task=own.task, pseudo=0.0),
        )
        np.testing.assert_allclose(
            mine.scores(own.logits_NK, task=own.task),
            oracle.predict_proba(own.logits_NK.astype(np.float64)),
            atol=1e-6,
        )

    def test_the_curve_is_scikit_learns_isotonic_regression(self) -> None:
        from sklearn.isotonic import IsotonicRegression

        rng = np.random.default_rng(0)
        for _ in range(200):
            scores = rng.integers(0, 30, 60) / 29  # with ties
            truth = (rng.random(60) < scores**2).astype(float)
            oracle = IsotonicRegression(out_of_bounds="clip").fit(scores, truth)
            knots, values = rising(scores, truth)
            places = rng.random(50)
            np.testing.assert_allclose(
                np.interp(places, knots, values), oracle.predict(places), atol=1e-6
            )


class TestTemperature:
    @given(
        factor=st.floats(0.01, 100),
        shift=st.floats(-50, 50),
        seed=st.integers(0, 1_000),
    )
    @settings(max_examples=30, deadline=None)
    def test_it_grows_with_the_logits_and_ignores_what_is_added_to_all(
        self, factor: float, shift: float, seed: int
    ) -> None:
        own = draw(60, seed=seed)
        first = temperature(own.logits_NK, own.targets, task=own.task)
        moved = own.logits_NK.astype(np.float64) * factor + shift
        found = temperature(moved, own.targets, task=own.task)
        assert found == pytest.approx(factor * first, rel=1e-6)

    def test_a_part_without_a_mistake_is_no_proof_that_there_are_none(self) -> None:
        """With n right answers of equal sureness: n / (n + 1), as if one more had been wrong."""
        own = draw(99)
        logits = np.full((99, 5), -50.0)
        logits[:, 0], logits[:, 1] = 10.0, 0.0
        right = replace(own, logits_NK=logits, targets=np.zeros(99, np.int64))
        scores = fit_calibration(right, seed=0).scores(logits, task=own.task)
        assert scores[0, 0] == pytest.approx(0.99, abs=1e-4)  # n / (n + 1)

    def test_without_the_pseudo_picture_it_would_be_negative_control(self) -> None:
        logits = np.tile([10.0, 0.0, -50.0, -50.0, -50.0], (99, 1))
        found = temperature(logits, np.zeros(99, np.int64), task=MULTICLASS, pseudo=0.0)
        assert MULTICLASS.scores(logits / found)[0, 0] > 1 - 1e-9

    def test_a_network_that_says_the_same_of_all_classes_is_left_as_it_is(self) -> None:
        logits = np.ones((30, 5))
        assert temperature(logits, np.arange(30) % 5, task=MULTICLASS) == 1.0


class TestChoice:
    def test_a_curve_is_taken_where_no_temperature_would_do(self) -> None:
        own, new = bent(draw(3_000)), bent(draw(3_000, seed=1, part="test", first_row=9_000))
        curve = fit_calibration(own, seed=0)
        plain = Calibration(
            kind="temperature", temperature=temperature(own.logits_NK, own.targets, task=own.task)
        )
        assert curve.kind == "isotonic"
        losses = [
            log_losses(new.targets, one.scores(new.logits_NK, task=new.task)).mean()
            for one in (curve, plain)
        ]
        assert losses[0] < losses[1]

    def test_a_temperature_is_kept_where_it_is_all_there_is_to_mend(self) -> None:
        kinds = [
            fit_calibration(draw(1_200, seed=seed, sharpened=2.0), seed=0).kind
            for seed in range(10)
        ]
        assert kinds.count("temperature") >= 9

    def test_a_curve_needs_a_thousand_pictures(self, monkeypatch: pytest.MonkeyPatch) -> None:
        own = bent(draw(999))
        assert fit_calibration(own, seed=0).kind == "temperature"
        monkeypatch.setattr(calibration, "FEWEST_FOR_CURVE", 999)  # negative control
        assert fit_calibration(own, seed=0).kind == "isotonic"

    def test_few_pictures_leave_the_scores_as_they_are_and_say_so(self) -> None:
        own = draw(FEWEST - 1)
        found = fit_calibration(own, seed=0)
        assert (found.kind, found.n) == ("none", FEWEST - 1)
        assert found.why == "19 held-out pictures are too few to calibrate on; 20 are needed"
        np.testing.assert_array_equal(
            found.scores(own.logits_NK, task=own.task), own.task.scores(own.logits_NK)
        )

    def test_values_are_left_as_they_are(self) -> None:
        own = draw(50, kind="regression")
        found = fit_calibration(own, seed=0)
        assert found.kind == "none"
        np.testing.assert_array_equal(
            found.scores(own.logits_NK, task=own.task), own.task.scores(own.logits_NK)
        )

    @pytest.mark.parametrize("kind", TASKS)
    def test_the_same_pictures_give_the_same_calibration(self, kind: Kind) -> None:
        assert fit_calibration(draw(1_100, kind=kind), seed=0) == fit_calibration(
            draw(1_100, kind=kind), seed=0
        )


@pytest.mark.parametrize("num", [1, 3, 7])
def test_few_groups_of_many_pictures_are_calibrated_by_a_temperature(num: int) -> None:
    """There is nothing to leave out in turn: one group was once an error, after training."""
    own = replace(draw(1_200), groups=tuple(f"video {row % num}" for row in range(1_200)))
    found = fit_calibration(own, seed=0)
    assert found.kind == "temperature"
