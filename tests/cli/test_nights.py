"""`fmtag nights` on the terminal."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from helpers import RunCli, assert_one_sentence
from nights_helpers import uploads, write_ledger

from tagger.cli.nights import SHOWN


def test_the_nights_of_an_output_are_shown(cli: RunCli, photos: Callable[[int], Path], tmp_path: Path) -> None:
    """The ledger is found beside the output or given; both forms count the run's photos."""
    assert cli("run", photos(2), "--out", tmp_path / "tags.csv", "--quiet").code == 0
    text = cli("nights", tmp_path / "tags.csv")
    assert (text.code, text.err) == (0, "")
    assert text.out.splitlines()[-1].split()[2:6] == ["2", text.out.splitlines()[-1].split()[3], "2", "0"]
    values = json.loads(cli("nights", "--ledger", tmp_path / "tags.ledger", "--json").out)
    (night,) = values["bundles"][0]["nights"]
    assert (night["photos"], night["uploads"], night["failed"]) == (2, 2, 0)
    assert values["bundles"][0]["alarms"] == []


def test_an_alarm_is_shown_and_the_exit_code_stays_0(cli: RunCli, tmp_path: Path) -> None:
    """The alarm is a line of the text and a value of JSON; --all prints nights that are left out otherwise."""
    rng = np.random.default_rng(1)
    shares = [0.2] * 40 + [0.8] * 8
    ledger = write_ledger(tmp_path / "t.ledger", [uploads(rng, 60, share) for share in shares])
    short, whole = cli("nights", "--ledger", ledger), cli("nights", ledger, "--all")
    assert (short.code, whole.code) == (0, 0)
    assert "  ALARM: Share of flagged photos rose from 2" in short.out
    assert [sum(line.startswith("  2026-") for line in result.out.splitlines()) for result in (short, whole)] == [SHOWN, 48]
    weekly = json.loads(cli("nights", ledger, "--json", "--together", "7").out)["bundles"][0]["statistics"]["flagged"]
    assert (weekly["state"], weekly["batches"]) == ("gathering", 6)
    (alarm,) = json.loads(cli("nights", ledger, "--json").out)["bundles"][0]["moved"]
    assert (alarm["statistic"], alarm["direction"]) == ("flagged", "up")


def test_missing_ledgers_are_one_sentence(cli: RunCli, tmp_path: Path) -> None:
    """Neither an output without a ledger nor a ledger that is not there makes a file."""
    assert_one_sentence(cli("nights"), 2, "--ledger")
    assert_one_sentence(cli("nights", tmp_path / "tags.csv"), 1, "tags.csv")
    assert_one_sentence(cli("nights", "--ledger", tmp_path / "none.ledger"), 1, "none.ledger")
    assert list(tmp_path.iterdir()) == []
