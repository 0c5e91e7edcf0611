"""The model card: what a stranger must know before using the model, as Markdown."""

import html
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from saccade.data.split import PARTS
from saccade.data.task import Task
from saccade.evaluation.intervals import Estimate
from saccade.reporting.glossary import LEADING, is_baseline, title
from saccade.reporting.wording import interval, plural, value, visible

Metrics = Mapping[str, Mapping[str, Estimate]]

MAX_CLASS_ROWS = 60
_SPECIAL = re.compile(r"([\\*_{}\[\]#|~!])")
_APOSTROPHE = chr(0x2BC)  # in place of backquotes, which could open or close code
_SCRATCH = ("cnn", "mlp")
_HUB_LICENCES = {
    "apache-2.0", "mit", "bsd-3-clause", "bsd-2-clause", "cc-by-4.0", "cc-by-nc-4.0",
    "cc-by-sa-4.0", "cc0-1.0", "openrail",
}  # fmt: skip
"Identifiers that the hub takes as `license`; any other is written as `other` with its name."


def card_text(run: Mapping[str, Any], task: Task, metrics: Metrics) -> str:
    """Return the README.md of a model folder: YAML front matter for model hubs, then the card.

    Args:
        run: what run.json holds.
        task: the kind of answer and the classes.
        metrics: part -> name -> estimate; empty where the model was not tested.
    """
    part = next((name for name in ("test", "validation") if metrics.get(name)), "")
    judged = metrics.get(part, {})
    blocks = [
        _front_matter(run, task, part, judged),
        f"# {_plain(_name(run))}",
        *_opening(run, task, part, judged),
        *_numbers(task, part, judged),
        *_data(run),
        *_answers(task),
        *_use(run, task),
        *_limits(run, task, part, judged),
        *_origin(run),
    ]
    return "\n\n".join(blocks) + "\n"


def _front_matter(
    run: Mapping[str, Any], task: Task, part: str, judged: Mapping[str, Estimate]
) -> str:
    """JSON texts are YAML texts, so no name can break out of its line."""
    licence = str(_of(run, "model", "weights").get("licence") or "").lower()
    lines = ["---", "library_name: timm", "tags:", "- image-classification", "- timm", "- saccade"]
    if task.kind in {"binary", "multiclass"}:
        lines.append("pipeline_tag: image-classification")
    if licence in _HUB_LICENCES:
        lines.append(f"license: {licence}")
    elif licence:
        lines += ["license: other", f"license_name: {_text(licence)}"]
    shown = [n for n in LEADING[task.kind] if n in judged and not is_baseline(n)]
    results = [
        f"    - type: {_text(name)}\n      name: {_text(f'{title(name)[0]} ({part})')}\n"
        f"      value: {judged[name].value:.6g}"
        for name in shown
        if judged[name].value == judged[name].value  # a YAML number cannot be undefined
    ]
    if results:
        lines += ["metrics:", *(f"- {name}" for name in shown)]
        lines += [
            "model-index:",
            f"- name: {_text(_name(run))}",
            "  results:",
            "  - task:",
            f"      type: {'other' if task.kind == 'regression' else 'image-classification'}",
            "    dataset:",
            "      type: imagefolder",
            f"      name: {_text(_dataset(run))}",
            f"      split: {part}",
            "    metrics:",
            *results,
        ]
    return "\n".join([*lines, "---"])


def _opening(
    run: Mapping[str, Any], task: Task, part: str, judged: Mapping[str, Estimate]
) -> Iterator[str]:
    summary = str(run.get("summary") or "")
    if summary:
        yield _plain(summary)
    if not judged:
        yield (
            "**This model was not tested.** Its run was stopped before the test, so nothing is "
            "known about how good it is."
        )
    elif part == "validation":
        yield (
            "**There was no test part.** The numbers below are of the validation part, which "
            "also chose what was kept, so they flatter the model."
        )
    model = _of(run, "model")
    weights = _of(run, "model", "weights")
    what = {
        "binary": "two classes",
        "multiclass": plural(len(task.classes), "class", "classes"),
        "multilabel": f"{plural(len(task.classes), 'label')}, any number of them a picture",
        "regression": "one number",
    }[task.kind]
    size = model.get("num_parameters")
    parameters = f", {size:,} parameters" if isinstance(size, int) else ""
    source = _plain(str(weights.get("source") or "none: from scratch"))
    name = _code(str(model.get("name", "")))
    yield f"{name}{parameters}; {what}. Weights it began with: {source}."


