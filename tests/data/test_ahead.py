"""Work on several threads whose results come in order."""

import threading
import time

import pytest

from saccade.data.ahead import in_order


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_results_come_in_the_order_of_the_items_however_long_each_takes(threads: int) -> None:
    def work(item: int) -> int:
        time.sleep(0.001 * (item % 5))
        return item**2

    assert list(in_order(work, range(60), threads=threads)) == [n**2 for n in range(60)]


def test_no_more_than_two_items_a_thread_are_ahead_of_the_reader() -> None:
    begun: list[int] = []
    results = in_order(begun.append, range(100), threads=2)
    next(results)
    time.sleep(0.05)
    assert len(begun) == 5
    results.close()  # type: ignore[attr-defined]


def test_an_error_ends_it_and_what_has_not_begun_is_dropped() -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        if item == 3:
            raise ValueError("the third")
        return item

    with pytest.raises(ValueError, match="the third"):
        list(in_order(work, range(1000), threads=2))
    assert len(begun) < 20
    assert not [own for own in threading.enumerate() if own.name.startswith("decode")]
