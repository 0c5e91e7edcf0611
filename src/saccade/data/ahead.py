"""Work on several threads whose results come in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from saccade.runtime.machine import num_cores

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], *, threads: int = 0
) -> Iterator[Result]:
    """Yield `work(item)` of every item, in their order, computed by threads a few items ahead.

    No further than two items a thread ahead of the slowest, so that memory stays flat. An error
    ends it: what has not begun is dropped.

    Args:
        work: called from several threads at once.
        items: what it is called with.
        threads: 0 = one a core.

    >>> list(in_order(abs, [-3, 1, -2], threads=2))
    [3, 1, 2]
    """
    num_threads = threads or num_cores()
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(num_threads, thread_name_prefix="decode")
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 2 * num_threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
