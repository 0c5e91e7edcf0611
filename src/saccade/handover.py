"""What a run hands over: the model with its proofs and its card."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from saccade.data.catalog import Catalog
from saccade.data.decode import Unreadable
from saccade.evaluation.model_trust import ModelTrust
from saccade.evaluation.predictions import Predictions
from saccade.evaluation.scores import Metrics
from saccade.lesson import Lesson
from saccade.models import bundle, layers, weights
from saccade.models.inference import predict_logits
from saccade.models.network import Network
from saccade.reporting import card
from saccade.run import Ledger
from saccade.runtime.errors import DataError
from saccade.runtime.store import write_text
from saccade.training.history import read_history

MAX_GOLDEN = 8
MAX_GOLDEN_BYTES = 1_000_000


def model_facts(
    net: Network, lesson: Lesson, fetched: weights.Weights | None, num_stages: int
) -> dict[str, Any]:
    """Return what the run records of its network."""
    net.set_stage_trainable(num_stages)
    rows = layers.layer_table(net, lesson.cache.preprocess.size_px)
    return {
        "name": lesson.recipe.model,
        "num_parameters": net.num_parameters,
        "num_trainable": net.num_trainable,
        "num_stages": len(net.stages),
        "num_stages_learned": num_stages,
        "weights": {
            "source": fetched.source if fetched else "none: from scratch",
            "licence": fetched.licence if fetched else "",
            "sha256": fetched.sha256 if fetched else "",
        },
        "preprocess": lesson.cache.preprocess.as_dict(),
        "layers": [
            {
                "name": row.name,
                "kind": row.kind,
                "shape": list(row.shape),
                "parameters": row.num_parameters,
                "flops": row.flops,
            }
            for row in rows
        ],
    }


def keep_model(
    ledger: Ledger,
    lesson: Lesson,
    net: Network,
    *,
    table: Predictions | None,
    metrics: Metrics | None,
    trust: ModelTrust | None = None,
) -> None:
    """Write the model folder: weights, classes, preprocessing, golden pictures, card."""
    folder = ledger.folder / "model"
    provenance = {
        "saccade": ledger.facts["saccade"],
        "versions": ledger.facts["versions"],
        "data_fingerprint": lesson.fingerprint,
        "seed": lesson.recipe.seed,
        "tested": table is not None,
        "weights": ledger.facts["model"]["weights"],
    }
    golden = golden_pictures(lesson, net, part="train" if table is None else "test")
    ledger.facts["model"]["num_golden"] = len(golden)
    place = next(net.parameters()).device  # it may go on learning there
    net.to("cpu")
    try:
        bundle.save(
            folder,
            net,
            task=lesson.task,
            preprocess=lesson.cache.preprocess,
            provenance=provenance,
            golden=golden,
            trust=trust,
        )
    finally:
        net.to(place)
    write_card(ledger, lesson, metrics or {}, trust)


def write_card(ledger: Ledger, lesson: Lesson, metrics: Metrics, trust: ModelTrust | None) -> None:
    """Write the card of the model: with it, and again when more has been found of the data.

    Args:
        ledger: of the run; its facts are what the card tells.
        lesson: what the model learned from.
        metrics: empty where it was not tested.
        trust: what it knows of its own answers; None = nothing.
    """
    path = ledger.folder / "history.jsonl"
    events = read_history(path) if path.exists() else []
    calibration = trust.calibration if trust is not None else None
    text = card.card_text(
        ledger.facts, lesson.task, metrics, events=events, calibration=calibration
    )
    write_text(ledger.folder / "model" / "README.md", text)


def golden_pictures(lesson: Lesson, net: Network, *, part: str) -> list[bundle.GoldenPicture]:
    """Return a few pictures with what the network says of them, of different classes if it can.

    None where the recipe says so. They are of the test part only once the test is over: which class
    they are is its answer. A picture that changed or went since the scan is passed over, for the
    network saw it otherwise.
    """
    if not lesson.recipe.golden:
        return []
    rows = lesson.split.rows(part) or lesson.split.rows("train")
    small = [row for row in rows if lesson.catalog.num_bytes[row] <= MAX_GOLDEN_BYTES]
    contents = dict(itertools.islice(_read_again(lesson.catalog, small), MAX_GOLDEN))
    if not contents:
        return []
    logits_NK = predict_logits(net, lesson.cache, list(contents))
    return [
        bundle.GoldenPicture(
            name=Path(lesson.catalog.paths[row]).name,
            content=content,
            logits=tuple(map(float, logits)),
        )
        for (row, content), logits in zip(contents.items(), logits_NK, strict=True)
    ]


def _read_again(catalog: Catalog, rows: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """Yield rows with their contents as scanned: the first of each label, then the others."""
    seen: set[str] = set()
    left = []
    for row in rows:
        if catalog.labels[row] in seen:
            left.append(row)
            continue
        content = _same_content(catalog, row)
        if content:
            seen.add(catalog.labels[row])
            yield row, content
    for row in left:
        content = _same_content(catalog, row)
        if content:
            yield row, content


def _same_content(catalog: Catalog, row: int) -> bytes:
    """Return a picture's bytes as they were scanned; none where they changed or went."""
    try:
        return catalog.read_again(row)
    except (DataError, Unreadable):
        return b""
