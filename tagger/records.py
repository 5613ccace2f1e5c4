"""What travels between the rooms: plain frozen values, no logic."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tagger.arrays import Pixels

FailedReason: TypeAlias = Literal["missing", "unreadable", "truncated", "too_large", "not_an_image", "bad_row"]
FAILED_REASONS: tuple[FailedReason, ...] = (
    "missing",
    "unreadable",
    "truncated",
    "too_large",
    "not_an_image",
    "bad_row",
)

Reason: TypeAlias = Literal["", "low_confidence", "not_recognised"] | FailedReason


NO_COLUMNS: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True)
class Failed:
    """A photo that could not be read: a value that travels to its own row, never an exception."""

    reason: FailedReason
    detail: str
    """One sentence for the log."""


class Item(NamedTuple):
    """One photo to tag: `path` as the source gave it, `place` where it lies, `columns` of its table row unchanged."""

    path: str
    place: str | Path | None
    columns: Mapping[str, object] = NO_COLUMNS
    problem: Failed | None = None
    """Set where the source itself knows that there is nothing to open, as for a row without a path."""

    @property
    def file(self) -> Path | None:
        """Where it lies; made when asked for, as a million of them take seconds."""
        return None if self.place is None else Path(self.place)


@dataclass(frozen=True)
class Photo:
    """Upright RGB pixels, no larger than needed; `truncated` where the file ended early and the rest is made up."""

    pixels: Pixels
    truncated: bool = False


@dataclass(frozen=True)
class ProductImage:
    """The 28x28 picture that the network sees, 0 = background; `found` is false where no product stands out."""

    pixels: Pixels
    found: bool
    truncated: bool = False
    worn: bool = False
    """Whether it was cut out of a figure who wears it."""
    native: bool = False
    """Whether it is one of Fashion-MNIST's own pictures, or in their form, and not the cut of a photo."""


@dataclass(frozen=True)
class Content:
    """The bytes of a file as they were read: what they are, and by what it can be told cheaply that they are still there."""

    sha256: bytes
    size: int
    mtime_ns: int | None
    """When the file was last written; None where a later change could hide behind the same time."""


@dataclass(frozen=True)
class Result:
    """What became of a photo, all that a tag is decided from."""

    failed: Failed | None = None
    probabilities: NDArray[np.float32] | None = None
    """Of the labels, (labels,), 0..1; None where the photo could not be read or no product stands out in it."""
    truncated: bool = False


@dataclass(frozen=True)
class Tag:
    """A photo's labels with their probabilities, and whether a person should check them."""

    ranked: tuple[tuple[str, float], ...]
    """(label, calibrated probability 0..1) of every label, most probable first; empty where the photo has no tag."""
    low_confidence: bool
    """Whether a person should check the photo."""
    reason: Reason
    """Why the tag is flagged, or why there is none; empty for an unflagged tag."""
    group: str = ""
    """The group of the label; empty where the photo has no tag."""
    group_confidence: float | None = None
    """Sum of the probabilities of the group's labels, 0..1; None where the photo has no tag."""
    path: str = ""
    """The path as `Tagger.tag` got it; empty for images and arrays, and for tags of a run."""

    @property
    def label(self) -> str:
        """The most probable label; empty where the photo has no tag."""
        return self.ranked[0][0] if self.ranked else ""

    @property
    def confidence(self) -> float:
        """Calibrated probability of the label, 0..1, rounded to four decimals; 0 where the photo has no tag."""
        return self.ranked[0][1] if self.ranked else 0.0
