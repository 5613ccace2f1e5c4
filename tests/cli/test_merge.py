"""`fmtag merge` and `--shard`: what is refused, in one sentence, and that nothing is written then."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from helpers import run_cli
from shard_helpers import merge, run_shards, write_catalog

from tagger.run.ledger_file import exclusive

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, small_bundle: Path) -> Path:
    """A folder with a catalog and the outputs of its two shards."""
    folder = tmp_path_factory.mktemp("merge")
    run_shards(write_catalog(folder / "catalog"), folder / "shards", small_bundle, 2)
    return folder


@pytest.fixture
def shards(ran: Path, tmp_path: Path) -> list[Path]:
    """A copy of these outputs, with their ledgers."""
    folder = Path(shutil.copytree(ran / "shards", tmp_path / "shards"))
    return [folder / "tags-0.csv", folder / "tags-1.csv"]


def change(output: Path, sql: str) -> None:
    """Change the ledger of an output."""
    with closing(sqlite3.connect(output.with_suffix(".ledger"))) as connection, connection:
        connection.execute(sql)


@pytest.mark.parametrize("shard", ["8/8", "-1/8", "1", "a/b", "0/0", "1/8/2", ""])
def test_a_shard_that_is_none_is_wrong_usage(shard: str, ran: Path, tmp_path: Path) -> None:
    """The sentence says that numbers begin at 0."""
    done = run_cli("run", ran / "catalog", "--out", tmp_path / "t.csv", "--shard", shard)
    assert done.code == 2
    assert "begin at 0" in done.err


def test_a_shard_needs_a_ledger(ran: Path) -> None:
    """Standard output has none, so that it could never be merged."""
    done = run_cli("run", ran / "catalog", "--out", "-", "--shard", "0/2")
    assert (done.code, done.out) == (2, "")
    assert "give --out or --ledger a file" in done.err


def test_shards_that_are_missing_or_given_twice(shards: list[Path], small_bundle: Path, tmp_path: Path) -> None:
    """Each is named; another spelling of one path is no second shard."""
    out = tmp_path / "t.csv"
    done = merge(shards[:1], out, small_bundle)
    assert (done.code, "1 of 2 shards is missing: 1;" in done.err) == (1, True), done.err
    copy = Path(shutil.copytree(shards[0].parent, tmp_path / "again")) / "tags-0.csv"
    done = merge([*shards, copy], out, small_bundle)
    assert (done.code, "are both shard 0/2; give each shard once." in done.err) == (1, True), done.err
    assert not out.exists()


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        ("UPDATE shards SET shards = 3", "give the outputs of all shards of one number N"),
        ("UPDATE runs SET source = '/other'", "are shards of different sources"),
        ("UPDATE shards SET items = items + 1", "found different numbers of items in the source"),
        ("UPDATE models SET fingerprint = 'other'", "were tagged by different bundles"),
        ("UPDATE decisions SET min_confidence = 0.125", "were flagged below different confidences"),
        ("UPDATE runs SET decoding = 'other'", "were decoded within different limits"),
        ("UPDATE runs SET finished = NULL", "did not finish; run that shard again"),
        ("DELETE FROM shards", "was not one over a shard"),
        ("PRAGMA user_version = 99", "is from a newer fmtag"),
        ("PRAGMA user_version = 2", "is from an fmtag without shards"),
        (
            "DELETE FROM shard_rows WHERE position = (SELECT min(position) FROM shard_rows)",
            "The shards do not make up the source: 1 of its ",
        ),
    ],
)
def test_shards_that_do_not_belong_together(
    sql: str, sentence: str, shards: list[Path], small_bundle: Path, tmp_path: Path
) -> None:
    """One sentence tells how they differ; nothing is written."""
    change(shards[1], sql)
    done = merge(shards, tmp_path / "t.csv", small_bundle)
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1 + done.err.startswith("fmtag")), done.err
    assert sentence in done.err
    assert not (tmp_path / "t.csv").exists()


def test_what_is_no_ledger(shards: list[Path], small_bundle: Path, tmp_path: Path) -> None:
    """A missing file, another database and a damaged ledger are told; the damaged one is left where it is."""
    out = tmp_path / "t.csv"
    assert "There is no ledger beside" in merge([shards[0], tmp_path / "none.csv"], out, small_bundle).err
    other = tmp_path / "other.ledger"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE photos (id)")
    assert "is no ledger of fmtag" in merge([shards[0], other], out, small_bundle).err
    ledger = shards[1].with_suffix(".ledger")
    ledger.write_bytes(ledger.read_bytes()[:4096] + b"\xff" * 40_000)
    damaged = merge(shards, out, small_bundle)
    assert (damaged.code, "damaged" in damaged.err, ledger.exists()) == (1, True, True), damaged.err
    assert not out.exists()


def test_a_run_that_goes_on_is_not_merged(shards: list[Path], small_bundle: Path, tmp_path: Path) -> None:
    """Exit code 4 while it holds the ledger of a shard."""
    with exclusive(shards[1].with_suffix(".ledger")):
        done = merge(shards, tmp_path / "t.csv", small_bundle)
    assert (done.code, "Another run is going on" in done.err) == (4, True)


def test_another_bundle_is_refused(shards: list[Path], tmp_path: Path) -> None:
    """The sentence names the one that the shards were tagged by."""
    done = run_cli("merge", *shards, "--out", tmp_path / "t.csv", "--model", "catalog")
    assert (done.code, "The shards were tagged by" in done.err) == (1, True)


def test_no_output_replaces_a_shard(shards: list[Path], small_bundle: Path) -> None:
    """The output of a shard and its ledger stay what they are."""
    before = shards[0].read_bytes()
    assert "would be replaced" in merge(shards, shards[0], small_bundle).err
    assert shards[0].read_bytes() == before
