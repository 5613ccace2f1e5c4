"""Run a catalog through all stages, in their order.

    source -> ledger -> decode -> product image -> batch -> predict -> ledger -> decide -> output

Photos whose results the ledger has go straight to `decision`; those whose embeddings it has are scored by these; the networks
are loaded at the first photo that has neither.
"""

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from dataclasses import dataclass, replace
from itertools import chain, islice, tee
from pathlib import Path
from typing import IO

from tagger import __version__
from tagger.catalog import output, source
from tagger.catalog.destinations import remove_leftovers_of
from tagger.catalog.items import Source
from tagger.catalog.output_paths import check_output_paths
from tagger.catalog.rows import COLUMNS, output_columns, output_row, tag_cells
from tagger.catalog.writers import RowWriter
from tagger.errors import LedgerDamagedError, LedgerError, SourceError
from tagger.files import write_folder
from tagger.inference import decision
from tagger.inference.device import computes_alone
from tagger.models import card
from tagger.photos.loader import LoadedPhoto, attach_results, load_photos, product_images
from tagger.photos.product import VERSION
from tagger.processors import available_processors
from tagger.records import Failed, Item, NetworkOutputs, ProductImage, RemoteFolder, Result, Tag
from tagger.run.bucket_ledger import kept_in_bucket
from tagger.run.engine import Engine, EngineWork
from tagger.run.ledger import ROWS_PER_CHUNK, Ledger, open_ledger
from tagger.run.ledger_file import set_aside
from tagger.run.ledger_values import Cells, Event, RunKey, Totals, UnscoredPhoto
from tagger.run.listing import listed_files
from tagger.run.networks import Networks
from tagger.run.paths import inputs_of, ledger_address, ledger_in_messages, locked_ledger, outputs_of, source_key
from tagger.run.places import place_of_photo
from tagger.run.reviews import rescue
from tagger.run.settings import RunSettings
from tagger.run.summary import RunSummary
from tagger.run.worker_processes import WorkerSettings, load_in_processes
from tagger.settings import Format
from tagger.streams import is_stream

EMBEDDINGS_PER_BATCH = 4_096
"""Embeddings that are scored and stored at once: about a megabyte, and some 25 commits for 100,000 photos."""

MIN_WORKERS_APART, MIN_PHOTOS_PER_PROCESS = 2, 50
"""From so many workers, and photos to read per worker, on, workers are processes. Two threads hardly wait for each other and
take half the memory; to start a process takes as long as some photos."""

MAX_LOST_SHARE, MIN_LOST = 0.5, 20
"""A run that lost more than this share of the known photos is refused, if it lost at least this many."""


@dataclass(frozen=True)
class RunCallbacks:
    """Functions that `run` calls on events, and contexts in which it must not be interrupted."""

    ignored: Callable[[str, str], None] = lambda path, why: None
    """Called with each entry of the source that is not a photo, and why."""
    started: Callable[[RunSummary], None] = lambda summary: None
    """Called once all inputs and outputs are open."""
    warned: Callable[[str], None] = lambda sentence: None
    noted: Callable[[str], None] = lambda sentence: None
    """Called with what a user should know of the source, and what needs no action."""
    scored: Callable[[int, int], None] = lambda done, total: None
    """Called after each batch with the numbers of files read and of files to read."""
    failed: Callable[[Failed], None] = lambda failure: None
    """Called with each photo that could not be read."""
    defer: Callable[[], AbstractContextManager[None]] = nullcontext
    """Defers signals to the end of the block, a batch."""
    ignore: Callable[[], AbstractContextManager[None]] = nullcontext
    """Ignores signals during the block, the replacement of the output, after which the run is done."""


