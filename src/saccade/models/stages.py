"""How a network is cut into stages, from input to output, for freezing from the end."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from saccade.models import backbones


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stage:
    """A part of a network that is frozen or learns as a whole."""

    name: str  # "layer3", "blocks.5", "block4"; unique in the network
    modules: tuple[nn.Module, ...]  # all that lie wholly inside, containers included
    parameters: tuple[nn.Parameter, ...]  # each of the network's but the classifier's is in one
    num_parameters: int


def cut(network: nn.Module, *, classifier: str) -> tuple[Stage, ...]:
    """Return the stages of a timm network, input to output, without its classifier.

    timm's own coarse grouping (made for layer-wise rates) is followed. What it leaves beside
    the classifier (a last norm, a last convolution) joins the last stage, unless it is several
    layers by itself, as the two fully connected ones of VGG are. Where every group is a single
    convolution (VGG), those between two poolings make one stage.
    """
    names = [n for n, _ in _states(network) if not _inside(n, classifier)]
    *groups, of_classifier = _groups(network, [*names, f"{classifier}.weight"])
    members: dict[int, list[str]] = defaultdict(list)
    for name, group in zip(names, groups, strict=True):
        members[group].append(name)
    weighty = {name for name, p in network.named_parameters() if p.ndim >= 2}
    cuts = [members[group] for group in sorted(members)]
    tail = max(members) == of_classifier
    if tail and len(cuts) > 1 and sum(name in weighty for name in cuts[-1]) < 2:
        cuts[-2:] = [cuts[-2] + cuts[-1]]
        tail = False
    cuts = _with_norms(cuts, weighty)
    body = cuts[:-1] if tail else cuts
    stage_names: list[str] = []
    if len(body) > 5 and all(sum(name in weighty for name in part) <= 1 for part in body):
        body = _between_poolings(network, body)
        stage_names = [f"block{number}" for number in range(1, len(body) + 1)]
        if tail:
            stage_names.append("fully_connected")
    cuts = [*body, cuts[-1]] if tail else body
    return _stages(network, cuts, names=stage_names or _names(cuts), classifier=classifier)


def cut_scratch(network: nn.Module, parts: Sequence[tuple[str, str]]) -> tuple[Stage, ...]:
    """Return stages from (name, dotted prefix of its modules) pairs that are already known."""
    names = [n for n, _ in _states(network)]
    cuts = [[n for n in names if _inside(n, prefix)] for _, prefix in parts]
    return _stages(network, cuts, names=[name for name, _ in parts], classifier="classifier")


def _states(network: nn.Module) -> list[tuple[str, object]]:
    return [*network.named_parameters(), *network.named_buffers()]


def _inside(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}.")


def _groups(network: nn.Module, names: list[str]) -> list[int]:
    if hasattr(network, "group_matcher"):
        try:
            return backbones.coarse_groups(network, names)
        except (AssertionError, NotImplementedError):  # an architecture without coarse groups
            pass
    tops = [_up_to_number(name) for name in names]
    return [list(dict.fromkeys(tops)).index(top) for top in tops]


def _up_to_number(name: str) -> str:
    """Return the first piece of a dotted name, with the number below it if there is one.

    >>> _up_to_number("stages.2.conv.weight"), _up_to_number("stem.conv.weight")
    ('stages.2', 'stem')
    """
    first, _, rest = name.partition(".")
    second = rest.partition(".")[0]
    return f"{first}.{second}" if second.isdigit() else first


def _with_norms(cuts: list[list[str]], weighty: set[str]) -> list[list[str]]:
    """Return the parts, those without a layer of weights (norms) joined to the one before."""
    joined: list[list[str]] = []
    for part in cuts:
        if joined and not any(name in weighty for name in part):
            joined[-1] = joined[-1] + part
        else:
            joined.append(part)
    return joined


def _between_poolings(network: nn.Module, body: list[list[str]]) -> list[list[str]]:
    order = {name: number for number, (name, _) in enumerate(network.named_modules())}
    marks = sorted({r: order[m] for m, r in backbones.resolution_marks(network)}.values())
    blocks: dict[int, list[str]] = defaultdict(list)
    for part in body:
        last = max(order[name.rpartition(".")[0]] for name in part)
        blocks[sum(mark < last for mark in marks)].extend(part)
    return [blocks[number] for number in sorted(blocks)]


def _names(cuts: list[list[str]]) -> list[str]:
    """Return for each stage the shortest dotted prefix that no other stage has."""
    prefixes = [
        {".".join(name.split(".")[:depth]) for name in part for depth in range(1, 7)}
        for part in cuts
    ]
    found = []
    for number, part in enumerate(cuts):
        others = set().union(*(p for n, p in enumerate(prefixes) if n != number))
        first = next((n for n in part if "." in n.rpartition(".")[0] or "." in n), part[0])
        pieces = first.split(".")
        tries = [".".join(pieces[:depth]) for depth in range(1, len(pieces) + 1)]
        found.append(next((name for name in tries if name not in others), f"stage{number}"))
    return found


def _stages(
    network: nn.Module, cuts: list[list[str]], *, names: list[str], classifier: str
) -> tuple[Stage, ...]:
    owner = {name: number for number, part in enumerate(cuts) for name in part}
    modules = _owners_of_modules(network, owner, classifier)
    parameters = dict(network.named_parameters())
    return tuple(
        Stage(
            name=names[number],
            modules=tuple(m for m, own in modules if own == number),
            parameters=tuple(parameters[n] for n in part if n in parameters),
            num_parameters=sum(parameters[n].numel() for n in part if n in parameters),
        )
        for number, part in enumerate(cuts)
        if any(n in parameters for n in part)
    )


def _owners_of_modules(
    network: nn.Module, owner: dict[str, int], classifier: str
) -> list[tuple[nn.Module, int]]:
    """Return each module with the last stage that it has a part in, the head's left out.

    A module without weights (a dropout, a drop-path) belongs to the stage that it lies in, or
    else to what follows it; what stands before the classifier belongs to the head.
    """
    head = max(owner.values(), default=0) + 1
    spans: dict[str, set[int]] = defaultdict(set)
    for key, stage in [*owner.items(), (f"{classifier}.weight", head)]:
        pieces = key.split(".")[:-1]
        for depth in range(len(pieces) + 1):
            spans[".".join(pieces[:depth])].add(stage)
    found: list[tuple[nn.Module, int]] = []
    following = head
    for name, module in reversed(list(network.named_modules())):
        if any(True for _ in _own_states(module)):
            following = min(spans[name] or {following})
        own = spans[name] or _lying_in(name, spans) or {following}
        if max(own) < head:
            found.append((module, max(own)))
    return found[::-1]


def _lying_in(name: str, spans: dict[str, set[int]]) -> set[int]:
    """Return the stage that the nearest enclosing module belongs to wholly, if there is one."""
    while "." in name:
        name = name.rpartition(".")[0]
        if len(spans[name]) == 1:
            return spans[name]
    return set()


def _own_states(module: nn.Module) -> Iterator[object]:
    yield from module.named_parameters(recurse=False)
    yield from module.named_buffers(recurse=False)
