"""Measure how fast photos can be read and decoded at all, by each binding, at the smallest scale that the networks need.

    python -m benchmarks.speed.ceiling --sets FOLDER [--runs 5] [--only 1600-jpg ...]

`plain_decode` is run in turn with each binding for each set of photos: a process per core, nothing else, start-up left out.
Pillow's draft mode is among them.
"""

import sys
from pathlib import Path
from statistics import median

from benchmarks.reporting import table
from benchmarks.speed.measuring import alternate, arguments, timed, write_report
from benchmarks.speed.photo_sets import SETS, opened_set
from benchmarks.speed.plain_decode import BEST, BINDINGS


def ceiling_seconds(folder: Path, binding: str | None = None) -> float:
    """Return the seconds of `plain_decode` over a set, start-up left out; by the fastest binding unless one is named."""
    named = ["--binding", binding] if binding else []
    return float(timed([sys.executable, "-m", "benchmarks.speed.plain_decode", str(folder.resolve()), *named])[1])


def main() -> None:
    """Measure all sets and write the report."""
    parser = arguments(__doc__)
    parser.add_argument("--only", nargs="+", choices=SETS, default=[*SETS], help="sets")
    options = parser.parse_args()
    rows, values = [], []
    for name in options.only:
        one = SETS[name]
        with opened_set(options.sets, name, options.limit) as (folder, count):
            measures = {binding: lambda at=folder, by=binding: ceiling_seconds(at, by) for binding in BINDINGS[one.suffix]}
            ceiling_seconds(folder)  # fills the file cache
            speeds = {binding: count / median(seconds) for binding, seconds in alternate(measures, options.runs).items()}
        for binding, speed in speeds.items():
            share = speed / max(speeds.values())
            rows.append([name, f"{count:,}", binding, f"{speed:,.0f}", f"{share:.2f}"])
            values.append({"set": name, "n": count, "binding": binding, "photos_per_second": speed})
        if speeds[BEST[one.suffix]] < 0.95 * max(speeds.values()):
            fastest = max(speeds, key=lambda binding: speeds[binding])
            print(f"{name}: {fastest} is faster than {BEST[one.suffix]}, which plain_decode.BEST names.", file=sys.stderr)
    lines = table(("set", "n", "binding", "photos/s", "of the fastest"), rows)
    write_report(options.out, "speed_ceiling", "Reading and decoding alone", options.runs, lines, {"rows": values})


if __name__ == "__main__":
    main()
