"""The real command line on photos and tables that lie in a bucket."""

import gc
import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from bucket_source_helpers import Night, put_folder
from helpers import Fmtag, draw_photo, run_cli
from helpers import rows_of as rows
from run_helpers import query

from benchmarks.speed.s3_server import Server, serving
from tagger.storage import objects, settings, stores
from tagger.storage.objects import upload
from tagger.storage.traffic import Traffic


@pytest.fixture(scope="module")
def running_server() -> Iterator[Server]:
    """The server that all tests share."""
    stores._opened.cache_clear()
    with serving(objects={}) as server:
        yield server
    stores._opened.cache_clear()


@pytest.fixture
def server(running_server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A bucket without objects and faults, which is repeated at once."""
    for name, value in running_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(settings, "FIRST_WAIT", 0.001)
    objects._buckets._counts.clear()
    running_server.clear_faults()
    for key in running_server.listed():
        running_server.delete(key)
    running_server.reset()
    return running_server


@pytest.fixture
def night(small_bundle: Path, tmp_path: Path) -> Night:
    """Run fmtag in this process, and return how it ended, its rows and the requests of its report."""
    return Night(tmp_path, small_bundle)


def by_path(found: list[dict[str, str]]) -> list[dict[str, str]]:
    return sorted(found, key=lambda row: row["path"].encode())


def local_rows(folder: Path, bundle: Path, out: Path) -> list[dict[str, str]]:
    run_cli("run", folder, "--out", out, "--model", bundle, "--quiet")
    return by_path(rows(out))


def test_a_folder_of_a_bucket_has_the_rows_of_a_local_one(server: Server, shop: Path, night: Night, tmp_path: Path) -> None:
    """In the order of the keys; a night without news makes no request but the listing's."""
    put_folder(server, shop, "catalog/")
    put_folder(server, shop, "catalog-of-another/")
    expected = local_rows(shop, night.bundle, tmp_path / "local.csv")
    first = night("s3://photos/catalog")
    assert first.result.code == 3, first.result.err
    assert first.rows == expected
    assert first.requests == {"list": 1, "get": 10}
    second = night("s3://photos/catalog/")
    assert second.rows == expected
    assert second.requests == {"list": 1, "get": 1}  # what is damaged is tried in three nights
    assert second.counts["looked_at"] == 1
    assert server.requests()["head"] == 0


def test_what_changes_is_read_and_what_is_new_scored(
    server: Server, shop: Path, night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object whose entity tag alone is another one has its bytes' result; one that has gone has no row."""
    (shop / "broken.jpg").unlink()
    put_folder(server, shop, "")
    night("s3://photos")
    draw_photo(99).save(tmp_path / "new.jpg")
    server.put("0001.jpg", (tmp_path / "new.jpg").read_bytes())
    server.put("new.jpg", draw_bytes(tmp_path, 100))
    server.delete("0002.jpg")
    with monkeypatch.context() as patch:
        patch.setattr(settings, "PART_BYTES", 2_000)  # an upload in parts has another entity tag
        upload(shop / "0003.jpg", "s3://photos/0003.jpg", Traffic())
    second = night("s3://photos")
    assert second.requests == {"list": 1, "get": 3}
    assert (second.counts["looked_at"], second.counts["scored"]) == (3, 2)
    assert [row["path"] for row in second.rows if row["path"] in ("0002.jpg", "new.jpg")] == ["new.jpg"]
    assert night("s3://photos").requests == {"list": 1}
    for option, scored in (("--verify", 0), ("--fresh", 9)):
        again = night("s3://photos", option)
        assert (again.requests, again.counts["scored"]) == ({"list": 1, "get": 9}, scored)
        assert again.rows == second.rows


def draw_bytes(folder: Path, seed: int) -> bytes:
    draw_photo(seed).save(folder / "drawn.jpg")
    return (folder / "drawn.jpg").read_bytes()


def test_faults_of_the_bucket_change_no_row(server: Server, shop: Path, night: Night, tmp_path: Path) -> None:
    """Requests are repeated, and the report counts how many."""
    put_folder(server, shop, "")
    for fault in ("error", "reset_body", "short"):
        server.fault(fault, method="GET", times=2, every=3)
    server.fault("error", method="LIST", code="InternalError")
    done = night("s3://photos")
    assert done.rows == local_rows(shop, night.bundle, tmp_path / "local.csv")
    assert done.retries >= 6
    assert all(
        line.startswith(("fmtag ", "Warning: ", "10 photos", "Written", "  ")) for line in done.result.err.splitlines()[:1]
    )


def test_one_object_that_cannot_be_read_is_one_row(server: Server, shop: Path, night: Night) -> None:
    """The next night tries again, and reads nothing else."""
    (shop / "broken.jpg").unlink()
    put_folder(server, shop, "")
    server.fault("error", code="AccessDenied", method="GET", key="0001.jpg", times=None)
    server.fault("error", code="NoSuchKey", method="GET", key="0002.jpg", times=None)
    done = night("s3://photos")
    assert {row["path"]: row["reason"] for row in done.rows if row["path"] in ("0001.jpg", "0002.jpg")} == {
        "0001.jpg": "unreadable",
        "0002.jpg": "missing",
    }
    server.clear_faults()
    second = night("s3://photos")
    assert second.requests == {"list": 1, "get": 2}
    assert "unreadable" not in {row["reason"] for row in second.rows}


def test_credentials_that_expire_keep_what_was_done(server: Server, shop: Path, night: Night, tmp_path: Path) -> None:
    """One sentence, exit code 1, the output as it was; the next run reads the rest."""
    put_folder(server, shop, "")
    server.fault("error", code="ExpiredToken", method="GET", key="0006.jpg", times=None)
    done = night("s3://photos", "--batch-size", "1", "--workers", "1")
    assert done.result.code == 1
    (sentence,) = [line for line in done.result.err.splitlines() if line.startswith("Error: ")]
    assert "the credentials are missing, not valid or have expired (its server answers ExpiredToken); renew" in sentence
    assert not (tmp_path / "t.csv").exists()
    assert query(tmp_path / "t.ledger", "SELECT count(*) FROM items") == [(6,)]
    server.clear_faults()
    assert night("s3://photos").requests == {"list": 1, "get": 4}
    server.fault("error", code="ExpiredToken", times=None)
    assert night("s3://photos").result.code == 1


def test_one_photo(server: Server, shop: Path, night: Night) -> None:
    """By its name, or without a suffix; where nothing is, that is told."""
    server.put("a/1.jpg", (shop / "0000.jpg").read_bytes())
    server.put("b/photo", (shop / "0001.jpg").read_bytes())
    for address in ("s3://photos/a/1.jpg", "s3://photos/b/photo"):
        (row,) = night(address).rows
        assert (row["path"], bool(row["tag"])) == (address, True)
        assert night(address).counts["looked_at"] == 0
    for address in ("s3://photos/a/2.jpg", "s3://photos/c", "s3://photos/c/"):
        done = night(address)
        assert done.result.code == 1
        assert f"There is nothing at {address}; give a folder, a photo or a table" in done.result.err
    assert "There is no bucket assets.shop.jpg" in night("s3://assets.shop.jpg").result.err
    done = night("s3://photos/a/1.jpg", "--exclude", "x*")
    assert "--exclude and --include select files of a folder, and s3://photos/a/1.jpg is one file" in done.result.err


def test_what_of_a_folder_is_read(server: Server, shop: Path, night: Night) -> None:
    """Names of photos, as patterns and the rules of system folders select them; the rest is counted by its reason."""
    photo = (shop / "0000.jpg").read_bytes()
    names = "1.jpg sub/2.JPG x/y/3.png @eaDir/4.jpg sub/.thumbs/5.jpg .6.jpg photo notes.txt old/7.jpg sub/old/8.jpg".split()
    for key in (*names, "empty/"):
        server.put(f"in/{key}", b"" if key.endswith("/") else photo)
    done = night("s3://photos/in", "--exclude", "old/")
    assert [row["path"] for row in done.rows] == ["1.jpg", "sub/2.JPG", "x/y/3.png"]
    assert done.counts["ignored"] == 7
    done = night("s3://photos/in", "--include", "sub/*", "--list-ignored")
    assert [row["path"] for row in done.rows if row["path"].startswith("sub")] == [row["path"] for row in done.rows]
    assert "notes.txt" in done.result.err


def test_a_list_of_addresses(server: Server, shop: Path, fmtag: Fmtag, tmp_path: Path) -> None:
    """On standard input, mixed with files; each is known the next night by its state."""
    put_folder(server, shop, "in/")
    lines = [f"s3://photos/in/{name}" for name in ("0001.jpg", "a b#?.jpg", "0000.jpg")] + [str(shop / "0002.jpg")]
    server.put("in/a b#?.jpg", (shop / "0003.jpg").read_bytes())
    for requests in ({"head": 3, "get": 3}, {"head": 3}):
        done = fmtag("run", "-", "--out", tmp_path / "t.csv", "--report", tmp_path / "r.json", stdin="\n".join(lines).encode())
        assert done.returncode == 0, done.stderr
        assert [row["path"] for row in rows(tmp_path / "t.csv")] == lines
        found = json.loads((tmp_path / "r.json").read_text())["requests"]
        assert {kind: found[kind] for kind in ("list", "head", "get") if found[kind]} == requests
        assert len(done.stderr.splitlines()) <= 5, done.stderr


# Tables -------------------------------------------------------------------------------------------------------------

PATHS = (
    "0000.jpg",
    "/0001.jpg",
    "sub/../0002.jpg",
    "../up/0003.jpg",
    "s3://photos/far/0004.jpg",
    "none.jpg",
    "../../../x.jpg",
    "",
)


def write_table(file: Path) -> None:
    """Write a table of `PATHS`, as what its name says."""
    import pandas

    table = pandas.DataFrame({"sku": range(len(PATHS)), "image": PATHS})
    if file.suffix == ".csv":
        table.to_csv(file, index=False)
    elif file.suffix == ".parquet":
        table.to_parquet(file)
    else:
        table.to_excel(file, index=False)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".xlsx"])
