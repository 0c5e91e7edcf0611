"""Weights on disk: safetensors only, checked before a byte of them is used."""

import json
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from saccade.runtime import store
from saccade.runtime.errors import ArtefactError, ResourceError, listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

MAX_HEADER_BYTES = 16 * 1024 * 1024  # the largest timm networks need well under 1 MB
ITEM_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1}
ITEM_BYTES |= {"U8": 1, "BOOL": 1}
FLOATS = frozenset({"F64", "F32", "F16", "BF16", "float"})
MAX_DIMENSIONS = 8

_CONVERT = "ask its author for a .safetensors file, or convert it in a place you trust"
_SIGNATURES = (
    (b"PK", "a zip archive (what torch.save, torch.export and joblib write)"),
    (b"\x93NUMPY", "a NumPy array file"),
    (b"\x1f\x8b", "gzip data"),
    (b"BZh", "bzip2 data"),
    (b"\xfd7zXZ", "xz data"),
    (b"\x28\xb5\x2f\xfd", "zstandard data"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x80", "a Python pickle"),
    (b"GGUF", "a GGUF file"),
    (b"version https://git-lfs", "a Git LFS pointer, not the weights themselves"),
    (b"<!", "a web page"),
    (b"<h", "a web page"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorInfo:
    """What the header of a file says about one tensor."""

    kind: str  # "F32", "I64", …
    shape: tuple[int, ...]

    def size(self) -> str:
        """Return the shape for people, with the kind where it is no floating one.

        >>> TensorInfo(kind="F32", shape=(3, 4)).size(), TensorInfo(kind="I64", shape=()).size()
        ('3×4', 'one integer')
        """
        integer = "" if self.kind in FLOATS else " integer"
        return ("×".join(map(str, self.shape)) or "one") + integer


def check(path: Path) -> dict[str, TensorInfo]:
    """Return name, kind and shape of every tensor, after checking the whole header.

    The content decides, never the suffix: what is not safetensors is refused unread, because
    the formats that torch, joblib and NumPy write can run code when they are opened.

    Raises:
        ResourceError: the file is not there or cannot be read (E410).
        ArtefactError: not safetensors (E501), or a damaged or dishonest header (E502).
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(512)
            length = int.from_bytes(start[:8], "little")
            _refuse_foreign(path, start, length=length, size=size)
            file.seek(8)
            header = file.read(length)
    except OSError as error:
        raise ResourceError(
            f"The weights cannot be read: {error.strerror or error}.",
            code="410",
            where=str(path),
            fix="name a .safetensors file that exists and that you may read",
        ) from error
    return _parse(path, header, data_bytes=size - 8 - length)


def _refuse_foreign(path: Path, start: bytes, *, length: int, size: int) -> None:
    is_header = start[8:9] == b"{" and len(start) > 8
    if is_header and 2 <= length <= min(size - 8, MAX_HEADER_BYTES):
        return
    if is_header and start[4:8] == b"\0\0\0\0":
        _broken(path, f"its header claims {length} bytes, the file has {size}")
    kind = next((text for magic, text in _SIGNATURES if start.startswith(magic)), "")
    if not kind and start[257:262] == b"ustar":
        kind = "a tar archive"
    if not kind and start[:1] == b"x" and start[1:2] in b"\x01\x5e\x9c\xda" and size > 1:
        kind = "zlib data (what joblib writes)"
    if not kind and not start:
        kind = "an empty file"
    raise ArtefactError(
        f"Weights are read from safetensors files only; this is {kind or 'something else'}.",
        code="501",
        where=str(path),
        fix=f"{_CONVERT}; it was not opened",
    )


def _broken(path: Path, why: str) -> NoReturn:
    raise ArtefactError(
        f"This safetensors file is damaged: {why}.",
        code="502",
        where=str(path),
        fix="fetch or copy the file again",
    )


def _parse(path: Path, header: bytes, *, data_bytes: int) -> dict[str, TensorInfo]:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in items]
        if len(set(names)) != len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            _broken(path, f"names stand twice in its header: {listed(twice)}")
        return dict(items)

    try:
        entries = json.loads(header.decode("utf-8"), object_pairs_hook=pairs)
    except (ValueError, RecursionError) as error:
        raise ArtefactError(
            "This safetensors file is damaged: its header is not JSON.",
            code="502",
            where=str(path),
            fix="fetch or copy the file again",
        ) from error
    if not isinstance(entries, dict):
        _broken(path, "its header is not a table of tensors")
    entries.pop("__metadata__", None)
    infos: dict[str, TensorInfo] = {}
    ranges: list[tuple[int, int, str]] = []
    for name, entry in entries.items():
        infos[name], begin, end = _entry(path, name, entry)
        ranges.append((begin, end, name))
    _check_ranges(path, sorted(ranges), data_bytes=data_bytes)
    return infos


def _entry(path: Path, name: str, entry: object) -> tuple[TensorInfo, int, int]:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        _broken(path, f"the entry of {name[:80]!r} is not dtype, shape and data_offsets")
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(kind, str) or kind not in ITEM_BYTES:
        _broken(path, f"{name[:80]!r} is of the unknown kind {str(kind)[:20]!r}")
    if not _is_sizes(shape) or len(shape) > MAX_DIMENSIONS:
        _broken(path, f"the shape of {name[:80]!r} is not a list of sizes")
    if not _is_sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        _broken(path, f"the place of {name[:80]!r} is not a range of bytes")
    if math.prod(shape) * ITEM_BYTES[kind] != offsets[1] - offsets[0]:
        _broken(path, f"{name[:80]!r} has another number of bytes than its shape needs")
    return TensorInfo(kind=kind, shape=tuple(shape)), offsets[0], offsets[1]


def _is_sizes(value: object) -> bool:
    return isinstance(value, list) and all(type(v) is int and 0 <= v < 2**48 for v in value)


def _check_ranges(path: Path, ranges: list[tuple[int, int, str]], *, data_bytes: int) -> None:
    at = 0
    for begin, end, name in ranges:
        if begin != at:
            what = "overlaps its neighbour" if begin < at else "leaves a hole before it"
            _broken(path, f"{name[:80]!r} {what}")
        at = end
    if at != data_bytes:
        _broken(path, f"its tensors need {at} bytes, the file holds {data_bytes}")


def read(path: Path) -> dict[str, "torch.Tensor"]:
    """Return every tensor of a checked file, floating ones as float32.

    Raises:
        ResourceError, ArtefactError: as `check`; and values that are not finite (E503).
    """
    check(path)
    from safetensors import SafetensorError  # noqa: PLC0415 - brings torch
    from safetensors.torch import load_file  # noqa: PLC0415

    try:
        tensors: dict[str, torch.Tensor] = load_file(path)
    except SafetensorError as error:
        raise ArtefactError(
            f"This safetensors file is damaged: {error}.",
            code="502",
            where=str(path),
            fix="fetch or copy the file again",
        ) from error
    tensors = {n: t.float() if t.is_floating_point() else t for n, t in tensors.items()}
    bad = [n for n, t in tensors.items() if t.is_floating_point() and not _is_finite(t)]
    if bad:
        raise ArtefactError(
            f"{len(bad)} of {len(tensors)} tensors hold values that are not numbers: "
            f"{listed(bad)}.",
            code="503",
            where=str(path),
            fix="the training that wrote them had failed; take other weights",
        )
    return tensors


def _is_finite(tensor: "torch.Tensor") -> bool:
    # Quicker than isfinite().all(); a sum of float32 values in float64 cannot overflow.
    return bool(tensor.sum(dtype=_float64()).isfinite())


def _float64() -> "torch.dtype":
    import torch  # noqa: PLC0415 - checking headers needs no torch

    return torch.float64


def write(path: Path, tensors: "Mapping[str, torch.Tensor]") -> None:
    """Write tensors as one safetensors file, whole or not at all.

    Raises:
        ResourceError: the disk does not take it (E401).
    """
    from safetensors import SafetensorError  # noqa: PLC0415 - with torch
    from safetensors.torch import save_file  # noqa: PLC0415 - brings torch

    own: dict[str, torch.Tensor] = {}
    taken: set[int] = set()
    for name, tensor in tensors.items():
        own[name] = _own(tensor, taken)
    with store.writing(path) as temporary:
        try:
            save_file(own, temporary, metadata={"format": "pt"})
        except SafetensorError as error:  # its words for what the disk said
            number = re.search(r"os error (\d+)|code: (\d+)", str(error))
            known = int(number[1] or number[2]) if number else None
            raise OSError(known, os.strerror(known) if known else str(error)) from error


def _own(tensor: "torch.Tensor", taken: set[int]) -> "torch.Tensor":
    """Return a tensor on the processor that shares its memory with none; itself where it does.

    Copies of all would take as much memory again as a checkpoint has.
    """
    kept = tensor.detach().to("cpu").contiguous()
    if kept.untyped_storage().nbytes() != kept.nbytes or kept.data_ptr() in taken:
        kept = kept.clone()
    taken.add(kept.data_ptr())
    return kept
