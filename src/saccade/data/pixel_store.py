"""The pixel cache while it is built: what is known already, what is new, and where it goes.

Contents are known by the SHA-256 of their bytes, so pixels can never belong to another version of
a file than its row in the catalogue.
"""

import contextlib
import hashlib
import itertools
import math
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import numpy as np

from saccade.data import cache_folder, decode, leases
from saccade.data.ahead import in_order
from saccade.data.cache import PixelCache
from saccade.data.catalog import Catalog, Facts
from saccade.data.preprocess import Preprocess
from saccade.data.shard_writer import SHARD_BYTES, ShardWriter
from saccade.data.shards import REFUSED, Shard
from saccade.runtime.machine import num_cores
from saccade.runtime.progress import Progress
from saccade.runtime.store import encode_name

MOST_BYTES_A_SECOND = 200_000_000
"""Canvases that a core makes in a second, at the very most; a quarter of it was measured."""


class PixelStore:
    """Keeps the canvases that a scan makes, and says which contents need not be decoded again.

    Use as a context; its caches can be read until the end. A scan calls `begin`; then, for every
    content, `facts` (from any thread) and, where nothing is known, `keep` (in the listing's
    order); then `finish`.

    Args:
        preprocess: how a picture becomes a canvas.
        folder: of the cache; "" = SACCADE_CACHE, else the user's cache folder. Where it cannot be
            written, a temporary one takes its place, and that is told.
        limit_gb: what the folder may hold afterwards, in 10⁹ bytes; the shards unused for longest
            go first.
        shared: whether other runs may use the canvases; else they are removed at the end.
        progress: is told of damage, of waiting and of a temporary folder.
        shard_bytes: of canvases in a shard.
    """

    def __init__(
        self,
        preprocess: Preprocess,
        *,
        folder: str = "",
        limit_gb: float = math.inf,
        shared: bool = True,
        progress: Progress | None = None,
        shard_bytes: int = SHARD_BYTES,
    ) -> None:
        self.preprocess = preprocess
        self._root = cache_folder.cache_folder(folder) / cache_folder.LAYOUT
        self._limit_bytes = limit_gb * 1e9
        self._shared = shared
        self._say = (progress or Progress()).say
        self._shard_bytes = shard_bytes
        self._decoders = decode.decoders()
        self._end = contextlib.ExitStack()
        self._building = contextlib.ExitStack()
        self._old: list[Shard] = []
        self._used: set[int] = set()  # numbers of old shards

    def __enter__(self) -> Self:
        try:
            self._open()
        except OSError as error:
            self._say(
                f"Cache: {encode_name(str(self._root.parent))} cannot be written "
                f"({error.strerror or error}); the decoded pictures are kept in a temporary "
                "folder until the end."
            )
            self._end.close()
            self._root = Path(tempfile.mkdtemp(prefix="saccade-"))
            self._end.callback(shutil.rmtree, self._root, ignore_errors=True)
            self._open()
        return self

    def __exit__(self, *_: object) -> None:
        self._building.close()
        self._end.close()

    def begin(
        self,
        place: str,
        num: int,
        *,
        count_missing: Callable[[], int],
        deadline: float = math.inf,
    ) -> None:
        """Get ready for the contents of a listing.

        Where another process is building from the same place, it is waited for; then its pictures
        are known.

        Args:
            place: the folder or table that is scanned.
            num: how many pictures it may hold.
            count_missing: says how many of them are not known; asked where room is scarce.
            deadline: on the monotonic clock, about when the scan will end, ready or not.

        Raises:
            ResourceError: the disk has no room for them (E402); nothing was changed.
        """
        if self._shared:
            digest = hashlib.sha256(os.fsencode(Path(place).absolute())).hexdigest()[:16]
            waiting = "Cache: another process is decoding these pictures; waiting for it."
            path = self._folder / f"building-{digest}.lock"
            self._building.enter_context(
                leases.alone(path, on_wait=lambda: self._say(waiting), deadline=deadline)
            )
        key = self.preprocess.canvas_key
        self._old = cache_folder.open_shards(self._folder, preprocess=key, say=self._say)
        self._known = cache_folder.Known(self._old, self._decoders)
        each, seconds = self.preprocess.canvas_bytes, deadline - time.monotonic()
        most = max(seconds, 1.0) * MOST_BYTES_A_SECOND * num_cores()
        cache_folder.claim_room(
            self._root,
            int(min(num * each, most)),
            at_least=lambda: int(min(count_missing() * each, most)) if self._old else None,
        )
        self._writer = ShardWriter(
            self._folder,
            temporary=self._temporary_paths(),
            preprocess=key,
            canvas_px=self.preprocess.canvas_px,
            decoders=self._decoders,
            shard_bytes=self._shard_bytes,
        )
        self._building.callback(self._writer.close)

    def facts(self, content: bytes) -> Facts | None:
        """Return what is known of a content by the SHA-256 of its bytes, or None."""
        place = int(self._known.find(np.array([content], "S32"))[0])
        if place < 0:
            return None
        shard = int(self._known.shards[place])
        self._used.add(shard)
        return self._old[shard].facts(int(self._known.entries[place]))

    def canvas(self, pixels_HWC: np.ndarray) -> np.ndarray:
        """Return what is kept of a picture, uint8 (canvas, canvas, 3); from any thread."""
        return np.ascontiguousarray(self.preprocess.to_canvas(pixels_HWC))

    def keep(self, content: bytes, facts: Facts, canvas: np.ndarray | None) -> None:
        """Take a content that was not known; `canvas` is None where it was refused.

        Raises:
            ResourceError: what was taken before could not be written (E401).
        """
        if facts.reason != "memory":  # which says nothing of the content
            self._writer.keep(content, facts, canvas)

    def finish(self, catalog: Catalog) -> PixelCache:
        """Write what is left, and return the cache, its rows being those of the catalogue.

        Raises:
            DataError: a picture of the catalogue is not the one that was looked at (E345).
            ResourceError: a shard could not be written (E401).
        """
        new = self._writer.finish()
        self._building.close()
        shards = [*self._old, *new]
        known = cache_folder.Known(shards, self._decoders)
        contents = np.frombuffer(bytes.fromhex("".join(catalog.hashes)), "S32")
        found = known.find(contents)
        lost = np.flatnonzero((found < 0) | (known.slots[found] == REFUSED))
        if len(lost):
            raise catalog.changed(int(lost[0]))
        used = self._used | set(known.shards[found].tolist())
        self._tell_use([shards[number] for number in used] + new)
        return PixelCache(
            shards,
            known.shards[found].astype(np.int32),
            known.slots[found].astype(np.int32),
            preprocess=self.preprocess,
            written_here=frozenset(range(len(self._old), len(shards))),
            rebuild=lambda *damage: self._rebuild(catalog, *damage),
        )

    def _open(self) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        with leases.guarded(self._root):
            self._lease = leases.Lease(self._root)
            self._end.callback(self._close)
            private = f"{cache_folder.PRIVATE}{self._lease.name}"
            name = self.preprocess.canvas_key if self._shared else private
            self._lease.tell([f"{name}/{cache_folder.ALL}"])
            self._folder = self._root / name
            self._folder.mkdir(exist_ok=True)
        if not os.access(self._folder, os.W_OK):
            raise PermissionError(None, "writing there is not permitted")

    def _close(self) -> None:
        self._lease.release()
        with contextlib.suppress(OSError):
            cache_folder.make_room(self._root, limit_bytes=self._limit_bytes)

    def _temporary_paths(self) -> Iterator[Path]:
        for number in itertools.count():
            yield self._folder / f"{self._lease.name}-{number}{cache_folder.PARTIAL}"

    def _tell_use(self, shards: list[Shard]) -> None:
        """Say in the lease which shards must stay, and in their dates when they were used."""
        with leases.guarded(self._root):
            self._lease.tell([f"{self._folder.name}/{shard.name}" for shard in shards])
        for shard in shards:
            with contextlib.suppress(OSError):  # another user's: then its date stays
                os.utime(shard.path)
        cache_folder.make_room(self._root, limit_bytes=self._limit_bytes)

    def _rebuild(
        self, catalog: Catalog, shard: Shard, rows: np.ndarray, slots: np.ndarray, what: str
    ) -> tuple[Shard, np.ndarray]:
        """Make a shard anew from the files of the catalogue's pictures in it.

        Its pictures of other folders are left out, for nobody here knows their files. Where there
        are none, the new file is the old one as it was written.
        """
        self._say(f"Cache: {shard.path.name} is damaged ({what}); it is built anew.")

        def canvas(row: int) -> np.ndarray:
            return self.canvas(decode.decode(catalog.read_again(row)).pixels_HWC)

        kept, first = np.unique(slots, return_index=True)
        canvases = list(in_order(canvas, rows[first].tolist()))
        entries, refused = shard.only(kept, self._decoders)
        new = self._writer.write_now(canvases, entries, refused)
        if new.path != shard.path:
            shard.path.unlink(missing_ok=True)
        return new, np.searchsorted(kept, slots).astype(np.int32)
