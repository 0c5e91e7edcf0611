import pytest
import torch
from torch import nn

from saccade.models import backbones, scratch
from saccade.models.blank import Blank
from saccade.models.layers import LayerRow, layer_table, totals
from saccade.models.scratch import ScratchSpec

# Multiply-adds for one picture with 1,000 classes, as torchvision's documentation of its weights
# prints them ("GFLOPS", in which a multiply-add counts once); ours count it twice.
PUBLISHED_GIGA = {
    ("vgg16", 224): 15.47,
    ("resnet18", 224): 1.814,
    ("resnet50", 224): 4.089,
    ("resnet152", 224): 11.514,
    ("inception_v3", 299): 5.713,
    ("mobilenetv2_100", 224): 0.301,
    ("densenet121", 224): 2.834,
    ("regnety_016", 224): 1.612,
}


@pytest.mark.parametrize(("name", "side"), PUBLISHED_GIGA)
def test_flops_add_up_to_the_published_number(name: str, side: int) -> None:
    with torch.device("meta"), Blank():
        network = backbones.create(backbones.find(name), num_outputs=1000)
    num_parameters, flops = totals(layer_table(network, side))
    assert flops / 2e9 == pytest.approx(PUBLISHED_GIGA[name, side], rel=0.01)
    assert num_parameters == sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    "name", ["test_vit", "test_vit3", "test_convnext", "test_nfnet", "xcit_nano_12_p16_224"]
)
def test_every_parameter_is_in_one_row(name: str) -> None:
    network = backbones.create(backbones.find(name), num_outputs=3)
    side = backbones.find(name).input_px
    rows = layer_table(network, side)
    assert totals(rows)[0] == sum(p.numel() for p in network.parameters())
    assert all(row.name for row in rows)


def test_attention_counts_its_two_products() -> None:
    # Closed form: 4 N d² for the projections, 8 N d² for the MLP, 2 N² d for the products, twelve
    # blocks, and the patches and the head; N = 197 tokens, d = 192 (Touvron et al. 2021, table 1,
    # gives 1.3 G rounded).
    tokens, width = 197, 192
    block = 12 * tokens * width**2 + 2 * tokens**2 * width
    expected = 12 * block + 196 * 16 * 16 * 3 * width + width * 1000
    with torch.device("meta"), Blank():
        network = backbones.create(backbones.find("vit_tiny_patch16_224"), num_outputs=1000)
    assert totals(layer_table(network, 224))[1] == 2 * expected


def test_the_table_of_a_small_network_is_right_line_by_line() -> None:
    spec = ScratchSpec(kind="cnn", num_outputs=3, img_size=8, widths=(4,), residual=False)
    rows = layer_table(scratch.build(spec), 8)
    row = lambda name, kind, shape, parameters=0, flops=0: LayerRow(  # noqa: E731
        name=name, kind=kind, shape=shape, num_parameters=parameters, flops=flops
    )
    assert list(rows) == [
        row("stages.0.conv1", "Conv2d 3×3", (4, 8, 8), 108, 2 * 64 * 108),
        row("stages.0.bn1", "BatchNorm2d", (4, 8, 8), 8),
        row("stages.0.act1", "ReLU", (4, 8, 8)),
        row("stages.0.conv2", "Conv2d 3×3", (4, 8, 8), 144, 2 * 64 * 144),
        row("stages.0.bn2", "BatchNorm2d", (4, 8, 8), 8),
        row("stages.0.act2", "ReLU", (4, 8, 8)),
        row("stages.0.pool", "MaxPool2d 2×2, stride 2", (4, 4, 4)),
        row("pool", "AdaptiveAvgPool2d", (4, 1, 1)),
        row("flatten", "Flatten", (4,)),
        row("drop", "Dropout", (4,)),
        row("classifier", "Linear", (3,), 15, 2 * 4 * 3),
    ]


def test_a_norm_stands_before_the_activation_within_it() -> None:
    with torch.device("meta"), Blank():
        network = backbones.create(backbones.find("mobilenetv2_100"), num_outputs=2)
    names = [row.name for row in layer_table(network, 32)]
    assert names[:3] == ["conv_stem", "bn1", "bn1.act"]


def test_depthwise_and_grouped_convolutions_are_called_so() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 6, 1),
        nn.Conv2d(6, 6, 3, groups=6),
        nn.Conv2d(6, 6, (1, 7), groups=2, stride=2),
    )
    assert [row.kind for row in layer_table(network, 16)] == [
        "Conv2d 1×1",
        "Conv2d 3×3, depthwise",
        "Conv2d 1×7, 2 groups, stride 2",
    ]


def test_a_layer_that_runs_twice_costs_twice_and_is_held_once() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1, bias=False)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.conv(self.conv(images))

    assert totals(layer_table(Twice(), 4)) == (9, 2 * 2 * 9 * 16)


def test_looking_changes_nothing(build) -> None:
    network, _ = build("test_resnet")
    network.set_stage_trainable(1)
    network.train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    learning = [parameter.requires_grad for parameter in network.parameters()]
    layer_table(network, 64)
    assert all(torch.equal(before[n], t) for n, t in network.state_dict().items())
    assert [module.training for module in network.modules()] == modes
    assert [parameter.requires_grad for parameter in network.parameters()] == learning
    assert not any(module._forward_hooks for module in network.modules())
