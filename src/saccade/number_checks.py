"""The checks of a run's numbers: do they follow from its table?"""

import json
import math
from collections.abc import Iterator
from typing import Any

from saccade.evaluation.scores import as_json, evaluate, from_json, headline
from saccade.evaluation.usual import beside_usual
from saccade.papers import Failed, NotChecked, Papers
from saccade.run import versions
from saccade.runtime import machine
from saccade.runtime.errors import listed
from saccade.runtime.store import encode_name

CLOSE = 1e-9
"""Relative difference up to which numbers computed by other versions, or on another processor,
are the same: sums are then added up in another order."""


def metrics_follow_from_the_table(papers: Papers) -> str:
    """Every number in metrics.json, and the sentence in run.json, come from the table."""
    table, written = papers.table, papers.metrics
    groups = None
    if (own := papers.groups) is not None:
        of_path = {row.path: group for row, group in zip(papers.split, own, strict=True)}
        groups = [of_path.get(path, "") for path in table.paths]
    again = evaluate(table, seed=papers.recipe.seed, groups=groups)
    found = as_json(again)
    close = 0.0 if _same_versions(papers) else CLOSE
    wrong = list(_differences(written, found, close))
    num = sum(len(numbers) for numbers in found.values())
    if wrong:
        raise Failed(
            f"{len(wrong)} of {num} numbers do not follow from predictions.csv: "
            f"{listed(map(encode_name, wrong), limit=3)}"
        )
    sentence = headline(from_json(written), papers.task, beside_usual(table, groups=groups))
    if papers.facts.get("summary", sentence) != sentence:
        raise Failed("the summary in run.json is not what metrics.json says")
    digits = "to the last digit" if found == written else f"to {-math.log10(CLOSE):.0f} digits"
    return f"all {num} metrics and their intervals follow from predictions.csv, {digits}"


def _differences(written: Any, found: Any, close: float) -> Iterator[str]:  # noqa: ANN401 - JSON
    for part in dict.fromkeys([*written, *found]):
        own, again = written.get(part, {}), found.get(part, {})
        for name in dict.fromkeys([*own, *again]):
            one, other = own.get(name), again.get(name)
            if one is None or other is None:
                yield f"{part} {name} is only in {'metrics.json' if other is None else 'the table'}"
                continue
            for field in ("value", "low", "high", "n", "method"):
                if not _same(one.get(field), other[field], close):
                    yield f"{part} {name}: {field} {one.get(field)!r}, and again {other[field]!r}"
                    break


def _same(one: object, other: object, close: float) -> bool:
    if isinstance(one, float | int) and isinstance(other, float | int):
        return math.isclose(one, other, rel_tol=close, abs_tol=close)
    return one == other


def _same_versions(papers: Papers) -> bool:
    """Whether this machine computes as the one did that the run was made on, bit by bit."""
    names = ("numpy", "scipy")
    made_by, here = papers.facts.get("versions", {}), versions()
    made_on = papers.facts.get("machine", {}).get("processor")
    same = all(made_by.get(name) == here.get(name) for name in names)
    return same and made_on == machine.describe()["processor"]


def studies_are_whole(papers: Papers) -> str:
    """trust.json can be read, and every value in it lies within its interval."""
    path = papers.folder / "trust.json"
    if not path.is_file():
        raise NotChecked("there is no trust.json: this run was made before studies, or stopped")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        studies, left_out = dict(content["studies"]), dict(content["left_out"])
    except (ValueError, KeyError, TypeError) as error:
        raise Failed(f"trust.json is damaged ({type(error).__name__}: {error})") from error
    estimates = list(_estimates(studies))
    wrong = [place for place, own in estimates if not _within(own)]
    if wrong:
        raise Failed(f"values outside their interval in trust.json: {listed(wrong)}")
    named = f", left out: {listed(map(encode_name, left_out))}" if left_out else ""
    return f"{len(studies)} studies with {len(estimates)} intervals, each around its value{named}"


def _estimates(content: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:  # noqa: ANN401
    """Yield everything that looks like an estimate, with where it is."""
    if isinstance(content, dict):
        if {"value", "low", "high", "n"} <= set(content):
            yield place, content
        for key, own in content.items():
            yield from _estimates(own, f"{place}.{encode_name(key)}".removeprefix("."))
    elif isinstance(content, list):
        for number, own in enumerate(content):
            yield from _estimates(own, f"{place}[{number}]")


def _within(own: dict[str, Any]) -> bool:
    ends = [own["low"], own["value"], own["high"]]
    known = [end for end in ends if isinstance(end, int | float)]
    return own["n"] >= 0 and known == sorted(known)
