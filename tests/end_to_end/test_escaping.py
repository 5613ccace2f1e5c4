"""Names of files, labels and bundles are shown as they are, and control no terminal, log, page or chart."""

import io
import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers import draw_photo
from markdown_it import MarkdownIt

from tagger.adaptation.adapt import AdaptationResult
from tagger.adaptation.validation import AccuracyGain, SuspectLabel
from tagger.cli.adapt import print_adapted
from tagger.cli.compare import print_comparison
from tagger.cli.main import main
from tagger.escaping import for_terminal
from tagger.models import bundle

CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that must not reach a terminal; line breaks are counted where they matter."""

HOSTILE = (
    "Shoes [women]",
    "[/women]",
    ":shoe: [bold]",
    "a|b `c` *d* _e_",
    "<script>alert(1)</script>",
    "$x_1$ [l](http://x)",
    "red \x1b[31m",
    "bidi \u202etxt.exe",
    "c1 \x9b31m",
    "Socken & Söckchen 靴下",
)

FORGED = "2026 INFO: all is well"

Call = Callable[..., tuple[int, str, str]]

MARKDOWN = MarkdownIt("commonmark").enable("table")


@pytest.fixture(scope="module")
def hostile_bundle(small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small bundle, with labels and a name that look like markup of every kind."""
    loaded = bundle.load(str(small_bundle))
    groups = {label: f"group of {label}" for label in HOSTILE}
    card = replace(loaded.card, name="[/b] \x1b[2J <i>|`", labels=HOSTILE, groups=groups)
    folder = tmp_path_factory.mktemp("hostile") / "bundle"
    bundle.save(folder, card, loaded.network())
    return folder


