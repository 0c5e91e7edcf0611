"""What a person should know about the data before anything is learned from it."""

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence, Sized
from pathlib import PurePosixPath

import numpy as np

from saccade.data.appearance import appearance_findings
from saccade.data.catalog import Catalog, Finding
from saccade.data.corrections import part_findings
from saccade.data.duplicate_findings import duplicate_findings
from saccade.data.duplicates import Twins, find_twins
from saccade.data.labels import as_number
from saccade.data.looks import Looks
from saccade.data.split import Split
from saccade.data.task import Task, absent_classes, targets
from saccade.runtime.errors import DataError, listed
from saccade.runtime.store import encode_name, quoted, readable_name

Z = 1.96  # standard errors on either side in a 95 % interval
SEVERITIES = ("severe", "warning", "note")
FEW_IN_CLASS = 20  # fewer and what is learned depends on which pictures they happen to be
FEW_IN_TEST = 10  # fewer and a class's 95 % interval is wider than ± 0.25 (Wilson, 9 of 10)
USUAL_ACCURACY = 0.9  # for which the width of an interval is told before anything is learned
WIDE, VERY_WIDE = 0.05, 0.10  # half of it: it is narrower from 141 and from 37 test pictures on
WIDE_ERROR, VERY_WIDE_ERROR = 0.15, 0.25  # of a mean error, as a share of it: 98 and 36 pictures
IMBALANCE = 5.0  # the largest class against the smallest
TINY_PX = 32
LONG_SIDE = 4.0  # times the short side: a centre crop keeps a quarter
RARE_FORMAT = 0.02  # share of the pictures
SUFFIXES = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"},
    "PNG": {".png", ".apng"},
    "WEBP": {".webp"},
    "BMP": {".bmp", ".dib"},
    "GIF": {".gif"},
    "TIFF": {".tif", ".tiff"},
}
KNOWN_SUFFIXES = frozenset[str]().union(*SUFFIXES.values())
PLACEHOLDER = re.compile(
    r"(image|photo|picture|img|file)?[-_ ]?(not[-_ ]?(found|available)|unavailable)"
    r"|placeholder|no[-_ ]?(image|photo|picture)",
    re.IGNORECASE,
)
EXPECTED_REASONS = {
    "limit",
    "hidden",
    "outside",
    "excluded",
    "table",
    "not-in-table",
    "link",
    "repeated",
    "corrections",
}


def look(
    catalog: Catalog,
    task: Task,
    split: Split | None = None,
    *,
    looks: Looks | None = None,
    twins: Twins | None = None,
) -> tuple[Finding, ...]:
    """Return everything found, the severe first: files, names, sizes, copies, classes, parts.

    Args:
        catalog: what was scanned.
        task: what is learned from it.
        split: adds what concerns the parts.
        looks: adds what concerns the pixels: blank, dark, bright, flat and blurred pictures.
        twins: which pictures show the same; None = those of equal bytes.
    """
    twins = twins or find_twins(catalog, None)
    findings = [
        *_unusable(catalog),
        *_absent(catalog, task),
        *catalog.findings,
        *duplicate_findings(catalog, twins, split, task=task),
        *_names(catalog, task),
        *_formats(catalog),
        *_sizes(catalog),
        *(part_findings(catalog, split.parts) if split is not None else ()),
        *(appearance_findings(catalog, looks) if looks is not None else ()),
        *(_claim(split, task) if split is not None else ()),
    ]
    if task.kind != "regression":
        counts = class_counts(catalog, task)
        findings += _classes(catalog, task, counts)
        if split is not None:
            findings += _parts(catalog, task, split)
    return ranked(findings)


