"""Shared by the tests of runs: a small catalog with old files, and queries on ledgers."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from helpers import write_photos

from tagger.run.summary import RunSummary

LAST_YEAR = 1_760_000_000

Night = Callable[..., RunSummary]
"""A run over the catalog of the fixture `shop`."""

Command = Callable[..., tuple[int, str, str]]
"""The command line called in this process: exit code, standard output and standard error."""


def age(*paths: Path) -> None:
    """Set the times of files to long ago, so that an unchanged time means unchanged bytes."""
    for path in paths:
        os.utime(path, (LAST_YEAR, LAST_YEAR))


def write_shop(folder: Path) -> Path:
    """Write a catalog of eight photos, one of them with two names, and a damaged one, ten files in all."""
    write_photos(folder, 8)
    (folder / "more").mkdir()
    shutil.copy(folder / "0001.jpg", folder / "more" / "copy.jpg")
    (folder / "broken.jpg").write_bytes((folder / "0000.jpg").read_bytes()[:2000])
    age(*folder.rglob("*.jpg"))
    return folder


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query on a ledger."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def count_items(path: Path) -> int:
    """Return how many items a ledger has, also while another process writes it."""
    try:
        return int(query(path, "SELECT count(*) FROM items")[0][0]) if path.exists() else 0
    except sqlite3.OperationalError:
        return 0