@dataclass(frozen=True)
class _RunPlan:
    """A validated run: its settings resolved, its bundle found."""

    settings: RunSettings
    format: Format
    stored: card.StoredCard
    min_confidence: float
    names: Mapping[str, str]
    """Names of labels in the output, by label."""
    callbacks: RunCallbacks
    summary: RunSummary
    engine: Engine | None = None
    """Reads and scores the photos; None does that here."""

    def tags_of(self, results: Sequence[Result]) -> list[Tag]:
        """Decide the tags of results."""
        labels, groups = self.stored.card.labels, self.stored.card.groups
        tags = decision.decide_results(results, labels, groups, self.min_confidence)
        return [decision.rename_labels(tag, self.names) for tag in tags] if self.names else tags


def run(
    settings: RunSettings,
    stdin: IO[bytes] | None = None,
    callbacks: RunCallbacks | None = None,
    summary: RunSummary | None = None,
    engine: Engine | None = None,
) -> RunSummary:
    """Tag the photos of the source, replace the output at the end or leave it as it was, and return the counts.

    `summary` is filled as the run goes on, so that an interrupted run has counts too. `engine` reads and scores the photos in
    place of this machine's processes; it is called only if there are some. Raises an `FmtagError` where the run as a whole
    fails; the ledger keeps the results up to then.
    """
    callbacks = callbacks or RunCallbacks()
    summary = RunSummary() if summary is None else summary
    started = time.monotonic()
    try:
        _run(settings, stdin, callbacks, summary, engine)
    finally:
        summary.seconds = time.monotonic() - started
    return summary


def _run(
    settings: RunSettings, stdin: IO[bytes] | None, callbacks: RunCallbacks, summary: RunSummary, engine: Engine | None
) -> None:
    def ignored(path: str, why: str) -> None:
        summary.ignored[why] += 1
        callbacks.ignored(path, why)

    def open_catalog() -> Source:
        return source.open_source(settings.source, settings.reading, stdin, ignored, callbacks.warned, summary.traffic)

    check_output_paths(outputs_of(settings), inputs_of(settings), summary.traffic)
    format = output.format_of(settings.out, settings.format)
    if settings.changes is not None:
        output.format_of(settings.changes)
    catalog, stored = open_catalog(), card.read(settings.model)
    threshold = stored.card.threshold(settings.precision) if settings.min_confidence is None else settings.min_confidence
    names = _label_names(settings, stored)
    plan = _RunPlan(settings, format, stored, threshold, names, callbacks, summary, engine)
    catalog = _require_photos(catalog, plan)
    address = ledger_address(settings)
    with (
        locked_ledger(settings) as path,
        kept_in_bucket(address, path, summary.traffic, callbacks.warned, callbacks.ignore) as save,
    ):
        for file in (settings.out, settings.changes, settings.report):
            if file is not None and file != "-":
                remove_leftovers_of(file)
        try:
            _run_stages(plan, catalog, path, save)
        except LedgerDamagedError as error:
            if path is None:
                raise
            aside = set_aside(path)
            rescued = rescue(aside, path)
            decisions = f", with the decisions of people that it had ({rescued:,})" if rescued else ""
            kept = aside.name if address is None else aside
            callbacks.warned(f"{error} It is kept as {kept}, and a new one is begun{decisions}.")
            if settings.source == "-":
                raise LedgerError("The paths on standard input have been consumed; run the command again.") from error
            summary.reset()
            _run_stages(plan, open_catalog(), path, save)


