"""Crops: where a suffix takes a part of its map as well as the whole, and where it must not."""

import pytest
import torch
from torch import Tensor, nn

from saccade.models import crops, stages
from saccade.models.crops import crop_side
from saccade.models.cuts import find_cut
from saccade.models.network import Network

CONVOLUTIONAL = [
    ("cnn", 64, {1: 12, 2: 22}),  # of 16 and 32
    ("cnn", 32, {1: None, 2: None}),  # it ends in 4 × 4
    ("test_resnet", 224, {1: 10, 2: 20, 3: 40}),  # of 14, 28 and 56
    ("test_resnet", 128, {1: None, 2: None}),  # it ends in 4 × 4
    ("test_efficientnet", 224, {1: 10, 2: 20}),  # its channels are weighed by their means
    ("test_convnext", 224, {1: 10, 2: 20}),  # channels last within
    ("test_mambaout", 224, {1: None}),  # channels last at the cut: rows would be taken for them
    pytest.param("mobilenetv2_100", 224, {1: 5, 2: 10}, marks=pytest.mark.slow),
    pytest.param("mobilenetv2_100", 96, {1: None, 2: None}, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("name", "side", "expected"), CONVOLUTIONAL)
def test_convolutions_take_five_sevenths_of_a_side_an_even_part_of_an_even_one(
    build, name: str, side: int, expected: dict[int, int | None]
) -> None:
    network = build(name, img_size=side)[0]
    assert {depth: crop(network, depth) for depth in expected} == expected


def crop(network: Network, depth: int) -> int | None:
    cut = find_cut(network, depth)
    assert cut is not None
    return crop_side(network, cut)


class Body(nn.Module):
    """A stage, a second one, a last map made to something, and a classifier."""

    def __init__(self, end: nn.Module, num_features: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList([nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)])
        self.end = end
        self.classifier = nn.Linear(num_features, 2)

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.end(self.stages[1](self.stages[0](images))))


class Places(nn.Module):
    """Something learned for each place, as many as the map has or the first of them."""

    def __init__(self) -> None:
        super().__init__()
        self.of_place = nn.Linear(4, 4)

    def forward(self, maps: Tensor) -> Tensor:
        return self.of_place(maps.flatten(2).transpose(1, 2)).mean(dim=1)


def ended(end: nn.Module, num_features: int) -> Network:
    body = Body(end, num_features)
    parts = [("one", "stages.0"), ("two", "stages.1")]
    return Network(
        body, name="own", architecture="own", classifier_name="classifier",
        stages=stages.cut_scratch(body, parts), input_px=8,
    )  # fmt: skip


def test_a_map_that_is_averaged_can_be_a_part_of_it() -> None:
    assert crop(ended(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), 4), 1) == 6


@pytest.mark.parametrize(
    ("end", "num_features"),
    [
        (nn.Flatten(), 4 * 64),  # does not fit
        (nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten()), 4 * 16),  # fits, pulled in size
        (nn.Sequential(nn.AdaptiveAvgPool2d(8), nn.Conv2d(4, 4, 8), nn.Flatten()), 4),
        (Places(), 4),  # places in a row, which mean nothing any more
    ],
)
def test_what_depends_on_the_size_or_the_place_keeps_whole_maps(
    end: nn.Module, num_features: int
) -> None:
    assert crop(ended(end, num_features), 1) is None


@pytest.mark.slow
def test_a_network_that_pulls_small_maps_to_size_keeps_whole_ones(build) -> None:
    assert crop(build("vgg11", img_size=224)[0], 2) is None


def test_a_narrow_map_stays_whole(build, monkeypatch: pytest.MonkeyPatch) -> None:
    network = build("cnn", img_size=48)[0]
    assert crop(network, 1) is None
    monkeypatch.setattr(crops, "NARROWEST", 6)
    assert crop(network, 1) == 8  # of 12, which become 6


def test_features_have_no_crops(build) -> None:
    assert crop(build("test_resnet", img_size=64)[0], 0) is None


def test_looking_for_crops_leaves_no_trace(build) -> None:
    network = build("test_resnet", img_size=224)[0]
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert crop(network, 2) == 20
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())
