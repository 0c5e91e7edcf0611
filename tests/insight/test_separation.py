"""A single property that tells a class is found among many, and not accused by chance."""

import numpy as np
import pytest
from scipy import stats

from saccade.data.properties import Property
from saccade.evaluation.intervals import grouping
from saccade.insight.separation import Clue, Separation, asked_about, clue_of, separations


def clue(values: np.ndarray, members_NK: np.ndarray, *, family: str, name: str = "own") -> Clue:
    """Return a property as a witness, every other pair of pictures in the first half."""
    half_N = np.arange(len(values)) // 2 % 2 == 0
    return clue_of(Property(name=name, words=name, family=family), values, members_NK, half_N)


def told_apart(groups: int, *, named: bool = True) -> list[Separation]:
    """Return what is said of a size that tells the class, which every other group is of."""
    index = np.repeat(np.arange(groups), 60)
    members_NK = (index % 2 == 1)[:, None] * 1.0
    sizes = members_NK[:, 0] + np.random.default_rng(0).normal(0, 0.1, len(index))
    own = Property(name="width", words="width", family="file")
    asked = clue_of(own, sizes, members_NK, index // 2 % 2 == 0)  # groups stay whole
    names = [str(own) for own in index] if named else None
    found, num_tried = separations([asked], members_NK, grouping(names, num_rows=len(index)))
    assert num_tried == 1
    return found


# A size that goes with the group and not with the class is in such an order by chance: of four
# groups in one of three cases, of eight in one of 35, of 60 never.
@pytest.mark.parametrize(("groups", "severity"), [(4, ""), (6, ""), (60, "severe")])
def test_a_size_that_tells_a_few_groups_apart_accuses_no_class(groups: int, severity: str) -> None:
    (one,) = told_apart(groups)
    assert one.auc.value > 0.98
    assert (one.severity, one.low_corrected >= 0) == (severity, True)
    # negative control: as if every picture spoke for itself
    (one,) = told_apart(groups, named=False)
    assert one.severity == "severe"


def test_the_corrected_end_of_a_few_groups_is_students() -> None:
    rng, group = np.random.default_rng(0), np.repeat(np.arange(12), 30)
    members_NK = (rng.random(360) < 0.5)[:, None] * 1.0
    clues = [
        clue(members_NK[:, 0] + rng.normal(size=360), members_NK, family="light", name=str(number))
        for number in range(6)
    ]
    kept = grouping([str(own) for own in group], num_rows=360)
    (one, *_), num_tried = separations(clues, members_NK, kept)
    usual, wide = stats.t.ppf([0.975, 1 - 0.025 / num_tried], 11)
    wanted = one.auc.value - (one.auc.value - one.auc.low) * (wide / usual) ** 2
    assert 0 < one.low_corrected == pytest.approx(wanted)


def test_a_severe_clue_is_not_crowded_out_by_clues_that_are_as_in_any_data() -> None:
    rng, truth = np.random.default_rng(0), np.arange(2600) % 13
    members_NK = np.eye(13)[truth]
    width = rng.normal(size=2600) + 2.0 * (truth == 0)
    clues = [clue(width, members_NK, family="file", name="width")]
    for place in range(1, 13):
        light = rng.normal(size=2600) + 2.6 * (truth == place)
        clues.append(clue(light, members_NK, family="light", name=f"light {place}"))
    found, num_tried = separations(clues, members_NK, grouping(None, num_rows=2600))
    own = next(one for one in found if one.clue.name == "width" and one.place == 0)
    assert own.severity == "severe"
    others = [one.auc.value for one in found if one.clue.family == "light"]
    assert len([area for area in others if area > own.auc.value]) == 12
    assert num_tried == 13 * 13


def test_a_class_is_asked_about_if_ten_pictures_are_of_it_and_ten_are_not() -> None:
    counts = [9, 10, 30, 31, 40]
    members_NK = np.arange(40)[:, None] < np.array(counts)
    assert [counts[place] for place in asked_about(members_NK)] == [10, 30]
    many_NK = np.arange(400)[:, None] < np.arange(100, 250)
    assert asked_about(many_NK).tolist() == list(range(50, 150))  # the hundred largest
