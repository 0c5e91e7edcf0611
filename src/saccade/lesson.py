"""The data, looked at and split: everything that is known before the first weight changes."""

import csv
import dataclasses
import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from saccade.data import grouping, proposals
from saccade.data.audit import class_counts
from saccade.data.cache import PixelCache, empty_cache
from saccade.data.catalog import Catalog, Finding, Listing
from saccade.data.corrections import CORRECTED, correct
from saccade.data.duplicates import Twins, find_twins
from saccade.data.listing import list_data
from saccade.data.looks import Looks, look_at
from saccade.data.manifests import ColumnNames
from saccade.data.pixel_store import PixelStore
from saccade.data.sampling import Limit
from saccade.data.scan import scan
from saccade.data.sealed import Answers, Sealed
from saccade.data.split import DRAWN, PARTS, Split, make_split
from saccade.data.task import Task, choose_task, standardise, targets
from saccade.data.unpacking import fill
from saccade.insight.evidence import Evidence
from saccade.runtime.machine import give_back_pages
from saccade.runtime.progress import Progress
from saccade.runtime.store import encode_name, writing
from saccade.training.recipe import Recipe

FRACTIONS = {"val_fraction": "validation", "test_fraction": "test"}  # of which part


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """Everything that is known before the first weight changes."""

    recipe: Recipe
    catalog: Catalog
    task: Task
    targets: Answers  # sealed while a run learns: nothing may be chosen by the test part
    split: Split
    cache: PixelCache
    looks: Looks  # empty where no pixels are kept
    twins: Twins

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the data's fingerprint and the part of every picture, hexadecimal."""
        text = "\n".join([self.catalog.fingerprint, *self.split.parts])
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def truth(self) -> np.ndarray:
        """The answers of every picture.

        Raises:
            SealBroken: they are sealed (E998).
        """
        return np.asarray(self.targets) if isinstance(self.targets, Sealed) else self.targets

    def evidence(self, **known: Any) -> Evidence:  # noqa: ANN401 - fields of Evidence by name
        """Return what studies may look at, the seal open or never set; `known` adds features."""
        return Evidence(
            recipe=self.recipe,
            catalog=self.catalog,
            task=self.task,
            split=self.split,
            targets=self.truth,
            cache=self.cache,
            looks=self.looks,
            twins=self.twins,
            **known,
        )

    def sealed(self) -> "Lesson":
        """Return the lesson with the answers of its test part under seal."""
        sealed = Sealed(self.truth, rows=self.split.rows("test"))
        return dataclasses.replace(self, targets=sealed)

    def blind(self) -> "Lesson":
        """Return the lesson with other answers in the place of those of its test part.

        For what is asked before the test and wants an answer for every picture.
        """
        known = sorted([*self.split.rows("train"), *self.split.rows("validation")])
        answers = np.repeat(self.targets[known[:1]], len(self.catalog), axis=0)
        answers[known] = self.targets[known]
        return dataclasses.replace(self, targets=answers)

    def opened(self) -> "Lesson":
        """Return the lesson with all its answers: for the test, at the end of a run, and once.

        Raises:
            SealBroken: the seal was opened before (E998).
        """
        if not isinstance(self.targets, Sealed):
            return self
        return dataclasses.replace(self, targets=self.targets.open())


def listing_of(recipe: Recipe, *, place: str = "", labelled: bool = True) -> Listing:
    """Return the files and labels that a recipe names, before any picture is opened.

    Args:
        recipe: with the names of columns.
        place: where the data lie; "" = where the recipe says.
        labelled: whether labels are wanted.

    Raises:
        DataError: there is nothing, or nothing with labels (E301-E319).
    """
    names = ColumnNames()
    if not place or not Path(place).is_dir():  # a folder has no columns: names alone are asked for
        names = ColumnNames(
            image=recipe.image_column,
            label=recipe.label_column,
            split=recipe.split_column,
            group=recipe.group_column,
        )
    return list_data(
        place or recipe.data, names=names, follow_links=recipe.follow_links, labelled=labelled
    )


