"""Norms folded for a step: torch's own gradients of the network as it is are the second source."""

import pytest
import torch
from tests.models.test_fused import (
    CalledTwice,
    ChangedBetween,
    Pair,
    ReadTwice,
    WithActivation,
    pictures,
    settled,
)
from torch import Tensor, nn

from saccade.models import folding
from saccade.models.folding import find_pairs, folded

Gradients = dict[str, Tensor | None]


class Padded(nn.Conv2d):
    """As timm's Conv2dSame: it does something with its input, and reads its own weight."""

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(nn.functional.pad(x, (1, 0, 1, 0)), self.weight, self.bias)


class Standardised(nn.Conv2d):
    """As timm's StdConv2d: the weight that it convolves with is not the one that learns."""

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean(dim=(1, 2, 3), keepdim=True)
        return self._conv_forward(x, weight, self.bias)


class Several(nn.Module):
    """Two pairs and a classifier, the first pair frozen if asked."""

    def __init__(self, first: nn.Module, *, frozen: bool = False) -> None:
        super().__init__()
        self.first = first.requires_grad_(not frozen)
        self.second = nn.Conv2d(8, 6, 1)
        self.norm = settled(nn.BatchNorm2d(6))
        self.classifier = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.norm(self.second(self.first(x))).mean(dim=(2, 3)))


def with_padding() -> nn.Module:
    pair = Pair()
    pair.conv = Padded(4, 8, 3)
    return pair


def standardised() -> nn.Module:
    pair = Pair()
    pair.conv = Standardised(4, 8, 3)
    return pair


def loss(network: nn.Module) -> Tensor:
    return network(pictures()).square().mean()


def as_it_is(network: nn.Module) -> Gradients:
    network.zero_grad()
    loss(network).backward()
    return {name: own.grad for name, own in network.named_parameters()}


def when_folded(network: nn.Module, num_pairs: int) -> Gradients:
    network.zero_grad()
    pairs = find_pairs(network, lambda: network(pictures()))
    assert len(pairs) == num_pairs
    with folded(pairs) as stand_ins:
        leaves = [own for own in stand_ins.leaves if own.requires_grad]
        others = [
            own
            for own in network.parameters()
            if own.requires_grad and id(own) not in stand_ins.replaced
        ]
        loss(network).backward(inputs=[*leaves, *others])
    stand_ins.hand_back()
    return {name: own.grad for name, own in network.named_parameters()}


def assert_same(found: Gradients, expected: Gradients) -> None:
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        if gradient is None:
            assert found[name] is None
        else:
            torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("network", "num_pairs"),
    [
        (Several(Pair()), 2),
        (Several(Pair(bias=True)), 2),
        (Several(Pair(affine=False)), 2),
        (Several(Pair(groups=4)), 2),
        (Several(WithActivation()), 2),
        (Several(with_padding()), 2),
        (Several(Pair(), frozen=True), 2),
        (Several(ReadTwice()), 1),
        (Several(ChangedBetween()), 1),
        (Several(CalledTwice()), 1),
        (Several(standardised()), 1),
    ],
    ids=lambda value: type(value.first).__name__ if isinstance(value, nn.Module) else None,
)
def test_gradients_are_those_of_the_network_as_it_is(network: nn.Module, num_pairs: int) -> None:
    network.eval()
    assert_same(when_folded(network, num_pairs), as_it_is(network))


def test_gradients_that_are_not_handed_on_to_the_scale_are_noticed_negative_control(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = Several(Pair()).eval()
    hand_back = folding.Pair.hand_back
    monkeypatch.setattr(
        folding.Pair,
        "hand_back",
        lambda self, by_weight, by_shift: (
            hand_back(self, None, by_shift)
            or folding._add(self.convolution.weight, by_weight * self._scale()[:, None, None, None])
        ),
    )
    found, expected = when_folded(network, 2), as_it_is(network)
    with pytest.raises(AssertionError):
        assert_same(found, expected)
    kept = [name for name in found if "norm" not in name or not name.endswith("weight")]
    assert_same({name: found[name] for name in kept}, {name: expected[name] for name in kept})


@pytest.mark.parametrize("learns", ["norm", "conv"])
def test_one_of_a_pair_may_learn_without_the_other(learns: str) -> None:
    network = Several(Pair(bias=True)).eval()
    for name, own in network.first.named_parameters():
        own.requires_grad_(name.startswith(learns))
    assert_same(when_folded(network, 2), as_it_is(network))


def test_a_norm_whose_statistics_move_is_not_folded() -> None:
    network = Several(Pair()).eval()
    network.norm.train()
    (pair,) = find_pairs(network, lambda: network(pictures()))
    assert pair.norm is network.first.norm


def test_answers_are_the_same_and_afterwards_all_is_as_before() -> None:
    network = Several(WithActivation()).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    attributes = [set(vars(module)) for module in network.modules()]
    expected = network(pictures())
    with folded(find_pairs(network, lambda: network(pictures()))):
        assert list(network.state_dict()) == list(before)
        torch.testing.assert_close(network(pictures()), expected, rtol=1e-5, atol=1e-6)
    assert [set(vars(module)) for module in network.modules()] == attributes
    assert torch.equal(network(pictures()), expected)
    assert all(torch.equal(network.state_dict()[name], before[name]) for name in before)


def test_after_an_error_all_is_as_before_too() -> None:
    network = Several(Pair()).eval()
    expected = network(pictures())
    pairs = find_pairs(network, lambda: network(pictures()))
    with pytest.raises(KeyError), folded(pairs):
        raise KeyError
    assert torch.equal(network(pictures()), expected)


def test_a_step_is_seen_when_it_is_folded_again() -> None:
    """Products of weights as they were would learn from the past."""
    network = Several(Pair()).eval()
    pairs = find_pairs(network, lambda: network(pictures()))
    with torch.no_grad():
        network.first.norm.weight.mul_(3)
        network.second.weight.add_(0.1)
    with folded(pairs):
        found = network(pictures())
    torch.testing.assert_close(found, network(pictures()), rtol=1e-5, atol=1e-6)
