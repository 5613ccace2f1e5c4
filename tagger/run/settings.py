"""The settings of a run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from tagger.settings import DEFAULT_MODEL, Device, Format

Only: TypeAlias = Literal["new", "changed", "flagged"]

ONLY: tuple[Only, ...] = get_args(Only)


@dataclass(frozen=True)
class RunSettings:
    """What `fmtag run` was asked for."""

    source: str
    out: str
    format: Format | None = None
    image_column: str | None = None
    top_k: int = 1
    min_confidence: float | None = None
    """Tags below this are flagged; None takes the bundle's own threshold."""
    precision: float | None = None
    """Share of the unflagged tags that should be right, by the card's table; `min_confidence` comes before it."""
    model: str = DEFAULT_MODEL
    device: Device = "auto"
    batch_size: int = 256
    workers: int | None = None
    """Threads that read and decode photos; None takes one a processor."""
    allow_truncated: bool = False
    debug_garments: Path | None = None
    excel: bool = False
    label_map: Path | None = None
    """CSV of two columns, a label and the name that it goes by in the output."""
    ledger: Path | None = None
    """What is done already; None takes the file beside the output, or where there can be none, nothing is remembered."""
    fresh: bool = False
    """Whether every photo is looked at anew, whatever the ledger knows."""
    verify: bool = False
    """Whether all bytes are read, even where size and time say that they are the same."""
    settle: float = 0.0
    """Files written within so many seconds are left out of this run."""
    give_up: int = 7
    """Runs after which a photo that cannot be read is read again only when its file changes."""
    only: tuple[Only, ...] = ()
    """Rows that are written; all where none is named."""
    changes: str | None = None
    """File for what is another than in the last run."""
    report: Path | None = None
    """JSON file for counts, times and every failure."""
    wait: float = 0.0
    """Seconds to wait for another run that holds the ledger."""
    allow_vanished: bool = False
    """Whether most of the known photos may be gone."""
