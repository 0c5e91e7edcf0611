"""The optimiser: torch's own loop over the parameters is the second source."""

import pytest
import torch
from tests.training.climbs import CLIMB

from saccade.data.task import Task
from saccade.models import network as networks
from saccade.models.network import Network
from saccade.training import optimizer as optimizer_module
from saccade.training.checkpoint import optimizer_state, restore_optimizer
from saccade.training.optimizer import make_optimizer, set_rate

TASK = Task(kind="multiclass", classes=("a", "b", "c"))


def network_for() -> Network:
    network, _ = networks.build("cnn", task=TASK, recipe=CLIMB, img_size=16)
    network.set_stage_trainable(2)
    return network.to(memory_format=torch.channels_last)


def steps(network: Network, optimizer: torch.optim.Optimizer, numbers: range) -> None:
    for number in numbers:
        draws = torch.Generator().manual_seed(number)
        for own in network.parameters():
            drawn = torch.randn(own.shape, generator=draws)
            own.grad = torch.empty_like(own).copy_(drawn) if own.requires_grad else None
        set_rate(optimizer, 1 / (number + 1))
        optimizer.step()


@pytest.mark.parametrize("opt", ["sgd", "adam", "adamw"])
def test_updates_are_those_of_torchs_loop_over_the_parameters(
    opt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = CLIMB.replace(opt=opt, weight_decay=0.1)
    network, expected = network_for(), network_for()
    steps(network, make_optimizer(network, recipe, pretrained=True), range(4))
    monkeypatch.setattr(optimizer_module, "FUSED", set())
    steps(expected, make_optimizer(expected, recipe, pretrained=True), range(4))
    for own, other in zip(network.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.5, True), (0.5, False), (0.0, True)])
def test_momentum_is_that_of_the_recipe(momentum: float, nesterov: bool) -> None:
    recipe = CLIMB.replace(
        opt="sgd", lr=0.1, body_lr=0.1, momentum=momentum, nesterov=nesterov, weight_decay=0.0
    )
    network, expected = network_for(), network_for()
    steps(network, make_optimizer(network, recipe, pretrained=True), range(4))
    learning = [own for own in expected.parameters() if own.requires_grad]
    plain = torch.optim.SGD(learning, lr=0.1, momentum=momentum, nesterov=nesterov and momentum > 0)
    plain.param_groups[0]["highest_lr"] = 0.1
    steps(expected, plain, range(4))
    for own, other in zip(network.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("opt", ["sgd", "adam", "adamw"])
def test_gone_on_with_from_what_was_kept_it_is_the_same_to_the_last_bit(opt: str) -> None:
    recipe = CLIMB.replace(opt=opt)
    whole, again = network_for(), network_for()
    first = make_optimizer(whole, recipe, pretrained=True)
    steps(whole, first, range(2))
    # As a file gives it back, without strides.
    kept = {name: value.contiguous() for name, value in optimizer_state(first).items()}
    again.load_state_dict(whole.state_dict())
    steps(whole, first, range(2, 4))
    second = make_optimizer(again, recipe, pretrained=True)
    restore_optimizer(second, kept)
    steps(again, second, range(2, 4))
    assert all(
        torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True)
    )


def test_head_and_body_have_their_rates_and_only_matrices_decay() -> None:
    network = network_for()
    optimizer = make_optimizer(
        network, CLIMB.replace(lr=0.1, body_lr=0.01, weight_decay=0.5), pretrained=True
    )
    head = {id(own) for own in network.classifier.parameters()}
    for group in optimizer.param_groups:
        for own in group["params"]:
            assert group["highest_lr"] == (0.1 if id(own) in head else 0.01)
            assert group["weight_decay"] == (0.5 if own.ndim > 1 else 0.0)
