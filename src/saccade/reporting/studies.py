"""What the studies of trust.json found, as the page shows it: each in its section."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from saccade.reporting import (
    study_augmentation_safety,
    study_baselines,
    study_calibration,
    study_factors,
    study_leaks,
    study_learning_curve,
    study_limits,
    study_naive_split,
    study_robustness,
    study_shortcuts,
    study_slices,
    study_suspects,
)
from saccade.reporting.facts import StudyFacts
from saccade.reporting.pictures import Album

View = Callable[[Mapping[str, Any], Album], Mapping[str, Any]]
"""From what a study found to what its template `study_<name>.html` is given as `s`."""

VIEWS: Mapping[str, tuple[str, View]] = MappingProxyType(
    {
        "leaks": ("believe", study_leaks.view),
        "naive_split": ("believe", study_naive_split.view),
        "shortcuts": ("believe", study_shortcuts.view),
        "baselines": ("good", study_baselines.view),
        "calibration": ("good", study_calibration.view),
        "limits": ("good", study_limits.view),
        "robustness": ("good", study_robustness.view),
        "slices": ("wrong", study_slices.view),
        "suspects": ("help", study_suspects.view),
        "learning_curve": ("help", study_learning_curve.view),
        "factors": ("help", study_factors.view),
        "augmentation_safety": ("help", study_augmentation_safety.view),
    }
)
"""Name of a study -> section of the page (believe, good, wrong, help, made) and view; in the order
in which they are shown."""


def studies_of(trust: Mapping[str, Any], album: Album) -> tuple[StudyFacts, ...]:
    """Return the studies of trust.json that the page can show, in its order."""
    return tuple(_known(trust.get("studies", {}), album))


def _known(studies: Mapping[str, Any], album: Album) -> Iterator[StudyFacts]:
    for name, (section, view) in VIEWS.items():
        if name in studies:
            yield StudyFacts(name=name, section=section, view=view(studies[name], album))


def sentences(trust: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what each study says first, for a terminal."""
    told = []
    for study in studies_of(trust, Album(lambda _path: None)):
        said = study.view.get("sentence") or " ".join(study.view.get("sentences", ())[:1])
        told += [str(said)] if said else []
    return tuple(told)


def left_out(trust: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a sentence for each study that says nothing about this run, with the reason."""
    reasons = trust.get("left_out", {})
    return tuple(str(reason) for reason in reasons.values())
