"""`--engine ray` gives the bytes of a local run, whatever ends a worker, a node or the run itself, and leaves nothing behind.

Each test starts Ray's processes, which takes some ten seconds.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers import ROOT, draw_photo
from run_helpers import age

pytest.importorskip("ray")

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]

PHOTOS = 400
"""Seven blocks."""

SECONDS = 180


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos, copies of them, and files of every kind of failure."""
    folder = tmp_path_factory.mktemp("cluster") / "photos"
    folder.mkdir()
    for number in range(PHOTOS):
        draw_photo(number).save(folder / f"{number:04d}.jpg")
    whole = (folder / "0001.jpg").read_bytes()
    (folder / "0002 copy.jpg").write_bytes(whole)
    (folder / "zz copy.jpg").write_bytes(whole)
    (folder / "text.jpg").write_text("no image")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "0100 cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "caf\u00e9 \U0001f45f.jpg").write_bytes((folder / "0003.jpg").read_bytes())
    shutil.copy(folder / "0004.jpg", os.fsencode(folder) + b"/\xff.jpg")
    age(*folder.iterdir())
    return folder


@pytest.fixture(scope="module")
def table(photos: Path) -> Path:
    """A Parquet table with photos in it, one of them damaged, and a row without one."""
    cells = [{"bytes": (photos / f"{number:04d}.jpg").read_bytes(), "path": f"{number}.jpg"} for number in range(100)]
    cells[7] = {"bytes": cells[7]["bytes"][:900], "path": "7.jpg"}
    file = photos.parent / "table.parquet"
    pq.write_table(pa.table({"sku": [*map(str, range(101))], "image": [*cells, None]}), file)
    return file


def command(source: Path, out: Path, bundle: Path, *options: str) -> list[str]:
    """Return a command line."""
    options = (*options, "--out", str(out), "--report", str(out.with_suffix(".report.json")), "--model", f"{bundle}/")
    return [sys.executable, "-m", "tagger", "run", str(source), *options]


def run(source: Path, out: Path, bundle: Path, *options: str, code: int = 3) -> str:
    """Run a command to its end, and return what it wrote to standard error."""
    done = subprocess.run(
        command(source, out, bundle, *options), capture_output=True, text=True, timeout=SECONDS, cwd=ROOT, check=False
    )
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    return done.stderr


def failures_of(out: Path) -> Any:
    """Return the failures and counts that a run reported."""
    report = json.loads(out.with_suffix(".report.json").read_text())
    return report["failures"], report["counts"]


@pytest.fixture(scope="module")
def local(photos: Path, photo_bundle: Path) -> Path:
    """The output of a local run over the photos."""
    out = photos.parent / "local.csv"
    run(photos, out, photo_bundle)
    return out


def processes(*words: str) -> dict[int, str]:
    """Return the running processes whose command lines have one of these words."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if any(word in line for word in words) and (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    found[int(entry.name)] = line
            except OSError:
                continue
    return found


def descendants(root: int) -> set[int]:
    """Return the processes below one, by their parents as they are now."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = {root}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {root}


def working(root: int) -> list[int]:
    """Return the workers below a process that are at a block."""
    return [process for process in descendants(root) if process in processes("ray::MapWorker", ".submit")]


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Return the first true value of a condition."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
    return found


@contextmanager
def started(line: list[str], **more: Any) -> Iterator[subprocess.Popen[str]]:
    """Start a command, and kill it with all below it at the end, should it still run."""
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, **more) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                for one in [process.pid, *descendants(process.pid)]:
                    os.kill(one, signal.SIGKILL)


def test_rows_of_a_folder_are_those_of_a_local_run_though_a_worker_is_killed(
    photos: Path, photo_bundle: Path, local: Path, tmp_path: Path
) -> None:
    out = tmp_path / "tags.csv"
    with started(command(photos, out, photo_bundle, "--engine", "ray")) as process:
        os.kill(wait_for(lambda: working(process.pid))[0], signal.SIGKILL)
        printed, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, printed) == (3, "")
    assert out.read_bytes() == local.read_bytes()
    assert failures_of(out) == failures_of(local)
    assert len(err.splitlines()) == 5, err  # the run, three failures and the counts: no lines of Ray


def test_rows_of_a_table_are_those_of_a_local_run(table: Path, fused_bundle: Path, tmp_path: Path) -> None:
    options = ("--allow-truncated", "--top-k", "3")
    run(table, tmp_path / "local.csv", fused_bundle, *options, code=0)
    run(table, tmp_path / "ray.csv", fused_bundle, *options, "--engine", "ray", code=0)
    assert (tmp_path / "ray.csv").read_bytes() == (tmp_path / "local.csv").read_bytes()


