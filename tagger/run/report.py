"""Write the report of a run for monitoring: counts, seconds per stage, versions, and each failure with its reason."""

import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

from tagger import __version__
from tagger.catalog.destinations import write_destination
from tagger.catalog.output_paths import refusals
from tagger.errors import FmtagError, Interrupted, LockedError, OutputError
from tagger.files import as_json
from tagger.run.paths import inputs_of, ledger_name, outputs_of
from tagger.run.settings import RunSettings
from tagger.run.summary import RunSummary
from tagger.storage.addresses import shown
from tagger.storage.traffic import REQUEST_KINDS, Traffic
from tagger.streams import waiting_for_reader

FORMAT = 1
"""Version of the report's keys."""


@contextmanager
def write_report_after(
    settings: RunSettings, summary: RunSummary, warned: Callable[[str], None] = lambda sentence: None
) -> Iterator[None]:
    """Write the report of a run when the block ends, however it ends, unless another run holds the ledger.

    A path that the report may not have, such as that of the source, is left alone, as `run` in the block refuses it. Raises
    `OutputError` where the report of a completed run cannot be written; where the run failed, its own error is raised, and
    `warned` gets a sentence about the report.
    """
    started = datetime.now(timezone.utc)
    refused = "--report" in dict(refusals(outputs_of(settings), inputs_of(settings)))

    def write_unfinished(status: str, why: str) -> None:
        if not refused:
            try:
                _write(settings, summary, started, status, why, warned)
            except OutputError as error:
                warned(f"There is no report of this run: {error}")

    try:
        yield
    except LockedError:
        raise  # the report is the other run's to write
    except Interrupted as stop:
        write_unfinished("interrupted", f"signal {stop.signal}")
        raise
    except FmtagError as error:
        write_unfinished("failed", str(error))
        raise
    except BrokenPipeError:
        write_unfinished("failed", "The reader of standard output ended before the rows did.")
        raise
    _write(settings, summary, started, "done", "", warned)


def counts(summary: RunSummary) -> dict[str, Any]:
    """Return the counts of a run as JSON values.

    photos = tagged + flagged + failed; rows without an image, settling photos and ignored entries are not among them.
    """
    return {
        "photos": summary.photos,
        "tagged": summary.tagged,
        "flagged": dict(summary.flagged),
        "failed": dict(summary.failed),
        "without_image": summary.without_image,
        "looked_at": summary.files_read,
        "scored": summary.scored,
        "retagged": summary.retagged,
        "settling": summary.settling,
        "ignored": summary.ignored.total(),
        "ignored_by_reason": dict(summary.ignored),
        "duplicates": summary.duplicates,
        "rows_written": summary.rows_written,
        "changes": dict(summary.changes),
        "tags": dict(summary.tags),
    }


def requests(traffic: Traffic) -> dict[str, Any]:
    """Return the counts of requests to buckets and web servers as JSON values."""
    return {
        **{kind: traffic.requests[kind] for kind in REQUEST_KINDS},
        "retries": traffic.retries,
        "received_bytes": traffic.received,
        "sent_bytes": traffic.sent,
    }


def _write(
    settings: RunSettings, summary: RunSummary, started: datetime, status: str, why: str, warned: Callable[[str], None]
) -> None:
    report = settings.report
    if report is None:
        return
    content = {
        "format": FORMAT,
        "status": status,
        "error": why,
        "run": summary.run,
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(summary.seconds, 3),
        "seconds_by_stage": {stage: round(seconds, 3) for stage, seconds in summary.stages.items()},
        "source": shown(settings.source),
        "out": shown(settings.out),
        "ledger": ledger_name(settings),
        "model": summary.model,
        "versions": {"fmtag": __version__, "python": platform.python_version(), "platform": sys.platform},
        "counts": counts(summary),
        "requests": requests(summary.traffic),
        "failures": [{"path": path, "reason": failed.reason, "detail": failed.detail} for path, failed in summary.failures],
    }
    write_destination(report, as_json(content), summary.traffic, lambda: warned(waiting_for_reader(report)))
