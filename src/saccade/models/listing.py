"""The networks one can choose from, with their size, cost, input and the weights' licence."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from saccade.models import backbones
from saccade.runtime.errors import SaccadeError

MAX_MEASURED = 60  # about 0.3 s each


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRow:
    """One architecture; what was not measured is None."""

    name: str
    num_parameters: int | None  # with the pretrained classifier
    flops: int | None  # for one picture; a multiply-add counts as two
    input_px: int
    licence: str  # of the default weights; "" where unknown or without weights
    has_weights: bool


def listing(pattern: str = "", *, measured: bool | None = None) -> Iterator[NetworkRow]:
    """Yield a row for every architecture that matches, cnn and mlp first, then timm's by name.

    Args:
        pattern: part of a name, or with `*` and `?` the whole of it; empty = all.
        measured: count parameters and FLOPs (about 0.3 s each, nothing is computed or
            downloaded); None = where at most `MAX_MEASURED` match.
    """
    own = [name for name in ("cnn", "mlp") if _matches(name, pattern)]
    names = backbones.names(pattern)
    if measured is None:
        measured = len(names) <= MAX_MEASURED
    for name in own:
        yield _scratch_row(name, measured=measured)
    for name in names:
        backbone = backbones.find(name)
        size = measure(backbone) if measured else None
        yield NetworkRow(
            name=name,
            num_parameters=size[0] if size else None,
            flops=size[1] if size else None,
            input_px=backbone.input_px,
            licence=backbone.licence,
            has_weights=bool(backbone.hub_id),
        )


def measure(backbone: backbones.Backbone) -> tuple[int, int] | None:
    """Return parameters and FLOPs with the pretrained classifier, or None where it cannot be said.

    The network is built on the meta device: no memory, no weights, no arithmetic.
    """
    import torch  # noqa: PLC0415 - listing names needs no torch of our own

    from saccade.models.blank import Blank  # noqa: PLC0415
    from saccade.models.layers import layer_table, totals  # noqa: PLC0415

    try:
        with torch.device("meta"), Blank():
            network = backbones.create(backbone, num_outputs=backbone.num_classes or 1000)
        return totals(layer_table(network, backbone.input_px))
    except (SaccadeError, RuntimeError, NotImplementedError, ValueError, TypeError):
        return None  # a few architectures read numbers out of tensors while they run


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) if set(pattern) & set("*?[") else pattern in name


def _scratch_row(name: str, *, measured: bool) -> NetworkRow:
    from saccade.models import scratch  # noqa: PLC0415 - brings torch

    size = None
    if measured:
        from saccade.models.layers import layer_table, totals  # noqa: PLC0415

        kind = scratch.KINDS[scratch.KINDS.index(name)]
        network = scratch.build(scratch.ScratchSpec(kind=kind, num_outputs=10))
        size = totals(layer_table(network, scratch.DEFAULT_PX))
    return NetworkRow(
        name=name,
        num_parameters=size[0] if size else None,
        flops=size[1] if size else None,
        input_px=scratch.DEFAULT_PX,
        licence="",
        has_weights=False,
    )
