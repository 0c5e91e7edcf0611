"""To answer only where one can: how right the answers are against the share that is answered."""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.special import betaincinv

from saccade.data.task import Task
from saccade.evaluation.calibration import Calibration
from saccade.evaluation.held import Held, NotPromised, check_may_fit, check_may_judge
from saccade.evaluation.intervals import (
    LEVEL,
    Estimate,
    Grouping,
    effective_size,
    grouped_ratio,
    grouping,
)
from saccade.evaluation.predictions import THRESHOLD

RISK = 1 - LEVEL
"""How often, at most, a promised accuracy is not kept."""
STEPS = 100  # thresholds that are looked at, evenly spread over the shares answered
FEW_GROUPS = 20
"""Groups (of one size, or what tells as much) below which it is not seen how alike their pictures
are: with three patients among pictures of others a promise was broken in 20 % of the samples."""
QUARTERS = 4  # of the surest answers, in each of which it is seen how alike those of a group are


@dataclass(frozen=True, slots=True, kw_only=True)
class Selective:
    """How sure the network was of its answers on held-out pictures, and whether they were right.

    Sureness is the score of the answer; of several labels, the probability that all of them are
    right, as if each were right or wrong by itself.
    """

    sureness_N: np.ndarray  # float32, falling
    right_N: np.ndarray  # bool
    effects: tuple[float, ...] = (1.0,)  # so many pictures that belong together tell as much as one
    # alone: among the surest quarter, half, … of the answers, and all; between them on a line
    fitted_on: frozenset[int] = field(default=frozenset(), compare=False, repr=False)
    grouping: Grouping | None = field(default=None, compare=False, repr=False)
    """Which of the answers, in their order, belong together; None = each is alone, or it is not
    known any more (of a stored model)."""

    @property
    def n(self) -> int:
        """Pictures it was fitted on."""
        return len(self.right_N)

    def alone(self, counts_M: np.ndarray) -> np.ndarray:
        """Return as how many pictures that are alone so many of the surest answers count, (M,)."""
        quarters = self.n * np.arange(1, len(self.effects) + 1) / len(self.effects)
        return np.asarray(counts_M / np.interp(counts_M, quarters, self.effects))


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A threshold for sureness above which enough answers are right."""

    accuracy: float  # that was asked for
    threshold: float  # answer where the sureness is at least this
    share: float  # of the held-out pictures that are answered
    right: int  # of those answered …
    answered: int  # … of n
    n: int


def sureness(scores_NK: np.ndarray, *, task: Task) -> np.ndarray:
    """Return how sure each answer is, float32 (N,); not for regression.

    Rounded to float32 here and wherever it is compared, so that what was stored decides as what
    was computed did.
    """
    if task.kind == "multilabel":
        scores_NK = np.maximum(scores_NK, 1 - scores_NK).prod(axis=1, keepdims=True)
    return np.asarray(scores_NK.max(axis=1).astype(np.float32))


def is_right(scores_NK: np.ndarray, targets: np.ndarray, *, task: Task) -> np.ndarray:
    """Return whether each answer is right, bool (N,); of several labels: all of them."""
    if task.kind == "multilabel":
        return np.asarray(((scores_NK > THRESHOLD) == (targets == 1)).all(axis=1))
    return np.asarray(scores_NK.argmax(axis=1) == targets)


def fit_selective(held: Held, calibration: Calibration) -> Selective:
    """Return how sure and how right the network was on some pictures.

    Raises:
        DataError: the pictures are of another part than validation (E390).
        NotPromised: the answers are values, which are not right or wrong.
    """
    rows = check_may_fit(held)
    if held.task.kind == "regression":
        raise NotPromised("values are not right or wrong; ask for a coverage instead")
    return sorted_answers(held, calibration, fitted_on=rows)


def sorted_answers(
    held: Held, calibration: Calibration, *, fitted_on: frozenset[int] = frozenset()
) -> Selective:
    """Return the answers to some pictures, the surest first."""
    scores_NK = calibration.scores(held.logits_NK, task=held.task)
    sure_N = sureness(scores_NK, task=held.task)
    right_N = is_right(scores_NK, held.targets, task=held.task)
    # Of equally sure answers the wrong ones first, so that no order flatters.
    order = np.lexsort((right_N, -sure_N))
    return Selective(
        sureness_N=sure_N[order],
        right_N=right_N[order],
        effects=_effects(right_N, order, held.grouping),
        fitted_on=fitted_on,
        grouping=held.grouping.among(order),
    )


def _effects(right_N: np.ndarray, order: np.ndarray, own: Grouping) -> tuple[float, ...]:
    """Return how much less pictures that belong together tell, by quarters of the surest answers.

    Of all answers it would be seen by the mistakes of the unsure ones, which may come from every
    group, while the few of the sure ones come from one.
    """
    if not own.named:
        return (1.0,)
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    found = []
    for quarter in range(1, QUARTERS + 1):
        surest_N = places < max(1, len(order) * quarter // QUARTERS)
        found.append(_effect(right_N[surest_N], own.among(surest_N)))
    return tuple(found)


def _effect(right_N: np.ndarray, own: Grouping) -> float:
    """Return how many pictures that belong together tell as much as one alone, 1 or more."""
    n = len(right_N)
    each_N = np.ones(n)
    alike = n**2 / float(
        (own.sums(each_N) ** 2).sum()
    )  # groups of one size that would tell as much
    if alike < FEW_GROUPS:
        return n / alike
    return max(1.0, n / effective_size(right_N.astype(np.float64), each_N, own))


def lower_bound(right: float, n: float, *, risk: float = RISK) -> float:
    """Return the share that is right at least, one-sided, wrong with probability `risk` at most.

    Source: C. J. Clopper, E. S. Pearson (1934), Biometrika 26: 404-413.

    >>> round(lower_bound(299, 299), 4), round(lower_bound(298, 299), 4)
    (0.99, 0.9842)
    """
    return float(betaincinv(right, n - right + 1, risk)) if right > 0 else 0.0


def fewest_for(accuracy: float, *, risk: float = RISK) -> int:
    """Return how many answers, all of them right, it takes to promise an accuracy.

    >>> [fewest_for(accuracy) for accuracy in (0.9, 0.95, 0.99)]
    [29, 59, 299]
    """
    return math.ceil(math.log(risk) / math.log(accuracy) - 1e-9)


def promise(selective: Selective, accuracy: float) -> Promise:
    """Return the threshold that answers most while enough answers are right.

    Thresholds are tested one after the other, each with Clopper and Pearson's bound, and the
    first that fails ends it; so the last that held is wrong with a probability of 0.05 at most,
    however many were tested. The first is the one with the highest bound if the scores were
    right: it is chosen without a look at what was right (but, where pictures belong together, for
    how alike those of a group are), and in simulation it answers as much as starting from the
    surest answers or more, and more than a binary search (docs/limits.md).

    Raises:
        NotPromised: no threshold holds, or there are too few pictures.

    Source: A. Angelopoulos et al. (2021), Learn then test, "fixed sequence testing"; Y. Geifman,
    R. El-Yaniv (2017), Selective classification for deep neural networks (binary search).
    """
    n, fewest = selective.n, fewest_for(accuracy)
    counts = _counts(selective, min(fewest, n))
    alone = selective.alone(counts)
    enough = alone >= fewest - 1e-9
    if not enough.any():
        most = math.floor(alone.max())
        together = "" if most == n else f", which tell as much as {most} alone at most"
        raise NotPromised(
            f"an accuracy of {accuracy:g} cannot be promised with n = {n} held-out pictures"
            f"{together}; {fewest} answers are needed, all of them right"
        )
    wrong = np.cumsum(1 - selective.sureness_N.astype(np.float64))[counts - 1]
    right = np.cumsum(selective.right_N)[counts - 1]
    expected = betaincinv((1 - wrong / counts) * alone, wrong / counts * alone + 1, RISK)
    start = int(np.where(enough, expected, -1.0).argmax())
    shares = right / counts
    bounds = [lower_bound(share * own, own) for share, own in zip(shares, alone, strict=True)]
    last = start
    while last < len(counts) and bounds[last] >= accuracy:
        last += 1
    if last == start:
        raise NotPromised(
            f"an accuracy of {accuracy:g} cannot be promised with n = {n} held-out pictures: "
            f"of the {counts[start]} surest answers {right[start]} are right, by which no "
            f"more than {bounds[start]:.3f} is shown (95 % sure)"
        )
    answered = int(counts[last - 1])
    return Promise(
        accuracy=accuracy,
        threshold=float(selective.sureness_N[answered - 1]),
        share=answered / n,
        right=int(right[last - 1]),
        answered=answered,
        n=n,
    )


def _counts(selective: Selective, first: int) -> np.ndarray:
    """Return numbers of answers to look at, rising; equally sure ones are answered together."""
    counts = np.unique(np.linspace(first, selective.n, STEPS).round().astype(np.int64))
    falling = -selective.sureness_N
    return np.unique(np.searchsorted(falling, falling[counts - 1], side="right"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What came of a threshold on pictures that it was not fitted on."""

    accuracy: Estimate  # among the answered
    share: Estimate  # of the pictures that are answered


