"""Drawn pictures join the earliest part of their group; given parts and lone pictures stay."""

import pytest

from saccade.data.rejoining import rejoin
from saccade.data.split import Split

#          a        a         a        b        b         b        a        b
PARTS = ("train", "train", "test", "train", "train", "test", "test", "validation")
LABELS = ("a", "a", "a", "b", "b", "b", "a", "b")


ALL = range(8)


def split(*, why: str = "drawn") -> Split:
    return Split(parts=PARTS, groups=("",) * 8, why=(why,) * 8, seed=0)


def test_a_test_picture_joins_its_like_in_train() -> None:
    found = rejoin(split(), ("g", "", "g", "", "", "", "", ""), LABELS, touched=ALL)
    assert found.parts == ("train", "train", "train", *PARTS[3:])
    assert found.why[2] == "drawn with its like"
    assert [own for row, own in enumerate(found.why) if row != 2] == ["drawn"] * 7
    assert found.groups == ("g", "", "g", "", "", "", "", "")


def test_a_picture_that_the_user_put_there_stays() -> None:
    found = rejoin(split(why="given"), ("g", "", "g", "h", "h", "", "", ""), LABELS, touched=ALL)
    assert found.parts == PARTS
    assert found.groups == ("", "", "", "h", "h", "", "", "")  # no group lies in two parts


def test_what_lies_together_already_stays() -> None:
    assert rejoin(split(), ("g", "g", "h", "", "", "", "h", ""), LABELS, touched=ALL).parts == PARTS


@pytest.mark.parametrize(
    ("labels", "moved"),
    [(LABELS, False), (("",) * 8, True)],
    ids=["a class would lose its last test picture", "labels are no classes"],
)
def test_the_last_picture_of_a_class_in_a_part_stays(labels: tuple[str, ...], moved: bool) -> None:
    found = rejoin(split(), ("", "", "", "g", "", "g", "", ""), labels, touched=ALL)
    assert (found.parts[5] == "train") is moved


def test_of_two_that_would_empty_a_part_together_one_goes() -> None:
    found = rejoin(split(), ("g", "h", "g", "", "", "", "h", ""), LABELS, touched=ALL)
    assert sorted((found.parts[2], found.parts[6])) == ["test", "train"]


def test_a_group_of_which_nothing_new_was_found_is_left_alone() -> None:
    groups = ("g", "", "g", "h", "", "h", "", "")
    found = rejoin(split(), groups, ("",) * 8, touched={5})
    assert (found.parts[2], found.parts[5]) == ("test", "train")
    assert found.groups == ("", "", "", "h", "", "h", "", "")
