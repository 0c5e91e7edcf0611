"""How often the intervals of samples cover the known values of the populations they are from.

The true values are closed forms in the quick tests; in the slow ones scikit-learn computes them
on 400,000 drawn pictures. `pytest -m slow -s tests/evaluation/test_coverage.py` prints the tables
of docs/intervals.md, and compares with them what is measured of all populations together: there
one standard error is 0.2 to 0.6 points, and the samples are the same each time.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm
from tests.evaluation.populations import (
    GROUPED,
    LABELS,
    LINES,
    POPULATIONS,
    Labels,
    Line,
    Population,
)
from tests.evaluation.populations import table as table  # test_paired has it from here

from saccade.evaluation.intervals import Estimate, grouping
from saccade.evaluation.ranking import mean_estimate, roc_auc
from saccade.evaluation.resampling import mean_interval
from saccade.evaluation.scores import evaluate

PAGE = Path(__file__).parents[2] / "docs" / "intervals.md"
SAMPLES = {30: 1000, 100: 1000, 300: 500, 1000: 200}
QUICK, IN_GROUPS = 30, 300  # samples of each population, in the quick test and with groups
PROMISED = {
    "accuracy": "accuracy",
    "balanced accuracy": "balanced_accuracy",
    "recall": "recall[c0]",
    "specificity": "specificity[c0]",
    "precision": "precision[c0]",
    "F1": "f1[c0]",
    "F1 macro": "f1_macro",
    "ROC AUC": "roc_auc",
    "MAE": "mae",
}
"""What the page promises 93 to 97 % of, and the metric's name."""
TOO_OFTEN: Mapping[int, set[str]] = {
    30: {*PROMISED.values()} - {"mae"},
    100: {*PROMISED.values()} - {"accuracy", "mae"},
    300: {"specificity[c0]", "roc_auc"},
    1000: set(),
}
"""By pictures, what is covered too often in all populations together; 30 may be."""
SLACK = 0.5
"""Points by which a percentage may differ from the page's. The samples are the same each time;
another stream of the bootstrap moved those of 700 by 0.3 at most, and intervals 5 % shorter move
nearly all by more than this."""
# What falls short, and why, is in docs/intervals.md; these floors only stop it from getting worse.
FLOORS = {
    ("heavy-tailed errors", "rmse"): 82,
    ("heavy-tailed errors", "r2"): 86,
    ("skewed errors", "rmse"): 87,
}
Reaches = dict[str, np.ndarray]


def reach(own: Estimate, true: float) -> float:
    """Return how far off the truth is; 1 = at the end of the interval on that side."""
    end = own.high if true > own.value else own.low
    return (true - own.value) / (end - own.value) if true != own.value else 0.0


