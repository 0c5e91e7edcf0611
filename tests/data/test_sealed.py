"""Row E4: an answer of the test part cannot be read before the end, in whatever way one asks."""

import numpy as np
import pytest

from saccade.data.sealed import SealBroken, Sealed
from saccade.runtime.errors import SaccadeError

CLOSED = [1, 4]
VALUES = {
    "classes": np.array([3, 1, 4, 1, 5]),
    "labels": np.array([[0, 1], [1, 1], [0, 0], [1, 0], [0, 1]], np.uint8),
    "numbers": np.array([2.5, -1.0, 0.0, 7.25, 3.5]),
}


@pytest.fixture(params=VALUES, ids=str)
def values(request: pytest.FixtureRequest) -> np.ndarray:
    return VALUES[request.param]


@pytest.fixture
def sealed(values: np.ndarray) -> Sealed:
    return Sealed(values, rows=CLOSED)


@pytest.mark.parametrize(
    "rows",
    [
        0, -2, [3, 0, 0], [], np.array([2, 3]), slice(2, 4), slice(0, 4, 2),
        np.array([True, False, True, True, False]),
    ],
    ids=str,
)  # fmt: skip
def test_open_rows_are_those_of_the_array(sealed: Sealed, values: np.ndarray, rows) -> None:
    np.testing.assert_array_equal(sealed[rows], values[rows])
    assert np.asarray(sealed[rows]).dtype == values.dtype


@pytest.mark.parametrize(
    "rows",
    [
        1, -1, np.int64(4), [0, 1], [4, 4], np.array([[0, 2], [3, 4]]), slice(None), slice(3, None),
        np.array([False, True, False, False, False]), (slice(None), ...), ([0, 4], ...), None, ...,
    ],
    ids=str,
)  # fmt: skip
def test_closed_rows_cannot_be_read_by_any_index(sealed: Sealed, rows) -> None:
    with pytest.raises(SealBroken):
        sealed[rows]


@pytest.mark.parametrize(
    "read",
    [
        np.asarray, np.array, list, tuple, np.unique, np.mean, np.sort,
        lambda sealed: sealed == 3,
        lambda sealed: sealed != 3,
        lambda sealed: np.equal(sealed, 3),
        lambda sealed: np.concatenate([sealed, sealed]),
        lambda sealed: np.take(sealed, [1]),
        lambda sealed: next(reversed(sealed)),
        lambda sealed: np.array([*sealed]),
    ],
)  # fmt: skip
def test_no_way_around_the_index_gives_them_away(sealed: Sealed, read) -> None:
    with pytest.raises((SealBroken, TypeError)):
        read(sealed)


def test_the_length_is_no_secret(sealed: Sealed) -> None:
    assert (len(sealed), sealed.num_closed) == (5, 2)


def test_it_is_opened_once(sealed: Sealed, values: np.ndarray) -> None:
    assert sealed.open() is values
    with pytest.raises(SealBroken) as caught:
        sealed.open()
    assert caught.value.message == (
        "The answers of the test part were opened a second time in one run."
    )


def test_opening_it_gives_the_answers_to_who_opens_it_only(sealed: Sealed) -> None:
    sealed.open()
    with pytest.raises(SealBroken):
        sealed[CLOSED]


def test_the_error_says_what_was_read_and_is_a_fault_of_ours(sealed: Sealed) -> None:
    with pytest.raises(SaccadeError) as caught:
        sealed[[0, 4, 1]]
    assert str(caught.value) == (
        "2 answers of the test part were read before the end of the run; nothing may be chosen by "
        "them.\n"
        "  where: rows 4, 1 of the catalogue\n"
        "  fix:   this is a fault in saccade, not in your data; please report it"
    )
    assert (caught.value.code, caught.value.exit_code) == ("SACCADE-E998", 1)


def test_where_no_row_is_closed_it_is_an_array() -> None:
    sealed = Sealed(np.arange(3), rows=[])
    np.testing.assert_array_equal(np.asarray(sealed), [0, 1, 2])
    assert (sealed == 1).tolist() == [False, True, False]


def test_what_left_the_test_part_unread_can_be_read_and_the_rest_cannot(values, sealed) -> None:
    narrower = sealed.narrowed([4])
    np.testing.assert_array_equal(narrower[[1]], values[[1]])
    assert narrower.num_closed == 1
    with pytest.raises(SealBroken):
        narrower[4]
    with pytest.raises(SealBroken):
        sealed[1]  # the seal itself is what it was


def test_what_could_be_read_cannot_be_sealed_afterwards(sealed: Sealed) -> None:
    with pytest.raises(SealBroken):
        sealed.narrowed([0, 1])
