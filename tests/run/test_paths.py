"""The files that a run reads and writes."""

from pathlib import Path

import pytest
from run_helpers import Night

from tagger.errors import OutputError
from tagger.run.paths import inputs_of, ledger_path, outputs_of
from tagger.run.settings import RunSettings


def test_outputs_have_different_paths(night: Night, tmp_path: Path) -> None:
    """Output, report, changes and ledger are four files, each in an existing folder."""
    for more in ({"changes": str(tmp_path / "tags.csv")}, {"ledger": tmp_path / "tags.csv"}, {"report": tmp_path / "tags.csv"}):
        with pytest.raises(OutputError, match="is what --out names"):
            night(**more)
    with pytest.raises(OutputError, match="there is no folder"):
        night(report=tmp_path / "none" / "run.json")


def test_the_ledger_is_beside_the_output_whatever_its_format(night: Night, shop: Path, tmp_path: Path) -> None:
    """tags.csv and tags.json share tags.ledger, and --ledger names another file."""
    (shop / "broken.jpg").unlink()
    night("tags.csv")
    assert night("tags.json").files_read == 0
    assert night("tags.csv", ledger=tmp_path / "elsewhere.db").files_read == 9
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        "elsewhere.db",
        "tags.csv",
        "tags.json",
        "tags.ledger",
    ]


def test_an_output_that_is_not_a_file_has_no_ledger(tmp_path: Path) -> None:
    """Standard output and devices have no ledger beside them, unless --ledger names one."""
    assert ledger_path(RunSettings("shop", "-")) is None
    assert ledger_path(RunSettings("shop", "/dev/null")) is None
    assert ledger_path(RunSettings("shop", "-", ledger=tmp_path / "t.ledger")) == tmp_path / "t.ledger"
    assert ledger_path(RunSettings("shop", str(tmp_path / "t.new.csv"))) == tmp_path / "t.new.ledger"


def test_every_written_file_is_checked(tmp_path: Path) -> None:
    """Output, changes, ledger with lock and side files, images and, last, the report are known before the run."""
    settings = RunSettings(
        "shop", str(tmp_path / "t.csv"), changes="c.csv", debug_garments=tmp_path / "seen", report=tmp_path / "run.json"
    )
    written = [(output.option, str(output.path)) for output in outputs_of(settings)]
    assert written == [
        ("--out", str(tmp_path / "t.csv")),
        ("--changes", "c.csv"),
        ("--ledger", str(tmp_path / "t.ledger")),
        ("--ledger", str(tmp_path / "t.ledger.lock")),
        ("--ledger", str(tmp_path / "t.ledger-wal")),
        ("--ledger", str(tmp_path / "t.ledger-shm")),
        ("--debug-garments", str(tmp_path / "seen")),
        ("--report", str(tmp_path / "run.json")),
    ]


def test_every_read_file_is_protected(small_bundle: Path, tmp_path: Path) -> None:
    """Source, label map and the files of the bundle are inputs; standard input is not a file."""
    settings = RunSettings("shop", "t.csv", model=str(small_bundle), label_map=tmp_path / "map.csv")
    read = {str(one.path) for one in inputs_of(settings)}
    assert {"shop", str(tmp_path / "map.csv")} < read
    assert {str(path) for path in small_bundle.iterdir()} <= read
    assert "-" not in {str(one.path) for one in inputs_of(RunSettings("-", "t.csv", model=str(small_bundle)))}
