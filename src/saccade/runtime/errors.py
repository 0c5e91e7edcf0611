"""The errors a user can meet: what was expected and met, where, and what to do.

Every error has a code of its own, `SACCADE-Exyz`, whose first digit is the exit code of the
command line: 2 usage, 3 data, 4 resource, 5 artefact, 6 interrupted. `docs/errors.md` lists them.
"""

import difflib
import functools
import shlex
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

MAX_LISTED = 5


class SaccadeError(Exception):
    """Anything that stops saccade for a reason that the user can understand and mend.

    Args:
        message: one sentence: what was expected and what was met.
        code: three digits as text, such as `"301"`; the first is the exit code.
        where: the file, folder, column or flag that it is about.
        fix: what to do about it, as an imperative.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self, message: str, *, code: str, where: str | None = None, fix: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = f"SACCADE-E{code}"
        self.where = where
        self.fix = fix

    def __reduce__(self) -> tuple[Any, ...]:
        code = self.code.removeprefix("SACCADE-E")
        return functools.partial(type(self), code=code, where=self.where, fix=self.fix), self.args

    def __str__(self) -> str:
        lines = [self.message]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.fix:
            lines.append(f"  fix:   {self.fix}")
        return "\n".join(lines)


class UsageError(SaccadeError):
    """A flag, a recipe, a model name or an output folder is not acceptable (exit code 2)."""

    exit_code = 2


class DataError(SaccadeError):
    """The pictures or their labels cannot be used as they are (exit code 3)."""

    exit_code = 3


class ResourceError(SaccadeError):
    """Something outside is missing: weights, memory, disk, a finite loss (exit code 4)."""

    exit_code = 4


class ArtefactError(SaccadeError):
    """A file of weights, a model folder or a run folder is wrong or unsafe (exit code 5)."""

    exit_code = 5


class InterruptedRun(SaccadeError):
    """The user or the system asked to stop; what was finished is kept (exit code 6)."""

    exit_code = 6


def listed(items: Iterable[object], *, limit: int = MAX_LISTED) -> str:
    """Return the items as one line, cut at `limit` with the count of the rest.

    >>> listed(["a", "b"])
    'a, b'
    >>> listed(range(8), limit=3)
    '0, 1, 2 and 5 more'
    """
    texts = [str(item) for item in items]
    if len(texts) <= limit:
        return ", ".join(texts)
    return f"{', '.join(texts[:limit])} and {len(texts) - limit} more"


def command(*words: object) -> str:
    """Return words as a shell takes them, to be copied from a message.

    >>> command("saccade", "resume", "runs/Mes fleurs")
    "saccade resume 'runs/Mes fleurs'"
    """
    return shlex.join(map(str, words))


def nearest(
    name: str, known: Sequence[str], *, limit: int = MAX_LISTED, cutoff: float = 0.5
) -> list[str]:
    """Return the known names closest in spelling to `name`, best first.

    >>> nearest("resnet5", ["resnet50", "vgg16", "resnet18"])
    ['resnet50', 'resnet18']
    """
    return difflib.get_close_matches(name, known, n=limit, cutoff=cutoff)