def _numbers(task: Task, part: str, judged: Mapping[str, Estimate]) -> Iterator[str]:
    plain = [name for name in judged if "[" not in name]
    shown = [n for n in LEADING[task.kind] if n in plain]
    shown += [n for n in plain if n not in shown]
    if not shown:
        return
    yield f"## How good it is ({part} part)"
    rows = ["| metric | value | 95 % interval | n |", "| :-- | --: | :-: | --: |"]
    rows += [
        f"| {_plain(title(name)[0])} | {value(judged[name])} | {_plain(interval(judged[name]))} "
        f"| {judged[name].n:,} |"
        for name in shown
    ]
    yield "\n".join(rows)
    yield from _class_table(task, judged)


def _class_table(task: Task, judged: Mapping[str, Estimate]) -> Iterator[str]:
    names = [n for n in task.classes if f"recall[{n}]" in judged]
    if not names:
        return
    if len(names) > MAX_CLASS_ROWS:
        yield f"The numbers of the {len(names):,} classes are in the run's metrics.json."
        return
    rows = ["| class | n | recall | precision |", "| :-- | --: | :-- | :-- |"]
    for name in names:
        recall, precision = judged[f"recall[{name}]"], judged.get(f"precision[{name}]")
        rows.append(
            f"| {_plain(name)} | {recall.n:,} | {_cell(recall)} | "
            f"{_cell(precision, with_n=True) if precision else '–'} |"
        )
    yield "\n".join(rows)


def _cell(estimate: Estimate, *, with_n: bool = False) -> str:
    return f"{value(estimate)} ({_plain(interval(estimate, with_n=with_n))})"


def _data(run: Mapping[str, Any]) -> Iterator[str]:
    data, counts = _of(run, "data"), _of(run, "split", "counts")
    if not data:
        return
    yield "## What it learned from"
    skipped = len(data.get("skipped", ()))
    used, found = int(data.get("num_used", 0)), int(data.get("num_files", 0))
    lines = [
        f"{_plain(_dataset(run))}: {plural(found, 'file')} found, {used:,} used, "
        f"{skipped:,} left out with a reason."
    ]
    lines += [_plain(str(note)) for note in _of(run, "split").get("notes", ())]
    yield " ".join(lines)
    parts = [p for p in PARTS if isinstance(counts.get(p), Mapping)]
    names = list(counts[parts[0]]) if parts else []
    if 0 < len(names) <= MAX_CLASS_ROWS:
        head = f"| class | {' | '.join(parts)} |"
        rows = [head, f"| :-- |{' --: |' * len(parts)}"]
        rows += [
            f"| {_plain(name) or 'all'} | "
            f"{' | '.join(f'{int(counts[p].get(name, 0)):,}' for p in parts)} |"
            for name in names
        ]
        yield "\n".join(rows)
    severe = [f for f in data.get("findings", ()) if f.get("severity") in {"severe", "warning"}]
    if severe:
        yield "\n".join(f"- {_plain(str(finding.get('sentence', '')))}" for finding in severe)


def _answers(task: Task) -> Iterator[str]:
    yield "## What its answers mean"
    if task.kind == "regression":
        yield (
            "The output is standardised: times "
            f"{task.target_std!r} plus {task.target_mean!r} it is in the unit of the target."
        )
        return
    names = ", ".join(map(_plain, task.classes[:MAX_CLASS_ROWS]))
    more = len(task.classes) - MAX_CLASS_ROWS
    rest = f" and {more:,} more (config.json, `label_names`)" if more > 0 else ""
    yield {
        "binary": "One output; its sigmoid is the score of the second class. ",
        "multilabel": "One output a label; its sigmoid is the label's score, and labels above "
        "0.5 are given. ",
        "multiclass": "One output a class; their softmax are the scores, which add up to 1. ",
    }[task.kind] + f"In the order of the outputs: {names}{rest}."


