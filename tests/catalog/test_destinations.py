"""An object of a bucket is written as a whole or left as it is, like a file."""

import os
from pathlib import Path

import pytest
from bucket_helpers import Bucket
from catalog_helpers import MODEL, SHIRT, each_format, table_item
from helpers import draw_photo

from tagger.catalog.destinations import open_destination, remove_leftovers_of, why_no_object, write_destination
from tagger.catalog.output import open_output
from tagger.catalog.output_paths import Input, Output, check_output_paths, refusals
from tagger.catalog.rows import output_columns, output_row
from tagger.errors import OutputError, StorageError
from tagger.settings import Format
from tagger.storage import objects
from tagger.storage.traffic import Traffic


def write_rows(out: str, format: Format, traffic: Traffic | None = None, rows: int = 3, then: Exception | None = None) -> None:
    """Write rows to an output, and raise an exception before its end."""
    named = output_columns(["sku"], 1)
    with open_output(out, format, named, MODEL, traffic=traffic) as writer:
        for number in range(rows):
            writer.write(output_row(table_item(f"{number}.jpg", sku="x"), SHIRT, MODEL, named))
        if then is not None:
            raise then


def refused(*outputs: Output, inputs: tuple[Input, ...] = (), traffic: Traffic | None = None) -> dict[str, str]:
    """Return the sentences of the refused outputs by option."""
    return dict(refusals(outputs, inputs, traffic))


# Write -------------------------------------------------------------------------------------------------------------


@each_format
def test_an_object_has_the_bytes_of_a_file(bucket: Bucket, tmp_path: Path, format: Format) -> None:
    """In every format, with one request, whose bytes are counted; nothing stays on the disk."""
    bucket.write("a/t", b"the old one\n")
    traffic, file = Traffic(), tmp_path / f"t.{format}"
    write_rows(bucket.address("a/t"), format, traffic)
    write_rows(str(file), format)
    assert bucket.read("a/t") == file.read_bytes()
    assert bucket.keys() == ["a/t"]
    assert (traffic.requests["put"], traffic.sent) == (1, file.stat().st_size)
    assert os.listdir(tmp_path) == [file.name]


@each_format
def test_a_block_that_fails_leaves_the_old_object(bucket: Bucket, format: Format) -> None:
    """Its own exception comes out, and nothing is uploaded; where there was no object, there is none."""
    bucket.write("t", b"the old one\n")
    for key in ("t", "new"):
        with pytest.raises(LookupError, match="in the middle"):
            write_rows(bucket.address(key), format, rows=20_000, then=LookupError("in the middle of it"))
    assert bucket.keys() == ["t"]
    assert bucket.read("t") == b"the old one\n"


def test_an_upload_that_fails_is_an_error_of_the_output(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the sentence of the bucket; the object is the old one."""
    bucket.write("t.csv", b"the old one\n")

    def denied(*_: object, **__: object) -> None:
        raise StorageError("s3://shop may not be written.")

    monkeypatch.setattr(objects, "upload", denied)
    with pytest.raises(OutputError, match="may not be written"):
        write_rows(bucket.address("t.csv"), "csv")
    with pytest.raises(OutputError, match="may not be written"):
        write_destination(bucket.address("t.csv"), b"new")
    assert bucket.read("t.csv") == b"the old one\n"


def test_a_full_disk_is_an_error_of_the_output(bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Content waits on the disk until it is whole."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    with pytest.raises(OutputError, match=r"s3://shop/t\.csv cannot be written \(No such file or directory\)"):
        write_destination(bucket.address("t.csv"), b"new")
    with pytest.raises(OutputError, match=r"s3://shop/t\.csv cannot be written \(No such file or directory\); nothing was"):
        write_rows(bucket.address("t.csv"), "csv")
    assert bucket.keys() == []


def test_paths_are_written_as_ever(tmp_path: Path) -> None:
    """A path and its text name the same file, whose leftovers are removed."""
    write_destination(tmp_path / "a", b"1")
    write_destination(str(tmp_path / "a"), b"2")
    with pytest.raises(TypeError), open_destination(tmp_path / "a") as file:
        file.write("no bytes")  # type: ignore[arg-type]
    assert (tmp_path / "a").read_bytes() == b"2"
    (tmp_path / ".a.fmtag-0123456789abcdef.tmp").touch()
    remove_leftovers_of(tmp_path / "a")
    remove_leftovers_of("s3://shop/a")
    assert os.listdir(tmp_path) == ["a"]


# Check beforehand --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["s3://shop", "s3://shop/", "s3://shop/folder/", "gs://shop/", "az://shop"])
def test_an_address_without_an_object_is_refused(address: str) -> None:
    """A bucket and a folder are no files."""
    assert refused(Output("--out", address)) == {
        "--out": f"{address} cannot be written: it names a bucket or a folder, and no object in it; give --out another place."
    }
    assert not why_no_object(f"{address.rstrip('/')}/tags.csv")


@pytest.mark.parametrize("address", ["http://shop.test/tags.csv", "https://shop.test/tags.csv"])
def test_web_servers_are_not_written_to(address: str) -> None:
    """The sentence says what is."""
    assert "it is on a web server, and fmtag writes to files and to buckets" in refused(Output("--out", address))["--out"]


def test_an_address_with_a_password_is_refused() -> None:
    """The sentence does not repeat it."""
    (sentence,) = refused(Output("--out", "s3://me:secret@shop/tags.csv")).values()
    assert "credentials, which are taken from the environment only" in sentence
    assert "secret" not in sentence


def test_two_outputs_have_two_addresses() -> None:
    """The second of two is refused; keys that differ in case are two objects."""
    found = refused(Output("--out", "s3://shop/a"), Output("--changes", "S3://shop/a"), Output("--report", "s3://shop/A"))
    assert found == {"--changes": "S3://shop/a is what --out names and would be replaced; give --changes another name."}


def test_an_output_is_neither_the_source_nor_one_of_its_photos() -> None:
    """A table of the bucket is an input, and what has the suffix of a picture would be read in the next run."""
    inputs = (Input("the source itself", "s3://shop/list.csv"), Input("the source itself", "s3://shop/photos"))
    outputs = [Output(f"--{key}", f"s3://shop/{key}") for key in ("list.csv", "photos/a.png", "photos/t.csv", "photos2/t.csv")]
    found = refused(*outputs, Output("--chart", "s3://shop/photos2/c.png", "image"), inputs=inputs)
    assert list(found) == ["--list.csv", "--photos/a.png"]
    assert "is the source itself and would be replaced" in found["--list.csv"]
    assert "lies among the photos of s3://shop/photos;" in found["--photos/a.png"]
    assert "has the name of a picture" in refused(Output("--out", "s3://shop/a.JPG"))["--out"]


def test_an_address_is_not_looked_for_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder named `s3:` has nothing to do with it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s3:" / "shop" / "t").mkdir(parents=True)
    draw_photo(1).save(tmp_path / "s3:" / "shop" / "a", "png")
    assert not refused(Output("--out", "s3://shop/t"), Output("--report", "s3://shop/a"))


def test_each_bucket_is_reached_before_the_work(bucket: Bucket) -> None:
    """A bucket that is not there is a sentence; without counts of requests, addresses are only compared."""
    traffic = Traffic()
    outputs = [Output("--out", bucket.address("t.csv")), Output("--report", "s3://nowhere/run.json")]
    assert list(refused(*outputs, traffic=traffic)) == ["--report"]
    assert traffic.requests["head"] >= 2
    assert not refused(*outputs)
    with pytest.raises(OutputError, match="nowhere"):
        check_output_paths(outputs)
