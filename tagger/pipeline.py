"""Composes the rooms: source -> decode -> garment -> batch -> predict -> decide -> output. Only here stands the order."""

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO

import cv2
import numpy as np
from numpy.typing import NDArray

from tagger import bundle, decide, output, source
from tagger.decode import decode
from tagger.errors import OutputError, SourceError
from tagger.garment import garment
from tagger.predict import Predictor
from tagger.records import FAILED_REASONS, Failed, Garment, Item, Tag
from tagger.settings import DEFAULT_MODEL, Device, RunSettings

READ_AHEAD = 4
"""Photos in the making for every worker, so that none waits and memory stays flat."""


@dataclass(frozen=True)
class Scored:
    """An item with what became of it: a garment with its probabilities (classes,), or a failure."""

    item: Item
    outcome: Garment | Failed
    probabilities: NDArray[np.float32] | None = None


@dataclass
class Report:
    """Counts of a run. `found` items are sure, flagged or failed, and `ignored` are the entries that were no items."""

    model: str
    found: int = 0
    tags: Counter[str] = field(default_factory=Counter)
    flagged: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    ignored: int = 0
    seconds: float = 0.0

    @property
    def sure(self) -> int:
        """How many were tagged without a flag."""
        return self.found - self.flagged.total() - self.failed.total()

    def count(self, tag: Tag) -> None:
        """Take one more row into account."""
        self.found += 1
        if tag.reason in FAILED_REASONS and not tag.ranked:
            self.failed[tag.reason] += 1
            return
        if tag.ranked:
            self.tags[tag.ranked[0][0]] += 1
        if tag.low_confidence:
            self.flagged[tag.reason] += 1


@dataclass(frozen=True)
class Watcher:
    """Whom `run` tells what happens: an ignored entry, a failed photo, and every row's tag with the counts so far."""

    ignored: Callable[[str, str], None] = lambda path, why: None
    failed: Callable[[Failed], None] = lambda failure: None
    tagged: Callable[[Report], None] = lambda report: None


class Tagger:
    """A bundle ready to tag photos: `Tagger().tag(["a.jpg", "b.png"])`.

    Args:
        model: a shipped bundle's name or a bundle's folder.
        device: "auto", "cpu", "cuda" or "mps".
        min_confidence: tags below this probability are flagged; None takes the bundle's own threshold.
        precision: share of the unflagged tags that should be right, one of the card's table; it picks the threshold where
            there is no `min_confidence`.
        batch_size: photos a step; changes speed and memory, never a tag.
        workers: threads that read photos; None takes one a processor.
        allow_truncated: tag files that end early, always flagged, instead of failing them.
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        device: Device = "auto",
        min_confidence: float | None = None,
        precision: float | None = None,
        batch_size: int = 256,
        workers: int | None = None,
        allow_truncated: bool = False,
    ) -> None:
        self.bundle = bundle.load(model)
        self.min_confidence = self.bundle.card.threshold(precision) if min_confidence is None else min_confidence
        self._predict = Predictor(self.bundle, device)
        self._batch_size = batch_size
        self._workers = workers
        self._allow_truncated = allow_truncated

    def tag(self, paths: Iterable[str | Path]) -> Iterator[Tag]:
        """Yield one tag a path, in their order; a photo that cannot be read gives a tag that says why."""
        items = (Item(str(path), Path(path)) for path in paths)
        return (self.decide(scored) for scored in self.score(items))

    def score(self, items: Iterable[Item]) -> Iterator[Scored]:
        """Yield what became of each item, in their order."""
        yield from self.score_prepared(prepare(items, self._workers, self._allow_truncated))

    def score_prepared(self, prepared: Iterable[tuple[Item, Garment | Failed]]) -> Iterator[Scored]:
        """Yield what became of each item whose garment, or failure, is at hand already, in their order."""
        waiting = iter(prepared)
        while batch := list(islice(waiting, self._batch_size)):
            yield from self._scored(batch)

    def decide(self, scored: Scored) -> Tag:
        """Return what is said of a scored item."""
        if isinstance(scored.outcome, Failed):
            return decide.failed(scored.outcome)
        if scored.probabilities is None:
            return decide.not_recognised()
        card = self.bundle.card
        truncated = scored.outcome.truncated
        return decide.decide(scored.probabilities, card.labels, card.groups, self.min_confidence, truncated)

    def _scored(self, batch: Sequence[tuple[Item, Garment | Failed]]) -> Iterator[Scored]:
        """Only garments are predicted, and each takes the next row, so that no failed photo borrows its neighbour's tag."""
        pictures = [outcome for _, outcome in batch if isinstance(outcome, Garment) and outcome.found]
        probabilities = iter(self._predict(pictures))
        for item, outcome in batch:
            seen = isinstance(outcome, Garment) and outcome.found
            yield Scored(item, outcome, next(probabilities) if seen else None)


