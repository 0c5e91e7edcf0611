"""The whole road, from a folder of labelled pictures to a run with a tested model."""

import contextlib
import dataclasses
import math
import os
import shutil
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saccade.choosing import as_scanned, chosen
from saccade.data import audit
from saccade.data.catalog import Catalog, Finding
from saccade.data.corrections import read_corrections
from saccade.data.folders import check_place, place_of
from saccade.data.pixel_store import PixelStore
from saccade.data.preprocess import Preprocess
from saccade.insight.studies import BEFORE_LEARNING
from saccade.insight.trust import examine
from saccade.lesson import (
    Lesson,
    data_facts,
    listing_of,
    look,
    on_canvases_of,
    split_facts,
    told,
    write_split,
)
from saccade.models.candidates import first_name
from saccade.models.known import known_preprocess
from saccade.prefetch import decoding_beside
from saccade.report import rewrite_report
from saccade.run import Ledger, Run, alone_in, check_new, half_folder, open_run, put_in_place
from saccade.runtime import machine
from saccade.runtime.budget import Budget, parse_seconds
from saccade.runtime.errors import (
    ArtefactError,
    DataError,
    InterruptedRun,
    ResourceError,
    SaccadeError,
    UsageError,
    command,
)
from saccade.runtime.progress import Progress
from saccade.runtime.store import remove_halves
from saccade.training.recipe import Recipe
from saccade.training.recipe_file import (
    read_recipe,
    write_recipe,
)

SHARE_TO_LOOK = 0.4
"""Share of a budget after which no more pictures are looked at, beyond those that a split needs."""

GRACE = 0.1
"""Share of that time that is left to look at what is decoded already."""

if TYPE_CHECKING:
    from saccade.preparing import Prepared


def train(
    data: str | Path | Catalog,
    recipe: Recipe | None = None,
    *,
    output: str | Path | None = None,
    progress: Progress | None = None,
    begun: float | None = None,
    **choices: Any,  # noqa: ANN401 - as `Recipe` has them
) -> Run:
    """Return a finished run: data looked at and split, a network trained, tested and kept.

    Args:
        data: a folder or table as in `scan`, or a catalogue that was scanned before.
        recipe: every choice; its `data` field is taken from `data`, and what a catalogue was
            scanned with (columns, classes left out, links, a limit) from the catalogue.
        output: folder to write, which must not exist; None = runs/<name of the data>.
        progress: is told how far it is.
        begun: when the budget began, on the monotonic clock; None = now.
        choices: fields of `Recipe`, instead of those of `recipe`: `train("photos/", budget="2m")`.

    Raises:
        SaccadeError: whatever stopped it, by kind: usage, data, resource, artefact, interrupted.
    """
    place = data.place if isinstance(data, Catalog) else os.fspath(place_of(data))
    if not isinstance(data, Catalog):
        check_place(Path(place))  # before weights are looked for, which can take a while
    recipe = chosen(recipe or Recipe(), choices).replace(data=place)
    if recipe.corrections:
        read_corrections(recipe.corrections)  # an error now and not after decoding
    check_new(output)
    progress = progress or Progress()
    if isinstance(data, Catalog):
        recipe = as_scanned(recipe, data, progress)
    return _go(recipe, data, output=output, progress=progress, begun=begun)


def resume(
    folder: str | Path, *, progress: Progress | None = None, begun: float | None = None
) -> Run:
    """Return the run in `folder`, continued from where it stopped and finished.

    The final weights are those of a run that was never stopped. A budget begins anew.

    Raises:
        UsageError: it is finished already (E241), or another process is at work on it (E242).
        DataError: the pictures, labels or parts are not what they were (E346).
    """
    run = open_run(folder)
    with alone_in(run.folder):
        if run.state == "finished":
            return _with_page(run, progress)
        remove_halves(run.folder)
        recipe = read_recipe(run.folder / "recipe.toml")
        return _go(recipe, recipe.data, before=run, progress=progress or Progress(), begun=begun)


def _with_page(run: Run, progress: Progress | None) -> Run:
    """Return a finished run with its page, where it was killed before that was written."""
    if (run.folder / "report.html").exists():
        path = run.folder / "recipe.toml"
        raise UsageError(
            "This run is finished; there is nothing to resume.",
            code="241",
            where=str(run.folder),
            fix=f"read its report.html, or train again with {command('--config', path)}",
        )
    rewrite_report(run.folder, progress=progress)
    return open_run(run.folder)


