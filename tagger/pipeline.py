"""A run, and the only place that knows the order of the rooms.

    source -> ledger -> decode -> garment -> batch -> predict -> ledger -> decide -> output

What the ledger knows already goes straight to `decide`; torch is loaded when the first photo comes that it does not know.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from itertools import chain, islice
from pathlib import Path
from typing import IO, TYPE_CHECKING

import cv2

from tagger import card, decide, ledger, output, source
from tagger.errors import BundleError, LedgerDamagedError, LedgerError, OutputError, SourceError
from tagger.garment import VERSION
from tagger.ledger import Entry, Ledger
from tagger.reading import Prepared, pictures_of, prepare, with_results
from tagger.records import FAILED_REASONS, Failed, Garment, Item, Result, Tag
from tagger.settings import Format, RunSettings

if TYPE_CHECKING:
    from tagger.scoring import Tagger

WINDOW = 8
"""Batches of items that are asked for at the ledger together, and so kept in memory."""

MOST_LOST, FEW = 0.5, 20
"""A share of the known photos that hardly goes in one night, and a number below which it may."""


@dataclass
class Report:
    """Counts of a run.

    `found` items are sure, flagged or failed; they were also unchanged or looked at. `settling` ones are beside these, and
    `ignored` are the entries that were no items.
    """

    model: str = ""
    run: int = 0
    found: int = 0
    tags: Counter[str] = field(default_factory=Counter)
    flagged: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    ignored: int = 0
    settling: int = 0
    looked_at: int = 0
    """Items whose files were read."""
    scored: int = 0
    """Photos that the network saw."""
    duplicates: int = 0
    """Items with the bytes of an earlier one."""
    written: int = 0
    """Rows in the output."""
    changes: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, Failed]] = field(default_factory=list)
    """Path and reason of all that failed, where a report is to list them."""
    seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)
    """Seconds that the run waited for each stage."""

    @property
    def sure(self) -> int:
        """How many were tagged without a flag."""
        return self.found - self.flagged.total() - self.failed.total()

    @property
    def unchanged(self) -> int:
        """How many the ledger knew."""
        return self.found - self.looked_at

    def begin_again(self) -> None:
        """Set all counts back to nothing."""
        vars(self).update(vars(Report()))

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

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time that the block takes to a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.stages[stage] = self.stages.get(stage, 0.0) + time.perf_counter() - started


@dataclass(frozen=True)
class Watcher:
    """Whom `run` tells what happens, and who says what must not be broken off."""

    ignored: Callable[[str, str], None] = lambda path, why: None
    started: Callable[[Report], None] = lambda report: None
    """Is told that the run has begun, once what it needs is there."""
    warned: Callable[[str], None] = lambda sentence: None
    failed: Callable[[Failed], None] = lambda failure: None
    tagged: Callable[[Report], None] = lambda report: None
    finishing: Callable[[], AbstractContextManager[None]] = nullcontext
    """Holds a signal back until the block, a batch or the replacement of the outputs, has ended."""


@dataclass(frozen=True)
class _Job:
    """A run that can be done: its settings understood, its bundle found."""

    settings: RunSettings
    format: Format
    signed: card.Signed
    min_confidence: float
    watcher: Watcher
    report: Report


def run(
    settings: RunSettings, stdin: IO[bytes] | None = None, watcher: Watcher | None = None, report: Report | None = None
) -> Report:
    """Tag the source into the output and return the counts; the output is replaced at the end or not at all.

    `report` is filled as the run goes on, so that there is something to say of one that breaks off. Raises an `FmtagError`
    where the run as a whole could not be done; what had been scored by then is remembered.
    """
    watcher = watcher or Watcher()
    report = Report() if report is None else report
    started = time.monotonic()

    def ignored(path: str, why: str) -> None:
        report.ignored += 1
        watcher.ignored(path, why)

    def opened() -> source.Source:
        return source.open_source(settings.source, settings.image_column, stdin, ignored)

    try:
        format = output.format_of(settings.out, settings.format)
        place = ledger_place(settings)
        _check_outputs(settings, place)
        found, signed = opened(), card.read(settings.model)
        threshold = signed.card.threshold(settings.precision) if settings.min_confidence is None else settings.min_confidence
        job = _Job(settings, format, signed, threshold, watcher, report)
        found = _not_empty(found, job)
        with ledger.alone(place, settings.wait):
            try:
                _run(job, found, place)
            except LedgerDamagedError as error:
                if place is None:
                    raise
                watcher.warned(f"{error} It is kept as {ledger.put_aside(place).name}, and a new one is begun.")
                if settings.source == "-":
                    raise LedgerError(
                        "The paths on standard input have been read and are gone; run the command again."
                    ) from error
                report.__init__()  # type: ignore[misc]
                _run(job, opened(), place)
    finally:
        report.seconds = time.monotonic() - started
    return report


def ledger_place(settings: RunSettings) -> Path | None:
    """Return the ledger's file: the one asked for, else the one beside the output, or None beside what is no file."""
    if settings.ledger is not None:
        return settings.ledger
    out = Path(settings.out)
    if settings.out == "-" or (out.exists() and not out.is_file()):
        return None
    return out.with_suffix(ledger.SUFFIX)


