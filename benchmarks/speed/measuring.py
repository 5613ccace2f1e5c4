"""Shared by the benchmarks of speed: whole processes timed in turn, their memory, and reports as Markdown and JSON."""

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, TypeVar

from benchmarks.reporting import RESULTS, hardware, write

ROOT = Path(__file__).resolve().parents[2]
"""The repository, which all commands are run from."""

FMTAG = (sys.executable, "-m", "tagger")

LIBRARIES = ("numpy", "onnxruntime", "opencv-python-headless", "pillow", "simplejpeg", "imagecodecs")
"""Those whose versions a report names."""

FOLDERS = {"--sets": "SETS", "--environments": "ENVIRONMENTS", "--out": ""}
"""Options whose values are folders, and what reports say in their place."""

SAMPLE_S = 0.02
"""Seconds between two looks at the memory of a tree of processes."""

Value = TypeVar("Value")


class Memory(NamedTuple):
    """Peak memory of a command and the processes below it, in MB."""

    proportional: float
    """The largest sum seen of proportional set sizes: memory that processes share counts once."""
    resident: float
    """The sum of each process's own peak (VmHWM): memory that processes share counts in each, at different times."""
    processes: int
    """How many there were."""


def timed(command: Sequence[str], cores: Sequence[int] | None = None, folder: Path = ROOT) -> tuple[float, str]:
    """Return the wall seconds of a whole process, from its start until it has been waited for, and what it printed.

    Args:
        command: must succeed; raises `SystemExit` with its messages otherwise.
        cores: that it may use; None for all.
        folder: that it runs in.
    """
    # A file, not a pipe, which a process that outlives the command could hold open.
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as messages:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=printed, stderr=messages, cwd=folder, preexec_fn=_on_cores(cores))
        _, status, _ = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        printed.seek(0), messages.seek(0)
        if process.returncode:
            raise SystemExit(f"{shlex.join(command)} ended with {process.returncode}:\n{messages.read().decode()}")
        return seconds, printed.read().decode()


def _on_cores(cores: Sequence[int] | None) -> Callable[[], None] | None:
    return None if cores is None else lambda: os.sched_setaffinity(0, cores)


def peak_memory(command: Sequence[str]) -> Memory:
    """Run a command once more and return its peak memory, looked at every `SAMPLE_S` seconds, which slows it down."""
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=messages, cwd=ROOT)
        proportional, resident = 0.0, {process.pid: 0.0}
        while process.poll() is None:
            tree = process_tree(process.pid)
            proportional = max(proportional, sum(process_megabytes(f"/proc/{pid}/smaps_rollup", "Pss:") for pid in tree))
            for pid in tree:
                resident[pid] = max(resident.get(pid, 0.0), process_megabytes(f"/proc/{pid}/status", "VmHWM:"))
            time.sleep(SAMPLE_S)
        messages.seek(0)
        if process.returncode:
            raise SystemExit(f"{shlex.join(command)} ended with {process.returncode}:\n{messages.read().decode()}")
    return Memory(proportional, sum(resident.values()), len(resident))


def process_tree(root: int) -> list[int]:
    """Return the ids of a process and of all below it."""
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        with suppress(OSError):  # it has ended
            for task in Path(f"/proc/{pid}/task").iterdir():
                with suppress(OSError):
                    waiting += map(int, (task / "children").read_text().split())
    return found


def process_megabytes(file: str, name: str) -> float:
    """Return an entry of a process's memory; 0 where the process has ended."""
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def alternate(measures: Mapping[str, Callable[[], Value]], runs: int) -> dict[str, list[Value]]:
    """Call all functions in turn, `runs` times, so that what slows the machine meets all of them, and return their values."""
    values: dict[str, list[Value]] = {name: [] for name in measures}
    for _ in range(runs):
        for name, measure in measures.items():
            values[name].append(measure())
    return values


def beyond_start_up(whole: Sequence[float], start: Sequence[float]) -> list[float]:
    """Return the seconds of runs without those of their start-up, pair by pair; raises `SystemExit` where none are left."""
    beyond = [run - begun for run, begun in zip(whole, start, strict=True)]
    if min(beyond) <= 0:
        raise SystemExit("a run over all photos took no longer than its start-up; take more photos")
    return beyond


def median_ratio(of: Sequence[float], over: Sequence[float]) -> float:
    """Return the median of the ratios, pair by pair."""
    return median(one / other for one, other in zip(of, over, strict=True))


def ratio_cell(of: Sequence[float], over: Sequence[float]) -> str:
    """Return the median of the ratios, pair by pair, with the least and the greatest."""
    ratios = [one / other for one, other in zip(of, over, strict=True)]
    return f"{median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


@contextmanager
def run_command(source: Path, model: str) -> Iterator[list[str]]:
    """Give the command of a first run of `fmtag run` over a source; its output is removed at the end of the block."""
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "tags.csv")
        yield [*FMTAG, "run", str(source.resolve()), "--out", out, "--model", model, "--quiet"]


def time_run(source: Path, model: str, cores: Sequence[int] | None = None) -> float:
    """Return the wall seconds of a first run of `fmtag run` over a source, as a whole process."""
    with run_command(source, model) as command:
        return timed(command, cores)[0]


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options of all benchmarks of speed."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=Path, required=True, help="folder of sets, made by `photo_sets`")
    parser.add_argument("--runs", type=int, default=5, help="runs of which the median is taken")
    parser.add_argument("--limit", type=int, help="photos of each set at most")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the report and its JSON")
    return parser


def write_report(out: Path, name: str, title: str, runs: int, lines: Sequence[str], values: Mapping[str, Any]) -> None:
    """Write `NAME.md` and `NAME.json` with the machine, versions, number of runs and command, and print the former."""
    command = f"python -m benchmarks.speed.{name.removeprefix('speed_')} {shown_options(sys.argv[1:])}".rstrip()
    versions = {library: version(library) for library in LIBRARIES}
    head = [f"# {title}", "", f"`{command}`", "", f"{hardware()}; Python {platform.python_version()}, "]
    head[-1] += ", ".join(f"{library} {number}" for library, number in versions.items()) + f"; medians of {runs} runs."
    write(out / f"{name}.md", [*head, "", *lines])
    about = {
        "hardware": hardware(),
        "python": platform.python_version(),
        "versions": versions,
        "command": command,
        "runs": runs,
    }
    (out / f"{name}.json").write_text(json.dumps(about | values, indent=1) + "\n", encoding="utf-8")


def shown_options(words: Sequence[str]) -> str:
    """Return options as they were given, without that of the reports' folder, and names in the place of other folders."""
    shown, before = [], ""
    for word in words:
        if before in FOLDERS:
            shown += [before, FOLDERS[before]] if FOLDERS[before] else []
        elif word not in FOLDERS:
            shown.append(word)
        before = word
    return shlex.join(shown)
