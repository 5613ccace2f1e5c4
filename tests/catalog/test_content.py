"""Files whose names do not tell are photos by their first bytes, but for what programs leave beside a photo."""

import os
import socket
import threading
from pathlib import Path

import pytest
from catalog_helpers import items, touch, write
from helpers import draw_photo

from tagger.catalog.content import LookAlikes, why_no_photo
from tagger.catalog.folder import walk_folder
from tagger.file_kinds import IMAGE_SUFFIXES

JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(40)
TIFF = b"II*\0\x08\0\0\0" + bytes(40)

PHOTOS = (
    "shirt shirt.jpg?v=17 shirt.jpeg%3Fw=600&h=800 shirt.jpg.1 shirt.jpg_large shirt.jpg:large shirt.jpg!thumb shirt.jpg@2x "
    "shirt.jpg-1 shirt.v2 10.99 shirt_original tmpq8w7e phpA1B2 bak old.shirt part-2 shirt.raw shirt.dat red.partly"
).split()
LEFTOVERS = (
    "shirt.jpg~ shirt.jpg.bak shirt.jpg.bak2 shirt.BAK shirt.jpg.orig shirt.jpg_original shirt.JPG_exiftool_tmp shirt.jpg.tmp "
    "shirt.jpg.part shirt.jpg.filepart shirt.jpg.crdownload IMG_1234.JPG.download shirt.jpg.old #shirt.jpg# shirt.jpg.swp "
    "shirt.jpg.sb-1a2b3c4d-AbCdEf shirt.jpg.partial"
).split()


def reason(folder: Path, name: str, content: bytes) -> str:
    """Return the reason for which a file of that name and content is not read."""
    return why_no_photo(str(write(folder / name, content)), name)


@pytest.mark.parametrize("name", PHOTOS)
def test_a_photo_is_told_by_its_content(tmp_path: Path, name: str) -> None:
    """A JPEG under a name without its suffix is a photo; anything else under that name is none."""
    assert reason(tmp_path, name, JPEG) == ""
    assert reason(tmp_path, name, b"sku,image\n") == "not an image"
    assert reason(tmp_path, name, b"") == "not an image"


@pytest.mark.parametrize("name", LEFTOVERS)
def test_what_programs_leave_is_no_photo_of_a_catalog(tmp_path: Path, name: str) -> None:
    """Backups, and files that are still being written, hold a photo that the catalog has under another name."""
    assert reason(tmp_path, name, JPEG) == "backup or temporary"
    assert reason(tmp_path, name, b"text") == "not an image"


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.NEF", TIFF, "camera raw"),
        ("a.dng", TIFF, "camera raw"),
        ("a.arw?v=1", TIFF, "camera raw"),
        ("a.nef.1", TIFF, "camera raw"),
        ("a", b"II*\0\x10\0\0\0CR\x02\0" + bytes(40), "camera raw"),
        ("a.raf", b"FUJIFILMCCD-RAW 0201" + bytes(40), "camera raw"),
        ("a.orf", b"IIRO\x08\0\0\0" + bytes(40), "camera raw"),
        ("a.rw2", b"IIU\0\x18\0\0\0" + bytes(40), "camera raw"),
        ("a.cr3", b"\0\0\0\x18ftypcrx " + bytes(40), "camera raw"),
        ("a.x3f", b"FOVb" + bytes(40), "camera raw"),
        ("disk.raw", bytes(100), "not an image"),
        ("scan", TIFF, ""),
        ("red-arw", TIFF, ""),
        ("a.psd", b"8BPS\0\x01" + bytes(40), "Photoshop"),
        ("favicon.ico", b"\0\0\1\0\1\0\x10\x10" + bytes(40), "not an image"),
        ("clip.THM", JPEG, "not an image"),
        ("clip.mp4", b"\0\0\0\x18ftypmp42" + bytes(40), "not an image"),
        ("Thumbs.db", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(40), "not an image"),
    ],
)
def test_pictures_that_are_not_published_are_told_apart(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    """Camera raws, of which many begin like a TIFF, and Photoshop documents have reasons of their own."""
    assert reason(tmp_path, name, content) == why


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_every_format_is_told(tmp_path: Path, format: str) -> None:
    """A photo of any format is an item of a folder without a suffix, too, in the order of names."""
    touch(tmp_path, "a.jpg", "z.jpg")
    draw_photo(2, (40, 60)).save(tmp_path / "m", format)
    assert [item.path for item in items(tmp_path)] == ["a.jpg", "m", "z.jpg"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes_and_devices_are_never_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a pipe without a writer, nor a socket, nor a device blocks the walk, whatever its name."""
    monkeypatch.chdir(tmp_path)  # a socket's path may have a hundred bytes
    touch(tmp_path, "a.jpg")
    for name in ("pipe", "pipe.jpg"):
        os.mkfifo(name)
    (tmp_path / "link").symlink_to("pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    ignored: dict[str, str] = {}
    found: list[str] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")

        def walk() -> None:
            found.extend(item.path for item in walk_folder(tmp_path, ignored.__setitem__))

        thread = threading.Thread(target=walk, daemon=True)
        thread.start()
        thread.join(20)
    assert found == ["a.jpg"]
    assert ignored == {
        **dict.fromkeys(["pipe", "pipe.jpg", "link", "zero"], "not a regular file"),
        "socket": "cannot be opened",
    }


def test_a_file_that_may_not_be_read_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a suffix nobody knows whether it is a photo; a broken link neither."""
    (tmp_path / "link").symlink_to("nowhere")
    assert why_no_photo(str(tmp_path / "link"), "link") == "cannot be opened"
    touch(tmp_path, "secret")
    monkeypatch.setattr(os, "read", lambda *_: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    assert why_no_photo(str(tmp_path / "secret"), "secret") == "cannot be opened"


def test_files_with_the_suffix_of_a_photo_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of a million photos is walked as fast as it is listed."""
    names = [f"a{suffix}" for suffix in IMAGE_SUFFIXES]
    touch(tmp_path, *names)

    def refused(*_: object) -> int:
        raise AssertionError("opened")

    monkeypatch.setattr(os, "open", refused)
    assert [item.path for item in items(tmp_path)] == sorted(names)


def test_look_alikes_are_warned_of(tmp_path: Path) -> None:
    """One sentence, at the end, counts what looks like a photo but was left out, by kind and with the first names."""
    write(tmp_path / "notes.txt", b"x")
    for name in ("a.NEF", "b.NEF", "sub.NEF"):
        write(tmp_path / name, TIFF)
    write(tmp_path / "shirt.jpg~", JPEG)
    told: list[str] = []
    assert list(walk_folder(tmp_path, lambda path, why: None, on_warning=told.append)) == []
    assert told == []  # the command ends with an error that has the reasons
    touch(tmp_path, "shirt.jpg")
    assert len(list(walk_folder(tmp_path, lambda path, why: None, on_warning=told.append))) == 1
    [warning] = told
    assert warning.startswith(
        "4 files look like photos but were left out: "
        "3 camera raws (a.NEF, b.NEF, ...); 1 backup or temporary file (shirt.jpg~)."
    )
    assert "--exclude" in warning


def test_nothing_is_warned_of_where_nothing_looks_like_a_photo() -> None:
    """Other reasons do not count, and one file is one."""
    kept = LookAlikes()
    kept.add("a.txt", "not an image")
    assert kept.warning() == ""
    kept.add("a.psd", "Photoshop")
    assert kept.warning().startswith("1 file looks like a photo but was left out: 1 Photoshop document (a.psd).")
