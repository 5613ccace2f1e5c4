"""Pictures are small, upright, without metadata, made once, and never an error."""

import io
import shutil
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from helpers import draw_photo
from image_files import png
from PIL import Image
from queue_helpers import Catalog, tag
from run_helpers import query

from tagger.photos.decode import decode
from tagger.photos.product import extract_product
from tagger.records import Photo
from tagger.review import thumbnails as thumbnails_module
from tagger.review.photos import Photos
from tagger.review.queue import ReviewQueue
from tagger.review.thumbnails import PLACEHOLDER_TYPE, SIDES, Picture, Thumbnails, user_folder


@pytest.fixture
def pictures(queue: ReviewQueue, tmp_path: Path) -> Iterator[Thumbnails]:
    """The pictures of the tagged catalog, kept in a folder of the test."""
    return Thumbnails(Photos(queue.reader), tmp_path / "cache")


def item_of(ledger: Path, key: str) -> int:
    """Return the id of an item."""
    return int(query(ledger, f"SELECT id FROM items WHERE key = '{key}'")[0][0])


def opened(picture: Picture) -> Image.Image:
    """Return a picture as a browser decodes it."""
    assert picture.problem == ""
    image = Image.open(io.BytesIO(picture.content))
    image.load()
    return image


def assert_placeholder(picture: Picture, problem: str) -> None:
    """Assert that a picture is a placeholder that says why, a drawing without scripts."""
    assert picture.media_type == PLACEHOLDER_TYPE
    assert problem in picture.problem
    assert {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(picture.content).iter()} == {
        *("svg", "rect", "path", "text")
    }


def tagged_alone(folder: Path, name: str, content: bytes, bundle: Path, *options: str) -> tuple[Path, Thumbnails, ReviewQueue]:
    """Tag a catalog of one file, and return the file, its pictures and their queue, which must be closed."""
    (folder / "catalog").mkdir()
    (folder / "catalog" / name).write_bytes(content)
    tag(folder / "catalog", folder / "tags.csv", bundle, *options)
    queue = ReviewQueue(folder / "tags.ledger")
    return folder / "catalog" / name, Thumbnails(Photos(queue.reader), folder / "cache"), queue


def test_photos_of_any_size_are_shrunk_and_not_enlarged(tmp_path: Path, photo_bundle: Path) -> None:
    """The longer side is that of the size, for photos larger than decoding for the networks needs; small ones stay."""
    (tmp_path / "catalog").mkdir()
    large, small = draw_photo(1, (1800, 1200)), draw_photo(2, (100, 60))
    large.save(tmp_path / "catalog" / "1.jpg")
    large.save(tmp_path / "catalog" / "2.png", compress_level=1)
    large.save(tmp_path / "catalog" / "3.webp", method=0)
    small.save(tmp_path / "catalog" / "4.jpg")
    tag(tmp_path / "catalog", tmp_path / "tags.csv", photo_bundle)
    with ReviewQueue(tmp_path / "tags.ledger") as queue:
        pictures = Thumbnails(Photos(queue.reader), tmp_path / "cache")
        for item, photo in ((1, large), (2, large), (3, large), (4, small)):
            for size, side in SIDES.items():
                image = opened(pictures.picture(item, size))
                assert max(image.size) == min(side, max(photo.size))
                assert min(image.size) == pytest.approx(max(image.size) * min(photo.size) / max(photo.size), abs=1)
                expected = np.asarray(photo.resize(image.size), int)
                assert np.abs(np.asarray(image, int) - expected).mean() < 4


