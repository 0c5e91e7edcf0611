"""The model folder: weights, classes, preprocessing and proofs; loads in plain timm too."""

import contextlib
import dataclasses
import math
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from saccade.data.preprocess import Preprocess
from saccade.data.task import Task
from saccade.evaluation.model_trust import ModelTrust
from saccade.models import manifest, tensors, trust_section
from saccade.models.blank import Blank, TooLarge
from saccade.models.manifest import CONFIG, TRUST, WEIGHTS
from saccade.models.network import SCRATCH_PREFIX, Network, from_backbone, from_spec
from saccade.models.scratch import ScratchSpec
from saccade.models.tensors import TensorInfo
from saccade.models.weights import header_difference
from saccade.runtime import store
from saccade.runtime.errors import ArtefactError, ResourceError, SaccadeError, UsageError

GOLDEN = "golden/golden.json"
_BYTES_A_CLASS = 200  # in golden.json: logits of eight pictures, 25 letters each at most


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenPicture:
    """An original picture and what the network said of it when the model was saved."""

    name: str  # the user's file name, for people; the file itself is stored under a number
    content: bytes  # the file as the user had it
    logits: tuple[float, ...]  # K numbers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bundle:
    """A model folder, read and checked; `network` is in evaluation mode."""

    network: Network
    task: Task
    preprocess: Preprocess
    config: Mapping[str, Any]  # config.json as it stands
    golden: tuple[GoldenPicture, ...]
    trust: ModelTrust | None = None  # what it knows of its own answers; None for older models


def save(
    folder: Path,
    network: Network,
    *,
    task: Task,
    preprocess: Preprocess,
    provenance: Mapping[str, Any],
    golden: Sequence[GoldenPicture] = (),
    trust: ModelTrust | None = None,
) -> None:
    """Write a model folder, whole or not at all; a model that is there already is replaced.

    It is built under a hidden name beside `folder`, synced, and then renamed.

    Args:
        folder: parents are made as needed.
        network: its weights are stored as they are, on the CPU.
        task: with as many outputs as the network has.
        preprocess: what the network was trained with.
        provenance: whatever JSON can hold: data, split, recipe, versions.
        golden: a few pictures with their logits, to prove the model by later.
        trust: what the model knows of its own answers, if anything.

    Raises:
        ResourceError: the disk does not take it (E401).
        UsageError: something else is there (E218).
    """
    if folder.exists() and not (folder / CONFIG).is_file() and not _is_empty(folder):
        raise UsageError(
            "There is something else where the model should be written.",
            code="218",
            where=str(folder),
            fix="name another folder",
        )
    with _replacing(folder) as new:
        tensors.write(new / WEIGHTS, network.body.state_dict())
        names = [WEIGHTS, *_write_golden(new, golden)]
        section = None
        if trust is not None:
            section = trust_section.write(new, trust)
            names.append(TRUST)
        config = manifest.describe(
            network,
            task=task,
            preprocess=preprocess,
            provenance=provenance,
            files={name: store.sha256(new / name) for name in names},
            trust=section,
        )
        store.write_json(new / CONFIG, config)


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


@contextlib.contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """Yield a new folder beside `folder` that takes its place when the block ends well."""
    new = folder.parent / f".{folder.name[:40]}.{secrets.token_hex(4)}.part"
    old = new.with_suffix(".old")
    try:
        new.mkdir(parents=True)
        yield new
        for place in (new / "golden", new):
            _sync(place)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
        _sync(folder.parent)
    except OSError as error:
        raise store.disk_error(error, folder) from error
    except ResourceError as error:
        if isinstance(error.__cause__, OSError):  # named after the folder the user knows
            raise store.disk_error(error.__cause__, folder) from error
        raise
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
    rows = []
    for number, picture in enumerate(golden):
        suffix = Path(picture.name).suffix.lower()
        file = f"golden/{number:03d}" + (suffix if re.fullmatch(r"\.[a-z0-9]+", suffix) else "")
        store.write_bytes(folder / file, picture.content)
        name = store.encode_name(picture.name)
        rows.append({"file": file, "name": name, "logits": list(picture.logits)})
    if not rows:
        return []
    store.write_text(folder / GOLDEN, store.json_text({"pictures": rows}, indent=None) + "\n")
    return [*(str(row["file"]) for row in rows), GOLDEN]


def load(folder: Path) -> Bundle:
    """Return the model of a folder, after checking every file in it.

    Raises:
        ArtefactError: a file is missing (E510), not JSON or too large (E511), incomplete (E512),
            changed (E513) or of a newer format (E514); its parts contradict each other (E515), its
            network cannot be built (E516), or the weights are another network's (E517) or wrong
            (E501 to E503).
    """
    config = manifest.read(folder)
    section = manifest.section_of(folder, config)
    task = manifest.task_of(folder, section)
    preprocess = manifest.preprocess_of(folder, section)
    manifest.check_agreement(folder, config, task=task, preprocess=preprocess)
    manifest.check_files(folder, section)
    manifest.check_unchanged(folder, config)
    golden = _read_golden(folder, section, num_outputs=task.num_outputs)
    network = _network(folder, config, task=task, preprocess=preprocess)
    trust = trust_section.read(folder, section, task=task, num_features=network.num_features)
    return Bundle(
        network=network,
        task=task,
        preprocess=preprocess,
        config=config,
        golden=golden,
        trust=trust,
    )


