"""The files of a run, read once for all checks of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from saccade.data.task import Task
from saccade.evaluation.predictions import Predictions
from saccade.reporting.folder import SplitRow, read_metrics, read_split
from saccade.run import Run
from saccade.runtime.errors import SaccadeError
from saccade.runtime.progress import Progress
from saccade.training.recipe import Recipe
from saccade.training.recipe_file import read_recipe

T = TypeVar("T")


class Failed(Exception):
    """A check failed; the text says what is wrong."""


class NotChecked(Exception):
    """A check could not be made; the text says why."""


class Papers:
    """What lies in a run folder. What cannot be read is asked for in vain: `NotChecked`."""

    def __init__(self, folder: Path, *, data: str = "", progress: Progress) -> None:
        self.folder, self.progress = folder, progress
        self.data = data  # where the pictures lie now; "" = where the recipe says
        self.run = Run(folder=folder)
        self.facts: dict[str, Any] = self.run.facts
        self.unreadable: dict[str, str] = {}
        self._task = self._read("run.json", lambda: self.run.task)
        self._table = self._read("predictions.csv", lambda: self.run.predictions)
        self._split = self._read("split.csv", lambda: read_split(folder) or _missing())
        self._metrics = self._read("metrics.json", self._raw_metrics)
        self._recipe = self._read("recipe.toml", lambda: read_recipe(folder / "recipe.toml"))

    @property
    def task(self) -> Task:
        """The kind of answer, and the classes."""
        return self._had("run.json", self._task)

    @property
    def table(self) -> Predictions:
        """The prediction table."""
        return self._had("predictions.csv", self._table)

    @property
    def split(self) -> list[SplitRow]:
        """The lines of split.csv."""
        return self._had("split.csv", self._split)

    @property
    def metrics(self) -> dict[str, Any]:
        """metrics.json as it stands."""
        return self._had("metrics.json", self._metrics)

    @property
    def recipe(self) -> Recipe:
        """Every choice of the run."""
        return self._had("recipe.toml", self._recipe)

    @property
    def groups(self) -> list[str] | None:
        """The group of every picture, as the metrics were computed with; None: no groups."""
        groups = [row.group for row in self.split]
        return groups if any(groups) else None

    def _raw_metrics(self) -> dict[str, Any]:
        if not read_metrics(self.folder):
            _missing()
        found: dict[str, Any] = json.loads((self.folder / "metrics.json").read_text("utf-8"))
        return found

    def _read(self, name: str, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except SaccadeError as error:
            self.unreadable[name] = error.message
        except (OSError, KeyError, TypeError, ValueError) as error:
            self.unreadable[name] = f"it is damaged ({type(error).__name__}: {error})"
        return None

    def _had(self, name: str, found: T | None) -> T:
        if found is None:
            raise NotChecked(f"{name} cannot be read")
        return found


def _missing() -> NoReturn:
    raise OSError("it is not there")
