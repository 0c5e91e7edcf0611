"""The answers of the test part under seal: whoever reads one before the end is stopped."""

from typing import Any

import numpy as np

from saccade.runtime.errors import SaccadeError, listed


class SealBroken(SaccadeError):
    """An answer of the test part was read before the end, or all of them twice."""


class Sealed:
    """The answers of all pictures, of which those of some rows cannot be read yet.

    It is indexed by rows as the array that it holds (`sealed[rows]` gives an array), so that
    learning works on either. Reading a closed row, or all of them at once, raises; there is no
    value that a closed row would be read as. `open` gives the whole array, once.

    Args:
        values: as `Task`'s targets, (N,) or (N, K).
        rows: the closed ones.

    >>> sealed = Sealed(np.array([5, 6, 7]), rows=[2])
    >>> sealed[[1, 0]].tolist(), len(sealed)
    ([6, 5], 3)
    >>> sealed[1:]  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    SealBroken: 1 answer of the test part was read before the end …
    >>> sealed.open().tolist()
    [5, 6, 7]
    """

    __slots__ = ("_closed", "_opened", "_values")

    def __init__(self, values: np.ndarray, *, rows: list[int]) -> None:
        self._values = values
        self._closed = np.zeros(len(values), dtype=bool)
        self._closed[rows] = True
        self._opened = False

    @property
    def num_closed(self) -> int:
        """How many rows cannot be read."""
        return int(self._closed.sum())

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: Any) -> np.ndarray:  # noqa: ANN401 - whatever numpy takes
        rows = index[0] if isinstance(index, tuple) else index
        touched = self._closed[rows]
        if np.any(touched):
            places = np.arange(len(self))[rows][touched] if np.ndim(touched) else [rows]
            self._stop(places)
        found: np.ndarray = self._values[index]
        return found

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:  # noqa: ANN401
        if self._closed.any():
            self._stop(np.flatnonzero(self._closed))
        return np.array(self._values, dtype=dtype, copy=copy)

    def __eq__(self, other: object) -> Any:  # noqa: ANN401 - an array; as numpy's, no hash
        return np.asarray(self) == other

    def narrowed(self, rows: list[int]) -> "Sealed":
        """Return the same with only these rows closed: some have left the test part, unread.

        Raises:
            SealBroken: a row was open before, so it cannot judge any more (E998).
        """
        late = [row for row in rows if not self._closed[row]]
        if late:
            self._stop(late)
        return Sealed(self._values, rows=rows)

    def open(self) -> np.ndarray:
        """Return the answers of all rows; for the test at the end of a run, and once.

        Raises:
            SealBroken: they were opened before (E998).
        """
        if self._opened:
            raise SealBroken(
                "The answers of the test part were opened a second time in one run.",
                code="998",
                fix="this is a fault in saccade, not in your data; please report it",
            )
        self._opened = True
        return self._values

    def _stop(self, rows: Any) -> None:  # noqa: ANN401 - numpy's integers
        num = len(rows)
        raise SealBroken(
            f"{num} answer{'s' * (num != 1)} of the test part {'were' if num != 1 else 'was'} "
            "read before the end of the run; nothing may be chosen by them.",
            code="998",
            where=f"row{'s' * (num != 1)} {listed(int(row) for row in rows)} of the catalogue",
            fix="this is a fault in saccade, not in your data; please report it",
        )


Answers = np.ndarray | Sealed
"""What learning is given: the answers of all rows, of which it may read those it learns from."""
