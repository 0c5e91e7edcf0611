"""Which rungs to climb, for how many epochs, on how many views: here seconds become steps."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from saccade.models.layers import layer_table
from saccade.models.network import Network
from saccade.runtime.device import is_out_of_memory
from saccade.training.backward import Gradients
from saccade.training.inputs import Inputs
from saccade.training.recipe import NO_RUNG, Recipe

EPOCHS = 4
"""Epochs of a rung with its own rate schedule; six of the last two stages gain no more."""
EPOCHS_ON_CROPS = 6
"""The same on crops, of which an epoch costs half as much (docs/log.md)."""
FEWEST_EPOCHS = 2  # below, the rate has no time to rise and fall
VIEWS = 2
"""The plain one and an augmented one; on six splits of flowers three augmented ones, each of which
costs a pass through the frozen stages, did no better."""
LONG = 4
"""Stages from which a network begins with its last two: together they gain more than one after
the other, in less time (docs/log.md)."""

HIGHEST_RATE = 3e-4
"""Of head and body on a rung, with Adam or AdamW. From the solved head 1e-3 first destroys what is
known, and ends with less, less surely (docs/log.md)."""

HOPED = 0.25
"""The share of a rung's gain that the next one is hoped to bring."""
WORTH = 0.1
"""The share of the loss that must be hoped for, for as much work as all before it."""
HARM = 0.25
"""The share by which a rung may have raised the loss at half time and go on. Of ten splits of
flowers, on nine of which two stages helped, one had raised it, by 0.16; of six splits of ants and
bees, where they did harm, all had, by 0.28 and more, two of them from nothing (docs/log.md)."""
BACKWARD = 2  # a training step's arithmetic beside its forward pass, in forward passes


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRung:
    """A freezing depth to try, and how long."""

    num_last: int  # stages that learn beside the head
    epochs: int
    views: int  # 1 = only the plain one; without meaning where the whole network learns

    @property
    def on_crops(self) -> bool:
        """Whether its steps learn from crops, where these may be: they take the place of views."""
        return self.views == 1

    def __str__(self) -> str:
        """Return the text of `Recipe.rungs`."""
        return f"{self.num_last}:{self.epochs}:{self.views}"


def read_rungs(texts: Sequence[str]) -> tuple[PlannedRung, ...]:
    """Return the rungs that texts such as 2:6:4 mean.

    >>> read_rungs(["2:6:4"])[0].epochs, read_rungs([NO_RUNG])
    (6, ())
    """
    numbers = [[int(piece) for piece in text.split(":")] for text in texts if text != NO_RUNG]
    return tuple(PlannedRung(num_last=d, epochs=e, views=v) for d, e, v in numbers)


def depths(num_stages: int) -> tuple[int, ...]:
    """Return the freezing depths of the ladder: the last stage, the last two, four, …, all.

    The first steps are the cheap ones and the likely ones. Doubling keeps the ladder of a network
    with thirteen stages as short as that of one with five.

    >>> depths(8), depths(5), depths(1)
    ((1, 2, 4, 8), (1, 2, 4, 5), (1,))
    """
    powers = [2**n for n in range(num_stages.bit_length()) if 2**n < num_stages]
    return (*powers, num_stages) if num_stages else ()


def first_depths(num_stages: int) -> tuple[int, ...]:
    """Return the depths that most climbs come to: looked at from the first, all in one pass.

    >>> first_depths(8), first_depths(1)
    ((1, 2), (1,))
    """
    return depths(num_stages)[:2]


def half_time(epochs: int) -> int:
    """Return the epoch after which a rung that does harm ends; 0 where it has too few to say so.

    >>> half_time(4), half_time(3), half_time(2)
    (2, 2, 0)
    """
    return (epochs + 1) // 2 if epochs > FEWEST_EPOCHS else 0


