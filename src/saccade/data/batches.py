"""Rows in an order that depends on (seed, epoch) alone, and pixels as the network wants them."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from saccade.data.preprocess import Preprocess
from saccade.runtime.seeds import generator


def shuffled(rows: Sequence[int], *, seed: int, epoch: int) -> np.ndarray:
    """Return the rows in this epoch's order; the same for the same seed and epoch."""
    return generator(seed, "order", epoch).permutation(np.asarray(rows, dtype=np.int64))


def batches(rows: Sequence[int] | np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Yield the rows in pieces of `size`; the last one may be smaller.

    >>> [batch.tolist() for batch in batches([3, 1, 4, 1, 5], 2)]
    [[3, 1], [4, 1], [5]]
    """
    whole = np.asarray(rows, dtype=np.int64)
    for start in range(0, len(whole), size):
        yield whole[start : start + size]


def normalise(pixels_BHWC: torch.Tensor, preprocess: Preprocess) -> torch.Tensor:
    """Return images_BCHW, float32 in channels_last, from pixels in 0-255 of any number type."""
    mean = torch.tensor(preprocess.mean, device=pixels_BHWC.device) * 255
    std = torch.tensor(preprocess.std, device=pixels_BHWC.device) * 255
    return pixels_BHWC.float().sub_(mean).div_(std).permute(0, 3, 1, 2)


def as_seen(canvases_BHWC: np.ndarray, preprocess: Preprocess, device: str) -> torch.Tensor:
    """Return what the network sees when nothing is augmented: images_BCHW, float32."""
    centre = np.ascontiguousarray(preprocess.centre(canvases_BHWC))
    return normalise(torch.from_numpy(centre).to(device), preprocess)
