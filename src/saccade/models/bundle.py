"""The model folder: weights, classes, preprocessing and proofs; loads in plain timm too."""

import contextlib
import dataclasses
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from saccade.data.preprocess import Preprocess
from saccade.data.task import Task
from saccade.models import tensors
from saccade.models.network import Network, from_backbone, from_spec
from saccade.models.scratch import ScratchSpec
from saccade.runtime import store
from saccade.runtime.errors import ArtefactError, SaccadeError, UsageError, listed

FORMAT_VERSION = 1
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
GOLDEN = "golden/golden.json"
MAX_CONFIG_BYTES = 4_000_000
MAX_CLASSES = 100_000
SCRATCH_PREFIX = "saccade_"  # architecture "saccade_cnn": no name of timm's begins so


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenPicture:
    """An original picture and what the network said of it when the model was saved."""

    name: str  # file name for its suffix and for people; stored under a number
    content: bytes  # the file as the user had it
    logits: tuple[float, ...]  # K numbers, float32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bundle:
    """A model folder, read and checked; `network` is in evaluation mode."""

    network: Network
    task: Task
    preprocess: Preprocess
    config: Mapping[str, Any]  # config.json as it stands
    golden: tuple[GoldenPicture, ...]


def save(
    folder: Path,
    network: Network,
    *,
    task: Task,
    preprocess: Preprocess,
    provenance: Mapping[str, Any],
    golden: Sequence[GoldenPicture] = (),
) -> None:
    """Write a model folder, whole or not at all; one that is there already is replaced.

    Raises:
        ResourceError: the disk does not take it (E401).
        UsageError: the folder is there and is not a model folder (E218).
    """
    if folder.exists() and not (folder / CONFIG).is_file() and any(_entries(folder)):
        raise UsageError(
            "There is something else where the model should be written.",
            code="218",
            where=str(folder),
            fix="name another folder",
        )
    with _replacing(folder) as new:
        tensors.write(new / WEIGHTS, network.body.state_dict())
        names = _write_golden(new, golden)
        config = _describe(network, task=task, preprocess=preprocess)
        config["saccade"] |= {
            "files": {name: store.sha256(new / name) for name in [WEIGHTS, *names]},
            "provenance": dict(provenance),
        }
        store.write_json(new / CONFIG, config)


def _entries(folder: Path) -> Iterator[Path]:
    return folder.iterdir() if folder.is_dir() else iter([folder])


@contextlib.contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """Yield a new folder beside `folder` that takes its place when the block ends well."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".{folder.name[:40]}.", suffix=".part", dir=folder.parent))
    except OSError as error:
        raise store.disk_error(error, folder) from error
    old = new.with_suffix(".old")
    try:
        yield new
        new.chmod(0o777 & ~store._umask())
        for place in (new / "golden", new):
            _sync(place)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
        _sync(folder.parent)
    except OSError as error:
        raise store.disk_error(error, folder) from error
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _sync(folder: Path) -> None:
    if os.name == "nt" or not folder.is_dir():
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_golden(folder: Path, golden: Sequence[GoldenPicture]) -> list[str]:
    if not golden:
        return []
    rows, names = [], []
    for number, picture in enumerate(golden):
        suffix = Path(picture.name).suffix.lower()
        suffix = suffix if re.fullmatch(r"\.[a-z0-9]{1,5}", suffix) else ""
        name = f"golden/{number:03d}{suffix}"
        store.write_bytes(folder / name, picture.content)
        names.append(name)
        rows.append(
            {"file": name, "name": store.encode_name(picture.name), "logits": list(picture.logits)}
        )
    store.write_json(folder / GOLDEN, {"pictures": rows})
    return [*names, GOLDEN]


def _describe(network: Network, *, task: Task, preprocess: Preprocess) -> dict[str, Any]:
    """Return config.json in timm's hub layout, with a section of our own."""
    crop_modes = {"crop": "center", "pad": "border", "squash": "squash"}
    cfg: dict[str, Any] = {
        "custom_load": False,
        "input_size": [3, preprocess.size_px, preprocess.size_px],
        "interpolation": preprocess.interpolation,
        "crop_pct": preprocess.crop_fraction if preprocess.fit == "crop" else 1.0,
        "crop_mode": crop_modes[preprocess.fit],
        "mean": list(preprocess.mean),
        "std": list(preprocess.std),
        "num_classes": network.num_outputs,
        "classifier": network.classifier_name,
    }
    config: dict[str, Any] = {"architecture": network.architecture}
    if network.spec is None:
        timm_cfg = getattr(network.body, "pretrained_cfg", {})
        cfg["fixed_input_size"] = bool(timm_cfg.get("fixed_input_size", False))
        cfg["first_conv"] = timm_cfg.get("first_conv")
        cfg["pool_size"] = None
        if timm_cfg.get("license"):
            cfg["license"] = timm_cfg["license"]
        if cfg["fixed_input_size"]:
            config["model_args"] = {"img_size": preprocess.size_px}
    section: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "name": network.name,
        "task": dataclasses.asdict(task) | {"classes": list(task.classes)},
        "preprocess": preprocess.as_dict(),
        "num_parameters": network.num_parameters,
    }
    if network.spec is not None:
        section["spec"] = network.spec.as_dict()
    return config | {
        "num_classes": network.num_outputs,
        "num_features": network.num_features,
        "label_names": list(task.classes),
        "pretrained_cfg": cfg,
        "saccade": section,
    }


