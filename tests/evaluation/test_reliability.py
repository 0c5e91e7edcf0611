"""How far scores are from what they say: closed forms, and how often the interval holds."""

from dataclasses import replace

import numpy as np
import pytest
from tests.evaluation.populations import MULTICLASS, draw

from saccade.data.task import Kind
from saccade.evaluation.calibration import uncalibrated
from saccade.evaluation.held import Held, NotPromised
from saccade.evaluation.reliability import Reliability, reliability

NONE = uncalibrated("")


def of(own: Held, *, seed: int = 0) -> Reliability:
    return reliability(own, NONE, seed=seed)


def test_scores_that_are_all_a_little_too_modest_are_seen_on_the_whole() -> None:
    """Where every bin is off by too little to be seen alone."""
    found = [of(draw(200, seed=seed, sharpened=0.8)) for seed in range(60)]
    assert np.mean([own.p < 0.05 and own.right > own.score for own in found]) > 0.3
    seen_in_bins = np.mean([own.error.low > 0 for own in found])
    assert seen_in_bins < np.mean([own.p < 0.05 for own in found])


def test_right_scores_are_called_so_on_the_whole() -> None:
    """At most one in twenty is called wrong, and not none: the negative control of a p of 1."""
    p = np.array([of(draw(200, seed=seed)).p for seed in range(300)])
    assert 0.005 <= (p < 0.05).mean() <= 0.075
    assert (p < 0.5).mean() > 0.3


def plain_sum(found: Reliability) -> float:
    """Return the error as it is usually computed, biased as it is."""
    n = sum(own.right.n for own in found.bins)
    return sum(own.right.n * abs(own.right.value - own.score) for own in found.bins) / n


def true_error(*, sharpened: float, bins: int) -> float:
    """Return the error of the population, from two million answers."""
    off, size = np.zeros(bins), np.zeros(bins)
    for seed in range(10):
        own = draw(200_000, seed=1_000 + seed, sharpened=sharpened)
        scores = MULTICLASS.scores(own.logits_NK)
        best = scores.max(axis=1)
        right = scores.argmax(axis=1) == own.targets
        for place, rows in enumerate(np.array_split(np.argsort(best), bins)):
            off[place] += (right[rows] - best[rows]).sum()
            size[place] += len(rows)
    return float(np.abs(off).sum() / size.sum())


def test_a_gap_that_is_the_same_everywhere_is_the_error() -> None:
    """Closed form: 2,000 answers with a score of 0.9, of which 80 % are right."""
    logits = np.tile(np.log([0.9, 0.025, 0.025, 0.025, 0.025]), (2_000, 1))
    own = replace(draw(2_000), logits_NK=logits, targets=(np.arange(2_000) % 5 == 0).astype(int))
    found = of(own)
    assert found.error.value == pytest.approx(0.1, abs=0.01)
    assert found.error.low < 0.1 < found.error.high


def test_bins_hold_equally_many_and_all_pictures() -> None:
    found = of(draw(310))
    assert [own.right.n for own in found.bins] == [21] * 10 + [20] * 5
    assert all(a.high <= b.low for a, b in zip(found.bins, found.bins[1:], strict=False))
    own = draw(310)
    scores = MULTICLASS.scores(own.logits_NK)
    right = (scores.argmax(axis=1) == own.targets).sum()
    assert sum(one.right.value * one.right.n for one in found.bins) == pytest.approx(right)


def test_perfect_scores_have_no_error_where_the_plain_sum_sees_one() -> None:
    found = [of(draw(200, seed=seed), seed=seed) for seed in range(24)]
    assert np.mean([plain_sum(own) for own in found]) > 0.045
    assert np.median([own.error.value for own in found]) < 0.01
    assert sum(own.error.low == 0 for own in found) >= 21  # 97.5 % are promised


@pytest.mark.parametrize("sharpened", [1.6, 0.5])
def test_an_error_is_found_on_average(sharpened: float) -> None:
    truth = true_error_of_one(sharpened)
    found = [of(draw(300, seed=seed, sharpened=sharpened), seed=seed) for seed in range(20)]
    assert np.median([own.error.value for own in found]) == pytest.approx(truth, abs=0.025)
    holds = [own.error.low <= truth <= own.error.high for own in found]
    assert sum(holds) >= 15


def true_error_of_one(sharpened: float) -> float:
    return plain_sum(of(draw(100_000, seed=99, sharpened=sharpened)))


SHORT_OF_IT = {(0.8, 1_000): 0.87}  # known and told in docs/limits.md


@pytest.mark.slow
@pytest.mark.parametrize("n", [60, 150, 300, 1_000])
@pytest.mark.parametrize("sharpened", [0.5, 0.8, 1.0, 1.15, 1.6, 3.0])
def test_the_interval_holds_as_often_as_it_says(n: int, sharpened: float) -> None:
    truth = true_error(sharpened=sharpened, bins=min(15, n // 20))
    num = 200
    errors = [of(draw(n, seed=s, sharpened=sharpened), seed=s).error for s in range(num)]
    holds = np.mean([own.low - 1e-3 <= truth <= own.high for own in errors])
    print(
        f"\n| {sharpened} | {n} | {truth:.3f} | {np.median([own.value for own in errors]):.3f} | "
        f"{np.mean([own.high - own.low for own in errors]):.3f} | {100 * holds:.1f} |"
    )
    assert holds >= SHORT_OF_IT.get((sharpened, n), 0.9)


def test_pictures_that_belong_together_widen_the_interval() -> None:
    own = draw(100, sharpened=2.0)
    logits = np.repeat(own.logits_NK, 6, axis=0)  # each burst six times the same picture
    bursts = replace(
        own,
        rows=tuple(range(600)),
        logits_NK=logits,
        targets=np.repeat(own.targets, 6),
        groups=tuple(f"burst {row // 6}" for row in range(600)),
    )
    alone = replace(bursts, groups=())
    widths = [one.error.high - one.error.low for one in (of(bursts), of(alone))]
    assert widths[0] > 1.6 * widths[1]
    assert of(bursts).error.method == "median-unbiased, 15 bins of equal size of 100 groups"
    assert of(bursts).bins[0].right.method.startswith("wilson-jackknife")


@pytest.mark.parametrize("kind", ["binary", "multilabel"])
def test_two_classes_and_several_labels_have_an_error_too(kind: Kind) -> None:
    good, sharp = (of(draw(800, kind=kind, sharpened=by)) for by in (1.0, 3.0))
    assert good.error.low == 0
    assert sharp.error.low > 0.03
    assert sharp.error.n == 800


def test_few_pictures_and_values_have_none_and_say_so() -> None:
    with pytest.raises(NotPromised) as few:
        of(draw(39))
    assert str(few.value) == "39 pictures are too few to see whether scores hold; 40 are needed"
    with pytest.raises(NotPromised, match="values have no scores"):
        of(draw(100, kind="regression"))
