"""What the model card is written with: texts from outside made harmless, entries of run.json."""

import html
import json
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from saccade.reporting.wording import visible

_SPECIAL = re.compile(r"([\\*_{}\[\]#|~!])")
_APOSTROPHE = chr(0x2BC)  # in place of backquotes, which could open or close code


def entry(run: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """Return a section of run.json; empty where it is missing or is none."""
    section: Any = run
    for key in keys:
        section = section.get(key) if isinstance(section, Mapping) else None
    return section if isinstance(section, Mapping) else {}


def dataset_name(run: Mapping[str, Any]) -> str:
    """Return the last name of the place the pictures came from."""
    place = str(entry(run, "data").get("place") or "unnamed pictures")
    return PurePosixPath(place).name or place


def model_name(run: Mapping[str, Any]) -> str:
    """Return what to call the model of a run."""
    return f"{entry(run, 'model').get('name') or 'model'} for {dataset_name(run)}"


def plain(text: str) -> str:
    """Return text that Markdown shows as it is: no markup, no HTML, no new line."""
    one_line = " ".join(visible(text).split()).replace("`", _APOSTROPHE)
    return _SPECIAL.sub(r"\\\1", html.escape(one_line, quote=False))


def code(text: str) -> str:
    """Return text as code on one line."""
    one_line = " ".join(visible(text).split())
    return f"`{one_line.replace('`', _APOSTROPHE)}`" if one_line else "–"


def quoted(text: str) -> str:
    """Return a JSON text, which is a YAML text too, so that no name breaks out of its line."""
    return json.dumps(visible(text), ensure_ascii=False)
