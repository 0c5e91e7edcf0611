"""The bootstrap, on counts and on means, without a loop over resamples."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from saccade.evaluation.intervals import LEVEL, Estimate, Grouping, quantile
from saccade.evaluation.metrics import Counts
from saccade.runtime.seeds import generator

RESAMPLES = 2_000
PSEUDO_COUNT = 0.5  # a class; measured in docs/intervals.md
SPARE = 0.25  # pictures by which each tail is shorter: 1.7 instead of 2.5 % of 30, of 1,000 2.5
_LARGE = 5_000  # units; above, the bootstrap-t quantiles are those of Student's t, in `_doubt`
_LARGEST_LOG = 700.0  # exp of more is no float
_CHUNK = 2_000_000  # numbers held at a time


def resampled_counts(
    units: Any,  # noqa: ANN401 - scipy's sparse arrays carry no types
    times: np.ndarray,
    *,
    present: np.ndarray,
    exclusive: bool,
    rng: np.random.Generator,
) -> Counts:
    """Return the counts of 2,000 resamples, with a little noise for what was never seen.

    Args:
        units: sparse (U, 3·K + 1): what one unit adds to hit, true, predicted and the number
            of rows. A unit is what is drawn: a cell of the confusion matrix, or a group.
        times: (U,), how often the unit occurs.
        present: bool (K,), the classes that occur as truth or answer.
        exclusive: one class a row; False: multi-label, where each label has its own 2×2 table.
        rng: the source of randomness.

    Each class present also gets half a pseudo-picture on average, Poisson distributed and
    spread evenly over the cells. Without it a part without a mistake would seem to have no
    variance at all. Where groups are drawn it is half a pseudo-group, of as many pictures as they
    have on average: one mistake shows as little of other groups as none does.

    Source: the multinomial bootstrap is B. Efron (1979), Annals of Statistics 7: 1-26. The
    pseudo-count is in the spirit of A. Agresti, B. Coull (1998), Am. Stat. 52: 119-126; its size
    was chosen by simulation (docs/intervals.md).
    """
    sums = resampled_sums(units, times, rng=rng)
    k = len(present)
    extra = _pseudo_pictures(present, exclusive=exclusive, rng=rng)
    worth = pictures_a_unit(units, times)
    return Counts(
        hit=sums[:, :k] + worth * extra.hit,
        true=sums[:, k : 2 * k] + worth * extra.true,
        predicted=sums[:, 2 * k : 3 * k] + worth * extra.predicted,
        total=sums[:, 3 * k :] + worth * extra.total,
    )


def pictures_a_unit(
    units: Any,  # noqa: ANN401 - scipy's sparse arrays carry no types
    times: np.ndarray,
) -> float:
    """Return how many pictures a unit has on average: 1 without groups."""
    return float((units[:, [-1]].toarray()[:, 0] @ times) / times.sum())


def resampled_sums(
    units: Any,  # noqa: ANN401 - scipy's sparse arrays carry no types
    times: np.ndarray,
    *,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the sums (2,000, F) of as many units (U, F) as there are, drawn again and again."""
    total = int(times.sum())
    sums = np.empty((RESAMPLES, units.shape[1]))
    for rows in _chunks(RESAMPLES, len(times)):
        size = rows.stop - rows.start
        sums[rows] = rng.multinomial(total, times / total, size=size) @ units
    return sums


def centre_counts(counts: Counts, *, present: np.ndarray, exclusive: bool, worth: float) -> Counts:
    """Return what `resampled_counts` gives on average; `worth` is `pictures_a_unit`."""
    k, pseudo = int(present.sum()), PSEUDO_COUNT * worth
    side = present * (pseudo if exclusive else pseudo / 2)
    return Counts(
        hit=counts.hit + present * pseudo / (k if exclusive else 4),
        true=counts.true + side,
        predicted=counts.predicted + side,
        total=counts.total + (pseudo * k if exclusive else pseudo),
    )


