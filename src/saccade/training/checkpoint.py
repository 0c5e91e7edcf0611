"""Everything that training needs to go on as if it had never stopped, in one file."""

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch

from saccade.models import late_dynamo, tensors
from saccade.runtime.errors import ArtefactError

State = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Where training stands after `step` steps of `epoch`.

    Augmentation, order and dropout are functions of (seed, epoch, picture or step), so these
    counters stand for the state of every random generator.
    """

    network: State
    best: State
    optimizer: State  # "<position of the parameter>.<name>"
    start: State = field(default_factory=dict)  # what a rung of the ladder began with
    good: State = field(default_factory=dict)  # the network at the start of an epoch under way,
    good_optimizer: State = field(default_factory=dict)  # and the optimiser
    counters: dict[str, Any]  # epoch, step, best score, stale epochs, …

    def write(self, path: Path) -> None:
        """Write the checkpoint, whole or not at all."""
        text = json.dumps(self.counters).encode()
        table = {"counters": torch.frombuffer(bytearray(text), dtype=torch.uint8)}
        for prefix, state in self._parts():
            table |= {f"{prefix}.{name}": value for name, value in state.items()}
        tensors.write(path, table)

    def _parts(self) -> tuple[tuple[str, State], ...]:
        return (
            ("network", self.network),
            ("best", self.best),
            ("optimizer", self.optimizer),
            ("start", self.start),
            ("good", self.good),
            ("good_optimizer", self.good_optimizer),
        )


def read_checkpoint(path: Path) -> Checkpoint:
    """Return the checkpoint in a file.

    Raises:
        ArtefactError: it is damaged, or not a checkpoint (E510 and as `tensors.read`).
    """
    table = tensors.read(path)
    try:
        counters = json.loads(bytes(table.pop("counters").tolist()))
    except (KeyError, ValueError) as error:
        raise ArtefactError(
            "This file is not a checkpoint of saccade.",
            code="540",
            where=str(path),
            fix="train again; the run folder can be removed",
        ) from error
    states: dict[str, State] = {
        own.name: {} for own in fields(Checkpoint) if own.name != "counters"
    }
    for name, value in table.items():
        part, _, rest = name.partition(".")
        states[part][rest] = value
    return Checkpoint(**states, counters=counters)


@late_dynamo.spared()
def optimizer_state(optimizer: torch.optim.Optimizer) -> State:
    """Return the optimiser's tensors under flat names."""
    return {
        f"{position}.{name}": torch.as_tensor(value).detach().clone()
        for position, values in optimizer.state_dict()["state"].items()
        for name, value in values.items()
        if value is not None
    }


@late_dynamo.spared()
def restore_optimizer(optimizer: torch.optim.Optimizer, state: State) -> None:
    """Give the optimiser back what `optimizer_state` took from it."""
    whole = optimizer.state_dict()
    nested: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in state.items():
        position, _, key = name.partition(".")
        nested.setdefault(int(position), {})[key] = value
    whole["state"] = nested
    optimizer.load_state_dict(whole)
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                # A file keeps no strides; fused updates take them to be the parameter's.
                values[name] = torch.empty_like(parameter, requires_grad=False).copy_(value)
