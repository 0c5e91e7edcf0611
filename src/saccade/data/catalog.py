"""The catalogue: one row a picture, and a list of what could not be used."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from saccade.data.labels import in_words
from saccade.runtime.errors import DataError, listed
from saccade.runtime.store import encode_name

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")


class Source(Protocol):
    """Where the bytes of the pictures are: a folder, or a column of a table."""

    @property
    def place(self) -> str:
        """The folder or file, for messages."""
        ...

    def read(self, key: str) -> bytes:
        """Return the bytes of one picture; raises DataError where they can no longer be had."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A file (or row) that is on disk but not in the catalogue, and why."""

    path: str
    reason: str  # a word: "unreadable", "empty", "not-an-image", "too-large", "hidden", "link", …
    sentence: str  # for a person: "truncated after 10 of 38 KB"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What decoding found in one content, whatever it is called and wherever it lies."""

    width_px: int = 0  # after EXIF turning
    height_px: int = 0
    format: str = ""  # "JPEG", "PNG", …; empty where it cannot be used
    notes: tuple[str, ...] = ()  # as in `Decoded`
    reason: str = ""  # why it cannot be used: a word, and
    sentence: str = ""  # a sentence without its name


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that a person should know about the data."""

    kind: str  # "cmyk", "exif-turned", "sixteen-bit", "name-twin", "duplicate", "conflict", …
    severity: str  # "note", "warning" or "severe"
    paths: tuple[str, ...]
    sentence: str
    action: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A file (or row) that may be a picture, before it was opened."""

    path: str
    label: str = ""
    part: str = ""  # "train", "validation", "test" or ""
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a folder or table holds, before any picture was opened."""

    place: str
    layout: str
    source: Source
    candidates: tuple[Candidate, ...]  # in the order of the paths
    order: tuple[int, ...] = ()  # in which reading is quick; empty = as they are
    skipped: tuple[Skipped, ...] = ()
    findings: tuple[Finding, ...] = ()
    label_name: str = ""
    label_columns: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()  # see `Catalog.asked`
    unused_labels: tuple[str, ...] = ()  # of a table's rows that are left out, sorted


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What a scan was asked for beside the place, by the names that a recipe has for it."""

    image_column: str = ""
    label_column: str = ""
    split_column: str = ""
    group_column: str = ""
    exclude: tuple[str, ...] = ()
    follow_links: bool = False
    limit: int = 0  # pictures; 0 = all
    seed: int = 0  # decides which, where they are not all


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """A row per readable picture; columns of equal length N, in the order of the paths.

    `labels` are the texts as given (a folder's name, a table's cell); what they mean is decided
    by `Task`. `parts` holds "train", "validation", "test" or "" where the user gave none.
    """

    place: str
    layout: str  # one sentence: "5 class folders under train/ and val/"
    source: Source
    paths: tuple[str, ...]  # relative to `place`, "/" between; undecodable bytes by surrogateescape
    labels: tuple[str, ...]
    label_columns: tuple[str, ...]  # names of several 0/1 columns, else empty; then each
    # label is the columns' values joined with "|"
    parts: tuple[str, ...]
    groups: tuple[str, ...]  # "" where none was given
    hashes: tuple[str, ...]  # SHA-256 of the bytes, hexadecimal
    num_bytes: np.ndarray  # int64
    widths_px: np.ndarray  # int32, after EXIF turning
    heights_px: np.ndarray  # int32
    formats: tuple[str, ...]  # "JPEG", "PNG", …
    skipped: tuple[Skipped, ...]
    findings: tuple[Finding, ...]
    num_files: int  # everything that was met on disk: len(paths) + len(skipped)
    label_name: str = ""  # the table's column of labels; empty where folders are the labels
    num_looked_at: int = 0  # files that were opened, readable or not
    lost_labels: tuple[str, ...] = ()  # none of its pictures or rows can be used, sorted
    undrawn_labels: tuple[str, ...] = ()  # no picture here, and not all looked at, sorted
    choices: Choices = Choices()
    asked: tuple[str, ...] = ()  # every path that a list or table names, in its order, used or
    # not, as often as it is named; empty for a folder
    given: "Catalog | None" = None  # as it was scanned, where labels were corrected since
    reviewed: frozenset[str] = frozenset()  # paths: a label said of a content, as blind reviews do
    settled: frozenset[str] = frozenset()  # paths whose label a person has put right or confirmed

    @property
    def num_beside(self) -> int:
        """Files called like pictures that lie beside the class folders, and so have no class."""
        beside = (own.path.lower() for own in self.skipped if own.reason == "outside")
        return sum(path.endswith(PICTURE_SUFFIXES) for path in beside)

    def __len__(self) -> int:
        return len(self.paths)

    def __repr__(self) -> str:
        return (
            f"Catalog(place={self.place!r}, layout={self.layout!r}, "
            f"{len(self)} pictures, {len(self.skipped)} skipped)"
        )

    def told(self, label: str) -> str:
        """Return a label as people write it and corrections give it, with every character shown."""
        return encode_name(in_words(label, self.label_columns))

    def read(self, row: int) -> bytes:
        """Return the bytes of one picture."""
        return self.source.read(self.paths[row])

    def read_again(self, row: int) -> bytes:
        """Return the bytes of one picture, the same as when it was scanned.

        Raises:
            DataError: it can no longer be read (E316), or has changed (E345).
        """
        content = self.read(row)
        if hashlib.sha256(content).hexdigest() != self.hashes[row]:
            raise self.changed(row)
        return content

    def changed(self, row: int) -> DataError:
        """Return the error for a picture that is no longer the one that was scanned."""
        return DataError(
            "A picture has changed since the folder was scanned.",
            code="345",
            where=f"{encode_name(self.place)}/{encode_name(self.paths[row])}",
            fix="scan again",
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256 over every picture's path, content and label, hexadecimal."""
        digest = hashlib.sha256()
        for row in zip(self.paths, self.hashes, self.labels, strict=True):
            digest.update("\0".join(row).encode("utf-8", "surrogateescape") + b"\n")
        return digest.hexdigest()

    @property
    def given_labels(self) -> tuple[str, ...]:
        """The labels of these pictures before they were corrected."""
        if self.given is None:
            return self.labels
        known = dict(zip(self.given.paths, self.given.labels, strict=True))
        return tuple(known[path] for path in self.paths)

    def classes(self) -> Sequence[str]:
        """Return the distinct labels, sorted."""
        return sorted(set(self.labels))


def where_classes_may_be(catalog: Catalog) -> str:
    """Return what to do where there is one class alone.

    It points at links, or at the folder below, where an unpacked archive has put everything.
    """
    links = [path for own in catalog.findings if own.kind == "link-class" for path in own.paths]
    if links:
        shown = listed(map(encode_name, links))
        return f"read what links out of the folder lead to with --follow-links: {shown}"
    pieces = [path.split("/") for path in catalog.paths]
    below = {own[1] for own in pieces if len(own) > 2}
    if not catalog.label_name and len(below) > 1 and all(len(own) > 2 for own in pieces):
        inner = encode_name(f"{catalog.place.rstrip('/')}/{pieces[0][0]}")
        holds = listed(map(encode_name, sorted(below)))
        return f"perhaps give the folder below, {inner}, which holds {holds}"
    if catalog.num_beside:
        return "put every picture into the folder of its class: photos/cat/1.jpg, photos/dog/2.jpg"
    return "add a second class, or give the folder that holds the class folders"
