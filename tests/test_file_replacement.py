"""A new file has the owner, permissions and attributes of the old one; where it cannot replace it, it is copied over it."""

import errno
import os
import struct
import tempfile
from pathlib import Path

import pytest

from tagger import file_replacement
from tagger.file_replacement import is_mount_point, must_be_overwritten, overwrite, temporary_mode, why_not_overwritable
from tagger.files import atomic_write, remove_leftovers


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Return an older output in a folder of its own."""
    path = tmp_path / "out" / "t.csv"
    path.parent.mkdir()
    path.write_bytes(b"the old one, which is longer\n")
    return path


def write(path: Path, content: bytes = b"new\n") -> None:
    """Write an output."""
    with atomic_write(path) as file:
        file.write(content)


def failing(number: int) -> object:
    """Return a function that fails with an error of the operating system."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


# What is kept ------------------------------------------------------------------------------------------------------


def test_owner_and_group_are_kept(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each by itself, before the permissions, which a change of owner takes away; that one may not is no error."""
    changed: list[tuple[int, int]] = []

    def chown(handle: int, owner: int, group: int) -> None:
        changed.append((owner, group))
        if owner >= 0:
            raise PermissionError

    monkeypatch.setattr(os, "fchown", chown)
    out.chmod(0o2640)
    found = out.stat()
    write(out)
    assert changed == [(found.st_uid, -1), (-1, found.st_gid)]
    assert out.read_bytes() == b"new\n"
    assert out.stat().st_mode & 0o7777 == 0o2640


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_root_leaves_a_file_to_its_owner(out: Path) -> None:
    """A run as root does not take an output away from the user of all other runs."""
    os.chown(out, 4321, 1234)
    out.chmod(0o604)
    write(out)
    assert (out.stat().st_uid, out.stat().st_gid, out.stat().st_mode & 0o777) == (4321, 1234, 0o604)


def test_extended_attributes_are_kept(out: Path) -> None:
    """The user's own and access control lists; not those that belong to the content, such as a signature of it."""
    entries = [(1, 6), (2, 6, 1234), (4, 4), (0x10, 6), (0x20, 0)]
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *(*entry, 0xFFFFFFFF)[:3]) for entry in entries)
    try:
        os.setxattr(out, "user.shop", b"one")
        os.setxattr(out, "system.posix_acl_access", acl)
    except OSError:
        pytest.skip("the file system has no extended attributes")
    write(out)
    assert os.getxattr(out, "user.shop") == b"one"
    assert os.getxattr(out, "system.posix_acl_access") == acl


