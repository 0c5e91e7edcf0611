"""The learning rate as a function of the step."""

import math


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
