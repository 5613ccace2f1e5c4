"""Tell the files that fmtag writes beside a bundle from other files of the same names, and remove them.

    history.csv      metrics of each epoch of training
    metrics.json     all metrics on the held-out and the test photos
    test.csv         the test photos, as a table for `fmtag evaluate`
    report/          report.html and its charts

They describe one bundle, so they are removed when another replaces it. A file of one of these names that fmtag did not write,
or whose labels somebody has changed, is never removed or replaced: files are recognized by their content.
"""

import base64
import csv
import io
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from tagger.errors import OutputError
from tagger.models.card import HISTORY_FILE
from tagger.models.history import Epoch

METRICS = "metrics.json"

TEST = "test.csv"

TEST_COLUMNS = ("image", "label", "group")

REPORT = "report"

REPORT_FILE = "report.html"

WRITTEN = (HISTORY_FILE, METRICS, f"{REPORT}/{REPORT_FILE}")
"""Files that every training writes, relative to the bundle's folder."""

PARTS = ("held_out", "test")
"""Parts of the data that metrics.json holds metrics of."""

_PICTURE = re.compile(rb'src="data:image/png;base64,([A-Za-z0-9+/=]+)"')


def remove_own(folder: Path) -> None:
    """Remove the files that fmtag wrote beside the bundle in `folder`; links and all other files stay."""
    for file in list(_own(folder)):
        if not file.is_symlink() and (file.parent == folder or not file.parent.is_symlink()):
            file.unlink()
    with suppress(OSError):  # the folder holds other files, or is a link
        (folder / REPORT).rmdir()


def check_own(folder: Path, names: Iterable[str] = WRITTEN) -> None:
    """Raise `OutputError` if a bundle's folder holds one of the files `names` and fmtag did not write it."""
    own = set(_own(folder))
    for file in (folder / name for name in names):
        if os.path.lexists(file) and file not in own:
            raise OutputError(f"{file} is not as fmtag wrote it and would be replaced; move it, or give another --out.")


def _own(folder: Path) -> Iterator[Path]:
    """Yield the files in a bundle's folder that fmtag wrote beside the bundle."""
    if _read(folder / HISTORY_FILE).splitlines()[:1] == [",".join(Epoch._fields).encode()]:
        yield folder / HISTORY_FILE
    metrics = _metrics_of(folder / METRICS)
    if metrics:
        yield folder / METRICS
        if _is_test_table(folder / TEST, metrics):
            yield folder / TEST
    yield from _of_report(folder / REPORT)


def _read(file: Path) -> bytes:
    """Return the content of a file; empty if it cannot be read."""
    try:
        return file.read_bytes() if file.is_file() else b""
    except OSError:
        return b""


def _metrics_of(file: Path) -> dict[str, Any]:
    """Return the metrics of each part from a metrics.json; empty if the file is something else."""
    try:
        metrics = json.loads(_read(file) or b"{}")
        known = isinstance(metrics, dict) and set(metrics) <= set(PARTS)
        return metrics if known and all("accuracy" in part and "per_class" in part for part in metrics.values()) else {}
    except (ValueError, TypeError, RecursionError):
        return {}


def _is_test_table(file: Path, metrics: dict[str, Any]) -> bool:
    """Return whether a file is the table of the test photos that the metrics are of, with as many photos per label."""
    text = io.StringIO(_read(file).decode("utf-8", "surrogateescape"), newline="")
    try:
        rows = list(csv.reader(text))
        if not rows or tuple(rows[0]) != TEST_COLUMNS or any(len(row) != len(TEST_COLUMNS) for row in rows):
            return False
        measured = {label: part["n"] for label, part in metrics["test"]["per_class"].items() if part["n"]}
    except (LookupError, TypeError, AttributeError, csv.Error):
        return False
    return dict(Counter(row[1] for row in rows[1:])) == measured


def _of_report(folder: Path) -> Iterator[Path]:
    """Yield the files of a report: its HTML, and the images that are also embedded in the HTML."""
    page = _read(folder / REPORT_FILE)
    if not re.search(rb"<title>[^<]*: report</title>", page[:4096]):
        return
    yield folder / REPORT_FILE
    pictures = {base64.b64decode(found) for found in _PICTURE.findall(page)}
    for file in folder.glob("*.png"):
        if _read(file) in pictures:
            yield file
