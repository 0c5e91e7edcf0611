"""Which single property tells a class from all others, without knowing what the pictures show."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from saccade.data.properties import CORNERS, FAMILIES, Property
from saccade.evaluation.intervals import LEVEL, Estimate, Grouping, quantile
from saccade.evaluation.ranking import mean_estimate, roc_auc
from saccade.insight.trivial import Family, placed, ridge_answers

NUM_BINS = 8
FEWEST = 10  # pictures of a class, and of the others
NUM_BEST = 12  # have an interval in any case, to be shown; and so has all that could be accused
MOST_CLASSES = 100  # the largest; 10,000 pictures of 500 classes take 7 s in all
NUMBERS_AT_ONCE = 500_000  # that areas are counted from: each takes about 70 bytes meanwhile

NEARLY = 0.9
STRIKING = 0.95
ENTIRELY = 0.99
SURELY = 0.8
ALIKE = 0.65
"""How well a clue must tell a class to be worth a word, in areas under the ROC curve: of a picture
of the class and another one, how often the clue knows which is which.

What lies outside of what is shown (size, file kind, source) is severe from NEARLY on: with two
normal distributions of equal width, 0.9 means that the best threshold is wrong in one picture of
six. So is a corner that tells this class alone: the median of its areas for the other classes is
below ALIKE. Where a corner tells all classes, it is they that reach into it, as digits do.
Brightness, colour, sharpness and border can be what a class *is*, and how far a file can be
compressed follows from what it shows (of digits bytes tell the 1); they are severe from ENTIRELY
on, and worth a warning from STRIKING on. All of it only where the lower end of an interval that
holds for everything tried is above SURELY. What flowers, ants and bees, and digits have by nature,
and what is found in them once planted, is in docs/shortcuts.md."""
OUTSIDE = ("file", "source")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clue:
    """A property (or a corner) as a witness: a score a picture and class asked about, (N, A).

    The scores of a picture come from a rule that was made without it. Pictures of one cell have
    the same scores.
    """

    name: str
    words: str
    family: str
    cells_N: np.ndarray  # 0 to C - 1
    scores_CA: np.ndarray

    def scores(self, place: int) -> np.ndarray:
        """Return the scores of every picture for one class, (N,)."""
        column: np.ndarray = self.scores_CA[self.cells_N, place]
        return column

    def areas(self, members_NA: np.ndarray) -> np.ndarray:
        """Return the area under the ROC curve for each class, (A,)."""
        if len(self.scores_CA) == len(self.cells_N):
            ordered = members_NA[np.argsort(self.cells_N)]
            return areas_of(self.scores_CA, ordered, np.ones(len(ordered)))
        one_hot = np.eye(len(self.scores_CA))[self.cells_N]
        return areas_of(self.scores_CA, one_hot.T @ members_NA, one_hot.sum(axis=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Separation:
    """How well one clue tells one class from the others."""

    clue: Clue
    place: int  # of the class, among those asked about
    auc: Estimate
    low_corrected: float  # of the interval that holds for all that were tried
    others: float  # of a corner: its median area for other classes, or that of other corners
    single: str  # the property of the family that tells the class best alone; "" for a corner
    single_area: float

    @property
    def severity(self) -> str:
        """How much it should worry a person: "severe", "warning", or "" (as in any data)."""
        family = self.clue.family
        if self.low_corrected < SURELY or self.auc.value < _least(family):
            return ""
        if family in OUTSIDE:
            return "severe"
        if family in CORNERS:
            return "severe" if self.others < ALIKE else ""
        return "severe" if self.auc.value >= ENTIRELY else "warning"


def _least(family: str) -> float:
    """Return from which area on a clue of the family is worth a word."""
    return NEARLY if family in OUTSIDE or family in CORNERS else STRIKING


def clue_of(
    column: Property, values: np.ndarray, members_NA: np.ndarray, half_N: np.ndarray
) -> Clue:
    """Return a property as a witness: the share of each class in the eighth that a picture lies in.

    Eighths and shares are those of the other half of the pictures. A rule of one property was
    found to do nearly as well as much larger ones on many data sets.

    Args:
        column: which property.
        values: its values, (N,).
        members_NA: which picture is of which class (has which label), 0 or 1; those asked about.
        half_N: bool, about half of the pictures.

    Source: R. C. Holte (1993), Machine Learning 11: 63-90.
    """
    cells, scores = np.empty(len(values), np.int64), []
    for number, held in enumerate((half_N, ~half_N)):
        place = (placed(values, values[~held]) + 1) / 2
        bins = np.minimum((place * NUM_BINS).astype(np.int64), NUM_BINS - 1)
        cells[held] = bins[held] + number * NUM_BINS
        one_hot = np.eye(NUM_BINS)[bins[~held]]
        usual_A = members_NA[~held].mean(axis=0)
        totals = one_hot.sum(axis=0)[:, None]
        scores.append((one_hot.T @ members_NA[~held] + usual_A) / (totals + 1))
    return Clue(
        name=column.name,
        words=column.words,
        family=column.family,
        cells_N=cells,
        scores_CA=np.concatenate(scores),
    )


def clue_of_family(
    family: Family, members_NA: np.ndarray, half_N: np.ndarray, rows: np.ndarray
) -> Clue:
    """Return all properties of a family together as a witness, by a linear probe on each half.

    Args:
        family: of properties.
        members_NA: of the rows and the classes asked about, 0 or 1.
        half_N: bool, of the rows.
        rows: which pictures.
    """
    scores_NA = np.empty(members_NA.shape, np.float32)
    for held in (half_N, ~half_N):
        scores_NA[held] = ridge_answers(
            family.table(rows[~held]),
            members_NA[~held],
            family.table(rows[held]),
            ridge=family.ridge,
        )
    return Clue(
        name=family.name,
        words=FAMILIES[family.name],
        family=family.name,
        cells_N=np.arange(len(rows)),
        scores_CA=scores_NA,
    )


def asked_about(members_NK: np.ndarray) -> np.ndarray:
    """Return which classes are asked about, ascending, (A,): the hundred largest that can be.

    Ten pictures must be of the class, and ten not.

    Args:
        members_NK: bool or 0 and 1, which picture is of which class.
    """
    counts = members_NK.sum(axis=0)
    able = np.flatnonzero((counts >= FEWEST) & (len(members_NK) - counts >= FEWEST))
    return np.sort(able[np.argsort(-counts[able], kind="stable")][:MOST_CLASSES])


def separations(
    clues: Sequence[Clue], members_NA: np.ndarray, kept: Grouping
) -> tuple[list[Separation], int]:
    """Return the best separations, one for each class and family, and how many were tried.

    All are ranked by the area under the ROC curve; what could be accused, and the first twelve, get
    DeLong's interval, and a lower end that holds for all that were tried together: the distance to
    the lower end of the 95 % interval, times the square of the ratio of the two quantiles
    (Bonferroni; of Student's t where pictures come in groups), 0 at least. The square is what
    Wilson's distance grows by near 1; elsewhere it is too cautious.

    Args:
        clues: what may tell a class.
        members_NA: which picture is of which class, 0 or 1, of the classes of `asked_about`.
        kept: which pictures belong together.
    """
    num_tried = len(clues) * members_NA.shape[1]
    if not num_tried:
        return [], 0
    areas_MA = np.array([clue.areas(members_NA) for clue in clues])
    level = 1 - (1 - LEVEL) / num_tried
    reach = quantile(kept.freedom, level) / quantile(kept.freedom)
    found = []
    for number, place in _to_measure(clues, areas_MA):
        clue = clues[number]
        family = clue.family
        own = [k for k, one in enumerate(clues) if one.family == family and one.name != family]
        single = max(own, key=lambda k: areas_MA[k, place], default=-1)
        ranks = roc_auc(members_NA[:, place] == 1, clue.scores(place))
        auc = mean_estimate([ranks], grouping=kept, method="wilson-delong", why="one side is empty")
        found.append(
            Separation(
                clue=clue,
                place=place,
                auc=auc,
                low_corrected=max(0.0, auc.value - (auc.value - auc.low) * reach**2),
                others=_others(clues, number, members_NA, place, areas_MA),
                single=clues[single].words if single >= 0 else "",
                single_area=float(areas_MA[single, place]) if single >= 0 else 0.5,
            )
        )
    return sorted(found, key=lambda one: -one.auc.value), num_tried


def _to_measure(clues: Sequence[Clue], areas_MA: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield clue and class of what is worth an interval, of a family and class the best one only.

    All that reaches what its own family is accused from, however much there is beside it; and the
    twelve largest areas.
    """
    seen: set[tuple[str, int]] = set()
    for flat in np.argsort(-areas_MA, axis=None, kind="stable").tolist():
        number, place = divmod(flat, areas_MA.shape[1])
        family = clues[number].family
        asked = len(seen) < NUM_BEST or areas_MA[number, place] >= _least(family)
        if asked and (family, place) not in seen:
            seen.add((family, place))
            yield number, place


def _others(
    clues: Sequence[Clue], number: int, members_NA: np.ndarray, place: int, areas_MA: np.ndarray
) -> float:
    """Return the median area of a corner for the other classes, the class itself left out.

    Where there is no other (one of two classes), that of the other corners for this one. 0.5 for
    what is no corner: nobody asks.
    """
    clue = clues[number]
    if clue.family not in CORNERS:
        return 0.5
    if members_NA.shape[1] < 3:
        same = [k for k, one in enumerate(clues) if one.family in CORNERS and k != number]
        return float(np.median(areas_MA[same, place])) if same else 0.5
    rest_N = members_NA[:, place] == 0
    others = np.arange(members_NA.shape[1]) != place
    members = members_NA[rest_N][:, others]
    areas = areas_of(
        clue.scores_CA[clue.cells_N[rest_N]][:, others], members, np.ones(len(members))
    )
    known = areas[members.sum(axis=0) >= FEWEST]
    return float(np.median(known)) if len(known) else 0.5


def areas_of(scores_CK: np.ndarray, positives_CK: np.ndarray, totals_C: np.ndarray) -> np.ndarray:
    """Return the area under the ROC curve of each column, (K,), equal scores counted half.

    Args:
        scores_CK: of cells of pictures, which all have the same scores.
        positives_CK: how many pictures of a cell are of the class.
        totals_C: how many pictures a cell holds.
    """
    step = max(1, NUMBERS_AT_ONCE // max(len(scores_CK), 1))
    pieces = [slice(start, start + step) for start in range(0, scores_CK.shape[1], step)]
    areas = [_areas_of(scores_CK[:, own], positives_CK[:, own], totals_C) for own in pieces]
    return np.concatenate([np.zeros(0), *areas])


def _areas_of(scores_CK: np.ndarray, positives_CK: np.ndarray, totals_C: np.ndarray) -> np.ndarray:
    order = np.argsort(scores_CK, axis=0, kind="stable")
    scores = np.take_along_axis(scores_CK, order, axis=0)
    positives = np.take_along_axis(positives_CK, order, axis=0).astype(np.float64)
    through = np.cumsum(totals_C[order], axis=0)
    num, place = len(scores), np.arange(len(scores))[:, None]
    changes = scores[1:] != scores[:-1]
    edge = np.ones((1, scores.shape[1]), np.bool_)
    first = np.maximum.accumulate(np.where(np.vstack([edge, changes]), place, 0), axis=0)
    last = np.where(np.vstack([changes, edge]), place, num)
    last = np.minimum.accumulate(last[::-1], axis=0)[::-1]
    before = np.take_along_axis(through - totals_C[order], first, axis=0)
    ranks = (before + np.take_along_axis(through, last, axis=0) + 1) / 2
    number = positives.sum(axis=0)
    above = (ranks * positives).sum(axis=0) - number * (number + 1) / 2
    pairs = number * (totals_C.sum() - number)
    areas: np.ndarray = np.divide(above, pairs, out=np.full(len(pairs), 0.5), where=pairs > 0)
    return areas
