"""A run, and the only place that knows the order of the rooms.

    source -> ledger -> decode -> garment -> batch -> predict -> ledger -> decide -> output

What the ledger knows already goes straight to `decision`; torch is loaded when the first photo comes that it does not know.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from itertools import chain, tee
from pathlib import Path
from typing import IO, TYPE_CHECKING

import cv2

from tagger.catalog import output, source
from tagger.catalog.items import Source
from tagger.catalog.label_map import read_label_map
from tagger.catalog.output_paths import check_output_paths
from tagger.catalog.rows import COLUMNS, output_columns, output_row, tag_cells
from tagger.catalog.writers import RowWriter
from tagger.errors import BundleError, LedgerDamagedError, LedgerError, SourceError
from tagger.files import remove_leftovers, write_folder
from tagger.inference import decision
from tagger.models import card
from tagger.photos.loader import LoadedPhoto, attach_results, load_photos, product_images
from tagger.photos.product import VERSION
from tagger.records import FAILED_REASONS, Failed, Item, ProductImage, Result, Tag
from tagger.run import ledger
from tagger.run.ledger import Ledger, ListedFile, UnscoredPhoto
from tagger.run.paths import inputs_of, ledger_place, outputs_of
from tagger.run.settings import RunSettings
from tagger.settings import Format

if TYPE_CHECKING:
    from tagger.inference.tagger import Tagger

MOST_LOST, FEW = 0.5, 20
"""A share of the known photos that hardly goes in one night, and a number below which it may."""


@dataclass
class RunSummary:
    """Counts of a run.

    `found` items are sure, flagged or failed. `settling` ones are beside these, and `ignored` are the entries that were no
    items.
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
    """Paths whose files were read; the ledger knew all others."""
    scored: int = 0
    """Photos that the network saw."""
    duplicates: int = 0
    """Items with the bytes of an earlier one."""
    written: int = 0
    """Rows in the output."""
    changes: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, Failed]] = field(default_factory=list)
    """Path and reason of all that failed, where a report is to list them; else nothing."""
    seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)
    """Seconds that the run waited for each stage."""

    @property
    def sure(self) -> int:
        """How many were tagged without a flag."""
        return self.found - self.flagged.total() - self.failed.total()

    def begin_again(self) -> None:
        """Set all counts back to nothing."""
        vars(self).update(vars(RunSummary()))

    def count(self, tag: str, low_confidence: str, reason: str, rows: int) -> None:
        """Take rows that have the same tag, flag and reason into account."""
        self.found += rows
        if not tag and reason in FAILED_REASONS:
            self.failed[reason] += rows
            return
        if tag:
            self.tags[tag] += rows
        if low_confidence == "true":
            self.flagged[reason] += rows

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time that the block takes to a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.stages[stage] = self.stages.get(stage, 0.0) + time.perf_counter() - started


@dataclass(frozen=True)
class RunCallbacks:
    """Whom `run` tells what happens, and who says what must not be broken off."""

    ignored: Callable[[str, str], None] = lambda path, why: None
    started: Callable[[RunSummary], None] = lambda report: None
    """Is told that the run has begun, once what it needs is there."""
    warned: Callable[[str], None] = lambda sentence: None
    scored: Callable[[int, int], None] = lambda done, total: None
    """Is told how many of the files that have to be looked at have been."""
    failed: Callable[[Failed], None] = lambda failure: None
    defer: Callable[[], AbstractContextManager[None]] = nullcontext
    """Holds a signal back until the block, a batch, has ended."""
    ignore: Callable[[], AbstractContextManager[None]] = nullcontext
    """Holds a signal back for good: with the block, the replacement of the output, the run has ended."""


@dataclass(frozen=True)
class _RunPlan:
    """A run that can be done: its settings understood, its bundle found."""

    settings: RunSettings
    format: Format
    signed: card.StoredCard
    min_confidence: float
    names: Mapping[str, str]
    """What labels go by in the output."""
    callbacks: RunCallbacks
    report: RunSummary

    def tag_of(self, result: Result) -> Tag:
        """Return what is said of a photo."""
        labels, groups = self.signed.card.labels, self.signed.card.groups
        return decision.rename_labels(decision.decide_tag(result, labels, groups, self.min_confidence), self.names)


