"""Files with the same bytes are found, and only those."""

import hashlib
import time
from pathlib import Path

import pytest

from tagger.inspection.duplicates import PROBE, find_duplicates

LATER = 60.0


def found(
    folder: Path, contents: list[bytes], known: dict[int, bytes] | None = None, seconds: float = LATER
) -> tuple[object, bool]:
    """Write files of these contents, and return the groups among them."""
    places = []
    for number, content in enumerate(contents):
        (folder / str(number)).write_bytes(content)
        places.append(str(folder / str(number)))
    sizes = {number: len(content) for number, content in enumerate(contents)}
    return find_duplicates(places, sizes, known or {}, 2, time.monotonic() + seconds)


def test_equal_bytes_are_duplicates(tmp_path: Path) -> None:
    """Groups are in order, whatever the size of the files."""
    long = bytes(5 * PROBE)
    assert found(tmp_path, [b"a", b"b", b"a", long, b"", long, b"a", b""]) == ([[0, 2, 6], [3, 5], [4, 7]], True)


@pytest.mark.parametrize("at", [0, PROBE, 4 * PROBE, 8 * PROBE - 1])
def test_one_other_byte_makes_another_file(tmp_path: Path, at: int) -> None:
    """Also where it lies outside the parts that are compared first."""
    other = bytearray(8 * PROBE)
    other[at] = 1
    assert found(tmp_path, [bytes(8 * PROBE), bytes(other)]) == ([], True)


def test_known_hashes_are_used(tmp_path: Path) -> None:
    """A file that was read already is not read as a whole again: its hash counts."""
    assert found(tmp_path, [b"aa", b"aa"], {0: hashlib.sha256(b"aa").digest()}) == ([[0, 1]], True)
    assert found(tmp_path, [b"aa", b"aa"], {0: b"another"}) == ([], True)


def test_the_deadline_is_told(tmp_path: Path) -> None:
    """Files that were not compared make the result incomplete; without candidates there is nothing to compare."""
    assert found(tmp_path, [b"aa", b"aa"], seconds=-1) == ([], False)
    assert found(tmp_path, [b"aa", b"aaa"], seconds=-1) == ([], True)
