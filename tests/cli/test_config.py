"""Nonsense in `fmtag.toml`, in variables, in names and in the file of the default bundle is one sentence with a remedy."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from helpers import draw_photo

from tagger.cli.config import CONFIGURATION, MAX_CONFIGURATION_BYTES
from tagger.cli.main import main
from tagger.errors import BundleError
from tagger.models.card import bundle_folder

Failed = Callable[..., str]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with one photo, and a folder for bundles of one's own."""
    (tmp_path / "photos").mkdir()
    draw_photo(1).save(tmp_path / "photos" / "a.jpg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FMTAG_MODELS", str(tmp_path / "models"))
    (tmp_path / "models").mkdir()
    return tmp_path


@pytest.fixture
def failed(here: Path, capfd: pytest.CaptureFixture[str]) -> Failed:
    """Call a command in this process that must fail, and return its last line, the only one where it is no usage."""

    def sentence(*arguments: str, code: int = 1) -> str:
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([*arguments])
        out, err = capfd.readouterr()
        assert (caught.value.code, out) == (code, ""), err
        assert "Traceback" not in err
        lines = err.splitlines()
        assert len(lines) == 1 or code == 2, err
        assert lines[-1].startswith("Error: ")
        assert lines[-1].endswith((".", "?")), lines[-1]
        return lines[-1]

    return sentence


