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
        scale = torch.rsqrt(self.norm.running_var + self.norm.eps)
        if self.norm.weight is not None:
            scale = scale * self.norm.weight
        shift = -self.norm.running_mean * scale
        if self.norm.bias is not None:
            shift = shift + self.norm.bias
        if self.convolution.bias is not None:
            shift = shift + self.convolution.bias * scale
        return self.convolution.weight * scale[:, None, None, None], shift


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Folded:
    """What stands in the place of weights, scales and shifts while they are folded."""

    replaced: frozenset[int]  # ids of the parameters whose place it is
    products: tuple[Tensor, ...]
    leaves: tuple[Tensor, ...]  # the products, cut off from what they were made of

    def hand_back(self) -> None:
        """Add to the parameters' gradients what those of `leaves` mean for them."""
        shares = [
            (product * leaf.grad).sum()  # whose gradient by the product is what is known
            for product, leaf in zip(self.products, self.leaves, strict=True)
            if leaf.grad is not None and product.requires_grad
        ]
        if shares:  # gradients given to backward() by hand would load sympy: half a second
            torch.stack(shares).sum().backward()  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def folded(pairs: Sequence[Pair]) -> Iterator[Folded]:
    """Fold the norms away in this block, with the weights as they are when it begins.

    No tensor changes its name or its value: the products only stand before the parameters, as
    attributes of the modules themselves, and the norms are passed over.
    """
    replaced = frozenset(id(own) for pair in pairs for own in pair.own)
    products = [product for pair in pairs for product in pair.products()]
    leaves = [product.detach().requires_grad_(product.requires_grad) for product in products]
    try:
        for number, pair in enumerate(pairs):
            vars(pair.convolution)["weight"] = leaves[2 * number]
            vars(pair.convolution)["bias"] = leaves[2 * number + 1]
            vars(pair.norm)["forward"] = pair.rest
        yield Folded(replaced=replaced, products=tuple(products), leaves=tuple(leaves))
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
