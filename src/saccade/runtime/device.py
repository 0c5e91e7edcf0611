"""Where torch computes: which device, how many threads."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from saccade.runtime.errors import UsageError
from saccade.runtime.machine import num_cores


def choose_device(requested: str) -> str:
    """Return "cpu", "cuda" or "mps"; "auto" takes the first accelerator at hand.

    Raises:
        UsageError: the device is unknown, or not to be had on this machine.
    """
    here = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if requested == "auto":
        requested = next(name for name in ("cuda", "mps", "cpu") if here[name])
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
    _deterministic(requested)
    return requested


def _deterministic(device: str) -> None:
    """Let cuDNN choose among algorithms that add up in one order: the same seed, the same bits."""
    if device == "cuda":
        torch.backends.cudnn.deterministic = True


@contextmanager
def threads(requested: int) -> Iterator[int]:
    """Let torch use so many CPU threads (0 = every core) as long as the context lasts."""
    before, number = torch.get_num_threads(), requested or num_cores()
    torch.set_num_threads(number)
    try:
        yield number
    finally:
        torch.set_num_threads(before)


def has_bf16() -> bool:
    """Whether this processor multiplies bfloat16 itself (x86: AVX-512 or AMX)."""
    ask = getattr(torch.cpu, "get_capabilities", None)  # not in every torch
    found = ask() if ask is not None else {}
    return any(found.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


OUT_OF_MEMORY = re.compile(
    "can't allocate memory|out of memory|could not create a primitive(?! descriptor)"
)
"""The last is oneDNN's, which gives no reason, and here it had no other; of a descriptor it says so
where it cannot do what is asked."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out, here or on an accelerator."""
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or OUT_OF_MEMORY.search(str(error).lower()) is not None
