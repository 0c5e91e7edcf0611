"""Where on the freezing ladder a run stands, and which rung comes next."""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

from saccade.training.checkpoint import Checkpoint
from saccade.training.plan import PlannedRung, next_depth, read_rungs, usual_rung
from saccade.training.recipe import Recipe


@dataclass(slots=True, kw_only=True)
class Climb:
    """Where on the ladder a run stands."""

    depth: int = 0  # stages that learned in the network as it is; 0 = only the head was solved
    number: int = 0  # rungs that were tried
    interrupted: bool = False
    planned: tuple[str, ...] = ()  # as `Recipe.rungs`
    given: bool = False  # whether the recipe named the rungs
    hope: float = math.inf  # the share of the loss that the next rung may take away
    harmed: bool = False  # the last rung raised the loss

    @property
    def counters(self) -> dict[str, object]:
        """What a checkpoint keeps of it."""
        return {f"ladder_{name}": getattr(self, name) for name in _KEPT}


_KEPT = ("depth", "number", "planned", "given", "hope", "harmed")


def climb_from(checkpoint: Checkpoint) -> Climb:
    """Return where on the ladder a checkpoint stands."""
    known = checkpoint.counters  # of an earlier version: without what it did not know
    kept = {name: known[f"ladder_{name}"] for name in _KEPT if f"ladder_{name}" in known}
    return Climb(**{**kept, "planned": tuple(kept["planned"])})


def next_rung(
    recipe: Recipe, num_stages: int, standing: Climb, *, crop: Callable[[int], int | None]
) -> PlannedRung | None:
    """Return the rung to try: as named or as planned before, else as by default; None at the end.

    A rung that was named for more stages than there are means all of them. `crop` gives the side
    of the crops that a rung of so many stages may learn from, as `FrozenStages.crop`.
    """
    rungs = read_rungs(recipe.rungs if standing.given else standing.planned)
    if standing.number < len(rungs):
        rung = rungs[standing.number]
        return dataclasses.replace(rung, num_last=min(rung.num_last, num_stages))
    if standing.given:
        return None
    tried = [rung.num_last for rung in read_rungs(standing.planned)]
    depth = next_depth(num_stages, tried=tried, taken=standing.depth, harmed=standing.harmed)
    if depth is None:
        return None
    return usual_rung(recipe, depth, crops=crop(depth) is not None)
