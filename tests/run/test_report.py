"""The report of a run."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from run_helpers import Command

from tagger.errors import Interrupted, LedgerError, LockedError, OutputError
from tagger.records import Failed
from tagger.run import report
from tagger.run.settings import RunSettings
from tagger.run.summary import RunSummary


def test_the_report_adds_up(command: Command, shop: Path, tmp_path: Path) -> None:
    """Counts add up, each failure has its reason, stages have seconds, versions are there; a failed run has a report too."""
    (shop / "notes.txt").write_text("x")
    code, _, _ = command("run", shop, "--out", tmp_path / "t.csv", "--report", tmp_path / "run.json", "--log-format", "json")
    content = json.loads((tmp_path / "run.json").read_text())
    counts = content["counts"]
    assert code == 3
    assert (content["status"], content["error"], content["run"]) == ("done", "", 1)
    assert counts["photos"] == counts["tagged"] + sum(counts["flagged"].values()) + sum(counts["failed"].values()) == 10
    assert (counts["scored"], counts["duplicates"], counts["ignored"], counts["rows_written"]) == (8, 1, 1, 10)
    assert counts["ignored_by_reason"] == {"not an image": 1}
    assert [failure["path"] for failure in content["failures"]] == ["broken.jpg"]
    assert set(content["seconds_by_stage"]) == {"list", "read", "predict", "ledger", "publish"}
    assert sum(content["seconds_by_stage"].values()) <= content["seconds"] + 0.01
    assert set(content["versions"]) == {"fmtag", "python", "platform"}

    command("run", tmp_path / "nowhere", "--out", tmp_path / "t.csv", "--report", tmp_path / "run.json")
    failed = json.loads((tmp_path / "run.json").read_text())
    assert failed["status"] == "failed"
    assert "There is no" in failed["error"]


def test_the_log_names_20_failures_and_the_report_all(command: Command, tmp_path: Path) -> None:
    """The log has a line at the start, one at the end, and 20 of 30 failures; the report has all of them."""
    (tmp_path / "shop").mkdir()
    for number in range(30):
        (tmp_path / "shop" / f"{number:02d}.jpg").write_bytes(b"broken")
    _, _, log = command("run", tmp_path / "shop", "--out", tmp_path / "t.csv", "--report", tmp_path / "run.json")
    lines = log.splitlines()
    assert len(lines) == 1 + 20 + 1 + 1
    assert lines[0].startswith("fmtag ")
    assert lines[-1].startswith("30 photos = 0 tagged")
    assert len(json.loads((tmp_path / "run.json").read_text())["failures"]) == 30


def report_after(tmp_path: Path, error: BaseException | None) -> dict[str, Any] | None:
    """Return the report of a run that ends with an error, or well; None where none was written."""
    settings = RunSettings(str(tmp_path / "shop"), str(tmp_path / "t.csv"), report=tmp_path / "run.json", model="tiny")
    summary = RunSummary(model="m", run=7, failures=[("a.jpg", Failed("missing", "a.jpg: no such file"))])
    with suppress(BaseException), report.write_report_after(settings, summary):
        if error is not None:
            raise error
    file = tmp_path / "run.json"
    return json.loads(file.read_text()) if file.exists() else None


@pytest.mark.parametrize(
    ("error", "status", "why"),
    [
        (None, "done", ""),
        (LedgerError("The ledger is full."), "failed", "The ledger is full."),
        (Interrupted(15), "interrupted", "signal 15"),
    ],
)
def test_the_status_is_how_the_run_ended(tmp_path: Path, error: BaseException | None, status: str, why: str) -> None:
    """A completed, a failed and an interrupted run each have a report, with the failures up to then."""
    content = report_after(tmp_path, error)
    assert content is not None
    assert (content["status"], content["error"], content["run"]) == (status, why, 7)
    assert content["failures"] == [{"path": "a.jpg", "reason": "missing", "detail": "a.jpg: no such file"}]
    assert content["ledger"] == str(tmp_path / "t.ledger")


def test_a_run_without_the_ledger_writes_no_report(tmp_path: Path) -> None:
    """The report belongs to the run that holds the ledger."""
    assert report_after(tmp_path, LockedError("held")) is None


def test_a_report_that_cannot_be_written_never_hides_the_runs_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run's own error is raised and the report's is a warning; a completed run raises the report's error."""

    def full(*_: object) -> None:
        raise OutputError("no space")

    monkeypatch.setattr(report, "write_destination", full)
    settings = RunSettings(str(tmp_path / "shop"), str(tmp_path / "t.csv"), report=tmp_path / "run.json", model="tiny")
    warnings: list[str] = []
    with pytest.raises(LedgerError, match="broken"), report.write_report_after(settings, RunSummary(), warnings.append):
        raise LedgerError("broken")
    assert len(warnings) == 1
    assert "no space" in warnings[0]
    with pytest.raises(OutputError, match="no space"), report.write_report_after(settings, RunSummary()):
        pass


def test_a_report_has_no_credential(command: Command, shop: Path, tmp_path: Path) -> None:
    """Also where the run was refused for an address that has one."""
    code, _, messages = command("run", shop, "--out", "s3://me:secret@shop/t.csv", "--report", tmp_path / "run.json")
    assert code == 1
    assert "secret" not in messages + (tmp_path / "run.json").read_text()
    assert json.loads((tmp_path / "run.json").read_text())["out"] == "s3://shop/t.csv"
