"""The log of a run: what is logged, in which format, and how much of it."""

import json
import sys

import pytest

from tagger.cli import progress
from tagger.cli.options import LogFormat
from tagger.cli.progress import LISTED_FAILURES, SECONDS_BETWEEN_LINES, Progress, progress_bar
from tagger.records import Failed
from tagger.run.summary import RunSummary


def logged(log_format: LogFormat, quiet: bool, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the lines of a run with one failure more than are listed."""
    summary = RunSummary(model="x@1", photos=30, seconds=2.0)
    summary.tags["Bag"] = 5
    summary.flagged["low_confidence"] = 2
    summary.failed["missing"] = 25
    summary.changes["new"] = 30
    with Progress(log_format, quiet) as shown:
        shown.started(summary, "photos", "tags.csv")
        for number in range(LISTED_FAILURES + 1):
            shown.failed(Failed("missing", f"{number}\n.jpg"))
        shown.warned("careful")
        shown.looked(1, 2)
        shown.done(summary, "tags.csv")
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()


def test_the_text_log(capsys: pytest.CaptureFixture[str]) -> None:
    """A line at the start and the end, each failure up to the limit, one line that says so; names are escaped."""
    lines = logged("text", False, capsys)
    assert lines[0].startswith("fmtag ")
    assert lines[1] == "missing: 0\\n.jpg"
    assert lines[LISTED_FAILURES + 1] == "further failures are listed in the output and the report alone"
    assert lines[-2] == "Warning: careful"
    assert lines[-1] == (
        "30 photos = 3 tagged + 2 flagged (2 low_confidence) + 25 failed (25 missing); since the last run 30 new; "
        "2.0 s, 15/s, x@1. Written to tags.csv."
    )
    assert len(lines) == 1 + LISTED_FAILURES + 1 + 2


def test_the_json_log(capsys: pytest.CaptureFixture[str]) -> None:
    """Every line is one JSON object with its event."""
    events = [json.loads(line) for line in logged("json", False, capsys)]
    assert [event["event"] for event in events] == [
        "started",
        *["failed"] * LISTED_FAILURES,
        "failures_not_listed",
        "warning",
        "done",
    ]
    assert events[1]["detail"] == "0\n.jpg"
    assert (events[-1]["photos"], events[-1]["failed"], events[-1]["out"]) == (30, {"missing": 25}, "tags.csv")


def test_quiet_logs_problems_only(capsys: pytest.CaptureFixture[str]) -> None:
    """With --quiet a warning is all that remains."""
    assert logged("text", True, capsys) == ["Warning: careful"]


def test_progress_without_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """In a log the progress is a line at most every 30 seconds."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    assert not sys.stderr.isatty()
    with progress_bar("photos") as update:
        for done, seconds in ((1, SECONDS_BETWEEN_LINES - 1), (1000, 1), (1001, 1), (1200, SECONDS_BETWEEN_LINES)):
            now[0] += seconds
            update(done, 2000)
    assert capsys.readouterr().err.splitlines() == ["1,000 of 2,000 photos", "1,200 of 2,000 photos"]
