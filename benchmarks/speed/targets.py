"""Print the targets of speed with what was measured, from the JSON of the benchmarks named in `BENCHMARKS`.

python -m benchmarks.speed.targets [benchmarks/results]
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.reporting import RESULTS, table
from benchmarks.speed.measuring import beyond_start_up, median_ratio
from tagger.evaluation.tables import MISSING

BENCHMARKS = ("run", "peers", "service", "startup", "scaling", "cloud", "listing", "cluster")

Values = Mapping[str, Sequence[Mapping[str, Any]]]
"""The rows of each benchmark; one for `cluster`, all that it has measured."""


class Target(NamedTuple):
    """A promise of speed."""

    title: str
    must: float
    aim: float | None
    at_least: bool
    """Whether more is better."""
    measured: Callable[[Values], float]
    """Its value; raises `LookupError` where it was not measured."""
    unit: str = ""


def _row(values: Values, benchmark: str, **wanted: Any) -> Mapping[str, Any]:
    for row in values[benchmark]:
        if wanted.items() <= row.items():
            return row
    raise LookupError(f"{benchmark} has no row {wanted}")


def _over_timm(name: str) -> Callable[[Values], float]:
    return lambda values: float(_row(values, "peers", set=name, peer="timm")["ratio"])


def _over_handler(name: str) -> Callable[[Values], float]:
    return lambda values: float(_row(values, "service", clients=16, server=name)["ratio"])


def _memory(values: Values) -> float:
    return max(float(row["memory_mb"]) for row in values["run"])


def _efficiency(cores: int) -> Callable[[Values], float]:
    return lambda values: min(float(row["efficiency"]) for row in values["scaling"] if row["cores"] == cores)


def _bucket_over_local(model: str) -> Callable[[Values], float]:
    def measured(values: Values) -> float:
        rows = [row for row in values["cloud"] if (row["model"], row["latency_ms"]) == (model, 5)]
        return float(max(rows, key=lambda row: row["cores"])["ratio"])

    return measured


def _ray_over_local(values: Values) -> float:
    seconds = _row(values, "cluster")["local"]
    local, ray = (beyond_start_up(seconds[f"{engine} many"], seconds[f"{engine} few"]) for engine in ("local", "ray"))
    return median_ratio(local, ray)


def _command(name: str, key: str) -> Callable[[Values], float]:
    return lambda values: float(_row(values, "startup", command=name)[key])


TARGETS = (
    Target(
        "catalog-small, 1600 px: run over ceiling, without start-up",
        0.5,
        0.8,
        True,
        lambda values: float(_row(values, "run", set="1600-jpg", model="catalog-small")["over_ceiling"]),
    ),
    Target("catalog, 1600 px: over timm's loader, whole process", 5, 10, True, _over_timm("1600-jpg")),
    Target("catalog, 400 px: over timm's loader, whole process", 3, 5, True, _over_timm("400-jpg")),
    Target("catalog, 12 megapixels: over timm's loader, whole process", 8, 15, True, _over_timm("4000-jpg")),
    Target(
        "catalog-small, 1600 px: over a plain torchvision script, whole process",
        3,
        5,
        True,
        lambda values: float(_row(values, "peers", set="1600-jpg", peer="torchvision")["ratio"]),
    ),
    Target("fmtag serve, 16 clients: over Tagger() in a FastAPI handler", 3, None, True, _over_handler("per-request")),
    Target("fmtag serve, 16 clients: over a handler with one Tagger for all", 3, None, True, _over_handler("async")),
    Target(
        'one photo by catalog: over python -c "import torch"',
        0.5,
        0.3,
        False,
        _command("fmtag run, one photo, catalog", "over_torch"),
    ),
    Target("memory of a run, all processes", 350, 250, False, _memory, " MB"),
    Target("fmtag --help", 0.15, None, False, _command("fmtag --help", "median"), " s"),
    Target("efficiency on 2 cores", 0.9, None, True, _efficiency(2)),
    Target("catalog, bucket at 5 ms: over local files, 2 cores", 0.8, None, True, _bucket_over_local("catalog")),
    Target("catalog-small, bucket at 5 ms: over local files, 2 cores", 0.8, None, True, _bucket_over_local("catalog-small")),
    Target("catalog, one machine: Ray over the local engine, 20,000 photos", 0.8, None, True, _ray_over_local),
    Target(
        "a bucket of 1,000,000 objects, listed: memory",
        500,
        None,
        False,
        lambda values: float(_row(values, "listing", keys=1_000_000)["memory_mb"]),
        " MB",
    ),
)


def target_rows(values: Values) -> list[list[str]]:
    """Return a row for each target: its name, what must be and is aimed at, what was measured, and which of both it reaches."""
    rows = []
    for target in TARGETS:
        try:
            measured = target.measured(values)
        except (LookupError, TypeError, ValueError):  # TypeError: too short to be measured
            cells = [MISSING, MISSING]
        else:
            cells = [f"{measured:,.0f}{target.unit}" if measured >= 100 else f"{measured:.2f}{target.unit}"]
            cells.append(_reached(target, measured))
        limits = [MISSING if limit is None else f"{limit:g}{target.unit}" for limit in (target.must, target.aim)]
        rows.append([target.title, *limits, *cells])
    return rows


def _reached(target: Target, measured: float) -> str:
    def reaches(limit: float | None) -> bool:
        return limit is not None and (measured >= limit if target.at_least else measured <= limit)

    return "aim" if reaches(target.aim) else "must" if reaches(target.must) else "no"


def results_of(folder: Path) -> Values:
    """Return the rows of the benchmarks whose JSON is in a folder."""
    files = {name: folder / f"speed_{name}.json" for name in BENCHMARKS}
    found = {name: json.loads(file.read_text(encoding="utf-8")) for name, file in files.items() if file.exists()}
    return {name: values.get("rows", [values]) for name, values in found.items()}


def targets_table(values: Values) -> list[str]:
    """Return the lines of the table in Markdown."""
    return table(("target", "must", "aim", "measured", "reached"), target_rows(values))


def main() -> None:
    """Print the table of the results in a folder."""
    print("\n".join(targets_table(results_of(Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS))))


if __name__ == "__main__":
    main()
