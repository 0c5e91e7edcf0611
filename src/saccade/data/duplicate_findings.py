"""What a person should know about pictures that show the same."""

import math
from collections.abc import Hashable, Iterable, Iterator, Sequence

from saccade.data.catalog import Catalog, Finding
from saccade.data.duplicates import Leak, Pair, Twins, kind_counts, leaks
from saccade.data.near_duplicates import GRAY_ZONE, THRESHOLDS
from saccade.data.split import Split
from saccade.data.task import Task
from saccade.runtime.errors import listed
from saccade.runtime.store import encode_name


def duplicate_findings(
    catalog: Catalog, twins: Twins, split: Split | None = None, *, task: Task | None = None
) -> Iterator[Finding]:
    """Yield what is to be said about copies: leaks between parts, copies, and two labels of one.

    Args:
        catalog: the pictures.
        twins: which of them show the same.
        split: adds what lies in different parts.
        task: says which labels are the same; None = those of one text.
    """
    said = [task.meaning(label) if task else label for label in catalog.labels]
    if split is not None:
        yield from leak_findings(catalog, leaks(twins, split.parts), split)
    yield from _exact(catalog, twins, said)
    yield from _near(catalog, twins, said)
    yield from _not_believed(catalog, twins)


_TO_KEEP_TOGETHER = {
    False: "leave the parts to saccade, which keeps copies together",
    True: "leave the parts to saccade with --group auto, which keeps what features find together",
}


def leak_findings(
    catalog: Catalog, found: Sequence[Leak], split: Split, *, by: str = ""
) -> Iterator[Finding]:
    """Yield what is to be said about copies in different parts, if there are any.

    Args:
        catalog: the pictures.
        found: the copies, as `duplicates.leaks` returns them.
        split: their parts.
        by: what found them, where that is not usual.
    """
    if not found:
        return
    sentences = []
    for part, before in (("test", "training or validation"), ("validation", "training")):
        own = [leak for leak in found if split.parts[leak.judged] == part]
        if all(split.parts[leak.known] == "train" for leak in own):
            before = "training"
        if own:
            verb = "shows" if len(own) == 1 else "show"
            sentences.append(
                f"{len(own)} of {len(split.rows(part))} {part} pictures {verb} the same as "
                f"{before} pictures ({kind_counts(own)}{by and f'; found by {by}'}): "
                f"{listed(_leak_texts(catalog, own), limit=3)}."
            )
    yield Finding(
        kind="leak",
        severity="severe",
        paths=tuple(catalog.paths[row] for own in found for row in (own.judged, own.known)),
        sentence=" ".join(sentences),
        action="remove such pictures from one side, or "
        f"{_TO_KEEP_TOGETHER[bool(by)]}; the report gives the score without them beside the score "
        "as asked",
    )


def _leak_texts(catalog: Catalog, found: Iterable[Leak]) -> list[str]:
    return [
        f"{encode_name(catalog.paths[own.judged])} = {encode_name(catalog.paths[own.known])}"
        f" ({_how(own)})"
        for own in found
    ]


def _how(own: Leak | Pair) -> str:
    return "exact" if own.kind == "exact" else f"{own.kind}, {own.similarity:.2f}"


def _exact(catalog: Catalog, twins: Twins, said: Sequence[Hashable]) -> Iterator[Finding]:
    groups = twins.exact
    if groups:
        copies = sum(len(rows) - 1 for rows in groups)
        subject = "pictures are exact copies" if copies > 1 else "picture is an exact copy"
        yield Finding(
            kind="duplicate",
            severity="warning",
            paths=_paths(catalog, groups),
            sentence=f"{copies} {subject} of others, byte for byte: "
            f"{listed(_equations(catalog, groups))}.",
            action="remove the copies; where parts are drawn, they stay in one part",
        )
    conflicts = [rows for rows in groups if len({said[row] for row in rows}) > 1]
    if conflicts:
        subject = "pictures have" if len(conflicts) > 1 else "picture has"
        yield Finding(
            kind="conflict",
            severity="severe",
            paths=_paths(catalog, conflicts),
            sentence=f"{len(conflicts)} {subject} two labels, in copies of equal bytes: "
            f"{listed(_labelled(catalog, conflicts))}.",
            action="keep the copy whose label is right; until then both are used",
        )


