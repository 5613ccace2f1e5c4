"""Runs over many photos divide the work among processes: the same rows, and none outlives the run, however that ends."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import draw_photo, run_cli

from tagger.run import worker_processes
from tagger.run.worker_processes import FORKED, pays

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").is_file(), reason="finds processes in /proc")

MARK = "FMTAG_TEST_MARK"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a few more photos than three processes are started for, some the same, one broken."""
    folder = tmp_path_factory.mktemp("processes") / "shop"
    folder.mkdir()
    for number in range(3 * FORKED + 5):
        draw_photo(number % 140, (60, 80)).save(folder / f"{number:03}.png")
    (folder / "007.png").write_bytes((folder / "008.png").read_bytes()[:300])
    return folder


def marked(mark: str) -> set[int]:
    """Return the processes that have a mark in their environment."""
    found = set()
    for place in Path("/proc").iterdir():
        try:
            if place.name.isdigit() and mark.encode() in (place / "environ").read_bytes():
                found.add(int(place.name))
        except OSError:  # ended meanwhile, or somebody else's
            continue
    return found


def gone(mark: str) -> bool:
    """Wait until no process with a mark is left; false after a minute."""
    limit = time.monotonic() + 60
    while marked(mark):
        if time.monotonic() > limit:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def started(shop: Path, small_bundle: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Start a run in three processes, and give it, with its mark, once they have begun."""
    mark = uuid.uuid4().hex
    command = [
        sys.executable,
        "-m",
        "tagger",
        "run",
        shop,
        "--out",
        tmp_path / "t.csv",
        "--model",
        small_bundle,
        "--workers",
        "2",
    ]
    with subprocess.Popen(command, env=os.environ | {MARK: mark}, stderr=subprocess.DEVNULL) as process:
        # The run itself, the process that the others are forked from, that of multiprocessing's resources, and workers.
        while len(marked(mark)) < 4 and process.poll() is None:
            time.sleep(0.01)
        try:
            yield process, mark
        finally:
            process.kill()


def test_rows_are_the_same_at_any_number_of_workers(
    shop: Path, small_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thread and three processes give the same rows, duplicates and failures among them."""
    monkeypatch.setattr(worker_processes, "STARTED", FORKED)  # as these processes are: torch is imported here
    assert pays(3, 3 * FORKED + 5)
    rows = []
    for workers in ("1", "3"):
        done = run_cli("run", shop, "--out", tmp_path / f"{workers}.csv", "--model", small_bundle, "--workers", workers)
        assert done.code == 3
        rows.append((tmp_path / f"{workers}.csv").read_bytes())
    assert rows[0] == rows[1]
    assert rows[0].count(b"\n") == 3 * FORKED + 6


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_outlives_the_run(
    started: tuple[subprocess.Popen[bytes], str], number: int, shop: Path, small_bundle: Path, tmp_path: Path
) -> None:
    """Killed or stopped, the run leaves no process behind, and run again it gives all rows."""
    process, mark = started
    process.send_signal(number)
    process.wait(60)
    assert gone(mark)
    assert run_cli("run", shop, "--out", tmp_path / "t.csv", "--model", small_bundle, "--workers", "1").code == 3
    assert (tmp_path / "t.csv").read_bytes().count(b"\n") == 3 * FORKED + 6