def _run(job: _Job, opened: source.Source, place: Path | None) -> None:
    settings, report = job.settings, job.report
    labels, groups = job.signed.card.labels, job.signed.card.groups
    named = output.columns(opened.columns, min(settings.top_k, len(labels)))
    report.model = job.signed.model
    with ledger.opened(place) as memory:
        report.run = memory.begin(_asked(job))
        with output.open_output(settings.out, job.format, named, report.model, opened.schema, settings.excel) as writer:
            job.watcher.started(report)
            for item, entry, result in _Photos(job, memory).results(opened.items):
                tag = decide.tag_of(result, labels, groups, job.min_confidence)
                _count(job, item, result, tag)
                change, original = memory.to_publish(entry, tag), memory.original(entry)
                report.duplicates += bool(original)
                if not settings.only or _wanted(settings.only, change, tag):
                    writer.write(output.row(item, tag, report.model, named, original))
                    report.written += 1
                job.watcher.tagged(report)
            _end_listing(job, memory)
            if settings.changes is not None:
                _write_changes(settings.changes, report, memory)
        with job.watcher.finishing():
            memory.finish()


def _asked(job: _Job) -> ledger.Asked:
    settings, signed = job.settings, job.signed
    return ledger.Asked(
        source=settings.source if settings.source == "-" else str(Path(settings.source).resolve()),
        out=settings.out,
        version=version("fmtag"),
        model=signed.model,
        fingerprint=f"{signed.fingerprint}+g{VERSION}",
        labels=signed.card.labels,
        groups=signed.card.groups,
        min_confidence=job.min_confidence,
        allow_truncated=settings.allow_truncated,
        give_up=settings.give_up,
        fresh=settings.fresh or settings.debug_garments is not None,  # what is not looked at has no picture to show
        verify=settings.verify,
    )


def _count(job: _Job, item: Item, result: Result, tag: Tag) -> None:
    job.report.count(tag)
    if result.failed is not None:
        job.watcher.failed(result.failed)
        if job.settings.report is not None:
            job.report.failures.append((item.path, result.failed))


# Photos ------------------------------------------------------------------------------------------------------------


class _Photos:
    """The way from items to results: what the ledger knows, and for all else the network."""

    def __init__(self, job: _Job, memory: Ledger) -> None:
        self._job = job
        self._settings = job.settings
        self._report = job.report
        self._memory = memory
        self._loaded: Tagger | None = None

    def results(self, items: Iterator[Item]) -> Iterator[tuple[Item, Entry, Result]]:
        """Yield what became of each item, in their order; what was new is in the ledger by then."""
        while window := self._listed(items):
            entries = {item.path: entry for item, entry in window if item.problem is None}
            with self._report.timed("ledger"):
                self._memory.look_up([*entries.values()])
            unknown = [entry for entry in entries.values() if entry.result is None]
            looked = self._look_at(unknown)
            for item, own in window:
                entry = entries.get(item.path, own)
                while entry.result is None:
                    next(looked)
                yield item, entry, entry.result

    def _listed(self, items: Iterator[Item]) -> list[tuple[Item, Entry]]:
        """Return the next items, with size and time of their files, but not those that are being written still."""
        window = []
        with self._report.timed("source"):
            for item in islice(items, WINDOW * self._settings.batch_size):
                entry = _entry(item)
                if self._settling(entry):
                    self._report.settling += 1
                    self._memory.look_up([entry])
                    self._memory.keep(entry)
                else:
                    window.append((item, entry))
        return window

    def _settling(self, entry: Entry) -> bool:
        """Whether a file was written just now; one from the future, as after a clock was set back, counts as still."""
        if not self._settings.settle or entry.mtime_ns is None:
            return False
        return abs(time.time_ns() - entry.mtime_ns) < self._settings.settle * 1e9

    def _look_at(self, entries: Sequence[Entry]) -> Iterator[None]:
        """Fill the results in, another batch with every step, which is in the ledger when the step has been made."""
        if not entries:
            return
        settings = self._settings
        items = [entry.item for entry in entries]
        prepared = prepare(items, settings.workers, settings.allow_truncated, self._memory.knows)
        waiting = iter(entries)
        while batch := list(islice(waiting, settings.batch_size)):
            with self._job.watcher.finishing():
                with self._report.timed("read"):
                    photos = self._without_repeats([next(prepared) for _ in batch])
                self._score(batch, photos)
            yield

    def _score(self, batch: Sequence[Entry], photos: Sequence[Prepared]) -> None:
        with self._report.timed("predict"):
            # Torch takes a second to load, and a night without news needs none.
            scored = [*(self._tagger.score_batch(photos) if pictures_of(photos) else with_results(photos, ()))]
        if self._settings.debug_garments is not None:
            for number, one in enumerate(photos, self._report.looked_at + 1):
                _write_garment(self._settings.debug_garments, number, one)
        with self._report.timed("ledger"):
            self._memory.record((entry, one.content, one.result) for entry, one in zip(batch, scored, strict=True))
        self._report.looked_at += len(batch)
        self._report.scored += len(pictures_of(photos))

    def _without_repeats(self, photos: Sequence[Prepared]) -> list[Prepared]:
        """Leave the network out where it has said all of the same bytes, in this batch or since they were decoded."""
        met: set[bytes] = set()
        kept = []
        for photo in photos:
            if isinstance(photo.outcome, Garment) and photo.content is not None:
                sha256 = photo.content.sha256
                if sha256 in met or self._memory.knows(sha256):
                    photo = replace(photo, outcome=None)
                met.add(sha256)
            kept.append(photo)
        return kept

    @property
    def _tagger(self) -> "Tagger":
        if self._loaded is None:
            from tagger.scoring import Tagger

            self._loaded = Tagger(str(self._job.signed.folder), device=self._settings.device)
            if self._loaded.bundle.fingerprint != self._job.signed.fingerprint:
                raise BundleError(f"The bundle {self._job.signed.folder} was replaced just now; run the command again.")
        return self._loaded


