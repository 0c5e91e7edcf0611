"""How much memory something takes at its peak, whatever the tests before it took."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@contextlib.contextmanager
def grows_less_than(megabytes: float) -> Iterator[None]:
    """Assert that the block adds no more to resident memory, at its peak; Linux only.

    The kernel is asked to forget the peak so far (proc(5), clear_refs, 5).
    """
    if not RESET.exists():
        yield
        return
    RESET.write_text("5")
    before = _kilobytes("VmRSS")
    yield
    grown = (_kilobytes("VmHWM") - before) / 1024
    assert grown < megabytes, f"{grown:.0f} MB"


def _kilobytes(name: str) -> int:
    return int(STATUS.read_text().split(f"{name}:")[1].split()[0])
