"""Measure `fmtag run` over each set of photos: as a whole process, without its start-up, over the ceiling, and its memory.

    python -m benchmarks.speed.run --sets FOLDER [--runs 5] [--models catalog catalog-small] [--only 1600-jpg ...]

Three commands take turns for each set and bundle: the run, the same run on one photo of the set, which is the start-up, and
`plain_decode`, which reads and decodes only. The ratio over this ceiling is that of photos per second, without start-up, pair
by pair. Memory is looked at in a further run: of all processes together, once with shared memory counted once (proportional
set size) and once as the sum of their own peaks.
"""

from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.reporting import table
from benchmarks.speed.ceiling import ceiling_seconds
from benchmarks.speed.measuring import (
    alternate,
    arguments,
    median_ratio,
    peak_memory,
    ratio_cell,
    run_command,
    time_run,
    write_report,
)
from benchmarks.speed.photo_sets import SETS, first_photo, opened_set
from tagger.evaluation.tables import MISSING

TITLES = ("set", "bundle", "n", "whole, photos/s", "start-up, s", "without start-up, photos/s", "ceiling, photos/s")
MORE_TITLES = ("run over ceiling (range)", "memory, MB", "sum of peaks, MB")


def measure_run(folder: Path, count: int, model: str, runs: int) -> dict[str, Any]:
    """Return the medians of a bundle's runs over a set of `count` photos, and what the ratio is made of."""
    one = first_photo(folder)
    measures = {
        "whole": lambda: time_run(folder, model),
        "start": lambda: time_run(one, model),
        "ceiling": lambda: ceiling_seconds(folder),
    }
    measures["ceiling"](), measures["start"]()  # fill the file cache
    seconds = alternate(measures, runs)
    work = [whole - start for whole, start in zip(seconds["whole"], seconds["start"], strict=True)]
    longer = min(work) > 0  # else the photos are too few, or the machine too busy, to say anything without start-up
    ceiling = [second * (count - 1) / count for second in seconds["ceiling"]]
    with run_command(folder, model) as command:
        memory = peak_memory(command)
    return {
        "n": count,
        "whole": count / median(seconds["whole"]),
        "start_up": median(seconds["start"]),
        "beyond_start_up": (count - 1) / median(work) if longer else None,
        "ceiling": count / median(seconds["ceiling"]),
        "over_ceiling": median_ratio(ceiling, work) if longer else None,
        "ratio_cell": ratio_cell(ceiling, work) if longer else MISSING,
        "memory_mb": memory.proportional,
        "memory_of_peaks_mb": memory.resident,
        "processes": memory.processes,
        "seconds": seconds,
    }


def main() -> None:
    """Measure all sets and write the report."""
    parser = arguments(__doc__)
    parser.add_argument("--models", nargs="+", default=["catalog", "catalog-small"], help="bundles")
    parser.add_argument("--only", nargs="+", choices=SETS, default=[*SETS], help="sets")
    options = parser.parse_args()
    rows, values = [], []
    for name in options.only:
        with opened_set(options.sets, name, options.limit) as (folder, count):
            for model in options.models:
                one = measure_run(folder, count, model, options.runs)
                speeds = [f"{one['whole']:,.0f}", f"{one['start_up']:.2f}"]
                speeds.append(MISSING if one["beyond_start_up"] is None else f"{one['beyond_start_up']:,.0f}")
                memory = [f"{one['memory_mb']:,.0f}", f"{one['memory_of_peaks_mb']:,.0f}"]
                rows.append([name, model, f"{count:,}", *speeds, f"{one['ceiling']:,.0f}", one["ratio_cell"], *memory])
                values.append({"set": name, "model": model} | one)
    lines = table((*TITLES, *MORE_TITLES), rows)
    write_report(options.out, "speed_run", "Runs over photos", options.runs, lines, {"rows": values})


if __name__ == "__main__":
    main()
