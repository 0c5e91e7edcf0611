"""A network asked about many pictures: by which engine, and in which order."""

import dataclasses
import itertools
import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from saccade.data.batches import batches
from saccade.data.cache import PixelCache
from saccade.data.preprocess import Preprocess
from saccade.models import converted, kept
from saccade.models.converted import Converted, NotConverted
from saccade.models.eager import Asker, open_torch
from saccade.models.engine import (
    MAX_ERROR,
    MAX_ERROR_BF16,
    Engine,
    OfCanvas,
    noise,
    one_thread,
    relative_error,
)
from saccade.models.network import Network
from saccade.runtime.device import has_bf16
from saccade.runtime.progress import Progress

WORTH_CONVERTING = 200
"""Pictures from which OpenVINO wins back the 2 s that loading and converting cost (docs/log.md)."""
WORTH_FUSING = 48
"""Pictures from which folding BatchNorms wins back the forward passes that it costs."""
PICTURES_A_THREAD = 16  # given to OpenVINO at once, so that few threads wait for the last one

MOST_TOGETHER = 8  # pictures in one request
PIXELS_TOGETHER = 50_000  # of their canvases

Kind = Literal["auto", "openvino", "torch"]


def open_engine(
    ask: nn.Module,
    *,
    preprocess: Preprocess,
    device: str,
    num_pictures: int,
    kind: Kind = "auto",
    exact: bool,
    key: str = "",
    cache_dir: Path | None = None,
) -> Engine:
    """Return the fastest engine for a network that will not change any more.

    "auto" is decided by the device, the number of pictures and what is installed, never by a
    clock or by what lies in a cache, so that a recipe gives the same bits twice: OpenVINO on a
    processor from `WORTH_CONVERTING` pictures, else torch. An engine whose answers to a few
    pictures of noise differ from torch's in fp32 by more than `MAX_ERROR` is not used; a note
    says so. There are as many threads as torch has been told (`runtime.device.threads`).

    Args:
        ask: a network, or a part of one: images (B, 3, H, W) to one tensor (B, …). It is put into
            eval mode. OpenVINO and a fused torch hold a copy of its weights, plain torch does not.
        preprocess: from canvas to image.
        device: "cpu", "cuda" or "mps".
        num_pictures: how many it will be asked about.
        kind: the engine that is wanted; where it cannot be had it is torch, with a note.
        exact: whether the answers test the model, or are shipped or handed out: then never bf16.
        key: a hash of weights, architecture and cut; with it the converted network is kept in
            `cache_dir`, without it nothing is kept.
        cache_dir: the folder of caches.
    """
    begun = time.perf_counter()
    asked = OfCanvas(ask, preprocess).eval()
    notes: tuple[str, ...] = ()
    if device == "cpu" and _wants_openvino(kind, num_pictures):
        try:
            return _open_openvino(asked, exact=exact, key=key, cache_dir=cache_dir)
        except NotConverted as error:
            notes = (f"torch computes what is frozen, OpenVINO does not: {error}.",)
    elif device == "cpu" and kind == "auto" and num_pictures >= WORTH_CONVERTING:
        notes = ("torch computes what is frozen; OpenVINO, which is quicker, is not installed.",)
    fuse = num_pictures >= WORTH_FUSING
    engine = open_torch(asked, device=device, exact=exact, fuse=fuse)
    seconds = time.perf_counter() - begun
    return dataclasses.replace(engine, notes=notes + engine.notes, seconds_to_open=seconds)


def _wants_openvino(kind: Kind, num_pictures: int) -> bool:
    if kind == "auto":
        return num_pictures >= WORTH_CONVERTING and converted.installed()
    return kind == "openvino"


