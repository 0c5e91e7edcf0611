"""Who is using the cache: locks that the system takes back from a process that died.

All of them are `flock`s on small files, so nothing has to be cleaned up by hand after a crash.
Who writes pixels needs none of them to be safe, for shards appear whole or not at all; they keep
two processes from doing the same work, and one from removing what another is reading.
"""

import contextlib
import fcntl
import math
import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

GUARD = "lock"
LEASES = "live"
PATIENCE_SECONDS = 600.0  # then a stopped process is no longer waited for
_LOOK_SECONDS = 0.05


class Lease:
    """A file that says what a living process uses: locked while it lives, readable by all.

    Args:
        root: the folder of the cache; the caller holds its `guarded`.
    """

    def __init__(self, root: Path) -> None:
        self.name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._path = root / LEASES / self.name
        self._path.parent.mkdir(exist_ok=True)
        self._file = self._path.open("x", encoding="utf-8")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def tell(self, lines: list[str]) -> None:
        """Replace what it says; the caller holds the root's `guarded`."""
        self._file.seek(0)
        self._file.truncate()
        self._file.write("\n".join(lines))
        self._file.flush()

    def release(self) -> None:
        """End it."""
        self._path.unlink(missing_ok=True)
        self._file.close()


def living(root: Path) -> dict[str, list[str]]:
    """Return the lines of each lease of a living process, and remove the others.

    The caller holds the root's `guarded`.
    """
    found = {}
    for path in sorted((root / LEASES).glob("*")):
        with contextlib.suppress(FileNotFoundError), path.open(encoding="utf-8") as file:
            if try_lock(file.fileno()):
                path.unlink(missing_ok=True)
            else:
                found[path.name] = file.read().splitlines()
    return found


@contextlib.contextmanager
def guarded(root: Path) -> Iterator[None]:
    """Be the only process that changes leases or removes shards; held for moments only."""
    root.mkdir(parents=True, exist_ok=True)  # somebody may have cleared the cache
    with (root / GUARD).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def alone(path: Path, *, on_wait: Callable[[], None], deadline: float = math.inf) -> Iterator[None]:
    """Wait while another living process is inside with this path, then go on.

    Args:
        path: the file to lock; it is removed at the end.
        on_wait: called once where somebody else is inside.
        deadline: on the monotonic clock, after which it is no longer waited for.
    """
    with path.open("a") as file:
        end = min(time.monotonic() + PATIENCE_SECONDS, deadline)
        if not try_lock(file.fileno()):
            on_wait()
            while not try_lock(file.fileno()) and time.monotonic() < end:
                time.sleep(_LOOK_SECONDS)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def try_lock(handle: int) -> bool:
    """Lock an open file, or folder, until it is closed; False where another process has done so."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
