"""An output is the old file until the new one is whole; what keeps it from being written is one sentence."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from catalog_helpers import MODEL, SHIRT, each_format, read_rows, table_item, write_rows

from tagger.catalog.output import format_of, open_output
from tagger.catalog.rows import output_columns, output_row
from tagger.errors import OutputError
from tagger.settings import FORMATS, Format


def attempt(out: Path, rows: int = 20_000) -> None:
    """Begin to write many rows and fail."""
    named = output_columns(["sku"], 1)
    with open_output(str(out), format_of(str(out)), named, MODEL) as writer:
        for number in range(rows):
            writer.write(output_row(table_item(f"{number}.jpg", sku="x"), SHIRT, MODEL, named))
        raise LookupError("in the middle of it")


@each_format
def test_an_exception_leaves_the_old_file(tmp_path: Path, format: Format) -> None:
    """A block that fails leaves the old file byte for byte and nothing else; its own exception comes out."""
    out = tmp_path / f"t.{format}"
    out.write_bytes(b"the old one\n")
    with pytest.raises(LookupError, match="in the middle of it"):
        attempt(out)
    assert out.read_bytes() == b"the old one\n"
    assert os.listdir(tmp_path) == [out.name]
    out.unlink()
    with pytest.raises(LookupError):
        attempt(out, rows=1)
    assert os.listdir(tmp_path) == []


@each_format
def test_the_old_file_stays_until_the_end(tmp_path: Path, format: Format) -> None:
    """While rows are written the output is the old file; at the end it is the new one, and no other file is left."""
    out = tmp_path / f"t.{format}"
    out.write_bytes(b"the old one\n")
    named = output_columns([], 1)
    with open_output(str(out), format, named, MODEL) as writer:
        writer.write(output_row(table_item("a.jpg"), SHIRT, MODEL, named))
        assert out.read_bytes() == b"the old one\n"
    assert [values["path"] for values in read_rows(out)] == ["a.jpg"]
    assert os.listdir(tmp_path) == [out.name]


def test_an_error_within_the_block_is_not_blamed_on_the_output(tmp_path: Path) -> None:
    """An operating system's error of the block that writes the rows is not reported as one of the output."""
    with (
        pytest.raises(Exception, match="photos") as caught,
        open_output(str(tmp_path / "t.csv"), "csv", output_columns([], 1), MODEL),
    ):
        raise PermissionError(13, "Permission denied", "photos")
    assert "t.csv" not in str(caught.value)


def test_permissions_are_kept(tmp_path: Path) -> None:
    """The new file has the permissions of the one that it replaces."""
    out = tmp_path / "t.csv"
    for mode in (0o640, 0o604):
        out.touch()
        out.chmod(mode)
        write_rows(out, [(table_item("a.jpg"), SHIRT)])
        assert out.stat().st_mode & 0o777 == mode


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """An output that is a link stays one, and the file that it leads to is replaced, or created if it does not exist."""
    (tmp_path / "real").mkdir()
    for target in (tmp_path / "real" / "t.csv", tmp_path / "real" / "new.csv"):
        if target.name == "t.csv":
            target.write_text("old")
        link = tmp_path / f"link-{target.name}"
        link.symlink_to(target)
        write_rows(link, [(table_item("a.jpg"), SHIRT)])
        assert link.is_symlink()
        assert [values["path"] for values in read_rows(target)] == ["a.jpg"]
    assert sorted(os.listdir(tmp_path / "real")) == ["new.csv", "t.csv"]


def test_devices_are_written_as_they_are() -> None:
    """A device is written directly and stays a device."""
    with open_output(os.devnull, "csv", output_columns([], 1), MODEL):
        pass
    assert not Path(os.devnull).is_file()


