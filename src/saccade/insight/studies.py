"""The studies there are, in the order of their worth: with a short budget the last go first."""

from collections.abc import Callable, Mapping
from importlib import import_module

from saccade.insight.evidence import Evidence
from saccade.insight.trust import Findings, Study


def _later(module: str) -> Callable[[Evidence, Mapping[str, Findings]], Findings]:
    """Return what asks a module's `study`, loaded when it is asked: some of them bring torch."""

    def ask(evidence: Evidence, known: Mapping[str, Findings]) -> Findings:
        found: Findings = import_module(f"saccade.insight.{module}").study(evidence, known)
        return found

    return ask


STUDIES: tuple[Study, ...] = (
    Study(
        name="leaks",
        what="whether the test pictures are new to the model",
        ask=_later("leaks"),
        seconds=0.2,
        seconds_a_picture=3e-4,
    ),
    Study(
        name="shortcuts",
        what="whether size, brightness or file kind alone tell the answer",
        ask=_later("shortcuts"),
        seconds=1.0,
        seconds_a_picture=5e-4,
    ),
    Study(
        name="suspects",
        what="which labels are probably wrong",
        ask=_later("suspects"),
        by_features=True,
        seconds=0.5,
        seconds_a_picture=4e-4,
    ),
    Study(
        name="calibration",
        what="whether scores mean what they say",
        ask=_later("calibration"),
        seconds=0.2,
        after_learning=True,
    ),
    Study(
        name="limits",
        what="when the model should not be believed",
        ask=_later("limits"),
        seconds=0.1,
        seconds_a_picture=2e-5,
        after_learning=True,
    ),
    Study(
        name="slices",
        what="which kinds of pictures are answered worse",
        ask=_later("slices"),
        seconds=0.5,
        seconds_a_picture=3e-5,
        after_learning=True,
    ),
    Study(
        name="naive_split",
        what="what a naive split would have claimed",
        ask=_later("naive_split"),
        by_features=True,
        seconds=2.0,
    ),
    Study(
        name="learning_curve",
        what="how many more pictures would help",
        ask=_later("learning_curve"),
        by_features=True,
        seconds=0.5,
        seconds_a_picture=1.0e-3,
    ),
    Study(
        name="baselines",
        what="the baseline ladder",
        ask=_later("baselines"),
        seconds=5.0,
        seconds_a_picture=1.1e-3,
        after_learning=True,
    ),
    Study(
        name="factors",
        what="the factors of fine-tuning",
        ask=_later("factors"),
        seconds=0.1,
        after_learning=True,
    ),
    Study(
        name="robustness",
        what="how well it stands up to disturbed pictures",
        ask=_later("robustness"),
        seconds=8.5,
        after_learning=True,
    ),
    Study(
        name="augmentation_safety",
        what="which augmentations are safe here",
        ask=_later("augmentation_safety"),
        seconds=4.0,
        after_learning=True,
    ),
)

BEFORE_LEARNING = tuple(study for study in STUDIES if not study.after_learning)
OF_PARTS = tuple(study for study in STUDIES if study.name in {"leaks", "naive_split"})
"""What concerns how the pictures are dealt out, and neither their labels nor their number."""
