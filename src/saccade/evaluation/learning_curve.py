"""How a score grows with the pictures learned from: a power law with its band, and its limits."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from saccade.evaluation.intervals import LEVEL, Estimate, Grouping

EXPONENTS = np.geomspace(0.1, 2.0, 25)
"""Of n in a - b·n^-c. Below 0.1 a curve is hardly told from one that never levels off; above 2 it
is flat before the smallest size that is measured."""
RESAMPLES = 1_000
FARTHEST = 4.0
"""Times the pictures measured, up to which a prediction is made: so far its bands were held
against what came true (docs/learning_curve.md)."""
PSEUDO_PICTURES = 0.5
"""Pictures that are added to each resample, on average, each learned at a random size or never:
without them a class whose few pictures are all named rightly would have no band at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What heads that learned from subsets of S sizes said of the same V pictures.

    Scores are Σ hits / Σ trials (`tally.Tally`); where each picture has several answers, one for
    each of R subsets of a size, a row each.
    """

    sizes: tuple[int, ...]  # pictures that were learned from, ascending
    hits: tuple[np.ndarray, ...]  # for each size float (R, V)
    trials: tuple[np.ndarray, ...]
    folds_V: np.ndarray  # int: pictures with the same number were judged by the same heads

    @property
    def num_judged(self) -> int:
        """The pictures that were judged at each size."""
        return len(self.folds_V)

    def mean(self) -> tuple[np.ndarray, np.ndarray]:
        """Return hits and trials (S, V), the mean over the subsets of each size."""
        return (
            np.stack([own.mean(axis=0) for own in self.hits]),
            np.stack([own.mean(axis=0) for own in self.trials]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """ceiling - drop · (n / unit)^-exponent: one curve, or one a resample (arrays (B,))."""

    unit: float
    ceiling: np.ndarray
    drop: np.ndarray
    exponent: np.ndarray

    def at(self, n: float) -> np.ndarray:
        """Return the score where `n` pictures were learned from."""
        return np.asarray(self.ceiling - self.drop * (n / self.unit) ** -self.exponent)


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurve:
    """A fitted curve with what it would have been on other pictures and subsets."""

    sizes: tuple[int, ...]
    measured_S: np.ndarray  # the score at each size
    law: Law
    resampled: Law  # of B resamples
    num_judged: int
    ascends: bool  # False: an error, which falls

    @property
    def farthest(self) -> float:
        """The most pictures that something is said about."""
        return FARTHEST * self.sizes[-1]

    def at(self, n: float) -> Estimate:
        """Return the expected score on new pictures of a head that learned from `n`."""
        return self._estimate(float(self.law.at(n)[0]), self.resampled.at(n))

    def gain(self, now: float, *, more: float) -> Estimate | None:
        """Return how much higher the score would be with `more` pictures; None if too far off.

        Higher is better, for an error too: its gain is by how much it falls.
        """
        if now + more > self.farthest:
            return None
        value = float((self.law.at(now + more) - self.law.at(now))[0])
        drawn = self.resampled.at(now + more) - self.resampled.at(now)
        return self._estimate(value, drawn, is_gain=True)

    def _estimate(self, value: float, drawn_B: np.ndarray, *, is_gain: bool = False) -> Estimate:
        low, high = np.quantile(drawn_B, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
        low, high = min(low, value), max(high, value)
        if not self.ascends and not is_gain:
            value, low, high = -value, -high, -low
        method = f"power law; {RESAMPLES:,} resamples of pictures and subsets"
        return Estimate(value=value, low=low, high=high, n=self.num_judged, method=method)


def fit_curve(
    answers: Answers,
    grouping: Grouping,
    *,
    rng: np.random.Generator,
    ascends: bool = True,
) -> LearningCurve:
    """Return the power law through the scores at each size, with its resamples.

    Each resample draws the judged pictures anew (whole groups), moves each size by what other
    subsets of that size would have changed, and is fitted by itself. The same pictures are judged
    at all sizes, so what makes them hard moves the whole curve and hardly its shape: gains are
    known better than scores.

    Args:
        answers: three sizes or more.
        grouping: which of the judged pictures belong together.
        rng: the source of randomness.
        ascends: False where the score is an error.

    Source: inverse power law, fitted with weights: R. L. Figueroa et al. (2012), BMC Medical
    Informatics and Decision Making 12: 8. On shapes: T. Viering, M. Loog (2021),
    arXiv:2103.10948.
    """
    sign = 1.0 if ascends else -1.0
    hits_SV, trials_SV = answers.mean()
    measured_S = hits_SV.sum(axis=1) / np.maximum(trials_SV.sum(axis=1), 1e-12)
    drawn_BS = _resampled(hits_SV, trials_SV, grouping, rng, with_pseudo=ascends)
    errors_S = subset_errors(answers)
    drawn_BS = drawn_BS + rng.normal(size=drawn_BS.shape) * errors_S
    weights_S = _weights(drawn_BS)
    best = 1.0 if ascends else 0.0
    sizes = np.asarray(answers.sizes, np.float64)
    return LearningCurve(
        sizes=answers.sizes,
        measured_S=measured_S,
        law=fit_power_law(sizes, sign * measured_S[None], weights_S, best=best),
        resampled=fit_power_law(sizes, sign * drawn_BS, weights_S, best=best),
        num_judged=answers.num_judged,
        ascends=ascends,
    )


def fit_power_law(
    sizes_S: np.ndarray, scores_BS: np.ndarray, weights_S: np.ndarray, *, best: float
) -> Law:
    """Return, for each of B rows of scores, the power law of least weighted squared error.

    The ceiling is at most `best` and the drop at least 0: more pictures do no harm. For a given
    exponent both follow in closed form; exponents are tried one by one.

    >>> sizes = np.array([50.0, 100.0, 200.0, 400.0])
    >>> law = fit_power_law(sizes, 0.9 - 2 * sizes[None] ** -0.5, np.ones(4), best=1.0)
    >>> round(float(law.at(1600)[0]), 2)
    0.85
    """
    unit = float(sizes_S[-1])
    weights = weights_S / weights_S.sum()
    least = np.full(len(scores_BS), math.inf)
    ceiling, drop, exponent = (np.zeros(len(scores_BS)) for _ in range(3))
    for own in EXPONENTS:
        fall_S = (sizes_S / unit) ** -own
        top, depth = _bounded(scores_BS, fall_S, weights, best=best)
        error = ((scores_BS - top[:, None] + depth[:, None] * fall_S) ** 2) @ weights
        better = error < least
        least = np.where(better, error, least)
        ceiling, drop = np.where(better, top, ceiling), np.where(better, depth, drop)
        exponent = np.where(better, own, exponent)
    return Law(unit=unit, ceiling=ceiling, drop=drop, exponent=exponent)


def _bounded(
    scores_BS: np.ndarray, fall_S: np.ndarray, weights_S: np.ndarray, *, best: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return ceiling ≤ best and drop ≥ 0 of the least squares fit of ceiling - drop · fall."""
    mean_fall = float(fall_S @ weights_S)
    mean_B = scores_BS @ weights_S
    spread = float(((fall_S - mean_fall) ** 2) @ weights_S)
    together_B = (scores_BS - mean_B[:, None]) @ (weights_S * (fall_S - mean_fall))
    drop = np.maximum(-together_B / max(spread, 1e-12), 0.0)
    ceiling = mean_B + drop * mean_fall
    over = ceiling > best
    # on the bound the drop alone is free
    bound_drop = ((best - scores_BS) @ (weights_S * fall_S)) / float(fall_S**2 @ weights_S)
    return np.minimum(ceiling, best), np.where(over, np.maximum(bound_drop, 0.0), drop)


