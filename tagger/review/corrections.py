"""List what people decided about the photos of a ledger, and write it as a table that `fmtag adapt --labels` takes."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tagger.catalog.label_table import NONE
from tagger.catalog.output import open_output
from tagger.review.labels import read_labels
from tagger.review.ledger_reader import LedgerReader
from tagger.review.queue_queries import FLAGGED
from tagger.run.ledger_values import text_of
from tagger.settings import Format

COLUMNS = ("path", "label", "reviewer", "decided", "tag_before", "confidence_before", "reason_before", "sha256")
"""Columns of the table, one row for each path of decided bytes."""


class Correction(NamedTuple):
    """A photo of the last output with the decision that counts for its bytes, or, where it waits for one, without."""

    path: str
    """As in the output; bytes that are no Unicode are lone surrogates."""
    label: str
    """`NONE` for none of the labels; empty where no one has decided."""
    reviewer: str
    decided: str
    """UTC, ISO 8601 with milliseconds."""
    tag_before: str
    """Like the two after it, the cell of the output's row when it was decided."""
    confidence_before: str
    reason_before: str
    sha256: bytes
    model: str = ""
    """Of the networks' result for these bytes; not a column, as the row of before may be of another bundle."""


def read_corrections(reader: LedgerReader, with_open: bool = False) -> Iterator[Correction]:
    """Yield the photos of the last output that people have decided about, by path; `with_open` those that wait for one, too.

    Raises `LedgerError` where the ledger cannot be read.
    """
    query = _CORRECTIONS.format(chosen=f"review IS NOT NULL OR {FLAGGED}" if with_open else "review IS NOT NULL")
    for key, label, *texts, sha256, model in reader.rows(query):
        reviewer, decided, tag, confidence, reason = (text or "" for text in texts)
        shown = NONE if label == "" else label or ""
        yield Correction(text_of(key), shown, reviewer, decided, tag, confidence, reason, sha256, model or "")


def known_labels(reader: LedgerReader) -> tuple[str, ...]:
    """Return the labels of the bundle that made the last output, by their names there; empty where there is no output."""
    return tuple(dict.fromkeys(one.name for one in read_labels(reader)))


def further_labels(reader: LedgerReader) -> tuple[str, ...]:
    """Return the labels that people decided on and that the bundle lacks, sorted; those of decisions that count."""
    known = known_labels(reader)
    return tuple(str(label) for (label,) in reader.rows(_DECIDED_LABELS) if label not in known)


def write_table(corrections: Iterable[Correction], out: str, format: Format) -> int:
    """Write corrections as a table, replaced as a whole, and return their number; raises `OutputError` where it cannot be.

    Names with bytes that are no Unicode are written as `file_names.escape_surrogates` does; `answers` reads them back.
    """
    count = 0
    with open_output(out, format, dict.fromkeys(COLUMNS), "") as writer:
        for one in corrections:
            count += 1
            confidence = float(one.confidence_before) if one.confidence_before else None
            cells = one._replace(confidence_before=confidence, sha256=one.sha256.hex())  # type: ignore[arg-type]
            writer.write(dict(zip(COLUMNS, cells[: len(COLUMNS)], strict=True)))
    return count


_CORRECTIONS = """
    SELECT key, label, reviewer, decided,
           CASE WHEN review IS NULL THEN items.tag ELSE reviews.tag END,
           CASE WHEN review IS NULL THEN items.confidence ELSE reviews.confidence END,
           CASE WHEN review IS NULL THEN items.reason ELSE reviews.reason END,
           sha256, models.name
    FROM items JOIN contents ON contents.id = items.content LEFT JOIN reviews ON reviews.id = review
    LEFT JOIN models ON models.id = contents.model
    WHERE published IS NOT NULL AND ({chosen}) ORDER BY key
"""

_DECIDED_LABELS = """
    SELECT DISTINCT label FROM contents JOIN reviews ON reviews.id = review WHERE label != '' ORDER BY label
"""
