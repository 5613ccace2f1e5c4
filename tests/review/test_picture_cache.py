"""The cache of pictures serves what was written or nothing, stays within its limit, and never fails."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers import ROOT

from tagger.review.picture_cache import ORPHAN_SECONDS, TOUCH_SECONDS, PictureCache


def files(folder: Path) -> list[Path]:
    """Return all files below a folder."""
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_picture_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Also by another server, and after it was replaced."""
    cache = PictureCache(tmp_path / "cache")
    assert cache.read("ab-grid") is None
    cache.write("ab-grid", b"one")
    cache.write("ab-view", b"")
    assert PictureCache(tmp_path / "cache").read("ab-grid") == b"one"
    assert cache.read("ab-view") == b""
    cache.write("ab-grid", b"two")
    assert cache.read("ab-grid") == b"two"
    assert len(files(tmp_path)) == 2


def test_damage_of_any_kind_is_no_picture(tmp_path: Path) -> None:
    """An empty file, one that is cut, one with a changed byte, and another program's are made anew, not served."""
    cache = PictureCache(tmp_path)
    cache.write("ab-grid", b"\xff\xd8 picture \xff\xd9")
    (path,) = files(tmp_path)
    whole = path.read_bytes()
    for content in (b"", whole[:5], whole[:-1], whole[:-3] + b"x" + whole[-2:], whole + b"\0", b"\xff\xd8 other"):
        path.write_bytes(content)
        assert cache.read("ab-grid") is None
    cache.write("ab-grid", b"again")
    assert cache.read("ab-grid") == b"again"
    path.unlink()
    path.mkdir()
    assert cache.read("ab-grid") is None
    cache.write("ab-grid", b"cannot be kept")
    assert files(tmp_path) == []


def test_what_was_used_longest_ago_is_removed(tmp_path: Path) -> None:
    """A check leaves the pictures that were read or written last, within the limit."""
    cache = PictureCache(tmp_path, limit=10_000)
    for number in range(20):
        cache.write(f"{number:02d}-grid", bytes(1_000))
        (path,) = (path for path in files(tmp_path) if path.name.startswith(f"{number:02d}"))
        long_ago = time.time() - 2 * TOUCH_SECONDS - 100 * (20 - number)
        os.utime(path, (long_ago, long_ago))
    assert cache.read("00-grid") == bytes(1_000)
    cache.check()
    kept = {path.name[:2] for path in files(tmp_path)}
    assert "00" in kept
    assert kept - {"00"} == {f"{number:02d}" for number in range(20 - len(kept) + 1, 20)}
    assert sum(path.stat().st_size for path in files(tmp_path)) <= 8_000


def test_checks_come_by_themselves(tmp_path: Path) -> None:
    """Of hundreds of pictures no more than fit are left at the end, without a call for it."""
    cache = PictureCache(tmp_path, limit=50_000)
    for number in range(401):
        cache.write(f"{number:03d}-grid", bytes(1_000))
    assert 30 <= len(files(tmp_path)) <= 40


def test_what_killed_servers_left_is_removed(tmp_path: Path) -> None:
    """Temporary files go once they are old; those of a running server stay."""
    cache = PictureCache(tmp_path)
    cache.write("ab-grid", b"one")
    old, new = tmp_path / "ab" / "0123.tmp", tmp_path / "ab" / "4567.tmp"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * ORPHAN_SECONDS,) * 2)
    cache.check()
    assert not old.exists()
    assert new.exists()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_keeps_nothing(tmp_path: Path) -> None:
    """Pictures are made each time, without an error."""
    tmp_path.chmod(0o500)
    PictureCache(tmp_path / "cache").write("ab-grid", b"one")
    assert PictureCache(tmp_path / "cache").read("ab-grid") is None


def test_a_folder_that_is_a_file_keeps_nothing(tmp_path: Path) -> None:
    """Nothing is raised, and the file stays."""
    (tmp_path / "cache").write_text("a file")
    cache = PictureCache(tmp_path / "cache")
    cache.write("ab-grid", b"one")
    cache.check()
    assert cache.read("ab-grid") is None
    assert (tmp_path / "cache").read_text() == "a file"


@pytest.mark.skipif(os.name != "posix", reason="permissions")
def test_pictures_are_this_users_alone(tmp_path: Path) -> None:
    """No other user may read the photos of a catalog from the cache."""
    PictureCache(tmp_path / "cache").write("ab-grid", b"one")
    assert all(path.stat().st_mode & 0o077 == 0 for path in [tmp_path / "cache" / "ab", *files(tmp_path)])


def test_servers_at_once_get_whole_pictures_or_none(tmp_path: Path) -> None:
    """Threads and another process write, read and remove the same pictures: whatever is read is whole."""
    script = (
        "import sys; from pathlib import Path; from tagger.review.picture_cache import PictureCache\n"
        "cache = PictureCache(Path(sys.argv[1]), 20_000)\n"
        "for at in range(300): cache.write(f'{at % 20:02d}-grid', b'%d' % (at % 20) * 1_000); at % 10 or cache.check()\n"
    )
    other = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT)
    cache = PictureCache(tmp_path, 20_000)

    def use(turn: int) -> bool:
        number = turn % 20
        cache.write(f"{number:02d}-grid", b"%d" % number * 1_000)
        if turn % 10 == 0:
            cache.check()
        return cache.read(f"{number:02d}-grid") in (None, b"%d" % number * 1_000)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(1_000)))
    assert other.wait(60) == 0
