"""Make the rows of the review's queue from what the ledger has of them."""

import json
from collections.abc import Sequence, Set
from functools import lru_cache
from typing import Any

import numpy as np

from tagger.inference.decision import DECIMALS
from tagger.review.queue_values import QueueRow
from tagger.run.ledger_values import text_of

RANKED = 3
"""Labels of a row."""

MAX_LEAD = 0.3
"""A rare label that is second by no more than this keeps its photo out of what is accepted as a page: a slip there costs such a
label a larger part of its photos than any other."""


_NO = ("", 0.0)


def queue_row(
    rare: Set[str],
    item: int,
    key: str | bytes,
    sha256: str,
    tag: str,
    confidence: str,
    reason: str,
    group: str | None,
    night: int | None,
    probabilities: bytes | None,
    labels: str | None,
    *decision: Any,
) -> QueueRow:
    """Return a row of `queue_queries`; `rare` are the labels that few rows of the output have."""
    ranked, none = ranked_labels(probabilities, labels)
    # Of what is not recognised none of the labels is predicted, and its best label is the second.
    first, second = [*([("", none)] if reason == "not_recognised" and none is not None else []), *ranked, _NO, _NO][:2]
    guarded = second[0] in rare and round(first[1] - second[1], DECIMALS) <= MAX_LEAD
    decided, reviewer, decided_at, review = decision
    return QueueRow(
        item=item,
        key=text_of(key),
        sha256=sha256,
        tag=tag,
        confidence=confidence,
        reason=reason,
        group=group or "",
        ranked=tuple(ranked[:RANKED]),
        none=none,
        night=night or 0,
        guarded=guarded,
        decided=decided,
        reviewer=reviewer or "",
        decided_at=decided_at or "",
        review=review,
    )


def ranked_labels(probabilities: bytes | None, labels: str | None) -> tuple[list[tuple[str, float]], float | None]:
    """Return all labels with their probabilities, the greatest first, and that of none of them, 0..1, rounded as tags are.

    Args:
        probabilities: float32, little-endian, as the ledger has them; None where no product stands out.
        labels: JSON list.
    """
    if probabilities is None or labels is None:
        return [], None
    known = _labels(labels)
    values = np.frombuffer(probabilities, "<f4").astype(np.float64)[: len(known)]
    values = np.where(np.isfinite(values), values, 0.0)
    order = np.argsort(-np.round(values, DECIMALS), kind="stable").tolist()
    ranked = [(known[at], round(float(values[at]), DECIMALS)) for at in order]
    return ranked, round(max(0.0, 1 - float(values.sum())), DECIMALS)


@lru_cache(maxsize=16)
def _labels(text: str) -> Sequence[str]:
    return tuple(json.loads(text))
