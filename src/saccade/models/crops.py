"""Whether what lies behind a cut can learn from crops of its maps, at the same scale."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from saccade.models.cuts import Cut, passing_over
from saccade.models.network import Network

SHARE = 5 / 7
"""Of a map's side, about half of its area (docs/log.md)."""
NARROWEST = 7
"""Side of the narrowest map behind the cut. Of narrower ones a part costs nearly as much: the last
two stages of mobilenetv2_100, 32 pictures, 6 × 6 and then 3 × 3: 0.8 of the time for 0.44 of the
places; 14 × 14 and then 7 × 7: 0.48 for 0.51 (docs/log.md)."""

Shapes = dict[nn.Module, list[tuple[int, ...]]]


def crop_side(network: Network, cut: Cut) -> int | None:
    """Return the side of the crops to learn from behind a cut; None = from whole maps only.

    Convolutions and a mean over what they see answer to a part of a map as they do to all of it,
    and to the same object at the same scale. What else a network does there is found by trying
    both: a fully connected layer over all places does not fit; one that is fed by pulling every
    map to one size sees a map of that size either way; and places in a row, as transformers have
    them, may mean where they are. All three keep whole maps. So does a suffix so deep that both
    end in maps of one size, which costs time only, and one whose maps are narrow.

    Even sides have even crops: each stage halves them.

    Source: train on smaller crops than are tested, at the same scale of objects: H. Touvron et
    al. (2019), Fixing the train-test resolution discrepancy.
    """
    if len(cut.shape) != 3 or cut.shape[1] != cut.shape[2]:
        return None
    whole = cut.shape[1]
    side = 2 * round(SHARE * whole / 2) if whole % 2 == 0 else round(SHARE * whole)
    noise = torch.Generator().manual_seed(0)
    maps = torch.rand(2, *cut.shape, generator=noise).to(next(network.parameters()).device)
    try:
        seen, seen_smaller = (_seen(network, cut, maps[:, :, :own, :own]) for own in (whole, side))
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError, AssertionError):
        return None
    if seen.keys() != seen_smaller.keys() or _narrowest(seen) < NARROWEST:
        return None
    pairs = [
        pair
        for module, shapes in seen.items()
        for pair in zip(shapes, seen_smaller[module], strict=True)
    ]
    return side if all(_follows(*pair) for pair in pairs) else None


def _narrowest(seen: Shapes) -> int:
    """Return the side of the narrowest map of more than one place; 0 = there is none."""
    maps = (own for shapes in seen.values() for own in shapes if len(own) == 4)
    return min((own[2] for own in maps if own[2] > 1), default=0)


def _follows(whole: tuple[int, ...], part: tuple[int, ...]) -> bool:
    """Say whether a tensor of a network is one of no place, or a map that shrinks with its own."""
    if len(whole) == 2 or sum(side > 1 for side in whole[1:]) <= 1:  # (B, C) or (B, C, 1, 1)
        return whole == part
    return len(whole) == 4 and whole != part


def _seen(network: Network, cut: Cut, maps_BCHW: Tensor) -> Shapes:
    """Return the shapes of what each innermost module behind the cut is given, and answers."""
    shapes: Shapes = {}

    def note(module: nn.Module, given: object, answer: object) -> None:
        own = shapes.setdefault(module, [])
        own += [tuple(tensor.shape) for tensor in _tensors((given, answer))]

    innermost = [own for own in network.body.modules() if next(own.children(), None) is None]
    handles = [module.register_forward_hook(note) for module in innermost]
    was_training = network.training
    network.eval()
    try:
        with torch.inference_mode(), passing_over(cut):
            network(maps_BCHW)
    finally:
        network.train(was_training)
        for handle in handles:
            handle.remove()
    passed = {own for module in cut.passed for own in module.modules()}
    return {module: own for module, own in shapes.items() if module not in passed}


def _tensors(found: object) -> Iterator[Tensor]:
    if isinstance(found, Tensor):
        yield found
    elif isinstance(found, tuple | list):
        for own in found:
            yield from _tensors(own)