RUN = ("run", "photos", "--out", "tags.csv")


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("[run]\ntop-k = [1]", ["[run]", "top-k", "one number"]),
        ("[run]\ntop-k = true", ["[run]", "top-k", "one number"]),
        ("[run]\ntop-k = 2026-11-27", ["top-k", "one number"]),
        ("[run]\ntop-k = {a = 1}", ["top-k", "one number"]),
        ("[run]\nquiet = 5", ["quiet", "true or false"]),
        ("[run]\nquiet = 'true'", ["quiet", "true or false"]),
        ("[run]\nledger = ['x']", ["ledger", "one text"]),
        ("[run]\nledger = 12:00:00", ["ledger", "one text"]),
        ('[run]\nledger = "a\\u0000b"', ["ledger", "one text"]),
        ("[run]\nonly = 'new'", ["only", "list"]),
        ("[run]\nonly = [['new']]", ["only", "one text"]),
        ("[retrain]\nclass-weights = 1", ["class-weights", "true or false"]),
        ("[retrain]\ndistill-from = {a = 1}", ["distill-from", "list"]),
        ("[run.deep]\nx = 1", ["[run]", "unknown option 'deep'"]),
        ("run = 5", ["[run]", "table"]),
        ("[[run]]\nx = 1", ["[run]", "table"]),
        ("top-k = 3", ["unknown table 'top-k'", "there are"]),
        ("[models]\ntop-k = 3", ["[models]", "'top-k'", "default, show"]),
        ("[models]\nshow = 3", ["[models.show]", "table"]),
        ("[models.show]\ndebug = 3", ["[models.show]", "debug", "true or false"]),
        ("[run]\nsource = 'x'", ["[run]", "'source'"]),
        ('[run]\n"a\\u001b[31m\\nb" = 1', ["'a\\x1b[31m\\nb'"]),
        ('["\\u202e"]\na = 1', ["\\u202e"]),
        ("[run]\ntop-k = 1\ntop-k = 2", ["TOML"]),
        ("[run", ["TOML"]),
        ("a = " + 5000 * "[", ["TOML"]),
        ("[run]\ntop-k = " + 5000 * "9", ["fmtag.toml"]),
    ],
)
def test_nonsense_in_the_file_is_refused(failed: Failed, here: Path, content: str, parts: Sequence[str]) -> None:
    """A value of the wrong type is refused with the file, its table, its key and what to write."""
    (here / CONFIGURATION).write_text(content, encoding="utf-8")
    sentence = failed(*RUN)
    for part in (CONFIGURATION, *parts):
        assert part in sentence


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("[run]\ntop-k = 1e400", ["--top-k", "'inf'"]),
        ("[run]\ntop-k = 1.5", ["--top-k", "'1.5'"]),
        ("[run]\ntop-k = -3", ["--top-k", "-3"]),
        ("[run]\ntop-k = 'three'", ["--top-k", "'three'"]),
        ("[run]\nmin-confidence = nan", ["--min-confidence", "nan"]),
        ("[run]\nsettle = inf", ["--settle", "inf"]),
        ("[run]\nwait = 1e400", ["--wait", "inf"]),
        ("[run]\ngive-up = 1000000000000000000000", ["--give-up"]),
        ("[run]\ndevice = 'abacus'", ["--device", "'abacus'"]),
        ("[run]\nonly = ['old']", ["--only", "'old'"]),
    ],
)
def test_values_that_an_option_refuses_name_the_file(failed: Failed, here: Path, content: str, parts: Sequence[str]) -> None:
    """A value of the right type that the option does not take is wrong usage, with where it comes from."""
    (here / CONFIGURATION).write_text(content)
    sentence = failed(*RUN, code=2)
    for part in (CONFIGURATION, "[run]", *parts):
        assert part in sentence


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TOP_K", "1e400"),
        ("TOP_K", "[1]"),
        ("QUIET", "5"),
        ("SETTLE", "inf"),
        ("ONLY", "new,old"),
        ("DEVICE", "\x1b[31m"),
        ("WORKERS", "9" * 5000),
    ],
)
def test_nonsense_in_a_variable_is_refused(failed: Failed, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """The sentence names the option and the variable, and repeats no character that a terminal acts on."""
    monkeypatch.setenv(f"FMTAG_RUN_{name}", value)
    sentence = failed(*RUN, code=2)
    assert f"FMTAG_RUN_{name}" in sentence
    assert f"--{name.lower().replace('_', '-')}" in sentence
    assert "\x1b" not in sentence


def test_a_seed_and_a_name_of_a_file_are_bounded(failed: Failed) -> None:
    """Numbers that no generator takes, and names that no file can have, are wrong usage."""
    assert "--seed" in failed("retrain", "--out", "x", "--seed", "100000000000000000000", code=2)
    assert "--recipe" in failed("retrain", "--out", "x", "--recipe", "x" * 70_000, code=2)


def test_a_configuration_that_is_not_a_small_file_is_refused(failed: Failed, here: Path) -> None:
    """A folder and a huge file are refused, not read."""
    (here / CONFIGURATION).mkdir()
    assert "not a file" in failed(*RUN)
    (here / CONFIGURATION).rmdir()
    with (here / CONFIGURATION).open("wb") as file:
        file.truncate(2_000_000_000)
    assert f"{MAX_CONFIGURATION_BYTES:,} bytes" in failed(*RUN)


def test_good_configuration_is_taken(here: Path, small_bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Numbers, texts, flags and lists of the file reach the command, also of a command of a group."""
    (here / CONFIGURATION).write_text(
        "[run]\ntop-k = 2\nmin_confidence = 0.5\nquiet = true\nonly = ['new', 'flagged']\nledger = 'x.ledger'\n"
        "[models.show]\ndebug = true\n[retrain]\nclass-weights = false\n"
    )
    with pytest.raises(SystemExit) as caught:
        main([*RUN, "--model", str(small_bundle)])
    assert (caught.value.code, capfd.readouterr().err) == (0, "")
    assert "tag_2" in (here / "tags.csv").read_text()
    assert (here / "x.ledger").is_file()


# The default bundle --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"\xff\xfe\x00",
        b"nobody\n",
        b"../catalog\n",
        b"a/b\n",
        b"catalog\nbase\n",
        b"-x\n",
        b"\x1b[31m\n",
        b"/nowhere\n",
    ],
)
def test_nonsense_in_the_default_file_is_refused(failed: Failed, here: Path, content: bytes) -> None:
    """Content that names no bundle is refused with the file and both remedies, before anything is read or written."""
    place = here / "models" / "default"
    place.write_bytes(content)
    sentence = failed(*RUN)
    for part in (str(place), "`fmtag models default NAME`", "remove"):
        assert part in sentence
    assert not (here / "tags.csv").exists()


def test_a_default_that_is_not_a_small_file_is_refused(failed: Failed, here: Path) -> None:
    """A folder and a huge file in its place are refused, not read."""
    place = here / "models" / "default"
    place.mkdir()
    assert str(place) in failed(*RUN)
    assert "rename" in failed("models", "default", "base")
    place.rmdir()
    with place.open("wb") as file:
        file.truncate(2_000_000_000)
    assert str(place) in failed(*RUN)


def test_bundles_are_listed_whatever_the_default_file_holds(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The list that another default is chosen from warns, and names the bundles; setting one mends the file."""
    (here / "models" / "default").write_bytes(b"\xff")
    with pytest.raises(SystemExit) as caught:
        main(["models"])
    out, err = capfd.readouterr()
    assert (caught.value.code or 0, len(err.splitlines())) == (0, 1)
    assert err.startswith("Warning: ")
    assert "catalog@" in out
    with pytest.raises(SystemExit) as caught:
        main(["models", "default", "base"])
    assert not caught.value.code
    assert (here / "models" / "default").read_text() == "base\n"


def test_a_folder_of_bundles_that_is_a_file_is_refused(failed: Failed, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names the variable."""
    (here / "file").write_text("")
    monkeypatch.setenv("FMTAG_MODELS", str(here / "file"))
    for command in (RUN, ("models",), ("models", "default", "base"), ("adapt", "photos", "--out", "mine")):
        assert "FMTAG_MODELS" in failed(*command)


# Names of bundles ----------------------------------------------------------------------------------------------------

UNUSABLE = ("default", "-x", ".hidden", "a\\b", "c:", "a\nb", "\x1b[31m", "\u202ex", " x", "x ", "a\udcff", "x" * 101, "")


@pytest.mark.parametrize("name", UNUSABLE)
def test_unusable_names_are_refused_at_once(failed: Failed, here: Path, name: str) -> None:
    """Neither adapt nor retrain begins to work for a bundle that could not be found by its name."""
    assert "name" in failed("adapt", "photos", f"--out={name}")
    if name:
        assert "name" in failed("retrain", "--out", "fine", f"--name={name}")
        assert "name" in failed("adapt", "photos", f"--out=./{name}/")
        assert "name" in failed("retrain", f"--out=./{name}")
    assert not [*(here / "models").iterdir()]
    assert not (here / "fine").exists()


def test_usable_names_are_taken(here: Path) -> None:
    """Letters of any script, digits, blanks within, and folders by their path."""
    assert bundle_folder("靴 v1.2_x") == here / "models" / "靴 v1.2_x"
    assert bundle_folder("./mine") == Path("mine")
    with pytest.raises(BundleError, match="comes with fmtag"):
        bundle_folder("catalog")


# Unforeseen errors --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "parts"),
    [
        (
            ZeroDivisionError("by \x1b[31m\nzero"),
            ["bug in fmtag", "ZeroDivisionError: by \\x1b[31m\\nzero", "--debug", "report"],
        ),
        (RuntimeError(), ["bug in fmtag (RuntimeError)"]),
        (MemoryError(), ["Not enough memory", "--batch-size"]),
        (OSError(28, "No space left on device", "x"), ["operating system", "No space left", "'x'"]),
    ],
)
def test_an_unforeseen_error_is_one_sentence(
    failed: Failed, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], error: Exception, parts: Sequence[str]
) -> None:
    """It is exit 1 and says what to do; the traceback is there with --debug alone."""

    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr("tagger.run.explain.explain", fail)
    sentence = failed("explain", "x", "--ledger", "y")
    for part in parts:
        assert part in sentence
    with pytest.raises(SystemExit):
        main(["explain", "x", "--ledger", "y", "--debug"])
    assert capfd.readouterr().err.startswith("Traceback")
