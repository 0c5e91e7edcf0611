"""The checks of a run's numbers: do they follow from its table?"""

import json
import math
from collections.abc import Iterator
from importlib import metadata
from typing import Any

from saccade.evaluation.intervals import INTERVALS_VERSION
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
OF_INTERVALS = ("low", "high", "method")
"""What another version of saccade may have computed in another way from the same table."""


def metrics_follow_from_the_table(papers: Papers) -> str:
    """Every number in metrics.json, and the sentence in run.json, come from the table."""
    table, written = papers.table, papers.metrics
    groups = None
    if (own := papers.groups) is not None:
        of_path = {row.path: group for row, group in zip(papers.split, own, strict=True)}
        groups = [of_path.get(path, "") for path in table.paths]
    found = as_json(evaluate(table, seed=papers.recipe.seed, groups=groups))
    close = 0.0 if _same_versions(papers) else CLOSE
    num = sum(len(numbers) for numbers in found.values())
    differing, by_others = list(_differences(written, found, close)), _of_other_methods(papers)
    wrong = [text for field, text in differing if not (by_others and field in OF_INTERVALS)]
    if wrong:
        raise Failed(
            f"{len(wrong)} of {num} numbers do not follow from predictions.csv: "
            f"{listed(map(encode_name, wrong), limit=3)}"
        )
    sentence = headline(from_json(written), papers.task, beside_usual(table, groups=groups))
    other_sentence = papers.facts.get("summary", sentence) != sentence
    if by_others and (differing or other_sentence):
        what = f"{len(differing)} intervals" if differing else "the ends in the summary"
        raise NotChecked(
            f"the values of all {num} metrics follow from predictions.csv; {what} were computed "
            "by another version of saccade, and differ from those of this one"
        )
    if other_sentence:
        raise Failed("the summary in run.json is not what metrics.json says")
    digits = "to the last digit" if found == written else f"to {-math.log10(CLOSE):.0f} digits"
    return f"all {num} metrics and their intervals follow from predictions.csv, {digits}"


def _of_other_methods(papers: Papers) -> bool:
    """Whether another version made the run, which may compute intervals in another way."""
    made_by = papers.facts.get("saccade"), papers.facts.get("methods")
    return made_by != (metadata.version("saccade"), INTERVALS_VERSION)


def _differences(
    written: Any,  # noqa: ANN401 - JSON
    found: Any,  # noqa: ANN401 - JSON
    close: float,
) -> Iterator[tuple[str, str]]:
    """Yield the first field of each number that differs, "" for a number of one side, and both."""
    for part in dict.fromkeys([*written, *found]):
        own, again = written.get(part, {}), found.get(part, {})
        for name in dict.fromkeys([*own, *again]):
            one, other = own.get(name), again.get(name)
            if one is None or other is None:
                side = "metrics.json" if other is None else "the table"
                yield "", f"{part} {name} is only in {side}"
                continue
            for field in ("value", "n", *OF_INTERVALS):
                met, expected = one.get(field), other[field]
                if not _same(met, expected, close):
                    yield field, f"{part} {name}: {field} {met!r}, and again {expected!r}"
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
