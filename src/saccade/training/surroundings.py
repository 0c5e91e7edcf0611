"""Where learning runs and who watches it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from saccade.runtime.budget import NO_BUDGET, Budget
from saccade.runtime.progress import Progress
from saccade.training.history import History
from saccade.training.material import Material
from saccade.training.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where a fit runs and who watches it."""

    device: str
    history: History
    progress: Progress
    asked_to_stop: Callable[[], bool] = bool  # called after every step; False = go on
    checkpoint_path: Path | None = None
    checkpoint_seconds: float = 15.0  # at least this long between two, but for an interruption
    budget: Budget = NO_BUDGET
    cache_folder: Path | None = None  # for activations and converted networks
    weights_key: str = ""  # a hash of the pretrained weights; "" = converted anew each time
    started: float = field(default_factory=time.monotonic)  # when the run began
    on_look: Callable[[np.ndarray], Material] | None = None
    """Given what the frozen network says of every picture, before the network learns from any; says
    what there is to learn from now."""
    on_model: Callable[[int], None] | None = None  # a usable model stands; stages that learned
    on_plan: Callable[[tuple[str, ...]], None] | None = None  # `Recipe.rungs`, once all is climbed
    on_recipe: Callable[[Recipe], None] | None = None  # once its augmentation is settled

    def note(self, sentence: str) -> None:
        """Tell one thing that should stay in the history (once, however often a run goes on)."""
        if all(event.get("sentence") != sentence for event in self.history.events):
            self.history.add("note", sentence=sentence)
        self.progress.say(sentence)

    def seconds_since_start(self) -> float:
        """Return how long the run has been going on."""
        return time.monotonic() - self.started
