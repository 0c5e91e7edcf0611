"""Gradient descent: forward, loss, backward, update, until the epochs or the patience run out."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from saccade.data.batches import shuffled
from saccade.models.network import Network
from saccade.training.checkpoint import Checkpoint, State, optimizer_state, restore_optimizer
from saccade.training.gradients import NotFinite
from saccade.training.inputs import Inputs, Pictures
from saccade.training.material import Material
from saccade.training.objective import Judgement, judge
from saccade.training.optimizer import make_optimizer, set_rate
from saccade.training.precision import precision_told
from saccade.training.recipe import Recipe
from saccade.training.schedule import epochs_of, rate_factor, steps_of
from saccade.training.step import Updater
from saccade.training.surroundings import Surroundings

OUT_OF_TIME = "its time was up"
_KEPT = ("epoch", "step", "stale", "cut", "loss_sum", "pictures", "norms", "best_epoch", "ended")
RATE_CUT = 0.1  # what the rate is multiplied with, once, after a loss that is not finite


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """How a fit ended; the network then holds the best epoch's weights."""

    best_epoch: int  # 0 = as it was before the first epoch
    judgement: Judgement | None
    epochs: int  # finished ones
    interrupted: bool
    failed: str = ""  # why the last epoch is not to be used; "" = it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """What a fit needs to know when it is one rung of a ladder.

    Its last epoch is what counts: the rate has come down to zero there, and choosing among epochs
    by the pictures that then decide about the rung would flatter it.
    """

    start: State  # the weights to return to, kept in each checkpoint
    counters: dict[str, Any]  # where on the ladder it is, kept in each checkpoint
    gives_up: Callable[[int, Judgement], str]  # asked after each epoch: why it ends; "" = goes on


@dataclass(slots=True, kw_only=True)
class _Standing:
    """What changes while a fit goes on; everything of it is in a checkpoint."""

    epoch: int = 1  # the one under way
    step: int = 0  # steps of it that are done
    stale: int = 0  # epochs since the last gain
    cut: float = 1.0  # 0.1 after the rate was cut
    loss_sum: float = 0.0
    pictures: int = 0
    norms: dict[str, float] = field(default_factory=dict)  # of gradients, summed over the steps
    best_epoch: int = 0
    best: Judgement | None = None
    best_state: State = field(default_factory=dict)
    failed: str = ""  # why a rung ended early; not kept, for it is not gone on with
    ended: str = ""  # why learning ended before its epochs did, with the best of them

    @property
    def goes_on(self) -> bool:
        """Whether nothing has ended it early."""
        return not (self.failed or self.ended)

    @property
    def mean_loss(self) -> float:
        """Of the pictures of this epoch that were learned from so far."""
        return self.loss_sum / max(self.pictures, 1)


def fit(  # noqa: PLR0913 - what is learned, from what, how long and where
    network: Network,
    material: Material,
    *,
    recipe: Recipe,
    pretrained: bool,
    surroundings: Surroundings,
    inputs: Inputs | None = None,
    resume: Checkpoint | None = None,
    rung: Rung | None = None,
    seconds: float = math.inf,
) -> Fitted:
    """Train whatever of the network is not frozen; leave the best epoch's weights in it.

    The best epoch is the one with the best validation score; a network that already knows
    something (a solved head) competes as epoch 0. Without a validation part the last epoch is
    kept. With the same recipe, data and machine the weights are the same to the last bit,
    also when the fit was interrupted and resumed.

    Args:
        network: changed in place.
        material: pixels, answers and rows.
        recipe: rates, epochs, …
        pretrained: whether it knows something already.
        surroundings: who watches, and where checkpoints go.
        inputs: what it is given; None = the pictures.
        resume: where a fit with the same arguments stopped.
        rung: as a part of a ladder: no patience, and the last epoch is kept.
        seconds: after which it ends: a rung unfinished, else as if that epoch were over.

    Raises:
        ResourceError: loss or gradients were not finite even after the rate was cut, and no epoch
            was finished before (E440).
        UsageError: a single picture a step, with BatchNorms whose statistics move (E238).
    """
    inputs = inputs or Pictures(material.cache, recipe, device=surroundings.device)
    loop = _Loop(network, material, recipe, pretrained, surroundings, inputs, rung, seconds)
    standing = loop.begin(resume)
    epochs = epochs_of(recipe, pretrained=pretrained, steps_per_epoch=loop.steps_per_epoch)
    patience = recipe.patience or (5 if pretrained else max(10, epochs // 3))
    surroundings.progress.start(
        f"learn, {epochs} epoch{'s' * (epochs != 1)}", epochs * len(material.train_rows), "pictures"
    )
    surroundings.progress.advance((standing.epoch - 1) * len(material.train_rows))
    interrupted = False
    with inputs.opened():
        while standing.goes_on and standing.epoch <= epochs and standing.stale < patience:
            interrupted = not loop.run_epoch(standing, total_steps=epochs * loop.steps_per_epoch)
            if interrupted:
                break
    loop.end(standing, interrupted=interrupted)
    return Fitted(
        best_epoch=standing.best_epoch,
        judgement=standing.best,
        epochs=standing.epoch - 1,
        interrupted=interrupted,
        failed=standing.failed,
    )


class _Loop:
    """The parts of one fit that stay the same from step to step."""

    def __init__(
        self,
        network: Network,
        material: Material,
        recipe: Recipe,
        pretrained: bool,
        surroundings: Surroundings,
        inputs: Inputs,
        rung: Rung | None,
        seconds: float,
    ) -> None:
        self.rung, self.network, self.material = rung, network, material
        self.recipe, self.pretrained = recipe, pretrained
        self.around, self.device = surroundings, surroundings.device
        self.num = len(material.train_rows)
        self._good: tuple[State, State] | None = None  # network and optimiser before this epoch
        self._kept_at = time.monotonic()
        self._deadline = self._kept_at + seconds
        self.steps_per_epoch = steps_of(self.num, recipe.batch_size)
        network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = make_optimizer(network, recipe, pretrained=pretrained)
        self.inputs = inputs
        self.update = Updater(
            network,
            inputs,
            self.optimizer,
            recipe=recipe,
            task=material.task,
            targets=material.targets,
            train_rows=material.train_rows,
            device=self.device,
            history=surroundings.history,
        )

    def begin(self, resume: Checkpoint | None) -> _Standing:
        """Return where to start: at a checkpoint, or before the first epoch."""
        if resume is not None:
            self.network.load_state_dict(resume.network)
            restore_optimizer(self.optimizer, resume.optimizer)
            if resume.good:
                self._good = (resume.good, resume.good_optimizer)
            counters = dict(resume.counters)
            self.update.pieces = counters.pop("pieces", 1)  # earlier checkpoints knew of none
            best = counters.pop("best")
            del counters["events"]
            for name in self.rung.counters if self.rung else ():
                counters.pop(name, None)
            return _Standing(
                **counters, best=Judgement(**best) if best else None, best_state=resume.best
            )
        standing = _Standing()
        if self.pretrained and self.material.validation_rows and self.rung is None:
            standing.best = self._judge()
        standing.best_state = _copy(self.network.state_dict())
        return standing

    def run_epoch(self, standing: _Standing, *, total_steps: int) -> bool:
        """Train, judge and note one epoch; False where the user asked to stop within it."""
        begun = time.perf_counter()
        if self._good is None:
            self._good = (_copy(self.network.state_dict()), optimizer_state(self.optimizer))
        good = self._good
        try:
            finished = self._steps(standing, total_steps)
            judgement = self._judged(standing) if finished and not standing.failed else None
        except NotFinite as error:
            self._good = None
            if standing.cut < 1 and self.rung is not None:
                standing.failed = f"{error.what} twice"
                return True
            if standing.cut < 1:
                self.network.load_state_dict(good[0])
                if not (standing.best_epoch or self.pretrained):
                    raise error.as_user_error() from None
                standing.ended = f"{error.what} at a tenth of the rate too; the best one is kept"
                standing.epoch += 1
                return True
            self._roll_back(standing, good, error)
            return True
        if standing.failed:
            return True
        if judgement is None:
            return False
        self._good = None
        self._note(standing, judgement, seconds=time.perf_counter() - begun)
        standing.epoch, standing.step = standing.epoch + 1, 0
        standing.loss_sum, standing.pictures, standing.norms = 0.0, 0, {}
        seconds = time.monotonic() - self._kept_at
        if seconds >= self.around.checkpoint_seconds and not standing.failed:
            self._keep(standing)
        return True

    def _steps(self, standing: _Standing, total_steps: int) -> bool:
        order = shuffled(self.material.train_rows, seed=self.recipe.seed, epoch=standing.epoch)
        shares = np.array_split(order, self.steps_per_epoch)
        self.network.train()
        if standing.step:  # gone on with; there may be no step left to set the rate that is noted
            self._set_rate(standing, standing.step - 1, total_steps)
        while standing.step < self.steps_per_epoch:
            self._set_rate(standing, standing.step, total_steps)
            rows = shares[standing.step]
            loss = self.update(rows, epoch=standing.epoch, step=standing.step)
            standing.step += 1
            standing.loss_sum += loss * len(rows)
            standing.pictures += len(rows)
            for name, norm in self.update.norms.items():
                standing.norms[name] = standing.norms.get(name, 0.0) + norm
            told = f"epoch {standing.epoch}, loss {standing.mean_loss:.3f}"
            self.around.progress.advance(len(rows), note=told)
            if self.around.asked_to_stop():
                self._keep(standing)
                return False
            if time.monotonic() > self._deadline:
                if self.rung is not None:
                    standing.failed = OUT_OF_TIME
                else:
                    standing.ended = f"{OUT_OF_TIME}; the best epoch so far is kept"
                break
        return True

    def _set_rate(self, standing: _Standing, step: int, total_steps: int) -> None:
        factor = rate_factor(
            (standing.epoch - 1) * self.steps_per_epoch + step,
            total=total_steps,
            schedule=self.recipe.schedule,
            warmup=self.recipe.warmup,
        )
        set_rate(self.optimizer, factor * standing.cut)

    def _judged(self, standing: _Standing) -> Judgement:
        """Return how the epoch went.

        Raises:
            NotFinite: its last step ended in numbers that are not; those before met the next.
        """
        judgement, what = self._judge(), ""
        if self.rung is not None:  # one that forgot what it knew is undone
            return judgement
        if self.material.validation_rows and not math.isfinite(judgement.loss):
            what = "the validation loss"
        if not all(bool(p.isfinite().all()) for p in self.network.parameters() if p.requires_grad):
            what = "the weights after this step"
        if what:
            raise NotFinite(what, epoch=standing.epoch, step=standing.step - 1)
        return judgement

    def _judge(self) -> Judgement:
        rows = self.material.validation_rows
        logits = self.inputs.logits(self.network, rows)
        judged = judge(logits, self.material.targets[rows], task=self.material.task)
        return judged if self.rung is not None else replace(judged, logits_NK=None)

    def _note(self, standing: _Standing, judgement: Judgement, *, seconds: float) -> None:
        task = self.material.task
        unit = task.target_std if task.kind == "regression" else 1.0
        judged = bool(self.material.validation_rows) and self.rung is None
        tolerance = self.recipe.tolerance
        better = not judged or judgement.beats(standing.best, tolerance=tolerance, unit=unit)
        if self.rung is not None:
            standing.failed = self.rung.gives_up(standing.epoch, judgement)
        if better:
            standing.best, standing.best_epoch, standing.stale = judgement, standing.epoch, 0
            standing.best_state = _copy(self.network.state_dict())
        else:
            standing.stale += 1
        self.around.history.add(
            "epoch",
            epoch=standing.epoch,
            step=(standing.epoch - 1) * self.steps_per_epoch + standing.step,
            train_loss=standing.mean_loss,
            validation_loss=judgement.loss,
            validation_score=judgement.score,
            score_name=judgement.name,
            num_validation=len(self.material.validation_rows),
            lr=self.optimizer.param_groups[0]["lr"],
            images_per_second=standing.pictures / seconds,
            seconds=seconds,
            best=better,
            **({"rung": self.rung.counters["ladder_number"]} if self.rung else {}),
        )
        best = better and self.rung is None
        line = _epoch_line(standing, judgement, better=best, rate=standing.pictures / seconds)
        self.around.progress.say(line)
        mean = {name: norm / max(standing.step, 1) for name, norm in standing.norms.items()}
        self.around.history.add("layer_gradients", epoch=standing.epoch, norms=mean)

    def _roll_back(self, standing: _Standing, good: tuple[State, State], error: NotFinite) -> None:
        """Return to the start of the epoch, and go on at a tenth of the rate."""
        self.network.load_state_dict(good[0])
        restore_optimizer(self.optimizer, good[1])
        standing.step, standing.loss_sum, standing.pictures, standing.norms = 0, 0.0, 0, {}
        standing.cut = RATE_CUT
        sentence = (
            f"{error.what} in epoch {error.epoch}, step {error.step + 1}; "
            f"went back to the start of the epoch and on at a tenth of the learning rate."
        )
        self.around.history.add("note", sentence=sentence)
        self.around.progress.say(sentence)

    def _keep(self, standing: _Standing) -> None:
        if self.around.checkpoint_path is None:
            return
        self.around.history.sync()
        counters: dict[str, Any] = {name: getattr(standing, name) for name in _KEPT}
        best, (good, good_optimizer) = standing.best, self._good or ({}, {})
        counters["events"] = len(self.around.history.events)
        counters["pieces"] = self.update.pieces
        counters["best"] = best and {"loss": best.loss, "score": best.score, "name": best.name}
        Checkpoint(
            network=self.network.state_dict(),
            best=standing.best_state,
            optimizer=optimizer_state(self.optimizer),
            start=self.rung.start if self.rung else {},
            good=good,
            good_optimizer=good_optimizer,
            counters=counters | (self.rung.counters if self.rung else {}),
        ).write(self.around.checkpoint_path)
        self._kept_at = time.monotonic()

    def end(self, standing: _Standing, *, interrupted: bool) -> None:
        """Leave the best weights in the network, and say what should be known of the fit."""
        if standing.ended and not interrupted:  # whoever resumes the run learns no more either
            self._keep(standing)
        self.network.load_state_dict(standing.best_state)
        self.network.eval()
        if not interrupted:
            self.around.progress.close()
        if told := precision_told(self.update.gradients):
            self.around.note(told)
        if standing.ended:
            self.around.note(f"Learning ended in epoch {standing.epoch - 1}: {standing.ended}.")


def _copy(state: State) -> State:
    return {name: value.detach().clone() for name, value in state.items()}


def _epoch_line(standing: _Standing, judgement: Judgement, *, better: bool, rate: float) -> str:
    text = f"epoch {standing.epoch}: {rate:.0f} pictures/s, training loss {standing.mean_loss:.3f}"
    if math.isfinite(judgement.score):
        text += f", validation loss {judgement.loss:.3f}, {judgement.told}"
        text += " (best so far)" if better else ""
    return text
