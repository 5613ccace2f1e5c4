"""Settings of `fmtag doctor`."""

from dataclasses import dataclass

from tagger.catalog.settings import DEFAULT_READING, SourceSettings

SECONDS = 60.0
"""Time for an inspection, listing included, where the source is larger than what can be looked at within it."""


@dataclass(frozen=True)
class InspectionSettings:
    """Settings of `fmtag doctor`."""

    source: str
    """Folder, image or table, or `-` for paths on standard input."""
    out: str | None = None
    """JSON file for the whole report, `-` for standard output; None writes none."""
    reading: SourceSettings = DEFAULT_READING
    workers: int | None = None
    """Threads that read and decode photos; None takes one per processor."""
    sample: int | None = None
    """Number of photos to decode at most; None takes as many as the time allows."""
    seconds: float = SECONDS
    """Time to spend, in seconds; the source is listed to its end even where that takes longer."""
