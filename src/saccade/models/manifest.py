"""config.json of a model folder: in timm's hub layout, and checked before it is believed."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from saccade.data.preprocess import Preprocess
from saccade.data.task import Task
from saccade.models.network import Network
from saccade.runtime import store
from saccade.runtime.errors import ArtefactError, command, listed

FORMAT_VERSION = 4
"""1 had no section `trust`, 2 no hash of config.json itself, 3 one number as `effect`."""
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
TRUST = "trust.safetensors"
MAX_BYTES = 4_000_000  # of a JSON file, but for many classes
MOST_BYTES = 20_000_000  # of a config.json: 100,000 classes with long names
MAX_CLASSES = 100_000
MAX_FILES = 1_000
_AGAIN = "copy the whole model folder again from where it was made"
_KINDS = {"binary", "multiclass", "multilabel", "regression"}
_CROP_MODES = {"crop": "center", "pad": "border", "squash": "squash"}  # timm's words
_SECTION = {"format_version", "name", "task", "preprocess", "num_parameters"}
_SECTION |= {"files", "provenance"}
_GOLDEN_NAME = re.compile(r"golden/[0-9a-z]+(\.[0-9a-z]+)?")


def describe(
    network: Network,
    *,
    task: Task,
    preprocess: Preprocess,
    provenance: Mapping[str, Any],
    files: Mapping[str, str],
    trust: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the content of config.json.

    The top level is what timm's hub loader reads; all of ours is under `saccade`. Names and
    hashes of the files beside it are in `files`, its own is in `sha256`; `trust` is what
    `trust_section` says.
    """
    section: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "name": network.name,
        "task": asdict(task) | {"classes": list(task.classes)},
        "preprocess": preprocess.as_dict(),
        "num_parameters": network.num_parameters,
        "files": dict(files),
        "provenance": dict(provenance),
    }
    if network.spec is not None:
        section["spec"] = network.spec.as_dict()
    if trust is not None:
        section["trust"] = dict(trust)
    config: dict[str, Any] = {
        "architecture": network.architecture,
        "num_classes": network.num_outputs,
        "num_features": network.num_features,
        "label_names": list(task.classes),
        "pretrained_cfg": _pretrained_cfg(network, preprocess),
        "saccade": section,
    }
    if config["pretrained_cfg"].get("fixed_input_size"):
        config["model_args"] = {"img_size": preprocess.size_px}
    written: dict[str, Any] = json.loads(store.json_text(config))
    written["saccade"]["sha256"] = config_hash(written)
    return written


