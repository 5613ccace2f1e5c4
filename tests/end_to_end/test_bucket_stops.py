"""Real runs on a bucket that are stopped, killed or divided among processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bucket_source_helpers import put_folder
from helpers import rows_of, run_cli, write_photos
from run_helpers import count_items

from benchmarks.speed.s3_server import Server, serving

PHOTOS = 130


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog that is worth some processes."""
    return write_photos(tmp_path_factory.mktemp("large") / "shop", PHOTOS, (60, 80))


@pytest.fixture(scope="module")
def running_server(photos: Path) -> Iterator[Server]:
    """A server that has it."""
    with serving(objects={}) as server:
        put_folder(server, photos, "in/")
        yield server


@pytest.fixture
def server(running_server: Server) -> Server:
    """The same without faults and latency."""
    running_server.clear_faults()
    running_server.latency(0)
    running_server.reset()
    return running_server


@contextmanager
def running(server: Server, bundle: Path, out: Path, *options: str) -> Iterator["subprocess.Popen[str]"]:
    """Start a real run on the bucket."""
    command = [sys.executable, "-m", "tagger", "run", "s3://photos/in", "--out", out, "--model", bundle, *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | server.environment) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_items(process: "subprocess.Popen[str]", ledger: Path, count: int) -> None:
    limit = time.monotonic() + 120
    while count_items(ledger) < count:
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < limit
        time.sleep(0.02)


def messages_of(process: "subprocess.Popen[str]") -> str:
    assert process.stderr is not None
    return process.stderr.read()


def local(photos: Path, bundle: Path, out: Path) -> bytes:
    run_cli("run", photos, "--out", out, "--model", bundle, "--quiet")
    return out.read_bytes()


@pytest.mark.slow
def test_a_second_signal_ends_a_run_whose_bucket_hardly_answers(server: Server, small_bundle: Path, tmp_path: Path) -> None:
    """The first one waits for the batch; the second for no photo that is on its way. The libraries do not say a word."""
    server.latency(150)
    with running(server, small_bundle, tmp_path / "t.csv", "--batch-size", "1", "--workers", "1") as process:
        wait_for_items(process, tmp_path / "t.ledger", 3)
        server.fault("slow", method="GET", times=None, bytes_per_second=1)
        server.latency(0)
        time.sleep(1)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        messages = messages_of(process)
        assert process.wait(60) == 143
        assert time.monotonic() - began < 15
    lines = messages.splitlines()
    assert len(lines) == 2, messages
    assert lines[0].startswith("fmtag ")
    assert lines[1].startswith("Interrupted; ")


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on(server: Server, photos: Path, small_bundle: Path, tmp_path: Path) -> None:
    """Nothing that was done is requested again, and the output is that of a local run."""
    server.latency(40)
    with running(server, small_bundle, tmp_path / "t.csv", "--batch-size", "2", "--workers", "1") as process:
        wait_for_items(process, tmp_path / "t.ledger", 10)
        process.kill()
        process.wait()
    done = count_items(tmp_path / "t.ledger")
    server.latency(0)
    server.reset()
    with running(server, small_bundle, tmp_path / "t.csv", "--workers", "1") as process:
        messages = messages_of(process)
        assert process.wait(120) == 0, messages
    assert server.requests()["get"] == PHOTOS - done
    assert (tmp_path / "t.csv").read_bytes() == local(photos, small_bundle, tmp_path / "local.csv")
    assert "asyncio" not in messages
    assert "Unclosed" not in messages


@pytest.mark.slow
def test_a_run_that_fails_says_one_sentence(server: Server, small_bundle: Path, tmp_path: Path) -> None:
    """Of its own, whatever its requests are doing; no connection, thread or file is complained of."""
    server.fault("error", method="GET", code="ExpiredToken", key="in/0040.jpg", times=None)
    server.fault("slow", method="GET", key="in/00[5-9]*.jpg", times=None, bytes_per_second=1)
    with running(server, small_bundle, tmp_path / "t.csv", "--batch-size", "8") as process:
        messages = messages_of(process)
        assert process.wait(60) == 1
    lines = messages.splitlines()
    assert len(lines) == 2, messages
    assert lines[0].startswith("fmtag ")
    assert lines[1].startswith(
        "Error: s3://photos/in/0040.jpg cannot be read: the credentials are missing, not valid or have expired"
    )
    assert count_items(tmp_path / "t.ledger") == 40


@pytest.mark.slow
def test_processes_give_the_same_rows(
    server: Server, photos: Path, small_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many read, and whatever fails meanwhile; each object is requested once."""
    server.fault("error", method="GET", times=2)
    script = (
        "import sys, tagger.run.pipeline as p; p.pays = lambda *_: True; from tagger.cli.main import main; main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", script, "run", "s3://photos/in", "--workers", "3", "--model", small_bundle]
    done = subprocess.run(
        [*command, "--out", tmp_path / "t.csv"], env=os.environ | server.environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "t.csv").read_bytes() == local(photos, small_bundle, tmp_path / "local.csv")
    assert server.requests()["get"] == PHOTOS + 2
    assert len(done.stderr.splitlines()) <= 4, done.stderr
    server.fault("error", method="GET", code="ExpiredToken", key="in/0090.jpg", times=None)
    command.append("--fresh")
    done = subprocess.run(
        [*command, "--out", tmp_path / "t.csv"], env=os.environ | server.environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "Error: s3://photos/in/0090.jpg cannot be read: the credentials are missing" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(rows_of(tmp_path / "t.csv")) == PHOTOS
