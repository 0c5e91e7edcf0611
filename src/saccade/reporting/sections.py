"""The sections of run.json as facts; what is missing stays empty."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from saccade.data.catalog import Finding, Skipped
from saccade.data.split import PARTS
from saccade.data.task import Task
from saccade.reporting.facts import DataFacts, Layer, ModelFacts, SplitFacts
from saccade.reporting.folder import SplitRow


def summary_of(run: Mapping[str, Any]) -> str:
    """Return the result of run.json in a sentence, with what belongs beside it.

    What the test says of pictures that are new to the model, where others are among them; and
    that only some of the pictures were used.
    """
    if not run.get("summary"):
        return ""
    found = section(run, "data").get("findings", ())
    some = (str(own.get("sentence", "")) for own in found if own.get("kind") == "limit")
    said = (str(run["summary"]), str(run.get("beside_summary") or ""), *some)
    return " ".join(filter(None, said))


def section(run: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return a section of run.json; empty where it is missing or is none."""
    section = run.get(key)
    return section if isinstance(section, Mapping) else {}


def number(value: object) -> float:
    """Return a number, NaN where there is none."""
    return float(value) if isinstance(value, int | float) else math.nan


def texts(pairs: object) -> tuple[tuple[str, str], ...]:
    """Return a section as lines of name and text."""
    if not isinstance(pairs, Mapping):
        return ()
    return tuple((str(key), _text(value)) for key, value in pairs.items())


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def task_of(data: Mapping[str, Any]) -> Task | None:
    """Return the task that the section `data` records, None where it records none."""
    fields = data.get("task")
    if not isinstance(fields, Mapping):
        return None
    known = {k: v for k, v in fields.items() if k in Task.__dataclass_fields__}
    return Task(**{**known, "classes": tuple(fields.get("classes") or ())})


def data_of(data: Mapping[str, Any]) -> DataFacts:
    """Return what the section `data` says, the severest findings first."""
    skipped = tuple(
        Skipped(path=str(one["path"]), reason=str(one["reason"]), sentence=str(one["sentence"]))
        for one in data.get("skipped", ())
    )
    findings = tuple(
        Finding(
            kind=str(one["kind"]),
            severity=str(one["severity"]),
            paths=tuple(map(str, one.get("paths", ()))),
            sentence=str(one["sentence"]),
            action=str(one.get("action", "")),
        )
        for one in data.get("findings", ())
    )
    order = {"severe": 0, "warning": 1}
    return DataFacts(
        place=str(data.get("place", "")),
        layout=str(data.get("layout", "")),
        num_files=int(data.get("num_files", 0)),
        num_used=int(data.get("num_used", 0)),
        label_columns=tuple(map(str, data.get("label_columns", ()))),
        skipped=skipped,
        findings=tuple(sorted(findings, key=lambda f: order.get(f.severity, 2))),
        fingerprint=str(data.get("fingerprint", "")),
    )


def split_of(own: Mapping[str, Any], rows: Sequence[SplitRow]) -> SplitFacts:
    """Return what the section `split` and split.csv say; sizes are counted from the rows."""
    sizes = Counter(row.part for row in rows)
    counts = own.get("counts")
    counts = counts if isinstance(counts, Mapping) else {}
    if not sizes:
        sizes = Counter({part: sum(each.values()) for part, each in counts.items()})
    seed = own.get("seed")
    return SplitFacts(
        seed=seed if isinstance(seed, int) else None,
        notes=tuple(map(str, own.get("notes", ()))),
        is_drawn=any(row.why.startswith("drawn") for row in rows) or not rows,
        counts={part: dict(counts[part]) for part in PARTS if part in counts},
        sizes={part: sizes[part] for part in PARTS if sizes[part]},
        fingerprint=str(own.get("fingerprint", "")),
    )


def model_of(own: Mapping[str, Any]) -> ModelFacts:
    """Return what the section `model` says."""
    weights = section(own, "weights")
    preprocess = section(own, "preprocess")
    layers = tuple(
        Layer(
            name=str(one["name"]),
            kind=str(one["kind"]),
            shape=_shape(one["shape"]),
            parameters=int(one["parameters"]),
            flops=int(one["flops"]),
        )
        for one in own.get("layers", ())
    )
    return ModelFacts(
        name=str(own.get("name", "")),
        num_parameters=own.get("num_parameters"),
        num_trainable=own.get("num_trainable"),
        num_stages=own.get("num_stages"),
        num_learned=own.get("num_stages_learned"),
        weights_source=str(weights.get("source") or ""),
        weights_licence=str(weights.get("licence") or ""),
        weights_sha256=str(weights.get("sha256") or ""),
        preprocess=texts(preprocess),
        input_px=int(preprocess.get("size_px", 0)),
        layers=layers,
    )


def _shape(shape: object) -> str:
    return " × ".join(map(str, shape)) if isinstance(shape, list | tuple) else str(shape)
