"""Settings of `fmtag doctor`."""

from dataclasses import dataclass
from pathlib import Path

from tagger.catalog.settings import WITH_FETCHING, SourceSettings
from tagger.photos.settings import DEFAULT_DECODING, DecodeSettings


@dataclass(frozen=True)
class InspectionSettings:
    """Settings of `fmtag doctor`."""

    source: str
    """Folder, image or table, or `-` for paths on standard input."""
    out: Path | None = None
    """JSON file for the whole report, `-` for standard output; None writes none."""
    reading: SourceSettings = WITH_FETCHING
    decoding: DecodeSettings = DEFAULT_DECODING
    workers: int | None = None
    """Threads that read and decode photos; None takes one per processor."""
    sample: int | None = None
    """Number of photos to decode at most; None takes as many as the time allows."""
    seconds: float = 60.0
    """Time to spend, in seconds, listing included; the source is listed to its end even where that takes longer."""
