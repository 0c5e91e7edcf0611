"""Choices that somebody made and that change nothing in the run they were made for."""

from collections.abc import Iterator

from saccade.runtime.errors import listed
from saccade.training.recipe import Recipe
from saccade.training.recipe_file import AUGMENTATIONS

ARCHITECTURE = ("widths", "kernel", "activation", "pooling", "head", "residual", "batch_norm")
CONVOLUTIONS = ("kernel", "pooling", "head", "residual")
MOMENTUM = ("momentum", "nesterov")
LADDER = ("rungs",)
FROZEN = ("views", "statistics")
STEPS = (
    "epochs", "batch_size", "opt", "lr", "body_lr", *MOMENTUM, "weight_decay", "schedule",
    "warmup", "smoothing", "patience", "tolerance", "precision",
)  # fmt: skip


def without_effect(recipe: Recipe, *, pretrained: bool) -> tuple[str, ...]:
    """Return a sentence for each reason why some choices change nothing.

    A choice is a field that is not as it is by default. Of a run's own recipe.toml little is said,
    for what it holds was of use there.

    Args:
        recipe: of a run with one network, whose name is known.
        pretrained: whether its weights know something.

    >>> without_effect(Recipe(model="resnet18", unfreeze="0", lr=0.5), pretrained=True)
    ('--lr has no effect: with --unfreeze 0 the head is solved, and nothing learns by steps.',)
    >>> without_effect(Recipe(model="cnn", lr=0.5, momentum=0.8, opt="sgd"), pretrained=False)
    ()
    """
    default, told = Recipe(), set[str]()
    sentences = []
    for names, why in _reasons(recipe, pretrained=pretrained):
        new = [own for own in names if own not in told]
        idle = [own for own in new if _is_asked(own, recipe, default)]
        told.update(idle)
        if idle:
            flags = listed([_flag(own, getattr(recipe, own)) for own in idle], limit=len(idle))
            verb = "has" if len(idle) == 1 else "have"
            sentences.append(f"{flags} {verb} no effect: {why}.")
    return tuple(sentences)


def _reasons(recipe: Recipe, *, pretrained: bool) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the fields that are of no use in this run, and why; the widest reason first."""
    if recipe.model not in {"cnn", "mlp"}:
        yield ARCHITECTURE, f"{recipe.model} is built as it is published"
    elif recipe.model == "mlp":
        yield CONVOLUTIONS, "a fully connected network has no convolutions"
    if recipe.unfreeze == "0":
        all_of_it = (*STEPS, *FROZEN, *LADDER, "drop", *AUGMENTATIONS)
        yield all_of_it, "with --unfreeze 0 the head is solved, and nothing learns by steps"
        return
    if not pretrained:
        yield (*LADDER, *FROZEN), "a network that learns from scratch has no frozen stages"
    elif recipe.unfreeze != "auto":
        yield LADDER, f"with --unfreeze {recipe.unfreeze} no ladder is climbed"
    if pretrained and recipe.unfreeze == "auto":
        yield ("patience",), "the rungs of a ladder are learned to their end"
    if recipe.opt != "sgd":
        yield MOMENTUM, f"momentum is sgd's, and the steps are {recipe.opt}'s"
    if not recipe.augment:
        yield AUGMENTATIONS, "--no-augment switches all of them off"


def _is_asked(name: str, recipe: Recipe, default: Recipe) -> bool:
    """Return whether a choice is not the default; an augmentation that is off asks for nothing."""
    value = getattr(recipe, name)
    return bool(value != getattr(default, name) and (value or name not in AUGMENTATIONS))


def _flag(name: str, value: object) -> str:
    return f"--{'no-' if value is False else ''}{name.replace('_', '-')}"
