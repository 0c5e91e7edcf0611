"""Answers and numbers as text: CSV, JSON lines, and a table for the terminal."""

import csv
import functools
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from saccade.data.labels import is_text
from saccade.evaluation.digits import is_share
from saccade.evaluation.intervals import Estimate
from saccade.runtime.errors import UsageError, command, listed
from saccade.runtime.store import check_can_be_written, encode_name, json_text, writing

if TYPE_CHECKING:
    from saccade.answers import Prediction
    from saccade.model import Labelled
    from saccade.run import Run

UNTESTED = "this model was never tested; its run was stopped before that"
MARKS = ("unknown", "unsure", "labels", "low", "high")


def new_file(output: str, *, flag: str = "--output") -> Path:
    """Return the path of a file that is to be written.

    Raises:
        UsageError: it is there already (E240).
        ResourceError: its folder cannot be written in (E401).
    """
    path = Path(output)
    if path.exists():
        raise UsageError(
            "The output file exists already; nothing is ever overwritten.",
            code="240",
            where=str(path),
            fix=f"choose another {flag}, or remove that file first",
        )
    check_can_be_written(path)
    return path


def table_to_write(output: str) -> Path:
    """Return where a table of parts is to be written.

    Raises:
        UsageError: it is there already (E240), or its name is not that of a CSV file (E244).
        ResourceError: its folder cannot be written in (E401).
    """
    path = new_file(output)
    if path.suffix.lower() != ".csv":
        raise UsageError(
            "The table of a split is a CSV file, and this name says otherwise.",
            code="244",
            where=f"--output {output}",
            fix=f"write {command('--output', path.with_suffix('.csv'))}",
        )
    return path


