"""What a folder holds: the files that may be pictures, with the labels that its folders give."""

import contextlib
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from saccade.data.catalog import Candidate, Finding, Listing, Skipped
from saccade.data.headers import Unreadable, sniff
from saccade.data.part_folders import (
    PART_SPELLINGS,
    not_used,
    part_folders,
    refuse_misspelt_parts,
    refuse_parts_as_classes,
)
from saccade.data.walk import Walk
from saccade.runtime.errors import DataError, UsageError, listed, nearest
from saccade.runtime.store import encode_name, quoted

MAX_FILE_BYTES = 512_000_000  # 64 megapixels of 16-bit RGB, unpacked, are 384 MB
WITHOUT_SNIFFING_BYTES = 1_000_000
SNIFFED_BYTES = 64
# Non-blocking, so that a pipe that took a file's place is not waited for.
_READ_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSource:
    """Pictures that are files below a folder."""

    place: str

    def read(self, key: str) -> bytes:
        """Return the bytes of one file; a pipe or device is never opened for reading.

        Raises:
            DataError: the file is gone, not a plain file, or cannot be read (E316).
            Unreadable: it is very large, or large and no picture.
        """
        path = Path(self.place, key)
        try:
            handle = os.open(path, _READ_FLAGS)
            with os.fdopen(handle, "rb") as file:
                state = os.fstat(handle)
                if not stat.S_ISREG(state.st_mode):
                    raise gone(path, "it is not a plain file")
                beginning = file.read(SNIFFED_BYTES)
                if state.st_size > MAX_FILE_BYTES:
                    sniff(beginning)
                    megabytes = f"{state.st_size / 1e6:.0f} MB"
                    raise Unreadable("too-large", f"the file has {megabytes}")
                if state.st_size > WITHOUT_SNIFFING_BYTES:
                    sniff(beginning)  # a film or an archive need not be read to its end
                return beginning + file.read()
        except OSError as error:
            raise gone(path, error.strerror or str(error)) from error


def gone(path: Path, why: str) -> DataError:
    """Return the error for a picture that can no longer be read."""
    return DataError(
        f"A picture can no longer be read: {why}.",
        code="316",
        where=encode_name(str(path)),
        fix="put the file back, or start again so that the folder is scanned anew",
    )


def place_of(text: str | os.PathLike[str]) -> Path:
    """Return the path that a text names; an empty one is not the current folder.

    Raises:
        UsageError: it is no text and no path (E239).
        DataError: it is empty (E301).
    """
    if not isinstance(text, str | os.PathLike):
        raise UsageError(
            f"A place is named by a path, and this is of the kind {type(text).__name__}.",
            code="239",
            where="the path",
            fix="give a text or a pathlib.Path",
        )
    if not os.fspath(text).strip():
        raise DataError(
            "A place is an empty text.",
            code="301",
            where="the path",
            fix="give a folder or a file; a single dot is the current folder",
        )
    return Path(text)


def check_place(path: Path) -> None:
    """Check that there is a folder or file.

    Raises:
        DataError: there is none, or it cannot be told (E301).
    """
    try:
        if path.exists():
            return
    except OSError as error:  # no permission on the way there, or a name too long
        raise DataError(
            f"{quoted(str(path))} cannot be opened: {error.strerror or error}.",
            code="301",
            where="the path",
            fix="check the path and the permissions on the folders above it",
        ) from error
    raise no_such_place(path)


def no_such_place(path: Path) -> DataError:
    """Return the error for a folder or file that is not there."""
    if path.is_dir():
        return DataError(
            f"A table was expected, and {quoted(str(path))} is a folder.",
            code="301",
            where=encode_name(str(path)),
            fix="name the table itself",
        )
    beside, where = neighbours(path)
    near = nearest(path.name, beside, cutoff=0.7)
    perhaps = f"perhaps {listed(map(encode_name, near))}; " if near else ""
    return DataError(
        f"There is no folder or file {quoted(str(path))}.",
        code="301",
        where=where,
        fix=f"{perhaps}check the spelling of the path",
    )


def neighbours(path: Path) -> tuple[list[str], str]:
    """Return the names beside a path that is not there, and words on where that is."""
    parent = path.parent
    beside: list[str] = []
    with contextlib.suppress(OSError):  # not to be read; the error is about the path
        beside = sorted(entry.name for entry in parent.iterdir()) if parent.is_dir() else []
    holds = f"holds {listed(map(encode_name, beside))}" if beside else "not there either"
    return beside, f"{encode_name(str(parent.resolve()))} ({holds})"


def list_folder(root: Path, found: Walk, *, labelled: bool = True) -> Listing:
    """Return the candidates below `root`; their class is the first folder they lie in.

    Pictures in folders within a class folder belong to that class.
    Folders named train, val and test (and their other spellings) are taken for parts when they
    hold folders themselves (see `part_folders`); the class is then the first folder below them.

    Raises:
        DataError: the folder is empty (E302), has no class folders (E303), or its classes are
            called like parts, or parts under other names (E318).
    """
    place = str(root)
    if not found.files:
        raise no_files(place, found, labelled=labelled)
    if not labelled:
        return Listing(
            place=place,
            layout="files without labels",
            source=FolderSource(place=place),
            candidates=tuple(Candidate(path=path) for path in found.files),
            skipped=tuple(found.skipped),
        )
    parts = part_folders(found)
    candidates, skipped = _with_labels(found.files, parts)
    if not candidates:
        raise _no_classes(place, found)
    labels = {candidate.label for candidate in candidates}
    refuse_parts_as_classes(
        labels,
        where=encode_name(place),
        fix="put class folders into the parts: train/cat/1.jpg, train/dog/1.jpg; rename the "
        "folders if they are classes",
    )
    misnamed = [] if parts else refuse_misspelt_parts(found.folders, where=encode_name(place))
    with_labels = {candidate.path.split("/", 1)[0] for candidate in candidates} & parts.keys()
    return Listing(
        place=place,
        layout=_layout(labels, with_labels),
        source=FolderSource(place=place),
        candidates=tuple(candidates),
        skipped=tuple(sorted(found.skipped + skipped, key=lambda own: own.path)),
        findings=(
            *misnamed,
            *not_used(skipped, parts, found.folders),
            *_empty_classes(found.folders, candidates, parts),
            *_links_passed_over(found.outside, parts),
        ),
    )