def run(
    settings: RunSettings,
    stdin: IO[bytes] | None = None,
    callbacks: RunCallbacks | None = None,
    report: RunSummary | None = None,
) -> RunSummary:
    """Tag the source into the output and return the counts; the output is replaced at the end or not at all.

    `report` is filled as the run goes on, so that there is something to say of one that breaks off. Raises an `FmtagError`
    where the run as a whole could not be done; what had been scored by then is remembered.
    """
    callbacks = callbacks or RunCallbacks()
    report = RunSummary() if report is None else report
    started = time.monotonic()

    def ignored(path: str, why: str) -> None:
        report.ignored += 1
        callbacks.ignored(path, why)

    def opened() -> Source:
        return source.open_source(settings.source, settings.image_column, stdin, ignored)

    try:
        check_output_paths(outputs_of(settings), inputs_of(settings))
        format = output.format_of(settings.out, settings.format)
        if settings.changes is not None:
            output.format_of(settings.changes)
        place = ledger_place(settings)
        found, signed = opened(), card.read(settings.model)
        threshold = signed.card.threshold(settings.precision) if settings.min_confidence is None else settings.min_confidence
        names = read_label_map(settings.label_map, signed.card.labels) if settings.label_map else {}
        job = _RunPlan(settings, format, signed, threshold, names, callbacks, report)
        found = _not_empty(found, job)
        with ledger.exclusive(place, settings.wait):
            for path in (settings.out, settings.changes, settings.report):
                if path not in (None, "-"):
                    remove_leftovers(Path(str(path)))
            try:
                _run(job, found, place)
            except LedgerDamagedError as error:
                if place is None:
                    raise
                callbacks.warned(f"{error} It is kept as {ledger.set_aside(place).name}, and a new one is begun.")
                if settings.source == "-":
                    raise LedgerError(
                        "The paths on standard input have been read and are gone; run the command again."
                    ) from error
                report.begin_again()
                _run(job, opened(), place)
    finally:
        report.seconds = time.monotonic() - started
    return report


def _run(job: _RunPlan, opened: Source, place: Path | None) -> None:
    settings, report = job.settings, job.report
    report.model = job.signed.model

    def cells_of(result: Result) -> ledger.Cells:
        return ledger.Cells(*tag_cells(job.tag_of(result)))

    with ledger.open_ledger(place) as memory, ExitStack() as outputs:
        report.run = memory.begin(_run_key(job))
        named = output_columns(opened.columns, min(settings.top_k, len(job.signed.card.labels)))
        writing = output.open_output(settings.out, job.format, named, report.model, opened.schema, settings.excel)
        writer = outputs.enter_context(writing)
        job.callbacks.started(report)
        with report.timed("list"):
            unknown = memory.take(_listed(job, opened.items))
        _Scorer(job, memory, opened.root, unknown).score_all()
        with ExitStack() as end, report.timed("publish"), memory.publishing(cells_of):
            totals = memory.totals()
            _refuse_loss(job, totals)
            _count(job, memory, totals)
            _write_rows(job, memory, writer, named)
            if settings.changes is not None:
                _write_changes(settings.changes, report, memory)
            end.enter_context(job.callbacks.ignore())
            outputs.close()


def _run_key(job: _RunPlan) -> ledger.RunKey:
    settings, signed = job.settings, job.signed
    return ledger.RunKey(
        source=settings.source if settings.source == "-" else str(Path(settings.source).resolve()),
        out=settings.out,
        version=version("fmtag"),
        model=signed.model,
        fingerprint=f"{signed.fingerprint}+g{VERSION}",
        labels=signed.card.labels,
        min_confidence=job.min_confidence,
        names=job.names,
        allow_truncated=settings.allow_truncated,
        give_up=settings.give_up,
        fresh=settings.fresh or settings.debug_garments is not None,  # what is not looked at has no picture to show
        verify=settings.verify,
    )


# Listing and looking -----------------------------------------------------------------------------------------------


def _listed(job: _RunPlan, items: Iterable[Item]) -> Iterator[ListedFile]:
    """Yield the items with size and time of their files as they are now."""
    settle_ns = job.settings.settle * 1e9
    for path, place, columns, problem in items:
        if place is None:
            wrong = problem or Failed("bad_row", f"{path}: no file")
            yield ListedFile(path, failure=wrong.reason, detail=wrong.detail, columns=columns or None)
            continue
        try:
            found = os.stat(place)  # noqa: PTH116 (on plain names half the time)
        except (OSError, ValueError):
            yield ListedFile(path, columns=columns or None)
            continue
        # A file from the future, as after a clock was set back, counts as still.
        settling = settle_ns > 0 and abs(time.time_ns() - found.st_mtime_ns) < settle_ns
        mtime_ns = max(ledger.EARLIEST_NS, min(found.st_mtime_ns, ledger.LATEST_NS))
        yield ListedFile(path, found.st_size, mtime_ns, settling, None, None, columns or None)


