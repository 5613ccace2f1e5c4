"""Make items of the addresses in tables and lists, whose photos are fetched from a bucket or a web server."""

import html
import re
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec

from tagger.catalog.spellings import clean
from tagger.records import Failed, Item, RemotePhoto
from tagger.storage.addresses import has_user, is_bucket, is_remote, shown, split_signature

NOT_FETCHED = "an address, not a file; download the photos first"

NOT_INSTALLED = f"{NOT_FETCHED}, or install what fetches them: pip install 'fmtag[cloud]'"

_IN_TEXT = re.compile(r"https?://(?:(?![,;|]\s*https?://)[^\s\"'<>])+", re.IGNORECASE)
"""An address in a cell, which may hold several."""

_WITHOUT_SCHEME = re.compile(r"(?=www\.)|//(?=[^/])", re.IGNORECASE)


def remote_item(text: str, cells: Mapping[str, object]) -> Item | None:
    """Return the item of an address; None for one of a kind that is not fetched, such as ftp.

    Its path is the address as given, but without a signature, which is a credential, and another one with each export.
    """
    given = clean(text)
    address = _WITHOUT_SCHEME.sub("https://", given, count=1) if _WITHOUT_SCHEME.match(given) else given
    if not is_remote(address):
        return None
    if not is_bucket(address):
        address = html.unescape(address).partition("#")[0]
    if has_user(address):
        detail = f"{shown(address)}: its address holds a user name, which is not sent; credentials come from the environment"
        return Item(shown(address), None, cells, Failed("bad_row", detail))
    unsigned, signature = split_signature(address)
    if signature:
        return Item(unsigned, RemotePhoto(unsigned, signature=signature), cells)
    return Item(text, RemotePhoto(unsigned), cells)


def without_credentials(item: Item) -> Item:
    """Return an item with what signs its addresses, or names a user in them, taken out of the cells of its row."""
    if not item.columns or (item.problem is None and not (isinstance(item.place, RemotePhoto) and item.place.signature)):
        return item
    return item._replace(columns={name: _cell_without_credentials(value) for name, value in item.columns.items()})


def _cell_without_credentials(value: object) -> object:
    match value:
        case str() if "://" in value:
            return _IN_TEXT.sub(lambda found: shown(html.unescape(found[0])), value)
        case list():
            return [_cell_without_credentials(part) for part in value]
        case dict():
            return {name: _cell_without_credentials(part) for name, part in value.items()}
    return value


@cache
def can_fetch() -> bool:
    """Return whether the libraries are installed that fetch photos."""
    return find_spec("fsspec") is not None and find_spec("aiohttp") is not None
