"""Only the bytes that were tagged are shown, of files in the catalog, and nothing is waited for."""

import hashlib
import io
import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow
import pytest
from helpers import draw_photo
from pyarrow import parquet
from queue_helpers import Catalog, all_rows, tag
from run_helpers import query

from tagger.photos import decode
from tagger.review import photos as photos_module
from tagger.review.photos import FoundPhoto, Photos, Refused
from tagger.review.queue import ReviewQueue

posix = pytest.mark.skipif(os.name != "posix", reason="links and pipes")


@pytest.fixture
def photos(queue: ReviewQueue) -> Iterator[Photos]:
    """The photos of the tagged catalog."""
    return Photos(queue.reader)


def ids(ledger: Path) -> dict[str, int]:
    """Return the ids of the items of a ledger by path."""
    return dict(query(ledger, "SELECT key, id FROM items"))


def refusal(content: bytes | Refused) -> str:
    """Return the sentence of a refused photo, which ends as sentences do."""
    assert isinstance(content, Refused)
    assert content.sentence.endswith(".")
    return content.sentence


def test_each_photo_is_read_as_it_was_tagged(tagged: Catalog, photos: Photos) -> None:
    """The bytes of every item are those of its file, also where they are no whole photo."""
    for key, item in ids(tagged.ledger).items():
        assert photos.read_photo(item) == (tagged.table.parent / key).read_bytes()


@pytest.mark.parametrize("item", [0, -1, 10**9, 2**62, 2**63, -(2**99)])
def test_an_unknown_item_is_refused(photos: Photos, item: int) -> None:
    """A number that the ledger does not have is one sentence."""
    assert refusal(photos.read_photo(item)) == "The ledger has no such photo."


def test_other_bytes_are_not_shown(tagged: Catalog, photos: Photos) -> None:
    """A photo that was changed since it was tagged, to another size or the same one, is refused until the next run."""
    item, file = ids(tagged.ledger)["a/0002.jpg"], tagged.table.parent / "a" / "0002.jpg"
    before = file.read_bytes()
    for content in (before + b"\0", before[:-1] + b"\0"):
        file.write_bytes(content)
        assert refusal(photos.read_photo(item)) == "a/0002.jpg has changed since it was tagged; run fmtag again."
    file.unlink()
    assert refusal(photos.read_photo(item)) == "a/0002.jpg is no longer there; run fmtag again."
    file.mkdir()
    assert "a/0002.jpg" in refusal(photos.read_photo(item))


@posix
@pytest.mark.parametrize("folder", [False, True])
def test_links_out_of_the_catalog_are_refused(tmp_path: Path, photo_bundle: Path, folder: bool) -> None:
    """A link to a file or folder elsewhere shows nothing, though its bytes were tagged, unless that is wanted."""
    (tmp_path / "catalog").mkdir()
    (tmp_path / "secret").mkdir()
    draw_photo(3).save(tmp_path / "secret" / "a.jpg")
    draw_photo(4).save(tmp_path / "catalog" / "b.jpg")
    link = tmp_path / "catalog" / ("linked" if folder else "a.jpg")
    link.symlink_to(tmp_path / "secret" if folder else tmp_path / "secret" / "a.jpg")
    (tmp_path / "catalog" / "inside.jpg").symlink_to("b.jpg")
    tag(tmp_path / "catalog", tmp_path / "tags.csv", photo_bundle)
    known = ids(tmp_path / "tags.ledger")
    with ReviewQueue(tmp_path / "tags.ledger") as queue:
        photos, trusting = Photos(queue.reader), Photos(queue.reader, follow_links=True)
        for key in known.keys() - {"b.jpg", "inside.jpg"}:
            assert "a link that leads out of the catalog; start the review with --follow-links" in refusal(
                photos.read_photo(known[key])
            )
            assert trusting.read_photo(known[key]) == (tmp_path / "secret" / "a.jpg").read_bytes()
        for key in ("b.jpg", "inside.jpg"):
            assert photos.read_photo(known[key]) == (tmp_path / "catalog" / "b.jpg").read_bytes()


@posix
def test_a_file_that_became_a_link_is_refused(tagged: Catalog, photos: Photos, tmp_path: Path) -> None:
    """Whoever replaces a photo by a link after the run gets no other file shown, not even one of the same bytes."""
    item, file = ids(tagged.ledger)["a/0002.jpg"], tagged.table.parent / "a" / "0002.jpg"
    outside = Path(shutil.move(file, tmp_path / "outside.jpg"))
    file.symlink_to(outside)
    assert "leads out of the catalog" in refusal(photos.read_photo(item))


@posix
def test_a_pipe_is_not_waited_for(tagged: Catalog, photos: Photos) -> None:
    """A named pipe in the place of a photo, without a writer, is refused at once; so is a link to a device."""
    item, file = ids(tagged.ledger)["a/0002.jpg"], tagged.table.parent / "a" / "0002.jpg"
    file.unlink()
    os.mkfifo(file)
    assert refusal(photos.read_photo(item)) == "a/0002.jpg is not a file."
    file.unlink()
    file.symlink_to("/dev/zero")
    assert "leads out" in refusal(photos.read_photo(item))
    with closing(sqlite3.connect(tagged.ledger)) as sql, sql:
        sql.execute("UPDATE items SET size = NULL")
    reader = ReviewQueue(tagged.ledger)
    with reader:
        assert refusal(Photos(reader.reader, follow_links=True).read_photo(item)) == "a/0002.jpg is not a file."


