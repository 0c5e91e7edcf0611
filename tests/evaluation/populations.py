"""Networks whose scores are known to be right, for tests of what is made of scores."""

import numpy as np

from saccade.data.task import Kind, Task
from saccade.evaluation.held import Held

MULTICLASS = Task(kind="multiclass", classes=("ant", "bee", "cat", "dog", "eel"))
BINARY = Task(kind="binary", classes=("no", "yes"))
MULTILABEL = Task(kind="multilabel", classes=("ant", "bee", "cat"))
REGRESSION = Task(kind="regression", classes=(), target_mean=2.0, target_std=3.0)
TASKS: dict[Kind, Task] = {
    "multiclass": MULTICLASS,
    "binary": BINARY,
    "multilabel": MULTILABEL,
    "regression": REGRESSION,
}


def draw(
    n: int,
    *,
    kind: Kind = "multiclass",
    seed: int = 0,
    spread: float = 3.0,
    sharpened: float = 1.0,
    part: str = "validation",
    first_row: int = 0,
) -> Held:
    """Return n pictures whose truth is drawn from the softmax (sigmoid) of their logits.

    The logits are then multiplied by `sharpened`, so that the right temperature is that number.
    """
    task, rng = TASKS[kind], np.random.default_rng([seed, n])
    logits_NK = rng.normal(0, spread, (n, task.num_outputs))
    scores_NK = task.scores(logits_NK)
    if kind == "multiclass":
        targets = (scores_NK.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    elif kind == "binary":
        targets = (rng.random(n) < scores_NK[:, 1]).astype(np.int64)
    elif kind == "multilabel":
        targets = (rng.random(scores_NK.shape) < scores_NK).astype(np.uint8)
    else:
        targets = scores_NK[:, 0] + rng.normal(0, 1, n)
    return Held(
        part=part,
        rows=tuple(range(first_row, first_row + n)),
        task=task,
        logits_NK=(logits_NK * sharpened).astype(np.float32),
        targets=targets,
    )
