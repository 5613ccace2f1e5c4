"""Shards divide the items of a source: each item falls to one of them, everywhere and always."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.catalog.items import WITHOUT_IMAGE
from tagger.records import Item
from tagger.run.shards import Shard, ShardedItems, parse_shard


@given(st.text(st.characters(exclude_categories=())), st.integers(1, 50))
def test_every_path_is_in_one_shard(path: str, total: int) -> None:
    """Whatever a path holds, also half of a surrogate pair, just one of all shards holds it."""
    assert sum(Shard(number, total).holds(path) for number in range(total)) == 1


@given(st.lists(st.text(max_size=4), max_size=40), st.integers(1, 6))
def test_shards_partition_a_source(paths: list[str], total: int) -> None:
    """All shards together have each item of the source once, in its place, and each has counted all."""
    found = []
    for number in range(total):
        sharded = ShardedItems(iter([Item(path, path) for path in paths]), Shard(number, total))
        positions = sharded.positions()
        found += [(next(positions), item.path) for item in sharded]
        assert sharded.total == len(paths)
    assert sorted(found) == [*enumerate(paths, 1)]


def test_the_division_never_changes() -> None:
    """Paths stay in the shards that earlier releases put them in: else every photo would be read once more."""
    paths = ["", "0001.jpg", "women/red dress.jpg", "caf\udce9.jpg", "靴/1.jpg"]
    assert [next(n for n in range(8) if Shard(n, 8).holds(path)) for path in paths] == [4, 6, 2, 5, 6]


def test_shards_are_of_equal_size() -> None:
    """Numbered names, as cameras give them, are divided evenly."""
    counts = Counter(next(n for n in range(8) if Shard(n, 8).holds(f"{name:06d}.jpg")) for name in range(4_000))
    assert all(400 < counts[number] < 600 for number in range(8))


def test_rows_without_an_image_are_no_photos() -> None:
    """A source has photos if any item of any shard is one."""
    empty, photo = Item("", None, problem=WITHOUT_IMAGE), Item("a.jpg", "a.jpg")
    for items, has_photos in (([empty], False), ([empty, photo], True)):
        for number in range(2):
            sharded = ShardedItems(iter(items), Shard(number, 2))
            assert len([*sharded]) <= 2
            assert sharded.has_photos is has_photos


@pytest.mark.parametrize("text", ["8/8", "9/8", "-1/8", "1", "a/b", "", "1/0", "0/0", "1/8/9", " 1/8", "٣/8", "0.5/8"])
def test_what_names_no_shard_is_refused(text: str) -> None:
    """The sentence tells that numbers begin at 0."""
    with pytest.raises(ValueError, match="numbers I begin at 0"):
        parse_shard(text)


def test_shards_are_parsed_and_shown() -> None:
    """A shard is I/N."""
    assert parse_shard("0/1") == Shard(0, 1)
    assert str(parse_shard("07/08")) == "7/8"
