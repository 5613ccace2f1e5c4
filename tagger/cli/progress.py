"""What is seen of a run: a bar on a terminal; in a log a line at its start, one at its end, and what is wrong between."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from types import TracebackType
from typing import Any, Literal, TypeAlias

from rich.table import Table
from rich.text import Text
from tqdm import tqdm

from tagger.cli.terminal import Terminal
from tagger.escaping import for_json, for_terminal
from tagger.records import Failed
from tagger.run.report import counts
from tagger.run.summary import RunSummary

LogFormat: TypeAlias = Literal["text", "json"]

SECONDS_BETWEEN_LINES = 30.0

LISTED_FAILURES = 20
"""Failures named in the log; the rows of the output name them all."""


class Progress:
    """Shows how far a run is, and at its end what came of it, on standard error."""

    def __init__(self, log_format: LogFormat, quiet: bool) -> None:
        self._json = log_format == "json"
        self._quiet = quiet
        self._failures = 0
        self._bar: tqdm[Any] | None = None
        if sys.stderr.isatty() and not quiet and not self._json:
            self._bar = tqdm(unit=" photos", dynamic_ncols=True, file=sys.stderr, leave=False)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()

    def started(self, report: RunSummary, source: str, out: str) -> None:
        """Say what is going to be done."""
        if self._bar is None and not self._quiet:
            text = f"fmtag {version('fmtag')}: {source} to {out} with {report.model}, run {report.run}."
            self._say(text, event="started", source=source, out=out, model=report.model, run=report.run)

    def warned(self, sentence: str) -> None:
        """Say what is wrong, though the run goes on."""
        self._say(f"Warning: {sentence}", event="warning", message=sentence)

    def interrupted(self, report: RunSummary) -> None:
        """Say that a signal has ended the run, and what is left of it."""
        self._say(
            f"Interrupted; the output is as it was before. What was looked at, {report.files_read:,} photos, is kept: "
            "the same command goes on from here.",
            event="interrupted",
            looked_at=report.files_read,
        )

    def ignored(self, path: str, why: str) -> None:
        """List an entry of the source that is no item."""
        self._say(f"ignored {path}: {why}", event="ignored", path=path, why=why)

    def failed(self, failure: Failed) -> None:
        """Name a photo that could not be read, up to a number that a log can bear."""
        self._failures += 1
        if self._quiet or self._failures > LISTED_FAILURES:
            return
        self._say(f"{failure.reason}: {failure.detail}", event="failed", reason=failure.reason, detail=failure.detail)
        if self._failures == LISTED_FAILURES:
            self._say("further failures are listed in the output and the report alone", event="failures_not_listed")

    def looked(self, done: int, total: int) -> None:
        """Show how many of the files that have to be looked at have been."""
        if self._bar is not None:
            self._bar.total = total
            self._bar.update(done - self._bar.n)

    def done(self, report: RunSummary, out: str) -> None:
        """Say what came of it; the counts add up: found = tagged + flagged + failed."""
        if self._quiet:
            return
        if self._bar is not None:
            self._bar.close()
            Terminal(stderr=True).print(_tags_table(report))
        rate = report.photos / report.seconds if report.seconds else 0.0
        settling = f" {report.settling:,} left out as they settle." if report.settling else ""
        ignored = f" {report.ignored:,} other entries ignored." if report.ignored else ""
        where = "" if out == "-" else f" Written to {out}."
        self._say(
            f"{report.photos:,} photos = {report.tagged:,} tagged{_counted(report.flagged, 'flagged')}"
            f"{_counted(report.failed, 'failed')}; {_changed(report)}; {report.seconds:.1f} s, {rate:.0f}/s, {report.model}."
            f"{settling}{ignored}{where}",
            event="done",
            **counts(report),
            seconds=round(report.seconds, 3),
            model=report.model,
            out=out,
        )

    def _say(self, text: str, **values: Any) -> None:
        line = for_json(json.dumps(values)) if self._json else for_terminal(text)
        if self._bar is not None:
            self._bar.write(line, file=sys.stderr)
        else:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function to tell how many of how many are done: a bar on a terminal, else a line every few seconds."""
    last = time.monotonic()
    bar = tqdm(unit=f" {what}", dynamic_ncols=True, file=sys.stderr, leave=False) if sys.stderr.isatty() else None

    def tell(done: int, total: int) -> None:
        nonlocal last
        if bar is not None:
            bar.total = total
            bar.update(done - bar.n)
        elif time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            sys.stderr.write(f"{done:,} of {total:,} {what}\n")

    try:
        yield tell
    finally:
        if bar is not None:
            bar.close()


def _changed(report: RunSummary) -> str:
    changes = [f"{count:,} {change.replace('_', ' ')}" for change, count in report.changes.most_common()]
    return f"since the last run {', '.join(changes) or 'nothing new'}"


def _counted(reasons: "dict[str, int]", what: str) -> str:
    total = sum(reasons.values())
    if not total:
        return f" + 0 {what}"
    parts = ", ".join(f"{count:,} {reason}" for reason, count in sorted(reasons.items()))
    return f" + {total:,} {what} ({parts})"


def _tags_table(report: RunSummary) -> Table:
    table = Table("tag", "photos")
    table.columns[1].justify = "right"
    for tag, count in report.tags.most_common():
        table.add_row(tag, f"{count:,}")
    untagged = report.photos - report.tags.total()
    if untagged:
        table.add_row(Text("no tag", "dim"), f"{untagged:,}")
    return table
