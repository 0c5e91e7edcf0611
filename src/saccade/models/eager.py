"""The engine of torch: channels_last, BatchNorm folded, bf16 on CUDA."""

import contextlib
import copy
import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

import numpy as np
import torch
from torch import nn

from saccade.models.engine import (
    MAX_ERROR,
    MAX_ERROR_BF16,
    Engine,
    OfCanvas,
    noise,
    one_thread,
    relative_error,
)
from saccade.models.fused import fused

BATCH = 8  # small batches stay in the processor's cache; fixed, so that answers are repeatable
BATCH_PX = 224  # side of the pictures in such a batch; of smaller ones there are more
MOST_IN_BATCH = 64
MOST_ON_ACCELERATOR = 128
BATCHES_A_THREAD = 4  # in one call, so that few threads wait for the last one


def open_torch(asked: OfCanvas, *, device: str, exact: bool, fuse: bool) -> Engine:
    """Return an engine that asks torch; it cannot fail.

    In bf16 only on CUDA, and not if `exact`; a processor without bf16 of its own is slower in it,
    and one that has it is served better by OpenVINO. Without `fuse` and bf16 it is the network
    itself, and no copy of it.
    """
    begun = time.perf_counter()
    bf16 = device == "cuda" and not exact
    threads = torch.get_num_threads()
    plain = Asker(asked, device=device)
    network: nn.Module = asked
    notes: tuple[str, ...] = ()
    error = 0.0
    if fuse or bf16:
        with one_thread():
            probes = noise(asked.preprocess)
            expected = plain(probes)
            if fuse:
                network, notes = _fused_if_right(asked, probes, expected, device)
            error = relative_error(Asker(network, device=device, bf16=bf16)(probes), expected)
            if bf16 and not error <= MAX_ERROR_BF16:
                notes += (f"Answers in bf16 differ by {error:.1e} of the largest; fp32 is used.",)
                bf16 = False
                error = relative_error(Asker(network, device=device)(probes), expected)
    size_px = asked.preprocess.size_px
    batch = batch_of(size_px) if device == "cpu" else batch_on_accelerator(size_px)
    asker = Asker(network, device=device, bf16=bf16, batch=batch)
    return Engine(
        name=f"torch {'bf16' if bf16 else 'fp32'}{'' if network is asked else ' fused'}",
        ask=asker,
        batch=asker.batch * (threads * BATCHES_A_THREAD if device == "cpu" else 1),
        notes=notes,
        relative_error=error,
        seconds_to_open=time.perf_counter() - begun,
        shares_weights=network is asked,
    )


def batch_of(size_px: int) -> int:
    """Return how many pictures a processor is asked about at once.

    mobilenetv2_100 on one thread, ms a picture in batches of 8 and 32: 30 and 36 at 224 px, 7.5 and
    5.7 at 96 px, 2.4 and 1.1 at 32 px.

    >>> [batch_of(size_px) for size_px in (24, 96, 160, 224, 384)]
    [64, 32, 8, 8, 8]
    """
    room = BATCH * BATCH_PX**2 // size_px**2
    return min(max(1 << max(room.bit_length() - 1, 0), BATCH), MOST_IN_BATCH)


def batch_on_accelerator(size_px: int) -> int:
    """Return how many pictures an accelerator is asked about at once: fewer of large ones.

    >>> [batch_on_accelerator(size_px) for size_px in (96, 224, 448, 1024)]
    [128, 128, 32, 6]
    """
    return max(1, min(MOST_ON_ACCELERATOR, MOST_ON_ACCELERATOR * BATCH_PX**2 // size_px**2))


def _fused_if_right(
    asked: OfCanvas, probes: np.ndarray, expected: np.ndarray, device: str
) -> tuple[nn.Module, tuple[str, ...]]:
    try:
        network, num = fused(asked, torch.from_numpy(probes[:1]).to(device))
        if not num:
            return asked, ()
        error = relative_error(Asker(network, device=device)(probes), expected)
    except Exception as fault:  # noqa: BLE001 - an unusual network may fail anyhow; it works unfused
        why = f"{type(fault).__name__}: {str(fault)[:100]}"
        return asked, (f"BatchNorm is not folded into the convolutions: {why}.",)
    if math.isfinite(error) and error <= MAX_ERROR:
        return network, ()
    return asked, (
        f"BatchNorm is not folded into the convolutions: answers would differ by {error:.1e}.",
    )


class Asker:
    """Asks a network on a device, in batches of one size, and brings the answers back.

    On the processor each batch is computed by one thread alone, in as many threads as torch has
    been told. Threads that share a batch wait for each other at every layer, and where one of them
    must wait for its core all of them do (docs/log.md). So answers do not depend on the number of
    threads either.
    """

    def __init__(
        self, network: nn.Module, *, device: str, bf16: bool = False, batch: int = BATCH
    ) -> None:
        self.batch = batch
        self._network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._device = device
        self._bf16 = bf16
        self._pool: ThreadPoolExecutor | None = None
        self._free: SimpleQueue[nn.Module] = SimpleQueue()

    def __call__(self, canvases_BHWC: np.ndarray) -> np.ndarray:
        """Return float32 answers (B, …)."""
        starts = range(0, len(canvases_BHWC), self.batch)
        pieces = [canvases_BHWC[start : start + self.batch] for start in starts]
        if self._device != "cpu":
            return np.concatenate([self._answer(self._network, piece) for piece in pieces])
        threads = torch.get_num_threads()
        with one_thread():
            if threads == 1 or len(pieces) == 1:
                return np.concatenate([self._answer(self._network, piece) for piece in pieces])
            if self._pool is None:
                self._pool = ThreadPoolExecutor(threads, thread_name_prefix="torch")
                for _ in range(threads):
                    self._free.put(_twin(self._network))
            return np.concatenate(list(self._pool.map(self._in_a_thread, pieces)))

    def _in_a_thread(self, pixels_BHWC: np.ndarray) -> np.ndarray:
        torch.set_num_threads(1)  # of this thread
        network = self._free.get()
        try:
            return self._answer(network, pixels_BHWC)
        finally:
            self._free.put(network)

    def _answer(self, network: nn.Module, pixels_BHWC: np.ndarray) -> np.ndarray:
        with torch.inference_mode(), _precision(self._device, bf16=self._bf16):
            pixels = torch.from_numpy(pixels_BHWC).to(self._device)
            answer: np.ndarray = network(pixels).float().cpu().numpy()
            return answer


def _twin(network: nn.Module) -> nn.Module:
    """Return a copy that shares every tensor, so that hooks of two threads cannot meet."""
    shared: dict[int, Any] = {id(t): t for t in [*network.parameters(), *network.buffers()]}
    return copy.deepcopy(network, shared)


@contextlib.contextmanager
def _precision(device: str, *, bf16: bool) -> Iterator[None]:
    if bf16:
        with torch.autocast(device, dtype=torch.bfloat16):
            yield
    elif device == "cuda":
        # By default cuDNN rounds what it convolves to TF32, which is right to 1e-3 only.
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            yield
    else:
        yield
