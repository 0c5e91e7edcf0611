"""One update: forward, loss, backward, update; in smaller pieces where memory runs out."""

import math

import numpy as np
import torch

from saccade.data.sealed import Answers
from saccade.data.task import Task
from saccade.models import late_dynamo
from saccade.models.network import Network
from saccade.runtime.device import is_out_of_memory
from saccade.runtime.errors import ResourceError, UsageError
from saccade.runtime.machine import give_back_pages
from saccade.runtime.seeds import generator
from saccade.training.backward import Gradients, statistics_move
from saccade.training.gradients import NotFinite, blame, stage_norms
from saccade.training.history import History
from saccade.training.inputs import Inputs
from saccade.training.objective import batch_targets, class_weights_of, training_loss
from saccade.training.precision import learns_in_bf16
from saccade.training.recipe import Recipe


class Updater:
    """Does updates of one fit; remembers in how many pieces a batch fits into memory."""

    def __init__(  # noqa: PLR0913 - what one fit is about
        self,
        network: Network,
        inputs: Inputs,
        optimizer: torch.optim.Optimizer,
        *,
        recipe: Recipe,
        task: Task,
        targets: Answers,
        train_rows: list[int],
        device: str,
        history: History,
    ) -> None:
        self.network, self.inputs, self.optimizer = network, inputs, optimizer
        self.recipe, self.task, self.device, self.history = recipe, task, device, history
        self.targets = targets
        weights = class_weights_of(targets[train_rows], task=task, kind=recipe.class_weights)
        self.class_weights = (
            None if weights is None else torch.from_numpy(weights).float().to(device)
        )
        self.gradients = Gradients(network, device=device, bf16=learns_in_bf16(recipe, device))
        self.norms: dict[str, float] = {}  # of the last step's gradients, by `stage_norms`
        self.pieces = 1  # a batch is computed in so many, and updated from once
        self._fits = False  # whether a batch was seen to fit into memory

    @late_dynamo.spared()
    def __call__(self, rows: np.ndarray, *, epoch: int, step: int) -> float:
        """Do one update on some rows; return the loss before it.

        Where memory does not hold the batch, it is computed in halves, quarters, … whose
        gradients are added up, so that the update stays the same (but for BatchNorm, which then
        normalises over fewer pictures).

        Raises:
            NotFinite: loss or gradients are not finite; nothing was updated.
            ResourceError: a single picture (two, for BatchNorm) does not fit into memory (E404).
            UsageError: a single picture, and BatchNorms that want more (E238).
        """
        if len(rows) == 1 and statistics_move(self.network):
            raise UsageError(
                "A step of a single picture gives BatchNorm no statistics to learn from.",
                code="238",
                where=f"{self.network.name}, --batch-size {self.recipe.batch_size}",
                fix="choose --batch-size 2 or more, or --statistics frozen if it is pretrained",
            )
        value = None
        statistics = {} if self._fits else _statistics(self.network)
        while value is None:
            value = self._tried(rows, epoch=epoch, step=step)
            if value is None:
                give_back_pages()  # what it held is let go by now, and malloc keeps pages
                self.network.load_state_dict(statistics, strict=False)  # some layers had run
        self._fits = True
        self.norms = stage_norms(self.network)
        if not all(math.isfinite(own) for own in (value, *self.norms.values())):
            images = self.inputs.batch(rows, epoch=epoch, step=step)
            raise NotFinite(blame(self.network, images), epoch=epoch, step=step)
        self.optimizer.step()
        return value

    def _tried(self, rows: np.ndarray, *, epoch: int, step: int) -> float | None:
        """Return the loss; None where memory did not hold the step, which is then halved."""
        try:
            return self._gradients(rows, epoch=epoch, step=step)
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            self._halve(len(rows), error)
            return None

    def _gradients(self, rows: np.ndarray, *, epoch: int, step: int) -> float:
        """Compute the gradients of the mean loss of these rows; return that loss."""
        given = self.inputs.batch(rows, epoch=epoch, step=step)
        wanted = batch_targets(self.targets[rows], task=self.task, device=self.device)
        draws = generator(self.recipe.seed, "dropout", epoch, step)

        def loss_of(logits: torch.Tensor, place: slice) -> torch.Tensor:
            loss = training_loss(
                logits,
                wanted[place],
                task=self.task,
                smoothing=self.recipe.smoothing,
                class_weights=self.class_weights,
            )
            share = self._share(wanted[place], wanted)
            return loss * share if share != 1 else loss

        with torch.random.fork_rng(devices=[] if self.device == "cpu" else None):
            # torch.manual_seed also writes down where it was called, for CUDA: 2 ms a step.
            seed = (
                torch.default_generator.manual_seed if self.device == "cpu" else torch.manual_seed
            )
            seed(int(draws.integers(2**62)))
            return self.gradients(given, loss_of, pieces=self.pieces)

    def _share(self, part: torch.Tensor, whole: torch.Tensor) -> float:
        """Return the weight of a piece's mean loss in the batch's."""
        if len(part) == len(whole):
            return 1.0
        if self.class_weights is None:
            return len(part) / len(whole)
        weights = self.class_weights
        return float(weights[part.long()].sum() / weights[whole.long()].sum())

    def _halve(self, num_rows: int, error: BaseException) -> None:
        most = num_rows // 2 if statistics_move(self.network) else num_rows
        if self.pieces >= most:
            raise ResourceError(
                "The memory does not hold one training step of a single picture.",
                code="404",
                where=f"{self.network.name}, {self.device}",
                fix="choose a smaller --img-size or --model, fewer stages with --unfreeze, "
                "or close other programs",
            ) from error
        self.pieces = min(self.pieces * 2, most)
        sentence = (
            f"Memory does not hold {num_rows} pictures at once; each step is now computed in "
            f"{self.pieces} pieces and updated from once, as before."
        )
        self.history.add("note", sentence=sentence)
        self.optimizer.zero_grad(set_to_none=True)
        if self.device == "cuda":
            torch.cuda.empty_cache()


def _statistics(network: Network) -> dict[str, torch.Tensor]:
    """Return a copy of what a forward pass moves."""
    return {name: own.clone() for name, own in network.named_buffers()}
