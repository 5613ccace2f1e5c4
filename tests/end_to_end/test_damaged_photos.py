"""Photos that are damaged inside: refused by the command line, or tagged as far as they go and flagged."""

from io import BytesIO
from pathlib import Path

import pytest
from helpers import csv_rows, draw_photo, run_cli
from run_helpers import age

pytestmark = pytest.mark.usefixtures("one_thread")

END = b"\xff\xd9"


def files() -> dict[str, tuple[bytes, str]]:
    """Return files by their name, each with the reason why it is refused; whole ones with none."""
    baseline, progressive = BytesIO(), BytesIO()
    draw_photo(1, (300, 400)).save(baseline, "JPEG", quality=95)
    draw_photo(1, (300, 400)).save(progressive, "JPEG", quality=95, progressive=True)
    whole, passes = baseline.getvalue(), progressive.getvalue()
    half, third, last = len(whole) // 2, len(whole) // 3, passes.rindex(b"\xff\xda")
    return {
        "whole.jpg": (whole, ""),
        "progressive.jpg": (passes, ""),
        "padded.jpg": (whole[:-2] + bytes(512) + END, ""),
        "video.jpg": (whole + b"\0\0\0\x18ftypmp42" + bytes(999), ""),
        "zeros.jpg": (whole[:half] + bytes(len(whole) - half), "truncated"),
        "cut-with-end.jpg": (whole[:half] + END, "truncated"),
        "missing.jpg": (whole[:third] + whole[half:], "truncated"),
        "twice.jpg": (whole[:half] + whole[third:], "unreadable"),
        "last-pass-lost.jpg": (passes[:last] + END, "truncated"),
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write the files into a folder."""
    (tmp_path / "shop").mkdir()
    for name, (content, _) in files().items():
        (tmp_path / "shop" / name).write_bytes(content)
    age(*(tmp_path / "shop").iterdir())
    return tmp_path / "shop"


def test_damaged_photos_are_refused_and_whole_ones_tagged(folder: Path, small_bundle: Path) -> None:
    """Each damaged photo is a row with its reason and a line that says what to do; each whole one has its tag."""
    result = run_cli("run", folder, "--out", "-", "--model", small_bundle, "--min-confidence", "0")
    rows = {row["path"]: row for row in csv_rows(result.out)}
    assert {name: row["reason"] for name, row in rows.items()} == {name: reason for name, (_, reason) in files().items()}
    assert all(bool(row["tag"]) == (not row["reason"]) for row in rows.values())
    assert result.code == 3
    for name, (_, reason) in files().items():
        assert result.err.count(f"{name}: ") == bool(reason)
    assert result.err.count("copy or export it again") == 5


def test_damaged_photos_are_tagged_on_request_and_flagged(folder: Path, small_bundle: Path, tmp_path: Path) -> None:
    """With --allow-truncated a damaged photo has a tag that is flagged, also in the run after the one that refused it."""
    command = ("run", folder, "--out", tmp_path / "tags.csv", "--model", small_bundle, "--min-confidence", "0")
    assert run_cli(*command).code == 3
    assert run_cli(*command, "--allow-truncated").code == 0
    rows = {row["path"]: row for row in csv_rows((tmp_path / "tags.csv").read_text(encoding="utf-8"))}
    assert all(row["tag"] for row in rows.values())
    flagged = {name: (row["low_confidence"], row["reason"]) for name, row in rows.items()}
    assert flagged == {name: ("true", "truncated") if reason else ("false", "") for name, (_, reason) in files().items()}
