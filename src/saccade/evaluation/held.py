"""Pictures that did not teach a network, with what it says of them: some fit, others judge."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from saccade.data.sealed import Answers
from saccade.data.split import Split
from saccade.data.task import Task
from saccade.evaluation.intervals import Grouping, grouping
from saccade.runtime.errors import DataError

FITS = "validation"
"""The only part that calibration, prediction sets and thresholds are fitted on. It chose the
network too, so that what it says may flatter a little; the test part then measures how much."""


class NotPromised(Exception):
    """Something cannot be promised with the pictures there are; the text says why, for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """N pictures of one part and what the network says of them.

    Raises:
        ValueError: the columns differ in length.
    """

    part: str
    rows: tuple[int, ...]  # of the catalogue; they tell whether two sets share a picture
    task: Task
    logits_NK: np.ndarray  # as the network gives them
    targets: np.ndarray  # as in `Task`
    groups: tuple[str, ...] = ()  # of each row, "" = alone; none at all: all alone

    def __post_init__(self) -> None:
        num = len(self.rows)
        if not num == len(self.logits_NK) == len(self.targets) or len(self.groups) not in {0, num}:
            raise ValueError("rows, logits, targets and groups differ in length")

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def grouping(self) -> Grouping:
        """Which rows belong together."""
        named = self.groups if any(self.groups) else None
        return grouping(named, num_rows=len(self))

    def take(self, places: np.ndarray) -> "Held":
        """Return some of the rows, by their place in this set."""
        return Held(
            part=self.part,
            rows=tuple(self.rows[place] for place in places),
            task=self.task,
            logits_NK=self.logits_NK[places],
            targets=self.targets[places],
            groups=tuple(self.groups[place] for place in places) if self.groups else (),
        )


def hold(part: str, *, split: Split, task: Task, logits_NK: np.ndarray, targets: Answers) -> Held:
    """Return one part of a run; logits and targets are those of all pictures."""
    rows = split.rows(part)
    return Held(
        part=part,
        rows=tuple(rows),
        task=task,
        logits_NK=logits_NK[rows],
        targets=targets[rows],
        groups=tuple(split.groups[row] for row in rows),
    )


def check_may_fit(held: Held) -> frozenset[int]:
    """Return the rows, if they are of the part that may fit something.

    Raises:
        DataError: they are not (E390). What taught the network is too well known to it, and what
            the test part has fitted it cannot judge.
    """
    if held.part == FITS:
        return frozenset(held.rows)
    raise DataError(
        f"Calibration and thresholds are fitted on the {FITS} part, not on the {held.part} part.",
        code="390",
        where=f"{len(held)} pictures of the {held.part} part",
        fix=f"give the rows of the {FITS} part",
    )


def check_may_judge(held: Held, *, fitted_on: Collection[int]) -> None:
    """Raise where pictures would judge what was fitted on them.

    Raises:
        DataError: they would (E391).
    """
    same = set(held.rows) & set(fitted_on)
    if same:
        raise DataError(
            f"{len(same)} of {len(held)} pictures would judge what was fitted on them, which "
            "always flatters.",
            code="391",
            where=f"the rows given as the {held.part} part",
            fix="judge on the test part, which fitted nothing",
        )
