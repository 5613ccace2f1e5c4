"""Divide the items of a source among runs that know nothing of each other, by a hash of their paths.

A path falls to the same shard on every machine and in every night, as long as there are as many shards.
"""

import hashlib
import re
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from tagger.catalog.remote_items import without_credentials
from tagger.records import NO_IMAGE, Item

HASH_BYTES = 8
"""Of the sha256 of a path, taken as a number."""


class Shard(NamedTuple):
    """One of `total` parts of a source."""

    number: int
    """From 0 to `total` - 1."""
    total: int

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"

    def holds(self, path: str) -> bool:
        """Return whether the item with this path is one of the shard's."""
        digest = hashlib.sha256(path.encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:HASH_BYTES], "big") % self.total == self.number


def parse_shard(text: str) -> Shard:
    """Return the shard that a text such as `0/8` names; raises `ValueError` with a sentence where it names none."""
    found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text, re.ASCII)
    shard = Shard(int(found[1]), int(found[2])) if found else Shard(0, 0)
    if shard.number >= shard.total:
        last = (
            f"; the last of {shard.total} is {shard.total - 1}/{shard.total}" if shard.total else ", as 0/8 for the first of 8"
        )
        raise ValueError(f"{text!r} names no shard: it is I/N, and the numbers I begin at 0{last}.")
    return shard


class ShardedItems:
    """Pick the items of one shard from those of a whole source, and count the latter."""

    def __init__(self, items: Iterator[Item], shard: Shard) -> None:
        self._items = items
        self.shard = shard
        self._positions: deque[int] = deque()  # of items that were picked and whose positions were not taken yet
        self.total = 0
        """Items of the whole source so far."""
        self.has_photos = False
        """Whether one of them, of any shard, is more than a row without an image."""

    def __iter__(self) -> Iterator[Item]:
        for item in self._items:
            self.total += 1
            self.has_photos = self.has_photos or item.problem is None or item.problem.reason != NO_IMAGE
            if self.shard.holds(item.path):
                self._positions.append(self.total)
                yield without_credentials(item)  # the ledger of a shard keeps the cells

    def positions(self) -> Iterator[int]:
        """Yield the position in the whole source, from 1, of each item that was picked, to be taken after the item."""
        while True:
            yield self._positions.popleft()
