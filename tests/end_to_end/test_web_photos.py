"""The real command line on tables and lists whose photos lie on a web server."""

import html
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bucket_source_helpers import Night
from helpers import Fmtag, rows_of, run_cli
from run_helpers import query
from storage_helpers import WebServer, serve_web

from tagger.storage import objects, settings, stores

SIGNATURE = "X-Amz-Credential=AKIAKEY&X-Amz-Signature=verysecret"


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    """A web server, which is repeated at once."""
    monkeypatch.setattr(settings, "FIRST_WAIT", 0.001)
    objects._hosts._counts.clear()
    stores._opened.cache_clear()
    with serve_web() as server:
        yield server
    stores._opened.cache_clear()


@pytest.fixture
def night(small_bundle: Path, tmp_path: Path) -> Night:
    """Run fmtag in this process."""
    return Night(tmp_path, small_bundle)


def write_table(folder: Path, *addresses: str, more: str = "") -> Path:
    """Write a table of addresses."""
    (folder / "t.in.csv").write_text(
        "sku,image\n" + "".join(f'{number},"{one}"\n' for number, one in enumerate(addresses)) + more
    )
    return folder / "t.in.csv"


def test_photos_are_fetched_once(web: WebServer, shop: Path, night: Night, tmp_path: Path) -> None:
    """A night without news asks the server for the state of each, by HEAD, and reads what has another one."""
    for number in range(4):
        web.file(f"/{number}.jpg", (shop / f"000{number}.jpg").read_bytes(), ETag=f'"{number}"')
    table = write_table(tmp_path, *(f"{web.origin}/{number}.jpg" for number in range(4)))
    first = night(table)
    assert [(row["path"], bool(row["tag"])) for row in first.rows] == [
        (f"{web.origin}/{number}.jpg", True) for number in range(4)
    ]
    assert first.requests == {"head": 4, "get": 4}
    assert (night(table).requests, night(table).rows) == ({"head": 4}, first.rows)
    web.file("/1.jpg", (shop / "0001.jpg").read_bytes(), ETag='"of the same bytes"')
    web.file("/2.jpg", (shop / "0005.jpg").read_bytes(), ETag='"of others"')
    third = night(table)
    assert (third.requests, third.counts["scored"]) == ({"head": 4, "get": 2}, 1)


def test_a_photo_without_a_state_is_read_each_night(web: WebServer, shop: Path, night: Night, tmp_path: Path) -> None:
    """But not scored, as its bytes are known."""
    photo = (shop / "0000.jpg").read_bytes()

    def no_head(handler: Any) -> None:
        handler.send_response(405 if handler.command == "HEAD" else 200)
        handler.send_header("Content-Length", "0" if handler.command == "HEAD" else str(len(photo)))
        handler.end_headers()
        handler.wfile.write(b"" if handler.command == "HEAD" else photo)

    web.answers["/1.jpg"] = no_head
    table = write_table(tmp_path, f"{web.origin}/1.jpg")
    assert night(table).counts["scored"] == 1
    again = night(table)
    assert (again.requests, again.counts["scored"]) == ({"head": 1, "get": 1}, 0)
    assert again.rows[0]["tag"]


def test_one_row_for_each_address(web: WebServer, shop: Path, night: Night, tmp_path: Path) -> None:
    """Whatever its server answers; the reason tells it."""
    web.file("/1.jpg", (shop / "0000.jpg").read_bytes())
    web.file("/page.jpg", b"<!doctype html><title>Sign in</title>", Content_Type="text/html")
    web.answers["/denied.jpg"] = (403, {}, b"")
    web.answers["/moved.jpg"] = (301, {"Location": "/1.jpg"}, b"")
    web.answers["/secrets.jpg"] = (302, {"Location": "http://169.254.169.254/latest/"}, b"")
    names = ("1.jpg", "page.jpg", "denied.jpg", "none.jpg", "moved.jpg", "secrets.jpg")
    table = write_table(
        tmp_path, *(f"{web.origin}/{name}" for name in names), "http://no-such-host.invalid/1.jpg", "ftp://h/1.jpg"
    )
    done = night(table)
    assert done.result.code == 3
    found = {row["path"].rpartition("/")[2]: row["reason"] for row in done.rows[:6]}
    assert {name: reason for name, reason in found.items() if reason not in ("", "low_confidence")} == {
        "page.jpg": found["page.jpg"],
        "denied.jpg": "unreadable",
        "none.jpg": "missing",
        "secrets.jpg": "unreadable",
    }
    assert found["page.jpg"] not in ("", "low_confidence")
    assert [row["reason"] for row in done.rows[6:]] == ["unreadable", "bad_row"]
    assert len(done.rows) == 8


