"""The optimiser: separate rates for body and head, and no decay where decay only hurts."""

import torch

from saccade.models import late_dynamo
from saccade.models.network import Network
from saccade.training.recipe import Recipe

FUSED = {"cpu", "cuda"}
"""Devices on which torch updates all parameters by one function."""


@late_dynamo.spared()
def make_optimizer(network: Network, recipe: Recipe, *, pretrained: bool) -> torch.optim.Optimizer:
    """Return the optimiser over everything that may learn; each group keeps its `highest_lr`.

    Biases and the scales of normalisation layers are not decayed. Updates are made by one
    function for all parameters where there is one: a tenth of the time of one after the other.
    Source: decay: T. He et al. (2019), Bag of tricks for image classification. Time: docs/log.md.
    """
    head_lr, body_lr = rates(recipe, pretrained=pretrained)
    head = {id(parameter) for parameter in network.classifier.parameters()}
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = []
    for lr, own in (
        (head_lr, [p for p in learning if id(p) in head]),
        (body_lr, [p for p in learning if id(p) not in head]),
    ):
        for decay, some in (
            (recipe.weight_decay, [p for p in own if p.ndim > 1]),
            (0.0, [p for p in own if p.ndim <= 1]),
        ):
            if some:
                groups.append({"params": some, "lr": lr, "highest_lr": lr, "weight_decay": decay})
    fused = all(p.device.type in FUSED and p.is_floating_point() for p in learning)
    if recipe.opt == "sgd":
        nesterov = recipe.nesterov and recipe.momentum > 0
        return torch.optim.SGD(
            groups, lr=head_lr, momentum=recipe.momentum, nesterov=nesterov, fused=fused
        )
    kind = torch.optim.Adam if recipe.opt == "adam" else torch.optim.AdamW
    return kind(groups, lr=head_lr, fused=fused)


def rates(recipe: Recipe, *, pretrained: bool) -> tuple[float, float]:
    """Return the highest learning rates of head and body, as given or by default."""
    head = recipe.lr or (1e-2 if recipe.opt == "sgd" else 1e-3)
    return head, recipe.body_lr or (head / 10 if pretrained else head)


def set_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set every group's rate to `factor` × its highest."""
    for group in optimizer.param_groups:
        group["lr"] = group["highest_lr"] * factor
