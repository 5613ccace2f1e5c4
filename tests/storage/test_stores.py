"""The store of an address is opened once, and tells what is not installed."""

from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import pytest

from tagger.errors import StorageError
from tagger.records import RemotePhoto
from tagger.storage import stores
from tagger.storage.objects import list_objects, object_state, read_object
from tagger.storage.stores import store_of
from tagger.storage.traffic import Traffic


@pytest.mark.usefixtures("server")
def test_a_store_is_opened_once() -> None:
    """By however many threads at the same time, whatever the letter case of the scheme is, and https is http."""
    stores._opened.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        found = [*pool.map(store_of, ["s3://a/1", "S3://b/2"] * 8), *pool.map(store_of, ["http://a/1", "HTTPS://b/2"] * 8)]
    assert len({id(store) for store in found}) == 2
    assert store_of("s3://c") is found[0] is not found[-1]


@pytest.mark.parametrize("library", ["s3fs", "fsspec", "tenacity"])
def test_what_is_not_installed_is_a_sentence(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    """With what to install, whatever is called first."""
    stores._opened.cache_clear()
    monkeypatch.setattr(stores, "find_spec", lambda name: None if name == library else find_spec(name))
    for request in (
        lambda: next(list_objects("s3://b/", Traffic())),
        lambda: object_state("s3://b/1.jpg", Traffic()),
        lambda: read_object(RemotePhoto("s3://b/1.jpg"), 1, Traffic()),
    ):
        with pytest.raises(
            StorageError, match=r"What reads and writes buckets is not installed; .*pip install 'fmtag\[cloud\]'"
        ):
            request()
