"""What a race of networks leaves behind: rows for the history, and sentences."""

import math
from typing import Any

import numpy as np

from saccade.data.task import Task
from saccade.evaluation.difference import Difference
from saccade.evaluation.scores import score_told
from saccade.runtime.errors import listed
from saccade.runtime.store import encode_name
from saccade.training.probe import Sample
from saccade.training.runner import Runner


def row_of(runner: Runner, score_name: str, *, is_chosen: bool) -> dict[str, Any]:
    """Return what is known of a runner at the end, as JSON can hold it."""
    score = runner.probe.score if runner.probe else None
    return {
        "name": runner.name,
        "score": _number(score.value) if score else None,
        "low": _number(score.low) if score else None,
        "high": _number(score.high) if score else None,
        "n": score.n if score else 0,
        "score_name": score_name,
        "seconds": runner.seconds,
        "images_per_second": _number(1 / runner.seconds_a_picture),
        "num_parameters": runner.num_parameters,
        "engine": runner.engine_name,
        "chosen": is_chosen,
        "why": runner.why,
        "behind": _told(runner.behind),
    }


def _told(behind: Difference | None) -> dict[str, Any] | None:
    """Return how far a network is behind the best one; None for that one itself."""
    if behind is None:
        return None
    return {
        "value": _number(behind.value),
        "low": _number(behind.low),
        "high": _number(behind.high),
        "p": behind.final_p,
        "n": behind.n,
    }


def left_out_row(name: str, score_name: str, why: str) -> dict[str, Any]:
    """Return the row of a network that could not even enter."""
    return {"name": name, "score_name": score_name, "chosen": False, "why": why}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def sentence(row: dict[str, Any]) -> str:
    """Return a row for a terminal.

    >>> sentence({"name": "resnet18", "why": "there was no time to look at it"})
    'resnet18: there was no time to look at it'
    """
    known = []
    if row.get("score") is not None:
        ends = () if row["low"] is None else (row["low"], row["high"])
        known.append(score_told(row["score_name"], row["score"], *ends))
    if row.get("images_per_second") is not None:
        known.append(f"{row['images_per_second']:.0f} pictures a second")
    if row.get("num_parameters") is not None:
        known.append(f"{row['num_parameters'] / 1e6:.1f} M parameters")
    return f"{row['name']}: {', '.join(known)}{'; ' if known else ''}{row['why']}"


def counts_told(sample: Sample, task: Task) -> str:
    """Return how many pictures of each class a sample holds, in brackets; empty for regression."""
    if task.kind == "regression":
        return ""
    own = sample.targets_N
    sums = own.sum(axis=0) if own.ndim == 2 else np.bincount(own, minlength=len(task.classes))
    each = (f"{num} {encode_name(name)}" for name, num in zip(task.classes, sums, strict=True))
    return f" ({listed(each)})"
