"""Looking at data without learning from it: for `saccade check`."""

import dataclasses
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from saccade.data import audit
from saccade.data.folders import FolderSource
from saccade.data.pixel_store import PixelStore
from saccade.data.preprocess import Preprocess
from saccade.data.split import PARTS
from saccade.data.split_checks import TooSmall
from saccade.insight.evidence import NO_FEATURES
from saccade.insight.studies import BEFORE_LEARNING, OF_PARTS
from saccade.insight.trust import Study, Trust, examine
from saccade.lesson import Lesson, counts, data_facts, look, split_facts, told, write_split
from saccade.models.candidates import first_name
from saccade.models.known import known_preprocess
from saccade.reporting.facts import Facts
from saccade.reporting.folder import SplitRow
from saccade.reporting.looked import facts_of_look
from saccade.reporting.page import write_page, write_preview_page
from saccade.reporting.studies import sentences
from saccade.reporting.wording import plural
from saccade.runtime.errors import DataError, command, listed
from saccade.runtime.progress import Progress
from saccade.runtime.store import encode_name
from saccade.training.recipe import Recipe

NUM_PREVIEWED = 4
PREVIEW_PX = 160
PREVIEW_CROP = 0.875  # most timm backbones'


def check(
    recipe: Recipe,
    *,
    page_path: Path | None = None,
    preview_path: Path | None = None,
    split_path: Path | None = None,
    progress: Progress | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """Return what is known of the data, as JSON can hold it and as lines for a person.

    Everything that a run would say before it learns: findings, copies across parts, and what the
    studies say that need no trained network. Those that rest on features are asked where
    pretrained weights are named (`--weights`, SACCADE_WEIGHTS or `--model`): a look downloads
    nothing unasked, and without a network it takes seconds and no torch.

    Classes that are too small for a split are left out, so that the others are looked at; the facts
    then hold the error as `refused`.

    Args:
        recipe: names the data, how it would be split and augmented, and whose features to use.
        page_path: where to write the page; None = nowhere.
        preview_path: where to write a page with augmented examples; None = nowhere.
        split_path: where to write the parts as a table, but with `strict` not those of data that
            something severe was found in; without it only the studies of the parts are asked.
            None = nowhere.
        progress: is told how far it is.

    Raises:
        DataError: the data cannot be looked at (E301-E379).
        ResourceError, ArtefactError: weights that were named cannot be had.
    """
    progress = progress or Progress()
    with PixelStore(
        _preprocess(recipe), folder=recipe.cache, limit_gb=recipe.cache_gb, progress=progress
    ) as pixels:
        lesson, refused = _looked(recipe, pixels, progress, whole=split_path is not None)
        studies = BEFORE_LEARNING if split_path is None or recipe.strict else OF_PARTS
        lesson, trust = _examined(lesson, studies, progress)
        if preview_path is not None:
            write_preview_page(_previews(lesson), preview_path)
        found = audit.look(
            lesson.catalog, lesson.task, lesson.split, looks=lesson.looks, twins=lesson.twins
        )
        findings = audit.ranked((*found, *trust.findings))
        facts = data_facts(lesson.catalog, lesson.task, findings)
        facts["refused"] = refused
        facts["split"] = split_facts(lesson)
        facts["trust"] = trust.as_dict()
        if page_path is not None:
            write_page(_page(lesson, facts), page_path)
        if split_path is not None and not isinstance(lesson.catalog.source, FolderSource):
            facts["within"] = encode_name(lesson.catalog.place)
        is_severe = recipe.strict and any(own.severity == "severe" for own in findings)
        if split_path is not None and not is_severe:
            write_split(split_path, lesson.catalog, lesson.split, files=_files(lesson, split_path))
    seen = (*told(lesson, findings, notes=True), *_table(lesson), *_left_out(lesson))
    return facts, [*seen, *_said(trust)]


def _looked(
    recipe: Recipe, pixels: PixelStore, progress: Progress, *, whole: bool
) -> tuple[Lesson, dict[str, str] | None]:
    """Return the lesson, without classes that are too small unless `whole`, and why they are."""
    try:
        return look(recipe, recipe.data, pixels, progress=progress), None
    except TooSmall as no:
        if whole or not no.classes:
            raise
        others = recipe.replace(exclude=(*recipe.exclude, *no.classes))
        lesson = look(others, recipe.data, pixels, progress=progress)
        told = {"message": no.message, "where": no.where or "", "fix": no.fix or ""}
        return lesson, {"code": no.code.removeprefix("SACCADE-E"), **told}


def next_step(table: Path, facts: Mapping[str, Any]) -> str:
    """Return what can be done with a table of parts that was written."""
    if "within" in facts:
        return f"its rows name pictures within {facts['within']}: join the parts to that table"
    task = facts["task"]
    words = ["saccade", "train", str(table)]
    odd = any(set("|;,") & set(name) for name in task["classes"])
    if odd and task["kind"] in {"binary", "multiclass"}:
        words += ["--task", task["kind"]]  # else such a class may be read as several labels
    return command(*words)


def _files(lesson: Lesson, table: Path) -> list[str]:
    """Return the pictures' paths from the folder of a table, so that it can be read as one.

    Pictures within a Parquet file have no path, and are called as there.
    """
    source = lesson.catalog.source
    if not isinstance(source, FolderSource):
        return list(lesson.catalog.paths)
    here, base = table.resolve().parent, Path(source.place).resolve()
    return [os.path.relpath(base / path, here) for path in lesson.catalog.paths]


def refuse(facts: Mapping[str, Any], recipe: Recipe) -> None:
    """Raise a DataError where `check` found that nothing can be learned from all of the data.

    Classes are too small for a split (E351), or, with --strict, something is severe (E360).
    """
    if refused := facts.get("refused"):
        raise DataError(**refused)
    if recipe.strict:
        severe = [own["sentence"] for own in facts["findings"] if own["severity"] == "severe"]
        audit.refuse_severe(severe, place=recipe.data)


def wants_network(recipe: Recipe) -> bool:
    """Say whether a look may ask a pretrained network: where one, or its weights, are named."""
    if recipe.weights == "none" or recipe.model in {"cnn", "mlp"}:
        return False
    named = recipe.model != "auto" or recipe.weights not in {"auto", ""}
    return named or bool(os.environ.get("SACCADE_WEIGHTS"))


def _examined(lesson: Lesson, studies: Sequence[Study], progress: Progress) -> tuple[Lesson, Trust]:
    """Return what studies say that need no trained network; the others are not spoken of.

    And the lesson, with the parts as features leave them.
    """
    if wants_network(lesson.recipe):
        from saccade.looking import look_through  # noqa: PLC0415 - brings torch

        return look_through(
            lesson, first_name(lesson.recipe.model), studies=studies, progress=progress
        )
    trust = examine(lesson.evidence(), studies, progress=progress)
    own = {name: why for name, why in trust.left_out.items() if NO_FEATURES not in why}
    reason = "what rests on features: name weights with --weights, or a network with --model"
    return lesson, dataclasses.replace(trust, left_out={**own, "features": reason})


def _said(trust: Trust) -> list[str]:
    """Return a line for every study that has something to say, and for what was not asked."""
    told = sentences(trust.as_dict())
    left_out = [f"not asked: {why}" for why in trust.left_out.values()]
    return ["", *told, *left_out] if told or left_out else []


def _page(lesson: Lesson, facts: dict[str, Any]) -> Facts:
    rows = {name: row for row, name in enumerate(lesson.catalog.paths)}
    severe = Counter(own["severity"] for own in facts["findings"])
    said = f"{severe['severe']} severe, " + ", ".join(
        plural(severe[kind], kind) for kind in ("warning", "note")
    )
    return facts_of_look(
        facts,
        _rows(lesson),
        name=Path(lesson.catalog.place).resolve().name,
        summary=f"{len(lesson.catalog)} of {lesson.catalog.num_files} files can be used. "
        f"Findings: {said}.",
        task=lesson.task,
        trust=facts["trust"],
        picture=lambda name: lesson.cache.as_seen(rows[name]) if name in rows else None,
        version=metadata.version("saccade"),
    )


def _rows(lesson: Lesson) -> list[SplitRow]:
    catalog, split = lesson.catalog, lesson.split
    columns = zip(catalog.paths, catalog.labels, split.parts, split.groups, split.why, strict=True)
    return [
        SplitRow(path=path, label=label, part=part, group=group, why=why)
        for path, label, part, group, why in columns
    ]


def _preprocess(recipe: Recipe) -> Preprocess:
    """Return the preprocessing of the network that a run would begin with, where it is known.

    So what is decoded here is not decoded again by a run. Else one that is large enough to look at.
    """
    fit: Any = recipe.fit
    known = known_preprocess(first_name(recipe.model), img_size=recipe.img_size, fit=fit)
    if known is not None:
        return known
    if wants_network(recipe):
        from saccade.models import network  # noqa: PLC0415 - brings torch

        return network.preprocess_for(first_name(recipe.model), img_size=recipe.img_size, fit=fit)
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
