"""Run folders of any kind, made in a moment: the formats are those that `train` writes."""

import csv
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.reporting import ladders

from saccade.data.task import Task
from saccade.evaluation.intervals import Estimate, wilson
from saccade.evaluation.predictions import Predictions
from saccade.evaluation.scores import as_json, evaluate
from saccade.runtime.seeds import generator
from saccade.runtime.store import encode_name

PARTS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What a made-up run is like."""

    kind: str = "multiclass"
    classes: tuple[str, ...] = ("daisy", "rose", "tulip")
    num_pictures: int = 240
    parts: tuple[str, ...] = PARTS
    state: str = "finished"
    absent_from_test: str = ""
    num_epochs: int = 0
    ladder: str = ""  # a rung each: + kept, - undone
    race: bool = False
    hostile: str = ""  # put into every text of the run that comes from outside
    error_rate: float = 0.25
    paths: tuple[str, ...] = ()  # of real pictures, for looking at pages
    labels: tuple[str, ...] = ()


MEASURED: dict[Plan, str] = {}  # what was found out about the answers of a plan, which never differ


def make_run(folder: Path, plan: Plan) -> Path:
    """Write a run folder as `saccade train` would, with made-up answers."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = generator(0, "made-up run")
    classes = () if plan.kind == "regression" else plan.classes
    task = Task(
        kind=plan.kind,  # type: ignore[arg-type]
        classes=classes,
        separator=";" if plan.kind == "multilabel" else "",
        why=f"{plan.kind}: the folders' names are the classes",
    )
    N = len(plan.paths) or plan.num_pictures
    truth, scores = _answers(task, N, rng=rng, plan=plan)
    parts = [plan.parts[k] for k in rng.choice(len(plan.parts), N, p=_shares(len(plan.parts)))]
    if plan.absent_from_test:
        own = classes.index(plan.absent_from_test)
        parts = [
            "train" if t == own and p == "test" else p for p, t in zip(parts, truth, strict=True)
        ]
    paths = plan.paths or tuple(_path(task, truth[k], k, plan.hostile) for k in range(N))
    predictions = Predictions(
        task=task,
        paths=paths,
        hashes=tuple(f"{k:064x}" for k in range(N)),
        parts=tuple(parts),
        truth=truth,
        scores=scores,
    )
    _write_split(folder, predictions)
    (folder / "run.json").write_text(json.dumps(_run_json(plan, predictions)))
    (folder / "recipe.toml").write_text(_recipe(plan))
    (folder / "history.jsonl").write_text("".join(json.dumps(e) + "\n" for e in _events(plan)))
    if plan.state == "finished":
        (folder / "model").mkdir(exist_ok=True)
        (folder / "model" / "config.json").write_text("{}")
        predictions.write_csv(folder / "predictions.csv")
        if plan not in MEASURED:
            metrics = _few_metrics(predictions) if len(classes) > 50 else evaluate(predictions)
            MEASURED[plan] = json.dumps(as_json(metrics))
        (folder / "metrics.json").write_text(MEASURED[plan])
    return folder


def _few_metrics(predictions: Predictions) -> dict[str, dict[str, Estimate]]:
    """Stand-in for `evaluate` with many classes, for which resampling takes too long here."""
    metrics = {}
    for part in sorted(set(predictions.parts)):
        rows = predictions.rows(part)
        truth, hit = np.asarray(rows.truth), np.asarray(rows.truth) == rows.predicted
        metrics[part] = {"accuracy": wilson(int(hit.sum()), len(rows))}
        for k, name in enumerate(predictions.task.classes):
            own = wilson(int(hit[truth == k].sum()), int((truth == k).sum()))
            for family in ("recall", "precision", "f1", "specificity"):
                metrics[part][f"{family}[{name}]"] = own
    return metrics


def _shares(num: int) -> list[float]:
    return {1: [1.0], 2: [0.8, 0.2], 3: [0.6, 0.15, 0.25]}[num]


