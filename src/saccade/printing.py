"""Answers and numbers as text: CSV, JSON lines, and a table for the terminal."""

import csv
import io
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from saccade.evaluation.intervals import Estimate
from saccade.runtime.errors import UsageError
from saccade.runtime.store import encode_name, json_text, write_text

if TYPE_CHECKING:
    from saccade.model import Prediction


def write_answers(
    answers: "Sequence[Prediction]", classes: Sequence[str], *, kind: str, output: Path | None
) -> None:
    """Write predictions as CSV or JSON lines, to a new file or to standard output.

    Raises:
        UsageError: the kind is unknown (E236).
    """
    if kind not in {"csv", "jsonl"}:
        raise UsageError(
            f"--format knows csv and jsonl, not '{kind}'.",
            code="236",
            where="the command line",
            fix="leave --format out for CSV",
        )
    text = as_csv(answers, classes) if kind == "csv" else as_json_lines(answers)
    if output is None:
        sys.stdout.write(text)
        return
    write_text(output, text)


def as_csv(answers: "Sequence[Prediction]", classes: Sequence[str]) -> str:
    """Return the answers as CSV: file, label, score, a column a class, error."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    names = [f"score:{encode_name(name)}" for name in classes]
    table.writerow(["file", "label", "score", *names, "error"])
    for answer in answers:
        scores = [repr(answer.scores[name]) if answer.scores else "" for name in classes]
        score = "" if answer.error else repr(answer.score)
        table.writerow(
            [encode_name(answer.path), encode_name(answer.label), score, *scores, answer.error]
        )
    return out.getvalue()


def as_json_lines(answers: "Sequence[Prediction]") -> str:
    """Return the answers as JSON, one object a line."""
    return "".join(
        json_text(
            {
                "file": encode_name(answer.path),
                "label": answer.label,
                "score": answer.score,
                "scores": dict(answer.scores),
                "error": answer.error,
            },
            indent=None,
        )
        + "\n"
        for answer in answers
    )


def metrics_table(metrics: Mapping[str, Mapping[str, Estimate]]) -> str:
    """Return every number with its interval and n, a line each, part by part."""
    lines = []
    for part, estimates in metrics.items():
        width = max((len(encode_name(name)) for name in estimates), default=0)
        lines.append(f"{part}:")
        for name, own in estimates.items():
            text = str(own) if math.isfinite(own.value) else f"not defined ({own.method})"
            lines.append(f"  {encode_name(name):<{width}}  {text}")
    return "\n".join(lines)
