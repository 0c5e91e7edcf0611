"""The last layer: features (B, D) to logits (B, K)."""

from typing import Any

from torch import Tensor, nn

from saccade.runtime.errors import UsageError


class PointwiseLinear(nn.Linear):
    """A fully connected layer in the place of a 1×1 convolution on pooled maps.

    A few architectures (ResNetV2, DPN, DLA) end in one. It computes the same, takes (B, D, 1, 1)
    and keeps the convolution's shape (K, D, 1, 1) in files, so that they stay timm's.
    """

    def forward(self, maps_BD11: Tensor) -> Tensor:
        """Return logits as maps (B, K, 1, 1)."""
        return super().forward(maps_BD11.flatten(1))[:, :, None, None]

    def _save_to_state_dict(
        self, destination: dict[str, Any], prefix: str, keep_vars: bool
    ) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        key = f"{prefix}weight"
        destination[key] = destination[key][:, :, None, None]

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        *rest: Any,  # noqa: ANN401 - torch's
    ) -> None:
        key = f"{prefix}weight"
        if key in state_dict and state_dict[key].ndim == 4:
            state_dict[key] = state_dict[key][:, :, 0, 0]
        super()._load_from_state_dict(state_dict, prefix, *rest)


def settle(body: nn.Module, names: tuple[str, ...], *, network: str) -> str:
    """Return the dotted name of the classifier, after making it a fully connected layer.

    Args:
        body: the whole network.
        names: what timm says its classifiers are.
        network: its name, for the message.

    Raises:
        UsageError: it ends in several classifiers, or in something else (E217).
    """
    layer = body.get_submodule(names[0]) if len(names) == 1 and _has(body, names[0]) else None
    if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1) and layer.groups == 1:
        parent, _, own = names[0].rpartition(".")
        bias = layer.bias is not None
        linear = PointwiseLinear(layer.in_channels, layer.out_channels, bias=bias)
        linear.weight.data = layer.weight.data.flatten(1)
        if layer.bias is not None:
            linear.bias.data = layer.bias.data
        setattr(body.get_submodule(parent), own, linear)
        layer = linear
    if not isinstance(layer, nn.Linear):
        raise UsageError(
            f"{network} does not end in one fully connected layer, so its head cannot be replaced.",
            code="217",
            where=f"--model {network}",
            fix="choose another architecture of the family (one that is not distilled)",
        )
    return names[0]


def _has(body: nn.Module, name: str) -> bool:
    return name in dict(body.named_modules())
