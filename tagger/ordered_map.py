"""Apply a function to a stream of arguments in threads, and yield the results in the order of the arguments."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from tagger.errors import FmtagError

Argument = TypeVar("Argument")
Value = TypeVar("Value")


def map_in_order(
    pool: ThreadPoolExecutor,
    function: Callable[[Argument], Value],
    arguments: Iterable[Argument],
    read_ahead: int,
    at_once: int = 1,
) -> Generator[Value, None, None]:
    """Yield `function` of each argument in their order, with at most `read_ahead` of them submitted and not yet yielded.

    They are submitted `at_once` together, once so many may be. `Executor.map` would submit all arguments at once, and keep all
    results that are not yet taken. An `FmtagError` of the arguments is raised after the values of those before it.
    """
    pending: deque[Future[Value]] = deque()
    failed: FmtagError | None = None
    remaining = iter(arguments)
    try:
        while True:
            try:
                argument = next(remaining)
            except StopIteration:
                break
            except FmtagError as error:
                failed = error
                break
            pending.append(pool.submit(function, argument))
            if len(pending) >= read_ahead:
                for _ in range(at_once):
                    yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
        if failed is not None:
            raise failed
    finally:
        for future in pending:
            future.cancel()