def _open_openvino(asked: OfCanvas, *, exact: bool, key: str, cache_dir: Path | None) -> Engine:
    begun, threads = time.perf_counter(), torch.get_num_threads()
    probes = noise(asked.preprocess)
    converted.load()
    with one_thread():
        content, note = _content(asked, probes, key=key, cache_dir=cache_dir)
        expected = Asker(asked, device="cpu")(probes)
    error, notes = math.inf, [note] if note else []
    precisions = (False,) if exact or not has_bf16() else (True, False)
    sizes = dict.fromkeys((_together(asked.preprocess), 1))
    for bf16, together in itertools.product(precisions, sizes):
        try:
            engine = Converted(content, threads=threads, bf16=bf16, together=together)
        except NotConverted:
            if together == 1 and not bf16:
                raise
            continue  # it was traced for one picture and takes no more, or is not to be had in bf16
        error = relative_error(engine(probes), expected)
        if error <= (MAX_ERROR_BF16 if bf16 else MAX_ERROR):
            return Engine(
                name=f"openvino {'bf16' if bf16 else 'fp32'}",
                ask=engine,
                batch=PICTURES_A_THREAD * threads,
                notes=tuple(notes),
                relative_error=error,
                seconds_to_open=time.perf_counter() - begun,
            )
        if bf16 and together == 1:
            notes.append(f"Answers in bf16 differ by {error:.1e} of the largest; fp32 is used.")
    raise NotConverted(f"its answers would differ by {error:.1e} of the largest")


def _together(preprocess: Preprocess) -> int:
    """Return how many pictures OpenVINO is given in one request: several where they are small.

    mobilenetv2_100, two cores, pictures a second in requests of 1 and of as many as this: 1,045
    and 1,139 at 96 px, 2,955 and 5,011 at 32 px; at 224 px 4 take longer than 1 (docs/log.md).
    """
    return max(1, min(MOST_TOGETHER, PIXELS_TOGETHER // preprocess.canvas_px**2))


def _content(
    asked: OfCanvas, probes: np.ndarray, *, key: str, cache_dir: Path | None
) -> tuple[bytes, str]:
    def make() -> bytes:
        return converted.convert(asked.to("cpu"), torch.from_numpy(probes[:1]))

    if not key or cache_dir is None:
        return make(), ""
    name = kept.key_of(key, preprocess=asked.preprocess.as_dict())
    return kept.content(cache_dir / "engines" / f"{name}.engine", make)


def answers(
    engine: Engine,
    cache: PixelCache,
    rows: Sequence[int] | np.ndarray,
    *,
    progress: Progress | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (rows, answers) in order, piece by piece; the next canvases are read meanwhile."""
    pieces = list(batches(rows, engine.batch))
    with ThreadPoolExecutor(1) as reader:
        following = reader.submit(cache.canvases, pieces[0]) if pieces else None
        for number, piece in enumerate(pieces):
            canvases = following.result() if following is not None else cache.canvases(piece)
            if number + 1 < len(pieces):
                following = reader.submit(cache.canvases, pieces[number + 1])
            yield piece, engine(canvases)
            if progress is not None:
                progress.advance(len(piece))


class FeaturesOf(nn.Module):
    """A network that answers with what its classifier is given."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return features (B, D)."""
        return self.network.features(images_BCHW)


class FeaturesAndLogits(nn.Module):
    """A network that answers with what its classifier is given, and what that says of it."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return features and logits side by side, (B, D + K), from one pass."""
        return torch.cat(self.network.features_and_logits(images_BCHW), dim=1)


def predict_logits(
    network: Network,
    cache: PixelCache,
    rows: Sequence[int] | np.ndarray,
    *,
    device: str = "cpu",
    progress: Progress | None = None,
    engine: Engine | None = None,
) -> np.ndarray:
    """Return logits_NK, float32, of the network as it ships: one row a picture, in order.

    Without an engine torch is asked, which suits a network that changes every epoch.
    """
    return _run(network, network, cache, rows, device=device, progress=progress, engine=engine)


def extract_features(
    network: Network,
    cache: PixelCache,
    rows: Sequence[int] | np.ndarray,
    *,
    device: str = "cpu",
    progress: Progress | None = None,
    engine: Engine | None = None,
) -> np.ndarray:
    """Return features_ND, float32: what the last layer would be given.

    `engine`, if any, is one of `FeaturesOf(network)`.
    """
    ask = FeaturesOf(network)
    return _run(network, ask, cache, rows, device=device, progress=progress, engine=engine)


def _run(
    network: Network,
    ask: nn.Module,
    cache: PixelCache,
    rows: Sequence[int] | np.ndarray,
    *,
    device: str,
    progress: Progress | None,
    engine: Engine | None,
) -> np.ndarray:
    was_training = network.training
    if engine is None:
        engine = open_torch(
            OfCanvas(ask, cache.preprocess).eval(), device=device, exact=True, fuse=False
        )
    found = [answer for _, answer in answers(engine, cache, rows, progress=progress)]
    network.train(was_training)
    return np.concatenate(found) if found else np.zeros((0, 0), dtype=np.float32)