def subset_errors(answers: Answers) -> np.ndarray:
    """Return the standard error of each size's score from which pictures were learned from, (S,).

    Measured between subsets of one size that judged the same pictures, and taken to fall as 1/n:
    for a size of which there is one subset (all there are) it is carried over from the others.
    """
    sizes = np.asarray(answers.sizes, np.float64)
    folds = np.unique(answers.folds_V)
    scaled, repeats = [], np.array([len(own) for own in answers.hits])
    for size, hits, trials in zip(sizes, answers.hits, answers.trials, strict=True):
        if len(hits) < 2:
            continue
        for fold in folds:
            own = answers.folds_V == fold
            under = trials[:, own].sum(axis=1)
            if (under > 0).all():
                scaled.append(float((hits[:, own].sum(axis=1) / under).var(ddof=1)) * size)
    if not scaled:
        return np.zeros(len(sizes))
    errors_S: np.ndarray = np.sqrt(float(np.mean(scaled)) / sizes / repeats / len(folds))
    return errors_S


def _resampled(
    hits_SV: np.ndarray,
    trials_SV: np.ndarray,
    grouping: Grouping,
    rng: np.random.Generator,
    *,
    with_pseudo: bool,
) -> np.ndarray:
    """Return the scores (B, S) of resamples of the pictures, whole groups together."""
    units = grouping.count
    times_BG = rng.multinomial(units, np.full(units, 1 / units), size=RESAMPLES)
    hits_BS = times_BG @ grouping.sums(hits_SV.T)
    trials_BS = times_BG @ grouping.sums(trials_SV.T)
    if with_pseudo:
        count_B = rng.poisson(PSEUDO_PICTURES, RESAMPLES)[:, None]
        num = len(hits_SV)
        learned_BS = rng.integers(num + 1, size=RESAMPLES)[:, None] <= np.arange(num)
        each = float(trials_SV.sum() / max(trials_SV.size, 1))
        hits_BS = hits_BS + each * count_B * learned_BS
        trials_BS = trials_BS + each * count_B
    return np.asarray(hits_BS / np.maximum(trials_BS, 1e-12))