def _entry(item: Item) -> Entry:
    if item.problem is not None:
        return Entry(item, result=Result(item.problem))
    try:
        found = item.file.stat() if item.file is not None else None
    except (OSError, ValueError):
        found = None
    return Entry(item, found.st_size, found.st_mtime_ns) if found else Entry(item)


# Endings -----------------------------------------------------------------------------------------------------------


def _not_empty(opened: source.Source, job: _Job) -> source.Source:
    """Return the same source, of which one item has been met; raises `SourceError` where it has none."""
    first = next(opened.items, None)
    if first is None:
        ignored = f"{job.report.ignored} other entries"
        raise SourceError(f"{job.settings.source} holds no photos ({ignored}); nothing was written.")
    return replace(opened, items=chain([first], opened.items))


def _end_listing(job: _Job, memory: Ledger) -> None:
    """Note what has vanished; raises `SourceError` where that looks like a lost disk."""
    settings, report = job.settings, job.report
    with report.timed("ledger"):
        lost, known = memory.vanish()
        report.changes.update(memory.changes())
    if lost >= FEW and lost > MOST_LOST * known and not settings.allow_vanished:
        raise SourceError(
            f"{lost:,} of the {known:,} photos known from the last run are gone or cannot be reached; nothing was written. "
            "If a disk or share is missing, bring it back; if they are meant to be gone, give --allow-vanished."
        )


def _wanted(only: Sequence[str], change: ledger.Change | None, tag: Tag) -> bool:
    """Whether a row is among those asked for."""
    return (
        ("new" in only and change == "new")
        or ("changed" in only and change not in (None, "new"))
        or ("flagged" in only and tag.low_confidence)
    )


def _write_changes(out: str, report: Report, memory: Ledger) -> None:
    named = dict.fromkeys(output.CHANGE_COLUMNS)
    with output.open_output(out, output.format_of(out), named, report.model) as writer:
        for event in memory.events():
            writer.write(output.change_row(event.path, event.change, event.moved_from, event.before, event.after))


def _check_outputs(settings: RunSettings, place: Path | None) -> None:
    """Raise `OutputError` where a file that is to be written has no folder, is the source, or is another of them."""
    taken: dict[str, str] = {}
    if settings.source != "-" and Path(settings.source).is_file():
        taken[os.path.realpath(settings.source)] = "the source itself"
    files = {"--out": settings.out, "--changes": settings.changes, "--report": settings.report, "--ledger": place}
    for option, given in files.items():
        if given is None or str(given) == "-":
            continue
        real = os.path.realpath(given)
        if not os.path.isdir(os.path.dirname(real)):  # noqa: PTH112, PTH120
            raise OutputError(f"{given} cannot be written: there is no folder {os.path.dirname(real)}; make it first.")  # noqa: PTH120
        if real in taken:
            raise OutputError(f"{given} is {taken[real]} and would be replaced; give {option} another name.")
        taken[real] = f"what {option} names"


def _write_garment(folder: Path, number: int, photo: Prepared) -> None:
    """Write what the network saw as a PNG named by the row and the photo."""
    if isinstance(photo.outcome, Garment):
        stem = Path(photo.item.path).stem[:60] or "photo"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            encoded = cv2.imencode(".png", photo.outcome.pixels)[1].tobytes()
            (folder / f"{number:06d}-{stem}.png").write_bytes(encoded)
        except OSError as error:
            raise OutputError(f"{folder} cannot be written ({error.strerror or error}).") from error
