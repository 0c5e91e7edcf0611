"""What a network that has learned says of every picture, and of changed ones."""

from collections.abc import Callable

import numpy as np

from saccade.insight.evidence import Ask
from saccade.lesson import Lesson
from saccade.models.engine import Engine, relative_error
from saccade.models.inference import FeaturesAndLogits, answers, open_engine, predict_logits
from saccade.models.network import Network
from saccade.runtime.progress import Progress
from saccade.training.frozen import Asked
from saccade.training.learn import Learned

MAX_DIFFERENCE = 1e-3
"""Relative difference of logits up to which the parts of a network answer as the whole does."""

NUM_COMPARED = 4  # pictures of the test, and of the training part


class Answerer:
    """A network as it ships, with what its frozen stages are known to say."""

    def __init__(
        self,
        network: Network,
        lesson: Lesson,
        learned: Learned,
        *,
        device_name: str,
        progress: Progress,
    ) -> None:
        self.network, self.lesson, self.learned = network, lesson, learned
        self.device, self.progress = device_name, progress

    def asked(self) -> Asked:
        """Return logits and features of every picture, in the order of the catalogue.

        Where the frozen stages were asked in fp32, what they said is not asked again. The whole
        network is asked about a few pictures all the same: should it say anything else, it is
        asked about every one.
        """
        known = self.learned.known
        if known is None:
            return self._asked_whole()
        split = self.lesson.split
        probes = [*split.rows("test")[:NUM_COMPARED], *split.rows("train")[:NUM_COMPARED]]
        whole = predict_logits(self.network, self.lesson.cache, probes, device=self.device)
        error = relative_error(known.logits_NK[probes], whole)
        if error <= MAX_DIFFERENCE:
            return known
        self.progress.say(
            f"The parts of the network answer otherwise than the whole (by {error:.1e}); "
            "the whole is asked about every picture."
        )
        return self._asked_whole()

    def frozen_features(self) -> np.ndarray | None:
        """Return what the classifier was given before any stage learned, float32 (N, D)."""
        frozen = self.learned.frozen
        return None if frozen is None else frozen.all_features()

    def frozen_engine(self) -> Ask | None:
        """Return what gives the same of other canvases; None where it cannot be had any more."""
        frozen = self.learned.frozen
        return None if frozen is None else frozen.frozen_engine(self.learned.num_stages)

    def views(self) -> tuple[Callable[[np.ndarray], np.ndarray], ...]:
        """Return what gives the frozen features of each augmented view that studies may look at."""
        frozen = self.learned.frozen
        return () if frozen is None else frozen.view_features(self.learned.num_stages)

    def final_engine(self) -> Ask:
        """Return what the network says of other canvases: to logits (B, K), float32."""
        if self.learned.known is not None and self.learned.frozen is not None:
            return self.learned.frozen.final_engine(self.learned.num_stages)
        engine, width = self._whole_engine(num_pictures=0), self.network.num_features
        return lambda canvases_BHWC: engine(canvases_BHWC)[:, width:]

    def _asked_whole(self) -> Asked:
        num = len(self.lesson.catalog)
        self.progress.start("predict", num, "pictures")
        engine = self._whole_engine(num_pictures=num)
        found = answers(engine, self.lesson.cache, range(num), progress=self.progress)
        both = np.concatenate([both for _, both in found])
        width = self.network.num_features
        return Asked(logits_NK=both[:, width:], features_ND=both[:, :width])

    def _whole_engine(self, *, num_pictures: int) -> Engine:
        return open_engine(
            FeaturesAndLogits(self.network),
            preprocess=self.lesson.cache.preprocess,
            device=self.device,
            num_pictures=num_pictures,
            exact=True,
        )
