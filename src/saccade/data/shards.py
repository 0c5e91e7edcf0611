"""One file of the pixel cache: canvases, what is known of each picture, a name that proves both.

A shard is written once and never changed. From its beginning to its end it holds

* the canvases, uint8 (M, canvas, canvas, 3), one after the other;
* an entry for every content that was looked at, readable or refused;
* a description as JSON: the preprocessing, the decoders and their versions, the SHA-256 of the
  canvases, and why contents were refused;
* a mark, and the sizes of the two parts before it.

Its name is the SHA-256 of entries and description. So a changed bit in them, a cut end or a file
under another's name is noticed when the shard is opened, without reading the canvases; a changed
bit in the canvases is noticed when they are first mapped. The same pictures decoded in the same
way give the same file with the same name.
"""

import contextlib
import hashlib
import json
import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saccade.data.catalog import Facts
from saccade.data.decode import FORMATS, NOTES
from saccade.runtime.errors import ResourceError
from saccade.runtime.store import disk_error

SUFFIX = ".shard"
NAME_LENGTH = 32  # hexadecimal digits of the SHA-256 that are the name
REFUSED = -1  # the slot of a content that is no readable picture

ENTRY = np.dtype(
    [
        ("content", "S32"),  # SHA-256 of the file's bytes; NumPy drops zeros at its end on reading
        ("slot", "<i4"),  # which canvas, or REFUSED
        ("width_px", "<i4"),
        ("height_px", "<i4"),
        ("format", "u1"),  # 1 + its place in FORMATS; 0 where refused
        ("notes", "<u2"),  # a bit for each of NOTES
    ]
)
_MARK = b"saccade1"
_FOOTER = struct.Struct("<8sQQ")  # mark, bytes of the entries, bytes of the description