def next_depth(
    num_stages: int, *, tried: Sequence[int], taken: int, harmed: bool = False
) -> int | None:
    """Return how many stages the next rung lets learn; None where the climb ends.

    The last two come first, in networks of few stages the last one. Where two lower the loss, but
    not surely, the last one alone is tried, which overfits less; where they raise it, there is
    nothing to learn that the head has not (docs/log.md). Where one alone fails, two are tried, for
    it may be too little room. A second failure ends the climb, and so does one after a success:
    deeper rungs cost more and have rarely brought what shallower ones could not.

    Args:
        num_stages: of the network.
        tried: depths of the rungs so far, in their order.
        taken: the depth of the last one that was taken; 0 = none.
        harmed: whether the last one raised the loss.

    >>> next_depth(8, tried=[], taken=0), next_depth(8, tried=[2], taken=0)
    (2, 1)
    >>> next_depth(8, tried=[2], taken=2), next_depth(8, tried=[2, 4], taken=2) is None
    (4, True)
    """
    ladder = depths(num_stages)
    first = 1 if num_stages >= LONG else 0
    if not tried:
        return ladder[first] if ladder else None
    if taken:
        deeper = [depth for depth in ladder if depth > taken]
        return deeper[0] if deeper and taken == max(tried) else None
    other = [depth for depth in ladder[: 1 if first else 2] if depth not in tried]
    if not other or len(tried) > 1 or (harmed and other[0] < tried[0]):
        return None
    return other[0]


def usual_rung(recipe: Recipe, num_last: int, *, crops: bool) -> PlannedRung:
    """Return a rung as it is without a budget; it depends on no clock.

    Crops of the plain view take the place of augmented ones, where they may and no views were
    asked for.

    >>> str(usual_rung(Recipe(), 2, crops=True)), str(usual_rung(Recipe(), 2, crops=False))
    ('2:6:1', '2:4:2')
    """
    views = (recipe.views or (1 if crops else VIEWS)) if recipe.augment else 1
    usual = EPOCHS_ON_CROPS if crops and views == 1 else EPOCHS
    return PlannedRung(num_last=num_last, epochs=recipe.epochs or usual, views=views)


def rung_name(num_last: int, num_stages: int) -> str:
    """Return what to call a freezing depth.

    >>> rung_name(0, 5), rung_name(1, 5), rung_name(2, 5), rung_name(5, 5)
    ('head', 'last stage', 'last 2 stages', 'all')
    """
    if num_last == 0:
        return "head"
    if num_last == num_stages:
        return "all"
    return "last stage" if num_last == 1 else f"last {num_last} stages"


def rung_recipe(recipe: Recipe, planned: PlannedRung) -> Recipe:
    """Return the recipe of one rung: its epochs, and a lower rate the more stages learn.

    Source: measured on flowers and on ants and bees (docs/log.md).

    >>> rung = PlannedRung(num_last=4, epochs=4, views=2)
    >>> rung_recipe(Recipe(), rung).lr, rung_recipe(Recipe(), rung).body_lr
    (0.0003, 0.00015)
    """
    head_lr = recipe.lr or (1e-2 if recipe.opt == "sgd" else HIGHEST_RATE)
    body_lr = recipe.body_lr or head_lr * min(1.0, 2 / planned.num_last)
    return recipe.replace(epochs=planned.epochs, lr=head_lr, body_lr=body_lr)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a ladder computes, in FLOPs; counted, so that it is the same on any machine and day."""

    behind: tuple[float, ...]  # of one picture behind the cut before the last 0, 1, 2, … stages
    num_pictures: int  # all that the frozen stages are asked about as they are
    num_train: int
    crops: Mapping[int, float] = field(default_factory=dict)
    """By depth, the share of its maps that a step on the plain view learns from, in 0-1."""

    def of_rung(self, rung: PlannedRung) -> float:
        """Return the work of its epochs, and of a pass that it needs for itself."""
        share = self.crops.get(rung.num_last, 1.0) if rung.on_crops else 1.0
        whole = 1 + share * (rung.epochs - 1)  # epochs; the last one is on whole maps
        epochs = (1 + BACKWARD) * self.behind[rung.num_last] * self.num_train * whole
        if self._is_first(rung) or rung.num_last == len(self.behind) - 1:
            return epochs
        before_the_cut = self.behind[-1] - self.behind[rung.num_last]
        return epochs + before_the_cut * self._pictures(rung.views)

    def before(self, tried: Sequence[PlannedRung]) -> float:
        """Return the work of the first pass, of its views, and of the rungs that were tried."""
        views = max((rung.views for rung in tried if self._is_first(rung)), default=1)
        passed = self.behind[-1] * self._pictures(views)
        return passed + sum(self.of_rung(rung) for rung in tried)

    def _is_first(self, rung: PlannedRung) -> bool:
        return rung.num_last in first_depths(len(self.behind) - 1)

    def _pictures(self, views: int) -> int:
        return self.num_pictures + (views - 1) * self.num_train


def work_of(
    network: Network, *, num_pictures: int, num_train: int, crops: Mapping[int, float]
) -> Work:
    """Return the work that this network makes; `crops` as in `Work`."""
    flops = {row.name: row.flops for row in layer_table(network, network.input_px)}
    names = {id(module): name for name, module in network.body.named_modules()}
    behind = [float(flops.get(network.classifier_name, 0))]
    for stage in reversed(network.stages):
        behind.append(behind[-1] + sum(flops.get(names[id(m)], 0) for m in stage.modules))
    return Work(behind=tuple(behind), num_pictures=num_pictures, num_train=num_train, crops=crops)


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Seconds, measured on this machine in this run."""

    view: float  # one more view of all training pictures
    epoch: float  # one epoch of this rung, judging included
    opening: float  # what comes before the first step


