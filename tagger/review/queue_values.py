"""Define what the review's queue takes and returns: filters, counts, rows and pages."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

Show: TypeAlias = Literal["open", "decided", "all"]

UNREADABLE = "?"
"""The predicted tag of photos that could not be read; that of photos which show none of the labels is empty."""


@dataclass(frozen=True)
class Filters:
    """What rows of the output a reviewer wants to see; fields that are None select nothing."""

    show: Show = "open"
    """`open`: flagged rows without a decision; `decided`: rows with one; `all`: both."""
    tag: str | None = None
    """Predicted tag, before a decision: empty for none of the labels, `UNREADABLE` for photos that could not be read."""
    reason: str | None = None
    group: str | None = None
    folder: str | None = None
    """Beginning of the path, up to a `/`; that last one may be left out."""
    night: int | None = None
    """Number of the run in which the row last changed."""
    column: str | None = None
    """Column of the output in which `text` is looked for; None for the path."""
    text: str = ""
    """Part of that cell, in any letter case; empty selects all."""


class TagCount(NamedTuple):
    """How many photos of a predicted tag are to be decided, and are decided."""

    tag: str
    """As in `Filters`."""
    open: int
    decided: int


class Count(NamedTuple):
    """How many photos a value of a filter has."""

    value: str
    photos: int


class NightCount(NamedTuple):
    """How many photos last changed in a run."""

    run: int
    started: str
    """UTC, ISO 8601."""
    photos: int


class Facets(NamedTuple):
    """Values that filters may take, each with the number of photos that it shows, most first; nights newest first."""

    reasons: tuple[Count, ...]
    groups: tuple[Count, ...]
    folders: tuple[Count, ...]
    """Folders of the top level and the next one, with the `/` at their end, in the order of their names."""
    nights: tuple[NightCount, ...]


class Cursor(NamedTuple):
    """The last row of a page, after which the next one begins, whatever has been decided meanwhile."""

    doubt: str
    """The confidence as the output has it, empty for a photo without a tag; of none of the labels, 1 less it."""
    item: int

    def __str__(self) -> str:
        return f"{self.doubt}:{self.item}"

    @classmethod
    def parse(cls, text: str) -> "Cursor | None":
        """Return the cursor of its text form; None for text that is none."""
        found = re.fullmatch(r"([01]\.\d{4})?:(\d{1,18})", text, re.ASCII)
        return None if found is None else cls(found[1] or "", int(found[2]))


@dataclass(frozen=True)
class QueueRow:
    """A photo of the queue."""

    item: int
    """Its id in the ledger."""
    key: str
    """Its path in the output; may hold lone surrogates."""
    sha256: str
    """Of its bytes, in hexadecimal digits."""
    tag: str
    """Of its row before a decision, as the output has it, like the next three."""
    confidence: str
    reason: str
    group: str
    ranked: tuple[tuple[str, float], ...]
    """The three most probable labels of the bundle with their probabilities 0..1; empty where no product stands out."""
    none: float | None
    """Probability 0..1 that it shows none of the labels; None where no product stands out."""
    night: int
    """Number of the run in which the row last changed."""
    guarded: bool
    """Whether what comes second to the prediction is a rare label, nearly as probable: not to be accepted with others."""
    decided: str | None = None
    """The label that counts, empty for none of the labels; None without a decision."""
    reviewer: str = ""
    decided_at: str = ""
    """UTC, ISO 8601 with milliseconds."""
    review: int | None = None
    """Id of the decision that counts."""

    @property
    def cursor(self) -> Cursor:
        """The place of the row in the order of the queue."""
        unrecognised = self.reason == "not_recognised"
        return Cursor(f"{1 - float(self.confidence or 0):.4f}" if unrecognised else self.confidence, self.item)


class Page(NamedTuple):
    """Rows of one tag, the most doubtful first."""

    rows: tuple[QueueRow, ...]
    next_cursor: Cursor | None
    """Where the next page begins; None where this is the last."""


class Decision(NamedTuple):
    """What somebody decided about the bytes of a photo."""

    review: int
    label: str | None
    """Empty for none of the labels, None where the decision before was taken back."""
    reviewer: str
    decided_at: str
    tag: str
    """Of the row at that time, like the next two."""
    confidence: str
    reason: str
    before: int | None
    """The decision that counted before."""


@dataclass(frozen=True)
class Details:
    """All that the ledger and the output have about a photo."""

    row: QueueRow
    copies: tuple[str, ...]
    """Other paths of the output with the same bytes, at most `details.MAX_COPIES`."""
    copies_total: int
    size: int | None
    """Of the file, in bytes."""
    columns: tuple[Mapping[str, str], ...]
    """The other columns of its rows in the output."""
    probabilities: Mapping[str, float]
    """Of all labels, the most probable first; empty where no product stands out."""
    model: str
    """Name of the bundle that scored it; empty where none did."""
    min_confidence: float | None
    """The threshold that its tag was decided by, 0..1."""
    why: str
    """Why it is flagged or not, in a sentence without a full stop."""
    history: tuple[Decision, ...]
    """All decisions about its bytes, in their order."""
