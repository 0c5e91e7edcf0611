"""A blind review of test labels: pictures without their labels, suspects among as many others."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saccade.data.correction_table import CONFIRMED, CONTENT, FILE, LABEL
from saccade.data.decode import Unreadable, decode, resize
from saccade.data.encode import encode_jpeg
from saccade.evaluation.suspects import FAR, normalised_margin, robust_z
from saccade.insight.evidence import Evidence
from saccade.runtime.errors import DataError
from saccade.runtime.seeds import generator
from saccade.runtime.store import write_bytes, writing

MOST = 12  # pictures whose label the model contradicts; as many others are mixed in
SIDE_PX = 640
QUALITY = 88
REVIEW, FOLDER = "review.csv", "review"
COLUMNS = (FILE, LABEL, CONTENT, CONFIRMED)


def review_rows(evidence: Evidence) -> list[int]:
    """Return the test pictures to look at again, shuffled; none before the end.

    Half of them are those that the final model contradicts most strongly, half are drawn from
    the others. Copies are shown once, and what a table of corrections has put right or confirmed
    is not asked again. Whoever labels them must not be able to tell which is which, so nothing
    else about them is told.
    """
    against = _contradicted(evidence)
    if not against:
        return []
    hashes = evidence.catalog.hashes
    rng = generator(evidence.recipe.seed, "review")
    seen, rows = {hashes[row] for row in against}, list(against)
    for row in rng.permutation(_unsettled(evidence)).tolist():
        if len(rows) < 2 * len(against) and hashes[row] not in seen:
            seen.add(hashes[row])
            rows.append(row)
    return [rows[place] for place in rng.permutation(len(rows)).tolist()]


def write_review(
    folder: Path, evidence: Evidence, *, settled: Sequence[Mapping[str, str]] = ()
) -> None:
    """Write review.csv with an empty column of labels, and the pictures that its lines name.

    The lines know a picture by its content, for the name of its folder may be its label. The
    last ones are those of labels that were put right or confirmed before, so that none is lost.

    Args:
        folder: the run's.
        evidence: of the finished run.
        settled: file, label, content and `confirmed` of each such line.

    Raises:
        ResourceError: the disk is full (E401).
    """
    rows = review_rows(evidence)
    if not rows:
        return
    names = [f"{FOLDER}/{number:02}.jpg" for number in range(1, len(rows) + 1)]
    for name, row in zip(names, rows, strict=True):
        write_bytes(folder / name, encode_jpeg(_pixels(evidence, row), quality=QUALITY))
    path = folder / REVIEW
    with writing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        hashes = (evidence.catalog.hashes[row] for row in rows)
        table.writerows([name, "", own, ""] for name, own in zip(names, hashes, strict=True))
        table.writerows([own[name] for name in COLUMNS] for own in settled)


def _unsettled(evidence: Evidence) -> np.ndarray:
    """Return the test pictures whose label no person has put right or confirmed, (N,) rows."""
    paths, settled = evidence.catalog.paths, evidence.catalog.settled
    rows = evidence.rows("test")
    return rows[[paths[row] not in settled for row in rows.tolist()]]


def _contradicted(evidence: Evidence) -> list[int]:
    """Return test pictures whose label the final model contradicts, most strongly first."""
    table = evidence.table
    if table is None or table.truth is None:
        return []
    rows = evidence.rows("test")
    truth, scores = table.truth[rows], table.scores[rows]
    if table.task.kind == "regression":
        quality_N = -np.abs(robust_z(truth - scores[:, 0]))
        wrong_N = quality_N < -FAR
    elif table.task.kind == "multilabel":
        quality_N = np.where(truth == 1, scores, 1 - scores).min(axis=1, initial=1.0)
        wrong_N = (table.predicted[rows] != truth).any(axis=1)
    else:
        quality_N = normalised_margin(truth, scores)
        wrong_N = table.predicted[rows] != truth
    order = rows[np.argsort(quality_N, kind="stable")]
    wrong = set(rows[wrong_N].tolist()) & set(_unsettled(evidence).tolist())
    first: dict[str, int] = {}
    for row in order.tolist():
        if row in wrong:
            first.setdefault(evidence.catalog.hashes[row], row)
    return list(first.values())[:MOST]


def _pixels(evidence: Evidence, row: int) -> NDArray[np.uint8]:
    """Return the whole picture, as large as a person needs it; its canvas where it is gone."""
    try:
        pixels = decode(evidence.catalog.read_again(row)).pixels_HWC
    except (DataError, Unreadable):
        canvas: NDArray[np.uint8] = evidence.cache.canvases([row])[0]
        return canvas
    height, width = pixels.shape[:2]
    scale = SIDE_PX / max(height, width)
    if scale >= 1:
        return pixels
    size_hw = (max(1, round(height * scale)), max(1, round(width * scale)))
    return resize(pixels, size_hw=size_hw, interpolation="bilinear")
