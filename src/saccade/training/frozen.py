"""The frozen part of a network, asked once about every picture and never again."""

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from saccade.models.cuts import Cut, Taps, find_cut
from saccade.models.engine import Engine
from saccade.models.inference import open_engine
from saccade.models.network import Network
from saccade.runtime.store import free_bytes
from saccade.training.activations import (
    Activations,
    ViewsOfPictures,
    as_tensor,
    compute,
    num_bytes,
)
from saccade.training.augment import Augmenter, augment_of
from saccade.training.fit import Material, Surroundings
from saccade.training.inputs import FrozenAnswers, Inputs, Pictures, ask_suffix
from saccade.training.plan import PlannedRung
from saccade.training.recipe import Recipe

PROBES = 16  # pictures to time the augmentation on
SHARE_OF_DISK = 0.25  # of the free space, for activations


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """What a network says of every picture, in the order of the catalogue."""

    logits_NK: np.ndarray  # float32
    features_ND: np.ndarray  # float32: what its classifier is given


class FrozenStages:
    """Activations at the cuts of one network, for every picture of a run.

    The network's weights behind a cut may change; those before it must stay as they were given.
    """

    def __init__(
        self,
        network: Network,
        material: Material,
        recipe: Recipe,
        surroundings: Surroundings,
        *,
        depths: Sequence[int],
    ) -> None:
        """Cut the network before the head, and at each depth that can be cut and kept.

        Depths without a cut, or whose activations would take too much room, learn from whole
        pictures; a note says so.
        """
        self.network, self.material, self.recipe = network, material, recipe
        self.around = surroundings
        self.rows = [*material.train_rows, *material.validation_rows, *material.asked_rows]
        head = find_cut(network, 0)
        if head is None:  # cannot be: the classifier is one layer with one input
            raise RuntimeError("the network has no classifier to cut before")
        self.cuts: dict[int, Cut] = {0: head}
        partial = [depth for depth in depths if 0 < depth < len(network.stages)]
        for depth in partial:
            cut = find_cut(network, depth)
            if cut is not None and self._has_room(cut):
                self.cuts[depth] = cut
        left_out = [depth for depth in partial if depth not in self.cuts]
        if left_out:
            surroundings.progress.say(
                f"{network.name} cannot be cut, or its answers not be kept, before its last "
                f"{', '.join(map(str, left_out))} stages; there the whole network runs each epoch."
            )
        self.seconds_a_picture = 0.0  # of one pass over pictures as they are, measured
        self._engine: Engine | None = None
        self._views: list[dict[int, Activations]] = []

    @property
    def engine(self) -> Engine:
        """The engine that answers for the frozen part, opened when it is first needed."""
        if self._engine is None:
            depths = "-".join(map(str, self.cuts))
            key = self.around.weights_key
            self._engine = open_engine(
                Taps(self.network, tuple(self.cuts.values())),
                preprocess=self.material.cache.preprocess,
                device=self.around.device,
                num_pictures=len(self.rows),
                exact=False,
                key=f"{key}-{self.network.architecture}-{depths}" if key else "",
                cache_dir=self.around.cache_folder,
            )
            for note in self._engine.notes:
                self.around.progress.say(note)
        return self._engine

    @property
    def exact(self) -> bool:
        """Whether its answers are those of the network as it ships, in fp32."""
        return "fp32" in self.engine.name

    def look(self) -> bool:
        """Ask about every picture as it is; False if asked to stop."""
        return self._add_view(0)

    def seconds_a_view(self) -> float:
        """Return what one more augmented view costs: asking, as measured, and augmenting."""
        rows = self.material.train_rows[:PROBES]
        canvases = self.material.cache.canvases(rows)
        begun = time.perf_counter()
        self._augmenter()(canvases, rows, epoch=1)
        augmenting = (time.perf_counter() - begun) / max(len(rows), 1)
        return (self.seconds_a_picture + augmenting) * len(self.material.train_rows)

    def features(self, rows: Sequence[int]) -> np.ndarray:
        """Return what the classifier is given, float32 (B, D)."""
        return _flat_of(self._views[0][0], rows)

    def view_features(self) -> tuple[Callable[[np.ndarray], np.ndarray], ...]:
        """Return for each augmented view so far what gives the features of training rows."""
        return tuple(partial(_flat_of, view[0]) for view in self._views[1:])

    def inputs(self, planned: PlannedRung) -> Inputs | None:
        """Return what a rung learns from; None if asked to stop while views were computed."""
        if planned.num_last not in self.cuts:
            return Pictures(self.material.cache, self.recipe, device=self.around.device)
        active = augment_of(self.recipe).active
        while len(self._views) < (planned.views if active else 1):
            if not self._add_view(len(self._views)):
                return None
        return FrozenAnswers(self._pictures(planned), device=self.around.device)

    def logits(self, depth: int, rows: Sequence[int]) -> np.ndarray:
        """Return logits_NK of rows that were looked at, by the network as it is now."""
        plain = PlannedRung(num_last=depth, epochs=1, views=1)
        answers = FrozenAnswers(self._pictures(plain), device=self.around.device)
        return answers.logits(self.network, rows)

    def all_features(self) -> np.ndarray:
        """Return what the classifier is given of every picture, float32 (N, D), not copied.

        Raises:
            LookupError: not every row of the catalogue was looked at.
        """
        plain = self._views[0][0]
        if len(plain.values) != len(plain.place_N):
            raise LookupError("not every picture was looked at")
        return plain.values.reshape(len(plain.values), -1)

    def asked(self, depth: int) -> Asked:
        """Return what the network as it is now says of every picture."""
        plain = PlannedRung(num_last=depth, epochs=1, views=1)
        answers = FrozenAnswers(self._pictures(plain), device=self.around.device)
        every = range(len(self.material.targets))
        if depth == 0:  # a million features are gigabytes: those that are there already will do
            logits_NK = answers.logits(self.network, every)
            return Asked(logits_NK=logits_NK, features_ND=self.all_features())
        features_ND, logits_NK = answers.features_and_logits(self.network, every)
        return Asked(logits_NK=logits_NK, features_ND=features_ND)

    def final_engine(self, depth: int) -> Callable[[np.ndarray], np.ndarray]:
        """Return what the network as it is now says of canvases: to logits (B, K), float32."""

        def ask(canvases_BHWC: np.ndarray) -> np.ndarray:
            found = as_tensor(self._at(depth, self.engine(canvases_BHWC)))
            logits_BK: np.ndarray = ask_suffix(
                self.network, self.cuts[depth], found, device=self.around.device
            )[1]
            return logits_BK

        return ask

    def frozen_engine(self, depth: int) -> Callable[[np.ndarray], np.ndarray] | None:
        """Return what the classifier was given of canvases before any stage learned.

        None where the engine shares its weights with the network, `depth` stages of which learned.
        """
        if depth and self.engine.name == "torch fp32":
            return None
        return lambda canvases_BHWC: self._at(0, self.engine(canvases_BHWC)).reshape(
            len(canvases_BHWC), -1
        )

    def _at(self, depth: int, answers: np.ndarray) -> np.ndarray:
        """Return the activations at one cut from an answer of the engine, float32 (B, …)."""
        start = 0
        for own, cut in self.cuts.items():
            width = math.prod(cut.shape)
            if own == depth:
                return answers[:, start : start + width].reshape(len(answers), *cut.shape)
            start += width
        raise KeyError(depth)

    def _pictures(self, planned: PlannedRung) -> ViewsOfPictures:
        views = tuple(view[planned.num_last] for view in self._views[: planned.views])
        cut = self.cuts[planned.num_last]
        return ViewsOfPictures(cut=cut, views=views, seed=self.recipe.seed)

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
        if view == 0:
            self.seconds_a_picture = (time.perf_counter() - begun) / max(len(rows), 1)
        self._views.append(dict(zip(self.cuts, found, strict=True)))
        return True

    def _augmenter(self) -> Augmenter:
        augment, preprocess = augment_of(self.recipe), self.material.cache.preprocess
        return Augmenter(augment, preprocess, seed=self.recipe.seed, device="cpu")

    def _has_room(self, cut: Cut) -> bool:
        folder = self.around.cache_folder
        num = len(self.rows)
        taken = num_bytes(num, cut.shape) + sum(num_bytes(num, c.shape) for c in self.cuts.values())
        taken = round(taken * (1 + (self.recipe.views or 4) / 2))
        return taken <= (SHARE_OF_DISK * free_bytes(folder) if folder else _half_of_memory())


def _flat_of(activations: Activations, rows: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return activations of some rows, a vector each, float32 (B, D)."""
    found = activations.of(rows)
    return found.reshape(len(found), -1)


def _half_of_memory() -> float:
    try:
        return 0.5 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 2.0**31
