"""What heads that learned from subsets of the pictures say of the other pictures."""

import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from saccade.data.stratify import strata, units_of
from saccade.data.task import Task
from saccade.evaluation.intervals import Grouping, grouping
from saccade.evaluation.learning_curve import Answers, sizes_of, spread_order
from saccade.evaluation.tally import Tally, answers_of, blank_answers
from saccade.insight.evidence import Evidence, NotPossible
from saccade.insight.pool import KnownPenalty
from saccade.runtime.machine import num_cores, one_blas_thread
from saccade.runtime.seeds import generator
from saccade.training.nested_heads import growing_heads, prepare
from saccade.training.objective import class_weights_of
from saccade.training.probe import Sample

STEPS = 6  # sizes
REPEATS = 2
"""Subsets of each size in each fold, which tell how much it matters what is in a subset."""
NUM_JUDGED = 1_000
"""Pictures from which fewer than all folds are judged: a score of 0.9 is then known to ± 0.02."""
SPAN = 3  # the largest size must be so many times the smallest


@dataclass(frozen=True, slots=True, kw_only=True)
class Subsets:
    """Answers to the same V pictures by heads of several sizes."""

    task: Task
    sizes: tuple[int, ...]  # pictures that were learned from, ascending
    said: tuple[tuple[np.ndarray, ...], ...]  # for each size and subset, as `answers_of`
    truth: np.ndarray
    folds_V: np.ndarray  # pictures with the same number were judged by the same heads
    groups: tuple[str, ...]

    @property
    def grouping(self) -> Grouping:
        """Which of the judged pictures belong together."""
        return grouping(self.groups if any(self.groups) else None, num_rows=len(self.truth))

    def answers(self, tallied: Callable[[np.ndarray], Tally]) -> Answers:
        """Return hits and trials of everything that was said, as `tallied` counts them."""
        each = [[tallied(said) for said in subsets] for subsets in self.said]
        return Answers(
            sizes=self.sizes,
            hits=tuple(np.stack([own.hits_N for own in subsets]) for subsets in each),
            trials=tuple(np.stack([own.trials_N for own in subsets]) for subsets in each),
            folds_V=self.folds_V,
        )

    def take(self, rows: np.ndarray) -> "Subsets":
        """Return the same of some of the pictures."""
        return Subsets(
            task=self.task,
            sizes=self.sizes,
            said=tuple(tuple(own[rows] for own in subsets) for subsets in self.said),
            truth=self.truth[rows],
            folds_V=self.folds_V[rows],
            groups=tuple(self.groups[row] for row in rows.tolist()),
        )


def judge_subsets(evidence: Evidence, sample: Sample, *, penalty: KnownPenalty) -> Subsets:
    """Return what heads on subsets of the other folds say of the pictures of a fold.

    Args:
        evidence: with frozen features.
        sample: the pictures, dealt out to folds.
        penalty: of all heads, each for its number of pictures.

    Raises:
        NotPossible: the smallest useful subset is nearly all there is, or the time is up.
    """
    task, folds_N = evidence.task, sample.folds_N
    weights = class_weights_of(sample.targets_N, task=task, kind=evidence.recipe.class_weights)
    ground = prepare(
        evidence.features_of(sample.rows), sample.targets_N, task=task, class_weights=weights
    )
    num_folds = int(folds_N.max()) + 1
    used = min(num_folds, max(2, -(-NUM_JUDGED * num_folds // len(folds_N))))
    sizes = _sizes(folds_N, used, task)
    rows = np.flatnonzero(folds_N < used)
    said = [[blank_answers(task, rows.size) for _ in range(REPEATS)] for _ in sizes[:-1]]
    said.append([blank_answers(task, rows.size)])  # of all pictures there is one subset

    def judged(fold: int, repeat: int) -> list[np.ndarray]:
        if time.monotonic() > evidence.deadline:
            raise NotPossible("its time was up")
        own_sizes = sizes if repeat == 0 else sizes[:-1]
        return growing_heads(
            ground,
            _order(sample, task, fold, repeat, seed=evidence.recipe.seed),
            own_sizes,
            ground.at(np.flatnonzero(folds_N == fold)),
            penalties=[penalty.at(size) for size in own_sizes],
        )

    jobs = list(itertools.product(range(used), range(REPEATS)))
    with one_blas_thread(), ThreadPoolExecutor(num_cores()) as pool:
        answered = pool.map(lambda job: judged(*job), jobs)
        for (fold, repeat), found in zip(jobs, answered, strict=True):
            for place, logits_VK in enumerate(found):
                said[place][repeat][folds_N[rows] == fold] = answers_of(logits_VK, task)
    return Subsets(
        task=task,
        sizes=sizes,
        said=tuple(map(tuple, said)),
        truth=sample.targets_N[rows],
        folds_V=folds_N[rows],
        groups=tuple(sample.groups[row] for row in rows.tolist()),
    )


def _sizes(folds_N: np.ndarray, used: int, task: Task) -> tuple[int, ...]:
    largest = min(int((folds_N != fold).sum()) for fold in range(used))
    sizes = sizes_of(largest, fewest=max(20, 2 * task.num_outputs), steps=STEPS)
    if sizes[-1] < SPAN * sizes[0]:
        raise NotPossible(f"{len(folds_N)} pictures to learn from are too few for a curve")
    return sizes


def _order(sample: Sample, task: Task, fold: int, repeat: int, *, seed: int) -> np.ndarray:
    """Return the pictures outside a fold in an order of which every beginning is like the whole."""
    units = units_of(np.flatnonzero(sample.folds_N != fold).tolist(), sample.groups)
    strata_of = strata(task, sample.targets_N)
    number = {own: place for place, own in enumerate(sorted(set(strata_of)))}
    rng = generator(seed, "learning curve", "subsets", fold, repeat)
    order = spread_order(units, [number[strata_of[unit[0]]] for unit in units], rng)
    return np.asarray(order, np.int64)
