"""What the network is given in a step: pictures, or what a frozen prefix said about them."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np
import torch

from saccade.data.batches import as_seen, batches, normalise
from saccade.data.cache import PixelCache
from saccade.models.cuts import Cut, passing_over
from saccade.models.folding import Pair, find_pairs, folded
from saccade.models.inference import predict_logits
from saccade.models.network import Network
from saccade.runtime.seeds import generator
from saccade.training.activations import ViewsOfPictures, as_tensor
from saccade.training.augment import Augmenter, augment_of
from saccade.training.crops import Crops
from saccade.training.recipe import Recipe

BATCH = 64  # pictures a forward pass through a suffix; fixed, so that answers are repeatable


class Inputs(Protocol):
    """Where a fit takes its batches from."""

    def opened(self) -> AbstractContextManager[None]:
        """Return what must hold while the network is given these inputs."""

    def batch(self, rows: np.ndarray, *, epoch: int, step: int) -> torch.Tensor:
        """Return what the network learns from in this step, on its device."""

    def logits(self, network: Network, rows: Sequence[int]) -> np.ndarray:
        """Return logits_NK, float32, of pictures as they are."""


class Pictures:
    """Whole pictures from the pixel cache, augmented in batches; the whole network runs."""

    def __init__(self, cache: PixelCache, recipe: Recipe, *, device: str) -> None:
        self.cache = cache
        self.device = device
        self.augmenter = Augmenter(
            augment_of(recipe), cache.preprocess, seed=recipe.seed, device=device
        )

    def opened(self) -> AbstractContextManager[None]:
        """Return a context in which nothing changes."""
        return contextlib.nullcontext()

    def batch(self, rows: np.ndarray, *, epoch: int, step: int) -> torch.Tensor:
        """Return images_BCHW; how they are augmented depends on epoch and picture alone."""
        del step
        canvases = self.cache.canvases(rows)
        if self.augmenter.augment.active:
            changed = self.augmenter(canvases, rows, epoch=epoch)
            return normalise(changed, self.cache.preprocess)
        return as_seen(canvases, self.cache.preprocess, self.device)

    def logits(self, network: Network, rows: Sequence[int]) -> np.ndarray:
        """Return logits_NK of the whole network, asked by torch: its weights change."""
        return predict_logits(network, self.cache, rows, device=self.device)


class FrozenAnswers:
    """Activations at a cut, kept for every epoch; only what lies behind the cut runs.

    With crops, steps learn from parts of them; whoever asks is answered from whole ones.
    """

    def __init__(
        self, pictures: ViewsOfPictures, *, device: str, crops: Crops | None = None
    ) -> None:
        self.pictures = pictures
        self.device = device
        self.crops = crops
        self._suffix: Suffix | None = None  # made when it is first asked

    @property
    def crop(self) -> int | None:
        """The side of the crops that steps learn from; None = whole maps."""
        return None if self.crops is None else self.crops.side

    @property
    def is_plain(self) -> bool:
        """Whether steps learn from whole pictures as they are, and from nothing else."""
        return self.crops is None and len(self.pictures.views) == 1

    def opened(self) -> AbstractContextManager[None]:
        """Return a context in which the network takes activations of this cut."""
        return passing_over(self.pictures.cut)

    def batch(self, rows: np.ndarray, *, epoch: int, step: int) -> torch.Tensor:
        """Return activations; which view is drawn depends on epoch and step alone."""
        draws = generator(self.pictures.seed, "views", epoch, step)
        drawn = self.pictures.drawn(rows, draws=draws)
        if self.crops is not None:
            drawn = self.crops.of(drawn, rows, epoch=epoch)
        return drawn.to(self.device)

    def logits(self, network: Network, rows: Sequence[int]) -> np.ndarray:
        """Return logits_NK of the suffix, in evaluation mode, from exact activations."""
        return _together([logits for _, logits in self._said(network, rows)])

    def features_and_logits(
        self, network: Network, rows: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what the suffix gives its classifier, (N, D), and the classifier's logits_NK."""
        found = list(self._said(network, rows))
        return _together([own[0] for own in found]), _together([own[1] for own in found])

    def _said(
        self, network: Network, rows: Sequence[int]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        if self._suffix is None or self._suffix.network is not network:
            self._suffix = Suffix(network, self.pictures.cut, device=self.device)
        with self._suffix.asked() as ask:
            for piece in batches(rows, BATCH):
                yield ask(self.pictures.plain(piece))


def _together(pieces: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(pieces) if pieces else np.zeros((0, 0), np.float32)


class Suffix:
    """What lies behind a cut, asked and not learning; its BatchNorms folded where that may be."""

    def __init__(self, network: Network, cut: Cut, *, device: str) -> None:
        self.network, self.cut, self.device = network, cut, device
        self._pairs: tuple[Pair, ...] | None = None  # None = not looked for yet

    @contextlib.contextmanager
    def asked(self) -> Iterator[Callable[[torch.Tensor], tuple[np.ndarray, np.ndarray]]]:
        """Give what answers activations (B, …): features (B, D) and logits (B, K), float32.

        It answers as the network is when the block begins, which should not compute anything else.
        """
        network, was_training = self.network, self.network.training
        network.eval()
        network.to(self.device)

        def ask(activations: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
            with torch.inference_mode():
                given = network.features_and_logits(activations.to(self.device))
                features, logits = (own.float().cpu().numpy() for own in given)
            return features, logits

        try:
            with passing_over(self.cut):
                if self._pairs is None:
                    self._pairs = self._look()
                with folded(self._pairs):
                    yield ask
        finally:
            network.train(was_training)

    def _look(self) -> tuple[Pair, ...]:
        if self.device != "cpu":
            return ()
        few = as_tensor(np.random.default_rng(0).random((2, *self.cut.shape), np.float32))
        return find_pairs(self.network, lambda: self.network(few))