def _use(run: Mapping[str, Any], task: Task) -> Iterator[str]:
    yield "## How to use it"
    yield (
        "With saccade, where the preprocessing and the class names come with the model:\n\n"
        "```python\nimport saccade\n\n"
        'model = saccade.load("path/to/this/folder")\n'
        'for answer in model.predict(["new.jpg"]):\n'
        "    print(answer.path, answer.label, answer.score)\n```"
    )
    if _of(run, "model").get("name") in _SCRATCH:
        return
    last = {
        "multiclass": "scores = logits.softmax(dim=1)",
        "binary": "score_of_the_second_class = logits.sigmoid()",
        "multilabel": "scores = logits.sigmoid()",
        "regression": f"value = logits * {task.target_std!r} + {task.target_mean!r}",
    }[task.kind]
    yield (
        "With timm alone:\n\n"
        "```python\nimport timm\nimport torch\nfrom PIL import Image, ImageOps\n\n"
        'model = timm.create_model("local-dir:path/to/this/folder", pretrained=True).eval()\n'
        "transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))\n"
        'picture = ImageOps.exif_transpose(Image.open("new.jpg")).convert("RGB")\n'
        "with torch.inference_mode():\n"
        "    logits = model(transform(picture).unsqueeze(0))\n"
        f"{last}\n```"
    )


def _limits(
    run: Mapping[str, Any], task: Task, part: str, judged: Mapping[str, Estimate]
) -> Iterator[str]:
    yield "## What it cannot do"
    lines = []
    if task.kind in {"binary", "multiclass"}:
        lines.append(
            "It always answers one of its classes, also for a picture of something else, and a "
            "high score is no proof that the picture is of a known class."
        )
    lines.append(
        "The numbers hold for pictures like those of the data set: other cameras, places, seasons "
        "or selections can make it worse, and only a test on such pictures tells how much."
    )
    counts = _of(run, "split", "counts").get(part)
    absent = [n for n, k in counts.items() if n and not k] if isinstance(counts, Mapping) else []
    if judged and absent:
        shown = ", ".join(map(_plain, absent[:5])) + (" and others" if len(absent) > 5 else "")
        lines.append(f"Nothing is known about {shown}: the {part} part has no such picture.")
    yield "\n".join(f"- {line}" for line in lines)


def _origin(run: Mapping[str, Any]) -> Iterator[str]:
    weights, preprocess = _of(run, "model", "weights"), _of(run, "model", "preprocess")
    known = {
        "saccade": run.get("saccade"),
        "split fingerprint": _of(run, "split").get("fingerprint"),
        "seed of the split": _of(run, "split").get("seed"),
        "SHA-256 of the weights it began with": weights.get("sha256"),
        "licence of those weights": weights.get("licence"),
        **{f"preprocessing: {key}": item for key, item in preprocess.items()},
        **{f"version of {key}": item for key, item in _of(run, "versions").items()},
    }
    yield "## Where it comes from"
    yield "\n".join(
        f"- {_plain(key)}: {_code(str(item))}"
        for key, item in known.items()
        if item not in (None, "")
    )


def _of(run: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    section: Any = run
    for key in keys:
        section = section.get(key) if isinstance(section, Mapping) else None
    return section if isinstance(section, Mapping) else {}


def _dataset(run: Mapping[str, Any]) -> str:
    place = str(_of(run, "data").get("place") or "unnamed pictures")
    return PurePosixPath(place).name or place


def _name(run: Mapping[str, Any]) -> str:
    return f"{_of(run, 'model').get('name') or 'model'} for {_dataset(run)}"


def _plain(text: str) -> str:
    """Text that Markdown shows as it is: no markup, no HTML, no new line."""
    one_line = " ".join(visible(text).split()).replace("`", _APOSTROPHE)
    return _SPECIAL.sub(r"\\\1", html.escape(one_line, quote=False))


def _code(text: str) -> str:
    one_line = " ".join(visible(text).split())
    return f"`{one_line.replace('`', _APOSTROPHE)}`" if one_line else "–"


def _text(text: str) -> str:
    return json.dumps(visible(text), ensure_ascii=False)
