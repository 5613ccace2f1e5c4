"""Photos of several requests are tagged together, each with its own result, and never in the event loop."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from service_helpers import jpeg

from tagger.inference.tagger import Tagger
from tagger.photos.loader import LoadedPhoto, ScoredPhoto
from tagger.web.batching import Batcher
from tagger.web.monitoring import Metrics
from tagger.web.uploads import Upload

Value = TypeVar("Value")

UPLOADS = [Upload(f"{seed}.jpg", jpeg(seed)) for seed in range(6)]


@pytest.fixture(scope="module")
def tagger(photo_bundle: Path) -> Tagger:
    """A bundle with its networks open."""
    return Tagger(photo_bundle, device="cpu")


def running(batcher: Batcher, work: Callable[[], Coroutine[Any, Any, Value]]) -> Value:
    """Return what `work` returns while the batcher runs."""

    async def run() -> Value:
        async with batcher.running():
            return await work()

    return asyncio.run(run())


def labels_of(tagger: Tagger, photos: list[Any]) -> list[tuple[str, bytes]]:
    """Return names and probabilities of tagged photos."""
    return [(photo.scored.item.path, photo.scored.result.probabilities.tobytes()) for photo in photos]


def test_results_are_those_of_each_photo_alone(tagger: Tagger) -> None:
    """To the bit, in the order of each request, however they are batched."""
    metrics = Metrics()

    async def alone() -> list[Any]:
        return [photo for upload in UPLOADS for photo in await Batched.tag([upload])]

    async def together() -> list[list[Any]]:
        return [*await asyncio.gather(Batched.tag(UPLOADS[:4]), Batched.tag(UPLOADS[4:]), Batched.tag(UPLOADS[::-1]))]

    Batched = Batcher(tagger, metrics=metrics, batch_size=3)  # noqa: N806
    expected = labels_of(tagger, running(Batched, alone))
    first, second, backwards = running(Batched, together)
    assert labels_of(tagger, first + second) == expected
    assert labels_of(tagger, backwards[::-1]) == expected
    assert metrics.registry.get_sample_value("fmtag_batch_photos_sum") == 18
    assert metrics.registry.get_sample_value("fmtag_photo_seconds_count") == 18
    assert Batched.seconds_for(10) > 0


def test_a_single_photo_does_not_wait(tagger: Tagger) -> None:
    """Where no other is in progress the batch is complete, however long it might wait."""
    batcher = Batcher(tagger, wait=60)
    assert len(running(batcher, lambda: asyncio.wait_for(batcher.tag(UPLOADS[:1]), 10))) == 1


def test_a_photo_that_fails_is_a_value(tagger: Tagger) -> None:
    """Beside those that do not."""
    batcher = Batcher(tagger)
    photos = running(batcher, lambda: batcher.tag([Upload("a", b"broken"), UPLOADS[0]], with_pictures=True))
    results = [photo.scored.result for photo in photos]
    assert [result is not None and result.failed is not None for result in results] == [True, False]
    assert [bool(photo.pictures) for photo in photos] == [False, True]


def test_a_batch_that_fails_is_tried_photo_by_photo(tagger: Tagger, monkeypatch: pytest.MonkeyPatch) -> None:
    """One photo's error is that photo's alone."""
    score = tagger.score_batch

    def failing(photos: list[LoadedPhoto]) -> Iterator[ScoredPhoto]:
        if any(photo.item.path == "3.jpg" for photo in photos):
            raise ValueError("of this photo")
        return score(photos)

    monkeypatch.setattr(tagger, "score_batch", failing)
    batcher = Batcher(tagger, wait=0.2)

    async def work() -> list[Any]:
        return await asyncio.gather(*(batcher.tag([upload]) for upload in UPLOADS), return_exceptions=True)

    results = running(batcher, work)
    assert [isinstance(result, ValueError) for result in results] == [number == 3 for number in range(6)]


def test_a_request_that_is_given_up_frees_its_threads(tagger: Tagger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its photos that no thread has begun are not computed."""
    begun, go = [], threading.Event()

    def slow(encoded: bytes, name: str, *more: Any) -> LoadedPhoto:
        begun.append(name)
        go.wait(10)
        raise ValueError(name)

    monkeypatch.setattr("tagger.web.batching.load_bytes", slow)
    batcher = Batcher(tagger, workers=1)

    async def work() -> None:
        task = asyncio.ensure_future(batcher.tag(UPLOADS))
        while not begun:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        go.set()

    running(batcher, work)
    assert begun == ["0.jpg"]


def test_the_event_loop_is_never_blocked(tagger: Tagger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither decoding nor scoring runs in its thread."""
    threads = set()
    load, score = tagger.compute, tagger.score_batch
    monkeypatch.setattr(tagger, "compute", lambda image: (threads.add(threading.get_ident()), load(image))[1])
    monkeypatch.setattr(
        tagger, "score_batch", lambda photos: (threads.add(threading.get_ident()), time.sleep(0), score(photos))[2]
    )
    batcher = Batcher(tagger)
    running(batcher, lambda: batcher.tag(UPLOADS))
    assert threads
    assert threading.get_ident() not in threads


def test_networks_that_run_in_batches_give_the_same(tagger: Tagger, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, where nothing is computed photo by photo."""
    batcher = Batcher(tagger)
    expected = running(batcher, lambda: batcher.tag(UPLOADS))
    monkeypatch.setattr(tagger, "compute", lambda image: None)
    found = running(batcher, lambda: batcher.tag(UPLOADS))
    for one, other in zip(expected, found, strict=True):
        assert one.scored.result is not None
        assert other.scored.result is not None
        assert np.array_equal(one.scored.result.probabilities, other.scored.result.probabilities)  # type: ignore[arg-type]