def _go(
    recipe: Recipe,
    data: str | Path | Catalog,
    *,
    progress: Progress,
    begun: float | None,
    output: str | Path | None = None,
    before: Run | None = None,
) -> Run:
    machine.keep_pages()
    budget = Budget(
        seconds=parse_seconds(recipe.budget), begun=time.monotonic() if begun is None else begun
    )
    ledger = Ledger()
    with ExitStack() as stack:
        prepared, lesson = _look_and_prepare(
            recipe, data, stack, ledger, progress, budget, before=before
        )
        _check_same(lesson, before)
        parts = before.facts.get("split", {}).get("fingerprint", "") if before else ""
        findings = _findings(lesson, progress)
        from saccade.preparing import build, raced  # noqa: PLC0415 - loaded beside the scan
        from saccade.road import Road  # noqa: PLC0415

        net = None if prepared.field.is_race else build(lesson, prepared, ledger)
        if before is not None:
            ledger.folder, ledger.facts["resumed"] = before.folder, True
        else:
            ledger.folder = half_folder(output, data=recipe.data)
            stack.callback(shutil.rmtree, ledger.folder, ignore_errors=True)  # if it stays half
            stack.enter_context(alone_in(ledger.folder))
        _open(ledger, lesson, findings, progress, parts_before=parts)
        if before is None:
            ledger.folder = put_in_place(ledger.folder, output, data=recipe.data)
        lesson = lesson.sealed()  # until the test at the end of the road
        try:
            if lesson.cache.preprocess != prepared.preprocess:
                store = _store(lesson.recipe, prepared.preprocess, stack, progress)
                lesson = on_canvases_of(lesson, store, progress=progress)
            if net is None:
                lesson, prepared = raced(lesson, prepared, ledger, progress, budget, stack)
                net = build(lesson, prepared, ledger)
            Road(ledger, lesson, prepared, net, progress, budget, parts_before=parts).go()
        except BaseException as error:
            _close_early(ledger, error)
            if isinstance(error, KeyboardInterrupt):
                raise InterruptedRun(
                    "Stopped; what was finished is kept.",
                    code="601",
                    where=str(ledger.folder),
                    fix=f"go on with: {command('saccade', 'resume', ledger.folder)}",
                ) from None
            raise
    return Run(folder=ledger.folder)


def _look_and_prepare(
    recipe: Recipe,
    data: str | Path | Catalog,
    stack: ExitStack,
    ledger: Ledger,
    progress: Progress,
    budget: Budget,
    *,
    before: Run | None,
) -> tuple["Prepared", Lesson]:
    """Return what is known of network and data; they are looked at side by side.

    Importing torch and timm takes seconds in which the second core would be idle, so pictures
    are decoded meanwhile, for networks whose input is known beforehand. A run that goes on looks
    at the pictures that it began with, however long that takes now, and on the same canvases; so
    does one whose recipe says how many there are.
    """
    planned = before is not None or recipe.is_planned
    deadline = math.inf if planned else budget.begun + SHARE_TO_LOOK * budget.seconds
    fit: Any = recipe.fit
    preprocess = known_preprocess(first_name(recipe.model), img_size=recipe.img_size, fit=fit)
    wanted = None if isinstance(data, Catalog) else preprocess
    with (
        ledger.timed("load"),
        decoding_beside(recipe, wanted, deadline=deadline, progress=progress),
    ):
        from saccade import preparing, road  # noqa: F401, PLC0415 - torch and timm, which take seconds

        try:
            prepared = preparing.prepare(recipe)
        except (
            ResourceError,
            ArtefactError,
        ):  # what is wrong with the data themselves is said first
            if not isinstance(data, Catalog):
                listing_of(recipe)
            raise
    # What is decoded by now is quickly looked at, whatever the time.
    deadline = max(deadline, time.monotonic() + GRACE * (deadline - ledger.begun))
    with ledger.timed("scan"):
        canvas = _canvas_of(before) or prepared.preprocess
        lesson = _look(recipe, data, canvas, stack, progress, deadline=deadline)
    if not prepared.field.is_race:  # `auto` has a name now
        own = lesson.recipe.replace(model=prepared.field.entrants[0].name)
        lesson = dataclasses.replace(lesson, recipe=own)
    if before is None:
        lesson = _shortened(lesson, prepared, data, stack, budget, progress)
    return prepared, lesson


def _canvas_of(before: Run | None) -> Preprocess | None:
    """Return the canvases on which a run's parts were drawn; a race may have come to others.

    Which pictures show the same is seen on them, so on others the parts could be others.
    """
    fields = before.facts.get("split", {}).get("canvas") if before else None
    return Preprocess.from_dict(fields) if fields else None


