"""Files are replaced as a whole; temporary files follow no link, are safe while their process lives, and are removed later."""

import os
import secrets
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import rows_of, write_photos

from tagger import files
from tagger.cli.main import main
from tagger.errors import OutputError
from tagger.files import (
    EncodedText,
    as_csv,
    as_json,
    atomic_write,
    remove_leftovers,
    why_unwritable,
    write_file,
    write_folder,
    write_json,
)

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
    """Return the path of an output in a folder of its own."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "t.csv"


def write(path: Path, content: bytes = b"new") -> None:
    """Replace a file."""
    with atomic_write(path) as file:
        file.write(content)


def temporaries(path: Path) -> list[Path]:
    """Return the temporary files beside an output."""
    return sorted(path.parent.glob(".*.tmp"))


# Links -------------------------------------------------------------------------------------------------------------


def test_a_link_at_a_name_that_can_be_guessed_is_not_followed(out: Path, tmp_path: Path) -> None:
    """The temporary file's name cannot be guessed: a link at the name with the process's number is not touched."""
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
    """Even if the name is guessed: that is an error, and nothing is lost."""
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
    """The system freed its lock, so that the file counts as a leftover."""
    out.write_text("old")
    killed = subprocess.run([sys.executable, "-c", KILLED, out], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(temporaries(out)) == 1
    assert out.read_text() == "old"
    remove_leftovers(out)
    assert temporaries(out) == []


def test_what_a_living_process_writes_is_not_removed(out: Path) -> None:
    """A temporary file is locked until it has its final name, so that both writers end well and the last one wins."""
    with atomic_write(out) as first:
        first.write(b"first")
        with atomic_write(out) as second:
            remove_leftovers(out)
            second.write(b"second")
        remove_leftovers(out)
        assert out.read_bytes() == b"second"
    assert out.read_bytes() == b"first"
    assert temporaries(out) == []


def test_runs_with_ledgers_of_their_own_share_an_output(small_bundle: Path, tmp_path: Path, out: Path) -> None:
    """A run that begins while another writes the same output leaves its temporary file alone; the last one to end wins."""
    photos = write_photos(tmp_path / "photos", 1)
    with atomic_write(out) as other:
        command = ["run", photos, "--out", out, "--ledger", tmp_path / "own.ledger", "--model", small_bundle]
        with pytest.raises(SystemExit) as ended:
            main([*map(str, command)])
        assert not ended.value.code
        assert len(rows_of(out)) == 1
        other.write(b"the other one's\n")
    assert out.read_bytes() == b"the other one's\n"
    assert os.listdir(out.parent) == ["t.csv"]


@pytest.mark.parametrize(
    "name",
    [".t.csv.mine.tmp", ".t.csv.fmtag-mine.tmp", ".t.csv.fmtag-0123456789abcdef.tmp.old", ".u.csv.fmtag-0123456789abcdef.tmp"],
)
def test_files_of_other_names_are_not_removed(out: Path, name: str) -> None:
    """Only names that `atomic_write` makes for this output are leftovers of it."""
    out.with_name(name).write_text("mine")
    remove_leftovers(out)
    assert out.with_name(name).read_text() == "mine"


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_only_regular_files_are_removed(out: Path, tmp_path: Path, kind: str) -> None:
    """A link, a folder or a pipe of a leftover's name is neither removed nor waited for."""
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
    """A missing folder is no error."""
    remove_leftovers(tmp_path / "none" / "t.csv")


def test_a_file_removed_before_it_was_locked_is_created_again(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another run may take a new file for a leftover before it is locked."""
    lock = files.lock_handle
    removed: list[str] = []

    def late(handle: int) -> bool:
        if not removed:
            removed.extend(path.name for path in temporaries(out))
            remove_leftovers_by_force(out)
        return lock(handle)

    monkeypatch.setattr(files, "lock_handle", late)
    write(out)
    assert len(removed) == 1
    assert out.read_bytes() == b"new"
    assert os.listdir(out.parent) == ["t.csv"]


def remove_leftovers_by_force(path: Path) -> None:
    """Remove temporary files, locked or not."""
    for file in temporaries(path):
        file.unlink()


def test_without_locks_files_are_replaced_and_leftovers_stay(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system without locks a leftover cannot be told from the file of a running process."""

    def none(handle: int) -> bool:
        raise OSError("No locks available")

    monkeypatch.setattr(files, "lock_handle", none)
    with atomic_write(out) as file:
        remove_leftovers(out)
        assert len(temporaries(out)) == 1
        file.write(b"new")
    assert out.read_bytes() == b"new"


# Modes and names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_has_the_mode_of_the_umask(out: Path, umask: int, mode: int) -> None:
    """Like any other new file."""
    before = os.umask(umask)
    try:
        write(out)
    finally:
        os.umask(before)
    assert stat.S_IMODE(out.stat().st_mode) == mode


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o444])
def test_the_old_mode_is_kept_and_never_exceeded(out: Path, mode: int) -> None:
    """A file that only its owner may read is not open to others while it is written."""
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
    """The temporary file's name fits too, whatever the letters take in bytes."""
    for content in (b"old", b"new"):
        write(tmp_path / name, content)
    assert os.listdir(tmp_path) == [name]
    assert (tmp_path / name).read_bytes() == b"new"