def _answers(
    task: Task, N: int, *, rng: np.random.Generator, plan: Plan
) -> tuple[np.ndarray, np.ndarray]:
    if task.kind == "regression":
        truth = rng.gamma(4, 8, N)
        return truth, (truth * 0.8 + 6 + rng.normal(0, 4, N))[:, None]
    K = len(task.classes)
    if task.kind == "multilabel":
        truth = (rng.random((N, K)) < 0.3).astype(np.uint8)
        noise = rng.normal(0, 0.3, (N, K))
        return truth, np.clip(0.15 + 0.7 * truth + noise, 0.001, 0.999)
    if plan.labels:
        truth = np.array([task.classes.index(one) for one in plan.labels])
    else:
        truth = np.arange(N) % K
    logits = rng.normal(0, 1, (N, K)) + 4 * np.eye(K)[truth]
    wrong = np.flatnonzero(rng.random(N) < plan.error_rate)
    logits[wrong, (truth[wrong] + 1 + (rng.random(len(wrong)) < 0.2)) % K] += 5
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return truth, shifted / shifted.sum(axis=1, keepdims=True)


def _path(task: Task, truth: Any, k: int, hostile: str) -> str:
    folder = "pictures" if task.kind in {"regression", "multilabel"} else task.classes[truth]
    return f"{folder}/{hostile}{k:05d}.jpg"


def _write_split(folder: Path, predictions: Predictions) -> None:
    task = predictions.task
    with (folder / "split.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label", "part", "group", "why"])
        for path, part, label in zip(
            predictions.paths, predictions.parts, predictions.truths, strict=True
        ):
            text = label.replace("|", task.separator) if task.separator else label
            writer.writerow([encode_name(path), text, part, "", "drawn"])


def _run_json(plan: Plan, predictions: Predictions) -> dict[str, Any]:
    x, task = plan.hostile, predictions.task
    counts: dict[str, dict[str, int]] = {}
    for part in plan.parts:
        rows = predictions.rows(part)
        truth = np.asarray(rows.truth)
        if task.kind == "multilabel":
            counts[part] = {n: int(truth[:, k].sum()) for k, n in enumerate(task.classes)}
        elif task.kind != "regression":
            counts[part] = {n: int((truth == k).sum()) for k, n in enumerate(task.classes)}
    skipped = [
        {
            "path": f"rose/{x}broken-{k}.jpg",
            "reason": "unreadable",
            "sentence": f"truncated after 10 of 38 KB {x}",
        }
        for k in range(7)
    ] + [{"path": ".DS_Store", "reason": "hidden", "sentence": "a file of the system"}]
    findings = [
        {
            "kind": "conflict",
            "severity": "severe",
            "paths": [f"rose/{x}a.jpg", "tulip/b.jpg"],
            "sentence": f"2 pictures are the same but have different labels. {x}",
            "action": f"look at them and correct the labels {x}",
        },
        {
            "kind": "exif-turned",
            "severity": "note",
            "paths": [f"rose/{k}.jpg" for k in range(60)],
            "sentence": "60 pictures were turned as their EXIF data say.",
            "action": "",
        },
    ]
    layers = [
        {
            "name": f"blocks.{k}.conv{x}",
            "kind": "Conv2d",
            "shape": [32 * (k + 1), 56, 56],
            "parameters": 9 * 32 * 32 * (k + 1),
            "flops": 10**7 * (k + 1),
        }
        for k in range(12)
    ]
    return {
        "format_version": 1,
        "state": plan.state,
        "saccade": "0.1.0",
        "versions": {"python": "3.12.3", "torch": "2.15.0", "timm": f"1.0.31{x}"},
        "machine": {"system": "Linux", "processor": f"2 cores{x}", "cores": 2},
        "data": {
            "place": f"photos/flowers{x}",
            "layout": f"{len(task.classes)} class folders{x}",
            "num_files": len(predictions) + len(skipped),
            "num_used": len(predictions),
            "task": dataclasses.asdict(task),
            "classes": list(task.classes),
            "skipped": skipped,
            "findings": findings,
            "fingerprint": "3f" * 32,
        },
        "split": {
            "seed": 0,
            "notes": [f"No parts were given: 60 / 15 / 25 % were drawn by class. {x}"],
            "counts": counts,
            "fingerprint": "a7" * 32,
        },
        "model": {
            "name": f"mobilenetv2_100{x}",
            "num_parameters": 2_230_277,
            "num_trainable": 6_405,
            "num_stages": 9,
            "num_stages_learned": _depth(plan),
            "weights": {
                "source": f"mobilenetv2_100.safetensors{x}",
                "licence": "bsd-3-clause",
                "sha256": "c0" * 32,
            },
            "preprocess": {
                "size_px": 224,
                "fit": "crop",
                "crop_fraction": 0.875,
                "interpolation": "bicubic",
                "mean": [0.485, 0.456, 0.406],
                "std": [0.229, 0.224, 0.225],
            },
            "layers": layers,
        },
        "seconds": {"scan": 2.1, "features": 9.3, "train": 4.2, "total": 19.8},
        "summary": _summary(plan, predictions),
    }