def _near(catalog: Catalog, twins: Twins, said: Sequence[Hashable]) -> Iterator[Finding]:
    pairs = [own for own in twins.pairs() if own.kind != "exact"]
    if not pairs:
        return
    subject = "pairs of pictures show" if len(pairs) > 1 else "pair of pictures shows"
    shown = listed(_pair_texts(catalog, pairs), limit=3)
    yield Finding(
        kind="near-duplicate",
        severity="warning",
        paths=tuple(catalog.paths[row] for own in pairs for row in (own.first, own.second)),
        sentence=f"{len(pairs)} {subject} the same in other bytes ({kind_counts(pairs)}; "
        f"similarity from {twins.near.threshold:g}): {shown}.",
        action="look at the near copies, and remove what shows the same; where parts are drawn, "
        "they stay in one part",
    )
    other = [own for own in pairs if said[own.first] != said[own.second]]
    have = "has" if len(other) == 1 else "have"
    if other:
        yield Finding(
            kind="near-conflict",
            severity="warning",
            paths=tuple(catalog.paths[row] for own in other for row in (own.first, own.second)),
            sentence=f"{len(other)} of the pairs that show the same {have} two labels: "
            f"{listed(_labelled(catalog, [(own.first, own.second) for own in other]))}.",
            action="look which label of such a pair is right",
        )


def _pair_texts(catalog: Catalog, pairs: Iterable[Pair]) -> list[str]:
    return [
        f"{encode_name(catalog.paths[own.first])} = {encode_name(catalog.paths[own.second])}"
        f" ({_how(own)})"
        for own in pairs
    ]


def _not_believed(catalog: Catalog, twins: Twins) -> Iterator[Finding]:
    """Yield what was alike, but not taken for the same."""
    if math.isinf(twins.near.threshold):
        yield Finding(
            kind="look-alikes",
            severity="warning",
            paths=(),
            sentence=f"Many of the pictures look so alike that copies cannot be told from them "
            f"(at every threshold from {THRESHOLDS[0]:g} to {THRESHOLDS[-1]:g} more pairs lie "
            f"less than {GRAY_ZONE:g} below than above); only equal bytes count as copies.",
            action="where more than single pictures belong together, name them with --group",
        )
    for rows in twins.too_large:
        yield Finding(
            kind="look-alikes",
            severity="warning",
            paths=tuple(catalog.paths[row] for row in rows),
            sentence=f"{len(rows)} of {len(catalog)} pictures are linked by looking alike: "
            f"{listed(encode_name(catalog.paths[row]) for row in rows)}. That is too many for "
            "copies, so they were not kept together.",
            action="if what is linked shows one scene, name it with --group; else nothing",
        )
    if twins.near.num_plain:
        yield Finding(
            kind="plain",
            severity="note",
            paths=(),
            sentence=f"{twins.near.num_plain} of {len(catalog)} pictures show too little to be "
            "compared by their looks (black, white or without detail); their bytes were.",
        )


def _paths(catalog: Catalog, groups: Iterable[Sequence[int]]) -> tuple[str, ...]:
    return tuple(catalog.paths[row] for rows in groups for row in rows)


def _equations(catalog: Catalog, groups: Iterable[Sequence[int]]) -> list[str]:
    return [" = ".join(encode_name(catalog.paths[row]) for row in rows[:3]) for rows in groups]


def _labelled(catalog: Catalog, groups: Iterable[Sequence[int]]) -> list[str]:
    return [
        " and ".join(
            f"{encode_name(catalog.paths[row])} ({catalog.told(catalog.labels[row]) or 'no label'})"
            for row in rows[:3]
        )
        for rows in groups
    ]
