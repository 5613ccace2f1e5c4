"""A path means the file of its name, or the only file that it can mean; never one of two, and none outside its folders."""

import os
import unicodedata
from pathlib import Path

import pytest
from catalog_helpers import touch

from tagger.catalog import places
from tagger.catalog.places import exact_place, find_photo, in_words, joined, lookup, shown


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("photos\\tee.jpg", "photos/tee.jpg"),
        ("PHOTOS/Tee.JPG", "photos/tee.jpg"),
        (" photos/tee.jpg ", "photos/tee.jpg"),
        ("/photos/tee.jpg", "photos/tee.jpg"),
        ("/t/e/tee.jpg", "pub/media/catalog/product/t/e/tee.jpg"),
        ("pub/media/catalog/product/t/e/tee.jpg", "t/e/tee.jpg"),
        ("media/catalog/product/t/e/tee.jpg", "t/e/tee.jpg"),
        ("/wp-content/uploads/2026/01/tee.jpg", "2026/01/tee.jpg"),
        ("2026/01/tee.jpg", "wp-content/uploads/2026/01/tee.jpg"),
        ("%68emd.jpg", "hemd.jpg"),
        (unicodedata.normalize("NFD", "Größe/Hémd.jpg"), unicodedata.normalize("NFC", "größe/hémd.jpg")),
        (unicodedata.normalize("NFC", "Hémd.jpg"), unicodedata.normalize("NFD", "Hémd.jpg")),
        (r"caf\udce9.jpg", os.fsdecode(b"caf\xe9.jpg")),
        ("Müller.jpg", os.fsdecode("müller.jpg".encode("cp1252"))),
        ("./photos//tee.JPG", "photos/tee.jpg"),
        ("tee.jpg", "tee.jpg "),
    ],
)
def test_the_only_file_that_a_path_can_mean(tmp_path: Path, text: str, file: str) -> None:
    """It is found beside files of other names."""
    touch(tmp_path, file, "other.jpg", "photos/tee.jpeg")
    assert exact_place(text, tmp_path) is None
    place = find_photo(text, tmp_path).place
    assert place is not None
    assert Path(place).samefile(tmp_path / file)


def test_the_exact_name_comes_first(tmp_path: Path) -> None:
    """A file that really has a percent code or a backslash in its name is itself, and an earlier reading beats a later one."""
    touch(tmp_path, "blue%20tee.jpg", "blue tee.jpg", "a\\b.jpg", "a/b.jpg", "tee.jpg", "TEE.jpg")
    assert exact_place("blue%20tee.jpg", tmp_path) == str(tmp_path / "blue%20tee.jpg")
    assert exact_place("a\\b.jpg", tmp_path) == str(tmp_path / "a\\b.jpg")
    assert find_photo("blue%20tee.jpg ", tmp_path).place == str(tmp_path / "blue%20tee.jpg")
    assert find_photo(" tee.jpg", tmp_path).place == str(tmp_path / "tee.jpg")


def test_one_of_two_is_never_taken(tmp_path: Path) -> None:
    """Two files, or the same name in two folders, are named in the sentence."""
    touch(tmp_path, "Tee.jpg", "TEE.jpg", "Photos/bag.jpg", "photos/bag.jpg", "M%20N.jpg", "m n.jpg")
    for text, names in {"tee.jpg": "TEE.jpg and Tee.jpg", "PHOTOS/bag.jpg": "Photos/bag.jpg and photos/bag.jpg"}.items():
        found = find_photo(text, tmp_path)
        assert (found.place, names in found.why, "write the exact name" in found.why) == (None, True, True)
    assert find_photo("m%20n.JPG", tmp_path).place is None


def test_two_names_of_one_file_are_one_candidate(tmp_path: Path) -> None:
    """A link to a photo is no second photo."""
    touch(tmp_path, "Tee.jpg")
    (tmp_path / "TEE.jpg").symlink_to("Tee.jpg")
    assert find_photo("tee.jpg", tmp_path).place is not None


