"""McNemar, Tango, Holm: against statsmodels, a published table, and by their error rates."""

import itertools

import numpy as np
import pytest
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar as sm_mcnemar
from statsmodels.stats.multitest import multipletests

from saccade.evaluation.intervals import Z
from saccade.evaluation.significance import SURE, holm, mcnemar, mcnemar_mid_p, tango, two_sided

DISCORDANT = [(0, 0), (0, 1), (1, 0), (3, 3), (0, 6), (6, 16), (16, 6), (40, 20), (250, 300)]
CAVO = (16, 6, 161)  # M. Cavo et al. (2012), as in M. Fagerland et al. (2017), ch. 8


@pytest.mark.parametrize(("b", "c"), DISCORDANT)
def test_the_exact_p_is_that_of_statsmodels(b: int, c: int) -> None:
    oracle = sm_mcnemar([[7, b], [c, 9]], exact=True).pvalue if b + c else 1.0
    assert mcnemar(b, c) == pytest.approx(oracle, rel=1e-10)


@pytest.mark.parametrize(("b", "c"), DISCORDANT)
def test_mid_p_is_the_exact_p_less_the_chance_of_what_was_met(b: int, c: int) -> None:
    met = stats.binom.pmf(min(b, c), b + c, 0.5)
    expected = 1.0 if b == c else 2 * stats.binom.cdf(min(b, c), b + c, 0.5) - met
    assert mcnemar_mid_p(b, c) == pytest.approx(expected)


def test_a_published_table_comes_out_as_published() -> None:
    """Source: the tests of R's contingencytables, which go with Fagerland's book."""
    b, c, n = CAVO
    assert mcnemar(b, c) == pytest.approx(0.052479, abs=1e-6)
    assert mcnemar_mid_p(b, c) == pytest.approx(0.034690, abs=1e-6)
    low, high = tango(b, c, n)
    assert (float(low), float(high)) == pytest.approx((-0.1240, -0.0054), abs=5e-5)


def likeliest(difference: float, more: int, fewer: int, n: int) -> float:
    """Return the share of `fewer` under a difference, found by a search and not by the formula."""

    def unlikely(q: float) -> float:
        return -(
            more * np.log(q + difference)
            + fewer * np.log(q)
            + (n - more - fewer) * np.log(1 - 2 * q - difference)
        )

    bounds = (max(0.0, -difference) + 1e-12, (1 - difference) / 2 - 1e-12)
    return float(optimize.minimize_scalar(unlikely, bounds=bounds, options={"xatol": 1e-12}).x)


@pytest.mark.parametrize(
    ("fewer", "more", "n"), [(6, 16, 161), (2, 3, 30), (20, 40, 160), (1, 12, 20)]
)
def test_tangos_interval_is_what_its_test_does_not_reject(fewer: int, more: int, n: int) -> None:
    """A second source for the formula: the likelihood is maximised numerically."""

    def z(difference: float) -> float:
        q = likeliest(difference, more, fewer, n)
        variance = (2 * q + difference - difference**2) / n
        return ((more - fewer) / n - difference) / np.sqrt(variance)

    middle = (more - fewer) / n
    low = optimize.brentq(lambda d: z(d) - Z, -0.999, middle)
    high = optimize.brentq(lambda d: z(d) + Z, middle, 0.999)
    found = tuple(map(float, tango(fewer, more, n)))
    assert found == pytest.approx((low, high), abs=1e-5)


@pytest.mark.parametrize("n", [1, 20, 500])
def test_where_neither_has_a_picture_of_its_own_the_interval_is_wilsons_of_none(n: int) -> None:
    low, high = map(float, tango(0, 0, n))
    assert (low, high) == pytest.approx((-(Z**2) / (n + Z**2), Z**2 / (n + Z**2)))


@pytest.mark.parametrize("n", [1, 7, 50])
def test_the_interval_ends_at_one_where_every_picture_is_won(n: int) -> None:
    low, high = map(float, tango(0, n, n))
    assert high == pytest.approx(1)
    assert -1 < low < 1
    assert tuple(map(float, tango(n, 0, n))) == pytest.approx((-high, -low))


