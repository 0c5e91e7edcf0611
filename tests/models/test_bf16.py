"""Steps in bfloat16: float32 is the second source, for answers and for gradients."""

import pytest
import torch
from tests.models.test_fused import settled
from tests.training.climbs import CLIMB
from torch import Tensor, nn

from saccade.data.task import Task
from saccade.models import bf16
from saccade.models import network as networks
from saccade.models.bf16 import Bf16, slow_layers
from saccade.models.network import Network

TASK = Task(kind="multiclass", classes=("a", "b", "c"))


@pytest.fixture
def small() -> Network:
    network, _ = networks.build("cnn", task=TASK, recipe=CLIMB, img_size=16)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            settled(norm)
    return network.eval()


def pictures(num: int = 8) -> Tensor:
    return torch.rand(num, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def gradient(network: Network) -> Tensor:
    network.zero_grad()
    logits = network(pictures())
    nn.functional.cross_entropy(logits.float(), torch.arange(8) % 3).backward()
    return torch.cat([own.grad.flatten() for own in network.parameters() if own.grad is not None])


def test_layers_compute_in_bf16_and_what_is_kept_in_float32_says_nearly_the_same(
    small: Network,
) -> None:
    kinds: dict[str, torch.dtype] = {}
    for name, layer in small.body.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(
                lambda _layer, _given, said, name=name: kinds.update({name: said.dtype})
            )
    expected, exact = small(pictures()), gradient(small)
    with Bf16(small, device="cpu").on():
        logits = small(pictures())
        told, found = dict(kinds), gradient(small)
    assert told.pop(small.classifier_name) == logits.dtype == torch.float32
    assert set(told.values()) == {torch.bfloat16}
    assert not torch.equal(logits, expected)
    torch.testing.assert_close(logits, expected, rtol=0.05, atol=0.05)
    assert found.dtype == torch.float32
    assert float(nn.functional.cosine_similarity(found, exact, dim=0)) > 0.995
    assert {own.dtype for own in small.parameters()} == {torch.float32}


def test_after_the_block_the_network_answers_as_before(small: Network) -> None:
    expected = small(pictures())
    with pytest.raises(KeyError), Bf16(small, device="cpu").on():
        raise KeyError
    assert torch.equal(small(pictures()), expected)
    assert "forward" not in vars(small.classifier)


@pytest.mark.parametrize(
    ("layer", "slow"),
    [
        (nn.Conv2d(8, 8, 3, groups=8, stride=2), True),
        (nn.Conv2d(8, 8, 3, groups=8, stride=(1, 2)), True),
        (nn.Conv2d(8, 16, 5, groups=8), True),
        (nn.Conv2d(8, 8, 3, groups=8), False),
        (nn.Conv2d(8, 8, 3, groups=4, stride=2), False),
        (nn.Conv2d(8, 8, 5, stride=2), False),
        (nn.Conv2d(1, 8, 5, stride=2), False),
    ],
)
def test_depthwise_layers_that_stride_or_are_wide_are_the_slow_ones(
    layer: nn.Conv2d, slow: bool
) -> None:
    assert slow_layers(nn.Sequential(nn.ReLU(), layer)) == [layer] * slow


def test_an_exact_layer_computes_in_float32_unless_it_is_passed_over(
    small: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = [own for own in small.modules() if isinstance(own, nn.Conv2d)][:2]
    monkeypatch.setattr(bf16, "slow_layers", lambda _: [first, second])
    steps = Bf16(small, device="cpu")
    second.forward = lambda given: given  # as `cuts.passing_over` does
    with steps.on():
        said = first(pictures().bfloat16())
        assert second(said) is said
    assert said.dtype == torch.float32
    assert torch.equal(said, first(pictures().bfloat16().float()))
    assert second(said) is said


@pytest.mark.parametrize(
    ("layer", "pointwise"),
    [
        (nn.Conv2d(6, 4, 1), True),
        (nn.Conv2d(6, 4, 1, bias=False), True),
        (nn.Conv2d(6, 4, 1, stride=2), False),
        (nn.Conv2d(6, 4, 1, padding=1), False),
        (nn.Conv2d(6, 4, 1, groups=2), False),
        (nn.Conv2d(6, 4, 3, padding=1), False),
    ],
)
@pytest.mark.parametrize("side", [4, 5])
def test_a_narrow_map_has_the_same_product_by_a_convolution_and_by_matrices(
    layer: nn.Conv2d, pointwise: bool, side: int, small: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.add_module("beside", layer)
    maps = torch.rand(5, 6, side, side).contiguous(memory_format=torch.channels_last)
    products: list[tuple[int, ...]] = []
    linear = nn.functional.linear
    monkeypatch.setattr(
        bf16.F, "linear", lambda given, *own: products.append(given.shape) or linear(given, *own)
    )
    with Bf16(small, device="cpu").on():
        said = layer(maps)
    assert products == [(5, 4, 4, 6)] * (pointwise and side == 4)
    torch.testing.assert_close(said.float(), layer(maps), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("size", [1, (1, 1)])
def test_the_gradient_of_a_mean_over_places_is_torchs_and_lies_as_the_map_does(
    size: int | tuple[int, int], small: Network
) -> None:
    pool = nn.AdaptiveAvgPool2d(size)
    small.add_module("beside", pool)
    maps = torch.rand(5, 6, 4, 3).contiguous(memory_format=torch.channels_last).requires_grad_()
    weights = torch.rand(5, 6, 1, 1)
    (pool(maps) * weights).sum().backward()
    expected, maps.grad = maps.grad, None
    with Bf16(small, device="cpu").on():
        said = pool(maps)
        inner, strides = maps * 1.0, []
        inner.register_hook(lambda gradient: strides.append(gradient.stride()))
        (pool(inner) * weights).sum().backward()
    torch.testing.assert_close(maps.grad, expected)
    torch.testing.assert_close(said, pool(maps))
    assert strides == [maps.stride()]
