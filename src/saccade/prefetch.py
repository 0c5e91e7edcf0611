"""Decoding in a process of its own, while torch and timm are imported in this one.

Importing them takes seconds of Python on one core, in which the other would be idle; in threads of
the same process both would wait for Python's lock (docs/log.md). What that process decodes it
leaves in the shared cache, where the scan then finds it. If anything goes wrong there, nothing is
lost: the scan does the work itself, and says what is wrong.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import Any

from saccade.data.pixel_store import PixelStore
from saccade.data.preprocess import Preprocess
from saccade.lesson import scan_for
from saccade.runtime.progress import Progress
from saccade.training.recipe import Recipe
from saccade.training.recipe_file import make_recipe

MOST = 20_000
"""Pictures after which it ends: the scan reads every file again to compare its hash, and beside
this many the seconds of an import do not matter."""


PROGRAM = ("-m", "saccade.prefetch")


@contextmanager
def decoding_beside(
    recipe: Recipe, preprocess: Preprocess | None, *, deadline: float, progress: Progress
) -> Iterator[None]:
    """Decode the recipe's pictures in another process until the end of the block, and of them.

    Nothing is done where torch is loaded already, so that there is nothing to wait for, or where
    the preprocessing is not known.
    """
    if preprocess is None or "torch" in sys.modules:
        yield
        return
    order = {
        "recipe": asdict(recipe),
        "preprocess": preprocess.as_dict(),
        "deadline": None if deadline == float("inf") else deadline,
    }
    with subprocess.Popen(
        [sys.executable, *PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as other:
        try:
            with suppress(OSError):
                _send(other, json.dumps(order))
            yield
            _tell(other, progress)
        finally:
            other.kill()  # it has ended, unless something went wrong in the block


def _send(other: "subprocess.Popen[str]", text: str) -> None:
    if other.stdin is not None:
        other.stdin.write(text)
        other.stdin.close()
        other.stdin = None


def _tell(other: "subprocess.Popen[str]", progress: Progress) -> None:
    """Show how far the other process is, until it ends."""
    told = 0
    for line in other.stdout or ():
        done, total = map(int, line.split())
        if not told:
            progress.start("Decoding", total, "pictures")
        progress.advance(done - told)
        told = done


class _Telling(Progress):
    """Prints how many pictures are done, at most ten times a second."""

    def __init__(self) -> None:
        self._done, self._total, self._told = 0, 0, 0.0

    def start(self, what: str, total: int = 0, unit: str = "") -> None:
        self._total = total

    def advance(self, count: int = 1, note: str = "") -> None:
        self._done += count
        if self._done >= MOST:
            raise SystemExit
        if time.monotonic() - self._told > 0.1:
            self._told = time.monotonic()
            sys.stdout.write(f"{self._done} {self._total}\n")
            sys.stdout.flush()


def main() -> None:
    """Decode what the order on standard input asks for."""
    order: dict[str, Any] = json.load(sys.stdin)
    recipe = make_recipe(order["recipe"], where="the order of the process that began this one")
    deadline = float("inf") if order["deadline"] is None else float(order["deadline"])
    progress = _Telling()
    store = PixelStore(Preprocess.from_dict(order["preprocess"]), folder=recipe.cache)
    with store as pixels:
        catalog = scan_for(recipe, recipe.data, pixels, progress=progress, deadline=deadline)
        pixels.finish(catalog)


if __name__ == "__main__":
    main()
