"""What a model knows of its own answers, in its folder: a section of config.json and a file.

The numbers a person may want to read are in the section; those of every held-out picture, and
the reference that features are compared with, are in `trust.safetensors`.
"""

import itertools
import math
import operator
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch

from saccade.data.task import Task
from saccade.evaluation.calibration import FEWEST, MOST_KNOTS, Calibration, Kind
from saccade.evaluation.conformal import Conformal
from saccade.evaluation.held import FITS
from saccade.evaluation.model_trust import ModelTrust
from saccade.evaluation.selective import QUARTERS, Selective
from saccade.evaluation.unknown import MOST_AXES, Reference, Unknown
from saccade.models import manifest, tensors
from saccade.models.manifest import CONFIG, TRUST
from saccade.models.tensors import TensorInfo

MAX_BYTES = 64_000_000
MAX_PICTURES = 2_000_000
_KEYS = {"part", "n", "calibration", "effect", "unknown", "why_no_unknown"}
_CALIBRATION = {"kind", "temperature", "knots", "values", "n", "why"}
_UNKNOWN = {"threshold", "rate", "n"}


def write(folder: Path, trust: ModelTrust) -> dict[str, Any]:
    """Write the file of a trust into a model folder, and return the section for config.json.

    Raises:
        ResourceError: the disk does not take it (E401).
    """
    arrays: dict[str, np.ndarray] = {"misfits": trust.conformal.misfits_N}
    if trust.conformal.sizes_N is not None:
        arrays["sizes"] = trust.conformal.sizes_N.astype(np.float32)
    if trust.selective is not None:
        arrays |= {
            "sureness": trust.selective.sureness_N,
            "right": trust.selective.right_N.astype(np.uint8),
        }
    if trust.unknown is not None:
        arrays |= {
            f"reference.{name}": value for name, value in trust.unknown.reference.arrays().items()
        }
    tensors.write(
        folder / TRUST,
        {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in arrays.items()},
    )
    return _section(trust)


def _section(trust: ModelTrust) -> dict[str, Any]:
    calibration = {k: v for k, v in asdict(trust.calibration).items() if k in _CALIBRATION}
    lists = {"knots": list(trust.calibration.knots), "values": list(trust.calibration.values)}
    unknown = trust.unknown
    return {
        "part": trust.part,
        "n": trust.n,
        "calibration": calibration | lists,
        "effect": None if trust.selective is None else list(trust.selective.effects),
        "unknown": None
        if unknown is None
        else {"threshold": unknown.threshold, "rate": unknown.rate, "n": unknown.n},
        "why_no_unknown": trust.why_no_unknown,
    }


def read(
    folder: Path, section: Mapping[str, Any], *, task: Task, num_features: int
) -> ModelTrust | None:
    """Return what a model knows of its own answers; None where it was saved without.

    Raises:
        ArtefactError: section and file are not what they should be (E512, E515), or the file is
            no sound safetensors file (E501 to E503).
    """
    own, path = section.get("trust"), folder / CONFIG
    if (own is None) != (TRUST not in section["files"]):
        manifest.wrong(path, f"it has the section `trust` without {TRUST}, or the other way round")
    if own is None:
        return None
    if not isinstance(own, dict) or set(own) != _KEYS or own["part"] != FITS:
        _wrong(path, "is not complete")
    n = _whole(path, own["n"], "n", low=1, high=MAX_PICTURES)
    calibration = _calibration(path, own["calibration"], task=task)
    found = _tensors(folder)
    selective = None
    if task.kind != "regression":
        selective = _selective(folder, found, n=n, effect=own["effect"])
    elif own["effect"] is not None:
        _wrong(path, "speaks of right and wrong values")
    misfits_N = _column(folder, found, "misfits", n)
    most = math.inf if task.kind == "regression" else 1.0
    if misfits_N[0] < 0 or misfits_N[-1] > most or (np.diff(misfits_N) < 0).any():
        manifest.wrong(folder / TRUST, "its misfits do not rise from 0")
    sizes_N = _sizes(folder, found, n) if "sizes" in found else None
    unknown = _unknown(folder, own["unknown"], found, task=task, num_features=num_features)
    why = own["why_no_unknown"]
    if found or not isinstance(why, str) or len(why) > 1_000:
        _wrong(path, f"and {TRUST} hold different things")
    return ModelTrust(
        part=FITS,
        calibration=calibration,
        conformal=Conformal(misfits_N=misfits_N, sizes_N=sizes_N),
        selective=selective,
        unknown=unknown,
        why_no_unknown=why,
    )


def _wrong(path: Path, why: str) -> NoReturn:
    manifest.wrong(path, f"its section `trust` {why}")


