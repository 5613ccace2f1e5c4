"""The nights of a ledger: what they uploaded and wrote, per bundle, and the alarms."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from nights_helpers import LABELS, uploads, write_ledger
from run_helpers import write_shop

from tagger.errors import LedgerError
from tagger.review.night_alarms import Cell
from tagger.review.nights import quartiles_of, read_nights
from tagger.review.nights_text import as_json
from tagger.run.pipeline import run
from tagger.run.settings import RunSettings

NIGHT = {
    ("Bag", "false", "", 18): 5,
    ("Dress", "true", "low_confidence", 8): 2,
    ("", "true", "not_recognised", -1): 1,
    ("Dress", "true", "truncated", 12): 1,
    ("", "true", "truncated", -1): 3,
    ("", "true", "no_image", -1): 7,
    ("Shirt", "false", "reviewed", 19): 4,
    ("", "true", "reviewed", -1): 2,
}
"""Rows of all kinds; `truncated` with a tag is a photo that was read though its file ends early."""


def test_a_night_has_its_counts_and_shares(tmp_path: Path) -> None:
    """Shares are of the uploads that the networks judged; failed ones, decided ones and rows without an image are not."""
    nights = read_nights(write_ledger(tmp_path / "t.ledger", [NIGHT]))
    (bundle,) = nights.bundles
    assert (bundle.bundle, bundle.min_confidence, bundle.tags) == ("catalog@1", 0.7, (*sorted(LABELS), ""))
    (night,) = bundle.nights
    assert (night.run, night.started) == (1, "2026-01-01T02:00:00+00:00")
    assert (night.photos, night.open) == (36, 8)
    assert (night.uploads, night.failed, sum(night.judged.values())) == (18, 3, 9)
    assert night.flagged == pytest.approx(4 / 9)
    assert night.unknown == pytest.approx(1 / 9)
    assert night.confidence == pytest.approx((5 * 0.925 + 2 * 0.425 + 0.625) / 8)
    assert [night.share(tag) for tag in bundle.tags] == pytest.approx([5 / 9, 3 / 9, 0, 1 / 9])
    assert night.value("tags", "Bag") == night.share("Bag")
    assert nights.uncounted == 0


def test_the_first_run_of_all_and_runs_without_uploads_are_no_evidence(tmp_path: Path) -> None:
    """The first run holds the catalog as it was; a night with nothing to judge tells nothing."""
    failed = {("", "true", "missing", -1): 4}
    (bundle,) = read_nights(write_ledger(tmp_path / "t.ledger", [NIGHT, NIGHT, {}, failed, NIGHT])).bundles
    assert [night.evidence for night in bundle.nights] == [False, True, False, False, True]
    assert [night.run for night in bundle.evidence] == [2, 5]
    empty = bundle.nights[2]
    assert (empty.photos, empty.uploads, empty.flagged, empty.confidence, empty.quartiles) == (0, 0, None, None, None)
    assert sum(bundle.uploads.values()) == 18


def test_runs_of_before_and_unfinished_ones_are_left_out(tmp_path: Path) -> None:
    """They have no counts: finished ones are counted, and the first one after them is evidence."""
    ledger = write_ledger(tmp_path / "t.ledger", [None, None, NIGHT])
    nights = read_nights(ledger)
    assert nights.uncounted == 2
    assert [(night.run, night.evidence) for night in nights.bundles[0].nights] == [(3, True)]
    with closing(sqlite3.connect(ledger)) as sql, sql:
        sql.execute("UPDATE runs SET finished = NULL WHERE id = 3")
    assert read_nights(ledger).bundles == ()
    assert read_nights(write_ledger(tmp_path / "none.ledger", [])).bundles == ()


def test_a_broken_camera_raises_an_alarm(tmp_path: Path) -> None:
    """Confidence falls and more is flagged: both are told with the nights and the values, the latest alarm first."""
    rng = np.random.default_rng(1)
    shares = [{}] * 31 + [{"flagged": 0.8, "bins": 12}] * 8
    ledger = write_ledger(tmp_path / "t.ledger", [uploads(rng, int(rng.integers(60, 200)), **more) for more in shares])
    (bundle,) = read_nights(ledger).bundles
    assert {found.alarm.statistic for found in bundle.moved} == {"flagged", "confidence"}
    for found in bundle.moved:
        assert 31 <= found.since.run <= 33
        assert found.since.run <= found.at.run <= 39
        assert found.at is bundle.evidence[found.alarm.at]
    assert [found.at.run for found in bundle.alarms] == sorted((found.at.run for found in bundle.alarms), reverse=True)
    values = as_json(read_nights(ledger))["bundles"][0]
    assert values["statistics"]["flagged"]["state"] == "moved"
    assert values["statistics"]["unknown"]["state"] == "steady"
    assert values["statistics"]["unknown"]["missing"] == 0
    flagged = next(alarm for alarm in values["moved"] if alarm["statistic"] == "flagged")
    assert (flagged["direction"], flagged["tag"]) == ("up", None)
    assert flagged["before"] < 0.4 < 0.7 < flagged["after"]
    assert len(values["nights"]) == 39
    assert values["nights"][0]["evidence"] is False


def test_a_new_bundle_is_a_new_reference_and_no_alarm(tmp_path: Path) -> None:
    """Another bundle, threshold or label map has nights of its own; its shift is no alarm."""
    rng = np.random.default_rng(2)
    bundles = ["old@1"] * 20 + ["new@1"] * 20
    flagged = [0.2] * 20 + [0.7] * 20
    ledger = write_ledger(tmp_path / "t.ledger", [uploads(rng, 80, share) for share in flagged], bundles)
    nights = read_nights(ledger).bundles
    assert [(bundle.bundle, len(bundle.nights)) for bundle in nights] == [("new@1", 20), ("old@1", 20)]
    assert [found for bundle in nights for found in bundle.alarms] == []
    assert all(watched.state == "steady" for bundle in nights for watched in bundle.watched.values())
    ledger = write_ledger(
        tmp_path / "u.ledger", [uploads(rng, 80, share) for share in flagged], thresholds=[0.5] * 20 + [0.9] * 20
    )
    assert [bundle.min_confidence for bundle in read_nights(ledger).bundles] == [0.9, 0.5]


def test_renamed_labels_are_the_tags(tmp_path: Path) -> None:
    """Two labels that go by one name are one tag."""
    ledger = write_ledger(tmp_path / "t.ledger", [NIGHT], names={"Dress": "Kleid", "Shirt": "Kleid"})
    assert read_nights(ledger).bundles[0].tags == ("Bag", "Kleid", "")


def test_quartiles_are_of_the_binned_confidences() -> None:
    """Confidences count as even within a bin; photos without one do not count."""
    even = {Cell("Bag", False, False, number): 10 for number in range(20)}
    assert quartiles_of(even) == pytest.approx((0.25, 0.5, 0.75))
    assert quartiles_of({Cell("Bag", False, False, 19): 4, Cell("", True, True, -1): 9}) == pytest.approx(
        (0.9625, 0.975, 0.9875)
    )
    assert quartiles_of({Cell("", True, True, -1): 9}) is None
    low, middle, high = quartiles_of({Cell("Bag", False, False, 0): 1, Cell("Bag", False, False, 19): 3}) or (0, 0, 0)
    assert (low, middle, high) == pytest.approx((0.05, 0.95 + 0.05 / 3, 0.95 + 0.1 / 3))


def test_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    """A path without a ledger is one sentence, and no file is made."""
    with pytest.raises(LedgerError, match="There is no ledger"):
        read_nights(tmp_path / "x.ledger")
    assert not (tmp_path / "x.ledger").exists()


def test_real_runs_are_nights(tmp_path: Path, small_bundle: Path, one_thread: None) -> None:
    """Runs over a catalog count their rows, and the second one its new photos alone."""
    shop = write_shop(tmp_path / "shop")
    settings = RunSettings(source=str(shop), out=str(tmp_path / "tags.csv"), model=str(small_bundle))
    run(settings)
    shutil.copy(shop / "0003.jpg", shop / "new.jpg")
    summary = run(settings)
    (bundle,) = read_nights(tmp_path / "tags.ledger").bundles
    first, second = bundle.nights
    assert (first.photos, first.uploads, first.failed, sum(first.judged.values())) == (10, 10, 1, 9)
    assert (second.photos, second.uploads, second.failed, sum(second.judged.values())) == (11, 1, 0, 1)
    assert bundle.bundle == summary.model
    assert second.evidence
    assert second.confidence is not None