def _network(
    folder: Path, config: Mapping[str, Any], *, task: Task, preprocess: Preprocess
) -> Network:
    path = folder / WEIGHTS
    found = tensors.check(path)
    network = _blank(folder, config, task=task, preprocess=preprocess, found=found)
    network.body.load_state_dict(tensors.read(path), strict=True)
    licence = config["pretrained_cfg"].get("license", "")
    network.licence = licence if isinstance(licence, str) else ""
    network.eval()
    return network


def _blank(
    folder: Path,
    config: Mapping[str, Any],
    *,
    task: Task,
    preprocess: Preprocess,
    found: Mapping[str, TensorInfo],
) -> Network:
    """Return the network that config.json describes, if the weights' header fits to it."""
    numbers = sum(math.prod(info.shape) for info in found.values())
    try:
        # A forged config.json may name a giant: it is refused before it takes any memory.
        with Blank(max_numbers=2 * numbers + 1_000_000), torch.random.fork_rng(devices=[]):
            network = _build(folder, config, task=task, preprocess=preprocess)
    except TooLarge:
        difference = f"it needs more than twice the {numbers:,} numbers that the file holds"
    else:
        difference = header_difference(network.body, found)
        if not difference:
            return network
    raise ArtefactError(
        f"The weights are not those of {config['saccade']['name']}: {difference}.",
        code="517",
        where=str(folder / WEIGHTS),
        fix="copy the whole model folder again from where it was made",
    )


def _build(
    folder: Path, config: Mapping[str, Any], *, task: Task, preprocess: Preprocess
) -> Network:
    path = folder / CONFIG
    section = config["saccade"]
    architecture = config.get("architecture")
    if not isinstance(architecture, str):
        manifest.wrong(path, "it names no architecture", code="516")
    try:
        if architecture.startswith(SCRATCH_PREFIX):
            fields = dict(section["spec"])
            spec = ScratchSpec(**fields | {"widths": tuple(fields["widths"])})
            if spec.num_outputs != task.num_outputs or spec.img_size != preprocess.size_px:
                manifest.wrong(path, "spec and task or preprocess differ", code="515")
            return from_spec(spec)
        from saccade.models import backbones  # noqa: PLC0415 - from scratch needs no timm

        backbone = dataclasses.replace(backbones.find(architecture), name=section["name"])
        return from_backbone(backbone, num_outputs=task.num_outputs, size_px=preprocess.size_px)
    except ArtefactError:
        raise
    except SaccadeError as error:
        why = error.message.rstrip(".")
        manifest.wrong(path, f"its network cannot be built: {why}", code="516")
    except (TypeError, ValueError, KeyError):
        manifest.wrong(path, "its network is not described completely", code="516")


def _read_golden(
    folder: Path, section: Mapping[str, Any], *, num_outputs: int
) -> tuple[GoldenPicture, ...]:
    files = section["files"]
    if GOLDEN not in files:
        return ()
    path = folder / GOLDEN
    pictures = []
    try:
        most = manifest.MAX_BYTES + _BYTES_A_CLASS * num_outputs
        for row in manifest.read_json(path, most=most)["pictures"]:
            logits = tuple(float(value) for value in row["logits"])
            if row["file"] not in files or len(logits) != num_outputs:
                manifest.wrong(path, "it names other files or outputs than the model has")
            content = (folder / row["file"]).read_bytes()
            name = store.decode_name(row["name"])
            pictures.append(GoldenPicture(name=name, content=content, logits=logits))
    except (TypeError, ValueError, KeyError, AttributeError):
        manifest.wrong(path, "its pictures are not described completely")
    return tuple(pictures)


def check_same(bundle: Bundle, *, task: Task, name: str = "") -> None:
    """Raise unless a model answers the same question as `task`, class by class and in order.

    Args:
        bundle: the model.
        task: what the data or the run ask.
        name: the network that is expected; empty = any.

    Raises:
        ArtefactError: with the difference (E518).
    """
    met, parts = bundle.task, []
    if met.kind != task.kind:
        parts.append(f"its task is {met.kind}, not {task.kind}")
    difference = manifest.class_difference(list(met.classes), task.classes)
    if difference:
        parts.append(f"its classes differ ({difference})")
    if name and name not in {bundle.network.name, bundle.network.architecture}:
        parts.append(f"it is {bundle.network.name}, not {name}")
    if parts:
        raise ArtefactError(
            f"This model does not answer what is asked: {'; '.join(parts)}.",
            code="518",
            where=f"the model folder of {bundle.network.name}",
            fix="take the model that was trained on these classes, or train a new one",
        )
