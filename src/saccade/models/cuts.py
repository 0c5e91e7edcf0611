"""Where a network can be cut in two: a frozen prefix, and a suffix that learns from its answers.

What a frozen prefix says about a picture never changes, so it is computed once and kept; an epoch
then costs what the suffix costs. The network stays whole: its prefix is passed over for as long
as activations are given in the place of pictures, and no tensor changes its name.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from saccade.models.network import Network

TOLERANCE = 1e-4  # relative to the largest logit; what reordered sums of fp32 come to


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cut:
    """A place between two stages where one tensor carries all that the suffix needs."""

    num_last: int  # stages behind it; 0 = only the classifier
    first: nn.Module  # the first module of the suffix; its input is the activation
    shape: tuple[int, ...]  # of one picture's activation: (C, h, w) or (D,)
    passed: tuple[nn.Module, ...]  # all that runs before it, outermost modules only; 0: the body


class Taps(nn.Module):
    """Pictures (B, 3, H, W) to the activations at some cuts, flattened side by side: (B, sum).

    One pass gives them all, and what lies behind the last one is not computed.
    """

    def __init__(self, network: Network, cuts: tuple[Cut, ...]) -> None:
        super().__init__()
        self.network = network
        self.cuts = cuts

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return what the first module behind each cut is given."""
        taken: dict[int, Tensor] = {}

        def take(module: nn.Module, given: tuple[Any, ...]) -> None:
            taken[id(module)] = given[0]
            tracing = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
            if len(taken) == len(self.cuts) and not tracing:
                raise _ReachedError  # the rest of the network has nothing to add

        handles = [cut.first.register_forward_pre_hook(take) for cut in self.cuts]
        try:
            self.network(images_BCHW)
        except _ReachedError:
            pass
        finally:
            for handle in handles:
                handle.remove()
        return torch.cat([taken[id(cut.first)].flatten(1) for cut in self.cuts], dim=1)


class _ReachedError(Exception):
    """The cut is reached."""


@contextlib.contextmanager
def passing_over(cut: Cut) -> Iterator[None]:
    """Let the network take activations of the cut in the place of pictures."""
    new = [module for module in cut.passed if "forward" not in vars(module)]
    for module in new:
        module.forward = _first_given if cut.num_last else _only(cut.first)
    try:
        yield
    finally:
        for module in new:
            del module.forward


def _first_given(given: Tensor, *_: Any) -> Tensor:  # noqa: ANN401 - whatever a module takes
    return given


def _only(classifier: nn.Module) -> Callable[[Tensor], Tensor]:
    def forward(features: Tensor) -> Tensor:
        logits: Tensor = classifier(features)
        return logits.flatten(1)  # (B, K, 1, 1) where it stands for a convolution

    return forward


def find_cut(network: Network, num_last: int) -> Cut | None:
    """Return the cut before the last `num_last` stages, or None where the network has none.

    Found by running two pictures of noise through the network and looking at the order in which
    its modules are called; then proved: prefix and suffix together must answer as the network
    does. Networks that do more between their modules than to hand one tensor on (position
    embeddings, skip connections across stages) have no such place. The classifier alone can always
    be cut off: its input is all it needs.
    """
    device = next(network.parameters()).device
    noise = torch.Generator().manual_seed(0)
    images = torch.rand(2, 3, network.input_px, network.input_px, generator=noise).to(device)
    was_training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            expected = network(images)
            found = _by_order_of_calls(network, images, num_last)
            if found is None:
                return None
            cut, activation = found
            return cut if _holds(network, cut, activation, expected) else None
    finally:
        network.train(was_training)


def _by_order_of_calls(
    network: Network, images: Tensor, num_last: int
) -> tuple[Cut, Tensor] | None:
    first_candidates = _wholly_behind(network, num_last)
    names = {id(module): name for name, module in network.body.named_modules()}
    done: dict[str, nn.Module] = {}
    found: list[tuple[nn.Module, dict[str, nn.Module], Tensor]] = []

    several = False

    def before(module: nn.Module, given: tuple[Any, ...]) -> None:
        nonlocal several
        if found or several or id(module) not in first_candidates:
            return
        several = not given or not isinstance(given[0], Tensor)  # HRNet's branches are a list
        if not several:
            found.append((module, dict(done), given[0]))

    def after(module: nn.Module, _given: object, _answer: object) -> None:
        done.setdefault(names[id(module)], module)

    handles = []
    for module in network.body.modules():
        handles += [
            module.register_forward_pre_hook(before),
            module.register_forward_hook(after),
        ]
    try:
        network(images)
    finally:
        for handle in handles:
            handle.remove()
    if not found:
        return None
    first, passed, activation = found[0]
    outermost = [m for name, m in passed.items() if name.rpartition(".")[0] not in passed]
    if num_last == 0:
        outermost = [network.body]
    shape = tuple(activation.shape[1:])
    return Cut(num_last=num_last, first=first, shape=shape, passed=tuple(outermost)), activation


def _wholly_behind(network: Network, num_last: int) -> set[int]:
    """Return the ids of the modules with weights, all of them of the suffix."""
    if num_last == 0:
        return {id(network.classifier)}
    behind = {id(parameter) for parameter in network.classifier.parameters()}
    behind |= {id(p) for stage in network.stages[-num_last:] for p in stage.parameters}
    found = set()
    for module in network.body.modules():
        own = {id(parameter) for parameter in module.parameters()}
        if own and own <= behind:
            found.add(id(module))
    return found


def _holds(network: Network, cut: Cut, activation: Tensor, expected: Tensor) -> bool:
    """Say whether prefix and suffix together answer as the whole network does."""
    try:
        with passing_over(cut):
            answer = network(activation)
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError, AssertionError):
        return False
    if answer.shape != expected.shape:
        return False
    largest = float(expected.abs().max())
    return bool((answer - expected).abs().max() <= TOLERANCE * max(largest, 1e-6))