def _pseudo_pictures(present: np.ndarray, *, exclusive: bool, rng: np.random.Generator) -> Counts:
    k, classes = len(present), np.flatnonzero(present)
    if not exclusive:
        cells = rng.poisson(PSEUDO_COUNT / 4, size=(4, RESAMPLES, k))
        hit, missed, false, right = np.where(present, cells, 0)
        return Counts(
            hit=hit, true=hit + missed, predicted=hit + false, total=hit + missed + false + right
        )
    number = rng.poisson(PSEUDO_COUNT * len(classes), size=RESAMPLES)
    owner = np.repeat(np.arange(RESAMPLES), number)
    truth, answer = classes[rng.integers(len(classes), size=(2, owner.size))]

    def table(events: np.ndarray, places: np.ndarray) -> np.ndarray:
        return np.bincount(events * k + places, minlength=RESAMPLES * k).reshape(-1, k)

    same = truth == answer
    return Counts(
        hit=table(owner[same], truth[same]),
        true=table(owner, truth),
        predicted=table(owner, answer),
        total=number[:, None],
    )


def mean_interval(values: np.ndarray, *, grouping: Grouping, seed: int) -> Estimate:
    """Return a mean of numbers at or above 0 with its 95 % studentised bootstrap interval.

    The same values and seed give the same interval, whoever asks for it.

    Losses and errors are skewed; the studentised bootstrap ("bootstrap-t") follows the skew
    where mean ± t·se and percentiles cover too rarely. With more than 5,000 units its quantiles
    are Student's and are taken from there.

    Args:
        values: (N,), one a row, at least one row.
        grouping: which rows belong together.
        seed: of the bootstrap.

    Source: B. Efron, R. Tibshirani (1993), An Introduction to the Bootstrap, ch. 12.5.
    """
    n = len(values)
    value = float(values.mean())
    units = grouping.count
    if units < 2:
        what = "one group" if grouping.named else "one picture"
        return _without_interval(value, n, what)
    sums, sizes = grouping.sums(values), grouping.sums(np.ones(n))
    if np.ptp(sums / sizes) <= 1e-12 * abs(value):
        return _without_interval(value, n, "all are equal")
    error = math.sqrt(_mean_variance(sums, sizes, value))
    doubt = _doubt(sums - value * sizes)
    if units > _LARGE:
        reach = doubt * quantile(units - 1)
        low, high, method = value - reach * error, value + reach * error, "t"
    else:
        rng = generator(seed, "mean interval")
        low_t, high_t = _studentised(sums, sizes, value, doubt, rng)
        low, high, method = value - high_t * error, value - low_t * error, "bootstrap-t"
    return Estimate(
        value=value,
        low=max(0.0, min(low, value)),
        high=max(high, value),
        n=n,
        method=method + grouping.suffix,
    )


def log_ratio_interval(
    error: np.ndarray, truth: np.ndarray, *, grouping: Grouping, seed: int
) -> Estimate:
    """Return R² = 1 - Σ error² / Σ (truth - mean)² with its 95 % studentised bootstrap interval.

    The bootstrap works on log(1 - R²), which has no bound, with the infinitesimal jackknife's
    standard error, and the ends are carried back.

    Args:
        error: (N,), answer minus truth.
        truth: (N,), not all equal.
        grouping: which rows belong together.
        seed: of the bootstrap.

    Source: as `mean_interval`; the jackknife's standard error is worked out here by hand.
    """
    n, units = len(truth), grouping.count
    centred = truth - truth.mean()
    rows = np.stack([error**2, np.ones(n), centred, centred**2], axis=1)
    sums = grouping.sums(rows)
    point, spread = _log_ratios(sums[None])
    doubt = _doubt(_log_influence(sums[None])[0])
    value = 1 - float((error**2).sum() / (centred**2).sum())
    if units < 2:
        return _without_interval(value, n, "one group")
    if not math.isfinite(point[0]):
        return _without_interval(value, n, "no error at all")
    if spread[0] <= 1e-12:  # two errors of one size
        return _without_interval(value, n, "all are equal")
    if units > _LARGE:
        reach, method = doubt * quantile(units - 1), "t"
        low_t, high_t = -reach, reach
    else:
        ratios, rng = np.empty(RESAMPLES), generator(seed, "log ratio interval")
        for chunk in _chunks(RESAMPLES, units * 4):
            drawn = rng.integers(units, size=(chunk.stop - chunk.start, units))
            logs, errors = _log_ratios(sums[drawn])
            with np.errstate(invalid="ignore", divide="ignore"):
                ratios[chunk] = (logs - point[0]) / errors
        low_t, high_t = _ends(ratios, units, doubt)
        method = "bootstrap-t"
    high = -math.expm1(min(point[0] - high_t * spread[0], _LARGEST_LOG))
    low = -math.expm1(min(point[0] - low_t * spread[0], _LARGEST_LOG))
    return Estimate(
        value=value,
        low=min(low, high, value),
        high=max(low, high, value),
        n=n,
        method=method + grouping.suffix,
    )


