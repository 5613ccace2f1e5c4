"""Divide the work on photos among processes: the interpreter's lock lets threads of one process work at once only in part.

Each process reads, decodes, extracts and runs the networks on one photo after the other, as `photos.loader` does in a thread.
Photos come back in their order. A process ends when its connection does, so none outlives the one that started it, however
that ends.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeAlias

from tagger.errors import WorkerError
from tagger.models.card import StoredCard
from tagger.photos.detector import open_networks
from tagger.photos.loader import LoadedPhoto, load_photos
from tagger.photos.settings import DecodeSettings
from tagger.records import EmbeddedPhoto, Failed, Item, NetworkOutputs, ProductImage, RemotePhoto
from tagger.run.networks import Networks
from tagger.storage.stores import close_stores

BLOCK = 8
"""Items that are sent at once."""

OUTSTANDING = 64
"""Items per process that are sent and not yet back: more than it reads ahead, as it gives the first once it has read so far."""

PRELOADED = ("tagger.run.worker_processes", "tagger.photos.product", "tagger.inference.tagger", "onnxruntime")
"""Modules that are imported once, in the process that all others are forked from, and share its memory."""

STORES = ("tagger.storage.s3", "tagger.storage.web")
"""Likewise where this process has imported them, as photos lie there."""

FORKED, STARTED = 50, 400
"""Photos to read per process from which on it pays to have some: forked from this one they have its libraries and networks at
once, while others take about two seconds to get them."""

STOP = "stop"
"""Sent to a process that is to end at once, without what it has in hand."""

JOIN_SECONDS = 10.0
"""How long the end of a process is waited for, which may be within a decoder, before it is killed."""

NO_ITEM = Item("", None, columns={})
"""Sent back in place of the item, which the other process has."""

WITH_THREADS = {"pyarrow", "torch"}
"""Libraries that may have started threads of their own."""

Known: TypeAlias = Callable[[bytes], bool]

SentItem: TypeAlias = tuple[str, str | Path | EmbeddedPhoto | RemotePhoto | None, Failed | None]
"""Path, place and problem of an item; the process needs no more, and the cells of its row may be large."""

Compute: TypeAlias = Callable[[ProductImage], NetworkOutputs | None]


@dataclass(frozen=True)
class WorkerSettings:
    """What a process needs to know, besides the items."""

    stored: StoredCard
    """The bundle."""
    computes: bool
    """Whether the networks run in the processes; else in the one that started them."""
    decoding: DecodeSettings
    colour: bool
    """Whether product images in colour are needed."""


def pays(processes: int, photos: int) -> bool:
    """Return whether so many photos are read sooner by so many processes than by threads.

    If they may be, stores are closed: those of the listing have threads, beside which no process is forked.
    """
    if photos < processes * FORKED:
        return False
    close_stores()
    return photos >= processes * (FORKED if _start_method() == "fork" else STARTED)


def load_in_processes(
    items: Iterable[Item], processes: int, settings: WorkerSettings, known: Known, networks: Networks
) -> Generator[LoadedPhoto, None, None]:
    """Load items in processes and yield them in their order, as `photos.loader.load_photos` does in threads.

    Args:
        items: taken as they are needed, in the calling thread.
        processes: how many; each processes one photo at a time.
        settings: of all processes.
        known: whether a result is stored for a file's sha256; called in threads of the calling process.
        networks: of the bundle; opened here where the processes can have them from this one.

    A caller that stops early must close the generator, which ends the processes, before it closes what `known` uses.

    Raises:
        WorkerError: a process ended before its work was done.
        FmtagError: one that was raised in a process.
    """
    method = _start_method()
    context = multiprocessing.get_context(method)
    compute = _opened(networks) if method == "fork" and settings.computes else None
    if method == "forkserver":
        context.set_forkserver_preload([*PRELOADED, *(name for name in STORES if name in sys.modules)])
    workers: list[_Worker] = []
    try:
        for _ in range(processes):
            workers.append(_Worker(context, settings, known, compute))
        for worker in workers:  # only now, as a process is not to be forked beside threads
            worker.listen()
        yield from _in_order(iter(items), workers)
    finally:
        for worker in workers:
            worker.stop()
        for worker in workers:
            worker.join()


def _start_method() -> str:
    """Return how to start processes: forked from this one, if it has no threads that may be in the middle of something.

    Then they share its libraries and networks, and start at once. Otherwise they are forked from a process of their own, or
    where a system cannot fork, start from nothing.
    """
    if sys.platform == "linux" and threading.active_count() == 1 and not WITH_THREADS & sys.modules.keys():
        return "fork"
    return "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


def _opened(networks: Networks) -> Compute:
    """Open all networks that photos need, and return what computes the bundle's."""
    open_networks()
    networks.tagger.open()
    return networks.tagger.compute


def _in_order(items: Iterator[Item], workers: "list[_Worker]") -> Iterator[LoadedPhoto]:
    """Send blocks of items to whoever has the fewest, and yield the photos in the order of the items."""
    pending: deque[tuple[Item, Future[LoadedPhoto]]] = deque()
    more = True
    while more or pending:
        while more and (worker := min(workers, key=lambda one: one.outstanding)).outstanding <= OUTSTANDING - BLOCK:
            block = list(islice(items, BLOCK))
            more = len(block) == BLOCK
            pending.extend(zip(block, worker.send(block), strict=True))
        if not more:
            for worker in workers:
                worker.send_end()
        if pending:
            item, future = pending.popleft()
            yield replace(future.result(), item=item)


