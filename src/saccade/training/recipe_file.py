"""Recipes as TOML files, and the ranges that every choice must keep."""

import ast
import contextlib
import functools
import inspect
import json
import math
import os
import re
import tomllib
import types
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from saccade.runtime.budget import parse_seconds
from saccade.runtime.errors import UsageError, listed, nearest
from saccade.runtime.store import write_text
from saccade.training.recipe import NO_RUNG, Recipe

CHOICES: Mapping[str, tuple[str, ...]] = types.MappingProxyType(
    {
        "task": ("auto", "binary", "multiclass", "multilabel", "regression"),
        "fit": ("crop", "pad", "squash"),
        "activation": ("relu", "leaky_relu", "tanh", "sigmoid", "gelu", "silu"),
        "pooling": ("max", "avg", "min"),
        "head": ("gap", "flatten"),
        "opt": ("sgd", "adam", "adamw"),
        "schedule": ("cosine", "step", "constant"),
        "class_weights": ("none", "balanced"),
        "statistics": ("auto", "moving", "frozen"),
        "precision": ("auto", "fp32", "bf16"),
        "device": ("auto", "cpu", "cuda", "mps"),
    }
)

AUGMENTATIONS = (
    "rotate", "zoom", "shift", "hflip", "vflip", "brightness", "contrast", "noise",
)  # fmt: skip

RANGES: Mapping[str, tuple[float, float]] = types.MappingProxyType(
    {
        "val_fraction": (0, 0.5),
        "test_fraction": (0, 0.5),
        "seed": (0, 2**32 - 1),
        "limit": (0, 2**40),
        "img_size": (0, 2048),
        "kernel": (1, 11),
        "drop": (0, 0.95),
        "epochs": (0, 100_000),
        "views": (0, 64),
        "batch_size": (1, 65_536),
        "lr": (0, math.inf),
        "body_lr": (0, math.inf),
        "momentum": (0, 1),
        "weight_decay": (0, 10),
        "warmup": (0, 0.5),
        "smoothing": (0, 0.5),
        "patience": (0, 100_000),
        "tolerance": (0, math.inf),
        "rotate": (0, 180),
        "zoom": (0, 0.9),
        "shift": (0, 0.5),
        "hflip": (0, 1),
        "vflip": (0, 1),
        "brightness": (0, 1),
        "contrast": (0, 1),
        "noise": (0, 0.5),
        "cache_gb": (0, math.inf),
        "threads": (0, 4096),
    }
)

PLACES = ("data", "weights")