def _with_labels(
    files: Iterable[str], parts: dict[str, str]
) -> tuple[list[Candidate], list[Skipped]]:
    candidates, skipped = [], []
    depth = 1 if parts else 0
    for path in files:
        pieces = path.split("/", depth + 1)
        if parts and pieces[0] not in parts:
            sentence = f"lies outside the folders {listed(parts)}"
            skipped.append(Skipped(path=path, reason="outside", sentence=sentence))
        elif len(pieces) < depth + 2:
            sentence = "lies beside the class folders, so it has no label"
            skipped.append(Skipped(path=path, reason="outside", sentence=sentence))
        else:
            part = parts[pieces[0]] if parts else ""
            candidates.append(Candidate(path=path, label=pieces[depth], part=part))
    return candidates, skipped


def _layout(labels: set[str], parts: set[str]) -> str:
    count = f"{len(labels)} class folder{'s' if len(labels) != 1 else ''}"
    if not parts:
        return count
    return f"{count} under {' and '.join(f'{encode_name(folder)}/' for folder in sorted(parts))}"


def _empty_classes(
    folders: Sequence[str], candidates: Sequence[Candidate], parts: dict[str, str]
) -> list[Finding]:
    depth = 1 if parts else 0
    with_files = {"/".join(own.path.split("/")[: depth + 1]) for own in candidates}
    empty = [
        folder
        for folder in folders
        if folder.count("/") == depth and _counts(folder, parts) and folder not in with_files
    ]
    if not empty:
        return []
    return [
        Finding(
            kind="empty-class",
            severity="warning",
            paths=tuple(empty),
            sentence=f"{len(empty)} class folder{'s hold' if len(empty) > 1 else ' holds'} no "
            f"file: {listed(map(encode_name, empty))}.",
            action="add pictures, or remove the folder",
        )
    ]


def _counts(path: str, parts: dict[str, str]) -> bool:
    """Say whether what lies there can have a label: where there are parts, in one of them."""
    return not parts or path.split("/", 1)[0] in parts


def _links_passed_over(outside: dict[str, bool], parts: dict[str, str]) -> Iterator[Finding]:
    """Yield what is missed behind links: whole classes or parts, and pictures within classes."""
    depth = 1 if parts else 0
    classes = [
        own
        for own, is_folder in outside.items()
        if is_folder and own.count("/") == depth and _counts(own, parts)
    ]
    top = [own for own, is_folder in outside.items() if is_folder and "/" not in own]
    whole = {*classes, *(own for own in top if own.casefold() in PART_SPELLINGS)}
    within = [own for own in outside if own.count("/") > depth and _counts(own, parts)]
    for kind, severity, what, paths in (
        ("link-class", "severe", "that would be classes or parts", sorted(whole)),
        ("link", "warning", "within classes", sorted(within)),
    ):
        if paths:
            yield Finding(
                kind=kind,
                severity=severity,
                paths=tuple(paths),
                sentence=f"Links out of the folder were passed over {what} (--follow-links reads "
                f"them): {listed(map(encode_name, paths))}.",
                action="remove the links if what they lead to does not belong here",
            )


def no_files(place: str, found: Walk, *, labelled: bool) -> DataError:
    """Return the error for a folder without a file that could be a picture."""
    passed = Counter(skipped.reason for skipped in found.skipped)
    seen = ", ".join(f"{count} passed over: {reason}" for reason, count in sorted(passed.items()))
    closed = next((own.sentence for own in found.skipped if own.path == "."), "")
    if closed:
        return DataError(
            f"{closed[0].upper()}{closed[1:]}.",
            code="302",
            where=encode_name(place),
            fix="mend its permissions",
        )
    fix = "name a folder that holds pictures"
    if labelled:
        fix = "put pictures into one folder per class: photos/cat/1.jpg, photos/dog/1.jpg"
        fix = "--follow-links reads what the links lead to" if found.outside else fix
    return DataError(
        "The folder holds no files.",
        code="302",
        where=encode_name(place) + (f" ({seen})" if seen else ""),
        fix=fix,
    )


def _no_classes(place: str, found: Walk) -> DataError:
    tables = [name for name in found.files if name.lower().endswith((".csv", ".parquet", ".jsonl"))]
    if tables and "/" not in tables[0]:
        fix = f"give the table itself: {encode_name(str(Path(place, tables[0])))}"
    else:
        fix = "put pictures into one folder per class: photos/cat/1.jpg, photos/dog/1.jpg"
    return DataError(
        "The folder holds files but no class folders, so the pictures have no labels.",
        code="303",
        where=f"{encode_name(place)} (holds {listed(map(encode_name, found.files))})",
        fix=fix,
    )
