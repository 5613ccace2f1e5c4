"""Addresses in tables and lists become photos that are fetched, without what signs them."""

from pathlib import Path

import pytest

from tagger.catalog import remote_items
from tagger.catalog.items import row_items
from tagger.catalog.remote_items import remote_item, without_credentials
from tagger.catalog.settings import SourceSettings
from tagger.records import Failed, Item, RemotePhoto


@pytest.mark.parametrize(
    ("text", "path", "address"),
    [
        ("https://h/a.jpg?v=3", "https://h/a.jpg?v=3", "https://h/a.jpg?v=3"),
        (' "https://h/a.jpg?v=3&amp;w=4#zoom" ', ' "https://h/a.jpg?v=3&amp;w=4#zoom" ', "https://h/a.jpg?v=3&w=4"),
        ("//h.example/a.jpg", "//h.example/a.jpg", "https://h.example/a.jpg"),
        ("www.h.example/a.jpg", "www.h.example/a.jpg", "https://www.h.example/a.jpg"),
        ("s3://shop/a&amp;b#1.jpg", "s3://shop/a&amp;b#1.jpg", "s3://shop/a&amp;b#1.jpg"),
    ],
)
def test_an_address_is_read_as_shops_write_it(text: str, path: str, address: str) -> None:
    """Quotes, HTML's escapes, fragments and a missing scheme are no part of a web address; a bucket's key is literal."""
    assert remote_item(text, {}) == Item(path, RemotePhoto(address), {})


def test_a_signature_is_no_part_of_the_path() -> None:
    """It is a credential, and another one in the next export: the path of the photo stays."""
    item = remote_item("https://h/a.jpg?v=1&X-Amz-Signature=secret", {"sku": "1"})
    assert item == Item(
        "https://h/a.jpg?v=1", RemotePhoto("https://h/a.jpg?v=1", signature="X-Amz-Signature=secret"), {"sku": "1"}
    )


def test_cells_that_are_kept_have_no_signature() -> None:
    """Also those of other images, several in a cell, and those in lists; a row without a signature is as it was."""
    first, second = "https://h/a.jpg?v=1&X-Amz-Signature=secret", "https://h/b.jpg?X-Amz-Date=1&amp;X-Amz-Signature=secret"
    cells = {
        "image": first,
        "more": f"{first}, {second};{second}",
        "list": [first, {"src": second}],
        "sku": 1,
        "name": "a:b?c=d",
    }
    item = remote_item(first, cells)
    assert item is not None
    assert item.columns is cells
    assert without_credentials(item).columns == {
        "image": "https://h/a.jpg?v=1",
        "more": "https://h/a.jpg?v=1, https://h/b.jpg;https://h/b.jpg",
        "list": ["https://h/a.jpg?v=1", {"src": "https://h/b.jpg"}],
        "sku": 1,
        "name": "a:b?c=d",
    }
    plain = remote_item("https://h/a.jpg?v=1&amp;w=2", {"image": "https://h/a.jpg?v=1&amp;w=2", "link": second})
    assert plain is not None
    assert without_credentials(plain) is plain


def test_what_is_not_fetched() -> None:
    """Other schemes are no address of a photo; one with a user name is a bad row that does not repeat the password."""
    assert remote_item("ftp://h/a.jpg", {}) is None
    item = remote_item("https://ann:secret@h/a.jpg", {})
    assert item is not None
    assert isinstance(item.problem, Failed)
    assert (item.place, item.path, item.problem.reason) == (None, "https://h/a.jpg", "bad_row")
    assert "secret" not in item.problem.detail


def test_without_the_clients_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A row whose photo cannot be fetched, as nothing is installed for it, says what to install."""
    monkeypatch.setattr(remote_items, "find_spec", lambda name: None)
    remote_items.can_fetch.cache_clear()
    try:
        (item,) = row_items(["https://h/a.jpg"], {}, tmp_path, SourceSettings(fetch=True))
    finally:
        remote_items.can_fetch.cache_clear()
    assert isinstance(item.problem, Failed)
    assert item.problem.detail.endswith("download the photos first, or install what fetches them: pip install 'fmtag[cloud]'")
