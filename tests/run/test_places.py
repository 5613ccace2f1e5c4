"""Where a photo lies that a run reads."""

from pathlib import Path

from tagger.records import EmbeddedPhoto, RemoteFolder, RemotePhoto
from tagger.run.ledger_values import UnscoredPhoto
from tagger.run.places import place_of_photo


def test_a_path_starts_from_the_folder_of_the_source() -> None:
    """On this machine or in a bucket; an address stands for itself, with the size and state that were listed."""
    photo = UnscoredPhoto("a/b.jpg", 5, 7, 0)
    assert place_of_photo(photo, Path("/shop")) == "/shop/a/b.jpg"
    assert place_of_photo(photo, RemoteFolder("s3://shop/x/")) == RemotePhoto("s3://shop/x/a/b.jpg", 5, 7)
    address = UnscoredPhoto("https://h/a.jpg", None, None, 0, signature="sig=1")
    assert place_of_photo(address, Path()) == RemotePhoto("https://h/a.jpg", signature="sig=1")


def test_a_place_that_was_listed_counts() -> None:
    """Whatever the path is: a file of another name, a row of a table, or an address that the path only hints at."""
    embedded = EmbeddedPhoto("t#1", "t", 1, "image", (), 5, 7)
    for place in ("/other/b.jpg", embedded):
        assert place_of_photo(UnscoredPhoto("b.jpg", 5, 7, 0, place=place), Path("/shop")) == place
    www = UnscoredPhoto("www.h/a.jpg", 5, 7, 0, place=RemotePhoto("https://www.h/a.jpg"))
    assert place_of_photo(www, Path("/shop")) == RemotePhoto("https://www.h/a.jpg", 5, 7)
