"""Power laws with known numbers are found again, and their bands hold what they should."""

import numpy as np
import pytest

from saccade.evaluation.intervals import grouping
from saccade.evaluation.learning_curve import (
    FARTHEST,
    Answers,
    fit_curve,
    fit_power_law,
    sizes_of,
    spread_order,
    subset_errors,
)

SIZES = (54, 86, 137, 217, 343, 544)


def learned(
    law: tuple[float, float, float],
    num: int,
    *,
    seed: int,
    sizes: tuple[int, ...] = SIZES,
    apart: float = 0.01,
) -> Answers:
    """Return answers of heads whose expected score follows ceiling - drop · n^-exponent.

    A picture is as hard for all heads; a third of what is right is luck. Subsets of a size differ
    by `apart` at the largest size, and by more at smaller ones.
    """
    ceiling, drop, exponent = law
    rng = np.random.default_rng(seed)
    hardness, folds = rng.random(num), rng.integers(5, size=num)
    hits = []
    for size in sizes:
        share = ceiling - drop * size**-exponent
        rows = []
        for _ in range(1 if size == sizes[-1] else 2):
            shift = apart * np.sqrt(sizes[-1] / size) * rng.normal(size=5)[folds]
            luck = np.where(rng.random(num) < 1 / 3, rng.random(num), hardness)
            rows.append(luck < share + shift)
        hits.append(np.array(rows, np.float64))
    return Answers(
        sizes=sizes,
        hits=tuple(hits),
        trials=tuple(np.ones_like(own) for own in hits),
        folds_V=folds,
    )


def fitted(answers: Answers, *, seed: int = 0, ascends: bool = True):
    kept = grouping(None, num_rows=answers.num_judged)
    return fit_curve(answers, kept, rng=np.random.default_rng(seed), ascends=ascends)


@pytest.mark.parametrize(("ceiling", "drop", "exponent"), [(0.95, 2.0, 0.5), (0.8, 0.6, 0.2)])
def test_an_exact_power_law_is_found_again(ceiling: float, drop: float, exponent: float) -> None:
    sizes = np.array(SIZES, np.float64)
    scores = ceiling - drop * sizes[None] ** -exponent
    law = fit_power_law(sizes, scores, np.ones(6), best=1.0)
    assert float(law.exponent[0]) == pytest.approx(exponent, rel=0.1)  # exponents are on a grid
    for n in (54, 544, 2000):
        assert float(law.at(n)[0]) == pytest.approx(ceiling - drop * n**-exponent, abs=0.004)


def test_the_ceiling_is_never_above_what_can_be_reached_and_more_is_never_worse() -> None:
    sizes = np.array(SIZES, np.float64)
    steep = fit_power_law(sizes, np.linspace(0.5, 0.99, 6)[None], np.ones(6), best=1.0)
    falling = fit_power_law(sizes, np.linspace(0.9, 0.8, 6)[None], np.ones(6), best=1.0)
    assert float(steep.ceiling[0]) <= 1.0
    assert float(steep.at(1e9)[0]) <= 1.0
    assert float(falling.drop[0]) == 0.0
    assert float(falling.at(5000)[0]) == pytest.approx(0.85)


def test_many_rows_are_fitted_as_each_by_itself() -> None:
    sizes, rng = np.array(SIZES, np.float64), np.random.default_rng(0)
    scores = 0.9 - 2 * sizes**-0.5 + rng.normal(0, 0.02, (20, 6))
    weights = rng.random(6) + 0.5
    together = fit_power_law(sizes, scores, weights, best=1.0).at(1000)
    alone = [fit_power_law(sizes, own[None], weights, best=1.0).at(1000)[0] for own in scores]
    np.testing.assert_allclose(together, alone)


def covered(law: tuple[float, float, float], num: int, *, times: int) -> tuple[float, float]:
    """Return how often the bands hold the true score and the true gain, at twice and four times."""
    ceiling, drop, exponent = law
    right = np.zeros(2)
    for seed in range(times):
        curve = fitted(learned(law, num, seed=seed), seed=seed)
        for n in (2 * SIZES[-1], 4 * SIZES[-1]):
            score, gain = curve.at(n), curve.gain(SIZES[-1], more=n - SIZES[-1])
            assert gain is not None
            true = drop * (SIZES[-1] ** -exponent - n**-exponent)
            right += [
                score.low <= ceiling - drop * n**-exponent <= score.high,
                gain.low - 1e-9 <= true <= gain.high + 1e-9,
            ]
    return tuple(right / (2 * times))  # type: ignore[return-value]


def test_the_bands_hold_the_true_score_and_the_true_gain() -> None:
    score, gain = covered((0.95, 1.5, 0.5), 200, times=15)
    assert score >= 0.85
    assert gain >= 0.85


@pytest.mark.slow
@pytest.mark.parametrize("num", [200, 800])
@pytest.mark.parametrize(
    "law", [(0.95, 1.5, 0.5), (0.9, 2.0, 0.7), (0.99, 1.0, 0.3), (0.8, 3.0, 1.0), (0.97, 0.0, 0.5)]
)
def test_the_bands_hold_in_a_hundred_simulations(
    law: tuple[float, float, float], num: int, capsys: pytest.CaptureFixture[str]
) -> None:
    score, gain = covered(law, num, times=100)
    with capsys.disabled():
        print(f"\n{law}, {num} judged: score {score:.3f}, gain {gain:.3f}")
    assert score >= 0.9
    assert gain >= 0.9


