"""Compare `fmtag serve` with the same networks behind LitServe and behind plain FastAPI handlers, under load.

    python -m benchmarks.speed.service --sets SETS --environments FOLDER [--runs 5] [--limit 240]

Each server is started, is sent photos of 1600 pixels by 1, 16 and 256 clients (`service_clients`, another process), and is
stopped; servers take turns. All have the same processors, which the clients share with them, one photo per request and the
bundle `catalog`. LitServe has an environment of its own, made here once from the configured package index, with the same
versions of the libraries that decode and compute. The tag and the confidence of every answer are compared with the row of
`fmtag run`.
"""

import json
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.reporting import table
from benchmarks.speed.measuring import FMTAG, alternate, arguments, median_ratio, ratio_cell, run_command, timed, write_report
from benchmarks.speed.peer_environments import make_environment, versions_shown
from benchmarks.speed.photo_sets import opened_set
from benchmarks.speed.service_process import free_port, served

SET = "1600-jpg"

MODEL = "catalog"

LEVELS = {1: 100, 16: 480, 256: 1024}
"""Number of requests by the number of clients."""

WARM_UP = 16
"""Requests before the first that count."""


class Server(NamedTuple):
    """A server that is compared."""

    title: str
    path: str
    command: Sequence[str]
    """What follows the interpreter, without the port."""
    environment: str | None = None


SERVERS = {
    "fmtag": Server("fmtag serve", "/v1/tags", [*FMTAG[1:], "serve", "--model", MODEL, "--quiet", "--port"]),
    "litserve": Server("LitServe", "/predict", ["-m", "benchmarks.speed.service_litserve"], "litserve"),
    "threads": Server("FastAPI, def", "/tag", ["-m", "benchmarks.speed.service_naive", "threads"]),
    "async": Server("FastAPI, async def", "/tag", ["-m", "benchmarks.speed.service_naive", "async"]),
    "per-request": Server("FastAPI, Tagger() per request", "/tag", ["-m", "benchmarks.speed.service_naive", "per-request"]),
}
"""By their names on the command line."""


@dataclass(frozen=True)
class Load:
    """What was measured at one number of clients."""

    per_second: float
    """Photos per second, from the first request until the last answer."""
    p50: float
    p99: float
    """Seconds from the sending of a request until its answer has been read."""
    processor_ms: float
    """Milliseconds of processor time of all processes of the server per photo."""
    client_ms: float
    """The same of the clients."""
    errors: int
    """Requests that were refused, failed, or had no answer within a minute."""
    differing: int
    """Answers whose tag or confidence is another than in the rows of `fmtag run`."""
    statuses: Mapping[str, int]


Rows = Mapping[str, tuple[str, float]]
"""Tag and confidence by the name of a photo."""


def rows_of_run(photos: Path) -> Rows:
    """Return what `fmtag run` writes of a folder."""
    with run_command(photos, MODEL) as command:
        out = Path(command[command.index("--out") + 1]).with_suffix(".json")
        timed([*command, "--out", str(out)])
        rows = json.loads(out.read_text(encoding="utf-8"))["rows"]
    return {row["path"]: (row["tag"], row["confidence"]) for row in rows}


def load(port: int, path: str, photos: Path, clients: int, requests: int) -> dict[str, Any]:
    """Return what the clients print."""
    command = [sys.executable, "-m", "benchmarks.speed.service_clients", str(port), path, str(photos)]
    return dict(json.loads(timed([*command, "--clients", str(clients), "--requests", str(requests)])[1]))


