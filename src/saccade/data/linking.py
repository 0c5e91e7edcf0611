"""Things that are linked through any chain of pairs."""

import numpy as np
from numpy.typing import NDArray


def components(num: int, pairs_P2: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each of `num` things the smallest one that any chain of pairs links it to.

    >>> components(6, np.array([[1, 2], [4, 2]])).tolist()
    [0, 1, 1, 3, 1, 5]
    """
    smallest = np.arange(num)
    while True:
        own = smallest[pairs_P2]
        least = own.min(axis=1)
        if (own == least[:, None]).all():
            return smallest
        for side in (0, 1):
            np.minimum.at(smallest, own[:, side], least)
            np.minimum.at(smallest, pairs_P2[:, side], least)
        while (smallest[smallest] != smallest).any():
            smallest = smallest[smallest]


def members(smallest: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the rows of each component of two or more, in the order of their smallest.

    >>> [own.tolist() for own in members(np.array([0, 1, 1, 3, 1, 5]))]
    [[1, 2, 4]]
    """
    together = np.flatnonzero(np.bincount(smallest, minlength=1)[smallest] > 1)
    order = together[np.argsort(smallest[together], kind="stable")]
    starts = np.flatnonzero(np.diff(smallest[order], prepend=-1))
    return [own for own in np.split(order, starts[1:]) if len(own)]
