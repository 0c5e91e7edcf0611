"""What there is to scan: the candidates of a folder, a table or a list of files."""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from saccade.data.catalog import Candidate, Listing, Skipped
from saccade.data.folders import FolderSource, check_place, list_folder, no_files, place_of
from saccade.data.labels import reader
from saccade.data.manifests import ColumnNames, list_metadata, list_table, metadata_files
from saccade.data.tables import is_table
from saccade.data.walk import walk
from saccade.runtime.errors import DataError, listed, nearest
from saccade.runtime.store import decode_name, encode_name


def list_data(
    data: str | Path | Sequence[str | Path] | Listing,
    *,
    names: ColumnNames,
    follow_links: bool,
    labelled: bool,
) -> Listing:
    """Return what may be pictures, before any is opened.

    Args:
        data: a folder, a table or, without labels, picture files and folders of them; what is
            listed already is returned as it is.
        names: the table's columns, where they were named.
        follow_links: follow symbolic links that lead out of the folder.
        labelled: whether labels are wanted.

    Raises:
        DataError: there is nothing, or nothing with labels (E301-E319).
    """
    if isinstance(data, Listing):
        return data
    if isinstance(data, Iterable) and not isinstance(data, str | Path):
        return list_paths([place_of(path) for path in data], follow_links=follow_links)
    place = place_of(data)
    check_place(place)
    if is_table(place) and not place.is_dir():
        return list_table(place, names=names, labelled=labelled)
    if not place.is_dir():
        return _single_file(place, labelled=labelled)
    found = walk(place, follow_links=follow_links)
    tables = metadata_files(found) if labelled else []
    listing = list_metadata(place, found, tables=tables, names=names) if tables else None
    if listing is None:
        _refuse_columns(names, place)
    return listing or list_folder(place, found, labelled=labelled)


def list_paths(paths: Sequence[Path], *, follow_links: bool = False) -> Listing:
    """Return picture files that were named one by one, without labels; folders are searched.

    One of several that is not there is among the skipped.

    Raises:
        DataError: not one of them is there (E301), or a folder is empty (E302).
    """
    asked: list[str] = []
    skipped: dict[str, Skipped] = {}
    missing = [_is_missing(path) for path in paths]
    any_there = not all(missing)
    for path, is_missing in zip(paths, missing, strict=True):
        if is_missing and any_there:
            asked.append(str(path))
            sentence = "there is no such file"
            skipped[str(path)] = Skipped(path=str(path), reason="missing", sentence=sentence)
            continue
        check_place(path)
        if not path.is_dir():
            asked.append(str(path))
            continue
        found = walk(path, follow_links=follow_links)
        if not found.files:
            raise no_files(str(path), found, labelled=False)
        for own in found.skipped:
            name = str(path / own.path)
            skipped[name] = dataclasses.replace(own, path=name)
        names = (*found.files, *(own.path for own in found.skipped))
        asked += sorted(str(path / name) for name in names)
    return Listing(
        place=".",
        layout="files named one by one",
        source=FolderSource(place="."),
        candidates=tuple(Candidate(path=own) for own in dict.fromkeys(asked) if own not in skipped),
        skipped=tuple(skipped.values()),
        asked=tuple(asked),
    )


def _refuse_columns(names: ColumnNames, place: Path) -> None:
    """Refuse columns that were named of a folder, which has none."""
    named = [f"{what}-column" for what in ("image", "label", "split") if getattr(names, what)]
    if named:
        raise DataError(
            f"There is no table here that could have a column, and --{named[0]} names one.",
            code="307",
            where=encode_name(str(place)),
            fix=f"leave --{named[0]} out, or give the table itself",
        )