def test_attributes_that_cannot_be_kept_are_no_error(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system without them, or without the permission."""
    monkeypatch.setattr(os, "listxattr", lambda path: ["user.a", "security.ima"])
    monkeypatch.setattr(os, "getxattr", lambda path, name: name.encode())
    monkeypatch.setattr(os, "setxattr", failing(errno.ENOTSUP))
    write(out)
    monkeypatch.setattr(os, "listxattr", failing(errno.ENOTSUP))
    write(out, b"newer\n")
    assert out.read_bytes() == b"newer\n"


def test_nobody_else_reads_a_file_before_it_has_its_group(tmp_path: Path, out: Path) -> None:
    """Until then its group is that of this process."""
    out.chmod(0o664)
    assert temporary_mode(out) == 0o600
    assert temporary_mode(tmp_path / "none") == 0o666


def test_a_hard_link_keeps_the_old_content(tmp_path: Path, out: Path) -> None:
    """The name is replaced, not the file: another name of it is a copy of before."""
    (tmp_path / "backup").hardlink_to(out)
    write(out)
    assert (tmp_path / "backup").read_bytes() == b"the old one, which is longer\n"
    assert out.read_bytes() == b"new\n"


# What can only be overwritten --------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EXDEV, errno.EPERM])
def test_a_file_that_cannot_be_replaced_is_overwritten(out: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """As one that is mounted alone; it stays the same file, as large as the new content."""
    monkeypatch.setattr(os, "replace", failing(number))
    before = out.stat().st_ino
    for content in (b"new\n", b"newer, and a line longer than the old one was\n", b""):
        write(out, content)
        assert out.read_bytes() == content
    assert out.stat().st_ino == before
    assert os.listdir(out.parent) == ["t.csv"]


def test_other_errors_are_no_reason_to_overwrite(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is one of a file that does not exist yet."""
    monkeypatch.setattr(os, "replace", failing(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        write(out)
    monkeypatch.setattr(os, "replace", failing(errno.EPERM))
    with pytest.raises(PermissionError):
        write(out.with_name("new.csv"))
    assert out.read_bytes() == b"the old one, which is longer\n"
    assert os.listdir(out.parent) == ["t.csv"]


def test_a_mounted_file_is_known_beforehand(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told by the table of mounts, and then no file is made beside it; a block that fails leaves the old content."""
    assert not is_mount_point(out)
    assert not must_be_overwritten(out)
    mounts = (
        b"1 2 0:3 / / rw - ext4 /dev/a rw\n4 1 0:3 /x " + os.fsencode(out).replace(b"out/t", b"a\\040b/t") + b" rw - a b c\n"
    )
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: mounts if self == Path("/proc/self/mountinfo") else read(self))
    spaced = out.parent.rename(out.parent.parent / "a b") / "t.csv"
    assert is_mount_point(spaced)
    assert must_be_overwritten(spaced)

    def fail_half_way() -> None:
        with atomic_write(spaced) as file:
            assert os.listdir(spaced.parent) == ["t.csv"]
            file.write(b"half")
            raise LookupError

    with pytest.raises(LookupError):
        fail_half_way()
    assert spaced.read_bytes() == b"the old one, which is longer\n"
    write(spaced)
    remove_leftovers(spaced)
    assert spaced.read_bytes() == b"new\n"


def test_a_file_in_a_shut_folder_is_overwritten(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file itself may be written, but nothing beside it."""
    monkeypatch.setattr(os, "access", lambda place, mode: Path(place) != out.parent)  # root may write anywhere
    assert must_be_overwritten(out)
    assert why_not_overwritable(out) == ""
    write(out)
    assert out.read_bytes() == b"new\n"


def test_another_users_file_in_a_folder_like_tmp_is_overwritten(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There each user replaces only files of their own."""
    monkeypatch.setattr(os, "geteuid", lambda: out.stat().st_uid + 1)
    assert not must_be_overwritten(out)
    out.parent.chmod(0o1777)
    assert must_be_overwritten(out)
    assert not must_be_overwritten(out.with_name("none"))


def test_why_a_file_cannot_be_overwritten(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may not be written, or there is no place for the new content until it is whole."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "where it may not be replaced, and it may not be overwritten either" in why_not_overwritable(out)
    monkeypatch.setattr(file_replacement, "is_mount_point", lambda path: True)
    assert why_not_overwritable(out).startswith("it is mounted, and")
    monkeypatch.setattr(os, "access", lambda *_: True)
    monkeypatch.setattr(tempfile, "gettempdir", failing(errno.ENOENT))
    assert "set TMPDIR" in why_not_overwritable(out)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG])
def test_a_full_disk_leaves_the_old_content(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The space is reserved before the first byte is overwritten, and given back."""
    (tmp_path / "new").write_bytes(b"x" * 1000)

    def full(handle: int, start: int, size: int) -> None:
        os.ftruncate(handle, 500)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with (tmp_path / "new").open("rb") as content, pytest.raises(OSError, match=os.strerror(number)):
        overwrite(out, content)
    assert out.read_bytes() == b"the old one, which is longer\n"


def test_a_file_system_that_reserves_nothing_is_written(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reserving is not supported everywhere."""
    (tmp_path / "new").write_bytes(b"new\n")
    monkeypatch.setattr(os, "posix_fallocate", failing(errno.EOPNOTSUPP))
    with (tmp_path / "new").open("rb") as content:
        overwrite(out, content)
    assert out.read_bytes() == b"new\n"
