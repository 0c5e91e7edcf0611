"""Which pictures teach, which choose, and which judge."""

from dataclasses import dataclass

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A part for every row of the catalogue, and why."""

    parts: tuple[str, ...]  # one of PARTS
    groups: tuple[str, ...]  # rows with the same text never straddle parts; "" = alone
    why: tuple[str, ...]  # "given", "drawn", "with its duplicate", …
    seed: int
    notes: tuple[str, ...] = ()  # sentences for the user

    def rows(self, part: str) -> list[int]:
        """Return the rows of one part, ascending."""
        return [row for row, own in enumerate(self.parts) if own == part]
