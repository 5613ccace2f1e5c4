"""Pictures are encoded anew, kept by browsers as long as their bytes count, and never lead to other files."""

import shutil
from io import BytesIO

import pytest
from PIL import Image
from review_web_helpers import Review
from starlette.testclient import TestClient


@pytest.mark.parametrize(
    ("kind", "size"), [("small", (240, 320)), ("large", (240, 320)), ("grey", (28, 28)), ("colour", (224, 224))]
)
def test_each_kind_is_a_picture(client: TestClient, review: Review, kind: str, size: tuple[int, int]) -> None:
    """Of its size; the address holds the hash of the bytes, so that a browser may keep it for ever."""
    row = next(row for row in review.open_rows() if row.ranked)
    response = client.get(f"/review/picture/{row.item}/{row.sha256}/{kind}")
    with Image.open(BytesIO(response.content)) as image:
        assert image.size == size
    assert "immutable" in response.headers["cache-control"]
    assert response.content != (review.folder / row.key).read_bytes()


def test_changed_bytes_are_not_shown(client: TestClient, review: Review) -> None:
    """A file that changed since it was tagged gives a placeholder that no browser keeps, with the reason."""
    row = next(row for row in review.open_rows() if row.ranked)
    shutil.copy(review.folder / "shop" / "0009.jpg", review.folder / row.key)
    response = client.get(f"/review/picture/{row.item}/{row.sha256}/small")
    assert response.headers["content-type"].startswith("image/svg+xml")
    assert "has changed since it was tagged" in response.headers["x-problem"]
    assert response.headers["cache-control"] == "no-store"


def test_links_out_of_the_catalog_are_not_shown(client: TestClient, review: Review) -> None:
    """Who may put files into the catalog could show others of this machine by a link; one to the same bytes is refused, too."""
    row = next(row for row in review.open_rows() if row.ranked)
    file = review.folder / row.key
    outside = review.folder.parent / "outside.jpg"
    shutil.move(file, outside)
    file.symlink_to(outside)
    assert "leads out of the catalog" in client.get(f"/review/picture/{row.item}/{row.sha256}/small").headers["x-problem"]


def test_another_hash_is_not_kept(client: TestClient, review: Review) -> None:
    """An address of an old page shows the photo of now, and is requested again the next time."""
    row = next(row for row in review.open_rows() if row.ranked)
    assert client.get(f"/review/picture/{row.item}/{'0' * 64}/small").headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/review/picture/1/00/other", "/review/picture/x/00/small", "/review/picture/1/../../small"])
def test_other_addresses_have_no_picture(client: TestClient, path: str) -> None:
    """Neither other kinds nor paths."""
    assert client.get(path).status_code == 404
