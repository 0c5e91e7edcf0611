"""saccade with a part of it slowed down, to see whether a budget holds all the same.

`python slowed.py decode=0.01 train photos/ --budget 60s` sleeps 10 ms in each decoded picture, also
in the process that decodes beside; `evaluate=0.05` sleeps 50 ms in each batch that a network is
asked about.
"""

import functools
import importlib
import sys
import time
from collections.abc import Callable
from typing import Any

PARTS = {
    "decode": ("saccade.data.decode", "decode"),
    "evaluate": ("saccade.models.engine", "Engine.__call__"),
}


BESIDE = "prefetch"  # in the place of a command: do what `saccade.prefetch` does


def slow_down(part: str, seconds: float) -> None:
    """Put a pause before a function, wherever saccade already knows it by name.

    Raises:
        SystemExit: it is no longer there under that name; then PARTS must be mended.
    """
    module_name, path = PARTS[part]
    *owners, name = path.split(".")
    try:
        module = importlib.import_module(module_name)
        owner = functools.reduce(getattr, owners, module)
        original = getattr(owner, name)
    except (ImportError, AttributeError) as error:
        sys.exit(f"{part} cannot be slowed down: {error}")
    slowed = _paused(original, seconds)
    setattr(owner, name, slowed)
    for own in [own for key, own in sys.modules.items() if key.startswith("saccade.")]:
        for known, value in list(vars(own).items()):
            if value is original:
                setattr(own, known, slowed)
    beside = importlib.import_module("saccade.prefetch")
    beside.PROGRAM = (__file__, f"{part}={seconds}", BESIDE)


def _paused(original: Callable[..., Any], seconds: float) -> Callable[..., Any]:
    @functools.wraps(original)
    def slowed(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the original takes
        time.sleep(seconds)
        return original(*given, **named)

    return slowed


if __name__ == "__main__":
    part, pause = sys.argv[1].split("=")
    if sys.argv[2:] == [BESIDE]:
        from saccade import prefetch

        slow_down(part, float(pause))
        prefetch.main()
        sys.exit()
    from saccade.cli import main  # begins to count the budget, as Enter does

    slow_down(part, float(pause))
    # Ends as saccade's own program does, which does not wait for torch (`saccade.endings`).
    sys.modules["__main__"].__file__ = "saccade"
    sys.argv = ["saccade", *sys.argv[2:]]
    main()
