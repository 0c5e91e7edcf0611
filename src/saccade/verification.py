"""Whether a run can be believed: everything in its folder that can be checked, checked again."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saccade import number_checks, table_checks
from saccade.data.folders import check_place
from saccade.papers import Failed, NotChecked, Papers
from saccade.run import Run, check_tested, open_run
from saccade.runtime.errors import SaccadeError
from saccade.runtime.progress import Progress

CHECKS: tuple[tuple[str, Callable[[Papers], str]], ...] = (
    ("files", table_checks.files_can_be_read),
    ("bytes", table_checks.files_are_the_same),
    ("page", table_checks.page_is_the_one_written),
    ("end", table_checks.it_was_finished),
    ("table and split", table_checks.table_and_split_agree),
    ("labels", table_checks.labels_are_the_truth),
    ("leaks", table_checks.nothing_is_in_two_parts),
    ("fingerprints", table_checks.fingerprints_are_those_of_the_files),
    ("metrics", number_checks.metrics_follow_from_the_table),
    ("studies", number_checks.studies_are_whole),
    ("seal", table_checks.answers_were_sealed),
    ("pictures", table_checks.pictures_are_the_same),
)
"""Those that need no network, in the order in which they rest on each other."""

HELD, FAILED, UNKNOWN = "held", "failed", "not checked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was checked, and what came of it."""

    name: str
    outcome: str  # HELD, FAILED or UNKNOWN
    sentence: str  # what held, what is wrong, or why it could not be checked


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All checks of one run."""

    folder: Path
    checks: tuple[Check, ...]
    summary: str = ""  # the run's own sentence
    num_severe: int = 0  # findings of the run, in its data or by its studies
    about_labels: tuple[str, ...] = ()  # how many were put right, and how many are doubted

    @property
    def believed(self) -> bool:
        """Whether no check failed."""
        return all(check.outcome != FAILED for check in self.checks)

    def __bool__(self) -> bool:
        """Return whether the run can be believed."""
        return self.believed

    @property
    def sentence(self) -> str:
        """Whether the run can be believed, in one line."""
        num = len(self.checks)
        failed, unknown = self._names(FAILED), self._names(UNKNOWN)
        if failed:
            some = f"{len(failed)} of {num} checks failed"
            return f"This run cannot be believed: {some} ({', '.join(failed)})."
        if unknown:
            return (
                f"This run can be believed as far as it could be checked: {num - len(unknown)} of "
                f"{num} checks held, and {len(unknown)} could not be made ({', '.join(unknown)})."
            )
        return f"This run can be believed: all {num} checks held."

    @property
    def says(self) -> tuple[str, ...]:
        """What the run says of itself: a sound one need not be a good one."""
        num = self.num_severe
        severe = (
            f"It has {num} severe finding{'s' * (num != 1)}, with which its report begins: that "
            "its numbers are those that were measured does not make them good."
        )
        return (f"The run says: {self.summary}", *([severe] if num else []), *self.about_labels)

    def _names(self, outcome: str) -> list[str]:
        return [check.name for check in self.checks if check.outcome == outcome]

    def as_text(self) -> str:
        """Return the checklist and the verdict, for a terminal."""
        width = max(len(check.name) for check in self.checks)
        lines = [
            f"{check.outcome:<11}  {check.name:<{width}}  {check.sentence}" for check in self.checks
        ]
        return "\n".join([*lines, "", *self.says, self.sentence])

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {
            "run": str(self.folder),
            "believed": self.believed,
            "sentence": self.sentence,
            "says": list(self.says),
            "checks": [
                {"name": own.name, "outcome": own.outcome, "sentence": own.sentence}
                for own in self.checks
            ],
        }


def verify(
    folder: str | Path, *, data: str | Path = "", progress: Progress | None = None
) -> Verdict:
    """Return whether a run can be believed, check by check.

    Nothing is written. What cannot be checked, for the pictures are gone, say, is said to be so
    and is not held against the run.

    Args:
        folder: the run's.
        data: where its pictures lie now, a folder or table; "" = where its recipe says.
        progress: who is told.

    Raises:
        DataError: `data` is not there (E301).
        ArtefactError: it is not a run folder, or of a newer format (E560 to E562), or was stopped
            before its end (E568).
    """
    progress = progress or Progress()
    run = open_run(folder)
    check_tested(run)
    if data:
        check_place(Path(data))
    papers = Papers(run.folder, data=str(data), progress=progress)
    progress.start("check the tables")
    checks = [_asked(name, functools.partial(ask, papers)) for name, ask in CHECKS]
    progress.start("check the model")
    from saccade.model_checks import ModelChecks  # noqa: PLC0415 - torch, which takes seconds

    checks += [_asked(name, ask) for name, ask in ModelChecks(papers).checks]
    progress.close()
    return Verdict(
        folder=run.folder,
        checks=tuple(checks),
        summary=run.summary,
        num_severe=run.num_severe,
        about_labels=_about_labels(run),
    )


def _about_labels(run: Run) -> tuple[str, ...]:
    """Return what the run says of its labels; nothing where its files are damaged."""
    try:
        return tuple(filter(None, (run.corrected_labels, run.doubted_labels)))
    except (SaccadeError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return ()  # a check has said so


def _asked(name: str, ask: Callable[[], str]) -> Check:
    try:
        return Check(name=name, outcome=HELD, sentence=ask())
    except NotChecked as reason:
        return Check(name=name, outcome=UNKNOWN, sentence=str(reason))
    except Failed as reason:
        return Check(name=name, outcome=FAILED, sentence=str(reason))
    except SaccadeError as error:
        where = f" ({error.where})" if error.where else ""
        return Check(name=name, outcome=FAILED, sentence=f"{error.message}{where}")
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        why = f"a field is missing or of another kind ({type(error).__name__}: {error})"
        return Check(name=name, outcome=FAILED, sentence=f"a file of the run is damaged: {why}")
