"""Pictures that are the same: they must not be on both sides of a split."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from saccade.data.catalog import Catalog, Finding
from saccade.runtime.errors import listed
from saccade.runtime.store import encode_name


def exact_duplicates(hashes: Sequence[str]) -> list[tuple[int, ...]]:
    """Return the groups of rows whose bytes are equal, each of two or more, in order.

    >>> exact_duplicates(["a", "b", "a", "c"])
    [(0, 2)]
    """
    rows_of: defaultdict[str, list[int]] = defaultdict(list)
    for row, own in enumerate(hashes):
        rows_of[own].append(row)
    return [tuple(rows) for rows in rows_of.values() if len(rows) > 1]


def joined_groups(catalog: Catalog) -> tuple[str, ...]:
    """Return a group for every row, such that copies and user-named groups stay together.

    Rows that are linked through any chain of equal bytes and equal group names share one name;
    a row that is linked to nothing has "".
    """
    parent = list(range(len(catalog)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    named: defaultdict[str, list[int]] = defaultdict(list)
    for row, group in enumerate(catalog.groups):
        if group:
            named[group].append(row)
    for rows in (*exact_duplicates(catalog.hashes), *named.values()):
        for row in rows[1:]:
            parent[max(root(rows[0]), root(row))] = min(root(rows[0]), root(row))
    members: defaultdict[int, list[int]] = defaultdict(list)
    for row in range(len(catalog)):
        members[root(row)].append(row)
    groups = [""] * len(catalog)
    for rows in members.values():
        name = _group_name(catalog, rows)
        for row in rows:
            groups[row] = name
    return tuple(groups)


def _group_name(catalog: Catalog, rows: Sequence[int]) -> str:
    given = sorted({catalog.groups[row] for row in rows} - {""})
    if given:
        return "+".join(given)
    return f"same:{catalog.hashes[rows[0]][:12]}" if len(rows) > 1 else ""


def duplicate_findings(catalog: Catalog) -> list[Finding]:
    """Return what is to be said about copies: that there are some, and those with two labels."""
    groups = exact_duplicates(catalog.hashes)
    conflicts = [rows for rows in groups if len({catalog.labels[row] for row in rows}) > 1]
    findings = []
    if groups:
        copies = sum(len(rows) - 1 for rows in groups)
        subject = "pictures are exact copies" if copies > 1 else "picture is an exact copy"
        findings.append(
            Finding(
                kind="duplicate",
                severity="warning",
                paths=_paths(catalog, groups),
                sentence=f"{copies} {subject} of others, byte for byte: "
                f"{listed(_pairs(catalog, groups))}.",
                action="remove the copies; until then they stay in one part of the split",
            )
        )
    if conflicts:
        subject = "pictures have" if len(conflicts) > 1 else "picture has"
        findings.append(
            Finding(
                kind="conflict",
                severity="severe",
                paths=_paths(catalog, conflicts),
                sentence=f"{len(conflicts)} {subject} two labels, in copies of equal bytes: "
                f"{listed(_labelled(catalog, conflicts))}.",
                action="keep the copy whose label is right; until then both are used, in one part",
            )
        )
    return findings


def _paths(catalog: Catalog, groups: Iterable[Sequence[int]]) -> tuple[str, ...]:
    return tuple(catalog.paths[row] for rows in groups for row in rows)


def _pairs(catalog: Catalog, groups: Iterable[Sequence[int]]) -> list[str]:
    return [" = ".join(encode_name(catalog.paths[row]) for row in rows[:3]) for rows in groups]


def _labelled(catalog: Catalog, groups: Iterable[Sequence[int]]) -> list[str]:
    return [
        " and ".join(
            f"{encode_name(catalog.paths[row])} ({encode_name(catalog.labels[row])})"
            for row in rows[:3]
        )
        for rows in groups
    ]
