"""Counts of a run."""

import time
from collections import Counter

from tagger.run.summary import RunSummary


def test_rows_are_tagged_flagged_or_failed() -> None:
    """Photos are the sum of the three; a flagged one keeps its tag, and a truncated one with a tag is flagged."""
    summary = RunSummary()
    summary.add_rows("Dress", "false", "", 5)
    summary.add_rows("Dress", "true", "low_confidence", 2)
    summary.add_rows("Coat", "true", "truncated", 1)
    summary.add_rows("", "true", "not_recognised", 3)
    summary.add_rows("", "true", "truncated", 4)
    summary.add_rows("", "true", "missing", 1)
    assert summary.photos == 16
    assert summary.tagged == 5
    assert summary.flagged == {"low_confidence": 2, "truncated": 1, "not_recognised": 3}
    assert summary.failed == {"truncated": 4, "missing": 1}
    assert summary.tags == {"Dress": 7, "Coat": 1}


def test_rows_without_an_image_are_no_photos() -> None:
    """They are counted apart from tagged, flagged and failed ones."""
    summary = RunSummary()
    summary.add_rows("", "true", "no_image", 3)
    summary.add_rows("Dress", "false", "", 2)
    assert (summary.photos, summary.tagged, summary.without_image, summary.flagged, summary.failed) == (2, 2, 3, {}, {})


def test_seconds_of_a_stage_add_up_also_after_an_error() -> None:
    """Each stage has the seconds of all its blocks, those that raised included."""
    summary = RunSummary()
    for error in (None, KeyboardInterrupt):
        try:
            with summary.timed("read"):
                time.sleep(0.01)
                if error is not None:
                    raise error
        except KeyboardInterrupt:
            pass
    assert list(summary.stages) == ["read"]
    assert 0.02 <= summary.stages["read"] < 1


def test_reset_leaves_nothing_of_a_first_attempt() -> None:
    """A run that starts again with a new ledger counts from zero."""
    summary = RunSummary(model="m", run=3, scored=5, ignored=Counter(hidden=2))
    summary.add_rows("Dress", "true", "low_confidence", 2)
    with summary.timed("read"):
        pass
    summary.reset()
    assert summary == RunSummary()


def test_reset_keeps_the_requests_that_were_made() -> None:
    """They have been paid for, and whoever counts them goes on counting."""
    summary = RunSummary()
    traffic = summary.traffic
    traffic.count("get")
    traffic.count_bytes(received=5)
    summary.reset()
    traffic.count_bytes(sent=7)
    assert (summary.traffic.received, summary.traffic.sent) == (5, 7)
