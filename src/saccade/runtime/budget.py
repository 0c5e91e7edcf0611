"""The seconds a run may take, counted from the moment the user pressed Enter."""

import math
import re
import time
from dataclasses import dataclass

from saccade.runtime.errors import UsageError

_UNITS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Seconds allowed, from `begun` on the monotonic clock; without a limit: infinite."""

    seconds: float
    begun: float

    @property
    def limited(self) -> bool:
        """Whether there is a limit at all."""
        return math.isfinite(self.seconds)

    @property
    def spent(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.begun

    @property
    def left(self) -> float:
        """Seconds that are left; negative after the deadline."""
        return self.seconds - self.spent


NO_BUDGET = Budget(seconds=math.inf, begun=0.0)


def parse_seconds(text: str) -> float:
    """Return the seconds that a text such as 90s, 15m or 2h means; infinite for an empty one.

    Raises:
        UsageError: it is no such text, or a number without its unit (E237).

    >>> parse_seconds("90s"), parse_seconds("1.5m"), parse_seconds("2h"), parse_seconds("")
    (90.0, 90.0, 7200.0, inf)
    """
    if not text:
        return math.inf
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    if not found or float(found[1]) <= 0:
        what, fix = "is no time", "write seconds, minutes or hours: 90s, 15m, 2h"
    elif not found[2]:
        what, number = "has no unit", found[1]
        fix = f"write {number}s for seconds, {number}m for minutes or {number}h for hours"
    else:
        return float(found[1]) * _UNITS[found[2]]
    raise UsageError(f"--budget is '{text}', which {what}.", code="237", where="--budget", fix=fix)
