"""Tag the photos of all requests together: decoded and computed in a bounded pool of threads, scored in batches.

On the CPU a thread takes a photo from its bytes to the networks' outputs, as in a run; on a GPU the networks run on the batch.
A photo that is ready waits for others up to `WAIT`, but not where none is in progress that could join it. Nothing of this is
done in the event loop.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from tagger.inference.tagger import Tagger
from tagger.photos.loader import LoadedPhoto, ScoredPhoto, load_bytes, one_opencv_thread
from tagger.photos.settings import DEFAULT_DECODING, DecodeSettings
from tagger.processors import available_processors
from tagger.web.monitoring import Metrics
from tagger.web.pictures import Picture, pictures_of
from tagger.web.uploads import Upload

WAIT = 0.005
"""Seconds for which a photo waits at most for others of its batch."""

SMOOTHING = 0.05
"""Weight of the newest photo in the running mean of seconds per photo."""


@dataclass(frozen=True)
class TaggedPhoto:
    """A photo with its result, and what the networks saw of it where that was wanted."""

    scored: ScoredPhoto
    pictures: tuple[Picture, ...] = ()


_Loaded: TypeAlias = tuple[LoadedPhoto, tuple[Picture, ...]]


@dataclass
class _Waiting:
    """The photos that are ready to be scored, each with the future that gets its result."""

    photos: list[tuple[_Loaded, asyncio.Future[TaggedPhoto]]] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None


class Batcher:
    """Tags photos of several requests at once; to be used in one event loop.

    Args:
        tagger: a bundle with its networks open.
        decoding: which files are decoded.
        metrics: counts batches and times.
        workers: threads that decode; None for one per processor.
        batch_size: photos that are scored at once at most.
        wait: seconds for which a photo waits for others at most.
    """

    def __init__(
        self,
        tagger: Tagger,
        decoding: DecodeSettings = DEFAULT_DECODING,
        metrics: Metrics | None = None,
        workers: int | None = None,
        batch_size: int = 64,
        wait: float = WAIT,
    ) -> None:
        self._tagger = tagger
        self._decoding = decoding
        self._metrics = metrics or Metrics()
        self._workers = workers or available_processors()
        self._batch_size = batch_size
        self._wait = wait
        self._colour = tagger.bundle.backbone is not None
        self._waiting = _Waiting()
        self._in_progress = 0
        self._seconds_per_photo = 0.0
        self._pool: ThreadPoolExecutor | None = None
        self._scoring: ThreadPoolExecutor | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the threads during the block; at its end they finish the photo in hand."""
        self._pool = ThreadPoolExecutor(self._workers, "photos")
        self._scoring = ThreadPoolExecutor(1, "scoring")
        try:
            with one_opencv_thread():
                yield
        finally:
            self._pool.shutdown(cancel_futures=True)
            self._scoring.shutdown(cancel_futures=True)

    def seconds_for(self, photos: int) -> float:
        """Return about how many seconds so many photos take, by those of before."""
        return photos * self._seconds_per_photo / self._workers

    async def tag(self, uploads: Sequence[Upload], with_pictures: bool = False) -> list[TaggedPhoto]:
        """Return the photos of one request with their results, in their order; one that cannot be read has its failure.

        A request that is cancelled gives up those of its photos that no thread has begun.
        """
        futures = [self._submit(upload, with_pictures) for upload in uploads]
        try:
            return list(await asyncio.gather(*futures))
        finally:
            for future in futures:
                future.cancel()

    def _submit(self, upload: Upload, with_pictures: bool) -> asyncio.Future[TaggedPhoto]:
        assert self._pool is not None, "the batcher is not running"
        loop = asyncio.get_running_loop()
        result: asyncio.Future[TaggedPhoto] = loop.create_future()
        job = self._pool.submit(self._load, upload, with_pictures)
        self._in_progress += 1
        result.add_done_callback(lambda result: job.cancel() if result.cancelled() else None)
        job.add_done_callback(lambda job: _in_loop(loop, self._loaded, job, result))
        return result

    def _load(self, upload: Upload, with_pictures: bool) -> tuple[_Loaded, float]:
        """Take a photo from its bytes to the networks' outputs, in a thread of the pool."""
        begun = time.perf_counter()
        photo = load_bytes(upload.content, upload.name, self._decoding, self._tagger.compute, self._colour)
        pictures = pictures_of(photo.outcome) if with_pictures else ()
        return (photo, pictures), time.perf_counter() - begun

    def _loaded(self, job: "Future[tuple[_Loaded, float]]", result: asyncio.Future[TaggedPhoto]) -> None:
        """Put a photo that was loaded into the next batch, in the event loop."""
        self._in_progress -= 1
        if not job.cancelled() and not result.done():
            if error := job.exception():
                result.set_exception(error)
            else:
                loaded, seconds = job.result()
                self._measure(seconds)
                self._waiting.photos.append((loaded, result))
        if len(self._waiting.photos) >= self._batch_size or not self._in_progress:
            self._score_waiting()
        elif self._waiting.photos and self._waiting.timer is None:
            self._waiting.timer = asyncio.get_running_loop().call_later(self._wait, self._score_waiting)

    def _measure(self, seconds: float) -> None:
        self._metrics.photo_seconds.observe(seconds)
        mean = self._seconds_per_photo
        self._seconds_per_photo = seconds if not mean else mean + SMOOTHING * (seconds - mean)

    def _score_waiting(self) -> None:
        """Score the photos that are ready as one batch, in the thread for that."""
        waiting, self._waiting = self._waiting, _Waiting()
        if waiting.timer is not None:
            waiting.timer.cancel()
        if not waiting.photos:
            return
        assert self._scoring is not None, "the batcher is not running"
        loop = asyncio.get_running_loop()
        self._metrics.batch_photos.observe(len(waiting.photos))
        job = self._scoring.submit(self._score, [photo for (photo, _), _ in waiting.photos])
        job.add_done_callback(lambda job: _in_loop(loop, _deliver, job, waiting))

    def _score(self, photos: Sequence[LoadedPhoto]) -> list[ScoredPhoto | Exception]:
        """Return the results of a batch; where it fails, each photo is tried alone, so that no other has to suffer for it."""
        begun = time.perf_counter()
        try:
            return [*self._tagger.score_batch(photos)]
        except Exception as error:
            return [error] if len(photos) == 1 else [result for photo in photos for result in self._score([photo])]
        finally:
            self._metrics.score_seconds.observe(time.perf_counter() - begun)


def _deliver(job: "Future[list[ScoredPhoto | Exception]]", waiting: _Waiting) -> None:
    """Give the results of a batch to those who wait for them, in the event loop."""
    outcomes: Sequence[ScoredPhoto | Exception] = [] if job.cancelled() else job.result()
    for ((_, pictures), result), outcome in zip(waiting.photos, outcomes, strict=False):
        if result.done():
            continue
        if isinstance(outcome, Exception):
            result.set_exception(outcome)
        else:
            result.set_result(TaggedPhoto(outcome, pictures))


def _in_loop(loop: asyncio.AbstractEventLoop, function: object, *arguments: object) -> None:
    """Call a function in the event loop, from a thread; not where the loop has ended meanwhile."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(function, *arguments)  # type: ignore[arg-type]
