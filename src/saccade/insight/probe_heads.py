"""Heads on frozen features that learned with augmentation and without, to hold to each other."""

from collections.abc import Callable

import numpy as np

from saccade.insight.changed import drawn
from saccade.insight.evidence import Evidence, NotPossible
from saccade.insight.pool import known_penalty
from saccade.training.head import fit_head
from saccade.training.objective import class_weights_of

Answers = Callable[[np.ndarray], np.ndarray]
"""From frozen features (B, D) to logits (B, K)."""

MOST_TAUGHT = 1_000
"""Training pictures that such a head learns from, so that it takes a second at most."""
MOST_VIEWED = 300  # where heads with views are compared: views may have to be made for it


def plain_head(evidence: Evidence, *, most: int = MOST_TAUGHT) -> Answers:
    """Return a head that saw training pictures, `most` of them, as they are and nothing else.

    Raises:
        NotPossible: there are no frozen features.
    """
    rows = drawn(evidence, most, "train")
    return _solved(evidence, [evidence.features_of(rows)], rows)


def viewed_head(evidence: Evidence, *, most: int = MOST_VIEWED) -> Answers:
    """Return a head that saw as many pictures, and their augmented views as well.

    Beside a plain one of as many all else is equal, the penalty too: what lies between the two
    is augmentation.

    Raises:
        NotPossible: there are no frozen features, or no views.
    """
    if not evidence.views:
        raise NotPossible("the run computed no augmented views")
    rows = drawn(evidence, most, "train")
    return _solved(
        evidence, [evidence.features_of(rows), *(view(rows) for view in evidence.views)], rows
    )


def _solved(evidence: Evidence, views: list[np.ndarray], rows: np.ndarray) -> Answers:
    """Return a head on all views of some pictures, with the penalty of the run's own head."""
    targets = np.concatenate([evidence.targets[rows]] * len(views))
    head = fit_head(
        np.concatenate(views),
        targets,
        task=evidence.task,
        seed=evidence.recipe.seed,
        class_weights=class_weights_of(
            targets, task=evidence.task, kind=evidence.recipe.class_weights
        ),
        penalties=(known_penalty(evidence).at(len(rows)),),
    )
    return lambda features_BD: np.asarray(features_BD @ head.weight_KD.T + head.bias_K)
