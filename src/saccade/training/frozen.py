"""The frozen part of a network, asked about every picture once and not again in every epoch."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from saccade.data.batches import batches
from saccade.models.crops import crop_side
from saccade.models.cuts import Cut, find_cut
from saccade.models.engine import Engine
from saccade.models.network import Network
from saccade.runtime.errors import UsageError
from saccade.runtime.machine import let_go, rows_of
from saccade.runtime.store import free_bytes
from saccade.training.activations import Activations, as_tensor, num_bytes
from saccade.training.augment import augment_of
from saccade.training.crops import Crops, may_crop
from saccade.training.frozen_pass import FrozenPass
from saccade.training.inputs import BATCH, FrozenAnswers, Inputs, Pictures, Suffix
from saccade.training.material import Material
from saccade.training.plan import PlannedRung
from saccade.training.recipe import Recipe
from saccade.training.surroundings import Surroundings

_ROWS_AT_ONCE = 64 * BATCH  # whole batches, so that answers have the same bits
SHARE_OF_DISK = 0.25  # of the free space, for activations
SECONDS_TO_CONVERT = 2.5  # a network for OpenVINO, about
FP32 = 2.0  # how much longer than bf16 it takes


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
        pictures; a note says so. A depth that is not named here is cut when it is first asked for,
        and costs a pass of its own.
        """
        self.network, self.material, self.recipe = network, material, recipe
        self.around = surroundings
        self.rows = [*material.train_rows, *material.validation_rows, *material.asked_rows]
        head = find_cut(network, 0)
        if head is None:  # CLIP's attention pooling asks it of every place of the map
            raise UsageError(
                f"{network.name} does more with its classifier than to give it one vector a "
                "picture, so its head cannot be solved on frozen features.",
                code="217",
                where=f"--model {network.name}",
                fix="choose another architecture of the family (of CLIP's ResNets one called gap)",
            )
        self._uncut: set[int] = set()
        self._deeper_cuts: dict[int, Cut | None] = {}  # by depth, where it was asked for
        self._crops: dict[int, int | None] = {}  # by depth, where it was asked for
        folder = surroundings.cache_folder
        self._room = SHARE_OF_DISK * free_bytes(folder) if folder else _half_of_memory()
        cuts = {0: head}
        for depth in depths:
            cut = self._cut(depth, list(cuts.values()))
            if cut is not None:
                cuts[depth] = cut
        self._tell_uncut(sorted(self._uncut))
        self._passes = [self._pass(cuts)]

    @property
    def engine(self) -> Engine:
        """The engine that answers for the stages that were frozen from the first."""
        return self._passes[0].engine

    @property
    def knows_all(self) -> bool:
        """Whether every picture of the catalogue is asked about, each once."""
        return len(self.rows) == len(self.material.targets)

    @property
    def seconds_to_forward(self) -> float:
        """How long the pass took in which every picture was asked about, as it is."""
        return self._passes[0].seconds_a_picture * len(self.rows)

    def exact(self, depth: int) -> bool:
        """Whether activations are held there, and are those of the network as it ships: in fp32."""
        own = self._held(depth)
        return own is not None and "fp32" in own.engine.name

    def look(self) -> bool:
        """Ask about every picture as it is; False if asked to stop."""
        return self._passes[0].add_views(1)

    def deal(self, material: Material) -> None:
        """Go on with other parts of the same pictures; only as long as there is no view of any."""
        self.material = material
        for own in self._passes:
            own.material = material

    def hold(self, depth: int) -> bool:
        """Look at every picture before the last `depth` stages too; False if asked to stop.

        A run that goes on after a deep rung was taken has not come by its pass again.
        """
        own = self._held(depth) or self._deeper(depth)
        return own is None or own.add_views(1)

    def seconds_a_view(self, depth: int) -> float:
        """Return what one more augmented view costs: asking, as measured, and augmenting."""
        return (self._held(depth) or self._passes[0]).seconds_a_view()

    def seconds_to_look(self, depth: int) -> float:
        """Return about what a pass costs that a rung of this depth needs first; 0 = it was made."""
        own = self._held(depth)
        if own is not None or depth in self._uncut or not 0 < depth < len(self.network.stages):
            return 0.0
        first = self._passes[0]
        opening = max(first.engine.seconds_to_open, SECONDS_TO_CONVERT)  # that may have been kept
        return opening + first.seconds_a_picture * len(self.rows)

    def seconds_to_answer(self, depth: int) -> float:
        """Return about what the test part costs on top, with so many stages that learned.

        Nothing where what the frozen stages said leads to its answers. In bf16 it does not, nor
        where the network has no cut: then the whole of it is asked about every picture, in fp32.
        """
        cut = depth == 0 or (depth < len(self.network.stages) and depth not in self._uncut)
        if cut and "fp32" in self.engine.name:
            return 0.0
        slower = 1.0 if "fp32" in self.engine.name else FP32
        return SECONDS_TO_CONVERT + slower * self._passes[0].seconds_a_picture * len(self.rows)

    def features(self, rows: Sequence[int]) -> np.ndarray:
        """Return what the classifier is given, float32 (B, D), copied."""
        plain = self._passes[0].views[0][0]
        return rows_of(plain.values, plain.places(rows)).reshape(len(rows), -1)

    def view_features(self, depth: int) -> tuple[Callable[[np.ndarray], np.ndarray], ...]:
        """Return for each augmented view so far what gives the features of training rows.

        Where rungs learned from crops and no view was made, one is, of the rows that are asked
        for; not where the engine shares its weights with the network, `depth` stages of which
        learned. None where only a deeper rung, or only a run before it was stopped, asked for
        views, and where nothing but the head learned.
        """
        first = self._passes[0]
        kept = tuple(partial(_flat_of, view[0]) for view in first.views[1:])
        if kept or not any(self._crops.values()) or (depth and first.engine.shares_weights):
            return kept
        return (partial(first.features_of_view, view=1),)

    def inputs(self, planned: PlannedRung, *, crops: bool = False) -> Inputs | None:
        """Return what a rung learns from; None if asked to stop while views were computed.

        Args:
            planned: how many stages, for how many epochs, and how many views.
            crops: from crops of the kept activations, where that may be (`crop`).
        """
        own = self._held(planned.num_last) or self._deeper(planned.num_last)
        if own is None:
            return Pictures(self.material.cache, self.recipe, device=self.around.device)
        active = augment_of(self.recipe).active
        if not own.add_views(planned.views if active else 1):
            return None
        side = self.crop(planned.num_last) if crops else None
        return FrozenAnswers(
            own.pictures(planned),
            device=self.around.device,
            crops=None if side is None else self._cropped(side, planned.epochs),
        )

    def crop(self, depth: int) -> int | None:
        """Return the side of the crops that a rung may learn from; None = from whole maps only."""
        if depth not in self._crops:
            cut = self._cut_at(depth) if may_crop(self.recipe, self.material.task) else None
            self._crops[depth] = None if cut is None else crop_side(self.network, cut)
        return self._crops[depth]

    def share(self, depth: int) -> float:
        """Return how much of its maps a step on crops learns from, in 0-1."""
        side, cut = self.crop(depth), self._cut_at(depth)
        return 1.0 if side is None or cut is None else (side / cut.shape[-1]) ** 2

    def logits(self, depth: int, rows: Sequence[int]) -> np.ndarray:
        """Return logits_NK of rows that were looked at, by the network as it is now."""
        return self._plain(depth).logits(self.network, rows)

    def all_features(self) -> np.ndarray:
        """Return what the classifier is given of every picture, float32 (N, D), not copied.

        Raises:
            LookupError: not every row of the catalogue was looked at.
        """
        plain = self._passes[0].views[0][0]
        if len(plain.values) != len(plain.place_N):
            raise LookupError("not every picture was looked at")
        return plain.values.reshape(len(plain.values), -1)

    def asked(self, depth: int) -> Asked:
        """Return what the network as it is now says of every picture."""
        every = range(len(self.material.targets))
        if depth == 0:  # a million features are gigabytes: those that are there already will do
            said = []
            for piece in batches(every, _ROWS_AT_ONCE):
                said.append(self.logits(0, piece.tolist()))
                let_go(self.all_features())
            return Asked(logits_NK=np.concatenate(said), features_ND=self.all_features())
        features_ND, logits_NK = self._plain(depth).features_and_logits(self.network, every)
        return Asked(logits_NK=logits_NK, features_ND=features_ND)

    def final_engine(self, depth: int) -> Callable[[np.ndarray], np.ndarray]:
        """Return what the network as it now is says of canvases: to logits (B, K), float32."""
        own = self._known(depth)
        suffix = Suffix(self.network, own.cuts[depth], device=self.around.device)

        def answer(canvases_BHWC: np.ndarray) -> np.ndarray:
            found = as_tensor(own.at(depth, own.engine(canvases_BHWC)))
            with suffix.asked() as ask:
                return ask(found)[1]

        return answer

    def frozen_engine(self, depth: int) -> Callable[[np.ndarray], np.ndarray] | None:
        """Return what the classifier was given of canvases before any stage learned.

        None where the engine shares its weights with the network, `depth` stages of which learned.
        """
        first = self._passes[0]
        if depth and first.engine.shares_weights:
            return None
        return first.features

    def _held(self, depth: int) -> FrozenPass | None:
        return next((own for own in self._passes if depth in own.cuts), None)

    def _cut_at(self, depth: int) -> Cut | None:
        """Return the cut before the last `depth` stages, made or not; None where it cannot be."""
        own = self._held(depth)
        if own is not None:
            return own.cuts[depth]
        if depth in self._uncut or not 0 < depth < len(self.network.stages):
            return None
        if depth not in self._deeper_cuts:
            held = [cut for own in self._passes for cut in own.cuts.values()]
            self._deeper_cuts[depth] = self._cut(depth, held)
            self._tell_uncut(sorted({depth} & self._uncut))
        return self._deeper_cuts[depth]

    def _cropped(self, side: int, epochs: int) -> Crops:
        mirrored = augment_of(self.recipe).hflip
        return Crops(side=side, mirrored=mirrored, epochs=epochs, seed=self.recipe.seed)

    def _known(self, depth: int) -> FrozenPass:
        own = self._held(depth)
        if own is None:
            raise LookupError(f"no activations are held before the last {depth} stages")
        return own

    def _plain(self, depth: int) -> FrozenAnswers:
        pictures = self._known(depth).pictures(PlannedRung(num_last=depth, epochs=1, views=1))
        return FrozenAnswers(pictures, device=self.around.device)

    def _deeper(self, depth: int) -> FrozenPass | None:
        """Return a pass that ends before the last `depth` stages; None where it cannot be."""
        cut = self._cut_at(depth)
        if cut is None:
            return None
        self._passes.append(self._pass({depth: cut}))
        return self._passes[-1]

    def _pass(self, cuts: dict[int, Cut]) -> FrozenPass:
        return FrozenPass(self.network, self.material, self.recipe, self.around, self.rows, cuts)

    def _cut(self, depth: int, held: Sequence[Cut]) -> Cut | None:
        """Return the cut at a depth; None where there is none, or its answers have no room."""
        if not 0 < depth < len(self.network.stages):
            return None
        cut = find_cut(self.network, depth)
        if cut is None or not self._has_room(cut, held):
            self._uncut.add(depth)
            return None
        return cut

    def _tell_uncut(self, depths: Sequence[int]) -> None:
        if depths:
            self.around.progress.say(
                f"{self.network.name} cannot be cut, or its answers not be kept, before its last "
                f"{', '.join(map(str, depths))} stages; there the whole network runs each epoch."
            )

    def _has_room(self, cut: Cut, held: Sequence[Cut]) -> bool:
        num = len(self.rows)
        taken = num_bytes(num, cut.shape) + sum(num_bytes(num, own.shape) for own in held)
        taken = round(taken * (1 + (self.recipe.views or 4) / 2))
        return taken <= self._room


def _flat_of(activations: Activations, rows: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return activations of some rows, a vector each, float32 (B, D)."""
    found = activations.of(rows)
    return found.reshape(len(found), -1)


def _half_of_memory() -> float:
    try:
        return 0.5 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 2.0**31