def reaches(
    population: Population | Line | Labels,
    true: Mapping[str, float],
    *,
    n: int,
    samples: int,
    told: bool = True,
) -> Reaches:
    """Return for each metric how far off the truth is in each sample: up to 1 it is covered.

    A sample in which the metric is not defined counts neither way. Which pictures are a group is
    not said unless `told`.
    """
    rng, each = np.random.default_rng([0, n]), population.each
    groups = [str(row // each) for row in range(n)] if each > 1 and told else None
    found: dict[str, list[float]] = {name: [] for name in true}
    for sample in range(samples):
        metrics = evaluate(population.table(n, rng), seed=sample, groups=groups)["test"]
        for name, value in true.items():
            if np.isfinite(metrics[name].value):
                found[name].append(reach(metrics[name], value))
    return {name: np.array(own) for name, own in found.items()}


def held(found: Reaches, longer: float = 1.0) -> dict[str, float]:
    """Return the percentage covered, by intervals so many times as long."""
    return {name: round(100 * float((own <= longer).mean()), 1) for name, own in found.items()}


def together(each: Iterable[Reaches]) -> Reaches:
    """Return what is promised, of all populations."""
    found: dict[str, list[np.ndarray]] = defaultdict(list)
    for one in each:
        for name, own in one.items():
            found[name.replace("_ovr_macro", "")].append(own)
    return {name: np.concatenate(found[name]) for name in PROMISED.values() if name in found}


@cache
def measured(population: Population | Line | Labels, n: int, samples: int) -> Reaches:
    found = reaches(population, population.true_values(), n=n, samples=samples)
    cells = (f"{name}={share}" for name, share in held(found).items())
    print(f"\n{population.name}\t{n}\t" + "\t".join(cells))
    return found


@cache
def of_all(n: int) -> Reaches:
    return together(measured(own, n, SAMPLES[n]) for own in (*POPULATIONS, *LINES))


def on_the_page(table: str, row: str) -> dict[str, float]:
    """Return one row of a table of the page, by the metric's name."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip(" *") for cell in line.split("|")[1:-1]] for line in lines]
    start = next(place for place, own in enumerate(cells) if own[:1] == [table])
    values = next(own for own in cells[start:] if own[:1] == [row])
    pairs = zip(cells[start][1:], values[1:], strict=True)
    return {PROMISED[name]: float(value) for name, value in pairs}


def chances(own: Population) -> np.ndarray:
    """Return how often a class is there and how often which is said, (K, K), added up, not drawn.

    What is said is the class with the largest of K normal draws, of which one is moved.
    """
    step, k = 0.01, len(own.priors)
    x = np.arange(-9, 14, step)
    found = np.empty((k, k))
    for true in range(k):
        moved = x - own.signals[true] * (np.arange(k) == true)[:, None]
        for said in range(k):
            others = np.delete(norm.cdf(moved), said, axis=0).prod(axis=0)
            found[true, said] = own.priors[true] * (norm.pdf(moved[said]) * others).sum() * step
    return found


def exactly(own: Population) -> dict[str, float]:
    """Return true values in closed form; two scores that are compared differ by a normal draw."""
    cells = chances(own)
    hit, true, said = cells.diagonal(), cells.sum(axis=1), cells.sum(axis=0)
    recall, precision, f1 = hit / true, hit / said, 2 * hit / (true + said)
    values = {
        "accuracy": hit.sum(),
        "balanced_accuracy": recall.mean(),
        "recall[c0]": recall[0],
        "specificity[c0]": 1 - (said - hit)[0] / (1 - true[0]),
        "precision[c0]": precision[0],
        "f1[c0]": f1[0],
        "f1_macro": f1.mean(),
    }
    if len(own.priors) == 2:
        values["roc_auc"] = norm.cdf(sum(own.signals) / 2)
    return {name: float(value) for name, value in values.items()}


@pytest.fixture(scope="module")
def quick() -> Reaches:
    """Thirty samples of 100 pictures of each population: the first of those that the page tells."""
    return together(reaches(own, exactly(own), n=100, samples=QUICK) for own in POPULATIONS)


def missed(found: Reaches, longer: float = 1.0) -> int:
    return sum(int((own > longer).sum()) for own in found.values())


def test_intervals_of_all_populations_together_cover_the_truth(quick: Reaches) -> None:
    assert {name: share for name, share in held(quick).items() if not 94 <= share <= 99.5} == {}
    assert 36 <= missed(quick) <= 44  # of 1,560, of the same samples each time


@pytest.mark.parametrize("longer", [0.95, 1.05])
def test_intervals_5_percent_off_would_be_seen_negative_control(
    quick: Reaches, longer: float
) -> None:
    assert not 36 <= missed(quick, longer) <= 44


# With two equal classes and signal s a picture is named rightly with chance Φ(s / √2), which is
# then every class's recall, precision and F1 too; the ROC AUC is Φ(s).
@pytest.mark.parametrize("n", [30, pytest.param(100, marks=pytest.mark.slow)])
def test_intervals_of_small_parts_cover_the_truth(n: int) -> None:
    right = float(norm.cdf(1.5 / np.sqrt(2)))
    shares = ("accuracy", "balanced_accuracy", "f1_macro", "precision_macro", "f1_weighted")
    of_class = ("recall[c0]", "precision[c0]", "f1[c0]", "specificity[c0]")
    true = dict.fromkeys([*shares, *of_class], right) | {"roc_auc": float(norm.cdf(1.5))}
    population = Population(name="", priors=(0.5, 0.5), signals=(1.5, 1.5))
    found = held(reaches(population, true, n=n, samples=100))
    assert {name: share for name, share in found.items() if share < 93} == {}


def test_percentiles_of_the_same_bootstrap_cover_too_rarely_negative_control() -> None:
    rng, covered = np.random.default_rng(0), []
    population = Population(name="", priors=(0.5, 0.5), signals=(2.2, 2.2))
    for _ in range(150):
        truth, scores = population.draw(30, rng)
        rows = rng.integers(30, size=(500, 30))
        wrong = (truth != scores.argmax(axis=1))[rows]
        low, high = np.quantile(1 - wrong.mean(axis=1), [0.025, 0.975])
        covered.append(low <= norm.cdf(2.2 / np.sqrt(2)) <= high)
    assert np.mean(covered) < 0.89


def test_intervals_of_normal_errors_cover_the_truth() -> None:
    # the mean of |normal| is √(2/π) standard deviations
    true = {"mae": 0.5 * np.sqrt(2 / np.pi), "rmse": 0.5, "r2": 0.75}
    found = held(reaches(LINES[0], true, n=30, samples=100))
    assert {name: share for name, share in found.items() if share < 93} == {}


def test_intervals_of_errors_of_every_shape_cover_the_truth() -> None:
    """The mean of |error|: normal, Student's with 3 degrees of freedom, centred exponential."""
    alone, off, rng = grouping(None, num_rows=30), [], np.random.default_rng(0)
    for line, mean in zip(LINES, (np.sqrt(2 / np.pi), 2 / np.pi, 2 / np.e), strict=True):
        for sample in range(150):
            truth, said = line.draw(30, rng)
            errors = np.abs(said[:, 0] - truth)
            found = mean_interval(errors, grouping=alone, seed=sample)
            off.append(reach(found, mean * line.size))
    assert 0.93 <= np.mean(np.array(off) <= 1) <= 0.97


# Every other group is of the class. A picture's score is its group's draw (spread `tau`), its own
# (spread 1) and a signal: two pictures of different sides differ by a normal draw of variance
# 2 (1 + tau²), which gives the signal for an area.
@pytest.mark.parametrize(
    ("area", "groups", "each", "tau"),
    [(0.9, 4, 50, 3), (0.97, 8, 50, 3), (0.97, 20, 10, 3), (0.99, 20, 50, 3), (0.99, 60, 50, 3)],
)
def test_intervals_of_an_area_near_1_cover_the_truth_where_pictures_come_in_groups(
    area: float, groups: int, each: int, tau: float
) -> None:
    signal = norm.ppf(area) * np.sqrt(2 * (1 + tau**2))
    index = np.repeat(np.arange(groups), each)
    kept = grouping([str(own) for own in index], num_rows=len(index))
    rng, positive, covered = np.random.default_rng(0), index % 2 == 0, []
    for _ in range(150):
        scores = signal * positive + tau * rng.normal(size=groups)[index]
        ranked = roc_auc(positive, scores + rng.normal(size=len(index)))
        found = mean_estimate([ranked], grouping=kept, method="", why="")
        covered.append(found.low <= area <= found.high)
    assert np.mean(covered) >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize("n", SAMPLES)
@pytest.mark.parametrize("population", [*POPULATIONS, *LINES, *LABELS], ids=lambda p: p.name)
def test_intervals_cover_what_they_promise(population: Population | Line | Labels, n: int) -> None:
    found = held(measured(population, n, SAMPLES[n]))
    noise = 300 * np.sqrt(0.95 * 0.05 / SAMPLES[n])
    short = {
        name: share
        for name, share in found.items()
        if share < FLOORS.get((population.name, name), 93) - noise
    }
    assert short == {}


def off_the_page(found: Reaches, page: Mapping[str, float], longer: float = 1.0) -> set[str]:
    """Return which metrics are not covered as often as the page says."""
    return {name for name, own in held(found, longer).items() if abs(own - page[name]) > SLACK}


@pytest.mark.slow
@pytest.mark.parametrize("n", SAMPLES)
def test_all_populations_together_are_covered_as_often_as_the_page_says(n: int) -> None:
    found = of_all(n)
    print(f"\ntogether {n}: {held(found)}")
    page = on_the_page("together, n", str(n))
    assert off_the_page(found, page) == set()
    assert min(page.values()) >= 93
    assert {name for name, share in page.items() if share > 97} == TOO_OFTEN[n]


@pytest.mark.slow
@pytest.mark.parametrize("n", SAMPLES)
def test_of_all_populations_intervals_5_percent_shorter_are_seen_negative_control(n: int) -> None:
    off = off_the_page(of_all(n), on_the_page("together, n", str(n)), 0.95)
    print(f"\n5 % shorter, {n}: {held(of_all(n), 0.95)}")
    assert len(off) >= (6 if n == 30 else 8)  # of nine


@cache
def of_groups(row: str) -> Reaches:
    groups, each = map(int, row.split(" of "))
    grouped = (replace(own, each=each) for own in GROUPED)
    return together(measured(own, groups * each, IN_GROUPS) for own in grouped)


@pytest.mark.slow
@pytest.mark.parametrize("row", ["20 of 10", "40 of 10", "100 of 5"])
def test_in_groups_all_populations_are_covered_as_often_as_the_page_says(row: str) -> None:
    found = of_groups(row)
    print(f"\n{row}: {held(found)}")
    page = on_the_page("together, groups", row)
    assert off_the_page(found, page) == set()
    assert min(page.values()) >= 93


@pytest.mark.slow
@pytest.mark.parametrize("own", [GROUPED[0], LINES[0]], ids=lambda own: own.name)
def test_where_groups_are_not_told_the_truth_is_missed_negative_control(
    own: Population | Line,
) -> None:
    grouped = replace(own, each=10)
    found = reaches(grouped, grouped.true_values(), n=200, samples=60, told=False)
    shares = held(together([found]))
    print(f"\n{own.name}, groups not told: {shares}")
    assert max(shares.values()) < 93