def load(folder: Path) -> Bundle:
    """Return the model of a folder, after checking every file in it.

    Raises:
        ArtefactError: a file is missing (E510), not what it claims (E511, E512), altered (E513),
            of a newer format (E514), or its parts do not fit together (E515 to E517); or the
            weights are wrong (E501 to E503).
    """
    config = read_config(folder)
    section = _section(folder, config)
    task, preprocess = _nouns(folder, section)
    _check_agreement(folder, config, task=task, preprocess=preprocess)
    _check_files(folder, section)
    network = _network(folder, config, task=task, preprocess=preprocess)
    golden = _read_golden(folder, section, num_outputs=task.num_outputs)
    network.eval()
    return Bundle(
        network=network, task=task, preprocess=preprocess, config=config, golden=golden
    )


def read_config(folder: Path) -> dict[str, Any]:
    """Return config.json of a model folder as it stands."""
    path = folder / CONFIG
    if not path.is_file():
        raise ArtefactError(
            f"This is not a model folder: it has no {CONFIG}.",
            code="510",
            where=str(folder),
            fix="name the folder `model` of a finished run, or a run folder",
        )
    return _read_json(path)


def _read_json(path: Path) -> dict[str, Any]:
    size = path.stat().st_size
    if size > MAX_CONFIG_BYTES:
        _wrong(path, f"it is {size / 1e6:.0f} MB long, and 4 MB is the most", code="511")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        _wrong(path, "it is not JSON", code="511")
    if not isinstance(content, dict):
        _wrong(path, "it is not a JSON object", code="511")
    return content


def _wrong(path: Path, why: str, *, code: str = "512") -> NoReturn:
    raise ArtefactError(
        f"{path.name} of this model is not right: {why}.",
        code=code,
        where=str(path),
        fix="copy the whole model folder again from where it was made",
    )


