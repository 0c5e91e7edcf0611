"""What training makes small, and what validation judges by."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar

from saccade.data.task import Task
from saccade.evaluation.intervals import Estimate
from saccade.evaluation.predictions import Predictions
from saccade.evaluation.scores import evaluate, score_told


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """How a network did on the validation part."""

    loss: float  # mean over the pictures; NaN where there is none
    score: float  # higher is better
    name: str  # "accuracy", "f1_micro" or "negative_rmse"
    logits_NK: np.ndarray | None = field(default=None, compare=False, repr=False)
    """What it was judged by; None where that is not known any more, as after a checkpoint."""

    @property
    def told(self) -> str:
        """The score in words, for a terminal."""
        return score_told(self.name, self.score)

    def beats(self, other: "Judgement | None", *, tolerance: float, unit: float = 1.0) -> bool:
        """Say whether this is better: by score, or by loss where the scores are as good as equal.

        A gain no larger than `tolerance` does not count, in the score, which has this `unit`, as
        in the loss, which has none.
        """
        if other is None or not np.isfinite(other.score):
            return bool(np.isfinite(self.score) or other is None)
        if abs(self.score - other.score) > tolerance * unit:
            return self.score > other.score
        return self.loss < other.loss - tolerance


def batch_targets(targets: np.ndarray, *, task: Task, device: str) -> torch.Tensor:
    """Return targets as the loss wants them: int64 (B,) for multi-class, else float32 (B, K)."""
    if task.kind == "multiclass":
        return torch.from_numpy(targets.astype(np.int64)).to(device)
    values = targets.astype(np.float64)
    if task.kind == "regression":
        values = (values - task.target_mean) / task.target_std
    table = values.reshape(len(targets), task.num_outputs).astype(np.float32)
    return torch.from_numpy(table).to(device)


def training_loss(
    logits_BK: torch.Tensor,
    wanted: torch.Tensor,
    *,
    task: Task,
    smoothing: float = 0.0,
    class_weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the mean loss of a batch, a scalar.

    Args:
        logits_BK: the network's outputs.
        wanted: as `batch_targets` gives them.
        task: decides the loss; see the table in `Task`.
        smoothing: share of the truth that is spread over all classes, 0-0.5.
        class_weights: one weight a class (multi-class and binary), mean 1.
    """
    if task.kind == "multiclass":
        return F.cross_entropy(logits_BK, wanted, weight=class_weights, label_smoothing=smoothing)
    if task.kind == "regression":
        return F.mse_loss(logits_BK, wanted)
    soft = wanted * (1 - smoothing) + smoothing / 2
    each = F.binary_cross_entropy_with_logits(logits_BK, soft, reduction="none")
    if class_weights is not None and task.kind == "binary":
        weights = class_weights[wanted.long()]
        return (each * weights).sum() / weights.sum()
    return each.mean()


def class_weights_of(targets: np.ndarray, *, task: Task, kind: str) -> np.ndarray | None:
    """Return one weight a class, inversely to its count, mean 1 over the pictures; or None."""
    if kind != "balanced" or task.kind not in {"multiclass", "binary"}:
        return None
    counts = np.bincount(targets.astype(np.int64), minlength=len(task.classes))
    weights = np.where(counts > 0, len(targets) / np.maximum(counts, 1) / (counts > 0).sum(), 0.0)
    return np.asarray(weights, dtype=np.float64)


def judge(logits_NK: np.ndarray, targets: np.ndarray, *, task: Task) -> Judgement:
    """Return loss and score of logits on a validation part."""
    if len(targets) == 0:
        return Judgement(loss=float("nan"), score=float("nan"), name=score_name(task))
    wanted = batch_targets(targets, task=task, device="cpu")
    logits = torch.from_numpy(logits_NK)
    loss = float(training_loss(logits, wanted, task=task))
    if task.kind == "regression":
        score = -float(np.sqrt(np.mean((task.scores(logits_NK)[:, 0] - targets) ** 2)))
    elif task.kind == "multilabel":
        said, true = logits_NK > 0, targets.astype(bool)
        positives = said.sum() + true.sum()
        score = float(2 * (said & true).sum() / positives) if positives else 1.0
    else:
        score = float((task.scores(logits_NK).argmax(axis=1) == targets).mean())
    return Judgement(loss=loss, score=score, name=score_name(task), logits_NK=logits_NK)


