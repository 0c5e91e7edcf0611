"""Which folders are parts, which look like one under another name, and what lies beside them."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from saccade.data.catalog import PICTURE_SUFFIXES, Finding, Skipped
from saccade.data.walk import Walk
from saccade.runtime.errors import DataError, listed
from saccade.runtime.store import encode_name

PART_SPELLINGS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
SAYING_NOTHING = {
    "set", "sets", "image", "images", "img", "imgs", "photo", "photos", "picture", "pictures",
    "data", "dataset", "folder", "split", "part", "sample", "samples", "new", "old", "final",
}  # fmt: skip
FEWEST_SHARED = 2  # names of folders; classes that are one word apart share "images" and the like


def refuse_parts_as_classes(labels: set[str], *, where: str, fix: str) -> None:
    """Raise a DataError (E318) where all classes are called like parts, or two, one for training.

    It is an error and no finding: what would be learned is how the parts differ, and a score of
    that looks like one of the pictures' content.
    """
    called = {own for own in labels if own.casefold() in PART_SPELLINGS}
    parts = {PART_SPELLINGS[own.casefold()] for own in called}
    all_are = called == labels and len(called) > 1
    if all_are or ("train" in parts and len(parts) > 1):
        how_many = "All" if all_are else f"{len(called)} of"
        raise DataError(
            f"{how_many} {len(labels)} classes are called like parts of a split, not like what "
            f"pictures show: {listed(map(encode_name, sorted(called)))}.",
            code="318",
            where=where,
            fix=fix,
        )


def part_folders(found: Walk) -> dict[str, str]:
    """Return the top folders that are parts, each with "train", "validation" or "test".

    A class may be called "train": so they count only when each of them holds folders, and there
    are two of them or nothing else. Where there are several, one for training that holds folders
    is enough: a test part whose pictures lie flat has no labels, as contests give it out.
    """
    top = [folder for folder in found.folders if "/" not in folder]
    with_folders = {folder.split("/", 1)[0] for folder in found.folders if "/" in folder}
    spelled = {
        folder: PART_SPELLINGS[folder.casefold()]
        for folder in top
        if folder.casefold() in PART_SPELLINGS
    }
    named = {folder: part for folder, part in spelled.items() if folder in with_folders}
    several = len(set(spelled.values())) > 1 or len(spelled) == len(top)
    if several and "train" in named.values():
        return spelled
    return named if len(named) == len(top) else {}


def refuse_misspelt_parts(folders: Sequence[str], *, where: str) -> list[Finding]:
    """Return a finding where classes look like parts under another name.

    What would be learned is how the parts differ. So it is an error where two top folders are
    called like parts, or slips of such names, and hold the same folders, or where a flat one lies
    beside one for training. Where only one is called so, the other may be a class (trains, by day
    and by night, beside cars), and the finding is severe.

    Args:
        folders: all below the root, none of which counts as a part.
        where: the root, for the message.

    Raises:
        DataError: both look like parts by their names (E318).
    """
    below = _below(folders)
    called = [own for own in below if _is_called_a_part(own)]
    nearly = [own for own in below if own in called or _is_a_slip(own)]
    fix = "rename them to train, val and test if they are parts"
    if refused := _like_parts(nearly, below):
        raise DataError(
            f"{refused}, and not what classes do.",
            code="318",
            where=where,
            fix=f"{fix}; if they are classes, give them names that are not so near to those",
        )
    shared = {own: _shared(own, called, below) for own in below if own not in called}
    alike = [own for own in shared if shared[own]]
    if not alike:
        return []
    beside = [own for own in called if _shared(own, alike, below)]
    names = listed(map(encode_name, sorted(shared[alike[0]])))
    sentence = f"{_folders([*alike, *beside])} the same folders ({names}), as parts of a split do"
    return [
        Finding(
            kind="parts-as-classes",
            severity="severe",
            paths=(*alike, *beside),
            sentence=f"{sentence}; they were taken for classes.",
            action=fix,
        )
    ]


def _like_parts(nearly: Sequence[str], below: Mapping[str, set[str]]) -> str:
    """Return in words that folders whose names are nearly those of parts look like parts too."""
    alike = [own for own in nearly if _shared(own, nearly, below, fewest=1)]
    if alike:
        names = listed(map(encode_name, sorted(_shared(alike[0], nearly, below, fewest=1))))
        return f"{_folders(alike)} the same folders ({names}), as parts of a split do"
    flat = [own for own in nearly if not below[own] and own.casefold() not in PART_SPELLINGS]
    teaching = [own for own in nearly if PART_SPELLINGS.get(own.casefold()) == "train"]
    teaching = [own for own in teaching if len(below[own]) >= FEWEST_SHARED]
    if flat and teaching:
        names = listed(map(encode_name, sorted(below[teaching[0]])))
        return f"{_folders(teaching)} folders ({names}) and {_folders(flat)} none, as parts may"
    return ""


def _is_called_a_part(name: str) -> bool:
    """Say whether a folder is called like a part, with words beside it that say nothing.

    >>> [_is_called_a_part(own) for own in ("Train", "test_set", "trainImages2", "test_positive")]
    [True, True, True, False]
    """
    words = [own.casefold() for own in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)]
    others = [own for own in words if own not in PART_SPELLINGS]
    return len(others) < len(words) and set(others) <= SAYING_NOTHING


def _is_a_slip(name: str) -> bool:
    """Say whether a name is that of a part with two letters exchanged, or one left out or added.

    Not the first one: rain and strain are words. Nor one for another: nest and best are.

    >>> [_is_a_slip(own) for own in ("tset", "vall", "validaton", "rain", "nest", "holdout")]
    [True, True, True, False, False, False]
    """
    own = name.casefold()
    shorter = {own[:place] + own[place + 1 :] for place in range(1, len(own))}
    for word in PART_SPELLINGS:
        left_out = {word[:place] + word[place + 1 :] for place in range(1, len(word))}
        exchanged = {
            word[:place] + word[place + 1] + word[place] + word[place + 2 :]
            for place in range(len(word) - 1)
        }
        if word in shorter or own in left_out | exchanged:
            return True
    return False


def not_used(
    skipped: Sequence[Skipped], parts: Mapping[str, str], folders: Sequence[str]
) -> Iterator[Finding]:
    """Yield what is passed over for the place where it lies, if its name is that of a picture.

    Severe where a folder beside the parts holds the same folders as one of them: it is a part
    under a name that nobody knows.
    """
    below = _below(folders)
    places: Counter[str] = Counter()
    for own in skipped:
        if _is_outside(own):
            places[_top(own.path)] += 1
    as_parts = {own for own in places if own not in parts and _shared(own, list(parts), below)}
    another = "which holds the same folders as the parts, under a name that no part has"
    beside, move = "for there they have no label", "move them into class folders of their part"
    for kind, severity, chosen, why, action in (
        ("outside-part", "severe", as_parts, another, "rename it to train, val or test"),
        ("outside", "warning", places.keys() - as_parts, beside, move),
    ):
        if not chosen:
            continue
        num = sum(places[own] for own in chosen)
        told = {own: f"{encode_name(own)}/" if own else "the folder itself" for own in chosen}
        each = (f"{places[own]:,} in {told[own]}" for own in sorted(chosen))
        sentence = f"{num:,} picture{'s are' if num != 1 else ' is'} not used: {listed(each)}"
        paths = (own.path for own in skipped if _is_outside(own))
        yield Finding(
            kind=kind,
            severity=severity,
            paths=tuple(own for own in paths if _top(own) in chosen),
            sentence=f"{sentence}, {why}.",
            action=action,
        )


def _is_outside(own: Skipped) -> bool:
    return own.reason == "outside" and own.path.lower().endswith(PICTURE_SUFFIXES)


def _top(path: str) -> str:
    top, slash, _ = path.partition("/")
    return top if slash else ""


def _below(folders: Sequence[str]) -> dict[str, set[str]]:
    """Return the names of the folders in each top folder."""
    below: defaultdict[str, set[str]] = defaultdict(set)
    for folder in folders:
        top, *rest = folder.split("/")
        below[top].update(rest[:1])
    return below


def _shared(
    one: str, others: Sequence[str], below: Mapping[str, set[str]], *, fewest: int = FEWEST_SHARED
) -> set[str]:
    """Return the names that a folder shares with one of the others, if they are most of both."""
    for other in others:
        if other == one:
            continue
        own, its = below.get(one, set()), below.get(other, set())
        shared = own & its
        if len(shared) >= fewest and 2 * len(shared) > max(len(own), len(its)):
            return shared
    return set()


def _folders(names: Sequence[str]) -> str:
    shown = listed(f"{encode_name(own)}/" for own in sorted(names))
    return f"{shown} hold{'s' if len(names) == 1 else ''}"
