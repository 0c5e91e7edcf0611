"""All that is said about whether a result can be trusted, study by study, within the budget."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saccade.data.catalog import Finding
from saccade.insight.evidence import NO_FEATURES, Evidence, NotPossible
from saccade.runtime.machine import give_back_pages, let_go
from saccade.runtime.progress import Progress
from saccade.runtime.store import write_json

FORMAT_VERSION = 1
TRUST = "trust.json"

AFTER = "nothing was trained yet"
FAULT = "a fault in saccade, which should be reported"

Findings = Mapping[str, Any]
"""What one study found, as JSON can hold it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One question about the run, and how it is answered."""

    name: str
    what: str  # for a person, where it is left out: "how many more pictures would help"
    ask: Callable[
        [Evidence, Mapping[str, Findings]], Findings
    ]  # evidence, and what is known so far
    seconds_a_picture: float = 0.0  # about, on two cores; decides whether it still fits a budget
    seconds: float = 0.0  # beside that
    after_learning: bool = False  # needs the prediction table
    by_features: bool = False  # needs the features of a pretrained network


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What the studies found, and which were left out and why."""

    studies: dict[str, Findings]
    left_out: dict[str, str]
    seconds: dict[str, float]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the studies found that belongs among the findings of the data."""
        return tuple(
            Finding(**{**own, "paths": tuple(own["paths"])})
            for study in self.studies.values()
            for own in study.get("findings", ())
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as trust.json holds it."""
        return {"format_version": FORMAT_VERSION, **dataclasses.asdict(self)}

    def write(self, folder: Path) -> None:
        """Write trust.json into a run folder."""
        write_json(folder / TRUST, self.as_dict())


def examine(
    evidence: Evidence,
    studies: Sequence[Study],
    *,
    progress: Progress | None = None,
) -> Trust:
    """Return what the studies say; one that would pass the deadline is left out by name.

    Args:
        evidence: what they look at.
        studies: in the order of their worth, for the last ones are left out first.
        progress: is told which one is under way.
    """
    progress = progress or Progress()
    trust = Trust(studies={}, left_out={}, seconds={})
    num = len(evidence.catalog)
    for study in studies:
        if study.after_learning and evidence.table is None:
            trust.left_out[study.name] = f"{study.what}: {AFTER}"
            continue
        if study.by_features and evidence.features_ND is None:
            trust.left_out[study.name] = f"{study.what}: {NO_FEATURES}"
            continue
        if time.monotonic() + study.seconds + num * study.seconds_a_picture > evidence.deadline:
            trust.left_out[study.name] = f"{study.what}: the budget left no time for it"
            continue
        progress.start(study.what)
        begun = time.perf_counter()
        try:
            trust.studies[study.name] = study.ask(evidence, trust.studies)
        except NotPossible as reason:
            trust.left_out[study.name] = f"{study.what}: {reason}"
        except Exception as fault:  # noqa: BLE001 - a finished model is not lost for a study of it
            what = f"{type(fault).__name__}: {str(fault)[:200]}"
            trust.left_out[study.name] = f"{study.what}: {FAULT} ({what})"
        trust.seconds[study.name] = round(time.perf_counter() - begun, 3)
        if evidence.features_ND is not None:
            let_go(evidence.features_ND)
        give_back_pages()
    progress.close()
    return trust


def nothing_asked(studies: Sequence[Study], *, why: str) -> Trust:
    """Return what is known where no study was asked: that each was left out, and why."""
    left_out = {study.name: f"{study.what}: {why}" for study in studies}
    return Trust(studies={}, left_out=left_out, seconds={})


def total_seconds(studies: Sequence[Study], num: int) -> float:
    """Return about how long all of them take for so many pictures, on two cores."""
    return sum(study.seconds + num * study.seconds_a_picture for study in studies)
