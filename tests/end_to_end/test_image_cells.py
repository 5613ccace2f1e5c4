"""What the image cells of a table mean, from the table to the output, the ledger, the report and the exit code."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import Result, draw_photo, rows_of, run_cli
from run_helpers import age

RunTable = Callable[..., Result]

WRITINGS = [
    "photos\\tee.jpg",
    " photos/tee.jpg",
    "photos/tee.jpg\t",
    "\u00a0photos/tee.jpg\u200b",
    "'photos/tee.jpg'",
    "Photos/TEE.JPG",
    "photos/%74ee.jpg",
    "file:photos/tee.jpg",
    "/photos/tee.jpg",
    ".\\photos\\tee.jpg",
    "photos//tee.jpg",
    "C:\\shop\\photos\\tee.jpg",
]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with three photos in a subfolder, which is the current one."""
    (tmp_path / "photos").mkdir()
    for number, name in enumerate(["tee", "bag", "blue coat"]):
        draw_photo(number, (60, 80)).save(tmp_path / "photos" / f"{name}.jpg")
    age(*(tmp_path / "photos").iterdir())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(shop: Path, small_bundle: Path) -> RunTable:
    """Write a table of these image cells and run over it; the rows are in tags.csv, the counts in run.json."""

    def call(cells: list[Any] | None = None, *options: str) -> Result:
        if cells is not None:
            lines = [{"sku": number, "image": cell} for number, cell in enumerate(cells)]
            Path("t.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        return run_cli(
            *("run", "t.jsonl", "--out", "tags.csv", "--report", "run.json", "--model", small_bundle, "--workers", "1"),
            *options,
        )

    return call


def column(name: str) -> list[str]:
    """Return a column of the output."""
    return [row[name] for row in rows_of(Path("tags.csv"))]


def counts() -> dict[str, Any]:
    """Return the counts of the report."""
    found: dict[str, Any] = json.loads(Path("run.json").read_text(encoding="utf-8"))["counts"]
    return found


def test_a_photo_has_its_tag_however_its_path_is_written(run: RunTable, shop: Path) -> None:
    """The column keeps the cell's text; the same command again reads nothing, nor does one that verifies change a row."""
    cells = ["photos/tee.jpg", *WRITINGS, f"file://{shop}/photos/tee.jpg", "photos/bag.jpg"]
    assert run(cells).code == 0
    assert column("path") == cells
    tags = [(row["tag"], row["confidence"]) for row in rows_of(Path("tags.csv"))]
    assert len(set(tags[:-1])) == 1
    assert tags[-1] != tags[0]
    assert column("duplicate_of") == ["", *[cells[0]] * (len(cells) - 2), ""]
    before = Path("tags.csv").read_bytes()
    assert (counts()["looked_at"], counts()["scored"]) == (len(cells), 2)
    assert (run().code, counts()["looked_at"]) == (0, 0)
    assert (run(None, "--verify").code, counts()["scored"]) == (0, 0)
    assert (run(None, "--fresh", "--batch-size", "1").code, counts()["scored"]) == (0, 2)
    assert Path("tags.csv").read_bytes() == before
    for text in cells:
        assert run_cli("explain", text, "--ledger", "tags.ledger").code == 0


def test_a_photo_that_could_be_two_is_missing_with_their_names(run: RunTable) -> None:
    """And is tagged once the cell has the exact name, or only one is left."""
    for name in ("Tee.jpg", "TEE.jpg"):
        draw_photo(5, (60, 80)).save(f"photos/{name}")
    Path("photos/tee.jpg").unlink()
    done = run(["photos/tee.jpg", "photos/TEE.jpg", "photos/bag.jpeg"])
    assert (done.code, [reason == "missing" for reason in column("reason")]) == (3, [True, False, True])
    assert "there are photos/TEE.jpg and photos/Tee.jpg; write the exact name" in done.err
    assert "photos/bag.jpeg does not exist; its folder has bag.jpg" in done.err
    Path("photos/Tee.jpg").unlink()
    assert (run().code, column("tag")[0]) == (3, column("tag")[1])


def test_the_exact_file_takes_over_when_it_comes(run: RunTable) -> None:
    """A result belongs to the file that the cell means now."""
    assert run(["photos/Bag.jpg", "photos/tee.jpg"]).code == 0
    first = column("confidence")
    draw_photo(9, (60, 80)).save("photos/Bag.jpg")
    assert run().code == 0
    assert (column("confidence")[0] != first[0], column("confidence")[1]) == (True, first[1])


def test_a_photo_that_goes_is_missing_not_vanished(run: RunTable) -> None:
    """Its row stays, whatever the sentence about it is, and comes back with the photo."""
    content = Path("photos/bag.jpg").read_bytes()
    assert run(["photos/BAG.jpg", "photos/tee.jpg"]).code == 0
    Path("photos/bag.jpg").unlink()
    assert (run().code, column("reason")[0], counts()["changes"]) == (3, "missing", {"failed": 1})
    Path("photos/bag.png").write_bytes(content)
    assert "its folder has bag.png" in run().err
    Path("photos/bag.jpg").write_bytes(content)
    assert (run().code, counts()["changes"]) == (0, {"recovered": 1})


