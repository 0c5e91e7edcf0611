"""Weak spots: the kinds of pictures on which the network is worse than elsewhere beyond chance."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from saccade.data.properties import properties_of
from saccade.evaluation.digits import with_interval
from saccade.evaluation.intervals import Estimate
from saccade.evaluation.predictions import Predictions
from saccade.evaluation.slices import (
    ALPHA,
    FEWEST,
    Slice,
    WeakSlice,
    WeakSpots,
    weak_slices,
)
from saccade.insight.evidence import Evidence, NotPossible
from saccade.insight.trivial import losses_of
from saccade.runtime.store import encode_name

MOST_SHOWN = 8
NUM_PICTURES = 6
FEWEST_PICTURES = 2 * FEWEST
QUARTERS = (0.25, 0.5, 0.75)

_SCALES = {
    "size": ("size", "smallest", "largest"),
    "shape": ("shape (width to height)", "narrowest", "widest"),
    "brightness": ("brightness", "darkest", "brightest"),
    "contrast": ("contrast", "of least contrast", "of most contrast"),
    "saturation": ("colourfulness", "grayest", "most colourful"),
    "sharpness": ("sharpness", "most blurred", "sharpest"),
    "bytes_a_pixel": ("bytes a pixel", "most compressed", "least compressed"),
}
"""The properties that are cut into quarters, with the words for the first and the last."""


def study(evidence: Evidence, _known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the slices of the test part where the score is lower than elsewhere beyond chance.

    Raises:
        NotPossible: nothing is predicted yet, or the test part is too small.
    """
    table = evidence.finished
    part, rows = judged(evidence)
    if len(rows) < FEWEST_PICTURES:
        raise NotPossible(
            f"{len(rows)} {part} pictures are too few to compare some with the others; "
            f"{FEWEST_PICTURES} are the least"
        )
    own = table.take(rows.tolist())
    losses_N = losses_of(own.scores, evidence.targets[rows], own.task)
    groups = [evidence.split.groups[row] for row in rows]
    slices = list(slices_of(evidence, own, rows))
    tested = weak_slices(
        losses_N,
        slices,
        seed=evidence.recipe.seed,
        shares_right=own.task.kind in ("binary", "multiclass"),
        groups=groups if any(groups) else None,
        most=MOST_SHOWN,
    )
    shown = [_as_dict(one, slices, own, losses_N) for one in tested.weak]
    return {
        "sentence": sentence(tested, slices, shown, part=part, task=own.task.kind),
        "part": part,
        "n": len(rows),
        "score": score_of(own.task.kind),
        "num_slices": tested.num_slices,
        "num_pairs": tested.num_pairs,
        "num_weak": tested.num_weak,
        "alpha": ALPHA,
        "fewest": FEWEST,
        "slices": shown,
    }


def judged(evidence: Evidence) -> tuple[str, np.ndarray]:
    """Return the part that judges, test or else validation, and its rows."""
    for part in ("test", "validation"):
        rows = evidence.rows(part)
        if len(rows):
            return part, rows
    raise NotPossible("there is neither a test nor a validation picture to judge by")


def score_of(kind: str) -> str:
    """Return what is compared, in words: a share of right answers, or a mean error."""
    return {"regression": "mean error", "multilabel": "share of wrong labels"}.get(kind, "accuracy")


def slices_of(evidence: Evidence, table: Predictions, rows: np.ndarray) -> Iterator[Slice]:
    """Yield the slices to test, each set of pictures once; `table` holds the rows' answers."""
    seen: set[bytes] = set()
    for one in _all_slices(evidence, table, rows):
        size = int(one.members_N.sum())
        key = np.packbits(one.members_N).tobytes()
        if FEWEST <= size <= len(rows) - FEWEST and key not in seen:
            seen.add(key)
            yield one


def _all_slices(evidence: Evidence, table: Predictions, rows: np.ndarray) -> Iterator[Slice]:
    properties = properties_of(evidence.catalog, evidence.looks)
    yield from _classes(table)
    yield from _named("group", [evidence.split.groups[row] for row in rows])
    if properties.sources:
        yield from _named("source", [properties.sources[row] for row in rows])
    yield from _named("file kind", [evidence.catalog.formats[row] for row in rows])
    known = {own.name for own in properties.columns}
    for name in _SCALES:
        if name in known:
            yield from quarters(name, properties.values(name)[rows])


def _classes(table: Predictions) -> Iterator[Slice]:
    task, truth = table.task, table.truth
    if truth is None:
        return
    if task.kind == "regression":
        yield from quarters("truth", truth)
        return
    for place, name in enumerate(task.classes):
        members = truth[:, place] == 1 if task.kind == "multilabel" else truth == place
        noun = "label" if task.kind == "multilabel" else "class"
        yield Slice(name=f"{noun} {encode_name(name)}", about=noun, members_N=members)


