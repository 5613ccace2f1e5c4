"""Nights and alarms as sentences, as a table and as JSON values."""

import json
from pathlib import Path

import numpy as np
from nights_helpers import uploads, write_ledger

from tagger.review.night_alarms import Watched
from tagger.review.nights import Nights, read_nights
from tagger.review.nights_text import NO_TAG, alarm_sentence, as_json, as_text, moment, percent, state_sentence, tag_name


def moved_bags(path: Path, more: int = 0) -> Nights:
    """Return the nights of a shop whose uploads have more bags from the 31st night on."""
    rng = np.random.default_rng(3)
    shares = [0.2] * 30 + [0.8] * (9 + more)
    return read_nights(write_ledger(path, [None, *(uploads(rng, 80, bag=share) for share in shares)]))


def test_an_alarm_is_a_sentence(tmp_path: Path) -> None:
    """It names the tag, the direction, both shares, since when, and when it was found."""
    (found,) = moved_bags(tmp_path / "t.ledger").bundles[0].alarms
    tag, verb = ("Bag", "rose") if found.alarm.up else ("Dress", "fell")
    assert alarm_sentence(found) == (
        f"Share of {tag} {verb} from {100 * found.alarm.before:.1f} % to {100 * found.alarm.after:.1f} %"
        f" since about {moment(found.since.started)}; found {moment(found.at.started)}."
    )


def test_states_are_sentences() -> None:
    """Steady ones say over how many batches, others how many their reference lacks."""
    assert state_sentence(Watched("flagged", "steady", 18, 0, 30, ())) == "steady over 18 batches of at least 30 photos"
    gathering = state_sentence(Watched("flagged", "gathering", 7, 3, 0, ()))
    assert gathering == "gathering a reference: 3 of 10 batches are still missing"


def test_the_text_holds_states_alarms_and_the_latest_nights(tmp_path: Path) -> None:
    """What moved is marked; ten nights later it is an earlier alarm; the last night comes last, columns are aligned."""
    nights = moved_bags(tmp_path / "t.ledger")
    lines = as_text(nights, at_most=5).splitlines()
    (found,) = nights.bundles[0].alarms
    assert lines[0] == "catalog@1, threshold 0.7000"
    assert f"  ALARM: {alarm_sentence(found)}" in lines
    table = [line for line in lines if line.startswith("  night ") or line.startswith("  2026-")]
    assert len(table) == 6
    assert len({len(line) for line in table}) == 1
    last = nights.bundles[0].nights[-1]
    assert table[-1].split()[:2] == moment(last.started).split()
    assert percent(last.flagged) in table[-1]
    assert lines[-1] == "1 earlier run has no counts and is left out."
    assert len([line for line in as_text(nights).splitlines() if line.startswith("  2026-")]) == 39
    assert "  earlier: Share of" in as_text(moved_bags(tmp_path / "u.ledger", more=12))


def test_an_empty_ledger_says_what_to_do(tmp_path: Path) -> None:
    """Without a night there is one sentence; nights without uploads have no shares."""
    assert as_text(read_nights(write_ledger(tmp_path / "t.ledger", []))).startswith("There is no finished run with counts yet.")
    last = as_text(read_nights(write_ledger(tmp_path / "u.ledger", [{}]))).splitlines()[-1]
    assert last.split() == ["2026-01-01", "02:00", "0", "0", "0", "0", "-", "-", "-"]


def test_json_values_are_complete(tmp_path: Path) -> None:
    """A monitor finds the nights, the state of each statistic, and the alarms with their runs."""
    nights = moved_bags(tmp_path / "t.ledger")
    values = json.loads(json.dumps(as_json(nights)))
    assert values["runs_without_counts"] == 1
    (bundle,) = values["bundles"]
    (found,) = nights.bundles[0].alarms
    assert set(bundle["statistics"]) == {"flagged", "unknown", "confidence", "tags"}
    assert bundle["statistics"]["tags"]["state"] == "moved"
    assert (
        bundle["moved"]
        == bundle["alarms"]
        == [
            {
                "statistic": "tags",
                "tag": found.alarm.tag,
                "direction": "up" if found.alarm.up else "down",
                "run": found.at.run,
                "started": found.at.started,
                "since_run": found.since.run,
                "since": found.since.started,
                "before": round(found.alarm.before, 6),
                "after": round(found.alarm.after, 6),
            }
        ]
    )
    last, night = nights.bundles[0].nights[-1], bundle["nights"][-1]
    assert night["tags"]["Bag"] + night["tags"]["Dress"] == night["judged"] == 80
    assert (night["run"], night["evidence"]) == (last.run, True)


def test_texts_from_outside_are_one_line() -> None:
    """No tag has a name of its own, and control characters are written out."""
    assert tag_name("") == NO_TAG
    assert tag_name("a\nb") == "a\\nb"
    assert (percent(None), percent(0.1234)) == ("", "12.3 %")
