"""A ledger in a bucket: worked on in a copy, saved there, never over another run's results."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bucket_helpers import Bucket
from run_helpers import Night, query

from tagger.errors import Interrupted, LedgerError, LockedError, SourceError, StorageError
from tagger.run import bucket_ledger
from tagger.run.bucket_ledger import kept_in_bucket, make_working_folder, working_copy
from tagger.run.ledger_file import exclusive
from tagger.run.paths import ledger_name, ledger_path, locked_ledger, outputs_of
from tagger.run.pipeline import RunCallbacks, run
from tagger.run.settings import RunSettings
from tagger.run.summary import RunSummary
from tagger.storage import objects
from tagger.storage.traffic import Traffic

OUT, LEDGER = "s3://shop/night/tags.csv", "s3://shop/night/tags.ledger"


@pytest.fixture
def cloud_night(shop: Path, bucket: Bucket, small_bundle: Path, one_thread: None) -> Night:
    """Run over the catalog, whose photos are all good, into the bucket, and return the counts."""
    (shop / "broken.jpg").unlink()

    def once(callbacks: RunCallbacks | None = None, **more: Any) -> RunSummary:
        return run(RunSettings(**{"source": str(shop), "out": OUT, "model": str(small_bundle)} | more), callbacks=callbacks)

    return once


def on_another_machine(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let working copies lie elsewhere from here on."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))


def items_in(content: bytes, folder: Path) -> int:
    """Return how many items a ledger has that was read from the bucket."""
    file = folder / "read.ledger"
    file.write_bytes(content)
    return int(query(file, "SELECT count(*) FROM items")[0][0])


@contextmanager
def at_work(warnings: list[str] | None = None, traffic: Traffic | None = None) -> Iterator[Path]:
    """Keep the ledger in the bucket for a block, as a run does."""
    make_working_folder(LEDGER)
    path = working_copy(LEDGER)
    warned = (warnings if warnings is not None else []).append
    with exclusive(path), kept_in_bucket(LEDGER, path, traffic or Traffic(), warned):
        yield path


# Where it is -------------------------------------------------------------------------------------------------------


def test_the_ledger_is_beside_the_output_in_the_bucket(tmp_path: Path) -> None:
    """Unless --ledger names a file or another address; it is checked as an output, and reported, by its address."""
    beside = RunSettings("shop", OUT)
    assert ledger_name(beside) == LEDGER
    assert ledger_path(beside) == working_copy(LEDGER)
    assert [(one.option, one.path) for one in outputs_of(beside) if one.option == "--ledger"] == [("--ledger", LEDGER)]
    assert ledger_name(RunSettings("shop", OUT, ledger=tmp_path / "t.ledger")) == str(tmp_path / "t.ledger")
    assert ledger_name(RunSettings("shop", "-", ledger=LEDGER)) == LEDGER
    assert ledger_name(RunSettings("shop", "-")) is None


def test_each_address_has_a_working_copy_of_its_own() -> None:
    """The same one in every run; only a name that ends as a ledger's does is ever set aside as a damaged one."""
    addresses = [LEDGER, "s3://shop/night/tags.db", "s3://other/night/tags.ledger", "gs://shop/night/tags.ledger"]
    copies = [working_copy(address) for address in addresses]
    assert len({copy.parent for copy in copies}) == 4
    assert copies[0] == working_copy(LEDGER)
    assert [copy.suffix == ".ledger" for copy in copies] == [True, False, True, True]


def test_runs_on_one_machine_exclude_each_other(bucket: Bucket) -> None:
    """By the lock of the working copy."""
    settings = RunSettings("shop", OUT)
    with locked_ledger(settings), pytest.raises(LockedError), locked_ledger(settings):
        pass


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do."""
    (tmp_path / "file").touch()
    on_another_machine(monkeypatch, tmp_path / "file")
    with pytest.raises(LedgerError, match=r"tags\.ledger cannot be made \(Not a directory\); set XDG_CACHE_HOME"):
        make_working_folder(LEDGER)


# From night to night -----------------------------------------------------------------------------------------------


def test_the_next_night_reads_nothing_again(
    cloud_night: Night, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither on the same machine, which does not take the ledger again, nor on another one, which does."""
    assert cloud_night().scored == 8
    again = cloud_night()
    assert (again.files_read, again.traffic.requests["get"]) == (0, 0)
    on_another_machine(monkeypatch, tmp_path / "other")
    elsewhere = cloud_night()
    assert (elsewhere.files_read, elsewhere.run, elsewhere.changes) == (0, 3, {})
    assert bucket.keys() == ["night/tags.csv", "night/tags.ledger"]