def _without_interval(value: float, n: int, what: str) -> Estimate:
    return Estimate(value=value, low=math.nan, high=math.nan, n=n, method=f"no interval: {what}")


def _mean_variance(sums: np.ndarray, sizes: np.ndarray, mean: float) -> float:
    units = len(sums)
    residual = (sums - mean * sizes) / sizes.sum()
    return float((residual**2).sum() * units / (units - 1))


def _studentised(
    sums: np.ndarray, sizes: np.ndarray, mean: float, doubt: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Return the ends of (resampled mean - mean) / its standard error; see `_ends`."""
    units = len(sums)
    ratios = np.empty(RESAMPLES)
    for rows in _chunks(RESAMPLES, units):
        drawn = rng.integers(units, size=(rows.stop - rows.start, units))
        s, w = sums[drawn], sizes[drawn]
        total = w.sum(axis=1)
        means = s.sum(axis=1) / total
        residual = (s - means[:, None] * w) / total[:, None]
        error = np.sqrt((residual**2).sum(axis=1) * units / (units - 1))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios[rows] = (means - mean) / error
    return _ends(ratios, units, doubt)


def _doubt(influence_U: np.ndarray) -> float:
    """Return how much wider an interval must be where the variance is itself hardly known.

    With heavy tails the variance hangs on a few units: its degrees of freedom are those of a
    chi-squared variable with the variance that the sample's kurtosis gives it, (units - 1) where
    the tails are a normal's or lighter. The factor is the ratio of both quantiles of Student's t.

    Source: F. E. Satterthwaite (1946), Biometrics Bulletin 2: 110-114.
    """
    units, squares = len(influence_U), influence_U**2
    spread = float((squares**2).sum()) - float(squares.sum()) ** 2 / units
    usual = units - 1
    if spread <= 0:
        return 1.0
    freedom = min(2 * float(squares.sum()) ** 2 / spread, usual)
    return quantile(freedom) / quantile(usual)


def _ends(ratios: np.ndarray, units: int, doubt: float) -> tuple[float, float]:
    """Return about the 2.5 % and 97.5 % points, at most twice as far out as Student's t.

    Few units show too little of a tail, so that each end leaves out `SPARE` units' worth less; and
    both are as much farther out as the variance is in `doubt`.
    Heavy tails can throw the studentised quantiles out by orders of magnitude; twice Student's
    costs less than 0.01 of coverage (docs/intervals.md). A resample of equal numbers has no spread,
    as where none of few mistakes was drawn, and lies infinitely far out.
    """
    reach = 2 * quantile(units - 1)
    ratios = np.clip(ratios[~np.isnan(ratios)], -reach, reach)
    if not ratios.size:
        return 0.0, 0.0
    tail = max((1 - LEVEL) / 2 - SPARE / units, (1 - LEVEL) / 10)
    low, high = np.quantile(ratios, [tail, 1 - tail])
    return max(doubt * float(low), -reach), min(doubt * float(high), reach)


def _log_ratios(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return log(Σ error² / Σ (truth - mean)²) and its standard error for sums (R, U, 4)."""
    squared, around = sums[..., 0], _around(sums)
    units = sums.shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(squared.sum(axis=1) / around.sum(axis=1))
    influence = _log_influence(sums)
    error = np.sqrt((influence**2).sum(axis=1) * units / max(units - 1, 1))
    return logs, error


def _log_influence(sums: np.ndarray) -> np.ndarray:
    """Return what each unit adds to log(Σ error² / Σ (truth - mean)²), (R, U)."""
    squared, around = sums[..., 0], _around(sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        added: np.ndarray = squared / squared.sum(axis=1, keepdims=True)
        added -= around / around.sum(axis=1, keepdims=True)
    return added


def _around(sums: np.ndarray) -> np.ndarray:
    """Return each unit's Σ (truth - mean)², (R, U)."""
    _, size, first, second = np.moveaxis(sums, -1, 0)
    mean = (first.sum(axis=1) / size.sum(axis=1))[:, None]
    found: np.ndarray = second - 2 * mean * first + mean**2 * size
    return found


def _chunks(total: int, width: int) -> Iterator[slice]:
    step = max(1, _CHUNK // max(width, 1))
    for start in range(0, total, step):
        yield slice(start, min(start + step, total))
