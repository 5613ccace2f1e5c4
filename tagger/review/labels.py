"""Read the labels of the bundle that made the last output, with the names that a label map gave them."""

import json
from typing import NamedTuple

from tagger.review.ledger_reader import LedgerReader


class Label(NamedTuple):
    """A label of the bundle that tagged last."""

    label: str
    name: str
    """In the output, which `--label-map` may change."""


def read_labels(reader: LedgerReader) -> tuple[Label, ...]:
    """Return the labels of the bundle that made the last output, in its order; empty where there is no output."""
    found = reader.rows(_LABELS)
    if not found:
        return ()
    names = json.loads(found[0][1])
    return tuple(Label(label, names.get(label, label)) for label in json.loads(found[0][0]))


_LABELS = """
    SELECT models.labels, decisions.names FROM runs JOIN decisions ON decisions.id = runs.decision
    JOIN models ON models.id = decisions.model WHERE finished IS NOT NULL ORDER BY runs.id DESC LIMIT 1
"""
