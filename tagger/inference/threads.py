"""Apply a function to many items in threads, and keep other libraries from threads of their own."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from threadpoolctl import threadpool_limits

Given = TypeVar("Given")
Returned = TypeVar("Returned")


def in_threads(function: Callable[[Given], Returned], items: Sequence[Given], threads: int) -> list[Returned]:
    """Return the function's results for the items, in their order, computed in at most so many threads.

    The threads end with the call, which costs less than a tenth of a millisecond each: a library leaves none behind.
    """
    count = min(threads, len(items))
    if count < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(count, "network") as pool:
        return list(pool.map(function, items))


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let NumPy's matrix products use a single thread each while the block lasts.

    Where other work shares the processors, the threads of a small product wait for each other ten times as long as it takes.
    """
    with threadpool_limits(1, "blas"):
        yield
