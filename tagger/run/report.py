"""What a monitor reads of a run: counts that add up, seconds by stage, versions, and every failure with its reason."""

import json
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Any

from tagger.catalog.output_paths import refusals
from tagger.errors import FmtagError, Interrupted, LockedError, OutputError
from tagger.files import write_file
from tagger.run.paths import inputs_of, ledger_place, outputs_of
from tagger.run.pipeline import RunSummary
from tagger.run.settings import RunSettings

FORMAT = 1


@contextmanager
def write_report_after(
    settings: RunSettings, report: RunSummary, warned: Callable[[str], None] = lambda sentence: None
) -> Iterator[None]:
    """Write the report when the block ends, however it ends, but for a run that another kept from running.

    A place that a report may not be written to, such as that of the source, is left alone, as the block, which is `run`,
    refuses it. Raises `OutputError` where the report of a run that was done cannot be written; where the run failed, its own
    error is raised, and `warned` gets a sentence on the report.
    """
    started = datetime.now(timezone.utc)
    refused = "--report" in dict(refusals(outputs_of(settings), inputs_of(settings)))

    def failed(status: str, why: str) -> None:
        if not refused:
            try:
                _write(settings, report, started, status, why)
            except OutputError as error:
                warned(f"There is no report of this run: {error}")

    try:
        yield
    except LockedError:
        raise  # the report is the other run's to write
    except Interrupted as stop:
        failed("interrupted", f"signal {stop.signal}")
        raise
    except FmtagError as error:
        failed("failed", str(error))
        raise
    _write(settings, report, started, "done", "")


def counts(report: RunSummary) -> dict[str, Any]:
    """Return the counts of a run as JSON values.

    photos = tagged + flagged + failed; settling ones and ignored entries are beside these.
    """
    return {
        "photos": report.found,
        "tagged": report.sure,
        "flagged": dict(report.flagged),
        "failed": dict(report.failed),
        "looked_at": report.looked_at,
        "scored": report.scored,
        "settling": report.settling,
        "ignored": report.ignored,
        "duplicates": report.duplicates,
        "rows_written": report.written,
        "changes": dict(report.changes),
        "tags": dict(report.tags),
    }


def _write(settings: RunSettings, report: RunSummary, started: datetime, status: str, why: str) -> None:
    if settings.report is None:
        return
    place = ledger_place(settings)
    content = {
        "format": FORMAT,
        "status": status,
        "error": why,
        "run": report.run,
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(report.seconds, 3),
        "seconds_by_stage": {stage: round(seconds, 3) for stage, seconds in report.stages.items()},
        "source": settings.source,
        "out": settings.out,
        "ledger": None if place is None else str(place),
        "model": report.model,
        "versions": {"fmtag": version("fmtag"), "python": platform.python_version(), "platform": sys.platform},
        "counts": counts(report),
        "failures": [{"path": path, "reason": failed.reason, "detail": failed.detail} for path, failed in report.failures],
    }
    text = json.dumps(content, indent=2, ensure_ascii=False)
    write_file(settings.report, text.encode("utf-8", "backslashreplace") + b"\n")
