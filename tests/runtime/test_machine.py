"""malloc keeps its pages, so that torch is not given new ones for every activation."""

import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import saccade
from saccade.runtime import machine

TIMES = 10
BLOCKS, MEGABYTES = 4, 24  # under 32 MB a block, which is all that glibc before 2.35 can be told

FILL = f"""
import resource, sys
from saccade.runtime import machine

def fill():
    blocks = [b"x" * ({MEGABYTES} << 20) for _ in range({BLOCKS})]

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

if sys.argv[1] == "kept":
    assert machine.keep_pages()
fill()
before = faults()
for _ in range({TIMES}):
    fill()
print(faults() - before)
"""


def page_faults(how: str) -> int:
    """Return how often a process of its own was given a page when it filled large blocks again."""
    done = subprocess.run(
        [sys.executable, "-c", FILL, how], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc's malloc that is told")
def test_pages_are_kept_between_large_allocations_only_where_malloc_was_told() -> None:
    """Counted in pages of up to 2 MB, whichever the system gives."""
    of_all_blocks = TIMES * BLOCKS * MEGABYTES / 2
    assert page_faults("kept") < 0.1 * of_all_blocks
    assert page_faults("negative control") > 0.9 * of_all_blocks


class Told(Exception):
    pass


@pytest.mark.parametrize(
    "verb", [lambda path: saccade.train(path, model="cnn"), saccade.load], ids=["train", "load"]
)
def test_malloc_is_told_before_anything_large_is_made(
    image_folder: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    verb: Callable[[Path], object],
) -> None:
    def keep_pages() -> None:
        raise Told

    monkeypatch.setattr(machine, "keep_pages", keep_pages)
    with pytest.raises(Told):
        verb(image_folder(2, 3))
