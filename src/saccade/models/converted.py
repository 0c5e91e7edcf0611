"""A network converted by OpenVINO for the processor: the only door to that package.

Each request holds one picture, and each thread works on a request of its own. So the answer for a
picture does not depend on its neighbours in a batch, on the batch size or on the number of threads,
no thread waits for another, and the last batch needs no padding. It is also the quickest way
(docs/log.md).
"""

import hashlib
import importlib.util
import json
import sys
import tempfile
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

MAGIC = b"saccade engine 1\n"
_IMPORTING = threading.Lock()


class NotConverted(Exception):
    """OpenVINO is not to be had here, or cannot take this network; the text says why."""


def installed() -> bool:
    """Whether OpenVINO is installed; it is not loaded."""
    return importlib.util.find_spec("openvino") is not None


def load() -> Any:  # noqa: ANN401 - openvino, whose types are those of its binary part
    """Return the package openvino, loaded without its telemetry.

    On import its conversion tool sends an event to an analytics service, unless the package
    `openvino_telemetry` is missing; then it takes a stand-in that does nothing. So that package is
    kept from it, for the time of the import only.

    Raises:
        NotConverted: it is not installed, or does not run on this machine.
    """
    with _IMPORTING:
        telemetry = "openvino_telemetry"
        before = {telemetry: sys.modules[telemetry]} if telemetry in sys.modules else {}
        if sys.modules.get("openvino") is None:
            sys.modules[telemetry] = None  # type: ignore[assignment]
        try:
            import openvino  # noqa: PLC0415 - 0.4 s, only where it pays
        except (ImportError, OSError, RuntimeError) as error:
            raise NotConverted(f"OpenVINO cannot be loaded ({error})") from error
        finally:
            if sys.modules.get(telemetry) is None:
                sys.modules.pop(telemetry, None)
                sys.modules.update(before)
    return openvino


def version() -> str:
    """Return the version of OpenVINO, loading it."""
    return str(load().get_version())


def convert(network: nn.Module, sample: torch.Tensor) -> bytes:
    """Return the network as OpenVINO's own file, complete and in one piece.

    Args:
        network: in eval mode, one tensor to one tensor.
        sample: an input for one picture, (1, …); the file takes no other shape.

    Raises:
        NotConverted: it cannot be traced, or holds an operation that OpenVINO does not know.
    """
    openvino = load()
    from openvino.frontend import FrontEndManager  # noqa: PLC0415 - see load
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder  # noqa: PLC0415

    try:
        with torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings():
            # torch.jit.trace is deprecated in favour of torch.export, which takes ten times as
            # long to import and trace; the tracer also warns of every shape read by Python.
            warnings.simplefilter("ignore")
            traced = torch.jit.trace(  # type: ignore[no-untyped-call]
                network, (sample,), check_trace=False, strict=False
            )
            # The decoder must live until the conversion is done: the frontend does not hold it.
            decoder = TorchScriptPythonDecoder(traced, example_input=(sample,), shared_memory=False)
            frontend = FrontEndManager().load_by_framework("pytorch")
            model = frontend.convert(frontend.load(decoder))
            model.reshape(list(sample.shape))
    except Exception as error:  # the tracer, the decoder and the frontend raise many kinds
        raise NotConverted(_why(error)) from error
    if len(model.outputs) != 1 or model.output(0).partial_shape.is_dynamic:
        raise NotConverted("it gives more than one tensor, or one of a shape that changes")
    with tempfile.TemporaryDirectory() as folder:
        graph, constants = Path(folder) / "network.xml", Path(folder) / "network.bin"
        openvino.serialize(model, graph, constants)
        return _packed(graph.read_bytes(), constants.read_bytes())


def _why(error: Exception) -> str:
    """Return the one line of a long report that tells most: unknown operations, or the last."""
    lines = [line.strip(" -") for line in str(error).splitlines() if line.strip(" -")]
    unknown = [line for line in lines if line.startswith("No conversion rule")]
    told = (unknown or lines or ["no reason given"])[-1]
    return f"{type(error).__name__}: {told[:200]}"


def _packed(graph: bytes, constants: bytes) -> bytes:
    sizes = json.dumps({"graph": len(graph), "constants": len(constants)}).encode()
    body = sizes + b"\n" + graph + constants
    return MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def is_whole(content: bytes) -> bool:
    """Whether the content is what `convert` returned, to the last bit."""
    try:
        _unpacked(content)
    except ValueError:
        return False
    return True


def _unpacked(content: bytes) -> tuple[bytes, bytes]:
    """Return graph and constants; ValueError where a byte is not as it was written."""
    if not content.startswith(MAGIC):
        raise ValueError("not an engine file of this format")
    digest, _, body = content[len(MAGIC) :].partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise ValueError("the content does not match its hash")
    head, _, rest = body.partition(b"\n")
    sizes = json.loads(head)
    return rest[: sizes["graph"]], rest[sizes["graph"] :]


class Converted:
    """A converted network, compiled for this processor; not to be called by two threads at once."""

    def __init__(self, content: bytes, *, threads: int, bf16: bool, together: int = 1) -> None:
        """Compile what `convert` returned, for so many pictures a request.

        Raises:
            ValueError: the content is damaged.
            NotConverted: OpenVINO cannot compile it here.
        """
        openvino = load()
        graph, constants = _unpacked(content)
        try:
            core = openvino.Core()
            model = core.read_model(graph, openvino.Tensor(np.frombuffer(constants, np.uint8)))
            if together > 1:
                model.reshape([together, *list(model.input(0).shape)[1:]])
            compiled = core.compile_model(
                model,
                "CPU",
                {
                    "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
                    "NUM_STREAMS": str(threads),
                    "INFERENCE_NUM_THREADS": str(threads),
                    # A pinned thread cannot move away from a core that another process takes.
                    "ENABLE_CPU_PINNING": False,
                },
            )
            self._queue = openvino.AsyncInferQueue(compiled, threads + 1)
        except RuntimeError as error:
            raise NotConverted(_why(error)) from error
        self._together = together
        self._shape = tuple(compiled.output(0).shape)[1:]
        self._queue.set_callback(_keep)

    def __call__(self, pixels_BHWC: np.ndarray) -> np.ndarray:
        """Return float32 answers (B, …), one a picture, in order."""
        answers = np.empty((len(pixels_BHWC), *self._shape), dtype=np.float32)
        for start in range(0, len(pixels_BHWC), self._together):
            some = pixels_BHWC[start : start + self._together]
            blank = [(0, self._together - len(some)), (0, 0), (0, 0), (0, 0)]
            given = some if len(some) == self._together else np.pad(some, blank)
            self._queue.start_async({0: given}, answers[start : start + len(some)])
        self._queue.wait_all()
        return answers


def _keep(request: Any, into: np.ndarray) -> None:  # noqa: ANN401 - openvino's InferRequest
    into[...] = request.get_output_tensor(0).data[: len(into)]
