"""Compute on paper what a billion photos in a bucket take, from the JSON of `cloud` and `listing`.

    python -m benchmarks.speed.billion [benchmarks/results] [--vcpus 16] [--hours 24] [--efficiency 0.8]

For N photos, with the figures of `cloud` for the most cores and a latency of 5 ms, and of `listing` for the most keys:

- core hours = N / (photos per second / cores) / efficiency / 3,600; `efficiency` is what is lost between one machine and many
- machines = core hours / (virtual processors of a machine * hours), rounded up
- GET = N * GET per photo; LIST = N / 1,000 rounded up
- dollars = core hours * dollars per hour of a virtual processor + GET * price + LIST * price
- hours of listing = N * seconds per key of listing alone, by one process: runs over prefixes of their own divide them; shards
  do not, each of which lists all
- ledgers = N * bytes per object
- network per machine = virtual processors * efficiency * photos per second per core * bytes per photo

An unchanged night lists and reads no photo: its core hours are those of listing, its requests LIST alone.
"""

import argparse
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.reporting import RESULTS, table
from benchmarks.speed.cloud import KEYS_PER_LIST, PRICES

PHOTOS = (1_000_000, 100_000_000, 1_000_000_000)

LATENCY_MS = 5.0

VCPUS, HOURS, EFFICIENCY = 16, 24.0, 0.8

TITLES = (
    *("bundle", "photos", "core hours", "machines", "GET, M", "LIST, M", "requests, $", "on demand, $", "spot, $"),
    *(
        "Gbit/s per machine",
        "ledgers, GB",
        "listing by one process, hours",
        "unchanged night, core hours",
        "unchanged night, $",
    ),
)


def billion_rows(
    cloud: Mapping[str, Any],
    listing: Mapping[str, Any],
    vcpus: int = VCPUS,
    hours: float = HOURS,
    efficiency: float = EFFICIENCY,
) -> list[list[str]]:
    """Return the rows of the table, by bundle and number of photos; the formulas are those of this module."""
    listed = max(listing["rows"], key=lambda row: row["keys"])
    ledger_bytes = listed["ledger_bytes"] / listed["keys"]
    alone = listed["alone_seconds"] / listed["keys"] / 3600
    rows = []
    for one in _measured(cloud):
        per_core = one["bucket"] / one["cores"] * efficiency
        gigabits = vcpus * per_core * one["bytes_per_photo"] * 8 / 1e9
        gets = (one["requests"]["get"] + one["requests"]["head"]) / one["n"]
        for photos in PHOTOS:
            core_hours = photos / per_core / 3600
            lists = math.ceil(photos / KEYS_PER_LIST)
            requests = photos * gets * PRICES["get"] + lists * PRICES["list"]
            night = photos * listed["microseconds_per_key"] / 1e6 / 3600
            rows.append(
                [
                    *(one["model"], f"{photos:,}", f"{core_hours:,.0f}", f"{math.ceil(core_hours / (vcpus * hours)):,}"),
                    *(f"{photos * gets / 1e6:,.0f}", f"{lists / 1e6:,.3f}", f"{requests:,.2f}"),
                    f"{core_hours * cloud['on_demand'] + requests:,.2f}",
                    f"{core_hours * cloud['spot'] + requests:,.2f}",
                    *(f"{gigabits:.1f}", f"{photos * ledger_bytes / 1e9:,.1f}", f"{photos * alone:,.2f}"),
                    f"{night:,.2f}",
                    f"{night * cloud['on_demand'] + lists * PRICES['list']:,.2f}",
                ]
            )
    return rows


def _measured(cloud: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the row of each bundle that was measured with the most cores, at the latency nearest to `LATENCY_MS`."""
    chosen: dict[str, Mapping[str, Any]] = {}
    for row in sorted(cloud["rows"], key=lambda row: (row["cores"], -abs(row["latency_ms"] - LATENCY_MS))):
        chosen[row["model"]] = row
    return [*chosen.values()]


def billion_table(results: Path, vcpus: int = VCPUS, hours: float = HOURS, efficiency: float = EFFICIENCY) -> list[str]:
    """Return the lines of the table from a folder of results."""
    cloud, listing = (json.loads((results / f"speed_{name}.json").read_text(encoding="utf-8")) for name in ("cloud", "listing"))
    return table(TITLES, billion_rows(cloud, listing, vcpus, hours, efficiency))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="?", default=RESULTS, help="folder of the JSON")
    parser.add_argument("--vcpus", type=int, default=VCPUS, help="virtual processors of a machine")
    parser.add_argument("--hours", type=float, default=HOURS, help="in which all has to be done")
    parser.add_argument("--efficiency", type=float, default=EFFICIENCY, help="of many machines over one")
    options = parser.parse_args()
    print("\n".join(billion_table(options.results, options.vcpus, options.hours, options.efficiency)))


if __name__ == "__main__":
    main()
