"""Whether scores mean what they say, measured: bins of the reliability diagram, and their error."""

import math
from dataclasses import dataclass

import numpy as np

from saccade.data.task import Task
from saccade.evaluation.calibration import Calibration
from saccade.evaluation.comparison import FEWEST_UNITS
from saccade.evaluation.held import Held, NotPromised, check_may_judge
from saccade.evaluation.intervals import LEVEL, Estimate, Grouping, grouped_ratio
from saccade.runtime.seeds import generator

MOST_BINS = 15  # as in Guo et al. (2017)
FEWEST_IN_BIN = 20
DRAWS = 1_000
_STEPS = np.concatenate([np.linspace(0, 2, 21), np.linspace(2.25, 6, 16)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Some of the pictures, those with scores next to each other."""

    low: float  # the smallest score
    high: float  # the largest
    score: float  # mean
    right: Estimate  # the share that is right


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """How far scores are from the share that is right."""

    error: Estimate  # expected calibration error
    score: float  # mean of all
    right: float  # share of all
    p: float  # of a distance between these two as large, by chance
    bins: tuple[Bin, ...]  # of equal size, by rising score


def reliability(held: Held, calibration: Calibration, *, seed: int) -> Reliability:
    """Return the expected calibration error of some pictures, and the bins it was found with.

    One class a picture: of the score of the answer. Several labels: of every label's score.

    Raises:
        DataError: the calibration was fitted on some of these pictures (E391).
        NotPromised: there are too few of them, or the answers are values.
    """
    check_may_judge(held, fitted_on=calibration.fitted_on)
    if held.task.kind == "regression":
        raise NotPromised("values have no scores that could be too sure")
    scores_NK = calibration.scores(held.logits_NK, task=held.task)
    score_M, right_M, own = answers(scores_NK, held.targets, task=held.task, rows=held.grouping)
    num_bins = min(MOST_BINS, len(held) // FEWEST_IN_BIN)
    if num_bins < 2:
        raise NotPromised(
            f"{len(held)} pictures are too few to see whether scores hold; "
            f"{2 * FEWEST_IN_BIN} are needed"
        )
    order = np.argsort(score_M, kind="stable")
    places = np.array_split(order, num_bins)
    rng = generator(seed, "calibration error")
    error = calibration_error(score_M, right_M, places, own=own, n=len(held), rng=rng)
    return Reliability(
        error=error,
        score=float(score_M.mean()),
        right=float(right_M.mean()),
        p=p_on_the_whole(score_M, right_M, own),
        bins=tuple(_bin(score_M[one], right_M[one], own, one) for one in places),
    )


def p_on_the_whole(score_M: np.ndarray, right_M: np.ndarray, own: Grouping) -> float:
    """Return by what chance as many more or fewer are right than the scores say, two-sided.

    The number that is right is a sum of draws with these scores, taken for normal half a picture
    nearer (Spiegelhalter 1986 has it for squared errors); with groups its variance is that between
    them, where that is larger. It sees what the mean distance of single bins does not: all of them
    a little too low.
    """
    chance = float((score_M * (1 - score_M)).sum())
    if own.named:
        chance = max(chance, own.variance(right_M - score_M))
    off = max(abs(float((right_M - score_M).sum())) - 0.5, 0.0)
    return math.erfc(off / math.sqrt(2 * max(chance, 1e-12)))


def answers(
    scores_NK: np.ndarray, targets: np.ndarray, *, task: Task, rows: Grouping
) -> tuple[np.ndarray, np.ndarray, Grouping]:
    """Return the scores that are judged, whether each is right, 0 or 1, and what belongs together.

    Args:
        scores_NK: as `Task.scores` returns them.
        targets: as in `Task`; not for regression.
        task: the kind of answer.
        rows: which pictures belong together.
    """
    if task.kind != "multilabel":
        answer_N = scores_NK.argmax(axis=1)
        right_N = (answer_N == targets).astype(np.float64)
        return scores_NK[np.arange(len(scores_NK)), answer_N], right_N, rows
    own = Grouping(index=np.repeat(rows.index, scores_NK.shape[1]), count=rows.count, named=True)
    return scores_NK.ravel(), targets.astype(np.float64).ravel(), own


def calibration_error(
    score_M: np.ndarray,
    right_M: np.ndarray,
    places: list[np.ndarray],
    *,
    own: Grouping,
    n: int,
    rng: np.random.Generator,
) -> Estimate:
    """Return Σ share of the bin · |share that is right - mean score|, without its bias.

    Chance alone makes the plain sum larger than 0: of 200 pictures with perfect scores it is
    0.065. So the sum is drawn again, with binomial counts, under gaps that are 0, as large as
    those met, and s times as large; the value is that s under which the sum met would be the
    median one, and the ends of the interval those under which it would be at 97.5 % and 2.5 %.
    Counts are made as variable as the gaps of single pictures, or of groups, are seen to be.

    Source: the bias: R. Roelofs et al. (2022), Mitigating bias in calibration error estimation;
    the interval is a test turned round: D. R. Cox, D. V. Hinkley (1974), Theoretical Statistics,
    ch. 7. How often it holds: docs/limits.md.
    """
    size_B = np.array([len(one) for one in places])
    score_B = np.array([score_M[one].mean() for one in places])
    gap_B = np.array([right_M[one].mean() for one in places]) - score_B
    share_B = size_B / size_B.sum()
    met = float(share_B @ np.abs(gap_B))
    right_B = score_B + gap_B
    effect = _effect(right_M - score_M, float(share_B @ (right_B * (1 - right_B))), own)
    counted_B = np.maximum(1, np.round(size_B / effect)).astype(int)
    truth_SB = np.clip(score_B + _STEPS[:, None] * gap_B, 0, 1)
    errors_S = np.abs(truth_SB - score_B) @ share_B
    drawn_SRB = rng.binomial(counted_B, truth_SB[:, None], (len(_STEPS), DRAWS, len(places)))
    sums_SR = np.abs(drawn_SRB / counted_B - score_B) @ share_B
    tail = (1 - LEVEL) / 2
    low, value, high = (
        float(np.interp(met, np.maximum.accumulate(np.quantile(sums_SR, at, axis=1)), errors_S))
        for at in (1 - tail, 0.5, tail)
    )
    high = max(high, met)  # where the sum met is unusually small, and no gap would explain it
    return Estimate(
        value=value,
        low=min(low, value),
        high=high,
        n=n,
        method=f"median-unbiased, {len(places)} bins of equal size{own.suffix}",
    )


def _effect(off_M: np.ndarray, binomial: float, own: Grouping) -> float:
    """Return how many times as much a mean gap varies as counts within bins alone would.

    More where bins differ, for which scores are met is chance too, and where rows belong together;
    of too few groups to see how alike the rows of one are, each counts as one row.
    """
    if own.named and own.count < FEWEST_UNITS:
        return max(1.0, len(off_M) / own.count)
    met = own.variance((off_M - off_M.mean()) / len(off_M)) * len(off_M)
    return max(1.0, met / binomial) if binomial > 0 else 1.0


def _bin(score_M: np.ndarray, right_M: np.ndarray, own: Grouping, places: np.ndarray) -> Bin:
    return Bin(
        low=float(score_M.min()),
        high=float(score_M.max()),
        score=float(score_M.mean()),
        right=grouped_ratio(right_M, np.ones(len(places)), own.among(places)),
    )