def test_a_table_in_a_bucket(server: Server, shop: Path, night: Night, tmp_path: Path, suffix: str) -> None:
    """Its paths start from its own folder, and may lead up and elsewhere, but not out of the bucket."""
    write_table(tmp_path / f"table{suffix}")
    server.put(f"in/shop/table{suffix}", (tmp_path / f"table{suffix}").read_bytes())
    for number, key in enumerate(
        ("in/shop/0000.jpg", "in/shop/0001.jpg", "in/shop/0002.jpg", "in/up/0003.jpg", "far/0004.jpg")
    ):
        server.put(key, (shop / f"000{number}.jpg").read_bytes())
    local = {row["path"]: row["tag"] for row in local_rows(shop, night.bundle, tmp_path / "local.csv")}
    done = night(f"s3://photos/in/shop/table{suffix}")
    assert [row["path"] for row in done.rows] == [*PATHS]
    assert [row["tag"] for row in done.rows[:5]] == [local[f"000{number}.jpg"] for number in range(5)]
    assert [row["reason"] for row in done.rows[5:]] == ["missing", "bad_row", "no_image"]
    assert "fmtag-" not in (tmp_path / "t.csv").read_text() + done.result.err
    second = night(f"s3://photos/in/shop/table{suffix}")
    assert (second.rows, second.requests["get"]) == (done.rows, 2)  # the table, and the photo that is not there


