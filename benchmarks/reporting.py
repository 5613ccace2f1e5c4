"""Shared by the benchmarks: where results lie, the machine, Markdown tables, and writing a report."""

import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path

from tagger.evaluation.tables import make_table, render_markdown

RESULTS = Path(__file__).resolve().parent / "results"
"""Folder of the committed reports and measurements."""


def hardware() -> str:
    """Return the processor's name and the number of cores that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else platform.processor() or platform.machine()}, {cores} cores"


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table of plain text, with an empty line at the end."""
    return render_markdown(make_table(titles, rows))


def write(out: Path, lines: Iterable[str]) -> None:
    """Write the lines of a report to a file, and print them."""
    text = "".join(f"{line}\n" for line in lines)
    out.write_text(text, encoding="utf-8")
    print(text, end="")
