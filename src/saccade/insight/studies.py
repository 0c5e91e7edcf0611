"""The studies there are, in the order of their worth: with a short budget the last go first."""

from saccade.insight import (
    baselines,
    factors,
    learning_curve,
    naive_split,
    shortcuts,
    slices,
    suspects,
)
from saccade.insight.trust import Study

STUDIES: tuple[Study, ...] = (
    Study(
        name="shortcuts",
        what="whether size, brightness or file kind alone tell the classes",
        ask=shortcuts.study,
        seconds=1.0,
        seconds_a_picture=5e-4,
    ),
    Study(
        name="suspects",
        what="which labels are probably wrong",
        ask=suspects.study,
        seconds=0.5,
        seconds_a_picture=4e-4,
    ),
    Study(
        name="slices",
        what="which kinds of pictures are answered worse",
        ask=slices.study,
        seconds=0.5,
        after_learning=True,
    ),
    Study(
        name="naive_split",
        what="what a naive split would have claimed",
        ask=naive_split.study,
        seconds=2.0,
    ),
    Study(
        name="learning_curve",
        what="how many more pictures would help",
        ask=learning_curve.study,
        seconds=0.5,
        seconds_a_picture=1.2e-3,
    ),
    Study(
        name="baselines",
        what="the baseline ladder",
        ask=baselines.study,
        seconds=3.5,
        seconds_a_picture=1.5e-3,
        after_learning=True,
    ),
    Study(
        name="factors",
        what="the factors of fine-tuning",
        ask=factors.study,
        seconds=0.1,
        after_learning=True,
    ),
)