class Damaged(Exception):
    """A shard is not as it was written; the text says how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """A shard as its index says; the canvases stay on the disk."""

    path: Path
    entries: np.ndarray  # of ENTRY
    preprocess: str  # the key of what decides how a picture becomes a canvas
    canvas_px: int
    num_pictures: int
    pixels_sha256: str
    decoders: Mapping[str, str]  # format -> program and version
    refused: Mapping[int, tuple[str, str]]  # entry -> reason and sentence

    @property
    def name(self) -> str:
        """Return the digest that is its file name."""
        return self.path.stem

    def facts(self, entry: int) -> Facts:
        """Return what is known of one content."""
        if entry in self.refused:
            reason, sentence = self.refused[entry]
            return Facts(reason=reason, sentence=sentence)
        _, _, width, height, kind, bits = self.entries[entry].item()
        return Facts(
            width_px=width,
            height_px=height,
            format=FORMATS[kind - 1],
            notes=tuple(note for bit, note in enumerate(NOTES) if bits >> bit & 1),
        )

    def still_valid(self, decoders: Mapping[str, str]) -> NDArray[np.bool_]:
        """Return, for each entry, whether these decoders are those that it was made with."""
        same = [self.decoders.get(kind) == decoders[kind] for kind in FORMATS]
        valid: NDArray[np.bool_] = np.array([all(same), *same])[self.entries["format"]]
        return valid

    def only(
        self, slots: np.ndarray, decoders: Mapping[str, str]
    ) -> tuple[np.ndarray, dict[int, tuple[str, str]]]:
        """Return entries and refusals of a shard with some of these pictures, numbered anew.

        Args:
            slots: of the pictures, ascending.
            decoders: that made them; refusals of others are left out.
        """
        refused = (self.entries["slot"] == REFUSED) & self.still_valid(decoders)
        staying = np.flatnonzero(refused | np.isin(self.entries["slot"], slots))
        entries = self.entries[staying].copy()
        pictures = entries["slot"] != REFUSED
        entries["slot"][pictures] = np.searchsorted(slots, entries["slot"][pictures])
        numbers = {old: new for new, old in enumerate(staying.tolist())}
        why = {numbers[old]: why for old, why in self.refused.items() if old in numbers}
        return entries, why


def as_entry(content: bytes, facts: Facts, slot: int) -> tuple[bytes, int, int, int, int, int]:
    """Return the entry of a content, whose `slot` is REFUSED where the facts say so."""
    bits = sum(1 << NOTES.index(note) for note in facts.notes)
    kind = FORMATS.index(facts.format) + 1 if facts.format else 0
    return content, slot, facts.width_px, facts.height_px, kind, bits


def write_shard(
    folder: Path,
    canvases: Sequence[np.ndarray],
    *,
    entries: np.ndarray,
    refused: Mapping[int, tuple[str, str]],
    temporary: Path,
    preprocess: str,
    canvas_px: int,
    decoders: Mapping[str, str],
) -> Shard:
    """Write a shard, whole or not at all, and return it.

    Args:
        folder: where it goes, under the name that its content gives it.
        canvases: uint8 (canvas, canvas, 3) each, in the order of their slots.
        entries: of ENTRY, one a content.
        refused: entry -> reason and sentence, of contents that are no readable picture.
        temporary: a file on the same disk, to write first.
        preprocess: the key of the preprocessing.
        canvas_px: side of the canvases.
        decoders: format -> program and version.

    Raises:
        ResourceError: it could not be written (E401); nothing is left of it.
    """
    digest = hashlib.sha256()
    try:
        folder.mkdir(parents=True, exist_ok=True)  # somebody may have cleared the cache
        with temporary.open("wb") as file:
            for canvas in canvases:
                flat = np.ascontiguousarray(canvas).reshape(-1)
                file.write(flat.data)
                digest.update(flat.data)
            facts = {
                "preprocess": preprocess,
                "canvas_px": canvas_px,
                "num_pictures": len(canvases),
                "pixels_sha256": digest.hexdigest(),
                "decoders": dict(decoders),
                "refused": {str(entry): list(why) for entry, why in refused.items()},
            }
            described = json.dumps(facts, sort_keys=True).encode()
            index = entries.tobytes() + described
            file.write(index + _FOOTER.pack(_MARK, entries.nbytes, len(described)))
            file.flush()
            os.fsync(file.fileno())
        path = folder / f"{_name(index)}{SUFFIX}"
        temporary.replace(path)
    except OSError as error:
        failed = disk_error(error, folder / temporary.name)
        fix = "free some space there, or name another folder with --cache"
        raise ResourceError(failed.message, code="401", where=failed.where, fix=fix) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return _shard(path, entries, facts)


def read_shard(path: Path, *, preprocess: str) -> Shard:
    """Return a shard after a look at its index; the canvases are not read.

    Raises:
        Damaged: it is not as it was written, or not of this preprocessing.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size < _FOOTER.size:
            raise Damaged("it is cut short")
        file.seek(size - _FOOTER.size)
        mark, num_entries, num_described = _FOOTER.unpack(file.read())
        num_index = num_entries + num_described
        if mark != _MARK or size < num_index + _FOOTER.size:
            raise Damaged("it is cut short, or its end was changed")
        file.seek(size - _FOOTER.size - num_index)
        index = file.read(num_index)
    _check_name(path, index)
    entries = np.frombuffer(index[:num_entries], ENTRY)
    shard = _shard(path, entries, json.loads(index[num_entries:]))
    if shard.preprocess != preprocess:
        raise Damaged("it lies in the folder of another preprocessing")
    if size - _FOOTER.size - num_index != shard.num_pictures * shard.canvas_px**2 * 3:
        raise Damaged("it has too few or too many canvases")
    return shard


def map_canvases(shard: Shard, *, check: bool) -> NDArray[np.uint8]:
    """Return the canvases of a shard, mapped: uint8 (M, canvas, canvas, 3), read-only.

    Args:
        shard: as read or written.
        check: whether to read all of them once and compare their SHA-256.

    Raises:
        Damaged: they are not as they were written, or gone.
    """
    shape = (shard.num_pictures, shard.canvas_px, shard.canvas_px, 3)
    try:
        canvases: NDArray[np.uint8] = np.asarray(np.memmap(shard.path, np.uint8, "r", shape=shape))
    except (OSError, ValueError) as error:  # ValueError: shorter than the shape
        raise Damaged(str(error)) from error
    if check and hashlib.sha256(canvases.reshape(-1).data).hexdigest() != shard.pixels_sha256:
        raise Damaged("its canvases are not those that were written")
    return canvases


def _check_name(path: Path, index: bytes) -> None:
    if _name(index) != path.stem:
        raise Damaged("its index is not what its name says")


def _name(index: bytes) -> str:
    return hashlib.sha256(index).hexdigest()[:NAME_LENGTH]


def _shard(path: Path, entries: np.ndarray, facts: Mapping[str, Any]) -> Shard:
    return Shard(
        path=path,
        entries=entries,
        preprocess=facts["preprocess"],
        canvas_px=facts["canvas_px"],
        num_pictures=facts["num_pictures"],
        pixels_sha256=facts["pixels_sha256"],
        decoders=facts["decoders"],
        refused={int(entry): (why[0], why[1]) for entry, why in facts["refused"].items()},
    )
