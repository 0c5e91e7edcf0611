r"""What belongs together: a patient, a video, a burst; as the user names it, or as it is proposed.

`--group` takes a column of a table; or a pattern, a regular expression with parentheses around what
names the group, searched in each path (`patient_(\d+)`; of several parentheses the texts are joined
with "/"); or `auto`, which proposes groups and says so (`proposals`).
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from saccade.data.catalog import Catalog, Finding
from saccade.runtime.errors import DataError, UsageError, listed
from saccade.runtime.store import encode_name

AUTO = "auto"


def check_asked(asked: str, *, column: str) -> None:
    """Check what `--group` was given, before anything is read.

    Args:
        asked: a column, a pattern or `auto`; "" = nothing.
        column: what `--group-column` was given.

    Raises:
        UsageError: both were given, or the pattern is none (E262).
    """
    if asked and column:
        raise UsageError(
            "Groups were asked for twice.",
            code="262",
            where=f"--group {asked} --group-column {column}",
            fix="give one of them; --group takes a column too",
        )
    if is_pattern(asked):
        try:
            compiled = re.compile(asked)
        except re.error as error:
            raise UsageError(
                f"The pattern for groups is not a regular expression: {error}.",
                code="262",
                where=f"--group '{asked}'",
                fix=r"write for example 'patient_(\d+)': parentheses around what names the group",
            ) from error
        if not compiled.groups:
            raise UsageError(
                "The pattern for groups does not say which part of the path names the group.",
                code="262",
                where=f"--group '{asked}'",
                fix=r"put parentheses around it, as in 'patient_(\d+)'",
            )


def check_named(asked: str, *, has_columns: bool) -> None:
    """Check what `--group` was given where answers are judged, not data split.

    Args:
        asked: a column or a pattern; "" = nothing.
        has_columns: a table of predictions has paths alone.

    Raises:
        UsageError: it is `auto`, a column where there are none, or no sound pattern (E262).
    """
    check_asked(asked, column="")
    if asked == AUTO or (asked and not has_columns and not is_pattern(asked)):
        columns = (
            " or a column" if has_columns else "; a table of predictions has no column of them"
        )
        raise UsageError(
            f"Where answers are judged, groups are named by a pattern{columns}.",
            code="262",
            where=f"--group '{asked}'",
            fix=r"put parentheses around what names the group, as in 'patient_(\d+)'",
        )


def groups_of(catalog: Catalog, asked: str) -> tuple[str, ...] | None:
    """Return the group of each picture, by a pattern or a column that was read; None = not asked.

    Raises:
        UsageError: the column holds no group (E262).
        DataError: in some paths the pattern finds nothing (E361).
    """
    if is_pattern(asked):
        return named_by(asked, catalog.paths)
    check_column(catalog, asked)
    return catalog.groups if asked else None


def is_pattern(asked: str) -> bool:
    r"""Say whether it is a pattern, not the name of a column.

    >>> is_pattern(r"patient_(\d+)"), is_pattern("patient id"), is_pattern("auto")
    (True, False, False)
    """
    return "(" in asked or "\\" in asked


def column_of(asked: str, *, column: str) -> str:
    """Return the table's column of groups, "" where none was named."""
    return column or ("" if asked == AUTO or is_pattern(asked) else asked)


def check_column(catalog: Catalog, column: str) -> None:
    """Check that a column that was named holds groups.

    Raises:
        UsageError: no picture has one (E262).
    """
    if column and not any(catalog.groups):
        raise UsageError(
            f"No picture has a group: the column '{column}' is empty, or these data come from "
            "folders, which have no columns.",
            code="262",
            where=f"{encode_name(catalog.place)} (--group)",
            fix=r"give a pattern on the path, as in --group 'patient_(\d+)', or --group auto",
        )


def by_pattern(catalog: Catalog, pattern: str) -> Catalog:
    """Return the catalogue with the group of each picture as its path says.

    Raises:
        DataError: in some paths the pattern finds nothing (E361).
    """
    groups = named_by(pattern, catalog.paths)
    return replace(catalog, groups=groups, findings=(*catalog.findings, _said(pattern, groups)))


def named_by(pattern: str, paths: Sequence[str]) -> tuple[str, ...]:
    """Return the group of each path, as a pattern finds it there.

    Raises:
        DataError: in some paths the pattern finds nothing (E361).
    """
    compiled = re.compile(pattern)
    found = [compiled.search(path) for path in paths]
    without = [path for path, own in zip(paths, found, strict=True) if own is None]
    if without:
        raise DataError(
            f"The pattern for groups finds nothing in {len(without)} of {len(paths)} paths: "
            f"{listed(map(encode_name, without))}.",
            code="361",
            where=f"--group '{pattern}'",
            fix="change the pattern so that it finds the group in every path, or rename these",
        )
    return tuple("/".join(part or "" for part in own.groups()) for own in found if own)


def _said(pattern: str, groups: tuple[str, ...]) -> Finding:
    return Finding(
        kind="groups",
        severity="note",
        paths=(),
        sentence=f"The pattern '{pattern}' gives {summary(groups)}.",
    )


def summary(groups: tuple[str, ...]) -> str:
    """Return how many groups there are, how large, and the first of them.

    >>> summary(("a", "a", "b", "b", "b", "c", ""))
    '3 groups of 1 to 3 pictures (6 of 7 pictures): a (2), b (3), c (1)'
    """
    counts = Counter(own for own in groups if own)
    if not counts:
        return "no groups"
    shown = listed(f"{encode_name(name)} ({count})" for name, count in sorted(counts.items()))
    low, high = min(counts.values()), max(counts.values())
    sizes = f"{low}" if low == high else f"{low} to {high}"
    total = sum(counts.values())
    return (
        f"{len(counts)} group{'s' * (len(counts) != 1)} of {sizes} pictures "
        f"({total} of {len(groups)} pictures): {shown}"
    )
