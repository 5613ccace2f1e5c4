"""The real command line with its outputs and its ledger in a bucket."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bucket_helpers import Bucket, Fault
from helpers import Fmtag, assert_one_sentence, run_cli
from run_helpers import count_items, query

from tagger.run.bucket_ledger import working_copy
from tagger.run.pipeline import run
from tagger.run.settings import RunSettings
from tagger.settings import FORMATS

LEDGER = "night/tags.ledger"

PHOTOS = 90
"""Of a run that is stopped: some are done when that is seen, and most are not."""


@pytest.fixture
def good_shop(shop: Path) -> Path:
    """The small catalog without its damaged photo."""
    (shop / "broken.jpg").unlink()
    return shop


def test_all_outputs_lie_in_the_bucket(fmtag: Fmtag, shop: Path, bucket: Bucket, tmp_path: Path) -> None:
    """Rows, changes, report and ledger; the report names addresses, and a second night is incremental."""
    options = ["--changes", bucket.address("night/changes.json"), "--report", bucket.address("night/run.json")]
    for night in (1, 2):
        done = fmtag("run", shop, "--out", bucket.address("night/tags.csv"), *options)
        assert done.returncode == 3, done.stderr
        assert done.stderr.splitlines()[-1].endswith("Written to s3://shop/night/tags.csv.")
        report = json.loads(bucket.read("night/run.json"))
        assert (report["status"], report["run"], report["counts"]["scored"]) == ("done", night, 8 if night == 1 else 0)
        assert (report["out"], report["ledger"]) == (bucket.address("night/tags.csv"), bucket.address(LEDGER))
        changes = json.loads(bucket.read("night/changes.json"))["rows"]
        assert len(changes) == (10 if night == 1 else 0)
    assert bucket.keys() == [f"night/{name}" for name in ("changes.json", "run.json", "tags.csv", "tags.ledger")]
    fmtag("run", shop, "--out", tmp_path / "tags.csv")
    assert bucket.read("night/tags.csv") == (tmp_path / "tags.csv").read_bytes()
    (tmp_path / "read.ledger").write_bytes(bucket.read(LEDGER))
    assert query(tmp_path / "read.ledger", "SELECT count(*) FROM items") == [(10,)]


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_has_the_bytes_of_a_local_run(
    good_shop: Path, bucket: Bucket, small_bundle: Path, tmp_path: Path, suffix: str
) -> None:
    """With the ledger on this machine or in the bucket."""
    for ledger in (bucket.address("my.db"), tmp_path / "my.ledger"):
        out = bucket.address(f"tags.{suffix}")
        done = run_cli("run", good_shop, "--out", out, "--ledger", ledger, "--model", small_bundle, "--quiet")
        assert (done.code, done.err) == (0, "")
    run(RunSettings(str(good_shop), str(tmp_path / f"tags.{suffix}"), model=str(small_bundle)))
    assert bucket.read(f"tags.{suffix}") == (tmp_path / f"tags.{suffix}").read_bytes()
    assert bucket.keys() == ["my.db", f"tags.{suffix}"]


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_stopped_run_goes_on(
    large_shop: Path, bucket: Bucket, small_bundle: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """A killed run leaves nothing in the bucket, and scores nothing twice; one that was stopped has saved its ledger there."""
    shop = tmp_path / "shop"
    shop.mkdir()
    for photo in sorted(large_shop.iterdir())[:PHOTOS]:
        (shop / photo.name).hardlink_to(photo)
    bucket.write("night/tags.csv", b"the old one\n")
    out, copy = bucket.address("night/tags.csv"), working_copy(bucket.address(LEDGER))
    command = [sys.executable, "-m", "tagger", "run", shop, "--out", out, "--model", small_bundle, "--batch-size", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        limit = time.monotonic() + 120
        while count_items(copy) < 5:
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < limit
            time.sleep(0.02)
        process.send_signal(number)
        process.wait(60)
    killed = number == signal.SIGKILL
    assert process.returncode == (-number if killed else 128 + number)
    assert bucket.read("night/tags.csv") == b"the old one\n"
    assert bucket.has(LEDGER) != killed
    kept = count_items(copy)
    assert run(RunSettings(str(shop), out, model=str(small_bundle))).files_read == PHOTOS - kept
    run(RunSettings(str(shop), str(tmp_path / "tags.csv"), model=str(small_bundle)))
    assert bucket.read("night/tags.csv") == (tmp_path / "tags.csv").read_bytes()
    (tmp_path / "read.ledger").write_bytes(bucket.read(LEDGER))
    assert query(tmp_path / "read.ledger", "SELECT count(*) FROM items") == [(PHOTOS,)]


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (Fault("PUT", "403 Forbidden", "AccessDenied", "tags.csv"), "tags.csv"),
        (Fault("PUT", "400 Bad Request", "ExpiredToken", "tags.csv"), "expired"),
        (Fault("PUT", "400 Bad Request", "ExpiredToken", "tags.ledger"), "expired"),
        (Fault("PUT", "400 Bad Request", "ExpiredToken", "run.json"), "expired"),
        (Fault("", "403 Forbidden", "AccessDenied"), "s3://shop"),
    ],
    ids=["denied", "expired", "expired-ledger", "expired-report", "denied-at-once"],
)
def test_a_bucket_that_refuses_is_one_sentence(
    good_shop: Path, bucket: Bucket, small_bundle: Path, tmp_path: Path, fault: Fault, word: str
) -> None:
    """Whatever could not be written is as it was, without a traceback, and the next run scores nothing again."""
    for key in ("night/tags.csv", "night/run.json"):
        bucket.write(key, b"the old one\n")
    bucket.faults.append(fault)
    command = ["run", good_shop, "--out", bucket.address("night/tags.csv"), "--model", small_bundle, "--quiet"]
    options = ["--report", bucket.address("night/run.json")] if fault.ending == "run.json" else []
    done = run_cli(*command, *options)
    bucket.faults.clear()
    assert_one_sentence(done, 1, word)
    if fault.ending != "tags.ledger":
        assert bucket.read(f"night/{fault.ending or 'tags.csv'}") == b"the old one\n"
    again = run_cli(*command, "--report", tmp_path / "run.json")
    assert (again.code, again.err) == (0, "")
    scored = json.loads((tmp_path / "run.json").read_text())["counts"]["scored"]
    assert scored == (0 if fault.method else 8)


@pytest.mark.parametrize(
    ("out", "parts"),
    [
        ("s3://nowhere/tags.csv", ("nowhere",)),
        ("https://shop.test/tags.csv", ("is on a web server",)),
        ("s3://shop/tags", ("its suffix names no format",)),
    ],
)
def test_an_address_that_cannot_be_written_is_refused_at_once(
    good_shop: Path, bucket: Bucket, small_bundle: Path, out: str, parts: tuple[str, ...]
) -> None:
    """Before any photo is read."""
    assert_one_sentence(run_cli("run", good_shop, "--out", out, "--model", small_bundle), 1, *parts)
    assert bucket.keys() == []


def test_no_output_replaces_the_source_in_the_bucket(bucket: Bucket, small_bundle: Path) -> None:
    """Neither the table itself nor, by the name of a picture, one of its photos."""
    table = b"image\na.jpg\n"
    bucket.write("list.csv", table)
    done = run_cli("run", "s3://shop/list.csv", "--out", "s3://shop/list.csv", "--model", small_bundle)
    assert_one_sentence(done, 1, "s3://shop/list.csv is the source itself and would be replaced")
    assert (bucket.keys(), bucket.read("list.csv")) == (["list.csv"], table)


@pytest.mark.parametrize(
    ("command", "remedy"),
    [
        (("nights", "s3://shop/tags.csv"), "download its ledger, and give that to --ledger"),
        (("corrections", "s3://shop/tags.csv", "--out", "c.csv"), "download its ledger, and give that to --ledger"),
        (("review", "--ledger", "s3://shop/tags.ledger"), "download the ledger first"),
        (("explain", "a.jpg", "--ledger", "s3://shop/tags.ledger"), "download the ledger first"),
        (("compare", "--out", "s3://shop/rows.csv"), "give a path of this machine"),
    ],
)
def test_commands_that_read_ledgers_want_files(command: tuple[str, ...], remedy: str) -> None:
    """An address is wrong usage there, and no folder named `s3:` is looked for."""
    done = run_cli(*command)
    assert done.code == 2
    assert done.err.strip().splitlines()[-1].endswith(f"is an address, which is not read or written here; {remedy}.")


def test_a_run_on_this_machine_needs_no_bucket(good_shop: Path, small_bundle: Path, tmp_path: Path) -> None:
    """Neither its libraries nor a working copy of a ledger."""
    program = (
        "import sys; from tagger.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print({'fsspec', 's3fs', 'boto3', 'aiohttp', 'tagger.storage.objects'} & set(sys.modules))"
    )
    command = ["run", good_shop, "--out", tmp_path / "tags.csv", "--model", small_bundle, "--quiet"]
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-c", program, *command], capture_output=True, text=True, env=environment)
    assert (done.stdout, done.stderr) == ("set()\n", "")
    assert not (tmp_path / "cache" / "fmtag").exists()
