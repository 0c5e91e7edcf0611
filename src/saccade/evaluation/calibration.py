"""Scores that mean something: of answers given with 0.8, four of five should be right.

A network's own probabilities are too sure or too unsure, and mostly in the same way for all its
pictures. One number, the temperature, mends most of it; where there are pictures enough to see
more, a rising curve does. Neither changes which class is the best.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from saccade.data.task import Task
from saccade.evaluation.comparison import FEWEST_UNITS, paired_gain
from saccade.evaluation.held import Held, check_may_fit
from saccade.evaluation.metrics import log_losses
from saccade.runtime.seeds import generator

Kind = Literal["none", "temperature", "isotonic"]

FEWEST = 20
"""Pictures from which a temperature is fitted. Source: simulation (docs/limits.md): with 20 a
network that is too sure by half is made better in 9 of 10 cases, with 10 in 7 of 10."""
FEWEST_FOR_CURVE = 1_000
"""Pictures from which a curve may be tried. Source: A. Niculescu-Mizil, R. Caruana (2005),
Predicting good probabilities with supervised learning: isotonic regression overfits below it."""
MOST_PAIRS = 1_000_000  # pictures × classes up to which a curve is tried; more take seconds
MOST_KNOTS = 2_048
FOLDS = 5
LOWEST, HIGHEST = 1e-3, 1e3  # of the temperature, relative to logits with a mean square of 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How logits become scores."""

    kind: Kind
    temperature: float = 1.0  # logits are divided by it; above 1 = the network was too sure
    knots: tuple[float, ...] = ()  # isotonic: from these scores, 0 to 1, rising …
    values: tuple[float, ...] = ()  # … to these, straight lines between; rising too
    n: int = 0  # pictures it was fitted on
    why: str = ""  # one sentence: why this kind
    fitted_on: frozenset[int] = field(default=frozenset(), compare=False, repr=False)

    def scores(self, logits_NK: np.ndarray, *, task: Task) -> np.ndarray:
        """Return what `Task.scores` returns, calibrated; the order within a row is the same."""
        if self.kind == "none" or task.kind == "regression":
            return task.scores(logits_NK)
        scores_NK = task.scores(logits_NK.astype(np.float64) / self.temperature)
        if self.kind == "isotonic":
            scores_NK = np.interp(scores_NK, self.knots, self.values)
            if task.kind != "multilabel":
                scores_NK /= scores_NK.sum(axis=1, keepdims=True)
        return scores_NK


def uncalibrated(why: str, *, n: int = 0) -> Calibration:
    """Return what leaves the scores as the network gives them."""
    return Calibration(kind="none", n=n, why=why)


def fit_calibration(held: Held, *, seed: int) -> Calibration:
    """Return the temperature of held-out pictures, or a curve where it is seen to be better.

    Args:
        held: of the validation part.
        seed: deals the pictures out to folds when temperature and curve are compared.

    Raises:
        DataError: the pictures are of another part (E390).
    """
    rows = check_may_fit(held)
    if held.task.kind == "regression":
        return uncalibrated("values need no calibration", n=len(held))
    if len(held) < FEWEST:
        why = f"{len(held)} held-out pictures are too few to calibrate on; {FEWEST} are needed"
        return uncalibrated(why, n=len(held))
    found = replace(_with_temperature(held), fitted_on=rows)
    outputs = held.logits_NK.shape[1]
    if len(held) < FEWEST_FOR_CURVE or len(held) * outputs > MOST_PAIRS:
        return found
    curve = _with_curve(held, found)
    if len(curve.knots) > MOST_KNOTS or not _curve_helps(held, seed):
        return found
    return curve


def temperature(
    logits_NK: np.ndarray, targets: np.ndarray, *, task: Task, pseudo: float = 1.0
) -> float:
    """Return the temperature with the least log loss; closed and convex, so there is one.

    As if `pseudo` more pictures had been answered wrongly, one spread over all: each picture's
    best false class counts as the truth with the weight pseudo/n. Without it a part in which every
    answer is right would be taken for proof that the network never errs.

    Args:
        logits_NK: as the network gives them.
        targets: as in `Task`; not for regression.
        task: the kind of answer.
        pseudo: pictures; 0 = plain maximum likelihood.

    Source: C. Guo et al. (2017), On calibration of modern neural networks; the pseudo-picture is
    J. Platt's (1999) smoothing of the targets, (N + 1) / (N + 2), carried over to several classes.
    """
    options_MC, truth_M = _options(logits_NK, targets, task)
    options_MC = options_MC - options_MC.mean(axis=1, keepdims=True)
    size = float(np.sqrt(np.mean(options_MC**2)))
    if not size > 0:  # all classes equal for every picture: no temperature changes anything
        return 1.0
    options_MC /= size
    places = np.arange(len(truth_M))
    others_MC = options_MC.copy()
    others_MC[places, truth_M] = -np.inf
    weight = pseudo / len(logits_NK)
    wanted = options_MC[places, truth_M] + weight * others_MC.max(axis=1)
    target = float(wanted.mean()) / (1 + weight)
    return size / _steepness(options_MC, target)


