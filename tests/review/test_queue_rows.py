"""Probabilities become the labels of a row as they become tags."""

import json

import numpy as np

from tagger.review.queue_rows import queue_row, ranked_labels
from tagger.review.queue_values import QueueRow
from tagger.run.ledger_values import storable


def row(probabilities: list[float], rare: set[str], reason: str = "low_confidence") -> QueueRow:
    """Return the row of a photo with probabilities of three labels."""
    packed = np.array(probabilities, "<f4").tobytes()
    cells = ("Bag", "0.5000", reason, "accessory", 3)
    return queue_row(
        rare, 1, storable("odd\udcff.jpg"), "00", *cells, packed, json.dumps(["Bag", "Coat", "Shirt"]), None, None, None, None
    )


def test_labels_are_ranked_as_tags_are() -> None:
    """The most probable is first, equal ones in the order of the labels; the rest to 1 is none of them."""
    ranked, none = ranked_labels(np.array([0.25, 0.5, 0.25], "<f4").tobytes(), json.dumps(["Bag", "Coat", "Shirt"]))
    assert ranked == [("Coat", 0.5), ("Bag", 0.25), ("Shirt", 0.25)]
    assert none == 0.0
    assert ranked_labels(None, "[]") == ([], None)


def test_values_that_are_no_probabilities_rank_last() -> None:
    """NaN is no evidence, as where tags are decided."""
    ranked, none = ranked_labels(np.array([np.nan, 0.25], "<f4").tobytes(), json.dumps(["Bag", "Coat"]))
    assert ranked == [("Coat", 0.25), ("Bag", 0.0)]
    assert none == 0.75


def test_only_a_rare_second_label_guards_its_photo() -> None:
    """Neither a common label in second place, nor a rare one in third place or far behind, keeps a photo from an accept."""
    assert row([0.5, 0.2, 0.1], {"Coat"}).guarded
    assert not row([0.5, 0.2, 0.1], {"Shirt"}).guarded
    assert not row([0.5, 0.19, 0.1], {"Coat"}).guarded
    assert not row([0.5, 0.2, 0.1], set()).guarded
    # None of the labels has 0.4 where 0.6 are shared out: its runner-up is the best label.
    assert row([0.3, 0.2, 0.1], {"Bag"}, "not_recognised").guarded
    assert not row([0.3, 0.2, 0.1], {"Coat"}, "not_recognised").guarded
    assert not row([0.1, 0.0, 0.0], {"Bag"}, "not_recognised").guarded
    assert row([0.5, 0.2, 0.1], set()).key == "odd\udcff.jpg"
