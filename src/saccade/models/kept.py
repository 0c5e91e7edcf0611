"""Converted networks on disk, so that the same backbone is converted once a machine."""

import contextlib
import hashlib
import json
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from saccade.models import converted
from saccade.runtime import store
from saccade.runtime.errors import ResourceError

MAX_BYTES = 1_000_000_000  # of those used last: seventy MobileNetV2, or one VGG-16


def key_of(key: str, **facts: object) -> str:
    """Return a file name for what `key` names, converted by these versions from these facts."""
    facts |= {name: metadata.version(name) for name in ("saccade", "torch", "timm", "openvino")}
    return hashlib.sha256(json.dumps([key, facts], sort_keys=True).encode()).hexdigest()


def content(path: Path, make: Callable[[], bytes]) -> tuple[bytes, str]:
    """Return the content of a kept network, made and kept if need be, and a note ("" if none).

    A file that is damaged is made anew. What is larger than `MAX_BYTES`, or refused by the disk, is
    not kept.
    """
    with contextlib.suppress(OSError):
        found = path.read_bytes()
        if converted.is_whole(found):
            path.touch()
            return found, ""
    made = make()
    if len(made) > MAX_BYTES:
        return made, ""
    try:
        store.write_bytes(path, made)
        _make_room(path.parent)
    except (OSError, ResourceError) as error:
        return made, f"The converted network is not kept for the next time: {error}"
    return made, ""


def _make_room(folder: Path) -> None:
    """Remove the files used longest ago until the rest has `MAX_BYTES` at most."""
    kept = [(file.stat(), file) for file in folder.glob("*.engine")]
    total = sum(facts.st_size for facts, _ in kept)
    for facts, file in sorted(kept, key=lambda own: own[0].st_mtime):
        if total <= MAX_BYTES:
            return
        file.unlink(missing_ok=True)
        total -= facts.st_size
