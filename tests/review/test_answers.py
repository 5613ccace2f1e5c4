"""Answers are read from tables, outputs of runs and exports of Label Studio, or refused in a sentence."""

import json
from datetime import datetime, timezone
from pathlib import Path

import pytest
from adaptation_helpers import write_table
from helpers import ROOT

from tagger.errors import SourceError
from tagger.review.answers import parsed_time, read_answers

SHA = "ab" * 32


def test_a_table_of_corrections_is_read(tmp_path: Path) -> None:
    """Path, label, reviewer, time and hash; rows without a label are counted."""
    header = ("path", "label", "reviewer", "decided", "sha256")
    rows = [
        ("a,\nb.jpg", " Bag ", "Ada", "2026-01-02T03:04:05.678+00:00", SHA),
        ("b.jpg", "-", "", "soon", "x"),
        ("c.jpg", "", "", "", ""),
    ]
    found = read_answers(write_table(tmp_path / "c.csv", rows, header))
    first, second = found.answers
    assert (first.paths, first.label, first.reviewer) == (("a,\nb.jpg",), "Bag", "Ada")
    assert (first.decided, first.sha256) == ("2026-01-02T03:04:05.678+00:00", bytes.fromhex(SHA))
    assert (second.label, second.reviewer, second.decided, second.sha256) == ("-", "", None, None)
    assert (found.without_label, found.unusable) == (1, [])


def test_paths_are_taken_as_they_are_written(tmp_path: Path) -> None:
    """Addresses and several names in a cell, which a run would not open, are found in the ledger or not; damage is named."""
    (tmp_path / "c.csv").write_text('image,label\nhttps://x.example/a.jpg,Bag\n"x.jpg,y.jpg",Bag\nq.jpg,Bag,1,2\n')
    found = read_answers(tmp_path / "c.csv")
    assert [one.paths[0] for one in found.answers] == ["https://x.example/a.jpg", "x.jpg,y.jpg"]
    assert found.unusable == ["row 3"]


def test_the_csv_of_label_studio_is_read(tmp_path: Path) -> None:
    """Who completed the task and when, not what its data repeat of an earlier decision."""
    header = ("annotation_id", "annotator", "decided", "image", "label", "reviewer", "updated_at")
    early, late = "2026-01-01T00:00:00.000+00:00", "2026-01-02T03:04:05.678901Z"
    rows = [("1", "4", early, "a.jpg", "Bag", "Ada", late), ("2", "bea@shop.example", early, "b.jpg", "Bag", "Ada", late)]
    found = read_answers(write_table(tmp_path / "c.csv", rows, header)).answers
    assert [one.reviewer for one in found] == ["user 4", "bea@shop.example"]
    assert {one.decided for one in found} == {"2026-01-02T03:04:05.678+00:00"}


def test_other_columns_are_named(tmp_path: Path) -> None:
    """The usual names tell the columns; the option names another one, and a table without one is a sentence."""
    table = write_table(tmp_path / "c.csv", [("a.jpg", "Tasche")], ("Bild", "Sorte"))
    with pytest.raises(SourceError, match="--label-column"):
        read_answers(table)
    assert read_answers(table, "sorte").answers[0].label == "Tasche"


def test_outputs_of_a_run_are_told(tmp_path: Path) -> None:
    """Their rows say whether they are flagged, in a CSV and in JSON."""
    row = {"path": "a.jpg", "tag": "Bag", "low_confidence": True, "group_confidence": 0.9}
    (tmp_path / "t.json").write_text(json.dumps({"format": 1, "rows": [row, row | {"low_confidence": False}]}))
    assert [(one.label, one.of_run, one.flagged) for one in read_answers(tmp_path / "t.json").answers] == [
        ("Bag", True, True),
        ("Bag", True, False),
    ]
    table = write_table(tmp_path / "t.csv", [("a.jpg", "Bag", "true", "0.9")], tuple(row))
    assert [(one.of_run, one.flagged) for one in read_answers(table).answers] == [(True, True)]


def test_exports_of_label_studio_are_told(tmp_path: Path) -> None:
    """Choices become labels; tasks with several at once are named, and those without one are counted."""

    def labelled(*labels: str) -> dict[str, object]:
        result = {"from_name": "choice", "type": "choices", "value": {"choices": [*labels]}}
        return {"id": len(labels), "data": {"image": "a.jpg"}, "annotations": [{"id": 1, "result": [result] if labels else []}]}

    (tmp_path / "e.json").write_text(json.dumps([labelled("Bag"), labelled("Bag", "Coat"), labelled()]))
    found = read_answers(tmp_path / "e.json")
    assert [(one.paths, one.label) for one in found.answers] == [(("a.jpg",), "Bag")]
    assert (found.unusable, found.without_label) == (["task 2"], 1)
    (tmp_path / "one.json").write_text(json.dumps(labelled("Bag")))
    assert len(read_answers(tmp_path / "one.json").answers) == 1


def test_real_exports_hold_the_same_answers() -> None:
    """JSON and JSON-MIN of Label Studio 1.23: decided, decided again, none of the labels, skipped, uploaded, and open tasks."""
    for name in ("label-studio-1.23.json", "label-studio-1.23-min.json"):
        found = read_answers(ROOT / "tests" / "fixtures" / name)
        latest = {one.paths[0]: one.label for one in sorted(found.answers, key=lambda one: one.decided or "")}
        assert latest == {
            "Mäntel/photo 0400.jpg": "Coat",
            "Mäntel/photo 0410.webp": "-",
            "camisetas/half an upload.jpg": "Dress",
            "chemises été/photo 0600.jpg": "-",
            "/data/upload/1/d86873c8-photo_0410_%C3%A9.jpg": "Dress",
        }
        assert {one.reviewer for one in found.answers} == {"user 1"}
        assert sum(one.sha256 is not None for one in found.answers) == len(found.answers) - 1
        assert found.unusable == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b'{"images": [], "annotations": []}', "neither a table nor what Label Studio exports"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "is a photo"),
        (b"path\na.jpg\n", "no label column"),
        (b"", "empty"),
    ],
)
def test_other_files_are_one_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    """JSON of another shape (COCO), a photo, a table without labels, nothing."""
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(SourceError, match=sentence):
        read_answers(tmp_path / "x.json")


def test_folders_and_missing_files_are_one_sentence(tmp_path: Path) -> None:
    """The sentence says what to give."""
    with pytest.raises(SourceError, match="is a folder; give a table"):
        read_answers(tmp_path)
    with pytest.raises(SourceError, match=r"There is no .*none\.csv"):
        read_answers(tmp_path / "none.csv")


def test_times_are_those_of_the_ledger() -> None:
    """UTC with milliseconds, never in the future; anything else is no time."""
    assert parsed_time("2026-01-02T03:04:05.678901Z") == "2026-01-02T03:04:05.678+00:00"
    assert parsed_time("2026-01-02T03:04:05+02:00") == "2026-01-02T01:04:05.000+00:00"
    assert parsed_time("2026-01-02 03:04:05") == "2026-01-02T03:04:05.000+00:00"
    assert (parsed_time("9999-12-31T23:59:59Z") or "9") < f"{datetime.now(timezone.utc).year + 1}"
    assert [parsed_time(value) for value in ("", "soon", None, 5, "0001-01-01T00:00:00+14:00")] == [None] * 5
