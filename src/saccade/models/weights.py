"""Where pretrained weights come from, and how they get into a network: whole, or not at all."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from saccade.data.folders import neighbours
from saccade.models import backbones, tensors
from saccade.models.backbones import Backbone
from saccade.models.tensors import TensorInfo
from saccade.runtime import store
from saccade.runtime.errors import ArtefactError, ResourceError, UsageError, listed, nearest

if TYPE_CHECKING:
    import torch
    from torch import nn

SCRATCH = ("cnn", "mlp")
VARIABLE = "SACCADE_WEIGHTS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """A file of weights that was found and checked, not yet read."""

    path: Path
    sha256: str
    licence: str  # "apache-2.0", or "" where nobody says
    source: str  # for people: "the hub, timm/resnet18.a1_in1k", "file resnet18.safetensors"


def fetch(name: str, *, weights: str = "auto") -> Weights | None:
    """Return the weights for an architecture, or None where none are wanted.

    Args:
        name: a timm architecture, or cnn or mlp (these have no weights to fetch).
        weights: `auto` looks into the file or folder that SACCADE_WEIGHTS names, then into the
            hub's cache, then on the hub; `none` wants none; else a file or a folder.

    Raises:
        UsageError: unknown architecture (E210, E211); weights for a network from scratch (E215).
        ResourceError: they cannot be had (E411 hub, E412 file, E413 folder).
        ArtefactError: they are not safetensors (E501), damaged (E502), or not what the hub
            announced (E504).
    """
    if name in SCRATCH:
        if weights in {"auto", "none", ""}:
            return None
        raise UsageError(
            f"{name} learns from scratch and takes no weights, but --weights is {weights!r}.",
            code="215",
            where="--weights",
            fix="leave --weights out, or choose a timm architecture with --model",
        )
    if weights == "none":
        backbones.find(name)
        return None
    backbone = backbones.find(name)
    if weights not in {"auto", ""}:
        return _local(backbone, Path(weights).expanduser(), asked_by="--weights")
    place = os.environ.get(VARIABLE, "")
    if place:
        folder = Path(place).expanduser()
        if not folder.is_dir() or _in_folder(backbone, folder) is not None:
            return _local(backbone, folder, asked_by=VARIABLE)
    return _from_hub(backbone)


def at_hand(name: str, *, weights: str = "auto") -> bool:
    """Say whether weights for an architecture lie on this machine, by the names that `fetch` knows.

    A single file, or a folder with one, counts only for the architecture that it names.
    """
    backbone = backbones.find(name)
    if (file := single_file(weights)) is not None:
        return file.name in _candidates(backbone)
    place = _named_place(weights)
    if place is not None and (found := _in_folder(backbone, place)) is not None:
        return found != place / "model.safetensors" or "architecture" in _config(place)
    is_auto = weights in {"auto", ""}
    return is_auto and bool(backbone.hub_id) and backbones.cached(backbone) is not None


def single_file(weights: str = "auto") -> Path | None:
    """Return the one file that `fetch` would take for any architecture, or None."""
    place = _named_place(weights)
    return place if place is not None and place.is_file() else None


def _named_place(weights: str) -> Path | None:
    named = os.environ.get(VARIABLE, "") if weights in {"auto", ""} else weights
    return Path(named).expanduser() if named else None


def _local(backbone: Backbone, place: Path, *, asked_by: str) -> Weights:
    path = place
    if place.is_dir():
        found = _in_folder(backbone, place)
        if found is None:
            raise ResourceError(
                f"The folder holds no weights for {backbone.name}: looked for "
                f"{listed(_candidates(backbone))}.",
                code="413",
                where=f"{asked_by} {place}",
                fix=f"put the weights there under one of these names, or name the file itself; "
                f"{_by_hand(backbone)}",
            )
        path = found
    elif not place.exists():
        beside, _ = neighbours(place)
        near = nearest(place.name, [own for own in beside if own.endswith(".safetensors")])
        perhaps = f"perhaps {listed(map(store.encode_name, near))}; " if near else ""
        raise ResourceError(
            "There is no such file or folder of weights.",
            code="412",
            where=f"{asked_by} {place}",
            fix=f"{perhaps}name a .safetensors file that exists; {_by_hand(backbone)}",
        )
    tensors.check(path)
    return Weights(
        path=path,
        sha256=store.sha256(path),
        licence=_stated_licence(path),
        source=f"file {path.name}",
    )


def _candidates(backbone: Backbone) -> list[str]:
    tagged = f"{backbone.architecture}.{backbone.tag}"
    stems = dict.fromkeys([backbone.name, tagged, backbone.architecture])
    names = [f"{stem}.safetensors" for stem in stems]
    return names + [f"{stem}/model.safetensors" for stem in stems]


def _in_folder(backbone: Backbone, folder: Path) -> Path | None:
    for name in _candidates(backbone):
        if (folder / name).is_file():
            return folder / name
    whole = folder / "model.safetensors"
    config = _config(folder)
    if whole.is_file() and config.get("architecture") in {None, backbone.architecture}:
        return whole
    return None


def _config(folder: Path) -> Mapping[str, object]:
    path = folder / "config.json"
    if not path.is_file() or path.stat().st_size > 4_000_000:
        return {}
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _stated_licence(path: Path) -> str:
    cfg = _config(path.parent).get("pretrained_cfg") if path.name == "model.safetensors" else None
    licence = cfg.get("license") if isinstance(cfg, dict) else ""
    return licence if isinstance(licence, str) else ""


def _by_hand(backbone: Backbone) -> str:
    if not backbone.hub_id:
        return "or begin from random weights with --weights none"
    return (
        f"fetch {backbones.address(backbone)} on another machine and name the file with "
        "--weights FILE, or begin from random weights with --weights none"
    )


def _from_hub(backbone: Backbone) -> Weights:
    if not backbone.hub_id:
        raise ResourceError(
            f"Nobody publishes weights for {backbone.name} as safetensors.",
            code="411",
            where=f"--model {backbone.name}",
            fix=f"name a file with --weights FILE, {_by_hand(backbone)}",
        )
    path, announced = backbones.cached(backbone), ""
    is_new = path is None
    if path is None:
        try:
            path, announced = backbones.download(backbone)
        except ConnectionError as error:
            raise ResourceError(
                f"The weights of {backbone.name} cannot be had: {error}.",
                code="411",
                where=f"{backbone.hub_id}/{backbone.hub_file}",
                fix=_by_hand(backbone),
            ) from error
    # The cache stores each file under the hash that the hub announced for it.
    announced = announced or path.resolve().name
    found = store.sha256(path)
    if len(announced) == 64 and announced != found:
        if is_new:
            path.resolve().unlink(missing_ok=True)
        raise ArtefactError(
            f"The weights of {backbone.name} are not what the hub announced: SHA-256 "
            f"{announced[:12]}… expected, {found[:12]}… met.",
            code="504",
            where=str(path),
            fix="try again; if it stays so, "
            + ("" if is_new else "delete that file, or ")
            + _by_hand(backbone),
        )
    tensors.check(path)
    return Weights(
        path=path, sha256=found, licence=backbone.licence, source=f"the hub, {backbone.hub_id}"
    )


def check_fit(network: "nn.Module", weights: Weights, *, name: str, classifier: str) -> None:
    """Raise as `load_into` would, from the file's header alone where that is enough.

    What `network` holds afterwards is not defined.

    Raises:
        ArtefactError: the file is wrong (E501 to E503), or is of another network (E505).
    """
    if header_difference(network, tensors.check(weights.path), classifier=classifier):
        load_into(network, weights, name=name, classifier=classifier)


def load_into(
    network: "nn.Module", weights: Weights, *, name: str, classifier: str
) -> tuple[str, ...]:
    """Load weights into a network, all or nothing, and return what a person should know.

    Only the classifier may be left as it is, and only where its number of outputs differs;
    a sentence then says so.

    Raises:
        ArtefactError: the file is wrong (E501 to E503), or its tensors are not those of the
            network (E505, with the difference).
    """
    found = tensors.read(weights.path)
    wanted = network.state_dict()
    own = _keys_of(classifier, wanted)
    if _difference(wanted, found, own):
        changed = backbones.converted(network, found)
        if not _difference(wanted, changed, own):
            found = changed
    difference = _difference(wanted, found, own)
    if difference:
        raise ArtefactError(
            f"These weights are not for {name}: {difference}.",
            code="505",
            where=str(weights.path),
            fix="name the architecture they belong to with --model, or other weights",
        )
    notes: tuple[str, ...] = ()
    if any(key not in found or found[key].shape != wanted[key].shape for key in own):
        notes = (_dropped(found, wanted, classifier),)
        found = {**found, **{key: wanted[key] for key in own}}
        found = {key: tensor for key, tensor in found.items() if key in wanted}
    network.load_state_dict(found, strict=True)
    return notes


def _dropped(
    found: "Mapping[str, torch.Tensor]", wanted: "Mapping[str, torch.Tensor]", classifier: str
) -> str:
    new = wanted[f"{classifier}.weight"].shape[0]
    weight = found.get(f"{classifier}.weight")
    if weight is None:
        return f"The weights come without a head; a new one is made for this task ({new})."
    return (
        f"The weights' own head has {weight.shape[0]:,} outputs; a new one is made for this task "
        f"({new:,})."
    )


def _difference(
    wanted: "Mapping[str, torch.Tensor]", found: "Mapping[str, torch.Tensor]", free: set[str]
) -> str:
    each = ({key: _size(own) for key, own in held.items()} for held in (wanted, found))
    return _compare(*(_without(free, sizes) for sizes in each))


def header_difference(
    network: "nn.Module", found: Mapping[str, TensorInfo], *, classifier: str = ""
) -> str:
    """Return how a file's header differs from what a network needs, or nothing.

    The network may be on the meta device. What a `classifier` that is named holds may differ.
    """
    wanted = {key: _size(tensor) for key, tensor in network.state_dict().items()}
    own = {key: info.size() for key, info in found.items()}
    return _compare(*(_without(_keys_of(classifier, wanted), sizes) for sizes in (wanted, own)))


def _keys_of(layer: str, keys: Iterable[str]) -> set[str]:
    """Return the tensors of one layer; of no layer none."""
    return {key for key in keys if layer and key.rpartition(".")[0] == layer}


def _without(free: set[str], sizes: Mapping[str, str]) -> dict[str, str]:
    return {key: size for key, size in sizes.items() if key not in free}


def _compare(wanted: Mapping[str, str], found: Mapping[str, str]) -> str:
    missing = [key for key in wanted if key not in found]
    unknown = [key for key in found if key not in wanted]
    changed = [
        f"{key} {found[key]} instead of {wanted[key]}"
        for key in wanted
        if key in found and wanted[key] != found[key]
    ]
    parts = [
        f"{len(keys)} {what} ({listed(keys, limit=3)})"
        for what, keys in (
            ("missing", missing),
            ("unknown", unknown),
            ("of another shape", changed),
        )
        if keys
    ]
    return "tensors are " + "; ".join(parts) if parts else ""


def _size(tensor: "torch.Tensor") -> str:
    kind = "float" if tensor.is_floating_point() else "int"
    return TensorInfo(kind=kind, shape=tuple(tensor.shape)).size()
