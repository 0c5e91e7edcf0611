"""The engine of torch: channels_last, BatchNorm folded, bf16 on CUDA."""

import contextlib
import math
import time
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from saccade.models.engine import MAX_ERROR, Engine, OfCanvas, noise, relative_error
from saccade.models.fused import fused

BATCH = 16  # small batches stay in the processor's cache; fixed, so that answers are repeatable
BATCH_ON_ACCELERATOR = 128


def open_torch(asked: OfCanvas, *, device: str, exact: bool, fuse: bool) -> Engine:
    """Return an engine that asks torch; it cannot fail.

    In bf16 only on CUDA, and not if `exact`; a processor without bf16 of its own is slower in it,
    and one that has it is served better by OpenVINO. Without `fuse` and bf16 it is the network
    itself, and no copy of it.
    """
    begun = time.perf_counter()
    bf16 = device == "cuda" and not exact
    plain = Asker(asked, device=device)
    network: nn.Module = asked
    notes: tuple[str, ...] = ()
    error = 0.0
    if fuse or bf16:
        probes = noise(asked.preprocess)
        expected = plain(probes)
        if fuse:
            network, notes = _fused_if_right(asked, probes, expected, device)
        error = relative_error(Asker(network, device=device, bf16=bf16)(probes), expected)
    return Engine(
        name=f"torch {'bf16' if bf16 else 'fp32'}{'' if network is asked else ' fused'}",
        ask=Asker(network, device=device, bf16=bf16),
        batch=plain.batch,
        notes=notes,
        relative_error=error,
        seconds_to_open=time.perf_counter() - begun,
    )


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
    """Asks a network on a device, in batches of one size, and brings the answers back."""

    def __init__(self, network: nn.Module, *, device: str, bf16: bool = False) -> None:
        self.batch = BATCH if device == "cpu" else BATCH_ON_ACCELERATOR
        self._network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._device = device
        self._bf16 = bf16

    def __call__(self, canvases_BHWC: np.ndarray) -> np.ndarray:
        """Return float32 answers (B, …)."""
        answers = []
        with torch.inference_mode(), self._precision():
            for start in range(0, len(canvases_BHWC), self.batch):
                pixels = torch.from_numpy(canvases_BHWC[start : start + self.batch])
                answers.append(self._network(pixels.to(self._device)).float().cpu().numpy())
        return np.concatenate(answers)

    @contextlib.contextmanager
    def _precision(self) -> Iterator[None]:
        if self._bf16:
            with torch.autocast("cuda", dtype=torch.bfloat16):
                yield
        elif self._device == "cuda":
            # By default cuDNN rounds what it convolves to TF32, which is right to 1e-3 only.
            with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
                yield
        else:
            yield