# Errors ------------------------------------------------------------------------------------------------------------


def test_a_block_that_fails_leaves_the_old_file(out: Path) -> None:
    """Its own error comes out, and no temporary file stays."""
    out.write_text("old")

    def fail_half_way() -> None:
        with atomic_write(out) as file:
            file.write(b"half")
            raise LookupError("half way")

    with pytest.raises(LookupError, match="half way"):
        fail_half_way()
    assert out.read_text() == "old"
    assert os.listdir(out.parent) == ["t.csv"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), OSError("No space left on device")])
def test_a_file_that_cannot_be_written_is_one_sentence(out: Path, monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    """It names the file and the system's reason, and the old file stays."""

    def failing(*_: object) -> None:
        raise error

    write_json(out, {"a": 1})
    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(OutputError) as caught:
        write_file(out, b"new")
    assert str(caught.value) == f"{out} cannot be written (No space left on device)."
    assert out.read_bytes() == as_json({"a": 1}) == b'{\n  "a": 1\n}\n'
    assert os.listdir(out.parent) == ["t.csv"]


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), OSError("Input/output error")])
def test_a_folder_that_cannot_be_created_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    """It names the folder and the system's reason."""

    def failing(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Path, "mkdir", failing)
    with pytest.raises(OutputError) as caught:
        write_folder(tmp_path / "new", {"a": b"1"})
    assert str(caught.value) == f"{tmp_path / 'new'} cannot be created (Input/output error)."


# Folders -----------------------------------------------------------------------------------------------------------


def test_a_folder_keeps_its_other_files(tmp_path: Path) -> None:
    """Files are replaced one by one in a folder that is created with those above it."""
    write_folder(tmp_path / "new" / "deep", {"a": b"1", "b": b"2"})
    write_folder(tmp_path / "new" / "deep", {"b": b"3"})
    assert {file.name: file.read_bytes() for file in (tmp_path / "new" / "deep").iterdir()} == {"a": b"1", "b": b"3"}


@pytest.mark.parametrize("path", ["file", "file/new", "file/new/deep"])
def test_a_file_in_the_way_is_named(tmp_path: Path, path: str) -> None:
    """The nearest existing path decides, however deep the folder is to lie."""
    (tmp_path / "file").touch()
    assert (
        why_unwritable(tmp_path / path) == f"{tmp_path / 'file'} is no folder, so nothing can be written into {tmp_path / path}"
    )
    with pytest.raises(OutputError, match="is no folder"):
        write_folder(tmp_path / path, {"a": b"1"})


@pytest.mark.parametrize("path", ["shut", "shut/new", "shut/new/deep"])
def test_a_folder_without_permission_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """The nearest existing folder has to be writable and searchable; those further up do not matter."""
    (tmp_path / "shut").mkdir()
    calls: list[tuple[str, int]] = []

    def access(place: Path, mode: int) -> bool:
        calls.append((Path(place).name, mode))
        return False

    monkeypatch.setattr(os, "access", access)  # root may write anywhere
    assert f"{tmp_path / 'shut'} may not be written" in why_unwritable(tmp_path / path)
    assert calls == [("shut", os.W_OK | os.X_OK)]


def test_a_relative_folder_starts_from_the_current_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It need not exist yet, nor any folder above it; a dangling link in its place counts as existing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("nothing")
    assert why_unwritable(Path()) == why_unwritable(Path("new")) == why_unwritable(Path("new/deep")) == ""
    assert why_unwritable(Path("link/deep")) == f"{tmp_path / 'link'} is no folder, so nothing can be written into link/deep"


# Text --------------------------------------------------------------------------------------------------------------


def test_csv_cells_are_quoted_where_needed() -> None:
    """Commas, quotes and every kind of line break are within quotes, lines end with a line feed, and odd names are escaped."""
    rows = [("path", "note"), ("a.jpg", "x,y"), (os.fsdecode(b"\xff.jpg"), 'a\rb"c'), ("", "d\ne")]
    assert as_csv(rows) == b'path,note\na.jpg,"x,y"\n\\udcff.jpg,"a\rb""c"\n,"d\ne"\n'


def test_json_is_readable(tmp_path: Path) -> None:
    """Letters of all scripts stay as they are, and odd file names are escaped."""
    write_json(tmp_path / "a.json", {"name": "茶", "file": os.fsdecode(b"\xff.jpg")})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{\n  "name": "茶",\n  "file": "\\udcff.jpg"\n}\n'


@pytest.mark.parametrize(("text", "line"), [("a\r\n", b"a\n"), ("a\r\r\n", b"a\r\n"), ("a", b"a\n")])
def test_only_the_line_end_is_replaced(tmp_path: Path, text: str, line: bytes) -> None:
    """A carriage return at the end of the last cell is kept."""
    with atomic_write(tmp_path / "t") as file:
        EncodedText(file).write(text)
    assert (tmp_path / "t").read_bytes() == line