def check_format(kind: str) -> None:
    """Check that answers can be written so.

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


def write_answers(
    answers: "Sequence[Prediction]",
    classes: Sequence[str],
    *,
    kind: str,
    output: Path | None,
    marks: Sequence[str] = (),
) -> None:
    """Write predictions as CSV or JSON lines, to a new file or to standard output.

    Args:
        answers: from `Model.predict`.
        classes: the columns of scores.
        kind: as `check_format` lets it pass.
        output: a new file; None = standard output.
        marks: those of `MARKS` that were asked for.
    """
    write = functools.partial(write_json_lines, answers=answers, marks=marks)
    if kind == "csv":
        write = functools.partial(write_csv, answers=answers, classes=classes, marks=marks)
    if output is None:
        write(sys.stdout)
        return
    with (
        writing(output) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        write(file)


def write_csv(
    file: TextIO,
    answers: "Sequence[Prediction]",
    classes: Sequence[str],
    marks: Sequence[str] = (),
) -> None:
    r"""Write answers as CSV: file, label, score, what was asked for, a column a class, error.

    `unknown` and `unsure` are yes or no; several labels are joined by `|`, and a `|` inside a
    name is written `\|`, as in predictions.csv. Scores of classes have six digits, for more mean
    nothing in the network's float32. Without classes the answers are numbers.
    """
    table = csv.writer(file, lineterminator="\n")
    names = [f"score:{encode_name(name)}" for name in classes]
    table.writerow(["file", "label", "score", *marks, *names, "error"])
    for answer in answers:
        scores = [f"{answer.scores[name]:.6g}" if answer.scores else "" for name in classes]
        score = f"{answer.score:.6g}" if classes else repr(answer.score)
        score = "" if answer.error else score
        cells = ["" if answer.error else _cell(answer, mark) for mark in marks]
        label = encode_name(answer.label) if classes else answer.label
        if answer.several is not None:
            label = _joined(answer.several)
        table.writerow([encode_name(answer.path), label, score, *cells, *scores, answer.error])


def _cell(answer: "Prediction", mark: str) -> str:
    value = getattr(answer, mark)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return _joined(value)
    return repr(value)


def _joined(names: Sequence[str]) -> str:
    return "|".join(encode_name(name).replace("|", "\\|") for name in names)


def write_json_lines(
    file: TextIO, answers: "Sequence[Prediction]", marks: Sequence[str] = ()
) -> None:
    """Write answers as JSON, one object a line.

    Where a picture may have several labels, `several` has them one by one; `label` joins them
    for people, and a `|` inside a name cannot be told from one between two.
    """
    can_be_several = any(answer.several is not None for answer in answers)
    for answer in answers:
        fields = {
            "file": answer.path if is_text(answer.path) else encode_name(answer.path),
            "label": answer.label,
            **({"several": answer.several} if can_be_several else {}),
            "score": answer.score,
            **{mark: None if answer.error else getattr(answer, mark) for mark in marks},
            "scores": dict(answer.scores),
            "error": answer.error,
        }
        file.write(json_text(fields, indent=None) + "\n")


def answers_told(answers: "Sequence[Prediction]", marks: Sequence[str]) -> list[str]:
    """Return what a person should know of the answers as a whole, and of what has none."""
    read = [answer for answer in answers if not answer.error]
    told = []
    unknown = sum(bool(answer.unknown) for answer in read)
    if "unknown" in marks and unknown:
        are, them = ("is", "it") if unknown == 1 else ("are", "them")
        told.append(
            f"unknown: {unknown} of {len(read)} pictures {are} unlike those that the model learned "
            f"from; its answer for {them} means little{_many(unknown, len(read))}"
        )
    if "unsure" in marks:
        unsure = sum(bool(answer.unsure) for answer in read)
        left = [answer for answer in read if not answer.unsure]
        text = f"unsure: {unsure} of {len(read)} answers"
        if strange := sum(bool(answer.unknown and answer.unsure) for answer in read):
            of_these = "1 of them is of an unknown picture, which is"
            if strange > 1:
                of_these = f"{strange} of them are of unknown pictures, which are"
            text += f" ({of_these} unsure however high the score)"
        told.append(f"{text}; {len(left)} are sure enough")
    if "labels" in marks and read:
        sizes = [len(answer.labels) for answer in read]
        told.append(
            f"labels: {sum(sizes) / len(read):.2f} a picture on average; one alone "
            f"for {sum(size == 1 for size in sizes)} of {len(read)}"
        )
    lost = (answer for answer in answers if answer.error)
    return [*told, *(f"not read: {encode_name(one.path)}: {one.error}" for one in lost)]


def _many(unknown: int, num: int) -> str:
    """Return what to say where more are unknown than the one in twenty that are by mistake."""
    if unknown <= 0.05 * num + 3 * math.sqrt(0.05 * 0.95 * num):
        return ""
    return (
        ". Of pictures like those about 1 in 20 would be: here are others among them, and some of "
        "the rest may be such too"
    )


def end_told(run: "Run") -> Iterator[str]:
    """Yield what a finished run has to say: its summary, what is severe, and where things lie."""
    yield run.summary
    if num := run.num_severe:
        findings = "1 severe finding" if num == 1 else f"{num} severe findings"
        them = "it" if num == 1 else "them"
        yield f"severe: {findings} in the data; the report begins with {them}"
    for line in filter(None, (run.corrected_labels, run.doubted_labels)):
        yield f"labels: {line}"
    if run.doubted_labels and run.suspects.is_file():
        yield f"        {run.suspects} lists them, to be put right or confirmed"
    if late := run.facts.get("late"):
        yield str(late)
    yield f"report: {run.report}"
    yield f"model:  {run.model_folder}  ({command('saccade', 'predict', run.folder)} PICTURES)"


def eval_told(labelled: "Labelled", taught: Mapping[str, str], *, tested: bool) -> Iterator[str]:
    """Yield what was left out of an evaluation, and what the model knew of it before.

    Args:
        labelled: what the model says of the pictures.
        taught: by content, what taught or chose the model; empty: nobody knows.
        tested: whether the model's run came to its test, and wrote down what taught it.
    """
    table, catalog = labelled.table, labelled.catalog
    for own in catalog.skipped:
        yield f"left out: {encode_name(own.path)}: {own.sentence}"
    if seen := sum(content in taught for content in table.hashes):
        yield (
            f"warning: {seen} of {len(table)} pictures taught or chose this model (by content); "
            "they are counted as train and validation, not as test"
        )
    if labelled.seem_copies is not None:
        pairs = zip(table.paths, table.hashes, labelled.seem_copies, strict=True)
        found = [path for path, content, seems in pairs if seems and content not in taught]
        if found:
            names = listed(map(encode_name, found), limit=3)
            how = "in other bytes" if taught else "or are these very pictures"
            yield (
                f"warning: {len(found)} of {len(table)} pictures seem to show what a picture "
                f"that taught this model shows, {how} ({names}); what is said of them may flatter "
                "it"
            )
    if not taught:
        parts = "they are in the parts that the data give" if any(catalog.parts) else "all are test"
        why = "the run of this model is not here" if tested else UNTESTED
        yield f"note: {why}, so that nobody knows which of these pictures taught it; {parts}"


def metrics_table(metrics: Mapping[str, Mapping[str, Estimate]]) -> str:
    """Return every number with its interval and n, a line each, part by part, the test first."""
    lines = []
    for part, estimates in sorted(metrics.items(), key=lambda own: own[0] != "test"):
        known = {name: own for name, own in estimates.items() if math.isfinite(own.value)}
        width = max((len(encode_name(name)) for name in known), default=0)
        lines.append(f"{part}:")
        for name, own in known.items():
            lines.append(f"  {encode_name(name):<{width}}  {own.told(share=is_share(name))}")
        undefined = [encode_name(name) for name in estimates if name not in known]
        if undefined:
            lines.append(f"  not defined: {listed(undefined, limit=4)}")
    return "\n".join(lines)
