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
    np.testing.assert_allclose(found * signs, wanted, atol=0.02 * lengths[0])


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
    np.testing.assert_allclose(np.abs(first), np.abs(other), atol=0.02 * np.abs(first).max())
