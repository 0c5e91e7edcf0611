"""A batch's gradients: torch's own, of the network as it is, are the second source."""

from typing import Any

import pytest
import torch
from tests.models.test_fused import settled
from tests.training.climbs import CLIMB
from torch import Tensor, nn

from saccade.data.task import Task
from saccade.models import network as networks
from saccade.models.network import Network
from saccade.training import backward
from saccade.training.backward import Gradients
from saccade.training.gradients import stage_norms
from saccade.training.recipe import Recipe

TASK = Task(kind="multiclass", classes=("a", "b", "c"))
BATCH = 37
LABELS = torch.arange(BATCH) % 3


def network_for(recipe: Recipe = CLIMB, *, statistics_move: bool = False) -> Network:
    network, _ = networks.build("cnn", task=TASK, recipe=recipe, img_size=16)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            settled(norm)
    network.statistics_move = statistics_move
    network.set_stage_trainable(2)
    return network.train()


def pictures(num: int = BATCH) -> Tensor:
    return torch.rand(num, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def loss_of(logits: Tensor, place: slice) -> Tensor:
    each = nn.functional.cross_entropy(logits, LABELS[place], reduction="sum")
    return each / BATCH


def gradients(network: Network) -> dict[str, Tensor]:
    return {n: p.grad.clone() for n, p in network.named_parameters() if p.grad is not None}


def whole(network: Network) -> tuple[float, dict[str, Tensor]]:
    network.zero_grad()
    loss = nn.functional.cross_entropy(network(pictures()), LABELS)
    loss.backward()
    return float(loss.detach()), gradients(network)


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor], atol: float = 1e-6) -> None:
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=atol)


class Refused(torch.autograd.Function):
    """As an operation of which torch has no gradient in bfloat16."""

    @staticmethod
    def forward(_context: Any, given: Tensor) -> Tensor:
        return given.clone()

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:
        if gradient.dtype == torch.bfloat16:
            raise RuntimeError("\"refused\" not implemented for 'BFloat16'\nand more")
        return gradient


@pytest.mark.parametrize("drop", [0.0, 0.5])
@pytest.mark.parametrize("statistics_move", [False, True])
def test_a_network_that_torch_cannot_differentiate_in_bf16_is_computed_in_fp32(
    drop: float, statistics_move: bool
) -> None:
    network = network_for(CLIMB.replace(drop=drop), statistics_move=statistics_move)
    convolution = next(own for own in network.modules() if isinstance(own, nn.Conv2d))
    convolution.requires_grad_()
    convolution.register_forward_hook(lambda _layer, _given, said: Refused.apply(said))
    states = [
        {name: value.clone() for name, value in network.state_dict().items()} for _ in range(2)
    ]
    torch.manual_seed(3)
    expected = Gradients(network, device="cpu")(pictures(), loss_of), gradients(network)
    moved = network.state_dict()
    assert statistics_move == any(not torch.equal(moved[name], states[0][name]) for name in moved)
    after = {name: value.clone() for name, value in moved.items()}
    network.load_state_dict(states[1])
    compute = Gradients(network, device="cpu", bf16=True)
    torch.manual_seed(3)
    assert compute(pictures(), loss_of) == expected[0]
    assert all(torch.equal(own, expected[1][name]) for name, own in gradients(network).items())
    assert all(torch.equal(own, after[name]) for name, own in network.state_dict().items())
    assert compute.why_not_bf16 == "\"refused\" not implemented for 'BFloat16'"
    assert not compute.in_bf16
    assert network.training


def test_the_first_step_in_bf16_moves_statistics_once() -> None:
    network = network_for(statistics_move=True)
    compute = Gradients(network, device="cpu", bf16=True)
    compute(pictures(), loss_of)
    assert compute.in_bf16
    norms = [own for own in network.modules() if isinstance(own, nn.BatchNorm2d)]
    assert max(int(own.num_batches_tracked) for own in norms) == 1


def test_stages_that_are_frozen_again_have_no_gradient_any_more() -> None:
    """A rung of two stages is undone, and one stage learns: only that one has a norm."""
    network = network_for()
    Gradients(network, device="cpu")(pictures(), loss_of)
    assert len(stage_norms(network)) == 3
    network.set_stage_trainable(1)
    Gradients(network, device="cpu")(pictures(), loss_of)
    assert list(stage_norms(network)) == [network.stages[-1].name, "head"]


@pytest.mark.parametrize("pieces", [1, 3, 50])
def test_loss_and_gradients_are_those_of_the_whole_batch(pieces: int) -> None:
    network = network_for()
    expected = whole(network)
    value = Gradients(network, device="cpu")(pictures(), loss_of, pieces=pieces)
    assert value == pytest.approx(expected[0], rel=1e-5)
    assert_same(gradients(network), expected[1])


def test_a_piece_that_is_lost_is_noticed_negative_control(monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_for()
    expected = whole(network)
    monkeypatch.setattr(backward, "_places", lambda num, _parts: [slice(0, num // 2)])
    Gradients(network, device="cpu")(pictures(), loss_of)
    with pytest.raises(AssertionError):
        assert_same(gradients(network), expected[1])


def test_the_same_gradients_come_out_to_the_last_bit() -> None:
    found = []
    for _ in range(3):
        network = network_for()
        Gradients(network, device="cpu")(pictures(), loss_of)
        found.append(gradients(network))
    assert all(torch.equal(own[name], found[0][name]) for own in found for name in own)


def num_folded(monkeypatch: pytest.MonkeyPatch, network: Network, device: str = "cpu") -> int:
    found: list[int] = []
    known = backward.find_pairs

    def noting(*given: Any) -> Any:
        pairs = known(*given)
        found.append(len(pairs))
        return pairs

    monkeypatch.setattr(backward, "find_pairs", noting)
    Gradients(network, device=device)(pictures(), loss_of)
    return sum(found)


def test_every_norm_of_the_network_is_folded_where_statistics_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = network_for()
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    assert num_folded(monkeypatch, network) == norms


def test_where_statistics_move_they_move_once_a_step_and_nothing_is_folded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, expected = network_for(statistics_move=True), network_for(statistics_move=True)
    assert num_folded(monkeypatch, network) == 0
    whole(expected)
    assert_same(network.state_dict(), expected.state_dict())
    assert network.training


def test_on_an_accelerator_nothing_is_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert num_folded(monkeypatch, network_for(), device="cuda") == 0


def test_with_dropout_the_numbers_that_are_drawn_are_those_of_the_whole_batch() -> None:
    found = []
    for compute in (whole, lambda own: Gradients(own, device="cpu")(pictures(), loss_of)):
        network = network_for(CLIMB.replace(drop=0.5))
        torch.manual_seed(3)
        compute(network)
        found.append(gradients(network))
    assert_same(found[1], found[0])


def test_frozen_parameters_have_no_gradient() -> None:
    network = network_for()
    Gradients(network, device="cpu")(pictures(), loss_of)
    names = {name for name, own in network.named_parameters() if own.grad is not None}
    assert names == {name for name, own in network.named_parameters() if own.requires_grad}
    assert not any(name.startswith("body.stages.0.") for name in names)
