"""One run at a time: real processes that want the same ledger."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import Fmtag

from tagger.errors import LockedError
from tagger.run.pipeline import run
from tagger.run.settings import RunSettings


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start another process that holds the lock of a ledger."""
    script = (
        "import time; from pathlib import Path; from tagger.run.ledger_file import exclusive\n"
        f"with exclusive(Path({str(path)!r})): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_second_run_exits_4_and_names_the_first(fmtag: Fmtag, shop: Path, tmp_path: Path) -> None:
    """It ends at once and names process, host and start of the first; the old output stays, and no report is written."""
    (tmp_path / "t.csv").write_text("old")
    with holder(tmp_path / "t.ledger") as process:
        done = fmtag("run", shop, "--out", tmp_path / "t.csv", "--report", tmp_path / "run.json")
        assert done.returncode == 4
        assert f"process {process.pid} on " in done.stderr
        assert ", since 20" in done.stderr
        assert (tmp_path / "t.csv").read_text() == "old"
        assert not (tmp_path / "run.json").exists()


def test_waiting_for_another_run(shop: Path, small_bundle: Path, tmp_path: Path) -> None:
    """--wait takes over when the first is done, or was killed, which frees its lock; and ends after its seconds."""
    settings = RunSettings(str(shop), str(tmp_path / "tags.csv"), model=str(small_bundle))
    with holder(tmp_path / "tags.ledger") as process:
        with pytest.raises(LockedError):
            run(replace(settings, wait=0.3))
        process.kill()
        process.wait()
        assert run(replace(settings, wait=20.0)).photos == 10
    assert not (tmp_path / "tags.ledger.lock").exists()


@pytest.mark.slow
def test_of_8_runs_at_once_one_works(large_shop: Path, small_bundle: Path, tmp_path: Path) -> None:
    """Seven exit with 4 and name the one that works, whose output is right."""
    command = [sys.executable, "-m", "tagger", "run", large_shop, "--out", tmp_path / "t.csv", "--model", small_bundle]
    command += ["--batch-size", "1"]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(8)]
    ended = [(process.communicate()[1], process.returncode, process.pid) for process in started]
    winners = [pid for _, code, pid in ended if code == 0]
    assert sorted(code for _, code, _ in ended) == [0] + [4] * 7
    assert all(f"process {winners[0]} on " in messages for messages, code, _ in ended if code == 4)
    run(RunSettings(str(large_shop), str(tmp_path / "reference.csv"), model=str(small_bundle)))
    assert (tmp_path / "t.csv").read_bytes() == (tmp_path / "reference.csv").read_bytes()
