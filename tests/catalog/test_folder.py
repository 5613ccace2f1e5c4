"""Folders become streams of items: every photo once, in a stable order, whatever links and subfolders there are."""

import inspect
import os
import shutil
import sys
import tracemalloc
from pathlib import Path

import pytest
from catalog_helpers import items, reasons, touch

from tagger.catalog.source import open_source
from tagger.errors import SourceError

AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def test_folder_is_walked_recursively_in_a_stable_order(tmp_path: Path) -> None:
    """Every image at any depth is an item, in the order of names, its path relative to the folder with `/`."""
    touch(tmp_path, "b.jpg", "a/2.png", "a/1.webp", "a/deep/er/x.tiff", "c/z.gif", "B.jpg")
    found = items(tmp_path)
    assert [item.path for item in found] == ["B.jpg", "a/1.webp", "a/2.png", "a/deep/er/x.tiff", "b.jpg", "c/z.gif"]
    assert [item.file for item in found] == [tmp_path / item.path for item in found]
    assert reasons(found) == [""] * 6


def test_suffix_case_is_ignored(tmp_path: Path) -> None:
    """Cameras write .JPG; the suffix counts in any case."""
    names = ["a.JPG", "b.Jpeg", "c.PNG", "d.HEIC", "e.Avif", "f.tIf"]
    assert [item.path for item in items(touch(tmp_path, *names))] == names


def test_ignored_entries_are_reported(tmp_path: Path) -> None:
    """Hidden entries and files that are not images are passed over, and reported with path and reason."""
    touch(tmp_path, "a.jpg", "notes.txt", "sub/table.csv", "sub/no_suffix", ".hidden.jpg", ".cache/b.jpg", "sub/.DS_Store")
    ignored: list[tuple[str, str]] = []
    found = list(open_source(str(tmp_path), on_ignored=lambda path, why: ignored.append((path, why))).items)
    assert [item.path for item in found] == ["a.jpg"]
    assert sorted(ignored) == [
        (".cache", "hidden"),
        (".hidden.jpg", "hidden"),
        ("notes.txt", "not an image"),
        ("sub/.DS_Store", "hidden"),
        ("sub/no_suffix", "not an image"),
        ("sub/table.csv", "not an image"),
    ]


def test_circular_links_end(tmp_path: Path) -> None:
    """Links to the folder itself, to one above it and to each other do not make the walk endless or repeat a photo."""
    folder = touch(tmp_path / "shop", "a/1.jpg", "2.jpg")
    (folder / "a" / "back").symlink_to(folder)
    (folder / "up").symlink_to(tmp_path)
    outside = touch(tmp_path / "outside", "3.jpg")
    (outside / "home").symlink_to(folder)
    (folder / "other").symlink_to(outside)
    assert [item.path for item in items(folder)] == ["2.jpg", "a/1.jpg", "other/3.jpg"]


def test_linked_folder_outside_is_walked_once(tmp_path: Path) -> None:
    """Two links to one folder outside give its photos once, in the order of the links' names."""
    outside = touch(tmp_path / "outside", "1.jpg", "sub/2.jpg")
    folder = touch(tmp_path / "shop", "0.jpg")
    (folder / "first").symlink_to(outside)
    (folder / "second").symlink_to(outside)
    (folder / "third").symlink_to(outside / "sub")
    assert [item.path for item in items(folder)] == ["0.jpg", "first/1.jpg", "first/sub/2.jpg"]


def test_no_photo_is_lost_between_two_links(tmp_path: Path) -> None:
    """After a link into a part of a folder outside, a link to the whole of it still gives the rest."""
    outside = touch(tmp_path / "outside", "1.jpg", "sub/2.jpg")
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "a").symlink_to(outside / "sub")
    (folder / "b").symlink_to(outside)
    assert [item.path for item in items(folder)] == ["a/2.jpg", "b/1.jpg"]


def test_link_to_a_folder_inside_is_not_walked_twice(tmp_path: Path) -> None:
    """A link to a folder that is walked anyway is ignored, even where the link comes first."""
    folder = touch(tmp_path / "shop", "m/1.jpg")
    (folder / "a").symlink_to(folder / "m")
    (folder / "z").symlink_to(folder / "m")
    ignored: list[str] = []
    found = list(open_source(str(folder), on_ignored=lambda path, why: ignored.append(path)).items)
    assert [item.path for item in found] == ["m/1.jpg"]
    assert ignored == ["a", "z"]


