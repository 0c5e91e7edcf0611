"""The recipe as a table: each choice with its meaning, and whether it is the default."""

import ast
import dataclasses
import inspect
from collections.abc import Mapping

from saccade.reporting.facts import Setting
from saccade.training import recipe as recipe_module
from saccade.training.recipe import Recipe


def settings(chosen: Mapping[str, object]) -> tuple[Setting, ...]:
    """Return a line per choice, in the order of `Recipe`; choices it does not know come last."""
    meanings = recipe_meanings()
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


def recipe_meanings() -> dict[str, str]:
    """Return each field of `Recipe` with the string that stands below it in the source.

    >>> recipe_meanings()["epochs"].startswith("Passes over the training part")
    True
    """
    meanings: dict[str, str] = {}
    body = next(
        node.body
        for node in ast.parse(inspect.getsource(recipe_module)).body
        if isinstance(node, ast.ClassDef) and node.name == Recipe.__name__
    )
    name = ""
    for node in body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and name:
            meanings[name] = str(node.value.value)
            name = ""
    return meanings


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_written, value)) or "–"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) if value != "" else "–"
