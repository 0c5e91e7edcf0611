"""Which augmentations a run learns with: those of its recipe, but for what would spoil it."""

import time
from typing import Any

from saccade.runtime.progress import Progress
from saccade.training.augment import augment_of
from saccade.training.material import Material
from saccade.training.probe import draw_sample
from saccade.training.recipe import Recipe
from saccade.training.recipe_file import AUGMENTATIONS
from saccade.training.safety import (
    FAMILIES,
    FEWEST,
    NUM_SAMPLE,
    Safety,
    Verdict,
    active_families,
    judge_augmentation,
)
from saccade.training.surroundings import Surroundings

EVENT = "augmentation"
SECONDS = 15.0
"""Of a budget that must be left for learning when this begins; it takes about two, and with less
there is no time for views that an augmentation could spoil."""


def settle(recipe: Recipe, material: Material, surroundings: Surroundings) -> Recipe:
    """Return the recipe without the augmentations that spoil what is to be learned.

    Those that somebody set (`Recipe.keep_augment`) stay. What was found is an event of the
    history, and a run that goes on takes it from there; `Surroundings.on_recipe` is told the
    recipe, in which nothing is left to be looked for.
    """
    kept = set(recipe.keep_augment)
    names = [
        name for name in active_families(augment_of(recipe)) if kept.isdisjoint(FAMILIES[name])
    ]
    if not names:
        return recipe
    past = [event for event in surroundings.history.events if event.get("event") == EVENT]
    if not past:
        _look(names, recipe, material, surroundings)
        past = surroundings.history.events[-1:]
    left_out = past[-1]["left_out"]
    off = {field: 0.0 for name in left_out for field in FAMILIES[name]}
    settled = recipe.replace(keep_augment=AUGMENTATIONS, **off)
    if surroundings.on_recipe is not None:
        surroundings.on_recipe(settled)
    return settled


def _look(names: list[str], recipe: Recipe, material: Material, surroundings: Surroundings) -> None:
    """Judge the families and note what was found."""
    begun = time.perf_counter()
    facts = _found(names, recipe, material, surroundings)
    surroundings.history.add(
        EVENT,
        asked=names,
        **facts,
        seconds=time.perf_counter() - begun,
        at_seconds=surroundings.seconds_since_start(),
    )
    for one in facts["families"]:
        if one["name"] in facts["left_out"]:
            _say(one, recipe, surroundings.progress)


def _found(
    names: list[str], recipe: Recipe, material: Material, surroundings: Surroundings
) -> dict[str, Any]:
    nothing: dict[str, Any] = {"families": [], "left_out": []}
    if surroundings.budget.left < SECONDS:
        return {**nothing, "n": 0, "why": "the budget left no time to look"}
    sample = draw_sample(
        material.train_rows,
        material.targets,
        material.groups or [""] * len(material.targets),
        task=material.task,
        num=NUM_SAMPLE,
        seed=recipe.seed,
    )
    if sample is None or len(sample.rows) < FEWEST:
        num = len(material.train_rows)
        return {**nothing, "n": num, "why": f"{num} training pictures are too few to tell"}
    surroundings.progress.start("check the augmentation")
    safety = judge_augmentation(
        material.cache,
        sample,
        task=material.task,
        augment=augment_of(recipe),
        names=names,
        seed=recipe.seed,
    )
    surroundings.progress.close()
    return {**facts_of(safety), "left_out": list(safety.unsafe)}


def facts_of(safety: Safety) -> dict[str, Any]:
    """Return what a probe found, as JSON can hold it."""
    why = "" if safety.knows else "small pictures alone tell nothing of the answer"
    return {
        "n": safety.num,
        "skill": safety.skill,
        "why": why,
        "families": [_family(one) for one in safety.verdicts],
    }


def _family(one: Verdict) -> dict[str, Any]:
    return {
        "name": one.name,
        "lost": one.lost.as_dict(),
        "p": one.p,
        "right": one.right,
        "turned": one.turned,
        "move": list(one.move) if one.move else None,
        "example": list(one.example) if one.example else None,
        "unsafe": one.unsafe,
    }


def _say(family: dict[str, Any], recipe: Recipe, progress: Progress) -> None:
    flags = " ".join(f"--{name} {getattr(recipe, name):g}" for name in FAMILIES[family["name"]])
    lost = family["lost"]
    progress.say(
        f"{TITLES[family['name']]} is left out: of what small pictures tell about the answer, "
        f"{lost['value']:.0%} is lost where it is learned from as well (n = {lost['n']}). "
        f"{flags} keeps it."
    )


TITLES = {
    "rotate": "rotation",
    "zoom": "scaling",
    "shift": "translation",
    "hflip": "the horizontal flip",
    "vflip": "the vertical flip",
    "light": "a change of brightness and contrast",
    "noise": "noise",
}
