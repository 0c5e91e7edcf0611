"""The recipe as a table: each choice with its meaning, and whether it is the default."""

import dataclasses
from collections.abc import Mapping

from saccade.reporting.facts import Setting
from saccade.training.recipe import Recipe
from saccade.training.recipe_file import AUGMENTATIONS, descriptions


def settings(chosen: Mapping[str, object]) -> tuple[Setting, ...]:
    """Return a line per choice, in the order of `Recipe`; choices it does not know come last."""
    meanings = descriptions()
    defaults = {field.name: field.default for field in dataclasses.fields(Recipe)}
    known = [name for name in defaults if name in chosen]
    unknown = [name for name in chosen if name not in defaults]
    return tuple(
        Setting(
            name=name,
            value=_written(chosen[name]),
            meaning=meanings.get(name, ""),
            changed=name in defaults and _written(chosen[name]) != _written(defaults[name]),
        )
        for name in [*known, *unknown]
    )


def augments(chosen: Mapping[str, object]) -> bool:
    """Return whether a recipe changes the pictures that steps learn from.

    >>> augments({}), augments({"augment": False}), augments(dict.fromkeys(AUGMENTATIONS, 0.0))
    (True, False, False)
    """
    choices = {**dataclasses.asdict(Recipe()), **chosen}
    return bool(choices["augment"]) and any(choices[name] for name in AUGMENTATIONS)


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_written, value)) or "–"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) if value != "" else "–"