def _shortened(
    lesson: Lesson,
    prepared: "Prepared",
    data: str | Path | Catalog,
    stack: ExitStack,
    budget: Budget,
    progress: Progress,
) -> Lesson:
    """Return the lesson with as many pictures as the network has time to be asked about."""
    from saccade import preparing  # noqa: PLC0415 - loaded by now

    num = preparing.affordable(lesson, prepared, budget)
    if num >= len(lesson.catalog):
        return lesson
    if lesson.recipe.is_planned and not isinstance(data, Catalog):
        progress.say(
            f"The budget leaves time to ask the network about {num} of {len(lesson.catalog)} "
            "pictures. With limit or rungs named nothing is cut by the clock: all of these are "
            "used, and the budget may not be held."
        )
        return lesson
    if isinstance(data, Catalog):
        progress.say(
            f"The budget leaves time to ask the network about {num} of {len(data)} pictures. A "
            "catalogue that was scanned before is used whole, so the budget will not be held."
        )
        return lesson
    progress.say(
        f"The budget leaves time to ask the network about {num} of {len(lesson.catalog)} "
        "pictures; they are drawn evenly."
    )
    recipe = lesson.recipe.replace(limit=num)
    return _look(recipe, data, prepared.preprocess, stack, progress)


def _look(
    recipe: Recipe,
    data: str | Path | Catalog,
    preprocess: Preprocess,
    stack: ExitStack,
    progress: Progress,
    *,
    deadline: float = math.inf,
) -> Lesson:
    store = _store(recipe, preprocess, stack, progress)
    return look(recipe, data, store, progress=progress, deadline=deadline)


def _store(
    recipe: Recipe, preprocess: Preprocess, stack: ExitStack, progress: Progress
) -> PixelStore:
    return stack.enter_context(
        PixelStore(preprocess, folder=recipe.cache, limit_gb=recipe.cache_gb, progress=progress)
    )


def _check_same(lesson: Lesson, before: Run | None) -> None:
    split = before.facts.get("split", {}) if before else {}
    known = split.get("fingerprint_as_drawn") or split.get("fingerprint")
    if known and known != lesson.fingerprint:
        raise DataError(
            "The pictures, labels or parts are no longer those that this run began with.",
            code="346",
            where=f"{lesson.catalog.place} ({len(lesson.catalog)} pictures now)",
            fix="put them back as they were, or begin a new run with saccade train",
        )


def _findings(lesson: Lesson, progress: Progress) -> tuple[Finding, ...]:
    """Return what a person should know of the data, once it is known that they can be learned from.

    Raises:
        DataError: something is severe, with `--strict` (E360).
    """
    findings = audit.look(
        lesson.catalog, lesson.task, lesson.split, looks=lesson.looks, twins=lesson.twins
    )
    if lesson.recipe.strict:
        trust = examine(lesson.evidence(), BEFORE_LEARNING, progress=progress)
        found = (*findings, *trust.findings)
        severe = [own.sentence for own in found if own.severity == "severe"]
        audit.refuse_severe(severe, place=lesson.catalog.place)
    return findings


def _open(
    ledger: Ledger,
    lesson: Lesson,
    findings: Sequence[Finding],
    progress: Progress,
    *,
    parts_before: str,
) -> None:
    """Write what a run begins with."""
    ledger.facts["data"] = data_facts(lesson.catalog, lesson.task, findings)
    ledger.facts["data"]["fingerprint"] = lesson.catalog.fingerprint
    ledger.facts["split"] = {
        **split_facts(lesson),  # other ones where features move a picture
        "fingerprint_as_drawn": lesson.fingerprint,
        "canvas": lesson.cache.preprocess.as_dict(),
        **({"fingerprint": parts_before} if parts_before else {}),  # until features are known again
    }
    write_recipe(ledger.folder / "recipe.toml", lesson.recipe)
    write_split(ledger.folder / "split.csv", lesson.catalog, lesson.split)
    ledger.write("running")  # last: what it says of the parts is so
    for sentence in told(lesson, findings):
        progress.say(sentence)


def _close_early(ledger: Ledger, error: BaseException) -> None:
    interrupted = isinstance(error, KeyboardInterrupt | InterruptedRun)
    ledger.facts["error"] = str(error) or "interrupted"
    with contextlib.suppress(SaccadeError):  # the disk may be what failed
        ledger.write("interrupted" if interrupted else "failed")
