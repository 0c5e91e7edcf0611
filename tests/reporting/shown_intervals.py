"""Every interval that a page shows, and whether its n stands in the same place."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

_NUMBER = r"(?:[<>] )?[+−]?\d[\d,]*(?:\.\d+)?(?:e[+-]\d+)?(?:\s%)?"
_EXACT = r"(?:[<>] )?[+−]?(?:\d[\d,]*\.\d+(?:e[+-]\d+)?|\d+(?:\.\d+)?\s%)(?:\s%)?"
INTERVAL = re.compile(rf"\[{_NUMBER}, {_NUMBER}\]|{_EXACT} to {_EXACT}")
N = re.compile(
    r"\bn ?= ?\d|\d of [1-9][\d,]* \(|"
    r"\b[1-9][\d,]* (?:(?!more )[\w’'-]+ ){0,4}(?:pictures?|labels?|others)\b"
)
NO_INTERVAL = re.compile(r"(?:\brose|\bfell|\(numbers) from $")
"""Before "0.21 to 0.24" where something moved, or between which values the labels lie."""
GOES_ON = re.compile(r"^(?:They |The [\w ]+ alone gains|Of the variance|The mean F1 of the labels)")
"""Sentences that compare what the sentence before counted, so that its n is theirs."""
TEXTS = ("p", "li", "dd", "dt", "summary")
_VOID = {"meta", "link", "img", "br", "hr", "input"}


@dataclass(eq=False)
class Node:
    """An element of a page."""

    tag: str
    attributes: dict[str, str]
    above: "Node | None" = None
    content: list["Node | str"] = field(default_factory=list)

    @property
    def below(self) -> list["Node"]:
        """The elements in it."""
        return [own for own in self.content if isinstance(own, Node)]

    @property
    def text(self) -> str:
        """All text in it, in one line."""
        parts = [own if isinstance(own, str) else own.text for own in self.content]
        return " ".join(" ".join(parts).split())

    def nearest(self, *tags: str) -> "Node | None":
        """Return itself, or the first one above it, with one of these tags."""
        if self.tag in tags:
            return self
        return self.above.nearest(*tags) if self.above else None

    def every(self, *tags: str) -> Iterator["Node"]:
        """Yield all elements of some kinds in it."""
        for own in self.below:
            if own.tag in tags:
                yield own
            yield from own.every(*tags)

    def told(self) -> Iterator[tuple["Node", str]]:
        """Yield each text with the element that it stands in, and each that is read out."""
        for name in ("aria-label", "title", "alt"):
            if name in self.attributes:
                yield self, self.attributes[name]
        for own in self.content:
            if isinstance(own, str):
                yield self, " ".join(own.split())
            elif own.tag != "style":
                yield from own.told()


class _Tree(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = self.at = Node("page", {})

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in _VOID:
            self.at = self.at.below[-1]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        self.at.content.append(Node(tag, named, self.at))

    def handle_endtag(self, tag: str) -> None:
        own = self.at.nearest(tag)
        assert own is not None, tag
        assert own.above is not None
        self.at = own.above

    def handle_data(self, data: str) -> None:
        self.at.content.append(data)


def without_n(html: str) -> tuple[list[str], int]:
    """Return what stands around each interval without an n in its place, and how many there are.

    A place is the row of a table with its head, the figure, or the sentence; of what is read out
    elsewhere that text is enough. Drawn intervals and bands count as well.
    """
    tree = _Tree()
    tree.feed(html)
    bare, num = [], 0
    for node, text in tree.root.told():
        for found in INTERVAL.finditer(text):
            before, after = text[: found.start()], text[found.end() :]
            if NO_INTERVAL.search(before):
                continue
            num += 1
            if not _has_n(node, text, found.group()):
                bare.append(f"{node.tag}: {before[-90:]}{found.group()}{after[:40]}")
    for drawing in tree.root.every("svg"):
        parts = [own.attributes.get("class", "") for own in drawing.every("line", "path")]
        if any(own.split()[:1] in (["band"], ["range"]) for own in parts):
            num += 1
            if not _has_n(drawing, "", ""):
                bare.append(f"svg: {drawing.attributes['aria-label']}")
    return bare, num


def _has_n(node: Node, text: str, interval: str) -> bool:
    row, figure, own = node.nearest("tr"), node.nearest("figure"), node.nearest(*TEXTS)
    if row is not None:
        return _row_has_n(row)
    if figure is not None:
        return bool(N.search(figure.text))
    said = [*_sentences(text), *(_sentences(own.text) if own else ())]
    return any(interval in one and N.search(one) for one in said)


def _sentences(text: str) -> list[str]:
    """Return the sentences of a text; one that goes on from the one before is joined to it."""
    found: list[str] = []
    for own in re.split(r"(?<=[.]) (?=[A-Z'])", text):
        if found and GOES_ON.search(own):
            found[-1] += f" {own}"
        else:
            found.append(own)
    return found


def _row_has_n(row: Node) -> bool:
    table = row.nearest("table")
    assert table is not None
    heads = [own for head in table.every("thead") for own in head.every("tr")]
    if any(N.search(own.text) for own in (row, *heads)):
        return True
    cells = [own.text for own in row.below]
    return any(
        re.fullmatch(r"n( \(\w+\))?", own.text) and re.fullmatch(r"[\d,]+", cell)
        for head in heads
        for own, cell in zip(head.below, cells, strict=False)
    )
