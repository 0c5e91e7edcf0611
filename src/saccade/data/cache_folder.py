"""The folder of the pixel cache: where it is, what it holds, and what goes when it is full."""

import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saccade.data import leases
from saccade.data.shards import ENTRY, SUFFIX, Damaged, Shard, read_shard
from saccade.runtime.errors import ResourceError
from saccade.runtime.store import free_bytes

LAYOUT = "pixels-1"  # its number rises when older shards cannot be read any more
PRIVATE = "private-"
PARTIAL = ".part"
ALL = "*"  # in a lease: every shard of the folder


def cache_folder(named: str = "") -> Path:
    """Return where caches live: the folder named, else SACCADE_CACHE, else the user's own."""
    if own := named or os.environ.get("SACCADE_CACHE"):
        return Path(own)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "saccade"


def open_shards(folder: Path, *, preprocess: str, say: Callable[[str], None]) -> list[Shard]:
    """Return the sound shards of a folder by name; damaged ones are removed, and that is told."""
    found = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            found.append(read_shard(path, preprocess=preprocess))
        except FileNotFoundError:  # somebody made room
            continue
        except (Damaged, OSError) as error:
            say(f"Cache: {path.name} is damaged ({error}); its pictures are decoded again.")
            path.unlink(missing_ok=True)
    return found


class Known:
    """Which contents some shards hold, found by their SHA-256; 48 bytes a content, all arrays.

    Args:
        shards: of one folder.
        decoders: what decodes each format now; what was made by others is not known.
    """

    def __init__(self, shards: Sequence[Shard], decoders: Mapping[str, str]) -> None:
        own = [np.flatnonzero(shard.still_valid(decoders)) for shard in shards]
        entries = [shard.entries[valid] for shard, valid in zip(shards, own, strict=True)]
        together = np.concatenate([np.zeros(0, ENTRY), *entries])
        order = np.argsort(together["content"], kind="stable")
        self._contents = together["content"][order]
        self.slots = together["slot"][order]
        self.entries = np.concatenate([np.zeros(0, np.int64), *own])[order]
        self.shards = np.repeat(np.arange(len(shards)), [len(valid) for valid in own])[order]

    def find(self, contents: NDArray[np.bytes_]) -> NDArray[np.int64]:
        """Return where each content is among `shards`, `entries` and `slots`; -1 = nowhere."""
        if len(self._contents) == 0:
            return np.full(len(contents), -1)
        place = np.searchsorted(self._contents, contents).clip(max=len(self._contents) - 1)
        return np.where(self._contents[place] == contents, place, -1)


def make_room(root: Path, *, limit_bytes: float, needed_bytes: int = 0) -> int:
    """Remove the shards that were not used for longest, until the rest is within the limit.

    What a living process uses is spared. Leftovers of dead processes go too. Where even without
    all others there is not the room that is needed, nothing is removed.

    Returns:
        The bytes that are free, or could be made free.
    """
    with leases.guarded(root):
        alive = leases.living(root)
        _remove_leftovers(root, alive)
        shards = sorted(_sizes(root), reverse=True)  # the oldest last
        spared = {tuple(line.split("/", 1)) for lines in alive.values() for line in lines}
        idle = [
            (used, size, path)
            for used, size, path in shards
            if not spared & {(path.parent.name, ALL), (path.parent.name, path.stem)}
        ]
        total = sum(size for _, size, _ in shards)
        free = free_bytes(root)
        room = free + sum(size for _, size, _ in idle)
        while idle and room >= needed_bytes and (total > limit_bytes or free < needed_bytes):
            _, size, path = idle.pop()
            path.unlink(missing_ok=True)
            total, free = total - size, free + size
        return room


def claim_room(root: Path, needed_bytes: int, *, at_least: Callable[[], int | None]) -> None:
    """Make sure that the disk has room for new pictures, at the cost of idle ones where it must.

    Args:
        root: the folder of the cache.
        needed_bytes: where every picture is new.
        at_least: finds out how many bytes really are new, or None where all are; called only
            where room is scarce, for it may have to read every file.

    Raises:
        ResourceError: there is not the room (E402); nothing was removed.
    """
    if needed_bytes > free_bytes(root) and (known := at_least()) is not None:
        needed_bytes = known
    room = make_room(root, limit_bytes=math.inf, needed_bytes=needed_bytes)
    if needed_bytes > room:
        raise ResourceError(
            f"The decoded pictures need {needed_bytes / 1e6:,.0f} MB, and {room / 1e6:,.0f} MB "
            "are free.",
            code="402",
            where=str(root.parent),
            fix="free some space, choose a smaller --img-size, or name a folder on another disk "
            "with --cache",
        )


def _sizes(root: Path) -> Iterator[tuple[int, int, Path]]:
    """Yield when each shard was used last (in nanoseconds), its bytes and its path."""
    for path in root.glob(f"*/*{SUFFIX}"):
        state = path.stat()
        yield state.st_mtime_ns, state.st_size, path


def _remove_leftovers(root: Path, alive: Mapping[str, list[str]]) -> None:
    for path in root.glob(f"*/*{PARTIAL}"):
        if path.stem.rpartition("-")[0] not in alive:
            path.unlink(missing_ok=True)
    for path in root.glob(f"{PRIVATE}*"):
        if path.name.removeprefix(PRIVATE) not in alive:
            shutil.rmtree(path, ignore_errors=True)
