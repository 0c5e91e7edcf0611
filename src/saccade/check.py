"""Looking at data without learning from it: for `saccade check`."""

from pathlib import Path
from typing import Any

from saccade.data import audit
from saccade.data.pixel_store import PixelStore
from saccade.data.preprocess import Preprocess
from saccade.data.split import PARTS
from saccade.lesson import Lesson, counts, data_facts, look, told
from saccade.reporting.page import write_preview_page
from saccade.runtime.errors import listed
from saccade.runtime.progress import Progress
from saccade.runtime.store import encode_name
from saccade.training.recipe import Recipe

NUM_PREVIEWED = 4
PREVIEW_PX = 160
PREVIEW_CROP = 0.875  # most timm backbones'


def check(
    recipe: Recipe, *, preview_path: Path | None = None, progress: Progress | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Return what is known of the data, as JSON can hold it and as lines for a person.

    Args:
        recipe: names the data and how it would be split and augmented.
        preview_path: where to write a page with augmented examples; None = nowhere.
        progress: is told how far it is.

    Raises:
        DataError: the data cannot be learned from (E301-E379).
    """
    progress = progress or Progress()
    if preview_path is None:
        lesson = look(recipe, recipe.data, None, progress=progress)
    else:
        with PixelStore(_preview_size(recipe), folder=recipe.cache, shared=False) as pixels:
            lesson = look(recipe, recipe.data, pixels, progress=progress)
            write_preview_page(_previews(lesson), preview_path)
    findings = audit.look(
        lesson.catalog, lesson.task, lesson.split, looks=lesson.looks, twins=lesson.twins
    )
    facts = data_facts(lesson.catalog, lesson.task, findings)
    facts["split"] = {"notes": list(lesson.split.notes), "counts": counts(lesson)}
    return facts, [*told(lesson, findings), *_table(lesson), *_left_out(lesson)]


def _preview_size(recipe: Recipe) -> Preprocess:
    """Return a preprocessing that is large enough to look at, whatever the model."""
    fit: Any = recipe.fit
    size_px = recipe.img_size or PREVIEW_PX
    return Preprocess(size_px=size_px, fit=fit, crop_fraction=PREVIEW_CROP)


def _previews(lesson: Lesson) -> list[tuple[str, list[tuple[str, list[Any]]]]]:
    from saccade.training.augment import augment_of, preview  # noqa: PLC0415 - brings torch

    rows = lesson.split.rows("train")
    chosen = rows[:: max(1, len(rows) // NUM_PREVIEWED)][:NUM_PREVIEWED]
    augment = augment_of(lesson.recipe)
    return [
        (
            encode_name(lesson.catalog.paths[row]),
            preview(
                augment,
                lesson.cache.canvases([row])[0],
                lesson.cache.preprocess,
                seed=lesson.recipe.seed,
            ),
        )
        for row in chosen
    ]


def _table(lesson: Lesson) -> list[str]:
    if lesson.task.kind == "regression":
        return []
    found = counts(lesson)
    names = [encode_name(name) for name in lesson.task.classes]
    width = max(len("class"), *(len(name) for name in names))
    lines = ["", f"{'class':<{width}}  " + "  ".join(f"{part:>10}" for part in PARTS)]
    lines += [
        f"{shown:<{width}}  " + "  ".join(f"{found[part][name]:>10}" for part in PARTS)
        for shown, name in zip(names, lesson.task.classes, strict=True)
    ]
    return lines


def _left_out(lesson: Lesson) -> list[str]:
    skipped = lesson.catalog.skipped
    if not skipped:
        return []
    lines = ["", f"left out ({len(skipped)} of {lesson.catalog.num_files} files):"]
    reasons = sorted({own.reason for own in skipped})
    for reason in reasons:
        own = [s for s in skipped if s.reason == reason]
        shown = listed(f"{encode_name(s.path)} ({s.sentence})" for s in own)
        lines.append(f"  {reason}: {shown}")
    return lines