def _run_stages(plan: _RunPlan, catalog: Source, path: Path | None, save: Callable[[], None]) -> None:
    """Run the stages with the ledger `path`; `save` saves it in its bucket, if it lies in one and that is due."""
    settings, summary = plan.settings, plan.summary
    summary.model = plan.stored.model

    def cells_of(results: Sequence[Result]) -> list[Cells]:
        return [Cells(*tag_cells(tag)) for tag in plan.tags_of(results)]

    with open_ledger(path, ledger_in_messages(settings)) as ledger, ExitStack() as outputs:
        summary.run = ledger.begin(_run_key(plan, catalog.root))
        columns = output_columns(catalog.columns, min(settings.top_k, len(plan.stored.card.labels)))
        form, warned = plan.format, plan.callbacks.warned
        of_source = (catalog.schema, settings.excel)
        opened = output.open_output(settings.out, form, columns, summary.model, *of_source, warned, summary.traffic)
        writer = outputs.enter_context(opened)
        plan.callbacks.started(summary)
        with summary.timed("list"):
            total = ledger.list_files(listed_files(catalog, settings.settle, summary))
        if not ledger.has_photos():
            raise source.nothing_to_read(settings.source, {}, only_rows=True)
        if summary.matched_addresses:
            matched = summary.matched_addresses
            plan.callbacks.noted(f"Addresses that mean a file beside the table, by the end of their names: {matched:,}.")
        scorer = _Scorer(plan, ledger, catalog.root, total, save)
        scorer.score_embeddings()
        scorer.score_all() if plan.engine is None else scorer.score_by(plan.engine)
        with ExitStack() as end, summary.timed("publish"), ledger.publishing(cells_of):
            totals = ledger.totals()
            _refuse_loss(plan, totals)
            _count(plan, ledger, totals)
            _write_rows(plan, ledger, writer, columns)
            if is_stream(settings.out):
                outputs.close()  # its reader may wait for the end before it reads the changes
            if settings.changes is not None:
                _write_changes(plan, settings.changes, ledger)
            end.enter_context(plan.callbacks.ignore())
            outputs.close()


# Before the stages -------------------------------------------------------------------------------------------------


def _require_photos(catalog: Source, plan: _RunPlan) -> Source:
    """Return the same source; raise `SourceError` where it has no items."""
    first = next(catalog.items, None)
    if first is None:
        raise source.nothing_to_read(plan.settings.source, plan.summary.ignored)
    return replace(catalog, items=chain([first], catalog.items))


def _label_names(settings: RunSettings, stored: card.StoredCard) -> Mapping[str, str]:
    if settings.label_map is None:
        return {}
    from tagger.catalog.label_map import read_label_map  # and with it all that reads tables

    return read_label_map(settings.label_map, stored.card.labels)


def _run_key(plan: _RunPlan, root: Path | RemoteFolder) -> RunKey:
    settings, stored = plan.settings, plan.stored
    return RunKey(
        source=source_key(settings.source),
        out=settings.out,
        version=__version__,
        model=stored.model,
        fingerprint=f"{stored.fingerprint}+g{VERSION}",
        labels=stored.card.labels,
        eyes=f"{stored.eyes}+g{VERSION}" if stored.eyes else "",
        min_confidence=plan.min_confidence,
        names=plan.names,
        root=root.address if isinstance(root, RemoteFolder) else str(root.absolute()),
        decoding=settings.decoding,
        give_up=settings.give_up,
        fresh=settings.fresh or settings.debug_garments is not None,  # only photos that are read have an image to write
        verify=settings.verify,
    )


# Score -------------------------------------------------------------------------------------------------------------