def config_hash(config: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what we believe in a config.json: architecture and section `saccade`.

    What else stands there is timm's, and may be edited: a licence, a description. The hash shows
    what was changed by hand or by accident. Who means to deceive can make it anew, as he can those
    of the other files; that `verify` finds by the run's own papers.

    Args:
        config: as JSON has it, with a section `saccade`; its `sha256` is left out.
    """
    own = {key: value for key, value in config["saccade"].items() if key != "sha256"}
    believed = {"architecture": config.get("architecture"), "saccade": own}
    return hashlib.sha256(json.dumps(believed, sort_keys=True).encode()).hexdigest()


def _pretrained_cfg(network: Network, preprocess: Preprocess) -> dict[str, Any]:
    cfg: dict[str, Any] = {
        "custom_load": False,
        "input_size": [3, preprocess.size_px, preprocess.size_px],
        "interpolation": preprocess.interpolation,
        "crop_pct": preprocess.crop_fraction if preprocess.fit == "crop" else 1.0,
        "crop_mode": _CROP_MODES[preprocess.fit],
        "mean": list(preprocess.mean),
        "std": list(preprocess.std),
        "num_classes": network.num_outputs,
        "pool_size": None,
        "first_conv": None,
        "classifier": network.classifier_name,
    }
    if network.licence:
        cfg["license"] = network.licence
    if network.spec is None:
        own = getattr(network.body, "pretrained_cfg", {})
        cfg["fixed_input_size"] = bool(own.get("fixed_input_size", False))
        cfg["first_conv"] = own.get("first_conv")
    return cfg


def read(folder: Path) -> dict[str, Any]:
    """Return config.json of a model folder as it stands.

    Raises:
        ArtefactError: it is missing (E510), too large or not JSON (E511). It may be as much
            larger than 4 MB as the weights are large: with many classes both are.
    """
    path = folder / CONFIG
    if not path.is_file() and (folder / "run.json").is_file():
        raise ArtefactError(
            "This run has no model yet: it was stopped before there was one.",
            code="510",
            where=str(folder),
            fix=f"go on with: {command('saccade', 'resume', folder)}",
        )
    if not path.is_file():
        raise ArtefactError(
            f"This is not a model folder: it has no {CONFIG}.",
            code="510",
            where=str(folder),
            fix="name the folder `model` of a finished run, or a run folder",
        )
    weights = folder / WEIGHTS
    more = weights.stat().st_size if weights.is_file() else 0
    return read_json(path, most=min(MAX_BYTES + more, MOST_BYTES))


def read_json(path: Path, *, most: int) -> dict[str, Any]:
    """Return a JSON object of a model folder (E511 if it is none or larger than `most` bytes)."""
    size = path.stat().st_size
    if size > most:
        text = f"it is {size / 1e6:.0f} MB long, and {most / 1e6:.0f} MB is the most"
        wrong(path, text, code="511")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        wrong(path, "it is not JSON", code="511")
    if not isinstance(content, dict):
        wrong(path, "it is not a JSON object", code="511")
    return content


def wrong(path: Path, why: str, *, code: str = "512") -> NoReturn:
    """Raise the ArtefactError that says why a file of a model folder is not right."""
    raise ArtefactError(
        f"{path.name} of this model is not right: {why}.", code=code, where=str(path), fix=_AGAIN
    )


def section_of(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return our own section, complete and of a version that we know (E512, E514)."""
    path = folder / CONFIG
    section = config.get("saccade")
    if not isinstance(section, dict):
        wrong(path, "it has no section `saccade`, so another program wrote it")
    version = section.get("format_version")
    if type(version) is not int or version < 1:
        wrong(path, f"its format_version is {str(version)[:20]!r}")
    if version > FORMAT_VERSION:
        raise ArtefactError(
            f"This model is of format {version}; this saccade reads up to {FORMAT_VERSION}.",
            code="514",
            where=str(path),
            fix="install a newer saccade",
        )
    needed = _SECTION | ({"sha256"} if version > 2 else set())
    missing = sorted(needed - set(section))
    unknown = sorted(set(section) - needed - ({"spec", "trust"} if version > 1 else {"spec"}))
    if missing or unknown:
        parts = [f"{t}: {listed(k)}" for t, k in (("missing", missing), ("unknown", unknown)) if k]
        wrong(path, f"the section `saccade` has not the entries it should, {'; '.join(parts)}")
    if not isinstance(section["name"], str):
        wrong(path, "its name is not a text")
    return section


def task_of(folder: Path, section: Mapping[str, Any]) -> Task:
    """Return the task (E512)."""
    path = folder / CONFIG
    try:
        fields = dict(section["task"])
        task = Task(**fields | {"classes": tuple(fields["classes"])})
        finite = math.isfinite(task.target_mean) and 0 < task.target_std < math.inf
    except (TypeError, ValueError, KeyError):
        wrong(path, "its task is not complete")
    names = task.classes
    if task.kind not in _KINDS or not finite:
        wrong(path, "its task is of an unknown kind or scale")
    if len(names) > MAX_CLASSES or not all(isinstance(name, str) for name in names):
        wrong(path, "its classes are not a list of names")
    fewest = {"regression": 0, "multilabel": 1}.get(task.kind, 2)
    most = {"regression": 0, "binary": 2}.get(task.kind, MAX_CLASSES)
    if len(set(names)) != len(names) or not fewest <= len(names) <= most:
        wrong(path, "its classes are not distinct, or too many or few")
    return task


def preprocess_of(folder: Path, section: Mapping[str, Any]) -> Preprocess:
    """Return the preprocessing (E512)."""
    path = folder / CONFIG
    try:
        found = Preprocess.from_dict(section["preprocess"])
        numbers = [*found.mean, *found.std]
        is_right = (
            1 <= found.size_px <= 4096
            and 0.05 <= found.crop_fraction <= 1
            and found.fit in _CROP_MODES
            and found.interpolation in {"nearest", "bilinear", "bicubic", "lanczos"}
            and all(math.isfinite(number) for number in numbers)
            and min(found.std) > 0
        )
    except (TypeError, ValueError, KeyError, OverflowError):
        wrong(path, "its preprocess is not complete")
    if not is_right:
        wrong(path, "its preprocess is out of range")
    return found


def check_agreement(
    folder: Path, config: Mapping[str, Any], *, task: Task, preprocess: Preprocess
) -> None:
    """Raise where timm's part of config.json and ours say different things (E515)."""
    path = folder / CONFIG
    outputs = config.get("num_classes")
    if outputs != task.num_outputs:
        wrong(
            path,
            f"num_classes is {str(outputs)[:20]}, but its task has {task.num_outputs} output(s)",
            code="515",
        )
    difference = class_difference(config.get("label_names"), task.classes)
    if difference:
        wrong(path, f"label_names are not the classes of its task ({difference})", code="515")
    cfg = config.get("pretrained_cfg")
    size = [3, preprocess.size_px, preprocess.size_px]
    if not isinstance(cfg, dict) or cfg.get("input_size") != size:
        wrong(path, "pretrained_cfg and preprocess speak of different sizes", code="515")


def class_difference(found: object, expected: tuple[str, ...]) -> str:
    """Return how two lists of classes differ, or nothing.

    >>> class_difference(["b", "a"], ("a", "b"))
    'the same in another order: b, a'
    >>> class_difference(["a", "x"], ("a", "b"))
    'missing: b; unknown: x'
    """
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        return "not a list of names"
    if found == list(expected):
        return ""
    if sorted(found) == sorted(expected):
        return f"the same in another order: {listed(found)}"
    missing = [name for name in expected if name not in set(found)]
    unknown = [name for name in found if name not in set(expected)]
    parts = [f"{t}: {listed(n)}" for t, n in (("missing", missing), ("unknown", unknown)) if n]
    return "; ".join(parts) or "some stand twice"


def check_files(folder: Path, section: Mapping[str, Any]) -> None:
    """Raise unless every listed file is there (E510), inside the folder and unchanged (E513)."""
    path = folder / CONFIG
    files = section["files"]
    if not isinstance(files, dict) or WEIGHTS not in files or len(files) > MAX_FILES:
        wrong(path, "its list of files is not complete")
    for name, expected in files.items():
        if name not in {WEIGHTS, TRUST} and not _GOLDEN_NAME.fullmatch(name):
            wrong(path, f"it names a file that may not be there, {name[:60]!r}")
        _check_file(folder, name, expected)


def check_unchanged(folder: Path, config: Mapping[str, Any]) -> None:
    """Raise where what we believe in config.json is not what was saved (E513).

    Models of the formats 1 and 2 do not know their hash, and are believed.
    """
    expected = config["saccade"].get("sha256")
    if config["saccade"]["format_version"] > 2 and config_hash(config) != expected:
        raise ArtefactError(
            f"{CONFIG} was changed after the model was saved: its `architecture`, or what stands "
            "under `saccade` (classes, preprocessing, calibration).",
            code="513",
            where=str(folder / CONFIG),
            fix=f"{_AGAIN}; classes that should have other names are renamed in the answers",
        )


def _check_file(folder: Path, name: str, expected: object) -> None:
    path = folder / name
    if not path.is_file():
        raise ArtefactError(
            f"A file of this model is missing: {name}.", code="510", where=str(folder), fix=_AGAIN
        )
    found = store.sha256(path)
    if found != expected:
        raise ArtefactError(
            f"{name} was changed after the model was saved: SHA-256 {str(expected)[:12]}… "
            f"expected, {found[:12]}… met.",
            code="513",
            where=str(path),
            fix=_AGAIN,
        )
