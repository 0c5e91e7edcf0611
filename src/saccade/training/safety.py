"""Whether an augmentation spoils what is to be learned: asked of small pictures, beforehand.

A mirrored arrow points the other way, a mirrored 2 is no 2. Such a view teaches something wrong:
who learns from it as well answers worse to pictures as they are. That is what is measured here,
with a probe that learns once without the views and once with them, and is judged on pictures that
it did not learn from, as they are.

The probe sees 16 × 16 pixels and needs no network: one that learned from mirrored photographs, as
nearly all did, cannot tell a picture from its mirror image, so it is the wrong witness. And a probe
that merely answers worse to the views would not do either: it may be weak there, which is a reason
to learn from them. Measured in docs/robustness.md.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
import torch.nn.functional as F
from scipy.linalg import blas, lapack

from saccade.data.cache import PixelCache
from saccade.data.preprocess import Preprocess
from saccade.data.task import Task
from saccade.evaluation.comparison import paired_gain
from saccade.evaluation.intervals import LEVEL, Estimate
from saccade.evaluation.significance import SURELY
from saccade.runtime.machine import num_cores, one_blas_thread
from saccade.training.augment import Augment, Augmenter
from saccade.training.head import NUM_FOLDS
from saccade.training.probe import Sample

FAMILIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "rotate": ("rotate",),
        "zoom": ("zoom",),
        "shift": ("shift",),
        "hflip": ("hflip",),
        "vflip": ("vflip",),
        "light": ("brightness", "contrast"),
        "noise": ("noise",),
    }
)
"""What is judged together: fields of `Augment` by name."""

NUM_SAMPLE = 500
"""Pictures that the probe learns from: mirrored digits are found in each of eight samples of 500
(docs/robustness.md); the seconds grow with the cube."""
FEWEST = 60  # pictures below which nothing is judged
LEAST_LOST = 0.01
"""Share of what the probe knows that must be lost: less is sure in large samples, and no matter."""
P_KNOWS = 1e-3  # that a probe which knows nothing about the classes would do as well

_WORK_PX = 32  # side at which views are drawn
SIDE_PX = 16  # side that the probe sees, or less where pictures are smaller
_WIDTH = 2.0  # the kernel is exp(-d² / (this × the median d²))
_PENALTIES = tuple(float(p) for p in 10.0 ** np.arange(-3, 1.01, 0.5))
_STEP = math.sqrt(10)
_PIECE = 64  # canvases read at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What learning from the views of one family does to answers about pictures as they are."""

    name: str  # a key of `FAMILIES`
    lost: Estimate  # share of what the probe knows; negative where the views help
    p: float  # one-sided: of losing this much where nothing is lost
    right: int  # pictures that the probe, which has not learned views, names rightly
    turned: int  # of these, how many it names wrongly when it is shown their view
    move: tuple[str, str, int] | None  # the most frequent of these: from, to, how many
    example: tuple[int, int] | None  # rows: whose view, and what it looks like, of another class
    unsafe: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Safety:
    """What a probe can tell about augmentations."""

    num: int  # pictures
    skill: float  # share of the variance of the answers that the probe explains, held out
    knows: bool  # whether that is beyond chance; if not, nothing can be told
    verdicts: tuple[Verdict, ...]

    @property
    def unsafe(self) -> tuple[str, ...]:
        """Names of what should be left out."""
        return tuple(one.name for one in self.verdicts if one.unsafe)


def active_families(augment: Augment) -> tuple[str, ...]:
    """Return the names of what is switched on.

    >>> active_families(Augment(hflip=0.5, contrast=0.1))
    ('hflip', 'light')
    """
    return tuple(
        name
        for name, fields in FAMILIES.items()
        if any(getattr(augment, field) > 0 for field in fields)
    )