def test_no_byte_of_the_file_is_sent(tmp_path: Path, photo_bundle: Path) -> None:
    """Metadata, a comment, a place and what follows the picture stay here; the picture is turned upright by them."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "SECRET"
    draw_photo(3, (300, 200)).save(file := io.BytesIO(), "JPEG", exif=exif, comment=b"SECRET")
    _, pictures, queue = tagged_alone(tmp_path, "a.jpg", file.getvalue() + b"<script>SECRET</script>", photo_bundle)
    with queue:
        for size in SIDES:
            picture = pictures.picture(1, size)
            assert opened(picture).size == (200, 300)
            assert b"SECRET" not in picture.content
            assert not opened(picture).getexif()


def test_transparency_is_on_white(tmp_path: Path, photo_bundle: Path) -> None:
    """A cut-out has a white ground."""
    image = Image.new("RGBA", (200, 200), (0, 0, 0, 0))
    image.paste((200, 30, 40, 255), (50, 50, 150, 150))
    image.save(file := io.BytesIO(), "PNG")
    _, pictures, queue = tagged_alone(tmp_path, "a.png", file.getvalue(), photo_bundle)
    with queue:
        shown = opened(pictures.picture(1, "grid"))
    assert min(shown.getpixel((5, 5))) > 250  # type: ignore[arg-type, type-var]
    assert shown.getpixel((100, 100))[0] > 180  # type: ignore[index]


def test_the_networks_inputs_are_what_they_saw(tagged: Catalog, pictures: Thumbnails) -> None:
    """Both pictures are those of the preprocessing of a run, to the bit, also from the cache."""
    item = item_of(tagged.ledger, "a/0002.jpg")
    photo = decode(tagged.table.parent / "a" / "0002.jpg")
    assert isinstance(photo, Photo)
    product = extract_product(photo)
    assert product.colour is not None
    for _ in range(2):
        inputs = pictures.network_inputs(item)
        assert np.array_equal(np.asarray(opened(inputs.grey)), product.pixels)
        assert np.array_equal(np.asarray(opened(inputs.colour)), product.colour)
        assert inputs.grey.media_type == "image/png"


def test_pictures_are_made_once(tagged: Catalog, queue: ReviewQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second call, also for a copy or by another server, decodes nothing, and works where the file is away meanwhile."""
    item, copy = (item_of(tagged.ledger, key) for key in ("a/0001.jpg", "ab/copy.jpg"))
    first = [Thumbnails(Photos(queue.reader), tmp_path / "cache").picture(item, size) for size in SIDES]
    inputs = Thumbnails(Photos(queue.reader), tmp_path / "cache").network_inputs(item)
    monkeypatch.setattr(thumbnails_module, "decode_bytes", None)
    shutil.rmtree(tagged.table.parent)
    again = Thumbnails(Photos(queue.reader), tmp_path / "cache")
    assert [again.picture(copy, size) for size in SIDES] == first
    assert again.network_inputs(copy) == inputs


def test_damaged_entries_are_made_again(tagged: Catalog, pictures: Thumbnails, tmp_path: Path) -> None:
    """Whatever lies in the cache in place of a picture is replaced by the picture."""
    item = item_of(tagged.ledger, "a/0002.jpg")
    first = pictures.picture(item, "grid")
    for path in (tmp_path / "cache").rglob("*.picture"):
        path.write_bytes(path.read_bytes()[:-100])
    assert pictures.picture(item, "grid") == first
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "cache").write_text("no folder")
    assert pictures.picture(item, "grid") == first


def test_damaged_photos_are_placeholders_that_say_why(tmp_path: Path, photo_bundle: Path) -> None:
    """A text, an empty file, and a decompression bomb have a placeholder in every size and as what the networks saw."""
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "a.jpg").write_text("<script>alert(1)</script>")
    (tmp_path / "catalog" / "b.jpg").write_bytes(b"")
    (tmp_path / "catalog" / "c.png").write_bytes(png(25_000, 25_000, 8, 2, None))
    draw_photo(1).save(tmp_path / "catalog" / "d.jpg")
    tag(tmp_path / "catalog", tmp_path / "tags.csv", photo_bundle)
    with ReviewQueue(tmp_path / "tags.ledger") as queue:
        pictures = Thumbnails(Photos(queue.reader), tmp_path / "cache")
        for key, problem in (("a.jpg", "not a photo"), ("b.jpg", "empty file"), ("c.png", "25000x25000 pixels")):
            item = item_of(tmp_path / "tags.ledger", key)
            inputs = pictures.network_inputs(item)
            for picture in (pictures.picture(item, "grid"), pictures.picture(item, "view"), *inputs):
                assert_placeholder(picture, problem)
    assert not list((tmp_path / "cache").rglob("*.picture"))