class _Scorer:
    """Score the photos that have no result in the ledger, batch by batch."""

    def __init__(self, plan: _RunPlan, ledger: Ledger, root: Path | RemoteFolder, total: int, save: Callable[[], None]) -> None:
        self._plan = plan
        self._settings = plan.settings
        self._summary = plan.summary
        self._ledger = ledger
        self._root = root
        self._total = total
        self._save = save
        self._networks = Networks(plan.stored, plan.settings.device)

    def score_embeddings(self) -> None:
        """Score the photos whose embeddings are in the ledger; they need not be read, as if they had a result before."""
        with self._summary.timed("list"):
            outdated, embedded = self._ledger.find_outdated()
        if not outdated:
            return
        with self._summary.timed("retag"):
            length = self._networks.tagger.embedding_size if embedded else 0
            for batch in self._ledger.embedding_batches(EMBEDDINGS_PER_BATCH, length):
                with self._plan.callbacks.defer():
                    embeddings = [one.embedding for one in batch]
                    self._ledger.rescore(batch, self._networks.tagger.probabilities_of(embeddings))
            to_read = self._ledger.find_unscored()
            self._summary.retagged, self._total = self._total - to_read, to_read

    def score_all(self) -> None:
        """Read and score the photos without a result; each batch is in the ledger before the next one is scored."""
        ahead, batches = tee(self._ledger.unscored_batches(self._settings.batch_size))
        items = (self._item(photo) for batch in ahead for photo in batch)
        with closing(self._load(items)) as loaded:  # a loader thread that queries a closed ledger would crash the process
            for batch in batches:
                with self._plan.callbacks.defer():
                    with self._summary.timed("read"):
                        photos = self._without_repeats([next(loaded) for _ in batch])
                    self._score(batch, photos)
                    self._save()
                self._plan.callbacks.scored(self._summary.files_read, self._total)

    def score_by(self, engine: Engine) -> None:
        """Let an engine read and score the photos without a result, and record what comes back batch by batch."""
        if not self._total:
            return
        size, stored = self._settings.batch_size, self._plan.stored
        items = (self._item(photo) for batch in self._ledger.unscored_batches(size) for photo in batch)
        work = EngineWork(items, self._total, stored, self._settings.decoding, self._settings.device)
        with closing(engine(work)) as engine_photos:
            for batch in self._ledger.unscored_batches(size):
                with self._plan.callbacks.defer():
                    with self._summary.timed("read"):
                        scored = [next(engine_photos) for _ in batch]
                    photos = self._without_repeats(scored)
                    results = [None if kept.outcome is None else one.result for kept, one in zip(photos, scored, strict=True)]
                    self._record(batch, photos, results)
                    self._save()
                self._plan.callbacks.scored(self._summary.files_read, self._total)
            next(engine_photos, None)  # checks that nothing is left over

    def _load(self, items: Iterator[Item]) -> Generator[LoadedPhoto, None, None]:
        """Load items in threads, or in processes where there are so many that it pays to start some."""
        settings, stored = self._settings, self._plan.stored
        workers, colour = settings.workers or available_processors(), bool(stored.eyes)
        computes = not self._total or computes_alone(stored.card, settings.device)
        if not computes:
            self._networks.begin()  # here, while the first photos are read and decoded
        if workers >= MIN_WORKERS_APART and self._total >= MIN_PHOTOS_PER_PROCESS * workers:
            in_workers = WorkerSettings(stored, computes, settings.decoding, colour)
            return load_in_processes(items, workers, in_workers, self._ledger.has_result, self._networks)
        known, begin = self._ledger.has_result, self._networks.begin  # while the product of the first photo is looked for
        compute = self._compute if computes else lambda image: None  # which does not wait for the networks
        return load_photos(items, workers, settings.decoding, known, compute, colour, begin)

    def _compute(self, image: ProductImage) -> NetworkOutputs | None:
        return self._networks.tagger.compute(image)

    def _item(self, photo: UnscoredPhoto) -> Item:
        problem = None if photo.detail is None else Failed("missing", photo.detail)
        return Item(photo.path, place_of_photo(photo, self._root), problem=problem)

    def _score(self, batch: Sequence[UnscoredPhoto], photos: Sequence[LoadedPhoto]) -> None:
        with self._summary.timed("predict"):
            # A batch without product images does without the networks.
            scored = [*(self._networks.tagger.score_batch(photos) if product_images(photos) else attach_results(photos, ()))]
        if self._settings.debug_garments is not None:
            for number, photo in enumerate(photos, self._summary.files_read + 1):
                _write_product_image(self._settings.debug_garments, number, photo)
        self._record(batch, photos, [one.result for one in scored])

    def _record(self, batch: Sequence[UnscoredPhoto], photos: Sequence[LoadedPhoto], results: Sequence[Result | None]) -> None:
        contents = (photo.content for photo in photos)
        with self._summary.timed("ledger"):
            self._ledger.record(zip(batch, contents, results, strict=True))
        self._summary.files_read += len(batch)
        self._summary.scored += len(product_images(photos))
        for photo in photos:
            if photo.traffic is not None:
                self._summary.traffic.add(photo.traffic)

    def _without_repeats(self, photos: Sequence[LoadedPhoto]) -> list[LoadedPhoto]:
        """Drop product images of bytes that are scored already, in this batch or since they were decoded."""
        seen: set[bytes] = set()
        kept = []
        for photo in photos:
            if isinstance(photo.outcome, ProductImage) and photo.content is not None:
                sha256 = photo.content.sha256
                if sha256 in seen or self._ledger.has_result(sha256):
                    photo = replace(photo, outcome=None)
                seen.add(sha256)
            kept.append(photo)
        return kept


