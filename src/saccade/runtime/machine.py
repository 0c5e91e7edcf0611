"""The machine: its cores, what to call it, and a malloc that keeps its pages."""

import ctypes
import functools
import mmap
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, cast

import numpy as np
from threadpoolctl import ThreadpoolController

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_KEEP_BYTES = (2**31 - 1, 2**25)  # glibc before 2.35 takes no more than 32 MB
_ROWS_AT_ONCE = 1_000  # scattered in a file they map 64 MB of it


def keep_pages() -> bool:
    """Tell glibc's malloc to keep what it has, instead of mapping every activation anew.

    Returns True where it was told. Call before the first large allocation. Without it, torch on
    CPU spends about half of a forward pass on page faults: mobilenetv2_100, fp32, batch 32, two
    cores: 39 pictures a second without, 136 with. Source: measured for this project.
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    kept = any(libc.mallopt(_M_MMAP_THRESHOLD, keep) for keep in _KEEP_BYTES)
    return bool(libc.mallopt(_M_TRIM_THRESHOLD, _KEEP_BYTES[0])) and kept


def give_back_pages() -> None:
    """Return what malloc has kept of a piece of work that is over (`keep_pages`).

    A search for copies among 100,000 pictures leaves hundreds of megabytes that nobody uses.
    """
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def let_go(values: np.ndarray) -> None:
    """Unmap values that lie in a file, until they are next asked for; others stay as they are."""
    base: object = values
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


def rows_of(values: np.ndarray, rows: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return copies of some rows (M, …); of values in a file, little of it is mapped meanwhile.

    The system maps 64 KB around each row that is read; so they are read in the order of the file,
    some at a time.
    """
    places = np.asarray(rows, np.int64)
    found = np.empty((len(places), *values.shape[1:]), values.dtype)
    order = np.argsort(places, kind="stable")
    for start in range(0, len(order), _ROWS_AT_ONCE):
        piece = order[start : start + _ROWS_AT_ONCE]
        found[piece] = values[places[piece]]
        let_go(values)
    return found


def pieces_of(values: np.ndarray) -> Iterator[np.ndarray]:
    """Yield all rows, some at a time; of values in a file no more than these is mapped."""
    for start in range(0, len(values), _ROWS_AT_ONCE):
        yield values[start : start + _ROWS_AT_ONCE]
        let_go(values)


def one_blas_thread() -> AbstractContextManager[Any]:
    """Let NumPy's products be computed by the thread that asks, as long as the context lasts.

    Its libraries are looked for once; each time that took 1.5 ms, as long as a small product.
    """
    return cast("AbstractContextManager[Any]", _blas().limit(limits=1))


@functools.cache
def _blas() -> ThreadpoolController:
    import scipy.linalg  # noqa: F401, PLC0415 - it brings a library of its own

    return ThreadpoolController().select(user_api="blas")


def num_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe() -> dict[str, str | int]:
    """Return what a reader of a run needs to know of the machine."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": num_cores(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - a kernel file
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