def _depth(plan: Plan) -> int:
    if not plan.ladder:
        return 2 if plan.num_epochs else 0
    return min(2 ** plan.ladder.rindex("+"), 9) if "+" in plan.ladder else 0


def _summary(plan: Plan, predictions: Predictions) -> str:
    if plan.state != "finished":
        return ""
    if plan.kind == "regression":
        return f"The network is off by 3.9 on average on {len(predictions)} pictures."
    return (
        "Of 100 new pictures like these, about 77 would be named rightly (95 % interval: 70 to "
        f"83); always naming the most frequent class would be right for 34. {plan.hostile}"
    )


def _recipe(plan: Plan) -> str:
    lines = [
        'data = "photos/flowers"',
        "seed = 0",
        'model = "mobilenetv2_100"',
        'weights = "auto"',
        "widths = []",
        "epochs = 12",
        "lr = 0.001",
        "rotate = 15.0",
        f"exclude = [{json.dumps('weeds' + plan.hostile)}]",
        'fit = "pad"',
    ]
    return "\n".join(lines) + "\n"


def _events(plan: Plan) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = [
        {"event": "note", "sentence": f"Features of the frozen network were kept. {plan.hostile}"}
    ]
    if plan.race:
        events.append(ladders.race(hostile=plan.hostile))
    if plan.ladder:
        score = {"score_name": "negative_rmse", "validation_score": -3.4}
        fields = score if plan.kind == "regression" else {}
        return [*events, *ladders.ladder(plan.ladder, hostile=plan.hostile, **fields)]
    if not plan.num_epochs:
        candidates = [
            {"penalty": 10.0**k, "score": 0.9 - 0.02 * (k + 1) ** 2} for k in range(-5, 3)
        ]
        return [
            *events,
            {
                "event": "head",
                "penalty": 0.1,
                "candidates": candidates,
                "validation_score": 0.91,
                "score_name": "accuracy",
                "seconds": 1.3,
            },
        ]
    best = 0.0
    for k in range(1, plan.num_epochs + 1):
        score = 0.95 - 0.5 * 0.75**k - (0.003 * max(0, k - 8))
        events.append(
            {
                "event": "epoch",
                "epoch": k,
                "step": 20 * k,
                "train_loss": 1.5 * 0.72**k + 0.05,
                "validation_loss": 1.4 * 0.75**k + 0.12 + 0.012 * max(0, k - 6),
                "validation_score": score,
                "score_name": "accuracy",
                "lr": 1e-3 * (1 + np.cos(np.pi * k / plan.num_epochs)) / 2,
                "images_per_second": 310.0,
                "seconds": 3.1,
                "best": score > best,
            }
        )
        best = max(best, score)
        norms = {
            f"{name}{plan.hostile}": 0.8**k * 10 ** (-0.5 * depth)
            for depth, name in enumerate(["head", "blocks.3", "blocks.2", "blocks.1", "stem"])
        }
        norms = dict(reversed(norms.items()))
        events.append({"event": "layer_gradients", "epoch": k, "norms": norms})
    return events


def noise_picture(path: str) -> np.ndarray:
    """Stand-in for a picture: coloured noise that depends on the path."""
    return generator(1, path).integers(0, 256, (224, 224, 3), dtype=np.uint8)


@pytest.fixture
def run_of(tmp_path: Path) -> Callable[..., Path]:
    """Give a function that makes a run folder from the fields of `Plan`."""
    return lambda name="flowers", **fields: make_run(tmp_path / name, Plan(**fields))


@pytest.fixture(scope="module")
def make_run_at(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Give the same function, for pages that several tests look at."""
    return lambda **fields: make_run(tmp_path_factory.mktemp("run"), Plan(**fields))
