"""How many epochs a budget leaves time for, where no ladder is climbed."""

from dataclasses import dataclass

import numpy as np

from saccade.models.network import Network
from saccade.training.checkpoint import Checkpoint
from saccade.training.fit import Fitted, fit
from saccade.training.inputs import Inputs
from saccade.training.material import Material
from saccade.training.plan import seconds_a_step
from saccade.training.precision import learns_in_bf16
from saccade.training.recipe import Recipe
from saccade.training.schedule import epochs_of, steps_of
from saccade.training.surroundings import Surroundings

ON_TOP = 1.3  # reading, updating and noting, beside forward and backward passes
JUDGING = 0.5  # of a step's seconds a picture that is only asked about


def fit_in_time(
    network: Network,
    material: Material,
    recipe: Recipe,
    around: Surroundings,
    inputs: Inputs,
    *,
    pretrained: bool,
    reserve: float,
    resume: Checkpoint | None,
) -> Fitted:
    """Train as `fit` does, for as many epochs as the budget leaves time for (`planned_epochs`)."""
    plan = planned_epochs(
        network,
        material,
        recipe,
        around,
        inputs,
        pretrained=pretrained,
        reserve=reserve,
        goes_on=resume is not None,
    )
    return fit(
        network,
        material,
        recipe=plan.recipe,
        pretrained=pretrained,
        surroundings=around,
        inputs=inputs,
        resume=resume,
        seconds=plan.seconds,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Epochs:
    """What a fit may take."""

    recipe: Recipe  # with as many epochs as fit
    seconds: float  # after which it ends, whatever was planned


def planned_epochs(
    network: Network,
    material: Material,
    recipe: Recipe,
    around: Surroundings,
    inputs: Inputs,
    *,
    pretrained: bool,
    reserve: float,
    goes_on: bool,
) -> Epochs:
    """Return how many epochs there is time for: all of them without a budget.

    A few steps are timed, and the number is written into the recipe, so that running it again gives
    the same weights. A recipe that names its epochs is not planned by the clock, which then only
    guards it.

    Args:
        network: on its device; what is to learn can.
        material: pixels, answers and rows.
        recipe: how long without a budget.
        around: who watches, and the budget.
        inputs: what the network is given.
        pretrained: as `fit`.
        reserve: seconds that must be left at the end; from scratch it takes more, to be asked.
        goes_on: a fit that was begun has its number already.
    """
    budget, num = around.budget, len(material.train_rows)
    if not budget.limited:
        return Epochs(recipe=recipe, seconds=float("inf"))
    rows = np.asarray(material.train_rows[: max(recipe.batch_size, 2)], np.int64)
    bf16 = learns_in_bf16(recipe, around.device)
    step = seconds_a_step(network, inputs, rows, bf16=bf16, seconds=budget.left - reserve)
    a_picture = step / len(rows)
    if not pretrained:
        reserve += JUDGING * a_picture * len(material.targets)
    steps = steps_of(num, recipe.batch_size)
    wanted = epochs_of(recipe, pretrained=pretrained, steps_per_epoch=steps)
    judged = JUDGING * a_picture * len(material.validation_rows)
    left = budget.left - reserve
    possible = max(1, int(left / (ON_TOP * (a_picture * num + judged))))
    if recipe.epochs or goes_on or possible >= wanted:
        return Epochs(recipe=recipe.replace(epochs=wanted), seconds=left)
    around.note(f"The budget leaves time for {possible} of {wanted} epochs.")
    recipe = recipe.replace(epochs=possible)
    if around.on_recipe is not None:
        around.on_recipe(recipe)
    return Epochs(recipe=recipe, seconds=left)
