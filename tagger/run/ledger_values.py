"""Define the values that go into the ledger and come out of it, and how text is stored."""

import json
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import chain
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from tagger.photos.settings import DEFAULT_DECODING, DecodeSettings
from tagger.records import FAILED_REASONS, EmbeddedPhoto, Failed, FailedReason, NoImage, RemotePhoto, Result

EARLIEST_NS, LATEST_NS = -(2**63), 2**63 - 1
"""Range of the file times that SQLite can store, in nanoseconds since 1970: from 1677 to 2262. Damaged disks and copies have
others."""

Place: TypeAlias = str | EmbeddedPhoto | RemotePhoto
"""Where a photo lies."""

Change: TypeAlias = Literal["new", "changed_tag", "changed_flag", "failed", "recovered", "vanished"]


@dataclass(frozen=True)
class RunKey:
    """Identify a run: its source, bundle and options, as far as they decide which stored results count."""

    source: str
    out: str
    version: str
    """Of fmtag."""
    model: str
    fingerprint: str
    """Of the bundle and the version of the background cut; results of another fingerprint do not count."""
    labels: Sequence[str]
    min_confidence: float
    eyes: str = ""
    """Fingerprint of what computes the bundle's embeddings, decided by `fingerprint`; embeddings of equal eyes count for each
    other's bundles. Empty for a bundle without embeddings."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Names of labels in the output, by label."""
    root: str = ""
    """Absolute folder, or address of a folder, that relative paths of photos start from."""
    decoding: DecodeSettings = DEFAULT_DECODING
    """Photos that failed under other limits than these are tried again, however often they have failed."""
    give_up: int = 7
    """Runs after which a photo that cannot be read is left alone until its file changes."""
    fresh: bool = False
    verify: bool = False


class ListedFile(NamedTuple):
    """An item of the source with the current size and time of its file."""

    path: str
    size: int | None = None
    """In bytes; None, like the time, where the file is missing."""
    mtime_ns: int | None = None
    """From `EARLIEST_NS` to `LATEST_NS`; of a photo at an address its state."""
    left_out: bool = False
    """Whether it has no row in this run, because its file is still being written."""
    failure: FailedReason | NoImage | None = None
    """Reason why the source itself has no photo for it."""
    detail: str | None = None
    """Of `failure`; without one, what is known of a missing file."""
    columns: Mapping[str, object] | None = None
    """Of its row in the source table."""
    place: Place | None = None
    """Where the photo lies; None where that is the path, from the source's folder, or itself an address."""
    signature: str = ""
    """What signs its address; known to this run alone, and never stored."""


class UnscoredPhoto(NamedTuple):
    """An item whose file has to be read, because the ledger has no result that counts for it."""

    path: str
    size: int | None
    mtime_ns: int | None
    tries: int
    """Earlier runs in which this same file could not be read."""
    detail: str | None = None
    """What is known of a missing file."""
    place: Place | None = None
    """As in `ListedFile`."""
    signature: str = ""


class StoredEmbedding(NamedTuple):
    """The embedding of some bytes that another bundle of the same eyes has computed."""

    content: int
    """Id of the bytes in the ledger."""
    embedding: bytes


class Cells(NamedTuple):
    """The text of an output row, as it is written, except for its path."""

    tag: str
    confidence: str
    low_confidence: str
    reason: str
    group: str
    group_confidence: str

    @property
    def failed(self) -> bool:
        """Whether the photo could not be read."""
        return not self.tag and self.reason in FAILED_REASONS

    @property
    def compared(self) -> tuple[str, str, str]:
        """The cells that two runs are compared by; another confidence alone is not a change."""
        return self.tag, self.low_confidence, self.reason


class Row(NamedTuple):
    """An item of the output with its stored result."""

    path: str
    columns: Mapping[str, object]
    result: Result
    duplicate_of: str
    """First path of the output with the same bytes; empty where this is the first."""


class Event(NamedTuple):
    """A row that differs from the last output; tag, flag and reason are None where one of the two outputs lacks the row."""

    change: Change
    path: str
    moved_from: str
    """Path with the same bytes that vanished in this run, for a new row; else empty."""
    tag: str | None
    low_confidence: str | None
    reason: str | None
    tag_before: str | None
    low_confidence_before: str | None
    reason_before: str | None


