"""Answers that are sets of classes, or stretches of values, and hold the truth as often as asked.

What is promised is an average over pictures like those it was fitted on, whatever the network:
of 100 sets at a coverage of 0.95, at least 95 hold the truth. It is not promised of each class.
Where pictures belong together it is promised of pictures of new groups.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.special import betaln, gammaln

from saccade.data.task import Task
from saccade.evaluation.calibration import Calibration
from saccade.evaluation.held import Held, NotPromised, check_may_fit, check_may_judge
from saccade.evaluation.intervals import Estimate, grouped_ratio

_EXACTLY = 1e-9  # what (n + 1) · coverage may be above a whole number by rounding alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Conformal:
    """How far off the network was on held-out pictures; with it sets of any coverage are made.

    For classes: 1 - the score of the true class (of several labels: of the true one with the
    least). For values: the absolute error, in the user's unit.
    """

    misfits_N: np.ndarray  # float32, rising
    sizes_N: np.ndarray | None = None  # of how many pictures each one's group is; None: all alone
    fitted_on: frozenset[int] = field(default=frozenset(), compare=False, repr=False)

    @property
    def n(self) -> int:
        """Pictures it was fitted on."""
        return len(self.misfits_N)

    def reach(self, coverage: float) -> float:
        """Return how far off an answer may be and still be among those given.

        The ⌈(n + 1) · coverage⌉-th smallest misfit: the picture to come is as likely to be at any
        place among the n known ones. Where pictures belong together: `rank_in_groups`.

        Raises:
            NotPromised: that place is behind the last one.

        Source: V. Vovk, A. Gammerman, G. Shafer (2005), Algorithmic Learning in a Random World;
        J. Lei et al. (2018), JASA 113: 1094-1111.
        """
        grouped, known = self.sizes_N is not None, ""
        if self.sizes_N is None:
            place = rank(coverage, n=self.n)
        else:
            place = rank_in_groups(coverage, sizes_N=self.sizes_N)
            known = f" in {round(float((1 / self.sizes_N).sum()))} groups"
        if place > self.n:
            raise NotPromised(
                f"a coverage of {coverage:g} cannot be promised with n = {self.n} held-out "
                f"pictures{known}; {fewest(coverage)} {'groups ' * grouped}are needed"
            )
        return float(self.misfits_N[place - 1])


def rank(coverage: float, *, n: int) -> int:
    """Return which of n misfits, from the smallest, is the limit: ⌈(n + 1) · coverage⌉.

    >>> rank(0.95, n=19), rank(0.95, n=18), rank(0.9, n=99)
    (19, 19, 90)
    """
    return max(1, math.ceil((n + 1) * coverage - _EXACTLY))


def rank_in_groups(coverage: float, *, sizes_N: np.ndarray) -> int:
    """Return which of n misfits is the limit where pictures belong together; n + 1 for none.

    Every group weighs the same, and its pictures have equal parts of that. The group to come is
    like any of the G known ones, so the limit is where their weights come to (G + 1) · coverage.
    For groups of one picture this is `rank`. The plain rank covers too little: of 5 groups whose
    pictures are nearly alike 0.88 instead of 0.95 (docs/limits.md).

    Args:
        coverage: 0 to 1.
        sizes_N: of how many pictures the group of each is, by rising misfit.

    Source: R. Dunn, L. Wasserman, A. Ramdas (2023), JASA 118: 2491-2502; Y. Lee, R. F. Barber,
    R. Willett (2023), Distribution-free inference with hierarchical data.

    >>> rank_in_groups(0.5, sizes_N=np.array([2, 2, 1, 4, 4, 4, 4]))  # 2 of 3 groups
    3
    """
    worth = np.cumsum(1 / np.asarray(sizes_N, np.float64))
    needed = (round(float(worth[-1])) + 1) * coverage
    return int(np.searchsorted(worth, needed - _EXACTLY)) + 1


def fewest(coverage: float) -> int:
    """Return the held-out pictures, or groups, that a coverage needs: ⌈(n + 1) · coverage⌉ ≤ n.

    >>> [fewest(coverage) for coverage in (0.5, 0.9, 0.95, 0.99)]
    [1, 9, 19, 99]
    """
    return math.ceil(coverage / (1 - coverage) - _EXACTLY)


def fit_conformal(held: Held, calibration: Calibration) -> Conformal:
    """Return how far off the network was on some pictures.

    Raises:
        DataError: the pictures are of another part than validation (E390).
    """
    rows = check_may_fit(held)
    misfits_N = misfits(calibration.scores(held.logits_NK, task=held.task), held.targets, held.task)
    order, own = np.argsort(misfits_N, kind="stable"), held.grouping
    return Conformal(
        misfits_N=misfits_N[order],
        sizes_N=own.sizes[order] if own.named else None,
        fitted_on=rows,
    )


def misfits(scores_NK: np.ndarray, targets: np.ndarray, task: Task) -> np.ndarray:
    """Return how far off the truth is, float32 (N,); see `Conformal`.

    Rounded to float32 here and wherever it is compared, so that what was stored decides as what
    was computed did.
    """
    if task.kind == "regression":
        return np.asarray(np.abs(scores_NK[:, 0] - targets), np.float32)
    if task.kind == "multilabel":
        least_N = np.where(targets == 1, scores_NK, 1.0).min(axis=1)
        return np.asarray(1 - least_N, np.float32)
    own_N = scores_NK[np.arange(len(scores_NK)), targets.astype(np.int64)]
    return np.asarray(1 - own_N, np.float32)


def prediction_sets(scores_NK: np.ndarray, reach: float, *, task: Task) -> np.ndarray:
    """Return which classes are in each picture's set, bool (N, K).

    Those with a misfit up to `reach`, and the best class always: a set is never empty, and where
    the network is right more often than was asked, its answer alone covers enough.

    Source: the smallest sets on average: M. Sadinle, J. Lei, L. Wasserman (2019), JASA 114:
    223-234 ("LAC").
    """
    sets_NK = (1 - scores_NK).astype(np.float32) <= np.float32(reach)
    if task.kind != "multilabel":
        sets_NK[np.arange(len(sets_NK)), scores_NK.argmax(axis=1)] = True
    return sets_NK


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What came of a promise on pictures that it was not fitted on."""

    promised: float
    measured: Estimate
    size: float  # mean number of classes in a set; values: the width of the stretch
    single: float  # share of the sets that are one class; NaN for values