def look(
    recipe: Recipe,
    data: str | Path | Catalog,
    pixels: PixelStore | None,
    *,
    progress: Progress,
    deadline: float = math.inf,
) -> Lesson:
    """Return the data, scanned and decoded once, with its task and its split.

    Without a store no pixels are kept, and the lesson's cache is empty. After the deadline, on
    the monotonic clock, no more pictures are looked at than a split needs; the lesson's recipe
    then has their number as its limit, so that it means the same pictures again.
    """
    catalog = scanned = _scanned(recipe, data, pixels, progress, deadline)
    if recipe.corrections:
        catalog = correct(catalog, recipe.corrections, requested=recipe.task)
    task = choose_task(catalog, requested=recipe.task)
    truth = targets(catalog, task)
    cache = empty_cache() if pixels is None else pixels.finish(scanned)
    looks = look_at(cache, progress=progress, threads=recipe.threads)
    if recipe.group == grouping.AUTO:
        by_class = task.kind in {"binary", "multiclass"}
        scanned = proposals.grouped(scanned, looks, by_class=by_class, threads=recipe.threads)
        catalog = scanned if catalog.given is None else _with_groups_of(catalog, scanned)
    twins = find_twins(scanned, looks, threads=recipe.threads)
    give_back_pages()
    progress.close()
    split = make_split(
        catalog,
        task,
        truth,
        seed=recipe.seed,
        val_fraction=recipe.val_fraction,
        test_fraction=recipe.test_fraction,
        keep_val=recipe.keep_val,
        twins=twins,
    )
    split = _with_note_of_fractions(split, recipe)
    left_out = sum(own.reason == "limit" for own in catalog.skipped)
    if left_out:
        recipe = recipe.replace(limit=catalog.num_looked_at)
    lesson = Lesson(
        recipe=recipe,
        catalog=catalog,
        task=standardise(task, truth[split.rows("train")].astype(np.float64)),
        targets=truth,
        split=split,
        cache=cache,
        looks=looks,
        twins=twins,
    )
    return lesson if len(catalog) == len(scanned) else _without_left_out(lesson, scanned)


def _with_note_of_fractions(split: Split, recipe: Recipe) -> Split:
    """Return the split, which says so where a share was asked for, and the part was given."""
    usual, notes = Recipe(), []
    for name, part in FRACTIONS.items():
        rows = split.rows(part)
        drawn = not rows or any(split.why[row].startswith(DRAWN) for row in rows)
        if getattr(recipe, name) != getattr(usual, name) and not drawn:
            notes.append(f"--{name.replace('_', '-')} has no effect: the {part} part is given.")
    return dataclasses.replace(split, notes=(*split.notes, *notes))


def _scanned(
    recipe: Recipe,
    data: str | Path | Catalog,
    pixels: PixelStore | None,
    progress: Progress,
    deadline: float,
) -> Catalog:
    """Return the pictures with the groups that a column or a pattern gives them."""
    grouping.check_asked(recipe.group, column=recipe.group_column)
    if isinstance(data, Catalog):
        catalog = data
        if pixels is not None:
            fill(pixels, catalog, progress=progress, threads=recipe.threads)
    else:
        catalog = scan_for(recipe, data, pixels, progress=progress, deadline=deadline)
    progress.close()
    grouping.check_column(catalog, _group_column(recipe))
    if grouping.is_pattern(recipe.group):
        catalog = grouping.by_pattern(catalog, recipe.group)
    return catalog


def _with_groups_of(catalog: Catalog, scanned: Catalog) -> Catalog:
    """Return a corrected catalogue with the groups, and what was said of them, of another."""
    group_of = dict(zip(scanned.paths, scanned.groups, strict=True))
    return dataclasses.replace(
        catalog,
        groups=tuple(group_of[path] for path in catalog.paths),
        findings=(*catalog.findings, scanned.findings[-1]),
        given=scanned,
    )


def _without_left_out(lesson: Lesson, scanned: Catalog) -> Lesson:
    """Return the lesson without the looks of pictures that corrections left out.

    They were compared and dealt out with the others, so that no other picture changes its part.
    """
    place = {path: row for row, path in enumerate(scanned.paths)}
    rows = [place[path] for path in lesson.catalog.paths]
    return dataclasses.replace(
        lesson,
        cache=lesson.cache.only(rows) if len(lesson.cache) else lesson.cache,
        looks=lesson.looks.only(rows) if len(lesson.looks) else lesson.looks,
        twins=lesson.twins.only(rows),
    )


