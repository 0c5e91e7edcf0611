"""What every layer of a network puts out, what it holds, and what it costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from saccade.models import late_dynamo


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRow:
    """One layer, in the order in which the layers begin: a norm before the activation within it."""

    name: str  # dotted, as in the weights file
    kind: str  # "Conv2d 3×3, stride 2", "Linear", …
    shape: tuple[int, ...]  # of the output for one picture: (C, H, W), (D,), …
    num_parameters: int  # its own; a layer that runs twice has them the first time
    flops: int  # for one picture, see `layer_table`


def layer_table(network: nn.Module, input_px: int) -> tuple[LayerRow, ...]:
    """Return a row for every layer of any network, for one picture of `input_px` × `input_px`.

    One multiply-add counts as two FLOPs. Counted are those of convolutions, fully connected
    layers and attention products; norms, activations and poolings (under 1 % in CNNs) are not.
    Papers and timm call the half of it "FLOPs", "MACs" or "GMACs".

    The network may be on the meta device, where nothing is computed. It is run once with a batch
    of one, in evaluation mode, and left as it was.
    """
    network = getattr(network, "body", network)
    parameter = next(network.parameters())
    picture = torch.zeros(1, 3, input_px, input_px, device=parameter.device, dtype=parameter.dtype)
    modes = {module: module.training for module in network.modules()}
    learning = [p for p in network.parameters() if p.requires_grad]
    recorder = _Recorder(network)
    # Without gradients, for torch's counter trips over a parameter that is a module's input.
    network.eval().requires_grad_(requires_grad=False)
    try:
        # The counter would load torch's compiler, 7 s, only to mark itself as not to be compiled.
        with late_dynamo.spared(), torch.no_grad(), recorder.counter:
            network(picture)
    finally:
        recorder.remove()
        for module, mode in modes.items():
            module.training = mode
        for own in learning:
            own.requires_grad_()
    return (*recorder.rows, *recorder.never_run())


def totals(rows: Sequence[LayerRow]) -> tuple[int, int]:
    """Return the parameters and the FLOPs of all rows together."""
    return sum(row.num_parameters for row in rows), sum(row.flops for row in rows)


class _Recorder:
    """Hooks on every module that write a row when it has run."""

    def __init__(self, network: nn.Module) -> None:
        self._found: list[LayerRow | None] = []  # by the turn in which its module began
        self.counter = FlopCounterMode(display=False)
        self._names = {module: name for name, module in network.named_modules()}
        self._seen: set[nn.Parameter] = set()
        self._open: list[list[int]] = []  # of each running module: total at start, of its parts,
        # and its turn
        self._handles = [
            handle
            for module in self._names
            for handle in (
                module.register_forward_pre_hook(self._begin),
                module.register_forward_hook(self._end),
            )
        ]

    @property
    def rows(self) -> list[LayerRow]:
        """What was found, in the order in which the layers began."""
        return [row for row in self._found if row is not None]

    def remove(self) -> None:
        """Take the hooks off."""
        for handle in self._handles:
            handle.remove()

    def never_run(self) -> list[LayerRow]:
        """Return rows for parameters that the forward pass used without their own module."""
        return [
            self._row(module, shape=(), flops=0)
            for module in self._names
            if any(p not in self._seen for p in module.parameters(recurse=False))
        ]

    def _begin(self, _module: nn.Module, _given: object) -> None:
        self._open.append([self.counter.get_total_flops(), 0, len(self._found)])
        self._found.append(None)

    def _end(self, module: nn.Module, _given: object, output: object) -> None:
        start, of_parts, turn = self._open.pop()
        total = self.counter.get_total_flops() - start
        if self._open:
            self._open[-1][1] += total
        is_layer = not any(True for _ in module.children()) and not isinstance(module, nn.Identity)
        own = any(p not in self._seen for p in module.parameters(recurse=False))
        if is_layer or own or total > of_parts:
            self._found[turn] = self._row(module, shape=_shape(output), flops=total - of_parts)

    def _row(self, module: nn.Module, *, shape: tuple[int, ...], flops: int) -> LayerRow:
        own = [p for p in module.parameters(recurse=False) if p not in self._seen]
        self._seen.update(own)
        names = ", ".join(name for name, _ in module.named_parameters(recurse=False))
        return LayerRow(
            name=self._names[module] or names,  # what the network itself holds: cls_token, …
            kind=_kind(module),
            shape=shape,
            num_parameters=sum(parameter.numel() for parameter in own),
            flops=flops,
        )


def _shape(output: object) -> tuple[int, ...]:
    while isinstance(output, list | tuple) and output:
        output = output[0]
    return tuple(output.shape[1:]) if isinstance(output, Tensor) else ()


def _kind(module: nn.Module) -> str:
    kind = type(module).__name__
    kernel = _pair(getattr(module, "kernel_size", None))
    if not kernel:
        return kind
    groups = getattr(module, "groups", 1)
    kind += f" {kernel[0]}×{kernel[1]}"
    if groups > 1:
        is_depthwise = groups == getattr(module, "in_channels", 0)
        kind += ", depthwise" if is_depthwise else f", {groups} groups"
    stride = _pair(getattr(module, "stride", None))
    if stride and stride != (1, 1):
        kind += f", stride {stride[0]}" if stride[0] == stride[1] else f", stride {stride}"
    return kind


def _pair(value: Any) -> tuple[int, int] | None:  # noqa: ANN401 - int, tuple or nothing
    if isinstance(value, int):
        return value, value
    if isinstance(value, tuple) and len(value) == 2:
        return value
    return None
