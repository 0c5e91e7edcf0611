"""Pictures that hardly show anything: blank, dark, bright, flat or blurred ones."""

from collections.abc import Iterator

import numpy as np

from saccade.data.catalog import Catalog, Finding
from saccade.data.looks import Looks
from saccade.runtime.errors import listed
from saccade.runtime.store import encode_name

FEWEST = 20  # pictures, to say what is usual
BLANK = 0.01  # contrast: a spread of one gray level of 255
FAR = 3.5
"""Modified z scores from the median.

Source: B. Iglewicz, D. Hoaglin (1993), How to Detect and Handle Outliers, ASQC, p. 11."""
FAR_LIGHT = 2.5  # brightness ends at 0 and 1, so that nothing can be very far
DARK = 0.06
BRIGHT = 0.94
FLAT = 0.05
BLURRED = 0.015
"""Absolute bounds beside that, for in even data something is always far from the median. Of 1,398
photographs (flowers, ants and bees) 2 are as dark, 1 as bright (it says "not available"), none as
flat or as blurred; a Gaussian blur of 2 pixels on a canvas of 256 brings 95 % of them below
BLURRED. Small canvases are sharper, pixel by pixel, so there only more blur is found."""


def appearance_findings(catalog: Catalog, looks: Looks) -> list[Finding]:
    """Return what is to be said about pictures that look unlike all others; few, or none.

    A picture is named where it is both far from what is usual in these data and beyond an absolute
    bound: fields of stars are dark, and nothing is wrong with them.

    Args:
        catalog: the pictures.
        looks: what they look like, in the same order; empty = nothing is said.
    """
    if not len(looks) or len(looks) != len(catalog):
        return []
    own = looks.measures
    blank = own["contrast"] < BLANK
    found = list(_blank(catalog, blank))
    if len(looks) < FEWEST:
        return found
    named = blank.copy()  # each picture once: what is almost black is not sharp either
    sharpness = np.log(np.maximum(own["sharpness"], 1e-6))
    light, contrast = _apart(own["brightness"]), _apart(own["contrast"])
    for kind, what, rows in (
        ("dark", "almost black", (own["brightness"] < DARK) & (light < -FAR_LIGHT)),
        ("bright", "almost white", (own["brightness"] > BRIGHT) & (light > FAR_LIGHT)),
        ("flat", "of very little contrast", (own["contrast"] < FLAT) & (contrast < -FAR)),
        ("blurred", "blurred", (own["sharpness"] < BLURRED) & (_apart(sharpness) < -FAR)),
    ):
        paths = _paths(catalog, rows & ~named)
        named |= rows
        if paths:
            verb = "is" if len(paths) == 1 else "are"
            noun = "picture" if len(paths) == 1 else "pictures"
            sentence = f"{len(paths)} {noun} {verb} {what}, unlike the others: {_shown(paths)}."
            action = "look whether these pictures show what their labels say"
            found.append(
                Finding(kind=kind, severity="note", paths=paths, sentence=sentence, action=action)
            )
    return found


def _blank(catalog: Catalog, blank: np.ndarray) -> Iterator[Finding]:
    paths = _paths(catalog, blank)
    if paths:
        noun = "picture is" if len(paths) == 1 else "pictures are"
        yield Finding(
            kind="blank",
            severity="warning",
            paths=paths,
            sentence=f"{len(paths)} {noun} of one colour all over: {_shown(paths)}.",
            action="remove or mend pictures of one colour: nothing can be learned from them",
        )


def _apart(values: np.ndarray) -> np.ndarray:
    """Return how far each value is from the median, in robust standard deviations."""
    from_median = values - np.median(values)
    spread = float(np.median(np.abs(from_median)))
    scores: np.ndarray = 0.6745 * from_median / spread if spread > 0 else np.zeros(len(values))
    return scores


def _paths(catalog: Catalog, rows: np.ndarray) -> tuple[str, ...]:
    return tuple(catalog.paths[row] for row in np.flatnonzero(rows).tolist())


def _shown(paths: tuple[str, ...]) -> str:
    return listed(map(encode_name, paths))
