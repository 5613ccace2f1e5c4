"""Log a run on standard error: a progress bar on a terminal, otherwise lines at the start and the end, problems between."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tagger import __version__
from tagger.cli.options import LogFormat
from tagger.escaping import for_json, for_terminal
from tagger.records import Failed
from tagger.run.report import counts
from tagger.run.summary import RunSummary
from tagger.streams import is_standard_output

if TYPE_CHECKING:
    from rich.table import Table
    from tqdm import tqdm

SECONDS_BETWEEN_LINES = 30.0

LISTED_FAILURES = 20
"""Failures that the log lists; the output and the report list all of them."""


class Progress:
    """Shows the progress of a run, and its summary at the end, on standard error."""

    def __init__(self, log_format: LogFormat, quiet: bool) -> None:
        self._json = log_format == "json"
        self._quiet = quiet
        self._failures = 0
        self._bar: tqdm[Any] | None = None
        if sys.stderr.isatty() and not quiet and not self._json:
            self._bar = _bar_on_terminal("photos")

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()

    def started(self, summary: RunSummary, source: str, out: str) -> None:
        """Log the start of a run."""
        if self._bar is None and not self._quiet:
            text = f"fmtag {__version__}: {source} to {out} with {summary.model}, run {summary.run}."
            self._log(text, event="started", source=source, out=out, model=summary.model, run=summary.run)

    def warned(self, sentence: str) -> None:
        """Log a problem that does not end the run."""
        self._log(f"Warning: {sentence}", event="warning", message=sentence)

    def noted(self, sentence: str) -> None:
        """Log what needs no action."""
        if not self._quiet:
            self._log(f"Note: {sentence}", event="note", message=sentence)

    def interrupted(self, summary: RunSummary) -> None:
        """Log that a signal has ended the run, and what is kept."""
        self._log(
            f"Interrupted; the output is as it was before. What was looked at, {summary.files_read:,} photos, is kept: "
            "the same command goes on from here.",
            event="interrupted",
            looked_at=summary.files_read,
        )

    def ignored(self, path: str, why: str) -> None:
        """Log an entry of the source that is not an item."""
        self._log(f"ignored {path}: {why}", event="ignored", path=path, why=why)

    def failed(self, failure: Failed) -> None:
        """Log a photo that could not be read, up to `LISTED_FAILURES`."""
        self._failures += 1
        if self._quiet or self._failures > LISTED_FAILURES:
            return
        self._log(f"{failure.reason}: {failure.detail}", event="failed", reason=failure.reason, detail=failure.detail)
        if self._failures == LISTED_FAILURES:
            self._log("further failures are listed in the output and the report alone", event="failures_not_listed")

    def looked(self, done: int, total: int) -> None:
        """Update the progress bar: `done` of `total` photos are processed."""
        if self._bar is not None:
            self._bar.total = total
            self._bar.update(done - self._bar.n)

    def done(self, summary: RunSummary, out: str) -> None:
        """Log the summary; its counts add up: found = tagged + flagged + failed."""
        if self._quiet:
            return
        if self._bar is not None:
            from tagger.cli.terminal import Terminal

            self._bar.close()
            Terminal(stderr=True).print(_tags_table(summary))
        rate = summary.photos / summary.seconds if summary.seconds else 0.0
        settling = f" {summary.settling:,} left out as they settle." if summary.settling else ""
        ignored = summary.ignored.total()
        ignored_entries = f" {ignored:,} other entries ignored ({_by_reason(summary.ignored)})." if ignored else ""
        where = "" if is_standard_output(out) else f" Written to {out}."
        self._log(
            f"{summary.photos:,} photos = {summary.tagged:,} tagged{_counted(summary.flagged, 'flagged')}"
            f"{_counted(summary.failed, 'failed')}{_without_image(summary)}; {_changes(summary)}; "
            f"{summary.seconds:.1f} s, {rate:.0f}/s, {summary.model}.{settling}{ignored_entries}{where}",
            event="done",
            **counts(summary),
            seconds=round(summary.seconds, 3),
            model=summary.model,
            out=out,
        )

    def _log(self, text: str, **values: Any) -> None:
        line = for_json(json.dumps(values)) if self._json else for_terminal(text)
        if self._bar is not None:
            self._bar.write(line, file=sys.stderr)
        else:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function that shows the progress of `done` of `total`: a bar on a terminal, otherwise a line every 30 seconds."""
    last = time.monotonic()
    bar = _bar_on_terminal(what) if sys.stderr.isatty() else None

    def update(done: int, total: int) -> None:
        nonlocal last
        if bar is not None:
            bar.total = total
            bar.update(done - bar.n)
        elif time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            sys.stderr.write(f"{done:,} of {total:,} {what}\n")

    try:
        yield update
    finally:
        if bar is not None:
            bar.close()


def _bar_on_terminal(what: str) -> "tqdm[Any]":
    # Imported here, as rich is below: a run that a scheduler starts has no terminal, and its start needs no bar.
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # no thread of its own: workers are forked from a process with a single one
    return tqdm(unit=f" {what}", dynamic_ncols=True, file=sys.stderr, leave=False)


def _without_image(summary: RunSummary) -> str:
    rows = summary.without_image
    return f"; {rows:,} row{'s' * (rows != 1)} without an image" if rows else ""


def _changes(summary: RunSummary) -> str:
    changes = [f"{count:,} {change.replace('_', ' ')}" for change, count in summary.changes.most_common()]
    retagged = f", {summary.retagged:,} re-tagged from embeddings" if summary.retagged else ""
    return f"since the last run {', '.join(changes) or 'nothing new'}{retagged}"


def _counted(reasons: dict[str, int], what: str) -> str:
    total = sum(reasons.values())
    return f" + {total:,} {what} ({_by_reason(reasons)})" if total else f" + 0 {what}"


def _by_reason(reasons: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in sorted(reasons.items()))


def _tags_table(summary: RunSummary) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table("tag", "photos")
    table.columns[1].justify = "right"
    for tag, count in summary.tags.most_common():
        table.add_row(tag, f"{count:,}")
    untagged = summary.photos - summary.tags.total()
    if untagged:
        table.add_row(Text("no tag", "dim"), f"{untagged:,}")
    return table
