"""What a run is asked for by a program: a recipe, other choices, and what a catalogue was."""

import dataclasses
from typing import Any

from saccade.data.catalog import Catalog
from saccade.runtime.errors import UsageError, listed
from saccade.runtime.progress import Progress
from saccade.training.recipe import Recipe
from saccade.training.recipe_file import check, keeping_what_was_set, make_recipe


def chosen(recipe: Recipe, choices: dict[str, Any]) -> Recipe:
    """Return the recipe with some choices made otherwise, each checked as those of a file are."""
    recipe = make_recipe(dataclasses.asdict(recipe), where="Recipe(…)")
    if not choices:
        return recipe
    values = {"keep_augment": list(recipe.keep_augment), **choices}
    said = keeping_what_was_set(values, choices)
    made = make_recipe(said, where="train(…)")
    merged = recipe.replace(**{name: getattr(made, name) for name in said})
    check(merged, where="train(…)")
    return merged


def as_scanned(recipe: Recipe, catalog: Catalog, progress: Progress) -> Recipe:
    """Return the recipe by which the same catalogue is scanned again, as far as there is one."""
    choices = dataclasses.asdict(catalog.choices)
    _refuse_others(recipe, catalog)
    seed = choices.pop("seed")
    if seed != recipe.seed and any(own.reason == "limit" for own in catalog.skipped):
        progress.say(
            f"The catalogue's pictures were drawn with seed {seed}, and the recipe has seed "
            f"{recipe.seed}: it would draw others, so this run can be neither resumed nor repeated "
            "by its recipe.toml."
        )
    column = choices["group_column"]
    if not column:
        del choices["group_column"]  # one that the recipe names is missed when groups are looked at
    elif recipe.group == column:
        recipe = recipe.replace(group="")
    return recipe.replace(**choices)


def _refuse_others(recipe: Recipe, catalog: Catalog) -> None:
    """Refuse what only a scan can do, where it is asked for beside a catalogue scanned otherwise.

    Raises:
        UsageError: there is such a choice (E243).
    """
    usual, scanned = Recipe(), catalog.choices
    found = {
        "exclude": (scanned.exclude,),
        "limit": (scanned.limit,),
        "follow_links": (scanned.follow_links,),
        "label_column": (scanned.label_column, catalog.label_name),
    }
    others = [
        name
        for name, known in found.items()
        if getattr(recipe, name) not in (getattr(usual, name), *known)
    ]
    if others:
        raise UsageError(
            f"The catalogue was scanned before, and not with this {listed(others)}.",
            code="243",
            where="train(catalogue, …)",
            fix=f"scan(…, {others[0]}=…), or give the folder itself",
        )
