"""What is to be learned: the kind of answer, the classes, and what follows from them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal["binary", "multiclass", "multilabel", "regression"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The kind of answer; the output activation and the loss follow from it.

    | kind | outputs (K) | activation | loss | targets |
    |---|---|---|---|---|
    | binary | 1 | sigmoid | binary cross-entropy | int64 (N,), 1 = `classes[1]` |
    | multiclass | one a class | softmax | cross-entropy | int64 (N,) |
    | multilabel | one a label | sigmoid | binary cross-entropy | uint8 (N, K) |
    | regression | 1 | linear | squared error on the standardised target | float64 (N,) |
    """

    kind: Kind
    classes: tuple[str, ...]  # sorted by name; empty for regression
    separator: str = ""  # multi-label: what stands between labels in one cell; "" = 0/1 columns
    target_mean: float = 0.0  # regression: of the training part; outputs are standardised
    target_std: float = 1.0
    why: str = ""  # one sentence: what was taken and why

    @property
    def num_outputs(self) -> int:
        """Neurons in the output layer."""
        return 1 if self.kind in {"binary", "regression"} else len(self.classes)

    def scores(self, logits_NK: np.ndarray) -> np.ndarray:
        """Return what the outputs mean, as float64.

        Binary and multi-class: probabilities (N, number of classes) that add up to 1.
        Multi-label: one probability a label (N, K). Regression: the value itself (N, 1), in
        the user's unit.
        """
        logits = logits_NK.astype(np.float64)
        if self.kind == "regression":
            return logits * self.target_std + self.target_mean
        if self.kind == "multiclass":
            shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
            return shifted / shifted.sum(axis=1, keepdims=True)
        probabilities = 1 / (1 + np.exp(-np.clip(logits, -700, 700)))
        if self.kind == "binary":
            return np.concatenate([1 - probabilities, probabilities], axis=1)
        return probabilities
