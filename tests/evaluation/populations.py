"""Populations whose true values are known, and networks whose scores are known to be right."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import sklearn.metrics as sk

from saccade.data.task import Kind, Task
from saccade.evaluation.held import Held
from saccade.evaluation.predictions import Predictions

LARGE = 400_000
Draws = Callable[..., np.ndarray]

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


def table(task: Task, truth: np.ndarray, scores: np.ndarray) -> Predictions:
    """Return a prediction table of one test part with numbers for names."""
    n = len(truth)
    return Predictions(
        task=task,
        paths=tuple(map(str, range(n))),
        hashes=("",) * n,
        parts=("test",) * n,
        truth=truth,
        scores=scores,
    )


def shared(one: Draws, shape: tuple[int, ...], each: int) -> np.ndarray:
    """Return draws of which half the variance is common to `each` that follow each other."""
    own = one(size=shape)
    if each == 1:
        return own
    common = one(size=(-(-shape[0] // each), *shape[1:])).repeat(each, axis=0)
    return (common[: shape[0]] + own) / np.sqrt(2)


@dataclass(frozen=True, kw_only=True)
class Population:
    """Classes with how frequent they are and how far their own score stands out.

    Where `each` pictures are a group, they share half of the variance of their scores, and with
    `one_class` their class too. A picture alone is as one of those without groups.
    """

    name: str
    priors: Sequence[float]
    signals: Sequence[float]
    each: int = 1
    one_class: bool = False

    @property
    def task(self) -> Task:
        kind: Kind = "binary" if len(self.priors) == 2 else "multiclass"
        return Task(kind=kind, classes=tuple(f"c{k}" for k in range(len(self.priors))))

    def draw(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        of_class = self.each if self.one_class else 1
        truth = rng.choice(len(self.priors), size=n // of_class, p=self.priors).repeat(of_class)
        logits = shared(rng.normal, (n, len(self.priors)), self.each)
        logits[np.arange(n), truth] += np.asarray(self.signals)[truth]
        scores = np.exp(logits - logits.max(axis=1, keepdims=True))
        return truth, scores / scores.sum(axis=1, keepdims=True)

    def true_values(self) -> dict[str, float]:
        alone = replace(self, each=1, one_class=False)
        truth, scores = alone.draw(LARGE, np.random.default_rng(2026))
        said = scores.argmax(axis=1)
        recalls = sk.recall_score(truth, said, average=None)
        precisions = sk.precision_score(truth, said, average=None)
        members = truth[:, None] == np.arange(len(self.priors))
        areas = [sk.roc_auc_score(m, s) for m, s in zip(members.T, scores.T, strict=True)]
        values = {
            "accuracy": sk.accuracy_score(truth, said),
            "balanced_accuracy": sk.balanced_accuracy_score(truth, said),
            "precision_macro": precisions.mean(),
            "f1_macro": sk.f1_score(truth, said, average="macro"),
            "f1_weighted": sk.f1_score(truth, said, average="weighted"),
            "specificity[c0]": sk.recall_score(truth == 0, said == 0, pos_label=False),
            "recall[c0]": recalls[0],
            "precision[c0]": precisions[0],
            "f1[c0]": sk.f1_score(truth == 0, said == 0),
            "roc_auc" if len(areas) == 2 else "roc_auc_ovr_macro": np.mean(areas),
            "average_precision_macro": np.mean(
                [sk.average_precision_score(m, s) for m, s in zip(members.T, scores.T, strict=True)]
            ),
            "log_loss": sk.log_loss(truth, scores),
        }
        return {name: float(value) for name, value in values.items()}

    def table(self, n: int, rng: np.random.Generator) -> Predictions:
        truth, scores = self.draw(n, rng)
        return table(self.task, truth, scores)


@dataclass(frozen=True, kw_only=True)
class Line:
    """A regression: target standard normal, errors from one of three distributions.

    Where `each` pictures are a group, half of an error's variance is the group's.
    """

    name: str
    errors: str  # "normal", "student" (3 degrees of freedom) or "skewed" (centred exponential)
    size: float
    each: int = 1

    def draw(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        truth = rng.normal(size=n)
        one = {
            "normal": lambda size: rng.normal(size=size),
            "student": lambda size: rng.standard_t(3, size=size) / np.sqrt(3),
            "skewed": lambda size: rng.exponential(size=size) - 1,
        }[self.errors]
        error = shared(one, (n,), self.each)
        return truth, (truth + self.size * error)[:, None]

    def true_values(self) -> dict[str, float]:
        rng = np.random.default_rng(2026)
        truth, scores = self.draw(10 * LARGE, rng)
        return {
            "mae": float(np.abs(scores[:, 0] - truth).mean()),
            "rmse": self.size,  # every error distribution has variance 1
            "r2": 1 - self.size**2,
        }

    def table(self, n: int, rng: np.random.Generator) -> Predictions:
        truth, scores = self.draw(n, rng)
        return table(Task(kind="regression", classes=()), truth, scores)


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Multi-label: independent labels with their frequencies, scores that stand out by signals."""

    each: ClassVar[int] = 1
    name: str
    priors: Sequence[float]
    signal: float

    def draw(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        prior = np.asarray(self.priors)
        truth = (rng.random((n, len(prior))) < prior).astype(np.uint8)
        z = rng.normal(size=truth.shape) + self.signal * truth
        odds = np.log(prior / (1 - prior)) + self.signal * z - self.signal**2 / 2
        return truth, 1 / (1 + np.exp(-odds))

    def true_values(self) -> dict[str, float]:
        truth, scores = self.draw(LARGE, np.random.default_rng(2026))
        said = scores > 0.5
        return {
            "accuracy_subset": float(sk.accuracy_score(truth, said)),
            "hamming_loss": float(sk.hamming_loss(truth, said)),
            "f1_macro": float(sk.f1_score(truth, said, average="macro")),
            "f1_micro": float(sk.f1_score(truth, said, average="micro")),
            "f1_samples": float(sk.f1_score(truth, said, average="samples", zero_division=np.nan)),
            "roc_auc_macro": float(sk.roc_auc_score(truth, scores, average="macro")),
            "average_precision_macro": float(sk.average_precision_score(truth, scores)),
        }

    def table(self, n: int, rng: np.random.Generator) -> Predictions:
        classes = tuple(f"c{k}" for k in range(len(self.priors)))
        truth, scores = self.draw(n, rng)
        return table(Task(kind="multilabel", classes=classes), truth, scores)


POPULATIONS = (
    Population(name="2 equal classes, good", priors=(0.5, 0.5), signals=(2, 2)),
    Population(name="2 equal classes, very good", priors=(0.5, 0.5), signals=(3, 3)),
    Population(name="2 classes, 15 % rare", priors=(0.85, 0.15), signals=(3, 2)),
    Population(name="3 equal classes, fair", priors=(1 / 3,) * 3, signals=(1.5,) * 3),
    Population(name="5 equal classes, very good", priors=(0.2,) * 5, signals=(3.5,) * 5),
    Population(name="5 classes, 40 to 5 %", priors=(0.4, 0.3, 0.15, 0.1, 0.05), signals=(3,) * 5),
    Population(name="10 equal classes, good", priors=(0.1,) * 10, signals=(3,) * 10),
)
LINES = (
    Line(name="normal errors", errors="normal", size=0.5),
    Line(name="heavy-tailed errors", errors="student", size=0.5),
    Line(name="skewed errors", errors="skewed", size=0.5),
)
GROUPED = (
    *(
        replace(own, name=f"{own.name}, {what}", one_class=one_class)
        for own in (POPULATIONS[0], POPULATIONS[3])
        for what, one_class in (("groups of one class", True), ("of any", False))
    ),
    *LINES,
)
"""Populations to come in groups, once it is said of how many pictures."""
LABELS = (Labels(name="4 labels, 50 to 10 %", priors=(0.5, 0.4, 0.2, 0.1), signal=2.0),)
