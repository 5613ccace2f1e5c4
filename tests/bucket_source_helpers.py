"""Shared by the tests of sources in buckets and at addresses: a folder as objects, and runs with their reports."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from helpers import Result, rows_of, run_cli

from benchmarks.speed.s3_server import Server


class Done(NamedTuple):
    """A run that has ended."""

    result: Result
    rows: list[dict[str, str]]
    requests: dict[str, int]
    """Of the report, by kind, without those of which there was none."""
    retries: int
    counts: dict[str, Any]


class Night:
    """Runs of the command line in this process, each with the output and the ledger of the one before."""

    def __init__(self, folder: Path, bundle: Path) -> None:
        self.folder, self.bundle = folder, bundle

    def __call__(self, source: str | Path, *options: str) -> Done:
        """Run fmtag on a source."""
        out, report = self.folder / "t.csv", self.folder / "r.json"
        result = run_cli("run", source, "--out", out, "--report", report, "--model", self.bundle, *options)
        told = json.loads(report.read_text()) if report.exists() else {"requests": {}, "counts": {}}
        requests = {kind: told["requests"].get(kind) for kind in ("list", "head", "get", "put") if told["requests"].get(kind)}
        found = rows_of(out) if out.exists() else []
        return Done(result, found, requests, told["requests"].get("retries", 0), told["counts"])


def put_folder(server: Server, folder: Path, prefix: str) -> None:
    """Write the files of a folder as objects."""
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            server.put(prefix + file.relative_to(folder).as_posix(), file.read_bytes())
