"""The library: its public names, the snippet of the README, and what a tag says."""

import importlib.metadata
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from helpers import ROOT, draw_photo

import tagger
from tagger import FmtagError, Tag, Tagger

pytestmark = pytest.mark.usefixtures("one_thread")


def test_public_names_are_exactly_these() -> None:
    """The library has four public names, and a star import brings those and nothing else."""
    assert sorted(tagger.__all__) == ["FmtagError", "Tag", "Tagger", "__version__"]
    names: dict[str, object] = {}
    exec("from tagger import *", names)
    assert sorted(names.keys() - {"__builtins__"}) == sorted(tagger.__all__)
    assert set(tagger.__all__) <= set(dir(tagger))


def test_importing_the_library_does_not_import_torch() -> None:
    """`import tagger`, its version, `Tag` and `FmtagError` are there without torch."""
    code = "import sys, tagger; tagger.__version__, tagger.Tag, tagger.FmtagError; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_version_is_that_of_the_package() -> None:
    """`__version__` is what a build gives to the package, and so what an installed one is called."""
    assert re.fullmatch(r"\d+\.\d+\.\d+", tagger.__version__)
    with suppress(importlib.metadata.PackageNotFoundError):  # a checkout that is not installed
        assert importlib.metadata.version("fmtag") == tagger.__version__


def test_all_errors_are_caught_as_one(tmp_path: Path) -> None:
    """`FmtagError` catches a bundle that does not exist, in one sentence."""
    with pytest.raises(FmtagError, match="no bundle") as caught:
        Tagger("no-such-bundle")
    assert "\n" not in str(caught.value)


def test_the_snippet_of_the_readme_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The library's example in the README runs as it stands and prints a line per photo."""
    snippet = re.search(r"```python\n(from tagger import .*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert snippet is not None
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FMTAG_MODELS", str(tmp_path / "models"))
    draw_photo(1).save("shirt.jpg")
    (tmp_path / "boot.png").write_bytes(b"")
    exec(snippet[1], {})
    tagged, failed = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"shirt\.jpg \S.* [01]\.\d+ (True|False) ?\w*", tagged)
    assert failed == "boot.png  0.0 True truncated"


def test_a_tag_names_its_most_probable_label() -> None:
    """`label` and `confidence` are the first of the ranking; a photo without a tag has an empty label and confidence 0."""
    tag = Tag((("Bag", 0.75), ("Dress", 0.25)), False, "", path="a.jpg")
    assert (tag.label, tag.confidence, tag.path) == ("Bag", 0.75, "a.jpg")
    assert (Tag((), True, "missing").label, Tag((), True, "missing").confidence) == ("", 0.0)
