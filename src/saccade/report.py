"""The page of a run: written at its end, and anew whenever it is asked for."""

from pathlib import Path

import numpy as np

from saccade.data.pixel_store import PixelStore
from saccade.data.preprocess import Preprocess
from saccade.lesson import Lesson, look
from saccade.reporting import collect, page
from saccade.run import open_run
from saccade.runtime.errors import DataError
from saccade.runtime.progress import Progress
from saccade.runtime.store import sha256, write_json
from saccade.training.recipe_file import read_recipe


def write_report(folder: Path, lesson: Lesson | None) -> Path:
    """Write report.html into a run folder and return its path.

    Args:
        folder: the run.
        lesson: the data it learned from, with their pixels; None = they are gone, and the page
            says so.
    """
    path = folder / "report.html"
    if lesson is None:
        facts = collect.collect(folder, picture=lambda _path: None)
    else:
        rows = {name: row for row, name in enumerate(lesson.catalog.paths)}

        def picture(name: str) -> np.ndarray | None:
            return lesson.cache.as_seen(rows[name]) if name in rows else None

        facts = collect.collect(folder, picture=picture, preview=_preview(lesson))
    page.write_page(facts, path)
    return path


def _preview(lesson: Lesson) -> list[tuple[str, list[np.ndarray]]]:
    """Return what the recipe's augmentation does to one training picture; empty if nothing."""
    from saccade.training.augment import augment_of, preview  # noqa: PLC0415 - brings torch

    rows = lesson.split.rows("train")
    augment = augment_of(lesson.recipe)
    if not rows or not augment.active:
        return []
    canvas = lesson.cache.canvases([rows[0]])[0]
    return preview(augment, canvas, lesson.cache.preprocess, seed=lesson.recipe.seed)


def rewrite_report(folder: str | Path, *, progress: Progress | None = None) -> Path:
    """Write the report of a run anew and return its path.

    The pictures are read from where they were. If they are gone, or no longer those of the run,
    the page has none and says so.

    Raises:
        ArtefactError: it is not a run folder, or is damaged (E560 to E562).
    """
    run = open_run(folder)
    facts = run.facts
    preprocess = facts.get("model", {}).get("preprocess")
    lesson = None
    if preprocess is not None:
        recipe = read_recipe(run.folder / "recipe.toml")
        with PixelStore(
            Preprocess.from_dict(preprocess),
            folder=recipe.cache,
            limit_gb=recipe.cache_gb,
            progress=progress,
        ) as pixels:
            try:
                lesson = look(recipe, recipe.data, pixels, progress=progress or Progress())
            except DataError:
                lesson = None
            known = facts["data"].get("fingerprint")  # their parts are those of split.csv
            if lesson is not None and lesson.catalog.fingerprint != known:
                lesson = None
            return _noted(write_report(run.folder, lesson))
    return _noted(write_report(run.folder, lesson))


def _noted(path: Path) -> Path:
    """Note in run.json which page belongs to it now, and return the page's path."""
    run = open_run(path.parent)  # as it is by now: pictures take a while to read
    write_json(path.with_name("run.json"), {**run.facts, "page": sha256(path)})
    return path
