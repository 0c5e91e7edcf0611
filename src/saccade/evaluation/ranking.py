"""ROC AUC and average precision, each with what every row contributes to its variance."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from saccade.evaluation.intervals import Estimate, Grouping, proportion, undefined

_PRIOR_ROWS, _PRIOR_GROUPS = 5, 2
"""What the model variance counts for; chosen by simulation (docs/intervals.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """One ranking score and what its interval needs."""

    value: float
    influence: np.ndarray  # (N,): what each row adds; the variance is the sum of its squares
    model_variance: float  # what a textbook model of the scores expects at `shrunk`
    shrunk: float  # the value pulled a little towards 1/2, so that 1.0 keeps some variance
    side: np.ndarray  # bool (N,): the rows of the smaller side
    imperfect: np.ndarray  # bool (N,): of one side, the rows that are not ranked perfectly


def roc_auc(positive: np.ndarray, scores: np.ndarray) -> Ranked | None:
    """Return the chance that a positive row scores above a negative one, ties counted half.

    None where all rows are on one side. The influence is DeLong's structural components.

    Args:
        positive: bool (N,).
        scores: (N,), higher means more likely positive.

    Source: E. R. DeLong et al. (1988), Biometrics 44: 837-845; the model variance is J. A.
    Hanley, B. J. McNeil (1982), Radiology 143: 29-36, in the symmetric form of R. G. Newcombe
    (2006), Stat. Med. 25: 559-573, method 5.
    """
    num_pos = int(positive.sum())
    num_neg = len(positive) - num_pos
    if not num_pos or not num_neg:
        return None
    ordered_pos, ordered_neg = np.sort(scores[positive]), np.sort(scores[~positive])
    beaten = _share_below(ordered_neg, scores[positive])
    lost = 1 - _share_below(ordered_pos, scores[~positive])
    value = float(beaten.mean())
    influence = np.empty(len(scores))
    influence[positive] = (beaten - value) / num_pos * math.sqrt(num_pos / max(num_pos - 1, 1))
    influence[~positive] = (lost - value) / num_neg * math.sqrt(num_neg / max(num_neg - 1, 1))
    side = positive if num_pos <= num_neg else ~positive
    smaller = min(num_pos, num_neg)
    shrunk = (value * smaller + 0.5) / (smaller + 1)
    pairs = (num_pos + num_neg) / 2 - 1
    spread = 1 + pairs * ((1 - shrunk) / (2 - shrunk) + shrunk / (1 + shrunk))
    model = shrunk * (1 - shrunk) * spread / (num_pos * num_neg)
    imperfect = np.zeros((2, len(scores)), np.bool_)
    imperfect[0, positive], imperfect[1, ~positive] = beaten < 1, lost < 1
    return Ranked(
        value=value,
        influence=influence,
        model_variance=model,
        shrunk=shrunk,
        side=side,
        imperfect=imperfect[imperfect.sum(axis=1).argmin()],
    )


def average_precision(positive: np.ndarray, scores: np.ndarray) -> Ranked | None:
    """Return the sum over thresholds of (gain in recall) · precision, as scikit-learn's.

    None where no row is positive. The influence is the derivative by each row's weight.

    Args:
        positive: bool (N,).
        scores: (N,), higher means more likely positive.

    Source: the derivative is ours; the model variance is the binomial one of K. Boyd et al.
    (2013), ECML PKDD, LNCS 8190: 451-466.
    """
    num_pos = int(positive.sum())
    if not num_pos:
        return None
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    ends = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    first = np.concatenate(([0], ends[:-1] + 1))
    run = np.repeat(np.arange(len(ends)), ends - first + 1)  # equal scores stand together
    own = positive[order].astype(np.float64)
    hits, seen = own.cumsum()[ends], (ends + 1).astype(np.float64)
    gained = np.diff(hits, prepend=0)
    value = float((gained * hits / seen).sum() / num_pos)
    # a row counts as seen at its own threshold and at every lower one
    as_hit = (gained / seen)[::-1].cumsum()[::-1]
    as_seen = (gained * hits / seen**2)[::-1].cumsum()[::-1]
    change = own * ((hits / seen)[run] + as_hit[run] - value) - as_seen[run]
    influence = np.empty(len(scores))
    influence[order] = change / num_pos
    imperfect = np.zeros(len(scores), np.bool_)
    imperfect[order] = (own > 0) & (hits < seen)[run]
    shrunk = (value * num_pos + 0.5) / (num_pos + 1)
    return Ranked(
        value=value,
        influence=influence,
        model_variance=shrunk * (1 - shrunk) / num_pos,
        shrunk=shrunk,
        side=positive,
        imperfect=imperfect,
    )


def mean_estimate(
    each: Sequence[Ranked | None], *, grouping: Grouping, method: str, why: str
) -> Estimate:
    """Return the mean of ranking scores over classes, or one score, with its 95 % interval.

    The variance measured on the rows is unreliable where few rows are on one side or the value is
    close to 1; where the variance of a model is larger, it is mixed in with the weight of 5 rows,
    or of 2 groups. In the model a group counts as one row, for the little that is measured near 1
    does not tell how much the rows of a group go together. The interval is Wilson's at the
    effective sample size (`intervals.proportion`): that of the value pulled a little towards 1/2,
    the less, the more the measured variance is worth.

    Args:
        each: one a class; None where it is not defined, which the mean leaves out.
        grouping: which rows belong together.
        method: what the interval is called.
        why: said where no class has a defined value.
    """
    n = len(grouping.index)
    known = [one for one in each if one is not None]
    if not known:
        return undefined(why, n=n)
    measured = np.array([grouping.variance(one.influence) for one in known])
    alone = np.array([float((one.influence**2).sum()) for one in known])
    together = grouping.variance(np.sum([one.influence for one in known], axis=0))
    # how much more a sum varies because the same rows serve every class: 1 independent, K equal
    most = float(len(known))
    overlap = min(max(together / measured.sum(), 1.0), most) if measured.sum() > 0 else most
    ratio = np.divide(measured, alone, out=np.ones_like(alone), where=alone > 0)
    design = np.maximum(ratio, n / grouping.count)  # 1 at least, as without groups
    model = np.array([one.model_variance for one in known]) @ design * overlap
    # classes share their rows
    rows = sum(_reliable_rows(one, grouping) for one in known) / math.sqrt(len(known))
    worth = rows / (rows + (_PRIOR_GROUPS if grouping.named else _PRIOR_ROWS))
    variance = max(together, worth * together + (1 - worth) * model) / len(known) ** 2
    value = float(np.mean([one.value for one in known]))
    pulled = (1 - worth**2) * float(np.mean([one.shrunk for one in known]))
    near = worth**2 * value + pulled
    left_out = len(each) - len(known)
    remark = f"; mean of {len(known)} of {len(each)} classes" if left_out else ""
    return proportion(
        value,
        effective=near * (1 - near) / variance,
        n=n,
        method=method + grouping.suffix + remark,
        freedom=grouping.freedom,
    )


def _reliable_rows(one: Ranked, grouping: Grouping) -> float:
    """Return how many rows, or groups, a measured variance is worth.

    Close to a perfect ranking all of the variance comes from the few rows that are not ranked
    perfectly, however many others there are. The geometric mean was chosen by simulation. Rows
    that belong together are worth one.
    """
    return math.sqrt(_num_apart(one.side, grouping) * _num_apart(one.imperfect, grouping))


def _num_apart(kept: np.ndarray, grouping: Grouping) -> int:
    """Return how many of the rows are independent of each other: groups, where there are."""
    return len(np.unique(grouping.index[kept])) if grouping.named else int(kept.sum())


def _share_below(ordered: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the share of `ordered` below each value, equal ones counted half."""
    below = np.searchsorted(ordered, values, side="left")
    not_above = np.searchsorted(ordered, values, side="right")
    return (below + not_above) / (2 * len(ordered))
