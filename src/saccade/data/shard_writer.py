"""New contents, cut into shards and written while the next ones are decoded."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from saccade.data.catalog import Facts
from saccade.data.shards import ENTRY, REFUSED, Shard, as_entry, write_shard

SHARD_BYTES = 64_000_000
MAX_ENTRIES = 65_536  # in a shard, however small the pictures


class ShardWriter:
    """Takes contents in the order of a listing, and writes shards of them.

    Where a shard ends depends on the contents alone. So the shards that a killed process wrote
    are those that an unhurried one would have written, and taking up the rest gives the others.

    Args:
        folder: where they go.
        temporary: yields paths on the same disk to write first.
        preprocess: the key of the preprocessing.
        canvas_px: side of the canvases.
        decoders: format -> program and version.
        shard_bytes: of canvases in a shard.
    """

    def __init__(
        self,
        folder: Path,
        *,
        temporary: Iterator[Path],
        preprocess: str,
        canvas_px: int,
        decoders: Mapping[str, str],
        shard_bytes: int = SHARD_BYTES,
    ) -> None:
        self._folder = folder
        self._temporary = temporary
        self._preprocess = preprocess
        self._canvas_px = canvas_px
        self._decoders = decoders
        self._full = max(1, shard_bytes // (canvas_px**2 * 3))
        self._met: set[bytes] = set()
        self._canvases: list[np.ndarray] = []
        self._entries: list[tuple[bytes, int, int, int, int, int]] = []
        self._refused: dict[int, tuple[str, str]] = {}
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="cache")
        self._writing: Future[Shard] | None = None
        self._written: list[Shard] = []

    def keep(self, content: bytes, facts: Facts, canvas: np.ndarray | None) -> None:
        """Take a content; one that was met before is not kept twice.

        Args:
            content: SHA-256 of the file's bytes.
            facts: what is known of it.
            canvas: uint8 (canvas, canvas, 3); None where it was refused.

        Raises:
            ResourceError: an earlier shard could not be written (E401).
        """
        if content in self._met:
            return
        self._met.add(content)
        slot = REFUSED
        if canvas is None:
            self._refused[len(self._entries)] = (facts.reason, facts.sentence)
        else:
            slot = len(self._canvases)
            self._canvases.append(canvas)
        self._entries.append(as_entry(content, facts, slot))
        if len(self._canvases) >= self._full or len(self._entries) >= MAX_ENTRIES:
            self._write()

    def finish(self) -> list[Shard]:
        """Write what is left, and return all shards in their order.

        Raises:
            ResourceError: a shard could not be written (E401).
        """
        if self._entries:
            self._write()
        self._wait()
        return self._written

    def close(self) -> None:
        """End the writing; what is not whole is dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def write_now(
        self,
        canvases: list[np.ndarray],
        entries: np.ndarray,
        refused: Mapping[int, tuple[str, str]],
    ) -> Shard:
        """Write and return one shard.

        Raises:
            ResourceError: it could not be written (E401).
        """
        return write_shard(
            self._folder,
            canvases,
            entries=entries,
            refused=refused,
            temporary=next(self._temporary),
            preprocess=self._preprocess,
            canvas_px=self._canvas_px,
            decoders=self._decoders,
        )

    def _write(self) -> None:
        """Hand a shard over to be written, once the one before is done: two at most in memory."""
        self._wait()
        entries = np.array(self._entries, ENTRY)
        self._writing = self._pool.submit(self.write_now, self._canvases, entries, self._refused)
        self._canvases, self._entries, self._refused = [], [], {}

    def _wait(self) -> None:
        if self._writing is not None:
            writing, self._writing = self._writing, None
            self._written.append(writing.result())