def prepare(
    items: Iterable[Item], workers: int | None = None, allow_truncated: bool = False
) -> Iterator[tuple[Item, Garment | Failed]]:
    """Yield each item with its garment, or why there is none, in their order; `workers` None takes one a processor."""

    def work(item: Item) -> tuple[Item, Garment | Failed]:
        if item.problem is not None or item.file is None:
            return item, item.problem or Failed("bad_row", "an item without a file")
        photo = decode(item.file, allow_truncated)
        return item, photo if isinstance(photo, Failed) else garment(photo)

    count = workers or _processors()
    with ThreadPoolExecutor(count, "photos") as pool:
        yield from _in_order(pool, work, items, READ_AHEAD * count)


def run(settings: RunSettings, stdin: IO[bytes] | None = None, watcher: Watcher | None = None) -> Report:
    """Tag the source into the output and return the counts; the output is replaced at the end or not at all.

    Raises an `FmtagError` where the run as a whole could not be done.
    """
    watcher = watcher or Watcher()
    started = time.monotonic()
    format = output.format_of(settings.out, settings.format)
    _refuse_replacing_source(settings)
    report = Report("")

    def ignored(path: str, why: str) -> None:
        report.ignored += 1
        watcher.ignored(path, why)

    opened = source.open_source(settings.source, settings.image_column, stdin, ignored)
    tagger = Tagger(
        settings.model,
        device=settings.device,
        min_confidence=settings.min_confidence,
        precision=settings.precision,
        batch_size=settings.batch_size,
        workers=settings.workers,
        allow_truncated=settings.allow_truncated,
    )
    report.model = tagger.bundle.model
    named = output.columns(opened.columns, min(settings.top_k, len(tagger.bundle.card.labels)))
    with output.open_output(settings.out, format, named, report.model, opened.schema, settings.excel) as writer:
        for number, scored in enumerate(tagger.score(opened.items), 1):
            if isinstance(scored.outcome, Failed):
                watcher.failed(scored.outcome)
            elif settings.debug_garments is not None:
                _write_garment(settings.debug_garments, number, scored)
            tag = tagger.decide(scored)
            report.count(tag)
            writer.write(output.row(scored.item, tag, report.model, named))
            watcher.tagged(report)
        if report.found == 0:
            raise SourceError(f"{settings.source} holds no photos ({report.ignored} other entries); nothing was written.")
    report.seconds = time.monotonic() - started
    return report


def count_items(settings: RunSettings) -> int:
    """Return how many items the source holds, opening no image; for the time that is left."""
    return count_source(settings.source, settings.image_column)


def count_source(given: str, image_column: str | None = None) -> int:
    """Return how many items a source holds, opening no image."""
    return sum(1 for _ in source.open_source(given, image_column).items)


def _refuse_replacing_source(settings: RunSettings) -> None:
    both_are_files = Path(settings.out).is_file() and Path(settings.source).is_file()
    if both_are_files and os.path.samefile(settings.out, settings.source):
        raise OutputError(f"{settings.out} is the source itself and would be replaced; give --out another name.")


def _write_garment(folder: Path, number: int, scored: Scored) -> None:
    """Write what the network saw as a PNG named by the row and the photo."""
    if isinstance(scored.outcome, Garment):
        stem = Path(scored.item.path).stem[:60] or "photo"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            encoded = cv2.imencode(".png", scored.outcome.pixels)[1].tobytes()
            (folder / f"{number:06d}-{stem}.png").write_bytes(encoded)
        except OSError as error:
            raise OutputError(f"{folder} cannot be written ({error.strerror or error}).") from error


def _processors() -> int:
    """Return how many processors this process may use, which is less than the machine has in a container."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _in_order(
    pool: ThreadPoolExecutor,
    work: Callable[[Item], tuple[Item, Garment | Failed]],
    items: Iterable[Item],
    ahead: int,
) -> Iterator[tuple[Item, Garment | Failed]]:
    """Yield `work` of each item in their order, with at most `ahead` of them begun and not yet taken."""
    begun: deque[Future[tuple[Item, Garment | Failed]]] = deque()
    try:
        for item in items:
            begun.append(pool.submit(work, item))
            if len(begun) >= ahead:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        for future in begun:
            future.cancel()