def test_a_pipe_without_a_reader_is_told(tmp_path: Path) -> None:
    """In a sentence that names it, before it is waited for."""
    out = tmp_path / "pipe"
    os.mkfifo(out)
    told: list[str] = []
    reader = threading.Thread(target=lambda: told.append(out.read_text()))

    def waiting(sentence: str) -> None:
        told.append(sentence)
        reader.start()

    with open_output(str(out), format_of(str(out)), output_columns([], 1), MODEL, waiting=waiting):
        pass
    reader.join()
    assert told[0] == f"{out} is a pipe that nothing reads yet; waiting for its reader."
    assert told[1].startswith("path,tag,")


def test_format_is_told_by_the_suffix() -> None:
    """The suffix names the format in any case, a given format wins, and - and devices are CSV."""
    assert format_of(os.devnull) == format_of("/dev/stdout") == "csv"
    assert [format_of(f"t.{name}") for name in FORMATS] == list(FORMATS)
    assert format_of("T.JSON") == "json"
    assert format_of("t.txt", "jsonl") == "jsonl"
    assert (format_of("-"), format_of("-", "json")) == ("csv", "json")


@pytest.mark.parametrize("name", ["t.xlsx", "t", "folder/.csv", "t.csv.gz"])
def test_unknown_suffix_is_an_error(name: str) -> None:
    """A suffix that names no format is an error that lists the suffixes that do."""
    with pytest.raises(OutputError, match=r"\.csv, \.json, \.jsonl, \.parquet"):
        format_of(name)


@each_format
def test_missing_folder_is_an_error(tmp_path: Path, format: Format) -> None:
    """An output in a missing folder, or that is a folder itself, is one sentence that names it."""
    for out in (tmp_path / "none" / f"t.{format}", tmp_path):
        with pytest.raises(OutputError) as caught, open_output(str(out), format, output_columns([], 1), MODEL):
            pytest.fail("the block must not begin")
        assert str(out) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == []


FULL_DISK = """
import os, resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
from tagger.errors import OutputError
from tagger.catalog.output import open_output
from tagger.catalog.rows import output_columns, output_row
from tagger.records import Item, Tag
named, tag = output_columns([], 1), Tag((("Bag", 0.5),), False, "", "accessory", 0.5)
for name in sys.argv[1:]:
    try:
        with open_output(name, name.rpartition(".")[2], named, "m") as writer:
            for number in range(30_000):
                writer.write(output_row(Item(os.urandom(20).hex(), None), tag, "m", named))
    except OutputError as error:
        sys.stdout.write(f"{error}\\n")
"""


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """Where the disk is full, in any format, that is one sentence, and the old file stays unchanged."""
    outs = [tmp_path / f"t.{format}" for format in FORMATS]
    for out in outs:
        out.write_bytes(b"the old one\n")
    done = subprocess.run([sys.executable, "-c", FULL_DISK, *outs], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == len(outs)
    assert all(str(out) in line and "File too large" in line for out, line in zip(outs, lines, strict=True))
    assert [out.read_bytes() for out in outs] == [b"the old one\n"] * len(outs)
    assert sorted(os.listdir(tmp_path)) == sorted(out.name for out in outs)


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
from tagger.cli.main import main
main()
"""


def test_a_run_onto_a_full_disk_is_exit_1(tmp_path: Path, small_bundle: Path) -> None:
    """A run that finds the disk full ends with exit code 1 in one sentence and leaves the old file."""
    out = tmp_path / "t.csv"
    out.write_bytes(b"the old one\n")
    command = [sys.executable, "-c", LIMITED, "run", "-", "--out", out, "--model", small_bundle]
    done = subprocess.run(command, input=b"gone.jpg\n" * 2_000, capture_output=True, timeout=300)
    assert done.returncode == 1
    message = done.stderr.decode().splitlines()[-1]
    assert message.startswith(f"Error: The ledger {tmp_path / 't.ledger'} cannot be written (")
    assert b"Traceback" not in done.stderr
    assert out.read_bytes() == b"the old one\n"
    assert "t.csv" in os.listdir(tmp_path)
    assert not list(tmp_path.glob(".t.csv.*"))
