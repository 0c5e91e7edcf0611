"""Steps of learning in bfloat16, for the layers that a processor is quicker in.

Weights, gradients, losses and updates stay float32: only what a layer is given, and its product,
are rounded to 8 significant bits. What is judged, tested and shipped is computed in float32.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from saccade.models.network import Network

FEW_PLACES = 16
"""Of a map, for which a 1 × 1 convolution is quicker as a product of matrices (docs/log.md)."""

Forward = Callable[[Tensor], Tensor]


class Bf16:
    """Lets a network compute in bfloat16; torch.autocast decides about all but some layers.

    Those of `slow_layers` and the classifier compute, and answer, in float32. 1 × 1 convolutions
    are products of matrices where maps are narrow, and the gradient of a mean over all places
    lies as the map does.
    """

    def __init__(self, network: Network, *, device: str) -> None:
        self._device = device
        exact = [*slow_layers(network), network.classifier]
        self._instead: list[tuple[nn.Module, Forward]] = [
            *((own, _in_fp32(own.forward, device)) for own in exact),
            *((own, _as_product(own)) for own in network.modules() if _is_pointwise(own)),
            *((own, _mean_of_places) for own in network.modules() if _is_mean(own)),
        ]

    @contextlib.contextmanager
    def on(self) -> Iterator[None]:
        """Let the network compute so in this block; a layer that is passed over stays so."""
        changed = [(own, new) for own, new in self._instead if "forward" not in vars(own)]
        for layer, forward in changed:
            vars(layer)["forward"] = forward
        try:
            with torch.autocast(self._device, torch.bfloat16):
                yield
        finally:
            for layer, _ in changed:
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


def _in_fp32(forward: Forward, device: str) -> Forward:
    def exactly(given: Tensor) -> Tensor:
        with torch.autocast(device, enabled=False):
            return forward(given.float())

    return exactly


def _is_pointwise(layer: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Whether a layer is a plain 1 × 1 convolution of all channels."""
    return (
        type(layer) is nn.Conv2d
        and (*layer.kernel_size, *layer.stride, layer.groups) == (1, 1, 1, 1, 1)
        and layer.padding in {0, (0, 0), "valid"}
    )


def _as_product(layer: nn.Conv2d) -> Forward:
    def forward(given_BCHW: Tensor) -> Tensor:
        if given_BCHW.shape[-2] * given_BCHW.shape[-1] > FEW_PLACES:
            return nn.Conv2d.forward(layer, given_BCHW)
        weight_DC = layer.weight.flatten(1)
        return F.linear(given_BCHW.permute(0, 2, 3, 1), weight_DC, layer.bias).permute(0, 3, 1, 2)

    return forward


def _is_mean(layer: nn.Module) -> bool:
    return type(layer) is nn.AdaptiveAvgPool2d and layer.output_size in {1, (1, 1)}


def _mean_of_places(given_BCHW: Tensor) -> Tensor:
    mean: Tensor = _Mean.apply(given_BCHW)
    return mean


class _Mean(torch.autograd.Function):
    """The mean over all places, (B, C, 1, 1), whose gradient has its channels last.

    torch's own has them first, and an activation that stands before the mean is then twenty times
    slower in its backward pass: 2 to 4 % of a step of mobilenetv2_100's last stages (docs/log.md).
    """

    @staticmethod
    def forward(context: Any, given_BCHW: Tensor) -> Tensor:  # noqa: ANN401 - torch has no type
        context.shape = given_BCHW.shape
        return given_BCHW.mean((2, 3), keepdim=True)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401
        batch, channels, height, width = context.shape
        each: Tensor = (gradient / (height * width)).reshape(batch, 1, 1, channels)
        return each.expand(batch, height, width, channels).contiguous().permute(0, 3, 1, 2)
