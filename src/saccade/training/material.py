"""What there is to learn from, as everything that trains or asks is given it."""

from collections.abc import Sequence
from dataclasses import dataclass

from saccade.data.cache import PixelCache
from saccade.data.sealed import Answers
from saccade.data.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What there is to learn from: pixels, answers, and which rows are for what."""

    cache: PixelCache
    targets: Answers  # as in Task, a row a picture of the catalogue; the test's are sealed
    train_rows: list[int]
    validation_rows: list[int]
    task: Task
    asked_rows: Sequence[int] = ()  # only asked about, such as the test's: no answers are needed
    groups: Sequence[str] = ()  # of every row of the catalogue, as in `Split`; () = none

    def groups_of(self, rows: Sequence[int]) -> list[str] | None:
        """Return the group of each row, "" where it is alone; None where there are none."""
        return [self.groups[row] for row in rows] if self.groups else None
