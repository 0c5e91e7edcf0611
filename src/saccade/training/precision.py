"""In which arithmetic the steps of a run are computed."""

from saccade.runtime.device import has_bf16
from saccade.training.backward import Gradients
from saccade.training.recipe import Recipe

IN_BF16 = (
    "Steps of learning were computed in bf16 (--precision fp32 for the other); what ships, and "
    "what was tested, is computed in fp32."
)


def learns_in_bf16(recipe: Recipe, device: str) -> bool:
    """Say whether steps are computed in bfloat16: as asked for, or where a processor has it.

    Never decided by a clock, so that a recipe gives the same weights twice on one machine.
    """
    if recipe.precision != "auto":
        return recipe.precision == "bf16"
    return device == "cpu" and has_bf16()


def precision_told(gradients: Gradients) -> str:
    """Return what should be known about the arithmetic of steps; "" = nothing, it was fp32."""
    if gradients.in_bf16:
        return IN_BF16
    if gradients.why_not_bf16:
        return f"Steps of learning were computed in fp32, not in bf16: {gradients.why_not_bf16}"
    return ""
