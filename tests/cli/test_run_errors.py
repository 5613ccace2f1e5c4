"""`fmtag run` with sources, outputs and options that cannot be used: one sentence, and the old output stays."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from helpers import RunCli, assert_one_sentence


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("nowhere", None, ["There is no ", "nowhere"]),
        ("empty", "", ["holds no photos"]),
        ("no_image.csv", "sku,colour\n1,red\n", ["no_image.csv", "sku, colour", "--image-column"]),
        ("nothing.csv", "", ["nothing.csv is empty"]),
        ("header_alone.csv", "path,sku\n", ["header_alone.csv holds no photos"]),
        ("damaged.parquet", "PAR1 but nothing else", ["damaged.parquet is damaged"]),
    ],
)
def test_bad_sources(
    cli: RunCli, tmp_path: Path, old: Path, untouched: Callable[[], None], name: str, content: str | None, parts: Sequence[str]
) -> None:
    """A source that cannot be used is one sentence that names it and what to do, exit 1, and the old output stays."""
    if name == "empty":
        (tmp_path / name).mkdir()
    elif content is not None:
        (tmp_path / name).write_bytes(content.encode(errors="surrogateescape"))
    assert_one_sentence(cli("run", tmp_path / name, "--out", old), 1, *parts)
    untouched()


def test_bad_outputs(cli: RunCli, photos: Callable[[int], Path], tmp_path: Path) -> None:
    """An output that cannot be written, or names no format, is one sentence and exit 1."""
    folder = photos(1)
    assert_one_sentence(cli("run", folder, "--out", tmp_path / "none" / "t.csv"), 1, str(tmp_path / "none" / "t.csv"))
    (tmp_path / "dir.csv").mkdir()
    assert_one_sentence(cli("run", folder, "--out", tmp_path / "dir.csv"), 1, "dir.csv")
    assert_one_sentence(cli("run", folder, "--out", tmp_path / "t.xlsx"), 1, "t.xlsx", ".parquet", "--format")
    assert sorted(os.listdir(tmp_path)) == ["dir.csv", "photos"]


def test_the_source_is_never_replaced(cli: RunCli, photos: Callable[[int], Path], tmp_path: Path) -> None:
    """The output may not be the source table, under whatever name: it is refused and the table stays."""
    photos(1)
    table = tmp_path / "t.csv"
    table.write_text("path\nphotos/0000.jpg\n")
    (tmp_path / "link.csv").symlink_to(table)
    for out in (table, tmp_path / "link.csv", tmp_path / "photos" / ".." / "t.csv"):
        assert_one_sentence(cli("run", table, "--out", out), 1, "is the source itself")
    assert table.read_text() == "path\nphotos/0000.jpg\n"


def test_an_unknown_model(
    cli: RunCli, photos: Callable[[int], Path], old: Path, untouched: Callable[[], None], tmp_path: Path
) -> None:
    """An unknown bundle is one sentence that lists the shipped ones, for every command that takes one."""
    folder = photos(1)
    for command in (["run", folder, "--out", old, "--model", "nix"], ["models", "show", "nix"]):
        assert_one_sentence(cli(*command), 1, "There is no bundle 'nix'", "shipped with fmtag: ")
    assert_one_sentence(cli("run", folder, "--out", old, "--model", folder), 1, "is no bundle")
    assert_one_sentence(cli("evaluate", folder, "--model", "nix"), 1, "There is no bundle 'nix'")
    untouched()


@pytest.mark.parametrize(
    "wrong",
    [
        ["--top-k", "0"],
        ["--top-k", "many"],
        ["--min-confidence", "1.5"],
        ["--min-confidence", "nan"],
        ["--precision", "1.5"],
        ["--precision", "nan"],
        ["--precision", "high"],
        ["--format", "xlsx"],
        ["--device", "abacus"],
        ["--batch-size", "0"],
        ["--workers", "-1"],
        ["--log-format", "xml"],
        ["--no-such-option"],
        ["another.jpg"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_2(cli: RunCli, old: Path, untouched: Callable[[], None], wrong: list[str]) -> None:
    """An option or a value that is not known is exit 2, with a sentence that names it, before anything is done."""
    assert_one_sentence(cli("run", old.parent, "--out", old, *wrong), 2, wrong[0])
    untouched()
