import copy

import pytest
import torch
from torch import Tensor, nn

from saccade.models.fused import fused


def settled(norm: nn.BatchNorm2d) -> nn.BatchNorm2d:
    draws = torch.Generator().manual_seed(norm.num_features)
    norm.running_mean.normal_(0, 0.3, generator=draws)
    norm.running_var.uniform_(0.5, 1.5, generator=draws)
    if norm.affine:
        with torch.no_grad():
            norm.weight.uniform_(0.5, 1.5, generator=draws)
            norm.bias.normal_(0, 0.3, generator=draws)
    return norm


class Pair(nn.Module):
    def __init__(self, *, bias: bool = False, affine: bool = True, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 8, 3, bias=bias, groups=groups)
        self.norm = settled(nn.BatchNorm2d(8, affine=affine))

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)).relu()


class ReadTwice(Pair):
    def forward(self, x: Tensor) -> Tensor:
        made = self.conv(x)
        return self.norm(made) + made


class ReturnedToo(Pair):
    def forward(self, x: Tensor) -> Tensor:
        made = self.conv(x)
        return (self.norm(made), made)  # type: ignore[return-value]


class CalledTwice(Pair):
    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)) + self.norm(self.conv(x.flip(3)))


class ChangedBetween(Pair):
    def forward(self, x: Tensor) -> Tensor:
        made = self.conv(x)
        made.mul_(2)
        return self.norm(made)


class WithActivation(Pair):
    def __init__(self) -> None:
        from timm.layers import BatchNormAct2d

        super().__init__()
        self.norm = settled(BatchNormAct2d(8, act_layer=nn.SiLU))


def pictures() -> Tensor:
    return torch.randn(2, 4, 9, 9, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "network",
    [Pair(), Pair(bias=True), Pair(affine=False), Pair(groups=4), Pair(groups=2, bias=True)],
)
def test_a_norm_behind_a_convolution_is_folded_into_it(network: Pair) -> None:
    network.eval()
    before = copy.deepcopy(network.state_dict())
    found, num = fused(network, pictures()[:1])
    assert num == 1
    assert not any(isinstance(module, nn.BatchNorm2d) for module in found.modules())
    torch.testing.assert_close(found(pictures()), network(pictures()), rtol=1e-5, atol=1e-6)
    assert all(torch.equal(network.state_dict()[name], before[name]) for name in before)


def test_the_activation_that_timm_puts_into_a_norm_stays() -> None:
    network = WithActivation().eval()
    found, num = fused(network, pictures()[:1])
    assert num == 1
    assert isinstance(found.norm, nn.Sequential)
    torch.testing.assert_close(found(pictures()), network(pictures()), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [ReadTwice, ReturnedToo, CalledTwice, ChangedBetween])
def test_a_norm_is_not_folded_where_others_see_what_is_before_it(kind: type[Pair]) -> None:
    network = kind().eval()
    found, num = fused(network, pictures()[:1])
    assert num == 0
    torch.testing.assert_close(found(pictures()), network(pictures()), rtol=0, atol=0)


def test_a_norm_that_takes_its_statistics_from_the_batch_is_not_folded() -> None:
    network = Pair()
    network.norm = nn.BatchNorm2d(8, track_running_stats=False)
    assert fused(network.eval(), pictures()[:1])[1] == 0


def test_a_norm_of_another_kind_is_left_alone() -> None:
    class Own(nn.BatchNorm2d):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + 1

    network = Pair()
    network.norm = settled(Own(8))  # type: ignore[arg-type]
    assert fused(network.eval(), pictures()[:1])[1] == 0


def test_what_a_hook_takes_out_before_the_norm_is_seen() -> None:
    class Tapped(Pair):
        def forward(self, x: Tensor) -> Tensor:
            taken: list[Tensor] = []
            handle = self.norm.register_forward_pre_hook(lambda _, given: taken.append(given[0]))
            super().forward(x)
            handle.remove()
            return taken[0].flatten(1)

    network = Tapped().eval()
    found, num = fused(network, pictures()[:1])
    assert num == 0
    torch.testing.assert_close(found(pictures()), network(pictures()), rtol=0, atol=0)
