"""Answers to changed pictures, held to the answers to the same pictures as they are."""

import time
from typing import Any

import numpy as np

from saccade.data.stratify import strata
from saccade.evaluation.intervals import grouped_ratio
from saccade.evaluation.recovery import p_of_gain
from saccade.evaluation.tally import Tally, answers_of, difference, tally
from saccade.insight.evidence import Ask, Evidence
from saccade.runtime.seeds import generator

SIZES = (200, 150, 100, 75, 50, 40, 30)
"""Pictures that are asked about: in steps, so that a machine comes to the same number again."""
PROBES = 16  # pictures that tell how quick a network is
BATCH = 32


class Changeable:
    """Pictures of one part that will be changed, and how answers to them are compared.

    Args:
        evidence: of the run.
        rows: of the pictures, ascending.
    """

    def __init__(self, evidence: Evidence, rows: np.ndarray) -> None:
        self.rows = rows
        self.canvases = evidence.cache.canvases(rows)
        self.task = evidence.task
        self.truth = evidence.targets[rows]
        self.grouping = evidence.grouping_of(rows)
        self.seed = evidence.recipe.seed

    def tally(self, logits_NK: np.ndarray) -> Tally:
        """Return how right answers are, picture by picture."""
        return tally(self.truth, answers_of(logits_NK, self.task), self.task)

    def score(self, logits_NK: np.ndarray) -> dict[str, Any]:
        """Return the score with its interval, as JSON can hold it."""
        return self.tally(logits_NK).estimate(self.grouping, seed=self.seed).as_dict()

    def gained(self, first_NK: np.ndarray, second_NK: np.ndarray) -> dict[str, Any]:
        """Return the second network's score minus the first's, of the same pictures."""
        return difference(self.tally(second_NK), self.tally(first_NK), self.grouping).as_dict()

    def p_of_harm(self, plain_NK: np.ndarray, changed_NK: np.ndarray) -> float:
        """Return the one-sided p of answers that became worse (see `p_of_gain`)."""
        plain, changed = self.tally(plain_NK), self.tally(changed_NK)
        return p_of_gain(changed.losses_N, plain.losses_N, self.grouping)

    def compared(self, plain_NK: np.ndarray, changed_NK: np.ndarray) -> dict[str, Any]:
        """Return the score of changed pictures, its change, and the share of other answers.

        The last is None for numbers, which always are others.
        """
        found: dict[str, Any] = {
            "score": self.score(changed_NK),
            "change": self.gained(plain_NK, changed_NK),
            "changed": None,
        }
        if self.task.kind != "regression":
            other = answers_of(plain_NK, self.task) != answers_of(changed_NK, self.task)
            other_N = other.reshape(len(other), -1).any(axis=1).astype(np.float64)
            share = grouped_ratio(other_N, np.ones(len(other_N)), self.grouping)
            found["changed"] = share.as_dict()
        return found


def number_of_pictures(rate: float, *, passes: int, num: int, seconds: float) -> int:
    """Return about how many pictures a network has time for; 0 where they would be too few.

    Args:
        rate: pictures a second.
        passes: how often each picture is asked about.
        num: pictures that there are.
        seconds: for all of it.

    >>> number_of_pictures(200.0, passes=20, num=500, seconds=5.0)
    50
    >>> number_of_pictures(50.0, passes=20, num=500, seconds=5.0)
    0
    """
    sizes = [min(size, num) for size in SIZES]
    return next((size for size in sizes if size * passes <= rate * seconds), 0)


def drawn(evidence: Evidence, num: int, *parts: str) -> np.ndarray:
    """Return `num` rows of parts, ascending; every class has its share, to the nearest picture.

    Rows are put in order by class, and drawn at even distances: so a class of less than a
    distance may have none, and a sample answers as the part does.
    """
    rows = evidence.rows(*parts)
    if num >= len(rows):
        return rows
    rng = generator(evidence.recipe.seed, "pictures to change", *parts)
    shuffled = rng.permutation(len(rows)).tolist()
    of = strata(evidence.task, evidence.targets[rows])
    by_class = np.array(sorted(shuffled, key=of.__getitem__))
    places = (np.arange(num) + rng.random()) * (len(rows) / num)
    return np.sort(rows[by_class[places.astype(np.int64)]])


def images_per_second(ask: Ask, canvases_BHWC: np.ndarray) -> float:
    """Return how many pictures a second are answered; the first few only warm up."""
    ask(canvases_BHWC[:2])
    begun = time.perf_counter()
    ask(canvases_BHWC)
    return len(canvases_BHWC) / max(time.perf_counter() - begun, 1e-9)


def in_batches(ask: Ask) -> Ask:
    """Return what asks about any number of canvases, some at a time."""

    def all_of(canvases_BHWC: np.ndarray) -> np.ndarray:
        starts = range(0, len(canvases_BHWC), BATCH)
        return np.concatenate([ask(canvases_BHWC[at : at + BATCH]) for at in starts])

    return all_of
