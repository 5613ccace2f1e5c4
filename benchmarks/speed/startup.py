"""Measure how long commands take that do next to nothing, over what importing PyTorch takes.

    python -m benchmarks.speed.startup --sets FOLDER [--runs 5]

Whole processes, in turn: Python itself, `import torch`, `fmtag --help`, and `fmtag run` on one photo by each bundle.
"""

import sys
from statistics import median

from benchmarks.reporting import table
from benchmarks.speed.measuring import FMTAG, alternate, arguments, median_ratio, ratio_cell, time_run, timed, write_report
from benchmarks.speed.photo_sets import first_photo, opened_set

TORCH = 'python -c "import torch"'


def main() -> None:
    """Measure all commands and write the report."""
    options = arguments(__doc__).parse_args()
    with opened_set(options.sets, "1600-jpg") as (folder, _):
        photo = first_photo(folder)
        measures = {
            "python -c pass": lambda: timed([sys.executable, "-c", "pass"])[0],
            TORCH: lambda: timed([sys.executable, "-c", "import torch"])[0],
            "fmtag --help": lambda: timed([*FMTAG, "--help"])[0],
            "fmtag run, one photo, catalog": lambda: time_run(photo, "catalog"),
            "fmtag run, one photo, catalog-small": lambda: time_run(photo, "catalog-small"),
        }
        alternate(measures, 1)  # fills the file cache
        seconds = alternate(measures, options.runs)
    rows = [[name, f"{median(some):.3f}", ratio_cell(some, seconds[TORCH])] for name, some in seconds.items()]
    values = [
        {"command": name, "median": median(some), "over_torch": median_ratio(some, seconds[TORCH]), "seconds": some}
        for name, some in seconds.items()
    ]
    lines = table(("command", "seconds", "over import torch (range)"), rows)
    write_report(options.out, "speed_startup", "Start-up", options.runs, lines, {"rows": values})


if __name__ == "__main__":
    main()