def test_photos_within_a_table_in_a_bucket(server: Server, shop: Path, night: Night, tmp_path: Path) -> None:
    """They come with the table, and are known the next night by their bytes."""
    import pandas

    photos = [{"bytes": (shop / f"000{number}.jpg").read_bytes(), "path": f"000{number}.jpg"} for number in range(4)]
    pandas.DataFrame({"image": photos}).to_parquet(tmp_path / "p.parquet")
    server.put("p.parquet", (tmp_path / "p.parquet").read_bytes())
    done = night("s3://photos/p.parquet")
    assert (len(done.rows), done.counts["scored"]) == (4, 4)
    again = night("s3://photos/p.parquet")
    assert (again.rows, again.counts["looked_at"]) == (done.rows, 0)


def test_a_table_that_is_damaged(server: Server, night: Night) -> None:
    """The sentence names the address, not the copy of the table."""
    server.put("in/t.xlsx", b"PK\3\4 damaged")
    done = night("s3://photos/in/t.xlsx")
    assert done.result.code == 1
    assert done.result.err.startswith("Error: s3://photos/in/t.xlsx is a damaged Excel workbook")


@pytest.mark.parametrize("name", ["T.CSV", "t.csv.gz", "t.jsonl"])
def test_tables_of_other_names(server: Server, shop: Path, night: Night, name: str) -> None:
    """In capitals, compressed, or with an object a line."""
    text = b'{"image": "0000.jpg"}\n' if name.endswith("jsonl") else b"image\n0000.jpg\n"
    server.put("0000.jpg", (shop / "0000.jpg").read_bytes())
    server.put(name, gzip.compress(text) if name.endswith("gz") else text)
    done = night(f"s3://photos/{name}")
    assert [bool(row["tag"]) for row in done.rows] == [True], done.result.err


