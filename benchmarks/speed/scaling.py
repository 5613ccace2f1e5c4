"""Measure how `fmtag run` scales with cores, on photos of 1600 pixels.

    python -m benchmarks.speed.scaling --sets FOLDER [--runs 5] [--cores 1 2] [--models catalog catalog-small]

Runs that may use the first 1, 2, ... cores take turns, each with one on one photo, whose time is taken off as start-up.
Efficiency is speed(N) / (N * speed(1)), pair by pair.
"""

import os
from statistics import median

from benchmarks.reporting import table
from benchmarks.speed.measuring import alternate, arguments, median_ratio, ratio_cell, time_run, write_report
from benchmarks.speed.photo_sets import first_photo, opened_set


def main() -> None:
    """Measure all numbers of cores and write the report."""
    available = sorted(os.sched_getaffinity(0))
    parser = arguments(__doc__)
    default = sorted({1, min(2, len(available)), len(available)})
    parser.add_argument("--cores", type=int, nargs="+", default=default, help="numbers of cores, the first one for comparison")
    parser.add_argument("--models", nargs="+", default=["catalog", "catalog-small"], help="bundles")
    options = parser.parse_args()
    if max(options.cores) > len(available):
        parser.error(f"this process may use {len(available)} cores")
    rows, values = [], []
    with opened_set(options.sets, "1600-jpg", options.limit) as (folder, count):
        one = first_photo(folder)
        for model in options.models:
            measures = {
                (cores, source): lambda at=source, on=available[:cores], by=model: time_run(at, by, on)
                for cores in options.cores
                for source in (folder, one)
            }
            seconds = alternate(measures, options.runs)
            work = {
                cores: [whole - start for whole, start in zip(seconds[cores, folder], seconds[cores, one], strict=True)]
                for cores in options.cores
            }
            first = options.cores[0]
            for cores, some in work.items():
                shares = [second * cores / first for second in some]
                speed = (count - 1) / median(some)
                rows.append([model, str(cores), f"{count:,}", f"{speed:,.0f}", ratio_cell(work[first], shares)])
                efficiency = median_ratio(work[first], shares)
                values.append(
                    {"model": model, "cores": cores, "n": count, "photos_per_second": speed, "efficiency": efficiency}
                )
    lines = table(("bundle", "cores", "n", "photos/s", "efficiency (range)"), rows)
    write_report(options.out, "speed_scaling", "Scaling with cores", options.runs, lines, {"rows": values})


if __name__ == "__main__":
    main()
