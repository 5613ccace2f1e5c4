"""An address means the photo beside the table that has the longest end of its name, unless another address means it too."""

from pathlib import Path

import pytest
from catalog_helpers import items, reasons, touch, write_table

from tagger.catalog.addresses import find_by_name, is_address, is_by_name, is_foreign, is_image_data


def found(folder: Path, *paths: str) -> list[str]:
    """Return where the photos of a table with these paths lie, from its folder; the reason where there is none."""
    table = write_table(folder / "t.jsonl", ["image"], [[path] for path in paths])
    rows = items(table)
    assert [item.path for item in rows] == [*paths]
    return [reason or str(Path(str(one.place)).relative_to(folder)) for one, reason in zip(rows, reasons(rows), strict=True)]


@pytest.mark.parametrize(
    "text",
    [
        "https://x.example/a.jpg",
        " HTTP://x/a.jpg",
        "s3://bucket/a.jpg",
        "//cdn.example.com/a.jpg",
        "www.example.com/a.jpg",
        '"ftp://x/a"',
    ],
)
def test_addresses(text: str) -> None:
    """Any scheme of more than one letter, none after two slashes, or a host that begins with www."""
    assert is_address(text)
    assert is_foreign(text)


@pytest.mark.parametrize(
    "text", ["a.jpg", "a:b.jpg", "1://x.jpg", "file:///srv/a.jpg", "C://a.jpg", "//server/share/a.jpg", "awww./a.jpg", ""]
)
def test_paths_are_no_addresses(text: str) -> None:
    """A colon, a drive, a server and a file address are paths."""
    assert not is_address(text)


@pytest.mark.parametrize("text", ["C:\\shop\\a.jpg", "c:/a.jpg", "\\\\nas\\photos\\a.jpg", "file:///D:/a.jpg"])
def test_paths_of_another_computer(text: str) -> None:
    """A drive's letter and a server's name."""
    assert is_foreign(text)
    assert is_by_name(text, "a.jpg")
    assert not is_by_name(text, text)


@pytest.mark.parametrize(
    ("address", "file"),
    [
        ("https://shop.example.com/wp-content/uploads/tee.jpg", "wp-content/uploads/tee.jpg"),
        ("https://shop.example.com/wp-content/uploads/tee.jpg", "shop.example.com/wp-content/uploads/tee.jpg"),
        ("https://shop.example.com/wp-content/uploads/tee.jpg", "uploads/tee.jpg"),
        ("https://shop.example.com/wp-content/uploads/tee.jpg", "tee.jpg"),
        ("https://cdn.example.com/s/files/1/blue%20tee.jpg?v=1700000000", "blue tee.jpg"),
        ("https://cdn.example.com/s/files/1/blue%20tee.jpg", "blue%20tee.jpg"),
        ("https://cdn.example.com/tee.jpg?v=17", "tee.jpg?v=17"),
        ("https://cdn.example.com/tee.jpg?v=17", "tee.jpg@v=17"),
        ("https://cdn.example.com/tee.jpg?v=17#top", "tee.jpg"),
        ("https://cdn.example.com/tee.jpg?a=1&amp;v=17", "tee.jpg?a=1&v=17"),
        ("//cdn.example.com/files/Tee.JPG", "files/tee.jpg"),
        ("s3://bucket/tee.jpg", "tee.jpg"),
        ("https://user:secret@shop.example.com:8443/tee.jpg", "tee.jpg"),
        ("C:\\Users\\me\\photos\\tee.jpg", "photos/tee.jpg"),
        ("file:///C:/photos/tee.jpg", "tee.jpg"),
        ("\\\\nas\\photos\\tee.jpg", "photos/tee.jpg"),
    ],
)
def test_an_address_is_the_file_with_the_longest_end_of_its_name(tmp_path: Path, address: str, file: str) -> None:
    """Without host, query, fragment and percent codes, unless the file has them."""
    assert found(touch(tmp_path, file, "other.jpg"), address) == [file]


def test_the_longest_end_counts(tmp_path: Path) -> None:
    """A file that has more of the address is preferred to one that has its last part alone."""
    touch(tmp_path, "tee.jpg", "uploads/tee.jpg", "uploads/tee.jpg?v=1")
    assert found(tmp_path, "https://x.example/uploads/tee.jpg?v=1") == ["uploads/tee.jpg?v=1"]
    assert found(tmp_path, "https://x.example/uploads/tee.jpg?v=2") == ["uploads/tee.jpg"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://x.example/men/tee.jpg", "https://x.example/women/tee.jpg"),
        ("https://x.example/tee.jpg", "https://y.example/tee.jpg"),
        ("https://x.example/tee.jpg?id=1", "https://x.example/tee.jpg?id=2"),
        ("C:\\men\\tee.jpg", "C:\\women\\tee.jpg"),
    ],
)
def test_two_addresses_of_one_file_are_bad_rows(tmp_path: Path, one: str, other: str) -> None:
    """Nobody can tell whose photo it is, so no row gets its tag, wherever the other address stands; the plain name does."""
    touch(tmp_path, "tee.jpg", "bag.jpg")
    rows = found(tmp_path, one, "https://x.example/bag.jpg", "tee.jpg", other, one)
    assert rows == ["bad_row", "bag.jpg", "tee.jpg", "bad_row", "bad_row"]
    problems = [item.problem for item in items(tmp_path / "t.jsonl")]
    assert problems[0] is not None
    assert "another address of the table ends in the same name" in problems[0].detail


def test_one_address_may_be_in_many_rows(tmp_path: Path) -> None:
    """Written with another scheme, host in capitals, or fragment, it is still the same."""
    same = ["https://x.example/tee.jpg", "http://X.EXAMPLE/tee.jpg", "//x.example/tee.jpg", "https://x.example/tee.jpg#2"]
    assert found(touch(tmp_path, "tee.jpg"), *same) == ["tee.jpg"] * 4


@pytest.mark.parametrize(
    "address",
    ["https://x.example/", "https://x.example/a/../../secret.jpg", "https://x/%2e%2e%2fsecret.jpg", "https://x/coat.jpg"],
)
def test_an_address_without_a_file_is_a_bad_row(tmp_path: Path, address: str) -> None:
    """As is one that would lead out of the table's folder."""
    touch(tmp_path, "secret.jpg", "shop/tee.jpg")
    assert found(tmp_path / "shop", address) == ["bad_row"]


def test_several_files_alike_are_told(tmp_path: Path) -> None:
    """None of them is taken."""
    touch(tmp_path, "Tee.jpg", "TEE.jpg")
    assert find_by_name("https://x.example/tee.jpg", tmp_path).place is None
    assert "several files are named like it" in find_by_name("https://x.example/tee.jpg", tmp_path).why


def test_the_bytes_of_an_image_in_a_cell_are_told(tmp_path: Path) -> None:
    """In a sentence that does not repeat them all."""
    data = "data:image/png;base64," + "A" * 10_000
    assert is_image_data(data)
    assert not is_image_data("data/image.png")
    (item,) = items(write_table(tmp_path / "t.csv", ["image"], [[data]]))
    assert item.problem is not None
    assert (item.problem.reason, len(item.problem.detail) < 400) == ("bad_row", True)