class _Worker:
    """A process, seen from the one that started it; a thread takes what comes back."""

    def __init__(self, context: Any, settings: WorkerSettings, known: Known, compute: Compute | None) -> None:
        self._connection, other = context.Pipe()
        forked = context.get_start_method() == "fork"
        self._process = context.Process(target=_work, args=(other, settings, compute, forked), daemon=True)
        self._process.start()
        other.close()  # so that the connection ends with the process
        self._sending, self._failing = Lock(), Lock()
        self._known = known
        self._futures: deque[Future[LoadedPhoto]] = deque()
        self._error: BaseException | None = None
        self._ended = False
        self._thread = Thread(target=self._receive, daemon=True)

    def listen(self) -> None:
        """Begin to take what comes back."""
        self._thread.start()

    @property
    def outstanding(self) -> int:
        """Items that are sent and not yet back."""
        return len(self._futures)

    def send(self, items: list[Item]) -> list[Future[LoadedPhoto]]:
        """Send items, and return the photos to come; they fail at once where the process has failed."""
        futures: list[Future[LoadedPhoto]] = [Future() for _ in items]
        self._futures.extend(futures)
        if self._error is not None:
            self._fail(self._error)
        self._send([(item.path, item.place, item.problem) for item in items])
        return futures

    def send_end(self) -> None:
        """Say once that no items follow."""
        if not self._ended:
            self._ended = True
            self._send(None)

    def stop(self) -> None:
        """Tell the process to end."""
        self._send(STOP)

    def join(self) -> None:
        """Wait for the end of the process, and of the thread, which its end ends."""
        self._process.join(JOIN_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        if self._thread.is_alive():
            self._thread.join()
        self._connection.close()

    def _send(self, message: object) -> None:
        with suppress(OSError, ValueError), self._sending:  # a process that has ended fails its photos in `_receive`
            self._connection.send(message)

    def _receive(self) -> None:
        """Take photos, answer questions, and fail what is outstanding when the process ends."""
        try:
            while True:
                message = self._connection.recv()
                if isinstance(message, bytes):
                    self._send(self._known(message))
                elif isinstance(message, BaseException):
                    self._fail(message)
                else:
                    self._futures.popleft().set_result(message)
        except (EOFError, OSError):
            self._fail(self._unexpected_end())
        except BaseException as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """Fail what is outstanding, and all that is sent from here on."""
        with self._failing:
            self._error = self._error or error
            while self._futures:
                self._futures.popleft().set_exception(self._error)

    def _unexpected_end(self) -> WorkerError:
        self._process.join(JOIN_SECONDS)
        code = self._process.exitcode
        how = f"was ended by signal {-code}" if code is not None and code < 0 else f"ended with {code}"
        return WorkerError(
            f"A process that reads photos {how}, perhaps for lack of memory; what was done is kept. Run the command again, with"
            " fewer --workers if it happens again."
        )


# In the process ----------------------------------------------------------------------------------------------------


def _work(connection: Connection, settings: WorkerSettings, compute: Compute | None, forked: bool) -> None:
    """Load the items that come over a connection, and send them back, until it ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the other process decides when to stop, and ends the connection
    if forked:
        _let_go_of_files(connection.fileno())
    link = _Link(connection)
    if settings.computes and compute is None:
        networks = Networks(settings.stored, "cpu")
        networks.begin()
        compute = _compute_by(networks)
    photos = load_photos(link.items(), 1, settings.decoding, link.is_known, compute or (lambda image: None), settings.colour)
    with suppress(OSError):  # the other process has ended
        try:
            for photo in photos:
                link.send(replace(photo, item=NO_ITEM))
        except Exception as error:
            link.send(error)
    os._exit(0)  # no thread of this process holds anything that is to be kept


def _let_go_of_files(kept: int) -> None:
    """Close the files of the process that this one was forked from: its locks, and the connections to other processes.

    Their numbers are given to the null device, so that an object that closes its file later does not close another one.
    """
    null = os.open(os.devnull, os.O_RDWR)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in (kept, null):
            with suppress(OSError):  # that of the listing itself
                os.fstat(int(name))
                os.dup2(null, int(name))


def _compute_by(networks: Networks) -> Compute:
    """Return a function that runs networks, which it waits for at the first image."""
    return lambda image: networks.tagger.compute(image)


class _Link:
    """The connection, seen from the process: a thread divides what comes into items and answers."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending, self._asking = Lock(), Lock()
        self._items: SimpleQueue[list[SentItem] | None] = SimpleQueue()
        self._answers: SimpleQueue[bool] = SimpleQueue()
        Thread(target=self._receive, daemon=True).start()

    def items(self) -> Iterator[Item]:
        """Yield the items as they come, up to the end."""
        while (block := self._items.get()) is not None:
            yield from (Item(path, place, problem=problem) for path, place, problem in block)

    def is_known(self, sha256: bytes) -> bool:
        """Ask the other process whether it has a result for a file's sha256."""
        with self._asking:
            self.send(sha256)
            return self._answers.get()

    def send(self, message: object) -> None:
        """Send one message; raises `OSError` where the other process has ended."""
        with self._sending:
            self._connection.send(message)

    def _receive(self) -> None:
        try:
            while True:
                message = self._connection.recv()
                if isinstance(message, bool):
                    self._answers.put(message)
                elif message == STOP:
                    break
                else:
                    self._items.put(message)
        except (EOFError, OSError):
            pass
        os._exit(0)  # without the photos in hand
