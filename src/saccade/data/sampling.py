"""Which pictures come first when there may be no time, or no wish, for all of them."""

import math
import time
from collections import defaultdict
from dataclasses import dataclass

from saccade.data.catalog import Listing
from saccade.data.labels import looks_like_quantity, reader
from saccade.runtime.seeds import generator

FEWEST_A_STRATUM = 12
"""Pictures of each class in each given part that are looked at whatever the clock says: fewer
could not be split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How many pictures are looked at, and until when; by default all."""

    num: int = 0  # 0 = all
    deadline: float = math.inf  # on the monotonic clock
    seed: int = 0  # decides who comes first

    @property
    def set(self) -> bool:
        """Whether there is a limit at all."""
        return self.num > 0 or math.isfinite(self.deadline)

    def is_over(self, num_seen: int, num_strata: int) -> bool:
        """Whether no more should be looked at."""
        if self.num and num_seen >= self.num:
            return True
        return num_seen >= FEWEST_A_STRATUM * num_strata and time.monotonic() > self.deadline


def drawn_order(listing: Listing, seed: int) -> tuple[list[int], int]:
    """Return all positions in an order of which every beginning is like the whole, and the strata.

    Each label in each given part is shuffled by itself and spread evenly over the order, so that
    n pictures hold n/N of each; a group's pictures follow one another. Numbers of a quantity are
    no classes: those of a part are one stratum. Where a picture has several labels, the strata are
    counted by label, for nearly every picture may have a combination of its own.
    """
    texts = [own.label for own in listing.candidates if own.label.strip()]
    column = listing.label_name
    is_quantity = bool(column) and looks_like_quantity(texts, column=column)
    names_in = reader(texts, column=column, columns=listing.label_columns)
    units: defaultdict[tuple[str, str], defaultdict[str, list[int]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for position, own in enumerate(listing.candidates):
        label = "" if is_quantity else own.label
        units[own.part, label][own.group or f"\0{position}"].append(position)
    places: list[tuple[float, int, int]] = []
    for number, stratum in enumerate(sorted(units)):
        groups = list(units[stratum].values())
        draws = generator(seed, "sample", number)
        turns = draws.permutation(len(groups))
        shift = float(draws.random())
        for turn, group in enumerate(turns.tolist()):
            place = (turn + shift) / len(groups)
            places += [(place, number, position) for position in groups[group]]
    strata = {(part, name) for part, label in units for name in names_in(label) or ("",)}
    return [position for _, _, position in sorted(places)], len(strata)
