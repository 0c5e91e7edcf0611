"""The scan: every file is opened once, and either catalogued or listed with the reason."""

import contextlib
import functools
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from saccade.data import decode
from saccade.data.ahead import in_order
from saccade.data.catalog import Catalog, Choices, Facts, Finding, Listing, Skipped
from saccade.data.listing import list_data, without_classes
from saccade.data.manifests import ColumnNames
from saccade.data.pixel_store import PixelStore
from saccade.data.sampling import Limit, drawn_order
from saccade.data.unpacking import unpack
from saccade.runtime.errors import DataError, listed
from saccade.runtime.progress import Progress
from saccade.runtime.store import encode_name

NO_LIMIT = Limit()
CHUNK = 32  # pictures a work item: with less, handing them over costs more than small pictures do
CHUNK_BYTES = 4_000_000  # of canvases in a work item, at most


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What one look at a candidate found."""

    position: int
    facts: Facts
    content: bytes = b""  # SHA-256 of the bytes; empty where they could not be read
    num_bytes: int = 0
    canvas: np.ndarray | None = None
    new: bool = False  # nothing was known of the content before


class _Seen:
    """What was found in all candidates, a column a property, so that a million are no trouble."""

    def __init__(self, num: int) -> None:
        self.hashes = [""] * num
        self.num_bytes = np.zeros(num, np.int64)
        self.widths_px = np.zeros(num, np.int32)
        self.heights_px = np.zeros(num, np.int32)
        self.formats = [""] * num
        self.notes: dict[int, tuple[str, ...]] = {}
        self.skipped: dict[int, Skipped] = {}
        self.num_looked_at = num

    def leave_out(self, position: int, path: str, num_seen: int) -> None:
        """Note that a candidate was not looked at."""
        sentence = f"not among the {num_seen} that were drawn (--limit, --budget)"
        self.skipped[position] = Skipped(path=path, reason="limit", sentence=sentence)

    def add(self, look: _Look, path: str) -> None:
        """Take what was found in the candidate of this path."""
        position, facts = look.position, look.facts
        if facts.reason:
            own = Skipped(path=path, reason=facts.reason, sentence=facts.sentence)
            self.skipped[position] = own
            return
        self.hashes[position] = look.content.hex()
        self.num_bytes[position] = look.num_bytes
        self.widths_px[position] = facts.width_px
        self.heights_px[position] = facts.height_px
        self.formats[position] = facts.format
        if facts.notes:
            self.notes[position] = facts.notes


def scan(  # noqa: PLR0913 - the flags of `saccade check`
    data: str | Path | Sequence[str | Path] | Listing,
    *,
    image_column: str = "",
    label_column: str = "",
    split_column: str = "",
    group_column: str = "",
    exclude: Sequence[str] = (),
    follow_links: bool = False,
    labelled: bool = True,
    progress: Progress | None = None,
    pixels: PixelStore | None = None,
    limit: Limit | int = NO_LIMIT,
    threads: int = 0,
) -> Catalog:
    """Return the catalogue of a folder or table, after a look at every picture.

    Args:
        data: a folder, a table (CSV, JSON lines, Parquet) or, without labels, picture files and
            folders of them, or what was listed already.
        image_column: table: the column of paths or bytes; empty = found by name and content.
        label_column: table: the column of labels; several, with commas, hold 0 or 1 each.
        split_column: table: the column that says train, val or test.
        group_column: table: the column whose equal values must stay together.
        exclude: classes to leave out, or labels: pictures that carry one of them.
        follow_links: follow symbolic links that lead out of the folder.
        labelled: whether labels are wanted; without them, all labels are "".
        progress: is told of every picture.
        pixels: keeps what was decoded; a content that it knows is read, but not decoded. Call its
            `finish` with the catalogue.
        limit: how many are looked at, evenly drawn from the labels and parts; the others are
            listed as left out.
        threads: 0 = one a core.

    Raises:
        DataError: nothing usable is there (E301-E349).
        ResourceError: `pixels` has no room for them (E401, E402).
    """
    progress = progress or Progress()
    limit = Limit(num=limit) if isinstance(limit, int) else limit
    names = ColumnNames(
        image=image_column, label=label_column, split=split_column, group=group_column
    )
    listing = list_data(data, names=names, follow_links=follow_links, labelled=labelled)
    listing = without_classes(listing, exclude)
    seen = _look_at_all(listing, pixels=pixels, limit=limit, progress=progress, threads=threads)
    choices = Choices(
        image_column=image_column,
        label_column=label_column,
        split_column=split_column,
        group_column=group_column,
        exclude=tuple(exclude),
        follow_links=follow_links,
        limit=limit.num,
        seed=limit.seed,
    )
    return _catalog(listing, seen, choices)


def _look_at_all(
    listing: Listing,
    *,
    pixels: PixelStore | None,
    limit: Limit,
    progress: Progress,
    threads: int,
) -> _Seen:
    candidates = listing.candidates
    order: Sequence[int] = listing.order or range(len(candidates))
    num_strata = 1
    if limit.set:
        order, num_strata = drawn_order(listing, limit.seed)
        order = order[: limit.num or None]
    look = functools.partial(_look_at, listing=listing, pixels=pixels)
    size = CHUNK
    if pixels is not None:
        size = max(1, min(CHUNK, CHUNK_BYTES // pixels.preprocess.canvas_bytes))
        num_missing = functools.partial(_num_missing, order, listing, pixels)
        pixels.begin(listing.place, len(order), count_missing=num_missing, deadline=limit.deadline)
    progress.start("Looking at every picture", len(order), "pictures")
    chunks = [order[start : start + size] for start in range(0, len(order), size)]
    seen = _Seen(len(candidates))
    num_seen = 0
    with decode.pillow_warnings():  # the warning filters are set once here, not once a picture
        for looks in in_order(look, chunks, threads=threads):
            for own in looks:
                seen.add(own, candidates[own.position].path)
                if pixels is not None and own.new:
                    pixels.keep(own.content, own.facts, own.canvas)
            num_seen += len(looks)
            progress.advance(len(looks))
            if limit.is_over(num_seen, num_strata):
                break
    if limit.set:
        seen.num_looked_at = num_seen
        for position in set(range(len(candidates))) - set(order[:num_seen]):
            seen.leave_out(position, candidates[position].path, num_seen)
    return seen


def _look_at(chunk: Sequence[int], *, listing: Listing, pixels: PixelStore | None) -> list[_Look]:
    return [_look_at_one(position, listing, pixels) for position in chunk]


def _look_at_one(position: int, listing: Listing, pixels: PixelStore | None) -> _Look:
    try:
        read = listing.source.read(listing.candidates[position].path)
    except decode.Unreadable as error:
        facts = Facts(reason=error.reason, sentence=error.sentence)
        return _Look(position=position, facts=facts)
    except DataError as error:
        facts = Facts(reason="unreadable", sentence=error.message)
        return _Look(position=position, facts=facts)
    content = hashlib.sha256(read).digest()
    known = pixels.facts(content) if pixels is not None else None
    facts, canvas = (known, None) if known is not None else unpack(read, pixels)
    return _Look(
        position=position,
        facts=facts,
        content=content,
        num_bytes=len(read),
        canvas=canvas,
        new=known is None,
    )


def _num_missing(order: Sequence[int], listing: Listing, pixels: PixelStore) -> int:
    """Read every candidate to say how many contents are new; only where room is scarce."""
    new: set[bytes] = set()
    for position in order:
        with contextlib.suppress(DataError):
            read = listing.source.read(listing.candidates[position].path)
            content = hashlib.sha256(read).digest()
            if pixels.facts(content) is None:
                new.add(content)
    return len(new)


def _catalog(listing: Listing, seen: _Seen, choices: Choices) -> Catalog:
    used = [n for n in range(len(listing.candidates)) if n not in seen.skipped]
    skipped = tuple(sorted((*listing.skipped, *seen.skipped.values()), key=lambda own: own.path))
    if not used:
        raise _nothing_readable(listing, skipped)
    rows = [listing.candidates[position] for position in used]
    named = {*listing.unused_labels, *(own.label for own in listing.candidates)}
    absent = named - {"", *(own.label for own in rows)}
    undrawn = absent & {
        listing.candidates[position].label
        for position, own in seen.skipped.items()
        if own.reason == "limit"
    }
    return Catalog(
        place=listing.place,
        layout=listing.layout,
        source=listing.source,
        paths=tuple(own.path for own in rows),
        labels=tuple(own.label for own in rows),
        label_columns=listing.label_columns,
        parts=tuple(own.part for own in rows),
        groups=tuple(own.group for own in rows),
        hashes=tuple(seen.hashes[position] for position in used),
        num_bytes=seen.num_bytes[used],
        widths_px=seen.widths_px[used],
        heights_px=seen.heights_px[used],
        formats=tuple(seen.formats[position] for position in used),
        skipped=skipped,
        findings=(*listing.findings, *_findings(seen, listing)),
        num_files=len(used) + len(skipped),
        num_looked_at=seen.num_looked_at,
        label_name=listing.label_name,
        lost_labels=tuple(sorted(absent - undrawn)),
        undrawn_labels=tuple(sorted(undrawn)),
        choices=choices,
        asked=listing.asked,
    )


def _nothing_readable(listing: Listing, skipped: Sequence[Skipped]) -> DataError:
    reasons = Counter(own.reason for own in skipped)
    first = next((own for own in skipped if own.reason not in {"hidden", "outside"}), None)
    example = f"; {encode_name(first.path)}: {first.sentence}" if first else ""
    return DataError(
        f"None of the {len(skipped)} files can be used as a picture "
        f"({listed(f'{count} {reason}' for reason, count in reasons.most_common())}).",
        code="304",
        where=f"{encode_name(listing.place)}{example}",
        fix=f"give pictures of one of these kinds: {decode.FORMATS_TEXT}",
    )


NOTE_SENTENCES = {
    "exif-turned": ("note", "turned upright, as EXIF says"),
    "exif-broken": ("note", "damaged EXIF data, so that it is not known which side is up"),
    "cmyk": ("note", "converted from printing colours (CMYK) to RGB"),
    "sixteen-bit": ("note", "scaled from 16 to 8 bits a colour, 65535 to 255"),
    "alpha": ("note", "transparent in places, and laid on white"),
    "animated": ("warning", "several frames or pages, of which only the first is used"),
    "colour-profile": ("note", "a colour profile other than sRGB, which is not applied"),
    "extra-bytes": (
        "warning",
        "bytes among the JPEG data that belong to no pixel: padding, or damage; look at them",
    ),
    "decoders-differ": ("note", "decoded by Pillow alone, for the quick decoder gave other pixels"),
}


def _findings(seen: _Seen, listing: Listing) -> Iterator[Finding]:
    """Yield what the look at the pictures met, one finding a kind."""
    num, num_seen = len(listing.candidates), seen.num_looked_at
    if num_seen < num:
        sentence = (
            f"Only {num_seen} of {num} pictures were looked at, drawn evenly (--limit, --budget); "
            "every number is about these."
        )
        yield Finding(kind="limit", severity="warning", paths=(), sentence=sentence)
    paths_of: defaultdict[str, list[str]] = defaultdict(list)
    for position, notes in sorted(seen.notes.items()):
        for note in notes:
            paths_of[note].append(listing.candidates[position].path)
    for note, paths in sorted(paths_of.items()):
        severity, text = NOTE_SENTENCES[note]
        subject = f"{len(paths)} picture{'s' if len(paths) > 1 else ''}"
        sentence = f"{subject}: {text} ({listed(map(encode_name, paths))})."
        yield Finding(kind=note, severity=severity, paths=tuple(paths), sentence=sentence)
