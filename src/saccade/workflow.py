"""The whole road, from a folder of labelled pictures to a run with a tested model."""

import contextlib
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from saccade.data import audit
from saccade.data.catalog import Catalog
from saccade.data.folders import no_such_place
from saccade.data.pixel_store import PixelStore
from saccade.data.preprocess import Preprocess
from saccade.evaluation.predictions import Predictions
from saccade.evaluation.scores import as_json, evaluate, headline
from saccade.handover import keep_model, model_facts
from saccade.lesson import Lesson, counts, data_facts, look, told, write_split
from saccade.models import network, weights
from saccade.models.inference import predict_logits
from saccade.models.network import Network
from saccade.report import write_report
from saccade.run import Ledger, Run, new_folder, open_run
from saccade.runtime import device, machine
from saccade.runtime.errors import DataError, InterruptedRun, SaccadeError, UsageError
from saccade.runtime.interrupts import Interrupts
from saccade.runtime.progress import Progress
from saccade.runtime.store import write_json
from saccade.training.checkpoint import Checkpoint, read_checkpoint
from saccade.training.fit import Material, Surroundings
from saccade.training.history import History
from saccade.training.learn import Learned, learn
from saccade.training.recipe import Recipe
from saccade.training.recipe_file import read_recipe, write_recipe

DEFAULT_MODEL = "mobilenetv2_100"
"""The backbone behind `--model auto`: small, quick on a laptop, and its weights are free to use."""

CHECKPOINT = "checkpoint.safetensors"


def train(
    data: str | Path | Catalog,
    recipe: Recipe | None = None,
    *,
    output: str | Path | None = None,
    progress: Progress | None = None,
) -> Run:
    """Return a finished run: data looked at and split, a network trained, tested and kept.

    Args:
        data: a folder or table as in `scan`, or a catalogue that was scanned before.
        recipe: every choice; its `data` field is taken from `data`.
        output: folder to write, which must not exist; None = runs/<name of the data>.
        progress: is told how far it is.

    Raises:
        SaccadeError: whatever stopped it, by kind: usage, data, resource, artefact, interrupted.
    """
    place = data.place if isinstance(data, Catalog) else str(data)
    if not isinstance(data, Catalog) and not Path(data).exists():
        raise no_such_place(Path(data))  # before weights are looked for, which can take a while
    recipe = (recipe or Recipe()).replace(data=place)
    if recipe.model == "auto":
        recipe = recipe.replace(model=DEFAULT_MODEL)
    folder = new_folder(output, data=place)
    return _go(folder, recipe, data, progress=progress or Progress(), before=None)


def resume(folder: str | Path, *, progress: Progress | None = None) -> Run:
    """Return the run in `folder`, continued from where it stopped and finished.

    The final weights are those of a run that was never stopped.

    Raises:
        UsageError: it is finished already (E241).
        DataError: the pictures, labels or parts are not what they were (E346).
    """
    run = open_run(folder)
    if run.state == "finished":
        raise UsageError(
            "This run is finished; there is nothing to resume.",
            code="241",
            where=str(run.folder),
            fix=f"read its report.html, or train again with --config {run.folder / 'recipe.toml'}",
        )
    recipe = read_recipe(run.folder / "recipe.toml")
    return _go(run.folder, recipe, recipe.data, progress=progress or Progress(), before=run)


def _go(
    folder: Path,
    recipe: Recipe,
    data: str | Path | Catalog,
    *,
    progress: Progress,
    before: Run | None,
) -> Run:
    machine.keep_pages()
    device_name = device.choose_device(recipe.device)
    device.set_threads(recipe.threads)
    fetched = weights.fetch(recipe.model, weights=recipe.weights)
    ledger = Ledger(folder)
    with ExitStack() as stack:
        pixels = stack.enter_context(
            PixelStore(
                _preprocess(recipe),
                folder=recipe.cache,
                limit_gb=recipe.cache_gb,
                progress=progress,
            )
        )
        with ledger.timed("scan"):
            lesson = look(recipe, data, pixels, progress=progress)
        _check_same(lesson, before)
        _open(ledger, lesson, progress)
        try:
            _learn_and_test(ledger, lesson, fetched, device_name, progress)
        except BaseException as error:
            _close_early(ledger, error)
            raise
    return Run(folder=folder)


def _preprocess(recipe: Recipe) -> Preprocess:
    fit: Any = recipe.fit
    return network.preprocess_for(recipe.model, img_size=recipe.img_size, fit=fit)


def _check_same(lesson: Lesson, before: Run | None) -> None:
    known = before and before.facts.get("split", {}).get("fingerprint")
    if known and known != lesson.fingerprint:
        raise DataError(
            "The pictures, labels or parts are no longer those that this run began with.",
            code="346",
            where=f"{lesson.catalog.place} ({len(lesson.catalog)} pictures now)",
            fix="put them back as they were, or begin a new run with saccade train",
        )


