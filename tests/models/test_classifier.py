import pytest
import torch
from torch import nn

from saccade.models.classifier import PointwiseLinear, settle
from saccade.runtime.errors import UsageError


class Pooled(nn.Module):
    """Ends in a 1×1 convolution, as ResNetV2 does."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(5, 3, 1), nn.Flatten())

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return self.head(maps)


def test_a_pointwise_convolution_becomes_a_linear_layer_with_the_same_answers_and_files() -> None:
    body = Pooled()
    maps = torch.randn(2, 5, 4, 4)
    expected, state = body(maps), {k: t.clone() for k, t in body.state_dict().items()}
    assert settle(body, ("head.1",), network="pooled") == "head.1"
    layer = body.get_submodule("head.1")
    assert isinstance(layer, nn.Linear)
    assert layer.weight.shape == (3, 5)
    assert torch.allclose(body(maps), expected, atol=1e-6)
    own = body.state_dict()
    assert own["head.1.weight"].shape == (3, 5, 1, 1)
    assert all(torch.equal(own[key], state[key]) for key in state)


def test_it_loads_both_shapes() -> None:
    weight, bias = torch.randn(3, 5), torch.randn(3)
    for shape in [(3, 5), (3, 5, 1, 1)]:
        layer = PointwiseLinear(5, 3)
        layer.load_state_dict({"weight": weight.reshape(shape), "bias": bias})
        assert torch.equal(layer.weight, weight)


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)}), ("a", "b")),
        (nn.ModuleDict({"a": nn.Linear(2, 2)}), ()),
        (nn.ModuleDict({"a": nn.Linear(2, 2)}), ("gone",)),
        (nn.ModuleDict({"a": nn.Conv2d(2, 2, 3)}), ("a",)),
    ],
)
def test_anything_else_at_the_end_is_refused(body: nn.Module, names: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as caught:
        settle(body, names, network="odd")
    assert caught.value.code == "SACCADE-E217"
