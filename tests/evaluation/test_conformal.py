"""Rows E3 and E5: sets hold the truth as often as they say, and are those that MAPIE makes."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from tests.evaluation.populations import TASKS, draw

from saccade.data.task import Kind
from saccade.evaluation.calibration import fit_calibration, uncalibrated
from saccade.evaluation.conformal import (
    Conformal,
    fewest,
    fit_conformal,
    measure_coverage,
    prediction_sets,
    rank,
)
from saccade.evaluation.held import Held, NotPromised

NONE = uncalibrated("")


def split(own: Held, *, fit: int, seed: int) -> tuple[Held, Held]:
    """Return two parts of the pictures, drawn by chance."""
    order = np.random.default_rng(seed).permutation(len(own))
    return own.take(order[:fit]), replace(own.take(order[fit:]), part="test")


class TestRowE3:
    @pytest.mark.parametrize("splits", [100, pytest.param(500, marks=pytest.mark.slow)])
    @pytest.mark.parametrize("kind", TASKS)
    def test_coverage_is_what_was_asked_for(self, kind: Kind, splits: int) -> None:
        """Within 1.5 points, the temperature fitted on the same pictures; 200 fit, 800 judge."""
        own = draw(1_000, kind=kind, sharpened=2.0, spread=1.2)
        held = {0.8: [], 0.9: [], 0.95: []}  # type: dict[float, list[float]]
        for seed in range(splits):
            fit, judge = split(own, fit=200, seed=seed)
            calibration = fit_calibration(fit, seed=0)
            conformal = fit_conformal(fit, calibration)
            for coverage, shares in held.items():
                found = measure_coverage(judge, calibration, conformal, coverage)
                shares.append(found.measured.value)
        for coverage, shares in held.items():
            assert np.mean(shares) == pytest.approx(coverage, abs=0.015)

    def test_too_bold_a_rank_covers_too_little_negative_control(self) -> None:
        """The plain quantile of 20 misfits instead of the finite-sample one."""
        own, shares = draw(1_000, spread=1.2), []
        for seed in range(500):
            fit, judge = split(own, fit=20, seed=seed)
            known = fit_conformal(fit, NONE)
            bold = Conformal(misfits_N=np.r_[known.misfits_N, np.float32(1)])  # one place further
            assert bold.reach(0.9) >= known.reach(0.9)
            reach = float(np.quantile(known.misfits_N, 0.9))
            sets = prediction_sets(own.task.scores(judge.logits_NK), reach, task=own.task)
            shares.append(sets[np.arange(len(judge)), judge.targets].mean())
        assert np.mean(shares) < 0.885


class TestRowE5:
    @pytest.mark.parametrize(
        "cases", [range(50), pytest.param(range(50, 200), marks=pytest.mark.slow)], ids=str
    )
    def test_the_sets_are_mapies(self, cases: range) -> None:
        """On 200 random cases, two coverages and 30 sets each.

        Where MAPIE leaves a set empty, ours has the best class in it.
        """
        from sklearn.base import BaseEstimator, ClassifierMixin

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own dependencies
            from mapie.classification import SplitConformalClassifier

        class Scores(ClassifierMixin, BaseEstimator):
            """Says of a picture what is given as its features."""

            classes_ = np.arange(5)

            def __sklearn_is_fitted__(self) -> bool:
                return True

            def fit(self, *_: object) -> "Scores":
                return self

            def predict_proba(self, scores_NK: np.ndarray) -> np.ndarray:
                return scores_NK

            def predict(self, scores_NK: np.ndarray) -> np.ndarray:
                return scores_NK.argmax(axis=1)

        for case in cases:
            fit, judge = split(draw(90, seed=case, spread=1.5), fit=60, seed=case)
            known, new = (own.task.scores(own.logits_NK) for own in (fit, judge))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                oracle = SplitConformalClassifier(
                    Scores(), confidence_level=[0.8, 0.9], conformity_score="lac", prefit=True
                ).conformalize(known, fit.targets)
                _, theirs = oracle.predict_set(new)
            conformal = fit_conformal(fit, NONE)
            best = np.eye(5, dtype=bool)[new.argmax(axis=1)]
            for place, coverage in enumerate([0.8, 0.9]):
                mine = prediction_sets(new, conformal.reach(coverage), task=fit.task)
                np.testing.assert_array_equal(mine, theirs[:, :, place] | best)

    @pytest.mark.parametrize(
        "cases", [range(50), pytest.param(range(50, 200), marks=pytest.mark.slow)], ids=str
    )
    def test_the_stretches_are_mapies(self, cases: range) -> None:
        from sklearn.base import BaseEstimator, RegressorMixin

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from mapie.regression import SplitConformalRegressor

        class Values(RegressorMixin, BaseEstimator):
            """Says of a picture what is given as its features."""

            def __sklearn_is_fitted__(self) -> bool:
                return True

            def fit(self, *_: object) -> "Values":
                return self

            def predict(self, values_N1: np.ndarray) -> np.ndarray:
                return values_N1[:, 0]

        for case in cases:
            fit, judge = split(draw(90, kind="regression", seed=case), fit=60, seed=case)
            known, new = (own.task.scores(own.logits_NK) for own in (fit, judge))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                oracle = SplitConformalRegressor(Values(), confidence_level=0.9, prefit=True)
                _, theirs = oracle.conformalize(known, fit.targets).predict_interval(new)
            reach = fit_conformal(fit, NONE).reach(0.9)
            np.testing.assert_allclose(new[:, 0] + reach, theirs[:, 1, 0], rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(new[:, 0] - reach, theirs[:, 0, 0], rtol=1e-6, atol=1e-6)


def test_a_coverage_that_too_few_pictures_carry_is_refused_with_their_number() -> None:
    conformal = fit_conformal(draw(50), NONE)
    assert conformal.reach(0.98) == conformal.misfits_N[-1]  # the 50th of 50
    with pytest.raises(NotPromised) as caught:
        conformal.reach(0.99)
    assert str(caught.value) == (
        "a coverage of 0.99 cannot be promised with n = 50 held-out pictures; 99 are needed"
    )


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95, 0.975, 0.99, 0.999])
def test_fewest_is_the_smallest_number_that_carries_a_coverage(coverage: float) -> None:
    """Against the definition, ⌈(n + 1) · coverage⌉ ≤ n, in whole thousandths."""
    needed = next(n for n in range(1, 2_000) if -(-(n + 1) * round(coverage * 1000) // 1000) <= n)
    assert fewest(coverage) == needed
    assert rank(coverage, n=needed) <= needed
    assert rank(coverage, n=needed - 1) > needed - 1


def test_a_set_is_never_empty_and_has_the_answer_in_it() -> None:
    own = draw(300, spread=8.0)
    scores = own.task.scores(own.logits_NK)
    sets = prediction_sets(scores, 0.01, task=own.task)
    assert sets[np.arange(300), scores.argmax(axis=1)].all()


def test_several_labels_are_all_in_the_set_as_often_as_asked_for() -> None:
    own = draw(400, kind="multilabel")
    fit, judge = split(own, fit=200, seed=0)
    found = measure_coverage(judge, NONE, fit_conformal(fit, NONE), 0.9)
    sets = prediction_sets(
        own.task.scores(judge.logits_NK), fit_conformal(fit, NONE).reach(0.9), task=own.task
    )
    holds = [(sets[row] >= judge.targets[row].astype(bool)).all() for row in range(200)]
    assert found.measured.value == pytest.approx(np.mean(holds))
    assert found.size == pytest.approx(sets.sum(axis=1).mean())


def test_larger_coverages_have_larger_sets_that_hold_the_smaller() -> None:
    own = draw(300)
    conformal, scores = fit_conformal(own, NONE), own.task.scores(draw(100, seed=9).logits_NK)
    before = np.zeros((100, 5), bool)
    for coverage in (0.5, 0.8, 0.9, 0.95, 0.99):
        sets = prediction_sets(scores, conformal.reach(coverage), task=own.task)
        assert (sets >= before).all()
        before = sets


class TestGroups:
    @staticmethod
    def values(num: int, size: int, *, alike: float, seed: int) -> tuple[Held, np.ndarray]:
        """Return pictures of patients whose errors correlate by `alike`, and errors of new ones."""
        rng, own = np.random.default_rng(seed), draw(num * size, kind="regression")
        common, alone = np.sqrt(alike), np.sqrt(1 - alike)
        error = np.repeat(rng.normal(size=num), size) * common + rng.normal(size=num * size) * alone
        new = rng.normal(size=400) * common + rng.normal(size=400) * alone
        center = own.task.scores(np.zeros((1, 1)))[0, 0]
        groups = tuple(str(row // size) for row in range(num * size))
        held = replace(
            own, logits_NK=np.zeros((num * size, 1)), targets=center + error, groups=groups
        )
        return held, np.abs(new)

    @pytest.mark.parametrize(
        ("num", "alike", "coverage"), [(5, 0.8, 0.8), (10, 0.8, 0.9), (20, 0.3, 0.95)]
    )
    def test_coverage_of_new_groups_is_what_was_asked_for(
        self, num: int, alike: float, coverage: float
    ) -> None:
        shares = []
        for seed in range(150):
            own, new = self.values(num, 20, alike=alike, seed=seed)
            shares.append((new <= fit_conformal(own, NONE).reach(coverage)).mean())
        assert coverage < np.mean(shares) < coverage + 1 / (num + 1) + 0.03

    def test_without_groups_it_is_less_negative_control(self) -> None:
        shares = []
        for seed in range(400):
            own, new = self.values(5, 20, alike=0.95, seed=seed)
            conformal = fit_conformal(replace(own, groups=()), NONE)
            shares.append((new <= conformal.reach(0.95)).mean())
        assert np.mean(shares) < 0.92

    def test_copies_of_each_picture_tell_no_more_than_one(self) -> None:
        """Each misfit three times over, and groups of them: the limit is the one of the single."""
        own = draw(40)
        often = replace(
            own,
            rows=tuple(range(120)),
            logits_NK=np.repeat(own.logits_NK, 3, axis=0),
            targets=np.repeat(own.targets, 3),
            groups=tuple(str(row // 3) for row in range(120)),
        )
        one, many = fit_conformal(own, NONE), fit_conformal(often, NONE)
        for coverage in (0.5, 0.8, 0.9, 0.95, 0.975):
            assert many.reach(coverage) == one.reach(coverage)
        with pytest.raises(NotPromised):
            many.reach(0.98)

    def test_too_few_groups_are_told_with_their_number(self) -> None:
        own = replace(draw(200), groups=tuple(str(row // 20) for row in range(200)))
        conformal = fit_conformal(own, NONE)
        # the weights of 20 pictures a group come to 11 · 0.9 = 9.9 groups at the 198th of 200
        assert conformal.reach(0.9) == np.sort(conformal.misfits_N)[197]
        with pytest.raises(NotPromised) as caught:
            conformal.reach(0.95)
        assert str(caught.value) == (
            "a coverage of 0.95 cannot be promised with n = 200 held-out pictures in 10 groups; "
            "19 groups are needed"
        )
