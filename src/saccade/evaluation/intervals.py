"""How sure one can be of a number."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number, its 95 % interval, how many pictures it rests on, and how it was found.

    `value` is NaN where the number is not defined (a class without pictures); then `low` and
    `high` are NaN too and `method` says why.
    """

    value: float
    low: float
    high: float
    n: int
    method: str  # "wilson", "bootstrap", "undefined: no picture of this class", …

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}] (n={self.n}, {self.method})"
