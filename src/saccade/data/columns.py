"""Which column of a table is the picture, the label, the part and the group."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from saccade.data.catalog import PICTURE_SUFFIXES
from saccade.data.labels import LABEL_NAMES, is_label_like
from saccade.data.part_folders import PART_SPELLINGS, refuse_parts_as_classes
from saccade.data.tables import Table
from saccade.runtime.errors import DataError, listed, nearest
from saccade.runtime.store import encode_name, quoted

IMAGE_NAMES = (
    "file_name", "image", "filename", "file", "path", "image_path", "img_path", "filepath",
    "file_path", "img", "image_file", "image_name", "picture", "photo",
)  # fmt: skip
OWN_SPLIT = {"file", "label", "part", "group", "why"}
"""Columns of a table that `saccade split` wrote: its groups count without being named."""
SPLIT_NAMES = ("split", "part", "partition", "subset", "set", "dataset")
GROUP_WORDS = "patient|subject|person|participant|individual|study|session|video|burst"
NUMBER_WORDS = "id|uid|uuid|no|nr|number|key"
GROUP_NAMES = re.compile(  # of a column, its words in small letters
    rf"({GROUP_WORDS}|group)"
    rf"|(.* )?({GROUP_WORDS})( instance)?( ?({NUMBER_WORDS}|name|code))+"
    # without a number these are as likely what a picture shows
    rf"|(.* )?(lesion|case|slide)( ?({NUMBER_WORDS}))+"
    rf"|group( ?({NUMBER_WORDS}))+"
)
WORD_ENDS = re.compile(r"[\W_]+|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
NUMBERING_NAMES = ("", "index", "id", "row", "unnamed: 0", "image_id", "key")
SAMPLE = 100  # rows whose content is looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns that are used; "" where there is none."""

    image: str
    labels: tuple[str, ...] = ()  # several hold 0 or 1 each
    split: str = ""
    group: str = ""

    def sentence(self) -> str:
        """Return what was taken for what, for a person."""
        roles = (
            ("pictures", self.image),
            ("labels", listed(map(encode_name, self.labels))),
            ("parts", self.split),
            ("groups", self.group),
        )
        return ", ".join(f"{role} in column '{name}'" for role, name in roles if name)


def find_columns(
    table: Table,
    base: Path,
    *,
    image_column: str = "",
    label_column: str = "",
    split_column: str = "",
    group_column: str = "",
    labelled: bool = True,
) -> Columns:
    """Return the columns as named, and where not named, by their names and what they hold.

    A picture column is one of picture files, or of paths; a label column has a name such as
    "label", or else is the only one left; where all that are left hold 0 and 1 only, they are one
    label each. What may name groups (see `may_name_groups`) is no label unless it is named. A
    column of parts is used when labels are and its name says so, and it holds nothing but the
    known spellings. A group column is used only when it is named.

    Raises:
        DataError: the first line is no header (E313), a named column is not there (E307), no
            picture (E308) or label column (E309) can be told, or the labels of a column that was
            not named are called like parts (E318).
    """
    _check_header(table)
    check_column(table, image_column, among=(*table.cells, *table.pictures))
    for name in (split_column, group_column):
        check_column(table, name, among=table.cells)
    if set(table.names) == OWN_SPLIT and any(cell.strip() for cell in table.cells["group"]):
        group_column = group_column or "group"
    image = image_column or _image_column(table, base)
    labels = _named_labels(table, label_column) if labelled and label_column else ()
    split = split_column
    if labelled and not split:  # who only wants answers need not have tidy parts
        split = _split_column(table, besides=labels)
    if labelled and not labels:
        taken = {image, split, group_column}
        labels = _label_columns(table, [name for name in table.cells if name not in taken])
        _refuse_parts(table, labels)
    return Columns(image=image, labels=labels, split=split, group=group_column)


def may_name_groups(table: Table, name: str) -> bool:
    """Say whether a column may say what belongs together: a patient, a video, a burst.

    Its name is that of such a thing, or of its number: `subject`, `PatientID`, `video_name`. What
    is said of the thing names no groups: `patient_sex`, `lesion_type`, `age_group`. And the column
    holds more than 0 and 1: marks of persons say what a picture shows.
    """
    if not any(cell.strip() for cell in table.cells[name]):
        return False
    words = " ".join(WORD_ENDS.sub(" ", name).casefold().split())
    return bool(GROUP_NAMES.fullmatch(words)) and not _are_marks(table.cells[name])


def _are_marks(cells: Sequence[str]) -> bool:
    return set(cells) <= {"0", "1"}


def _refuse_parts(table: Table, labels: Sequence[str]) -> None:
    """Refuse a column that was found for the labels and holds names of parts (E318)."""
    if len(labels) == 1:
        refuse_parts_as_classes(
            {cell.strip() for cell in table.cells[labels[0]]} - {""},
            where=f"{encode_name(table.place)}, column {quoted(labels[0])}",
            fix="name the column of labels with --label-column, this one too if it holds them; "
            "name a column of parts with --split-column",
        )


