"""What studies rest on: the data, its features, and after learning the one prediction table."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from saccade.data.cache import PixelCache
from saccade.data.catalog import Catalog
from saccade.data.duplicates import Twins
from saccade.data.looks import Looks
from saccade.data.split import Split
from saccade.data.task import Task
from saccade.evaluation.intervals import Grouping, grouping
from saccade.evaluation.model_trust import ModelTrust
from saccade.evaluation.predictions import Predictions
from saccade.runtime.machine import rows_of

if TYPE_CHECKING:
    from saccade.training.recipe import Recipe

Ask = Callable[[np.ndarray], np.ndarray]
"""From canvases, uint8 (B, canvas, canvas, 3), to float32 (B, …)."""


NO_FEATURES = "there are no features of a pretrained network"


class NotPossible(Exception):
    """A study has nothing to say about this run; the text says why, for a person."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """Everything that studies may look at; N rows, in the order of the catalogue.

    What a study that runs before learning may choose by is the train and validation part alone;
    the answers of the test part are there to judge by, after the end.
    """

    recipe: "Recipe"
    catalog: Catalog
    task: Task
    split: Split
    targets: np.ndarray  # as in `Task`, of every row
    cache: PixelCache
    looks: Looks
    twins: Twins | None = None  # which pictures show the same; None = it was not looked for
    features_ND: np.ndarray | None = None  # of the frozen pretrained stages; None from scratch
    features_name: str = ""  # whose they are: "mobilenetv2_100"
    frozen_engine: Ask | None = None  # canvases to features as in `features_ND`
    views: Sequence[Callable[[np.ndarray], np.ndarray]] = ()
    """Of each augmented view that was made or can be: training rows to frozen features."""
    # After learning only:
    table: Predictions | None = None
    logits_NK: np.ndarray | None = None  # of the network as it ships, uncalibrated
    model_features_ND: np.ndarray | None = None  # what its classifier is given
    model_trust: ModelTrust | None = None  # what the model is to know of its own answers
    final_engine: Ask | None = None  # canvases to logits (B, K) of the network as it ships
    history: Sequence[Mapping[str, Any]] = ()  # events of history.jsonl
    model: Mapping[str, Any] = field(default_factory=dict)  # the section `model` of run.json
    seconds: Mapping[str, float] = field(default_factory=dict)  # of the steps so far
    deadline: float = math.inf  # on the monotonic clock

    def rows(self, *parts: str) -> np.ndarray:
        """Return the rows of some parts, ascending, int64."""
        found = sorted(row for part in parts for row in self.split.rows(part))
        return np.asarray(found, np.int64)

    @property
    def features(self) -> np.ndarray:
        """The frozen features; raises NotPossible where there are none."""
        if self.features_ND is None:
            raise NotPossible(NO_FEATURES)
        return self.features_ND

    def features_of(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return copies of the frozen features of some rows, float32 (M, D); raises NotPossible."""
        return rows_of(self.features, rows)

    def grouping_of(self, rows: np.ndarray) -> Grouping:
        """Return which of some rows belong together; without groups each stands alone."""
        groups = [self.split.groups[row] for row in rows.tolist()]
        return grouping(groups if any(groups) else None, num_rows=len(rows))

    @property
    def finished(self) -> Predictions:
        """The prediction table; raises NotPossible before the end."""
        if self.table is None:
            raise NotPossible("nothing has been predicted yet")
        return self.table
