"""The bytes of photos in a Parquet table are read one by one, in any order and by threads, and never those of another row."""

import hashlib
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from tagger import embedded_photos
from tagger.embedded_photos import digest, open_table, read_embedded, rows_at_once
from tagger.records import Content, EmbeddedPhoto, Failed

BYTES = [bytes([number % 256]) * (number + 1) for number in range(100)]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of a hundred embedded photos in row groups of 30, and a second column with the same in reverse."""
    columns = {"image": [{"bytes": one, "path": None} for one in BYTES], "back": [[None, one] for one in reversed(BYTES)]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet", row_group_size=30)
    return tmp_path / "t.parquet"


def photo(table: Path, row: int, column: str = "image", keys: tuple[str | int, ...] = ("bytes",)) -> EmbeddedPhoto:
    """Return the place of a photo of the table."""
    content = BYTES[row] if column == "image" else BYTES[-1 - row]
    return EmbeddedPhoto(f"t#{row}", str(table), row, column, keys, len(content), digest(content))


@pytest.mark.parametrize("most_rows", [1, 7, 256])
def test_every_row_is_found_in_any_order(table: Path, monkeypatch: pytest.MonkeyPatch, most_rows: int) -> None:
    """Forwards, backwards, at random and by threads, whatever the number of rows that are read at once."""
    monkeypatch.setattr(embedded_photos, "rows_at_once", lambda file: most_rows)
    embedded_photos._reader.cache_clear()
    rows = random.Random(1).sample(range(100), 100)
    for order in (range(100), reversed(range(100)), rows):
        for row in order:
            assert read_embedded(photo(table, row)) == (BYTES[row], content(BYTES[row]))
    with ThreadPoolExecutor(8) as pool:
        found = [*pool.map(lambda row: read_embedded(photo(table, row)), range(100))]
    assert [one[0] for one in found if not isinstance(one, Failed)] == BYTES


def content(photo: bytes) -> Content:
    """Return what tells an embedded photo: its own hash in place of a time."""
    sha256 = hashlib.sha256(photo).digest()
    return Content(sha256, len(photo), int.from_bytes(sha256[:8], "big", signed=True))


def test_columns_and_lists_are_told_apart(table: Path) -> None:
    """A photo is named by its column and what leads from the cell to its bytes."""
    for row in (0, 99, 5):
        assert read_embedded(photo(table, row, "back", (1,))) == (BYTES[-1 - row], content(BYTES[-1 - row]))
        assert read_embedded(photo(table, row)) == (BYTES[row], content(BYTES[row]))


def test_a_table_that_was_changed_gives_no_other_photo(table: Path) -> None:
    """The bytes that now stand in the row are not those that were listed: a failure that says so, not another's tag."""
    wanted = photo(table, 3)
    parquet.write_table(pyarrow.table({"image": [{"bytes": one, "path": None} for one in BYTES[1:]]}), table)
    failed = read_embedded(wanted)
    assert isinstance(failed, Failed)
    assert (failed.reason, "was changed while it was read" in failed.detail) == ("unreadable", True)


def test_a_table_that_is_gone_or_damaged_is_a_value(table: Path) -> None:
    """No exception comes of it."""
    wanted = photo(table, 3)
    table.write_bytes(b"PAR1" + bytes(100))
    assert isinstance(read_embedded(wanted), Failed)
    table.unlink()
    assert read_embedded(wanted) == Failed("missing", f"{table}: no such file")
    assert isinstance(read_embedded(wanted._replace(row=10**9)), Failed)


def test_few_rows_of_large_photos_are_read_at_once(tmp_path: Path) -> None:
    """So that memory does not grow with the size of a row group; small rows are read by the hundred."""
    noise = random.Random(2)
    for size, rows in {4_000_000: 4, 100: 256}.items():
        parquet.write_table(
            pyarrow.table({"image": [noise.randbytes(size) for _ in range(8)] * (1 if size > 100 else 100)}),
            tmp_path / "t.parquet",
        )
        with open_table(str(tmp_path / "t.parquet")) as file:
            assert abs(rows_at_once(file) - rows) <= 1
            assert rows_at_once(file, 2) == 2
    parquet.write_table(pyarrow.table({"image": pyarrow.array([], pyarrow.binary())}), tmp_path / "t.parquet")
    with open_table(str(tmp_path / "t.parquet")) as file:
        assert rows_at_once(file) == 1
