"""The benchmarks of speed: their sets of photos, the timing and memory of processes, stages of a run, and their targets."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import draw_photo, write_photos
from PIL import Image

from benchmarks.speed import page, peers, photo_sets, plain_decode, stages, targets
from benchmarks.speed.measuring import alternate, median_ratio, peak_memory, shown_options, timed
from benchmarks.speed.photo_sets import PhotoSet, opened_set

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = {"1600-jpg": PhotoSet(60, "jpg", 5), "28-png": PhotoSet(28, "png", 5), "1600-webp": PhotoSet(50, "webp", 2)}


@pytest.fixture
def sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return small sets, made of two photos."""
    monkeypatch.setattr(photo_sets, "SETS", SMALL)
    monkeypatch.setattr(photo_sets, "choose_quality", lambda files: 85)
    photo_sets.make_sets(write_photos(tmp_path / "photos", 2), tmp_path / "sets")
    return tmp_path / "sets"


# Sets --------------------------------------------------------------------------------------------------------------


def test_sets_have_photos_of_their_own(sets: Path) -> None:
    """Each set has its number of photos, of its side and kind, no two of the same bytes though the folder has fewer."""
    for name, (side, suffix, count) in SMALL.items():
        files = sorted((sets / name / "all").iterdir())
        assert [file.name for file in files] == [f"{number:05d}.{suffix}" for number in range(count)]
        for file in files:
            with Image.open(file) as photo:
                assert max(photo.size) == side
        assert len({hashlib.sha256(file.read_bytes()).digest() for file in files}) == count


def test_sets_are_made_once(sets: Path, tmp_path: Path) -> None:
    """A set with the same parameters is left alone, one with others is made again; the same seed gives the same bytes."""
    first = sets / "1600-jpg" / "all" / "00003.jpg"
    content, changed = first.read_bytes(), first.stat().st_mtime_ns
    photo_sets.make_sets(tmp_path / "photos", sets)
    assert first.stat().st_mtime_ns == changed
    photo_sets.make_sets(tmp_path / "photos", sets, seed=1)
    assert first.read_bytes() != content
    photo_sets.make_sets(tmp_path / "photos", sets)
    assert first.read_bytes() == content


def test_a_limited_set_is_removed_again(sets: Path) -> None:
    """A limit gives a folder with so many of the photos while the block lasts; where a set is missing, its command is named."""
    before = sorted(sets.iterdir())
    with opened_set(sets, "1600-jpg", 3) as (folder, count):
        assert (count, len([*(folder / "all").iterdir()])) == (3, 3)
    with opened_set(sets, "1600-jpg", 99) as (folder, count):
        assert (folder, count) == (sets / "1600-jpg", 5)
    assert sorted(sets.iterdir()) == before
    with pytest.raises(SystemExit, match="photo_sets"), opened_set(sets, "none"):
        pass


def test_the_quality_gives_files_as_phones_send_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The quality is the one whose files are nearest in size to what is wanted."""
    photos = [tmp_path / f"{number}.png" for number in range(2)]
    for number, path in enumerate(photos):
        draw_photo(number).save(path)
    monkeypatch.setattr(photo_sets, "_encoded", lambda photo, suffix, quality: bytes(quality * 2_000))
    monkeypatch.setattr(photo_sets, "JPEG_BYTES", 2_000 * 88)
    assert photo_sets.choose_quality(photos) == 88


# Measuring ---------------------------------------------------------------------------------------------------------


def test_whole_processes_are_timed() -> None:
    """The time is that until the process has ended, its text comes back, cores are those given, and a failure ends it all."""
    code = "import os, time; time.sleep(0.2); print(os.sched_getaffinity(0))"
    core = min(os.sched_getaffinity(0))
    seconds, printed = timed([sys.executable, "-c", code], [core])
    assert (seconds > 0.2, printed) == (True, f"{{{core}}}\n")
    with pytest.raises(SystemExit, match="broken"):
        timed([sys.executable, "-c", "raise SystemExit('broken')"])


def test_memory_is_that_of_all_processes() -> None:
    """What a process below the command holds is counted, and what it shares with it only once in the proportional size."""
    code = "import os, time; b = b'x' * 100_000_000; pid = os.fork(); time.sleep(0.5); pid and os.waitpid(pid, 0)"
    memory = peak_memory([sys.executable, "-c", code])
    assert memory.processes == 2
    assert 95 < memory.proportional < 130
    assert memory.resident > 190


def test_measures_take_turns() -> None:
    """All are called once before any is called again, and ratios are taken pair by pair."""
    calls: list[str] = []
    values = alternate({name: lambda name=name: calls.append(name) or float(len(calls)) for name in "ab"}, 3)
    assert (calls, values) == ([*"ababab"], {"a": [1, 3, 5], "b": [2, 4, 6]})
    assert median_ratio([2, 9, 4], [1, 3, 4]) == 2


# Ceiling -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("longer", "scale"), [(399, 1), (799, 1), (800, 2), (1600, 4), (3199, 4), (4000, 8), (9000, 8)])
def test_the_scale_keeps_what_the_networks_need(longer: int, scale: int) -> None:
    """It is the least of libjpeg's scales at which the longer side has 400 pixels."""
    assert plain_decode.scale_of(longer) == scale