def estimated(
    logits_NK: np.ndarray, targets_N: np.ndarray, groups: Sequence[str] | None, *, task: Task
) -> Estimate:
    """Return the score of `judge`, with the interval that a run's metrics would have.

    Args:
        logits_NK: what was said of some pictures.
        targets_N: of the same pictures.
        groups: of them; "" or None = alone.
        task: the kind of answer.
    """
    num = len(targets_N)
    table = Predictions(
        task=task,
        paths=tuple(map(str, range(num))),
        hashes=("",) * num,
        parts=("validation",) * num,
        truth=targets_N,
        scores=task.scores(logits_NK),
    )
    own = tuple(groups) if groups is not None and any(groups) else None
    found = evaluate(table, groups=own)["validation"]
    if task.kind != "regression":
        return found[score_name(task)]
    rmse = found["rmse"]
    return Estimate(value=-rmse.value, low=-rmse.high, high=-rmse.low, n=rmse.n, method=rmse.method)


def interval_of(
    logits_NK: np.ndarray, targets_N: np.ndarray, groups: Sequence[str] | None, *, task: Task
) -> dict[str, float | None]:
    """Return the interval of a validation score as history holds it; None where there is none."""
    if not (len(targets_N) and np.isfinite(logits_NK).all()):
        return {"validation_low": None, "validation_high": None}
    own = estimated(logits_NK, targets_N, groups, task=task)
    ends = {"validation_low": own.low, "validation_high": own.high}
    return {name: end if math.isfinite(end) else None for name, end in ends.items()}


def score_name(task: Task) -> str:
    """Return the name of the score that validation judges by."""
    return {"regression": "negative_rmse", "multilabel": "f1_micro"}.get(task.kind, "accuracy")


def picture_losses(logits_NK: np.ndarray, targets: np.ndarray, *, task: Task) -> np.ndarray:
    """Return a loss for each picture, (N,), that does not punish confidence as such.

    Classification: the log loss after the logits were multiplied by the one factor (an inverse
    temperature) that suits these pictures best, for how sharp the probabilities are is mended
    later and without training; what counts here is in which order they stand. The factor is
    looked for around the one that gives the logits a mean square of 1, so that logits twice as
    large have the same losses, also where every answer is right and no factor is large enough.
    Regression: the squared error of the standardised target.

    Source: the factor: C. Guo et al. (2017), On calibration of modern neural networks.
    """
    wanted = batch_targets(targets, task=task, device="cpu")
    logits = torch.from_numpy(np.asarray(logits_NK, np.float64))
    if task.kind == "regression":
        return np.asarray(F.mse_loss(logits, wanted, reduction="none").mean(dim=1).numpy())
    if task.kind == "multiclass":
        logits = logits - logits.mean(dim=1, keepdim=True)
    else:
        wanted = wanted.double()
    logits = logits / max(float(logits.square().mean().sqrt()), 1e-30)

    def losses(log_factor: float) -> torch.Tensor:
        scaled = logits * math.exp(log_factor)
        if task.kind == "multiclass":
            return F.cross_entropy(scaled, wanted, reduction="none")
        each = F.binary_cross_entropy_with_logits(scaled, wanted, reduction="none")
        return each.mean(dim=1)

    found = minimize_scalar(
        lambda f: float(losses(f).mean()),
        bounds=(-6, 4),
        method="bounded",
        options={"xatol": 1e-8},  # the mean is flat at its minimum, a single loss is not
    )
    return np.asarray(losses(float(found.x)).numpy(), np.float64)


def loss_of_knowing_nothing(task: Task) -> float:
    """Return the loss of a network whose answer is the same, and undecided, for every picture.

    >>> round(loss_of_knowing_nothing(Task(kind="binary", classes=("a", "b"))), 3)
    0.693
    """
    if task.kind == "regression":
        return 1.0
    return math.log(max(len(task.classes), 2)) if task.kind == "multiclass" else math.log(2)