class _Scorer:
    """The way from files that the ledger does not know to results that it does."""

    def __init__(self, job: _RunPlan, memory: Ledger, root: Path, total: int) -> None:
        self._job = job
        self._settings = job.settings
        self._report = job.report
        self._memory = memory
        self._root = root
        self._total = total
        self._loaded: Tagger | None = None

    def score_all(self) -> None:
        """Look at all files that have to be looked at; each batch is in the ledger before the next one is scored."""
        ahead, batches = tee(self._memory.unknown(self._settings.batch_size))
        items = (Item(one.path, self._root / one.path) for batch in ahead for one in batch)
        reading = load_photos(items, self._settings.workers, self._settings.allow_truncated, self._memory.knows)
        with closing(reading) as prepared:  # a thread that asked the ledger while that is closed would crash all
            for batch in batches:
                with self._job.callbacks.defer():
                    with self._report.timed("read"):
                        photos = self._without_repeats([next(prepared) for _ in batch])
                    self._score(batch, photos)
                self._job.callbacks.scored(self._report.looked_at, self._total)

    def _score(self, batch: Sequence[UnscoredPhoto], photos: Sequence[LoadedPhoto]) -> None:
        with self._report.timed("predict"):
            # Torch takes a second to load, and a night without news needs none.
            scored = [*(self._tagger.score_batch(photos) if product_images(photos) else attach_results(photos, ()))]
        if self._settings.debug_garments is not None:
            for number, one in enumerate(photos, self._report.looked_at + 1):
                _write_garment(self._settings.debug_garments, number, one)
        with self._report.timed("ledger"):
            self._memory.record((item, one.content, one.result) for item, one in zip(batch, scored, strict=True))
        self._report.looked_at += len(batch)
        self._report.scored += len(product_images(photos))

    def _without_repeats(self, photos: Sequence[LoadedPhoto]) -> list[LoadedPhoto]:
        """Leave the network out where it has said all of the same bytes, in this batch or since they were decoded."""
        met: set[bytes] = set()
        kept = []
        for photo in photos:
            if isinstance(photo.outcome, ProductImage) and photo.content is not None:
                sha256 = photo.content.sha256
                if sha256 in met or self._memory.knows(sha256):
                    photo = replace(photo, outcome=None)
                met.add(sha256)
            kept.append(photo)
        return kept

    @property
    def _tagger(self) -> "Tagger":
        if self._loaded is None:
            from tagger.inference.tagger import Tagger

            self._loaded = Tagger(self._job.signed.folder, device=self._settings.device)
            if self._loaded.bundle.fingerprint != self._job.signed.fingerprint:
                raise BundleError(f"The bundle {self._job.signed.folder} was replaced just now; run the command again.")
        return self._loaded


# Endings -----------------------------------------------------------------------------------------------------------


def _not_empty(opened: Source, job: _RunPlan) -> Source:
    """Return the same source, of which one item has been met; raises `SourceError` where it has none."""
    first = next(opened.items, None)
    if first is None:
        ignored = f"{job.report.ignored} other entries"
        raise SourceError(f"{job.settings.source} holds no photos ({ignored}); nothing was written.")
    return replace(opened, items=chain([first], opened.items))


def _count(job: _RunPlan, memory: Ledger, totals: ledger.Totals) -> None:
    """Fill in the counts of the rows that are about to be written, and tell of all failures."""
    report = job.report
    for tag, low_confidence, reason, rows in memory.counts():
        report.count(tag, low_confidence, reason, rows)
    report.changes.update(memory.changes())
    report.settling, report.duplicates = totals.settling, totals.duplicates
    if report.failed:
        for path, failed in memory.failures():
            job.callbacks.failed(failed)
            if job.settings.report is not None:
                report.failures.append((path, failed))


def _refuse_loss(job: _RunPlan, totals: ledger.Totals) -> None:
    """Raise `SourceError` where so much is gone that a disk is more likely lost than the photos."""
    lost, known = totals.lost, totals.known
    if lost >= FEW and lost > MOST_LOST * known and not job.settings.allow_vanished:
        raise SourceError(
            f"{lost:,} of the {known:,} photos known from the last run are gone or cannot be reached; nothing was written. "
            "If a disk or share is missing, bring it back; if they are meant to be gone, give --allow-vanished."
        )


def _write_rows(job: _RunPlan, memory: Ledger, writer: RowWriter, named: Mapping[str, str | None]) -> None:
    settings, report = job.settings, job.report
    report.written = memory.count_rows(settings.only) if settings.only else report.found
    if list(named) == [*COLUMNS, "model"] and writer.write_cells(memory.cells(report.model, settings.only)):
        return
    for row in memory.rows(settings.only):
        item = Item(row.path, None, row.columns)
        writer.write(output_row(item, job.tag_of(row.result), report.model, named, row.duplicate_of))


def _write_changes(out: str, report: RunSummary, memory: Ledger) -> None:
    named = dict.fromkeys(ledger.Event._fields)
    with output.open_output(out, output.format_of(out), named, report.model) as writer:
        for event in memory.events():
            flags = {"low_confidence": event.low_confidence, "low_confidence_before": event.low_confidence_before}
            writer.write(event._asdict() | {name: flag and flag == "true" for name, flag in flags.items()})


def _write_garment(folder: Path, number: int, photo: LoadedPhoto) -> None:
    """Write what the network saw as a PNG named by the row and the photo."""
    if isinstance(photo.outcome, ProductImage):
        stem = Path(photo.item.path).stem[:60] or "photo"
        png = cv2.imencode(".png", photo.outcome.pixels)[1].tobytes()
        write_folder(folder, {f"{number:06d}-{stem}.png": png})
