"""Trivial properties of pictures: what can be said of each without knowing what it shows."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from saccade.data.catalog import Catalog
from saccade.data.looks import Looks
from saccade.data.part_folders import PART_SPELLINGS
from saccade.runtime.store import encode_name

FEWEST_OF_SOURCE = 10  # pictures; rarer sources count as "other"
MOST_SOURCES = 12
OTHER = "other"
NAMELESS = "no letters first"
CLIP = 0.15  # of the range from black to white: an edge counts as one, however strong
FAMILIES = {
    "file": "size and file kind",
    "bytes": "bytes of the file",
    "source": "source",
    "light": "brightness and colour",
    "sharpness": "sharpness",
    "border": "border",
    "top left": "top left corner",
    "top right": "top right corner",
    "bottom left": "bottom left corner",
    "bottom right": "bottom right corner",
}
"""The families of properties, in words. Corners are small pictures, not numbers of their own."""

CORNERS = ("top left", "top right", "bottom left", "bottom right")

_LIGHT = {
    "brightness": "brightness",
    "contrast": "contrast",
    "saturation": "colourfulness",
    "red": "amount of red",
    "green": "amount of green",
    "blue": "amount of blue",
}
_BORDER = {
    "border_brightness": "brightness of the border",
    "border_contrast": "contrast along the border",
    "border_red": "red of the border",
    "border_green": "green of the border",
    "border_blue": "blue of the border",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """A column of the table."""

    name: str  # "border_red"
    words: str  # "red of the border"
    family: str  # one of FAMILIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Properties:
    """Numbers of every picture, N rows and P columns, in the order of the catalogue.

    No label is among them: where the source of a picture tells its class in every case, it may
    be the label in other words, and is not in the table (`source_is_label`).
    """

    columns: tuple[Property, ...]
    values_NP: np.ndarray  # float64, finite
    sources: tuple[str, ...]  # folder or camera of each picture; empty where there is one only
    source_is_label: bool

    def values(self, name: str) -> np.ndarray:
        """Return one column, (N,); raises KeyError where there is none of that name."""
        for place, own in enumerate(self.columns):
            if own.name == name:
                column: np.ndarray = self.values_NP[:, place]
                return column
        raise KeyError(name)

    def places(self, *families: str) -> list[int]:
        """Return the columns of some families."""
        return [place for place, own in enumerate(self.columns) if own.family in families]


def properties_of(
    catalog: Catalog, looks: Looks | None = None, *, known_rows: Sequence[int] | None = None
) -> Properties:
    """Return the trivial properties of every picture; without looks, those of its file alone.

    The same catalogue and canvases give the same table. All columns are numbers that grow with
    what they are named for; kinds and sources have a column of 0 and 1 each.

    Args:
        catalog: the pictures.
        looks: what they look like; None or empty = the pixels are not asked.
        known_rows: whose labels may be asked whether a source is the label in other words (those
            of the test part may not); None = all.
    """
    columns: list[Property] = []
    values: list[np.ndarray] = []

    def add(name: str, words: str, family: str, numbers: np.ndarray) -> None:
        columns.append(Property(name=name, words=words, family=family))
        values.append(np.asarray(numbers, np.float64))

    width, height = catalog.widths_px.astype(np.float64), catalog.heights_px.astype(np.float64)
    pixels = np.maximum(width * height, 1)
    add("width", "width", "file", width)
    add("height", "height", "file", height)
    add("size", "size in pixels", "file", pixels)
    add("shape", "shape (width to height)", "file", width / np.maximum(height, 1))
    add("bytes", "bytes of the file", "bytes", catalog.num_bytes)
    add("bytes_a_pixel", "bytes a pixel", "bytes", catalog.num_bytes / pixels)
    for kind in sorted(set(catalog.formats)) if len(set(catalog.formats)) > 1 else ():
        marks = np.array([own == kind for own in catalog.formats])
        add(f"kind={kind}", f"file kind {kind}", "file", marks)
    sources = sources_of(catalog)
    rows = range(len(sources)) if known_rows is None or not sources else known_rows
    is_label = _tell_every_label(
        [sources[row] for row in rows], [catalog.labels[row] for row in rows]
    )
    if not is_label:
        for source in sorted(set(sources)):
            words = f"source {encode_name(source)}"
            add(f"source={source}", words, "source", np.array([own == source for own in sources]))
    if looks is not None and len(looks) == len(catalog):
        for name, words, family, numbers in _seen(looks):
            add(name, words, family, numbers)
    table = np.stack(values, axis=1) if len(catalog) else np.zeros((0, len(values)))
    return Properties(
        columns=tuple(columns), values_NP=table, sources=sources, source_is_label=is_label
    )


def _seen(looks: Looks) -> list[tuple[str, str, str, np.ndarray]]:
    """Return what is measured on the pixels: name, words, family and numbers."""
    own = looks.measures
    found = [(name, words, "light", own[name]) for name, words in _LIGHT.items()]
    found.append(("sharpness", "sharpness", "sharpness", own["sharpness"]))
    found += [(name, words, "border", own[name]) for name, words in _BORDER.items()]
    for name in ("brightness", "red", "green", "blue"):
        apart = own[f"border_{name}"] - own[name]
        found.append(
            (f"border_excess_{name}", f"{name} of the border beside the rest", "border", apart)
        )
    found.append(
        ("border_plainness", "plainness of a side of the border", "border", _plainness(looks))
    )
    return found


def _plainness(looks: Looks) -> np.ndarray:
    """Return how plain the plainest of the four sides is: 0 to 1, where all its cells are equal.

    Of the four and not of all together, for a crop can cut two of them off.
    """
    thumbs = looks.thumbs_NHW
    sides = (thumbs[:, 0], thumbs[:, -1], thumbs[:, :, 0], thumbs[:, :, -1])
    spread = np.min([(side.astype(np.float64) / 255).std(axis=1) for side in sides], axis=0)
    plainness: np.ndarray = 1 - 2 * spread
    return plainness


def corner(looks: Looks, name: str, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
    """Return the fine pattern in a corner of pictures, float32 (M, CORNER_PX²), 0 = smooth.

    The Laplacian, cut at CLIP. Writing that stands in the same place in many pictures shifts the
    same cells in all of them, while scenes are as likely to be lighter there as darker; a scene's
    own large contrasts, which the Laplacian leaves out, would drown it. On flowers with a small
    text in the corner of one class, its area under the ROC curve is 0.98 by the Laplacian and 0.92
    by the brightness of the same cells; without a text 0.40 to 0.57 (docs/shortcuts.md).

    Args:
        looks: of the pictures, with corners.
        name: one of CORNERS.
        rows: of which pictures; all, if nothing is said.

    Raises:
        ValueError: the looks have no corners.
    """
    if looks.corners_NCHW is None:
        raise ValueError("these looks have no corners")
    cells = looks.corners_NCHW[rows, CORNERS.index(name)].astype(np.int16)
    around = np.pad(cells, ((0, 0), (1, 1), (1, 1)), mode="edge")
    laplacian = 4 * cells - around[:, :-2, 1:-1] - around[:, 2:, 1:-1]
    laplacian -= around[:, 1:-1, :-2] + around[:, 1:-1, 2:]
    flat: np.ndarray = (laplacian.reshape(len(cells), -1) / np.float32(255)).clip(-CLIP, CLIP)
    return flat


def sources_of(catalog: Catalog) -> tuple[str, ...]:
    """Return where each picture seems to come from; empty where there is one source only.

    The first folder of its path that is neither its class nor a part; without such folders, the
    letters that the file's name begins with (`IMG`, `DSC`, `frame`); never what is called like a
    class. Sources of fewer than 10 pictures are one, and so are all beyond the 12 largest.
    """
    folders = [
        _folder(path, label)  # as it was given: a corrected picture still lies in its old folder
        for path, label in zip(catalog.paths, catalog.given_labels, strict=True)
    ]
    for found in (folders, [_prefix(path) for path in catalog.paths]):
        counts = Counter(found)
        large = [
            name for name, count in counts.most_common(MOST_SOURCES) if count >= FEWEST_OF_SOURCE
        ]
        several = len(large) > 1 or (large and len(found) - counts[large[0]] >= FEWEST_OF_SOURCE)
        if several and not _named_like_labels(large, catalog.labels):
            kept = set(large)
            return tuple(name if name in kept else OTHER for name in found)
    return ()


def _folder(path: str, label: str) -> str:
    pieces = path.split("/")[:-1]
    if label in pieces:
        pieces.remove(label)
    outer = [piece for piece in pieces if piece.lower() not in PART_SPELLINGS]
    return f"{outer[0]}/" if outer else "./"


def _prefix(path: str) -> str:
    start = re.match(r"[^\W\d_]+", PurePosixPath(path).name)
    return f"{start.group().lower()}…" if start else NAMELESS


def _named_like_labels(sources: Sequence[str], labels: Sequence[str]) -> bool:
    """Return whether a source is called like a class: `cat.1.jpg` in the class cat."""
    named = {source.rstrip("…/").casefold() for source in sources}
    return bool(named & {label.casefold() for label in labels})


def _tell_every_label(sources: Sequence[str], labels: Sequence[str]) -> bool:
    """Return whether each source has one label; the rest of the small ones does not count."""
    labels_of: defaultdict[str, set[str]] = defaultdict(set)
    for source, label in zip(sources, labels, strict=True):
        labels_of[source].add(label)
    labels_of.pop(OTHER, None)
    together = set().union(*labels_of.values())
    return len(together) > 1 and all(len(own) == 1 for own in labels_of.values())
