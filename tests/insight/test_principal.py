"""Principal axes, beside numpy's singular value decomposition."""

import numpy as np

from saccade.insight.principal import principal


def features(num: int, width: int, *, seed: int = 0) -> np.ndarray:
    """Features whose spectrum falls as those of pretrained networks do, about as 1 / rank."""
    rng = np.random.default_rng(seed)
    lengths = 1 / np.arange(1, min(num, width) + 1)
    left = np.linalg.qr(rng.normal(size=(num, len(lengths))))[0]
    right = np.linalg.qr(rng.normal(size=(width, len(lengths))))[0]
    return 100 * (left * lengths @ right.T) + 3.0


def test_the_coordinates_are_those_of_a_full_decomposition() -> None:
    table = features(300, 200)
    found = principal(table, seed=0, num=20)
    left, lengths, _ = np.linalg.svd(table - table.mean(axis=0), full_matrices=False)
    wanted = left[:, :20] * lengths[:20]
    signs = np.sign((found * wanted).sum(axis=0))
    apart = np.abs(found * signs - wanted).max(axis=0)
    apart /= np.abs(wanted).max(axis=0)
    assert (apart[:8] < 0.01).all(), apart
    assert (apart < 0.1).all(), apart  # the last ones are mixed with those that follow


def test_distances_between_pictures_are_kept_where_all_axes_are() -> None:
    table = features(40, 200)
    found = principal(table, seed=0)
    assert found.shape == (40, 40)
    one, other = table[3] - table[9], found[3] - found[9]
    np.testing.assert_allclose(np.linalg.norm(other), np.linalg.norm(one), rtol=1e-4)


def test_the_seed_hardly_matters_and_the_same_one_gives_the_same_numbers() -> None:
    table = features(300, 200)
    first, again = (principal(table, seed=0, num=20) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    other = principal(table, seed=1, num=20)
    apart = np.abs(np.abs(first) - np.abs(other)).max(axis=0)
    apart /= np.abs(first).max(axis=0)
    assert (apart[:8] < 0.01).all(), apart
    assert (apart < 0.2).all(), apart
    assert not np.array_equal(first, other)