def _write_product_image(folder: Path, number: int, photo: LoadedPhoto) -> None:
    """Write the network's input of a photo as a PNG named by the photo's number and name."""
    if isinstance(photo.outcome, ProductImage):
        import cv2

        stem = Path(photo.item.path).stem[:60] or "photo"
        png = cv2.imencode(".png", photo.outcome.pixels)[1].tobytes()
        write_folder(folder, {f"{number:06d}-{stem}.png": png})


# Publish -----------------------------------------------------------------------------------------------------------


def _refuse_loss(plan: _RunPlan, totals: Totals) -> None:
    """Raise `SourceError` where so many photos are gone that a disk is more likely missing than they are."""
    lost, known = totals.lost, totals.known
    if lost >= MIN_LOST and lost > MAX_LOST_SHARE * known and not plan.settings.allow_vanished:
        raise SourceError(
            f"{lost:,} of the {known:,} photos known from the last run are gone or cannot be reached; nothing was written. "
            "If a disk or share is missing, bring it back; if they are meant to be gone, give --allow-vanished."
        )


def _count(plan: _RunPlan, ledger: Ledger, totals: Totals) -> None:
    """Count the rows that are about to be written, and report the failures."""
    summary = plan.summary
    for tag, low_confidence, reason, rows in ledger.counts():
        summary.add_rows(tag, low_confidence, reason, rows)
    summary.changes.update(ledger.changes())
    summary.settling, summary.duplicates = totals.settling, totals.duplicates
    if summary.failed:
        for path, failed in ledger.failures():
            plan.callbacks.failed(failed)
            if plan.settings.report is not None:
                summary.failures.append((path, failed))


def _write_rows(plan: _RunPlan, ledger: Ledger, writer: RowWriter, columns: Mapping[str, str | None]) -> None:
    settings, summary = plan.settings, plan.summary
    summary.rows_written = ledger.count_rows(settings.only) if settings.only else summary.photos + summary.without_image
    if list(columns) == [*COLUMNS, "model"] and writer.write_text(ledger.text_rows(summary.model, settings.only)):
        return
    remaining = ledger.rows(settings.only)
    while rows := list(islice(remaining, ROWS_PER_CHUNK)):
        for row, tag in zip(rows, plan.tags_of([row.result for row in rows]), strict=True):
            writer.write(output_row(Item(row.path, None, row.columns), tag, summary.model, columns, row.duplicate_of))


def _write_changes(plan: _RunPlan, out: str, ledger: Ledger) -> None:
    columns, form = dict.fromkeys(Event._fields), output.format_of(out)
    warned, traffic = plan.callbacks.warned, plan.summary.traffic
    with output.open_output(out, form, columns, plan.summary.model, waiting=warned, traffic=traffic) as writer:
        for event in ledger.events():
            flags = {"low_confidence": event.low_confidence, "low_confidence_before": event.low_confidence_before}
            writer.write(event._asdict() | {name: flag and flag == "true" for name, flag in flags.items()})
