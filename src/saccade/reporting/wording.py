"""How numbers, names and metrics are put into words."""

import math
import re
from collections.abc import Iterable, Sequence

from saccade.evaluation.digits import decimals as decimals
from saccade.evaluation.digits import short as short
from saccade.evaluation.intervals import Estimate

_BIDIRECTIONAL = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C}


def visible(text: str) -> str:
    r"""Return the text with everything shown that would act instead of being read.

    Control characters, marks that turn the direction of writing and bytes that are not UTF-8
    become `\uNNNN` or `\xNN`, so a name can neither hide nor break the page's encoding.

    >>> visible("a\u202egpj.exe")
    'a\\u202egpj.exe'
    """
    return "".join(_visible_character(character) for character in text)


def _visible_character(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    hidden = (code < 0x20 and character != "\n") or 0x7F <= code < 0xA0
    if hidden or code in _BIDIRECTIONAL or 0xD800 <= code <= 0xDFFF:
        return f"\\u{code:04x}"
    return character


def count(number: float | None) -> str:
    """Return a whole number with its thousands apart.

    >>> count(25557032)
    '25,557,032'
    """
    return "not recorded" if number is None else f"{number:,.0f}"


def beginning(sentence: str, paths: Iterable[str]) -> str:
    """Return the first sentence of a finding, without the files that it goes on to name.

    Args:
        sentence: the finding's.
        paths: of its files, as it names them.

    >>> beginning("2 pictures are blank: a. B.jpg, c.jpg.", ["a. B.jpg", "c.jpg"])
    '2 pictures are blank.'
    >>> beginning("Classes without pictures: a, b. Mend them.", [])
    'Classes without pictures: a, b.'
    """
    places = (sentence.find(f": {path}{end}") for path in paths for end in ",. ")
    if first := min((place for place in places if place > 0), default=0):
        return f"{sentence[:first]}."
    return re.split(r"(?<=\.) (?=[A-Z])", sentence, maxsplit=1)[0]


def as_sentence(text: str) -> str:
    """Return words as a sentence of their own.

    >>> as_sentence("look at them"), as_sentence("Done.")
    ('Look at them.', 'Done.')
    """
    return f"{text[:1].upper()}{text[1:].rstrip('. ')}."


def plural(number: int, one: str, many: str = "") -> str:
    """Return a count with its noun.

    >>> plural(1, "picture"), plural(1200, "picture"), plural(2, "class", "classes")
    ('1 picture', '1,200 pictures', '2 classes')
    """
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def large(number: float) -> str:
    """Return a large count by its unit.

    >>> large(2223872), large(601_620_000), large(512)
    ('2.22 M', '602 M', '512')
    """
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(number) >= size:
            scaled = number / size
            digits = 2 if scaled < 10 else 1 if scaled < 100 else 0
            return f"{scaled:.{digits}f} {unit}"
    return f"{number:.0f}"


def percent(share: float) -> str:
    """Return a share as a percentage with one decimal; not all, or none, where it is not.

    >>> percent(0.934), percent(float("nan")), percent(0.9996), percent(1.0), percent(0.0004)
    ('93.4 %', '–', '> 99.9 %', '100.0 %', '< 0.1 %')
    """
    if not math.isfinite(share):
        return "–"
    if 0.9995 <= share < 1:
        return "> 99.9 %"
    return "< 0.1 %" if 0 < share < 0.0005 else f"{100 * share:.1f} %"


def duration(seconds: float) -> str:
    """Return a time a person can picture.

    >>> duration(0.213), duration(42.4), duration(671), duration(math.nan)
    ('0.2 s', '42 s', '11 min 11 s', '–')
    """
    if not math.isfinite(seconds):
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"


def value(estimate: Estimate, *, share: bool = True) -> str:
    """Return an estimate's value alone, as `decimals` writes it; a dash where it is not defined.

    >>> value(Estimate(value=0.97, low=0.915, high=0.99, n=100, method="wilson"))
    '0.970'
    """
    return decimals(estimate.value, share=share)


def interval(estimate: Estimate, *, with_n: bool = False, share: bool = True) -> str:
    """Return the 95 % interval as two numbers, or why there is none.

    >>> interval(Estimate(value=0.97, low=0.915, high=0.99, n=100, method="wilson"))
    '0.915 to 0.990'
    """
    if not math.isfinite(estimate.value):
        return estimate.method.removeprefix("undefined: ")
    if not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
        return "no interval"
    n = f", n = {estimate.n:,}" if with_n else ""
    low, high = (decimals(end, share=share) for end in (estimate.low, estimate.high))
    return f"{low} to {high}{n}"


def cut(text: str, length: int) -> str:
    """Return the text with no more than `length` characters.

    >>> cut("last stage", 20), cut("a long name", 7)
    ('last stage', 'a long…')
    """
    return text if len(text) <= length else f"{text[: length - 1]}…"


def first_words(items: Sequence[str], *, limit: int = 5) -> str:
    """Return the first items as a phrase, and how many more there are.

    >>> first_words(["a", "b", "c"]), first_words(["a", "b", "c"], limit=1)
    ('a, b and c', 'a and 2 more')
    """
    if len(items) <= limit:
        return joined_words(items)
    return f"{', '.join(items[:limit])} and {len(items) - limit} more"


def joined_words(items: Sequence[str], *, last: str = "and") -> str:
    """Return the items as a phrase.

    >>> joined_words(["a", "b", "c"])
    'a, b and c'
    """
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"
