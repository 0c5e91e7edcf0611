"""Cuts: prefix and suffix together answer as the whole network does, for families of all kinds."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from saccade.models import cuts, stages
from saccade.models.cuts import Cut, Taps, find_cut, passing_over
from saccade.models.network import Network

# name, side in pixels, depths at which it can be cut
CUT_EVERYWHERE = [
    ("cnn", 32, 3),
    ("mlp", 16, 2),
    ("test_resnet", 64, 5),
    ("test_efficientnet", 64, 6),
    ("test_byobnet", 64, 5),
    ("test_convnext", 64, 5),
    ("test_nfnet", 64, 5),
    ("test_mambaout", 64, 5),
    ("mobilenetv3_small_050", 64, 7),
]
SLOWER = [
    ("mobilenetv2_100", 64, 8),
    ("resnet18", 64, 5),
    ("resnetv2_18", 64, 5),
    ("convnext_atto", 64, 5),
    ("densenet121", 64, 5),
    ("regnety_002", 64, 5),
    ("vgg11", 64, 6),
]

Build = Callable[[str, int], Network]


@pytest.fixture
def built(build) -> Build:
    """Return a function to a network in evaluation whose every layer does something."""

    def make(name: str, side: int) -> Network:
        network = build(name, img_size=side)[0]
        draws = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for module in network.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.running_mean.normal_(0, 0.3, generator=draws)
                    module.running_var.uniform_(0.5, 2, generator=draws)
                    module.weight.uniform_(0.5, 1.5, generator=draws)
                    module.bias.normal_(0, 0.3, generator=draws)
            network.classifier.weight.normal_(0, 0.1, generator=draws)
        return network.eval()

    return make


def pictures(side: int, num: int = 3) -> Tensor:
    return torch.randn(num, 3, side, side, generator=torch.Generator().manual_seed(1))


def found_cuts(network: Network) -> tuple[Cut, ...]:
    found = [find_cut(network, depth) for depth in range(len(network.stages))]
    return tuple(cut for cut in found if cut is not None)


def split(flat_BS: Tensor, some: tuple[Cut, ...]) -> list[Tensor]:
    """Return the activations that `Taps` laid side by side, in their shapes."""
    widths = [torch.Size(cut.shape).numel() for cut in some]
    parts = flat_BS.split(widths, dim=1)
    return [part.unflatten(1, cut.shape) for part, cut in zip(parts, some, strict=True)]


def assert_close(found: Tensor, expected: Tensor) -> None:
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) <= 1e-5 * float(expected.abs().max())


@pytest.mark.parametrize(
    ("name", "side", "num_cuts"),
    [*CUT_EVERYWHERE, *(pytest.param(*own, marks=pytest.mark.slow) for own in SLOWER)],
)
def test_prefix_and_suffix_answer_as_the_whole_at_every_depth(
    built: Build, name: str, side: int, num_cuts: int
) -> None:
    network = built(name, side)
    some = found_cuts(network)
    assert len(some) == num_cuts == len(network.stages)
    with torch.inference_mode():
        expected = network(pictures(side))
        assert float(expected.std(dim=0).max()) > 0  # else any suffix would do
        activations = split(Taps(network, some)(pictures(side)), some)
        for cut, given in zip(some, activations, strict=True):
            with passing_over(cut):
                assert_close(network(given), expected)
        assert_close(network(pictures(side)), expected)


def test_a_transformer_is_cut_before_its_classifier_only(built: Build) -> None:
    """Position embeddings are added outside of any module, so blocks cannot be passed over."""
    network = built("test_vit", 160)
    (cut,) = found_cuts(network)
    assert cut.num_last == 0
    with torch.inference_mode():
        expected = network(pictures(160))
        features = Taps(network, (cut,))(pictures(160))
        with passing_over(cut):
            assert_close(network(features), expected)


def test_what_lies_behind_the_last_cut_is_not_computed(built: Build) -> None:
    network = built("test_resnet", 64)
    cut = find_cut(network, 1)
    assert cut is not None
    called: list[str] = []
    network.classifier.register_forward_hook(lambda *_: called.append("classifier"))
    with torch.inference_mode():
        Taps(network, (cut,))(pictures(64))
    assert called == []


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_no_tensor_changes_its_name_also_when_the_body_raises(built: Build, depth: int) -> None:
    network = built("test_resnet", 64)
    names = list(network.state_dict())
    own = {name: dict(vars(module)) for name, module in network.named_modules()}
    cut = find_cut(network, depth)
    assert cut is not None
    with passing_over(cut):
        assert list(network.state_dict()) == names
    with pytest.raises(ZeroDivisionError), passing_over(cut):
        raise ZeroDivisionError
    assert list(network.state_dict()) == names
    assert {name: dict(vars(module)) for name, module in network.named_modules()} == own


def test_the_same_cut_can_be_passed_over_within_itself(built: Build) -> None:
    network = built("test_resnet", 64)
    cut = find_cut(network, 1)
    assert cut is not None
    with torch.inference_mode():
        given = Taps(network, (cut,))(pictures(64)).unflatten(1, cut.shape)
        expected = network(pictures(64))
        with passing_over(cut):
            with passing_over(cut):
                assert_close(network(given), expected)
            assert_close(network(given), expected)


@pytest.mark.parametrize("statistics_move", [True, False])
def test_what_learns_gets_the_gradients_that_pictures_would_give(
    built: Build, statistics_move: bool
) -> None:
    network = built("test_resnet", 64)
    cut = find_cut(network, 2)
    assert cut is not None
    with torch.no_grad():
        given = Taps(network, (cut,))(pictures(64, 8)).unflatten(1, cut.shape)
    network.statistics_move = statistics_move
    network.set_stage_trainable(2)
    network.train()

    def gradients(images: Tensor) -> dict[str, Tensor]:
        network.zero_grad()
        network(images).square().mean().backward()
        return {n: p.grad.clone() for n, p in network.named_parameters() if p.grad is not None}

    expected = gradients(pictures(64, 8))
    with passing_over(cut):
        found = gradients(given)
    assert list(found) == list(expected)
    assert all(name.startswith(("body.layer3", "body.layer4", "body.fc")) for name in found)
    for name, gradient in expected.items():
        np.testing.assert_allclose(found[name], gradient, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet"])
@pytest.mark.parametrize("depth", [1, 3])
def test_a_cut_that_passes_over_too_little_is_refused_negative_control(
    built: Build, name: str, depth: int
) -> None:
    network = built(name, 64)
    cut = find_cut(network, depth)
    assert cut is not None
    with torch.inference_mode():
        expected = network(pictures(64))
        given = Taps(network, (cut,))(pictures(64)).unflatten(1, cut.shape)
        assert cuts._holds(network, cut, given, expected)
        weighty = [module for module in cut.passed if any(True for _ in module.parameters())]
        assert len(weighty) > 1
        for left_out in weighty:
            passed = tuple(module for module in cut.passed if module is not left_out)
            short = Cut(num_last=depth, first=cut.first, shape=cut.shape, passed=passed)
            assert not cuts._holds(network, short, given, expected)


class Shortcut(nn.Module):
    """A body whose second stage also reads what the first one was given."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList([nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)])
        self.classifier = nn.Linear(3, 2)

    def forward(self, images: Tensor) -> Tensor:
        first = self.stages[0](images)
        return self.classifier((self.stages[1](first) + images).mean(dim=(2, 3)))


