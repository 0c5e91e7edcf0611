"""Steps of learning in bfloat16, for the layers that a processor is quicker in.

Weights, gradients, losses and updates stay float32: only what a layer is given, and its product,
are rounded to 8 significant bits. What is judged, tested and shipped is computed in float32.
"""

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from saccade.models.network import Network


@contextlib.contextmanager
def in_bf16(network: Network) -> Iterator[None]:
    """Let the network compute in bfloat16 in this block, but for `slow_layers` and its classifier.

    Logits are float32. Source: torch.autocast decides about everything that is no layer.
    """
    device = next(network.parameters()).device.type
    kept = [own for own in (*slow_layers(network), network.classifier) if "forward" not in vars(own)]
    for layer in kept:
        vars(layer)["forward"] = _in_fp32(layer.forward, device)
    try:
        with torch.autocast(device, torch.bfloat16):
            yield
    finally:
        for layer in kept:
            del vars(layer)["forward"]


def slow_layers(network: nn.Module) -> list[nn.Conv2d]:
    """Return the convolutions whose gradients torch computes by a slow path in bfloat16.

    Depthwise ones that stride or are wider than 3: on a processor that computes in bfloat16, a
    backward pass of 32 × 576 × 14 × 14 with stride 2 takes 64 ms instead of 5, one of 5 × 5 on
    32 × 1152 × 7 × 7 takes 49 instead of 18 (docs/log.md).
    """
    return [
        own
        for own in network.modules()
        if isinstance(own, nn.Conv2d)
        and own.groups == own.in_channels > 1
        and (max(own.stride) > 1 or max(own.kernel_size) > 3)  # noqa: PLR2004 - the usual kernel
    ]


def _in_fp32(forward: Callable[[Tensor], Tensor], device: str) -> Callable[[Tensor], Tensor]:
    def exactly(given: Tensor) -> Tensor:
        with torch.autocast(device, enabled=False):
            return forward(given.float())

    return exactly