def chances(n: int, p: float, q: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return all pairs of discordant counts that are not all but impossible, and how likely."""
    b, c = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
    b, c = b[b + c <= n], c[b + c <= n]
    likely = stats.multinomial.pmf(np.stack([b, c, n - b - c], axis=1), n, [p, q, 1 - p - q])
    kept = likely > 1e-10
    return b[kept], c[kept], likely[kept]


SHARES = [(0.02, 0.01), (0.05, 0.05), (0.1, 0.02), (0.2, 0.05), (0.3, 0.15), (0.45, 0.2)]


def coverage_of(interval, n: int) -> list[float]:
    """Return the exact chance that an interval holds the true difference, for each of `SHARES`."""
    found = []
    for p, q in SHARES:
        b, c, likely = chances(n, p, q)
        low, high = interval(c, b, n)
        found.append(float(likely[(low <= p - q) & (p - q <= high)].sum()))
    return found


@pytest.mark.parametrize(("n", "least", "most"), [(30, 0.93, 0.9999), (100, 0.93, 0.97)])
def test_tangos_interval_covers_the_true_difference(n: int, least: float, most: float) -> None:
    """Exact, by adding up all that can happen; no simulation."""
    covered = coverage_of(tango, n)
    assert least < min(covered)
    assert np.mean(covered) < most


def test_the_plain_interval_covers_too_rarely_negative_control() -> None:
    def wald(fewer: np.ndarray, more: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        middle = (more - fewer) / n
        error = np.sqrt((more + fewer) / n - middle**2) / np.sqrt(n)
        return middle - Z * error, middle + Z * error

    assert min(coverage_of(wald, 30)) < 0.7


@pytest.mark.parametrize("n", [30, 100])
def test_where_neither_is_better_p_is_below_5_percent_at_most_5_percent_of_the_time(n: int) -> None:
    for share in (0.02, 0.05, 0.15, 0.3):
        b, c, likely = chances(n, share, share)
        rates = {
            test: sum(
                chance
                for one, other, chance in zip(b, c, likely, strict=True)
                if test(int(one), int(other)) < SURE
            )
            for test in (mcnemar, mcnemar_mid_p)
        }
        assert rates[mcnemar] <= SURE
        assert rates[mcnemar] <= rates[mcnemar_mid_p] <= SURE


def test_mid_p_and_the_interval_say_the_same_more_often_than_the_exact_p_does() -> None:
    """Where a table tells both, a reader should rarely meet an interval without 0 and p > 0.05."""
    counts = [(b, c) for b, c in itertools.product(range(25), repeat=2) if b + c]
    low, high = tango(*np.array(counts).T, 100)
    outside = (low > 0) | (high < 0)
    agree = {
        test: np.mean((np.array([test(b, c) for b, c in counts]) < SURE) == outside)
        for test in (mcnemar, mcnemar_mid_p)
    }
    assert agree[mcnemar_mid_p] > 0.98 > agree[mcnemar]


def test_holms_p_is_that_of_statsmodels() -> None:
    rng = np.random.default_rng(0)
    for num in (1, 2, 3, 10):
        p = rng.random(num) ** 3
        assert holm(p.tolist()) == pytest.approx(multipletests(p, method="holm")[1])


def test_of_no_comparison_nothing_is_corrected() -> None:
    assert holm([]) == []


@pytest.mark.parametrize("freedom", [1, 9, 200])
def test_two_sided_is_students(freedom: float) -> None:
    assert two_sided(0.3, 0.2, freedom=freedom) == pytest.approx(2 * stats.t.sf(1.5, freedom))


def test_two_sided_needs_an_error() -> None:
    assert two_sided(0.0, 0.0, freedom=5) == two_sided(0.1, float("nan"), freedom=5) == 1
    assert two_sided(0.1, 0.0, freedom=5) == 1  # once 0, of two pictures that differ alike
    assert two_sided(0.3, 0.2, freedom=float("inf")) == pytest.approx(2 * stats.norm.sf(1.5))
