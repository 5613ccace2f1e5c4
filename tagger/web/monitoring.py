"""Count what the service does for Prometheus, and log it, a line per request, on standard error."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import IO, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from tagger import __version__
from tagger.escaping import for_json, for_terminal
from tagger.records import Tag

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Upper ends of the ranges in which times are counted."""

PHOTOS = (1, 2, 4, 8, 16, 32, 64, 128, 256)

OTHER = "other"
"""What stands for every path that the service does not serve, so that no client can make up new series."""


class Metrics:
    """The numbers of one service, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "fmtag_requests", "Requests answered, by path and status.", ["path", "status"], registry=registry
        )
        self.request_seconds = Histogram(
            "fmtag_request_seconds",
            "Seconds from a request's headers to its answer.",
            ["path"],
            buckets=SECONDS,
            registry=registry,
        )
        self.photos = Counter("fmtag_photos", "Photos answered, by outcome.", ["outcome"], registry=registry)
        self.reasons = Counter("fmtag_reasons", "Photos that are flagged or failed, by reason.", ["reason"], registry=registry)
        self.bytes = Counter("fmtag_photo_bytes", "Bytes of the photos answered.", registry=registry)
        self.photo_seconds = Histogram(
            "fmtag_photo_seconds", "Seconds that one photo took in its thread.", buckets=SECONDS, registry=registry
        )
        self.score_seconds = Histogram(
            "fmtag_score_seconds", "Seconds that the scores of one batch took.", buckets=SECONDS, registry=registry
        )
        self.batch_photos = Histogram("fmtag_batch_photos", "Photos per batch.", buckets=PHOTOS, registry=registry)
        self.queue = Gauge("fmtag_queue_photos", "Photos that wait or are in progress.", registry=registry)
        self.in_flight = Gauge("fmtag_requests_in_flight", "Requests accepted and not yet answered.", registry=registry)
        self.fetches = Counter("fmtag_fetches", "Addresses fetched, by outcome.", ["outcome"], registry=registry)
        self.info = Gauge("fmtag_info", "1, with the version and the bundle.", ["version", "model"], registry=registry)
        ProcessCollector(registry=registry)

    def describe(self, model: str) -> None:
        """Name the bundle that is served."""
        self.info.labels(__version__, model).set(1)

    def count_tags(self, tags: Sequence[Tag], failed: int, size: int) -> None:
        """Count the photos of one answer: tagged, flagged and failed, of which the last are `failed`, and their bytes."""
        flagged = sum(tag.low_confidence for tag in tags) - failed
        for outcome, count in (("tagged", len(tags) - flagged - failed), ("flagged", flagged), ("failed", failed)):
            if count:
                self.photos.labels(outcome).inc(count)
        for tag in tags:
            if tag.reason:
                self.reasons.labels(tag.reason).inc()
        self.bytes.inc(size)

    def as_text(self) -> tuple[bytes, str]:
        """Return all numbers as Prometheus reads them, and their media type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST


class ServiceLog:
    """Writes events to standard error: sentences, or JSON objects, one a line.

    Args:
        as_json: whether lines are JSON objects.
        quiet: whether requests that were served are left out.
        file: where to write; None for standard error.
    """

    def __init__(self, as_json: bool = False, quiet: bool = False, file: IO[str] | None = None) -> None:
        self._json = as_json
        self._quiet = quiet
        self._file = file

    def write(self, text: str, **values: Any) -> None:
        """Log an event: `text` for people, `values` for programs."""
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        line = for_json(json.dumps({"time": now, **values})) if self._json else for_terminal(text)
        file = self._file or sys.stderr
        file.write(line + "\n")
        file.flush()  # it may be a pipe to a collector of logs

    def request(self, method: str, path: str, status: int, seconds: float, client: str, photos: int | None) -> None:
        """Log a request that was answered."""
        if self._quiet and status < 500:
            return
        counted = "" if photos is None else f" {photos} photo{'s' * (photos != 1)}"
        self.write(
            f"{client} {method} {path} {status}{counted} {seconds:.3f} s",
            event="request",
            client=client,
            method=method,
            path=path,
            status=status,
            photos=photos,
            seconds=round(seconds, 4),
        )

    def failed(self, reason: str, detail: str) -> None:
        """Log a photo that could not be read."""
        if not self._quiet:
            self.write(f"{reason}: {detail}", event="failed", reason=reason, detail=detail)


def stopwatch() -> Callable[[], float]:
    """Return a function that returns the seconds since this call."""
    begun = time.perf_counter()
    return lambda: time.perf_counter() - begun
