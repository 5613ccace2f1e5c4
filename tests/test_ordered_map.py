"""Results come in the order of the arguments, computed in threads, and a bounded number ahead."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tagger.errors import StorageError
from tagger.ordered_map import map_in_order


def noting(taken: list[int], count: int) -> Iterator[int]:
    """Yield numbers from 0, and note each in `taken`."""
    for number in range(count):
        taken.append(number)
        yield number


def test_results_come_in_order() -> None:
    """The first argument's result comes first, also where later ones are computed before it."""
    second_done = threading.Event()

    def slow_first(number: int) -> int:
        if number == 0:
            assert second_done.wait(10)
        second_done.set()
        return number**2

    with ThreadPoolExecutor(2) as pool:
        assert list(map_in_order(pool, slow_first, range(4), 3)) == [0, 1, 4, 9]


def test_a_bounded_number_is_submitted() -> None:
    """No more arguments are taken than are in progress or waiting to be yielded."""
    taken: list[int] = []
    with ThreadPoolExecutor(2) as pool:
        results = map_in_order(pool, str, noting(taken, 100), 5)
        assert next(results) == "0"
        assert len(taken) == 5
        results.close()
    assert len(taken) == 5


def test_arguments_are_submitted_together() -> None:
    """So many at once as were wanted, each time that so many results have been taken; all come, in their order."""
    taken: list[int] = []
    with ThreadPoolExecutor(2) as pool:
        counts = [(result, len(taken)) for result in map_in_order(pool, str, noting(taken, 14), 6, at_once=4)]
    assert [result for result, _ in counts] == [str(number) for number in range(14)]
    assert [count for _, count in counts] == [6] * 4 + [10] * 4 + [14] * 6


def test_an_error_comes_in_its_place() -> None:
    """An exception is raised where the result would be, after those before it."""
    with ThreadPoolExecutor(2) as pool:
        results = map_in_order(pool, lambda number: 1 // (number - 1), range(3), 3)
        assert next(results) == -1
        with pytest.raises(ZeroDivisionError):
            next(results)


def test_an_error_of_the_arguments_comes_after_the_results() -> None:
    """What was begun before a bucket could no longer be read is not lost."""

    def arguments() -> Iterator[int]:
        yield from range(3)
        raise StorageError("the credentials have expired")

    with ThreadPoolExecutor(2) as pool:
        results = map_in_order(pool, str, arguments(), 10)
        assert [next(results) for _ in range(3)] == ["0", "1", "2"]
        with pytest.raises(StorageError):
            next(results)
