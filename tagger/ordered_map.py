"""Apply a function to a stream of arguments in threads, and yield the results in the order of the arguments."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Argument = TypeVar("Argument")
Value = TypeVar("Value")


def map_in_order(
    pool: ThreadPoolExecutor, function: Callable[[Argument], Value], arguments: Iterable[Argument], read_ahead: int
) -> Generator[Value, None, None]:
    """Yield `function` of each argument in their order, with at most `read_ahead` of them submitted and not yet yielded.

    `Executor.map` would submit all arguments at once, and keep all results that are not yet taken.
    """
    pending: deque[Future[Value]] = deque()
    try:
        for argument in arguments:
            pending.append(pool.submit(function, argument))
            if len(pending) >= read_ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