def judge_augmentation(
    cache: PixelCache,
    sample: Sample,
    *,
    task: Task,
    augment: Augment,
    names: Sequence[str],
    seed: int,
) -> Safety:
    """Return a verdict on each family in `names`, at the strength that `augment` has.

    Flips mirror every picture, whatever their probability is.

    Args:
        cache: the pictures' canvases.
        sample: training pictures with their answers, in folds.
        task: the kind of answer; squared error serves all.
        augment: how strong each family is.
        names: keys of `FAMILIES`.
        seed: of the views.
    """
    with one_blas_thread():  # the same bits on any number of cores
        small = _Small(cache, sample.rows, seed=seed)
        probe = _Probe(
            small.seen(),
            _wanted(sample.targets_N, task),
            sample.folds_N,
            sample.groups if any(sample.groups) else None,
        )

        def verdict(name: str) -> Verdict:
            views = small.seen(at_full(augment.only(*FAMILIES[name])))
            return _verdict(name, probe, views, sample, task)

        with ThreadPoolExecutor(num_cores()) as pool:  # LAPACK lets go of Python meanwhile
            verdicts = list(pool.map(verdict, names if probe.knows else ()))
    return Safety(
        num=len(sample.rows), skill=probe.skill, knows=probe.knows, verdicts=tuple(verdicts)
    )


def at_full(augment: Augment) -> Augment:
    """Return the same with every picture mirrored where any may be."""
    sure = {name: 1.0 for name in ("hflip", "vflip") if getattr(augment, name) > 0}
    return dataclasses.replace(augment, **sure)


class _Small:
    """Canvases shrunk to 32 pixels and their rim, from which views are drawn in no time."""

    def __init__(self, cache: PixelCache, rows: Sequence[int], *, seed: int) -> None:
        own = cache.preprocess
        self.shrunk = min(1.0, _WORK_PX / own.size_px)
        size, canvas = (round(side * self.shrunk) for side in (own.size_px, own.canvas_px))
        # half a pixel more: the canvas is rounded down, and a quotient can fall short
        fraction = size / (canvas + 0.5)
        self.preprocess = Preprocess(size_px=size, crop_fraction=fraction)
        pieces = [
            _shrink(cache.canvases(rows[at : at + _PIECE]), canvas)
            for at in range(0, len(rows), _PIECE)
        ]
        self.canvases = np.concatenate(pieces)
        self.rows, self.seed = rows, seed

    def seen(self, augment: Augment | None = None) -> np.ndarray:
        """Return what the probe sees, float64 (N, 16 · 16 · 3) in 0-1: as it is, or a view."""
        if augment is None:
            pixels = torch.from_numpy(self.preprocess.centre(self.canvases).copy()).float()
        else:
            # a pixel here is the mean of many, whose noise is less by the root of their number
            weaker = dataclasses.replace(augment, noise=augment.noise * self.shrunk)
            augmenter = Augmenter(weaker, self.preprocess, seed=self.seed, device="cpu")
            pixels = augmenter(self.canvases, self.rows, epoch=1)
        side = min(SIDE_PX, self.preprocess.size_px)
        pooled = F.adaptive_avg_pool2d(pixels.permute(0, 3, 1, 2), side)
        return np.asarray(pooled.flatten(1).double().numpy() / 255)


def _shrink(canvases_BHWC: np.ndarray, side_px: int) -> np.ndarray:
    pixels = torch.from_numpy(canvases_BHWC).permute(0, 3, 1, 2).float()
    small: np.ndarray = (
        F.adaptive_avg_pool2d(pixels, side_px).round().byte().permute(0, 2, 3, 1).numpy()
    )
    return small