def _is_missing(path: Path) -> bool:
    """Say whether there is nothing, or a link to nothing; what cannot be told is not missing."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last: a name with a NUL
        return True
    except OSError:
        return False
    return False


def _single_file(place: Path, *, labelled: bool) -> Listing:
    if not labelled:
        return list_paths([place])
    raise DataError(
        "A single file can only be a table, and this one is not called so.",
        code="306",
        where=encode_name(str(place)),
        fix="give a folder of class folders, or a .csv, .tsv, .jsonl or .parquet file",
    )


def without_classes(listing: Listing, exclude: Sequence[str]) -> Listing:
    """Return a listing in which the pictures of some classes are among the skipped.

    Of several labels a picture, one of them is enough. The whole text of a cell is a class too,
    for with `--task multiclass` it is. Columns of 0 and 1 that are called so are left out.

    Args:
        listing: with labels.
        exclude: classes, or labels.

    Raises:
        DataError: there is no such class (E305).
    """
    if not exclude:
        return listing
    names_in = _names_in(listing)
    named = [own.label for own in listing.candidates]
    texts = {*named, *listing.unused_labels}
    labels = sorted({*listing.label_columns, *(name for own in texts for name in names_in(own))})
    exclude = _pieced(exclude, texts.union(labels))
    unknown = [name for name in exclude if name not in texts.union(labels)]
    if unknown:
        raise _no_such_classes(listing, unknown, labels)
    gone = {own for own in texts if not {own, *names_in(own)}.isdisjoint(exclude)}
    skipped = [
        _excluded(own, names_in(own.label)) for own in listing.candidates if own.label in gone
    ]
    kept = [row for row, label in enumerate(named) if label not in gone]
    new_row = {row: new for new, row in enumerate(kept)}
    left = dataclasses.replace(
        listing,
        candidates=tuple(listing.candidates[row] for row in kept),
        order=tuple(new_row[row] for row in listing.order if row in new_row),
        skipped=(*listing.skipped, *skipped),
        unused_labels=tuple(own for own in listing.unused_labels if own not in gone),
    )
    return _without_columns(left, exclude)


def _pieced(names: Sequence[str], known: Collection[str]) -> list[str]:
    """Return names as they are known: some hold the comma at which a command line was cut.

    And some are written with an escape where errors name them (see `encode_name`).

    >>> _pieced(["tench", "Tinca tinca", "'-x", "cat"], {"tench, Tinca tinca", "-x", "cat"})
    ['tench, Tinca tinca', '-x', 'cat']
    """
    found, start = [], 0
    while start < len(names):
        ends = range(len(names), start, -1)  # the longest first
        readings = (
            (text, end)
            for end in ends
            for between in (", ", ",")
            for text in _as_written(between.join(names[start:end]))
        )
        name, start = next(
            ((text, end) for text, end in readings if text in known), (names[start], start + 1)
        )
        found.append(name)
    return found


def _as_written(name: str) -> list[str]:
    try:
        return [name, decode_name(name)]
    except ValueError:  # a backslash that begins no escape of ours
        return [name]


def _names_in(listing: Listing) -> Callable[[str], tuple[str, ...]]:
    texts = [own.label for own in listing.candidates]
    return reader(texts, column=listing.label_name, columns=listing.label_columns)


def _no_such_classes(listing: Listing, unknown: list[str], labels: list[str]) -> DataError:
    close = [near for name in unknown for near in nearest(name, labels)]
    meant = f"did you mean {listed(map(encode_name, close))}? " if close else ""
    return DataError(
        f"Classes to leave out are not there: {listed(map(encode_name, unknown))}.",
        code="305",
        where=f"{encode_name(listing.place)} (--exclude)",
        fix=f"{meant}there are {listed(map(encode_name, labels))}",
    )


def _excluded(own: Candidate, names: tuple[str, ...]) -> Skipped:
    what = "its class" if len(names) < 2 else "one of its labels"
    return Skipped(path=own.path, reason="excluded", sentence=f"{what} was left out by --exclude")


def _without_columns(listing: Listing, exclude: Sequence[str]) -> Listing:
    """Return a listing whose labels hold no marks of some columns; a single one left is plain."""
    columns = listing.label_columns
    kept = [place for place, name in enumerate(columns) if name not in exclude]
    if len(kept) == len(columns):
        return listing

    def rest(label: str) -> str:
        marks = label.split("|")
        return "|".join(marks[place] for place in kept)

    left = tuple(columns[place] for place in kept)
    return dataclasses.replace(
        listing,
        candidates=tuple(
            dataclasses.replace(own, label=rest(own.label)) for own in listing.candidates
        ),
        unused_labels=tuple(map(rest, listing.unused_labels)),
        label_name=listed(left or columns) if len(left) < 2 else "",
        label_columns=left if len(left) > 1 else (),
    )
