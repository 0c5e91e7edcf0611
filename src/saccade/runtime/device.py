"""The machine: which device, how many threads, and a malloc that keeps its pages."""

import ctypes
import os
import platform
import sys

from saccade.runtime.errors import UsageError

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_KEEP_BYTES = (2**31 - 1, 2**25)  # glibc before 2.35 takes no more than 32 MB


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


def num_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def choose_device(requested: str) -> str:
    """Return "cpu", "cuda" or "mps"; "auto" takes the first accelerator at hand.

    Raises:
        UsageError: the device is unknown, or not to be had on this machine.
    """
    import torch  # noqa: PLC0415 - only a run that computes pays for it

    here = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if requested == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if here[name])
    if requested not in here:
        raise UsageError(
            f"--device knows auto, cpu, cuda and mps, not '{requested}'.",
            code="201",
            fix="leave --device out to take the best one at hand",
        )
    if not here[requested]:
        raise UsageError(
            f"The device '{requested}' is not at hand on this machine.",
            code="202",
            where=f"torch {torch.__version__} finds {', '.join(n for n, ok in here.items() if ok)}",
            fix="leave --device out, or install a torch that supports it",
        )
    return requested


def set_threads(requested: int) -> int:
    """Tell torch how many CPU threads to use (0 = every core) and return that number."""
    import torch  # noqa: PLC0415 - likewise

    threads = requested or num_cores()
    torch.set_num_threads(threads)
    return threads


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
