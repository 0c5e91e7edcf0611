"""How right each answer is: scores as ratios of sums over pictures, so that pictures can be drawn.

What is a sum over pictures can be weighed, resampled, kept together by group and compared pair by
pair with the same few lines, whatever the task.
"""

from dataclasses import dataclass, replace

import numpy as np

from saccade.data.task import Task
from saccade.evaluation.difference import lower_is_better
from saccade.evaluation.intervals import (
    Estimate,
    Grouping,
    effective_size,
    grouped_ratio,
    mapped,
    proportion,
    quantile,
    undefined,
)
from saccade.evaluation.resampling import mean_interval
from saccade.evaluation.significance import ALL_EQUAL, ROUNDING, difference_of_shares


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """A score of N pictures: Σ hits / Σ trials.

    | task | name | hits of a picture | its trials |
    |---|---|---|---|
    | binary, multiclass | accuracy | 1 where the answer is right | 1 |
    | multilabel | f1_micro | twice the labels found | labels said + labels true |
    | regression | mae | the absolute error, in the user's unit | 1 |
    """

    name: str
    hits_N: np.ndarray  # float64
    trials_N: np.ndarray  # float64

    def __len__(self) -> int:
        return len(self.hits_N)

    @property
    def value(self) -> float:
        """The score; NaN without trials."""
        total = float(self.trials_N.sum())
        return float(self.hits_N.sum()) / total if total else float("nan")

    @property
    def losses_N(self) -> np.ndarray:
        """What each picture adds to the mean loss: an error, wrong or not, or 1 - F1.

        F1 is no mean over pictures; each adds what it would add if the others stayed as they are
        (its infinitesimal jackknife value).
        """
        if lower_is_better(self.name):
            return self.hits_N
        if (self.trials_N == 1).all():
            return 1 - self.hits_N
        return 1 - self.value - len(self) * _influence(self)

    def take(self, rows: np.ndarray) -> "Tally":
        """Return the tally of some of the pictures."""
        return replace(self, hits_N=self.hits_N[rows], trials_N=self.trials_N[rows])

    def estimate(self, grouping: Grouping, *, seed: int) -> Estimate:
        """Return the score with its 95 % interval, groups kept together.

        It is the one that `evaluate` gives to this score. Right and wrong answers: Wilson's
        interval. Answers that are partly right because several networks gave them: Wilson's at
        the effective size of the infinitesimal jackknife, never more than the trials; with groups
        at `effective_size`. Several labels: as that of a class's F1. Errors: the studentised
        bootstrap.
        """
        n = len(self)
        if not n or not self.trials_N.any():
            return undefined("no pictures", n=n)
        if lower_is_better(self.name):
            return mean_interval(self.hits_N, grouping=grouping, seed=seed)
        if _right_or_wrong(self):
            return grouped_ratio(self.hits_N, self.trials_N, grouping)
        return _f1(self, grouping) if self.name == "f1_micro" else _mean(self, grouping)


def answers_of(logits_NK: np.ndarray, task: Task) -> np.ndarray:
    """Return the answers that logits mean, in the form of `Predictions.predicted`."""
    if task.kind == "multilabel":
        return np.asarray(logits_NK > 0, np.uint8)
    scores = task.scores(logits_NK)
    if task.kind == "regression":
        return np.asarray(scores[:, 0])
    return np.asarray(scores.argmax(axis=1), np.int64)


def blank_answers(task: Task, num: int) -> np.ndarray:
    """Return room for answers of so many pictures, in the form of `answers_of`."""
    if task.kind == "multilabel":
        return np.zeros((num, task.num_outputs), np.uint8)
    return np.zeros(num, np.float64 if task.kind == "regression" else np.int64)


