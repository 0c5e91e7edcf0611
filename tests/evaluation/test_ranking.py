import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given
from hypothesis import strategies as st

from saccade.evaluation.intervals import grouping, proportion
from saccade.evaluation.ranking import average_precision, mean_estimate, roc_auc


def delong_variance(positive: np.ndarray, scores: np.ndarray) -> float:
    """DeLong's variance written out pair by pair, as in the paper."""
    pos, neg = scores[positive], scores[~positive]
    wins = (pos[:, None] > neg).astype(float) + 0.5 * (pos[:, None] == neg)
    return float(
        wins.mean(axis=1).var(ddof=1) / len(pos) + wins.mean(axis=0).var(ddof=1) / len(neg)
    )


def derivative(positive: np.ndarray, scores: np.ndarray, row: int) -> float:
    """How average precision answers to the weight of one row, by finite differences."""
    step = 1e-5
    ends = []
    for sign in (1, -1):
        weights = np.ones(len(scores))
        weights[row] += sign * step
        ends.append(sk.average_precision_score(positive, scores, sample_weight=weights))
    return (ends[0] - ends[1]) / (2 * step)


@given(st.integers(0, 2**32 - 1), st.integers(4, 30), st.sampled_from([3, 1000]))
def test_the_spread_of_an_auc_is_delongs(seed: int, n: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    positive = np.arange(n) % 2 == 0
    scores = rng.integers(levels, size=n) / levels
    found = roc_auc(positive, scores)
    assert found is not None
    assert found.value == pytest.approx(sk.roc_auc_score(positive, scores), abs=1e-12)
    spread = float((found.influence**2).sum())
    assert spread == pytest.approx(delong_variance(positive, scores), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("levels", [4, 10_000])
def test_the_influence_on_average_precision_is_its_derivative(levels: int) -> None:
    rng = np.random.default_rng(levels)
    positive, scores = rng.random(30) < 0.4, rng.integers(levels, size=30) / levels
    found = average_precision(positive, scores)
    assert found is not None
    expected = [derivative(positive, scores, row) for row in range(30)]
    assert found.influence == pytest.approx(expected, abs=1e-7)


def test_a_side_without_rows_gives_no_number() -> None:
    scores = np.array([0.1, 0.9])
    assert roc_auc(np.array([True, True]), scores) is None
    assert average_precision(np.array([False, False]), scores) is None


@pytest.mark.parametrize("score", [roc_auc, average_precision])
def test_a_perfect_ranking_of_few_pictures_is_not_certain(score: object) -> None:
    positive = np.arange(10) < 5
    found = score(positive, positive * 1.0)  # type: ignore[operator]
    one = mean_estimate([found], grouping=grouping(None, num_rows=10), method="m", why="")
    assert (one.value, one.high) == (1.0, 1.0)
    assert 0.4 < one.low < 0.85


def test_copies_of_pictures_kept_as_groups_widen_the_interval() -> None:
    rng = np.random.default_rng(3)
    positive = rng.random(40) < 0.5
    scores = rng.random(40) + 0.5 * positive
    once = roc_auc(positive, scores)
    copies = roc_auc(np.repeat(positive, 5), np.repeat(scores, 5))
    names = [str(i // 5) for i in range(200)]

    def width(ranked: object, groups: list[str] | None, n: int) -> float:
        kept = grouping(groups, num_rows=n)
        one = mean_estimate([ranked], grouping=kept, method="m", why="")  # type: ignore[list-item]
        return one.high - one.low

    assert width(copies, names, 200) == pytest.approx(width(once, None, 40), rel=0.1)
    assert width(copies, None, 200) < 0.6 * width(once, None, 40)


def test_of_many_pictures_the_interval_of_an_auc_near_1_is_as_wide_as_delong_has_it() -> None:
    rng = np.random.default_rng(5)
    positive = np.arange(4000) % 10 == 0
    found = roc_auc(positive, rng.normal(size=4000) + 3.2 * positive)
    assert found is not None
    assert 0.98 < found.value < 0.995
    own = mean_estimate([found], grouping=grouping(None, num_rows=4000), method="", why="")
    reach = 1.96 * float(np.sqrt((found.influence**2).sum()))
    assert (own.high - own.low) / 2 == pytest.approx(reach, rel=0.05)


@pytest.mark.parametrize("score", [roc_auc, average_precision])
def test_of_a_perfect_ranking_groups_count_and_not_their_pictures(score: object) -> None:
    group = np.arange(400) // 100
    positive = group % 2 == 0
    found = score(positive, positive * 1.0)  # type: ignore[operator]
    kept = grouping([str(own) for own in group], num_rows=400)
    own = mean_estimate([found], grouping=kept, method="", why="")
    assert (own.value, own.high) == (1.0, 1.0)
    # Wilson's lower end of four right answers in four, with Student's t of 3 degrees of freedom
    of_four = proportion(1.0, effective=4, n=4, method="", freedom=3)
    assert own.low < of_four.low + 0.02
    # negative control: as if every picture spoke for itself
    alone = mean_estimate([found], grouping=grouping(None, num_rows=400), method="", why="")
    assert alone.low > 0.95
