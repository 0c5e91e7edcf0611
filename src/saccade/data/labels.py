"""What the texts in the label column are: numbers, names, or several names in one cell."""

import math
import re
from collections.abc import Callable, Sequence

MAX_NUMERIC_CLASSES = 20  # more different whole numbers are a quantity, in most columns
LABEL_NAMES = (  # the first that a table has is taken
    "label",
    "labels",
    "class",
    "classes",
    "class_name",
    "category",
    "target",
    "species",
    "tags",
    "diagnosis",
    "dx",
)
NUMERIC_SHARE = 0.9  # of the cells: then the rest are mistakes among numbers, not names
LIST_SEPARATOR = "\x1f"  # ASCII's unit separator joins lists whose items hold the others
SEPARATORS = (LIST_SEPARATOR, "|", ";", ",", " ")
SEPARATOR_NAMES = {
    LIST_SEPARATOR: "a list's comma",
    "|": "'|'",
    ";": "a semicolon",
    ",": "a comma",
    " ": "a space",
}


def as_number(text: str) -> float | None:
    """Return the finite number that a cell holds, or None.

    >>> as_number("1.5"), as_number("nan"), as_number("one"), as_number("1_000")
    (1.5, None, None, None)
    """
    if "_" in text:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def is_text(name: str) -> bool:
    """Say whether a name can be written as UTF-8, unlike bytes of a file's name that are not."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def is_label_like(column: str) -> bool:
    """Say whether a column's name promises classes: "label", "fine_label", "class_id", ….

    >>> is_label_like("fine_label"), is_label_like("age"), is_label_like("patient_id")
    (True, False, False)
    """
    name = column.casefold().removesuffix("_id")
    return name in LABEL_NAMES or name.endswith(("_label", "_class", "_category"))


def looks_like_quantity(labels: Sequence[str], *, column: str) -> bool:
    """Say whether the cells are measurements, not classes.

    Numbers with a fraction are. Whole numbers are when they take more than 20 values; in a
    column with a name such as "label" or "breed_id", when most values occur only once.

    >>> looks_like_quantity(["0.5", "1.5", "2.5"], column="label")
    True
    >>> looks_like_quantity(["0", "1", "0", "1"], column="age")
    False
    >>> looks_like_quantity([str(n % 100) for n in range(1000)], column="fine_label")
    False
    """
    numbers = [value for value in map(as_number, labels) if value is not None]
    if not numbers or len(numbers) < NUMERIC_SHARE * len(labels):
        return False
    if not all(value.is_integer() for value in numbers):
        return True
    distinct = len(set(numbers))
    if is_label_like(column) or column.casefold().endswith("_id"):
        return distinct > MAX_NUMERIC_CLASSES and distinct > len(numbers) / 2
    return distinct > MAX_NUMERIC_CLASSES


def has_decimal_comma(text: str) -> bool:
    """Say whether a cell looks like a number with a decimal comma.

    >>> has_decimal_comma("-12,5"), has_decimal_comma("12"), has_decimal_comma("1,2,3")
    (True, False, False)
    """
    return "," in text and re.fullmatch(r"[-+]?\d+,\d+", text.strip()) is not None


def have_decimal_commas(labels: Sequence[str]) -> bool:
    """Say whether the cells look like numbers with a decimal comma, not like two labels each.

    Nearly all are such numbers or whole ones, and most have a comma.

    >>> have_decimal_commas(["12,5", "37,1", "13"]), have_decimal_commas(["1,2", "2", "3,1,2"])
    (True, False)
    """
    with_comma = sum(map(has_decimal_comma, labels))
    if 2 * with_comma <= len(labels):
        return False
    whole = sum(as_number(text) is not None for text in labels)
    return with_comma + whole >= NUMERIC_SHARE * len(labels)


def find_separator(labels: Sequence[str]) -> str:
    """Return what stands between several labels in one cell, or "" where each cell is one label.

    "|" and ";" are believed at once, for hardly a class name holds them. A comma or a space is
    believed only where it explains the cells: the pieces are fewer than the cells' different
    texts, and for a space, some cell is a single piece.

    >>> find_separator(["cat|dog", "cat"]), find_separator(["cat, dog", "dog, cat", "cat"])
    ('|', ',')
    >>> find_separator(["Paris, France", "Rome, Italy"]), find_separator(["red fox", "red deer"])
    ('', '')
    """
    texts = set(labels)
    for separator in SEPARATORS:
        if not any(separator in text for text in texts):
            continue
        if separator not in ", ":
            return separator
        pieces = {piece for text in texts for piece in pieces_of(text, separator)}
        singles = any(separator not in text for text in texts if text)
        if len(pieces) < len(texts) and (singles or separator == ","):
            return separator
    return ""


def reader(
    labels: Sequence[str], *, column: str, columns: Sequence[str]
) -> Callable[[str], tuple[str, ...]]:
    """Return the function that says which labels one text names, before there is a task.

    Args:
        labels: the texts of all pictures.
        column: the table's column of labels; "" = folders' names, which are one label each.
        columns: several columns of 0 and 1, of which each text holds the marks; else empty.

    >>> reader(["cat|dog", "cat"], column="tags", columns=())("dog|cat")
    ('dog', 'cat')
    """
    if columns:
        return lambda text: marked(text, columns)
    separator = find_separator(labels) if column else ""
    return lambda text: pieces_of(text, separator) if separator else (text,)


def marked(cell: str, columns: Sequence[str]) -> tuple[str, ...]:
    """Return the columns whose mark is 1, of a cell that holds the marks of several.

    >>> marked("1|0|1", ("dog", "cat", "fox"))
    ('dog', 'fox')
    """
    marks = cell.split("|")
    return tuple(name for name, mark in zip(columns, marks, strict=False) if mark == "1")


def in_words(cell: str, columns: Sequence[str]) -> str:
    """Return a label as people write it: the names of the columns that are 1, "|" between.

    Without several columns, or where such names could be taken for something else, it is the cell.

    >>> in_words("1|0|1", ("dog", "cat", "fox")), in_words("dog", ())
    ('dog|fox', 'dog')
    """
    if any("|" in name or name in {"0", "1"} or name != name.strip() for name in columns):
        return cell
    return "|".join(marked(cell, columns)) if columns else cell


def pieces_of(cell: str, separator: str) -> tuple[str, ...]:
    """Return the labels in one cell, without the space around them, each once.

    >>> pieces_of("cat; dog;cat;", ";")
    ('cat', 'dog')
    """
    pieces = (piece.strip() for piece in cell.split(separator))
    return tuple(dict.fromkeys(piece for piece in pieces if piece))
