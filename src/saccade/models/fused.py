"""Convolutions with the BatchNorm behind them folded in: the same answers, fewer passes."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


def fused(network: nn.Module, sample: Tensor) -> tuple[nn.Module, int]:
    """Return a copy of a network in eval mode with BatchNorms folded away, and how many.

    A BatchNorm is folded where its input is the output of one convolution and nobody else reads
    that output. This is found by running the network once on `sample` and watching who is given
    what, and not by tracing, so that networks with control flow or hooks are served too. For a
    network whose path depends on the input the copy holds for this path only; whoever uses it
    compares the answers (`inference.open_engine` does).

    The original is not changed; what is not folded shares no memory with it either.
    """
    own = copy.deepcopy(network)
    names = {id(module): name for name, module in own.named_modules()}
    with torch.inference_mode():
        found = foldable(own, lambda: own(sample))
    for convolution, norm in found:
        _fold(convolution, norm)
        _replace(own, names[id(norm)], what_remains(norm))
    return own, len(found)


def foldable(network: nn.Module, run: Callable[[], object]) -> list[tuple[nn.Conv2d, nn.Module]]:
    """Return each convolution whose output one BatchNorm reads and nobody else, with that norm.

    Args:
        network: any.
        run: runs the network, or a part of it, once; only what it runs is found.
    """
    watch = _Watch()
    with watch:
        watch.read(run())  # what is returned has a reader too
    convolutions = {id(m.weight): m for m in network.modules() if isinstance(m, nn.Conv2d)}
    norms = {id(m.running_mean): m for m in network.modules() if _folds(m)}
    return [
        (convolutions[weight], norms[mean])
        for weight, mean in watch.pairs()
        if weight in convolutions and mean in norms
    ]


def _folds(module: nn.Module) -> bool:
    """Whether a module is a BatchNorm that is known, with statistics of its own."""
    known = type(module) is nn.BatchNorm2d or type(module).__name__ == "BatchNormAct2d"
    return known and getattr(module, "running_mean", None) is not None


def what_remains(norm: nn.Module) -> nn.Module:
    """Return what a BatchNorm does beside normalising: timm's may bring an activation."""
    rest = [getattr(norm, name, None) for name in ("drop", "act")]
    return nn.Sequential(*(m for m in rest if m is not None and not isinstance(m, nn.Identity)))


def _fold(convolution: nn.Conv2d, norm: Any) -> None:  # noqa: ANN401 - _folds has looked at it
    """Scale a convolution's weights and bias as the BatchNorm would have scaled its output."""
    with torch.no_grad():
        scale = torch.rsqrt(norm.running_var.double() + norm.eps)
        if norm.weight is not None:
            scale *= norm.weight.double()
        shift = -norm.running_mean.double() * scale
        if norm.bias is not None:
            shift += norm.bias.double()
        if convolution.bias is not None:
            shift += convolution.bias.double() * scale
        weight = convolution.weight.double() * scale[:, None, None, None]
        convolution.weight = nn.Parameter(weight.float(), requires_grad=False)
        convolution.bias = nn.Parameter(shift.float(), requires_grad=False)


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    setattr(network.get_submodule(parent), own, module)


class _Watch(TorchFunctionMode):
    """Notes which tensor each convolution makes, which one each BatchNorm reads, and all readers.

    Tensors are told apart by `id`, so all of them are kept alive until the watch ends.
    """

    def __init__(self) -> None:
        super().__init__()
        self._alive: list[Any] = []
        self._made: dict[int, list[int]] = {}  # a convolution's weight -> its outputs
        self._read: dict[int, list[int]] = {}  # a BatchNorm's running mean -> its inputs
        self._readers: dict[int, int] = {}  # a tensor -> how many calls read it

    def __torch_function__(
        self,
        func: Any,  # noqa: ANN401 - any of torch's functions
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        result = func(*args, **(kwargs or {}))
        self._alive.append((args, kwargs, result))
        if (
            next(_tensors(result), None) is not None
        ):  # a shape or a dtype that is asked for reads no values
            self.read((args, kwargs))
        if func is torch.conv2d:
            self._made.setdefault(id(args[1]), []).append(id(result))
        if func is F.batch_norm:
            self._read.setdefault(id(args[1]), []).append(id(args[0]))
        return result

    def read(self, given: Any) -> None:  # noqa: ANN401 - tensors, in tuples or not
        """Note one reader of every tensor in `given`."""
        self._alive.append(given)
        for identity in {id(tensor) for tensor in _tensors(given)}:
            self._readers[identity] = self._readers.get(identity, 0) + 1

    def pairs(self) -> list[tuple[int, int]]:
        """Return (weight, running mean) where one is read by the other alone, once each."""
        makers = {made[0]: weight for weight, made in self._made.items() if len(made) == 1}
        return [
            (makers[read[0]], mean)
            for mean, read in self._read.items()
            if len(read) == 1 and read[0] in makers and self._readers[read[0]] == 1
        ]


def _tensors(given: Any) -> Iterator[Tensor]:  # noqa: ANN401 - whatever a function is given
    if isinstance(given, Tensor):
        yield given
    elif isinstance(given, list | tuple):
        for each in given:
            yield from _tensors(each)
    elif isinstance(given, dict):
        yield from _tensors(list(given.values()))
