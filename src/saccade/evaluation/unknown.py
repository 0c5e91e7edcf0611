"""Pictures of something else: how far they lie from all that taught the network.

A classifier answers whatever it is shown. What its last layer is given tells more: pictures
unlike those that it learned from lie far away from them.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from saccade.data.sealed import Answers
from saccade.data.stratify import strata, stratify
from saccade.data.task import Task
from saccade.evaluation.conformal import rank_in_groups
from saccade.evaluation.held import Held, NotPromised, check_may_fit, check_may_judge
from saccade.evaluation.intervals import Estimate, grouped_ratio
from saccade.runtime.seeds import generator

RATE = 0.05
"""Share of the pictures of the right kind that is taken for something else, at most, on average."""
NEIGHBOURS = 3
MOST_AXES = 96
MOST_PICTURES = 1_000
"""Of the training part, that are kept as a reference. With 1,280 features 0.9 MB in all."""
COPY = 0.3
"""Share of the limit of what is unknown within which a picture lies of a copy of it, along the axes
alone. Source: measured, docs/limits.md."""
LEAST_AXES = 64
"""With fewer a nearest of hundreds is near by chance: of networks from scratch with 4 features two
in three new pictures seemed to be copies, with 16 one in seventeen, with 32 one in thirty."""
_CHUNK = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Some training pictures in the space of the features, by their principal axes.

    Only what lies off the axes is shortened, to its length: two such remainders are as good as
    perpendicular, so that distances are nearly those in the whole space.
    """

    mean_D: np.ndarray  # float32, all of them
    axes_DR: np.ndarray
    near_SR: np.ndarray  # S pictures along the axes
    rest_S: np.ndarray  # the square of what is off the axes
    taught_by: frozenset[int] = field(default=frozenset(), compare=False, repr=False)

    @property
    def num_features(self) -> int:
        """Width D of the features."""
        return len(self.mean_D)

    @property
    def num_axes(self) -> int:
        """Number R of axes."""
        return int(self.axes_DR.shape[1])

    def distances(self, features_ND: np.ndarray) -> np.ndarray:
        """Return how far pictures are from their three nearest in the reference, float64 (N,).

        Source: Y. Sun, Y. Ming, X. Zhu, Y. Li (2022), Out-of-distribution detection with deep
        nearest neighbors. Square roots, three neighbours and the axes were chosen by measurement
        (docs/limits.md).
        """
        return self._in_pieces(features_ND, self._distances)

    def nearest_along(self, features_ND: np.ndarray) -> np.ndarray:
        """Return how far pictures are from their nearest along the axes alone, float64 (N,).

        What is off the axes tells copies apart from their originals more than pictures from each
        other.
        """
        return self._in_pieces(features_ND, self._nearest_along)

    @staticmethod
    def _in_pieces(features_ND: np.ndarray, ask: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        starts = range(0, len(features_ND), _CHUNK)
        found = [ask(features_ND[start : start + _CHUNK]) for start in starts]
        return np.concatenate(found) if found else np.zeros(0)

    def _distances(self, features_ND: np.ndarray) -> np.ndarray:
        squared_NS, rest_N = self._squared_along(features_ND)
        squared_NS += rest_N[:, None] + self.rest_S
        k = min(NEIGHBOURS, len(self.near_SR))
        nearest_Nk = np.partition(squared_NS, k - 1, axis=1)[:, :k]
        return np.asarray(np.sqrt(np.maximum(nearest_Nk.mean(axis=1), 0)))

    def _nearest_along(self, features_ND: np.ndarray) -> np.ndarray:
        squared_NS, _ = self._squared_along(features_ND)
        return np.asarray(np.sqrt(np.maximum(squared_NS.min(axis=1), 0)))

    def _squared_along(self, features_ND: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return squared distances along the axes, (N, S), and what of each is off them, (N,)."""
        apart_ND = evened(features_ND) - self.mean_D
        along_NR = apart_ND @ self.axes_DR.astype(np.float64)
        rest_N = np.maximum((apart_ND**2).sum(axis=1) - (along_NR**2).sum(axis=1), 0)
        near_SR = self.near_SR.astype(np.float64)
        squared_NS = (along_NR**2).sum(axis=1)[:, None] + (near_SR**2).sum(axis=1)
        return squared_NS - 2 * along_NR @ near_SR.T, rest_N

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what is stored, by name."""
        return {
            "mean": self.mean_D,
            "axes": self.axes_DR,
            "near": self.near_SR,
            "rest": self.rest_S,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "Reference | None":
        """Return the reference that `arrays` came from; None where they do not fit together."""
        if set(arrays) != {"mean", "axes", "near", "rest"}:
            return None
        mean, axes, near, rest = (arrays[name] for name in ("mean", "axes", "near", "rest"))
        if [a.ndim for a in (mean, axes, near, rest)] != [1, 2, 2, 1] or not len(near):
            return None
        if axes.shape != (len(mean), near.shape[1]) or len(rest) != len(near):
            return None
        if min(axes.shape) < 1 or not (rest >= 0).all():
            return None
        return cls(mean_D=mean, axes_DR=axes, near_SR=near, rest_S=rest)


def evened(features_ND: np.ndarray) -> np.ndarray:
    """Return the square roots of features, with their sign, float64.

    A few large features would else decide alone, and pictures with little in them (a digit, a
    drawing) would lie near everything.

    >>> evened(np.array([[4.0, -9.0, 0.0]])).tolist()
    [[2.0, -3.0, 0.0]]
    """
    features = features_ND.astype(np.float64)
    return np.asarray(np.sign(features) * np.sqrt(np.abs(features)))


def drawn_reference(rows: Sequence[int], targets: Answers, *, task: Task, seed: int) -> list[int]:
    """Return the training pictures that a reference is made of: all, or of many an even share.

    Args:
        rows: of the training part.
        targets: of all pictures; only those of the rows are read.
        task: says what the classes are.
        seed: decides which of many.
    """
    if len(rows) <= MOST_PICTURES:
        return list(rows)
    share = MOST_PICTURES / len(rows)
    dealt = stratify(
        [[place] for place in range(len(rows))],
        strata(task, targets[list(rows)]),
        fractions={"rest": 1 - share, "kept": share},
        rng=generator(seed, "reference"),
    )
    return [row for row, part in zip(rows, dealt, strict=True) if part == "kept"]


def fit_reference(features_SD: np.ndarray, *, rows: Sequence[int]) -> Reference:
    """Return a reference made of training pictures.

    Args:
        features_SD: what the classifier is given of each.
        rows: which pictures of the catalogue they are.
    """
    even_SD = evened(features_SD)
    mean_D = even_SD.mean(axis=0).astype(np.float32)
    apart_SD = even_SD - mean_D
    axes_DR = _principal_axes(apart_SD).astype(np.float32)
    near_SR = apart_SD @ axes_DR
    rest_S = np.maximum((apart_SD**2).sum(axis=1) - (near_SR**2).sum(axis=1), 0)
    return Reference(
        mean_D=mean_D,
        axes_DR=axes_DR,
        near_SR=near_SR.astype(np.float32),
        rest_S=rest_S.astype(np.float32),
        taught_by=frozenset(rows),
    )


def _principal_axes(apart_SD: np.ndarray) -> np.ndarray:
    """Return the directions of largest variance, unit columns (D, R); one at least."""
    num, width = apart_SD.shape
    if num <= width:
        values, left = np.linalg.eigh(apart_SD @ apart_SD.T)
        axes = apart_SD.T @ left / np.sqrt(np.maximum(values, 1e-300))
    else:
        values, axes = np.linalg.eigh(apart_SD.T @ apart_SD)
    kept = [place for place in range(len(values)) if values[place] > 1e-9 * values[-1]]
    if not kept:  # all pictures have the same features
        return np.eye(width)[:, :1]
    return np.asarray(axes[:, kept[::-1][:MOST_AXES]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A distance beyond which a picture is taken for something else."""

    reference: Reference
    threshold: float
    rate: float  # share of the pictures of the right kind that lie beyond, at most, on average
    n: int  # held-out pictures that set the threshold
    fitted_on: frozenset[int] = field(default=frozenset(), compare=False, repr=False)

    def is_unknown(self, features_ND: np.ndarray) -> np.ndarray:
        """Return whether pictures are unlike those learned from, bool (N,)."""
        return np.asarray(self.reference.distances(features_ND) > self.threshold)

    def seem_copies(self, features_ND: np.ndarray) -> np.ndarray | None:
        """Return whether pictures seem to show what a picture of the reference shows, bool (N,).

        Re-encoded, resized, mirrored or cropped a little; of pictures in the reference alone. None
        where there are fewer than `LEAST_AXES` to tell by.
        """
        if self.reference.num_axes < LEAST_AXES:
            return None
        return np.asarray(self.reference.nearest_along(features_ND) < COPY * self.threshold)


def fit_unknown(
    reference: Reference, held: Held, features_ND: np.ndarray, *, rate: float = RATE
) -> Unknown:
    """Return the threshold that held-out pictures of the right kind set.

    The ⌊rate · (n + 1)⌋-th largest of their distances: one more such picture lies beyond it with
    a probability of `rate` at most. The features of pictures that taught a network would not do,
    for it has drawn them together. Pictures that belong together are far off together: with groups
    the place is that of `rank_in_groups`, and the rate of G groups is 1 / (G + 1) at least.

    Args:
        reference: made of training pictures.
        held: of the validation part.
        features_ND: of the same pictures.
        rate: 0 to 0.5.

    Raises:
        DataError: pictures of another part (E390), or that the reference is made of (E391).
        NotPromised: there are too few of them.
    """
    rows = check_may_fit(held)
    check_may_judge(held, fitted_on=reference.taught_by)
    place = math.floor(rate * (len(held) + 1) + 1e-9)
    if place < 1:
        raise NotPromised(
            f"{len(held)} held-out pictures are too few to say what is unlike them; "
            f"{math.ceil(1 / rate - 1e-9) - 1} are needed"
        )
    distances_N, own = reference.distances(features_ND), held.grouping
    order = np.argsort(distances_N, kind="stable")
    if own.named:
        rate = max(rate, math.ceil(1000 / (own.count + 1)) / 1000)  # as it is read
        place = len(held) + 1 - rank_in_groups(1 - rate, sizes_N=own.sizes[order])
    return Unknown(
        reference=reference,
        threshold=float(distances_N[order[-place]]),
        rate=rate,
        n=len(held),
        fitted_on=rows | reference.taught_by,
    )


def measure_unknown(held: Held, features_ND: np.ndarray, unknown: Unknown) -> Estimate:
    """Return the share of pictures of the right kind that is taken for something else.

    Raises:
        DataError: reference or threshold were made of some of these pictures (E391).
    """
    check_may_judge(held, fitted_on=unknown.fitted_on)
    beyond_N = unknown.is_unknown(features_ND).astype(np.float64)
    return grouped_ratio(beyond_N, np.ones(len(held)), held.grouping)
