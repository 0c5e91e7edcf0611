"""Gradient descent: forward, loss, backward, update, until the epochs or the patience run out."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from saccade.data.batches import as_seen, normalise, shuffled
from saccade.data.cache import PixelCache
from saccade.data.task import Task
from saccade.models.inference import predict_logits
from saccade.models.network import Network
from saccade.runtime.progress import Progress
from saccade.runtime.seeds import generator
from saccade.training.augment import Augmenter, augment_of
from saccade.training.checkpoint import Checkpoint, State, optimizer_state, restore_optimizer
from saccade.training.gradients import NotFinite, blame, stage_norms
from saccade.training.history import History
from saccade.training.objective import (
    Judgement,
    batch_targets,
    class_weights_of,
    judge,
    training_loss,
)
from saccade.training.optimizer import make_optimizer, set_rate, total_norm
from saccade.training.recipe import Recipe
from saccade.training.schedule import rate_factor

RATE_CUT = 0.1  # what the rate is multiplied with, once, after a loss that is not finite


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What there is to learn from: pixels, answers, and which rows are for what."""

    cache: PixelCache
    targets: np.ndarray  # as in Task, a row a picture of the catalogue
    train_rows: list[int]
    validation_rows: list[int]
    task: Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where a fit runs and who watches it."""

    device: str
    history: History
    progress: Progress
    asked_to_stop: Callable[[], bool] = bool  # called after every step; False = go on
    checkpoint_path: Path | None = None
    checkpoint_seconds: float = 15.0  # at least this long between two, but for an interruption


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """How a fit ended; the network then holds the best epoch's weights."""

    best_epoch: int  # 0 = as it was before the first epoch
    judgement: Judgement | None
    epochs: int  # finished ones
    interrupted: bool


@dataclass(slots=True, kw_only=True)
class _Standing:
    """What changes while a fit goes on; everything of it is in a checkpoint."""

    epoch: int = 1  # the one under way
    step: int = 0  # steps of it that are done
    stale: int = 0  # epochs since the last gain
    cut: float = 1.0  # 0.1 after the rate was cut
    loss_sum: float = 0.0
    pictures: int = 0
    best_epoch: int = 0
    best: Judgement | None = None
    best_state: State = field(default_factory=dict)


