"""The command line: one short function a verb, which parses, calls, prints and returns a code."""

import functools
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

import saccade
from saccade.endings import leave, run_told, spell_any_name, told_plainly
from saccade.flags import (
    AUGMENT,
    COLUMNS,
    DATA,
    LOOK,
    PIXELS,
    SCRATCH,
    Corrections,
    Coverage,
    DataNow,
    Exclude,
    Finished,
    Group,
    ImageColumn,
    LabelColumn,
    LabelsOf,
    MinAccuracy,
    MistakeCost,
    NoUnknown,
    OnceEach,
    SplitColumn,
    TableTask,
    recipe_from,
    with_recipe_flags,
)
from saccade.runtime.errors import UsageError
from saccade.runtime.interrupts import raise_on_hangup
from saccade.runtime.progress import choose_progress
from saccade.runtime.store import json_text

BEGUN = time.monotonic() - 0.2
"""When the user pressed Enter, as budgets count: Python itself takes 0.2 s to come here."""

app = typer.Typer(
    name="saccade",
    help="Turn a folder of labelled images into an image classifier that people can trust.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich's help costs 0.2 s before the first letter
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

DATA_HELP = "A folder of class folders, or a table of pictures."
Data = Annotated[str, typer.Argument(help=DATA_HELP)]
Source = Annotated[str, typer.Argument(help="A run folder or a model folder.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Output = Annotated[
    str | None, typer.Option("--output", help="What to write; it must not exist yet.")
]


def main() -> None:
    """Run the command line; the exit codes are 0, 2, 3, 4, 5 and 6 (see the README)."""
    raise_on_hangup()
    spell_any_name()
    code = run_told(app)
    leave(code)
    sys.exit(code)


@app.command(cls=OnceEach)
@with_recipe_flags()
def train(
    data: Annotated[str | None, typer.Argument(help=DATA_HELP)] = None,
    config: Annotated[
        str | None, typer.Option("--config", help="A recipe.toml; flags override it.")
    ] = None,
    output: Output = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
    flags: dict[str, Any] | None = None,
) -> None:
    """Learn from labelled pictures; leave a run folder with a report and a model."""
    with told_plainly(debug=debug, as_json=as_json):
        recipe = recipe_from(config, data, flags or {})
        if not recipe.data:
            raise UsageError(
                "There is nothing to learn from: no folder and no table was named.",
                code="235",
                where="the command line",
                fix="saccade train photos/",
            )
        with choose_progress(quiet=quiet or as_json) as progress:
            progress.start("begin")
            from saccade.workflow import train as train_run

            run = train_run(recipe.data, recipe, output=output, progress=progress, begun=BEGUN)
        _end(run, as_json=as_json)


@app.command(cls=OnceEach)
def resume(
    run: Annotated[str, typer.Argument(help="The folder of a run that was stopped.")],
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Go on with a run that was interrupted, to the same result as if it had not been."""
    with told_plainly(debug=debug, as_json=as_json):
        with choose_progress(quiet=quiet or as_json) as progress:
            progress.start("begin")
            from saccade.workflow import resume as resume_run

            finished = resume_run(run, progress=progress, begun=BEGUN)
        _end(finished, as_json=as_json)


def _end(run: Any, *, as_json: bool) -> None:  # noqa: ANN401 - a Run, whose module is imported late
    if as_json:
        facts = {**run.facts, "folder": str(run.folder), "metrics": _estimates(run.metrics)}
        typer.echo(json_text(facts))
        return
    from saccade import printing

    for line in printing.end_told(run):
        typer.echo(line)


def _estimates(metrics: Any) -> Any:  # noqa: ANN401 - Metrics
    from saccade.evaluation.scores import as_json

    return as_json(metrics)


@app.command(cls=OnceEach)
def predict(
    model: Source,
    pictures: Annotated[list[str], typer.Argument(help="Picture files and folders, or a table.")],
    output: Output = None,
    file_format: Annotated[str, typer.Option("--format", help="csv or jsonl.")] = "csv",
    coverage: Coverage = None,
    min_accuracy: MinAccuracy = None,
    mistake_cost: MistakeCost = None,
    no_unknown: NoUnknown = False,
    image_column: ImageColumn = "",
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Name what is on pictures: one line a picture, labels by name, with every score."""
    with told_plainly(debug=debug):
        from saccade import printing
        from saccade.model import load

        printing.check_format(file_format)
        new = None if output is None else printing.new_file(output)
        with choose_progress(quiet=quiet) as progress:
            progress.start("load the model")
            loaded = load(model)
            if not loaded.tested:
                progress.say(f"note: {printing.UNTESTED}")
            found = loaded.predict(
                pictures[0] if len(pictures) == 1 else pictures,
                coverage=coverage,
                min_accuracy=min_accuracy,
                mistake_cost=mistake_cost,
                unknown=not no_unknown,
                image_column=image_column,
                progress=progress,
            )
        unsure = min_accuracy is not None or mistake_cost is not None
        marks = loaded.marks(unknown=not no_unknown, unsure=unsure, sets=coverage is not None)
        printing.write_answers(found, loaded.classes, kind=file_format, output=new, marks=marks)
        for line in printing.answers_told(found, marks):
            typer.echo(line, err=True)


@app.command(name="eval", cls=OnceEach)
def evaluate(
    model: Annotated[str, typer.Argument(help="A run, a model, or a predictions.csv.")],
    data: Annotated[str | None, typer.Argument(help="Labelled pictures; none for a CSV.")] = None,
    output: Output = None,
    image_column: ImageColumn = "",
    label_column: LabelColumn = "",
    split_column: SplitColumn = "",
    group: Group = "",
    exclude: Exclude = "",
    corrections: Corrections = "",
    task: TableTask = "",
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Measure a model on labelled pictures, or a table of predictions; every number with n."""
    with told_plainly(debug=debug, as_json=as_json):
        from saccade import examination, printing

        new = None if output is None else printing.new_file(output)
        with choose_progress(quiet=quiet or as_json) as progress:
            found = examination.evaluate(
                model,
                data,
                scanned_by={
                    **dict(zip(COLUMNS, (image_column, label_column, split_column), strict=True)),
                    "exclude": [name.strip() for name in exclude.split(",") if name.strip()],
                },
                group=group,
                corrections=corrections,
                task=task,
                progress=progress,
                tell=functools.partial(typer.echo, err=True),
            )
        if new is not None:
            found.table.write_csv(new)
        if as_json:
            typer.echo(json_text(found.as_json()))
        else:
            typer.echo(found.sentence)
            typer.echo(printing.metrics_table(found.metrics))


@app.command(cls=OnceEach)
def report(
    run: Finished,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write report.html of a run anew, from its files and the pictures it was made of."""
    with told_plainly(debug=debug):
        from saccade.report import rewrite_report

        with choose_progress(quiet=quiet) as progress:
            typer.echo(f"report: {rewrite_report(run, progress=progress)}")


@app.command(cls=OnceEach)
def compare(
    runs: Annotated[
        list[str], typer.Argument(help="Runs, or tables of predictions; the first is the baseline.")
    ],
    metric: Annotated[
        str, typer.Option(help="A name in metrics.json; default: accuracy, accuracy_subset or mae.")
    ] = "",
    group: Annotated[
        str, typer.Option(help="A pattern on the path: what belongs together; else as in the runs.")
    ] = "",
    task: TableTask = "",
    labels: LabelsOf = "",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Say which run is better on the same test pictures, by how much, and if it may be chance."""
    with told_plainly(debug=debug, as_json=as_json):
        from saccade.run_comparison import compare as compare_runs

        found = compare_runs(*runs, metric=metric, group=group, task=task, labels=labels)
        typer.echo(json_text(found.as_json()) if as_json else found.as_text())


@app.command(cls=OnceEach)
def verify(
    run: Finished,
    data: DataNow = "",
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Check everything in a run folder again: can it be believed? Exit code 5 if it cannot."""
    with told_plainly(debug=debug, as_json=as_json):
        from saccade.verification import verify as verify_run

        with choose_progress(quiet=quiet or as_json) as progress:
            verdict = verify_run(run, data=data, progress=progress)
        typer.echo(json_text(verdict.as_json()) if as_json else verdict.as_text())
        if not verdict.believed:
            raise typer.Exit(5)


@app.command(cls=OnceEach)
@with_recipe_flags(*DATA, *PIXELS, *AUGMENT, *LOOK)
def check(
    data: Data,
    page: Annotated[
        str | None, typer.Option("--page", help="Write what was found as a page here.")
    ] = None,
    preview: Annotated[
        str | None, typer.Option("--preview", help="Write a page with augmented examples here.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
    flags: dict[str, Any] | None = None,
) -> None:
    """Look at the data without training: what is there, what looks wrong, how it would split."""
    with told_plainly(debug=debug, as_json=as_json):
        from saccade import check as looking
        from saccade import printing

        recipe = recipe_from(None, data, flags or {})
        told = None if page is None else printing.new_file(page, flag="--page")
        shown = None if preview is None else printing.new_file(preview, flag="--preview")
        with choose_progress(quiet=quiet or as_json) as progress:
            facts, lines = looking.check(
                recipe, page_path=told, preview_path=shown, progress=progress
            )
        typer.echo(json_text(facts) if as_json else "\n".join(lines))
        for what, path in (("page", told), ("preview", shown)):
            if path is not None and not as_json:
                typer.echo(f"{what}: {path}")
    with told_plainly(debug=debug):  # what was found is printed by now, as one document
        looking.refuse(facts, recipe)


@app.command(cls=OnceEach)
@with_recipe_flags(*DATA, *PIXELS, *LOOK)
def split(
    data: Data,
    output: Annotated[str, typer.Option("--output", help="The table; it must not exist yet.")],
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
    flags: dict[str, Any] | None = None,
) -> None:
    """Deal pictures out to train, validation and test, copies and groups whole; write a table."""
    with told_plainly(debug=debug, as_json=as_json):
        from saccade import check as looking
        from saccade import printing

        recipe, table = recipe_from(None, data, flags or {}), printing.table_to_write(output)
        with choose_progress(quiet=quiet or as_json) as progress:
            facts, lines = looking.check(recipe, split_path=table, progress=progress)
        facts |= {"table": str(table)} if table.exists() else {}
        typer.echo(json_text(facts) if as_json else "\n".join(lines))
    with told_plainly(debug=debug):
        looking.refuse(facts, recipe)
        if not as_json:
            typer.echo(f"split: {table}  ({looking.next_step(table, facts)})")


@app.command(cls=OnceEach)
@with_recipe_flags(*PIXELS, *SCRATCH)
def models(
    name: Annotated[str, typer.Argument(help="A name or part of one; * stands for anything.")] = "",
    layer_table: Annotated[
        bool, typer.Option("--layers", help="Every layer of NAME: shape, parameters, FLOPs.")
    ] = False,
    num_classes: Annotated[int, typer.Option(help="With --layers: outputs of the head.")] = 1000,
    as_json: Json = False,
    debug: Debug = False,
    flags: dict[str, Any] | None = None,
) -> None:
    """List architectures: parameters, FLOPs, input size, licence of the weights; or the layers."""
    with told_plainly(debug=debug, as_json=as_json):
        from saccade import architectures as shelf

        recipe = recipe_from(None, None, flags or {})
        if layer_table:
            rows = shelf.layers_of(name, recipe, num_outputs=num_classes)
        else:
            rows = shelf.architectures(name)
        typer.echo(json_text(rows) if as_json else shelf.as_text(rows))


@app.command(cls=OnceEach)
def demo(
    folder: Annotated[str, typer.Option("--folder", help="Where to put the pictures.")] = "demo",
    debug: Debug = False,
) -> None:
    """Train a CNN on handwritten digits, and a fully connected network beside it."""
    with told_plainly(debug=debug):
        from saccade.demo import run_demo

        with choose_progress() as progress:
            for line in run_demo(Path(folder), progress=progress):
                typer.echo(line)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"saccade {saccade.__version__}")
        raise typer.Exit


@app.callback()
def _common(
    _show: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Turn a folder of labelled images into an image classifier that people can trust."""