def _check_header(table: Table) -> None:
    pictures = [name for name in table.names if name.lower().endswith(PICTURE_SUFFIXES)]
    if pictures:
        raise DataError(
            f"The first line should name the columns, and holds a picture, {quoted(pictures[0])}.",
            code="313",
            where=encode_name(table.place),
            fix="write a first line such as: file,label",
        )


def check_column(table: Table, name: str, *, among: Collection[str]) -> None:
    """Check that a column which was named can be used for what it was named for.

    Raises:
        DataError: there is no such column, or it holds nested values (E307).
    """
    if not name or name in among:
        return
    near = nearest(name, [own for own in among if own != name])
    what = f"The table has no column {quoted(name)}."
    if name in table.names:
        what = f"The column {quoted(name)} holds pictures or nested values, no text."
    raise DataError(
        what,
        code="307",
        where=f"{encode_name(table.place)} (columns: {_names(table)})",
        fix=f"perhaps {listed(map(encode_name, near))}" if near else "name one of its columns",
    )


def _names(table: Table) -> str:
    return listed((encode_name(name) or "''" for name in table.names), limit=12)


def _image_column(table: Table, base: Path) -> str:
    by_name = sorted(
        (IMAGE_NAMES.index(name.casefold()), name)
        for name in table.names
        if name.casefold() in IMAGE_NAMES
    )
    named = [name for _, name in by_name]
    inside = list(table.pictures)
    if inside:
        choice = [name for name in named if name in inside] or inside
    else:
        paths = [name for name, cells in table.cells.items() if _are_paths(cells, base)]
        choice = [name for name in named if name in paths] or paths
    if len(choice) == 1 or (choice and choice[0] in named):
        return choice[0]
    if not choice and named and named[0] in table.cells:
        return named[0]
    met = f"several could: {listed(map(encode_name, choice))}" if choice else "none could"
    raise DataError(
        f"The column of pictures cannot be told: {met}.",
        code="308",
        where=f"{encode_name(table.place)} (columns: {_names(table)})",
        fix="name the column of paths or picture bytes with --image-column",
    )


def _are_paths(cells: Sequence[str], base: Path) -> bool:
    """Say whether most of the cells look like picture files or lead to files."""
    sample = [cell for cell in cells[:SAMPLE] if cell]
    paths = [
        cell
        for cell in sample
        if cell.strip().lower().endswith(PICTURE_SUFFIXES) or _is_file(base, cell)
    ]
    return bool(sample) and len(paths) * 2 >= len(sample)


def _is_file(base: Path, cell: str) -> bool:
    try:
        return (base / cell).is_file()
    except (OSError, ValueError):  # too long for a file name, or with a zero byte
        return False


def _split_column(table: Table, *, besides: Sequence[str]) -> str:
    for name in table.cells:
        if name.casefold() not in SPLIT_NAMES or name in besides:
            continue
        values = {cell.strip().casefold() for cell in table.cells[name]} - {""}
        known = values & PART_SPELLINGS.keys()
        if known and (values == known or name.casefold() == "split"):
            return name
    return ""


def holds_parts(cells: Sequence[str]) -> bool:
    """Say whether a column holds nothing but names of parts, train and another among them."""
    values = {cell.strip().casefold() for cell in cells} - {""}
    parts = {PART_SPELLINGS[own] for own in values & PART_SPELLINGS.keys()}
    return values <= PART_SPELLINGS.keys() and "train" in parts and len(parts) > 1


def _named_labels(table: Table, label_column: str) -> tuple[str, ...]:
    if label_column in table.cells:
        return (label_column,)
    names = tuple(name.strip() for name in label_column.split(",") if name.strip())
    for name in names:
        check_column(table, name, among=table.cells)
    return names


def _label_columns(table: Table, left: Sequence[str]) -> tuple[str, ...]:
    for known in LABEL_NAMES:
        for name in left:
            if name.casefold() == known:
                return (name,)
    groups = [name for name in left if may_name_groups(table, name)]
    useful = [
        name for name in left if name not in groups and name.casefold() not in NUMBERING_NAMES
    ]
    like = [name for name in useful if is_label_like(name)]
    if len(like) == 1:
        return (like[0],)
    if len(useful) == 1 or (useful and all(_are_marks(table.cells[name]) for name in useful)):
        return tuple(useful)
    met = f"{len(useful)} could: {listed(map(encode_name, useful))}" if useful else "none is left"
    if groups and not useful:
        met += f", for {listed(map(encode_name, groups))} may say which pictures belong together"
    raise DataError(
        f"The column of labels cannot be told: {met}.",
        code="309",
        where=f"{encode_name(table.place)} (columns: {_names(table)})",
        fix="name it with --label-column; several columns of 0 and 1 with commas between",
    )
