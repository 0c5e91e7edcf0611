"""Steps of learning in bfloat16, for the layers that a processor is quicker in.

Weights, gradients, losses and updates stay float32: only what a layer is given, and its product,
are rounded to 8 significant bits. What is judged, tested and shipped is computed in float32.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn


@contextlib.contextmanager
def in_bf16(device: str, *, exact: Sequence[nn.Module]) -> Iterator[None]:
    """Let networks compute in bfloat16 in this block.

    torch.autocast decides about everything that is no layer.

    Args:
        device: "cpu" or "cuda".
        exact: layers that compute, and answer, in float32: `slow_layers`, and a classifier.
    """
    layers = [own for own in exact if "forward" not in vars(own)]  # one that is passed over has
    for layer in layers:
        vars(layer)["forward"] = _in_fp32(layer.forward, device)
    try:
        with torch.autocast(device, torch.bfloat16):
            yield
    finally:
        for layer in layers:
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
        and (max(own.stride) > 1 or max(own.kernel_size) > 3)
    ]


def _in_fp32(forward: Callable[[Tensor], Tensor], device: str) -> Callable[[Tensor], Tensor]:
    def exactly(given: Tensor) -> Tensor:
        with torch.autocast(device, enabled=False):
            return forward(given.float())

    return exactly
