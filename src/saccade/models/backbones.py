"""The architectures of timm, and the hub that keeps their weights: the only door to both."""

import fnmatch
import inspect
import os
import queue
import re
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saccade.data.preprocess import Fit, Preprocess
from saccade.models import late_dynamo
from saccade.runtime.errors import UsageError, listed, nearest

if TYPE_CHECKING:
    import torch
    from torch import nn

MAX_PX = 4096
ANSWER_SECONDS = 2.5  # a missing network must be told within 3 s
_INTERPOLATIONS = {"nearest", "bilinear", "bicubic", "lanczos"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """What timm knows about an architecture without building it."""

    name: str  # as the user wrote it: "resnet50.a1_in1k", "xception"
    architecture: str  # timm's present name, without tag: "resnet50", "legacy_xception"
    tag: str  # which of several weights: "a1_in1k", or ""
    hub_id: str  # where the weights are on the hub: "timm/resnet50.a1_in1k", or ""
    hub_file: str  # the file there, a .safetensors
    licence: str  # of the weights: "apache-2.0", or "" where timm does not say
    input_px: int  # side of the input that the weights were trained with
    fixed_px: bool  # whether another size must be said when it is built (transformers)
    num_classes: int  # outputs of the pretrained classifier
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str
    crop_fraction: float


def _timm() -> Any:  # noqa: ANN401 - timm has no type hints
    # Names, licences and counts are read only; nothing is sent, also not by the hub's client.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    with late_dynamo.spared():
        import timm  # noqa: PLC0415 - seconds: networks from scratch do without

    return timm


def names(pattern: str = "") -> list[str]:
    """Return timm's architectures, sorted; `pattern` may hold `*` and `?`, else it is a part."""
    everything: list[str] = _timm().list_models()
    if not pattern:
        return everything
    if not set(pattern) & set("*?["):
        pattern = f"*{pattern}*"
    return [name for name in everything if fnmatch.fnmatchcase(name, pattern)]


def find(name: str) -> Backbone:
    """Return what is known about an architecture, with or without a tag such as `.a1_in1k`.

    Raises:
        UsageError: timm has no architecture (E210) or no weights' tag (E211) of that name.
    """
    timm = _timm()
    architecture, _, tag = name.partition(".")
    current, _, own_tag = _current_name(architecture).partition(".")
    tag = tag or own_tag
    if not re.fullmatch(r"\w+", architecture) or not timm.is_model(current):
        near = nearest(architecture, timm.list_models())
        raise UsageError(
            f"There is no network named {name!r}"
            + (f"; the nearest names are {listed(near)}." if near else "."),
            code="210",
            where="--model",
            fix="choose one that `saccade models` lists, or cnn or mlp for one from scratch",
        )
    try:
        found = timm.get_pretrained_cfg(f"{current}.{tag}" if tag else current)
    except RuntimeError as error:
        known = sorted(n.partition(".")[2] for n in timm.list_pretrained(f"{current}.*"))
        raise UsageError(
            f"{current} has no weights named {tag!r}; it has {listed(known) or 'none'}.",
            code="211",
            where="--model",
            fix=f"choose one of these, or write {current} alone",
        ) from error
    return _backbone(name, current, found)


def _current_name(architecture: str) -> str:
    from timm.models import _registry  # noqa: PLC0415 - timm only where it is needed

    return getattr(_registry, "_deprecated_models", {}).get(architecture) or architecture


def _backbone(name: str, architecture: str, cfg: Any) -> Backbone:  # noqa: ANN401 - timm's
    hub_id = cfg.hf_hub_id or ""
    if not hub_id and cfg.url and cfg.tag:
        # timm's own list names a pickle elsewhere; the hub keeps the same weights as safetensors.
        hub_id = f"timm/{architecture}.{cfg.tag}"
    hub_file = Path(cfg.hf_hub_filename or "model.safetensors").stem
    return Backbone(
        name=name,
        architecture=architecture,
        tag=cfg.tag or "",
        hub_id=hub_id,
        hub_file="open_clip_model.safetensors"
        if hub_file.startswith("open_clip")
        else "model.safetensors",
        licence=cfg.license or "",
        input_px=max(cfg.input_size[1:]),
        fixed_px=cfg.fixed_input_size,
        num_classes=cfg.num_classes,
        mean=tuple(cfg.mean),
        std=tuple(cfg.std),
        interpolation=cfg.interpolation if cfg.interpolation in _INTERPOLATIONS else "bicubic",
        crop_fraction=cfg.crop_pct,
    )


def preprocess(backbone: Backbone, *, img_size: int, fit: Fit) -> Preprocess:
    """Return the preprocessing that the weights were trained with, at `img_size` if not 0."""
    if img_size and not 16 <= img_size <= MAX_PX:
        raise UsageError(
            f"--img-size is {img_size}, but must be 16 to {MAX_PX} pixels.",
            code="212",
            where=backbone.name,
            fix=f"leave --img-size out to take {backbone.input_px}, what the weights know",
        )
    return Preprocess(
        size_px=img_size or backbone.input_px,
        fit=fit,
        crop_fraction=backbone.crop_fraction,
        interpolation=backbone.interpolation,
        mean=backbone.mean,
        std=backbone.std,
    )


def create(
    backbone: Backbone, *, num_outputs: int, drop: float = 0.0, img_size: int = 0
) -> "nn.Module":
    """Return the network with random weights and a classifier of `num_outputs`.

    Raises:
        UsageError: the architecture cannot take pictures of this size (E213), or is no classifier
            (E217).
    """
    name = f"{backbone.architecture}.{backbone.tag}" if backbone.tag else backbone.architecture
    arguments: dict[str, Any] = {"num_classes": num_outputs}
    if drop:
        arguments["drop_rate"] = drop
    if backbone.fixed_px and img_size not in {0, backbone.input_px}:
        arguments["img_size"] = img_size
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network: nn.Module = _timm().create_model(name, pretrained=False, **arguments)
    except (AssertionError, ValueError, TypeError, RuntimeError) as error:
        if isinstance(error, TypeError) and "img_size" not in arguments:
            raise UsageError(
                f"{backbone.name} is not made to classify pictures.",
                code="217",
                where=f"--model {backbone.name}",
                fix="choose another architecture",
            ) from error
        if "img_size" not in arguments:
            raise
        raise UsageError(
            f"{backbone.name} cannot take pictures of {img_size} px.",
            code="213",
            where="--img-size",
            fix="choose another size, often a larger one or a multiple of 32, or leave it out",
        ) from error
    return network


def classifier_names(network: "nn.Module") -> tuple[str, ...]:
    """Return the names of the layers that give the logits; more than one in a few networks."""
    cfg = getattr(network, "pretrained_cfg", {})
    named = cfg.get("classifier") or ()
    return (named,) if isinstance(named, str) else tuple(named)


def coarse_groups(network: "nn.Module", names: Sequence[str]) -> list[int]:
    """Return for each dotted name timm's number of the coarse group (block) it belongs to.

    Numbers ascend from input to output; what matches nothing, such as the head, has the
    highest.
    """
    from timm.models._manipulate import group_with_matcher  # noqa: PLC0415 - timm only where it is needed

    matcher = network.group_matcher(coarse=True)  # type: ignore[operator]
    found: dict[str, int] = group_with_matcher([(n, n) for n in names], matcher, reverse=True)
    return [int(found[name]) for name in names]


def resolution_marks(network: "nn.Module") -> list[tuple[str, int]]:
    """Return the last module at each resolution, as (dotted name, reduction), input to output."""
    infos = getattr(network, "feature_info", None) or []
    return [(info["module"], int(info["reduction"])) for info in infos]


def converted(
    network: "nn.Module", tensors: "dict[str, torch.Tensor]"
) -> "dict[str, torch.Tensor]":
    """Return weights of an older or foreign layout in the layout of this architecture.

    Runs the architecture's own filter from timm, which renames tensors and resamples position
    embeddings; weights that it cannot read come back as they were.
    """
    module = sys.modules[type(network).__module__]
    for name in ("checkpoint_filter_fn", "_filter_fn"):
        function = getattr(module, name, None)
        if function is None:
            continue
        try:
            arguments = (dict(tensors), network)
            changed: dict[str, torch.Tensor] = function(
                *arguments[: len(inspect.signature(function).parameters)]
            )
        except Exception:  # noqa: BLE001 - a foreign filter on foreign weights may fail anyhow
            continue
        return changed
    return tensors


def cached(backbone: Backbone) -> Path | None:
    """Return the weights if the hub's cache on this machine (HF_HOME) has them."""
    _timm()
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415 - 0.5 s

    found = try_to_load_from_cache(backbone.hub_id, backbone.hub_file)
    return Path(found) if isinstance(found, str) else None


def address(backbone: Backbone) -> str:
    """Return where a person can fetch the weights by hand."""
    _timm()
    from huggingface_hub import hf_hub_url  # noqa: PLC0415 - 0.5 s

    return str(hf_hub_url(backbone.hub_id, backbone.hub_file))


def download(backbone: Backbone) -> tuple[Path, str]:
    """Return the weights' file from the hub and the hash the hub gives for it ("" if none).

    The first answer must come within `ANSWER_SECONDS`, name look-up included; there is no retry.
    HF_HOME, HF_ENDPOINT and HF_HUB_OFFLINE are respected. Only the one safetensors file is asked
    for, never a pickle.

    Raises:
        ConnectionError: with one sentence that says why it could not be had.
    """
    _timm()
    import huggingface_hub as hub  # noqa: PLC0415 - 0.5 s
    from huggingface_hub import constants  # noqa: PLC0415

    constants.HF_HUB_DISABLE_TELEMETRY = True  # the variable is too late where it was imported
    if hub.is_offline_mode():
        raise ConnectionError("HF_HUB_OFFLINE is set and the cache does not have them")
    url = hub.hf_hub_url(backbone.hub_id, backbone.hub_file)
    told = _within(ANSWER_SECONDS, lambda: hub.get_hf_file_metadata(url, timeout=ANSWER_SECONDS))
    try:
        path = hub.hf_hub_download(
            backbone.hub_id,
            backbone.hub_file,
            etag_timeout=ANSWER_SECONDS,
        )
    except Exception as error:  # the client raises many kinds
        raise ConnectionError(f"the download broke off ({type(error).__name__})") from error
    return Path(path), told.etag or ""


def _within(seconds: float, question: Callable[[], Any]) -> Any:  # noqa: ANN401 - the hub's answer
    # In a thread, for a name look-up obeys no timeout and can take half a minute offline.
    answers: queue.Queue[Any] = queue.Queue()

    def ask() -> None:
        try:
            answers.put(question())
        except Exception as error:  # noqa: BLE001 - handed to the caller
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise ConnectionError(f"the hub did not answer within {seconds:g} s") from None
    if isinstance(answer, Exception):
        raise ConnectionError(_why(answer)) from answer
    return answer


def _why(error: Exception) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in {401, 403}:
        return f"the hub refused to give them (HTTP {status})"
    if status == 404:
        return "the hub has no such file (HTTP 404)"
    if status:
        return f"the hub answered with an error (HTTP {status})"
    return f"the hub cannot be reached ({type(error).__name__})"
