"""A network asked about many pictures: logits, or the features before its last layer."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from saccade.data.batches import as_seen, batches
from saccade.data.cache import PixelCache
from saccade.models.network import Network
from saccade.runtime.progress import Progress

BATCH = 16  # small batches stay in the processor's cache; fixed, so that answers are repeatable


def predict_logits(
    network: Network,
    cache: PixelCache,
    rows: Sequence[int] | np.ndarray,
    *,
    device: str = "cpu",
    progress: Progress | None = None,
) -> np.ndarray:
    """Return logits_NK, float32, of the network as it ships: one row a picture, in order."""
    return _run(network, network, cache, rows, device=device, progress=progress)


def extract_features(
    network: Network,
    cache: PixelCache,
    rows: Sequence[int] | np.ndarray,
    *,
    device: str = "cpu",
    progress: Progress | None = None,
) -> np.ndarray:
    """Return features_ND, float32: what the last layer would be given."""
    return _run(network, network.features, cache, rows, device=device, progress=progress)


def _run(
    network: Network,
    ask: Callable[[torch.Tensor], torch.Tensor],
    cache: PixelCache,
    rows: Sequence[int] | np.ndarray,
    *,
    device: str,
    progress: Progress | None,
) -> np.ndarray:
    was_training = network.training
    network.eval()
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    size = BATCH if device == "cpu" else 128
    answers = []
    with torch.inference_mode():
        for batch in batches(rows, size):
            images = as_seen(cache.canvases(batch), cache.preprocess, device)
            answers.append(ask(images).float().cpu().numpy())
            if progress is not None:
                progress.advance(len(batch))
    network.train(was_training)
    return np.concatenate(answers) if answers else np.zeros((0, 0), dtype=np.float32)
