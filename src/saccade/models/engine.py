"""An engine: a network that will not change any more, made ready to be asked quickly."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from saccade.data.batches import normalise
from saccade.data.preprocess import Preprocess
from saccade.runtime.seeds import generator

MAX_ERROR = 1e-4
"""Relative error up to which an engine may stand for torch in fp32. Source: RELIABILITY D3."""
MAX_ERROR_BF16 = 0.1
"""The same in bf16, which is right to 3e-2 where it works (docs/log.md); more means broken."""
_PROBES = 2  # pictures that an engine is compared on


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A network ready to be asked about canvases; made by `inference.open_engine`.

    Opened anew with the same arguments, on the same machine with the same versions, it gives the
    same answers to the last bit. Those of OpenVINO do not depend on how pictures are put in
    batches, nor on the number of threads; those of torch do, in the last bits. Not to be called
    by two threads at once.
    """

    name: str  # "openvino fp32", "openvino bf16", "torch fp32", "torch fp32 fused", "torch bf16"
    ask: Callable[[np.ndarray], np.ndarray]
    batch: int  # how many canvases it is best given at once
    notes: tuple[str, ...]  # sentences for the user: what was not possible, and why
    relative_error: float  # see `relative_error`, on noise, against torch in fp32
    seconds_to_open: float
    shares_weights: bool = False  # with the network it was opened for: it learns as that does

    def __call__(self, canvases_BHWC: np.ndarray) -> np.ndarray:
        """Return float32 (B, …), an answer for each canvas, uint8 (B, canvas, canvas, 3)."""
        return self.ask(canvases_BHWC)


class OfCanvas(nn.Module):
    """What a canvas goes through: centre, normalise, ask. One module, to be converted whole."""

    def __init__(self, ask: nn.Module, preprocess: Preprocess) -> None:
        super().__init__()
        self.ask = ask
        self.preprocess = preprocess

    def forward(self, canvases_BHWC: Tensor) -> Tensor:
        """Return what `ask` says of the pictures, from uint8 (B, canvas, canvas, 3)."""
        centre: Any = self.preprocess.centre  # it only slices: as good for tensors as for arrays
        answer: Tensor = self.ask(normalise(centre(canvases_BHWC), self.preprocess))
        return answer


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute in this thread alone: quickest for a picture or two.

    Threads that share one picture wait for each other at every layer; beside other processes two
    of them took twenty times as long as one (docs/log.md).
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def noise(preprocess: Preprocess) -> np.ndarray:
    """Return canvases to compare engines on, the same each time: coarse and fine noise."""
    side = preprocess.canvas_px
    rng = generator(0, "probes")
    tiles = -(-side // 32)
    coarse = rng.integers(0, 200, (_PROBES, tiles, tiles, 3)).repeat(32, axis=1).repeat(32, axis=2)
    pixels = coarse[:, :side, :side] + rng.integers(0, 56, (_PROBES, side, side, 3))
    return pixels.astype(np.uint8)


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference, divided by the largest expected value; 0 = equal.

    >>> relative_error(np.array([1.0, 3.9]), np.array([1.0, 4.0]))  # doctest: +ELLIPSIS
    0.025...
    """
    if found.shape != expected.shape:
        return float("inf")
    difference = float(np.abs(found - expected).max(initial=0))
    return difference / float(np.abs(expected).max(initial=1e-30))
