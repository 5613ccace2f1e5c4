"""Results go through a table to the bit, and each photo gets its own or none does."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from tagger.cluster.results import in_order, results_table
from tagger.errors import WorkerError
from tagger.photos.loader import ScoredPhoto
from tagger.records import Content, Failed, Item, ProductImage, Result
from tagger.storage.traffic import Traffic

ITEM = Item("a.jpg", "a.jpg")
CONTENT = Content(b"\x00" * 32, 2**40, -(2**63))
PIXELS = np.zeros((28, 28), np.uint8)
PROBABILITIES = np.array([0.1, 1e-30, 0.7], np.float32)


def scored(result: Result, content: Content | None = CONTENT, traffic: Traffic | None = None) -> ScoredPhoto:
    """Return a scored photo."""
    outcome = result.failed or ProductImage(PIXELS, result.probabilities is not None, result.truncated)
    return ScoredPhoto(ITEM, outcome, content, traffic=traffic, result=result)


def back(photo: ScoredPhoto) -> ScoredPhoto:
    """Return what comes back of one photo."""
    (found,) = in_order([results_table([0], [photo])], 1)
    return found


@pytest.mark.parametrize("embedding", [None, b"", bytes(range(256))])
def test_probabilities_and_embedding_come_back_to_the_bit(embedding: bytes | None) -> None:
    found = back(scored(Result(None, PROBABILITIES, True, embedding)))
    assert found.result is not None
    assert found.result.probabilities is not None
    assert found.result.probabilities.tobytes() == PROBABILITIES.tobytes()
    assert (found.result.truncated, found.result.embedding, found.result.failed) == (True, embedding, None)
    assert isinstance(found.outcome, ProductImage)
    assert found.outcome.found
    assert found.content == CONTENT


def test_a_photo_without_a_product_has_no_probabilities() -> None:
    found = back(scored(Result(None, None, False)))
    assert found.result == Result(None, None, False)
    assert isinstance(found.outcome, ProductImage)
    assert not found.outcome.found


@pytest.mark.parametrize("content", [None, CONTENT, Content(b"\x01" * 32, 0, None)])
def test_a_failure_comes_back_with_its_content(content: Content | None) -> None:
    failed = Failed("truncated", "caf\u00e9 \udcff: its data ends early")
    found = back(scored(Result(failed), content))
    assert (found.outcome, found.content, found.result) == (failed, content, Result(failed))


def test_requests_are_counted() -> None:
    traffic = Traffic(Counter({"get": 3, "head": 1}), 2, 1000, 0)
    assert back(scored(Result(), traffic=traffic)).traffic == traffic


def test_an_empty_table_has_the_columns() -> None:
    assert results_table([], []).num_rows == 0


@pytest.mark.parametrize(
    ("blocks", "yielded", "named"),
    [
        ([[0, 1]], 2, "2 photos of 3"),
        ([[0, 1, 2, 3]], 3, "photo 3"),
        ([[0], [0]], 1, "photo 0"),
        ([[0], [2], [1]], 1, "photo 2"),
        ([[0, 1], [7]], 2, "photo 7"),
        ([], 0, "0 photos of 3"),
    ],
)
def test_a_missing_double_or_foreign_photo_ends_the_run(blocks: list[list[int]], yielded: int, named: str) -> None:
    def tables() -> list[pa.Table]:
        return [results_table(ids, [scored(Result())] * len(ids)) for ids in blocks]

    found: list[ScoredPhoto] = []
    with pytest.raises(WorkerError, match=named):
        found.extend(in_order(tables(), 3))
    assert len(found) == yielded