class Totals(NamedTuple):
    """Counts of a run that are not counts of its rows."""

    settling: int
    duplicates: int
    lost: int
    """Items of the last output that are gone, or were readable then and can no longer be reached."""
    known: int
    """Items of the last output."""


def change_between(before: Cells | None, after: Cells) -> Change | None:
    """Classify the change from the last output's row to this one's; None where they agree in tag, flag and reason."""
    if before is None:
        return "failed" if after.failed else "new"
    if before.compared == after.compared:
        return None
    if after.failed:
        return "failed"
    if before.failed:
        return "recovered"
    return "changed_tag" if before.tag != after.tag else "changed_flag"


def storable(text: str) -> str | bytes:
    """Encode text for SQLite: as it is, or as bytes where it is not valid Unicode, which file names may be."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return text.encode("utf-8", "surrogatepass")
    return text


def text_of(stored: str | bytes) -> str:
    """Decode what `storable` returned."""
    return stored if isinstance(stored, str) else stored.decode("utf-8", "surrogatepass")


def storable_time(mtime_ns: int | None) -> int | None:
    """Return a file time that SQLite can store, or None, with which the next run reads the file again."""
    return mtime_ns if mtime_ns is not None and EARLIEST_NS <= mtime_ns <= LATEST_NS else None


def time_of_run() -> str:
    """Return the time of now as the ledger has those of runs: UTC, ISO 8601 with seconds."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def stored_time(time: datetime) -> str:
    """Return a time as the ledger has those of decisions: UTC, ISO 8601 with milliseconds, so that text sorts like time."""
    return time.astimezone(timezone.utc).isoformat(timespec="milliseconds")


def plain_values(files: Sequence[ListedFile]) -> list[Any] | None:
    """Return path, size and time of each file, one after the other; None where more is known of one, or a path is no Unicode.

    Without a step of Python's for each file, which would be most of the time of a run without news.
    """
    paths, sizes, times, *more = zip(*files, strict=True)
    if any(map(any, more)):
        return None
    try:
        "".join(paths).encode()
    except UnicodeEncodeError:
        return None
    return list(chain.from_iterable(zip(paths, sizes, times, strict=True)))


def storable_row(file: ListedFile) -> tuple[Any, ...]:
    """Return a row of `listing` with the texts and columns as SQLite takes them."""
    columns = pickle.dumps(dict(file.columns)) if file.columns else None
    detail = None if file.detail is None else storable(file.detail)
    place = None if file.place is None else stored_place(file.place)
    # As a number: sqlite3 looks for an adapter of each bool, which takes longer than to store the row.
    left_out = int(file.left_out)
    return (storable(file.path), file.size, file.mtime_ns, left_out, file.failure, detail, columns, place, file.signature)


def unscored_photo(
    path: str | bytes,
    size: int | None,
    mtime_ns: int | None,
    tries: int,
    detail: str | bytes | None,
    place: str | None,
    signature: str | None,
) -> UnscoredPhoto:
    """Return a photo that has to be read from a row of `UNSCORED_BATCH`."""
    details = None if detail is None else text_of(detail)
    where = None if place is None else place_of(place)
    return UnscoredPhoto(text_of(path), size, mtime_ns, tries, details, where, signature or "")


def stored_place(place: Place) -> str:
    """Encode where a photo lies as JSON: its path, a list of its address alone, or the list of an embedded photo's fields."""
    return json.dumps([place.address] if isinstance(place, RemotePhoto) else place)


def place_of(stored: str) -> Place:
    """Decode what `stored_place` returned."""
    place = json.loads(stored)
    if isinstance(place, str):
        return place
    return RemotePhoto(*place) if len(place) == 1 else EmbeddedPhoto(*place)._replace(keys=tuple(place[4]))


def result_of(
    labels: int,
    failure: FailedReason | None,
    detail: str | bytes | None,
    truncated: int | None,
    packed: bytes | None,
    label: str | None,
) -> Result:
    """Return the result of a photo as it is stored; `labels` is the number of the bundle's, `label` what a person decided.

    Raises `ValueError` for probabilities of another number of labels.
    """
    if failure is not None:
        return Result(Failed(failure, text_of(detail or "")), reviewed=label)
    if packed is None:
        return Result(None, None, bool(truncated), reviewed=label)
    if len(packed) != 4 * labels:
        raise ValueError("probabilities of another number of labels than the bundle")
    return Result(None, np.frombuffer(packed, "<f4"), bool(truncated), reviewed=label)
