import math

import pytest
import torch
from torch import nn

from saccade.data.preprocess import Preprocess
from saccade.models import scratch
from saccade.models.scratch import ACTIVATIONS, MinPool2d, ScratchSpec
from saccade.runtime.errors import UsageError


def spec(kind: str = "cnn", **fields: object) -> ScratchSpec:
    return ScratchSpec(kind=kind, num_outputs=3, **fields)  # type: ignore[arg-type]


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


class TestTheConvolutionalNetwork:
    def test_it_has_two_convolutions_a_stage_and_the_parameters_of_the_closed_form(self) -> None:
        network = scratch.build(spec(widths=(8, 16)))
        # conv without bias + BatchNorm (scale, shift), twice; 1×1 projection; per stage
        stages = [
            (w_in * w * 9 + 2 * w) + (w * w * 9 + 2 * w) + w_in * w for w_in, w in ((3, 8), (8, 16))
        ]
        assert parameters(network) == sum(stages) + 16 * 3 + 3
        convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
        assert [c.kernel_size for c in convolutions] == [(3, 3), (3, 3), (1, 1)] * 2

    def test_flatten_makes_the_output_layer_wider_than_global_pooling(self) -> None:
        pooled = scratch.build(spec(widths=(8, 16), head="gap"))
        flat = scratch.build(spec(widths=(8, 16), head="flatten"))
        assert pooled.classifier.in_features == 16
        assert flat.classifier.in_features == 16 * 8 * 8  # 32 px halved twice

    def test_equal_widths_need_no_projection(self) -> None:
        network = scratch.build(spec(widths=(8, 8)))
        assert isinstance(network.stages[1].shortcut, nn.Identity)

    def test_without_shortcuts_and_norms_there_are_none(self) -> None:
        network = scratch.build(spec(residual=False, batch_norm=False))
        assert not any(isinstance(m, nn.BatchNorm2d) for m in network.modules())
        assert all(stage.shortcut is None for stage in network.stages)
        assert network.stages[0].conv1.bias is not None

    @pytest.mark.parametrize("kernel", [1, 5, 7])
    def test_the_kernel_keeps_the_side(self, kernel: int) -> None:
        network = scratch.build(spec(kernel=kernel, widths=(4,)))
        assert network.stages[0](torch.zeros(1, 3, 32, 32)).shape == (1, 4, 16, 16)

    @pytest.mark.parametrize("pooling", ["max", "avg", "min"])
    def test_each_pooling_takes_what_its_name_says(self, pooling: str) -> None:
        network = scratch.build(spec(pooling=pooling, widths=(4,)))
        window = torch.tensor([[1.0, 2.0], [3.0, 8.0]]).expand(1, 1, 2, 2)
        assert (
            network.stages[0].pool(window).item() == {"max": 8.0, "avg": 3.5, "min": 1.0}[pooling]
        )

    def test_min_pooling_is_the_smallest_of_each_window(self) -> None:
        maps = torch.randn(2, 3, 6, 6)
        windows = maps.unfold(2, 2, 2).unfold(3, 2, 2)
        assert torch.equal(MinPool2d()(maps), windows.amin(dim=(4, 5)))


class TestTheFullyConnectedNetwork:
    def test_it_has_the_parameters_of_the_closed_form(self) -> None:
        network = scratch.build(spec("mlp", widths=(20, 10), img_size=8, batch_norm=False))
        assert parameters(network) == (3 * 64 * 20 + 20) + (20 * 10 + 10) + (10 * 3 + 3)

    def test_it_is_two_hidden_layers_of_256_and_128_by_default(self) -> None:
        assert spec("mlp").widths == (256, 128)
        assert spec("cnn").widths == (32, 64, 128)


@pytest.mark.parametrize("kind", ["cnn", "mlp"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("batch_norm", [True, False])
def test_every_activation_begins_with_a_guess_and_a_gradient_everywhere(
    kind: str, activation: str, batch_norm: bool
) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = scratch.build(
            spec(kind, activation=activation, batch_norm=batch_norm, img_size=16)
        )
        images, answers = torch.randn(32, 3, 16, 16), torch.arange(32) % 3
    loss = nn.functional.cross_entropy(network(images), answers)
    loss.backward()
    assert abs(loss.item() - math.log(3)) < 0.25  # the loss of a guess among three
    norms = [
        p.grad.norm().item() for p in network.parameters() if p.grad is not None and p.ndim > 1
    ]
    assert len(norms) == sum(p.ndim > 1 for p in network.parameters())
    assert all(norm > 1e-6 for norm in norms)
    assert max(norms) / min(norms) < 1e4


def test_signals_keep_their_size_through_many_relu_layers() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = scratch.build(
            spec("mlp", widths=(256,) * 8, img_size=8, batch_norm=False, activation="relu")
        )
        signal = torch.randn(64, 3, 8, 8).flatten(1)
    sizes = []
    for stage in network.stages:
        signal = stage(signal)
        sizes.append(signal.pow(2).mean().item())
    # He et al. (2015): the second moment after each layer stays that of the input, 1.
    assert all(0.3 < size < 3 for size in sizes)


def test_a_specification_survives_json() -> None:
    own = spec(widths=(8, 8), kernel=5, activation="tanh", drop=0.2)
    fields = own.as_dict()
    assert ScratchSpec(**fields | {"widths": tuple(fields["widths"])}) == own


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"kernel": 4}, "--kernel is 4, but must be an odd number from 1 to 11."),
        ({"widths": (0,)}, "--widths is 0, but must be numbers from 1 to 8192."),
        (
            {"widths": (4,) * 13},
            "--widths is 4,4,4,4,4,4,4,4,4,4,4,4,4, but must be 1 to 12 numbers.",
        ),
        ({"pooling": "sum"}, "--pooling is sum, but must be max, avg, min."),
        ({"head": "mean"}, "--head is mean, but must be gap, flatten."),
        (
            {"activation": "sine"},
            "--activation is sine, but must be relu, leaky_relu, tanh, sigmoid, gelu, silu.",
        ),
        ({"drop": 1.0}, "--drop is 1.0, but must be 0 to 0.95."),
        (
            {"img_size": 4},
            "--img-size is 4, but must be 8 to 2048 pixels (each of 3 stages halves the picture).",
        ),
    ],
)
def test_a_flag_out_of_range_is_named(fields: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        spec(**fields)
    assert caught.value.message == sentence
    assert caught.value.code == "SACCADE-E214"


def test_a_network_that_no_machine_could_hold_is_refused() -> None:
    with pytest.raises(UsageError, match="would have"):
        spec(widths=(8192,) * 5, kernel=11, img_size=64)


def test_the_preprocessing_is_32_px_unless_asked_otherwise() -> None:
    assert scratch.preprocess(img_size=0, fit="pad") == Preprocess(
        size_px=32,
        fit="pad",
        crop_fraction=1.0,
        interpolation="bilinear",
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
    )
    assert scratch.preprocess(img_size=48, fit="crop").size_px == 48
