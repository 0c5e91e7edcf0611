"""BatchNorms whose statistics stay, folded into their convolutions for one step of learning.

What learns stays what it was: a convolution's weight, a norm's scale and shift. For one step the
convolution is given the product of weight and scale, and what is found out about the product goes
back to both by the chain rule. So answers and gradients are those of the network as it is, but for
the rounding; what is spared are the norm's passes over the activations, a quarter of a step's
time (docs/log.md). To fold for good and let the products learn is another thing: rates that suit
the weights are too much for a product whose scale is large.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from saccade.models.fused import foldable, what_remains

TOLERANCE = 1e-4  # relative to the largest logit; what reordered sums of fp32 come to


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pair:
    """A convolution and the BatchNorm behind it."""

    convolution: nn.Conv2d
    norm: Any  # nn.BatchNorm2d, or timm's with an activation
    rest: nn.Module  # what the norm does beside normalising

    @property
    def own(self) -> list[Tensor]:
        """What learns in both, or might."""
        parts = (self.convolution.weight, self.convolution.bias, self.norm.weight, self.norm.bias)
        return [part for part in parts if part is not None]

    def products(self) -> tuple[Tensor, Tensor]:
        """Return weight and bias of a convolution that does what both do."""
        scale, offset = self._scale(), self._offset()
        shift = offset * scale if self.norm.bias is None else offset * scale + self.norm.bias
        return self.convolution.weight * scale[:, None, None, None], shift

    def hand_back(self, by_weight: Tensor | None, by_shift: Tensor | None) -> None:
        """Add to the gradients of both what those by the two products mean for them."""
        weight, scale = self.convolution.weight, self._scale()
        by_scale = torch.zeros_like(scale)
        if by_shift is not None:
            by_scale += by_shift * self._offset()
            _add(self.convolution.bias, by_shift * scale)
            _add(self.norm.bias, by_shift)
        if by_weight is not None:
            by_scale += (by_weight * weight).flatten(1).sum(1)
            _add(weight, by_weight.mul_(scale[:, None, None, None]))
        _add(self.norm.weight, by_scale * self._spread())

    def _spread(self) -> Tensor:
        return torch.rsqrt(self.norm.running_var + self.norm.eps)

    def _scale(self) -> Tensor:
        return self._spread() if self.norm.weight is None else self._spread() * self.norm.weight

    def _offset(self) -> Tensor:
        """Return what is scaled with the weights to give the shift, but for the norm's own."""
        mean: Tensor = self.norm.running_mean
        return -mean if self.convolution.bias is None else self.convolution.bias - mean


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Folded:
    """What stands in the place of weights, scales and shifts while they are folded."""

    replaced: frozenset[int]  # ids of the parameters whose place it is
    pairs: tuple[Pair, ...]
    leaves: tuple[Tensor, ...]  # the products, weight and shift of one pair after the other

    def hand_back(self) -> None:
        """Add to the parameters' gradients what those of `leaves` mean for them.

        Once only, and after the block: within it the leaves stand in the parameters' place.
        """
        with torch.no_grad():
            for number, pair in enumerate(self.pairs):
                by_weight, by_shift = (own.grad for own in self.leaves[2 * number :][:2])
                if by_weight is not None or by_shift is not None:
                    pair.hand_back(by_weight, by_shift)


def _add(parameter: Tensor | None, gradient: Tensor) -> None:
    if parameter is None or not parameter.requires_grad:
        return
    parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


@contextlib.contextmanager
def folded(pairs: Sequence[Pair]) -> Iterator[Folded]:
    """Fold the norms away in this block, with the weights as they are when it begins.

    No tensor changes its name or its value: the products only stand before the parameters, as
    attributes of the modules themselves, and the norms are passed over.
    """
    replaced = frozenset(id(own) for pair in pairs for own in pair.own)
    learning = torch.is_grad_enabled()
    with torch.no_grad():
        leaves = [
            product.requires_grad_(learning and any(own.requires_grad for own in pair.own))
            for pair in pairs
            for product in pair.products()
        ]
    try:
        for number, pair in enumerate(pairs):
            vars(pair.convolution)["weight"] = leaves[2 * number]
            vars(pair.convolution)["bias"] = leaves[2 * number + 1]
            vars(pair.norm)["forward"] = pair.rest
        yield Folded(replaced=replaced, pairs=tuple(pairs), leaves=tuple(leaves))
    finally:
        for pair in pairs:
            for module, name in (
                (pair.convolution, "weight"),
                (pair.convolution, "bias"),
                (pair.norm, "forward"),
            ):
                vars(module).pop(name, None)


def find_pairs(network: nn.Module, run: Callable[[], Tensor]) -> tuple[Pair, ...]:
    """Return the pairs that may be folded in what `run` runs of the network.

    Only norms whose statistics stay; none at all where folding is seen to change the answers, as
    where a convolution does something with its weights by itself.
    """
    with torch.no_grad():
        pairs = tuple(
            Pair(convolution=convolution, norm=norm, rest=what_remains(norm))
            for convolution, norm in foldable(network, run)
            if not norm.training and "forward" not in vars(norm)
        )
        expected = run()
        with folded(pairs):
            found = run()
    largest = max(float(expected.abs().max()), 1e-6)
    return pairs if bool((found - expected).abs().max() <= TOLERANCE * largest) else ()