def test_a_photo_that_ends_early_is_shown_as_far_as_it_goes(tagged: Catalog, pictures: Thumbnails) -> None:
    """People may see more in it than a run, which refuses it."""
    image = opened(pictures.picture(item_of(tagged.ledger, "a/cut.jpg"), "grid"))
    assert image.size == (240, 320)


def test_photos_that_are_not_shown_are_placeholders(tagged: Catalog, pictures: Thumbnails) -> None:
    """Other bytes, a missing file and an unknown item are placeholders with the sentence of the refusal."""
    changed, missing = (item_of(tagged.ledger, key) for key in ("a/0002.jpg", "a/0003.jpg"))
    (tagged.table.parent / "a" / "0002.jpg").write_bytes(b"other")
    (tagged.table.parent / "a" / "0003.jpg").unlink()
    for item, problem in ((changed, "has changed"), (missing, "no longer there"), (10**9, "no such photo")):
        for picture in (pictures.picture(item, "grid"), *pictures.network_inputs(item)):
            assert_placeholder(picture, problem)


def test_a_photo_without_a_product_says_so(tmp_path: Path, photo_bundle: Path) -> None:
    """The photo itself is shown; in place of what the networks saw stands that they saw nothing."""
    Image.new("RGB", (200, 200), "white").save(file := io.BytesIO(), "PNG")
    _, pictures, queue = tagged_alone(tmp_path, "a.png", file.getvalue(), photo_bundle)
    with queue:
        assert opened(pictures.picture(1, "grid")).size == (200, 200)
        for picture in pictures.network_inputs(1):
            assert_placeholder(picture, "no product stands out")


def test_an_image_in_the_form_of_the_small_network_has_no_colours(tmp_path: Path, photo_bundle: Path) -> None:
    """It is passed on as it is, in grey alone."""
    image = Image.new("L", (28, 28), 0)
    image.paste(200, (8, 4, 20, 24))
    image.save(file := io.BytesIO(), "PNG")
    _, pictures, queue = tagged_alone(tmp_path, "a.png", file.getvalue(), photo_bundle)
    with queue:
        inputs = pictures.network_inputs(1)
    assert np.array_equal(np.asarray(opened(inputs.grey)), np.asarray(image))
    assert_placeholder(inputs.colour, "in grey alone")


def test_a_link_that_leads_out_is_not_shown_from_the_cache_either(tagged: Catalog, queue: ReviewQueue, tmp_path: Path) -> None:
    """What another server has made, which follows links, does not make this one show it."""
    item, file = item_of(tagged.ledger, "a/0002.jpg"), tagged.table.parent / "a" / "0002.jpg"
    shutil.move(file, tmp_path / "outside.jpg")
    try:
        file.symlink_to(tmp_path / "outside.jpg")
    except OSError:
        pytest.skip("this user may not make links")
    assert opened(Thumbnails(Photos(queue.reader, follow_links=True), tmp_path / "cache").picture(item, "grid"))
    assert_placeholder(Thumbnails(Photos(queue.reader), tmp_path / "cache").picture(item, "grid"), "leads out")


def test_many_threads_get_the_same_pictures(tagged: Catalog, pictures: Thumbnails) -> None:
    """A page asks for all of its pictures at once."""
    with closing(sqlite3.connect(tagged.ledger)) as sql:
        items = [row[0] for row in sql.execute("SELECT id FROM items ORDER BY id")]
    alone = [pictures.picture(item, "view") for item in items]
    with ThreadPoolExecutor(16) as pool:
        assert [*pool.map(lambda item: pictures.picture(item, "view"), items * 5)] == alone * 5


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By default it lies where the system keeps caches of the user."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_folder().name == "thumbnails"
    assert "fmtag" in user_folder().parts
