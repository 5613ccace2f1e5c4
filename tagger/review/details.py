"""Read all that the ledger and the output have about one photo of the review."""

from tagger.review.columns import Columns
from tagger.review.ledger_reader import LedgerReader
from tagger.review.queue_rows import ranked_labels
from tagger.review.queue_values import Decision, Details, QueueRow
from tagger.run.explain import why_flagged
from tagger.run.ledger_values import text_of

MAX_COPIES = 20
"""Copies whose paths are told."""

# A row that somebody has decided has no decision of the networks until the next run: that of the last one counts.
_ITEM = """
    SELECT items.content, items.size, contents.probabilities, models.labels, models.name, min_confidence
    FROM items JOIN contents ON contents.id = items.content LEFT JOIN models ON models.id = contents.model
    LEFT JOIN decisions ON decisions.id = coalesce(items.decision,
        (SELECT decision FROM runs WHERE finished IS NOT NULL ORDER BY id DESC LIMIT 1))
    WHERE items.id = ?
"""

_COPIES = "FROM items WHERE content = ? AND id != ? AND published IS NOT NULL"

_HISTORY = """
    SELECT id, label, reviewer, decided, coalesce(tag, ''), coalesce(confidence, ''), coalesce(reason, ''), before
    FROM reviews WHERE content = ? ORDER BY id
"""


def read_details(reader: LedgerReader, row: QueueRow, columns: Columns | None) -> Details | None:
    """Return the details of a row of the queue; None where its photo has gone meanwhile."""
    found = reader.rows(_ITEM, (row.item,))
    if not found:
        return None
    content, size, probabilities, labels, model, min_confidence = found[0]
    copies = reader.rows(f"SELECT key {_COPIES} ORDER BY key LIMIT ?", (content, row.item, MAX_COPIES))
    total = reader.rows(f"SELECT count(*) {_COPIES}", (content, row.item))[0][0]
    ranked, _ = ranked_labels(probabilities, labels)
    return Details(
        row=row,
        copies=tuple(text_of(key) for (key,) in copies),
        copies_total=total,
        size=size,
        columns=() if columns is None else columns.values(row.key),
        probabilities=dict(ranked),
        model=model or "",
        min_confidence=min_confidence,
        why=why_flagged(row.tag, row.confidence, row.reason, min_confidence or 0.0),
        history=tuple(Decision(*one) for one in reader.rows(_HISTORY, (content,))),
    )
