"""The files that a run reads and writes."""

import os
import shutil
from io import BytesIO
from pathlib import Path

import pytest
from run_helpers import Night, query

from tagger.errors import OutputError
from tagger.run import paths
from tagger.run.paths import inputs_of, ledger_path, locked_ledger, outputs_of
from tagger.run.pipeline import run
from tagger.run.settings import RunSettings


def test_outputs_have_different_paths(night: Night, tmp_path: Path) -> None:
    """Output, report, changes and ledger are four files, each in an existing folder."""
    for more in ({"changes": str(tmp_path / "tags.csv")}, {"ledger": tmp_path / "tags.csv"}, {"report": tmp_path / "tags.csv"}):
        with pytest.raises(OutputError, match="is what --out names"):
            night(**more)
    with pytest.raises(OutputError, match="there is no folder"):
        night(report=tmp_path / "none" / "run.json")


def test_the_ledger_is_beside_the_output_whatever_its_format(night: Night, shop: Path, tmp_path: Path) -> None:
    """tags.csv and tags.json of one catalog share tags.ledger, and --ledger names another file."""
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


def test_two_catalogs_have_a_ledger_each(night: Night, shop: Path, tmp_path: Path) -> None:
    """Outputs that differ in their suffix alone: no photo of one shop vanishes from the other's, whichever runs first."""
    (shop / "broken.jpg").unlink()
    other = str(shutil.copytree(shop / "more", tmp_path / "other"))
    for _ in range(2):
        assert "vanished" not in night("tags.csv").changes
        assert "vanished" not in night("tags.json", source=other).changes
    assert sorted(path.name for path in tmp_path.glob("*.ledger")) == ["tags.json.ledger", "tags.ledger"]
    # Now and then in the other's format: from the catalog's own ledger, and the other one finds its own again.
    assert night("tags.json").files_read == 0
    assert night("tags.json", source=other).changes == {}
    assert night("tags.csv").changes == {}
    assert ledger_path(RunSettings(other, str(tmp_path / "tags.json"))) == tmp_path / "tags.json.ledger"


def test_a_ledger_is_not_lost(night: Night, shop: Path, tmp_path: Path) -> None:
    """It is the output's where only the source has moved, only the format is another, or both are renamed together."""
    (shop / "broken.jpg").unlink()
    night("tags.csv")
    moved = str(shop.rename(tmp_path / "moved"))
    assert night("tags.csv", source=moved).files_read == 0
    assert night("tags.parquet", source=moved).files_read == 0
    (tmp_path / "tags.ledger").rename(tmp_path / "new.ledger")
    assert night("new.parquet", source=moved).files_read == 0
    assert [path.name for path in tmp_path.glob("*.ledger")] == ["new.ledger"]


def test_lists_on_standard_input_may_be_of_two_catalogs(small_bundle: Path, shop: Path, tmp_path: Path) -> None:
    """`-` does not tell which one a ledger is of; outputs of another suffix have their own."""
    for suffix, name in 2 * ((".csv", "0001.jpg"), (".json", "0002.jpg")):
        settings = RunSettings("-", str(tmp_path / f"tags{suffix}"), model=str(small_bundle))
        assert "vanished" not in run(settings, BytesIO(os.fsencode(shop / name))).changes
    assert ledger_path(RunSettings("-", str(tmp_path / "tags.csv"))) == tmp_path / "tags.ledger"


@pytest.mark.parametrize("content", [b"", b"damaged" * 1000])
def test_a_ledger_that_cannot_be_read_is_the_outputs(tmp_path: Path, content: bytes) -> None:
    """That it is damaged is found out when it is opened, by the run that it belongs to."""
    (tmp_path / "tags.ledger").write_bytes(content)
    assert ledger_path(RunSettings("shop", str(tmp_path / "tags.csv"))) == tmp_path / "tags.ledger"


def test_a_first_run_that_waits_finds_its_own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run that it waited for may have begun the ledger for another catalog."""
    settings = RunSettings(str(tmp_path / "other"), str(tmp_path / "tags.json"))
    with locked_ledger(settings) as path:
        assert path == tmp_path / "tags.ledger"
    usual, own = tmp_path / "tags.ledger", tmp_path / "tags.json.ledger"
    found = iter([usual, own, own])
    monkeypatch.setattr(paths, "ledger_path", lambda settings: next(found))
    with locked_ledger(settings) as path:
        assert path == own
        assert [lock.name for lock in tmp_path.glob("*.lock")] == ["tags.json.ledger.lock"]


@pytest.mark.parametrize("length", [236, 237, 251])
def test_a_long_name_has_a_ledger(night: Night, tmp_path: Path, length: int) -> None:
    """Names of SQLite's files and of the lock fit too, and the next run finds the ledger."""
    out = "n" * length + ".csv"
    for _ in range(2):
        night(out)
    (ledger,) = tmp_path.glob("*.ledger")
    assert query(ledger, "SELECT count(*) FROM runs") == [(2,)]
    assert [path.name for path in tmp_path.iterdir() if path.is_file() and path != ledger] == [out]


def test_long_names_that_begin_alike_have_a_ledger_each(tmp_path: Path) -> None:
    """A short name is the ledger's own; of a long one its hash stands for the end."""
    found = {ledger_path(RunSettings("shop", str(tmp_path / f"{'n' * 249}{end}.csv"))) for end in "ab"}
    assert len(found) == 2
    assert ledger_path(RunSettings("shop", f"{'n' * 240}.csv")) == Path(f"{'n' * 240}.ledger")


def test_an_output_that_is_not_a_file_has_no_ledger(tmp_path: Path) -> None:
    """Standard output, pipes and devices have no ledger beside them, unless --ledger names one."""
    os.mkfifo(tmp_path / "pipe.csv")
    for out in ("-", "/dev/null", "/dev/stdout", "/dev/fd/63", str(tmp_path / "pipe.csv")):
        assert ledger_path(RunSettings("shop", out)) is None
        assert ledger_path(RunSettings("shop", out, ledger=tmp_path / "t.ledger")) == tmp_path / "t.ledger"
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
        ("--ledger", str(tmp_path / "t.ledger-journal")),
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