def test_a_file_that_is_too_long_is_not_read(tagged: Catalog, photos: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of a run holds here, too."""
    monkeypatch.setattr(photos_module, "MAX_BYTES", 1_000)
    assert decode.MAX_BYTES == 250_000_000
    assert "is longer than 1,000 bytes" in refusal(photos.read_photo(ids(tagged.ledger)["a/0002.jpg"]))


def test_a_table_may_name_photos_elsewhere(tmp_path: Path, photo_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Photos beside the table's folder, with an absolute path, in other letter case, and of a list are found from anywhere."""
    for folder in ("export", "images"):
        (tmp_path / folder).mkdir()
    for number, name in enumerate(("up.jpg", "absolute.jpg", "Case.JPG")):
        draw_photo(number).save(tmp_path / "images" / name)
    (tmp_path / "export" / "t.csv").write_text(f"image\n../images/up.jpg\n{tmp_path}/images/absolute.jpg\n../images/case.jpg\n")
    monkeypatch.chdir(tmp_path)
    tag(Path("export/t.csv"), tmp_path / "tags.csv", photo_bundle)
    monkeypatch.chdir("/")
    with ReviewQueue(tmp_path / "tags.ledger") as queue:
        photos = Photos(queue.reader)
        contents = [photos.read_photo(item) for item in sorted(ids(tmp_path / "tags.ledger").values())]
    assert contents == [(tmp_path / "images" / name).read_bytes() for name in ("up.jpg", "absolute.jpg", "Case.JPG")]


def test_photos_within_a_table_are_read(tmp_path: Path, photo_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes in a Parquet table are shown while they are those that were tagged."""
    contents = []
    for number in range(3):
        draw_photo(number).save(file := io.BytesIO(), "JPEG")
        contents.append(file.getvalue())
    (tmp_path / "data").mkdir()
    table = tmp_path / "data" / "t.parquet"
    parquet.write_table(pyarrow.table({"image": pyarrow.array(contents, pyarrow.binary())}), table)
    monkeypatch.chdir(tmp_path)
    tag(Path("data/t.parquet"), tmp_path / "tags.csv", photo_bundle)
    monkeypatch.chdir("/")
    items = sorted(ids(tmp_path / "tags.ledger").values())
    with ReviewQueue(tmp_path / "tags.ledger") as queue:
        photos = Photos(queue.reader)
        assert [photos.read_photo(item) for item in items] == contents
        parquet.write_table(pyarrow.table({"image": pyarrow.array(contents[::-1], pyarrow.binary())}), table)
        assert "has changed since it was tagged" in refusal(photos.read_photo(items[0]))
        table.unlink()
        assert "is no longer there" in refusal(photos.read_photo(items[0]))


def test_ledgers_of_before_know_the_source_alone(tagged: Catalog, photos: Photos) -> None:
    """Without a recorded root, photos are looked for beside the table or in the folder; those of a list are refused."""
    item = ids(tagged.ledger)["a/0002.jpg"]
    for source, known in ((tagged.table, True), (tagged.table.parent, True), ("-", False)):
        with closing(sqlite3.connect(tagged.ledger)) as sql, sql:
            sql.execute("UPDATE runs SET root = NULL, source = ?", (str(source),))
        content = photos.read_photo(item)
        if known:
            assert content == (tagged.table.parent / "a" / "0002.jpg").read_bytes()
        else:
            assert "run fmtag again" in refusal(content)


def test_a_photo_that_was_missing_is_refused(tmp_path: Path, photo_bundle: Path) -> None:
    """A photo that could not be read when it was tagged has no bytes to show, even where it is there now."""
    (tmp_path / "t.csv").write_text("image\nthere.jpg\nmissing.jpg\n")
    draw_photo(1).save(tmp_path / "there.jpg")
    tag(tmp_path / "t.csv", tmp_path / "tags.csv", photo_bundle)
    draw_photo(2).save(tmp_path / "missing.jpg")
    known = ids(tmp_path / "tags.ledger")
    with ReviewQueue(tmp_path / "tags.ledger") as queue:
        assert "could not be read when fmtag ran" in refusal(Photos(queue.reader).read_photo(known["missing.jpg"]))
        assert "missing.jpg" not in {row.key for row in all_rows(queue)}


@pytest.mark.skipif(sys.platform != "linux", reason="file names that are no Unicode")
def test_names_that_are_no_unicode_are_read(tmp_path: Path, photo_bundle: Path) -> None:
    """A file whose name is not UTF-8 is found by the ledger's bytes."""
    (tmp_path / "catalog").mkdir()
    odd = os.fsdecode(b"odd\xff.jpg")
    draw_photo(1).save(file := io.BytesIO(), "JPEG")
    (tmp_path / "catalog" / odd).write_bytes(file.getvalue())
    tag(tmp_path / "catalog", tmp_path / "tags.csv", photo_bundle)
    with ReviewQueue(tmp_path / "tags.ledger") as queue:
        found = Photos(queue.reader).find(1)
        assert isinstance(found, FoundPhoto)
        assert found.key == odd
        assert found.sha256 == hashlib.sha256(file.getvalue()).digest()
        assert Photos(queue.reader).read(found) == file.getvalue()
