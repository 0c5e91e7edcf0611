"""The nearest pictures in earlier parts, against all cosines at once."""

import numpy as np
import pytest

from saccade.insight import neighbours
from saccade.insight.neighbours import NUM_NEAREST, _best


def directions_of(features_ND: np.ndarray):
    apart_ND = features_ND - features_ND.mean(axis=0)
    unit_ND = apart_ND / np.linalg.norm(apart_ND, axis=1, keepdims=True)
    return lambda rows: unit_ND[rows]


@pytest.mark.parametrize(("num_known", "block"), [(100, 7), (100, 1000), (2, 7), (8, 7)])
def test_a_block_at_a_time_finds_what_all_at_once_would(
    monkeypatch: pytest.MonkeyPatch, num_known: int, block: int
) -> None:
    monkeypatch.setattr(neighbours, "KNOWN_BLOCK", block)
    directions = directions_of(np.random.default_rng(0).normal(size=(num_known + 20, 5)))
    rows, known = np.arange(20), np.arange(20, num_known + 20)
    near, alike = _best(rows, known, directions)
    cosines = directions(rows) @ directions(known).T
    order = np.argsort(-cosines, axis=1)[:, :NUM_NEAREST]
    by_name = np.argsort(near, axis=1)
    np.testing.assert_array_equal(
        np.take_along_axis(near, by_name, axis=1), np.sort(known[order], axis=1)
    )
    np.testing.assert_allclose(alike, np.take_along_axis(cosines, near - 20, axis=1))