def chance_of_so_few(held: int, n: int, rank: int, above: int) -> float:
    """Return the chance that a limit holds so few of `n` new pictures, or fewer.

    Args:
        held: of the new pictures.
        n: new pictures, as exchangeable as those that set the limit, and alone.
        rank: of the picture that is the limit, from 1.
        above: pictures that set it and lie above, and one more; 1 or more.

    Source: the share that an order statistic holds is beta distributed, so the number is
    beta-binomial; A. Angelopoulos, S. Bates (2021), arXiv:2107.07511, sec. 3.2.

    >>> round(chance_of_so_few(53, 60, 58, 3), 3)
    0.081
    """
    each = np.arange(held + 1)
    ways = gammaln(n + 1) - gammaln(each + 1) - gammaln(n - each + 1)
    log_p = ways + betaln(each + rank, n - each + above) - betaln(rank, above)
    return float(min(1.0, np.exp(log_p).sum()))


def measure_coverage(
    held: Held, calibration: Calibration, conformal: Conformal, coverage: float
) -> Coverage:
    """Return how often sets hold the truth, and how large they are.

    Raises:
        DataError: they were fitted on some of these pictures (E391).
        NotPromised: that coverage cannot be promised.
    """
    check_may_judge(held, fitted_on=conformal.fitted_on)
    reach = conformal.reach(coverage)
    scores_NK = calibration.scores(held.logits_NK, task=held.task)
    if held.task.kind == "regression":
        holds_N = misfits(scores_NK, held.targets, held.task) <= np.float32(reach)
        size, single = 2 * reach, math.nan
    else:
        sets_NK = prediction_sets(scores_NK, reach, task=held.task)
        holds_N = _holds(sets_NK, held.targets, held.task)
        sizes_N = sets_NK.sum(axis=1)
        size, single = float(sizes_N.mean()), float((sizes_N == 1).mean())
    measured = grouped_ratio(holds_N.astype(np.float64), np.ones(len(held)), held.grouping)
    return Coverage(promised=coverage, measured=measured, size=size, single=single)


def _holds(sets_NK: np.ndarray, targets: np.ndarray, task: Task) -> np.ndarray:
    if task.kind == "multilabel":
        return np.asarray((sets_NK | (targets == 0)).all(axis=1))
    return np.asarray(sets_NK[np.arange(len(sets_NK)), targets.astype(np.int64)])