def _options(
    logits_NK: np.ndarray, targets: np.ndarray, task: Task
) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of classes to choose from, and the place of the true one in each."""
    logits = logits_NK.astype(np.float64)
    if task.kind == "multiclass":
        return logits, targets.astype(np.int64)
    both = np.stack([np.zeros(logits.size), logits.ravel()], axis=1)  # no and yes
    return both, targets.astype(np.int64).ravel()


def _steepness(options_MC: np.ndarray, target: float) -> float:
    """Return the factor β at which softmax(β · options) expects `target`, by Newton's method.

    What is expected rises with β, so a bracket is kept, and halved where Newton would leave it.
    """
    low, high, at = 1 / HIGHEST, 1 / LOWEST, 1.0
    for _ in range(100):
        weights = np.exp(at * (options_MC - options_MC.max(axis=1, keepdims=True)))
        weights /= weights.sum(axis=1, keepdims=True)
        expected_M = (weights * options_MC).sum(axis=1)
        slope = float(((weights * options_MC**2).sum(axis=1) - expected_M**2).mean())
        gap = float(expected_M.mean()) - target
        low, high = (at, high) if gap < 0 else (low, at)
        new = at - gap / slope if slope > 0 else np.inf
        if not low < new < high:
            new = float(np.sqrt(low * high))
        if abs(new - at) <= 1e-13 * at:
            break
        at = new
    return at


def _with_temperature(held: Held) -> Calibration:
    found = temperature(held.logits_NK, held.targets, task=held.task)
    return Calibration(
        kind="temperature",
        temperature=found,
        n=len(held),
        why=f"one temperature, fitted on {len(held)} held-out pictures",
    )


def _with_curve(held: Held, first: Calibration) -> Calibration:
    """Return one rising curve for the scores of all classes, on top of a temperature.

    One curve for all keeps the order of the classes within a picture. Mixed with the weight of
    one picture with the scores as they were, it rises everywhere and is 0 nowhere.

    Source: J. Zhang, B. Kailkhura, T. Han (2020), Mix-n-Match: "IRM"; B. Zadrozny, C. Elkan
    (2002), Transforming classifier scores into accurate multiclass probability estimates.
    """
    scores_NK = first.scores(held.logits_NK, task=held.task)
    truth_NK = members(held.targets, scores_NK.shape[1], task=held.task)
    if held.task.kind == "multilabel":  # a label and its absence alike, so that 0.5 stays 0.5
        scores_NK = np.concatenate([scores_NK, 1 - scores_NK])
        truth_NK = np.concatenate([truth_NK, 1 - truth_NK])
    knots, values = rising(scores_NK.ravel(), truth_NK.ravel())
    knots = np.concatenate([[0.0], knots, [1.0]])
    values = np.concatenate([values[:1], values, values[-1:]])
    knots, places = np.unique(knots, return_index=True)
    old = 1 / (len(held) + 1)
    values = (1 - old) * values[places] + old * knots
    return replace(
        first,
        kind="isotonic",
        knots=tuple(map(float, knots)),
        values=tuple(map(float, values)),
        why=f"a rising curve: over {len(held)} held-out pictures it was better than one "
        "temperature on those it had not seen",
    )


def members(targets: np.ndarray, num_columns: int, *, task: Task) -> np.ndarray:
    """Return for each picture and class whether it is one of it, float64 (N, K)."""
    if task.kind == "multilabel":
        return targets.astype(np.float64)
    return np.asarray(np.eye(num_columns)[targets.astype(np.int64)])


def rising(scores_M: np.ndarray, truth_M: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the knots of the rising curve with the least squared error, and its values there.

    Both ends of every level stretch are knots; scores that occur several times count once, with
    their mean.

    Source: M. Ayer et al. (1955), the pool-adjacent-violators algorithm.

    >>> knots, values = rising(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.0, 1.0, 0.0, 1.0]))
    >>> knots.tolist(), values.tolist()
    ([0.1, 0.2, 0.3, 0.4], [0.0, 0.5, 0.5, 1.0])
    """
    from scipy.optimize import isotonic_regression  # noqa: PLC0415 - few need it

    at, where = np.unique(scores_M, return_inverse=True)
    weights = np.bincount(where).astype(np.float64)
    means = np.bincount(where, weights=truth_M) / weights
    level = isotonic_regression(means, weights=weights).x
    ends = np.ones(len(at), bool)
    ends[1:-1] = (level[1:-1] != level[:-2]) | (level[1:-1] != level[2:])
    return at[ends], level[ends]


def _curve_helps(held: Held, seed: int) -> bool:
    """Say whether a curve loses less than a temperature on folds that neither was fitted on."""
    own = held.grouping
    if own.count < FEWEST_UNITS:
        return False
    fold_of = generator(seed, "calibration").permutation(own.count) % FOLDS
    folds_N = fold_of[own.index]
    losses = np.empty((2, len(held)))
    for fold in range(FOLDS):
        rest, left = np.flatnonzero(folds_N != fold), np.flatnonzero(folds_N == fold)
        plain = _with_temperature(held.take(rest))
        for place, one in enumerate((plain, _with_curve(held.take(rest), plain))):
            scores_NK = one.scores(held.logits_NK[left], task=held.task)
            losses[place, left] = log_losses(held.targets[left], scores_NK)
    sizes = np.bincount(own.index, minlength=own.count)
    plain_G, curve_G = (np.bincount(own.index, weights=each) / sizes for each in losses)
    return paired_gain(plain_G, curve_G).helps