def test_a_curve_that_has_levelled_off_promises_nothing() -> None:
    curve = fitted(learned((0.9, 0.0, 0.5), 400, seed=0))
    gain = curve.gain(544, more=1000)
    assert gain is not None
    assert gain.low == 0.0
    assert gain.high < 0.03


def test_a_steep_curve_promises_a_sure_gain() -> None:
    curve = fitted(learned((0.95, 4.0, 0.6), 400, seed=0))
    gain = curve.gain(544, more=544)
    assert gain is not None
    assert 0 < gain.low < 4 * (544**-0.6 - 1088**-0.6) < gain.high


def test_beyond_four_times_the_pictures_nothing_is_said() -> None:
    curve = fitted(learned((0.95, 1.5, 0.5), 200, seed=0))
    assert curve.farthest == FARTHEST * 544 == 2176
    assert curve.gain(544, more=1632) is not None
    assert curve.gain(544, more=1633) is None


def test_few_pictures_have_a_wide_band() -> None:
    def width(num: int) -> float:
        curves = [fitted(learned((0.95, 1.5, 0.5), num, seed=seed)) for seed in range(6)]
        gains = [curve.gain(544, more=544) for curve in curves]
        return float(np.mean([gain.high - gain.low for gain in gains if gain is not None]))

    assert width(10) > 1.4 * width(600)


def test_a_class_that_is_always_named_rightly_has_a_band_all_the_same() -> None:
    hits = tuple(np.ones((1 if size == 544 else 2, 9)) for size in SIZES)
    sure = Answers(sizes=SIZES, hits=hits, trials=hits, folds_V=np.arange(9) % 3)
    score = fitted(sure).at(544)
    assert score.value == 1.0
    assert score.low < 0.97


def test_an_error_falls_and_its_fall_is_the_gain() -> None:
    rng = np.random.default_rng(0)
    folds = np.arange(300) % 5
    hits = tuple(
        np.abs(rng.normal(1 + 20 * size**-0.5, 0.5, (1 if size == 544 else 2, 300)))
        for size in SIZES
    )
    answers = Answers(sizes=SIZES, hits=hits, trials=tuple(map(np.ones_like, hits)), folds_V=folds)
    curve = fitted(answers, ascends=False)
    now, gain = curve.at(544), curve.gain(544, more=1000)
    assert now.low <= 1 + 20 * 544**-0.5 <= now.high
    assert gain is not None
    assert gain.low <= 20 * (544**-0.5 - 1544**-0.5) <= gain.high


def test_the_error_of_the_subset_is_measured_between_subsets_and_carried_to_the_largest() -> None:
    rng = np.random.default_rng(0)
    sizes, folds = (100, 200, 400), np.arange(2000) % 4
    hits = []
    for size in sizes:
        shift = rng.normal(0, 2 / np.sqrt(size), (1 if size == 400 else 2, 4))  # by fold and subset
        hits.append(shift[:, folds] + 5.0)
    answers = Answers(
        sizes=sizes, hits=tuple(hits), trials=tuple(map(np.ones_like, hits)), folds_V=folds
    )
    # of a mean over 2 subsets and 4 folds; of the largest size there is one subset
    expected = [2 / np.sqrt(100 * 8), 2 / np.sqrt(200 * 8), 2 / np.sqrt(400 * 4)]
    np.testing.assert_allclose(subset_errors(answers), expected, rtol=0.6)
    one = subset_errors(answers)
    assert one[0] / one[1] == pytest.approx(np.sqrt(2))


def test_the_same_answers_give_the_same_curve() -> None:
    answers = learned((0.95, 1.5, 0.5), 100, seed=0)
    assert fitted(answers, seed=5).at(1000) == fitted(answers, seed=5).at(1000)
    assert fitted(answers, seed=5).at(1000) != fitted(answers, seed=6).at(1000)


def test_groups_that_are_judged_alike_widen_the_band() -> None:
    answers = learned((0.9, 1.5, 0.5), 300, seed=0)
    order = np.argsort(answers.hits[-1][0], kind="stable")  # groups in which all fare alike
    names = np.empty(300, object)
    names[order] = [f"video {place // 10}" for place in range(300)]
    rng = np.random.default_rng(0)
    together = fit_curve(answers, grouping(names.tolist(), num_rows=300), rng=rng).at(544)
    alone = fitted(answers).at(544)
    assert together.high - together.low > 1.5 * (alone.high - alone.low)


def test_sizes_grow_by_the_same_factor_to_all_there_are() -> None:
    assert sizes_of(544, fewest=20, steps=6) == SIZES
    assert sizes_of(100, fewest=50, steps=3) == (50, 71, 100)


def test_every_beginning_of_the_order_is_like_the_whole() -> None:
    strata = [0] * 600 + [1] * 300 + [2] * 100
    units = [[row] for row in range(1000)]
    order = spread_order(units, strata, np.random.default_rng(0))
    assert sorted(order) == list(range(1000))
    for num in (50, 200, 500):
        counts = np.bincount(np.array(strata)[order[:num]], minlength=3) / num
        np.testing.assert_allclose(counts, [0.6, 0.3, 0.1], atol=0.04)
    assert set(np.array(strata)[order[:3]].tolist()) == {0, 1, 2}  # no class is missing


def test_groups_follow_one_another_whole() -> None:
    units = [[3 * n, 3 * n + 1, 3 * n + 2] for n in range(30)]
    order = spread_order(units, [n % 2 for n in range(30)], np.random.default_rng(0))
    pieces = [order[start : start + 3] for start in range(0, 90, 3)]
    assert sorted(map(sorted, pieces)) == units
