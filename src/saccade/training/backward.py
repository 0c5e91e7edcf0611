"""The gradients of a batch: in pieces where memory asks for it, with norms folded that stay."""

import contextlib
import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager

from torch import Tensor, nn

from saccade.models.bf16 import Bf16
from saccade.models.folding import Pair, find_pairs, folded
from saccade.models.network import Network
from saccade.runtime.device import is_out_of_memory

LossOf = Callable[[Tensor, slice], Tensor]
"""From the logits of some pictures of a batch, and their places in it, to the share that these
have in the batch's mean loss; all shares add up to it."""


def statistics_move(network: nn.Module) -> bool:
    """Return whether a BatchNorm would take its statistics from the batch, as it is now."""
    return any(
        layer.training and isinstance(layer, nn.modules.batchnorm._BatchNorm)  # noqa: SLF001 - the only common parent
        for layer in network.modules()
    )


class Gradients:
    """Computes gradients of one network, frozen as it is now.

    On the processor BatchNorms whose statistics stay are folded for the step (`models.folding`):
    there their passes over the activations cost as much as all convolutions' backward passes.
    In bf16 (`models.bf16`) if asked, unless torch cannot differentiate the network in it.
    """

    def __init__(self, network: Network, *, device: str, bf16: bool = False) -> None:
        self.network = network
        self.device = device
        self.why_not_bf16 = ""  # where it was asked for and cannot be: what torch says
        self._bf16 = Bf16(network, device=device) if bf16 else None
        network.zero_grad(set_to_none=True)  # of stages, too, that learned before and do not now
        self._learning = [own for own in network.parameters() if own.requires_grad]
        self._pairs: tuple[Pair, ...] | None = None  # None = not looked for yet

    def __call__(self, given: Tensor, loss_of: LossOf, *, pieces: int = 1) -> float:
        """Leave in each parameter that learns the gradient of the mean loss; return that loss.

        Args:
            given: what the network is given, a row a picture.
            loss_of: see `LossOf`.
            pieces: how many one after the other; for batches that memory does not hold.
        """
        if self._pairs is None:
            self._pairs = self._look(given[:2])
            self._try_bf16(given[:2])
        self._forget()
        total = 0.0
        for place in _places(len(given), pieces):
            with folded(self._pairs) as stand_ins:
                others = [own for own in self._learning if id(own) not in stand_ins.replaced]
                leaves = [own for own in stand_ins.leaves if own.requires_grad]
                with self._arithmetic():
                    logits = self.network(given[place])
                loss = loss_of(logits, place)
                total += float(loss.detach())
                loss.backward(inputs=[*leaves, *others])  # type: ignore[no-untyped-call]
            stand_ins.hand_back()
        return total

    @property
    def in_bf16(self) -> bool:
        """Whether it computes in bf16; known after the first batch."""
        return self._bf16 is not None

    def _forget(self) -> None:
        for own in self._learning:
            own.grad = None

    def _arithmetic(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext() if self._bf16 is None else self._bf16.on()

    def _try_bf16(self, few: Tensor) -> None:
        """Give up bf16 where a few pictures cannot be computed in it; they change nothing."""
        if self._bf16 is None:
            return
        was_training = self.network.training
        self.network.eval()  # statistics do not move, and dropout draws nothing
        try:
            with self._arithmetic():
                said = self.network(few)
            said.square().sum().backward(inputs=self._learning)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            self._bf16, self.why_not_bf16 = None, str(error).strip().partition("\n")[0] or "no word"
        finally:
            self.network.train(was_training)
            self._forget()

    def _look(self, few: Tensor) -> tuple[Pair, ...]:
        """Return the norms to fold; where any moves its statistics, running it to see would too."""
        if self.device != "cpu" or statistics_move(self.network):
            return ()
        was_training = self.network.training
        self.network.eval()  # without dropout, which would make two answers differ
        try:
            return find_pairs(self.network, lambda: self.network(few))
        finally:
            self.network.train(was_training)


def _places(num: int, parts: int) -> list[slice]:
    """Return where the parts of a batch lie in it, as equal as can be, none empty.

    >>> _places(5, 2)
    [slice(0, 3, None), slice(3, 5, None)]
    """
    parts = min(parts, num)
    ends = [-(-num * part // parts) for part in range(parts + 1)]
    return [slice(start, end) for start, end in itertools.pairwise(ends)]
