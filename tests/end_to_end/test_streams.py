"""The command with closed, full or gone standard streams, and outputs that are streams: it works, or says why in a sentence."""

import csv
import gzip
import json
import os
import pty
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import RunCli, csv_rows, run_cli, write_photos

from tagger.cli import evaluate, terminal
from tagger.errors import OutputError

COMMAND = f"{shlex.quote(sys.executable)} -m tagger"

Shell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def shell(small_bundle: Path, tmp_path: Path) -> Shell:
    """Run a line of bash in the folder of the photos, in which `fmtag` is the command with the small bundle."""
    write_photos(tmp_path / "photos", 2)
    variables = os.environ | {"FMTAG_RUN_MODEL": str(small_bundle), "FMTAG_EVALUATE_MODEL": str(small_bundle)}

    def run(line: str) -> subprocess.CompletedProcess[str]:
        script = f'fmtag() {{ {COMMAND} "$@"; }}\n{line}'
        command = ["bash", "-c", script]
        return subprocess.run(command, capture_output=True, text=True, env=variables, cwd=tmp_path, timeout=120, check=False)

    return run


@pytest.fixture
def cli(small_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunCli:
    """Run the command line in this process, in a folder with photos."""
    write_photos(tmp_path / "photos", 2)
    monkeypatch.chdir(tmp_path)
    for command in ("RUN", "EVALUATE"):
        monkeypatch.setenv(f"FMTAG_{command}_MODEL", str(small_bundle))
    return run_cli


@pytest.fixture
def shop(cli: RunCli, tmp_path: Path) -> str:
    """A folder of photos by class, in the folder of `cli`."""
    for label, name in (("Bag", "0000.jpg"), ("Coat", "0001.jpg")):
        (tmp_path / "shop" / label).mkdir(parents=True)
        shutil.copy(tmp_path / "photos" / name, tmp_path / "shop" / label / name)
    return "shop"


# Standard streams --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streams", ["<&- >&- 2>&-", "2>/dev/full", "2> >(exit)"])
def test_a_run_into_a_file_needs_no_stream(shell: Shell, tmp_path: Path, streams: str) -> None:
    """As schedulers start it: without any, or with a log that is full or that nobody reads any more."""
    done = shell(f"fmtag run photos --out tags.csv {streams}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(csv_rows((tmp_path / "tags.csv").read_text())) == 2


def test_what_would_be_lost_is_refused_first(shell: Shell, tmp_path: Path) -> None:
    """Rows for a standard output that is closed, and a list on a standard input that is."""
    done = shell("fmtag run photos --out - >&-; echo $?; fmtag run - --out tags.csv <&-; echo $?; fmtag models >&-; echo $?")
    assert done.stdout == "1\n1\n1\n"
    assert done.stderr.splitlines() == [
        "Error: standard output cannot be written: it is closed; give --out another place.",
        "Error: The source is - (paths on standard input), but standard input is closed, or this is another command than fmtag "
        "run and fmtag doctor, which read it; give a folder or a table.",
        "Error: The result goes to standard output, but it is closed; give it a file or a pipe.",
    ]
    assert os.listdir(tmp_path) == ["photos"]


@pytest.mark.parametrize("command", ["evaluate shop", "compare base", "explain a.jpg --ledger b.ledger", "models show base"])
def test_commands_that_only_print_need_a_standard_output(cli: RunCli, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """They are refused before their work, which would be for nothing."""
    monkeypatch.setattr(terminal, "why_closed", lambda descriptor: "it is closed")
    result = cli(*command.split())
    assert (result.code, result.out) == (1, "")
    assert result.err == "Error: The result goes to standard output, but it is closed; give it a file or a pipe.\n"


def test_files_are_written_before_results_are_printed(
    cli: RunCli, tmp_path: Path, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is printed may not arrive, as where standard output is a full disk or, with a file as output, closed."""

    def full(*_: object) -> None:
        raise OutputError("Standard output cannot be written (No space left on device).")

    monkeypatch.setattr(terminal, "why_closed", lambda descriptor: "it is closed")
    monkeypatch.setattr(evaluate, "print_metrics", full)
    assert cli("evaluate", shop, "--out", "m.json").code == 1
    assert json.loads((tmp_path / "m.json").read_text())["n"] == 2


def test_a_full_standard_output_is_a_sentence(shell: Shell) -> None:
    """It names what is full, and the exit code is 1."""
    done = shell("fmtag run photos --out - --quiet >/dev/full")
    assert done.returncode == 1
    assert done.stderr == (
        "Error: Standard output cannot be written (No space left on device); give it a file or a pipe that can.\n"
    )


def test_a_reader_that_has_seen_enough_is_no_error(shell: Shell, tmp_path: Path) -> None:
    """`head` ends the command without a word, whatever it prints; a report says that it was not finished."""
    done = shell("seq 3000 | fmtag run - --out - --quiet --report r.json | head -1; echo ${PIPESTATUS[1]}; fmtag --help | true")
    assert done.stdout.splitlines()[1] == "1"
    assert done.stdout.startswith("path,tag,")
    assert done.stderr == ""
    assert json.loads((tmp_path / "r.json").read_text())["status"] == "failed"


# Outputs that are streams ------------------------------------------------------------------------------------------


def test_rows_go_where_the_shell_leads_them(shell: Shell, tmp_path: Path) -> None:
    """After what is there already, through a program, or into a pipe that does not wait; each as CSV, and no ledger is left."""
    done = shell(
        "(echo first; fmtag run photos --out /dev/stdout --quiet; echo last) > kept;"
        "fmtag run photos --out >(gzip > rows.csv.gz) --changes >(cat > changes.csv) --quiet"
    )
    assert (done.returncode, done.stderr) == (0, "")
    first, *rows, last = (tmp_path / "kept").read_text().splitlines()
    assert (first, len(rows), last) == ("first", 3, "last")
    with gzip.open(tmp_path / "rows.csv.gz", "rt") as file:
        assert file.read().splitlines() == rows
    assert [row["change"] for row in csv_rows((tmp_path / "changes.csv").read_text())] == ["new", "new"]
    assert sorted(os.listdir(tmp_path)) == ["changes.csv", "kept", "photos", "rows.csv.gz"]


@pytest.mark.parametrize("format", ["csv", "json", "jsonl", "parquet"])
def test_a_named_pipe_gets_the_bytes_of_a_file(cli: RunCli, tmp_path: Path, format: str) -> None:
    """Its reader may read the rows to their end before it reads the changes; nothing is left beside it."""
    for name in ("rows", "changes"):
        os.mkfifo(tmp_path / name)
    got: list[bytes] = []

    reader = threading.Thread(target=lambda: got.extend((tmp_path / name).read_bytes() for name in ("rows", "changes")))
    reader.start()
    result = cli("run", "photos", "--out", "rows", "--changes", "changes", "--format", format)
    reader.join()
    assert result.code == 0
    assert cli("run", "photos", "--out", "file", "--format", format).code == 0
    assert got[0] == Path("file").read_bytes()
    assert got[1].startswith(b"change,path,")
    assert sorted(os.listdir(tmp_path)) == ["changes", "file", "file.ledger", "photos", "rows"]


def test_a_pipe_whose_reader_is_gone_is_a_sentence(cli: RunCli) -> None:
    """Not standard output's, where that means that it has seen enough."""
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    os.close(reading)
    result = cli("run", "photos", "--out", f"/dev/fd/{writing}", "--quiet")
    os.close(writing)
    assert (result.code, result.err) == (1, f"Error: /dev/fd/{writing} cannot be written (Broken pipe).\n")


@pytest.mark.parametrize(
    ("outputs", "why"),
    [
        ("--out /dev/stdout --changes -", "--out and --changes cannot both be standard output; give --changes a file."),
        ("--out - --report -", "--out and --report cannot both be standard output; give --report a file."),
        ("--out pipe --changes pipe", "pipe is what --out names and would be replaced; give --changes another name."),
        ("--out /dev/fd/999", "/dev/fd/999 cannot be written: it is not open; give --out another place."),
        ("--out new.csv/", "new.csv/ cannot be written: it ends as the name of a folder does; give --out the name of a file."),
        ("--out t.csv --ledger pipe", "pipe is no file that keeps what is written; give --ledger another one."),
        ("--out t.csv --ledger /dev/null", "/dev/null is no file that keeps what is written; give --ledger another one."),
        ("--out t.csv --debug-garments /dev/null", "/dev/null is no folder"),
    ],
)
def test_streams_that_cannot_be_written_are_refused(cli: RunCli, tmp_path: Path, outputs: str, why: str) -> None:
    """Before the work, in one sentence."""
    os.mkfifo(tmp_path / "pipe")
    result = cli("run", "photos", *outputs.split())
    assert result.code == 1
    assert result.err.startswith(f"Error: {why}")
    assert sorted(os.listdir(tmp_path)) == ["photos", "pipe"]


def test_a_file_on_standard_output_is_not_mixed_with_results(cli: RunCli, shop: str, capfd: pytest.CaptureFixture[str]) -> None:
    """The tables are on standard error then, and a report in a pipe is Markdown."""
    assert cli("evaluate", shop, "--out", "-").err.startswith("accuracy")
    assert json.loads(capfd.readouterr().out)["n"] == 2
    assert cli("evaluate", shop, "--report", "/dev/stdout").code == 0
    assert capfd.readouterr().out.startswith("# ")


# Names and times ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [13_569_465_600, -11_676_096_000, 253_402_300_799])
def test_a_time_of_another_century_is_a_hint(cli: RunCli, tmp_path: Path, seconds: int) -> None:
    """Of photos (the years 2400, 1600 and 9999, as far as the file system has them), outputs and ledgers."""
    for _ in range(2):
        for file in (tmp_path / "photos" / "0000.jpg", tmp_path / "tags.csv", tmp_path / "tags.ledger"):
            if file.exists():
                os.utime(file, (seconds, seconds))
        result = cli("run", "photos", "--out", "tags.csv", "--settle", "0.001")
        assert result.code == 0, result.err
    assert "nothing new" in result.err
    assert len(csv_rows((tmp_path / "tags.csv").read_text())) == 2


@pytest.mark.parametrize("name", ["n" * 251 + ".csv", "ü" * 125 + ".csv", "-x.csv", "a\nb\x1b[31m.csv", " t.csv"])
def test_every_name_that_a_file_can_have_is_written(cli: RunCli, tmp_path: Path, name: str) -> None:
    """Up to 255 bytes, and a bare line break or escape sequence does not reach the log."""
    result = cli("run", "photos", f"--out={name}")
    assert result.code == 0
    assert "\x1b" not in result.err
    assert len(result.err.splitlines()) == 2
    with (tmp_path / name).open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 2
    too_long = cli("run", "photos", "--out", "n" * 252 + ".csv")
    assert (too_long.code, too_long.err.count("\n")) == (1, 1)
    assert "(File name too long); give --out another place." in too_long.err


def test_one_line_per_event_on_a_terminal(small_bundle: Path, tmp_path: Path) -> None:
    """Names do not act on a terminal beside the progress bar, nor in the traceback of --debug."""
    name = "a\nb\x1b[31m\u202e\u200f"
    (tmp_path / name).mkdir()
    (tmp_path / name / f"{name}.jpg").write_bytes(b"no photo")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "tagger", "run", name, "--out", "t.csv", "--model", str(small_bundle)]
    done = subprocess.run(command, stderr=theirs, cwd=tmp_path, timeout=120, check=False)
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert done.returncode == 3
    assert "a\\nb\\x1b[31m\\u202e\\u200f.jpg: a text file" in shown
    assert "\x1b[31m" not in shown
    assert "\u202e" not in shown
    missing = run_cli("run", tmp_path / f"{name}2", "--out", tmp_path / "t.csv", "--debug")
    assert missing.code == 1
    assert not {"\x1b", "\u202e", "\u200f"} & set(missing.err)
