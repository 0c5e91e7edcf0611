"""The baseline ladder: what ever less simple answers reach on the same test pictures."""

import itertools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from saccade.evaluation.difference import Difference, corrected
from saccade.evaluation.intervals import Estimate
from saccade.evaluation.paired import compare_tables
from saccade.evaluation.predictions import Predictions
from saccade.evaluation.scores import evaluate
from saccade.evaluation.tally import tally
from saccade.insight.evidence import Evidence, NotPossible
from saccade.insight.rungs import (
    NAMES,
    Rung,
    SmallRungs,
    final_rung,
    frozen_rung,
    majority_rung,
    properties_rung,
)
from saccade.insight.small_networks import SIDE_PX
from saccade.runtime.errors import SaccadeError

FEWEST = 20  # test pictures; with fewer hardly any comparison could show anything
BYTES = 4  # of a parameter, in fp32


def study(evidence: Evidence, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rungs with score, cost and size; each compared with the one before and the last.

    It is asked after the end, so the test part may judge; nothing is chosen by what it says. A
    rung for which there is no time, or no sense, is left out by name. The cheap ones are made
    first, and the networks from scratch last.

    Raises:
        NotPossible: nothing was predicted yet, or there are too few test pictures.
    """
    del known
    table = evidence.finished
    test = evidence.rows("test")
    if len(test) < FEWEST:
        few = f"{len(test)} test picture{'s' * (len(test) > 1)} are too few to compare anything on"
        raise NotPossible(few if len(test) else "there is no test part to compare on")
    made: dict[str, Rung] = {}
    left_out: dict[str, str] = {}
    for name, make in _makers():
        if time.monotonic() > evidence.deadline:
            left_out[name] = "its time was up"
            continue
        try:
            made[name] = make(evidence, test)
        except NotPossible as reason:
            left_out[name] = str(reason)
        except SaccadeError as error:  # one rung less is no reason to lose the others
            left_out[name] = error.message
    rungs = [made[name] for name in NAMES if name in made]
    metric = metric_of(table.task.kind)
    groups = _groups(evidence, test)
    compared = differences(rungs, metric, groups, seed=evidence.recipe.seed)
    return {
        "metric": metric,
        "kind": table.task.kind,
        "n": len(test),
        "small_px": SIDE_PX,
        "rungs": [_rung_as_dict(own, metric, groups, evidence=evidence) for own in rungs],
        "comparisons": [_difference_as_dict(own) for own in compared],
        "left_out": left_out,
    }


def metric_of(kind: str) -> str:
    """Return the metric that rungs are compared by.

    >>> metric_of("binary"), metric_of("multilabel"), metric_of("regression")
    ('accuracy', 'f1_macro', 'mae')
    """
    return {"multilabel": "f1_macro", "regression": "mae"}.get(kind, "accuracy")


def _makers() -> list[tuple[str, Callable[[Evidence, np.ndarray], Rung]]]:
    """Return what makes each rung, the cheap ones first."""
    small = SmallRungs()
    return [
        ("majority", majority_rung),
        ("final", final_rung),
        ("frozen", frozen_rung),
        ("properties", properties_rung),
        ("mlp", small.mlp),
        ("cnn", small.cnn),
    ]


def _groups(evidence: Evidence, test: np.ndarray) -> list[str] | None:
    if not any(evidence.split.groups):
        return None
    return [evidence.split.groups[row] for row in test.tolist()]


def differences(
    rungs: Sequence[Rung], metric: str, groups: list[str] | None, *, seed: int
) -> tuple[Difference, ...]:
    """Return each rung beside the one before, and the last beside each other; p for all of them."""
    pairs = [*itertools.pairwise(rungs), *((own, rungs[-1]) for own in rungs[:-2])]
    return corrected(
        [
            compare_tables(
                first.table,
                second.table,
                metric=metric,
                groups=groups,
                names=(first.name, second.name),
                seed=seed,
            )
            for first, second in pairs
        ]
    )


def _rung_as_dict(
    rung: Rung, metric: str, groups: list[str] | None, *, evidence: Evidence
) -> dict[str, Any]:
    """Return a rung as JSON can hold it; the score is found as the headline's is."""
    return {
        "name": rung.name,
        "score": _score(rung.table, metric, groups, evidence=evidence).as_dict(),
        "seconds": rung.seconds,
        "num_parameters": rung.num_parameters,
        "num_learned": rung.num_learned,
        "num_bytes": None if rung.num_parameters is None else BYTES * rung.num_parameters,
        "images_per_second": rung.images_per_second,
        "epochs": rung.epochs,
        "num_taught": rung.num_taught,
    }


def _score(
    table: Predictions, metric: str, groups: list[str] | None, *, evidence: Evidence
) -> Estimate:
    """Return one metric, as `evaluate` has it, without all others where it need not have them."""
    rows, seed = evidence.rows("test"), evidence.recipe.seed
    if metric == "f1_macro":
        return evaluate(table, seed=seed, groups=groups)["test"][metric]
    own = tally(evidence.targets[rows], table.predicted, evidence.task)
    return own.estimate(evidence.grouping_of(rows), seed=seed)


def _difference_as_dict(own: Difference) -> dict[str, Any]:
    first, second = own.names
    return {
        "first": first,
        "second": second,
        "difference": {
            "value": _number(own.value),
            "low": _number(own.low),
            "high": _number(own.high),
            "n": own.n,
            "method": own.method,
        },
        "p": _number(own.p),
        "p_corrected": _number(own.final_p),
        "num_compared": own.num_compared,
        "better": own.beyond_chance and own.second_is_better,
        "worse": own.beyond_chance and not own.second_is_better,
    }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
