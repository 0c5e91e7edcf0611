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

MAX_KEPT = 8  # networks, those used last; MobileNetV2 has 14 MB, VGG-16 550 MB


def key_of(key: str, **facts: object) -> str:
    """Return a file name for what `key` names, converted by these versions from these facts."""
    facts |= {name: metadata.version(name) for name in ("saccade", "torch", "openvino")}
    return hashlib.sha256(json.dumps([key, facts], sort_keys=True).encode()).hexdigest()


def content(path: Path, make: Callable[[], bytes]) -> tuple[bytes, str]:
    """Return the content of a kept network, made and kept if need be, and a note ("" if none).

    A file that is damaged is made anew. Where the disk refuses it, nothing is kept.
    """
    with contextlib.suppress(OSError):
        found = path.read_bytes()
        if converted.is_whole(found):
            path.touch()
            return found, ""
    made = make()
    try:
        _make_room(path.parent)
        store.write_bytes(path, made)
    except (OSError, ResourceError) as error:
        return made, f"The converted network is not kept for the next time: {error}"
    return made, ""


def _make_room(folder: Path) -> None:
    files = sorted(folder.glob("*.engine"), key=lambda file: file.stat().st_mtime)
    for file in files[: max(len(files) - MAX_KEPT + 1, 0)]:
        file.unlink(missing_ok=True)