def test_the_bytes_are_those_of_a_local_run(cloud_night: Night, night: Night, bucket: Bucket, tmp_path: Path) -> None:
    """On the second night too."""
    for _ in range(2):
        cloud_night()
        night()
        assert bucket.read("night/tags.csv") == (tmp_path / "tags.csv").read_bytes()


def test_a_ledger_that_was_removed_is_begun_anew(cloud_night: Night, bucket: Bucket) -> None:
    """As where it lies beside the output on a disk."""
    cloud_night()
    bucket.remove("night/tags.ledger")
    summary = cloud_night()
    assert (summary.run, summary.scored) == (1, 8)


def test_what_nothing_was_done_with_is_not_saved(cloud_night: Night, bucket: Bucket) -> None:
    """A run that ends before it begins writes no object."""
    cloud_night()
    traffic = Traffic()
    with at_work(traffic=traffic):
        pass
    assert traffic.requests["put"] == 0


# However a run ends ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [Interrupted(15), SourceError("Gone."), KeyboardInterrupt()])
def test_results_are_saved_however_the_run_ends(
    cloud_night: Night, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """Another machine goes on from there."""

    def stop(done: int, total: int) -> None:
        if done == 4:
            raise error

    with pytest.raises(type(error)):
        cloud_night(RunCallbacks(scored=stop), batch_size=2)
    assert items_in(bucket.read("night/tags.ledger"), tmp_path) == 4
    on_another_machine(monkeypatch, tmp_path / "other")
    assert cloud_night().files_read == 9 - 4


def test_results_are_saved_during_the_run(
    cloud_night: Night, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every ten minutes, here after each batch, with what SQLite keeps beside the file."""
    monkeypatch.setattr(bucket_ledger, "SECONDS_BETWEEN_SAVES", 0.0)
    saved: list[int] = []
    cloud_night(
        RunCallbacks(scored=lambda done, total: saved.append(items_in(bucket.read("night/tags.ledger"), tmp_path))),
        batch_size=3,
    )
    assert saved == [3, 6, 9]
    assert len(list(working_copy(LEDGER).parent.iterdir())) == 2


def test_the_first_ten_minutes_are_not_interrupted(cloud_night: Night) -> None:
    """A short run saves its ledger once, and so much is lost with a machine at most."""
    assert bucket_ledger.SECONDS_BETWEEN_SAVES == 600
    assert cloud_night(batch_size=1).traffic.requests["put"] == 2


@pytest.mark.parametrize("first", [True, False])
def test_a_killed_run_resumes(cloud_night: Night, bucket: Bucket, tmp_path: Path, first: bool) -> None:
    """Its working copy stems from the object that the bucket still has, or from none, and has more results than that."""
    folder, killed = working_copy(LEDGER).parent, tmp_path / "killed"
    if not first:
        cloud_night()
        before = bucket.read("night/tags.ledger")

    def keep(done: int, total: int) -> None:
        if done == 4:
            shutil.copytree(folder, killed)

    cloud_night(RunCallbacks(scored=keep), batch_size=1, fresh=True)
    shutil.rmtree(folder)
    killed.rename(folder)
    if first:
        bucket.remove("night/tags.ledger")
    else:
        bucket.write("night/tags.ledger", before)
    assert cloud_night(fresh=True).files_read == 9 - 4


# When something is wrong -------------------------------------------------------------------------------------------


def test_another_runs_results_are_not_overwritten(
    cloud_night: Night, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run whose ledger another machine has written meanwhile ends in a sentence; the next one goes on with that ledger."""
    here, there = tmp_path / "cache", tmp_path / "there"

    def other(summary: Any) -> None:
        on_another_machine(monkeypatch, there)
        cloud_night(min_confidence=1.0)
        on_another_machine(monkeypatch, here)

    with pytest.raises(LedgerError, match=r"Another run has written the ledger s3://shop/night/tags\.ledger since"):
        cloud_night(RunCallbacks(started=other))
    warnings: list[str] = []
    summary = cloud_night(RunCallbacks(warned=warnings.append))
    assert (summary.run, summary.files_read) == (2, 0)
    assert len(warnings) == 1
    assert "results that were not saved there are kept in" in warnings[0]
    kept = working_copy(LEDGER).with_name(bucket_ledger.UNSAVED)
    assert query(kept, "SELECT count(*) FROM items") == [(9,)]


def test_a_run_that_was_overtaken_stops_at_the_next_save(
    cloud_night: Night, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would work for nothing."""
    monkeypatch.setattr(bucket_ledger, "SECONDS_BETWEEN_SAVES", 0.0)
    done: list[int] = []

    def other(read: int, total: int) -> None:
        done.append(read)
        if read == 2:
            bucket.write("night/tags.ledger", b"of another run")

    with pytest.raises(LedgerError, match="Another run has written"):
        cloud_night(RunCallbacks(scored=other), batch_size=1)
    assert done == [1, 2]
    assert bucket.read("night/tags.ledger") == b"of another run"


def test_a_bucket_out_of_reach_for_a_while_costs_nothing(cloud_night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run warns and goes on; the next save has everything."""
    monkeypatch.setattr(bucket_ledger, "SECONDS_BETWEEN_SAVES", 0.0)
    upload, failures = objects.upload, iter([True])

    def first_fails(*arguments: Any, **more: Any) -> Any:
        if next(failures, False):
            raise StorageError("s3://shop cannot be reached.")
        return upload(*arguments, **more)

    monkeypatch.setattr(objects, "upload", first_fails)
    warnings: list[str] = []
    cloud_night(RunCallbacks(warned=warnings.append), batch_size=5)
    assert len(warnings) == 1
    assert "was not saved: s3://shop cannot be reached." in warnings[0]
    assert warnings[0].endswith("The run goes on, and tries again later.")
    assert cloud_night().files_read == 0


def test_what_cannot_be_saved_is_kept_and_said(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a run that ended well it is an error, after another error a warning; the working copy resumes."""

    def denied(*_: object, **__: object) -> None:
        raise StorageError("s3://shop may not be written.")

    monkeypatch.setattr(objects, "upload", denied)
    warnings: list[str] = []
    with (
        pytest.raises(LedgerError, match=r"was not saved: s3://shop may not be written\. Its results are kept in"),
        at_work() as path,
    ):
        path.write_bytes(b"1")
    with pytest.raises(LookupError), at_work(warnings) as path:
        {}[path.read_bytes()]
    assert len(warnings) == 1


def test_an_object_that_is_no_ledger_stays(cloud_night: Night, bucket: Bucket) -> None:
    """Another file is refused; a damaged ledger is kept on this machine, and a new one begun."""
    bucket.write("prices.csv", b"sku,price\n" * 100)
    with pytest.raises(LedgerError, match=r"s3://shop/prices\.csv.* is not a ledger; give --ledger another file"):
        cloud_night(ledger="s3://shop/prices.csv")
    assert bucket.read("prices.csv") == b"sku,price\n" * 100

    bucket.write("night/tags.ledger", b"damaged" * 1000)
    warnings: list[str] = []
    assert cloud_night(RunCallbacks(warned=warnings.append)).scored == 8
    assert "s3://shop/night/tags.ledger" in warnings[0]
    (kept,) = working_copy(LEDGER).parent.glob("*damaged*")
    assert str(kept) in warnings[0]
    assert items_in(bucket.read("night/tags.ledger"), kept.parent) == 9


@pytest.mark.parametrize("note", [b"", b"[]", b"{}", b'{"state": [1], "saved": null}', b"\xff"])
def test_a_note_that_cannot_be_read_is_no_note(cloud_night: Night, bucket: Bucket, note: bytes) -> None:
    """Then the object decides."""
    cloud_night()
    working_copy(LEDGER).with_name(bucket_ledger.NOTE).write_bytes(note)
    summary = cloud_night()
    assert (summary.files_read, summary.run, summary.traffic.requests["get"]) == (0, 2, 1)
