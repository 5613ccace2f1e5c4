"""What the benchmarks' reports share: the machine that they ran on, and where they are written."""

import os
import platform
from collections.abc import Iterable
from pathlib import Path


def hardware() -> str:
    """Return what the machine is and how many processors this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else platform.processor() or platform.machine()}, {cores} cores"


def write(out: Path, lines: Iterable[str]) -> None:
    """Write the lines of a report into a file, and print them."""
    text = "".join(f"{line}\n" for line in lines)
    out.write_text(text, encoding="utf-8")
    print(text, end="")