def tally(truth: np.ndarray, answers: np.ndarray, task: Task) -> Tally:
    """Return how right the answers are, picture by picture.

    Args:
        truth: as in `Task`.
        answers: in the same form.
        task: the kind of answer.

    >>> colours = Task(kind="multiclass", classes=("blue", "red"))
    >>> tally(np.array([0, 1, 1]), np.array([0, 1, 0]), colours).hits_N.tolist()
    [1.0, 1.0, 0.0]
    """
    ones = np.ones(len(truth))
    if task.kind == "regression":
        return Tally(name="mae", hits_N=np.abs(answers - truth), trials_N=ones)
    if task.kind == "multilabel":
        said, true = answers.astype(bool), truth.astype(bool)
        return Tally(
            name="f1_micro",
            hits_N=2.0 * (said & true).sum(axis=1),
            trials_N=(said.sum(axis=1) + true.sum(axis=1)).astype(np.float64),
        )
    return Tally(name="accuracy", hits_N=(answers == truth).astype(np.float64), trials_N=ones)


def mean_of(tallies: list[Tally]) -> Tally:
    """Return the mean of several tallies of the same pictures: of several networks' answers."""
    return replace(
        tallies[0],
        hits_N=np.mean([own.hits_N for own in tallies], axis=0),
        trials_N=np.mean([own.trials_N for own in tallies], axis=0),
    )


def difference(first: Tally, second: Tally, grouping: Grouping) -> Estimate:
    """Return first minus second of the same pictures, with a paired 95 % interval.

    What makes a picture hard is common to both and drops out. Right and wrong answers:
    `difference_of_shares`. Else Student's t on the infinitesimal jackknife's variance; with
    groups their number gives the degrees of freedom. Errors that all differ alike have no interval.
    """
    n, value = len(first), first.value - second.value
    if grouping.count < 2:
        return Estimate(value=value, low=np.nan, high=np.nan, n=n, method="no interval: one group")
    if all(_right_or_wrong(own) for own in (first, second)):
        return difference_of_shares(second.hits_N, first.hits_N, grouping)
    extra = 0.0 if lower_is_better(first.name) else grouping.half_apart
    spread = float(np.sqrt(grouping.variance(_influence(first) - _influence(second)) + extra))
    if spread <= ROUNDING * abs(value):
        return Estimate(value=value, low=np.nan, high=np.nan, n=n, method=ALL_EQUAL)
    reach = quantile(grouping.count - 1) * spread
    limit = np.inf if lower_is_better(first.name) else 1.0
    return Estimate(
        value=value,
        low=max(value - reach, -limit),
        high=min(value + reach, limit),
        n=n,
        method=f"paired jackknife{grouping.suffix}",
    )


def _right_or_wrong(own: Tally) -> bool:
    """Return whether every answer is one or the other, as those of a single network are."""
    return own.name == "accuracy" and bool(np.isin(own.hits_N, (0.0, 1.0)).all())


def _influence(own: Tally) -> np.ndarray:
    return np.asarray((own.hits_N - own.value * own.trials_N) / own.trials_N.sum())


def _f1(own: Tally, grouping: Grouping) -> Estimate:
    """Return F1 = 2·J / (1 + J) of the Jaccard index J = labels found / labels said or true.

    J is a share of labels, of which those of one picture may be alike, as pictures of one group
    may; its interval is carried over. Of 30 pictures with rare labels a bare jackknife's held the
    truth in 77 % of samples, this one in 99 % (docs/intervals.md).
    """
    found_N = own.hits_N / 2
    either_N = own.trials_N - found_N
    some = either_N > 0
    kept = grouping.among(some)
    index = proportion(
        float(found_N.sum() / either_N.sum()),
        effective=max(effective_size(found_N[some], either_N[some], kept), 1.0),
        n=len(own),
        method=f"wilson-jackknife{kept.suffix}",
        freedom=kept.freedom,
        counted=True,
    )
    return mapped(index, numerator=(0, 2), denominator=(1, 1))


def _mean(own: Tally, grouping: Grouping) -> Estimate:
    value, total, kept = own.value, float(own.trials_N.sum()), grouping
    if grouping.named:
        some = own.trials_N > 0
        kept = grouping.among(some)
        effective = effective_size(own.hits_N[some], own.trials_N[some], kept)
    else:
        variance = grouping.variance(_influence(own))
        effective = min(total, value * (1 - value) / variance) if variance > 0 else grouping.count
    return proportion(
        value,
        effective=max(effective, 1.0),
        n=len(own),
        method=f"wilson-jackknife{kept.suffix}",
        freedom=kept.freedom,
        counted=True,  # as one network's is, of whose answers it is the mean
    )