def test_link_to_a_folder_above_is_not_walked(tmp_path: Path) -> None:
    """It leads back to the folder itself, and beside it to photos that are not part of the source."""
    touch(tmp_path, "stray.jpg", "shop/1.jpg")
    (tmp_path / "shop" / "up").symlink_to(tmp_path)
    assert [item.path for item in items(tmp_path / "shop")] == ["1.jpg"]


def test_broken_links_to_photos_are_items(tmp_path: Path) -> None:
    """A link to a photo that is gone, or to itself, is an item all the same: it was meant to be a photo."""
    touch(tmp_path, "c.jpg")
    (tmp_path / "a.jpg").symlink_to(tmp_path / "gone.jpg")
    (tmp_path / "b.jpg").symlink_to("b.jpg")
    assert [item.path for item in items(tmp_path)] == ["a.jpg", "b.jpg", "c.jpg"]


@pytest.mark.skipif(AS_ROOT, reason="root may read every folder")
def test_subfolder_without_permission_is_an_item(tmp_path: Path) -> None:
    """A subfolder without permission is one unreadable item among the others."""
    touch(tmp_path, "a.jpg", "b/1.jpg", "c.jpg")
    (tmp_path / "b").chmod(0)
    try:
        found = items(tmp_path)
    finally:
        (tmp_path / "b").chmod(0o700)
    assert [item.path for item in found] == ["a.jpg", "b/", "c.jpg"]
    assert reasons(found) == ["", "unreadable", ""]


def test_subfolder_with_too_long_a_path_is_an_item(tmp_path: Path) -> None:
    """A subfolder that cannot be listed is one unreadable item among the others, with the system's reason."""
    touch(tmp_path, "a.jpg", "z.jpg")
    name, depth = "n" * 250, 20
    handle = os.open(tmp_path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=handle)
        below = os.open(name, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    os.close(handle)
    found = items(tmp_path)
    assert [item.path[:1] for item in found] == ["a", "n", "z"]
    assert reasons(found) == ["", "unreadable", ""]
    assert found[1].path.endswith("/")
    assert found[1].problem is not None
    assert found[1].problem.detail.endswith("/: File name too long")


def test_deep_folders_are_walked(tmp_path: Path) -> None:
    """Folders may be nested deeper than Python's calls: the system's limit on paths is the only one."""
    depth = 300
    for level in range(1, depth + 1):
        Path(f"{tmp_path}/{'d/' * level}").mkdir()
    touch(Path(f"{tmp_path}/{'d/' * depth}"), "x.jpg")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + depth // 2)
    try:
        paths = [item.path for item in items(tmp_path)]
    except RecursionError:
        pytest.fail("the walk is as deep as the interpreter's stack", pytrace=False)  # a traceback of its calls does not help
    finally:
        sys.setrecursionlimit(limit)
    assert paths == ["d/" * depth + "x.jpg"]


def test_file_name_that_is_not_utf8_comes_through(tmp_path: Path) -> None:
    """A name in another encoding than UTF-8 is an item whose file can be opened."""
    name = os.fsdecode(b"caf\xe9.jpg")
    try:
        (tmp_path / name).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system holds UTF-8 names alone")
    [item] = items(tmp_path)
    assert os.fsencode(item.path) == b"caf\xe9.jpg"
    assert item.file is not None
    assert item.file.read_bytes() == b"x"


def test_listing_does_not_run_ahead(tmp_path: Path) -> None:
    """The first items come before later folders are listed: photos added there meanwhile are still found."""
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    stream = open_source(str(tmp_path)).items
    assert next(stream).path == "a/1.jpg"
    touch(tmp_path, "b/3.jpg", "c/4.jpg")
    assert [item.path for item in stream] == ["b/2.jpg", "b/3.jpg"]  # a itself is listed as a whole, without c


@pytest.mark.slow
def test_hundred_thousand_files_stream_with_flat_memory(tmp_path: Path) -> None:
    """A folder of 100,000 files is walked in less than 60 MB, and each file once."""
    folder = tmp_path / "many"
    folder.mkdir()
    handle = os.open(folder, os.O_RDONLY)
    for number in range(100_000):
        os.mknod(f"{number:06d}.jpg", dir_fd=handle)
    os.close(handle)
    try:
        tracemalloc.start()
        count = sum(1 for _ in open_source(str(folder)).items)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        shutil.rmtree(folder)
    assert count == 100_000
    assert peak < 60_000_000


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError("Permission denied")])
def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    """The folder itself is no item: without it the source cannot be read, and the error has the reason."""

    def refused(folder: Path) -> None:
        raise error

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(SourceError, match=r"cannot be listed: Permission denied\.$"):
        items(tmp_path)
