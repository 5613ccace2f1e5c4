"""Addresses: which texts are some, their parts, and that no credential stays in what is shown."""

import pytest

from tagger.storage.addresses import (
    bucket_address,
    has_user,
    is_bucket,
    is_remote,
    join,
    name,
    parent,
    shown,
    signed,
    split_signature,
)


def test_what_an_address_is() -> None:
    """Buckets and web servers are addresses, in any letter case; files and other schemes are not."""
    buckets, web = ("s3://b/k", "GS://b", "az://c/k"), ("https://h/x.jpg", "HTTP://h")
    assert all(map(is_bucket, buckets))
    assert not any(map(is_bucket, web))
    assert all(map(is_remote, buckets + web))
    assert not any(map(is_remote, ("a/b.jpg", "ftp://h/x", "file:///x", "C:\\x", "x/s3://b", "")))


def test_a_key_is_literal() -> None:
    """What would be a query or a code elsewhere is part of a bucket's key."""
    assert bucket_address("S3://shop/a b/100%?.jpg") == ("s3", "shop", "a b/100%?.jpg")
    assert bucket_address("gs://shop") == ("gs", "shop", "")
    assert split_signature("s3://shop/a?sig=1") == ("s3://shop/a?sig=1", "")


@pytest.mark.parametrize(
    ("address", "without", "signature"),
    [
        ("https://h/a.jpg?v=3&width=400", "https://h/a.jpg?v=3&width=400", ""),
        ("https://h/a.jpg?X-Amz-Date=1&X-Amz-Signature=s&v=3", "https://h/a.jpg?v=3", "X-Amz-Date=1&X-Amz-Signature=s"),
        ("https://h/a.jpg?AWSAccessKeyId=k&Expires=9&Signature=s", "https://h/a.jpg", "AWSAccessKeyId=k&Expires=9&Signature=s"),
        ("https://h/a.jpg?sv=1&se=2&sp=r&sig=s&snapshot=4", "https://h/a.jpg?snapshot=4", "sv=1&se=2&sp=r&sig=s"),
        ("https://h/a.jpg?alt=media&token=t", "https://h/a.jpg?alt=media", "token=t"),
        ("https://h/a.jpg?expires=9", "https://h/a.jpg?expires=9", ""),
    ],
)
def test_a_signature_is_told_from_the_address(address: str, without: str, signature: str) -> None:
    """The parameters that sign an address are apart, all others stay; both together are requested."""
    assert split_signature(address) == (without, signature)
    assert sorted(signed(without, signature).partition("?")[2].split("&")) == sorted(address.partition("?")[2].split("&"))


def test_nothing_secret_is_shown() -> None:
    """Neither a signature nor a user's name and password are in what is shown; a file's path is as it is."""
    assert shown("https://user:secret@h/a.jpg?v=1&X-Goog-Signature=s") == "https://h/a.jpg?v=1"
    assert shown("s3://key:secret@shop/a@b.jpg") == "s3://shop/a@b.jpg"
    assert shown("a/user:x@b?sig=1") == "a/user:x@b?sig=1"
    assert [has_user(one) for one in ("https://user@h/a", "https://h/a@b", "s3://shop/a@b.jpg")] == [True, False, False]


def test_folder_and_name() -> None:
    """The folder of an object ends with a slash, and leads to the object again with its name."""
    for address in ("s3://shop/a/b?.jpg", "s3://shop/a.jpg"):
        assert join(parent(address), name(address)) == address
    assert (parent("https://h/a/t.csv?x=/y"), name("https://h/a/t.csv?x=/y")) == ("https://h/a/", "t.csv")