@pytest.mark.parametrize(
    ("suffix", "name"), [(suffix, name) for suffix, some in plain_decode.BINDINGS.items() for name in some]
)
def test_bindings_decode_the_whole_photo(suffix: str, name: str, tmp_path: Path) -> None:
    """Each binding gives the photo at its scale, a JPEG's at half its size here, and the best one is among them."""
    draw_photo(1, (1000, 800)).save(tmp_path / f"photo.{suffix}")
    decoded = plain_decode.BINDINGS[suffix][name]((tmp_path / f"photo.{suffix}").read_bytes())
    size = decoded.shape[1::-1] if isinstance(decoded, np.ndarray) else decoded
    assert size == ((500, 400) if suffix == "jpg" else (1000, 800))
    assert plain_decode.BEST[suffix] in plain_decode.BINDINGS[suffix]


# Stages ------------------------------------------------------------------------------------------------------------


def test_time_within_a_stage_is_not_its_own() -> None:
    """A stage that calls another one is not charged for it."""

    def busy(seconds: float) -> None:
        end = time.thread_time() + seconds
        while time.thread_time() < end:
            pass

    clock = stages._Clock()
    inner = clock.wrap("inner", lambda: busy(0.05))
    clock.wrap("outer", lambda: (busy(0.01), inner()))()
    assert 0.05 <= clock.seconds["inner"] < 0.06
    assert 0.01 <= clock.seconds["outer"] < 0.02
    assert clock.calls == {"inner": 1, "outer": 1}


def test_a_stage_that_is_gone_ends_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that was renamed is named, and so is the place to put it right."""
    monkeypatch.setattr(stages, "STAGES", (stages.Stage("read", ("photos.decode:rename",)),))
    with pytest.raises(SystemExit, match=r"photos\.decode:rename is gone .* stages\.STAGES"):
        stages.wrap_stages(stages._Clock())


@pytest.mark.slow
def test_stages_add_up_to_the_run(sets: Path, small_bundle: Path) -> None:
    """The command finds every function of its list, and gives every stage, the rest and the sum of all for a bundle."""
    command = [sys.executable, "-m", "benchmarks.speed.stages", "--sets", sets, "--runs", "1", "--here", small_bundle]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    spent = json.loads(done.stdout)
    assert [*spent] == [*(stage.title for stage in stages.STAGES), "rest", "in all"]
    assert sum(spent.values()) == pytest.approx(2 * spent["in all"])
    assert spent["small network"] > 0


# Runs, peers and targets -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_runs_are_measured(sets: Path, tmp_path: Path, small_bundle: Path) -> None:
    """The commands over small sets write reports with positive speeds, from which the targets' table takes its values."""
    shared = ["--sets", sets, "--runs", "1", "--out", tmp_path]
    commands: Mapping[str, list[Any]] = {"startup": [], "scaling": ["--cores", "1", "--models", small_bundle]}
    for name, more in commands.items():
        command = [sys.executable, "-m", f"benchmarks.speed.{name}", *shared, *more]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        assert json.loads((tmp_path / f"speed_{name}.json").read_text())["rows"]
    done = subprocess.run([sys.executable, "-m", "benchmarks.speed.targets", tmp_path], capture_output=True, text=True)
    row = next(line for line in done.stdout.splitlines() if line.startswith("| fmtag --help"))
    assert float(row.split("|")[4].split()[0]) > 0


