"""What lies far from all that was learned is unknown, and of the rest one in twenty at most."""

from dataclasses import replace

import numpy as np
import pytest
from tests.evaluation.populations import draw

from saccade.data.sealed import Sealed
from saccade.data.task import Task
from saccade.evaluation import unknown as module
from saccade.evaluation.held import Held, NotPromised
from saccade.evaluation.unknown import (
    MOST_AXES,
    MOST_PICTURES,
    Reference,
    drawn_reference,
    evened,
    fit_reference,
    fit_unknown,
    measure_unknown,
)


def features(n: int, *, seed: int = 0, width: int = 40, away: float = 0.0) -> np.ndarray:
    """Return features of five classes, of pictures like each other; `away` moves them off."""
    rng = np.random.default_rng([seed, 5])
    centres = np.random.default_rng(0).gamma(1.0, 1.0, (5, width))
    found = centres[rng.integers(5, size=n)] + rng.gamma(0.5, 0.5, (n, width))
    found[:, : width // 4] += away
    return found.astype(np.float32)


def reference(n: int = 300, *, width: int = 40, seed: int = 0) -> Reference:
    known = features(n, width=width, seed=seed)
    return fit_reference(known, rows=range(10_000, 10_000 + n))


def held(n: int, *, part: str = "validation", first_row: int = 0) -> Held:
    return draw(n, part=part, first_row=first_row)


def nearest(new_ND: np.ndarray, known_SD: np.ndarray) -> np.ndarray:
    """Return the root of the mean squared distance to the three nearest, by scikit-learn."""
    from sklearn.neighbors import NearestNeighbors

    found, _ = NearestNeighbors(n_neighbors=3).fit(evened(known_SD)).kneighbors(evened(new_ND))
    return np.sqrt((found**2).mean(axis=1))


def test_distances_are_scikit_learns_where_the_axes_hold_everything() -> None:
    known, new = features(300), features(50, seed=1, away=1.0)
    np.testing.assert_allclose(reference().distances(new), nearest(new, known), rtol=1e-5)


def test_with_more_features_than_axes_they_are_nearly_so() -> None:
    known, new = features(300, width=400), features(80, seed=1, width=400, away=0.5)
    own = reference(width=400)
    assert own.num_axes == MOST_AXES
    oracle = nearest(new, known)
    found = own.distances(new)
    np.testing.assert_allclose(found, oracle, rtol=0.05)
    assert np.corrcoef(found, oracle)[0, 1] > 0.97


def test_copies_of_what_taught_the_network_are_seen_and_its_likes_are_not() -> None:
    known = features(300, width=400)
    own = reference(width=400)
    unknown = fit_unknown(own, held(200), features(200, seed=1, width=400))
    rng = np.random.default_rng(3)
    copies = known[:100] * rng.normal(1, 0.03, (100, 400)).astype(np.float32)
    assert unknown.seem_copies(copies).all()
    assert not unknown.seem_copies(features(200, seed=2, width=400)).any()
    assert unknown.seem_copies(known[:0]).shape == (0,)
    everything = replace(unknown, threshold=unknown.threshold * 10)  # the negative control
    assert everything.seem_copies(features(200, seed=2, width=400)).any()


def test_the_remainder_off_the_axes_counts_negative_control() -> None:
    """Something that none of the training pictures varies in is seen by the remainder alone."""
    own = reference(width=400)
    blind = replace(own, rest_S=np.zeros_like(own.rest_S))
    new = features(20, seed=1, width=400)
    off = np.zeros((400, 1))
    off[:, 0] = np.random.default_rng(3).normal(size=400)
    off -= own.axes_DR @ (own.axes_DR.T @ off)
    moved = (np.sqrt(new) + 3 * (off / np.linalg.norm(off)).T) ** 2
    assert (own.distances(moved) > own.distances(new) + 0.3).all()
    along = (evened(moved) - own.mean_D) @ own.axes_DR
    assert np.abs(along - (evened(new) - own.mean_D) @ own.axes_DR).max() < 1.0
    assert (blind.distances(moved) < own.distances(moved)).all()


def test_pictures_of_something_else_are_unknown_and_few_of_the_others() -> None:
    found = fit_unknown(reference(), held(200), features(200, seed=2))
    assert found.is_unknown(features(100, seed=3, away=4.0)).mean() > 0.95
    judge = held(1_000, part="test", first_row=5_000)
    share = measure_unknown(judge, features(1_000, seed=4), found)
    assert share.value == pytest.approx(found.is_unknown(features(1_000, seed=4)).mean())
    assert 0 < share.low <= 0.05
    assert share.n == 1_000


def test_the_rate_is_kept_on_average_over_thresholds() -> None:
    own, shares = reference(), []
    everything = features(6_000, seed=7)
    distances = own.distances(everything)
    for seed in range(200):
        order = np.random.default_rng(seed).permutation(6_000)
        fit, rest = order[:50], order[50:]
        threshold = np.sort(distances[fit])[-module.math.floor(0.05 * 51)]
        shares.append((distances[rest] > threshold).mean())
    assert np.mean(shares) == pytest.approx(2 / 51, abs=0.006)
    found = fit_unknown(own, held(50), everything[:50])
    assert found.threshold == pytest.approx(np.sort(distances[:50])[-2])


@pytest.mark.parametrize(("n", "place"), [(19, 1), (38, 1), (39, 2), (100, 5)])
def test_the_threshold_is_that_of_the_finite_sample(n: int, place: int) -> None:
    found = fit_unknown(reference(), held(n), features(n, seed=2))
    distances = np.sort(reference().distances(features(n, seed=2)))
    assert found.threshold == distances[-place]
    assert found.is_unknown(features(n, seed=2)).sum() == place - 1
    assert (found.rate, found.n) == (0.05, n)


def test_too_few_pictures_set_no_threshold_and_say_how_many_are_needed() -> None:
    with pytest.raises(NotPromised) as caught:
        fit_unknown(reference(), held(18), features(18, seed=2))
    assert str(caught.value) == (
        "18 held-out pictures are too few to say what is unlike them; 19 are needed"
    )


def test_pictures_that_belong_together_set_the_threshold_as_one() -> None:
    """The farthest picture that is not among the last twentieth of the groups and one more."""
    own, twenty = reference(), replace(held(100), groups=tuple(str(row // 5) for row in range(100)))
    distances = np.sort(own.distances(features(100, seed=2)))
    found = fit_unknown(own, twenty, features(100, seed=2))
    # 0.95 of 21 groups are 19.95, and the 100 pictures are worth a fifth of a group each
    assert (found.threshold, found.rate) == (distances[-1], 0.05)
    ten = replace(twenty, groups=tuple(str(row // 10) for row in range(100)))
    found = fit_unknown(own, ten, features(100, seed=2))
    assert (found.threshold, found.rate, found.n) == (distances[-1], 0.091, 100)  # 1 of 11
    pairs = replace(twenty, groups=tuple(str(row // 2) for row in range(100)))
    assert fit_unknown(own, pairs, features(100, seed=2)).threshold == distances[-4]  # 48.45 of 50


def test_what_taught_the_network_would_set_too_low_a_threshold_negative_control() -> None:
    """The training pictures are their own nearest neighbours."""
    own, known = reference(), features(300)
    right = fit_unknown(own, held(300), features(300, seed=2))
    wrong = fit_unknown(own, held(300), known)
    new = features(1_000, seed=4)
    assert right.is_unknown(new).mean() < 0.08
    assert wrong.is_unknown(new).mean() > 0.2


def test_of_many_pictures_an_even_share_of_each_class_is_kept() -> None:
    targets = np.where(np.arange(4_000) < 1_300, 1, 0)
    task, rows = Task(kind="binary", classes=("no", "yes")), range(1_000, 4_000)
    answers = Sealed(targets, rows=list(range(1_000)))
    drawn = drawn_reference(rows, answers, task=task, seed=0)
    assert len(set(drawn)) == MOST_PICTURES
    assert set(drawn) <= set(rows)
    assert sum(row < 1_300 for row in drawn) == 100
    assert drawn == drawn_reference(rows, answers, task=task, seed=0)
    assert drawn_reference(rows[:900], answers, task=task, seed=0) == list(rows[:900])


def test_the_reference_of_a_common_network_is_smaller_than_a_megabyte() -> None:
    own = reference(MOST_PICTURES, width=1_280)
    assert sum(value.nbytes for value in own.arrays().values()) < 1_000_000
    assert {value.dtype.name for value in own.arrays().values()} == {"float32"}


def test_features_that_are_all_the_same_are_near_themselves_only() -> None:
    same = np.ones((30, 6), np.float32)
    own = fit_reference(same, rows=range(30))
    assert own.distances(same[:2]).tolist() == [0, 0]
    assert own.distances(4 * same[:2]) == pytest.approx(np.sqrt(6))


def test_arrays_that_do_not_fit_together_are_no_reference() -> None:
    arrays = reference(20).arrays()
    assert Reference.from_arrays(arrays) is not None
    for name in arrays:
        assert Reference.from_arrays({k: v for k, v in arrays.items() if k != name}) is None
        assert Reference.from_arrays(arrays | {name: arrays[name][:-1]}) is None
        assert Reference.from_arrays(arrays | {name: arrays[name][None]}) is None
    assert Reference.from_arrays(arrays | {"rest": -1 - arrays["rest"]}) is None
