"""Choices that change nothing are told, and only those."""

from dataclasses import fields

import pytest

from saccade.training.recipe import Recipe
from saccade.training.recipe_file import AUGMENTATIONS
from saccade.training.without_effect import without_effect

CHANGED = {
    "lr": 0.5,
    "views": 3,
    "rungs": ("1:1:1",),
    "momentum": 0.5,
    "kernel": 5,
    "patience": 3,
    "rotate": 30.0,
    "drop": 0.2,
    "precision": "fp32",
}
"""A value for some fields that is not the default."""


@pytest.mark.parametrize(
    ("choices", "pretrained", "idle"),
    [
        ({"unfreeze": "0"}, True, set(CHANGED)),
        ({"unfreeze": "2"}, True, {"rungs", "momentum", "kernel"}),
        ({"unfreeze": "2", "opt": "sgd"}, True, {"rungs", "kernel"}),
        ({"unfreeze": "auto"}, True, {"patience", "momentum", "kernel"}),
        ({"model": "cnn"}, False, {"rungs", "views", "momentum"}),
        ({"model": "mlp"}, False, {"rungs", "views", "momentum", "kernel"}),
        ({"model": "cnn", "augment": False}, False, {"rungs", "views", "momentum", "rotate"}),
    ],
)
def test_exactly_the_idle_choices_are_named(choices, pretrained, idle):
    recipe = Recipe(**{"model": "resnet18", **CHANGED, **choices})
    told = " ".join(without_effect(recipe, pretrained=pretrained))
    named = {name for name in CHANGED if f"--{name}" in told}
    assert named == idle


def test_nothing_is_told_of_defaults():
    for choices in ({}, {"unfreeze": "0"}, {"unfreeze": "all"}, {"augment": False}):
        for model in ("cnn", "mlp", "resnet18"):
            recipe = Recipe(model=model, **choices)
            assert without_effect(recipe, pretrained=model == "resnet18") == ()


def test_an_augmentation_that_is_off_is_as_it_was_asked():
    recipe = Recipe(
        model="resnet18", unfreeze="0", augment=False, **dict.fromkeys(AUGMENTATIONS, 0.0)
    )
    assert without_effect(recipe, pretrained=True) == ()


def test_each_choice_is_named_once():
    recipe = Recipe(model="mlp", kernel=5, unfreeze="0", augment=False, rotate=30.0)
    told = " ".join(without_effect(recipe, pretrained=False))
    assert told.count("--kernel") == told.count("--rotate") == 1


def test_it_knows_only_fields_of_the_recipe():
    from saccade.training import without_effect as module

    known = {own.name for own in fields(Recipe)}
    named = {*module.ARCHITECTURE, *module.STEPS, *module.FROZEN, *module.LADDER}
    assert named <= known
