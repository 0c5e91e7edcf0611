"""The recipe as command line flags: one list of choices, and nothing to keep in step."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_origin

import typer

from saccade.runtime.errors import UsageError
from saccade.training.recipe import Recipe
from saccade.training.recipe_file import descriptions, field_types, make_recipe, read_recipe


def with_recipe_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with one more option for every field of the recipe.

    The recipe is the only list of choices: a field, its type and the string below it make the
    flag, and what the user gave arrives as `command(..., flags={field: value})`.
    """
    own = inspect.signature(command, eval_str=True)
    kept = [p for p in own.parameters.values() if p.name != "flags"]
    extra = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                (str if get_origin(kind) is tuple else kind) | None,
                typer.Option(_flag(name, kind), help=descriptions()[name], show_default=False),
            ],
        )
        for name, kind in field_types().items()
        if name != "data"
    ]

    def wrapped(**given: Any) -> None:  # noqa: ANN401 - typer passes what it parsed
        names = [parameter.name for parameter in extra]
        flags = {name: given.pop(name) for name in names}
        command(**given, flags={name: v for name, v in flags.items() if v is not None})

    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in kept]
    wrapped.__signature__ = inspect.Signature([*parameters, *extra])  # type: ignore[attr-defined]
    wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
    wrapped.__annotations__ = {p.name: p.annotation for p in [*parameters, *extra]}
    return wrapped


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
    return make_recipe(values, where="the command line")


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