@pytest.fixture
def call(hostile_bundle: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Call the command line in this process, with the hostile bundle, and return exit code, output and errors."""
    monkeypatch.setenv("COLUMNS", "300")

    def ended(*arguments: str | Path) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([*map(str, arguments)])
        return int(caught.value.code or 0), *capfd.readouterr()

    return ended


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Twelve labelled photos, a label of the hostile bundle each, and two of a label that it lacks."""
    folder = tmp_path / "shop [x] <b>"
    folder.mkdir()
    labels = [*HOSTILE, "OOD [/z] \x1b[0m", "OOD [/z] \x1b[0m"]
    lines = ["path,label"]
    for number, label in enumerate(labels):
        draw_photo(number).save(folder / f"{number}.jpg")
        lines.append(f'{number}.jpg,"{label}"')
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def cells(markdown: str) -> list[str]:
    """Return the plain texts of all cells and headings of a page, which must not hold unexpected markup."""
    tokens = MARKDOWN.parse(markdown)
    assert not [token for token in tokens if token.type == "html_block"]
    texts = []
    for token in (token for token in tokens if token.type == "inline"):
        assert {child.type for child in token.children or []} <= {"text", "code_inline", "softbreak"}, token.content
        texts.append("".join(child.content for child in token.children or []))
    return texts


# Every edge, by its function ---------------------------------------------------------------------------------------


# The commands ------------------------------------------------------------------------------------------------------


def test_evaluate_shows_labels_as_they_are(call: Call, shop: Path, hostile_bundle: Path, tmp_path: Path) -> None:
    """Brackets stay, nothing controls the terminal, and the Markdown report holds plain texts."""
    code, out, err = call(
        "evaluate", shop, "--model", hostile_bundle, "--report", tmp_path / "r.md", "--sheet", tmp_path / "s.png"
    )
    assert (code, err) == (0, "")
    assert not CONTROLS.search(out)
    for label in HOSTILE:
        assert for_terminal(label) in out
    page = (tmp_path / "r.md").read_text(encoding="utf-8")
    assert not CONTROLS.search(page)
    texts = cells(page)
    assert {for_terminal(label) for label in HOSTILE} <= set(texts)
    assert any(text.startswith("Real photos, [/b] \\x1b[2J <i>|`@") for text in texts)


def test_evaluate_of_several_sources_shows_their_names(call: Call, shop: Path, hostile_bundle: Path, tmp_path: Path) -> None:
    """The row of each source has the name of its folder."""
    other = tmp_path / "[b] other"
    other.mkdir()
    for file in shop.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    code, out, err = call("evaluate", shop, other, "--model", hostile_bundle)
    assert (code, err) == (0, "")
    assert "shop [x] <b>" in out
    assert "[b] other" in out
    assert not CONTROLS.search(out)


def test_models_show_names_as_they_are(call: Call, hostile_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A card is JSON without control characters that reads back, and a list has one line per bundle."""
    code, out, _ = call("models", "show", hostile_bundle)
    assert code == 0
    assert not CONTROLS.search(out)
    card = json.loads(out[: out.rindex("}") + 1])
    assert tuple(card["labels"]) == HOSTILE
    monkeypatch.setenv("FMTAG_MODELS", str(hostile_bundle.parent))
    code, out, _ = call("models")
    assert code == 0
    assert not CONTROLS.search(out)
    assert "[/b] \\x1b[2J <i>|`@" in out


@pytest.fixture
def forging(tmp_path: Path) -> Path:
    """A folder with a good and a broken photo whose names hold a line break and an escape sequence."""
    folder = tmp_path / "photos"
    folder.mkdir()
    draw_photo(1).save(folder / f"good\n{FORGED}\x1b[31m.png")
    (folder / f"broken\n{FORGED}\x1b[31m.jpg").write_bytes(b"\xff\xd8\xff none")
    return folder


def test_names_of_files_forge_no_line_of_the_log(call: Call, forging: Path, hostile_bundle: Path, tmp_path: Path) -> None:
    """The log has no line that begins inside a file's name, and JSON lines stay one object per line."""
    out = tmp_path / "tags.csv"
    code, _, err = call("run", forging, "--out", out, "--model", hostile_bundle, "--list-ignored")
    assert code == 3
    assert not CONTROLS.search(err)
    assert f"broken\\n{FORGED}\\x1b[31m.jpg" in err
    assert not [line for line in err.splitlines() if line.startswith(FORGED)]
    code, _, err = call("run", forging, "--out", out, "--model", hostile_bundle, "--log-format", "json", "--fresh")
    assert code == 3
    assert not CONTROLS.search(err)
    events = [json.loads(line) for line in err.splitlines()]
    assert any(FORGED in event.get("detail", "") for event in events)


def test_explain_shows_one_line_per_fact(call: Call, forging: Path, hostile_bundle: Path, tmp_path: Path) -> None:
    """Neither the text nor the JSON of explain controls the terminal, and the JSON has the original name."""
    call("run", forging, "--out", tmp_path / "tags.csv", "--model", hostile_bundle)
    name = f"good\n{FORGED}\x1b[31m.png"
    code, out, _ = call("explain", name, "--ledger", tmp_path / "tags.ledger")
    assert code == 0
    assert not CONTROLS.search(out)
    assert out.splitlines()[0] == f"good\\n{FORGED}\\x1b[31m.png"
    assert "Shoes [women]" in out
    code, out, _ = call("explain", name, "--ledger", tmp_path / "tags.ledger", "--json")
    assert not CONTROLS.search(out)
    assert json.loads(out)["path"] == name


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", f"no\n{FORGED}\x1b[31m", "--out", "x.csv"),
        ("run", "x", "--out", f"x\n{FORGED}\x1b[31m"),
        ("run", "x", "--out", "x.csv", "--top-k", f"\n{FORGED}\x1b[31m"),
        ("run", "x", "--out", "x.csv", f"--x\n{FORGED}\x1b[31m"),
        ("run", "x", "--out", "x.csv", "--label-map", f"x\n{FORGED}\x1b[31m"),
        ("models", "show", f"x\n{FORGED}\x1b[31m"),
        (f"x\n{FORGED}\x1b[31m",),
    ],
)
def test_errors_are_one_line(call: Call, arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error is one line, whatever is in the user's text that it repeats."""
    monkeypatch.chdir(tmp_path)
    code, out, err = call(*arguments)
    assert code in (1, 2)
    assert out == ""
    assert not CONTROLS.search(err)
    assert not [line for line in err.splitlines() if line.startswith(FORGED)]
    assert err.splitlines()[-1].startswith("Error: ")


def test_an_ascii_terminal_shows_escapes(shop: Path, hostile_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where standard output is ASCII, tables with labels of another script are printed with escapes."""
    monkeypatch.setenv("COLUMNS", "300")
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="ascii"))
    with pytest.raises(SystemExit) as caught:
        main(["evaluate", str(shop), "--model", str(hostile_bundle)])
    assert not caught.value.code
    sys.stdout.flush()
    assert rb"S\xf6ckchen \u9774\u4e0b" in written.getvalue()


# Tables that need long work: printed from values --------------------------------------------------------------------


def test_adapt_shows_names_as_they_are(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels, paths and notes are shown as they are."""
    monkeypatch.setenv("COLUMNS", "300")
    name = f"[/x] :shoe:\n{FORGED}\x1b[31m"
    share = (0.5, 0.4, 0.6)
    print_adapted(
        AdaptationResult(
            3, gains=[AccuracyGain(name, 2, share, share)], suspects=[SuspectLabel(name, name, name, 0.9)], notes=[name]
        ),
        name,
    )
    out, _ = capfd.readouterr()
    assert not CONTROLS.search(out)
    assert out.count(for_terminal(name)) == 5


def test_compare_shows_names_as_they_are(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of bundles are shown in the table and the sentences as they are."""
    monkeypatch.setenv("COLUMNS", "300")

    class Comparison:
        """Two bundles of names that look like markup."""

        labels = [0] * 100

        def rows(self) -> list[dict[str, Any]]:
            """Return a row for each."""
            return [{"name": "[/a] \x1b[31m", "accuracy": 0.5, "accuracy_deviation": None}]

        def differences(self) -> list[dict[str, Any]]:
            """Return a difference that is hardly by chance."""
            return [{"first": "[/a]", "second": "[b]\nc", "only_first_right": 9, "only_second_right": 0, "p": 0.001}]

    print_comparison(Comparison())  # type: ignore[arg-type]
    out, _ = capfd.readouterr()
    assert not CONTROLS.search(out)
    assert "[/a] \\x1b[31m" in out
    assert "[/a] is better than [b]\\nc" in out


def test_the_table_after_the_bar_shows_tags_as_they_are(
    call: Call, forging: Path, hostile_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal, the table of tags at the end shows them as they are."""
    monkeypatch.setattr("tqdm.tqdm", _Bar)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    code, _, err = call("run", forging, "--out", tmp_path / "tags.csv", "--model", hostile_bundle, "--min-confidence", "0")
    assert code == 3
    assert [label for label in HOSTILE if for_terminal(label) in err]
    assert not [line for line in err.splitlines() if line.startswith(FORGED)]


class _Bar:
    """A bar that shows nothing but what is written past it."""

    total = n = 0

    def __init__(self, **options: Any) -> None:
        pass

    def update(self, n: int) -> None:
        """Take a step."""

    def close(self) -> None:
        """End."""

    def write(self, text: str, file: Any) -> None:
        """Write a line beside the bar."""
        file.write(text + "\n")