@pytest.mark.parametrize(
    "text", ["%2e%2e/secret.jpg", "/../secret.jpg", "\\..\\secret.jpg", "file:../secret.jpg", "a/%2e%2e/%2e%2e/secret.jpg"]
)
def test_nothing_outside_is_found_by_a_trick(tmp_path: Path, text: str) -> None:
    """Decoding, dropping a slash or a scheme does not lead out of the table's folder."""
    touch(tmp_path, "secret.jpg", "shop/a/tee.jpg")
    assert find_photo(text, tmp_path / "shop").place is None


def test_what_a_cell_says_openly_is_followed(tmp_path: Path) -> None:
    """`..` and absolute paths are allowed, in other writing too."""
    touch(tmp_path, "photos/tee.jpg", "shop/list.csv")
    shop = tmp_path / "shop"
    for text in ("..\\photos\\tee.jpg", "../Photos/TEE.jpg", f"file://{tmp_path}/photos/tee.jpg", f"{tmp_path}/PHOTOS/tee.jpg"):
        place = find_photo(text, shop).place
        assert place is not None
        assert Path(place).samefile(tmp_path / "photos" / "tee.jpg")


def test_what_is_there_in_place_of_a_missing_photo(tmp_path: Path) -> None:
    """Another suffix is told; of other names there is nothing to say."""
    touch(tmp_path, "photos/Tee.jpeg", "photos/tee.webp", "photos/tee.csv", "bag.jpg")
    assert find_photo("photos/tee.jpg", tmp_path) == (
        None,
        "photos/tee.jpg does not exist; its folder has Tee.jpeg and tee.webp",
    )
    assert find_photo("photos/coat.jpg", tmp_path) == find_photo("nowhere/bag.jpg", tmp_path) == (None, "")


def test_a_folder_is_no_photo(tmp_path: Path) -> None:
    """Nor is a path that ends in one, or an empty one."""
    (tmp_path / "Photos.jpg").mkdir()
    assert [find_photo(text, tmp_path).place for text in ("photos.jpg", "photos.jpg/", "x" * 300, "a\0b", "/")] == [None] * 5


def test_listings_are_read_once_and_again_after_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exact names list no folder; many others list each once, until a file comes or goes."""
    touch(tmp_path, *(f"p{number}.jpg" for number in range(50)))
    listed: list[str] = []
    listdir = os.listdir
    monkeypatch.setattr(places.os, "listdir", lambda folder: listed.append(folder) or listdir(folder))
    assert all(exact_place(f"p{number}.jpg", tmp_path) for number in range(50))
    assert listed == []
    assert all(find_photo(f"P{number}.JPG", tmp_path).place for number in range(50))
    assert listed == [str(tmp_path)]
    touch(tmp_path, "new.jpg")
    os.utime(tmp_path, (1, 1))
    assert find_photo("NEW.jpg", tmp_path).place is not None


def test_paths_from_the_current_folder_have_no_prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are told as the user wrote them."""
    monkeypatch.chdir(touch(tmp_path, "tee.jpg"))
    assert (joined(Path(), "a.jpg"), joined(Path("x"), "a.jpg"), joined(Path("x"), "/a.jpg")) == ("a.jpg", "x/a.jpg", "/a.jpg")
    assert find_photo("TEE.jpg", Path()).place == "tee.jpg"


def test_lookup_tells_the_exact_file_from_those_alike(tmp_path: Path) -> None:
    """The exact one alone, or all that are alike."""
    touch(tmp_path, "a/Tee.jpg", "A/tee.jpg")
    assert lookup(str(tmp_path), ["a", "Tee.jpg"]).exact == str(tmp_path / "a" / "Tee.jpg")
    assert lookup(str(tmp_path), ["a", "tee.jpg"]) == (None, [str(tmp_path / "A/tee.jpg"), str(tmp_path / "a/Tee.jpg")])
    assert lookup(str(tmp_path), []) == (None, [])


def test_sentences_are_short() -> None:
    """Names are a list in words, and a long cell is cut."""
    assert [in_words(names) for names in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
    assert shown("x" * 1000) == "x" * 200 + "..."