def test_peers_share_the_runs_of_a_bundle(sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that are compared with the same bundle and photos are timed in turn with the same run; each ratio is theirs."""
    calls: list[str] = []

    def time_run(folder: Path, model: str) -> float:
        calls.append(model)
        return 2.0

    def time_peer(python: Path, module: str, folder: Path) -> float:
        calls.append(f"{module} {len([*(folder / 'all').iterdir()])}")
        return {"peer_timm": 8.0, "peer_huggingface": 10.0, "plain_torchvision": 6.0}[module]

    monkeypatch.setattr(peers, "time_run", time_run)
    monkeypatch.setattr(peers, "time_peer", time_peer)
    monkeypatch.setattr(peers, "make_environment", lambda folder, name: Path(name))
    monkeypatch.setattr(peers, "versions_shown", lambda python: f"{python} 1.0")
    monkeypatch.setattr(peers, "PEERS", {name: peer._replace(photos={"1600-jpg": 4}) for name, peer in peers.PEERS.items()})
    options = ["--sets", sets, "--environments", tmp_path, "--out", tmp_path, "--runs", "2", "--limit", "3"]
    monkeypatch.setattr(sys, "argv", ["peers", *map(str, options)])
    peers.main()
    pair = ["catalog", "peer_timm 3", "peer_huggingface 3"]
    assert calls == ["catalog", *pair, *pair, "catalog-small", *["catalog-small", "plain_torchvision 3"] * 2]
    rows = json.loads((tmp_path / "speed_peers.json").read_text())["rows"]
    assert {row["peer"]: row["ratio"] for row in rows} == {"timm": 4, "huggingface": 5, "torchvision": 3}


@pytest.mark.parametrize(
    ("measured", "reached"), [(0.85, "aim"), (0.8, "aim"), (0.79, "must"), (0.5, "must"), (0.49, "no"), (None, "-")]
)
def test_targets_say_what_is_reached(measured: float | None, reached: str) -> None:
    """A target is reached from its number on; one without a value is shown as such."""
    rows = (
        [] if measured is None else [{"set": "1600-jpg", "model": "catalog-small", "over_ceiling": measured, "memory_mb": 90}]
    )
    first, *others = targets.target_rows({"run": rows})
    assert first[-1] == reached
    memory = next(row for row in others if row[0].startswith("memory"))
    assert memory[1:] == ["350 MB", "250 MB", *(["90.00 MB", "aim"] if rows else ["-", "-"])]


def test_reports_name_no_folders_of_a_machine() -> None:
    """The command in a report has the options that were given, with names in the place of folders."""
    words = ["--sets", "/tmp/a b", "--runs", "3", "--out", "/tmp/c", "--environments", "x", "--models", "catalog"]
    assert shown_options(words) == "--sets SETS --runs 3 --environments ENVIRONMENTS --models catalog"


# Page --------------------------------------------------------------------------------------------------------------


def test_the_page_holds_the_results() -> None:
    """The tables of docs/performance.md are those of `benchmarks/results`; `benchmarks.speed.page` puts them there."""
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.filled_page(text) == text
    assert {name for _, name, _ in page.BLOCK.findall(text)} == {
        "speed_machine", "speed_targets", "speed_run", "speed_stages", "speed_ceiling", "speed_peers", "speed_startup",
        "speed_scaling", "speed_service", "speed_cloud", "speed_listing", "speed_partial_jpeg", "speed_cluster",
        "speed_merge", "speed_billion",
    }  # fmt: skip


def test_a_block_gets_the_tables_of_its_report(tmp_path: Path) -> None:
    """The command and what follows the line of the machine are taken, and what stood in the block before is not kept."""
    report = "# Title\n\n`python -m x`\n\nA machine.\n\n3 photos.\n\n| a |\n|---|\n| 1 |\n\n"
    (tmp_path / "speed_run.md").write_text(report)
    before = "One.\n\n<!-- speed_run -->\n{}\n<!-- / -->\n\nTwo.\n"
    after = before.format("\n    python -m x\n\n3 photos.\n\n| a |\n|---|\n| 1 |\n")
    for text in (before.format("old | text"), before.format(""), before.replace("{}\n", ""), after):
        assert page.filled_page(text + text, tmp_path) == after + after
