"""Settings of `fmtag run`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from tagger.catalog.settings import WITH_FETCHING, SourceSettings
from tagger.photos.settings import DEFAULT_DECODING, DecodeSettings
from tagger.run.shards import Shard
from tagger.settings import DEFAULT_MODEL, Device, Format

Only: TypeAlias = Literal["new", "changed", "flagged"]

ONLY: tuple[Only, ...] = get_args(Only)


@dataclass(frozen=True)
class RunSettings:
    """Settings of `fmtag run`."""

    source: str
    """Folder, image or table, or `-` for paths on standard input."""
    out: str
    """Output file, address of one in a bucket, or `-` for standard output."""
    format: Format | None = None
    """Of the output; None takes it from the suffix of `out`."""
    reading: SourceSettings = WITH_FETCHING
    top_k: int = 1
    """Number of tags per photo."""
    min_confidence: float | None = None
    """Tags below this are flagged, 0..1; None takes the bundle's threshold."""
    precision: float | None = None
    """Share of the unflagged tags that should be right, 0..1, by the card's table; `min_confidence` overrides it."""
    model: str = DEFAULT_MODEL
    """Name or folder of a bundle."""
    device: Device = "auto"
    batch_size: int = 256
    """Photos per batch."""
    workers: int | None = None
    """Threads that read and decode photos; None takes one per processor."""
    decoding: DecodeSettings = DEFAULT_DECODING
    """Truncated files that are tagged are always flagged."""
    debug_garments: Path | None = None
    """Folder for the network's input of each photo, as PNG files."""
    excel: bool = False
    """Whether a CSV output is safe for spreadsheets: with a byte order mark, without formulas."""
    label_map: Path | None = None
    """CSV file with two columns: a label and its name in the output."""
    ledger: Path | str | None = None
    """File for the results of earlier runs, or its address in a bucket; None takes the one beside the output, or none where
    the output is not a file."""
    fresh: bool = False
    """Whether to score every photo again, whatever the ledger has."""
    verify: bool = False
    """Whether to read all files, even those whose size and time have not changed."""
    settle: float = 0.0
    """Files written within so many seconds are left out of this run."""
    give_up: int = 7
    """Runs after which a photo that cannot be read is left alone until its file changes."""
    only: tuple[Only, ...] = ()
    """Rows to write; all where empty."""
    changes: str | None = None
    """File for the rows that differ from the last run, or its address."""
    report: Path | str | None = None
    """JSON file for counts, times and all failures, or its address."""
    wait: float = 0.0
    """Seconds to wait for another run that holds the ledger."""
    allow_vanished: bool = False
    """Whether to go on where most of the known photos are gone."""
    shard: Shard | None = None
    """Part of the source that is tagged; None for all of it."""
