"""In which arithmetic the steps of a run are computed."""

from saccade.runtime.device import has_bf16
from saccade.training.recipe import Recipe


def learns_in_bf16(recipe: Recipe, device: str) -> bool:
    """Say whether steps are computed in bfloat16: as asked for, or where a processor has it.

    Never decided by a clock, so that a recipe gives the same weights twice on one machine.
    """
    if recipe.precision != "auto":
        return recipe.precision == "bf16"
    return device == "cpu" and has_bf16()