def on_canvases_of(lesson: Lesson, pixels: PixelStore, *, progress: Progress) -> Lesson:
    """Return the lesson with the canvases of another store; its parts, looks and copies stay."""
    fill(pixels, lesson.catalog, progress=progress, threads=lesson.recipe.threads)
    cache = pixels.finish(lesson.catalog)
    progress.close()
    return dataclasses.replace(lesson, cache=cache)


def scan_for(
    recipe: Recipe,
    data: str | Path,
    pixels: PixelStore | None,
    *,
    progress: Progress,
    deadline: float,
) -> Catalog:
    """Return the catalogue that a recipe asks for."""
    return scan(
        data,
        image_column=recipe.image_column,
        label_column=recipe.label_column,
        split_column=recipe.split_column,
        group_column=_group_column(recipe),
        exclude=recipe.exclude,
        follow_links=recipe.follow_links,
        progress=progress,
        pixels=pixels,
        limit=Limit(num=recipe.limit, deadline=deadline, seed=recipe.seed),
        threads=recipe.threads,
    )


def _group_column(recipe: Recipe) -> str:
    return grouping.column_of(recipe.group, column=recipe.group_column)


def data_facts(catalog: Catalog, task: Task, findings: Sequence[Finding]) -> dict[str, Any]:
    """Return what is known of the data, as JSON can hold it."""
    return {
        "place": encode_name(catalog.place),
        "layout": catalog.layout,
        "num_files": catalog.num_files,
        "num_used": len(catalog),
        "task": dataclasses.asdict(task),
        "classes": list(task.classes),
        "label_columns": list(catalog.label_columns),  # in the order of the marks in split.csv
        "skipped": [
            {**dataclasses.asdict(own), "path": encode_name(own.path)} for own in catalog.skipped
        ],
        "findings": findings_as_json(findings),
    }


def findings_as_json(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Return findings as JSON can hold them."""
    return [
        {**dataclasses.asdict(own), "paths": [encode_name(path) for path in own.paths]}
        for own in findings
    ]


def counts(lesson: Lesson) -> dict[str, dict[str, int]]:
    """Return the pictures of each class in each part; regression: of all together."""
    rows_of = {part: lesson.split.rows(part) for part in PARTS}
    if lesson.task.kind == "regression":
        return {part: {"": len(rows)} for part, rows in rows_of.items()}
    return {part: class_counts(lesson.catalog, lesson.task, rows) for part, rows in rows_of.items()}


def split_facts(lesson: Lesson) -> dict[str, Any]:
    """Return what is known of the split, as JSON can hold it."""
    return {
        "seed": lesson.split.seed,
        "notes": list(lesson.split.notes),
        "counts": counts(lesson),
        "fingerprint": lesson.fingerprint,
    }


def write_split(path: Path, catalog: Catalog, split: Split, *, files: Sequence[str] = ()) -> None:
    """Write split.csv: one line a picture, with its part and why.

    Args:
        path: a new file.
        catalog: the pictures.
        split: of them.
        files: what the pictures are called, in a table to be read by itself, which tells the
            names of several 0/1 columns; () = as in the catalogue.
    """
    written = catalog.told if files else encode_name
    with writing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["file", "label", "part", "group", "why"])
        table.writerows(
            [encode_name(name), written(label), part, encode_name(group), why]
            for name, label, part, group, why in zip(
                files or catalog.paths,
                catalog.labels,
                split.parts,
                split.groups,
                split.why,
                strict=True,
            )
        )


def told(lesson: Lesson, findings: Sequence[Finding], *, notes: bool = False) -> Iterator[str]:
    """Yield what a person should read before training begins; with notes all that was noticed."""
    catalog, task = lesson.catalog, lesson.task
    yield (
        f"{encode_name(catalog.place)}: {catalog.layout}; {len(catalog)} of {catalog.num_files} "
        f"files used, {len(catalog.skipped)} left out"
    )
    yield f"task: {task.why}"
    sizes = ", ".join(f"{len(lesson.split.rows(part))} {part}" for part in PARTS)
    yield f"parts: {sizes}"
    yield from lesson.split.notes
    for finding in findings:
        asked_for = notes or finding.kind in {"groups", CORRECTED}
        if finding.severity != "note" or asked_for:
            then = f" → {finding.action}" if finding.action and finding.severity != "note" else ""
            yield f"{finding.severity}: {finding.sentence}{then}"
