"""Files are replaced whole: temporary files follow no link, are safe while their maker lives, and go when it was killed."""

import os
import secrets
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import Fmtag, rows_of, write_photos

from tagger import files
from tagger.files import atomic_write, remove_leftovers

KILLED = """
import os, signal, sys
from pathlib import Path
from tagger.files import atomic_write
with atomic_write(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An output in a folder of its own."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "t.csv"


def write(path: Path, content: bytes = b"new") -> None:
    with atomic_write(path) as file:
        file.write(content)


def temporaries(path: Path) -> list[Path]:
    return sorted(path.parent.glob(".*.tmp"))


# Links -------------------------------------------------------------------------------------------------------------


def test_a_link_at_a_name_that_can_be_guessed_is_not_followed(out: Path, tmp_path: Path) -> None:
    """The temporary file has none: what lies at the name with the process's number is not touched."""
    (tmp_path / "victim").write_text("kept")
    planted = out.with_name(f".t.csv.{os.getpid()}.tmp")
    planted.symlink_to(tmp_path / "victim")
    write(out)
    remove_leftovers(out)
    assert (tmp_path / "victim").read_text() == "kept"
    assert planted.is_symlink()
    assert out.read_bytes() == b"new"


@pytest.mark.parametrize("kind", ["link", "hard link", "file"])
def test_what_lies_at_the_temporary_name_is_not_opened(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Even where somebody guesses it: that is an error, and nothing is lost."""
    monkeypatch.setattr(secrets, "token_hex", lambda count: "0" * 2 * count)
    with atomic_write(out) as file:
        (name,) = (path.name for path in temporaries(out))
        file.write(b"old")
    (tmp_path / "victim").write_text("kept")
    planted = out.with_name(name)
    if kind == "link":
        planted.symlink_to(tmp_path / "victim")
    elif kind == "hard link":
        planted.hardlink_to(tmp_path / "victim")
    else:
        planted.write_text("kept")
    with pytest.raises(FileExistsError), atomic_write(out):
        pytest.fail("the block must not begin")
    assert planted.read_text() == (tmp_path / "victim").read_text() == "kept"
    assert out.read_bytes() == b"old"


# Leftovers ---------------------------------------------------------------------------------------------------------


def test_what_a_killed_process_left_is_removed(out: Path) -> None:
    """Its lock went with it."""
    out.write_text("old")
    killed = subprocess.run([sys.executable, "-c", KILLED, out], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(temporaries(out)) == 1
    assert out.read_text() == "old"
    remove_leftovers(out)
    assert temporaries(out) == []


def test_what_a_living_process_writes_is_not_removed(out: Path) -> None:
    """Its temporary file is locked until it has its name, so that both end well and the last one wins."""
    with atomic_write(out) as first:
        first.write(b"first")
        with atomic_write(out) as second:
            remove_leftovers(out)
            second.write(b"second")
        remove_leftovers(out)
        assert out.read_bytes() == b"second"
    assert out.read_bytes() == b"first"
    assert temporaries(out) == []


def test_runs_with_ledgers_of_their_own_share_an_output(fmtag: Fmtag, tmp_path: Path, out: Path) -> None:
    """A run that begins while another writes the same output leaves its temporary file alone; the last one to end wins."""
    photos = write_photos(tmp_path / "photos", 1)
    with atomic_write(out) as other:
        done = fmtag("run", photos, "--out", out, "--ledger", tmp_path / "own.ledger")
        assert done.returncode == 0, done.stderr
        assert len(rows_of(out)) == 1
        other.write(b"the other one's\n")
    assert out.read_bytes() == b"the other one's\n"
    assert os.listdir(out.parent) == ["t.csv"]


@pytest.mark.parametrize(
    "name",
    [".t.csv.mine.tmp", ".t.csv.fmtag-mine.tmp", ".t.csv.fmtag-0123456789abcdef.tmp.old", ".u.csv.fmtag-0123456789abcdef.tmp"],
)
def test_files_of_other_names_are_no_leftovers(out: Path, name: str) -> None:
    """Nobody removes what it did not make."""
    out.with_name(name).write_text("mine")
    remove_leftovers(out)
    assert out.with_name(name).read_text() == "mine"


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_what_is_no_file_is_no_leftover(out: Path, tmp_path: Path, kind: str) -> None:
    """Under the name of one it is neither removed nor waited for."""
    planted = out.with_name(".t.csv.fmtag-0123456789abcdef.tmp")
    (tmp_path / "victim").write_text("kept")
    if kind == "link":
        planted.symlink_to(tmp_path / "victim")
    elif kind == "folder":
        planted.mkdir()
    else:
        os.mkfifo(planted)
    remove_leftovers(out)
    assert os.path.lexists(planted)
    assert (tmp_path / "victim").read_text() == "kept"


def test_a_folder_that_is_not_there_has_no_leftovers(tmp_path: Path) -> None:
    """And that is no error."""
    remove_leftovers(tmp_path / "none" / "t.csv")


def test_a_file_removed_before_it_was_locked_is_made_anew(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another run may take it for a leftover in between."""
    lock = files._lock
    removed: list[str] = []

    def late(handle: int) -> bool:
        if not removed:
            removed.extend(path.name for path in temporaries(out))
            remove_leftovers_by_force(out)
        return lock(handle)

    monkeypatch.setattr(files, "_lock", late)
    write(out)
    assert len(removed) == 1
    assert out.read_bytes() == b"new"
    assert os.listdir(out.parent) == ["t.csv"]


def remove_leftovers_by_force(path: Path) -> None:
    for file in temporaries(path):
        file.unlink()


def test_without_locks_files_are_replaced_and_leftovers_stay(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system that has none nothing tells a leftover from a living process's file."""

    def none(handle: int) -> bool:
        raise OSError("No locks available")

    monkeypatch.setattr(files, "_lock", none)
    with atomic_write(out) as file:
        remove_leftovers(out)
        assert len(temporaries(out)) == 1
        file.write(b"new")
    assert out.read_bytes() == b"new"


# Modes and names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_has_the_mode_of_the_umask(out: Path, umask: int, mode: int) -> None:
    """As any file that is made."""
    before = os.umask(umask)
    try:
        write(out)
    finally:
        os.umask(before)
    assert stat.S_IMODE(out.stat().st_mode) == mode


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o444])
def test_the_old_mode_is_kept_and_never_exceeded(out: Path, mode: int) -> None:
    """What only its owner may read is not open to others while it is written."""
    out.touch()
    out.chmod(mode)
    with atomic_write(out) as file:
        file.write(b"new")
        (temporary,) = temporaries(out)
        assert stat.S_IMODE(temporary.stat().st_mode) & ~mode == 0
    assert stat.S_IMODE(out.stat().st_mode) == mode
    assert out.read_bytes() == b"new"


@pytest.mark.parametrize("name", ["n" * 255, "ü" * 127, "😀" * 63])
def test_names_as_long_as_can_be_are_written(tmp_path: Path, name: str) -> None:
    """The temporary file's name has room too, whatever the letters take in bytes."""
    for content in (b"old", b"new"):
        write(tmp_path / name, content)
    assert os.listdir(tmp_path) == [name]
    assert (tmp_path / name).read_bytes() == b"new"