def test_a_table_with_a_very_long_name(server: Server, shop: Path, night: Night) -> None:
    """A key may be longer than the name of a file."""
    server.put("0000.jpg", (shop / "0000.jpg").read_bytes())
    server.put(f"{'x' * 400}.csv", b"image\n0000.jpg\n")
    assert night(f"s3://photos/{'x' * 400}.csv").rows[0]["tag"]


# Other commands -----------------------------------------------------------------------------------------------------


def test_doctor_reads_no_photo(server: Server, shop: Path) -> None:
    """Of a folder it needs the listing alone."""
    put_folder(server, shop, "in/")
    server.reset()
    done = run_cli("doctor", "s3://photos/in")
    assert done.code in (0, 3), done.err
    counted = server.requests()
    assert (counted["list"], counted["get"], counted["head"]) == (1, 0, 0)
    (shop / "t.csv").write_text("image\ns3://photos/in/0000.jpg\nhttps://127.0.0.1:9/x.jpg\n")
    server.reset()
    assert run_cli("doctor", shop / "t.csv").code in (0, 3)
    assert server.requests() == {}


def test_the_review_knows_the_photos(server: Server, shop: Path, night: Night, tmp_path: Path) -> None:
    """A picture of the review is the object that was read, and none once it is another one."""
    from tagger.review.ledger_reader import LedgerReader
    from tagger.review.photos import Photos, Refused

    put_folder(server, shop, "in/")
    night("s3://photos/in")
    ((item,),) = query(tmp_path / "t.ledger", "SELECT id FROM items WHERE key = '0001.jpg'")
    with LedgerReader(tmp_path / "t.ledger") as reader:
        assert Photos(reader).read_photo(item) == (shop / "0001.jpg").read_bytes()
        server.put("in/0001.jpg", draw_bytes(tmp_path, 77))
        assert Photos(reader).read_photo(item) == Refused("0001.jpg has changed since it was tagged; run fmtag again.")
        server.delete("in/0001.jpg")
        assert Photos(reader).read_photo(item) == Refused("s3://photos/in/0001.jpg: no such object.")


def test_a_user_in_an_address_is_refused(server: Server, night: Night, tmp_path: Path) -> None:
    """Neither its name nor the password is repeated."""
    done = night("s3://AKIAKEY:verysecret@photos/in/")
    assert done.result.code == 1
    assert "holds a user name; leave it out, as credentials come from the environment" in done.result.err
    assert "verysecret" not in done.result.err
    assert "verysecret" not in (tmp_path / "r.json").read_text()


def test_nothing_is_left_behind(
    server: Server, shop: Path, night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy of a table is removed, whether the run succeeds or fails."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    server.put("in/t.csv", b"image\n0000.jpg\n")
    server.put("in/0000.jpg", (shop / "0000.jpg").read_bytes())
    assert night("s3://photos/in/t.csv").result.code == 0
    server.fault("error", code="ExpiredToken", method="GET", key="*.jpg", times=None)
    assert night("s3://photos/in/t.csv", "--fresh").result.code == 1
    gc.collect()  # as the end of the process does
    assert [*temporary.iterdir()] == []