def _named(what: str, names: Sequence[str]) -> Iterator[Slice]:
    column = np.array(names, dtype=object)
    for name, count in sorted(Counter(names).items()):
        if name and count >= FEWEST:
            yield Slice(
                name=f"{what} {encode_name(name)}",
                about=what,
                members_N=column == name,
                is_group=what == "group",
            )


def quarters(name: str, values: np.ndarray) -> Iterator[Slice]:
    """Yield the pictures by quarters of a property, or by its values where there are few."""
    words, least, most = _SCALES.get(name, (name, "lowest", "highest"))
    edges = np.unique(values)[1:]
    if len(edges) > len(QUARTERS):
        edges = np.unique(np.quantile(values, QUARTERS, method="higher"))
        edges = edges[edges > values.min()]
    place = np.searchsorted(edges, values, side="right")
    shown = [_number(name, edge) for edge in edges.tolist()]
    for k in range(len(edges) + 1 if len(edges) else 0):
        if k == 0:
            text = f"{least}: {words} below {shown[0]}"
        elif k == len(edges):
            text = f"{most}: {words} from {shown[-1]}"
        else:
            text = f"{words} from {shown[k - 1]} to {shown[k]}"
        yield Slice(name=text, about=name, members_N=place == k)


def _number(name: str, value: float) -> str:
    if name == "size":
        return f"{value / 1e6:.2g} megapixels"
    return f"{value:.3g}"


def _as_dict(
    one: WeakSlice, slices: Sequence[Slice], table: Predictions, losses_N: np.ndarray
) -> dict[str, Any]:
    inside = np.logical_and.reduce([slices[place].members_N for place in one.places])
    wrong = np.flatnonzero(inside & (losses_N > 0))
    worst = wrong[np.argsort(-losses_N[wrong], kind="stable")][:NUM_PICTURES]
    truths, answers = table.truths, table.prediction
    return {
        "name": " and ".join(slices[place].name for place in one.places),
        "about": [slices[place].about for place in one.places],
        "n": int(inside.sum()),
        "num_wrong": len(wrong),
        "inside": one.inside.as_dict(),
        "outside": one.outside.as_dict(),
        "difference": one.difference.as_dict(),
        "p": one.p,
        "p_corrected": one.p_corrected,
        "mostly": _mostly(table, inside),
        "pictures": [
            {
                "path": encode_name(table.paths[row]),
                "truth": encode_name(truths[row]),
                "prediction": encode_name(answers[row]),
            }
            for row in worst
        ],
    }


def _mostly(table: Predictions, inside: np.ndarray) -> dict[str, Any] | None:
    """Return the class that makes up most of a slice, where it is more at home there than outside.

    Dark pictures may be hard because they are dark, or because most of them show one hard class.
    """
    if table.truth is None or table.truth.ndim != 1 or table.task.kind == "regression":
        return None
    counts = np.bincount(table.truth[inside], minlength=len(table.task.classes))
    place = int(counts.argmax())
    overall = float((table.truth == place).mean())
    share = counts[place] / counts.sum()
    if share < max(0.5, 1.5 * overall):
        return None
    return {"class": encode_name(table.task.classes[place]), "count": int(counts[place])}


def sentence(
    tested: WeakSpots,
    slices: Sequence[Slice],
    shown: Sequence[dict[str, Any]],
    *,
    part: str,
    task: str,
) -> str:
    """Return the result in words, with how many slices were tested and by which properties."""
    of_answers = {"regression": "", "multilabel": "label, "}.get(task, "class, ")
    if not tested.num_slices:
        return (
            f"Nothing could be compared: no {of_answers}source or quarter by size or light has "
            f"{FEWEST} of the {tested.n} {part} pictures inside and {FEWEST} outside."
        )
    combined = f" and {_count(tested.num_pairs, 'pair')} of them" if tested.num_pairs else ""
    asked = (
        f"{_count(tested.num_slices, 'slice')} of the {tested.n} {part} pictures{combined} "
        f"(by {_abouts(slices)})"
    )
    if not shown:
        return (
            f"Of {asked} none is worse than the other pictures beyond chance (p below {ALPHA:g}, "
            "corrected for all of them). Slices of few pictures can hide a weakness."
        )
    worst, score = tested.weak[0], score_of(task)
    inside, outside = (
        _told(own, share=task != "regression") for own in (worst.inside, worst.outside)
    )
    return (
        f"Of {asked} {tested.num_weak} {'is' if tested.num_weak == 1 else 'are'} worse than the "
        f"other pictures beyond chance. The surest: {shown[0]['name']}, {score} {inside} on "
        f"{worst.inside.n} pictures against {outside} on the {worst.outside.n} others."
    )


def _told(estimate: Estimate, *, share: bool) -> str:
    return with_interval(estimate.value, estimate.low, estimate.high, share=share)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _abouts(slices: Sequence[Slice]) -> str:
    """Return the properties that slices are of, in words, each once."""
    words = [_SCALES.get(one.about, (one.about,))[0].partition(" (")[0] for one in slices]
    *first, last = dict.fromkeys(words)
    return f"{', '.join(first)} and {last}" if first else last