def _weights(drawn_BS: np.ndarray) -> np.ndarray:
    """Return the weight of each size: 1 / variance of what does not move all sizes alike."""
    apart = drawn_BS - drawn_BS.mean(axis=1, keepdims=True)
    variance_S = apart.var(axis=0)
    return np.asarray(1 / (variance_S + 0.1 * variance_S.mean() + 1e-12))


def sizes_of(num: int, *, fewest: int, steps: int) -> tuple[int, ...]:
    """Return sizes from `fewest` (or a tenth of `num`) to `num`, each larger by the same factor.

    >>> sizes_of(544, fewest=20, steps=6)
    (54, 86, 137, 217, 343, 544)
    >>> sizes_of(30, fewest=20, steps=6)
    (20, 22, 24, 26, 28, 30)
    """
    first = max(num / 10, fewest)
    found = np.geomspace(min(first, num), num, steps)
    return tuple(sorted({round(float(size)) for size in found}))


def spread_order(
    units: Sequence[Sequence[int]], strata: Sequence[int], rng: np.random.Generator
) -> list[int]:
    """Return all rows in an order of which every beginning is like the whole.

    Each stratum is shuffled by itself and spread evenly over the order, its first unit at the
    front, so that n rows hold about n/N of each stratum and no class is missing. The rows of a
    unit (a group) follow one another.

    Args:
        units: rows that belong together.
        strata: the stratum of each unit.
        rng: the source of randomness.
    """
    strata_U = np.asarray(strata)
    places = np.empty(len(units))
    for stratum in np.unique(strata_U):
        own = np.flatnonzero(strata_U == stratum)
        turns = rng.permutation(len(own)).astype(np.float64)
        place = (turns + rng.random()) / len(own)
        place[turns == 0] -= 1.0
        places[own] = place
    return [row for unit in np.argsort(places, kind="stable").tolist() for row in units[unit]]
