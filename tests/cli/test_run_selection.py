"""`fmtag run` and its like on folders as NAS and shops hold them, and on lists as other programs write them."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import Result, RunCli, assert_one_sentence, csv_rows, draw_photo, rows_of, run_cli

Run = Callable[..., Result]


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """A folder with photos of all kinds of names, among what does not belong to the catalog."""
    folder = tmp_path / "catalog"
    names = [
        *("a.jpg", "women/front.jpg", "women/back.jpg", "shirt", "shirt.jpg?v=17", "shirt.jpg.1", "shirt.jpg_large"),
        *(
            "@eaDir/a.jpg/thumb.jpg",
            "#recycle/a.jpg",
            "$RECYCLE.BIN/b.jpg",
            "lost+found/c.jpg",
            "a.jpg~",
            "a.jpg.part",
            "._a.jpg",
        ),
    ]
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        draw_photo(number, (60, 80)).save(folder / name, "JPEG")
    (folder / "notes.txt").write_text("x")
    return folder


READ = ["a.jpg", "shirt", "shirt.jpg.1", "shirt.jpg?v=17", "shirt.jpg_large", "women/back.jpg", "women/front.jpg"]


@pytest.fixture
def run(cli: RunCli, catalog: Path, tmp_path: Path) -> Run:
    """Run the command over the catalog, in this process."""
    return lambda *options: cli("run", catalog, "--out", tmp_path / "tags.csv", *options)


def paths(tmp_path: Path) -> list[str]:
    """Return the paths of the output."""
    return [row["path"] for row in rows_of(tmp_path / "tags.csv")]


def test_a_folder_of_a_nas_is_its_photos(run: Run, tmp_path: Path) -> None:
    """Waste and thumbnails are left out and counted, photos with other names read, and look-alikes named; exit 0."""
    result = run("--report", tmp_path / "run.json", "--list-ignored")
    assert result.code == 0
    assert paths(tmp_path) == READ
    assert [row["duplicate_of"] for row in rows_of(tmp_path / "tags.csv")] == [""] * len(READ)
    *_, last = result.err.splitlines()
    assert "8 other entries ignored (2 backup or temporary, 1 hidden, 1 not an image, 4 system folder)." in last
    assert (
        "Warning: 2 files look like photos but were left out: 2 backup or temporary files (a.jpg.part, a.jpg~)." in result.err
    )
    assert "ignored lost+found: system folder\n" in result.err
    counts = json.loads((tmp_path / "run.json").read_text())["counts"]
    assert counts["ignored"] == sum(counts["ignored_by_reason"].values()) == 8
    assert counts["ignored_by_reason"]["system folder"] == 4


def test_patterns_select(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Patterns come from the command line, from a variable or from the configuration file."""
    assert run("--exclude", "women/", "--exclude", "shirt*", "--exclude", "!shirt").code == 0
    assert paths(tmp_path) == ["a.jpg", "shirt"]
    assert run("--include", "women/", "--exclude", "*back.*").code == 0
    assert paths(tmp_path) == ["women/front.jpg"]
    monkeypatch.setenv("FMTAG_RUN_EXCLUDE", "women/ shirt*")
    assert run().code == 0
    assert paths(tmp_path) == ["a.jpg"]
    monkeypatch.delenv("FMTAG_RUN_EXCLUDE")
    monkeypatch.chdir(tmp_path)
    Path("fmtag.toml").write_text('[run]\ninclude = ["women/", "/a.jpg"]\n')
    assert run().code == 0
    assert paths(tmp_path) == ["a.jpg", "women/back.jpg", "women/front.jpg"]


def test_what_leaves_nothing_is_an_error(run: Run, catalog: Path, tmp_path: Path) -> None:
    """A bad pattern, one that leaves no photo, and a folder of look-alikes are one sentence each that says why."""
    assert_one_sentence(run("--exclude", "[a"), 1, "--exclude '[a' is not a pattern")
    assert_one_sentence(run("--exclude", "*"), 1, "holds no photos (", " excluded by *")
    for path in list(catalog.iterdir()):
        if not path.name.endswith(("~", ".part", ".txt")):
            path.rename(tmp_path / f"moved {path.name}")
    assert_one_sentence(run(), 1, "holds no photos (2 backup or temporary, 1 not an image)")
    assert not (tmp_path / "tags.csv").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_in_a_folder_does_not_block(run: Run, catalog: Path, tmp_path: Path) -> None:
    """A pipe with the name of a photo is no photo, and nothing waits for its writer."""
    os.mkfifo(catalog / "pipe.jpg")
    os.mkfifo(catalog / "pipe")
    assert run().code == 0
    assert paths(tmp_path) == READ


