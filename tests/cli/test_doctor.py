"""`fmtag doctor` on the command line: what it prints, writes and returns."""

import json
import os
import sys
from pathlib import Path

import pytest
from catalog_helpers import touch, write
from helpers import RunCli, assert_one_sentence, draw_photo, run_cli, write_photos
from run_helpers import write_shop


@pytest.fixture
def cli() -> RunCli:
    """Run the command line in this process."""
    return run_cli


def values(cli: RunCli, *arguments: str | Path) -> dict[str, object]:
    """Return the JSON of an inspection."""
    found: dict[str, object] = json.loads(cli("doctor", *arguments, "--out", "-").out)
    return found


def test_a_good_folder_is_told_so(cli: RunCli, tmp_path: Path) -> None:
    """Exit code 0, the counts, and the command that comes next."""
    done = cli("doctor", write_photos(tmp_path / "my photos", 3))
    assert (done.code, done.err) == (0, "")
    for line in ("  photos: 3", "Photos (all 3 decoded):", "  1: Nothing: every photo that was looked at can be read."):
        assert line in done.out.splitlines()
    assert done.out.splitlines()[-1] == f"  command: fmtag run '{tmp_path / 'my photos'}' --out tags.csv"
    assert [*tmp_path.iterdir()] == [tmp_path / "my photos"]


def test_failures_are_named_with_a_remedy(cli: RunCli, tmp_path: Path) -> None:
    """Exit code 3, as of a run, and JSON beside the text where --out is given."""
    shop, out = write_shop(tmp_path / "shop"), tmp_path / "report.json"
    done = cli("doctor", shop, "--out", out)
    assert done.code == 3
    assert "  truncated: 1 (broken.jpg): " in done.out
    assert "  1: 1 photo is cut off (broken.jpg): copy it again." in done.out.splitlines()
    assert json.loads(out.read_bytes())["counts"]["failed"] == {"truncated": 1}
    assert json.loads(out.read_bytes())["complete"] is True


def test_json_on_standard_output_is_one_document(cli: RunCli, tmp_path: Path) -> None:
    """Nothing else is printed there."""
    found = values(cli, write_shop(tmp_path / "shop"))
    assert (found["format"], found["kind"]) == (1, "folder")


def test_options_of_reading_go_into_the_command(cli: RunCli, tmp_path: Path) -> None:
    """The run that is proposed reads the source as the inspection did."""
    draw_photo(1).save(tmp_path / "a.png")
    table = write(tmp_path / "t.csv", "sku,front view\n1,a.png\n")
    assert_one_sentence(cli("doctor", table), 1, "no image column", "--image-column")
    command = values(cli, table, "--image-column", "front view")["command"]
    assert command == f"fmtag run {table} --out tags.csv --image-column 'front view'"


def test_paths_on_standard_input(cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list is read as a run reads it."""
    draw_photo(1).save(tmp_path / "a.png")
    with write(tmp_path / "list.txt", f"{tmp_path / 'a.png'}\nnone.png\n").open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        done = cli("doctor", "-")
    assert done.code == 3
    assert "  missing: 1 (none.png): no such file. " in done.out
    assert done.out.splitlines()[-1] == "  command: fmtag run - --out tags.csv"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("none", None),
        ("t.csv", b"sku,price\n1,2\n"),
        ("t.csv", b""),
        ("t.parquet", b"no parquet"),
        ("p.pdf", b"%PDF-1.7\n"),
        ("empty", "folder"),
    ],
)
def test_a_source_that_cannot_be_read_is_the_sentence_of_a_run(
    cli: RunCli, tmp_path: Path, small_bundle: Path, name: str, content: bytes | str | None
) -> None:
    """Exit code 1 with the same words, and JSON that has them too."""
    if content == "folder":
        (tmp_path / name).mkdir()
    elif isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    run = cli("run", tmp_path / name, "--out", tmp_path / "tags.csv", "--model", small_bundle)
    done = cli("doctor", tmp_path / name, "--out", tmp_path / "report.json")
    assert (done.code, done.err) == (run.code, run.err) == (1, run.err)
    assert run.err.startswith("Error: ")
    assert json.loads((tmp_path / "report.json").read_bytes())["error"] == run.err.removeprefix("Error: ").strip()


def test_what_is_left_out_is_told_even_of_a_folder_without_photos(cli: RunCli, tmp_path: Path) -> None:
    """That is why there are none."""
    touch(tmp_path / "shop", "shirt.psd", "notes.txt")
    done = cli("doctor", tmp_path / "shop")
    assert done.code == 1
    assert ".psd (1)" in done.out
    assert done.err.count("\n") == 1


def test_the_report_replaces_no_input(cli: RunCli, tmp_path: Path) -> None:
    """Refused before the work, as every output is."""
    table = write(tmp_path / "t.csv", "image\n")
    assert_one_sentence(cli("doctor", table, "--out", table), 1, "would be replaced", "--out")
    assert_one_sentence(cli("doctor", table, "--out", tmp_path / "no" / "r.json"), 1, "no folder")
    assert_one_sentence(cli("doctor", table, "--seconds", "0"), 2, "--seconds")
    assert_one_sentence(cli("doctor", table, "--sample", "-1"), 2, "--sample")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_are_escaped(cli: RunCli, tmp_path: Path) -> None:
    """No name of a file acts on the terminal, and every line stays one line."""
    shop = touch(tmp_path / "shop", "line\nbreak.jpg", "\x1b[31mred.jpg", os.fsdecode(b"caf\xe9.jpg"), "evil\n.txt")
    done = cli("doctor", shop)
    assert "\x1b" not in done.out
    for name in ("line\\nbreak.jpg", "\\x1b[31mred.jpg", "caf\\udce9.jpg", "evil\\n.txt"):
        assert name in done.out
    assert len(json.loads(cli("doctor", shop, "--out", "-").out)["failures"][0]["paths"]) == 3


def test_tables_on_a_terminal(cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal gets the same sections in columns."""
    from tagger.cli import doctor

    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(doctor, "_is_terminal", lambda: True)
    done = cli("doctor", write_shop(tmp_path / "shop"))
    assert done.code == 3
    for title in ("Source", "Photos (all 10 decoded)", "Photos that would fail", "What to do first"):
        assert title in done.out.splitlines()
    assert "1 photo is cut off (broken.jpg)" in done.out
