from collections import OrderedDict

import torch
from torch import nn

from saccade.models import stages


class Plain(nn.Module):
    """A network that knows nothing of groups."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.blocks = nn.Sequential(*(self.block() for _ in range(3)))
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(4, 2)

    @staticmethod
    def block() -> nn.Module:
        return nn.Sequential(OrderedDict(conv=nn.Conv2d(4, 4, 3), path=nn.Dropout(0.1)))


def test_without_groups_the_names_make_the_stages() -> None:
    found = stages.cut(Plain(), classifier="fc")
    assert [stage.name for stage in found] == ["stem", "blocks.0", "blocks.1", "blocks.2"]


def test_a_norm_at_the_end_joins_the_last_stage() -> None:
    network = Plain()
    found = stages.cut(network, classifier="fc")
    assert network.norm in found[-1].modules
    assert network.norm.weight in set(found[-1].parameters)


def test_dropout_belongs_to_the_stage_it_lies_in_or_else_to_what_follows() -> None:
    network = Plain()
    found = stages.cut(network, classifier="fc")
    held = [module for stage in found for module in stage.modules]
    assert network.blocks[2].path in found[-1].modules
    assert network.drop not in held  # before the classifier: the head's
    assert network.fc not in held


def test_a_module_that_is_used_twice_is_held_once() -> None:
    network = Plain()
    network.blocks.append(network.blocks[0])
    found = stages.cut(network, classifier="fc")
    held = [parameter for stage in found for parameter in stage.parameters]
    assert len(held) == len({id(p) for p in held})
    assert sum(s.num_parameters for s in found) == sum(
        p.numel() for n, p in network.named_parameters() if not n.startswith("fc")
    )


def test_known_parts_are_cut_as_told() -> None:
    network = nn.ModuleDict(
        {"a": nn.Linear(2, 2), "b": nn.BatchNorm1d(2), "classifier": nn.Linear(2, 1)}
    )
    found = stages.cut_scratch(network, [("first", "a"), ("second", "b")])
    assert [(s.name, s.num_parameters) for s in found] == [("first", 6), ("second", 4)]
    assert torch.equal(found[1].parameters[0], network["b"].weight)
