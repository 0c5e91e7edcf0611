"""The nearest pictures in earlier parts, against all cosines at once."""

import numpy as np
import pytest

from saccade.data.split import Split
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


def test_of_many_the_leading_axes_find_what_all_of_them_would(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Scenes of three pictures each, in a space whose directions matter less and less."""
    rng = np.random.default_rng(0)
    spread_D = 0.98 ** np.arange(300)
    scenes = rng.normal(size=(400, 300)).repeat(3, axis=0)
    features_ND = ((scenes + 0.5 * rng.normal(size=scenes.shape)) * spread_D).astype(np.float32)
    parts = tuple("test" if row % 3 == 0 else "train" for row in range(len(features_ND)))
    split = Split(parts=parts, groups=("",) * 1200, why=("",) * 1200, notes=(), seed=0)
    exact_P2, cosines_P = neighbours._nearest(split, features_ND)
    monkeypatch.setattr(neighbours, "MOST_EXACT", 100)
    monkeypatch.setattr(neighbours, "KNOWN_BLOCK", 300)
    found_P2, found_P = neighbours._nearest(split, features_ND)
    wanted = {tuple(own): cosine for own, cosine in zip(exact_P2.tolist(), cosines_P, strict=True)}
    found = {tuple(own): cosine for own, cosine in zip(found_P2.tolist(), found_P, strict=True)}
    same = wanted.keys() & found.keys()
    assert len(same) > 0.97 * len(wanted)
    assert all(found[own] == pytest.approx(wanted[own], abs=1e-5) for own in same)
    scene = {own for own in wanted if own[0] // 3 == own[1] // 3}
    assert len(scene) == 800
    assert scene <= found.keys()
