"""The page of `saccade check`: the sections of a report that need no trained network."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saccade.data.task import Task
from saccade.reporting import pictures
from saccade.reporting.checks import checks
from saccade.reporting.examples import galleries
from saccade.reporting.facts import Facts, ModelFacts, ResultFacts
from saccade.reporting.folder import SplitRow
from saccade.reporting.learned import LearningFacts
from saccade.reporting.pictures import Album
from saccade.reporting.sections import data_of, split_of
from saccade.reporting.studies import left_out, studies_of

LOOKED = "looked at"
"""The state of facts that are of data alone; a run has other states."""


def facts_of_look(
    facts: Mapping[str, Any],
    rows: Sequence[SplitRow],
    *,
    name: str,
    summary: str,
    task: Task,
    trust: Mapping[str, Any],
    picture: Callable[[str], NDArray[np.uint8] | None],
    version: str,
) -> Facts:
    """Return what the page of a look at data shows.

    Args:
        facts: as in run.json's `data`, with a section `split`.
        rows: as in split.csv.
        name: of the data, for the title.
        summary: the look in one sentence.
        task: what would be learned.
        trust: as in trust.json.
        picture: gives a catalogue path's pixels, uint8 HWC; None where the file is gone.
        version: saccade's.
    """
    album = Album(picture, max_bytes=pictures.MAX_PAGE_PICTURE_BYTES)
    data, split, results = data_of(facts), split_of(facts["split"], rows), ResultFacts()
    studies = studies_of(trust, album)
    return Facts(
        name=name,
        folder=data.place,
        state=LOOKED,
        error="",
        has_model=False,
        summary=summary,
        version=version,
        task=task,
        data=data,
        split=split,
        model=ModelFacts(),
        learning=LearningFacts(),
        results=results,
        examples=galleries(
            rows, task=task, album=album, results=results, columns=data.label_columns
        ),
        checks=checks(
            task,
            data=data,
            split=split,
            results=results,
            rows=rows,
            predictions=None,
            studies=trust.get("studies", {}),
        ),
        studies=studies,
        left_out=left_out(trust),
        seed=split.seed,
    )
