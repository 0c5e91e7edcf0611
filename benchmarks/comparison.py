"""What the raw runs say: accuracy with its interval, seconds with their spread, targets met or not.

Accuracy is the mean over seeds with Wilson's interval for the number of pictures. A difference is
paired: the same pictures, resampled together, and the seeds of each side on their own. With three
seeds the bootstrap sees two thirds of their variance; differences near its edge prove nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np
from methods import METHODS
from scipy.stats import binomtest

from saccade.evaluation.intervals import Estimate, proportion

Run = dict[str, Any]
RESAMPLES = 5000
LEAST_P = 0.05  # of a loss that could be chance, over all seeds of a set
RECIPES = ("tutorial_frozen", "tutorial_all", "fastai")  # as their documentation recommends


class Measured:
    """The finished runs of one set, by method."""

    def __init__(self, name: str, runs: Sequence[Run]) -> None:
        self.name = name
        own = [run for run in runs if run["set"] == name and not run["code"]]
        self.runs = {key: [r for r in own if r["method"] == key] for key in METHODS}
        self.methods = [key for key in METHODS if self.runs[key]]
        self.failed = sum(run["set"] == name and bool(run["code"]) for run in runs)
        self.num_val, self.num_files = (
            (own[0]["num_val"], own[0]["num_val"] + own[0]["num_train"]) if own else (0, 0)
        )

    @property
    def timing_only(self) -> bool:
        """Whether pictures were multiplied: then accuracy would count each one several times."""
        return "_x" in self.name

    def seconds(self, method: str) -> float:
        """Return the median over the seeds."""
        return median(run["seconds"] for run in self.runs[method])

    def accuracy(self, method: str) -> Estimate:
        """Return the mean over the seeds, with the interval that the number of pictures allows."""
        mean = float(np.mean([run["accuracy"] for run in self.runs[method]]))
        return proportion(mean, effective=self.num_val, n=self.num_val, method="wilson")

    def right(self, method: str) -> np.ndarray:
        """Return whether each picture was named rightly, (seeds, pictures)."""
        return np.array([[c == "1" for c in run["right"]] for run in self.runs[method]], float)

    def best_recipe(self) -> str:
        """Return the peer whose documented recipe was the most accurate here, or ""."""
        there = [key for key in RECIPES if key in self.methods]
        return max(there, key=lambda own: self.accuracy(own).value, default="")


def difference(a_SN: np.ndarray, b_SN: np.ndarray) -> tuple[float, float, float]:
    """Return the difference of two accuracies on the same pictures, with its 95 % interval.

    Args:
        a_SN: 1 where picture N was named rightly in the run of seed S, else 0.
        b_SN: the same of the method to compare with; the number of seeds may differ.

    >>> same = np.array([[1.0, 0.0, 1.0, 1.0]])
    >>> difference(same, same)
    (0.0, 0.0, 0.0)
    """
    rng = np.random.default_rng(0)
    num = a_SN.shape[1]
    found = np.empty(RESAMPLES)
    for own in range(RESAMPLES):
        columns = rng.integers(num, size=num)
        of_a = a_SN[rng.integers(len(a_SN), size=len(a_SN))].mean(axis=0)
        of_b = b_SN[rng.integers(len(b_SN), size=len(b_SN))].mean(axis=0)
        found[own] = (of_a - of_b)[columns].mean()
    low, high = np.quantile(found, [0.025, 0.975])
    return float(a_SN.mean() - b_SN.mean()), float(low), float(high)


def table(runs: Sequence[Run]) -> list[str]:
    """Return table.md: for each set what was measured, and whether the targets are met."""
    sets = {name: Measured(name, runs) for name in dict.fromkeys(run["set"] for run in runs)}
    lines = [
        "# Time to accuracy",
        "",
        "Seconds: from before the process is started until it is gone, median over the seeds",
        "(least to most). A tutorial's accuracy is that of its best epoch on these very pictures,",
        "as it does it; all others are those of the finished model. saccade keeps a part of the",
        "train folder for its own choices; the peers learn from all of it.",
    ]
    for name, own in sets.items():
        lines += ["", f"## {name}: {own.num_files} files, {own.num_val} of them to test on", ""]
        cold = [key for key in own.methods if not METHODS[key].warm]
        lines += _rows(own, cold)
        if warm := [key for key in own.methods if METHODS[key].warm]:
            lines += ["", "A second run on the cache of the first:", "", *_rows(own, warm)]
        load = max((run["load_before"] for key in own.methods for run in own.runs[key]), default=0)
        lines += ["", f"Highest load average before a run: {load:.1f} (0 = nothing else ran)."]
        if own.failed:
            lines += ["", f"{own.failed} runs failed and are not counted; see runs.jsonl."]
        base = sets.get(name.split("_x", 1)[0])
        if targets := _targets(own, base):
            lines += ["", *targets]
    return lines


def _rows(own: Measured, methods: Sequence[str]) -> list[str]:
    head = ["method", "seconds", "x head", "x default", "peak MB", "runs"]
    if not own.timing_only:
        head[1:1] = ["accuracy", "default minus this"]
        head[4:4] = ["as accurate as head after"]
    rows = []
    for key in methods:
        seconds = [run["seconds"] for run in own.runs[key]]
        spread = f"{median(seconds):.1f} ({min(seconds):.1f}–{max(seconds):.1f})"
        peak = max(run["peak_mb"] for run in own.runs[key])
        cells = [METHODS[key].title, spread, *_ratios(own, key), f"{peak:,.0f}", str(len(seconds))]
        if not own.timing_only:
            cells[1:1] = [_interval(own.accuracy(key)), _minus(own, key)]
            cells[4:4] = [_reached(own, key)]
        rows.append(cells)
    rule = ["---"] * len(head)
    return ["| " + " | ".join(cells) + " |" for cells in [head, rule, *rows]]


def _ratios(own: Measured, key: str) -> list[str]:
    return [
        f"{own.seconds(key) / own.seconds(ours):.2f}" if ours in own.methods else "–"
        for ours in ("saccade_head", "saccade_auto")
    ]


def _interval(found: Estimate) -> str:
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def _minus(own: Measured, key: str) -> str:
    if key == "saccade_auto" or "saccade_auto" not in own.methods:
        return "–"
    return "{:+.3f} [{:+.3f}, {:+.3f}]".format(
        *difference(own.right("saccade_auto"), own.right(key))
    )


def _reached(own: Measured, key: str) -> str:
    """Return when a peer was first as accurate as saccade's head, told at its epochs' ends."""
    if METHODS[key].ours or "saccade_head" not in own.methods:
        return "–"
    goal = own.accuracy("saccade_head").value
    first = [
        next((p["seconds"] for p in run["curve"] if p["score"] >= goal), None)
        for run in own.runs[key]
    ]
    there = [seconds for seconds in first if seconds is not None]
    if not there:
        return "never"
    return f"{median(there):.0f} s" + (
        f" ({len(there)} of {len(first)})" if len(there) < len(first) else ""
    )


def _targets(own: Measured, base: Measured | None) -> list[str]:
    """Return a line for each target; multiplied sets take accuracy from the set they came from.

    With the studies, which no peer does anything like, and without.
    """
    judge = own if not own.timing_only else base
    many = own.timing_only
    best = judge.best_recipe() if judge else ""
    ladder = 30 if many else 15
    targets = [
        Target("saccade_head", "tutorial_frozen", 25 if many else 12, "at least its accuracy", 0),
        Target("saccade_head", best, ladder, "the ladder's first rung, not less accurate"),
        Target("saccade_auto", best, ladder, "best documented recipe, not less accurate"),
        Target("saccade_20s", best, ladder, "the ladder within its budget, not less accurate"),
        Target("saccade_60s", best, ladder, "the ladder within its budget, not less accurate"),
        Target("saccade_auto", "expert", 4, "expert, not less accurate"),
    ]
    told = [
        _target(own, judge, replace(target, ours=target.ours + studies))
        for target in targets
        for studies in ("", "_bare")
        if {target.ours + studies, target.peer} <= set(own.methods)
    ]
    return told if many else [*told, *_never_below(own)]


def _never_below(own: Measured) -> Iterator[str]:
    """Yield for each kind of ladder whether it ended below the head of its own seed, by how much.

    Below by chance: the exact paired test of one seed's pictures, at 0.05 for all seeds together.
    """
    heads = [name for name in ("saccade_head", "saccade_head_bare") if own.runs[name]]
    for auto in ("saccade_auto", "saccade_auto_bare"):
        by_seed = [{run["seed"]: run for run in own.runs[name]} for name in (auto, *heads[:1])]
        seeds = sorted(set(by_seed[0]).intersection(*by_seed[1:])) if heads else []
        if not seeds:
            continue
        pairs = [[_right(runs[seed]) for runs in by_seed] for seed in seeds]
        gains = [float((climbed - solved).mean()) for climbed, solved in pairs]
        chances = [_p_of_loss(climbed, solved) for climbed, solved in pairs]
        met = min(chances) > LEAST_P / len(seeds)
        told = ", ".join(f"{gain:+.3f}" for gain in gains)
        verdict = "met" if met else "not met"
        yield (
            f"- **{verdict}**: {METHODS[auto].title} against its own head, seed by seed: {told} "
            "(target: never below by more than chance)"
        )


def _right(run: Run) -> np.ndarray:
    return np.array([mark == "1" for mark in run["right"]], float)


def _p_of_loss(climbed_N: np.ndarray, solved_N: np.ndarray) -> float:
    """Return the one-sided exact p that the ladder lost pictures to the head."""
    lost, won = int((climbed_N < solved_N).sum()), int((climbed_N > solved_N).sum())
    return float(binomtest(lost, lost + won, alternative="greater").pvalue) if lost + won else 1.0


@dataclass(frozen=True, slots=True)
class Target:
    """A ratio that was promised."""

    ours: str
    peer: str
    factor: int
    words: str
    end: int = 2  # of (value, low, high): what must not be below 0; by default the interval's top


def _target(own: Measured, judge: Measured | None, target: Target) -> str:
    ours, peer = target.ours, target.peer
    ratio = own.seconds(peer) / own.seconds(ours)
    in_time = ratio >= target.factor
    if judge is None or not {ours, peer} <= set(judge.methods):
        verdict, told = "in time" if in_time else "not met", "accuracy not measured"
    else:
        found = difference(judge.right(ours), judge.right(peer))
        right = found[target.end] >= 0
        verdict = "met" if in_time and right else "not met"
        told = "accuracy {:+.3f} [{:+.3f}, {:+.3f}]".format(*found) + ("" if right else ", too low")
    return (
        f"- **{verdict}**: {METHODS[ours].title} takes 1/{ratio:.1f} of the seconds of "
        f"{METHODS[peer].title} (target 1/{target.factor}, {target.words}); {told}"
    )


def sentence(runs: Sequence[Run]) -> str:
    """Return what a list of records says of this one."""
    sets = ", ".join(dict.fromkeys(run["set"] for run in runs))
    lines = [line for line in table(runs) if line.startswith("- **")]
    met = sum(line.startswith("- **met") for line in lines)
    count = len({run["seed"] for run in runs})
    return f"saccade and its peers on {sets}, {count} seeds; {met} of {len(lines)} targets met"