def test_no_signature_is_kept(web: WebServer, shop: Path, fmtag: Fmtag, tmp_path: Path) -> None:
    """Only the table's own column has it, unchanged; the photo is the same under the next one, an ended one is a failure."""
    web.file("/1.jpg", (shop / "0000.jpg").read_bytes(), ETag='"1"')
    web.answers["/2.jpg"] = (403, {}, b"<Error>AKIAKEY</Error>")
    for run, signature in enumerate((SIGNATURE, SIGNATURE.replace("very", "another"), SIGNATURE.replace("&", "&amp;"))):
        table = write_table(
            tmp_path,
            *(f"{web.origin}/{number}.jpg?v=1&{signature}" for number in (1, 2)),
            more=f"9,{web.origin.replace('//', '//ann:verysecret@')}/1.jpg\n",
        )
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        done = fmtag("run", table, "--out", out / "t.csv", "--report", out / "r.json", "--changes", out / "c.csv")
        assert done.returncode == 3, done.stderr
        assert [row["path"] for row in rows_of(out / "t.csv")] == [f"{web.origin}/{number}.jpg?v=1" for number in (1, 2)] + [
            f"{web.origin}/1.jpg"
        ]
        assert json.loads((out / "r.json").read_text())["counts"]["scored"] == (1 if run == 0 else 0)
        assert all(html.unescape(row["image"]).count(html.unescape(signature)) == 1 for row in rows_of(out / "t.csv")[:2])
        others = (file.read_bytes().decode("latin-1") for file in out.iterdir() if file.name != "t.csv")
        written = done.stdout + done.stderr + "".join(others)
        assert not [secret for secret in ("verysecret", "anothersecret", "AKIAKEY") if secret in written]
        assert not [noise for noise in ("asyncio", "Unclosed", "Traceback", "Warning") if noise in done.stderr], done.stderr
    assert any("verysecret" in path for _, path in web.requests)


def test_one_photo(web: WebServer, shop: Path, night: Night) -> None:
    """By its address, with a signature or without; one that is not there is a row."""
    web.file("/1.jpg", (shop / "0000.jpg").read_bytes(), ETag='"1"')
    for address in (f"{web.origin}/1.jpg", f"{web.origin}/1.jpg?{SIGNATURE}"):
        (row,) = night(address).rows
        assert (row["path"], bool(row["tag"])) == (f"{web.origin}/1.jpg", True)
    assert web.count("GET") == 1
    done = night(f"{web.origin}/2.jpg")
    assert ([row["reason"] for row in done.rows], done.result.code) == (["missing"], 3)


def test_a_signed_table(web: WebServer, shop: Path, night: Night, tmp_path: Path) -> None:
    """A table on a web server, whose paths start from its folder there; its signature is in no file."""
    web.file("/in/0.jpg", (shop / "0000.jpg").read_bytes(), ETag='"1"')
    web.file("/in/t.csv", b"image\n0.jpg\n../in/0.jpg\n")
    done = night(f"{web.origin}/in/t.csv?{SIGNATURE}", "--list-ignored")
    assert [bool(row["tag"]) for row in done.rows] == [True, True]
    assert "verysecret" not in done.result.err
    assert b"verysecret" not in (tmp_path / "t.ledger").read_bytes() + (tmp_path / "r.json").read_bytes()
    web.file("/in/t.csv", b"image\n\n")
    done = night(f"{web.origin}/in/t.csv?{SIGNATURE}")
    assert (done.result.code, "verysecret" in done.result.err) == (1, False)
    web.answers["/in/t.csv"] = (403, {}, b"<Error>AKIAKEY</Error>")
    assert night(f"{web.origin}/in/t.csv?{SIGNATURE}").result.err == (
        f"Error: {web.origin}/in/t.csv may not be read: its server answers 403, access denied;"
        " check the address, and what signs it.\n"
    )
    del web.answers["/in/t.csv"]
    done = night(f"{web.origin}/in/t.csv?{SIGNATURE}")
    assert done.result.err == f"Error: {web.origin}/in/t.csv cannot be read: its server answers 404; check the address.\n"


def test_doctor_shows_no_signature(web: WebServer, tmp_path: Path) -> None:
    """Neither that of the source nor those of its rows, and requests nothing but the table."""
    web.file("/t.csv", f"image\n{web.origin}/1.jpg?{SIGNATURE}\nnone.jpg\n".encode())
    for source in (f"{web.origin}/t.csv?{SIGNATURE}", f"{web.origin}/none.csv?{SIGNATURE}"):
        done = run_cli("doctor", source, "--out", tmp_path / "d.json")
        assert "verysecret" not in done.out + done.err + (tmp_path / "d.json").read_text()
    assert {path.partition("?")[0] for _, path in web.requests} == {"/t.csv", "/none.csv"}


def test_a_web_server_cannot_be_listed(web: WebServer, night: Night) -> None:
    """The sentence says what can be given instead."""
    done = night(f"{web.origin}/photos/?token=verysecret")
    assert done.result.err == (
        f"Error: {web.origin}/photos/ cannot be listed; give a table of addresses, or a folder of a bucket.\n"
    )


def test_a_dead_server_does_not_hold_up_the_rest(web: WebServer, shop: Path, night: Night, tmp_path: Path) -> None:
    """Its photos fail after a few were tried; those of others are read."""
    web.file("/1.jpg", (shop / "0000.jpg").read_bytes())
    dead = [f"http://127.0.0.1:9/{number}.jpg" for number in range(200)]
    done = night(write_table(tmp_path, *dead, f"{web.origin}/1.jpg"))
    assert done.rows[-1]["tag"]
    assert {row["reason"] for row in done.rows[:-1]} == {"unreadable"}
    assert done.requests["head"] + done.requests.get("get", 0) < 60 * settings.ATTEMPTS


def test_rows_of_an_older_ledger_have_no_signature(web: WebServer, night: Night, tmp_path: Path) -> None:
    """What the ledger knows of a photo is its address without one."""
    web.answers["/1.jpg"] = (500, {}, b"")
    night(write_table(tmp_path, f"{web.origin}/1.jpg?{SIGNATURE}"))
    assert query(tmp_path / "t.ledger", "SELECT key FROM items") == [(f"{web.origin}/1.jpg",)]