def summarize(printed: Mapping[str, Any], processor_seconds: float, rows: Rows) -> Load:
    """Return what the clients printed as numbers."""
    answers = printed["answers"]
    seconds = sorted(answer[1] for answer in answers)
    count = len(answers)
    good = [answer for answer in answers if answer[2] == 200]
    return Load(
        per_second=len(good) / printed["seconds"],
        p50=seconds[count // 2],
        p99=seconds[min(count - 1, int(count * 0.99))],
        processor_ms=1000 * processor_seconds / count,
        client_ms=1000 * printed["processor_seconds"] / count,
        errors=count - len(good),
        differing=sum(_row_of(json.loads(body)) != rows[name] for name, _, _, body in good),
        statuses=dict(Counter(str(answer[2]) for answer in answers)),
    )


def _row_of(answer: Mapping[str, Any]) -> tuple[str, float]:
    row = answer["rows"][0] if "rows" in answer else answer
    return row["tag"], row["confidence"]


def measure(server: Server, python: Path, photos: Path, rows: Rows, levels: Mapping[int, int]) -> dict[int, Load]:
    """Start a server, load it with each number of clients, and stop it."""
    port = free_port()
    with served([str(python), *server.command, str(port)], port) as processor_seconds:
        load(port, server.path, photos, 4, WARM_UP)
        found = {}
        for clients, requests in levels.items():
            before = processor_seconds()
            printed = load(port, server.path, photos, clients, requests)
            found[clients] = summarize(printed, processor_seconds() - before, rows)
            print(f"{server.title}, {clients}: {found[clients].per_second:.1f} photos/s", file=sys.stderr, flush=True)
    return found


def report(
    found: Mapping[str, Sequence[Mapping[int, Load]]], levels: Mapping[int, int]
) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the lines of the report and the rows of its JSON."""
    cells, values = [], []
    for clients, requests in levels.items():
        for name, rounds in found.items():
            loads = [one[clients] for one in rounds]
            mid = {key: median(getattr(one, key) for one in loads) for key in Load.__annotations__ if key != "statuses"}
            ours = [one[clients].per_second for one in found["fmtag"]] if "fmtag" in found else None
            theirs = [one.per_second for one in loads]
            errors, differing = sum(one.errors for one in loads), sum(one.differing for one in loads)
            cells.append(
                [f"{clients}", SERVERS[name].title, f"{requests:,}", f"{mid['per_second']:,.1f}"]
                + [f"{1000 * mid[key]:,.0f}" for key in ("p50", "p99")]
                + [f"{mid['processor_ms']:.1f}", f"{mid['client_ms']:.2f}", f"{errors:,}", f"{differing:,}"]
                + ["" if ours is None or name == "fmtag" or not min(theirs) else ratio_cell(ours, theirs)]
            )
            ratio = None if ours is None or not min(theirs) else median_ratio(ours, theirs)
            values.append(
                {"clients": clients, "server": name, "n": requests, "ratio": ratio}
                | {key: mid[key] for key in ("per_second", "p50", "p99", "processor_ms", "client_ms")}
                | {"errors": errors, "differing": differing, "rounds": [asdict(one) for one in loads]}
            )
    titles = ("clients", "server", "n", "photos/s", "p50, ms", "p99, ms", "server, ms/photo", "clients, ms/photo")
    return table((*titles, "errors", "rows that differ", "fmtag over it (range)"), cells), values


def main() -> None:
    """Measure all servers in turn and write the report."""
    parser = arguments(__doc__)
    parser.add_argument("--environments", type=Path, required=True, help="folder to make the environment of LitServe in")
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=[*SERVERS])
    parser.add_argument("--share", type=float, default=1.0, help="of the requests of each number of clients")
    options = parser.parse_args()
    busy = os.getloadavg()[0]
    environments = {name for one in options.servers if (name := SERVERS[one].environment)}
    pythons = {name: make_environment(options.environments, name) for name in environments}
    levels = {clients: max(clients, round(requests * options.share)) for clients, requests in LEVELS.items()}
    with opened_set(options.sets, SET, options.limit or 240) as (folder, count), tempfile.TemporaryDirectory() as flat:
        photos = Path(shutil.copytree(folder / "all", Path(flat) / "photos"))
        rows = rows_of_run(photos)
        measures = {
            name: lambda by=SERVERS[name]: measure(by, pythons.get(by.environment, Path(sys.executable)), photos, rows, levels)
            for name in options.servers
        }
        found = alternate(measures, options.runs)
    lines, values = report(found, levels)
    versions = {name: versions_shown(python) for name, python in pythons.items()}
    lines += [f"- {count} photos of 1600 pixels, one per request, bundle `{MODEL}`"]
    lines += [f"- load average of the machine before the first server was started: {busy:.1f}"]
    lines += [f"- {name}: {libraries}" for name, libraries in versions.items()]
    write_report(
        options.out,
        "speed_service",
        "The service under load",
        options.runs,
        lines,
        {"rows": values, "peers": versions, "load": busy},
    )


if __name__ == "__main__":
    main()
