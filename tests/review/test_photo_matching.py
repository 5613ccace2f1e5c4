"""A photo is found by path, hash, place or the only path that ends so; between two none is guessed."""

import os
from pathlib import Path

import pytest
from corrections_helpers import NAMES, Shop
from corrections_helpers import shop as shop  # fixtures that are used by their names
from corrections_helpers import shop_template as shop_template

from tagger.file_names import escape_surrogates
from tagger.review.answers import Answer
from tagger.review.label_studio import image_address
from tagger.review.ledger_reader import LedgerReader
from tagger.review.photo_matching import Match, PhotoFinder, Unmatched, uploaded_name


def find(shop: Shop, *answers: Answer, prefix: str = "") -> list[Match | Unmatched]:
    """Return the photos of answers."""
    with LedgerReader(shop.ledger) as reader:
        return PhotoFinder(reader, prefix).find_all(answers)


def items(shop: Shop, *answers: Answer, prefix: str = "") -> list[int | str]:
    """Return the numbers of the photos of answers, or why there is none."""
    return [one.item if isinstance(one, Match) else one for one in find(shop, *answers, prefix=prefix)]


def path(*paths: str, **more: object) -> Answer:
    """Return an answer about a path."""
    return Answer(paths, "Bag", **more)  # type: ignore[arg-type]


def test_every_name_is_found_as_tables_write_it(shop: Shop) -> None:
    """Also bytes that are no Unicode, as they are and escaped."""
    wanted = [shop.shown(name).item for name in NAMES]
    assert items(shop, *map(path, NAMES)) == wanted
    assert items(shop, *(path(escape_surrogates(name)) for name in NAMES)) == wanted


@pytest.mark.parametrize(
    "prefix", ["/data/local-files/?d=", "/data/local-files/?d=mounted/shop/", "https://x.example/m/", "s3://bucket/"]
)
def test_every_address_of_label_studio_is_found(shop: Shop, prefix: str) -> None:
    """With the prefix that it was made with, all names are the exact ones."""
    answers = [path(image_address(name, prefix)) for name in NAMES]
    assert items(shop, *answers, prefix=prefix) == [shop.shown(name).item for name in NAMES]


def test_without_the_prefix_only_one_photo_may_fit(shop: Shop) -> None:
    """`sub/0.jpg` may be that of the catalog's folder `sub`, or `0.jpg` of a catalog that is called so."""
    there = shop.shown("sub/only here.jpg").item
    addresses = [
        "/data/local-files/?d=shop/sub/only%20here.jpg",
        "s3://bucket/shop/sub/only here.jpg",
        "https://x.example/only%20here.jpg",
    ]
    assert items(shop, *map(path, addresses)) == [there] * 3
    assert items(shop, path("/data/local-files/?d=shop/sub/0.jpg")) == ["ambiguous"]
    assert items(shop, path("/data/local-files/?d=shop/new%20photo.jpg")) == ["unknown"]
    assert items(shop, path("here.jpg"), path("b/only here.jpg")) == ["unknown"] * 2


def test_uploads_are_found_by_the_name_that_they_keep(shop: Shop) -> None:
    """Label Studio puts eight digits before it, and drops what is no letter or digit."""
    assert uploaded_name("a,b;c (1).jpg") == "abc_1.jpg"
    found = items(shop, path("/data/upload/3/0a1b2c3d-abc.jpg"), path("/data/upload/3/0a1b2c3d-only_here.jpg"))
    assert found == [shop.shown("a,b;c.jpg").item, shop.shown("sub/only here.jpg").item]
    assert items(shop, path("/data/upload/3/0a1b2c3d-0.jpg")) == ["ambiguous"]


def test_the_same_file_by_another_path_is_found(shop: Shop, tmp_path: Path) -> None:
    """An absolute path, one through a link, and the file that a cell names from the table's own folder."""
    (tmp_path / "link").symlink_to(shop.folder)
    absolute = [str(shop.folder / "sub" / "0.jpg"), str(tmp_path / "link" / "sub" / "0.jpg")]
    named = path("first/shop/sub/0.jpg", place=tmp_path / "first" / "shop" / "sub" / "0.jpg")
    assert items(shop, *map(path, absolute), named) == [shop.shown("sub/0.jpg").item] * 3


def test_a_hash_tells_moved_photos_from_changed_ones(shop: Shop) -> None:
    """The bytes decide: at another path they are found, and other bytes at the same path are not the photo."""
    sha = shop.shown("@at.jpg").sha256
    assert items(shop, path("@at.jpg", sha256=sha), path("elsewhere.jpg", sha256=sha)) == [shop.shown("@at.jpg").item] * 2
    assert items(shop, path("0.jpg", sha256=sha)) == [shop.shown("@at.jpg").item]
    other = os.urandom(32)
    assert items(shop, path("0.jpg", sha256=other), path("gone.jpg", sha256=other)) == ["changed", "unknown"]


def test_copies_are_one_photo(shop: Shop) -> None:
    """Of two names with the same bytes either will do."""
    first, copy = find(shop, path("0.jpg"), path("/elsewhere/copy.jpg"))
    assert isinstance(first, Match)
    assert isinstance(copy, Match)
    assert first.sha256 == copy.sha256