def _whole(path: Path, value: object, name: str, *, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        _wrong(path, f"has {name} = {str(value)[:20]}, not a whole number from {low} to {high}")
    return value


def _number(path: Path, value: object, name: str, *, low: float, high: float) -> float:
    if type(value) not in {int, float} or not low <= value <= high:  # type: ignore[operator]
        _wrong(path, f"has {name} = {str(value)[:20]}, not a number from {low:g} to {high:g}")
    return float(value)  # type: ignore[arg-type]


def _calibration(path: Path, own: object, *, task: Task) -> Calibration:
    if not isinstance(own, dict) or set(own) != _CALIBRATION:
        _wrong(path, "has no complete calibration")
    kinds: dict[str, Kind] = {"none": "none"}
    if task.kind != "regression":
        kinds |= {"temperature": "temperature", "isotonic": "isotonic"}
    if not isinstance(own["kind"], str) or own["kind"] not in kinds:
        _wrong(path, f"names the calibration {str(own['kind'])[:20]!r}")
    if not isinstance(own["why"], str) or len(own["why"]) > 1_000:
        _wrong(path, "does not say why its calibration is what it is")
    knots, values = (_rising(path, own[name], name) for name in ("knots", "values"))
    is_curve = own["kind"] == "isotonic"
    if len(knots) != len(values) or bool(knots) != is_curve:
        _wrong(path, "has a curve of another length, or none")
    if is_curve and (knots[0] != 0 or knots[-1] != 1):
        _wrong(path, "has a curve that does not reach from 0 to 1")
    fewest = 0 if own["kind"] == "none" else FEWEST
    return Calibration(
        kind=kinds[own["kind"]],
        temperature=_number(path, own["temperature"], "temperature", low=1e-9, high=1e9),
        knots=knots,
        values=values,
        n=_whole(path, own["n"], "calibration n", low=fewest, high=MAX_PICTURES),
        why=own["why"],
    )


def _rising(path: Path, own: object, name: str) -> tuple[float, ...]:
    if not isinstance(own, list) or len(own) > MOST_KNOTS + 2:
        _wrong(path, f"has {name} that are no list of up to {MOST_KNOTS + 2} numbers")
    found = tuple(_number(path, value, name, low=0, high=1) for value in own)
    # Close to 1 two knots may differ whose values, rounded, are the same.
    wrong = operator.gt if name == "values" else operator.ge
    if any(itertools.starmap(wrong, itertools.pairwise(found))):
        _wrong(path, f"has {name} that do not rise")
    return found


def _tensors(folder: Path) -> dict[str, np.ndarray]:
    path = folder / TRUST
    size = path.stat().st_size
    if size > MAX_BYTES:
        manifest.wrong(path, f"it is {size / 1e6:.0f} MB long, and 64 MB is the most")
    _check_kinds(path, tensors.check(path))
    return {name: tensor.numpy() for name, tensor in tensors.read(path).items()}


def _check_kinds(path: Path, infos: Mapping[str, TensorInfo]) -> None:
    for name, info in infos.items():
        if info.kind != ("U8" if name == "right" else "F32"):
            manifest.wrong(path, f"{name[:40]!r} is of the kind {info.kind}")


def _column(folder: Path, found: dict[str, np.ndarray], name: str, n: int) -> np.ndarray:
    """Return a number for each held-out picture, and take it away from what was found."""
    column = found.pop(name, None)
    if column is None or column.shape != (n,):
        manifest.wrong(folder / TRUST, f"it has no {name} of {n} pictures")
    return column


def _sizes(folder: Path, found: dict[str, np.ndarray], n: int) -> np.ndarray:
    """Return of how many pictures the group of each is; saved where some belong together."""
    sizes_N = _column(folder, found, "sizes", n).astype(np.float64)
    known, times = np.unique(sizes_N, return_counts=True)
    if known[0] < 1 or (known % 1 != 0).any() or (times % known != 0).any():
        manifest.wrong(folder / TRUST, "its sizes are not those of groups")
    return sizes_N.astype(np.int64)


def _selective(folder: Path, found: dict[str, np.ndarray], *, n: int, effect: object) -> Selective:
    sureness_N, right_N = (_column(folder, found, name, n) for name in ("sureness", "right"))
    falls = (np.diff(sureness_N) <= 0).all() and 0 <= sureness_N[-1] <= sureness_N[0] <= 1
    if not falls or right_N.max() > 1:
        manifest.wrong(
            folder / TRUST, "its sureness does not fall from 1 to 0, or right is not 0 or 1"
        )
    return Selective(
        sureness_N=sureness_N,
        right_N=right_N.astype(bool),
        effects=_effects(folder / CONFIG, effect),
    )


def _effects(path: Path, found: object) -> tuple[float, ...]:
    """Return one for each quarter of the surest answers, or one for all; once it was a number."""
    each = found if isinstance(found, list) else [found]
    if len(each) not in {1, QUARTERS}:
        _wrong(path, f"does not hold one effect or {QUARTERS}")
    return tuple(_number(path, own, "effect", low=1, high=MAX_PICTURES) for own in each)


def _unknown(
    folder: Path, own: object, found: dict[str, np.ndarray], *, task: Task, num_features: int
) -> Unknown | None:
    path = folder / CONFIG
    if own is None:
        return None
    if not isinstance(own, dict) or set(own) != _UNKNOWN:
        _wrong(path, "does not say completely what is unknown")
    names = [name for name in found if name.startswith("reference.")]
    arrays = {name.removeprefix("reference."): found.pop(name) for name in names}
    reference = Reference.from_arrays(arrays)
    if reference is None or reference.num_axes > MOST_AXES:
        manifest.wrong(folder / TRUST, "its reference is not complete")
    if reference.num_features != num_features:
        manifest.wrong(
            folder / TRUST,
            f"its reference is of {reference.num_features} features, the network has "
            f"{num_features}",
            code="515",
        )
    return Unknown(
        reference=reference,
        threshold=_number(path, own["threshold"], "threshold", low=0, high=1e30),
        rate=_number(path, own["rate"], "rate", low=1e-9, high=0.5),
        n=_whole(path, own["n"], "unknown n", low=1, high=MAX_PICTURES),
    )
