"""saccade turns a folder of labelled images into an image classifier that people can trust."""

import os
from typing import TYPE_CHECKING, Any

# Read once, when torch loads its thread library. By default a thread that waits for another one
# spins for a millisecond; where anything else runs on the machine, that other one is not running,
# and a forward pass took five times as long (docs/log.md).
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

if TYPE_CHECKING:
    from saccade.data.scan import scan
    from saccade.examination import evaluate
    from saccade.model import load
    from saccade.run import open_run
    from saccade.run_comparison import compare
    from saccade.runtime.errors import SaccadeError
    from saccade.training.recipe import Recipe
    from saccade.verification import verify
    from saccade.workflow import resume, train

__all__ = [
    "Recipe", "SaccadeError", "compare", "evaluate", "load", "open_run", "resume", "scan", "train",
    "verify",
]  # fmt: skip

_HOMES = {
    "Recipe": "saccade.training.recipe",
    "SaccadeError": "saccade.runtime.errors",
    "compare": "saccade.run_comparison",
    "evaluate": "saccade.examination",
    "load": "saccade.model",
    "open_run": "saccade.run",
    "resume": "saccade.workflow",
    "scan": "saccade.data.scan",
    "train": "saccade.workflow",
    "verify": "saccade.verification",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    """Import a public name when it is first used, so that `import saccade` loads no torch."""
    if name == "__version__":
        from importlib import metadata  # noqa: PLC0415 - it takes longer than all else here

        return metadata.version("saccade")
    if name not in _HOMES:
        raise AttributeError(f"module 'saccade' has no attribute '{name}'")
    from importlib import import_module  # noqa: PLC0415 - so that importing stays free

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