def fit(
    network: Network,
    material: Material,
    *,
    recipe: Recipe,
    pretrained: bool,
    surroundings: Surroundings,
    resume: Checkpoint | None = None,
) -> Fitted:
    """Train whatever of the network is not frozen; leave the best epoch's weights in it.

    The best epoch is the one with the best validation score; a network that already knows
    something (a solved head) competes as epoch 0. Without a validation part the last epoch is
    kept. With the same recipe, data and machine the weights are the same to the last bit,
    also when the fit was interrupted and resumed.

    Raises:
        ResourceError: loss or gradients were not finite even after the rate was cut (E440).
    """
    loop = _Loop(network, material, recipe, pretrained, surroundings)
    standing = loop.begin(resume)
    epochs = epochs_of(recipe, pretrained=pretrained, steps_per_epoch=loop.steps_per_epoch)
    patience = recipe.patience or (5 if pretrained else max(10, epochs // 3))
    surroundings.progress.start(
        f"learn, {epochs} epochs", epochs * len(material.train_rows), "pictures"
    )
    surroundings.progress.advance((standing.epoch - 1) * len(material.train_rows))
    interrupted = False
    while standing.epoch <= epochs and standing.stale < patience:
        interrupted = not loop.run_epoch(standing, total_steps=epochs * loop.steps_per_epoch)
        if interrupted:
            break
    loop.end(standing, interrupted=interrupted)
    return Fitted(
        best_epoch=standing.best_epoch,
        judgement=standing.best,
        epochs=standing.epoch - 1,
        interrupted=interrupted,
    )


def epochs_of(recipe: Recipe, *, pretrained: bool, steps_per_epoch: int) -> int:
    """Return the number of epochs, as given or by default.

    From scratch a few pictures make few steps an epoch, and 30 epochs of two steps teach nothing.

    >>> epochs_of(Recipe(), pretrained=False, steps_per_epoch=2)
    200
    """
    if recipe.epochs or pretrained:
        return recipe.epochs or 10
    return min(max(30, math.ceil(600 / steps_per_epoch)), 200)


class _Loop:
    """The parts of one fit that stay the same from step to step."""

    def __init__(
        self,
        network: Network,
        material: Material,
        recipe: Recipe,
        pretrained: bool,
        surroundings: Surroundings,
    ) -> None:
        self.network = network
        self.material = material
        self.recipe = recipe
        self.pretrained = pretrained
        self.around = surroundings
        self.device = surroundings.device
        self.num = len(material.train_rows)
        self._kept_at = time.monotonic()
        # Equal shares instead of a small last batch, whose BatchNorm statistics would be wild.
        self.steps_per_epoch = math.ceil(self.num / recipe.batch_size)
        network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = make_optimizer(network, recipe, pretrained=pretrained)
        self.augmenter = Augmenter(
            augment_of(recipe), material.cache.preprocess, seed=recipe.seed, device=self.device
        )
        weights = class_weights_of(
            material.targets[material.train_rows], task=material.task, kind=recipe.class_weights
        )
        self.class_weights = (
            None if weights is None else torch.from_numpy(weights).float().to(self.device)
        )

    def begin(self, resume: Checkpoint | None) -> _Standing:
        """Return where to start: at a checkpoint, or before the first epoch."""
        if resume is not None:
            self.network.load_state_dict(resume.network)
            restore_optimizer(self.optimizer, resume.optimizer)
            counters = dict(resume.counters)
            best = counters.pop("best")
            del counters["events"]
            return _Standing(
                **counters, best=Judgement(**best) if best else None, best_state=resume.best
            )
        standing = _Standing()
        if self.pretrained and self.material.validation_rows:
            standing.best = self._judge()
        standing.best_state = _copy(self.network.state_dict())
        return standing

    def run_epoch(self, standing: _Standing, *, total_steps: int) -> bool:
        """Train, judge and note one epoch; False where the user asked to stop within it."""
        begun = time.perf_counter()
        norms: list[dict[str, float]] = []
        good = (_copy(self.network.state_dict()), optimizer_state(self.optimizer))
        at = (standing.step, standing.loss_sum, standing.pictures)
        try:
            finished = self._steps(standing, total_steps, norms)
        except NotFinite as error:
            if standing.cut < 1:
                self.network.load_state_dict(good[0])
                raise error.as_user_error() from None
            self._roll_back(standing, good, at, error)
            return True
        if not finished:
            return False
        judgement = self._judge()
        self._note(standing, judgement, norms, seconds=time.perf_counter() - begun)
        standing.epoch, standing.step = standing.epoch + 1, 0
        standing.loss_sum, standing.pictures = 0.0, 0
        if time.monotonic() - self._kept_at >= self.around.checkpoint_seconds:
            self._keep(standing)
        return True

    def _steps(self, standing: _Standing, total_steps: int, norms: list[dict[str, float]]) -> bool:
        order = shuffled(self.material.train_rows, seed=self.recipe.seed, epoch=standing.epoch)
        shares = np.array_split(order, self.steps_per_epoch)
        self.network.train()
        while standing.step < self.steps_per_epoch:
            done = (standing.epoch - 1) * self.steps_per_epoch + standing.step
            factor = rate_factor(
                done, total=total_steps, schedule=self.recipe.schedule, warmup=self.recipe.warmup
            )
            set_rate(self.optimizer, factor * standing.cut)
            rows = shares[standing.step]
            loss = self._step(rows, epoch=standing.epoch, step=standing.step)
            standing.step += 1
            standing.loss_sum += loss * len(rows)
            standing.pictures += len(rows)
            norms.append(stage_norms(self.network))
            self.around.progress.advance(len(rows), note=_told(standing))
            if self.around.asked_to_stop():
                self._keep(standing)
                return False
        return True

    def _step(self, rows: np.ndarray, *, epoch: int, step: int) -> float:
        """Do one update on some rows; return the loss before it."""
        canvases = self.material.cache.canvases(rows)
        preprocess = self.material.cache.preprocess
        if self.augmenter.augment.active:
            images = normalise(self.augmenter(canvases, rows, epoch=epoch), preprocess)
        else:
            images = as_seen(canvases, preprocess, self.device)
        wanted = batch_targets(
            self.material.targets[rows], task=self.material.task, device=self.device
        )
        self.optimizer.zero_grad(set_to_none=True)
        with torch.random.fork_rng(devices=[] if self.device == "cpu" else None):
            draws = generator(self.recipe.seed, "dropout", epoch, step)
            torch.manual_seed(int(draws.integers(2**62)))
            loss = training_loss(
                self.network(images),
                wanted,
                task=self.material.task,
                smoothing=self.recipe.smoothing,
                class_weights=self.class_weights,
            )
            loss.backward()  # type: ignore[no-untyped-call]
        value, norm = float(loss.detach()), total_norm(self.network.parameters())
        if not (math.isfinite(value) and math.isfinite(norm)):
            raise NotFinite(blame(self.network, images), epoch=epoch, step=step)
        self.optimizer.step()
        return value

    def _judge(self) -> Judgement:
        rows = self.material.validation_rows
        logits = predict_logits(self.network, self.material.cache, rows, device=self.device)
        return judge(logits, self.material.targets[rows], task=self.material.task)

    def _note(
        self,
        standing: _Standing,
        judgement: Judgement,
        norms: list[dict[str, float]],
        *,
        seconds: float,
    ) -> None:
        task = self.material.task
        tolerance = self.recipe.tolerance * (task.target_std if task.kind == "regression" else 1)
        judged = bool(self.material.validation_rows)
        better = not judged or judgement.beats(standing.best, tolerance=tolerance)
        if better:
            standing.best, standing.best_epoch, standing.stale = judgement, standing.epoch, 0
            standing.best_state = _copy(self.network.state_dict())
        else:
            standing.stale += 1
        self.around.history.add(
            "epoch",
            epoch=standing.epoch,
            step=standing.epoch * self.steps_per_epoch,
            train_loss=standing.loss_sum / max(standing.pictures, 1),
            validation_loss=judgement.loss,
            validation_score=judgement.score,
            score_name=judgement.name,
            num_validation=len(self.material.validation_rows),
            lr=self.optimizer.param_groups[0]["lr"],
            images_per_second=self.num / seconds,
            seconds=seconds,
            best=better,
        )
        self.around.progress.say(
            _epoch_line(standing, judgement, better=better, rate=self.num / seconds)
        )
        if norms:  # none where a resumed epoch had no step left
            mean = {name: float(np.mean([n[name] for n in norms])) for name in norms[-1]}
            self.around.history.add("layer_gradients", epoch=standing.epoch, norms=mean)

    def _roll_back(
        self,
        standing: _Standing,
        good: tuple[State, State],
        at: tuple[int, float, int],
        error: NotFinite,
    ) -> None:
        """Return to the last weights known to be good, and go on at a tenth of the rate."""
        self.network.load_state_dict(good[0])
        restore_optimizer(self.optimizer, good[1])
        standing.step, standing.loss_sum, standing.pictures = at
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
        counters = {
            name: getattr(standing, name)
            for name in ("epoch", "step", "stale", "cut", "loss_sum", "pictures", "best_epoch")
        }
        best = standing.best
        counters["events"] = len(self.around.history.events)
        counters["best"] = best and {"loss": best.loss, "score": best.score, "name": best.name}
        Checkpoint(
            network=self.network.state_dict(),
            best=standing.best_state,
            optimizer=optimizer_state(self.optimizer),
            counters=counters,
        ).write(self.around.checkpoint_path)
        self._kept_at = time.monotonic()

    def end(self, standing: _Standing, *, interrupted: bool) -> None:
        """Leave the best weights in the network."""
        self.network.load_state_dict(standing.best_state)
        self.network.eval()
        if not interrupted:
            self.around.progress.close()


def _copy(state: State) -> State:
    return {name: value.detach().clone() for name, value in state.items()}


def _epoch_line(standing: _Standing, judgement: Judgement, *, better: bool, rate: float) -> str:
    loss = standing.loss_sum / max(standing.pictures, 1)
    text = f"epoch {standing.epoch}: {rate:.0f} pictures/s, training loss {loss:.3f}"
    if math.isfinite(judgement.score):
        text += f", validation loss {judgement.loss:.3f}, {judgement.name} {judgement.score:.3f}"
        text += " (best so far)" if better else ""
    return text


def _told(standing: _Standing) -> str:
    loss = standing.loss_sum / max(standing.pictures, 1)
    return f"epoch {standing.epoch}, loss {loss:.3f}"