_DESCRIBED = {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false"}


@functools.cache
def descriptions() -> dict[str, str]:
    """Return the sentence below each field of `Recipe`: unit, range, default."""
    (body,) = ast.parse(inspect.getsource(Recipe)).body
    found: dict[str, str] = {}
    name = ""
    for node in getattr(body, "body", []):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and name:
            found[name] = str(node.value.value)
            name = ""
    return found


@functools.cache
def field_types() -> dict[str, Any]:
    """Return the type of each field of `Recipe`."""
    return get_type_hints(Recipe)


def make_recipe(values: Mapping[str, Any], *, where: str) -> Recipe:
    """Return a recipe of these values, each checked for name, type and range.

    Raises:
        UsageError: an unknown name (E230), a wrong type (E231) or a value out of range (E232).
    """
    known = [field.name for field in fields(Recipe)]
    for name in values:
        if name not in known:
            near = nearest(name, known)
            raise UsageError(
                f"'{name}' is not a setting of saccade.",
                code="230",
                where=where,
                fix=f"did you mean {listed(near)}?" if near else "see saccade train --help",
            )
    recipe = Recipe(**{name: _typed(name, value, where) for name, value in values.items()})
    check(recipe, where=where)
    return recipe


def _typed(name: str, value: Any, where: str) -> Any:  # noqa: ANN401 - what TOML holds
    wanted, value = field_types()[name], _as_flag(name, _plain(value))
    if get_origin(wanted) is tuple:
        inner = get_args(wanted)[0]
        if isinstance(value, list | tuple) and all(type(item) is inner for item in value):
            return tuple(value)
    elif wanted is float and type(value) is int:
        return float(value)
    elif type(value) is wanted:
        return value
    described = _DESCRIBED.get(getattr(wanted, "__name__", ""), "a list")
    raise UsageError(
        f"'{name}' should be {described}, not {json.dumps(value, default=str)}.",
        code="231",
        where=where,
        fix=descriptions()[name],
    )


def _as_flag(name: str, value: Any) -> Any:  # noqa: ANN401 - what Python programs hold
    """Return a value as its flag would have it: 2 as "2", 90 seconds as "90s".

    >>> _as_flag("unfreeze", 2), _as_flag("budget", 90), _as_flag("widths", "32, 64")
    ('2', '90s', [32, 64])
    """
    if name == "unfreeze" and type(value) is int:
        return str(value)
    if name == "budget" and type(value) in {int, float}:
        return f"{value:f}".rstrip("0").rstrip(".") + "s"
    wanted = field_types()[name]
    if get_origin(wanted) is tuple and isinstance(value, str):
        inner, words = get_args(wanted)[0], [own.strip() for own in value.split(",")]
        with contextlib.suppress(ValueError):
            return [inner(word) for word in words if word]
    return value


def _plain(value: Any) -> Any:  # noqa: ANN401 - what Python programs hold
    """Return a path as text, and a number of NumPy's as Python's."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    is_numpy = hasattr(value, "dtype") and hasattr(value, "item") and not getattr(value, "ndim", 1)
    return value.item() if is_numpy else value


def check(recipe: Recipe, *, where: str) -> None:
    """Raise a UsageError (E232) for the first value that is out of its range."""
    for name, allowed in CHOICES.items():
        value = getattr(recipe, name)
        if value not in allowed:
            near = nearest(value, allowed)
            hint = f" (did you mean {near[0]}?)" if near else ""
            _refuse(name, value, f"one of {', '.join(allowed)}{hint}", where)
    for name, (low, high) in RANGES.items():
        value = getattr(recipe, name)
        if not low <= value <= high:
            limit = f"{low:g} to {high:g}" if math.isfinite(high) else f"{low:g} or more"
            _refuse(name, value, limit, where)
    if recipe.kernel % 2 == 0:
        _refuse("kernel", recipe.kernel, "odd", where)
    if any(width < 1 for width in recipe.widths):
        _refuse("widths", list(recipe.widths), "1 or more each", where)
    if recipe.unfreeze not in {"auto", "all"} and not recipe.unfreeze.isdecimal():
        _refuse("unfreeze", recipe.unfreeze, "auto, all, or a number of stages from 0", where)
    _check_time(recipe, where)
    if wrong := [name for name in recipe.keep_augment if name not in AUGMENTATIONS]:
        _refuse("keep_augment", wrong[0], f"among {', '.join(AUGMENTATIONS)}", where)
    if recipe.val_fraction + recipe.test_fraction >= 1:
        _refuse("val_fraction", recipe.val_fraction, "below 1 together with test_fraction", where)


def _check_time(recipe: Recipe, where: str) -> None:
    """Check what says how long training may take."""
    parse_seconds(recipe.budget)
    if recipe.rungs == (NO_RUNG,):
        return
    if wrong := [r for r in recipe.rungs if not re.fullmatch(r"([1-9]\d*:){2}[1-9]\d*", r)]:
        _refuse("rungs", wrong[0], f"stages:epochs:views, each 1 or more, or {NO_RUNG}", where)
    stages = [int(rung.partition(":")[0]) for rung in recipe.rungs[1:]]
    if stages != sorted(stages):  # a deeper rung changes what is frozen for a shallower one
        _refuse("rungs", list(recipe.rungs), "from few stages to many, but for the first", where)


def _refuse(name: str, value: object, allowed: str, where: str) -> None:
    raise UsageError(
        f"--{name.replace('_', '-')} must be {allowed}; it is {value}.",
        code="232",
        where=where,
        fix=descriptions()[name],
    )


def keeping_what_was_set(values: Mapping[str, Any], said: Iterable[str]) -> dict[str, Any]:
    """Return the values with `keep_augment` holding each augmentation that somebody set.

    >>> keeping_what_was_set({"lr": 0.1, "hflip": 0.5}, ["lr", "hflip"])["keep_augment"]
    ['hflip']
    """
    kept = [*values.get("keep_augment", ()), *(name for name in AUGMENTATIONS if name in said)]
    return {**values, "keep_augment": list(dict.fromkeys(kept))} if kept else dict(values)


def read_recipe(path: Path, **overrides: object) -> Recipe:
    """Return the recipe in a TOML file, with some values overridden.

    Places that it names are looked for from here and then from the folders above the file, the
    nearest first: a run goes on, and can be made again, from wherever it is asked for.

    A file that does not speak of `keep_augment` was written by a person, or before there was such
    a thing: the augmentations that it sets are kept as they are.

    Raises:
        UsageError: there is no such file (E233), it is not TOML (E234), or as `make_recipe`.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"The recipe cannot be read: {error.strerror or error}.",
            code="233",
            where=str(path),
            fix="name a recipe.toml, such as that of an earlier run",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            f"The recipe is not TOML: {error}.",
            code="234",
            where=str(path),
            fix='write lines like  epochs = 10  or  model = "resnet18"',
        ) from error
    values |= {name: _found(values[name], path) for name in PLACES if name in values}
    if isinstance(values.get("corrections"), str):
        values["corrections"] = _found_tables(values["corrections"], path)
    said = {*overrides, *(() if "keep_augment" in values else values)}
    return make_recipe(keeping_what_was_set({**values, **overrides}, said), where=str(path))


def _found(place: Any, recipe: Path) -> Any:  # noqa: ANN401 - what TOML holds
    """Return a place that a recipe names, as it can be reached from here; else as it is written.

    A run is often called like its data, and is not taken for them.
    """
    if not isinstance(place, str) or place in {"", "auto", "none"}:
        return place
    above = (str(folder / place) for folder in recipe.resolve().parents)
    return next((own for own in (place, *above) if _is_there(own)), place)


def _is_there(place: str) -> bool:
    exists = os.path.exists  # Path's own ends with an error at names that are too long
    return exists(place) and not exists(os.path.join(place, "run.json"))  # noqa: PTH118


def _found_tables(named: str, recipe: Path) -> str:
    """Return the names of tables of corrections, with commas between, as they can be reached."""
    from saccade.data.corrections import table_names  # noqa: PLC0415 - numpy, which --help needs not

    return ",".join(
        _found(own, recipe) for own in table_names(named, above=recipe.resolve().parents)
    )


def recipe_text(recipe: Recipe) -> str:
    """Return the recipe as TOML, each line with what it means above it."""
    lines = ["# Every choice of this run. Run it again: saccade train --config recipe.toml", ""]
    for name, description in descriptions().items():
        lines += [f"# {description}", f"{name} = {_toml(getattr(recipe, name))}"]
    return "\n".join(lines) + "\n"


def write_recipe(path: Path, recipe: Recipe) -> None:
    """Write the recipe as TOML, whole or not at all."""
    write_text(path, recipe_text(recipe))


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, str):
        text = value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        # A basic TOML string has JSON's escapes, none for halves of characters, and one for DEL.
        return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