def two_stages(body: nn.Module) -> Network:
    return Network(
        body,
        name="of two stages",
        architecture="of two stages",
        classifier_name="classifier",
        stages=stages.cut_scratch(body, [("one", "stages.0"), ("two", "stages.1")]),
        input_px=16,
    )


def test_a_network_with_a_shortcut_across_stages_is_not_cut_there() -> None:
    """Every shape fits, so only the comparison of answers can tell."""
    network = two_stages(Shortcut())
    assert [find_cut(network, depth) is not None for depth in (0, 1)] == [True, False]


def test_looking_for_a_cut_leaves_no_trace(built: Build) -> None:
    network = built("test_resnet", 64)
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    find_cut(network, 2)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())


class Branches(nn.Module):
    """A stage that is given a list, as HRNet's are."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList([nn.Conv2d(3, 3, 3, padding=1), Joined()])
        self.classifier = nn.Linear(3, 2)

    def forward(self, images: Tensor) -> Tensor:
        first = self.stages[0](images)
        return self.classifier(self.stages[1]([first, first * 2]).mean(dim=(2, 3)))


class Joined(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, branches: list[Tensor]) -> Tensor:
        return self.layer(branches[0] + branches[1])


def test_a_network_whose_stage_is_given_a_list_is_not_cut_there() -> None:
    network = two_stages(Branches())
    assert [find_cut(network, depth) is not None for depth in (0, 1)] == [True, False]