def _open(ledger: Ledger, lesson: Lesson, progress: Progress) -> None:
    """Create the run folder, once it is known that the data can be learned from."""
    findings = audit.look(lesson.catalog, lesson.task, lesson.split)
    ledger.facts["data"] = data_facts(lesson.catalog, lesson.task, findings)
    ledger.facts["data"]["fingerprint"] = lesson.catalog.fingerprint
    ledger.facts["split"] = {
        "seed": lesson.split.seed,
        "notes": list(lesson.split.notes),
        "counts": counts(lesson),
        "fingerprint": lesson.fingerprint,
    }
    ledger.write("running")
    write_recipe(ledger.folder / "recipe.toml", lesson.recipe)
    write_split(ledger.folder / "split.csv", lesson.catalog, lesson.split)
    for sentence in told(lesson, findings):
        progress.say(sentence)


def _learn_and_test(
    ledger: Ledger,
    lesson: Lesson,
    fetched: weights.Weights | None,
    device_name: str,
    progress: Progress,
) -> None:
    recipe, folder = lesson.recipe, ledger.folder
    with ledger.timed("build"):
        net, _ = network.build(
            recipe.model,
            task=lesson.task,
            recipe=recipe,
            weights=fetched,
            img_size=recipe.img_size,
        )
    for note in net.notes:
        progress.say(note)
    checkpoint = _checkpoint(folder)
    history = History(
        folder / "history.jsonl", keep=checkpoint.counters["events"] if checkpoint else 0
    )
    with ledger.timed("learn"), Interrupts() as interrupts:
        learned = learn(
            net,
            _material(lesson),
            recipe=recipe,
            pretrained=fetched is not None,
            surroundings=Surroundings(
                device=device_name,
                history=history,
                progress=progress,
                asked_to_stop=interrupts.asked_to_stop,
                checkpoint_path=folder / CHECKPOINT,
            ),
            resume=checkpoint,
        )
    ledger.facts["model"] = model_facts(net, lesson, fetched, learned)
    if learned.interrupted:
        keep_model(ledger, lesson, net, table=None, metrics=None)
        raise InterruptedRun(
            f"Stopped by {interrupts.signal_name}; the best model so far is kept, untested.",
            code="601",
            where=str(folder / "model"),
            fix=f"go on with: saccade resume {folder}",
        )
    _test(ledger, lesson, net, learned, device_name=device_name, progress=progress)
    (folder / CHECKPOINT).unlink(missing_ok=True)


def _checkpoint(folder: Path) -> Checkpoint | None:
    path = folder / CHECKPOINT
    return read_checkpoint(path) if path.is_file() else None


def _material(lesson: Lesson) -> Material:
    return Material(
        cache=lesson.cache,
        targets=lesson.targets,
        train_rows=lesson.split.rows("train"),
        validation_rows=lesson.split.rows("validation"),
        task=lesson.task,
    )


def _test(
    ledger: Ledger,
    lesson: Lesson,
    net: Network,
    learned: Learned,
    *,
    device_name: str,
    progress: Progress,
) -> None:
    """Ask the network about every picture, once, and keep what it said and how good that is.

    Pictures whose features a frozen network has computed already are not shown to it again: the
    solved head is its last layer, and their logits are known.
    """
    folder = ledger.folder
    num, known = len(lesson.catalog), learned.known_logits
    new = [row for row in range(num) if row not in known]
    with ledger.timed("predict"):
        progress.start("predict", len(new), "pictures")
        asked = predict_logits(net, lesson.cache, new, device=device_name, progress=progress)
        logits_NK = np.empty((num, lesson.task.num_outputs), np.float32)
        for row, logits_K in [*known.items(), *zip(new, asked, strict=True)]:
            logits_NK[row] = logits_K
    table = Predictions(
        task=lesson.task,
        paths=lesson.catalog.paths,
        hashes=lesson.catalog.hashes,
        parts=lesson.split.parts,
        truth=lesson.targets,
        scores=lesson.task.scores(logits_NK),
    )
    with ledger.timed("evaluate"):
        table.write_csv(folder / "predictions.csv")
        grouped = any(lesson.split.groups)
        metrics = evaluate(
            table, seed=lesson.recipe.seed, groups=_own_groups(lesson) if grouped else None
        )
        write_json(folder / "metrics.json", as_json(metrics))
        ledger.facts["summary"] = headline(metrics, lesson.task)
    with ledger.timed("save"):
        keep_model(ledger, lesson, net, table=table, metrics=metrics)
    with ledger.timed("report"):
        ledger.write("finished")
        write_report(folder, lesson)
    ledger.write("finished")
    progress.close()


def _own_groups(lesson: Lesson) -> list[str]:
    """Return a group for every picture; one that is alone is its own."""
    return [group or f"\0{row}" for row, group in enumerate(lesson.split.groups)]


def _close_early(ledger: Ledger, error: BaseException) -> None:
    interrupted = isinstance(error, KeyboardInterrupt | InterruptedRun)
    ledger.facts["error"] = str(error) or "interrupted"
    with contextlib.suppress(SaccadeError):  # the disk may be what failed
        ledger.write("interrupted" if interrupted else "failed")