class _Probe:
    """Kernel ridge regression of the answers, with and without views, held out fold by fold."""

    def __init__(
        self,
        seen_ND: np.ndarray,
        wanted_NK: np.ndarray,
        folds_N: np.ndarray,
        groups: Sequence[str] | None,
    ) -> None:
        self.seen, self.folds, self.groups = seen_ND, folds_N, groups
        self.mean_K = wanted_NK.mean(axis=0)
        self.wanted = wanted_NK - self.mean_K
        apart_NN = _apart(seen_ND, seen_ND)
        above = apart_NN[apart_NN > 0]
        self.scale = _WIDTH * float(np.median(above)) if above.size else 1.0
        self.kernel = np.exp(-apart_NN / self.scale)
        tried = [held_out(self.kernel, self.wanted, folds_N, penalty) for penalty in _PENALTIES]
        losses = [float((own**2).sum()) for own in tried]
        best = int(np.argmin(losses))
        self.penalty = _PENALTIES[best]
        self.answers_NK = self.wanted - tried[best]
        self.losses_N = (tried[best] ** 2).sum(axis=1)
        blank_N = (self.wanted**2).sum(axis=1)
        self.gained = float(np.mean(blank_N - self.losses_N))
        self.skill = self.gained / max(float(blank_N.mean()), 1e-30)
        self.knows = paired_gain(blank_N, self.losses_N, groups=groups).p < P_KNOWS

    def losses_with(self, views_ND: np.ndarray) -> np.ndarray:
        """Return the losses of the plain pictures (N,) where the views were learned from as well.

        With views that are equal to the pictures, twice the penalty gives the very same answers,
        so that is tried first. Only where it does harm are others tried: they could show no more.
        """
        cross_NN = np.exp(-_apart(self.seen, views_ND) / self.scale)
        among_NN = np.exp(-_apart(views_ND, views_ND) / self.scale)
        kernel = np.block([[self.kernel, cross_NN], [cross_NN.T, among_NN]])
        wanted = np.concatenate([self.wanted, self.wanted])
        folds = np.concatenate([self.folds, self.folds])

        def losses(penalty: float) -> np.ndarray:
            errors = held_out(kernel, wanted, folds, penalty)[: len(self.wanted)]
            return np.asarray(np.square(errors).sum(axis=1))

        middle = 2 * self.penalty
        first = losses(middle)
        if not self.is_harmed(first):
            return first
        tried = [first, losses(middle / _STEP), losses(middle * _STEP)]
        return tried[int(np.argmin([one.sum() for one in tried]))]

    def is_harmed(self, with_N: np.ndarray) -> bool:
        """Return whether losses are larger than those of plain pictures, surely."""
        return paired_gain(with_N, self.losses_N, groups=self.groups).p < SURELY

    def shown(self, views_ND: np.ndarray) -> np.ndarray:
        """Return what it says of views (N, K), from plain pictures of the other folds."""
        answers = np.empty_like(self.wanted)
        for fold in range(NUM_FOLDS):
            own, held = self.folds != fold, self.folds == fold
            kernel = self.kernel[np.ix_(own, own)] + self.penalty * np.eye(int(own.sum()))
            weights = np.linalg.solve(kernel, self.wanted[own])
            answers[held] = self.near(views_ND[held])[:, own] @ weights
        return np.asarray(answers)

    def near(self, views_ND: np.ndarray) -> np.ndarray:
        """Return how like each plain picture each view is (M, N), 1 = equal."""
        return np.asarray(np.exp(-_apart(views_ND, self.seen) / self.scale))


def held_out(
    kernel_NN: np.ndarray, wanted_NK: np.ndarray, folds_N: np.ndarray, penalty: float
) -> np.ndarray:
    """Return errors (N, K) of ridge regression for pictures of folds that were left out in turn.

    All folds from one inversion: with G = (K + penalty)⁻¹ the errors of the pictures F that are
    left out are (G_FF)⁻¹ (G y)_F.

    Source: block inversion, as for a fold of one picture in G. Wahba (1990), Spline Models for
    Observational Data, ch. 4.
    """
    matrix = np.array(kernel_NN, order="F")
    matrix.flat[:: len(matrix) + 1] += penalty
    factor, _ = lapack.dpotrf(matrix, lower=1, overwrite_a=1)
    inverse, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)  # its lower half
    solved = blas.dsymm(1.0, inverse, wanted_NK, lower=1)
    errors = np.empty_like(wanted_NK)
    for fold in range(NUM_FOLDS):
        own = np.flatnonzero(folds_N == fold)
        errors[own] = lapack.dposv(inverse[np.ix_(own, own)], solved[own], lower=1)[1]
    return errors


