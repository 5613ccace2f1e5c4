"""Tag a catalog in shards every night with Airflow 2.4 or newer: a mapped task for each shard, then the merge.

Catalog and output folder lie on a file system that all workers share, and fmtag is on their PATH. An exit code of 3 says that
some photos could not be read, which their rows tell: it is no failure. Codes of 1 and 4 (another run goes on) are tried again.
"""

import subprocess
from datetime import datetime, timedelta

from airflow.decorators import dag, task

CATALOG, OUT, SHARDS = "/shared/catalog", "/shared/out", 8


def fmtag(*arguments: str) -> None:
    """Run a command of fmtag; raises `CalledProcessError` where it fails."""
    done = subprocess.run(["fmtag", *arguments], check=False)
    if done.returncode not in (0, 3):
        done.check_returncode()


@dag(
    schedule="0 2 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
)
def tag_catalog() -> None:
    """Tag all shards, then merge them."""

    @task
    def tag(index: int) -> str:
        """Tag a shard and return its output."""
        out = f"{OUT}/tags-{index}.csv"
        fmtag("run", CATALOG, "--out", out, "--shard", f"{index}/{SHARDS}", "--wait", "600")
        return out

    @task
    def merge(outputs: list[str]) -> None:
        """Merge the outputs of all shards."""
        fmtag("merge", *outputs, "--out", f"{OUT}/tags.csv", "--changes", f"{OUT}/changes.csv", "--wait", "600")

    merge(tag.expand(index=list(range(SHARDS))))


tag_catalog()