def ranked(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings, the severe first."""
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))


def refuse_severe(severe: Sequence[str], *, place: str) -> None:
    """Raise a DataError (E360) where anything severe was found: for --strict.

    Args:
        severe: a sentence for each severe finding.
        place: of the data.
    """
    if severe:
        raise DataError(
            f"--strict: {_count(len(severe), 'severe finding')}. {' '.join(severe)}",
            code="360",
            where=encode_name(place),
            fix="mend the data as the findings say, or go on without --strict",
        )


def class_counts(catalog: Catalog, task: Task, rows: Sequence[int] | None = None) -> dict[str, int]:
    """Return the pictures of each class (or with each label), in the order of the classes.

    Args:
        catalog: with labels.
        task: not a regression, which has no classes: then the answer is empty.
        rows: count these only.
    """
    values = targets(catalog, task) if task.classes else np.zeros(len(catalog))
    if rows is not None:
        values = values[np.asarray(rows, dtype=np.int64)]
    if task.kind == "multilabel":
        numbers = values.sum(axis=0)
    else:
        numbers = np.bincount(values.astype(np.int64), minlength=len(task.classes))
    return {name: int(numbers[place]) for place, name in enumerate(task.classes)}


def _finding(
    kind: str, severity: str, sentence: str, *, paths: Iterable[str] = (), action: str = ""
) -> Finding:
    return Finding(
        kind=kind, severity=severity, paths=tuple(paths), sentence=sentence, action=action
    )


def _shown(names: Iterable[str]) -> str:
    return listed(map(readable_name, names))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _one_or_more(items: Sized, one: str, more: str) -> str:
    return one if len(items) == 1 else more


def _noun(task: Task) -> str:
    return "labels" if task.kind == "multilabel" else "classes"


def _unusable(catalog: Catalog) -> Iterator[Finding]:
    broken = [own for own in catalog.skipped if own.reason not in EXPECTED_REASONS]
    if broken:
        reasons = Counter(own.reason for own in broken)
        yield _finding(
            "unusable",
            "warning",
            f"{len(broken)} of {_count(catalog.num_files, 'file')} cannot be used "
            f"({listed(f'{count} {reason}' for reason, count in reasons.most_common())}): "
            f"{_shown(own.path for own in broken)}.",
            paths=[own.path for own in broken],
            action="mend or remove what cannot be used; the reason stands beside each in the list",
        )


def _absent(catalog: Catalog, task: Task) -> Iterator[Finding]:
    """Yield the classes of which there were pictures, and none is in the catalogue."""
    noun = _noun(task).capitalize()
    lost = absent_classes(catalog, task, catalog.lost_labels)
    if lost:
        yield _finding(
            "lost-class",
            "severe",
            f"{noun} of which not one picture can be used: {_shown(lost)}.",
            action="mend these pictures or rows, or leave the class out with --exclude",
        )
    undrawn = absent_classes(catalog, task, catalog.undrawn_labels)
    if undrawn:
        yield _finding(
            "undrawn-class",
            "warning",
            f"{noun} of which not one picture was drawn: {_shown(undrawn)}.",
            action="raise --limit or --budget, or leave these out with --exclude",
        )


def _names(catalog: Catalog, task: Task) -> Iterator[Finding]:
    classes = sorted(set(catalog.labels)) if task.kind != "regression" else []
    for what, names in (("class", classes), ("file", catalog.paths)):
        twins = _twins(names, numbers=what == "class" and bool(catalog.label_name))
        if twins:
            shown = listed(" and ".join(quoted(name) for name in own) for own in twins)
            yield _finding(
                f"{what}-name-twin",
                "warning" if what == "class" else "note",
                f"{_count(len(twins), 'set')} of {what} names that differ only in capitals, "
                f"accents' encoding, space or the way a number is written: {shown}.",
                paths=[name for own in twins for name in own] if what == "file" else (),
                action="give classes that should be one the same name" if what == "class" else "",
            )
    odd = [path for path in catalog.paths if PLACEHOLDER.search(PurePosixPath(path).stem)]
    if odd:
        yield _finding(
            "placeholder",
            "warning",
            f"{_count(len(odd), 'picture')} may be "
            f"{_one_or_more(odd, 'a placeholder', 'placeholders')}, by name: {_shown(odd)}.",
            paths=odd,
            action="look at these pictures, and remove what does not show what its label says",
        )


def _twins(names: Sequence[str], *, numbers: bool) -> list[list[str]]:
    """Return the names that a person, or another file system, would take for one.

    With `numbers` 1 and 1.0 are one as well, where all names are numbers.
    """
    values = [as_number(name) for name in names] if numbers else []
    by_value = bool(values) and None not in values
    same: defaultdict[str | float, list[str]] = defaultdict(list)
    for place, name in enumerate(names):
        key: str | float = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
        if by_value:
            key = values[place] or 0.0
        same[key].append(name)
    return [own for own in same.values() if len(set(own)) > 1]


def _formats(catalog: Catalog) -> Iterator[Finding]:
    wrong = []
    for path, kind in zip(catalog.paths, catalog.formats, strict=True):
        suffix = PurePosixPath(path).suffix.lower()
        if suffix in KNOWN_SUFFIXES and suffix not in SUFFIXES[kind]:
            wrong.append(path)
    if wrong:
        yield _finding(
            "wrong-suffix",
            "note",
            f"{_count(len(wrong), 'picture')} of another format than the name says, read by "
            f"content: {_shown(wrong)}.",
            paths=wrong,
        )
    counts = Counter(catalog.formats)
    for kind, count in sorted(counts.items()):
        if count <= RARE_FORMAT * len(catalog) and count <= 5:
            rows = [row for row, own in enumerate(catalog.formats) if own == kind]
            paths = [catalog.paths[row] for row in rows]
            yield _finding(
                "rare-format",
                "note",
                f"Only {_count(count, 'picture')} of {len(catalog)} {'is' if count == 1 else 'are'}"
                f" {kind}: {_shown(paths)}.",
                paths=paths,
                action="look whether such pictures belong here",
            )


def _sizes(catalog: Catalog) -> Iterator[Finding]:
    short = np.minimum(catalog.widths_px, catalog.heights_px)
    long = np.maximum(catalog.widths_px, catalog.heights_px)
    tiny = np.flatnonzero(short < TINY_PX)
    if len(tiny) and len(tiny) < len(catalog):
        paths = [catalog.paths[row] for row in tiny]
        yield _finding(
            "tiny",
            "note",
            f"{_count(len(tiny), 'picture')} {_one_or_more(tiny, 'is', 'are')} less than {TINY_PX} "
            "pixels high or wide: "
            f"{_shown(paths)}.",
            paths=paths,
        )
    narrow = np.flatnonzero(long > LONG_SIDE * short)
    if len(narrow):
        paths = [catalog.paths[row] for row in narrow]
        yield _finding(
            "long",
            "note",
            f"{_count(len(narrow), 'picture')} {_one_or_more(narrow, 'is', 'are')} more than "
            f"{LONG_SIDE:.0f} times as long as wide; a centre crop keeps little of that: "
            f"{_shown(paths)}.",
            paths=paths,
            action="--fit pad keeps the whole picture",
        )


def _classes(catalog: Catalog, task: Task, counts: dict[str, int]) -> Iterator[Finding]:
    small = {name: count for name, count in counts.items() if count < FEW_IN_CLASS}
    if small:
        shown = listed(f"{readable_name(name)} ({count})" for name, count in small.items())
        yield _finding(
            "few-pictures",
            "warning",
            f"{len(small)} of {len(counts)} {_noun(task)} {_one_or_more(small, 'has', 'have')} "
            f"fewer than {FEW_IN_CLASS} pictures: {shown}.",
            action="add pictures; with so few, the result depends on which ones they are",
        )
    most, least = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
    if task.kind != "multilabel" and counts[most] >= IMBALANCE * max(counts[least], 1):
        yield _finding(
            "imbalance",
            "warning",
            f"The classes are of very different size: {readable_name(most)} has {counts[most]} "
            f"pictures, {readable_name(least)} {counts[least]}; always answering "
            f"{readable_name(most)} would be right in {counts[most] / len(catalog):.0%}.",
            action="read balanced accuracy and the table per class; try --class-weights balanced",
        )


def _parts(catalog: Catalog, task: Task, split: Split) -> Iterator[Finding]:
    for part in ("train", "test"):
        rows = split.rows(part)
        counts = class_counts(catalog, task, rows)
        absent = [name for name, count in counts.items() if not count]
        if absent:
            are = _one_or_more(absent, "is", "are")
            consequence = "cannot be learned" if part == "train" else f"{are} not tested"
            yield _finding(
                f"class-absent-from-{part}",
                "severe" if part == "train" else "warning",
                f"{len(absent)} of {len(counts)} {_noun(task)} "
                f"{_one_or_more(absent, 'has', 'have')} no {part} picture, and so "
                f"{consequence}: {_shown(absent)}.",
                action=f"add {part} pictures of these {_noun(task)}",
            )
        few = [name for name, count in counts.items() if 0 < count < FEW_IN_TEST]
        if part == "test" and few:
            yield _finding(
                "few-test-pictures",
                "warning",
                f"{len(few)} of {len(counts)} {_noun(task)} {_one_or_more(few, 'has', 'have')} "
                f"fewer than {FEW_IN_TEST} test pictures, so that "
                f"{_one_or_more(few, 'its', 'their')} numbers are very uncertain: {_shown(few)}.",
                action="add pictures, or read the intervals, not the numbers",
            )


def _claim(split: Split, task: Task) -> Iterator[Finding]:
    """Yield how little the test part could show, before anything is learned, where it is little."""
    rows = split.rows("test")
    names = [split.groups[row] for row in rows]
    units = len({name for name in names if name}) + sum(not name for name in names)
    if not rows:
        return
    is_number = task.kind == "regression"
    width = _error_width(units) if is_number else _half_width(USUAL_ACCURACY, units)
    limits = (WIDE_ERROR, VERY_WIDE_ERROR) if is_number else (WIDE, VERY_WIDE)
    if width <= limits[0]:
        return
    counted = _count(len(rows), "test picture")
    if units < len(rows):
        counted += (
            f" in {_count(units, 'group')} (or sets of copies), each of which may be right or "
            "wrong as one,"
        )
    whom = "groups" if units < len(rows) else "pictures"
    known = (
        f"a mean error would be known to ± {width:.0%} of itself only"
        if is_number
        else f"an accuracy of {USUAL_ACCURACY} would be known to ± {width:.2f} only"
    )
    yield _finding(
        "few-for-a-claim",
        "warning" if width > limits[1] else "note",
        f"With {counted} {known}.",
        action=f"read the interval beside the number; more test {whom} narrow it (four times as "
        "many halve it)",
    )


def _half_width(share: float, n: int) -> float:
    """Return half the width of Wilson's 95 % interval of a share (see `evaluation.intervals`).

    >>> round(_half_width(0.9, 40), 3)
    0.095
    """
    spread = math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return Z / (1 + Z**2 / n) * spread


def _error_width(n: int) -> float:
    """Return half the width of a mean error's 95 % interval, as a share of it, for normal errors.

    The absolute value of a normal error has a spread of sqrt(π / 2 - 1) = 0.756 times its mean.
    """
    return Z * math.sqrt(math.pi / 2 - 1) / math.sqrt(n)
