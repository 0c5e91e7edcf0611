"""A head that saw the training pictures as they are and nothing else, to hold augmentation to."""

from collections.abc import Callable

import numpy as np

from saccade.insight.evidence import Evidence
from saccade.insight.pool import known_penalty
from saccade.training.head import fit_head
from saccade.training.objective import class_weights_of


def plain_head(evidence: Evidence) -> Callable[[np.ndarray], np.ndarray]:
    """Return what a head says of frozen features (B, D): logits (B, K).

    It is solved on the training part, with the penalty of the run's own head.

    Raises:
        NotPossible: there are no frozen features.
    """
    rows = evidence.rows("train")
    targets = evidence.targets[rows]
    head = fit_head(
        evidence.features[rows],
        targets,
        task=evidence.task,
        seed=evidence.recipe.seed,
        class_weights=class_weights_of(
            targets, task=evidence.task, kind=evidence.recipe.class_weights
        ),
        penalties=(known_penalty(evidence),),
    )
    return lambda features_BD: np.asarray(features_BD @ head.weight_KD.T + head.bias_K)
