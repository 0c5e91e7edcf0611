"""How the weights were found, as values: the race of backbones, the head, the rungs, the epochs."""

import math
from dataclasses import dataclass

from saccade.evaluation.intervals import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One pass over the training part; NaN where a number was not recorded."""

    number: int  # from 1; on a ladder from 1 in each rung
    train_loss: float
    validation_loss: float
    validation_score: float  # as `readable_score` has it
    learning_rate: float
    seconds: float
    best: bool
    rung: int | None = None  # its place on the freezing ladder, from 0; None = no ladder


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadSearch:
    """A head that was solved for, and the penalties that were tried."""

    penalty: float
    candidates: tuple[tuple[float, float], ...]  # (penalty, what was measured), by penalty
    measured: str  # "loss" (lower is better) or "score", cross-validated in the training part
    score: Estimate  # on the validation part
    seconds: float
    at_seconds: float  # since the run began; NaN where it was not recorded
    engine: str = ""  # what answered for the frozen stages: "openvino bf16"


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientNorms:
    """The length of the loss's gradient in each stage, in one epoch."""

    epoch: int
    norms: tuple[tuple[str, float], ...]  # (stage, norm), from input to output
    rung: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """A freezing depth that was tried: what it cost, and what it brought.

    `gain` is how much smaller the losses of the same validation pictures became, on average;
    `low` and `high` are bounds of 90 % certainty each. They are infinite where nothing could be
    compared.
    """

    name: str
    stages: int  # that learned beside the head
    epochs: int  # planned
    views: int  # that were kept of each picture
    cached: bool  # the frozen stages' answers were kept; else whole pictures went through
    crop: int | None  # side of the parts of kept maps that steps saw; None = whole ones
    score: Estimate  # on the validation part, after its last epoch
    gain: float
    low: float
    high: float
    p: float
    taken: bool
    why: str  # what ended it early; "" = nothing
    seconds: float
    at_seconds: float  # since the run began


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A backbone in the race: what a head on its frozen features reaches, and what it costs."""

    name: str
    score: Estimate
    seconds: float  # of the probe
    images_per_second: float
    num_parameters: int | None
    chosen: bool
    why: str
    behind: str  # in loss, the best one; "" for that one itself, and where it is not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """The choice of the backbone."""

    candidates: tuple[Candidate, ...]
    num_sample: int  # pictures that each was probed on; 0 where it was not recorded
    score_name: str

    @property
    def num_probed(self) -> int:
        """How many were tried: others were left out before, or there was no time."""
        return sum(math.isfinite(own.score.value) for own in self.candidates)


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningFacts:
    """How the weights were found."""

    score_name: str = ""
    epochs: tuple[Epoch, ...] = ()
    head: HeadSearch | None = None
    gradients: tuple[GradientNorms, ...] = ()
    notes: tuple[str, ...] = ()
    rungs: tuple[Rung, ...] = ()
    race: Race | None = None

    @property
    def kept_rung(self) -> int | None:
        """The place of the rung whose weights the model has; None where the head alone learned."""
        taken = [place for place, rung in enumerate(self.rungs) if rung.taken]
        return taken[-1] if taken else None

    @property
    def kept_epochs(self) -> tuple[Epoch, ...]:
        """The epochs behind the model's weights: those of the last rung that was taken, or all.

        None where a solved head was there before and no epoch was better.
        """
        if self.head is not None and not self.rungs and not any(e.best for e in self.epochs):
            return ()
        return tuple(e for e in self.epochs if e.rung is None or e.rung == self.kept_rung)

    @property
    def learned_from_views(self) -> bool:
        """Whether the network that was kept was shown augmented pictures, if there were any.

        A solved head is not. A rung with one view of each picture saw the plain one; where the
        whole network learned, views are drawn anew and their number says nothing.
        """
        if self.rungs:
            return any(own.taken and (own.views > 1 or not own.cached) for own in self.rungs)
        return self.head is None or bool(self.kept_epochs)

    @property
    def learned_from_crops(self) -> bool:
        """Whether what was kept saw crops of activations in the place of augmented pictures."""
        return any(own.taken and own.crop is not None for own in self.rungs)
