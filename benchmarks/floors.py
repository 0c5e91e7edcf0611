"""The least that a stage can cost on this machine: raw loops around the same libraries.

`python floors.py decode|convert|forward|forward_bf16|step --data FOLDER --weights FILE` prints one
JSON line. Run each in a process of its own: `floor.py` does.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pictures

MODEL, SIDE, STEP_BATCH, STEPS = "mobilenetv2_100", 224, 32, 5
CORES = len(os.sched_getaffinity(0))


def decode(asked: argparse.Namespace) -> dict[str, float]:
    """Return the seconds that reading and decoding every picture at full size takes."""
    paths = [asked.data / own for own in pictures.pictures_in(asked.data)]
    begun = time.perf_counter()
    with ThreadPoolExecutor(CORES) as pool:
        num_pixels = sum(pool.map(_decoder(), paths))
    return {"seconds": time.perf_counter() - begun, "n": len(paths), "megapixels": num_pixels / 1e6}


def _decoder() -> Callable[[Path], int]:
    from PIL import Image

    try:
        from simplejpeg import decode_jpeg
    except ImportError:
        decode_jpeg = None

    def decode_one(path: Path) -> int:
        content = path.read_bytes()
        if decode_jpeg is not None and content[:2] == b"\xff\xd8":
            try:
                height, width, _ = decode_jpeg(content).shape
                return height * width
            except ValueError:
                pass  # four colours, say; Pillow decodes what libjpeg-turbo alone does not
        with Image.open(path) as picture:
            width, height = picture.convert("RGB").size
            return width * height

    return decode_one


def convert(asked: argparse.Namespace) -> dict[str, float]:
    """Return the seconds of importing OpenVINO, and of converting and compiling the network."""
    begun = time.perf_counter()
    openvino = _openvino()
    imported = time.perf_counter()
    network = _network(asked.weights).eval()
    built = time.perf_counter()
    _compiled(openvino, _converted(openvino, network), "f32")
    done = time.perf_counter()
    return {"seconds": done - built, "import_seconds": imported - begun, "n": 1}


def forward(asked: argparse.Namespace) -> dict[str, float]:
    """Return the seconds that a converted network needs for all pictures, already pixels."""
    return _forward(asked, "f32")


def forward_bf16(asked: argparse.Namespace) -> dict[str, float]:
    """Return the same in bf16, where the processor computes in it."""
    return _forward(asked, "bf16")


def _forward(asked: argparse.Namespace, precision: str) -> dict[str, float]:
    openvino = _openvino()
    network = _network(asked.weights).eval()
    compiled = _compiled(openvino, _converted(openvino, network), precision)
    num = len(pictures.pictures_in(asked.data))
    images = np.random.default_rng(0).normal(size=(16, 1, 3, SIDE, SIDE)).astype(np.float32)
    queue = openvino.AsyncInferQueue(compiled, 2 * CORES)
    for number in range(4 * CORES):  # the first answers also allocate
        queue.start_async({0: images[number % 16]})
    queue.wait_all()
    begun = time.perf_counter()
    for number in range(num):
        queue.start_async({0: images[number % 16]})
    queue.wait_all()
    return {"seconds": time.perf_counter() - begun, "n": num}


def step(asked: argparse.Namespace) -> dict[str, float]:
    """Return the seconds of one training step of the whole network, batch 32, malloc told."""
    import torch
    from records import has_bf16
    from torch.nn.functional import cross_entropy

    from saccade.runtime.machine import keep_pages

    keep_pages()
    network = _network(asked.weights).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    images = torch.randn(STEP_BATCH, 3, SIDE, SIDE).to(memory_format=torch.channels_last)
    labels = torch.arange(STEP_BATCH)
    begun = time.perf_counter()
    for number in range(STEPS + 2):
        if number == 2:
            begun = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=has_bf16()):
            loss = cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {"seconds": (time.perf_counter() - begun) / STEPS, "n": STEP_BATCH}


def _network(weights: Path) -> Any:  # noqa: ANN401 - timm has no types
    import timm

    overlay = {"file": str(weights)}
    return timm.create_model(MODEL, pretrained=True, pretrained_cfg_overlay=overlay)


def _openvino() -> Any:  # noqa: ANN401 - a module without types
    sys.modules["openvino_telemetry"] = None  # it would report each conversion to its makers
    import openvino

    return openvino


def _converted(openvino: Any, network: Any) -> Any:  # noqa: ANN401
    import torch

    sample = torch.zeros(1, 3, SIDE, SIDE)
    return openvino.convert_model(network, example_input=sample, input=[1, 3, SIDE, SIDE])


def _compiled(openvino: Any, model: Any, precision: str) -> Any:  # noqa: ANN401
    hints = {"INFERENCE_PRECISION_HINT": precision, "NUM_STREAMS": str(CORES)}
    return openvino.Core().compile_model(model, "CPU", hints)


STAGES = {own.__name__: own for own in (decode, convert, forward, forward_bf16, step)}

if __name__ == "__main__":
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("stage", choices=sorted(STAGES))
    words.add_argument("--data", type=Path, required=True)
    words.add_argument("--weights", type=Path, required=True)
    asked = words.parse_args()
    print(json.dumps(STAGES[asked.stage](asked)))
