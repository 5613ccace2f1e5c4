"""Ledgers with the counts of many nights, made without running a network."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from tagger.run.migrations import migrate

LABELS = ("Dress", "Shirt", "Bag")

Row = tuple[str, str, str, int]
"""Tag, flag, reason and bin of the confidence."""


def uploads(
    rng: np.random.Generator, photos: int, flagged: float = 0.3, unknown: float = 0.0, bag: float = 0.2, bins: int = 18
) -> Mapping[Row, int]:
    """Return the counts of a night of random uploads, with the given true shares and confidences around a bin."""
    counted = Counter[Row]()
    for draw in rng.random((photos, 4)):
        tag = "Bag" if draw[2] < bag else "Dress"
        number = max(0, min(19, bins + int(4 * draw[3]) - 2))
        if draw[0] < unknown:
            counted["", "true", "not_recognised", -1] += 1
        elif draw[1] < flagged:
            counted[tag, "true", "low_confidence", number] += 1
        else:
            counted[tag, "false", "", number] += 1
    return counted


def write_ledger(
    path: Path,
    nights: Iterable[Mapping[Row, int] | None],
    bundles: Sequence[str] | None = None,
    names: Mapping[str, str] | None = None,
    thresholds: Sequence[float] | None = None,
) -> Path:
    """Write a ledger with one finished run per night; None is a run of before the ledger had counts.

    `bundles` and `thresholds` are those of each night; one bundle and 0.7 where they are not given.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as sql:
        migrate(sql, str(path))
        sql.execute("BEGIN")
        for number, rows in enumerate(nights):
            bundle = bundles[number] if bundles else "catalog@1"
            settings = (thresholds[number] if thresholds else 0.7, json.dumps(names or {}))
            decision = _decision(sql, bundle, *settings)
            day = f"{2026 + number // 336:04}-{number // 28 % 12 + 1:02}-{number % 28 + 1:02}T02:00"
            values: dict[str, Any] = {
                "started": f"{day}:00+00:00",
                "finished": f"{day}:09+00:00",
                "pid": 1,
                "host": "h",
                "version": "0",
                "source": "s",
                "out": "o",
                "decision": decision,
                "fresh": 0,
                "verify": 0,
                "root": None if rows is None else "/shop",
            }
            columns = ", ".join(values)
            run = sql.execute(
                f"INSERT INTO runs ({columns}) VALUES ({', '.join('?' * len(values))})", [*values.values()]
            ).lastrowid
            insert = "INSERT INTO night_counts VALUES (?, ?, ?, ?, ?, ?, ?)"
            sql.executemany(insert, [(run, 1, *row, count) for row, count in (rows or {}).items()])
            output = Counter[tuple[str, str, str]]()
            for row, count in (rows or {}).items():
                output[row[:3]] += 2 * count
            sql.executemany(insert, [(run, 0, *row, -1, count) for row, count in output.items()])
        sql.execute("COMMIT")
    return path


def _decision(sql: sqlite3.Connection, bundle: str, threshold: float, names: str) -> int:
    sql.execute(
        "INSERT OR IGNORE INTO models (fingerprint, name, labels) VALUES (?, ?, ?)",
        (f"of {bundle}", bundle, json.dumps(LABELS)),
    )
    model = sql.execute("SELECT id FROM models WHERE name = ?", (bundle,)).fetchone()[0]
    key = (model, threshold, names)
    sql.execute("INSERT OR IGNORE INTO decisions (model, min_confidence, names) VALUES (?, ?, ?)", key)
    found = sql.execute("SELECT id FROM decisions WHERE model = ? AND min_confidence = ? AND names = ?", key).fetchone()
    return int(found[0])
