"""Output formats, selected rows, renamed labels and the file of changes, made from the ledger."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers import draw_photo, rows_of
from run_helpers import Night

from tagger.data.labels import LABELS
from tagger.errors import SourceError
from tagger.run import publishing


@pytest.mark.parametrize(
    ("suffix", "more"),
    [
        (".csv", {"min_confidence": 0.0}),
        (".csv", {"min_confidence": 1.0}),
        (".csv", {"top_k": 3}),
        (".csv", {"excel": True}),
        (".json", {}),
        (".jsonl", {"top_k": 2}),
        (".parquet", {"min_confidence": 0.2}),
    ],
    ids=str,
)
def test_another_threshold_or_format_never_runs_the_network(
    night: Night, shop: Path, fresh_rows: Callable[..., bytes], tmp_path: Path, suffix: str, more: dict[str, Any]
) -> None:
    """Threshold, top-k and format rewrite the output without reading a photo, to the bytes of a run without a ledger."""
    (shop / "broken.jpg").unlink()
    night()
    summary = night(f"tags{suffix}", **more)
    assert (summary.files_read, summary.scored) == (0, 0)
    assert (tmp_path / f"tags{suffix}").read_bytes() == fresh_rows(suffix, **more)


def test_a_label_map_renames_without_reading_photos(night: Night, tmp_path: Path, fresh_rows: Callable[..., bytes]) -> None:
    """Labels have the names of the map in every column; an incomplete map or an unknown label is refused."""
    night()
    names = tmp_path / "names.csv"
    names.write_text("label,name\n" + "".join(f"{label},shop {number}\n" for number, label in enumerate(LABELS)))
    summary = night(label_map=names, top_k=2)
    tags = {row["tag"] for row in rows_of(tmp_path / "tags.csv")} | {row["tag_2"] for row in rows_of(tmp_path / "tags.csv")}
    assert summary.scored == 0
    assert tags - {""} <= {f"shop {number}" for number in range(10)}
    assert summary.changes["changed_tag"] == 9
    assert (tmp_path / "tags.csv").read_bytes() == fresh_rows(label_map=names, top_k=2)
    names.write_text("label,name\nTrouser,Hose\nHat,Hut\n")
    with pytest.raises(SourceError, match=": Hat"):
        night(label_map=names)
    names.write_text("label,name\nTrouser,Hose\n")
    with pytest.raises(SourceError, match="T-shirt/top, Pullover"):
        night(label_map=names)


def test_only_selects_rows(night: Night, shop: Path, tmp_path: Path) -> None:
    """--only new, changed and flagged write those rows of the whole output alone; the ledger has all of them."""
    night()
    draw_photo(70).save(shop / "new.jpg")
    shutil.copy(shop / "0002.jpg", shop / "broken.jpg")
    shutil.copytree(tmp_path / "shop", tmp_path / "kept")
    for path in tmp_path.glob("tags.ledger*"):
        shutil.copy(path, tmp_path / f"kept{path.name}")

    def only(*which: str) -> set[str]:
        shutil.copy(tmp_path / "kepttags.ledger", tmp_path / "tags.ledger")
        summary = night(only=which)
        rows = rows_of(tmp_path / "tags.csv")
        assert (summary.rows_written, summary.photos) == (len(rows), 11)
        return {row["path"] for row in rows}

    assert only("new") == {"new.jpg"}
    assert only("changed") == {"broken.jpg"}
    assert only("new", "changed") == {"new.jpg", "broken.jpg"}
    night()
    flagged = {row["path"] for row in rows_of(tmp_path / "tags.csv") if row["low_confidence"] == "true"}
    assert only("flagged") == flagged
    assert night(only=("new", "changed")).rows_written == 0
    assert (tmp_path / "tags.csv").read_text().count("\n") == 1


def test_changes_are_listed_with_the_row_before(night: Night, shop: Path, tmp_path: Path) -> None:
    """The changes list new, failed, recovered and vanished photos and changed flags, each with the row before."""
    night(min_confidence=0.0)
    draw_photo(80).save(shop / "new.jpg")
    shutil.copy(shop / "0002.jpg", shop / "broken.jpg")
    (shop / "0003.jpg").write_bytes(b"broken now")
    (shop / "0004.jpg").unlink()
    summary = night(min_confidence=1.0, changes=str(tmp_path / "changes.jsonl"))
    changes = {row["path"]: row for row in map(json.loads, (tmp_path / "changes.jsonl").read_text().splitlines())}
    assert changes["new.jpg"]["change"] == "new"
    assert changes["new.jpg"]["tag_before"] is None
    assert (changes["broken.jpg"]["change"], changes["broken.jpg"]["reason_before"]) == ("recovered", "truncated")
    assert (changes["0003.jpg"]["change"], changes["0003.jpg"]["reason"]) == ("failed", "not_an_image")
    assert (changes["0004.jpg"]["change"], changes["0004.jpg"]["tag"]) == ("vanished", None)
    flagged = [row for row in changes.values() if row["change"] == "changed_flag"]
    assert flagged
    assert all((row["low_confidence_before"], row["low_confidence"]) == (False, True) for row in flagged)
    assert sum(summary.changes.values()) == len(changes)
    assert list(changes) == sorted(changes)


@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl", ".parquet"])
def test_changes_in_each_format(night: Night, shop: Path, tmp_path: Path, suffix: str) -> None:
    """The changes have the same rows in each format, with flags and missing values as the format has them."""
    night()
    (shop / "0004.jpg").unlink()
    night(changes=str(tmp_path / f"changes{suffix}"))
    content = (tmp_path / f"changes{suffix}").read_bytes()
    match suffix:
        case ".csv":
            (row,) = rows_of(tmp_path / "changes.csv")
        case ".json":
            (row,) = json.loads(content)["rows"]
        case ".jsonl":
            row = json.loads(content)
        case ".parquet":
            (row,) = pd.read_parquet(tmp_path / "changes.parquet").to_dict("records")
    assert (row["change"], row["path"]) == ("vanished", "0004.jpg")
    assert row["low_confidence_before"] in ((True, False) if suffix != ".csv" else ("true", "false"))
    assert row["low_confidence"] == ("" if suffix == ".csv" else None)


def test_changes_are_those_since_the_last_output(night: Night, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes that an interrupted run found are listed by the next run that writes an output."""
    night()
    draw_photo(81).save(shop / "new.jpg")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(publishing, "_write_rows", interrupt)  # when the photos are scored and the output is not yet written
        with pytest.raises(KeyboardInterrupt):
            night()
    summary = night()
    assert (summary.changes, summary.scored) == ({"new": 1}, 0)
