"""The merged output of all shards is that of one run, to the byte."""

import json
from pathlib import Path
from typing import Any

import pytest
from helpers import run_cli
from shard_helpers import merge, run_shards, write_catalog, write_table

pytestmark = pytest.mark.usefixtures("one_thread")


def report(path: Path) -> dict[str, Any]:
    """Return the counts of a report, but for those of what was read."""
    counts = json.loads(path.read_text())["counts"]
    return {name: counts[name] for name in counts if name not in ("looked_at", "scored")}


@pytest.mark.parametrize(
    ("kind", "suffix", "options"),
    [
        ("folder", ".csv", ()),
        ("folder", ".csv", ("--excel",)),
        ("folder", ".parquet", ("--top-k", "3")),
        ("folder", ".jsonl", ("--only", "flagged")),
        (".csv", ".csv", ()),
        (".csv", ".jsonl", ("--top-k", "2")),
        (".jsonl", ".parquet", ()),
        (".parquet", ".parquet", ()),
        (".parquet", ".json", ()),
    ],
)
def test_merged_shards_are_one_run(
    kind: str, suffix: str, options: tuple[str, ...], small_bundle: Path, tmp_path: Path
) -> None:
    """Output, counts and failures of the merge are those of a run over the whole source, and the next run reads nothing."""
    source = write_catalog(tmp_path / "catalog")
    if kind != "folder":
        source = write_table(source, kind)
    whole, out = tmp_path / f"whole{suffix}", tmp_path / f"tags{suffix}"
    alone = run_cli(
        "run", source, "--out", whole, "--model", small_bundle, "--report", tmp_path / "whole.report.json", *options
    )
    shards = run_shards(source, tmp_path / "shards", small_bundle, 3)
    merged = merge(shards, out, small_bundle, "--report", tmp_path / "tags.report.json", *options)
    assert (merged.code, merged.out) == (alone.code, ""), merged.err
    assert out.read_bytes() == whole.read_bytes()
    assert report(tmp_path / "tags.report.json") == report(tmp_path / "whole.report.json")
    again = run_cli(
        "run", source, "--out", out, "--model", small_bundle, "--report", tmp_path / "again.json", "--give-up", "1", *options
    )
    counts = json.loads((tmp_path / "again.json").read_text())["counts"]
    assert (counts["looked_at"], counts["scored"], counts["changes"]) == (0, 0, {}), again.err