def _verdict(name: str, probe: _Probe, views_ND: np.ndarray, sample: Sample, task: Task) -> Verdict:
    with_N = probe.losses_with(views_ND)
    more_N = with_N - probe.losses_N
    more = paired_gain(with_N, probe.losses_N, groups=probe.groups, sure=(1 + LEVEL) / 2)
    p = more.p
    known = math.isfinite(more.low)
    lost = Estimate(
        value=more.value / probe.gained,
        low=more.low / probe.gained if known else math.nan,
        high=more.high / probe.gained if known else math.nan,
        n=more.n,
        method="paired t, held out" if known else "no interval: too few groups",
    )
    unsafe = probe.is_harmed(with_N) and lost.value > LEAST_LOST
    right, turned, move = _turned(probe, views_ND, sample, task)
    example = _look_alike(probe, views_ND, more_N, sample) if unsafe else None
    return Verdict(
        name=name, lost=lost, p=p, right=right, turned=turned, move=move, example=example,
        unsafe=unsafe,
    )  # fmt: skip


def _turned(
    probe: _Probe, views_ND: np.ndarray, sample: Sample, task: Task
) -> tuple[int, int, tuple[str, str, int] | None]:
    """Return how many right answers there are, how many the views turn, and the usual move."""
    if task.kind not in {"binary", "multiclass"}:
        return 0, 0, None
    plain_N, shown_N = (
        _classes(answers + probe.mean_K) for answers in (probe.answers_NK, probe.shown(views_ND))
    )
    right_N = plain_N == sample.targets_N
    turned_N = right_N & (shown_N != sample.targets_N)
    moves = np.zeros((len(task.classes),) * 2, np.int64)
    np.add.at(moves, (sample.targets_N[turned_N], shown_N[turned_N]), 1)
    start, end = (int(k) for k in np.unravel_index(moves.argmax(), moves.shape))
    most = int(moves[start, end])
    move = (task.classes[start], task.classes[end], most) if most else None
    return int(right_N.sum()), int(turned_N.sum()), move


def _look_alike(
    probe: _Probe, views_ND: np.ndarray, more_N: np.ndarray, sample: Sample
) -> tuple[int, int] | None:
    """Return a picture that suffers much and, of another class, what its view looks most like."""
    if sample.targets_N.ndim != 1 or np.issubdtype(sample.targets_N.dtype, np.floating):
        return None
    worst = np.argsort(-more_N, kind="stable")[: max(len(more_N) // 20, 1)]
    near = probe.near(views_ND[worst])
    near[sample.targets_N[worst][:, None] == sample.targets_N[None]] = -1.0
    place, other = (int(k) for k in np.unravel_index(near.argmax(), near.shape))
    return sample.rows[int(worst[place])], sample.rows[other]


def _classes(scores_NK: np.ndarray) -> np.ndarray:
    if scores_NK.shape[1] == 1:
        return np.asarray(scores_NK[:, 0] > 0.5, np.int64)
    return np.asarray(scores_NK.argmax(axis=1))


def _wanted(targets_N: np.ndarray, task: Task) -> np.ndarray:
    """Return what the probe should say: 0 or 1 for each class or label, or a number."""
    if task.kind == "multiclass":
        return np.asarray(np.eye(task.num_outputs)[targets_N])
    return np.asarray(targets_N, np.float64).reshape(len(targets_N), task.num_outputs)


def _apart(first_ND: np.ndarray, second_MD: np.ndarray) -> np.ndarray:
    """Return squared distances (N, M)."""
    squares = (first_ND**2).sum(axis=1)[:, None] + (second_MD**2).sum(axis=1)[None]
    return np.asarray(np.maximum(squares - 2 * first_ND @ second_MD.T, 0.0))
