"""The model card: what a stranger must know before using the model, as Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from saccade.data.split import PARTS
from saccade.data.task import Task
from saccade.evaluation.calibration import Calibration
from saccade.evaluation.intervals import Estimate
from saccade.reporting.card_front import front_matter
from saccade.reporting.glossary import LEADING, is_share, title
from saccade.reporting.ladder import stages_sentence
from saccade.reporting.learning import Event, learning_of
from saccade.reporting.markdown import code, dataset_name, entry, model_name, plain
from saccade.reporting.plain_timm import outputs_meaning, snippet
from saccade.reporting.sections import summary_of
from saccade.reporting.wording import interval, plural, value

Metrics = Mapping[str, Mapping[str, Estimate]]

MAX_CLASS_ROWS = 60
_SCRATCH = ("cnn", "mlp")


def card_text(
    run: Mapping[str, Any],
    task: Task,
    metrics: Metrics,
    *,
    events: Sequence[Event] = (),
    calibration: Calibration | None = None,
) -> str:
    """Return the README.md of a model folder: YAML front matter for model hubs, then the card.

    Args:
        run: what run.json holds.
        task: the kind of answer and the classes.
        metrics: part -> name -> estimate; empty where the model was not tested.
        events: what history.jsonl holds; without, it is not told how the stages that learned
            were chosen.
        calibration: how the model's logits become scores; None = as the network gives them.
    """
    part = next((name for name in ("test", "validation") if metrics.get(name)), "")
    judged = metrics.get(part, {})
    blocks = [
        front_matter(run, task, part, judged),
        f"# {plain(model_name(run))}",
        *_opening(run, task, part, judged),
        *_severe(run),
        *_learned(run, events),
        *_numbers(task, part, judged),
        *_data(run),
        *_answers(task, calibration),
        *_use(run, task, calibration),
        *_limits(run, task, part, judged, calibration),
        *_origin(run),
    ]
    return "\n\n".join(blocks) + "\n"


def _opening(
    run: Mapping[str, Any], task: Task, part: str, judged: Mapping[str, Estimate]
) -> Iterator[str]:
    if summary := summary_of(run):
        yield plain(summary)
    if not judged:
        yield (
            "**This model was not tested.** Its run was stopped before the test, or there were no "
            "pictures to judge it by. So nothing is known about how good it is."
        )
    elif part == "validation":
        yield (
            "**There was no test part.** The numbers below are of the validation part, which "
            "also chose what was kept, so they flatter the model."
        )
    model = entry(run, "model")
    weights = entry(run, "model", "weights")
    what = {
        "binary": "two classes",
        "multiclass": plural(len(task.classes), "class", "classes"),
        "multilabel": f"{plural(len(task.classes), 'label')}, any number of them a picture",
        "regression": "one number",
    }[task.kind]
    size = model.get("num_parameters")
    parameters = f", {size:,} parameters" if isinstance(size, int) else ""
    source = plain(str(weights.get("source") or "none: from scratch"))
    name = code(str(model.get("name", "")))
    yield f"{name}{parameters}; {what}. Weights it began with: {source}."


def _severe(run: Mapping[str, Any]) -> Iterator[str]:
    severe = _findings(run, "severe")
    if severe:
        num = plural(len(severe), "severe finding")
        yield f"**What speaks against believing it ({num} in the data):**"
        yield "\n".join(f"- ! {sentence}" for sentence in severe)


def _findings(run: Mapping[str, Any], severity: str) -> list[str]:
    found = entry(run, "data").get("findings", ())
    return [plain(str(own.get("sentence", ""))) for own in found if own.get("severity") == severity]


def _learned(run: Mapping[str, Any], events: Sequence[Event]) -> Iterator[str]:
    model = entry(run, "model")
    sentence = stages_sentence(
        learning_of(events),
        num_stages=model.get("num_stages"),
        num_learned=model.get("num_stages_learned"),
        scratch=str(entry(run, "model", "weights").get("source")).startswith("none"),
    )
    if sentence:
        yield plain(sentence)


def _numbers(task: Task, part: str, judged: Mapping[str, Estimate]) -> Iterator[str]:
    of_all = [name for name in judged if "[" not in name]
    shown = [n for n in LEADING[task.kind] if n in of_all]
    shown += [n for n in of_all if n not in shown]
    if not shown:
        return
    yield f"## How good it is ({part} part)"
    rows = ["| metric | value | 95 % interval | n |", "| :-- | --: | :-: | --: |"]
    rows += [
        f"| {plain(title(name)[0])} | {value(judged[name], share=is_share(name))} "
        f"| {plain(interval(judged[name], share=is_share(name)))} | {judged[name].n:,} |"
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
            f"| {plain(name)} | {recall.n:,} | {_cell(recall)} | "
            f"{_cell(precision, with_n=True) if precision else '–'} |"
        )
    yield "\n".join(rows)


def _cell(estimate: Estimate, *, with_n: bool = False) -> str:
    return f"{value(estimate)} ({plain(interval(estimate, with_n=with_n))})"


def _data(run: Mapping[str, Any]) -> Iterator[str]:
    data, counts = entry(run, "data"), entry(run, "split", "counts")
    if not data:
        return
    yield "## What it learned from"
    skipped = len(data.get("skipped", ()))
    used, found = int(data.get("num_used", 0)), int(data.get("num_files", 0))
    lines = [
        f"{plain(dataset_name(run))}: {plural(found, 'file')} found, {used:,} used, "
        f"{skipped:,} left out with a reason."
    ]
    lines += [plain(str(note)) for note in entry(run, "split").get("notes", ())]
    yield " ".join(lines)
    parts = [p for p in PARTS if isinstance(counts.get(p), Mapping)]
    names = list(counts[parts[0]]) if parts else []
    if any(names) and len(names) <= MAX_CLASS_ROWS:
        head = f"| class | {' | '.join(parts)} |"
        rows = [head, f"| :-- |{' --: |' * len(parts)}"]
        rows += [
            f"| {plain(name) or 'all'} | "
            f"{' | '.join(f'{int(counts[p].get(name, 0)):,}' for p in parts)} |"
            for name in names
        ]
        yield "\n".join(rows)
    if entry(run, "model").get("num_golden", 1):
        yield (
            "A few of these pictures travel with the model, in `golden/`, byte for byte, with "
            "whatever a camera wrote into them (such as the place): by them the model proves "
            "itself. Give it to nobody who may not see them (`--no-golden` leaves them out)."
        )
    else:
        yield "None of these pictures travels with the model."
    warnings = _findings(run, "warning")
    if warnings:
        yield "\n".join(f"- {sentence}" for sentence in warnings)


def _answers(task: Task, calibration: Calibration | None) -> Iterator[str]:
    yield "## What its answers mean"
    meaning = outputs_meaning(task, calibration)
    if task.kind == "regression":
        yield meaning
        return
    names = ", ".join(map(plain, task.classes[:MAX_CLASS_ROWS]))
    more = len(task.classes) - MAX_CLASS_ROWS
    rest = f" and {more:,} more (config.json, `label_names`)" if more > 0 else ""
    if task.kind == "binary" and len(task.classes) > 1:
        first, second = map(plain, task.classes)
        yield f"{meaning} The first class is {first}, the second {second}."
        return
    yield f"{meaning} In the order of the outputs: {names}{rest}."


def _use(run: Mapping[str, Any], task: Task, calibration: Calibration | None) -> Iterator[str]:
    names = "comes " if task.kind == "regression" else "and the class names come "
    yield "## How to use it"
    yield (
        f"With saccade, where the preprocessing {names}with the model:\n\n"
        "```python\nimport saccade\n\n"
        'model = saccade.load("path/to/this/folder")\n'
        'for answer in model.predict(["new.jpg"]):\n'
        "    print(answer.path, answer.label, answer.score)\n```"
    )
    if entry(run, "model").get("name") in _SCRATCH:
        return
    lines = snippet(task, calibration, model="path/to/this/folder", picture="new.jpg")
    yield f"With timm alone:\n\n```python\n{lines}\n```"


def _limits(
    run: Mapping[str, Any],
    task: Task,
    part: str,
    judged: Mapping[str, Estimate],
    calibration: Calibration | None,
) -> Iterator[str]:
    yield "## What it cannot do"
    lines = list(_of_answers(task, calibration))
    lines.append(
        "The numbers hold for pictures like those of the data set: other cameras, places, seasons "
        "or selections can make it worse, and only a test on such pictures tells how much."
    )
    counts = entry(run, "split", "counts").get(part)
    absent = [n for n, k in counts.items() if n and not k] if isinstance(counts, Mapping) else []
    if judged and absent:
        shown = ", ".join(map(plain, absent[:5])) + (" and others" if len(absent) > 5 else "")
        lines.append(f"Nothing is known about {shown}: the {part} part has no such picture.")
    yield "\n".join(f"- {line}" for line in lines)


def _of_answers(task: Task, calibration: Calibration | None) -> Iterator[str]:
    """Yield when not to believe an answer; without calibration the model knows nothing of that."""
    if task.kind in {"binary", "multiclass"}:
        yield (
            "The network always answers one of its classes, also for a picture of something else, "
            "and a high score is no proof that the picture is of a known class."
        )
    if calibration is None:
        return
    sets = {"regression": "stretches of values", "multilabel": "sets of labels"}
    withheld = "" if task.kind == "regression" else ", `--min-accuracy` withholds unsure answers"
    yield (
        "When not to believe it, `saccade predict` alone says: it marks pictures unlike those "
        "learned from as `unknown`, where enough were held out to tell (`unknown` in config.json); "
        f"`--coverage` gives {sets.get(task.kind, 'sets of classes')} that hold the truth as often "
        f"as asked{withheld}. Without saccade there is none of this."
    )


def _origin(run: Mapping[str, Any]) -> Iterator[str]:
    weights, preprocess = entry(run, "model", "weights"), entry(run, "model", "preprocess")
    known = {
        "saccade": run.get("saccade"),
        "split fingerprint": entry(run, "split").get("fingerprint"),
        "seed of the split": entry(run, "split").get("seed"),
        "SHA-256 of the weights it began with": weights.get("sha256"),
        "licence of those weights": weights.get("licence"),
        **{f"preprocessing: {key}": item for key, item in preprocess.items()},
        **{f"version of {key}": item for key, item in entry(run, "versions").items()},
    }
    yield "## Where it comes from"
    yield "\n".join(
        f"- {plain(key)}: {code(str(item))}"
        for key, item in known.items()
        if item not in (None, "")
    )