def test_a_killed_run_goes_on_from_where_it_was(photos: Path, photo_bundle: Path, local: Path, tmp_path: Path) -> None:
    out = tmp_path / "ray.csv"
    line = command(photos, out, photo_bundle, "--engine", "ray", "--batch-size", "8")
    with started(line) as process:
        wait_for(lambda: out.with_suffix(".ledger").exists() and recorded(out) >= 64)
        below = descendants(process.pid)
        process.kill()
        process.communicate()
    # Ray's two agents, which use next to nothing, notice only after a minute.
    wait_for(lambda: not below & processes("ray::MapWorker", "raylet/raylet", "gcs_server").keys(), 20)
    before = recorded(out)
    assert 0 < before < PHOTOS
    run(photos, out, photo_bundle, "--engine", "ray")
    assert out.read_bytes() == local.read_bytes()
    everything = failures_of(local)[1]["looked_at"]
    assert everything - before <= failures_of(out)[1]["looked_at"] < everything  # those that failed are tried again


def test_an_interrupted_run_keeps_its_results_and_leaves_no_process(photos: Path, photo_bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "ray.csv"
    line = command(photos, out, photo_bundle, "--engine", "ray", "--batch-size", "8")
    with started(line, start_new_session=True) as process:
        wait_for(lambda: out.with_suffix(".ledger").exists() and recorded(out) >= 64)
        below = descendants(process.pid)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted" in err
    assert "Traceback" not in err
    wait_for(lambda: not below & processes("ray", "raylet", "gcs_server").keys(), 10)
    assert recorded(out) >= 64


def recorded(out: Path) -> int:
    """Return how many photos a ledger has that may be in use."""
    from run_helpers import query

    try:
        return int(query(out.with_suffix(".ledger"), "SELECT count(*) FROM items WHERE run IS NOT NULL")[0][0])
    except Exception:  # its tables are not there yet
        return 0


def test_a_photo_that_ends_its_worker_each_time_ends_the_run(photos: Path, photo_bundle: Path, tmp_path: Path) -> None:
    out, done = tmp_path / "ray.csv", Event()
    with started(command(photos, out, photo_bundle, "--engine", "ray", "--batch-size", "8")) as process:

        def kill() -> None:
            wait_for(lambda: recorded(out) >= 64)
            while not done.wait(0.05):
                for worker in working(process.pid):
                    try:
                        os.kill(worker, signal.SIGKILL)
                    except ProcessLookupError:
                        continue

        killing = Thread(target=kill)
        killing.start()
        try:
            _, err = process.communicate(timeout=SECONDS)
        finally:
            done.set()
            killing.join()
    assert process.returncode == 1
    assert err.splitlines()[-1].startswith("Error: A worker of the cluster ended again and again")
    assert recorded(out) >= 64


def test_rows_are_those_of_a_local_run_though_a_node_is_killed(
    photos: Path, photo_bundle: Path, local: Path, tmp_path: Path
) -> None:
    with started([sys.executable, "-c", CLUSTER], stdin=subprocess.PIPE) as cluster:
        assert cluster.stdout is not None
        assert cluster.stdin is not None
        address = cluster.stdout.readline().strip()
        out = tmp_path / "ray.csv"
        options = ("--engine", "ray", "--ray-address", address, "--batch-size", "8")
        with started(command(photos, out, photo_bundle, *options)) as process:
            wait_for(lambda: recorded(out) >= 64)
            cluster.stdin.write("\n")
            cluster.stdin.flush()
            assert cluster.stdout.readline().strip() == "removed"
            assert recorded(out) < PHOTOS
            _, err = process.communicate(timeout=SECONDS)
        cluster.stdin.write("\n")
        cluster.stdin.flush()
        cluster.communicate(timeout=60)
    assert process.returncode == 3, err
    assert out.read_bytes() == local.read_bytes()


CLUSTER = """
import sys
from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 200_000_000})
nodes = [cluster.add_node(num_cpus=1, object_store_memory=200_000_000) for _ in range(2)]
print(cluster.address, flush=True)
sys.stdin.readline()
cluster.remove_node(nodes[0], allow_graceful=False)
print("removed", flush=True)
sys.stdin.readline()
cluster.shutdown()
"""
"""A head without processors and two nodes with one each, of which the first is killed at the first line of standard input."""
