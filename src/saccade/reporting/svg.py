"""Drawn text that is safe by construction: every attribute and every text is escaped."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Self

from saccade.reporting.wording import visible


class Svg(str):
    """Finished markup, which the page takes as it is.

    Only `element` makes it, so no text from outside can reach it unescaped.
    """

    __slots__ = ()

    def __html__(self) -> Self:
        return self


def element(tag: str, attributes: Mapping[str, object], *content: str) -> Svg:
    """Return one element; plain text in `content` and all attributes are escaped.

    >>> str(element("text", {"x": 1.23456}, "a < b"))
    '<text x="1.23">a &lt; b</text>'
    """
    written = "".join(f' {key}="{_attribute(value)}"' for key, value in attributes.items())
    inner = "".join(
        part if isinstance(part, Svg) else html.escape(visible(part)) for part in content
    )
    return Svg(f"<{tag}{written}>{inner}</{tag}>" if inner else f"<{tag}{written}/>")


def joined(parts: Sequence[Svg]) -> Svg:
    """Return several elements as one piece of markup."""
    return Svg("".join(parts))


def drawing(width: float, height: float, *content: Svg, label: str, kind: str = "chart") -> Svg:
    """Return a picture that scales with its box; `label` is read out in its place."""
    attributes = {
        "viewBox": f"0 0 {_number(width)} {_number(height)}",
        "class": kind,
        "role": "img",
        "aria-label": label,
    }
    return element("svg", attributes, *content)


def line(x1: float, y1: float, x2: float, y2: float, *, kind: str) -> Svg:
    """Return a straight line of a kind that the style sheet knows."""
    return element("line", {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "class": kind})


def words(x: float, y: float, text: str, *, kind: str = "tick", anchor: str = "start") -> Svg:
    """Return text whose base line begins, centres or ends at (x, y)."""
    return element("text", {"x": x, "y": y, "class": kind, "text-anchor": anchor}, text)


def _attribute(value: object) -> str:
    if isinstance(value, float | int) and not isinstance(value, bool):
        return _number(value)
    return html.escape(visible(str(value)))


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "0"
    return f"{value:.2f}".rstrip("0").rstrip(".")
