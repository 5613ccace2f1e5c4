"""What a monitor reads of a run: counts that add up, seconds by stage, versions, and every failure with its reason."""

import json
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Any

from tagger.errors import FmtagError, Interrupted, LockedError
from tagger.output import write_file
from tagger.pipeline import Report, ledger_place
from tagger.settings import RunSettings

FORMAT = 1


@contextmanager
def reported(settings: RunSettings, report: Report) -> Iterator[None]:
    """Write the report that was asked for when the block ends, however it ends, but for a run that another kept from running.

    Raises `OutputError` where it cannot be written.
    """
    started = datetime.now(timezone.utc)
    try:
        yield
    except LockedError:
        raise  # the report is the other run's to write
    except Interrupted as stop:
        _write(settings, report, started, "interrupted", f"signal {stop.signal}")
        raise
    except FmtagError as error:
        _write(settings, report, started, "failed", str(error))
        raise
    _write(settings, report, started, "done", "")


def counts(report: Report) -> dict[str, Any]:
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


def _write(settings: RunSettings, report: Report, started: datetime, status: str, why: str) -> None:
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