def fitted_to(wanted: PlannedRung, costs: Costs, seconds: float) -> PlannedRung | None:
    """Return the rung with as many epochs and views as fit into `seconds`; None if too few do.

    Epochs come first. Views are thinned out before a third of the epochs is, for a rung on the
    plain view alone is still a rung.

    >>> rung = PlannedRung(num_last=1, epochs=6, views=4)
    >>> str(fitted_to(rung, Costs(view=2.0, epoch=1.0, opening=1.0), 10.0))
    '1:5:3'
    >>> fitted_to(rung, Costs(view=2.0, epoch=9.0, opening=1.0), 10.0) is None
    True
    """
    free = seconds - costs.opening
    epochs = min(wanted.epochs, int(free / max(costs.epoch, 1e-9)))
    fewest = min(FEWEST_EPOCHS, wanted.epochs)
    if epochs < fewest:
        return None
    fewest = max(fewest, math.ceil(epochs * 2 / 3))
    for views in range(wanted.views, 0, -1):
        fit = int((free - (views - 1) * costs.view) / max(costs.epoch, 1e-9))
        if fit >= fewest:
            return PlannedRung(
                num_last=wanted.num_last, epochs=min(fit, wanted.epochs), views=views
            )
    return None


def seconds_a_step(
    network: Network,
    inputs: Inputs,
    rows: np.ndarray,
    *,
    bf16: bool,
    steps: int = 2,
    seconds: float = math.inf,
) -> float:
    """Return the seconds of a forward and a backward pass on `rows`, after one to warm up.

    Where more of them would take more than the `seconds` there are, those of the first, which are
    too many.

    Nothing is updated: the caller's weights, statistics and gradients are as before. What memory
    does not hold at once is computed in pieces, as a step would be.
    """
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.train()
    taken: list[float] = []
    pieces = 1
    device = next(network.parameters()).device.type
    gradients = Gradients(network, device=device, bf16=bf16)
    with inputs.opened():
        while len(taken) <= steps and steps * (taken or [0.0])[0] <= seconds:
            begun = time.perf_counter()
            given = inputs.batch(rows, epoch=0, step=len(taken))
            try:
                gradients(given, lambda logits, _: logits.square().sum() / len(rows), pieces=pieces)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error) or pieces >= len(rows):
                    raise
                pieces, taken = 2 * pieces, []
                continue
            taken.append(time.perf_counter() - begun)
    network.zero_grad(set_to_none=True)
    network.load_state_dict(before)
    network.eval()
    return min(taken[1:] or taken)
