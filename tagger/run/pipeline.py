"""Run a catalog through all stages, in their order.

    source -> ledger -> decode -> product image -> batch -> predict -> ledger -> decide -> output

Photos whose results the ledger has go straight to `decision`; those whose embeddings it has are scored by these; the networks
are loaded at the first photo that has neither.
"""

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from itertools import chain, tee
from pathlib import Path
from typing import IO

from tagger import __version__
from tagger.catalog import output, source
from tagger.catalog.destinations import remove_leftovers_of
from tagger.catalog.items import Source
from tagger.catalog.output_paths import check_output_paths
from tagger.catalog.rows import output_columns
from tagger.errors import LedgerDamagedError, LedgerError
from tagger.files import write_folder
from tagger.inference.device import computes_alone
from tagger.models import card
from tagger.photos.loader import LoadedPhoto, attach_results, load_photos, product_images
from tagger.photos.product import VERSION
from tagger.processors import available_processors
from tagger.records import Failed, Item, NetworkOutputs, ProductImage, RemoteFolder, Result
from tagger.run.bucket_ledger import kept_in_bucket
from tagger.run.engine import Engine, EngineWork
from tagger.run.ledger import Ledger, open_ledger
from tagger.run.ledger_values import RunKey, UnscoredPhoto
from tagger.run.listing import listed_files
from tagger.run.networks import Networks
from tagger.run.paths import inputs_of, ledger_address, ledger_in_messages, ledger_name, locked_ledger, outputs_of, source_key
from tagger.run.places import place_of_photo
from tagger.run.plan import RunCallbacks as RunCallbacks
from tagger.run.plan import RunPlan
from tagger.run.publishing import publish
from tagger.run.reviews import begun_anew
from tagger.run.settings import RunSettings
from tagger.run.shard_record import ShardRecord, refuse_other_shard
from tagger.run.shards import ShardedItems
from tagger.run.summary import RunSummary
from tagger.run.worker_processes import WorkerSettings, load_in_processes, pays

EMBEDDINGS_PER_BATCH = 4_096
"""Embeddings that are scored and stored at once: about a megabyte, and some 25 commits for 100,000 photos."""

MIN_WORKERS_APART = 2
"""From so many workers on they are processes, where it pays to start some."""


def run(
    settings: RunSettings,
    stdin: IO[bytes] | None = None,
    callbacks: RunCallbacks | None = None,
    summary: RunSummary | None = None,
    engine: Engine | None = None,
) -> RunSummary:
    """Tag the photos of the source, replace the output at the end or leave it as it was, and return the counts.

    `summary` is filled as the run goes on, so that an interrupted run has counts too. `engine` reads and scores the photos if
    that is not to be done here; it is called only if there are some. Raises an `FmtagError` where the run as a whole fails; the
    ledger keeps the results up to then.
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
    plan = RunPlan(settings, format, stored, threshold, names, callbacks, summary, engine)
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
            callbacks.warned(begun_anew(error, path, address))
            if settings.source == "-":
                raise LedgerError("The paths on standard input have been consumed; run the command again.") from error
            summary.reset()
            _run_stages(plan, open_catalog(), path, save)


def _run_stages(plan: RunPlan, catalog: Source, path: Path | None, save: Callable[[], None]) -> None:
    """Run the stages with the ledger `path`; `save` saves it in its bucket, if it lies in one and that is due."""
    settings, summary = plan.settings, plan.summary
    summary.model = plan.stored.model

    with open_ledger(path, ledger_in_messages(settings)) as ledger, ExitStack() as outputs:
        if settings.shard is not None:
            refuse_other_shard(ledger, settings.shard, ledger_name(settings))
        summary.run = ledger.begin(_run_key(plan, catalog.root))
        columns = output_columns(catalog.columns, min(settings.top_k, len(plan.stored.card.labels)))
        form, warned = plan.format, plan.callbacks.warned
        of_source = (catalog.schema, settings.excel)
        opened = output.open_output(settings.out, form, columns, summary.model, *of_source, warned, summary.traffic)
        writer = outputs.enter_context(opened)
        plan.callbacks.started(summary)
        sharded = None if settings.shard is None else ShardedItems(catalog.items, settings.shard)
        listed = catalog if sharded is None else replace(catalog, items=iter(sharded))
        with summary.timed("list"):
            files = listed_files(listed, settings.settle, summary)
            total = ledger.list_files(files, None if sharded is None else sharded.positions())
        if not (ledger.has_photos() if sharded is None else sharded.has_photos):
            raise source.nothing_to_read(settings.source, {}, only_rows=True)
        plan.note_matched_addresses()
        scorer = _Scorer(plan, ledger, catalog.root, total, save)
        scorer.score_embeddings()
        scorer.score_all() if plan.engine is None else scorer.score_by(plan.engine)
        publish(plan, ledger, writer, columns, outputs, None if sharded is None else _shard_record(sharded, catalog, plan))


# Before the stages -------------------------------------------------------------------------------------------------


def _require_photos(catalog: Source, plan: RunPlan) -> Source:
    """Return the same source; raise `SourceError` where it has no items."""
    first = next(catalog.items, None)
    if first is None:
        raise source.nothing_to_read(plan.settings.source, plan.summary.ignored)
    return replace(catalog, items=chain([first], catalog.items))


def _shard_record(sharded: ShardedItems, catalog: Source, plan: RunPlan) -> ShardRecord:
    """Return what a merge needs to know of a shard whose items have all been listed."""
    schema = None if catalog.schema is None else catalog.schema.serialize().to_pybytes()
    counts = plan.summary.ignored, plan.summary.matched_addresses
    return ShardRecord(sharded.shard, sharded.total, catalog.columns, schema, *counts)


def _label_names(settings: RunSettings, stored: card.StoredCard) -> Mapping[str, str]:
    if settings.label_map is None:
        return {}
    from tagger.catalog.label_map import read_label_map  # and with it all that reads tables

    return read_label_map(settings.label_map, stored.card.labels)


def _run_key(plan: RunPlan, root: Path | RemoteFolder) -> RunKey:
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

    def __init__(self, plan: RunPlan, ledger: Ledger, root: Path | RemoteFolder, total: int, save: Callable[[], None]) -> None:
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
                self._plan.callbacks.scored(self._summary.files_read, self._total)
            next(engine_photos, None)  # checks that nothing is left over

    def _load(self, items: Iterator[Item]) -> Generator[LoadedPhoto, None, None]:
        """Load items in threads, or in processes where there are so many that it pays to start some."""
        settings, stored = self._settings, self._plan.stored
        workers, colour = settings.workers or available_processors(), bool(stored.eyes)
        computes = not self._total or computes_alone(stored.card, settings.device)
        if not computes:
            self._networks.begin()  # here, while the first photos are read and decoded
        if workers >= MIN_WORKERS_APART and pays(workers, self._total):
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
        self._save()

    def _without_repeats(self, photos: Sequence[LoadedPhoto]) -> list[LoadedPhoto]:
        """Drop what came of bytes that are scored already, in this batch, since they were decoded, or under other limits."""
        seen: set[bytes] = set()
        kept = []
        for photo in photos:
            if photo.outcome is not None and photo.content is not None:
                sha256 = photo.content.sha256
                product = isinstance(photo.outcome, ProductImage)
                if sha256 in seen or self._ledger.has_result(sha256):
                    photo = replace(photo, outcome=None)
                if product:
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
