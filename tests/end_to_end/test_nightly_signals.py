"""Real runs that are interrupted, killed, or find no disk space: nothing is lost and nothing is half-written."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from run_helpers import age, count_items

from tagger.run.pipeline import run
from tagger.run.settings import RunSettings

LIMITED = (
    "import resource, sys; from tagger.cli.main import main;"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY)); main(sys.argv[2:])"
)


@contextmanager
def running(shop: Path, bundle: Path, out: Path, *options: str, heed: bool = True) -> Iterator[subprocess.Popen[bytes]]:
    """Start a real run, and give it when some batches are in its ledger and far more are ahead."""
    command = [sys.executable, "-m", "tagger", "run", shop, "--out", out, "--model", bundle, "--batch-size", "1", *options]
    # Processes that a shell starts in the background, maybe these tests, ignore Ctrl-C, and their children inherit that.
    set_handler = partial(signal.signal, signal.SIGINT, signal.SIG_DFL if heed else signal.SIG_IGN)
    with subprocess.Popen(command, stderr=subprocess.PIPE, preexec_fn=set_handler) as process:
        limit = time.monotonic() + 120
        while count_items(out.with_suffix(".ledger")) < 5:
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < limit
            time.sleep(0.02)
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)])
def test_a_signal_ends_the_run_after_the_batch(
    large_shop: Path, small_bundle: Path, tmp_path: Path, number: int, code: int
) -> None:
    """The run exits with 128 + the signal, without a traceback, the old output whole; run again it continues from there."""
    out = tmp_path / "t.csv"
    out.write_bytes(b"the old one\n")
    report = tmp_path / "run.json"
    with running(large_shop, small_bundle, out, "--report", str(report)) as process:
        process.send_signal(number)
        assert process.stderr is not None
        messages = process.stderr.read().decode()
        assert process.wait(60) == code
    assert messages.splitlines()[-1].startswith("Interrupted; the output is as it was before.")
    assert "Traceback" not in messages
    assert out.read_bytes() == b"the old one\n"
    assert sorted(os.listdir(tmp_path)) == ["run.json", "t.csv", "t.ledger"]
    assert json.loads(report.read_text())["status"] == "interrupted"
    kept = count_items(tmp_path / "t.ledger")
    after = run(RunSettings(str(large_shop), str(out), model=str(small_bundle)))
    assert after.files_read == 400 - kept
    assert after.photos == 400


def test_kill_9_loses_nothing(large_shop: Path, small_bundle: Path, tmp_path: Path) -> None:
    """A killed run leaves the old output byte for byte; the next one continues, to the same bytes."""
    out = tmp_path / "t.csv"
    out.write_bytes(b"the old one\n")
    with running(large_shop, small_bundle, out) as process:
        process.kill()
        assert process.wait(60) == -signal.SIGKILL
    assert out.read_bytes() == b"the old one\n"
    kept = count_items(tmp_path / "t.ledger")
    assert list(tmp_path.glob(".t.csv.*.tmp"))
    assert run(RunSettings(str(large_shop), str(out), model=str(small_bundle))).files_read == 400 - kept
    assert not list(tmp_path.glob(".t.csv.*.tmp"))
    run(RunSettings(str(large_shop), str(tmp_path / "reference.csv"), model=str(small_bundle)))
    assert out.read_bytes() == (tmp_path / "reference.csv").read_bytes()


@pytest.mark.slow
def test_an_ignored_signal_stays_ignored(large_shop: Path, small_bundle: Path, tmp_path: Path) -> None:
    """Under nohup or in the background of a shell, Ctrl-C does not stop the run."""
    with running(large_shop, small_bundle, tmp_path / "t.csv", heed=False) as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(300) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("known", "limit", "options", "names"),
    [
        (False, 1_000, [], "t.ledger"),  # as it is made
        (False, 120_000, [], "t.ledger"),  # at the commit of a batch
        (True, 150_000, ["--top-k", "10", "--format", "json"], "t.csv"),
        (True, 75_000, ["--min-confidence", "1", "--changes", "changes.json"], "changes.json"),
        (True, 75_000, ["--min-confidence", "1"], "t.ledger"),  # at the last commit, when the output has been replaced
        (True, 75_000, ["--min-confidence", "0", "--report", "run.json"], "run.json"),  # no row changes, so the ledger fits
    ],
    ids=["ledger", "batch", "output", "changes", "publishing", "report"],
)
def test_a_full_disk_at_each_stage(
    large_shop: Path, small_bundle: Path, tmp_path: Path, known: bool, limit: int, options: list[str], names: str
) -> None:
    """One sentence names the file that found no space, no output is half-written, and the next run ends right."""
    shop = shutil.copytree(large_shop, tmp_path / "shop", copy_function=os.link)
    for number in range(500):
        (shop / f"broken {number}.jpg").write_bytes(b"no image")
        age(shop / f"broken {number}.jpg")
    out, settings = tmp_path / "t.csv", {"model": str(small_bundle), "give_up": 1, "min_confidence": 0.0}
    if known:
        run(RunSettings(str(shop), str(out), **settings))  # type: ignore[arg-type]
    out.write_bytes(b"the old one\n")
    command = [*map(str, ["run", shop, "--out", out, "--model", small_bundle, "--quiet", "--give-up", "1"]), *options]

    limited = [sys.executable, "-c", LIMITED, str(limit), *command]
    done = subprocess.run(limited, capture_output=True, timeout=300, text=True, cwd=tmp_path)

    assert done.returncode == 1, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    messages = done.stderr.strip()
    assert messages.startswith("Error: ")
    assert names in messages
    written = names == "run.json" or options == ["--min-confidence", "1"]
    assert (out.read_bytes() == b"the old one\n") != written
    assert not list(tmp_path.glob(".*.tmp"))

    resumed = subprocess.run([sys.executable, "-m", "tagger", *command], capture_output=True, timeout=300, cwd=tmp_path)
    assert resumed.returncode == 3
    fresh = [*command[:3], str(tmp_path / "fresh.csv"), *command[4:]]
    subprocess.run([sys.executable, "-m", "tagger", *fresh], capture_output=True, timeout=300, cwd=tmp_path)
    assert out.read_bytes() == (tmp_path / "fresh.csv").read_bytes()
    if "changes.json" in options:
        assert len(json.loads((tmp_path / "changes.json").read_bytes())["rows"]) > 0


@pytest.mark.slow
def test_200_kills_lose_nothing(small_bundle: Path) -> None:
    """Killed at 200 random moments over 2,000 photos, damaged ones among them, runs end in the same bytes.

    What was committed is never scored again: each photo's bytes keep the number of the run that scored them.
    """
    command = [sys.executable, "-m", "benchmarks.robustness.kills", "--kills", "200", "--photos", "2000"]
    done = subprocess.run([*command, "--model", small_bundle], capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("200 kills (")
