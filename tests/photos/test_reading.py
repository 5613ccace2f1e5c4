"""Files are read ahead in threads, in order, within a budget of bytes."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagger.photos import reading
from tagger.photos.reading import ReadAhead, ReadItem
from tagger.records import Content, Failed, Item, RemotePhoto


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write ten files of 100 bytes."""
    for number in range(10):
        (tmp_path / f"{number}.jpg").write_bytes(bytes([number]) * 100)
    return tmp_path


def items_of(folder: Path, count: int = 10) -> list[Item]:
    """Return items of the files."""
    return [Item(f"{number}.jpg", folder / f"{number}.jpg") for number in range(count)]


def released(ahead: ReadAhead, items: list[Item]) -> Iterator[ReadItem]:
    """Yield what is read, and release each."""
    for read in ahead.read(items):
        ahead.release(read.held)
        yield read


@pytest.mark.parametrize("at_most", [1, 100, 250, 10_000])
def test_items_come_in_order_with_their_bytes(folder: Path, at_most: int) -> None:
    """Also where the budget holds one file, or less than one, at a time."""
    found = list(released(ReadAhead(lambda sha256: False, 4, at_most), items_of(folder)))
    assert items_of(folder) == [read.item for read in found]
    for number, read in enumerate(found):
        assert not isinstance(read.outcome, Failed)
        assert bytes([number]) * 100 == read.outcome[0]
        assert read.held == 100


def test_the_bytes_in_memory_are_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of files of 100 bytes, two are read before one is released where 250 bytes are allowed."""
    begun = threading.Semaphore(0)
    own = reading.read

    def noting(file: Path) -> tuple[bytes, Content] | Failed:
        begun.release()
        return own(file)

    monkeypatch.setattr(reading, "read", noting)
    ahead = ReadAhead(lambda sha256: False, 4, 250)
    found = ahead.read(items_of(folder))
    # The first is yielded only when as many are submitted as there are threads, of which two have to wait.
    first = next(found)
    assert begun.acquire(timeout=10)
    assert begun.acquire(timeout=10)
    assert not begun.acquire(timeout=0.2)
    ahead.release(first.held)
    assert begun.acquire(timeout=10)
    assert not begun.acquire(timeout=0.2)
    found.close()


def test_stopping_early_ends_the_threads(folder: Path) -> None:
    """Closing while threads wait for bytes that are never released neither hangs nor leaves a thread behind."""
    found = ReadAhead(lambda sha256: False, 4, 100).read(items_of(folder))
    next(found)
    found.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read")]


def test_failures_are_outcomes_and_hold_nothing(folder: Path) -> None:
    """An item with a problem, one without a place and one whose file is missing come in their places."""
    problem = Failed("missing", "gone")
    items = [Item("a", folder / "0.jpg", problem=problem), Item("b", None), Item("c", folder / "none.jpg")]
    found = list(released(ReadAhead(lambda sha256: False), items))
    assert [problem, "bad_row", "missing"] == [
        found[0].outcome,
        *(read.outcome.reason for read in found[1:] if isinstance(read.outcome, Failed)),
    ]
    assert [read.held for read in found] == [0, 0, 0]


def test_known_bytes_are_marked(folder: Path) -> None:
    """Whether a result is stored is known with the bytes."""
    hashes: list[bytes] = []
    found = list(released(ReadAhead(lambda sha256: hashes.append(sha256) is None), items_of(folder, 3)))
    assert [read.known for read in found] == [True] * 3
    assert len(set(hashes)) == 3


def test_photos_of_unknown_size_count_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers that do not tell sizes fill the memory with no more than the threads have in hand at the time."""
    begun = threading.Semaphore(0)

    def fetched(holder: object, traffic: object) -> tuple[bytes, Content]:
        begun.release()
        return bytes(1_000), Content(b"", 1_000, None)

    monkeypatch.setattr(reading, "read_holder", fetched)
    monkeypatch.setattr(reading, "EXPECTED_BYTES", 100)
    ahead = ReadAhead(lambda sha256: False, 2, 1_500)
    found = ahead.read(Item(str(number), RemotePhoto(f"https://h/{number}.jpg")) for number in range(9))
    first = next(found)
    assert first.held == 1_000
    for _ in range(2):
        assert begun.acquire(timeout=10)
    assert not begun.acquire(timeout=0.2)
    found.close()