def test_an_option_without_effect_is_refused(cli: RunCli, catalog: Path, tmp_path: Path) -> None:
    """Patterns for a table, and -0 for a folder, are one sentence."""
    (tmp_path / "t.csv").write_text("path\ncatalog/a.jpg\n")
    for options, part in ((["--exclude", "x"], "--exclude"), (["--include", "x"], "--include"), (["-0"], "-0 (--null)")):
        assert_one_sentence(cli("run", tmp_path / "t.csv", "--out", tmp_path / "o.csv", *options), 1, part, "leave")
    assert_one_sentence(cli("run", catalog, "--out", tmp_path / "o.csv", "--null"), 1, "-0 (--null)")


def test_labelled_folders_are_selected_too(cli: RunCli, tmp_path: Path) -> None:
    """`fmtag evaluate` measures what `fmtag run` would tag, with the same options."""
    for number, name in enumerate(("Bag/a.jpg", "Bag/b", "Bag/@eaDir/c.jpg", "Dress/a.jpg", "drafts/a.jpg", "drafts/b.jpg")):
        path = tmp_path / "labelled" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draw_photo(number, (60, 80)).save(path, "JPEG")
    options = ("--exclude", "drafts/", "--out", tmp_path / "m.json")
    assert cli("evaluate", tmp_path / "labelled", *options).code == 0
    assert json.loads((tmp_path / "m.json").read_text())["n"] == 3


def test_adapt_selects_the_catalog_and_not_its_table_of_labels(catalog: Path, tmp_path: Path) -> None:
    """The patterns of a command with a folder and a table are for the folder."""
    (tmp_path / "labels.csv").write_text("path,label\na.jpg,Bag\n")
    command = ("adapt", catalog, "--labels", tmp_path / "labels.csv", "--out", tmp_path / "x", "--from", "tiny")
    assert "holds no readable photo" in run_cli(*command[:2], "--out", tmp_path / "x", "--from", "tiny", "--exclude", "*").err
    assert "--exclude selects" not in run_cli(*command, "--exclude", "*").err


# Lists ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def list_run(cli: RunCli, catalog: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run the command over a list on standard input."""
    monkeypatch.chdir(catalog)

    def call(content: bytes, *options: str) -> Result:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        return cli("run", "-", "--out", "-", *options)

    return call


LISTED = ["a.jpg", "women/front.jpg"]


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ("a.jpg\r\nwomen/front.jpg\r\n".encode("utf-8-sig"), ()),
        ("a.jpg\r\nwomen/front.jpg\r\n".encode("utf-16"), ()),
        (b"a.jpg\0women/front.jpg\0", ("-0",)),
        (b"a.jpg\0women/front.jpg", ("--null",)),
    ],
)
def test_lists_of_other_programs_are_read(list_run: Callable[..., Result], content: bytes, options: tuple[str, ...]) -> None:
    """Byte order marks, UTF-16, Windows' line ends and `find -print0` give the same rows."""
    result = list_run(content, *options)
    assert result.code == 0
    assert [row["path"] for row in csv_rows(result.out)] == LISTED


def test_an_empty_line_keeps_its_row(list_run: Callable[..., Result]) -> None:
    """Rows and lines of a list correspond."""
    assert [row["path"] for row in csv_rows(list_run(b"a.jpg\n\nwomen/front.jpg\n").out)] == ["a.jpg", "", "women/front.jpg"]


@pytest.mark.parametrize(
    ("content", "options", "part"),
    [
        (b"", (), "Standard input holds no paths"),
        (b"a.jpg\0women/front.jpg\0", (), "give -0 (--null)"),
        (b"a.jpg\nwomen/front.jpg\n", ("-0",), "leave out -0 (--null)"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0", (), "holds a photo"),
        (b"a.jpg\n", ("--exclude", "x"), "--exclude selects files of a folder"),
    ],
)
def test_what_is_no_list_is_refused(
    list_run: Callable[..., Result], content: bytes, options: tuple[str, ...], part: str
) -> None:
    """One sentence says what came, and nothing is written."""
    assert_one_sentence(list_run(content, *options), 1, part)


@pytest.mark.skipif(os.name != "posix", reason="a shell of POSIX")
def test_a_closed_standard_input_is_one_sentence(small_bundle: Path, tmp_path: Path) -> None:
    """Schedulers close it; a source of - then has nothing to read."""
    command = f"{sys.executable} -m tagger run - --out {tmp_path / 't.csv'} --model {small_bundle} <&-"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=300)
    assert_one_sentence(Result(done.returncode, done.stdout, done.stderr), 1, "standard input")
    assert not (tmp_path / "t.csv").exists()
