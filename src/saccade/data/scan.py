"""The scan: every file is opened once, and either catalogued or listed with the reason."""

import dataclasses
import hashlib
import os
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saccade.data import decode
from saccade.data.catalog import Candidate, Catalog, Finding, Listing, Skipped, Source
from saccade.data.folders import list_folder, list_paths, no_such_place, walk
from saccade.data.manifests import ColumnNames, list_metadata, list_table, metadata_files
from saccade.data.tables import is_table
from saccade.runtime.errors import DataError, listed, nearest
from saccade.runtime.progress import Progress
from saccade.runtime.store import encode_name

CHUNK = 32  # pictures a work item: less and handing them over costs more than small pictures do

Visit = Callable[[int, NDArray[np.uint8]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What was found in one candidate; `skipped` where it cannot be used."""

    position: int
    skipped: Skipped | None = None
    hash: str = ""
    num_bytes: int = 0
    width_px: int = 0
    height_px: int = 0
    format: str = ""
    notes: tuple[str, ...] = ()


def scan(  # noqa: PLR0913 - the flags of `saccade check`
    data: str | Path | Sequence[str | Path],
    *,
    image_column: str = "",
    label_column: str = "",
    split_column: str = "",
    group_column: str = "",
    exclude: Sequence[str] = (),
    follow_links: bool = False,
    labelled: bool = True,
    progress: Progress | None = None,
    on_listed: Callable[[int], None] | None = None,
    visit: Visit | None = None,
    threads: int = 0,
) -> Catalog:
    """Return the catalogue of a folder or table, after every picture was decoded once.

    Args:
        data: a folder, a table (CSV, JSON lines, Parquet) or, without labels, picture files.
        image_column: table: the column of paths or bytes; empty = found by name and content.
        label_column: table: the column of labels; several, with commas, hold 0 or 1 each.
        split_column: table: the column that says train, val or test.
        group_column: table: the column whose equal values must stay together.
        exclude: labels to leave out.
        follow_links: follow symbolic links that lead out of the folder.
        labelled: whether labels are wanted; without them, all labels are "".
        progress: is told of every picture.
        on_listed: called once with the number of candidates, before the first is opened.
        visit: called once a readable picture, from several threads, with its position among
            the candidates (see `Catalog.positions`) and its pixels, uint8 (H, W, 3).
        threads: 0 = one a core.

    Raises:
        DataError: nothing usable is there (E301-E349).
    """
    progress = progress or Progress()
    listing = _list(
        data,
        names=ColumnNames(
            image=image_column, label=label_column, split=split_column, group=group_column
        ),
        follow_links=follow_links,
        labelled=labelled,
    )
    listing = _without_excluded(listing, exclude)
    if on_listed is not None:
        on_listed(len(listing.candidates))
    seen = _look_at_all(listing, visit=visit, progress=progress, threads=threads)
    return _catalog(listing, seen)


def _list(
    data: str | Path | Sequence[str | Path],
    *,
    names: ColumnNames,
    follow_links: bool,
    labelled: bool,
) -> Listing:
    if not isinstance(data, str | Path):
        return list_paths([Path(path) for path in data])
    place = Path(data)
    if not place.exists():
        raise no_such_place(place)
    if is_table(place) and not place.is_dir():
        return list_table(place, names=names, labelled=labelled)
    if not place.is_dir():
        return _single_file(place, labelled=labelled)
    found = walk(place, follow_links=follow_links)
    tables = metadata_files(found) if labelled else []
    listing = list_metadata(place, found, tables=tables, names=names) if tables else None
    return listing or list_folder(place, found, labelled=labelled)


def _single_file(place: Path, *, labelled: bool) -> Listing:
    if not labelled:
        return list_paths([place])
    raise DataError(
        "A single file can only be a table, and this one is not called so.",
        code="306",
        where=encode_name(str(place)),
        fix="give a folder of class folders, or a .csv, .tsv, .jsonl or .parquet file",
    )


def _without_excluded(listing: Listing, exclude: Sequence[str]) -> Listing:
    """Move the candidates of the excluded classes to the skipped ones."""
    if not exclude:
        return listing
    labels = sorted({candidate.label for candidate in listing.candidates})
    unknown = [name for name in exclude if name not in labels]
    if unknown:
        close = [near for name in unknown for near in nearest(name, labels)] or labels
        raise DataError(
            f"Classes to leave out are not there: {listed(map(encode_name, unknown))}.",
            code="305",
            where=f"{encode_name(listing.place)} (--exclude)",
            fix=f"choose among {listed(map(encode_name, close))}",
        )
    left_out = [own for own in listing.candidates if own.label in exclude]
    skipped = [
        Skipped(path=own.path, reason="excluded", sentence="its class was left out by --exclude")
        for own in left_out
    ]
    kept = [row for row, own in enumerate(listing.candidates) if own.label not in exclude]
    new_row = {row: new for new, row in enumerate(kept)}
    return dataclasses.replace(
        listing,
        candidates=tuple(listing.candidates[row] for row in kept),
        order=tuple(new_row[row] for row in listing.order if row in new_row),
        skipped=(*listing.skipped, *skipped),
    )


def _look_at_all(
    listing: Listing, *, visit: Visit | None, progress: Progress, threads: int
) -> list[_Seen]:
    """Look at every candidate, a few work items ahead of the slowest, so that memory stays flat."""
    order = listing.order or range(len(listing.candidates))
    chunks = [order[start : start + CHUNK] for start in range(0, len(order), CHUNK)]
    num_threads = threads or _num_cores()
    progress.start("Looking at every picture", len(order), "pictures")
    seen: list[_Seen] = []
    # The warning filters are set once here, not once a picture.
    with (
        decode.pillow_warnings(),
        ThreadPoolExecutor(num_threads, thread_name_prefix="scan") as pool,
    ):
        waiting: deque[Future[list[_Seen]]] = deque()
        try:
            for chunk in chunks:
                waiting.append(pool.submit(_look_at, chunk, listing, visit))
                if len(waiting) > 2 * num_threads:
                    _collect(waiting.popleft(), seen, progress)
            while waiting:
                _collect(waiting.popleft(), seen, progress)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    seen.sort(key=lambda own: own.position)
    return seen


def _num_cores() -> int:
    """Return the cores we may use, where the system can say (Linux), else all."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _collect(work: Future[list[_Seen]], seen: list[_Seen], progress: Progress) -> None:
    done = work.result()
    seen.extend(done)
    progress.advance(len(done))


def _look_at(chunk: Sequence[int], listing: Listing, visit: Visit | None) -> list[_Seen]:
    return [
        _look_at_one(position, listing.candidates[position], listing.source, visit)
        for position in chunk
    ]


def _look_at_one(position: int, candidate: Candidate, source: Source, visit: Visit | None) -> _Seen:
    try:
        content = source.read(candidate.path)
        decoded = decode.decode(content)
    except decode.Unreadable as error:
        skipped = Skipped(path=candidate.path, reason=error.reason, sentence=error.sentence)
        return _Seen(position=position, skipped=skipped)
    except DataError as error:
        skipped = Skipped(path=candidate.path, reason="unreadable", sentence=error.message)
        return _Seen(position=position, skipped=skipped)
    if visit is not None:
        visit(position, decoded.pixels_HWC)
    height, width = decoded.pixels_HWC.shape[:2]
    return _Seen(
        position=position,
        hash=hashlib.sha256(content).hexdigest(),
        num_bytes=len(content),
        width_px=width,
        height_px=height,
        format=decoded.format,
        notes=decoded.notes,
    )


def _catalog(listing: Listing, seen: Sequence[_Seen]) -> Catalog:
    used = [own for own in seen if own.skipped is None]
    broken = [own.skipped for own in seen if own.skipped is not None]
    skipped = tuple(sorted((*listing.skipped, *broken), key=lambda own: own.path))
    if not used:
        raise _nothing_readable(listing, skipped)
    rows = [listing.candidates[own.position] for own in used]
    labels = {own.label for own in rows}
    return Catalog(
        place=listing.place,
        layout=listing.layout,
        source=listing.source,
        paths=tuple(own.path for own in rows),
        labels=tuple(own.label for own in rows),
        label_columns=listing.label_columns,
        parts=tuple(own.part for own in rows),
        groups=tuple(own.group for own in rows),
        hashes=tuple(own.hash for own in used),
        num_bytes=np.array([own.num_bytes for own in used], dtype=np.int64),
        widths_px=np.array([own.width_px for own in used], dtype=np.int32),
        heights_px=np.array([own.height_px for own in used], dtype=np.int32),
        formats=tuple(own.format for own in used),
        skipped=skipped,
        findings=(*listing.findings, *_findings(used, rows)),
        num_files=len(used) + len(skipped),
        positions=tuple(own.position for own in used),
        label_name=listing.label_name,
        lost_labels=tuple(sorted({own.label for own in listing.candidates} - labels)),
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


def _findings(used: Sequence[_Seen], rows: Sequence[Candidate]) -> Iterator[Finding]:
    """Yield what decoding met, one finding a kind."""
    paths_of: defaultdict[str, list[str]] = defaultdict(list)
    for own, row in zip(used, rows, strict=True):
        for note in own.notes:
            paths_of[note].append(row.path)
    for note, paths in sorted(paths_of.items()):
        severity, text = NOTE_SENTENCES[note]
        subject = f"{len(paths)} picture{'s' if len(paths) > 1 else ''}"
        sentence = f"{subject}: {text} ({listed(map(encode_name, paths))})."
        yield Finding(kind=note, severity=severity, paths=tuple(paths), sentence=sentence)
