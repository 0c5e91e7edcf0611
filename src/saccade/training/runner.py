"""One network in a race: built, timed, probed; what it took, and why it was taken or left out."""

import contextlib
import dataclasses
import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from saccade.data.catalog import Catalog
from saccade.data.decode import pillow_warnings
from saccade.data.pixel_store import PixelStore
from saccade.data.preprocess import Preprocess
from saccade.data.task import Task
from saccade.data.unpacking import fill, unpack
from saccade.evaluation.difference import Difference
from saccade.models import network
from saccade.models.candidates import Entrant
from saccade.models.engine import Engine, noise
from saccade.models.inference import WORTH_FUSING, FeaturesOf, Kind, open_engine
from saccade.runtime.progress import Progress
from saccade.training.choice import Probed
from saccade.training.probe import NotProbed, Probe, Sample, probe
from saccade.training.recipe import Recipe

LOOK_AT = 16  # pictures of noise that tell how quick a network is
HEAD_SECONDS = 1.0  # to solve and judge the heads of a probe, about


class Runner:
    """A network that may be chosen.

    Args:
        entrant: its name and weights.
        catalog: the pictures of the run.
        task: what is learned.
        recipe: size, fit, seed, …
        decoded: the preprocessing whose canvases all pictures have already.
        device: "cpu", "cuda" or "mps".
    """

    def __init__(
        self,
        entrant: Entrant,
        *,
        catalog: Catalog,
        task: Task,
        recipe: Recipe,
        decoded: Preprocess,
        device: str,
    ) -> None:
        self.entrant, self.catalog, self.task, self.recipe = entrant, catalog, task, recipe
        self.device = device
        fit: Any = recipe.fit
        self.preprocess = network.preprocess_for(entrant.name, img_size=recipe.img_size, fit=fit)
        self.is_decoded = self.preprocess.canvas_key == decoded.canvas_key
        self.why = ""  # why it was left out or taken; "" = still in
        self.behind: Difference | None = None  # the best one, where both were probed
        self.probe: Probe | None = None
        self.num_parameters: int | None = None
        self.engine_name = ""
        self.seconds = 0.0  # that went into it so far
        self.seconds_a_picture = math.nan  # to be asked
        self.seconds_a_canvas = 0.0  # to be decoded anew
        self._engine: Engine | None = None

    @property
    def name(self) -> str:
        """The architecture, as the user wrote it."""
        return self.entrant.name

    @property
    def seconds_for_all(self) -> float:
        """What asking it about every picture of the run will take, decoding anew included."""
        return len(self.catalog) * (self.seconds_a_picture + self.seconds_a_canvas)

    def look(self, rows: Sequence[int]) -> None:
        """Find out how quick it is, on noise, and how quickly some rows are decoded.

        The engine is torch's, which needs no converting; the probe then uses it too.
        """
        with self._timed():
            self._engine = self._open("torch", num_pictures=WORTH_FUSING)
            few = noise(self.preprocess)
            self._engine(few)
            begun = time.perf_counter()
            self._engine(np.concatenate([few] * (LOOK_AT // len(few))))
            self.seconds_a_picture = (time.perf_counter() - begun) / LOOK_AT
            if not self.is_decoded:
                begun = time.perf_counter()
                with pillow_warnings():
                    for row in rows:
                        unpack(self.catalog.read_again(row), None)
                self.seconds_a_canvas = (time.perf_counter() - begun) / len(rows)

    def run(self, sample: Sample, *, progress: Progress, deadline: float) -> None:
        """Probe it.

        Raises:
            NotProbed: as `probe`.
            SaccadeError: it cannot be built, or a picture has changed since it was scanned.
        """
        own = part_of(self.catalog, sample.rows)
        with self._timed(), self.store(progress) as store:
            progress.start(f"probe {self.name}", len(own), "pictures")
            engine = self._engine or self._open("auto", num_pictures=len(own))
            self._engine = None  # its memory is free once it has answered
            fill(store, own, threads=self.recipe.threads)
            self.probe = probe(
                engine,
                store.finish(own),
                sample,
                task=self.task,
                class_weights=self.recipe.class_weights,
                progress=progress,
                deadline=deadline,
            )
            self.seconds_a_picture = 1 / self.probe.images_per_second
        progress.close()

    def probed(self) -> Probed:
        """Return what the choice is made by.

        Raises:
            NotProbed: it was not.
        """
        if self.probe is None or self.num_parameters is None:
            raise NotProbed("it was not probed")
        return Probed(
            name=self.name,
            probe=self.probe,
            cost_seconds=len(self.catalog) * self.seconds_a_picture,
            num_parameters=self.num_parameters,
        )

    def store(self, progress: Progress) -> PixelStore:
        """Return a pixel store for its canvases."""
        return PixelStore(
            self.preprocess,
            folder=self.recipe.cache,
            limit_gb=self.recipe.cache_gb,
            progress=progress,
        )

    def _open(self, kind: Kind, *, num_pictures: int) -> Engine:
        net, _ = network.build(
            self.name,
            task=self.task,
            recipe=self.recipe,
            weights=self.entrant.weights,
            img_size=self.recipe.img_size,
        )
        self.num_parameters = net.num_parameters
        engine = open_engine(
            FeaturesOf(net),
            preprocess=self.preprocess,
            device=self.device,
            num_pictures=num_pictures,
            kind=kind,
            exact=False,
        )
        self.engine_name = engine.name
        return engine

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - begun


def part_of(catalog: Catalog, rows: Sequence[int]) -> Catalog:
    """Return a catalogue of some rows, in their order."""
    texts = ("paths", "labels", "parts", "groups", "hashes", "formats")
    numbers = ("num_bytes", "widths_px", "heights_px")
    kept: dict[str, Any] = {
        name: tuple(getattr(catalog, name)[row] for row in rows) for name in texts
    }
    index = np.asarray(rows, np.int64)
    kept |= {name: getattr(catalog, name)[index] for name in numbers}
    return dataclasses.replace(catalog, **kept)


def plan_sample(
    seconds_a_picture: Sequence[float], *, num: int, fewest: int, seconds: float
) -> tuple[int, int]:
    """Return how many of the quickest networks can be probed, and on how many pictures.

    More networks on fewer pictures come before fewer networks on more, down to `fewest`.

    Args:
        seconds_a_picture: of each network, ascending; decoding included.
        num: pictures that are wanted.
        fewest: pictures that are worth a probe, or `num` where that is less.
        seconds: for all of it.

    >>> plan_sample([0.01, 0.02, 0.9], num=500, fewest=100, seconds=20.0)
    (2, 500)
    >>> plan_sample([0.01, 0.02], num=500, fewest=100, seconds=8.0)
    (2, 200)
    >>> plan_sample([0.01, 0.02], num=500, fewest=100, seconds=4.0)
    (1, 0)
    """
    for count in range(len(seconds_a_picture), 1, -1):
        free = seconds - count * HEAD_SECONDS
        possible = min(num, int(free / sum(seconds_a_picture[:count]) + 1e-9))
        if possible >= min(fewest, num):
            return count, possible
    return 1, 0
