import pytest
import torch
from torch import nn

from saccade.models.blank import Blank, TooLarge


def test_no_weight_is_drawn_while_it_is_on() -> None:
    before = torch.get_rng_state()
    with Blank():
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 5), nn.Embedding(6, 7))
        nn.init.orthogonal_(torch.empty(3, 3))
        nn.init.trunc_normal_(torch.empty(3, 3))
    assert torch.equal(torch.get_rng_state(), before)
    nn.Linear(4, 5)
    assert not torch.equal(torch.get_rng_state(), before)


def test_everything_else_is_as_usual() -> None:
    with Blank():
        norm = nn.BatchNorm2d(4)
        table = torch.arange(6.0).mul_(2)
    assert torch.equal(norm.weight, torch.ones(4))
    assert torch.equal(norm.running_var, torch.ones(4))
    assert table.tolist() == [0, 2, 4, 6, 8, 10]


def test_more_numbers_than_allowed_are_refused() -> None:
    with Blank(max_numbers=100):
        nn.Linear(5, 10)
    with pytest.raises(TooLarge), Blank(max_numbers=100):
        nn.Linear(50, 10)
