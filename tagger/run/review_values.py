"""Values of people's decisions: what was shown, what was decided, and the outcome of a request to decide."""

from collections.abc import Sequence
from typing import NamedTuple


class Shown(NamedTuple):
    """A photo as a reviewer saw it."""

    item: int
    sha256: bytes
    """Of the bytes that were shown, about which the decision is."""


class Review(NamedTuple):
    """A decision about a photo."""

    id: int
    item: int
    sha256: bytes
    label: str | None
    """Empty for none of the labels; None where it takes an earlier decision back."""
    reviewer: str
    decided: str
    """UTC, ISO 8601 with milliseconds."""
    counts: bool
    """Whether it is the decision that counts for these bytes now."""


class Recorded(NamedTuple):
    """The outcome of a request to decide."""

    reviews: list[Review]
    """What is recorded now."""
    others: list[Review]
    """Decisions of before that stay: the photos were decided already, or decided again since."""
    unknown: list[Shown]
    """Photos that the ledger does not have, or has with other bytes by now; nothing is recorded for them."""
    replaced: Sequence[Review] = ()
    """Decisions of other reviewers that counted until now; they are kept, and an undo makes them count again."""


class Decision(NamedTuple):
    """A decision that was made elsewhere, as in a table."""

    shown: Shown
    label: str
    """Empty for none of the labels."""
    reviewer: str
    decided: str | None = None
    """As in `Review`; None where it is not known."""


class Merged(NamedTuple):
    """The outcome of merging decisions that were made elsewhere."""

    recorded: list[Review]
    unchanged: list[Review]
    """Decisions of the ledger that say the same."""
    later: list[Shown]
    """Photos that were decided otherwise later, or whose decision was taken back later; nothing is recorded for them."""
    unknown: list[Shown]
    """As in `Recorded`."""
