"""Functions are applied in threads in the order of the items, and no thread outlives the call."""

import threading
import time

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from tagger.inference.threads import in_threads, one_blas_thread


@pytest.mark.parametrize("threads", [1, 2, 4, 100])
def test_results_are_in_the_order_of_the_items(threads: int) -> None:
    """Also where earlier items take longer."""

    def square(number: int) -> int:
        time.sleep(0.001 * (9 - number))
        return number**2

    assert in_threads(square, range(10), threads) == [number**2 for number in range(10)]
    assert in_threads(square, [], threads) == []


def test_so_many_threads_compute_at_once() -> None:
    """Three items wait for each other, which only three threads can; a single one stays in the caller's."""
    barrier = threading.Barrier(3, timeout=10)
    assert sorted(in_threads(lambda number: barrier.wait(), range(3), 3)) == [0, 1, 2]
    assert in_threads(lambda number: threading.current_thread(), range(2), 1) == [threading.current_thread()] * 2
    assert in_threads(lambda number: threading.current_thread(), range(1), 8) == [threading.current_thread()]


def test_no_thread_stays() -> None:
    """Neither after results nor after an error, which reaches the caller."""
    before = set(threading.enumerate())
    in_threads(str, range(8), 4)
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda number: 1 // number, [3, 0, 1], 2)
    assert set(threading.enumerate()) <= before


def test_matrix_products_stay_in_one_thread() -> None:
    """Those of NumPy, while the block lasts; after it their number is as before, also after an error."""

    def threads() -> set[int]:
        np.ones((2, 2)) @ np.ones((2, 2))
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    with threadpool_limits(2, "blas"):
        before = threads()  # some libraries are built for a single thread
        assert 2 in before
        with one_blas_thread():
            assert threads() == {1}
        with pytest.raises(ValueError, match="inside"), one_blas_thread():
            raise ValueError("inside")
        assert threads() == before
