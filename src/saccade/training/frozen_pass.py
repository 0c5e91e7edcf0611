"""One engine for a frozen prefix: asked about every picture once, and once for each view."""

import math
import time
from collections.abc import Mapping, Sequence

import numpy as np

from saccade.data.batches import batches
from saccade.models.cuts import Cut, Taps
from saccade.models.engine import Engine
from saccade.models.inference import open_engine
from saccade.models.network import Network
from saccade.training.activations import Activations, ViewsOfPictures, compute
from saccade.training.augment import Augmenter, augment_of, in_canvases
from saccade.training.material import Material
from saccade.training.plan import PlannedRung
from saccade.training.recipe import Recipe
from saccade.training.surroundings import Surroundings

ROUGH = 0.01
"""Rounding error of kept views, of the largest activation, that is said; usual are 5e-4."""
PROBES = 16  # pictures to time the augmentation on


class FrozenPass:
    """Activations at some cuts of a network; the deepest of them needs the least of it."""

    def __init__(
        self,
        network: Network,
        material: Material,
        recipe: Recipe,
        surroundings: Surroundings,
        rows: Sequence[int],
        cuts: Mapping[int, Cut],
    ) -> None:
        """Compute nothing yet.

        Args:
            network: as `FrozenStages`.
            material: pixels, answers and rows.
            recipe: which augmentation, from which seed.
            surroundings: who watches, and where large things are kept.
            rows: all that will be asked about as they are.
            cuts: by how many stages lie behind each.
        """
        self.network, self.material, self.recipe = network, material, recipe
        self.around, self.rows, self.cuts = surroundings, rows, cuts
        self.seconds_a_picture = 0.0  # of one pass over pictures as they are, measured
        self.views: list[dict[int, Activations]] = []
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The engine that answers, opened when it is first needed.

        On a processor in fp32, also where it has bf16: in that every picture would have to be asked
        once more by the network as it ships, which takes longer than it saves (docs/log.md).
        """
        if self._engine is None:
            depths = "-".join(map(str, self.cuts))
            key = self.around.weights_key
            self._engine = open_engine(
                Taps(self.network, tuple(self.cuts.values())),
                preprocess=self.material.cache.preprocess,
                device=self.around.device,
                num_pictures=len(self.rows),
                exact=self.around.device == "cpu",
                key=f"{key}-{self.network.architecture}-{depths}" if key else "",
                cache_dir=self.around.cache_folder,
            )
            for note in self._engine.notes:
                self.around.progress.say(note)
        return self._engine

    def add_views(self, number: int) -> bool:
        """Compute until so many views are there, the plain one first; False if asked to stop."""
        while len(self.views) < number:
            if not self._add_view(len(self.views)):
                return False
        return True

    def seconds_a_view(self) -> float:
        """Return what one more augmented view costs: asking, as measured, and augmenting."""
        rows = self.material.train_rows[:PROBES]
        canvases = self.material.cache.canvases(rows)
        begun = time.perf_counter()
        self._augmenter()(canvases, rows, epoch=1)
        augmenting = (time.perf_counter() - begun) / max(len(rows), 1)
        return (self.seconds_a_picture + augmenting) * len(self.material.train_rows)

    def pictures(self, planned: PlannedRung) -> ViewsOfPictures:
        """Return the views that a rung learns from."""
        views = tuple(view[planned.num_last] for view in self.views[: planned.views])
        cut = self.cuts[planned.num_last]
        return ViewsOfPictures(cut=cut, views=views, seed=self.recipe.seed)

    def at(self, depth: int, answers: np.ndarray) -> np.ndarray:
        """Return the activations at one cut from an answer of the engine, float32 (B, …)."""
        start = 0
        for own, cut in self.cuts.items():
            width = math.prod(cut.shape)
            if own == depth:
                return answers[:, start : start + width].reshape(len(answers), *cut.shape)
            start += width
        raise KeyError(depth)

    def features_of_view(self, rows: np.ndarray, *, view: int) -> np.ndarray:
        """Return what the classifier is given of a view that is not kept, float32 (B, D)."""
        cache, augmenter, found = self.material.cache, self._augmenter(), []
        for piece in batches(rows, self.engine.batch):
            canvases = cache.canvases(piece)
            changed = augmenter(canvases, piece, epoch=view)
            found.append(self.features(in_canvases(canvases, changed, cache.preprocess)))
        return np.concatenate(found)

    def features(self, canvases_BHWC: np.ndarray) -> np.ndarray:
        """Return what the classifier is given of canvases, float32 (B, D)."""
        return self.at(0, self.engine(canvases_BHWC)).reshape(len(canvases_BHWC), -1)

    def _add_view(self, view: int) -> bool:
        rows = self.material.train_rows if view else self.rows
        what = f"augmented view {view} of the frozen stages" if view else "frozen stages"
        engine = self.engine
        self.around.progress.start(what, len(rows), "pictures")
        begun = time.perf_counter()
        found = compute(
            engine,
            tuple(self.cuts.values()),
            self.material.cache,
            rows,
            num_rows=len(self.material.targets),
            view=view,
            augmenter=self._augmenter(),
            folder=self.around.cache_folder,
            progress=self.around.progress,
            asked_to_stop=self.around.asked_to_stop,
        )
        if found is None:
            return False
        error = max(own.error for own in found)
        if error > ROUGH:
            self.around.note(
                f"Activations of augmented view {view} are kept to {error:.1e} of the largest, for "
                "some are too large for 16 bits."
            )
        if view == 0:
            self.seconds_a_picture = (time.perf_counter() - begun) / max(len(rows), 1)
        self.views.append(dict(zip(self.cuts, found, strict=True)))
        return True

    def _augmenter(self) -> Augmenter:
        augment, preprocess = augment_of(self.recipe), self.material.cache.preprocess
        return Augmenter(augment, preprocess, seed=self.recipe.seed, device="cpu")
