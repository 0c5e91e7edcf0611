"""How often the intervals of samples cover the known values of the populations they are from.

The true values are closed forms in the quick tests; in the slow ones scikit-learn computes them
on 400,000 drawn pictures. `pytest -m slow -s tests/evaluation/test_coverage.py` prints the table
of docs/intervals.md.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import sklearn.metrics as sk
from scipy.stats import norm

from saccade.data.task import Kind, Task
from saccade.evaluation.intervals import grouping
from saccade.evaluation.predictions import Predictions
from saccade.evaluation.ranking import mean_estimate, roc_auc
from saccade.evaluation.scores import evaluate

LARGE = 400_000


@dataclass(frozen=True, kw_only=True)
class Population:
    """Classes with how frequent they are and how far their own score stands out."""

    name: str
    priors: Sequence[float]
    signals: Sequence[float]

    @property
    def task(self) -> Task:
        kind: Kind = "binary" if len(self.priors) == 2 else "multiclass"
        return Task(kind=kind, classes=tuple(f"c{k}" for k in range(len(self.priors))))

    def draw(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        truth = rng.choice(len(self.priors), size=n, p=self.priors)
        logits = rng.normal(size=(n, len(self.priors)))
        logits[np.arange(n), truth] += np.asarray(self.signals)[truth]
        scores = np.exp(logits - logits.max(axis=1, keepdims=True))
        return truth, scores / scores.sum(axis=1, keepdims=True)

    def true_values(self) -> dict[str, float]:
        truth, scores = self.draw(LARGE, np.random.default_rng(2026))
        said = scores.argmax(axis=1)
        recalls = sk.recall_score(truth, said, average=None)
        precisions = sk.precision_score(truth, said, average=None)
        members = truth[:, None] == np.arange(len(self.priors))
        areas = [sk.roc_auc_score(m, s) for m, s in zip(members.T, scores.T, strict=True)]
        values = {
            "accuracy": sk.accuracy_score(truth, said),
            "balanced_accuracy": sk.balanced_accuracy_score(truth, said),
            "precision_macro": precisions.mean(),
            "f1_macro": sk.f1_score(truth, said, average="macro"),
            "f1_weighted": sk.f1_score(truth, said, average="weighted"),
            "specificity[c0]": sk.recall_score(truth == 0, said == 0, pos_label=False),
            "recall[c0]": recalls[0],
            "precision[c0]": precisions[0],
            "f1[c0]": sk.f1_score(truth == 0, said == 0),
            "roc_auc" if len(areas) == 2 else "roc_auc_ovr_macro": np.mean(areas),
            "average_precision_macro": np.mean(
                [sk.average_precision_score(m, s) for m, s in zip(members.T, scores.T, strict=True)]
            ),
            "log_loss": sk.log_loss(truth, scores),
        }
        return {name: float(value) for name, value in values.items()}

    def table(self, n: int, rng: np.random.Generator) -> Predictions:
        truth, scores = self.draw(n, rng)
        return table(self.task, truth, scores)


@dataclass(frozen=True, kw_only=True)
class Line:
    """A regression: target standard normal, errors from one of three distributions."""

    name: str
    errors: str  # "normal", "student" (3 degrees of freedom) or "skewed" (centred exponential)
    size: float

    def draw(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        truth = rng.normal(size=n)
        error = {
            "normal": lambda: rng.normal(size=n),
            "student": lambda: rng.standard_t(3, size=n) / np.sqrt(3),
            "skewed": lambda: rng.exponential(size=n) - 1,
        }[self.errors]()
        return truth, (truth + self.size * error)[:, None]

    def true_values(self) -> dict[str, float]:
        rng = np.random.default_rng(2026)
        truth, scores = self.draw(10 * LARGE, rng)
        return {
            "mae": float(np.abs(scores[:, 0] - truth).mean()),
            "rmse": self.size,  # every error distribution has variance 1
            "r2": 1 - self.size**2,
        }

    def table(self, n: int, rng: np.random.Generator) -> Predictions:
        truth, scores = self.draw(n, rng)
        return table(Task(kind="regression", classes=()), truth, scores)


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Multi-label: independent labels with their frequencies, scores that stand out by signals."""

    name: str
    priors: Sequence[float]
    signal: float

    def draw(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        prior = np.asarray(self.priors)
        truth = (rng.random((n, len(prior))) < prior).astype(np.uint8)
        z = rng.normal(size=truth.shape) + self.signal * truth
        odds = np.log(prior / (1 - prior)) + self.signal * z - self.signal**2 / 2
        return truth, 1 / (1 + np.exp(-odds))

    def true_values(self) -> dict[str, float]:
        truth, scores = self.draw(LARGE, np.random.default_rng(2026))
        said = scores > 0.5
        return {
            "accuracy_subset": float(sk.accuracy_score(truth, said)),
            "hamming_loss": float(sk.hamming_loss(truth, said)),
            "f1_macro": float(sk.f1_score(truth, said, average="macro")),
            "f1_micro": float(sk.f1_score(truth, said, average="micro")),
            "f1_samples": float(sk.f1_score(truth, said, average="samples", zero_division=np.nan)),
            "roc_auc_macro": float(sk.roc_auc_score(truth, scores, average="macro")),
            "average_precision_macro": float(sk.average_precision_score(truth, scores)),
        }

    def table(self, n: int, rng: np.random.Generator) -> Predictions:
        classes = tuple(f"c{k}" for k in range(len(self.priors)))
        truth, scores = self.draw(n, rng)
        return table(Task(kind="multilabel", classes=classes), truth, scores)


POPULATIONS = (
    Population(name="2 equal classes, good", priors=(0.5, 0.5), signals=(2, 2)),
    Population(name="2 equal classes, very good", priors=(0.5, 0.5), signals=(3, 3)),
    Population(name="2 classes, 15 % rare", priors=(0.85, 0.15), signals=(3, 2)),
    Population(name="3 equal classes, fair", priors=(1 / 3,) * 3, signals=(1.5,) * 3),
    Population(name="5 equal classes, very good", priors=(0.2,) * 5, signals=(3.5,) * 5),
    Population(name="5 classes, 40 to 5 %", priors=(0.4, 0.3, 0.15, 0.1, 0.05), signals=(3,) * 5),
    Population(name="10 equal classes, good", priors=(0.1,) * 10, signals=(3,) * 10),
)
LINES = (
    Line(name="normal errors", errors="normal", size=0.5),
    Line(name="heavy-tailed errors", errors="student", size=0.5),
    Line(name="skewed errors", errors="skewed", size=0.5),
)
LABELS = (Labels(name="4 labels, 50 to 10 %", priors=(0.5, 0.4, 0.2, 0.1), signal=2.0),)


def table(task: Task, truth: np.ndarray, scores: np.ndarray) -> Predictions:
    """Return a prediction table of one test part with numbers for names."""
    n = len(truth)
    return Predictions(
        task=task,
        paths=tuple(map(str, range(n))),
        hashes=("",) * n,
        parts=("test",) * n,
        truth=truth,
        scores=scores,
    )


def coverage(
    population: Population | Line | Labels,
    true: Mapping[str, float],
    *,
    n: int,
    samples: int,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Return for each metric how often its interval covers the true value, and its mean width.

    A sample in which the metric is not defined counts neither way.
    """
    covered: dict[str, list[bool]] = {name: [] for name in true}
    widths: dict[str, list[float]] = {name: [] for name in true}
    for found in _estimates(population, n, samples, seed):
        for name, value in true.items():
            one = found[name]
            if np.isfinite(one.value):
                covered[name].append(one.low <= value <= one.high)
                widths[name].append(one.high - one.low)
    return {name: (float(np.mean(covered[name])), float(np.mean(widths[name]))) for name in true}


def _estimates(
    population: Population | Line | Labels, n: int, samples: int, seed: int
) -> Iterator[dict]:
    rng = np.random.default_rng([seed, n])
    for sample in range(samples):
        yield evaluate(population.table(n, rng), seed=sample)["test"]


# With two equal classes and signal s a picture is named rightly with chance Φ(s / √2), which is
# then every class's recall, precision and F1 too; the ROC AUC is Φ(s).
@pytest.mark.parametrize(
    ("signal", "n"), [(1.5, 30), pytest.param(1.5, 100, marks=pytest.mark.slow), (2.2, 30)]
)
def test_intervals_of_small_parts_cover_the_truth(signal: float, n: int) -> None:
    right = float(norm.cdf(signal / np.sqrt(2)))
    shares = ("accuracy", "balanced_accuracy", "f1_macro", "precision_macro", "f1_weighted")
    of_class = ("recall[c0]", "precision[c0]", "f1[c0]", "specificity[c0]")
    true = dict.fromkeys([*shares, *of_class], right) | {"roc_auc": float(norm.cdf(signal))}
    population = Population(name="", priors=(0.5, 0.5), signals=(signal, signal))
    found = coverage(population, true, n=n, samples=150)
    # 150 samples at a true coverage of 0.95 fall below 0.89 once in 1,000
    assert {name: share for name, (share, _) in found.items() if share < 0.89} == {}


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


def test_intervals_of_errors_cover_the_truth() -> None:
    line = Line(name="", errors="normal", size=0.5)
    # the mean of |normal| is √(2/π) standard deviations
    true = {"mae": 0.5 * np.sqrt(2 / np.pi), "rmse": 0.5, "r2": 0.75}
    found = coverage(line, true, n=30, samples=150)
    assert {name: share for name, (share, _) in found.items() if share < 0.89} == {}


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
    assert np.mean(covered) >= 0.89


SAMPLES = {30: 1000, 100: 1000, 300: 500, 1000: 200}
# What falls short, and why, is in docs/intervals.md; these floors only stop it from getting worse.
FLOORS = {
    ("heavy-tailed errors", "rmse"): 0.82,
    ("heavy-tailed errors", "r2"): 0.86,
    ("skewed errors", "rmse"): 0.87,
}


@pytest.mark.slow
@pytest.mark.parametrize("n", SAMPLES)
@pytest.mark.parametrize("population", [*POPULATIONS, *LINES, *LABELS], ids=lambda p: p.name)
def test_intervals_cover_what_they_promise(population: Population | Line | Labels, n: int) -> None:
    found = coverage(population, population.true_values(), n=n, samples=SAMPLES[n])
    cells = (f"{name}={share:.3f}({width:.3f})" for name, (share, width) in found.items())
    print(f"\n{population.name}\t{n}\t" + "\t".join(cells))
    noise = 3 * np.sqrt(0.95 * 0.05 / SAMPLES[n])
    short = {
        name: share
        for name, (share, _) in found.items()
        if share < FLOORS.get((population.name, name), 0.93) - noise
    }
    assert short == {}
