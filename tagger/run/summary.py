"""Count what a run does, and measure its stages."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tagger.records import FAILED_REASONS, NO_IMAGE, Failed
from tagger.storage.traffic import Traffic


@dataclass
class RunSummary:
    """Hold the counts of a run, filled in as it goes on.

    `photos` = `tagged` + `flagged` + `failed`; rows `without_image`, `settling` photos and `ignored` entries of the source are
    not among them.
    """

    model: str = ""
    run: int = 0
    """Number of the run in its ledger."""
    photos: int = 0
    """Items of the source that the whole output has a row for."""
    tags: Counter[str] = field(default_factory=Counter)
    """Photos per tag, flagged ones included."""
    flagged: Counter[str] = field(default_factory=Counter)
    """Photos with low confidence per reason."""
    failed: Counter[str] = field(default_factory=Counter)
    """Photos that could not be read per reason."""
    without_image: int = 0
    """Rows of the source's table that name no image; the output has them."""
    matched_addresses: int = 0
    """Addresses, and paths of another computer, that were taken for a file beside the table by its name."""
    ignored: Counter[str] = field(default_factory=Counter)
    """Entries of the source that are not read as photos per reason."""
    settling: int = 0
    """Photos left out because their files are still being written."""
    files_read: int = 0
    """Paths whose files were read, as the ledger had no result for them."""
    scored: int = 0
    """Photos that the network scored."""
    retagged: int = 0
    """Paths whose photos another bundle had scored, and that were scored from its embeddings without being read."""
    duplicates: int = 0
    """Photos with the bytes of an earlier one."""
    rows_written: int = 0
    changes: Counter[str] = field(default_factory=Counter)
    """Rows that differ from the last output, per kind of change."""
    failures: list[tuple[str, Failed]] = field(default_factory=list)
    """Path and reason of each failure, if the run writes a report; else empty."""
    seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)
    """Seconds that the run waited for each stage."""
    traffic: Traffic = field(default_factory=Traffic)
    """Requests to buckets and web servers."""

    @property
    def tagged(self) -> int:
        """Photos tagged without a flag."""
        return self.photos - self.flagged.total() - self.failed.total()

    def reset(self) -> None:
        """Set all counts back to zero, except those of requests, which have been made."""
        vars(self).update(vars(RunSummary(traffic=self.traffic)))

    def add_rows(self, tag: str, low_confidence: str, reason: str, rows: int) -> None:
        """Count rows that have the same tag, flag (`true` or `false`) and reason."""
        if not tag and reason == NO_IMAGE:
            self.without_image += rows
            return
        self.photos += rows
        if not tag and reason in FAILED_REASONS:
            self.failed[reason] += rows
            return
        if tag:
            self.tags[tag] += rows
        if low_confidence == "true":
            self.flagged[reason] += rows

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the seconds that the block takes to a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.stages[stage] = self.stages.get(stage, 0.0) + time.perf_counter() - started
