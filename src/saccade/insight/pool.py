"""The pictures that probes may learn from and be judged on: never those of the test part."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from saccade.insight.changed import drawn
from saccade.insight.evidence import Evidence, NotPossible
from saccade.training.head import fit_head
from saccade.training.nested_heads import MOST_AXES
from saccade.training.objective import class_weights_of
from saccade.training.probe import PENALTIES, Sample, draw_sample, group_folds, num_wanted

MOST_NUMBERS = 20_000_000
"""Pictures × axes × outputs of a pool; where there are more, the pool is a sample."""
FEWEST_OF_A_CLASS = 10  # pictures in such a sample, on average


def draw_pool(evidence: Evidence, *, num: int = 0) -> Sample:
    """Return pictures of the training and validation parts, dealt out to folds, groups whole.

    Args:
        evidence: with frozen features.
        num: how many at most; 0 = as many as a few seconds are enough for.

    Raises:
        NotPossible: there are no frozen features, too few pictures or too few groups.
    """
    features_ND, task = evidence.features, evidence.task
    rows = evidence.rows("train", "validation")
    width = min(features_ND.shape[1], MOST_AXES)
    most = max(MOST_NUMBERS // (width * task.num_outputs), FEWEST_OF_A_CLASS * len(task.classes))
    sample = draw_sample(
        rows.tolist(),
        evidence.targets,
        evidence.split.groups,
        task=task,
        num=min(num, most) if num else most,
        seed=evidence.recipe.seed,
    )
    if sample is None:
        raise NotPossible(
            f"the training and validation parts hold {len(rows)} pictures, too few (groups count "
            "as one) to judge each by heads that learned without it"
        )
    return sample


def head_event(evidence: Evidence) -> Mapping[str, Any] | None:
    """Return what the history says of the head that was solved on the frozen features."""
    heads = [event for event in evidence.history if event.get("event") == "head"]
    return heads[-1] if heads else None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPenalty:
    """A penalty that was chosen, and by how many pictures."""

    value: float
    num: int

    def at(self, num: int) -> float:
        """Return it for a head on so many pictures: less by as much as they are more (`fit_head`).

        >>> KnownPenalty(value=0.1, num=500).at(200), KnownPenalty(value=0.1, num=500).at(1000)
        (0.1, 0.05)
        """
        return self.value * min(1.0, self.num / max(num, 1))


def known_penalty(evidence: Evidence) -> KnownPenalty:
    """Return the penalty of the run's own head; where none was solved, one for its training part.

    Either is chosen by cross-validation within the training part: no test picture has a say.
    """
    solved, rows = head_event(evidence), evidence.rows("train")
    if solved is not None:
        share = float(solved.get("share", 1.0))
        value = float(solved["penalty"]) / share
        return KnownPenalty(value=value, num=round(share * len(rows)))
    few = drawn(evidence, num_wanted(evidence.task), "train")
    taught = evidence.targets[few]
    groups = [evidence.split.groups[row] for row in few]
    penalty = fit_head(
        evidence.features_of(few),
        taught,
        task=evidence.task,
        seed=evidence.recipe.seed,
        class_weights=class_weights_of(
            taught, task=evidence.task, kind=evidence.recipe.class_weights
        ),
        penalties=PENALTIES,
        folds=group_folds(groups, taught, task=evidence.task, seed=evidence.recipe.seed),
    ).penalty
    return KnownPenalty(value=penalty, num=len(few))