def measure_answers(
    held: Held, calibration: Calibration, threshold: float, *, fitted_on: frozenset[int]
) -> Answered:
    """Return how right the answers above a threshold are, and how many there are.

    Raises:
        DataError: the threshold was fitted on some of these pictures (E391).
    """
    check_may_judge(held, fitted_on=fitted_on)
    scores_NK = calibration.scores(held.logits_NK, task=held.task)
    said_N = (sureness(scores_NK, task=held.task) >= np.float32(threshold)).astype(np.float64)
    right_N = is_right(scores_NK, held.targets, task=held.task)
    return Answered(
        accuracy=grouped_ratio(said_N * right_N, said_N, held.grouping),
        share=grouped_ratio(said_N, np.ones(len(held)), held.grouping),
    )


def area(selective: Selective) -> float:
    """Return the area under the curve of the share that is wrong against the share answered.

    The mean, over every number of surest answers, of the share of them that is wrong; 0 is the
    best, and the error rate what an order by chance would have. It has no interval: the bootstrap's
    had no width without mistakes, and of 10 groups of 20 pictures it held the truth in 73 %.

    Source: Y. Geifman, G. Uziel, R. El-Yaniv (2019), Bias-reduced uncertainty estimation: "AURC".
    """
    wrong = np.cumsum(~selective.right_N)
    return float(np.mean(wrong / np.arange(1, selective.n + 1)))


class Point(NamedTuple):
    """Of some of the surest answers the share that is right, with its 95 % interval.

    It speaks of new pictures that are answered as surely as the last of these, and of this point
    alone: at one of four points at least the truth lies outside in 13 to 15 % of the samples. The
    accuracy at the same share of new pictures, whose threshold is another, lies within in 91 % and
    more (measured, docs/limits.md).
    """

    share: float  # of the pictures that is answered
    right: float  # share of the answers
    low: float
    high: float
    n: int  # answers


def curve(selective: Selective, *, points: int = 40) -> list[Point]:
    """Return accuracy against the share answered, from one answer to all of them.

    The intervals are those of `grouped_ratio`, as a promise's measured accuracy has.
    """
    counts = np.unique(np.linspace(1, selective.n, points).round().astype(np.int64)).tolist()
    return [_point(selective, count) for count in counts]


def _point(selective: Selective, count: int) -> Point:
    own = selective.grouping or grouping(None, num_rows=selective.n)
    surest = own.among(np.arange(count)) if own.named else grouping(None, num_rows=count)
    right = selective.right_N[:count].astype(np.float64)
    found = grouped_ratio(right, np.ones(count), surest)
    return Point(count / selective.n, found.value, found.low, found.high, count)
