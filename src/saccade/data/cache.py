"""Pictures as canvases, from memory-mapped shards, in any order; larger than memory is normal."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np

from saccade.data.preprocess import Preprocess
from saccade.data.shards import Damaged, Shard, map_canvases

MAPPED_BYTES = 200_000_000  # of canvases at a time; what is mapped counts as memory of ours

Rebuild = Callable[[Shard, np.ndarray, np.ndarray, str], tuple[Shard, np.ndarray]]
"""From a damaged shard, the rows in it, their slots and what is wrong, to a new shard and slots."""


class PixelCache:
    """The canvases of a catalogue's pictures, uint8 (canvas, canvas, 3) each.

    A shard's canvases are compared with their SHA-256 when they are first mapped, unless this
    process wrote them; a damaged shard is built anew from the pictures' files.

    Args:
        shards: where canvases lie.
        shard_of_row: int32 (N,), among `shards`.
        slot_of_row: int32 (N,), within the shard.
        preprocess: how the canvases were made.
        written_here: shards, by number, that need no check.
        rebuild: makes a damaged shard anew.
    """

    def __init__(
        self,
        shards: Sequence[Shard],
        shard_of_row: np.ndarray,
        slot_of_row: np.ndarray,
        *,
        preprocess: Preprocess,
        written_here: frozenset[int] = frozenset(),
        rebuild: Rebuild | None = None,
    ) -> None:
        self.preprocess = preprocess
        self._shards = list(shards)
        self._shard_of = shard_of_row
        self._slot_of = slot_of_row
        self._checked = set(written_here)
        self._rebuild = rebuild
        self._mapped: OrderedDict[int, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._shard_of)

    def canvases(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the canvases of some rows, uint8 (B, canvas, canvas, 3), copied to memory.

        Raises:
            DataError: a shard was damaged, and a picture in it is gone (E316) or has changed
                (E345) since the scan.
            ResourceError: a shard was damaged, and the new one could not be written (E401).
        """
        wanted = np.asarray(rows, dtype=np.int64)
        side = self.preprocess.canvas_px
        found = np.empty((len(wanted), side, side, 3), np.uint8)
        for shard in np.unique(self._shard_of[wanted]).tolist():
            here = np.flatnonzero(self._shard_of[wanted] == shard)
            with self._lock:  # slots change with the shard where it is built anew
                mapped = self._canvases_of(shard)
                slots = self._slot_of[wanted[here]]
            for place, slot in zip(here.tolist(), slots.tolist(), strict=True):
                found[place] = mapped[slot]
        return found

    def only(self, rows: Sequence[int] | np.ndarray) -> "PixelCache":
        """Return a cache of some of these pictures, in the order of `rows`."""
        kept = np.asarray(rows, dtype=np.int64)
        rebuild = self._rebuild

        def rebuilt(
            shard: Shard, own: np.ndarray, slots: np.ndarray, what: str
        ) -> tuple[Shard, np.ndarray]:
            if rebuild is None:
                raise Damaged(what)
            return rebuild(shard, kept[own], slots, what)

        return PixelCache(
            self._shards,
            self._shard_of[kept],
            self._slot_of[kept],
            preprocess=self.preprocess,
            written_here=frozenset(self._checked),
            rebuild=rebuilt,
        )

    def as_seen(self, row: int) -> np.ndarray:
        """Return one picture as the network sees it, uint8 (size, size, 3)."""
        seen: np.ndarray = self.preprocess.centre(self.canvases([row]))[0]
        return seen

    def _canvases_of(self, number: int) -> np.ndarray:
        if number in self._mapped:
            self._mapped.move_to_end(number)
            return self._mapped[number]
        try:
            mapped = map_canvases(self._shards[number], check=number not in self._checked)
        except Damaged as damage:
            self._mend(number, str(damage))
            mapped = map_canvases(self._shards[number], check=False)
        self._checked.add(number)
        self._mapped[number] = mapped
        while len(self._mapped) > 1 and self._mapped_bytes() > MAPPED_BYTES:
            self._mapped.popitem(last=False)
        return mapped

    def _mapped_bytes(self) -> int:
        return sum(canvases.nbytes for canvases in self._mapped.values())

    def _mend(self, number: int, what: str) -> None:
        if self._rebuild is None:
            raise Damaged(what)
        rows = np.flatnonzero(self._shard_of == number)
        new, slots = self._rebuild(self._shards[number], rows, self._slot_of[rows], what)
        self._shards[number] = new
        self._slot_of[rows] = slots


def empty_cache() -> PixelCache:
    """Return a cache of no pictures."""
    nothing = np.zeros(0, np.int32)
    return PixelCache([], nothing, nothing, preprocess=Preprocess(size_px=1))
