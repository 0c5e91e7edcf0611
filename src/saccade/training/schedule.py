"""How many steps and epochs there are, and the learning rate as a function of the step."""

import math

from saccade.training.recipe import Recipe


def rate_factor(step: int, *, total: int, schedule: str, warmup: float) -> float:
    """Return the share of the highest rate at `step` (0 ≤ step < total), in 0-1.

    The rate rises linearly over the first `warmup` share of the steps, then falls by half a
    cosine ("cosine"), to a tenth at 60 % and a hundredth at 85 % ("step"), or stays ("constant").

    Source: cosine: I. Loshchilov, F. Hutter (2017), SGDR. Warm-up: P. Goyal et al. (2017),
    Accurate, large minibatch SGD.

    >>> [round(rate_factor(s, total=10, schedule="cosine", warmup=0.2), 2) for s in (0, 1, 2, 9)]
    [0.5, 1.0, 1.0, 0.04]
    """
    rising = math.ceil(warmup * total)
    if step < rising:
        return (step + 1) / rising
    share = (step - rising) / max(total - rising, 1)
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * share))
    if schedule == "step":
        return 1.0 if share < 0.6 else 0.1 if share < 0.85 else 0.01
    return 1.0


def steps_of(num: int, batch_size: int) -> int:
    """Return the steps of an epoch: of equal shares, for a last small batch has wild statistics.

    No share is a single picture, of which BatchNorm can make none, unless that was asked for.

    >>> steps_of(100, 32), steps_of(5, 2), steps_of(5, 1)
    (4, 2, 5)
    """
    steps = math.ceil(num / batch_size)
    return steps if batch_size == 1 else min(steps, max(1, num // 2))


def epochs_of(recipe: Recipe, *, pretrained: bool, steps_per_epoch: int) -> int:
    """Return the number of epochs, as given or by default.

    From scratch a few pictures make few steps an epoch, and 30 epochs of two steps teach nothing.

    >>> epochs_of(Recipe(), pretrained=False, steps_per_epoch=2)
    200
    """
    if recipe.epochs or pretrained:
        return recipe.epochs or 10
    return min(max(30, math.ceil(600 / steps_per_epoch)), 200)
