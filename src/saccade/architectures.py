"""Networks to choose from, and what is inside one: for `saccade models`."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from saccade.data.task import Task
from saccade.models.listing import MAX_MEASURED, listing
from saccade.runtime.errors import UsageError, listed, nearest
from saccade.training.recipe import Recipe


def architectures(pattern: str) -> list[dict[str, Any]]:
    """Return a row for every architecture that matches: name, parameters, FLOPs, input, licence.

    Raises:
        UsageError: none matches (E210).
    """
    rows = [dataclasses.asdict(row) for row in listing(pattern)]
    if not rows:
        known = [row.name for row in listing(measured=False)]
        near = nearest(pattern.strip("*"), known)
        raise UsageError(
            f"No network has '{pattern}' in its name.",
            code="210",
            where="the command line",
            fix=f"the nearest names are {listed(near)}" if near else "saccade models lists all",
        )
    return rows


def layers_of(name: str, recipe: Recipe, *, num_outputs: int) -> list[dict[str, Any]]:
    """Return a row for every layer of a network with random weights: shape, parameters, FLOPs.

    Args:
        name: a timm architecture, cnn or mlp.
        recipe: the flags of networks from scratch, and the size of the input.
        num_outputs: neurons of the last layer.

    Raises:
        UsageError: the name is unknown, or no name was given (E210 and as `network.build`).
    """
    from saccade.models import network  # noqa: PLC0415 - brings torch; listing names needs none
    from saccade.models.layers import layer_table  # noqa: PLC0415 - likewise

    if not name:
        raise UsageError(
            "The layers of which network?",
            code="210",
            where="the command line",
            fix="saccade models resnet18 --layers",
        )
    recipe = recipe.replace(model=name)
    task = Task(kind="multiclass", classes=tuple(map(str, range(max(num_outputs, 2)))))
    net, preprocess = network.build(name, task=task, recipe=recipe, img_size=recipe.img_size)
    rows = layer_table(net, preprocess.size_px)
    return [
        {
            "name": row.name,
            "kind": row.kind,
            "shape": "×".join(map(str, row.shape)),
            "num_parameters": row.num_parameters,
            "flops": row.flops,
        }
        for row in rows
    ]


def as_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as an aligned table, with a last line of sums for layers.

    FLOPs count a multiplication and an addition as two.
    """
    shown = [
        {title: _cell(row[key]) for key, title in _TITLES.items() if key in row} for row in rows
    ]
    if rows and "kind" in rows[0]:
        sums = {k: sum(row[k] for row in rows) for k in ("num_parameters", "flops")}
        shown.append({"name": "total"} | {_TITLES[k]: _cell(v) for k, v in sums.items()})
    uncounted = len(rows) > MAX_MEASURED and any(row["num_parameters"] is None for row in rows)
    note = f"\n{_DASH}: counted where at most {MAX_MEASURED} networks match" if uncounted else ""
    return "\n".join(_lines(shown)) + note


_DASH = "–"
_TITLES = {
    "name": "name",
    "kind": "kind",
    "shape": "output",
    "num_parameters": "parameters",
    "flops": "FLOPs",
    "input_px": "input px",
    "licence": "licence of the weights",
}


def _cell(value: object) -> str:
    if value is None:
        return _DASH
    return f"{value:,}" if isinstance(value, int) else str(value)


def _lines(table: Sequence[Mapping[str, str]]) -> Iterator[str]:
    titles = list(table[0])
    widths = {t: max(len(t), *(len(row.get(t, "")) for row in table)) for t in titles}
    right = {"parameters", "FLOPs", "input px"}
    for row in [{t: t for t in titles}, *table]:
        cells = (
            row.get(t, "").rjust(widths[t]) if t in right else row.get(t, "").ljust(widths[t])
            for t in titles
        )
        yield "  ".join(cells).rstrip()