def _section(folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    path = folder / CONFIG
    section = config.get("saccade")
    if not isinstance(section, dict):
        _wrong(path, "it has no section `saccade`, so another program wrote it")
    version = section.get("format_version")
    if not isinstance(version, int) or version < 1:
        _wrong(path, f"its format_version is {str(version)[:20]!r}")
    if version > FORMAT_VERSION:
        raise ArtefactError(
            f"This model is of format {version}; this saccade reads up to {FORMAT_VERSION}.",
            code="514",
            where=str(path),
            fix="install a newer saccade",
        )
    expected = {"format_version", "name", "task", "preprocess", "num_parameters", "files"}
    missing = sorted((expected | {"provenance"}) - set(section))
    unknown = sorted(set(section) - expected - {"provenance", "spec"})
    if missing or unknown:
        parts = [f"{t}: {listed(k)}" for t, k in (("missing", missing), ("unknown", unknown)) if k]
        _wrong(path, f"the section `saccade` has other entries than it should, {'; '.join(parts)}")
    return section


def _nouns(folder: Path, section: Mapping[str, Any]) -> tuple[Task, Preprocess]:
    path = folder / CONFIG
    try:
        fields = dict(section["task"])
        fields["classes"] = tuple(fields["classes"])
        task = Task(**fields)
        preprocess = Preprocess.from_dict(section["preprocess"])
    except (TypeError, ValueError, KeyError, OverflowError):
        _wrong(path, "its task or preprocess is not complete")
    if task.kind not in {"binary", "multiclass", "multilabel", "regression"}:
        _wrong(path, f"its task is of the unknown kind {str(task.kind)[:20]!r}")
    names = task.classes
    if len(names) > MAX_CLASSES or not all(isinstance(name, str) for name in names):
        _wrong(path, "its classes are not a list of names")
    if len(set(names)) != len(names) or (task.kind == "binary" and len(names) != 2):
        _wrong(path, "its classes are not distinct, or too many or few")
    if not 1 <= preprocess.size_px <= 4096 or not 0 < preprocess.crop_fraction <= 1:
        _wrong(path, "its preprocess is out of range")
    return task, preprocess


def _check_agreement(
    folder: Path, config: Mapping[str, Any], *, task: Task, preprocess: Preprocess
) -> None:
    path = folder / CONFIG
    if config.get("num_classes") != task.num_outputs:
        _wrong(
            path,
            f"num_classes is {str(config.get('num_classes'))[:20]}, but the task has "
            f"{task.num_outputs} output(s)",
            code="515",
        )
    labels = config.get("label_names")
    if labels != list(task.classes):
        _wrong(path, "label_names and the classes of the task differ", code="515")
    cfg = config.get("pretrained_cfg")
    mine = [3, preprocess.size_px, preprocess.size_px]
    if not isinstance(cfg, dict) or cfg.get("input_size") != mine:
        _wrong(path, "pretrained_cfg and preprocess speak of different sizes", code="515")


def _check_files(folder: Path, section: Mapping[str, Any]) -> None:
    files = section["files"]
    if not isinstance(files, dict) or WEIGHTS not in files or len(files) > 1000:
        _wrong(folder / CONFIG, "its list of files is not complete")
    for name, expected in files.items():
        if name != WEIGHTS and not re.fullmatch(r"golden/[0-9a-z]+(\.[0-9a-z]+)?", name):
            _wrong(folder / CONFIG, f"it names a file that may not be there, {name[:60]!r}")
        path = folder / name
        if not path.is_file() or path.is_symlink():
            raise ArtefactError(
                f"A file of this model is missing: {name}.",
                code="510",
                where=str(folder),
                fix="copy the whole model folder again from where it was made",
            )
        found = store.sha256(path)
        if found != expected:
            raise ArtefactError(
                f"{name} was changed after the model was saved: SHA-256 {str(expected)[:12]}… "
                f"expected, {found[:12]}… met.",
                code="513",
                where=str(path),
                fix="copy the whole model folder again from where it was made",
            )


def _network(
    folder: Path, config: Mapping[str, Any], *, task: Task, preprocess: Preprocess
) -> Network:
    path = folder / CONFIG
    infos = tensors.check(folder / WEIGHTS)
    section = config["saccade"]
    try:
        network = _empty(config, section, task=task, preprocess=preprocess)
    except SaccadeError as error:
        _wrong(path, f"its network cannot be built ({error.message.rstrip('.')})", code="516")
    except (TypeError, ValueError, KeyError, AttributeError):
        _wrong(path, "its network is not described completely", code="516")
    wanted = network.body.state_dict()
    shapes = {name: tuple(tensor.shape) for name, tensor in wanted.items()}
    found = {name: info.shape for name, info in infos.items()}
    if shapes != found:
        missing = [n for n in shapes if n not in found]
        unknown = [n for n in found if n not in shapes]
        differ = [n for n in shapes if n in found and found[n] != shapes[n]]
        parts = [
            f"{len(names)} {what} ({listed(names, limit=3)})"
            for what, names in (
                ("missing", missing),
                ("unknown", unknown),
                ("of another shape", differ),
            )
            if names
        ]
        raise ArtefactError(
            f"The weights are not those of {network.name}: tensors are {'; '.join(parts)}.",
            code="517",
            where=str(folder / WEIGHTS),
            fix="copy the whole model folder again from where it was made",
        )
    network.body.load_state_dict(tensors.read(folder / WEIGHTS), strict=True)
    return network


def _empty(
    config: Mapping[str, Any], section: Mapping[str, Any], *, task: Task, preprocess: Preprocess
) -> Network:
    architecture = config["architecture"]
    if architecture.startswith(SCRATCH_PREFIX):
        fields = dict(section["spec"])
        fields["widths"] = tuple(fields["widths"])
        spec = ScratchSpec(**fields)
        if spec.num_outputs != task.num_outputs or spec.img_size != preprocess.size_px:
            raise ValueError("spec")  # noqa: TRY301 - told by the caller
        return from_spec(spec)
    from saccade.models import backbones  # noqa: PLC0415 - networks from scratch need no timm

    backbone = dataclasses.replace(backbones.find(architecture), name=str(section["name"]))
    return from_backbone(backbone, num_outputs=task.num_outputs, size_px=preprocess.size_px)


def _read_golden(
    folder: Path, section: Mapping[str, Any], *, num_outputs: int
) -> tuple[GoldenPicture, ...]:
    if GOLDEN not in section["files"]:
        return ()
    path = folder / GOLDEN
    try:
        rows = _read_json(path)["pictures"]
        golden = tuple(
            GoldenPicture(
                name=store.decode_name(row["name"]),
                content=(folder / _known(row["file"], section)).read_bytes(),
                logits=tuple(float(value) for value in row["logits"]),
            )
            for row in rows
        )
    except (TypeError, ValueError, KeyError):
        _wrong(path, "its pictures are not described completely")
    if any(len(picture.logits) != num_outputs for picture in golden):
        _wrong(path, "it expects another number of outputs")
    return golden


def _known(name: str, section: Mapping[str, Any]) -> str:
    if name not in section["files"]:
        raise ValueError(name)
    return name
