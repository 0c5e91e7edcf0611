"""The recipe as command line flags: one list of choices, and nothing to keep in step."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_origin

import typer
import typer.core

from saccade.runtime.errors import UsageError
from saccade.training.recipe import Recipe
from saccade.training.recipe_file import (
    AUGMENTATIONS,
    descriptions,
    field_types,
    keeping_what_was_set,
    make_recipe,
    read_recipe,
)

DATA = (
    "image_column", "label_column", "split_column", "group_column", "group", "task", "exclude",
    "corrections", "limit", "follow_links", "keep_val", "strict", "val_fraction",
    "test_fraction", "seed",
)  # fmt: skip
LOOK = ("model", "weights", "cache", "cache_gb", "device", "threads")
PIXELS = ("img_size", "fit")
SCRATCH = (
    "widths", "kernel", "activation", "pooling", "head", "residual", "batch_norm", "drop",
)  # fmt: skip
AUGMENT = ("augment", *AUGMENTATIONS)

COLUMNS = ("image_column", "label_column", "split_column")
ImageColumn = Annotated[str, typer.Option(help="Table: path or bytes.")]
LabelColumn = Annotated[str, typer.Option(help="Table: the answer.")]
SplitColumn = Annotated[str, typer.Option(help="Table: the part of each picture.")]
Group = Annotated[
    str, typer.Option(help="What belongs together: a column, or a pattern on the path.")
]
Exclude = Annotated[
    str, typer.Option(help="Classes (or labels, with their pictures) to leave out: cat,dog.")
]
Corrections = Annotated[str, typer.Option(help="Labels put right: a table, or a,b,c.")]
Coverage = Annotated[
    float | None,
    typer.Option(help="Add sets of classes that hold the truth as often as this, such as 0.95."),
]
MinAccuracy = Annotated[
    float | None,
    typer.Option(help="Mark answers as unsure, so that this share of the others is right: 0.99."),
]
MistakeCost = Annotated[
    float | None,
    typer.Option(help="The same by cost: a mistake is as bad as so many answers withheld."),
]
NoUnknown = Annotated[
    bool, typer.Option("--no-unknown", help="Do not mark pictures unlike those learned from.")
]
TableTask = Annotated[
    str,
    typer.Option("--task", help="What a table's answers are, where its cells mislead: multiclass."),
]


Finished = Annotated[str, typer.Argument(help="A run folder.")]
LabelsOf = Annotated[
    str, typer.Option("--labels", help="Judge all by the labels of this one of them.")
]
DataNow = Annotated[str, typer.Option("--data", help="Where its pictures lie, if they moved.")]


class OnceEach(typer.core.TyperCommand):
    """A command whose options are given once; of two the first would be dropped in silence."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - typer's own
        """Refuse an option that is given twice, and parse as ever."""
        _, _, given = self.make_parser(ctx).parse_args(args=list(args))
        for option in given:
            if option.name == "help" or getattr(option, "multiple", False):
                continue
            if given.count(option) > 1:
                join = "; name several tables as a,b,c" if option.name == "corrections" else ""
                times = f"{given.count(option)} times, and can be once"
                ctx.fail(f"{option.opts[0]} is given {times}{join}")
        return super().parse_args(ctx, args)


def with_recipe_flags(
    *names: str,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that gives a command an option for some fields of the recipe, or all.

    The recipe is the only list of choices: a field, its type and the string below it make the
    flag, and what the user gave arrives as `command(..., flags={field: value})`.
    """
    kinds = {
        name: kind
        for name, kind in field_types().items()
        if name != "data" and (not names or name in names)
    }
    extra = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                (str if get_origin(kind) is tuple else kind) | None,
                typer.Option(_flag(name, kind), help=_help(name), show_default=False),
            ],
        )
        for name, kind in kinds.items()
    ]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True).parameters.values()
        kept = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own if p.name != "flags"]

        def wrapped(**given: Any) -> None:  # noqa: ANN401 - typer passes what it parsed
            flags = {name: given.pop(name) for name in kinds}
            command(**given, flags={name: v for name, v in flags.items() if v is not None})

        wrapped.__signature__ = inspect.Signature([*kept, *extra])  # type: ignore[attr-defined]
        wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
        wrapped.__annotations__ = {p.name: p.annotation for p in [*kept, *extra]}
        return wrapped

    return decorate


def _help(name: str) -> str:
    """Return what a choice means, with its default where the sentence does not say that."""
    default, text = getattr(Recipe(), name), descriptions()[name]
    told = isinstance(default, bool) or not default or f"{default} =" in text
    return text if told else f"{text.rstrip('.')} [{default}]."


def _flag(name: str, kind: object) -> str:
    flag = f"--{name.replace('_', '-')}"
    return f"{flag}/--no-{flag[2:]}" if kind is bool else flag


def recipe_from(config: str | None, data: str | None, flags: dict[str, Any]) -> Recipe:
    """Return the recipe of a file and the flags that override it."""
    types = field_types()
    values = {
        name: _items(name, value, types[name]) if get_origin(types[name]) is tuple else value
        for name, value in flags.items()
    }
    if data is not None:
        values["data"] = data
    if config is not None:
        return read_recipe(Path(config), **values)
    return make_recipe(keeping_what_was_set(values, values), where="the command line")


def _items(name: str, text: str, kind: Any) -> list[Any]:  # noqa: ANN401 - a type
    inner = kind.__args__[0]
    try:
        return [inner(item.strip()) for item in text.split(",") if item.strip()]
    except ValueError:
        raise UsageError(
            f"--{name} should be whole numbers with commas between, not '{text}'.",
            code="231",
            where="the command line",
            fix=f"for example --{name} 32,64,128",
        ) from None