def test_rows_without_an_image_are_no_failures(run: RunTable) -> None:
    """They are rows in their place, counted apart in log and report, tried by no run and never flagged for a person."""
    nothing = ["", " ", None, "no_selection", "-", "n/a", [], {"url": None}]
    done = run(["photos/tee.jpg", *nothing, "photos/bag.jpg"])
    assert (done.code, len(rows_of(Path("tags.csv")))) == (0, 10)
    assert [*zip(column("tag")[1:9], column("low_confidence")[1:9], column("reason")[1:9], strict=True)] == [
        ("", "true", "no_image")
    ] * 8
    assert column("path")[1:5] == ["", " ", "", "no_selection"]
    assert "2 photos = " in done.err
    assert "; 8 rows without an image; " in done.err
    assert "no_image" not in done.err
    assert (counts()["photos"], counts()["without_image"], counts()["rows_written"], counts()["failed"]) == (2, 8, 10, {})
    assert json.loads(Path("run.json").read_text())["failures"] == []
    done = run(None, "--log-format", "json", "--only", "flagged", "--changes", "changes.csv")
    assert json.loads(done.err.splitlines()[-1])["without_image"] == 8
    assert "no_image" not in column("reason")
    assert (counts()["rows_written"] < 3, rows_of(Path("changes.csv"))) == (True, [])


def test_an_image_that_goes_from_its_row_vanishes(run: RunTable) -> None:
    """The row stays without it, and comes back with it."""
    assert run(["photos/tee.jpg", "photos/bag.jpg"]).code == 0
    assert (run(["photos/tee.jpg", ""]).code, counts()["changes"], counts()["without_image"]) == (0, {"vanished": 1}, 1)
    assert (run(["photos/tee.jpg", "photos/bag.jpg"]).code, counts()["changes"]) == (0, {"new": 1})


def test_a_table_without_any_image_is_refused(run: RunTable) -> None:
    """As a folder without photos is; the output of before stays."""
    assert run(["photos/tee.jpg"]).code == 0
    before = Path("tags.csv").read_bytes()
    done = run(["", None])
    assert (done.code, Path("tags.csv").read_bytes()) == (1, before)
    assert "t.jsonl holds no photos, only rows without an image; nothing was written." in done.err


def test_of_several_images_the_first_one_counts_or_each(run: RunTable) -> None:
    """A row each with --all-images, with the same cells, in order, and once; a missing first one is not passed over."""
    cells = ["photos/tee.jpg, photos/bag.jpg", ["photos/bag.jpg", "photos/bag.jpg"], "photos/none.jpg|photos/tee.jpg", ""]
    done = run(cells)
    assert (done.code, column("path")) == (3, ["photos/tee.jpg", "photos/bag.jpg", "photos/none.jpg", ""])
    assert [reason if reason in ("missing", "no_image") else "" for reason in column("reason")] == [
        "",
        "",
        "missing",
        "no_image",
    ]
    assert "it is the first of 2 images of its row, and the first one counts" in done.err
    assert run(cells, "--all-images").code == 3
    assert [*zip(column("sku"), column("path"), strict=True)] == [
        ("0", "photos/tee.jpg"),
        ("0", "photos/bag.jpg"),
        ("1", "photos/bag.jpg"),
        ("2", "photos/none.jpg"),
        ("2", "photos/tee.jpg"),
        ("3", ""),
    ]
    assert column("tag")[0] == column("tag")[4]
    assert column("image")[0] == column("image")[1] == cells[0]


def test_a_name_with_a_comma_is_one_photo(run: RunTable) -> None:
    """Alone, in another letter case, and among others."""
    os.replace("photos/tee.jpg", "photos/tee, blue.jpg")
    cells = ["photos/tee, blue.jpg", "Photos/Tee, Blue.jpg", "photos/tee, blue.jpg, photos/bag.jpg"]
    assert run(cells, "--all-images").code == 0
    assert column("path") == [cells[0], cells[1], cells[0], "photos/bag.jpg"]


def test_addresses_mean_the_photos_beside_the_table(run: RunTable) -> None:
    """One note says how many; two of one name have no tag, and one without a photo that cannot be fetched either fails."""
    base = "https://shop.example.com"
    cells = [
        f"{base}/photos/blue%20coat.jpg?v=17",
        f"{base}/a/photos/tee.jpg",
        f"{base}/b/photos/tee.jpg",
        "ftp://shop.example.com/none.jpg",
        "photos/tee.jpg",
    ]
    done = run(cells)
    assert (done.code, [reason == "bad_row" for reason in column("reason")]) == (3, [False, True, True, True, False])
    assert done.err.count("Note: Addresses that mean a file beside the table, by the end of their names: 1.\n") == 1
    assert "another address of the table ends in the same name" in done.err
    assert "an address, not a file; download the photos first" in done.err
    assert run(cells[:2], "--quiet") == (0, "", "")
    assert column("path") == cells[:2]


def test_labels_of_rows_without_an_image_are_passed_over(run: RunTable, shop: Path, small_bundle: Path) -> None:
    """By `evaluate` and `pick`, which count only photos."""
    lines = [
        {"image": "photos\\tee.jpg", "label": "Bag"},
        {"image": "", "label": "Bag"},
        {"image": "PHOTOS/bag.jpg", "label": "Coat"},
    ]
    Path("labels.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert run_cli("evaluate", "labels.jsonl", "--model", small_bundle, "--out", "m.json").code == 0
    metrics = json.loads(Path("m.json").read_text())
    assert (metrics["n"], metrics["failed"]) == (2, {})
    done = run_cli("pick", "labels.jsonl", "--from", small_bundle, "--out", "pick.csv")
    assert done.code == 0, done.err
    assert all(Path(row["path"]).is_file() for row in rows_of(Path("pick.csv")))
