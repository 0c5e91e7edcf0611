"""Gradients, stage by stage, and the layer to blame where numbers stop being finite."""

import torch
from torch import nn
from torch.nn.utils import get_total_norm

from saccade.models.network import Network
from saccade.runtime.errors import ResourceError


class NotFinite(ArithmeticError):
    """A loss or a gradient was infinite or not a number."""

    def __init__(self, layer: str, *, epoch: int, step: int) -> None:
        super().__init__(layer)
        self.what = f"Numbers stopped being finite, first in {layer},"
        self.epoch = epoch
        self.step = step

    def as_user_error(self) -> ResourceError:
        """Return what the user reads when cutting the rate did not help."""
        return ResourceError(
            f"{self.what} in epoch {self.epoch}, step {self.step + 1}, at a tenth of the "
            "learning rate too.",
            code="440",
            where="training; the best weights from before are kept",
            fix="lower --lr, keep --batch-norm on, or choose --activation relu",
        )


def stage_norms(network: Network) -> dict[str, float]:
    """Return the Euclidean norm of the gradient of each stage that learns, and of the head."""
    owners = [(stage.name, list(stage.parameters)) for stage in network.stages]
    owners.append(("head", list(network.classifier.parameters())))
    norms = {}
    for name, parameters in owners:
        gradients = [p.grad for p in parameters if p.grad is not None]
        if gradients:
            norms[name] = float(get_total_norm(gradients))
    return norms


def blame(network: Network, images_BCHW: torch.Tensor) -> str:
    """Return the name of the first layer whose output, or whose gradient, is not finite."""
    found: list[str] = []

    def watch(name: str) -> object:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            bad = isinstance(output, torch.Tensor) and not bool(output.isfinite().all())
            if bad and not found:
                found.append(f"the output of layer '{name}'")

        return hook

    if not bool(images_BCHW.isfinite().all()):
        return "the pictures themselves"
    leaves = [(n, m) for n, m in network.named_modules() if not list(m.children())]
    hooks = [module.register_forward_hook(watch(name)) for name, module in leaves]
    with torch.no_grad():
        network(images_BCHW)
    for handle in hooks:
        handle.remove()
    if found:
        return found[0]
    for name, parameter in reversed(list(network.named_parameters())):
        if parameter.grad is not None and not bool(parameter.grad.isfinite().all()):
            return f"the gradient of '{name}'"
    return "the loss"
